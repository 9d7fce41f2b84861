"""Profit and loss: what ended, what is open at mids, what settled. Pure.

Realised amounts are exact, net of commission and fees, and belong to the exchange day the trade closed on. Open amounts are at mids; what
has no usable price is named and left out, never counted as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.domain.calendar import exchange_day
from core.domain.events import Adjusted, CashMoved, Settled
from core.domain.instruments import Equity, Instrument, Option
from core.domain.money import ZERO
from core.domain.orders import Fill, Leg
from core.domain.structures import Position, Trade, average_after
from core.errors import Unavailable
from core.market.view import View
from core.portfolio.settling import ReplacedOutside, closing_part

NO_RESULT = frozenset({"deposit", "withdrawal"})
ADOPTED = "booked on the broker's word"
Held = Mapping[str, tuple[Instrument, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Closed trades of one name (a strategy, a symbol, or all together)."""

    name: str
    trades: int
    winners: int
    gross: Decimal  # premium and closing cash, before fees
    fees: Decimal

    @property
    def net(self) -> Decimal:
        """After commission and fees."""
        return self.gross - self.fees


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideResult:
    """What one execution or settlement brought on a holding that belongs to no trade, against its average price."""

    underlying: str
    at: datetime
    gross: Decimal  # zero where it opened or added
    fees: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenResult:
    """An open trade at mids. `pnl` is None where a held contract has no usable price; `stale` names those."""

    trade: Trade
    held: Held
    mark: Decimal | None  # money it would bring (+) or cost (-) to close at mid
    pnl: Decimal | None  # net of fees paid so far
    stale: tuple[str, ...] = ()

    @property
    def expiry(self) -> date | None:
        """The nearest expiry of what is held; of what was opened where nothing held is an option."""
        days = [item.expiry for item, _ in self.held.values() if isinstance(item, Option)]
        return min(days, default=self.trade.expiry)

    @property
    def run_out(self) -> frozenset[str]:
        """Legs, by key, that expired before all that is held: the trade goes on without them."""
        first = min((item.expiry for item, _ in self.held.values() if isinstance(item, Option)), default=None)
        return frozenset() if first is None else run_out(self.trade.legs, self.held, first)

    @property
    def taken(self) -> Decimal | None:
        """Of the P&L, what the closed part of the trade brought, before fees; None where no whole unit was closed."""
        trade = self.trade
        closed = trade.opened_units - trade.open_units
        return trade.credit_per_unit * closed + trade.closing_cash if 0 < closed < trade.opened_units else None

    @property
    def fraction_of_credit(self) -> Decimal | None:
        """P&L as a fraction of the premium received or paid, None where unknown."""
        return None if self.pnl is None or not self.trade.premium else self.pnl / abs(self.trade.premium)


def run_out(legs: Iterable[Leg], held: Iterable[str], first: date) -> frozenset[str]:
    """Of a trade's legs those that are not among the keys held and expired before `first`, the nearest expiry that is."""
    kept = frozenset(held)
    return frozenset(
        leg.instrument.key for leg in legs
        if isinstance(leg.instrument, Option) and leg.instrument.key not in kept and leg.instrument.expiry < first
    )


def realised(trades: Iterable[Trade], *, first: date, last: date, name: Callable[[Trade], str] = lambda trade: "all") -> tuple[Result, ...]:
    """Results of the trades that closed on days [first, last], grouped by `name`, sorted by it."""
    groups: dict[str, list[Trade]] = {}
    for trade in trades:
        if trade.closed_at is not None and not trade.is_open and first <= exchange_day(trade.closed_at) <= last:
            groups.setdefault(name(trade), []).append(trade)
    return tuple(_result(key, group) for key, group in sorted(groups.items()))


