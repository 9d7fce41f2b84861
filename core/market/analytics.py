"""Opinions on options: forwards from put-call parity, implied volatility and Greeks, from nothing but a view's own quotes.

One forward and discount for each expiry of a root. European series take both from put-call parity; where their quotes are too few, and
for American series, the forward is read near the money (or grown from spot) with the view's rate. Where a quote gives no volatility
the answer is unknown (None, or NaN in arrays), never zero: risk then assumes the worst.

American options are valued as such, with the view's rate and the yield that gives their forward, so that what early exercise is worth does
not pass for volatility. Their theta holds the forward, as that of European ones does.

Delta and gamma are against spot; those of options on a volatility index are against the future of their expiry, which is what they are
on, and how much of a move of the index reaches it is for whoever adds them up (`core.pricing.vix_options.tenor_share`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np

from core.domain.calendar import CalendarError, settlement_at, years_to
from core.domain.instruments import Exercise, InstrumentError, Option, Right, SeriesSpec, UnderlyingKind, series_of
from core.errors import Unavailable
from core.market.chain import CALL, PUT, Chain, Floats, Ints
from core.pricing import american
from core.pricing.bsm import DAYS_PER_YEAR, greeks_forward
from core.pricing.implied import carry_rates, forward_discount, implied_vol

if TYPE_CHECKING:
    from core.market.view import OptionMark, View

_PLAUSIBLE_RATE = (-0.02, 0.20)  # outside, a discount read from parity is bid-ask noise
_NEAR_MONEY = 0.03  # of spot: pairs whose call and put differ by little, so that neither the rate nor early exercise matters
_NEAREST_PAIRS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Forward, discount and time of one expiry of a root at the time its quotes were made."""

    forward: float
    discount: float
    t_years: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainMarks:
    """Opinions on every row of a chain, aligned with it; NaN where unknown.

    `delta` and `gamma` are against spot, per share of one long contract, puts negative; `mid` is ask / 2 where nobody bids.
    """

    mid: Floats
    iv: Floats
    delta: Floats
    gamma: Floats
    theta_per_day: Floats
    vega_per_point: Floats
    forward: Floats
    discount: Floats
    t_years: Floats


def option_mark(view: View, contract: Option) -> OptionMark:
    """Implied vol and Greeks of one contract; raise Unavailable without a usable quote or a price of the underlying.

    Example: on 22 July 2019 at 15:45, SPX at 2,985.45, the SPXW 21 Aug 19 2860 put quoted 11.30 by 11.60: mid 11.45, forward 2,986.20,
    iv 0.155, delta -0.160, theta -0.54 a day, vega 2.08 a point.
    """
    return _option_marks([_asked(view, contract)])[0]


def option_marks(view: View, contracts: Iterable[Option]) -> dict[str, OptionMark]:
    """The same of many contracts at once, by key: many together take hardly longer than one. Those that would raise are left out."""
    asked = {}
    for contract in contracts:
        try:
            asked[contract.key] = _asked(view, contract)
        except (Unavailable, InstrumentError, CalendarError):
            continue  # whoever needs this one asks for it alone and hears why
    return dict(zip(asked, _option_marks(list(asked.values())), strict=True))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A contract to be marked, with what its view says of it."""

    contract: Option
    mid: float  # of one share, as the twin
    twin: float
    spot: float
    curve: Curve


def _asked(view: View, contract: Option) -> _Asked:
    quote, share = view.quote(contract), contract.multiplier / contract.shares
    chain = view.chains.get(contract.underlying)
    spot = _spot(view, contract.underlying)
    curve = _curve(view, chain, series=contract.series, expiry=contract.expiry, at=quote.at)
    twin = math.nan if chain is None else _twin_mid(chain, contract)
    return _Asked(contract, view.mid(contract) * share, twin * share, spot, curve)


def _option_marks(asked: Sequence[_Asked]) -> list[OptionMark]:
    from core.market.view import OptionMark

    if not asked:
        return []
    found = _marks(
        mid=np.array([one.mid for one in asked]), twin=np.array([one.twin for one in asked]),
        right=np.array([CALL if one.contract.right is Right.CALL else PUT for one in asked], dtype=np.int8),
        strike=np.array([float(one.contract.share_strike) for one in asked]), forward=np.array([one.curve.forward for one in asked]),
        discount=np.array([one.curve.discount for one in asked]), t_years=np.array([one.curve.t_years for one in asked]),
        spot=np.array([one.spot for one in asked]), early=np.array([one.contract.exercise is Exercise.AMERICAN for one in asked]),
        on_future=np.array([one.contract.series.underlying_kind is UnderlyingKind.VOLATILITY_INDEX for one in asked]),
    )
    return [
        OptionMark(
            mid=one.mid, iv=_known(found.iv[row]), delta=_known(found.delta[row]), gamma=_known(found.gamma[row]),
            theta_per_day=_known(found.theta_per_day[row]), vega_per_point=_known(found.vega_per_point[row]), spot=one.spot,
            forward=one.curve.forward, discount=one.curve.discount, t_years=one.curve.t_years,
        )
        for row, one in enumerate(asked)
    ]


def marks(view: View, chain: Chain) -> ChainMarks:
    """Implied vols and Greeks of every row of a chain, which may be a part of the view's own; NaN rows where a series has no price."""
    spot = _spot(view, chain.symbol)
    whole = view.chains.get(chain.symbol, chain)
    size = len(chain)
    forward, discount, t_years, twin = (np.full(size, np.nan) for _ in range(4))
    early, on_future = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    for expiry, root, rows in _series(chain):
        try:
            series = series_of(root)
            curve = _curve(view, whole, series=series, expiry=expiry, at=chain.at)
        except (Unavailable, InstrumentError, CalendarError):
            continue  # this series stays unknown; the others are none the worse for it
        early[rows] = series.exercise is Exercise.AMERICAN
        on_future[rows] = series.underlying_kind is UnderlyingKind.VOLATILITY_INDEX
        forward[rows], discount[rows], t_years[rows] = curve.forward, curve.discount, curve.t_years
        twin[rows] = _twin_mids(whole, chain, rows, expiry=expiry, root=root)
    return _marks(
        mid=chain.mid, twin=twin, right=chain.right, strike=chain.strike, forward=forward, discount=discount, t_years=t_years,
        spot=np.full(size, spot), early=early, on_future=on_future,
    )


