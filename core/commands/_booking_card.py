"""The card of a booking, its questions, and what a press on it records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.command import Call, Command, format_call
from core.commands._booking import Booking, body_of, money_of, outside_book, same_again
from core.commands._modes import actor_of
from core.commands._said import Question, words_of
from core.desk import Desk
from core.domain.accounts import OUTSIDE
from core.domain.events import AccountOpened
from core.domain.structures import describe_legs
from core.orders.ticket import new_id
from core.reply import Action, Block, Fact, Facts, Format, Notice, Reply, Tone


def asked(command: Command, args: Mapping[str, Any], question: Question) -> Reply:
    """What is missing, with a button for each answer there may be."""
    actions = tuple(
        Action(label=label, line=format_call(command, {**args, "card": None, **more})) for label, more in question.choices.items()
    )
    return Reply(blocks=(Notice(text=str(question), tone=Tone.WARNING),), actions=actions, ok=False)


def card_of(desk: Desk, command: Command, args: Mapping[str, Any], booking: Booking, lead: str = "") -> Reply:
    """What a press on Confirm would book; `lead` says why it is drawn again."""
    log_id = new_id(desk, "L", taken=lambda name: is_booked(desk, name))
    said = {name: value for name, value in args.items() if name not in ("card", "account", "when")}
    day = {} if booking.said is None else {"when": booking.said.day}
    line = format_call(command, {**said, **day, "account": booking.account.name, "card": f"{log_id}-{booking.seal}"})
    blocks: list[Block] = [Notice(text=lead, tone=Tone.WARNING)] if lead else []
    blocks.append(Facts(title=f"Booking {log_id}", facts=tuple(_facts(booking))))
    again = same_again(outside_book(desk), booking)
    if again:
        text = f"The very same was booked before ({', '.join(again)}); Confirm books it once more."
        blocks.append(Notice(text=text, tone=Tone.WARNING))
    actions = (
        Action(label="Confirm", line=line, style="primary", once=True),
        Action(label="Leave it", line=f"positions account={booking.account.name}" if outside_book(desk) or booking.named else "positions"),
    )
    return Reply(blocks=tuple(blocks), actions=actions, ok=not lead, data={"log": log_id})


def _facts(booking: Booking) -> list[Fact]:
    said = booking.said
    note = "no broker of this desk keeps it; nothing is sent" if booking.account.id.outside else "nothing is booked or sent, only named"
    facts = [Fact(label="account", value=booking.account.name, note=note), Fact(label="what", value=describe_legs(booking.legs))]
    if said is None:
        assert booking.undoes is not None  # what says nothing takes a booking back
        return [*facts, Fact(label="takes back", value=booking.undoes.log_id, note=f"trade {booking.undoes.trade_id}")]
    if booking.named:
        facts.append(Fact(label="executions", value=", ".join(fill.exec_id for fill in booking.named), note="in the broker's books"))
    else:
        closes = booking.trade
        facts.append(Fact(label="it", value="opens a new trade" if closes is None else f"closes {said.quantity} of trade {closes.id}"))
    strategy = said.strategy if booking.trade is None else booking.trade.strategy
    return [
        *facts, Fact(label="strategy", value=strategy), Fact(label="quantity", value=said.quantity, format=Format.INTEGER),
        Fact(label="price", value=f"{words_of(said)} per share"),
        Fact(label="in money", value=money_of(booking), format=Format.MONEY, unit="USD", signed=True, note="before commission"),
        Fact(label="traded on", value=said.day), *_fees(booking),
    ]


def _fees(booking: Booking) -> list[Fact]:
    if booking.named:
        return []
    note = "not said: counted as none, so the result leaves them out" if booking.fees is None else ""
    return [Fact(label="commission, fees", value=booking.fees, format=Format.MONEY, unit="USD", note=note)]


async def book(desk: Desk, call: Call, booking: Booking, log_id: str) -> Reply:
    """Record what a card showed, once, and say so."""
    body = body_of(desk, booking, log_id, call.caller.person)
    stream, actor = str(booking.account.id), actor_of(call)
    drafts = []
    if booking.account.id.outside and outside_book(desk) is None:
        drafts.append(desk.draft(AccountOpened(account=OUTSIDE), actor=actor, stream=stream, dedupe=f"opened:{OUTSIDE.id}"))
    draft = desk.draft(body, actor=actor, stream=stream, causation=call.caller.message_id, correlation=log_id, dedupe=f"log:{log_id}")
    drafts.append(draft)
    recorded = await desk.record(*drafts, expected_seq=desk.fold.seq)
    if booking.named:
        text = f"Named in {booking.account.name}: {describe_legs(booking.legs)}, {len(booking.named)} executions. Nothing else changed."
        fills = Action(label="Fills", line=f"fills all account={booking.account.name}")
        return Reply(blocks=(Notice(text=text, tone=Tone.GOOD),), actions=(fills,), cites=recorded.seqs, data={"log": log_id})
    trade = getattr(body, "trade_id", "")
    what = "Taken back" if booking.undoes is not None else "Booked in outside"
    blocks = (Notice(text=f"{what}: {describe_legs(booking.legs)} (trade {trade}, booking {log_id}).", tone=Tone.GOOD),)
    undo = () if booking.undoes is not None else (Action(label="Take it back", line=f"log_trade undo={log_id}"),)
    see = () if booking.undoes is not None else (Action(label="Its story", line=f"positions position_id={trade}"),)
    return Reply(
        blocks=blocks, actions=(*see, *undo, Action(label="Positions", line="positions account=outside")), cites=recorded.seqs,
        data={"log": log_id, "trade": trade},
    )


def is_booked(desk: Desk, log_id: str) -> bool:
    """Whether a card was booked already."""
    return any(
        log_id in book.logged or log_id in book.settled or any(item.log_id == log_id for item in book.named.values())
        for book in desk.books.accounts.values()
    )
