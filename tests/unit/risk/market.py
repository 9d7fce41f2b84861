"""A small market in figures: chains priced by Black-76 with a flat volatility, quoted around them; orders and books on top."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from core.domain.accounts import Account, AccountId, AccountKind, Charter, Env
from core.domain.calendar import settlement_at, years_to
from core.domain.events import AccountOpened, Body, CashMoved, Event, Filled, Mode, OrderAcknowledged, Submitting
from core.domain.instruments import Instrument, Option, Right, series_of
from core.domain.listing import option
from core.domain.orders import Effect, Envelope, Fill, Intent, Leg, Limit, Side, TimeInForce
from core.market.chain import CALL, PUT, Chain
from core.market.quote import Quote
from core.market.view import View
from core.portfolio.book import Book, BookFold
from core.ports import Preview
from core.pricing.bsm import value_forward
from core.risk.exam import Exam
from core.risk.examine import examine

NOW = datetime(2019, 5, 6, 15, 0, tzinfo=UTC)  # a Monday, 11:00 in New York
TODAY = date(2019, 5, 6)
EXPIRY = date(2019, 6, 14)  # SPXW, 39 days; SPY lists it too
FAR = date(2019, 7, 12)
VOL = 0.15
PRACTICE = AccountId(broker="paper", id="PRACTICE", env=Env.PAPER)


def account(kind: AccountKind = AccountKind.REG_T, **charter: Any) -> Account:
    return Account(id=PRACTICE, name="practice", kind=kind, charter=Charter(**charter))


def put(strike: int, *, root: str = "SPXW", expiry: date = EXPIRY) -> Option:
    return option(root, expiry, Right.PUT, Decimal(strike))


def call(strike: int, *, root: str = "SPXW", expiry: date = EXPIRY) -> Option:
    return option(root, expiry, Right.CALL, Decimal(strike))


def sell(item: Instrument, effect: Effect = Effect.OPEN, ratio: int = 1) -> Leg:
    return Leg(instrument=item, side=Side.SELL, effect=effect, ratio=ratio)


def buy(item: Instrument, effect: Effect = Effect.OPEN, ratio: int = 1) -> Leg:
    return Leg(instrument=item, side=Side.BUY, effect=effect, ratio=ratio)


def closing(legs: Iterable[Leg]) -> tuple[Leg, ...]:
    """The legs that end these."""
    return tuple(
        Leg(instrument=leg.instrument, side=Side.SELL if leg.side is Side.BUY else Side.BUY, effect=Effect.CLOSE, ratio=leg.ratio)
        for leg in legs
    )


SPREAD = (sell(put(2800)), buy(put(2750)))
CALL_SPREAD = (sell(call(3050)), buy(call(3100)))


def intent(legs: Sequence[Leg], quantity: int = 1, *, start: str = "5.00", worst: str | None = None, **more: Any) -> Intent:
    plan = Limit(start=Decimal(start), worst=Decimal(worst or start))
    return Intent(account=PRACTICE, legs=tuple(legs), quantity=quantity, plan=plan, **({"strategy": "put_credit_spread"} | more))


def chain(
    symbol: str, spot: float, expiries: Mapping[date, str], *, step: int, half_spread: float, at: datetime, vol: float = VOL
) -> Chain:
    """Calls and puts within 40% of spot, mids by Black-76 on a forward equal to spot, no discount."""
    strikes = range(int(spot * 0.6) // step * step, int(spot * 1.4), step)
    rows = [(day, root, right, strike) for day, root in sorted(expiries.items()) for right in (PUT, CALL) for strike in strikes]
    years = np.array([years_to(settlement_at(series_of(root), day), at) for day, root, _, _ in rows])
    right = np.array([row[2] for row in rows], dtype=np.int8)
    strike = np.array([float(row[3]) for row in rows])
    mid = value_forward(right=right, forward=spot, strike=strike, t_years=years, discount=1.0, vol=vol)
    size = len(rows)
    return Chain(
        symbol=symbol,
        at=at,
        source="test",
        spot=spot,
        root=np.array([row[1] for row in rows], dtype=object),
        expiry=np.array([row[0].toordinal() for row in rows], dtype=np.int64),
        right=right,
        strike_milli=np.array([row[3] * 1000 for row in rows], dtype=np.int64),
        bid=np.maximum(0.0, mid - half_spread),
        ask=mid + half_spread,
        bid_size=np.full(size, 50, dtype=np.int64),
        ask_size=np.full(size, 50, dtype=np.int64),
        open_interest=np.full(size, 900, dtype=np.int64),
        volume=np.full(size, 100, dtype=np.int64),
        vendor_iv=np.full(size, np.nan),
        vendor_delta=np.full(size, np.nan),
    )


def view(*, at: datetime = NOW, quoted_at: datetime | None = None, drop: Iterable[Instrument] = (), **prices: tuple[float, float]) -> View:
    """SPX at 2,900, XSP 290, SPY 290, KO 48, VIX 15. `drop` removes a contract's quote; prices set quotes by OCC key or symbol."""
    made = quoted_at or at
    chains = {
        "SPX": chain("SPX", 2900.0, {EXPIRY: "SPXW", FAR: "SPXW"}, step=25, half_spread=0.10, at=made),
        "XSP": chain("XSP", 290.0, {EXPIRY: "XSP"}, step=5, half_spread=0.02, at=made),
        "SPY": chain("SPY", 290.0, {EXPIRY: "SPY"}, step=5, half_spread=0.01, at=made),
        "KO": chain("KO", 48.0, {EXPIRY: "KO"}, step=1, half_spread=0.01, at=made, vol=0.2),
    }
    levels = {"SPX": 2900.0, "XSP": 290.0, "SPY": 290.0, "KO": 48.0, "VIX": 15.0}
    quotes = {symbol: Quote(key=symbol, bid=level, ask=level, at=made, source="test") for symbol, level in levels.items()}
    quotes |= {key: Quote(key=key, bid=bid, ask=ask, at=made, source="test") for key, (bid, ask) in prices.items()}
    for item in drop:
        if isinstance(item, Option):
            whole = chains[item.underlying]
            row = whole.row(item)
            assert row is not None
            chains[item.underlying] = whole.select(np.arange(len(whole)) != row)
        else:
            del quotes[item.key]
            for key in [key for key in chains if key == item.key]:
                del chains[key]
    return View(at=at, session=TODAY, label="TEST", quotes=quotes, chains=chains, rate=0.0)


