"""Standing orders in words and tables: shared by `confirm`, `cancel`, `status` and `positions`."""

from __future__ import annotations

from collections.abc import Sequence

from core.desk import Desk
from core.domain.events import Disarmed, Role
from core.domain.structures import describe_legs
from core.orders.plan_words import WATCHED, standing_words
from core.orders.standing import Standing
from core.reply import Action, Block, Column, Notice, Table, Tone

_NAMES = {Role.TARGET: "target", Role.STOP: "stop", Role.PARTS: "in parts"}


def standing_table(desk: Desk, found: Sequence[Standing], *, title: str = "Standing orders") -> Table:
    """What each waits for."""
    columns = (Column(title="order"), Column(title="kind"), Column(title="structure"), Column(title="trade"), Column(title="state"))
    rows = tuple(
        (
            item.id, _NAMES[item.role], describe_legs(item.envelope.legs), item.trade_id,
            standing_words(item, desk.book(item.account).orders),
        )
        for item in found
    )
    return Table(title=title, columns=columns, rows=rows, source="book")


def armed(desk: Desk) -> tuple[Standing, ...]:
    """Every standing order still to be carried out, in all accounts."""
    return tuple(item for book in desk.books.accounts.values() for item in book.armed)


def armed_blocks(desk: Desk, ids: Sequence[str]) -> tuple[Block, ...]:
    """What a press armed."""
    found = [item for name in ids if (item := desk.books.find_standing(name)) is not None]
    stops = any(item.role is Role.STOP for item in found)
    note = f" A stop is {WATCHED}." if stops else ""
    return (Notice(text=f"Armed: {', '.join(ids)}.{note}", tone=Tone.GOOD), standing_table(desk, found))


def cancel_actions(found: Sequence[Standing]) -> tuple[Action, ...]:
    """A button for each that takes it back."""
    return tuple(Action(label=f"Cancel {item.id}", line=f"cancel {item.id}", style="danger") for item in found)


async def disarm(desk: Desk, item: Standing, *, actor: str, reason: str) -> tuple[int, ...]:
    """End a standing order by a person's word; what it has working is cancelled with it. Returns what to cite."""
    async with desk.lane(item.account):
        now = desk.books.find_standing(item.id)
        if now is None or not now.is_live:
            return ()
        body = Disarmed(standing_id=item.id, outcome="cancelled", reason=reason)
        recorded = await desk.record(desk.draft(body, actor=actor, stream=str(item.account), correlation=item.id))
    for name in now.children:  # one may have been sent while the lane was taken
        order = desk.books.order(name)
        if order is not None and not order.state.terminal:
            await desk.senders[item.account].cancel(name, reason, actor=actor)
    return recorded.seqs
