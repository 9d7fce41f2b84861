"""How likely a trade is to make or lose what: chances, expected result and expected shortfall, risk-neutral, not a forecast.

The price at expiry is a mixture of lognormals: one for a single volatility (`lognormal`), those of a fitted smile (`smile_density`), so a
skew is in the result. A trade is straight lines between corners (`payoff_curve`), and every figure is a sum of partial moments in closed
form: under one component the price is below a level with N(-d2), and its mean there is F N(-d1). Where legs outlive the first expiry the
line through their values then stands for the payoff (`value_curve`).

Touching a level on the way is another matter than ending beyond it, and needs a path: `touch_lognormal` is the barrier formula with drift
of one volatility (E. Reiner and M. Rubinstein, "Unscrambling the binary code", RISK 4, 1991; E. G. Haug, "The Complete Guide to Option
Pricing Formulas" (1998), pages 92 to 95).

Nothing here raises for a number: what cannot be known is NaN.

Worked example: short one put of 95 for 1.20, multiplier 100, forward 100, 30 days, volatility 0.25. It makes money above 93.80, with a
chance of 0.80, and keeps all 120 with 0.75; the worst twentieth of outcomes loses more than 515, on average 773.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike

from core.pricing.bsm import Floats
from core.pricing.normal import below, tail
from core.pricing.payoff import Payoff
from core.pricing.scenarios import Legs, listed, values
from core.pricing.surface import Smile

NODES = 2_000  # prices of a curve of values
LADDER, ROUNDS = 65, 9  # a quantile is found by cutting its bracket into 64 parts so many times


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """The price at one time as a mixture of lognormals: of each component its mean, its total volatility and its chance."""

    forward: Floats
    total_vol: Floats
    chance: Floats

    def below(self, level: ArrayLike) -> Floats:
        """Chance of a price below a level, any shape."""
        return np.asarray(below(-self._d2(level)) @ self.chance)

    def mean_below(self, level: ArrayLike) -> Floats:
        """The price's mean over where it is below a level, times the chance of that."""
        return np.asarray(below(-self._d2(level) - self.total_vol) @ (self.chance * self.forward))

    @property
    def mean(self) -> float:
        """The forward."""
        return float(self.chance @ self.forward)

    def span(self) -> tuple[float, float]:
        """Prices below and above which next to nothing lies."""
        reach = 8.0 * self.total_vol
        return float(np.min(self.forward * np.exp(-reach - 0.5 * self.total_vol**2))), float(np.max(self.forward * np.exp(reach)))

    def _d2(self, level: ArrayLike) -> Floats:
        levels = np.asarray(level, dtype=np.float64)[..., None]
        with np.errstate(all="ignore"):
            log = np.log(self.forward / levels)
            # A component without volatility is a point: at a level it is not below it.
            sure = np.where(self.forward < levels, -np.inf, np.inf)
            return np.where(self.total_vol == 0.0, sure, log / self.total_vol - 0.5 * self.total_vol) + 0.0 * self.forward


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A result in money by the price at one time: straight lines between corners, `last_slope` beyond the last. The first corner is 0."""

    price: Floats
    result: Floats
    last_slope: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """What a trade may bring, in chances from 0 to 1 and in money; NaN where unknown.

    `profit`: that it makes money; `max_profit`, `max_loss`: that it makes or loses the most it can, 0 where that has no end or lies at a
    single price; `below`: that the price ends below each break-even; `expected`: mean result; `value_at_risk`: the loss that is exceeded
    with one minus the level; `shortfall`: the mean loss of the worst share of outcomes, one minus the level. Losses are positive; negative
    where even the worst outcomes make money.
    """

    profit: float
    max_profit: float
    max_loss: float
    below: tuple[float, ...]
    expected: float
    value_at_risk: float
    shortfall: float


def lognormal(*, forward: float, t_years: float, vol: float) -> Density:
    """The price at a time, lognormal around its forward with one volatility per year; NaN where an argument is impossible."""
    possible = forward > 0.0 and t_years >= 0.0 and vol >= 0.0 and math.isfinite(forward * t_years * vol)
    mean, total = (forward, vol * math.sqrt(t_years)) if possible else (math.nan, math.nan)
    return Density(forward=np.array([mean]), total_vol=np.array([total]), chance=np.ones(1))


def smile_density(smile: Smile, *, forward: float) -> Density:
    """The price at a smile's expiry as all its quotes have it together."""
    mean = forward if forward > 0.0 and math.isfinite(forward) else math.nan
    return Density(forward=mean * smile.centre, total_vol=smile.width, chance=smile.chance)


