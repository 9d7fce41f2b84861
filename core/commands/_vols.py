"""Volatility as a chart: an index of it over a year of closes, what a name realised, and what its options imply for 30 days. Pure.

Implied volatility at the money is read at the forward of the expiries on both sides of 30 days and weighted between them in variance.
Example: 20% for 23 days and 24% for 37 days: (0.0025205 + 0.0058389) / 2 of variance over 30 days is 22.55% a year.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import numpy as np

from core.errors import Unavailable
from core.market.analytics import marks
from core.market.view import View
from core.market.vix import SESSIONS, Standing
from core.reply import Axis, Chart, Fact, Format, Mark, Panel, Series

TARGET_DAYS = 30
WINDOW = 21  # sessions of 30 days, for what was realised
YEAR_SESSIONS, YEAR_DAYS = 252, 365.0
NEAR_MONEY = 0.05
FEWEST = 2
VOL = Axis(label="volatility a year", format=Format.PERCENT)
POINTS = Axis(format=Format.PRICE)


def around(expiries: Sequence[date], today: date) -> tuple[date, ...]:
    """The listed expiries on both sides of 30 days, or the nearest one where all lie on one side; none that ends today."""
    later = sorted(day for day in expiries if (day - today).days > 0)
    under = [day for day in later if (day - today).days <= TARGET_DAYS][-1:]
    over = [day for day in later if (day - today).days > TARGET_DAYS][:1]
    return (*under, *over)


def implied(view: View, symbol: str, days: Sequence[date]) -> float | None:
    """The volatility at the money for 30 days, of the nearest term alone where there is but one; None where quotes give none."""
    terms = [term for day in days if (term := _at_the_money(view, symbol, day)) is not None]
    return between(terms) if terms else None


def between(terms: Sequence[tuple[float, float]]) -> float:
    """Weight terms of (days, volatility) to 30 days in variance; one alone stands for itself."""
    (first, low), (last, high) = terms[0], terms[-1]
    if first == last or not first <= TARGET_DAYS <= last:
        return min(terms, key=lambda term: abs(term[0] - TARGET_DAYS))[1]
    share = (last - TARGET_DAYS) / (last - first)
    return math.sqrt((share * low * low * first + (1.0 - share) * high * high * last) / TARGET_DAYS)


def realised(closes: Sequence[float], *, window: int = WINDOW) -> tuple[float | None, ...]:
    """The volatility a year of the last `window` daily changes at each close, drift left in; None while there are fewer."""
    squares = np.diff(np.log(np.asarray(closes, dtype=np.float64))) ** 2
    sums = np.convolve(squares, np.ones(window), "valid") if len(squares) >= window else np.empty(0)
    found = np.sqrt(sums / window * YEAR_SESSIONS).tolist()
    return (*(None for _ in range(len(closes) - len(found))), *found)


def index_chart(name: str, days: Sequence[date], closes: Sequence[float], *, level: float, standing: Standing | None) -> Chart | None:
    """A year of closes of a volatility index and where it stands among them; None for fewer than two."""
    if len(closes) < FEWEST or standing is None:
        return None
    facts = (
        Fact(label="now", value=level, format=Format.PRICE), Fact(label="percentile", value=standing.percentile, format=Format.PERCENT),
        Fact(label="rank", value=standing.rank, format=Format.PERCENT), Fact(label="lowest", value=min(closes), format=Format.PRICE),
        Fact(label="highest", value=max(closes), format=Format.PRICE),
    )
    line = Series(name=name, x=tuple(days), y=tuple(closes))
    panel = Panel(series=(line,), axis=POINTS, marks=(Mark(label="now", y=level),), title=name)
    title, note = f"{name}, {len(closes)} closes", short_of(len(closes))
    return Chart(title=title, panels=(panel,), axis=Axis(format=Format.DATE), facts=facts, note=note)


def name_chart(
    symbol: str, *, index: tuple[Sequence[date], Sequence[float]], own: tuple[Sequence[date], Sequence[float]], now: float | None
) -> Chart | None:
    """What the options of a name imply now beside what it realised, with the index of its volatility where there is one."""
    shown = realised(own[1])
    lines = [Series(name="realised, 21 sessions", x=tuple(own[0][-SESSIONS:]), y=shown[-SESSIONS:])]
    if index[1]:
        lines.insert(0, Series(name="implied, 30 days (VIX)", x=tuple(index[0]), y=tuple(close / 100.0 for close in index[1])))
    lines = [line for line in lines if sum(y is not None for y in line.y) >= FEWEST]
    if not lines:
        return None
    facts = [Fact(label=f"{line.name.partition(',')[0]}, last close", value=line.y[-1], format=Format.PERCENT) for line in lines]
    facts.append(Fact(label="implied at the money now", value=now, format=Format.PERCENT))
    level = (Mark(label="at the money now", y=now),) if now is not None else ()
    heading = "volatility a year" if len(lines) > 1 else lines[0].name
    panel = Panel(series=tuple(lines), axis=VOL, marks=level, title=heading)
    return Chart(title=f"Volatility of {symbol}", panels=(panel,), axis=Axis(format=Format.DATE), facts=tuple(facts))


def short_of(sessions: int) -> str:
    """What is said where a year is not full."""
    return "" if sessions >= SESSIONS else f"Only {sessions} of {SESSIONS} sessions."


def _at_the_money(view: View, symbol: str, day: date) -> tuple[float, float] | None:
    """Days and volatility of an expiry at its forward, between the strikes around it."""
    try:
        chain = view.chain(symbol).only(expiry=day)
        found = marks(view, chain)
    except Unavailable:
        return None
    good = np.isfinite(found.iv) & np.isfinite(found.forward) & (np.abs(chain.strike / found.forward - 1.0) <= NEAR_MONEY)
    if not good.any():
        return None
    forward, years = float(np.median(found.forward[good])), float(np.median(found.t_years[good]))
    strikes = np.unique(chain.strike[good])
    vols = [float(np.mean(found.iv[good & (chain.strike == strike)])) for strike in strikes]
    return years * YEAR_DAYS, float(np.interp(forward, strikes, vols))