def closed_outside(
    *, fills: Iterable[Fill], settlements: Iterable[Settled], replaced: Iterable[ReplacedOutside] = ()
) -> tuple[OutsideResult, ...]:
    """Results on holdings outside trades (assigned shares, external fills), one for each change, oldest first.

    Give what `Book.booked_outside` and `Book.replaced_outside` do: what a holding cost moves on to what a split made of it. Shares come in
    at the strike they were assigned at. Example: 100 shares assigned at 175.00 and sold at 171.89 for 1.15 of fees bring -311.00 before
    and -312.15 after fees; the premium of the put is its trade's.
    """
    return tuple(_walked(fills, settlements, replaced)[0])


def costs_outside(
    *, fills: Iterable[Fill], settlements: Iterable[Settled], replaced: Iterable[ReplacedOutside] = ()
) -> dict[str, tuple[int, Decimal]]:
    """Of the same the quantity held after all of it, by key, and what it cost on average.

    Example: 100 shares assigned at 67.00 beside a trade's 100 at 71.00 cost 67.00, not the 69.00 of the whole position.
    """
    return _walked(fills, settlements, replaced)[1]


def _walked(
    fills: Iterable[Fill], settlements: Iterable[Settled], replaced: Iterable[ReplacedOutside]
) -> tuple[list[OutsideResult], dict[str, tuple[int, Decimal]]]:
    """The results of each change, oldest first, and what is held after the last."""
    changes: list[_Change | ReplacedOutside] = [*map(_fill_change, fills), *replaced]
    changes += (change for item in settlements for change in _settlement_changes(item))
    holdings: dict[str, tuple[int, Decimal]] = {}
    found: list[OutsideResult] = []
    for change in sorted(changes, key=lambda item: (item.at, item.id)):
        if isinstance(change, ReplacedOutside):
            found += _replace(holdings, change)
            continue
        key, quantity = change.instrument.key, change.quantity
        held, average = holdings.get(key, (0, ZERO))
        gross = -closing_part(quantity, held) * (change.price - average) * change.instrument.multiplier
        holdings[key] = (held + quantity, average_after(held, average, quantity, change.price))
        found.append(OutsideResult(underlying=_underlying(change.instrument), at=change.at, gross=gross, fees=change.fees))
    return found, holdings


def moved_within(
    movements: Iterable[CashMoved], adjustments: Iterable[Adjusted], *, first: date, last: date, symbol: str | None = None
) -> tuple[tuple[str, Decimal], ...]:
    """Cash that is a result without a trade, by what it was, on days [first, last]: dividends, interest, charges, adopted differences.

    Deposits and withdrawals are no result. With a `symbol` only what was paid on that one. Example: a dividend of 170.00 on SPY and
    interest of -12.40 are two rows, `SPY dividend` and `interest`.
    """
    found: dict[str, Decimal] = {}
    for item in movements:
        if item.reason not in NO_RESULT and first <= exchange_day(item.at) <= last and symbol in (None, item.symbol):
            name = f"{item.symbol} {item.reason}".strip()
            found[name] = found.get(name, ZERO) + item.amount
    for booked in adjustments:
        if booked.instrument is None and not booked.deposit and first <= exchange_day(booked.at) <= last and symbol is None:
            found[ADOPTED] = found.get(ADOPTED, ZERO) + booked.cash
    return tuple(sorted(found.items()))


def _replace(holdings: dict[str, tuple[int, Decimal]], change: ReplacedOutside) -> list[OutsideResult]:
    """A holding becomes another at what it cost; what is paid for a part of a share is a result against the cost of that part."""
    item, (held, average) = change.became.instrument, holdings.get(change.key, (0, ZERO))
    holdings[change.key] = (held - change.quantity, average if held != change.quantity else ZERO)
    price = average * change.became.old / change.became.new
    count, before = holdings.get(item.key, (0, ZERO))
    holdings[item.key] = (count + change.becomes, average_after(count, before, change.becomes, price))
    if not change.cash:
        return []
    part = Decimal(change.quantity) * change.became.new / change.became.old - change.becomes
    return [OutsideResult(underlying=_underlying(item), at=change.at, gross=change.cash - part * price * item.multiplier, fees=ZERO)]


