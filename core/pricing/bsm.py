"""Black-Scholes-Merton on spot and Black-76 on a forward: values and Greeks of European options on whole arrays.

Every argument broadcasts against the others; results are float64 arrays of the common shape (0-d for scalars). Where an input is
NaN or impossible (negative price, time or volatility) the result is NaN; at zero time or zero volatility it is the limit.

One computation serves both rights. With `x = ln(F/K)`, total volatility `s = vol * sqrt(t)`, `h = -|x|/s` and `m = s/2`, the
out-of-the-money option is worth `sqrt(F K) * exp(-(h*h + m*m)/2) * (Y(h+m) - Y(h-m))` undiscounted, `Y(z) = erfcx(-z/sqrt(2))/2`,
and the in-the-money one its intrinsic value more. The tails are never taken as one minus something, so the far wings keep their
relative precision, and put-call parity holds by construction. The form is that of P. Jaeckel, "Let's Be Rational" (2015); the
formulas are those of E. G. Haug, "The Complete Guide to Option Pricing Formulas" (1998), pages 2 to 16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]

DAYS_PER_YEAR = 365.0
POINT = 0.01
# Beyond this total volatility (vol * sqrt(t)) an option is worth its upper bound to more than a hundred digits; the cap keeps erfcx finite.
MAX_TOTAL_VOL = 60.0
_SQRT_HALF = np.sqrt(0.5)
_INV_SQRT_2PI = 1.0 / np.sqrt(2.0 * np.pi)


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """Value and first sensitivities per unit of underlying, arrays of one shape; times the multiplier they are per contract.

    `theta_per_day`: change over one calendar day (1/365 year); `vega_per_point`: per volatility point (0.01);
    `rho_per_point`: per 0.01 of rate. At zero time or zero volatility delta is 0 or 1 in size (one half where forward and strike
    are equal) and gamma is 0.
    """

    value: Floats
    delta: Floats
    gamma: Floats
    theta_per_day: Floats
    vega_per_point: Floats
    rho_per_point: Floats


def value(
    *, right: ArrayLike, spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike
) -> Floats:
    """Value European options on a spot price.

    right: +1 call, -1 put, or 'call' / 'put'; spot, strike: price per unit; t_years: to expiry; rate, dividend: continuously
    compounded per year; vol: per year as a decimal. Returns the price per unit of underlying. Raises ValueError for another right.
    Source: Haug (1998), pages 2 to 8, the generalised formula with cost of carry `rate - dividend`.
    """
    spots, years, rates, dividends = _floats(spot), _floats(t_years), _floats(rate), _floats(dividend)
    with np.errstate(all="ignore"):
        forward, discount = spots * np.exp((rates - dividends) * years), np.exp(-rates * years)
    return value_forward(right=right, forward=forward, strike=strike, t_years=years, discount=discount, vol=vol)


def value_forward(
    *, right: ArrayLike, forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, discount: ArrayLike, vol: ArrayLike
) -> Floats:
    """Value European options on a forward price (Black-76).

    forward: price per unit for delivery at expiry; discount: present value of 1 at expiry; the rest as in `value`.
    Returns the price per unit of underlying today. Raises ValueError for another right.
    Source: Haug (1998), pages 2 to 8, with a cost of carry of zero.
    """
    terms = _terms(right=right, forward=forward, strike=strike, t_years=t_years, discount=discount, vol=vol)
    return terms.known(terms.discount * terms.worth)


def greeks(
    *, right: ArrayLike, spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike
) -> Greeks:
    """Value European options on a spot price, with Greeks against spot.

    Arguments as in `value`. Theta holds the spot price and the volatility. Raises ValueError for another right.
    Source: Haug (1998), pages 11 to 16.
    """
    spots, years, rates, dividends = _floats(spot), _floats(t_years), _floats(rate), _floats(dividend)
    with np.errstate(all="ignore"):
        growth, discount = np.exp((rates - dividends) * years), np.exp(-rates * years)
        terms = _terms(right=right, forward=spots * growth, strike=strike, t_years=years, discount=discount, vol=vol)
        slopes, signed = _slopes(terms), terms.sign * discount
        asset, cash = signed * terms.forward * slopes.in_asset, signed * terms.strike * slopes.in_cash
        theta = discount * slopes.decay + dividends * asset - rates * cash
        return Greeks(
            value=terms.known(discount * terms.worth),
            delta=terms.known(signed * growth * slopes.in_asset),
            gamma=terms.known(discount * slopes.curvature * growth * growth),
            theta_per_day=terms.known(theta / DAYS_PER_YEAR),
            vega_per_point=terms.known(discount * slopes.density * np.sqrt(years) * POINT),
            rho_per_point=terms.known(cash * years * POINT),
        )


def greeks_forward(
    *, right: ArrayLike, forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, discount: ArrayLike, vol: ArrayLike
) -> Greeks:
    """Value European options on a forward price, with Greeks against that forward.

    Arguments as in `value_forward`. Delta and gamma are against the forward; theta and rho hold the forward. For Greeks against
    spot where the forward was read from put-call parity, use `greeks` with the rates of `core.pricing.implied.carry_rates`.
    Raises ValueError for another right. Source: Haug (1998), pages 11 to 16, with a cost of carry of zero.
    """
    terms = _terms(right=right, forward=forward, strike=strike, t_years=t_years, discount=discount, vol=vol)
    with np.errstate(all="ignore"):
        slopes, worth = _slopes(terms), terms.discount * terms.worth
        rate = np.where(terms.years > 0.0, -np.log(terms.discount) / terms.years, 0.0)
        return Greeks(
            value=terms.known(worth),
            delta=terms.known(terms.sign * terms.discount * slopes.in_asset),
            gamma=terms.known(terms.discount * slopes.curvature),
            theta_per_day=terms.known((terms.discount * slopes.decay + rate * worth) / DAYS_PER_YEAR),
            vega_per_point=terms.known(terms.discount * slopes.density * np.sqrt(terms.years) * POINT),
            rho_per_point=terms.known(-terms.years * worth * POINT),
        )


def right_signs(right: ArrayLike) -> NDArray[np.int8]:
    """Return +1 for each call and -1 for each put. Raises ValueError for anything else."""
    rights = np.asarray(right)
    call, put = ("call", "put") if rights.dtype.kind in "UO" else (1, -1)
    calls, puts = np.asarray(rights == call), np.asarray(rights == put)
    wrong = ~(calls | puts)
    if wrong.any():
        raise ValueError(f"right is +1 or 'call', -1 or 'put'; got {rights[wrong].flat[0]!r}")
    return calls.astype(np.int8) - puts.astype(np.int8)


@cache
def erfcx() -> Callable[[Floats], Floats]:
    """Return the scaled complementary error function; scipy is loaded on first use, since it costs a tenth of a second."""
    from scipy import special

    return cast("Callable[[Floats], Floats]", special.erfcx)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What a value is made of, undiscounted. `high` and `low` are h + m and h - m of the module's text."""

    sign: NDArray[np.int8]
    forward: Floats
    strike: Floats
    years: Floats
    discount: Floats
    vol: Floats
    total_vol: Floats
    valid: NDArray[np.bool_]
    scale: Floats  # sqrt(F K) * exp(-(h*h + m*m)/2)
    high: Floats
    above: Floats  # scale * above = received * N(high)
    below: Floats  # scale * below = given * N(low)
    moneyness: Floats
    worth: Floats

    def known(self, result: Floats) -> Floats:
        """Return `result` with NaN where the inputs allow none."""
        return np.where(self.valid, result, np.nan)


