"""Option chains of the simulated market: which strikes are listed, what they are worth, and how they are quoted.

Everything about a contract that no price moves (listing, open interest, volume, sizes) is fixed for a session by the close before it and by
the contract's own name; prices follow the moment. European values on dividend-paying forwards; American ones never below intrinsic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from core.domain.calendar import hours, last_trade_at, listed_expiries, monthly_expiry, settlement_at, years_to
from core.domain.instruments import Delivery, Exercise, Option, Right, SeriesSpec, Settlement, roots_of
from core.market.chain import CALL, PUT, Chain
from core.market.providers._sim_listed import INDEX_YIELD, LISTED, Grid, Listed
from core.market.providers._sim_noise import Floats, Noise
from core.market.providers._sim_paths import OVERNIGHT, SESSIONS_PER_YEAR, STEPS, Ints, Moment, Paths
from core.market.providers._sim_surface import rate, shape, variance
from core.market.quote import Quote
from core.pricing.bsm import value_forward

Series = tuple[SeriesSpec, date]
Key = TypeVar("Key")
Kept = TypeVar("Kept")

SOURCE = "simulated"
HORIZON_DAYS = 400
_KEPT = 24
_LOW_STRIKE, _HIGH_STRIKE = 0.2, 3.0  # of the close before: off the listed window a held contract is quoted as far as this


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Contracts of one underlying in a session, and what of them does not move with the price."""

    series: tuple[Series, ...]
    slot: Ints  # row -> series
    root: npt.NDArray[np.object_]
    expiry: Ints
    right: npt.NDArray[np.int8]
    strike_milli: Ints
    interest: Ints
    day_volume: Floats  # of the whole session
    bid_size: Ints
    ask_size: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """Values and quotes of rows at a moment."""

    value: Floats
    bid: Floats
    ask: Floats


