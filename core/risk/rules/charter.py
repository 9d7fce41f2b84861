"""What the account may hold at all: its charter, and what its kind of account refuses.

Long-only: nothing is sold to open. Defined-risk-only: no more shorts uncovered than before. No short shares. Symbols: only those
listed. Cash and IRA accounts refuse naked and uncovered shorts in the margin engine's own words. Closing what is held is always allowed,
unless it uncovers something. A long option of an order that is still working covers nothing yet.

Worked example: a defined-risk-only account sells a 2700/2650 put spread: 0 puts uncovered before and after, passes. It sells the 2700
put alone: 1 uncovered, refused.
"""

from core.domain.instruments import Equity
from core.domain.orders import Effect, Side
from core.errors import Unavailable
from core.portfolio.book import add_legs
from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.measures import uncovered, underlying_of
from core.settings import Parameters, Setting

NAME = "charter"
CLASS = "hard"
PARAMETERS: tuple[Setting, ...] = ()


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Hold the order against charter and kind of account."""
    charter, name = exam.account.charter, exam.account.name
    opening = [leg for leg in exam.intent.legs if leg.effect is Effect.OPEN]
    strange = sorted({underlying_of(leg.instrument) for leg in opening} - charter.symbols) if charter.symbols is not None else []
    if strange:
        listed = ", ".join(sorted(charter.symbols or ()))
        return _refused(", ".join(strange), listed, f"{name} may not trade {', '.join(strange)}; its list is {listed or 'empty'}")
    if charter.long_only and any(leg.side is Side.SELL for leg in opening):
        return _refused("a sale to open", "long only", f"{name} is long-only; nothing is sold to open there")
    short_shares = [key for key, (item, quantity) in exam.held_after.items() if isinstance(item, Equity) and quantity < 0]
    sold = [key for key in short_shares if exam.held_after[key][1] < exam.held_before.get(key, (None, 0))[1]]
    if charter.no_shares_short and sold:
        return _refused(f"{exam.held_after[sold[0]][1]} {sold[0]}", "no short shares", f"{name} may not be short shares of {sold[0]}")
    naked = _newly_uncovered(exam)
    if charter.defined_risk_only and naked:
        return _refused(
            f"{naked} uncovered", "defined risk only", f"{name} is defined-risk-only; {naked} short contracts would be uncovered"
        )
    new = [words for words in exam.after.margin_refusals if words not in exam.before.margin_refusals]
    if new:
        return _refused(exam.account.kind.value, "what such an account may hold", "; ".join(new))
    if exam.after.margin is None:
        raise Unavailable("margin", why="a price it needs is unknown, so what the account refuses is too")
    return passing(NAME, CLASS, measured="within", limit=exam.account.kind.value, why=f"{name} may hold this")


def _newly_uncovered(exam: Exam) -> int:
    """Short contracts this order uncovers, with and without the live orders counted as filled: the larger."""
    held = exam.book.holdings()
    after = dict(held)
    add_legs(after, exam.intent.legs, exam.intent.quantity)
    pairs = ((exam.before.uncovered, exam.after.uncovered), (uncovered(held), uncovered(after)))
    return max(sum(max(0, count - was.get(slot, 0)) for slot, count in now.items()) for was, now in pairs)


def _refused(measured: str, limit: str, why: str) -> Finding:
    return blocking(
        NAME, CLASS, measured=measured, limit=limit, fits=0, why=why, next_step="Use another account, or a structure that it may hold."
    )
