"""Black-Scholes-Merton on spot and Black-76 on a forward: values and Greeks of European options on whole arrays.

Every argument broadcasts against the others; results are float64 arrays of the common shape (0-d for scalars). Where an input is
NaN or impossible (negative price, time or volatility) the result is NaN; at zero time or zero volatility it is the limit.

One computation serves both rights. With `x = ln(F/K)`, total volatility `s = vol * sqrt(t)`, `h = |x|/s` and `m = s/2`, the
out-of-the-money option is worth `sqrt(F K) * exp(-(h*h + m*m)/2) * (Y(m-h) - Y(-h-m))` undiscounted, `Y(z) = erfcx(-z/sqrt(2))/2`,
and the in-the-money one its intrinsic value more. The tails are never taken as one minus something, so the far wings keep their
relative precision, and put-call parity holds by construction. Where `s` is so small that the difference of the two Y would lose
digits, it is the series of Y around `-h` instead. The form is that of P. Jaeckel, "Let's Be Rational" (2015); the formulas are
those of E. G. Haug, "The Complete Guide to Option Pricing Formulas" (1998), pages 2 to 16, and for vanna and charm of its second
edition (2007), chapter 2.

Where the compiled kernels of `core.pricing.compiled` are ready they do the same arithmetic; the numpy code here is what they must agree
with, and it alone knows the limits, so lanes without time or volatility are always its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.pricing import compiled
from core.pricing.normal import INV_SQRT_2PI, log_ratio, narrow_gap, tail
from core.pricing.normal import Floats as Floats

DAYS_PER_YEAR = 365.0
POINT = 0.01
# Beyond this total volatility (vol * sqrt(t)) an option is worth its upper bound to more than a hundred digits; the cap keeps erfcx finite.
MAX_TOTAL_VOL = 60.0
# Under this total volatility over (1 + h) the difference of the two tails loses two digits and more, and the series has all of them.
NARROW = 2e-2
# The series has every digit while h * m, which is |x| / 2, is under a tenth.
NEAR = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """Value and sensitivities per unit of underlying, arrays of one shape; times the multiplier they are per contract.

    `theta_per_day`: change over one calendar day (1/365 year); `vega_per_point`: per volatility point (0.01);
    `rho_per_point`: per 0.01 of rate; `vanna_per_point`: change of delta per volatility point; `charm_per_day`: change of delta over
    one calendar day. At zero time or zero volatility delta is 0 or 1 in size (one half where forward and strike are equal), and
    gamma, vega and vanna are 0.
    """

    value: Floats
    delta: Floats
    gamma: Floats
    theta_per_day: Floats
    vega_per_point: Floats
    rho_per_point: Floats
    vanna_per_point: Floats
    charm_per_day: Floats


def value(
    *, right: ArrayLike, spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike
) -> Floats:
    """Value European options on a spot price.

    right: +1 call, -1 put, or 'call' / 'put'; spot, strike: price per unit; t_years: to expiry; rate, dividend: continuously
    compounded per year; vol: per year as a decimal. Returns the price per unit of underlying. Raises ValueError for another right.
    Source: Haug (1998), pages 2 to 8, the generalised formula with cost of carry `rate - dividend`.
    """
    found = compiled.european("value", right, (spot, strike, t_years, rate, dividend, vol), on_spot=True)
    if found is None:
        return _worth(_terms(right_signs(right), _on_spot(spot, strike, t_years, rate, dividend, vol)))
    return found.finished(lambda rows: (_worth(_terms(right_signs(rows[0]), _on_spot(*rows[1:]))),))[0]


def value_forward(
    *, right: ArrayLike, forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, discount: ArrayLike, vol: ArrayLike
) -> Floats:
    """Value European options on a forward price (Black-76).

    forward: price per unit for delivery at expiry; discount: present value of 1 at expiry; the rest as in `value`.
    Returns the price per unit of underlying today. Raises ValueError for another right.
    Source: Haug (1998), pages 2 to 8, with a cost of carry of zero.
    """
    found = compiled.european("value", right, (forward, strike, t_years, discount, 0.0, vol), on_spot=False)
    if found is None:
        return _worth(_terms(right_signs(right), _on_forward(forward, strike, t_years, discount, 0.0, vol)))
    return found.finished(lambda rows: (_worth(_terms(right_signs(rows[0]), _on_forward(*rows[1:]))),))[0]


def greeks(
    *, right: ArrayLike, spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike
) -> Greeks:
    """Value European options on a spot price, with Greeks against spot.

    Arguments as in `value`. Theta and charm hold the spot price and the volatility. Raises ValueError for another right.
    Source: Haug (1998), pages 11 to 16; vanna and charm: Haug, second edition (2007), chapter 2.
    """
    found = compiled.european("greeks", right, (spot, strike, t_years, rate, dividend, vol), on_spot=True)
    if found is None:
        return Greeks(**_sensitivities(right_signs(right), _on_spot(spot, strike, t_years, rate, dividend, vol)))
    rows = found.finished(lambda rows: tuple(_sensitivities(right_signs(rows[0]), _on_spot(*rows[1:])).values()))
    return Greeks(**dict(zip(FIELDS, rows, strict=True)))


def greeks_forward(
    *, right: ArrayLike, forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, discount: ArrayLike, vol: ArrayLike
) -> Greeks:
    """Value European options on a forward price, with Greeks against that forward.

    Arguments as in `value_forward`. Delta and gamma are against the forward; theta, rho and charm hold the forward. For Greeks against
    spot where the forward was read from put-call parity, use `greeks` with the rates of `core.pricing.implied.carry_rates`.
    Raises ValueError for another right. Source: Haug (1998), pages 11 to 16, with a cost of carry of zero.
    """
    found = compiled.european("greeks", right, (forward, strike, t_years, discount, 0.0, vol), on_spot=False)
    if found is None:
        return Greeks(**_sensitivities(right_signs(right), _on_forward(forward, strike, t_years, discount, 0.0, vol)))
    rows = found.finished(lambda rows: tuple(_sensitivities(right_signs(rows[0]), _on_forward(*rows[1:])).values()))
    return Greeks(**dict(zip(FIELDS, rows, strict=True)))


FIELDS = ("value", "delta", "gamma", "theta_per_day", "vega_per_point", "rho_per_point", "vanna_per_point", "charm_per_day")


def right_signs(right: ArrayLike) -> NDArray[np.int8]:
    """Return +1 for each call and -1 for each put. Raises ValueError for anything else."""
    rights = np.asarray(right)
    call, put = ("call", "put") if rights.dtype.kind in "UO" else (1, -1)
    calls, puts = np.asarray(rights == call), np.asarray(rights == put)
    wrong = ~(calls | puts)
    if wrong.any():
        raise ValueError(f"right is +1 or 'call', -1 or 'put'; got {rights[wrong].flat[0]!r}")
    return calls.astype(np.int8) - puts.astype(np.int8)


@dataclass(frozen=True, slots=True)
class _Market:
    """What an option is priced on: spot with rates, or a forward, which is a spot whose dividend is the rate (growth of one)."""

    price: Floats
    strike: Floats
    years: Floats
    rate: Floats
    dividend: Floats
    vol: Floats
    discount: Floats
    growth: Floats
    drift: Floats  # ln(growth)
    on_spot: bool


def _on_spot(spot: ArrayLike, strike: ArrayLike, t_years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, vol: ArrayLike) -> _Market:
    years, rates, dividends = _floats(t_years), _floats(rate), _floats(dividend)
    with np.errstate(all="ignore"):
        drift = (rates - dividends) * years
        discount, growth = np.exp(-rates * years), np.exp(drift)
    return _Market(_floats(spot), _floats(strike), years, rates, dividends, _floats(vol), discount, growth, drift, True)


def _on_forward(forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, discount: ArrayLike, unused: object, vol: ArrayLike) -> _Market:
    years, discounts = _floats(t_years), _floats(discount)
    with np.errstate(all="ignore"):
        rate = np.where(years > 0.0, -np.log(discounts) / years, 0.0)
    one, zero = np.float64(1.0), np.float64(0.0)
    return _Market(_floats(forward), _floats(strike), years, rate, rate, _floats(vol), discounts, _floats(one), _floats(zero), False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What a value is made of, undiscounted. `lower` and `upper` are the smaller and the larger of forward and strike."""

    sign: NDArray[np.int8]
    market: _Market
    forward: Floats
    total_vol: Floats
    valid: NDArray[np.bool_]
    lower: Floats
    upper: Floats
    scale: Floats  # sqrt(F K) * exp(-(h*h + m*m)/2)
    high: Floats  # m - h
    near_tail: Floats  # lower * N(-abs(high))
    far_tail: Floats  # upper * N(-h-m)
    d2: Floats
    moneyness: Floats
    worth: Floats

    def known(self, result: Floats) -> Floats:
        """Return `result` with NaN where the inputs allow none."""
        return np.where(self.valid, result, np.nan)