def empty_view(at: datetime = NOW) -> View:
    return View(at=at, session=TODAY, label="TEST", quotes={}, chains={})


def quoted(contract: Option, bid: float, ask: float) -> dict[str, tuple[float, float]]:
    return {contract.key: (bid, ask)}


# --- books ---------------------------------------------------------------------------------------------------------------


class Log:
    """Events in a row, folded as they come."""

    def __init__(self, opened: Account | None = None) -> None:
        self.fold = BookFold()
        self.account = opened or account()
        self.seq = 0
        self.add(AccountOpened(account=self.account))

    def add(self, *bodies: Body, at: datetime = NOW) -> tuple[Any, ...]:
        outcomes: tuple[Any, ...] = ()
        for body in bodies:
            self.seq += 1
            outcomes = self.fold.apply(event(body, self.seq, at=at))
        return outcomes

    @property
    def book(self) -> Book:
        return self.fold.publish().accounts[self.account.id]


def event(body: Body, seq: int, *, at: datetime = NOW) -> Event:
    return Event(
        seq=seq,
        stream="test",
        kind=type(body).__name__,
        version=1,
        at=at,
        recorded_at=at,
        actor="desk",
        causation="",
        correlation="",
        dedupe=None,
        body=body,
        hash="",
    )


def envelope(
    legs: Sequence[Leg],
    quantity: int = 1,
    *,
    start: str = "5.00",
    worst: str | None = None,
    strategy: str = "put_credit_spread",
    trade_id: str | None = None,
) -> Envelope:
    plan = Limit(start=Decimal(start), worst=Decimal(worst or start))
    return Envelope(
        account=PRACTICE,
        legs=tuple(legs),
        quantity=quantity,
        plan=plan,
        tif=TimeInForce.DAY,
        expires_at=NOW + timedelta(minutes=2),
        policy_version=1,
        strategy=strategy,
        trade_id=trade_id,
    )


