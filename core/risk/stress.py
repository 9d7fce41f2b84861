"""Stress: the whole book repriced under shocks of price and volatility.

Every option keeps its own implied volatility, moved by the scenario's points scaled to its tenor: a shock of v points moves the
volatility of a T-day option by v x min(1, sqrt(30 / max(T, 30))). Options on VIX instead have their future moved by that. Every
underlying moves alike (beta 1). American options are valued as such: one in the money after the move is worth its exercise at least.

A contract without a volatility is not left out: a short one is assumed to become as dear as `UNKNOWN_VOL` makes it, a long one to
keep nothing but its intrinsic value. Only where the price of an underlying itself is unknown is the result unknown (None).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.domain.calendar import settlement_at, years_to
from core.domain.instruments import Cash, Exercise, Index, Instrument, InstrumentError, Option, Right, UnderlyingKind
from core.errors import Unavailable
from core.market.view import View
from core.pricing import american
from core.pricing.bsm import value_forward
from core.pricing.implied import carry_rates
from core.pricing.vix_options import tenor_share

Holdings = Mapping[str, tuple[Instrument, int]]
Floats = npt.NDArray[np.float64]

POINT = 0.01
# Implied volatility assumed where a quote gives none; VIX has closed at 82.69 at the highest (16 March 2020).
UNKNOWN_VOL = 1.5
VIX = Index(symbol="VIX")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A shock: `spot_move` as a decimal of price, `vol_points` added to a 30-day volatility; None doubles VIX."""

    name: str
    spot_move: float
    vol_points: float | None


SCENARIOS = (
    Scenario(name="-3%, VIX +5", spot_move=-0.03, vol_points=5.0),
    Scenario(name="-5%, VIX +10", spot_move=-0.05, vol_points=10.0),
    Scenario(name="-10%, VIX +20", spot_move=-0.10, vol_points=20.0),
    Scenario(name="-20%, VIX +40", spot_move=-0.20, vol_points=40.0),
    Scenario(name="0%, VIX x2", spot_move=0.0, vol_points=None),
)
CRASH = SCENARIOS[3]  # the one naked capital is measured by


@dataclass(frozen=True, slots=True, kw_only=True)
class StressRow:
    """One scenario's result in money, None where it is unknown."""

    name: str
    spot_move: float
    vol_points: float | None
    pnl_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StressResult:
    """All scenarios. `unmarked` names the contracts whose worst plausible value was used."""

    rows: tuple[StressRow, ...]
    unmarked: tuple[str, ...] = ()

    @property
    def worst(self) -> StressRow | None:
        """The scenario that loses most, None where any is unknown."""
        known = [(row.pnl_usd, row) for row in self.rows if row.pnl_usd is not None]
        return min(known, key=lambda item: item[0])[1] if known and len(known) == len(self.rows) else None

    @property
    def loss_usd(self) -> float | None:
        """The worst scenario's loss as a positive number, 0 where no scenario loses, None where unknown."""
        worst = self.worst
        return None if worst is None or worst.pnl_usd is None else max(0.0, -worst.pnl_usd)


def stress(holdings: Holdings, view: View, *, scenarios: Sequence[Scenario] = SCENARIOS) -> StressResult:
    """Reprice holdings, key -> (instrument, signed contracts or shares), under every scenario at once."""
    total = np.zeros(len(scenarios))
    rows: list[_Priced] = []
    unmarked: list[str] = []
    view.mark_all(item for item, _ in holdings.values() if isinstance(item, Option))
    try:
        for instrument, quantity in holdings.values():
            if isinstance(instrument, Option):
                priced = _priced(instrument, quantity, view)
                rows.append(priced)
                if priced.vol is None:
                    unmarked.append(instrument.label)
            elif not isinstance(instrument, Cash):
                moves = np.array([scenario.spot_move for scenario in scenarios])
                total += quantity * instrument.multiplier * view.mid(instrument) * moves
    except Unavailable:
        total = np.full(len(scenarios), np.nan)
        rows = []
    if rows:
        total = total + _options(rows, scenarios, _vix(view))
    return StressResult(
        rows=tuple(
            StressRow(
                name=scenario.name, spot_move=scenario.spot_move, vol_points=scenario.vol_points,
                pnl_usd=float(pnl) if np.isfinite(pnl) else None,
            )
            for scenario, pnl in zip(scenarios, total, strict=True)
        ),
        unmarked=tuple(sorted(unmarked)),
    )


def repriced(holdings: Holdings, view: View, *, scenarios: Sequence[Scenario]) -> dict[str, Floats]:
    """The price of each option held under every scenario, by key, per share; raise Unavailable without the price of an underlying."""
    options = {key: _priced(item, quantity, view) for key, (item, quantity) in holdings.items() if isinstance(item, Option)}
    if not options:
        return {}
    rows = list(options.values())
    terms = _Terms.of(rows)
    forward, vol = _shocked(rows, terms, scenarios, _vix(view))
    return dict(zip(options, terms.worth(forward=forward, vol=vol), strict=True))


def worst_price(contract: Option, *, short: bool, view: View) -> float:
    """The dearest (short) or cheapest (long) plausible price today of a contract without one; raise Unavailable without an underlying."""
    row = _priced(contract, -1 if short else 1, view)
    terms = _Terms.of([row])
    return float(terms.worth(forward=terms.forward, vol=np.array([[UNKNOWN_VOL if short else 0.0]]))[0, 0])


@dataclass(frozen=True, slots=True)
class _Priced:
    """One option position with what repricing needs; `vol` and `mid` are None where the market does not say."""

    units: float  # signed contracts x what each stands for of the underlying
    right: int
    strike: float
    spot: float
    forward: float
    discount: float
    t_years: float
    vol: float | None
    mid: float | None
    on_vix: bool
    early: bool