def _terms(sign: NDArray[np.int8], market: _Market) -> _Terms:
    price, strike, years, vol, discount = market.price, market.strike, market.years, market.vol, market.discount
    with np.errstate(all="ignore"):
        forward = price * market.growth
        total = np.abs(np.minimum(vol * np.sqrt(years), MAX_TOTAL_VOL))  # a time of -0.0 is none
        log_moneyness = log_ratio(price, strike) + market.drift
        distance = np.abs(log_moneyness)
        half, h = 0.5 * total, np.where(distance == 0.0, 0.0, distance / total)
        high = half - h
        root = np.sqrt(forward) * np.sqrt(strike)
        fade = np.exp(-0.5 * (h * h + half * half))
        scale = root * fade
        near_tail, far_tail = scale * tail(np.abs(high)), scale * tail(h + half)
        lower, upper = np.minimum(forward, strike), np.maximum(forward, strike)
        gap = np.where(high > 0.0, lower - near_tail, near_tail) - far_tail
        narrow = (total * total < NARROW * (total + distance)) & (distance < NEAR) & (total > 0.0) & (fade > 0.0)
        if narrow.any():
            gap = np.where(narrow, root * fade * narrow_gap(h, half), gap)
        moneyness = sign * (forward - strike)
        possible = (price >= 0.0) & (strike >= 0.0) & (years >= 0.0) & (vol >= 0.0)
        return _Terms(
            sign=sign,
            market=market,
            forward=forward,
            total_vol=total,
            valid=possible & (discount > 0.0) & np.isfinite(discount) & ~np.isnan(distance),
            lower=lower,
            upper=upper,
            scale=scale,
            high=high,
            near_tail=near_tail,
            far_tail=far_tail,
            d2=np.where(log_moneyness < 0.0, -h, h) - half,
            moneyness=moneyness,
            worth=np.maximum(moneyness, 0.0) + np.clip(gap, 0.0, lower),
        )


