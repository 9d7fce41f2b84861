"""Portfolio margin: what a group of positions would lose at ten prices of its underlying, as OCC's TIMS reckons for customers.

Every underlying is moved over ten equal steps, five down and five up, and each contract is valued there at the volatility its price has
now, never under what exercise pays. Ranges (FINRA Rule 4210(g), Cboe Rule 10.4): -8% to +6% for high-capitalisation broad indices and
their funds, 10% either way for other broad ones, 15% for shares and other funds, times leverage. What loses most is the requirement, at
least 37.50 USD for every option contract (0.375 times the multiplier). Classes on the same market are put side by side at the same step:
a gain of one pays for 90% of its size of another's loss. Nothing is set off between different markets. Options on a volatility index are
asked for by Regulation T.

An account under 100,000 USD of equity is judged by Regulation T until it has them again.

The figure returned is made for `reg_t.buying_power` (cash + shares - requirement): the stress less what the options are worth, so that
buying power is net liquidation value less the stress. It can be negative where long options are worth more than the stress.

Worked example: 100 KO at 60.00 alone lose 15%, 900.00 USD. With a 60 put of a month at 1.80 they lose at most what the put cost and 15%
is too far for its time value to remain: at 51.00 the shares lose 900.00 and the put, worth 9.00, gains 720.00: 180.00 USD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.accounts import AccountKind
from core.domain.calendar import settlement_at, years_to
from core.domain.instruments import Cash, Equity, Option, Right, UnderlyingKind
from core.domain.money import from_market
from core.margin.reg_t import Holding, MarginLine, MarginReport, MissingPrice
from core.margin.reg_t import requirement as by_strategy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MINIMUM_EQUITY = Decimal(100_000)
STEPS = 5  # each way
HIGH_CAP, OTHER_BROAD, SHARE = (0.08, 0.06), (0.10, 0.10), (0.15, 0.15)  # down, up
LEAST = Decimal("0.375")  # a unit of the multiplier, for every contract
SET_OFF = 0.90
MARKETS = {
    "SPX": "S&P 500", "XSP": "S&P 500", "SPY": "S&P 500", "NDX": "Nasdaq-100", "QQQ": "Nasdaq-100", "RUT": "Russell 2000",
    "IWM": "Russell 2000", "DIA": "Dow Jones",
}
_HIGH_CAP = frozenset({"SPX", "XSP", "SPY", "DIA"})
_BROAD = (UnderlyingKind.BROAD_INDEX, UnderlyingKind.BROAD_ETF)
ZERO = Decimal(0)


def asked(
    positions: Iterable[Holding], *, prices: Mapping[str, Decimal], kind: AccountKind, at: datetime, equity: Decimal | None = None,
    leverage: Mapping[str, Decimal] | None = None, maintenance: bool = False,
) -> MarginReport:
    """The requirement by the rules of the account's kind; arguments as of `reg_t.requirement`. Raises MissingPrice."""
    held = tuple(positions)
    if kind is not AccountKind.PORTFOLIO_MARGIN or (equity is not None and equity < MINIMUM_EQUITY):
        return by_strategy(held, prices=prices, kind=kind, equity=equity, leverage=leverage, maintenance=maintenance)
    return requirement(held, prices=prices, at=at, leverage=leverage, maintenance=maintenance)


def requirement(
    positions: Iterable[Holding], *, prices: Mapping[str, Decimal], at: datetime, leverage: Mapping[str, Decimal] | None = None,
    maintenance: bool = False,
) -> MarginReport:
    """The stress of every market, less what the options are worth. Raises MissingPrice where a mark or a spot is lacking."""
    classes, apart = _classes(positions)
    markets: dict[str, list[tuple[str, Sequence[Holding]]]] = {}
    for symbol, held in sorted(classes.items()):
        markets.setdefault(MARKETS.get(symbol, symbol), []).append((symbol, held))
    lines = []
    for market, members in markets.items():
        stressed = [_stress(held, symbol, prices, at, float((leverage or {}).get(symbol, 1))) for symbol, held in members]
        least = sum((LEAST * item.multiplier * abs(count) for _, held in members for item, count in held if isinstance(item, Option)), ZERO)
        worst = from_market(max(0.0, -float(_set_off(stressed).min())))
        words = f"{market}: most lost over ten prices" if worst >= least else f"{market}: the least a contract asks for"
        lines.append(MarginLine(underlying=members[0][0], text=words, amount=max(worst, least)))
    options = [(item, count) for held in classes.values() for item, count in held if isinstance(item, Option)]
    worth = sum((_price(prices, item.key) * item.multiplier * count for item, count in options), ZERO)
    if worth:
        lines.append(MarginLine(underlying="", text="what the options are worth, in equity already", amount=-worth))
    others = by_strategy(apart, prices=prices, kind=AccountKind.PORTFOLIO_MARGIN, leverage=leverage, maintenance=maintenance)
    total = sum((line.amount for line in lines), ZERO) + others.total
    return replace(others, total=total, lines=(*lines, *others.lines))


