"""Greeks of a set of holdings, in money. Opinions: they never enter cash or positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.domain.instruments import Cash, Instrument, InstrumentError, Option, UnderlyingKind
from core.errors import Unavailable
from core.market.view import View
from core.pricing.vix_options import tenor_share

Holdings = Mapping[str, tuple[Instrument, int]]
PERCENT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Portfolio Greeks in money: opinions. None where a held contract has no mark (then the worst is assumed elsewhere)."""

    delta_usd_per_pct: float | None  # gain for +1% of each underlying, beta 1
    gamma_usd_per_pct2: float | None
    theta_usd_per_day: float | None
    vega_usd_per_point: float | None
    unmarked: tuple[str, ...] = ()


def exposure(holdings: Holdings, view: View) -> Exposure:
    """Sum the Greeks of holdings: key -> (instrument, signed contracts or shares).

    Example: short one SPX put of delta -0.20 with SPX at 3,000: -1 x -0.20 x 100 x 3,000 x 1% = +600 USD for +1%. Long one VIX call of
    delta 0.50 on a future of 120 days with VIX at 20: half of the move reaches it, 1 x 0.50 x 0.5 x 100 x 20 x 1% = +5 USD.
    """
    delta = gamma = theta = vega = 0.0
    unmarked: list[str] = []
    for instrument, quantity in holdings.values():
        if isinstance(instrument, Cash):
            continue
        try:
            if not isinstance(instrument, Option):
                delta += quantity * instrument.multiplier * view.mid(instrument) * PERCENT
                continue
            mark, percent = view.mark(instrument), view.spot(instrument.underlying) * PERCENT
        except (Unavailable, InstrumentError):  # InstrumentError: an adjusted series, whose terms are not tabled
            unmarked.append(_name(instrument))
            continue
        if mark.delta is None or mark.gamma is None or mark.theta_per_day is None or mark.vega_per_point is None:
            unmarked.append(_name(instrument))
            continue
        units = quantity * instrument.shares
        percent *= _reach(instrument, mark.t_years)
        delta += units * mark.delta * percent
        gamma += units * mark.gamma * percent * percent
        theta += units * mark.theta_per_day
        vega += units * mark.vega_per_point
    if unmarked:
        return Exposure(
            delta_usd_per_pct=None, gamma_usd_per_pct2=None, theta_usd_per_day=None, vega_usd_per_point=None,
            unmarked=tuple(sorted(unmarked)),
        )
    return Exposure(delta_usd_per_pct=delta, gamma_usd_per_pct2=gamma, theta_usd_per_day=theta, vega_usd_per_point=vega)


def _reach(contract: Option, t_years: float) -> float:
    """How much of a move of its underlying reaches what an option's delta is against: the future of a volatility index moves by less."""
    return float(tenor_share(t_years)) if contract.series.underlying_kind is UnderlyingKind.VOLATILITY_INDEX else 1.0


def _name(instrument: Instrument) -> str:
    return instrument.label if isinstance(instrument, Option) else instrument.key
