"""What the desk may do by itself and what its exits have said, as a fold: mandates with the orders they sent, exits told and put off. Pure.

Counts come from the confirmations themselves, so they are the same after every restart. Mandates of the past stay: the orders they sent
name them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime

from core.domain.calendar import EXCHANGE
from core.domain.events import (
    CorporateAction,
    Event,
    ExitDue,
    ExitOver,
    ExitSnoozed,
    MandateGranted,
    MandateOffered,
    MandateRevoked,
    SettingChanged,
    TicketConfirmed,
)
from core.domain.mandates import Mandate, MandateState

AUTONOMY_BODIES = (
    MandateOffered, MandateGranted, MandateRevoked, SettingChanged, TicketConfirmed, ExitDue, ExitOver, ExitSnoozed, CorporateAction,
)


@dataclass(slots=True, kw_only=True)
class Granted:
    """A mandate's facts: when it came into force, how it was revoked, the tickets it confirmed by exchange date."""

    mandate: Mandate
    at: datetime
    revoked: str = ""
    lapsed: bool = False  # a setting it was granted on was changed: setting that back does not bring it back
    sent: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitTold:
    """An exit that stands told: the last word on it, since when it is due, whether a person put it off and until when."""

    due: ExitDue
    since: datetime
    told_at: datetime
    snoozed_by: str | None = None
    snoozed_until: datetime | None = None  # None where snoozed: until it is over

    def is_put_off(self, now: datetime) -> bool:
        """Whether a person does not want to hear of it now."""
        return self.snoozed_by is not None and (self.snoozed_until is None or now < self.snoozed_until)


@dataclass(slots=True)
class Autonomy:
    """The accumulator."""

    offers: dict[str, MandateOffered] = field(default_factory=dict)
    granted: dict[str, Granted] = field(default_factory=dict)
    exits: dict[str, ExitTold] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Fold one event; what concerns neither mandates nor exits changes nothing."""
        body = event.body
        if isinstance(body, MandateOffered):
            self.offers = {body.mandate.id: body}  # a newer card replaces the one on the table
        elif isinstance(body, MandateGranted):
            self.offers.pop(body.mandate.id, None)
            self.granted.setdefault(body.mandate.id, Granted(mandate=body.mandate, at=event.at))
        elif isinstance(body, MandateRevoked):
            granted = self.granted.get(body.mandate_id)
            if granted is not None and not granted.revoked:
                granted.revoked = f"was revoked: {body.reason}"
        elif isinstance(body, SettingChanged):
            for granted in self.granted.values():
                granted.lapsed = granted.lapsed or body.key in granted.mandate.terms
        elif isinstance(body, CorporateAction):
            for granted in self.granted.values():
                if not granted.revoked and covers_split(granted.mandate, body):
                    granted.revoked = f"ended with the {body.words}"
        elif isinstance(body, TicketConfirmed):
            self._count(body, event.at)
        elif isinstance(body, ExitDue | ExitOver | ExitSnoozed):
            self._exit(body, event.at)

    def states(self, *, now: datetime, latest: datetime) -> dict[str, MandateState]:
        """Every mandate by id, oldest first, ended ones too. `latest` is the latest time in the log: what has run out by then stays so."""
        return {name: _state(granted, now, latest) for name, granted in self.granted.items()}

    def _count(self, body: TicketConfirmed, at: datetime) -> None:
        granted = self.granted.get(body.mandate or "")
        if granted is not None and not any(body.ticket_id in tickets for tickets in granted.sent.values()):
            day = _day(at).isoformat()
            granted.sent[day] = (*granted.sent.get(day, ()), body.ticket_id)

    def _exit(self, body: ExitDue | ExitOver | ExitSnoozed, at: datetime) -> None:
        key = exit_key(body.trade_id, body.rule)
        known = self.exits.get(key)
        if isinstance(body, ExitDue):
            fresh = ExitTold(due=body, since=at, told_at=at)
            self.exits[key] = fresh if known is None else replace(known, due=body, told_at=at)
        elif isinstance(body, ExitOver):
            self.exits.pop(key, None)
        elif known is not None:
            self.exits[key] = replace(known, snoozed_by=body.person, snoozed_until=body.until)


def covers_split(mandate: Mandate, body: CorporateAction) -> bool:
    """Whether a mandate was granted for what a corporate action replaced: the person knew other contracts and prices."""
    return mandate.account == body.account and (mandate.symbols is None or body.symbol in mandate.symbols)


def exit_key(trade_id: str, rule: str) -> str:
    """How an exit of a trade is named in commands and buttons: `P1A2B3C.profit_target`."""
    return f"{trade_id}.{rule}"


def _state(granted: Granted, now: datetime, latest: datetime) -> MandateState:
    mandate, today = granted.mandate, _day(now)
    ended = granted.revoked
    if not ended and max(now, latest) >= mandate.valid_until:
        ended = f"ran out on {mandate.valid_until.astimezone(EXCHANGE):%d %b %y at %H:%M} ET"
    # Orders of a day that is still to come count too: a clock that was set back frees no orders.
    sent = sum(len(tickets) for day, tickets in granted.sent.items() if date.fromisoformat(day) >= today)
    return MandateState(
        mandate=mandate, granted_at=granted.at, ended=ended, revoked=bool(granted.revoked), lapsed=granted.lapsed, sent_today=sent
    )


def _day(at: datetime) -> date:
    return at.astimezone(EXCHANGE).date()
