"""What a set of legs is worth, and how it moves, under scenarios of spot, volatility and time: whole arrays at once.

A leg is an option, European or American, on a stock, an index or a future, or the underlying itself. Each carries its own underlying's
price and carry, so that legs of several expiries and underlyings stand in one set. Scenarios are three arrays that broadcast against each
other: of one length they are a list; with axes of their own (`grid`) they are a grid of spot by volatility by time. Results have the legs
as their first axis and the scenarios' shape after it.

The spot moves at once and stays where it is. A leg that has expired by the scenario's time was settled in cash at that spot: it keeps its
intrinsic value, without interest, and moves with nothing. Shares have received the cash dividends that went ex on the way; a yield is not
paid out. Volatility stays with the contract (sticky strike), never below zero.

Worked example: short 1 put of 95 and long 1 put of 90 for 30 days on a spot of 100 at a volatility of 0.25, multiplier 100, no rates. With
the spot at 92 on the day of expiry the short put is worth 3.00 a share, the long one nothing: the set is worth -300.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.pricing import american, bsm, compiled, dividends
from core.pricing.bsm import FIELDS, Floats, Greeks
from core.pricing.dividends import CashDividend, Model

Shape = tuple[int, ...]
# Values worked out at once: a bound on memory, and for numpy what keeps its arrays in between in the processor's own.
CHUNK, NUMPY_CHUNK = 200_000, 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """Legs as columns of one length; made by `make_legs`, which says what they are."""

    right: Floats
    units: Floats
    price: Floats
    strike: Floats
    t_years: Floats
    rate: Floats
    dividend: Floats
    vol: Floats
    american: NDArray[np.bool_]
    spot_share: Floats
    vol_share: Floats
    paid: tuple[tuple[CashDividend, ...], ...]
    model: Model

    def __len__(self) -> int:
        return len(self.right)

    def part(self, start: int, stop: int) -> Legs:
        """The legs from `start` to `stop`."""
        columns = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "model"}
        return Legs(**{name: column[start:stop] for name, column in columns.items()}, model=self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenarios:
    """Arrays that broadcast against each other.

    `spot_move`: change of price as a decimal (-0.05 is five percent down); `vol_shift`: added to each volatility, as a decimal; `years`:
    from now.
    """

    spot_move: Floats
    vol_shift: Floats
    years: Floats

    @property
    def shape(self) -> Shape:
        """The scenarios' common shape."""
        return np.broadcast_shapes(self.spot_move.shape, self.vol_shift.shape, self.years.shape)


def make_legs(
    *, right: ArrayLike, units: ArrayLike, price: ArrayLike, strike: ArrayLike = math.nan, t_years: ArrayLike = math.nan,
    rate: ArrayLike = 0.0, dividend: ArrayLike = 0.0, vol: ArrayLike = math.nan, american: ArrayLike = False, spot_share: ArrayLike = 1.0,
    vol_share: ArrayLike = 1.0, paid: Sequence[Sequence[CashDividend]] = (), model: Model = "spot",
) -> Legs:
    """Make a set of legs from columns that broadcast against each other.

    right: +1 call, -1 put, 0 the underlying itself; units: signed contracts times the multiplier, or shares; price: of the leg's own
    underlying now; strike, t_years, vol: as in `core.pricing.bsm.value`, unused for the underlying; rate, dividend: continuous per year.
    For an option on a future (Black-76) the price is the future's and the dividend is the rate; for a European option whose forward and
    discount are known, the price is the forward, the rate -ln(discount) / t_years, the dividend the rate. american: whether it may be
    exercised early. spot_share, vol_share: how much of a scenario's move and shift reach the leg (a beta, a share by tenor). paid: for
    each leg the cash dividends of its underlying, or nothing for any; model: of `core.pricing.dividends`, for legs with dividends to come.

    Returns the columns; what is impossible is worth NaN later. Raises ValueError for another right, for columns that do not fit each other,
    and for dividends of another number of legs.
    """
    given = (right, units, price, strike, t_years, rate, dividend, vol, spot_share, vol_share)
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in given), np.atleast_1d(american))
    if columns[0].ndim > 1:
        raise ValueError(f"a set of legs is one row of them, got the shape {columns[0].shape}")
    if not np.isin(columns[0], (-1.0, 0.0, 1.0)).all():
        raise ValueError(f"right is +1 for a call, -1 for a put, 0 for the underlying, got {columns[0].tolist()}")
    if len(paid) not in (0, len(columns[0])):
        raise ValueError(f"{len(columns[0])} legs need as many lists of dividends, got {len(paid)}")
    names = ("right", "units", "price", "strike", "t_years", "rate", "dividend", "vol", "spot_share", "vol_share")
    whole = {name: np.ascontiguousarray(column, dtype=np.float64) for name, column in zip(names, columns[:-1], strict=True)}
    schedules = tuple(tuple(each) for each in paid) or ((),) * len(columns[0])
    return Legs(**whole, american=np.array(columns[-1], dtype=np.bool_), paid=schedules, model=model)


