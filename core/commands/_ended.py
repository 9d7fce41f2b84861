"""How a contract held outside ended: by a published value where it settles in cash, by a person's word where shares may change hands."""

from __future__ import annotations

from typing import Any

from core.command import Call, format_call
from core.commands._booking import outside_book
from core.commands._modes import actor_of
from core.desk import Desk
from core.domain.accounts import OUTSIDE
from core.domain.events import Settled
from core.domain.instruments import Delivery, Option
from core.errors import UserError
from core.orders.ticket import new_id
from core.outside import outcome_of, over
from core.reply import Action, Fact, Facts, Format, Notice, Reply, Tone


async def ended(desk: Desk, call: Call) -> Reply:
    """The card of how a contract ended."""
    option, quantity = _held(desk, call)
    log_id = new_id(desk, "L", taken=lambda name: name in desk.book(OUTSIDE.id).settled)
    body = outcome_of(option, quantity, str(call.args["outcome"]), settlement_id=log_id, at=desk.now())
    said = {**_terms(option), "outcome": call.args["outcome"], "account": OUTSIDE.name}
    line = format_call(_command(), {**said, "card": f"{log_id}-{quantity}"})
    facts = [
        Fact(label="account", value=OUTSIDE.name, note="no broker of this desk keeps it; nothing is sent"),
        Fact(label="contract", value=option.label), Fact(label="held", value=quantity, format=Format.INTEGER, signed=True),
        Fact(label="it", value=body.outcome),
    ]
    if body.shares:
        facts.append(Fact(label=f"shares of {body.share_symbol}", value=body.shares, format=Format.INTEGER, signed=True))
        facts.append(Fact(label="cash", value=body.cash, format=Format.MONEY, unit="USD", signed=True))
    actions = (Action(label="Confirm", line=line, style="primary", once=True), Action(label="Leave it", line="positions account=outside"))
    return Reply(blocks=(Facts(title=f"Booking {log_id}", facts=tuple(facts)),), actions=actions, data={"log": log_id})


async def record_ending(desk: Desk, call: Call) -> Reply:
    """Book what a card showed; raise UserError where something else is held by now."""
    option, quantity = _held(desk, call)
    log_id, _, shown = str(call.args["card"]).partition("-")
    if str(quantity) != shown.lstrip("+"):
        raise UserError(f"{quantity} are held by now, the card showed {shown}; nothing was booked.", "Ask for a new card.")
    body: Settled = outcome_of(option, quantity, str(call.args["outcome"]), settlement_id=log_id, at=desk.now())
    draft = desk.draft(
        body, actor=actor_of(call), stream=str(OUTSIDE.id), causation=call.caller.message_id, correlation=log_id, dedupe=f"log:{log_id}",
    )
    recorded = await desk.record(draft, expected_seq=desk.fold.seq)
    notice = Notice(text=f"Booked in outside: {abs(quantity)} x {option.label} {body.outcome}.", tone=Tone.GOOD)
    return Reply(
        blocks=(notice,), actions=(Action(label="Positions", line="positions account=outside"),), cites=recorded.seqs, data={"log": log_id},
    )


def _command() -> Any:
    from core import plugins

    return plugins.load("commands", "log_trade").COMMAND


def _held(desk: Desk, call: Call) -> tuple[Option, int]:
    """The contract a call names, which must be held outside, be over, and leave the outcome possible."""
    args, book = call.args, outside_book(desk)
    held = [] if book is None else [item for item in book.positions.values() if isinstance(item.instrument, Option)]
    found = [
        (item.instrument, item.quantity) for item in held
        if isinstance(item.instrument, Option) and args.get("symbol") in (None, item.instrument.underlying, item.instrument.root)
        and args.get("expiry") in (None, item.instrument.expiry) and args.get("right") in (None, item.instrument.right.value)
        and tuple(args.get("strikes") or (item.instrument.strike,)) == (item.instrument.strike,)
    ]
    if not found:
        raise UserError("Nothing of that is held outside; nothing was booked.", "`positions account=outside` shows what is.")
    if len(found) > 1:
        names = ", ".join(option.label for option, _ in found)
        raise UserError(f"Which one? {names}.", "Name symbol, strikes, right and expiry.")
    option, quantity = found[0]
    outcome = str(args["outcome"])
    if outcome == "expired" and not over(option, desk.now()):
        raise UserError(f"{option.label} trades until its expiry; nothing was booked.", "Log its closing trade, or wait.")
    if outcome != "expired" and (option.delivery is Delivery.CASH or (outcome == "assigned") is not (quantity < 0)):
        why = "settles in cash" if option.delivery is Delivery.CASH else f"is {'short' if quantity < 0 else 'long'}"
        raise UserError(f"{option.label} {why}: it cannot be {outcome}; nothing was booked.", "A short is assigned, a long exercised.")
    return option, quantity


def _terms(option: Option) -> dict[str, Any]:
    return {"symbol": option.root, "strikes": (option.strike,), "right": option.right.value, "expiry": option.expiry}


