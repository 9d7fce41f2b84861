"""The Greeks of what is held over prices of what it is on, as a chart: each in its own panel, at no move the figures of `greeks`.

Over one underlying the prices are its own; over several every one of them moves alike, as in `greeks`, and the axis is that move.
Example: short one put of 95 at 100 has its most negative gamma near 95, where its delta changes fastest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.domain.instruments import Option
from core.errors import Unavailable
from core.market.view import View
from core.portfolio.pnl import Held
from core.reply import Axis, Chart, Fact, Format, Mark, Panel, Series
from core.risk.measures import underlying_of
from core.risk.profile import profile, widest_deviation

POINTS = 61
WIDEST, LEAST, DEVIATIONS = 0.25, 0.05, 2.0  # of spot on either side: so many standard deviations to the last expiry
NAMES = (
    ("delta", "delta, USD for +1%", "delta_usd_per_pct"), ("gamma", "gamma, USD for a further 1%", "gamma_usd_per_pct2"),
    ("theta", "theta, USD a day", "theta_usd_per_day"), ("vega", "vega, USD a point", "vega_usd_per_point"),
)


def profile_chart(held: Held, view: View, *, where: str) -> Chart | None:
    """The profile of holdings; None where there is no option among them, or a price or volatility of one is not known."""
    options = [item for item, _ in held.values() if isinstance(item, Option)]
    symbols = {underlying_of(item) for item, _ in held.values()}
    if not options:
        return None
    reach = _reach(options, view)
    moves = np.linspace(-reach, reach, POINTS)
    try:
        found = profile(held, view, moves=moves.tolist())
        spot = view.spot(next(iter(symbols))) if len(symbols) == 1 else None
    except Unavailable:
        return None
    xs = tuple(float(move) if spot is None else spot * (1.0 + float(move)) for move in moves)
    now = 0.0 if spot is None else round(spot, 2)
    panels, facts = [], []
    for name, title, field in NAMES:
        ys = [float(each) if math.isfinite(each) else None for each in getattr(found, field)]
        axis = Axis(label=name, format=Format.MONEY, unit="USD", signed=True)
        mark = Mark(label="", x=now)
        panels.append(Panel(series=(Series(name=name, x=xs, y=tuple(ys)),), axis=axis, marks=(mark,), title=title))
        facts.append(Fact(label=name, value=ys[POINTS // 2], format=Format.MONEY, unit="USD", signed=True))
    axis = Axis(label="move of every underlying; dotted: now", format=Format.PERCENT, signed=True) if spot is None else Axis(
        label=f"{next(iter(symbols))}; dotted: now", format=Format.PRICE
    )
    note = f"Now, where nothing moves; drawn to {reach:.0%} either way, today, at unchanged volatility."
    return Chart(title=f"Greeks of {where} over the price", panels=tuple(panels), axis=axis, facts=tuple(facts), note=note)


def _reach(options: Sequence[Option], view: View) -> float:
    return round(min(max(LEAST, DEVIATIONS * widest_deviation(options, view)), WIDEST), 2)