def _terms(*, right: ArrayLike, forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, discount: ArrayLike, vol: ArrayLike) -> _Terms:
    sign, forwards, strikes = right_signs(right), _floats(forward), _floats(strike)
    years, discounts, vols = _floats(t_years), _floats(discount), _floats(vol)
    with np.errstate(all="ignore"):
        total = np.minimum(vols * np.sqrt(years), MAX_TOTAL_VOL)
        distance = np.abs(np.log(forwards / strikes))
        h, half = np.where(distance == 0.0, 0.0, -distance / total), 0.5 * total
        high, low = h + half, h - half
        above, below = 0.5 * erfcx()(-_SQRT_HALF * high), 0.5 * erfcx()(-_SQRT_HALF * low)
        scale = np.sqrt(forwards) * np.sqrt(strikes) * np.exp(-0.5 * (h * h + half * half))
        moneyness = sign * (forwards - strikes)
        time_value = np.clip(scale * (above - below), 0.0, np.minimum(forwards, strikes))
        possible = (forwards >= 0.0) & (strikes >= 0.0) & (years >= 0.0) & (vols >= 0.0)
        return _Terms(
            sign=sign,
            forward=forwards,
            strike=strikes,
            years=years,
            discount=discounts,
            vol=vols,
            total_vol=total,
            valid=possible & (discounts > 0.0) & np.isfinite(discounts) & ~np.isnan(distance),
            scale=scale,
            high=high,
            above=above,
            below=below,
            moneyness=moneyness,
            worth=np.maximum(moneyness, 0.0) + time_value,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slopes:
    """What Greeks are made of, undiscounted, on the option's own side."""

    in_asset: Floats  # N(sign * d1)
    in_cash: Floats  # N(sign * d2)
    density: Floats  # forward * n(d1) = strike * n(d2)
    curvature: Floats  # second derivative against the forward
    decay: Floats  # change per year from the passing of time alone, forward held


def _slopes(terms: _Terms) -> _Slopes:
    in_the_money = terms.moneyness > 0.0
    # The right that is out of the money here has N(high) on what it receives, the asset (call) or the cash (put), N(low) on the other.
    receives_asset = (terms.sign > 0) != in_the_money
    received = np.where(receives_asset, terms.forward, terms.strike)
    given = np.where(receives_asset, terms.strike, terms.forward)
    chance_high, chance_low = _share(terms.scale * terms.above, received), _share(terms.scale * terms.below, given)
    # The in-the-money right has the complements; where N(high) passes one half its complement is summed on its own, not as 1 - N.
    other_tail = _share(terms.scale * 0.5 * erfcx()(np.abs(terms.high) * _SQRT_HALF), received)
    complement = np.where(terms.high > 0.0, other_tail, 1.0 - chance_high)
    own_high = np.where(in_the_money, complement, chance_high)
    own_low = np.where(in_the_money, 1.0 - chance_low, chance_low)
    density = terms.scale * _INV_SQRT_2PI
    return _Slopes(
        in_asset=np.where(receives_asset, own_high, own_low),
        in_cash=np.where(receives_asset, own_low, own_high),
        density=density,
        curvature=_share(density, terms.forward * terms.forward * terms.total_vol),
        decay=-0.5 * _share(density * terms.vol, np.sqrt(terms.years)),
    )


def _share(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, and 0 where whole is 0."""
    return np.where(whole == 0.0, 0.0, part / whole)


def _floats(given: ArrayLike) -> Floats:
    return np.asarray(given, dtype=np.float64)
