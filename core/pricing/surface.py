"""A volatility surface from quotes: a smooth smile for each expiry without arbitrage, and total variance in between.

A smile is a mixture: the price at expiry is lognormal around one of many centres with one of a few widths, with probabilities that fit the
quotes best. Whatever they are, every option is then worth a mean of Black-76 values, so no butterfly can cost less than nothing, and the
wings are those of lognormal distributions: they rise no steeper than R. Lee's bound ("The moment formula for implied volatility at extreme
strikes", 2004) and never turn down to nothing. The probabilities are a linear least squares problem with none below zero (D. Brigo and
F. Mercurio, "Lognormal-mixture dynamics and calibration to market volatility smiles", 2002, for the model; C. Lawson and R. Hanson,
"Solving Least Squares Problems", 1974, chapter 23, for the solution).

A later expiry must be worth at least an earlier one at the same log-moneyness `k = ln(K/F)`. Where its own smile is not, the earlier one's
price stands for it: the larger of two convex functions is convex, so neither kind of arbitrage comes back. `calendar_gaps` tells where
quotes asked for less. Between expiries total variance at a given k is straight in weighted time, in which a day of an event counts for
several and a day without trading for less (`weighted_years`), so that no event is smeared over the weeks around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.pricing.bsm import DAYS_PER_YEAR, MAX_TOTAL_VOL, Floats, value_forward
from core.pricing.implied import implied_vol

LEAST_QUOTES = 5
WIDTHS = (0.25, 0.45, 0.75, 1.2, 2.0)  # of a component, in at-the-money total volatilities
STRIDE = 0.6  # between centres, in widths
MOST_CENTRES = 60  # of one width
OVERHANG = 1.0  # of the centres beyond the quotes, in at-the-money total volatilities
CERTAIN = 1e3  # how much more than a quote the sum and the mean of the probabilities count
LEAST_VEGA = 1e-7
TOLERANCE = 1e-9  # of a price of a forward of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Smile:
    """One expiry's smile. `misfit`: weighted root mean square difference from its quotes, in volatility; `low`, `high`: the k quoted.

    `centre`, `width`, `chance`: of each component: its forward over the smile's, its total volatility, its probability.
    """

    t_years: float
    centre: Floats
    width: Floats
    chance: Floats
    misfit: float
    low: float
    high: float

    def price(self, k: ArrayLike) -> Floats:
        """The undiscounted out-of-the-money option over the forward at log-moneyness: a put below zero, a call from zero on."""
        ks = np.asarray(k, dtype=np.float64)[..., None]
        each = value_forward(
            right=np.where(ks < 0.0, -1, 1), forward=self.centre, strike=np.exp(ks), t_years=1.0, discount=1.0, vol=self.width
        )
        return np.asarray(each @ self.chance)

    def variance(self, k: ArrayLike) -> Floats:
        """Total variance, vol * vol * t_years, at log-moneyness."""
        return _variance(k, self.price(k))

    def vol(self, k: ArrayLike) -> Floats:
        """Volatility per year at log-moneyness."""
        return np.asarray(np.sqrt(self.variance(k) / self.t_years))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that moves prices at a known time, worth `extra_days` of ordinary trading."""

    t_years: float
    extra_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """A stretch of time, as a weekend, of which each day is worth `weight` of an ordinary one."""

    start_years: float
    end_years: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Smiles in order of expiry, with the weighted time of each."""

    smiles: tuple[Smile, ...]
    weighted: tuple[float, ...]
    events: tuple[Event, ...] = ()
    quiet: tuple[Quiet, ...] = ()

    def variances(self, k: ArrayLike) -> Floats:
        """Total variance at log-moneyness at every expiry, one row each, never less than at the one before."""
        prices = np.array([smile.price(k) for smile in self.smiles])
        return _variance(k, np.maximum.accumulate(prices, axis=0))

    def variance(self, k: ArrayLike, t_years: ArrayLike) -> Floats:
        """Total variance at log-moneyness and calendar time; before the first expiry and after the last in proportion to weighted time."""
        ks, years = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(t_years, dtype=np.float64))
        clock = weighted_years(years, events=self.events, quiet=self.quiet)
        rows, times = self.variances(ks), np.array(self.weighted)
        if len(times) == 1:
            return np.asarray(rows[0] * clock / times[0])
        after = np.clip(np.searchsorted(times, clock), 1, len(times) - 1)
        low, high = np.take_along_axis(rows, (after - 1)[None], 0)[0], np.take_along_axis(rows, after[None], 0)[0]
        share = (clock - times[after - 1]) / (times[after] - times[after - 1])
        between = low + share * (high - low)
        outside = np.where(clock <= times[0], rows[0] * clock / times[0], rows[-1] * clock / times[-1])
        return np.asarray(np.where((clock <= times[0]) | (clock >= times[-1]), outside, between))

    def vol(self, k: ArrayLike, t_years: ArrayLike) -> Floats:
        """Volatility per year at log-moneyness and calendar time; NaN where no time is left."""
        years = np.asarray(t_years, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(years > 0.0, np.sqrt(self.variance(k, years) / years), np.nan)

    def calendar_gaps(self, k: ArrayLike) -> Floats:
        """How much each expiry's own smile is worth over the dearest before it, in prices of a forward of one; negative: lifted to it."""
        prices = np.array([smile.price(k) for smile in self.smiles])
        return np.asarray(prices[1:] - np.maximum.accumulate(prices, axis=0)[:-1])