def settled_within(settlements: Iterable[Settled], *, first: date, last: date) -> tuple[Settled, ...]:
    """Settlements on days [first, last], oldest first."""
    return tuple(sorted((item for item in settlements if first <= exchange_day(item.at) <= last), key=lambda item: item.at))


def untraded(positions: Mapping[str, Position], held: Mapping[str, Held]) -> dict[str, tuple[Instrument, int]]:
    """Positions, or parts of them, that belong to no trade of this desk."""
    rest = {key: (position.instrument, position.quantity) for key, position in positions.items()}
    for legs in held.values():
        for key, (instrument, quantity) in legs.items():
            left = rest.get(key, (instrument, 0))[1] - quantity
            rest[key] = (instrument, left)
    return {key: pair for key, pair in rest.items() if pair[1]}


def market_value(held: Held, view: View) -> tuple[Decimal, tuple[str, ...]]:
    """Money the holdings are worth at mids (short ones negative), and the names of those without a usable price, left out."""
    total, stale = ZERO, []
    for key, (instrument, quantity) in held.items():
        try:
            mid = view.mid(instrument)
        except Unavailable:
            stale.append(instrument.label if isinstance(instrument, Option) else key.strip())
            continue
        total += Decimal(str(round(mid, 6))) * quantity * instrument.multiplier
    return total, tuple(stale)


def open_result(trade: Trade, held: Held, view: View) -> OpenResult:
    """An open trade at mids, net of the commission and fees paid so far."""
    value, stale = market_value(held, view)
    if stale:
        return OpenResult(trade=trade, held=held, mark=None, pnl=None, stale=stale)
    return OpenResult(trade=trade, held=held, mark=value, pnl=trade.premium + trade.closing_cash - trade.fees + value)


def untraded_pnl(positions: Sequence[Position], rest: Held, view: View) -> tuple[Decimal, tuple[str, ...]]:
    """P&L at mids of holdings outside trades against their average price, and those without a usable price, left out."""
    average = {position.instrument.key: position.average_price for position in positions}
    value, stale = market_value(rest, view)
    missing = set(stale)
    cost = sum(
        (
            average[key] * quantity * instrument.multiplier
            for key, (instrument, quantity) in rest.items()
            if key in average and (instrument.label if isinstance(instrument, Option) else key.strip()) not in missing
        ),
        ZERO,
    )
    return value - cost, stale


def _result(name: str, trades: Sequence[Trade]) -> Result:
    return Result(
        name=name,
        trades=len(trades),
        winners=sum(1 for trade in trades if (trade.realized or ZERO) > 0),
        gross=sum((trade.premium + trade.closing_cash for trade in trades), ZERO),
        fees=sum((trade.fees for trade in trades), ZERO),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A change of what is held outside trades."""

    at: datetime
    id: str
    instrument: Instrument
    quantity: int
    price: Decimal
    fees: Decimal


def _fill_change(fill: Fill) -> _Change:
    return _Change(
        at=fill.at, id=fill.exec_id, instrument=fill.instrument, quantity=fill.side.sign * fill.quantity, price=fill.price, fees=fill.fees,
    )


def _settlement_changes(item: Settled) -> list[_Change]:
    """The option ends, at its cash value or, delivered, at zero; shares come or go at the strike."""
    found = []
    if item.quantity:
        found.append(_Change(
            at=item.at, id=item.settlement_id, instrument=item.instrument, quantity=item.quantity, price=item.price, fees=item.fees,
        ))
    if item.shares and item.share_symbol:
        stock, strike = Equity(symbol=item.share_symbol), abs(item.cash / item.shares)
        found.append(_Change(at=item.at, id=item.settlement_id, instrument=stock, quantity=item.shares, price=strike, fees=ZERO))
    return found


def _underlying(instrument: Instrument) -> str:
    return instrument.underlying if isinstance(instrument, Option) else instrument.key
