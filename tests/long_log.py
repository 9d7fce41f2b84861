"""A log such as a busy desk writes over years, of any length: the same seed gives the same drafts.

Per ticket about 14 events, as the desk writes them: drafted, shown, then dropped (a quarter) or confirmed, submitted, acknowledged, walked
up to three steps, filled leg by leg in one or two executions, sometimes cancelled. Spreads are closed or expire; sessions bring marks and
reconciliations, now and then a note, a deposit, a pause, a correction. About twenty trades are open at a time, however long it goes on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from core.domain.accounts import Account, AccountId, AccountKind, Env
from core.domain.events import (
    AccountOpened,
    Body,
    CancelRequested,
    CashMoved,
    Draft,
    Event,
    Filled,
    Marked,
    Mode,
    ModeSet,
    NoteWritten,
    OrderAcknowledged,
    OrderEnded,
    Reconciled,
    Replacing,
    Scope,
    Settled,
    Submitting,
    TicketClosed,
    TicketConfirmed,
    TicketDrafted,
    TicketShown,
)
from core.domain.instruments import Right
from core.domain.listing import option
from core.domain.orders import Effect, Envelope, Fill, Intent, Leg, Limit, Side, TimeInForce
from core.store.codec import GENESIS, stored

START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
TICKETS_A_DAY = 60
OPEN_TRADES = 20
ACCOUNTS = tuple(AccountId(broker="paper", id=f"PAPER-{number}", env=Env.PAPER) for number in (1, 2))
PUT = option("SPY", date(2026, 12, 18), Right.PUT, Decimal(600))
HASH = "0123456789abcdef" * 4


def drafts(count: int, *, seed: int = 1, start: datetime = START) -> Iterator[Draft]:
    """The first `count` drafts of a log that begins at `start`; the ids of two seeds differ."""
    for number, draft in enumerate(_Life(seed, start).drafts()):
        if number == count:
            return
        yield draft


def events(count: int, *, seed: int = 1) -> Iterator[Event]:
    """The same as a store gives them back."""
    before, seq, known = GENESIS, 0, set[str]()
    for draft in drafts(count, seed=seed):
        if draft.dedupe is not None and draft.dedupe in known:
            continue
        known |= {draft.dedupe} if draft.dedupe is not None else set()
        seq += 1
        row, event = stored(draft, seq=seq, prev_hash=before, recorded_at=draft.at)
        before = row.hash
        yield event


class _Life:
    def __init__(self, seed: int, start: datetime) -> None:
        self._rng = random.Random(seed)
        self._seed = seed
        self._start = self._at = start
        self._count = 0
        self._open: list[tuple[str, Envelope]] = []

    def drafts(self) -> Iterator[Draft]:
        for account in ACCOUNTS:
            opened = Account(id=account, name=account.id.lower(), kind=AccountKind.REG_T, start_cash=Decimal(100_000))
            yield self._draft(AccountOpened(account=opened), account)
        day = 0
        while True:
            self._at = self._start + timedelta(days=day)
            yield from self._morning(day)
            for _ in range(TICKETS_A_DAY):
                self._at += timedelta(seconds=self._rng.randrange(20, 300))
                yield from self._ticket()
            yield from self._evening(day)
            day += 1

    def _morning(self, day: int) -> Iterator[Draft]:
        for account in ACCOUNTS:
            yield self._draft(Reconciled(account=account, epoch=day + 1, complete=True, differences=(), cursor=self._count), account)
        if day % 5 == 0:
            moved = CashMoved(movement_id=self._id("M"), account=ACCOUNTS[0], amount=Decimal("250.00"), reason="deposit", at=self._at)
            yield self._draft(moved)
        if day % 7 == 0:
            yield self._draft(NoteWritten(text="Volatility is low; half size.", symbol="SPY"))
            for mode, reason in ((Mode.PAUSED, "lunch"), (Mode.ACTIVE, "back")):
                yield self._draft(ModeSet(scope=Scope(), mode=mode, cause="person", reason=reason))

    def _evening(self, day: int) -> Iterator[Draft]:
        while len(self._open) > OPEN_TRADES:
            yield from self._expire(*self._open.pop(0))
        for account in ACCOUNTS:
            body = Marked(account=account, session=self._at.date(), net_liquidation=100_000 + self._rng.random() * 1000)
            yield self._draft(body, account, dedupe=f"mark:{account}:{day}")

    def _ticket(self) -> Iterator[Draft]:
        closing = self._open.pop(self._rng.randrange(len(self._open))) if len(self._open) > 5 and self._rng.random() < 0.4 else None
        account = closing[1].account if closing else self._rng.choice(ACCOUNTS)
        ticket_id, legs = self._id("T"), self._legs(closing)
        limit = Limit(start=Decimal("-0.60"), worst=Decimal("-0.75")) if closing else Limit(start=Decimal("1.25"), worst=Decimal("1.10"))
        quantity, trade_id = (closing[1].quantity, closing[0]) if closing else (self._rng.randrange(1, 5), None)
        intent = Intent(account=account, legs=legs, quantity=quantity, plan=limit, strategy="put_credit_spread", trade_id=trade_id)
        envelope = Envelope(
            account=account, legs=legs, quantity=quantity, plan=limit, tif=TimeInForce.DAY, expires_at=self._at + timedelta(hours=3),
            policy_version=3, strategy="put_credit_spread", trade_id=trade_id,
        )
        yield self._draft(TicketDrafted(
            ticket_id=ticket_id, intent=intent, envelope=envelope, envelope_hash=HASH, card_hash=HASH[::-1], allowed=True,
            mid=Decimal("1.175"), short_delta=-0.17, margin_effect=Decimal("-380.00"), verdict_hash=HASH, short_deltas=(-0.17,),
            holdings=HASH[:16],
        ), account, ticket_id)
        yield self._draft(TicketShown(ticket_id=ticket_id, chat="telegram:42", at=self._at), account, ticket_id)
        if closing is None and self._rng.random() < 0.3:
            yield self._draft(TicketClosed(ticket_id=ticket_id, outcome="dropped", reason="the person pressed Drop"), account, ticket_id)
        else:
            yield from self._order(ticket_id, envelope, closing)

    def _legs(self, closing: tuple[str, Envelope] | None) -> tuple[Leg, ...]:
        if closing is not None:
            opposite = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
            return tuple(replace(leg, side=opposite[leg.side], effect=Effect.CLOSE) for leg in closing[1].legs)
        expiry = (self._at + timedelta(days=30 + 7 * self._rng.randrange(4))).date()
        short = Decimal(550 + self._rng.randrange(50))
        items = [replace(PUT, expiry=expiry, strike=strike, last_trade_at=datetime(expiry.year, expiry.month, expiry.day, 21, tzinfo=UTC))
                 for strike in (short, short - 5)]
        return tuple(Leg(instrument=item, side=side, effect=Effect.OPEN) for item, side in zip(items, (Side.SELL, Side.BUY), strict=True))

    def _order(self, ticket_id: str, envelope: Envelope, closing: tuple[str, Envelope] | None) -> Iterator[Draft]:
        client_id, account = self._id("O"), envelope.account
        trade_id = closing[0] if closing else f"P{client_id[1:]}"
        yield self._draft(TicketConfirmed(
            ticket_id=ticket_id, person="owner", chat="telegram:42", envelope_hash=HASH, card_hash=HASH[::-1], quantity=envelope.quantity,
            client_id=client_id,
        ), account, ticket_id)
        limit = envelope.plan.start
        yield self._draft(Submitting(
            client_id=client_id, ticket_id=ticket_id, account=account, envelope=envelope, envelope_hash=HASH, limit=limit,
            quantity=envelope.quantity, trade_id=trade_id, reducing=closing is not None, thesis="" if closing else "premium is rich",
        ), account, ticket_id)
        yield self._draft(OrderAcknowledged(client_id=client_id, broker_ref=f"B{client_id}", limit=limit), account, ticket_id)
        for _ in range(self._rng.randrange(4)):
            limit -= Decimal("0.05")
            yield self._draft(Replacing(client_id=client_id, limit=limit), account, ticket_id)
            yield self._draft(OrderAcknowledged(client_id=client_id, broker_ref=f"B{client_id}", limit=limit), account, ticket_id)
        if closing is None and self._rng.random() < 0.15:
            yield self._draft(CancelRequested(client_id=client_id, reason="not filled in time"), account, ticket_id)
            yield self._draft(OrderEnded(client_id=client_id, outcome="cancelled", reason="as asked"), account, ticket_id)
            return
        yield from self._fills(client_id, ticket_id, envelope)
        if closing is None:
            self._open.append((trade_id, envelope))

    def _fills(self, client_id: str, ticket_id: str, envelope: Envelope) -> Iterator[Draft]:
        for leg in envelope.legs:
            left = envelope.quantity
            while left:
                part = left if left == 1 or self._rng.random() < 0.7 else left // 2
                left -= part
                fill = Fill(
                    exec_id=self._id("X"), account=envelope.account, client_id=client_id, instrument=leg.instrument, side=leg.side,
                    quantity=part, price=Decimal(self._rng.randrange(200, 400)) / 100, fees=Decimal("0.65") * part, at=self._at,
                )
                yield self._filled(fill, ticket_id)
                if self._rng.random() < 0.002:
                    better = replace(fill, exec_id=f"{fill.exec_id}.01", corrects=fill.exec_id, price=fill.price - Decimal("0.01"))
                    yield self._filled(better, ticket_id)

    def _filled(self, fill: Fill, ticket_id: str) -> Draft:
        body = Filled(fill=fill, mid_at_decision=Decimal("1.175"), mid_at_fill=None)
        return self._draft(body, fill.account, ticket_id, dedupe=f"fill:{fill.account}:{fill.exec_id}")

    def _expire(self, trade_id: str, envelope: Envelope) -> Iterator[Draft]:
        for leg in envelope.legs:
            settlement_id = self._id("S")
            body = Settled(
                settlement_id=settlement_id, account=envelope.account, instrument=leg.instrument,
                quantity=-leg.contracts(envelope.quantity), outcome="expired", value=Decimal("612.50"), cash=Decimal(0), at=self._at,
            )
            yield self._draft(body, envelope.account, trade_id, dedupe=f"settle:{envelope.account}:{settlement_id}")

    def _id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._seed}{self._count:07d}"

    def _draft(self, body: Body, account: AccountId | None = None, correlation: str = "", *, dedupe: str | None = None) -> Draft:
        stream = "desk" if account is None else str(account)
        return Draft(body=body, stream=stream, at=self._at, actor="desk", correlation=correlation, dedupe=dedupe)
