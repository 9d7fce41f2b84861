"""What early exercise adds to an option of the simulated market, fast enough for a whole chain.

Puts: the premium of P. Bjerksund and G. Stensland ("Closed-form approximation of American options", Scandinavian Journal of Management 9,
1993), whose one flat boundary is a strategy somebody could follow, so never above the true premium. Calls: F. Black's rule of 1975, the
better of holding to expiry and of exercising at the close before a dividend goes ex. Both are convex in strike, so no butterfly is free,
and a put is never worth more than its call, the strike and the dividends to come let it be.
"""

from __future__ import annotations

import numpy as np

from core.market.providers._sim_noise import Floats
from core.pricing.bsm import value_forward
from core.pricing.normal import below

FAR_OUT, FURTHER = -2.5, -2.0  # standard deviations, and more a year: a put further out of the money has no premium worth a cent
DEEP = 0.75  # standard deviations in the money from which a put's premium takes the smile's volatility there, so that it stays convex
_LEAST_YEARS = 1e-4


def with_put_premium(
    european: Floats, *, spot: float, strike: Floats, forward: Floats, discount: Floats, years: Floats, deviation: Floats, y: Floats
) -> Floats:
    """Values of American puts, given the European ones; `deviation` is the total one to exercise by, `y` the place on the smile."""
    value = np.maximum(european, strike - spot)
    rows = np.flatnonzero((y > FAR_OUT + FURTHER * years) & (years > _LEAST_YEARS) & (discount < 1.0))
    if len(rows):
        early = _flat_put(spot, strike[rows], forward[rows], discount[rows], years[rows], deviation[rows])
        most = european[rows] + strike[rows] * (1.0 - discount[rows])  # of parity: the call, the dividends and the strike, less the spot
        value[rows] = np.maximum(value[rows], np.minimum(early, most))
    return value


def exercised_early(*, forward: Floats, growth: Floats, strike: Floats, deviation: Floats) -> Floats:
    """Calls that are exercised at one instant: European ones of that term, on the spot less the dividends paid until then, grown."""
    even = np.ones(len(strike))
    return np.asarray(value_forward(right=even, forward=forward, strike=strike, t_years=even, discount=even / growth, vol=deviation))


def _flat_put(spot: float, strike: Floats, forward: Floats, discount: Floats, years: Floats, deviation: Floats) -> Floats:
    """American puts on one volatility and a continuous yield that gives the forward; where the formula fails, nothing.

    A put on S struck at K with carry b is a call on K struck at S, with rate r - b and carry -b.
    """
    rate, carry = -np.log(discount) / years, np.log(forward / spot) / years
    with np.errstate(all="ignore"):
        flat = _flat_call(strike, spot, years, rate - carry, -carry, (deviation / np.sqrt(years)) ** 2)
    return np.where(np.isfinite(flat), flat, 0.0)


def _flat_call(spot: Floats, strike: float, years: Floats, rate: Floats, carry: Floats, square: Floats) -> Floats:
    """The call exercised at one level of the spot, however late."""
    drift = carry / square
    beta = 0.5 - drift + np.sqrt((drift - 0.5) ** 2 + 2.0 * rate / square)
    top = beta / (beta - 1.0) * strike
    bottom = np.maximum(strike, np.where(rate > carry, rate / (rate - carry), 1.0) * strike)
    deviation = np.sqrt(square * years)
    trigger = bottom + (top - bottom) * -np.expm1(-(carry * years + 2.0 * deviation) * bottom / (top - bottom))
    common = spot, years, rate, carry, square, trigger
    held = (
        (trigger - strike) * ((spot / trigger) ** beta - _share(beta, trigger, *common) * trigger**-beta)
        + _share(np.ones(1), trigger, *common) - _share(np.ones(1), strike, *common)
        - strike * (_share(np.zeros(1), trigger, *common) - _share(np.zeros(1), strike, *common))
    )
    return np.where(spot >= trigger, spot - strike, held)


def _share(
    power: Floats, level: Floats | float, spot: Floats, years: Floats, rate: Floats, carry: Floats, square: Floats, trigger: Floats
) -> Floats:
    """Value of the spot to a power at expiry where it ends under `level` and never came to the trigger."""
    deviation = np.sqrt(square * years)
    tilt = 2.0 * carry / square + 2.0 * power - 1.0
    reach = -(np.log(spot / level) + (carry + (power - 0.5) * square) * years) / deviation
    factor = np.exp((-rate + power * carry + 0.5 * power * (power - 1.0) * square) * years)
    mirror = np.log(trigger / spot)
    return np.asarray(factor * spot**power * (below(reach) - np.exp(tilt * mirror) * below(reach - 2.0 * mirror / deviation)))