def listed(*, spot_move: ArrayLike = 0.0, vol_shift: ArrayLike = 0.0, years: ArrayLike = 0.0) -> Scenarios:
    """A list of scenarios, as arrays of one length or single numbers for all of them; see `Scenarios`."""
    moves, shifts, times = (np.asarray(each, dtype=np.float64) for each in (spot_move, vol_shift, years))
    return Scenarios(spot_move=moves, vol_shift=shifts, years=times)


def grid(*, spot_move: ArrayLike = 0.0, vol_shift: ArrayLike = 0.0, years: ArrayLike = 0.0) -> Scenarios:
    """Every combination of three one-dimensional arrays; results have the axes (legs, spot, volatility, time)."""
    moves, shifts, times = (np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in (spot_move, vol_shift, years))
    return Scenarios(spot_move=moves[:, None, None], vol_shift=shifts[:, None], years=times)


def values(legs: Legs, scenarios: Scenarios) -> Floats:
    """Value every leg in every scenario.

    Returns money (price times units) of the shape (legs, *scenarios), NaN where an input is impossible or unknown.
    """
    return np.asarray(_rows(legs, scenarios, ("value",))[0])


def greeks(legs: Legs, scenarios: Scenarios) -> Greeks:
    """Value every leg in every scenario, with Greeks in the units of `core.pricing.bsm.Greeks`, times the leg's units.

    Returns arrays of the shape (legs, *scenarios); delta and gamma are against the leg's own underlying in the scenario. A leg that has
    expired by then has a value and nothing else.
    """
    return Greeks(**dict(zip(FIELDS, _rows(legs, scenarios, FIELDS), strict=True)))


def profits(legs: Legs, scenarios: Scenarios, *, worth_now: ArrayLike | None = None) -> Floats:
    """Profit (+) or loss (-) of the whole set in every scenario, in money.

    worth_now: what the profit is counted from, in all or one amount a leg: what the legs are worth at market, or minus the net cash that
    was received for them; without it, the legs' own value now. Returns the scenarios' shape, NaN where any leg's value is.
    """
    now = np.sum(values(legs, listed())) if worth_now is None else np.sum(np.asarray(worth_now, dtype=np.float64))
    then = np.zeros(scenarios.shape)
    with np.errstate(all="ignore"):
        for start, stop in _parts(legs, scenarios):
            then += np.tensordot(legs.units[start:stop], _run(legs.part(start, stop), scenarios, ("value",))[0], axes=1)
        return np.asarray(then - now)


# --- one kind of leg after the other -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Terms:
    """Arguments of the legs of one kind under all scenarios, each of the shape (legs, *scenarios), or one where it does not change."""

    right: Floats
    spot: Floats
    strike: Floats
    t_years: Floats
    rate: Floats
    dividend: Floats
    vol: Floats

    def named(self) -> dict[str, Floats]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