def butterfly_gaps(k: ArrayLike, vol: ArrayLike, t_years: float) -> Floats:
    """Check quotes of one expiry: the slope of the call price between strikes, as it changes from one gap to the next.

    k: ln(strike / forward), ascending; vol: per year at each. Returns one number for each inner strike, in prices of a forward of one by
    log-moneyness; negative where a butterfly there would cost less than nothing.
    """
    ks, vols = np.asarray(k, dtype=np.float64), np.asarray(vol, dtype=np.float64)
    strikes = np.exp(ks)
    calls = value_forward(right=1, forward=1.0, strike=strikes, t_years=t_years, discount=1.0, vol=vols)
    return np.asarray(np.diff(np.diff(calls) / np.diff(strikes)))


def weighted_years(t_years: ArrayLike, *, events: Sequence[Event] = (), quiet: Sequence[Quiet] = ()) -> Floats:
    """Count time by what it brings: calendar years from now, less what quiet stretches lack, and more for each event that has passed.

    t_years: calendar years from now, any shape. Returns the same shape, never falling with time.
    """
    years = np.asarray(t_years, dtype=np.float64)
    result = years.copy()
    for each in quiet:
        start = max(each.start_years, 0.0)
        result = result - (1.0 - each.weight) * np.clip(years - start, 0.0, max(each.end_years - start, 0.0))
    for event in events:
        if event.t_years >= 0.0:
            result = result + np.where(years >= event.t_years, event.extra_days / DAYS_PER_YEAR, 0.0)
    return result


