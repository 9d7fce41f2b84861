"""Take note of an alert: it is not repeated. Where it asks for a decision, such as letting a short be assigned, this is the decision."""

from __future__ import annotations

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._modes import actor_of
from core.desk import Desk
from core.domain.events import AlertAnswered, ExitSnoozed
from core.errors import UserError
from core.ports import Put
from core.reply import Notice, Reply, Tone

ALERT = Parameter(name="alert", kind=Kind.ID, required=True, help="the alert's id, as its button carries it")


async def run(desk: Desk, call: Call) -> Reply:
    """Record who took note."""
    key = str(call.args["alert"])
    if key in desk.fold.exits:
        return await _exit(desk, call, key)
    alert = desk.fold.alerts.get(key)
    if alert is None and (noted := await _ringing(desk, call, key)) is not None:
        return noted
    if alert is None:
        raise UserError(f"There is no alert {key!r} of the last weeks.", "The button on an alert carries its id.")
    if alert.answered_by is not None:
        return Reply(blocks=(Notice(text=f"Noted before, by {alert.answered_by}: {alert.raised.text}"),))
    body = AlertAnswered(key=key, person=call.caller.person)
    stream = "desk" if alert.raised.account is None else str(alert.raised.account)
    recorded = await desk.record(desk.draft(body, actor=actor_of(call), stream=stream, causation=call.caller.message_id))
    return Reply(blocks=(Notice(text=f"Noted; this alert is not repeated: {alert.raised.text}", tone=Tone.GOOD),), cites=recorded.seqs)


async def _ringing(desk: Desk, call: Call, key: str) -> Reply | None:
    """Critical news that is told again until somebody takes note, None where the key names none."""
    rows = await desk.archive.select("rings", where={"id": key})
    if not rows:
        return None
    if rows[0]["answered_at"] is not None:
        return Reply(blocks=(Notice(text=f"Noted before, by {rows[0]['answered_by']}."),))
    row = {**rows[0], "answered_at": desk.now().isoformat(), "answered_by": call.caller.person}
    await desk.archive.write([Put(table="rings", row=row)])
    return Reply(blocks=(Notice(text="Noted; this is not told again.", tone=Tone.GOOD),))


async def _exit(desk: Desk, call: Call, key: str) -> Reply:
    """An exit is left as it is: it is not told again until it is over."""
    due = desk.fold.exits[key].due
    body = ExitSnoozed(trade_id=due.trade_id, rule=due.rule, person=call.caller.person)
    recorded = await desk.record(desk.draft(body, actor=actor_of(call), stream=str(due.account), causation=call.caller.message_id))
    text = f"Noted; it is left as it is and not told again until it is over: {due.trade_id}, {due.reason}."
    return Reply(blocks=(Notice(text=text, tone=Tone.GOOD),), cites=recorded.seqs)


COMMAND = Command(
    name="ack", help="Takes note of an alert, so that it is not repeated.", run=run, access=Access.REDUCE, parameters=(ALERT,),
    examples=("ack expiry:PRACTICE:SPY190517P00285000",),
)
