"""End-of-session marks: what each account was worth at the close, at mids. They are opinions, kept for P&L by day and drawdown."""

from __future__ import annotations

from decimal import Decimal

from core.clock import exchange_date
from core.desk import Desk
from core.domain.calendar import session
from core.domain.events import Marked
from core.errors import Unavailable
from core.market.view import Needs, View
from core.portfolio.book import Book


async def mark_session(desk: Desk, *, last_chance: bool = False) -> None:
    """After the close of today's session, once: record every account's net liquidation value.

    `last_chance` marks before the close too: a recorded day may end with a snapshot some minutes earlier.
    """
    today = session(exchange_date(desk.now()))
    if today is None or (desk.now() < today.close_at and not last_chance):
        return
    for account, book in desk.books.accounts.items():
        last = desk.fold.last_mark(account)
        if account.outside:
            continue  # what is there besides the trades logged nobody here knows
        if last is not None and last.session >= today.day:
            continue
        view = await desk.reader.view(Needs(instruments=frozenset(position.instrument for position in book.positions.values())))
        value, stale = net_liquidation(book, view)
        body = Marked(account=account, session=today.day, net_liquidation=float(value), stale=stale)
        await desk.record(desk.draft(body, actor="clock", stream=str(account), dedupe=f"mark:{account}:{today.day}"))


def net_liquidation(book: Book, view: View) -> tuple[Decimal, tuple[str, ...]]:
    """Cash plus every position at its mid, and the positions left out because they have no usable price."""
    total, stale = book.cash, []
    for key, position in book.positions.items():
        try:
            mid = view.mid(position.instrument)
        except Unavailable:
            stale.append(getattr(position.instrument, "label", key.strip()))
            continue
        total += Decimal(str(round(mid, 6))) * position.quantity * position.instrument.multiplier
    return total, tuple(stale)