def payoff_curve(payoff: Payoff) -> Curve:
    """The result at expiry of legs of one expiry, net cash included."""
    corners = sorted({leg.strike for leg in payoff.legs if leg.strike is not None} | {Decimal(0)})
    return Curve(
        price=np.array([float(each) for each in corners]), result=np.array([float(payoff.at(each)) for each in corners]),
        last_slope=float(sum(leg.units for leg in payoff.legs if leg.kind != "put")),
    )


def value_curve(legs: Legs, density: Density, *, years: float, worth_now: float) -> Curve:
    """The result of legs on one underlying at a time, by its price then: what has expired is settled, the rest is worth its value.

    years: to that time, which the density is of; worth_now: what the legs cost (minus the net cash received for them). Each option keeps
    its own volatility. Two thousand straight lines stand for the curve, with corners at the strikes that have expired. The legs' shares of
    a move are left out: all stand on one price.
    """
    low, high = density.span()
    if not (math.isfinite(low) and math.isfinite(high) and years >= 0.0):
        return Curve(price=np.zeros(1), result=np.full(1, np.nan), last_slope=math.nan)
    strikes = legs.strike[(legs.right != 0.0) & (legs.t_years <= years)]
    price = np.unique(np.concatenate((np.zeros(1), np.geomspace(low, max(high, low * (1.0 + 1e-9)), NODES), strikes)))
    base = float(legs.price[0])
    result = values(legs, listed(spot_move=price / base - 1.0, years=years)).sum(axis=0) - worth_now
    slope = (result[-1] - result[-2]) / (price[-1] - price[-2])
    return Curve(price=price, result=result, last_slope=float(slope))


def odds(payoff: Payoff, density: Density, *, level: float = 0.95) -> Odds:
    """Chances and expectations of legs of one expiry; see `Odds`."""
    pieces = _Pieces.of(payoff_curve(payoff), density)
    at_risk, shortfall = pieces.tail(level)
    return Odds(
        profit=pieces.above(0.0), max_profit=pieces.exactly(payoff.max_profit),
        max_loss=pieces.exactly(None if payoff.max_loss is None else -payoff.max_loss),
        below=tuple(density.below([float(each) for each in payoff.break_evens]).tolist()), expected=pieces.expected(),
        value_at_risk=at_risk, shortfall=shortfall,
    )


def chance_above(curve: Curve, density: Density, result: float = 0.0) -> float:
    """Chance that the result is above an amount of money."""
    return _Pieces.of(curve, density).above(result)


def expected_result(curve: Curve, density: Density) -> float:
    """The mean result in money, net cash without interest."""
    return _Pieces.of(curve, density).expected()


def value_at_risk(curve: Curve, density: Density, *, level: float = 0.95) -> float:
    """The loss, in money and positive, that is exceeded with the chance `1 - level`; NaN for a level that is not between 0 and 1."""
    return _Pieces.of(curve, density).tail(level)[0]


def expected_shortfall(curve: Curve, density: Density, *, level: float = 0.95) -> float:
    """The mean loss, in money and positive, of the worst `1 - level` of outcomes; NaN for a level that is not between 0 and 1.

    By the theorem of R. T. Rockafellar and S. Uryasev ("Optimization of conditional value-at-risk", Journal of Risk 2, 2000): with q the
    quantile of the result at p = 1 - level, it is E[max(q - result, 0)] / p - q, so that an error in q counts only by its square.
    """
    return _Pieces.of(curve, density).tail(level)[1]


def touch_lognormal(*, spot: ArrayLike, level: ArrayLike, forward: ArrayLike, t_years: ArrayLike, vol: ArrayLike) -> Floats:
    """Chance that a price touches a level at some moment before expiry, lognormal with one volatility and a steady drift to its forward.

    spot: price now; level: above or below it; forward: price for delivery at expiry; t_years, vol: as in `core.pricing.bsm.value`.
    Arguments broadcast. Returns 1 where the price stands at the level, NaN where an argument is impossible. The price is watched without
    a break: looked at once a day, the level seems about 0.58 daily deviations further away.
    """
    spots, levels, forwards, years, vols = (np.asarray(each, dtype=np.float64) for each in (spot, level, forward, t_years, vol))
    with np.errstate(all="ignore"):
        possible = (spots > 0.0) & (levels > 0.0) & (forwards > 0.0) & (years >= 0.0) & (vols >= 0.0)
        possible &= np.isfinite(spots * levels * forwards * years * vols)
        total = vols * np.sqrt(years)
        side = np.where(levels >= spots, 1.0, -1.0)
        distance = side * np.log(levels / spots)
        drift = side * (np.log(forwards / spots) - 0.5 * total * total)
        # N(d) + exp(2 drift distance / total^2) N(e), the factors of the second put together: neither can overflow where it counts.
        ends, turned = (drift - distance) / total, (-drift - distance) / total
        mirrored = np.where(
            turned <= 0.0, tail(np.abs(turned)) * np.exp(-0.5 * ends * ends),
            np.exp(2.0 * drift * distance / (total * total)) - tail(np.abs(turned)) * np.exp(-0.5 * ends * ends),
        )
        moving = np.clip(below(ends) + mirrored, 0.0, 1.0)
        straight = np.where(side * np.log(forwards / spots) >= distance, 1.0, 0.0)
        found = np.where(distance == 0.0, 1.0, np.where(total > 0.0, moving, straight))
        return np.where(possible, found, np.nan)


