"""At most 8 trades at a time; opening orders that are still working count.

Worked example: 7 trades are open and 1 opening order is working: a new trade would be the 9th and is refused. Closing one, or rolling
one, is not a new trade.
"""

from decimal import Decimal

from core.domain.orders import Effect
from core.portfolio.book import Book
from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.usage import Stand, Use
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "positions"
CLASS = "soft"
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="max_positions",
        kind=Kind.INTEGER,
        default=8,
        unit="trades",
        help="trades open or being opened",
        loosens=Loosens.UP,
        low=Decimal(1),
        high=Decimal(200),
    ),
)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Count trades by their id."""
    most = parameters.whole("max_positions")
    open_ids = _open_ids(exam.book)
    adds = exam.intent.effect is Effect.OPEN and exam.intent.trade_id not in open_ids
    count = len(open_ids) + adds
    if not adds or count <= most:
        return passing(NAME, CLASS, measured=str(count), limit=str(most), why=f"{count} trades open or being opened")
    return blocking(
        NAME,
        CLASS,
        measured=str(count),
        limit=str(most),
        fits=0,
        why=f"this would be trade {count}, over {most} open at a time",
        next_step="Close one first.",
    )


def use(stand: Stand, parameters: Parameters) -> tuple[Use, ...]:
    """Trades open or being opened."""
    count = Decimal(len(_open_ids(stand.book)))
    return (Use(rule=NAME, what="trades", used=count, limit=Decimal(parameters.whole("max_positions")), unit=""),)


def _open_ids(book: Book) -> set[str]:
    working = {
        order.trade_id
        for order in book.live.values()
        if order.leaves and any(leg.effect is Effect.OPEN for leg in order.envelope.legs)
    }
    return {trade.id for trade in book.open_trades} | working
