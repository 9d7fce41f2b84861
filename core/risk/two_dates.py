"""What a short option against a longer one of the same right is worth when the short one runs out: an estimate, and a bound. Pure.

The far leg is valued by the model at the volatility its quote implies today, so what can be made is an estimate. What can be lost while
both are held is a bound that needs no model: an American option is worth its exercise at least; a European one at least the forward less
the strike, both discounted from its expiry, which leaves interest (of a put) or dividends (of a call) uncovered.

Worked example: short one 500 call of 30 days, long one 500 call of 60 days for 4.00: no more than 400 can be lost. With a 505 call long
instead, 5 points more can: 900. A European 500 put of 60 days against one of 30 at 4% interest: 500 x (1 - 0.9967) x 100 = 164 more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from core.domain.instruments import Exercise, Option, Right
from core.domain.money import CENT, ZERO, from_market
from core.domain.orders import Leg, Side
from core.errors import Unavailable
from core.market.view import OptionMark, View
from core.pricing import odds
from core.pricing.implied import carry_rates
from core.pricing.scenarios import Legs, make_legs


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two legs: what is sold runs out first."""

    near: Leg
    far: Leg

    @property
    def sold(self) -> Option:
        """The near contract."""
        assert isinstance(self.near.instrument, Option)
        return self.near.instrument

    @property
    def bought(self) -> Option:
        """The far contract."""
        assert isinstance(self.far.instrument, Option)
        return self.far.instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The result when the near leg runs out, in money before commission; opinions, to the cent."""

    max_profit: Decimal
    best_at: Decimal  # the underlying's price it is made at
    break_evens: tuple[Decimal, ...]
    probability_of_profit: float  # risk-neutral


def pair_of(legs: Sequence[Leg]) -> Pair | None:
    """The pair these legs are, None where they are something else."""
    options = [leg.instrument for leg in legs if isinstance(leg.instrument, Option)]
    if len(legs) != 2 or len(options) != 2 or legs[0].ratio != legs[1].ratio:
        return None
    near, far = sorted(legs, key=lambda leg: leg.instrument.expiry if isinstance(leg.instrument, Option) else date.max)
    pair = Pair(near=near, far=far)
    fits = pair.sold.right is pair.bought.right and pair.sold.underlying == pair.bought.underlying and pair.sold.expiry < pair.bought.expiry
    return pair if fits and near.side is Side.SELL and far.side is Side.BUY else None


def most_lost(pair: Pair, view: View, *, quantity: int, net_cash: Decimal) -> Decimal | None:
    """The most that can be lost until the near expiry, filled for `net_cash` (+ received, - paid); None where a price is unknown."""
    try:
        gap = _uncovered(pair, view)
    except Unavailable:
        return None
    units = Decimal(abs(pair.near.contracts(quantity)) * pair.sold.multiplier)
    return max(ZERO, gap * units - net_cash)


def estimate(pair: Pair, view: View, *, quantity: int, net_cash: Decimal) -> Estimate | None:
    """What may be made by the near expiry; None where a quote gives no volatility."""
    try:
        near, far = view.mark(pair.sold), view.mark(pair.bought)
    except Unavailable:
        return None
    if near.iv is None or far.iv is None or near.t_years <= 0.0:
        return None
    density = odds.lognormal(forward=near.forward, t_years=near.t_years, vol=near.iv)
    curve = odds.value_curve(_legs(pair, near, far, quantity), density, years=near.t_years, worth_now=-float(net_cash))
    price, result = curve.price, curve.result
    if not np.isfinite(result).all():
        return None
    best = int(np.argmax(result))
    turns = np.flatnonzero(np.sign(result[:-1]) * np.sign(result[1:]) < 0)
    crossings = price[turns] - result[turns] * (price[turns + 1] - price[turns]) / (result[turns + 1] - result[turns])
    return Estimate(
        max_profit=from_market(float(result[best]), CENT), best_at=from_market(float(price[best]), CENT),
        break_evens=tuple(from_market(float(each), CENT) for each in crossings), probability_of_profit=odds.chance_above(curve, density),
    )


def _uncovered(pair: Pair, view: View) -> Decimal:
    """The most by which what the short leg asks for may exceed what the long one is worth, per share."""
    sold, bought = pair.sold, pair.bought
    call = sold.right is Right.CALL
    if bought.exercise is Exercise.AMERICAN:
        return max(ZERO, bought.strike - sold.strike if call else sold.strike - bought.strike)
    near, far = view.mark(sold), view.mark(bought)
    discount, growth = far.discount / near.discount, far.forward / near.forward
    short, long = float(sold.strike), float(bought.strike) * discount
    if call:  # dividends are taken as the money they are today, wherever the underlying goes
        worst = long + near.spot * max(0.0, 1.0 - discount * growth) - short
    else:
        worst = max(short - long, short - float(bought.strike) / growth)
    return from_market(math.ceil(max(0.0, worst) * 100) / 100, CENT)  # a bound is never rounded down


def _legs(pair: Pair, near: OptionMark, far: OptionMark, quantity: int) -> Legs:
    marks, contracts = (near, far), (pair.sold, pair.bought)
    spot, years = near.spot, [mark.t_years for mark in marks]
    rate, dividend = carry_rates(
        spot=spot, forward=[mark.forward for mark in marks], discount=[mark.discount for mark in marks], t_years=years
    )
    return make_legs(
        right=[1.0 if item.right is Right.CALL else -1.0 for item in contracts], price=spot, t_years=years, rate=rate, dividend=dividend,
        units=[float(leg.contracts(quantity) * item.multiplier) for leg, item in zip((pair.near, pair.far), contracts, strict=True)],
        strike=[float(item.strike) for item in contracts], vol=[mark.iv or 0.0 for mark in marks],
        american=[item.exercise is Exercise.AMERICAN for item in contracts],
    )