def submitting(legs: Sequence[Leg], quantity: int = 1, *, client_id: str = "O1", trade_id: str | None = None) -> Submitting:
    covered = envelope(legs, quantity)
    return Submitting(
        client_id=client_id,
        ticket_id=f"T{client_id}",
        account=PRACTICE,
        envelope=covered,
        envelope_hash=covered.hash,
        limit=Decimal(5),
        quantity=quantity,
        trade_id=trade_id or f"P{client_id}",
        reducing=False,
    )


def acknowledged(client_id: str = "O1") -> OrderAcknowledged:
    return OrderAcknowledged(client_id=client_id, broker_ref=f"B{client_id}", limit=Decimal(5))


def filled(
    leg: Leg,
    quantity: int,
    price: str,
    *,
    exec_id: str,
    client_id: str | None = "O1",
    at: datetime = NOW,
    fees: str = "0",
    corrects: str | None = None,
    busted: bool = False,
) -> Filled:
    return Filled(
        fill=Fill(
            exec_id=exec_id,
            account=PRACTICE,
            client_id=client_id,
            instrument=leg.instrument,
            side=leg.side,
            quantity=quantity,
            price=Decimal(price),
            fees=Decimal(fees),
            at=at,
            corrects=corrects,
            busted=busted,
        )
    )


def book(
    *holdings: tuple[Instrument, int],
    cash: str = "100000",
    opened: Account | None = None,
    working: Sequence[tuple[Sequence[Leg], int]] = (),
    trades: Sequence[tuple[Sequence[Leg], int]] = (),
) -> Book:
    """Holdings that came from outside, orders that still work, trades that were opened here; cash is what is left after all of it."""
    log = Log(opened)
    for number, (item, quantity) in enumerate(holdings):
        side = Side.BUY if quantity > 0 else Side.SELL
        log.add(filled(Leg(instrument=item, side=side, effect=Effect.OPEN), abs(quantity), "0", exec_id=f"X{number}", client_id=None))
    for number, (legs, quantity) in enumerate(trades):
        log.add(submitting(legs, quantity, client_id=f"H{number}"), acknowledged(f"H{number}"))
        for index, leg in enumerate(legs):
            log.add(filled(leg, quantity * leg.ratio, "0", exec_id=f"H{number}.{index}", client_id=f"H{number}"))
    for number, (legs, quantity) in enumerate(working):
        log.add(submitting(legs, quantity, client_id=f"W{number}"), acknowledged(f"W{number}"))
    log.add(CashMoved(movement_id="M1", account=PRACTICE, amount=Decimal(cash), reason="deposit", at=NOW))
    return log.book


def preview(before: str = "100000", after: str = "95000", refusal: str | None = None) -> Preview:
    return Preview(
        margin_before=Decimal(0),
        margin_after=Decimal(5000),
        buying_power_before=Decimal(before),
        buying_power_after=Decimal(after),
        commission=Decimal("2.60"),
        source="paper",
        refusal=refusal,
    )


def exam(order: Intent | None = None, *, of: Book | None = None, market: View | None = None, **more: Any) -> Exam:
    """An examined order; the default sells one 2800/2750 put spread at its mid."""
    seen = market or view()
    asked = order or at_mid(intent(SPREAD), seen)
    given: dict[str, Any] = {"preview": preview(), "now": seen.at, "mode": Mode.ACTIVE, "mode_reason": ""}
    return examine(intent=asked, book=of or book(), view=seen, **(given | more))


def at_mid(order: Intent, market: View | None = None) -> Intent:
    """The same order priced from mid to natural."""
    from core.risk.examine import natural_and_mid

    natural, mid = natural_and_mid(order.legs, market or view())
    assert natural is not None and mid is not None
    return replace(order, plan=Limit(start=mid.quantize(Decimal("0.01")), worst=natural.quantize(Decimal("0.01"), rounding="ROUND_FLOOR")))