@dataclass(frozen=True, slots=True)
class _Terms:
    """What does not change between scenarios, arrays of (positions, 1)."""

    units: Floats
    right: Floats
    strike: Floats
    spot: Floats
    forward: Floats
    discount: Floats
    t_years: Floats
    early: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Sequence[_Priced]) -> _Terms:
        names = ("units", "right", "strike", "spot", "forward", "discount", "t_years", "early")
        return cls(*(np.array([[getattr(row, name)] for row in rows]) for name in names))

    def worth(self, *, forward: Floats, vol: Floats) -> Floats:
        """Value per unit on moved forwards, spots having moved as they did, at volatilities; arrays of (positions, scenarios)."""
        plain = value_forward(
            right=self.right, forward=forward, strike=self.strike, t_years=self.t_years, discount=self.discount, vol=vol
        )
        rate, dividend = carry_rates(spot=self.spot, forward=self.forward, discount=self.discount, t_years=self.t_years)
        rows = np.flatnonzero(self.early & (rate >= 0.0) & np.isfinite(dividend))
        if len(rows):
            right, spot, strike, t_years = (each[rows] for each in (self.right, self.spot, self.strike, self.t_years))
            moved = spot * (forward[rows] / self.forward[rows])
            plain[rows] = american.value(
                right=right, spot=moved, strike=strike, t_years=t_years, rate=rate[rows], dividend=dividend[rows], vol=vol[rows]
            )
        return plain


def _priced(contract: Option, quantity: int, view: View) -> _Priced:
    right = 1 if contract.right is Right.CALL else -1
    units = float(quantity * contract.shares)  # of an adjusted contract each is an option of its own, at what is paid for one share
    on_vix, early = _is_volatility(contract), contract.exercise is Exercise.AMERICAN
    spot, strike = view.spot(contract.underlying), float(contract.share_strike)
    try:
        mark = view.mark(contract)
    except (Unavailable, InstrumentError):
        t_years, mid = _years(contract, view), _mid(contract, view)
        return _Priced(units, right, strike, spot, spot, 1.0, t_years, None, mid, on_vix, early)
    return _Priced(units, right, strike, mark.spot, mark.forward, mark.discount, mark.t_years, mark.iv, mark.mid, on_vix, early)


def _options(rows: Sequence[_Priced], scenarios: Sequence[Scenario], vix: float | None) -> Floats:
    """Profit or loss per scenario over all option rows: arrays of (positions, scenarios)."""
    terms = _Terms.of(rows)
    units, short = terms.units, terms.units < 0
    shocked_forward, shocked_vol = _shocked(rows, terms, scenarios, vix)
    then = terms.worth(forward=shocked_forward, vol=shocked_vol)
    # The price to lose from: the mid, else the cheapest for a short and the dearest for a long.
    bound = terms.worth(forward=terms.forward, vol=np.where(short, 0.0, _vols(rows)))
    mids = np.array([[np.nan if row.mid is None else row.mid] for row in rows])
    now = np.where(np.isnan(mids), bound, mids)
    result: Floats = np.sum(units * (then - now), axis=0)
    return result


def _vols(rows: Sequence[_Priced]) -> Floats:
    return np.array([[UNKNOWN_VOL if row.vol is None else row.vol] for row in rows])


def _shocked(rows: Sequence[_Priced], terms: _Terms, scenarios: Sequence[Scenario], vix: float | None) -> tuple[Floats, Floats]:
    """Forwards and volatilities of all option rows after every scenario: arrays of (positions, scenarios)."""
    forward, t_years = terms.forward, terms.t_years
    known = np.array([[row.vol is not None] for row in rows])
    short, on_vix = terms.units < 0, np.array([[row.on_vix] for row in rows])
    vol = _vols(rows)
    move = np.array([[scenario.spot_move for scenario in scenarios]])
    # "VIX x2" adds the level of VIX itself; where that is unknown every contract's own volatility doubles.
    shift = np.hstack([_shift(scenario, vol=vol, vix=vix) for scenario in scenarios]) * tenor_share(t_years)
    # Neither a volatility nor a future of one falls below nothing.
    shocked_forward = np.where(on_vix, np.maximum(forward + shift / POINT, 0.0), forward * (1.0 + move))
    shocked_vol = np.where(on_vix, vol, np.maximum(vol + shift, 0.0))
    # Without a volatility: a short is repriced at the assumed one, a long at none, which leaves intrinsic value.
    return shocked_forward, np.where(known | short, shocked_vol, 0.0)


def _shift(scenario: Scenario, *, vol: Floats, vix: float | None) -> Floats:
    if scenario.vol_points is not None:
        return np.full_like(vol, scenario.vol_points * POINT)
    return vol.copy() if vix is None else np.full_like(vol, vix * POINT)


def _vix(view: View) -> float | None:
    try:
        return view.spot(VIX.symbol)
    except Unavailable:
        return None


def _mid(contract: Option, view: View) -> float | None:
    try:
        return view.mid(contract) * contract.multiplier / contract.shares
    except Unavailable:
        return None


def _years(contract: Option, view: View) -> float:
    try:
        return years_to(settlement_at(contract.series, contract.expiry), view.at)
    except InstrumentError:
        return years_to(contract.last_trade_at, view.at)


def _is_volatility(contract: Option) -> bool:
    try:
        return contract.series.underlying_kind is UnderlyingKind.VOLATILITY_INDEX
    except InstrumentError:
        return False
