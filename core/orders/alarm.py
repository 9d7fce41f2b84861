"""Alerts: what a person must hear of that follows from no other event, told once for each key, also across restarts."""

from __future__ import annotations

from collections.abc import Mapping

from core.desk import Desk, Recorded
from core.domain.accounts import AccountId
from core.domain.events import AlertRaised
from core.domain.instruments import Instrument


async def raise_alert(
    desk: Desk, key: str, *, urgency: str, text: str, account: AccountId | None = None, buttons: Mapping[str, str] | None = None,
    actor: str = "clock",
) -> Recorded:
    """Record an alert, unless it was raised before; `buttons` are lines by their label."""
    if key in desk.fold.alerts:
        return Recorded(events=(), outcomes=())
    said = buttons or {}
    body = AlertRaised(key=key, urgency=urgency, text=text, account=account, lines=tuple(said.values()), labels=tuple(said))
    stream = "desk" if account is None else str(account)
    return await desk.record(desk.draft(body, actor=actor, stream=stream, dedupe=f"alert:{key}"))


def key_of(instrument: Instrument) -> str:
    """An instrument as a part of an alert's key, which people may have to type."""
    return instrument.key.replace(" ", "")