def strike_by_delta(view: View, chain: Chain, right: Right, target_abs_delta: float) -> int:
    """The row of the chain (narrow it to one series first) whose delta is nearest to the target in size; of two alike the further one out.

    Raises Unavailable where no contract of that right has a known delta.
    """
    deltas = np.abs(marks(view, chain).delta)
    deltas[chain.right != (CALL if right is Right.CALL else PUT)] = np.nan
    if not np.isfinite(deltas).any():
        raise Unavailable(f"delta of any {chain.symbol} {right.value}", why="no quote in that range gives a volatility")
    away = np.round(np.abs(deltas - target_abs_delta), 12)
    nearest = np.flatnonzero(away == np.nanmin(away))
    return int(nearest[np.argmin(deltas[nearest])])


# --- forwards ------------------------------------------------------------------------------------------------------------


def _curve(view: View, chain: Chain | None, *, series: SeriesSpec, expiry: date, at: datetime) -> Curve:
    """The forward and discount of a series, worked out once a view."""
    key = (series.underlying, expiry, series.root)
    t_years = years_to(settlement_at(series, expiry), at)
    known = view._curves.get(key)
    if known is None:
        known = view._curves[key] = _forward(view, chain, series=series, expiry=expiry, t_years=t_years)
    return Curve(forward=known[0], discount=known[1], t_years=t_years)


def _forward(view: View, chain: Chain | None, *, series: SeriesSpec, expiry: date, t_years: float) -> tuple[float, float]:
    spot = _spot(view, series.underlying)
    rate = view.rate
    if chain is not None:
        strikes, calls, puts = chain.pairs(expiry=expiry, root=series.root)
        if series.exercise is Exercise.EUROPEAN and t_years > 0:
            parity = forward_discount(strike=strikes, call_mid=calls, put_mid=puts)
            if parity is not None:
                return parity[0], _discount(parity[1], t_years=t_years, rate=rate)
        # Near the money the rate hardly moves the forward, and the discount little else: an unknown one may count as none here.
        discount = math.exp(-(rate or 0.0) * t_years)
        near = _near_forward(strikes, calls - puts, spot=spot, discount=discount)
        if near is not None:
            return near, discount
    if rate is None:
        what = f"forward of {series.underlying} for {expiry.isoformat()}"
        raise Unavailable(what, why="there is no riskless rate, and too few quotes for put-call parity")
    paid = sum(
        float(dividend.amount) * math.exp(-rate * (dividend.ex_date - view.session).days / 365)
        for dividend in view.dividends.get(series.underlying, ()) if view.session < dividend.ex_date <= expiry
    )
    return (spot - paid) * math.exp(rate * t_years), math.exp(-rate * t_years)


def _discount(discount: float, *, t_years: float, rate: float | None) -> float:
    """The discount of parity, or over a few days, where it is noise, that of the view's rate."""
    if _PLAUSIBLE_RATE[0] <= -math.log(discount) / t_years <= _PLAUSIBLE_RATE[1]:
        return discount
    return math.exp(-(rate or 0.0) * t_years)