def _worth(terms: _Terms) -> Floats:
    with np.errstate(all="ignore"):
        return terms.known(terms.market.discount * terms.worth)


def _sensitivities(sign: NDArray[np.int8], market: _Market) -> dict[str, Floats]:
    terms = _terms(sign, market)
    years, vol, discount = market.years, market.vol, market.discount
    with np.errstate(all="ignore"):
        in_asset, in_cash = _chances(terms)
        signed = sign * discount
        asset, cash = signed * terms.forward * in_asset, signed * market.strike * in_cash
        density = discount * terms.scale * INV_SQRT_2PI  # discounted: forward * n(d1) = strike * n(d2)
        root_years, per_price = np.sqrt(years), _share(density, market.price)
        delta = signed * market.growth * in_asset
        worth = discount * terms.worth
        theta = -0.5 * _share(density * vol, root_years) + market.dividend * asset - market.rate * cash
        slide = _share(market.rate - market.dividend, terms.total_vol) - 0.5 * _share(terms.d2, years)
        found = (
            worth,
            delta,
            _share(per_price, market.price * terms.total_vol),
            theta / DAYS_PER_YEAR,
            density * root_years * POINT,
            (cash if market.on_spot else -worth) * years * POINT,
            np.where(per_price == 0.0, 0.0, -per_price * _share(terms.d2, vol)) * POINT,
            (market.dividend * delta - np.where(per_price == 0.0, 0.0, per_price * slide)) / DAYS_PER_YEAR,
        )
        return {name: terms.known(each) for name, each in zip(FIELDS, found, strict=True)}


def _chances(terms: _Terms) -> tuple[Floats, Floats]:
    """Return N(sign * d1) and N(sign * d2)."""
    # The right that is out of the money here has N(high) on what it receives, the lower of asset and cash, and N(-h-m) on the other.
    in_the_money = terms.moneyness > 0.0
    receives_asset = (terms.sign > 0) != in_the_money
    near, far = _share(terms.near_tail, terms.lower), _share(terms.far_tail, terms.upper)
    # The in-the-money right has the complements. Whichever of N(high) and its complement is the tail is never taken as 1 - N.
    beyond = terms.high > 0.0
    own_high = np.where(in_the_money == beyond, near, 1.0 - near)
    own_low = np.where(in_the_money, 1.0 - far, far)
    return np.where(receives_asset, own_high, own_low), np.where(receives_asset, own_low, own_high)


def _share(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, and 0 where whole is 0."""
    return np.where(whole == 0.0, 0.0, part / whole)


def _floats(given: ArrayLike) -> Floats:
    return np.asarray(given, dtype=np.float64)