class Chains:
    """The option market over the paths of one seed."""

    def __init__(self, paths: Paths, noise: Noise) -> None:
        self._paths = paths
        self._noise = noise
        self._rows: dict[tuple[str, int, tuple[Series, ...]], Rows] = {}
        self._listings: dict[tuple[str, int], tuple[Series, ...]] = {}

    def at(self, symbol: str, moment: Moment, now: datetime) -> datetime:
        """When the option prices that stand were made: with the underlying's, or up to a late close a quarter of an hour after."""
        if moment.step < STEPS:
            return moment.at
        span = hours(roots_of(symbol)[0], moment.day)
        return moment.at if span is None else min(now.replace(microsecond=0), span[1])

    def series(self, symbol: str, moment: Moment, at: datetime) -> tuple[Series, ...]:
        """What is listed and still trades at `at`, by expiry and root."""
        if LISTED[symbol].grid is None:
            return ()
        key = symbol, moment.index
        listed = self._listings.get(key)
        if listed is None:
            found = [(spec, day) for spec in roots_of(symbol) for day in listed_expiries(spec, moment.day, days=HORIZON_DAYS)]
            listed = _keep(self._listings, key, tuple(sorted(found, key=lambda series: (series[1], series[0].root))))
        return tuple(series for series in listed if last_trade_at(*series) > at)

    def chain(self, symbol: str, now: datetime, first: date, last: date) -> Chain:
        """All contracts of a symbol expiring within [first, last]."""
        moment = self._paths.moment(now)
        at = self.at(symbol, moment, now)
        series = tuple(one for one in self.series(symbol, moment, at) if first <= one[1] <= last)
        key = symbol, moment.index, series
        rows = self._rows.get(key) or _keep(self._rows, key, self._listed_rows(symbol, moment, series))
        priced = self.price(symbol, rows, moment, at)
        unknown = np.full(len(rows.slot), np.nan)
        return Chain(
            symbol=symbol, at=at, source=SOURCE, spot=self._paths.level(symbol, moment),
            root=rows.root, expiry=rows.expiry, right=rows.right, strike_milli=rows.strike_milli,
            bid=priced.bid, ask=priced.ask, bid_size=np.where(priced.bid > 0, rows.bid_size, 0), ask_size=rows.ask_size,
            open_interest=rows.interest, volume=(rows.day_volume * (moment.step / STEPS)).astype(np.int64),
            vendor_iv=unknown, vendor_delta=unknown.copy(),
        )

    def quotes(self, symbol: str, contracts: Sequence[Option], now: datetime) -> dict[str, Quote]:
        """Quotes of contracts on one symbol; those not listed, or no longer trading, are left out."""
        moment = self._paths.moment(now)
        at = self.at(symbol, moment, now)
        listed = {(spec.root, expiry): (spec, expiry) for spec, expiry in self.series(symbol, moment, at)}
        reference = self._paths.close(symbol, moment.index - 1)
        wanted = [one for one in contracts if (one.root, one.expiry) in listed and _quoted(one.strike, LISTED[symbol], reference)]
        if not wanted:
            return {}
        series = tuple(dict.fromkeys(listed[one.root, one.expiry] for one in wanted))
        number = {(spec.root, expiry): slot for slot, (spec, expiry) in enumerate(series)}
        rows = self._made_rows(
            symbol, moment, series,
            slot=np.array([number[one.root, one.expiry] for one in wanted]),
            right=np.array([CALL if one.right is Right.CALL else PUT for one in wanted], dtype=np.int8),
            strike_milli=np.array([int(one.strike * 1000) for one in wanted]),
        )
        priced = self.price(symbol, rows, moment, at)
        return {
            one.key: Quote(
                key=one.key, bid=float(priced.bid[row]), ask=float(priced.ask[row]), at=at, source=SOURCE,
                bid_size=int(rows.bid_size[row]) if priced.bid[row] > 0 else 0, ask_size=int(rows.ask_size[row]),
            )
            for row, one in enumerate(wanted)
        }

    def price(self, symbol: str, rows: Rows, moment: Moment, at: datetime) -> Priced:
        """Value and quote rows."""
        listed, spot, log_vol = LISTED[symbol], self._paths.level(symbol, moment), self._paths.log_vol(moment)
        if not rows.series:
            return Priced(value=np.zeros(0), bid=np.zeros(0), ask=np.zeros(0))
        terms = np.array([self._forward(listed, spot, moment, one, at) for one in rows.series])
        years = np.array([self.sessions_left(moment, one) for one in rows.series]) / SESSIONS_PER_YEAR
        forward, discount = terms[rows.slot, 0], terms[rows.slot, 1]
        deviation = np.sqrt(variance(listed, log_vol, years))[rows.slot]
        strike = rows.strike_milli / 1000.0
        y = np.log(strike / forward) / deviation
        vol = deviation * np.sqrt(shape(listed.smile, y))
        value = value_forward(right=rows.right, forward=forward, strike=strike, t_years=1.0, discount=discount, vol=vol)
        if rows.series[0][0].exercise is Exercise.AMERICAN:
            value = np.maximum(value, rows.right * (spot - strike))
        bid, ask = _sides(value, y, years[rows.slot], listed, rows.series[0][0])
        return Priced(value=value, bid=bid, ask=ask)

    def sessions_left(self, moment: Moment, series: Series) -> float:
        """Sessions of variance up to settlement: today's rest, whole ones, and a night only before an AM settlement."""
        spec, expiry = series
        whole = self._paths.index_of(expiry) - moment.index
        return (1.0 - moment.gone) + (whole if spec.settlement is Settlement.PM else whole - 1 + OVERNIGHT)

    def _forward(self, listed: Listed, spot: float, moment: Moment, series: Series, at: datetime) -> tuple[float, float]:
        """Forward and discount to settlement. Dividends past the next are taken to be as large."""
        spec, expiry = series
        years = years_to(settlement_at(spec, expiry), at)
        riskless = rate(years * 365.0)
        if spec.delivery is Delivery.CASH:
            return spot * float(np.exp((riskless - INDEX_YIELD) * years)), float(np.exp(-riskless * years))
        coming = [one for one in self._paths.payments(listed.symbol, expiry) if one.index > moment.index]
        paid = sum(coming[0].amount * float(np.exp(-riskless * (one.ex_date - moment.day).days / 365.0)) for one in coming)
        return (spot - paid) * float(np.exp(riskless * years)), float(np.exp(-riskless * years))

    def _listed_rows(self, symbol: str, moment: Moment, series: tuple[Series, ...]) -> Rows:
        listed, reference = LISTED[symbol], self._paths.close(symbol, moment.index - 1)
        slots, rights, strikes = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int8)], [np.zeros(0, dtype=np.int64)]
        if listed.grid is not None:
            for slot, (deviation, one) in enumerate(zip(self._reference_deviation(listed, moment, series), series, strict=True)):
                ladder = _ladder(listed.grid, reference, float(deviation), (one[1] - moment.day).days)
                strikes += [ladder, ladder]
                rights.append(np.repeat(np.array([PUT, CALL], dtype=np.int8), len(ladder)))
                slots.append(np.full(2 * len(ladder), slot))
        return self._made_rows(
            symbol, moment, series, slot=np.concatenate(slots), right=np.concatenate(rights), strike_milli=np.concatenate(strikes),
        )

    def _made_rows(
        self, symbol: str, moment: Moment, series: tuple[Series, ...], *, slot: Ints, right: npt.NDArray[np.int8], strike_milli: Ints
    ) -> Rows:
        """Rows with open interest, volume and sizes by the contract's name; more where a strike is near, round or monthly."""
        listed = LISTED[symbol]
        expiry = np.array([day.toordinal() for _, day in series], dtype=np.int64)[slot]
        morning = np.array([spec.settlement is Settlement.AM for spec, _ in series], dtype=np.int64)[slot]
        monthly = np.array([day == monthly_expiry(day.year, day.month) for _, day in series], dtype=bool)[slot]
        days = expiry - moment.day.toordinal()
        reference, deviation = self._paths.close(symbol, moment.index - 1), self._reference_deviation(listed, moment, series)[slot]
        y = np.log(strike_milli / 1000.0 / reference) / deviation
        near = np.exp(-0.5 * (y / np.where(y < 0, 2.0, 1.4)) ** 2)
        name = expiry, strike_milli, 2 * morning + (right == CALL)
        interest = listed.interest * near * _roundness(listed, strike_milli) * np.where(monthly, 2.5, 1.0) * 90.0 / (90.0 + days)
        interest = interest * (0.4 + 1.2 * self._noise.uniform(f"interest {symbol}", *name))
        today = *name, np.full(len(slot), moment.day.toordinal())
        traded = interest * 0.35 * (1.0 + 3.0 / (1.0 + days)) * self._noise.uniform(f"volume {symbol}", *today)
        depth = 1.0 + listed.size * (0.15 + 0.85 * near)
        sizes = [(depth * (0.4 + 1.2 * self._noise.uniform(f"{side} size {symbol}", *today))).astype(np.int64) for side in ("bid", "ask")]
        return Rows(
            series=series, slot=slot, root=np.array([spec.root for spec, _ in series], dtype=object)[slot], expiry=expiry, right=right,
            strike_milli=strike_milli, interest=interest.astype(np.int64), day_volume=traded,
            bid_size=np.maximum(sizes[0], 1), ask_size=np.maximum(sizes[1], 1),
        )

    def _reference_deviation(self, listed: Listed, moment: Moment, series: tuple[Series, ...]) -> Floats:
        """Standard deviation of each expiry at the open, by the volatility of the close before."""
        left = np.array([max(1, self._paths.index_of(expiry) - moment.index + 1) for _, expiry in series], dtype=np.float64)
        return np.sqrt(variance(listed, self._paths.close_log_vol(moment.index - 1), left / SESSIONS_PER_YEAR))


