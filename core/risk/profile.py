"""What holdings are worth, and their Greeks, over prices of what they are on: every underlying moved alike, nothing else changed. Pure.

Volatility stays with the contract (sticky strike), time stands still or runs to an instant. The Greeks are those of
`core.portfolio.exposure`, in the same money, so that at no move they are the book's own.

Worked example: short one put of 95 with three days left, the underlying at 90 when they are over: the put is worth -500 USD to its writer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.domain.instruments import Cash, Exercise, Instrument, InstrumentError, Option, Right, UnderlyingKind
from core.errors import Unavailable
from core.market.view import OptionMark, View
from core.pricing.bsm import DAYS_PER_YEAR
from core.pricing.implied import carry_rates
from core.pricing.scenarios import Legs, greeks, listed, make_legs, values
from core.pricing.vix_options import tenor_share

Holdings = Mapping[str, tuple[Instrument, int]]
Floats = npt.NDArray[np.float64]
PERCENT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Greeks in money over moves of every underlying, as `Exposure` has them: one array each, as long as the moves."""

    moves: Floats
    delta_usd_per_pct: Floats
    gamma_usd_per_pct2: Floats
    theta_usd_per_day: Floats
    vega_usd_per_point: Floats


@dataclass(frozen=True, slots=True)
class _Set:
    """Holdings as legs, with what turns a Greek of each into money."""

    legs: Legs
    spot: Floats  # of the underlying a move is of; a leg's own price may be that of a future
    carry: Floats  # rate less dividend: theta holds the forward



def widest_deviation(options: Sequence[Option], view: View) -> float:
    """The largest standard deviation to expiry that the quotes of options imply, as a fraction of spot; 0 where none gives a volatility."""
    found = [0.0]
    for item in options:
        try:
            mark = view.mark(item)
        except Unavailable:
            continue
        if mark.iv is not None:
            found.append(mark.iv * math.sqrt(max(mark.t_years, 0.0)))
    return max(found)


def worth(holdings: Holdings, view: View, *, moves: Sequence[float], years: float = 0.0) -> Floats:
    """Money that key -> (instrument, signed contracts or shares) are worth after each move, `years` from now.

    A contract that has run out by then is worth its exercise. Raises Unavailable where a price or a volatility is not known.
    """
    return np.asarray(np.sum(values(_set_of(holdings, view).legs, listed(spot_move=moves, years=years)), axis=0))


def profile(holdings: Holdings, view: View, *, moves: Sequence[float]) -> Profile:
    """The Greeks after each move; raise Unavailable where a price or a volatility is not known."""
    found = _set_of(holdings, view)
    made = greeks(found.legs, listed(spot_move=moves))
    option = (found.legs.right != 0.0)[:, None]
    moved = np.asarray(moves, dtype=np.float64)[None, :]
    percent = found.spot[:, None] * (1.0 + moved) * PERCENT * found.legs.spot_share[:, None]
    price = found.legs.price[:, None] * (1.0 + moved * found.legs.spot_share[:, None])
    theta = made.theta_per_day + found.carry[:, None] * price * made.delta / DAYS_PER_YEAR
    return Profile(
        moves=moved[0], delta_usd_per_pct=np.sum(made.delta * percent, axis=0),
        gamma_usd_per_pct2=np.sum(made.gamma * percent * percent, axis=0),
        theta_usd_per_day=np.sum(np.where(option, theta, 0.0), axis=0), vega_usd_per_point=np.sum(made.vega_per_point, axis=0),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """One holding as a leg."""

    right: float
    units: float
    price: float
    strike: float
    t_years: float
    rate: float
    dividend: float
    vol: float
    spot: float
    spot_share: float
    american: bool


def _set_of(holdings: Holdings, view: View) -> _Set:
    held = [pair for pair in holdings.values() if not isinstance(pair[0], Cash)]
    view.mark_all(item for item, _ in held if isinstance(item, Option))
    rows = [_option(item, quantity, view) if isinstance(item, Option) else _other(item, quantity, view) for item, quantity in held]
    rate, dividend = [row.rate for row in rows], [row.dividend for row in rows]
    legs = make_legs(
        right=[row.right for row in rows], units=[row.units for row in rows], price=[row.price for row in rows],
        strike=[row.strike for row in rows], t_years=[row.t_years for row in rows], rate=rate, dividend=dividend,
        vol=[row.vol for row in rows], american=np.array([row.american for row in rows], dtype=np.bool_),
        spot_share=[row.spot_share for row in rows],
    )
    return _Set(legs, np.array([row.spot for row in rows]), np.array(rate) - np.array(dividend))


def _other(item: Instrument, quantity: int, view: View) -> _Row:
    """Shares, or whatever else moves with its own price and nothing else."""
    price, nan = view.mid(item), float("nan")
    return _Row(
        right=0.0, units=float(quantity * item.multiplier), price=price, strike=nan, t_years=nan, rate=0.0, dividend=0.0, vol=nan,
        spot=price, spot_share=1.0, american=False,
    )


def _option(item: Option, quantity: int, view: View) -> _Row:
    try:
        mark, spot, on_future = view.mark(item), view.spot(item.underlying), item.series.underlying_kind is UnderlyingKind.VOLATILITY_INDEX
    except InstrumentError as error:
        raise Unavailable(f"value of {item.label}", why="its terms are not tabled") from error
    if mark.iv is None:
        raise Unavailable(f"volatility of {item.label}", why="its quote gives none")
    rate, dividend = _carry(mark, on_future=on_future)
    return _Row(
        right=1.0 if item.right is Right.CALL else -1.0, units=float(quantity * item.shares),
        price=mark.forward if on_future else mark.spot, strike=float(item.share_strike), t_years=max(mark.t_years, 0.0),
        rate=rate, dividend=dividend, vol=mark.iv, spot=spot, spot_share=float(tenor_share(mark.t_years)) if on_future else 1.0,
        american=item.exercise is Exercise.AMERICAN and rate >= 0.0,  # as its mark was made
    )


def _carry(mark: OptionMark, *, on_future: bool) -> tuple[float, float]:
    """Rate and dividend of a leg; of an option on a future both are the rate; none where no time is left."""
    found = carry_rates(spot=mark.spot, forward=mark.forward, discount=mark.discount, t_years=mark.t_years)
    rate, dividend = (float(each) for each in found)
    if not np.isfinite(rate + dividend):
        return 0.0, 0.0
    return (rate, rate) if on_future else (rate, dividend)
