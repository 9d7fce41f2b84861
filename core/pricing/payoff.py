"""Payoff at expiry of any set of options of one expiry on one underlying, with its shares: exact, in Decimal.

The underlying's price lies anywhere from zero up. Between strikes the payoff is a straight line, so its extremes lie at zero, at a
strike, or beyond the last strike where its slope never ends. Shares count at their price on expiry day; what they cost is part of
the net cash. Legs of several expiries have no payoff at one instant and do not belong here.

Worked example: sell one 95 put, buy one 90 put, 1.20 received per share, multiplier 100. Most that can be made: 120. Most that can
be lost: (95 - 90) * 100 - 120 = 380. Break-even: 95 - 1.20 = 93.80.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Literal

ZERO = Decimal(0)
# Digits carried: products of prices, quantities and multipliers stay exact; only a break-even off the tick grid is rounded.
DIGITS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoffLeg:
    """One leg: `quantity` contracts (long +, short -) of `multiplier` units each; a stock leg has no strike.

    For shares, quantity is the number of shares and multiplier 1.
    """

    kind: Literal["call", "put", "stock"]
    strike: Decimal | None
    quantity: int
    multiplier: Decimal

    def __post_init__(self) -> None:
        if self.kind == "stock":
            if self.strike is not None:
                raise ValueError(f"a stock leg has no strike, got {self.strike}")
        elif self.kind not in ("call", "put"):
            raise ValueError(f"a leg is a call, a put or stock, got {self.kind!r}")
        elif self.strike is None or not self.strike.is_finite() or self.strike <= 0:
            raise ValueError(f"a {self.kind} leg needs a strike above zero, got {self.strike}")
        if self.quantity == 0:
            raise ValueError("a leg needs a quantity other than zero")
        if not self.multiplier.is_finite() or self.multiplier <= 0:
            raise ValueError(f"a multiplier is above zero, got {self.multiplier}")

    @property
    def units(self) -> Decimal:
        """Units of underlying the leg refers to, signed."""
        return self.quantity * self.multiplier

    def worth(self, spot: Decimal) -> Decimal:
        """What the leg is worth at expiry with the underlying at `spot`."""
        if self.strike is None:
            return self.units * spot
        gap = spot - self.strike if self.kind == "call" else self.strike - spot
        return self.units * max(gap, ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payoff:
    """Profit and loss at expiry of the whole position, in money.

    `max_profit`: the most it can make, None where it grows without end; negative for a position that cannot make money.
    `max_loss`: the most it can lose as a positive number, None where it grows without end, 0 for a position that cannot lose.
    `break_evens`: ascending, every price at which the result passes or touches zero; of a stretch at exactly zero, its ends.
    `downside_uncovered`: short puts that neither long puts nor short shares cover. Their loss ends where the underlying is worth
    nothing, so `max_loss` is a number. `upside_uncovered`: the loss grows without end with the underlying (short calls or shares).
    `defined_risk`: neither.
    """

    legs: tuple[PayoffLeg, ...]
    net_cash: Decimal
    max_profit: Decimal | None
    max_loss: Decimal | None
    break_evens: tuple[Decimal, ...]
    downside_uncovered: bool
    upside_uncovered: bool

    @property
    def defined_risk(self) -> bool:
        """Whether every short option is covered on its own side."""
        return not (self.downside_uncovered or self.upside_uncovered)

    def at(self, spot: Decimal) -> Decimal:
        """Profit (+) or loss (-) with the underlying at `spot` at expiry. Raises ValueError for a price below zero."""
        if not spot.is_finite() or spot < 0:
            raise ValueError(f"an underlying's price is zero or more, got {spot}")
        return _result(self.legs, self.net_cash, spot)


def expiry_payoff(legs: Sequence[PayoffLeg], *, net_cash: Decimal) -> Payoff:
    """Work out the payoff at expiry of `legs`, all of one expiry.

    net_cash: money received (+) or paid (-) for the whole position, shares and commissions included as the caller wishes.
    Raises ValueError without legs, or where net_cash is no finite number.
    """
    if not legs:
        raise ValueError("a payoff needs at least one leg")
    if not net_cash.is_finite():
        raise ValueError(f"net cash is a finite amount of money, got {net_cash}")
    own = tuple(legs)
    with localcontext(prec=DIGITS):
        corners = [ZERO, *sorted({leg.strike for leg in own if leg.strike is not None})]
        results = [_result(own, net_cash, corner) for corner in corners]
        last_slope = sum((leg.units for leg in own if leg.kind != "put"), ZERO)
        short_put_units = sum((leg.units for leg in own if leg.kind == "put"), ZERO)
        first_slope = sum((leg.units for leg in own if leg.kind == "stock"), ZERO) - short_put_units
        return Payoff(
            legs=own,
            net_cash=net_cash,
            max_profit=None if last_slope > 0 else max(results),
            max_loss=None if last_slope < 0 else max(-min(results), ZERO),
            break_evens=_break_evens(corners, results, last_slope),
            downside_uncovered=short_put_units < 0 and first_slope > 0,
            upside_uncovered=last_slope < 0,
        )


def probability_of_profit(
    payoff: Payoff, *, forward: float, t_years: float, vol: float | Sequence[float] | Callable[[float], float]
) -> float:
    """Probability that the position ends with a profit, the underlying lognormal around its forward.

    forward: price per unit for delivery at expiry; t_years: to expiry; vol: per year as a decimal, one for all, one per break-even
    in their order, or a function of the strike: with a skew each break-even is judged at its own volatility. Returns a number from
    0 to 1, risk-neutral, not a forecast. Raises ValueError where an argument is no possible one. Source: J. C. Hull, "Options, Futures,
    and Other Derivatives": N(d2) is the probability of ending above a strike.
    """
    if not (math.isfinite(forward) and forward > 0.0 and math.isfinite(t_years) and t_years >= 0.0):
        raise ValueError(f"a forward above zero and a time of zero or more are needed, got {forward} and {t_years}")
    if t_years == 0.0:
        return 1.0 if payoff.at(Decimal(forward)) > 0 else 0.0
    vols = _vols_at(payoff.break_evens, vol)
    edges = [ZERO, *payoff.break_evens]
    totals = [each * math.sqrt(t_years) for each in vols]
    below = [0.0, *(_chance_below(float(edge), forward, each) for edge, each in zip(payoff.break_evens, totals, strict=True))]
    total = 0.0
    for index, start in enumerate(edges):
        last = index + 1 == len(edges)
        inside = start + 1 if last else (start + edges[index + 1]) / 2
        if payoff.at(inside) > 0 and (last or start < edges[index + 1]):
            total += max((1.0 if last else below[index + 1]) - below[index], 0.0)
    return min(total, 1.0)


def _result(legs: Sequence[PayoffLeg], net_cash: Decimal, spot: Decimal) -> Decimal:
    with localcontext(prec=DIGITS):
        return sum((leg.worth(spot) for leg in legs), net_cash)


def _break_evens(corners: list[Decimal], results: list[Decimal], last_slope: Decimal) -> tuple[Decimal, ...]:
    """Return the ends of every stretch, or single point, where the result is zero."""
    found: list[Decimal] = []
    flat_before = True  # nothing lies below zero: a stretch that starts there has no lower end
    for index, (corner, result) in enumerate(zip(corners, results, strict=True)):
        last = index + 1 == len(corners)
        flat_after = result == 0 and (last_slope == 0 if last else results[index + 1] == 0)
        if result == 0 and not (flat_before and flat_after):
            found.append(corner)
        if last and result * last_slope < 0:
            found.append(_rounded(corner - result / last_slope))
        elif not last and result * results[index + 1] < 0:
            found.append(_rounded(corner + (corners[index + 1] - corner) * result / (result - results[index + 1])))
        flat_before = flat_after
    return tuple(found)


def _rounded(price: Decimal) -> Decimal:
    """Return the price with at most 28 digits, so that a third does not print sixty of them."""
    with localcontext(prec=28):
        return +price


def _vols_at(strikes: Sequence[Decimal], vol: float | Sequence[float] | Callable[[float], float]) -> list[float]:
    if callable(vol):
        vols = [vol(float(strike)) for strike in strikes]
    elif isinstance(vol, (int, float)):
        vols = [float(vol)] * len(strikes)
    else:
        vols = [float(each) for each in vol]
    if len(vols) != len(strikes):
        raise ValueError(f"{len(strikes)} break-evens need as many vols, got {len(vols)}")
    for each in vols:
        if not (math.isfinite(each) and each >= 0.0):
            raise ValueError(f"a volatility is a finite number of zero or more, got {each}")
    return vols


def _chance_below(level: float, forward: float, total_vol: float) -> float:
    """Probability of ending below `level`, N(-d2)."""
    if level <= 0.0:
        return 0.0
    if total_vol == 0.0:
        return 1.0 if forward < level else 0.0
    d2 = math.log(forward / level) / total_vol - 0.5 * total_vol
    return 0.5 * math.erfc(d2 / math.sqrt(2.0))
