"""Every contract must exist as written, with all its terms, and not have expired; opening needs a standard deliverable.

Worked example: after a corporate action the option root becomes XYZ1 and one contract delivers 150 shares. Opening it is refused;
one that is held may still be closed. An SPXW put whose last trade was at 16:00 is refused at 16:00.
"""

from core.domain.instruments import Deliverable, Equity, Instrument, InstrumentError, Option
from core.domain.listing import option
from core.domain.orders import Effect
from core.risk.exam import Exam, Finding, blocking, passing
from core.settings import Parameters, Setting

NAME = "contract"
CLASS = "hard"
PARAMETERS: tuple[Setting, ...] = ()


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Compare each contract with what its series and the calendar say."""
    for leg in exam.intent.legs:
        item = leg.instrument
        if isinstance(item, Option) and exam.now >= item.last_trade_at:
            return _refused(
                item.label, "not expired", f"{item.label} has expired; its last trade was {item.last_trade_at:%d %b %Y %H:%M} UTC"
            )
        wrong = _wrong(item) if leg.effect is Effect.OPEN else None
        if wrong is not None:
            name = item.label if isinstance(item, Option) else item.key
            return _refused(name, "standard terms", f"{name} cannot be opened: {wrong}")
    return passing(NAME, CLASS, measured="terms known", limit="standard terms", why="every contract is listed, unexpired and standard")


def _refused(measured: str, limit: str, why: str) -> Finding:
    return blocking(NAME, CLASS, measured=measured, limit=limit, fits=0, why=why, next_step="`chain` shows what is listed.")


def _wrong(item: Instrument) -> str | None:
    """What is wrong with a contract's terms, None where nothing is."""
    if isinstance(item, Equity):
        return None
    if not isinstance(item, Option):
        return "only options and shares can be traded here"
    try:
        listed = option(item.root, item.expiry, item.right, item.strike)
    except InstrumentError as error:
        return str(error)
    if item.deliverable != listed.deliverable:
        return f"it delivers {_words(item.deliverable)}, not {_words(listed.deliverable)}"
    return None if item == listed else "its terms are not those of its series"


def _words(deliverable: Deliverable | None) -> str:
    return "cash" if deliverable is None else f"{deliverable.shares} shares of {deliverable.symbol}"
