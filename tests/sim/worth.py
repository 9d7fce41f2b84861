"""What holdings are worth and what they could lose, in this world's own arithmetic: nothing here is shared with the desk's risk engine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from core.domain.instruments import Equity, Instrument, Option, Right
from tests.sim.market import Market, fair

ZERO = Decimal(0)
CRASH_SHARE, CRASH_VOLATILITY = 0.20, 0.40
Holding = tuple[Instrument, int]


def worst_at_expiry(held: Iterable[Holding], *, floor: Decimal = ZERO) -> Decimal:
    """The most that option holdings can lose at expiry, expiry by expiry, from `floor` to three times the highest strike."""
    total = ZERO
    groups: dict[tuple[str, date], list[tuple[Option, int]]] = {}
    for instrument, count in held:
        if isinstance(instrument, Option) and count:
            groups.setdefault((instrument.underlying, instrument.expiry), []).append((instrument, count))
    for group in groups.values():
        strikes = sorted({item.strike for item, _ in group if item.strike > floor})
        top = max(item.strike for item, _ in group) * 3
        worst = min(sum(intrinsic(item, level) * count for item, count in group) for level in (floor, *strikes, top))
        total -= min(ZERO, worst)
    return total


def intrinsic(contract: Option, level: Decimal) -> Decimal:
    """Money of one contract at expiry."""
    points = contract.strike - level if contract.right is Right.PUT else level - contract.strike
    return max(ZERO, points) * contract.multiplier


def uncovered(held: Iterable[Holding]) -> dict[tuple[str, date, Right], int]:
    """Short options beyond the long ones of the same underlying, expiry and right."""
    net: dict[tuple[str, date, Right], int] = {}
    for instrument, count in held:
        if isinstance(instrument, Option):
            slot = (instrument.underlying, instrument.expiry, instrument.right)
            net[slot] = net.get(slot, 0) + count
    return {slot: -count for slot, count in net.items() if count < 0}


def crash_loss(market: Market, held: Iterable[Holding]) -> float:
    """What a crash by a fifth with volatility 40 points higher would cost, against today's prices; never less than nothing."""
    return max(0.0, -sum(_crash_change(market, instrument, count) for instrument, count in held))


def net_worth(market: Market, cash: Decimal, held: Iterable[Holding]) -> float:
    """Cash and holdings at mids; what has stopped trading at its intrinsic value."""
    return float(cash) + sum(_mid(market, instrument) * count * instrument.multiplier for instrument, count in held)


def _mid(market: Market, instrument: Instrument) -> float:
    price = market.price(instrument.key)
    if price is not None:
        return sum(price) / 2
    if isinstance(instrument, Option):
        return float(intrinsic(instrument, Decimal(str(market.spot(instrument.underlying))))) / instrument.multiplier
    return 0.0


def _crash_change(market: Market, instrument: Instrument, count: int) -> float:
    if isinstance(instrument, Equity):
        return -CRASH_SHARE * market.spot(instrument.symbol) * count
    if not isinstance(instrument, Option) or not count:
        return 0.0
    spot, years = market.spot(instrument.underlying), market.years(instrument.last_trade_at)
    after = fair(instrument, spot=spot * (1 - CRASH_SHARE), years=years, more_volatility=CRASH_VOLATILITY)
    return (after - fair(instrument, spot=spot, years=years)) * count * instrument.multiplier