def _near_forward(strikes: Floats, gaps: Floats, *, spot: float, discount: float) -> float | None:
    """The median forward of the pairs nearest to the money, None where no pair is near it."""
    near = np.flatnonzero(np.isfinite(gaps) & (np.abs(strikes / spot - 1) <= _NEAR_MONEY))
    if not len(near):
        return None
    near = near[np.argsort(np.abs(strikes[near] - spot), kind="stable")][:_NEAREST_PAIRS]
    return float(np.median(strikes[near] + gaps[near] / discount))


def _spot(view: View, symbol: str) -> float:
    """The underlying's price at the time of the chain, so that both are of one instant; else the view's."""
    chain = view.chains.get(symbol)
    return chain.spot if chain is not None and 0 < chain.spot < math.inf else view.spot(symbol)


# --- volatility and Greeks -----------------------------------------------------------------------------------------------


def _marks(
    *, mid: Floats, twin: Floats, right: Ints | np.ndarray[tuple[int, ...], np.dtype[np.int8]], strike: Floats, forward: Floats,
    discount: Floats, t_years: Floats, spot: Floats, early: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    on_future: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> ChainMarks:
    """Whole arrays at once. An in-the-money quote that gives no volatility takes its out-of-the-money twin's: parity makes them one."""
    with np.errstate(all="ignore"):
        rate, dividend = carry_rates(spot=spot, forward=forward, discount=discount, t_years=t_years)
        early = early & (rate >= 0.0) & np.isfinite(dividend)  # under a negative rate exercise pays, if at all, between two prices

    def vols(right: Floats | Ints | np.ndarray[tuple[int, ...], np.dtype[np.int8]], price: Floats, rows: Ints) -> Floats:
        found = implied_vol(
            right=right, price=price, forward=forward[rows], strike=strike[rows], t_years=t_years[rows], discount=discount[rows]
        )
        own = early[rows]
        if own.any():
            at = rows[own]
            found[own] = american.implied_vol(
                right=right[own], price=price[own], spot=spot[at], strike=strike[at], t_years=t_years[at], rate=rate[at],
                dividend=dividend[at],
            )
        return found

    vol = vols(right, mid, np.arange(len(mid)))
    with np.errstate(invalid="ignore"):
        lost = np.flatnonzero(np.isnan(vol) & np.isfinite(mid) & np.isfinite(twin) & (right * (forward - strike) > 0))
    if len(lost):
        vol[lost] = vols(-right[lost], twin[lost], lost)
    found = greeks_forward(right=right, forward=forward, strike=strike, t_years=t_years, discount=discount, vol=vol)
    basis = np.where(on_future, 1.0, forward / spot)
    delta, gamma, theta, vega = found.delta * basis, found.gamma * basis * basis, found.theta_per_day, found.vega_per_point
    at = np.flatnonzero(early)
    if len(at):
        own = american.greeks(
            right=right[at], spot=spot[at], strike=strike[at], t_years=t_years[at], rate=rate[at], dividend=dividend[at], vol=vol[at]
        )
        delta[at], gamma[at], vega[at] = own.delta, own.gamma, own.vega_per_point
        theta[at] = own.theta_per_day + (rate[at] - dividend[at]) * spot[at] * own.delta / DAYS_PER_YEAR
    return ChainMarks(
        mid=mid, iv=vol, delta=delta, gamma=gamma, theta_per_day=theta, vega_per_point=vega, forward=forward, discount=discount,
        t_years=t_years,
    )


def _series(chain: Chain) -> list[tuple[date, str, Ints]]:
    """The rows of each expiry and root."""
    found = []
    for ordinal in np.unique(chain.expiry):
        rows = np.flatnonzero(chain.expiry == ordinal)
        roots = chain.root[rows]
        found += [(date.fromordinal(int(ordinal)), str(root), rows[roots == root]) for root in sorted(set(roots))]
    return found


def _twin_mids(whole: Chain, chain: Chain, rows: Ints, *, expiry: date, root: str) -> Floats:
    """For each row the mid of the other right at its strike, NaN where there is none."""
    strikes, calls, puts = whole.pairs(expiry=expiry, root=root)
    if not len(strikes):
        return np.full(len(rows), np.nan)
    wanted = chain.strike[rows]
    place = np.minimum(np.searchsorted(strikes, wanted), len(strikes) - 1)
    other = np.where(chain.right[rows] == CALL, puts[place], calls[place])
    return np.where(strikes[place] == wanted, other, np.nan)


def _twin_mid(chain: Chain, contract: Option) -> float:
    row = chain.row(contract)
    if row is None:
        return math.nan
    return float(_twin_mids(chain, chain, np.array([row]), expiry=contract.expiry, root=contract.root)[0])


def _known(number: float) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None
