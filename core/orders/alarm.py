"""Alerts: what a person must hear of that follows from no other event, told once for each key, also across restarts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.desk import Desk, Recorded
from core.domain.accounts import AccountId
from core.domain.events import AlertRaised
from core.domain.instruments import Instrument
from core.portfolio.whose import addressed, named, whose


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alert to be raised; `buttons` are command lines by their label."""

    key: str
    urgency: str
    text: str
    buttons: Mapping[str, str] = field(default_factory=dict)


async def raise_alarms(desk: Desk, alarms: Iterable[Alarm], account: AccountId, *, actor: str = "clock") -> None:
    """Raise those that were not raised before."""
    for alarm in alarms:
        await raise_alert(
            desk, alarm.key, urgency=alarm.urgency, text=alarm.text, account=account, buttons=alarm.buttons, actor=actor
        )


async def raise_alert(
    desk: Desk, key: str, *, urgency: str, text: str, account: AccountId | None = None, buttons: Mapping[str, str] | None = None,
    actor: str = "clock",
) -> Recorded:
    """Record an alert, unless it was raised before; `buttons` are lines by their label."""
    if key in desk.fold.alerts:
        return Recorded(events=(), outcomes=())
    said, stream = buttons or {}, "desk" if account is None else str(account)
    owner = whose(desk.accounts, stream)
    lines = tuple(addressed(line, owner) for line in said.values())
    body = AlertRaised(key=key, urgency=urgency, text=named(text, owner), account=account, lines=lines, labels=tuple(said))
    return await desk.record(desk.draft(body, actor=actor, stream=stream, dedupe=f"alert:{key}"))


def key_of(instrument: Instrument) -> str:
    """An instrument as a part of an alert's key, which people may have to type."""
    return instrument.key.replace(" ", "")