def _keep(kept: dict[Key, Kept], key: Key, value: Kept) -> Kept:
    """Remember a value among the last few."""
    while len(kept) >= _KEPT:
        del kept[next(iter(kept))]
    kept[key] = value
    return value


def _ladder(grid: Grid, reference: float, deviation: float, days: int) -> Ints:
    """Listed strikes in thousandths: fine steps near the money, coarse ones farther out."""
    near = days <= grid.near_days
    fine, coarse = (grid.fine, grid.coarse) if near else (grid.coarse, 2 * grid.coarse)
    lowest, highest = -min(max(0.08, 5.5 * deviation), 1.4), min(max(0.06, 3.5 * deviation), 1.0)
    wide = _steps(coarse, reference * np.exp(lowest), reference * np.exp(highest))
    close = _steps(fine, reference * np.exp(-max(0.025, 1.8 * deviation)), reference * np.exp(max(0.02, 1.2 * deviation)))
    return np.union1d(wide, close)


def _steps(step: float, low: float, high: float) -> Ints:
    milli = round(step * 1000)
    return np.arange(int(np.ceil(low / step)), int(np.floor(high / step)) + 1, dtype=np.int64) * milli


def _quoted(strike: Decimal, listed: Listed, reference: float) -> bool:
    if listed.grid is None:
        return False
    return strike % Decimal(str(listed.grid.finest)) == 0 and _LOW_STRIKE * reference <= float(strike) <= _HIGH_STRIKE * reference


def _roundness(listed: Listed, strike_milli: Ints) -> Floats:
    """How many more contracts a round strike carries."""
    if listed.grid is None:
        return np.ones(len(strike_milli))
    step = round(listed.grid.fine * 1000)
    round_to = [strike_milli % (step * count) == 0 for count in (20, 10, 5)]
    weights = np.select(round_to, [3.0, 2.0, 1.4], 1.0)
    return np.asarray(weights, dtype=np.float64)


def _sides(value: Floats, y: Floats, years: Floats, listed: Listed, spec: SeriesSpec) -> tuple[Floats, Floats]:
    """Bid and ask on ticks, at least one tick apart, the value between them; far out nobody bids."""
    low, high, threshold = (float(part) for part in (spec.ticks.low, spec.ticks.high, spec.ticks.threshold))
    tick = np.where(value < threshold, low, high)
    spread = value * listed.spread * (1.0 + 0.5 * np.maximum(np.abs(y) - 2.0, 0.0) + years)
    apart = np.maximum(np.rint(spread / tick), 1.0)
    below = np.rint(value / tick - apart / 2.0)
    bid, ask = np.maximum(below, 0.0) * tick, np.maximum(below + apart, 1.0) * tick
    ask = np.where((value < threshold) & (ask > threshold), np.ceil(ask / high - 1e-9) * high, ask)
    return np.round(bid, 2), np.round(ask, 2)