# --- sums over the pieces of a curve -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A curve's straight pieces, and of each the chance that the price lies on it and the price's mean there."""

    curve: Curve
    density: Density
    stop: Floats
    slope: Floats
    chance: Floats
    mean: Floats

    @classmethod
    def of(cls, curve: Curve, density: Density) -> _Pieces:
        edges = np.append(curve.price, np.inf)
        slope = np.append(np.diff(curve.result) / np.diff(curve.price), curve.last_slope)
        return cls(curve, density, edges[1:], slope, np.diff(density.below(edges)), np.diff(density.mean_below(edges)))

    def expected(self) -> float:
        return float(np.sum((self.curve.result - self.slope * self.curve.price) * self.chance + self.slope * self.mean))

    def above(self, amount: float) -> float:
        if np.isnan(self.curve.result).any():
            return math.nan
        return float(np.clip(1.0 - self._at_most(np.array([amount]))[0], 0.0, 1.0))

    def exactly(self, amount: Decimal | None) -> float:
        """Chance of exactly a result, which only flat pieces have; 0 for one without end."""
        if amount is None:
            return 0.0
        return float(np.sum(self.chance[(self.slope == 0.0) & (self.curve.result == float(amount))]))

    def tail(self, level: float) -> tuple[float, float]:
        """Value at risk and expected shortfall."""
        share, (low, high) = 1.0 - level, self.density.span()
        if not (0.0 < share < 1.0 and math.isfinite(low) and math.isfinite(high)) or np.isnan(self.curve.result).any():
            return math.nan, math.nan
        corners = self.curve.result[(self.curve.price >= low) & (self.curve.price <= high)]
        known = np.concatenate((corners, self._results_at(np.array([low, high]))))
        floor, ceiling = float(known.min()), float(known.max())
        for _ in range(ROUNDS):
            ladder = np.linspace(floor, ceiling, LADDER)
            enough = self._at_most(ladder) >= share
            first = int(np.argmax(enough)) if enough.any() else LADDER - 1
            floor, ceiling = float(ladder[max(first - 1, 0)]), float(ladder[first])
        return -ceiling, self._mean_gap(ceiling) / share - ceiling

    def _at_most(self, amount: Floats) -> Floats:
        """Chance that the result is at most each amount."""
        return np.asarray(np.sum(self._under(amount, too=True)[0], axis=-1))

    def _mean_gap(self, amount: float) -> float:
        """The mean of what the result lacks to an amount."""
        chance, mean = self._under(np.array([amount]), too=False)
        return float(np.sum((amount - self.curve.result + self.slope * self.curve.price) * chance - self.slope * mean))

    def _under(self, amount: Floats, *, too: bool) -> tuple[Floats, Floats]:
        """Of each piece (last axis) the chance of the prices at which the result is under each amount, and their mean; too: or there."""
        result, start, stop, slope = self.curve.result, self.curve.price, self.stop, self.slope
        with np.errstate(all="ignore"):
            crossing = np.clip(start + (amount[:, None] - result) / slope, start, stop)
        begins = (result <= amount[:, None]) if too else (result < amount[:, None])
        if too:  # the crossing itself belongs to it, which counts where all lies at one price
            crossing = np.where((slope > 0.0) & begins & (crossing < stop), np.nextafter(crossing, np.inf), crossing)
        low = np.where(slope < 0.0, crossing, start)
        high = np.where(slope > 0.0, np.where(begins, crossing, start), np.where((slope < 0.0) | begins, stop, start))
        whole, cut = (low == start) & (high == stop), (high > low) & ((low > start) | (high < stop))
        chance, mean = np.where(whole, self.chance, 0.0), np.where(whole, self.mean, 0.0)
        chance[cut] = self.density.below(high[cut]) - self.density.below(low[cut])
        mean[cut] = self.density.mean_below(high[cut]) - self.density.mean_below(low[cut])
        return chance, mean

    def _results_at(self, price: Floats) -> Floats:
        place = np.maximum(np.searchsorted(self.curve.price, price, side="right") - 1, 0)
        return np.asarray(self.curve.result[place] + self.slope[place] * (price - self.curve.price[place]))