def fit_smile(*, k: ArrayLike, vol: ArrayLike, t_years: float, weight: ArrayLike = 1.0) -> Smile | None:
    """Fit a smile to the implied volatilities of one expiry.

    k: ln(strike / forward); vol: per year as a decimal, NaN where a quote gives none; weight: of each quote, as one over its bid-ask width
    in volatility; t_years: to expiry. Arrays broadcast. Returns None with fewer than five usable quotes or no time.
    """
    ks, vols, weights = (np.ravel(each) for each in np.broadcast_arrays(*(np.asarray(each, dtype=np.float64) for each in (k, vol, weight))))
    usable = np.isfinite(ks) & np.isfinite(vols) & (vols > 0.0) & np.isfinite(weights) & (weights > 0.0)
    if not (t_years > 0.0 and math.isfinite(t_years)):
        return None
    with np.errstate(all="ignore"):
        usable &= (np.abs(ks) < MAX_TOTAL_VOL) & (vols * math.sqrt(t_years) < MAX_TOTAL_VOL)
    if np.count_nonzero(usable) < LEAST_QUOTES:
        return None
    ks, vols, weights = ks[usable], vols[usable], weights[usable] / np.mean(weights[usable])
    order = np.argsort(ks)
    ks, vols, weights = ks[order], vols[order], weights[order]
    total = vols * math.sqrt(t_years)
    centre, width = _components(ks, float(np.interp(0.0, ks, total)))

    side = np.where(ks < 0.0, -1, 1)
    each = value_forward(right=side[:, None], forward=centre, strike=np.exp(ks)[:, None], t_years=1.0, discount=1.0, vol=width)
    target = value_forward(right=side, forward=1.0, strike=np.exp(ks), t_years=1.0, discount=1.0, vol=total)
    d1 = -ks / total + 0.5 * total
    vega = np.maximum(np.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi), LEAST_VEGA)
    scale = weights / vega / math.sqrt(t_years)  # a miss in price becomes one in volatility
    firm = CERTAIN * float(np.median(scale)) * np.array([[1.0], [1.0]])
    rows = np.concatenate((each * scale[:, None], firm * np.array([np.ones_like(centre), centre])))
    chance, _ = _nnls()(rows, np.concatenate((target * scale, firm[:, 0])), maxiter=20 * len(centre))
    held = chance > 0.0
    centre, width, chance = centre[held], width[held], chance[held] / np.sum(chance[held])
    centre = centre / float(centre @ chance)
    smile = Smile(t_years=t_years, centre=centre, width=width, chance=chance, misfit=0.0, low=float(ks[0]), high=float(ks[-1]))
    fitted = np.nan_to_num(smile.vol(ks))  # an option that it holds worthless has no volatility
    misfit = float(np.sqrt(np.average((fitted - vols) ** 2, weights=weights)))
    return Smile(t_years=t_years, centre=centre, width=width, chance=chance, misfit=misfit, low=float(ks[0]), high=float(ks[-1]))


def make_surface(smiles: Sequence[Smile], *, events: Sequence[Event] = (), quiet: Sequence[Quiet] = ()) -> Surface:
    """Join smiles of different expiries. Raises ValueError without any, or for two of one time."""
    ordered = tuple(sorted(smiles, key=lambda smile: smile.t_years))
    clock = tuple(float(each) for each in weighted_years([smile.t_years for smile in ordered], events=events, quiet=quiet))
    if not ordered or any(late <= early for early, late in pairwise(clock)):
        raise ValueError("a surface needs smiles of different expiries, each with more weighted time than the one before")
    return Surface(smiles=ordered, weighted=clock, events=tuple(events), quiet=tuple(quiet))


def _components(k: Floats, middle: float) -> tuple[Floats, Floats]:
    """Centres, as forwards over the smile's own, and widths that may be mixed."""
    low, high = min(float(k[0]), 0.0) - OVERHANG * middle, max(float(k[-1]), 0.0) + OVERHANG * middle
    centres, widths = [], []
    for share in WIDTHS:
        width = share * middle
        count = min(max(math.ceil((high - low) / (STRIDE * width)), 5), MOST_CENTRES)
        centres.append(np.exp(np.linspace(low, high, count)))
        widths.append(np.full(count, width))
    return np.concatenate(centres), np.concatenate(widths)


def _variance(k: ArrayLike, price: Floats) -> Floats:
    """Total variance at which an option on a forward of one has a price."""
    ks = np.asarray(k, dtype=np.float64)
    total = implied_vol(right=np.where(ks < 0.0, -1, 1), price=price, forward=1.0, strike=np.exp(ks), t_years=1.0, discount=1.0)
    return np.asarray(total * total)


@cache
def _nnls() -> Callable[..., tuple[NDArray[np.float64], float]]:
    from scipy.optimize import nnls

    return cast("Callable[..., tuple[NDArray[np.float64], float]]", nnls)