def _parts(legs: Legs, scenarios: Scenarios) -> list[tuple[int, int]]:
    step = max(1, CHUNK // max(math.prod(scenarios.shape), 1))
    return [(start, min(start + step, len(legs))) for start in range(0, max(len(legs), 1), step)]


def _rows(legs: Legs, scenarios: Scenarios, names: Sequence[str]) -> Floats:
    parts = []
    with np.errstate(all="ignore"):
        for start, stop in _parts(legs, scenarios):
            part = legs.part(start, stop)
            found = _run(part, scenarios, names)
            found *= _column(part.units, scenarios)  # in place: fresh memory costs as much as the work
            parts.append(found)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _run(legs: Legs, scenarios: Scenarios, names: Sequence[str]) -> Floats:
    """One row a name, value first, per unit, of the shape (names, legs, *scenarios)."""
    to_come = np.array([any(day.t_years > 0.0 and day.amount > 0.0 for day in each) for each in legs.paid], dtype=np.bool_)
    options = legs.right != 0.0
    cash, early = options & to_come, options & legs.american & ~to_come
    plain = options & ~early & ~cash
    if plain.all():
        result = _european(_terms(legs, scenarios), names, len(legs), scenarios.shape)
    else:
        result = np.full((len(names), len(legs), *scenarios.shape), np.nan)
        for place, work in ((plain, _european), (early, _american)):
            chosen = np.flatnonzero(place)
            if len(chosen):
                result[:, chosen] = work(_terms(legs, scenarios, chosen), names, len(chosen), scenarios.shape)
        for leg in np.flatnonzero(cash):
            result[:, leg] = _with_cash(legs, scenarios, int(leg), names)
        for leg in np.flatnonzero(~options):
            result[:, leg] = _underlying(legs, scenarios, int(leg), names)
    if len(names) > 1:
        over = (_column(legs.t_years, scenarios) <= scenarios.years) & _column(options, scenarios)
        result[1:] = np.where(over & ~np.isnan(result[0]), 0.0, result[1:])
    return result


def _column(each: NDArray[Any], scenarios: Scenarios) -> NDArray[Any]:
    return each.reshape(len(each), *(1,) * len(scenarios.shape))


def _terms(legs: Legs, scenarios: Scenarios, place: NDArray[np.intp] | slice = slice(None)) -> _Terms:
    def column(each: Floats) -> Floats:
        chosen = each[place]
        alike = len(chosen) > 0 and bool((chosen == chosen[0]).all())  # one for all keeps what follows small
        return _column(chosen[:1] if alike else chosen, scenarios)

    moved = column(legs.price) * (1.0 + scenarios.spot_move * column(legs.spot_share))
    left = np.maximum(column(legs.t_years) - scenarios.years, 0.0)
    vol = np.asarray(column(legs.vol) + scenarios.vol_shift * column(legs.vol_share))
    np.maximum(vol, 0.0, out=vol)
    if not (scenarios.years >= 0.0).all():  # nobody goes back in time
        left = np.where(scenarios.years >= 0.0, left, np.nan)
    if np.isnan(vol).any():  # an option without time needs none
        vol = np.where(np.isnan(vol) & (left == 0.0), 0.0, vol)
    return _Terms(column(legs.right), moved, column(legs.strike), left, column(legs.rate), column(legs.dividend), vol)


def _european(terms: _Terms, names: Sequence[str], legs: int, shape: Shape) -> Floats:
    flat = {name: _flat(each, shape) for name, each in terms.named().items()}
    size = math.prod(shape)
    step = max(legs, 1) if compiled.ready() else max(1, NUMPY_CHUNK // max(size, 1))
    if len(names) == 1 and step >= legs:
        worth = bsm.value(**flat)
        return (worth if worth.shape == (legs, size) else np.broadcast_to(worth, (legs, size)).copy()).reshape(1, legs, *shape)
    found = np.empty((len(names), legs, size))
    for start in range(0, legs, step):
        part = {name: each if len(each) == 1 else each[start : start + step] for name, each in flat.items()}
        if len(names) == 1:
            found[0, start : start + step] = bsm.value(**part)
        else:
            made = bsm.greeks(**part)
            found[:, start : start + step] = [getattr(made, name) for name in names]
    return found.reshape(len(names), legs, *shape)


def _flat(each: Floats, shape: Shape) -> Floats:
    """(legs, scenarios), with one where nothing changes between legs or between scenarios."""
    if math.prod(each.shape[1:]) == 1:
        return each.reshape(each.shape[0], 1)
    return np.broadcast_to(each, (each.shape[0], *shape)).reshape(each.shape[0], math.prod(shape))


def _american(terms: _Terms, names: Sequence[str], legs: int, shape: Shape) -> Floats:
    """The axes along which nothing but the spot moves go last: along them one exercise boundary serves all."""
    shape = (legs, *shape)
    if not math.prod(shape):
        return np.empty((len(names), *shape))
    apart = [axis for axis in range(1, len(shape)) if max(terms.vol.shape[axis], terms.t_years.shape[axis]) == 1]
    own = [axis for axis in range(len(shape)) if axis not in apart]
    order, m = (*own, *apart), math.prod(shape[axis] for axis in apart)
    spots = np.broadcast_to(terms.spot, shape).transpose(order).reshape(-1, m)
    whole = tuple(shape[axis] if axis in own else 1 for axis in range(len(shape)))
    others = {name: np.broadcast_to(each, whole).reshape(-1) for name, each in terms.named().items() if name != "spot"}
    if len(names) == 1:
        found = american.value_over_spots(spots=spots, **others)[None]
    else:
        made = american.greeks_over_spots(spots=spots, **others)
        found = np.array([getattr(made, name) for name in names])
    back = np.argsort(order)
    return found.reshape(len(names), *(shape[axis] for axis in order)).transpose(0, *(1 + back))


def _with_cash(legs: Legs, scenarios: Scenarios, leg: int, names: Sequence[str]) -> Floats:
    """An option over cash dividends: at each time of the scenarios those still to come."""
    shape = scenarios.shape
    terms = {name: np.broadcast_to(each[0], shape) for name, each in _terms(legs, scenarios, np.array([leg])).named().items()}
    terms["dividend_yield"] = terms.pop("dividend")
    years, result = np.broadcast_to(scenarios.years, shape), np.full((len(names), *shape), np.nan)
    for moment in np.unique(years[np.isfinite(years)]):
        at = years == moment
        part = {name: each[at] for name, each in terms.items()}
        left = tuple(CashDividend(t_years=each.t_years - moment, amount=each.amount) for each in legs.paid[leg] if each.t_years > moment)
        american_style = bool(legs.american[leg])
        if len(names) == 1:
            result[0, at] = dividends.value(**part, dividends=left, model=legs.model, american=american_style)
        else:
            found = dividends.greeks(**part, dividends=left, model=legs.model, american=american_style)
            result[:, at] = [getattr(found, name) for name in names]
    return result


def _underlying(legs: Legs, scenarios: Scenarios, leg: int, names: Sequence[str]) -> Floats:
    """Shares or a future: the price, and the cash dividends that have gone ex."""
    result = np.zeros((len(names), *scenarios.shape))
    spot = legs.price[leg] * (1.0 + scenarios.spot_move * legs.spot_share[leg])
    received = np.zeros_like(scenarios.years)
    for each in legs.paid[leg]:
        received = received + np.where((each.t_years > 0.0) & (each.t_years <= scenarios.years), each.amount, 0.0)
    result[0] = np.where((spot >= 0.0) & (scenarios.years >= 0.0), spot, np.nan) + received + 0.0 * scenarios.vol_shift
    if len(names) > 1:
        result[1] = np.where(np.isnan(result[0]), np.nan, 1.0)
    return result