def _classes(positions: Iterable[Holding]) -> tuple[dict[str, list[Holding]], list[Holding]]:
    """Holdings by underlying, and those that are judged by strategy."""
    classes: dict[str, list[Holding]] = {}
    apart: list[Holding] = []
    totals: dict[str, Holding] = {}
    for item, count in positions:
        totals[item.key] = (item, totals.get(item.key, (item, 0))[1] + count)
    for item, count in totals.values():
        if not count or isinstance(item, Cash):
            continue
        if isinstance(item, Option) and item.series.underlying_kind is not UnderlyingKind.VOLATILITY_INDEX:
            classes.setdefault(item.underlying, []).append((item, count))
        elif isinstance(item, Equity):
            classes.setdefault(item.key, []).append((item, count))
        else:
            apart.append((item, count))
    return classes, apart


def _stress(
    held: Sequence[Holding], symbol: str, prices: Mapping[str, Decimal], at: datetime, leverage: float
) -> npt.NDArray[np.float64]:
    """Gain or loss of a class at its ten prices, in money."""
    import numpy as np

    from core.pricing.bsm import value_forward
    from core.pricing.implied import implied_vol

    spot = float(_price(prices, symbol))
    down, up = _range(symbol, held)
    steps = np.arange(1, STEPS + 1) / STEPS
    moved = np.maximum(spot * (1 + leverage * np.concatenate((-down * steps[::-1], up * steps))), 0.01)
    found: npt.NDArray[np.float64] = np.zeros(2 * STEPS)
    options = [(item, count) for item, count in held if isinstance(item, Option)]
    found += sum(count for item, count in held if isinstance(item, Equity)) * (moved - spot)
    if not options:
        return found
    right = np.array([[1 if item.right is Right.CALL else -1] for item, _ in options], dtype=np.int8)
    strike = np.array([[float(item.share_strike)] for item, _ in options])
    years = np.array([[max(years_to(settlement_at(item.series, item.expiry), at), 1e-9)] for item, _ in options])
    units = np.array([[float(count * item.shares)] for item, count in options])
    mark = np.array([[float(_price(prices, item.key)) * item.multiplier / item.shares] for item, _ in options])
    vol = np.nan_to_num(implied_vol(right=right, price=mark, forward=spot, strike=strike, t_years=years, discount=1.0), nan=0.0)
    then = value_forward(right=right, forward=moved[None, :], strike=strike, t_years=years, discount=1.0, vol=vol)
    then = np.maximum(then, np.maximum(right * (moved[None, :] - strike), 0.0))
    result: npt.NDArray[np.float64] = found + np.sum(units * (then - mark), axis=0)
    return result


def _range(symbol: str, held: Sequence[Holding]) -> tuple[float, float]:
    if symbol in _HIGH_CAP:
        return HIGH_CAP
    kinds = {item.series.underlying_kind for item, _ in held if isinstance(item, Option)}
    broad = symbol in MARKETS or any(kind in _BROAD for kind in kinds)
    return OTHER_BROAD if broad else SHARE


def _set_off(stressed: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Classes of one market step by step: losses, less nine tenths of the gains as far as they go."""
    import numpy as np

    each = np.vstack(stressed)
    if len(each) == 1:
        return stressed[0]
    losses, gains = np.minimum(each, 0.0).sum(axis=0), np.maximum(each, 0.0).sum(axis=0)
    result: npt.NDArray[np.float64] = np.asarray(np.minimum(losses + SET_OFF * gains, 0.0))
    return result


def _price(prices: Mapping[str, Decimal], key: str) -> Decimal:
    price = prices.get(key)
    if price is None:
        raise MissingPrice(key)
    return price
