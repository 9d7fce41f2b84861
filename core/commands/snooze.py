"""Put an exit off for a while: it is not told again until then, unless something new is found, and no mandate acts on it meanwhile.

Example: `snooze P1A2B3C.credit_stop for=2h` is silent about that stop for two hours; `ack` is silent until it is over.
"""

from __future__ import annotations

import re
from datetime import timedelta

from core.clock import exchange_time
from core.command import Access, Call, Command, Kind, Parameter, repeated
from core.commands._exits import told_exit
from core.commands._modes import actor_of
from core.desk import Desk
from core.domain.events import ExitSnoozed
from core.errors import UserError
from core.reply import Notice, Reply, Tone

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=30)


async def run(desk: Desk, call: Call) -> Reply:
    """Record until when."""
    told = told_exit(desk, str(call.args["alert"]))
    until = desk.now() + span(str(call.args.get("for") or "1h"))
    body = ExitSnoozed(trade_id=told.due.trade_id, rule=told.due.rule, person=call.caller.person, until=until)
    recorded = await desk.record(desk.draft(body, actor=actor_of(call), stream=str(told.due.account), causation=call.caller.message_id))
    text = f"Put off until {exchange_time(until):%a %H:%M} ET: {told.due.trade_id}, {told.due.reason}."
    return Reply(blocks=(Notice(text=text, tone=Tone.GOOD),), cites=recorded.seqs)


def span(text: str) -> timedelta:
    """How long `30m`, `2h` or `1d` is; raise UserError with what would be right."""
    found = re.fullmatch(r"(\d{1,4})([mhd])", text.strip().lower())
    if found is None or not timedelta(0) < (gone := timedelta(**{UNITS[found[2]]: int(found[1])})) <= LONGEST:
        raise UserError(f"{repeated(text)} is no time to put it off by.", "Say 30m, 2h or 1d; 30d at most.")
    return gone


COMMAND = Command(
    name="snooze",
    help="Puts an alert off for a while.",
    run=run,
    access=Access.REDUCE,
    parameters=(
        Parameter(name="alert", kind=Kind.ID, required=True, help="what was told, as its button carries it"),
        Parameter(name="for", kind=Kind.ID, help="30m, 2h or 1d; 1h where left out"),
    ),
    examples=("snooze P1A2B3C4.credit_stop for=2h", "snooze P1A2B3C4.profit_target"),
)
