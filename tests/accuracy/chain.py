"""The SPX chain of 2019: vols and deltas against the vendor's, put-call parity, smiles, and VIX recomputed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from core.domain.calendar import session, settlement_at, years_to
from core.domain.instruments import series_of
from core.domain.sessions import is_session
from core.pricing import bsm, implied, surface, variance_index
from tests.accuracy.report import Section

CHAIN = "spx_spxw_chain_2019-04-25_2019-07-22.csv.xz"
VIX = "vix_daily_1990-01-02_2026-07-23.csv.xz"
SNAPSHOT = timedelta(minutes=15)  # before the close
DTES = ((0, 0), (1, 1), (2, 7), (8, 30), (31, 90), (91, 365), (366, 2000))
PLACES = (("puts under 85 %", 0.0, 0.85), ("85 to 95 %", 0.85, 0.95), ("95 to 98 %", 0.95, 0.98), ("98 to 102 %", 0.98, 1.02),
          ("102 to 105 %", 1.02, 1.05), ("calls over 105 %", 1.05, 99.0))
FLAT_DAYS = (20.0, 400.0)  # terms whose parity says something about the rate


@dataclass(frozen=True)
class Series:
    """One expiry of one root on one day: a row a strike, bids and asks of both rights, and the vendor's numbers."""

    day: date
    root: str
    expiry: date
    spot: float
    t_years: float
    strike: np.ndarray
    bid: dict[int, np.ndarray]
    ask: dict[int, np.ndarray]
    vol: dict[int, np.ndarray]
    delta: dict[int, np.ndarray]

    def mid(self, right: int) -> np.ndarray:
        """Mids where there are two sides that make sense."""
        bid, ask = self.bid[right], self.ask[right]
        return np.where((bid > 0.0) & (ask >= bid), 0.5 * (bid + ask), np.nan)


@dataclass(frozen=True)
class Day:
    """All series of a day, with the one rate that parity of its middle terms implies."""

    day: date
    at: datetime
    series: tuple[Series, ...]
    rate: float


def read(folder: Path) -> list[Day]:
    """Read the chain by day; days the vendor repeated from the day before are left out."""
    table = pd.read_csv(folder / CHAIN)
    days = []
    for text, rows in table.groupby("quote_date", sort=True):
        day = date.fromisoformat(str(text))
        hours = session(day)
        if hours is None:
            continue
        at = hours.close_at - SNAPSHOT
        series = tuple(_series(day, at, rows))
        days.append(Day(day, at, series, _rate(series)))
    return days


def _series(day: date, at: datetime, rows: pd.DataFrame) -> Iterator[Series]:
    for (root, text), part in rows.groupby(["root", "expiration"], sort=True):
        expiry = date.fromisoformat(str(text))
        t_years = years_to(settlement_at(series_of(str(root)), expiry), at)
        if t_years <= 0.0:
            continue
        sides = {right: part[part["type"] == name].set_index("strike") for right, name in ((1, "call"), (-1, "put"))}
        strikes = np.union1d(sides[1].index, sides[-1].index)
        columns = {
            name: {right: side[name].reindex(strikes).to_numpy(dtype=np.float64) for right, side in sides.items()}
            for name in ("bid", "ask", "implied_vol", "delta")
        }
        yield Series(day, str(root), expiry, float(part["underlying_last"].iloc[0]), t_years, strikes, columns["bid"], columns["ask"],
                     columns["implied_vol"], columns["delta"])


def _rate(series: Sequence[Series]) -> float:
    found = []
    for each in series:
        if FLAT_DAYS[0] < each.t_years * 365 < FLAT_DAYS[1]:
            parity = implied.forward_discount(strike=each.strike, call_mid=each.mid(1), put_mid=each.mid(-1))
            if parity is not None:
                found.append(-math.log(parity[1]) / each.t_years)
    return float(np.median(found))


def sections(days: Sequence[Day], folder: Path) -> list[Section]:
    """Everything measured on this chain."""
    return [*_vendor(days), _parity(days), *_smiles(days), _vix(days, folder)]


def _forward(day: Day, each: Series) -> tuple[float, float] | None:
    return implied.forward_discount(
        strike=each.strike, call_mid=each.mid(1), put_mid=each.mid(-1), discount=math.exp(-day.rate * each.t_years)
    )


def _vendor(days: Sequence[Day]) -> list[Section]:
    rows: list[tuple[np.ndarray, ...]] = []
    last_days: list[np.ndarray] = []  # of each day: the vendor's vols over ours on what expires within minutes
    quotes = without = 0
    for day in days:
        for each in day.series:
            parity = _forward(day, each)
            if parity is None:
                continue
            for right in (1, -1):
                mid = each.mid(right)
                quoted = np.isfinite(mid)
                outside = right * (each.strike - parity[0]) >= 0.0
                terms = {"right": right, "forward": parity[0], "strike": each.strike, "t_years": each.t_years, "discount": parity[1]}
                vol = implied.implied_vol(price=mid, **terms)
                delta = bsm.greeks_forward(vol=vol, **terms).delta * parity[0] / each.spot
                quotes, without = quotes + int(np.sum(quoted & outside)), without + int(np.sum(quoted & outside & np.isnan(vol)))
                seen = np.isfinite(vol) & (each.vol[right] > 0.0) & outside & (mid >= 0.05)
                days_left = np.full(int(seen.sum()), (each.expiry - each.day).days)
                if each.expiry == each.day and seen.any():
                    last_days.append(each.vol[right][seen] / vol[seen])
                found = (each.strike / parity[0], vol, each.vol[right], delta, each.delta[right])
                rows.append((days_left, *(column[seen] for column in found)))
    dte, place, vol, vendor_vol, delta, vendor_delta = (np.concatenate(column) for column in zip(*rows, strict=True))
    text = (
        f"SPX and SPXW, {len(days)} days from {days[0].day} to {days[-1].day}, out-of-the-money quotes with a bid and a mid of 0.05 and "
        f"more: {len(vol):,} compared. Our forward comes from put-call parity with one rate a day. Of {quotes:,} out-of-the-money quotes "
        f"with a bid, {without:,} give no volatility. Each cell: median and 95th percentile of the absolute difference"
    )
    gap, delta_gap = np.abs(vol - vendor_vol), np.abs(delta - vendor_delta)
    return [
        Section(title="Volatility against the vendor's", text=f"{text}, in points of volatility (100 = 100 % a year).",
                columns=_heads(), rows=_cells(dte, place, 100.0 * gap, "{:.2f}")),
        Section(title="Delta against the vendor's", text="The same quotes; absolute difference of delta.", columns=_heads(),
                rows=_cells(dte, place, delta_gap, "{:.4f}")),
        _last_day(last_days),
    ]


def _last_day(ratios: Sequence[np.ndarray]) -> Section:
    """What the vendor takes for the time left on the last day, as its vols say it: one factor a day for all strikes is a time."""
    hours = np.array([SNAPSHOT.total_seconds() / 3600.0 / float(np.median(each)) ** 2 for each in ratios])
    within = np.median([float(np.std(each) / np.median(each)) for each in ratios])
    early = hours > 2.0
    text = (
        f"On what expires that day the vendor's volatilities are ours times one factor for all strikes of a side (it varies by "
        f"{100 * within:.1f} % within a day, median), and the deltas agree: it counts more time than the quarter of an hour that was left. "
        f"Its factors mean {np.median(hours[early]):.1f} hours on {early.sum()} of {len(hours)} sides of a day, the earlier ones, and "
        f"{np.median(hours[~early]):.1f} on the others. Which is right the quotes cannot say; the price is the same."
    )
    return Section(title="Volatility on the last day", text=text)


def _heads() -> list[str]:
    return ["strike / forward", *(f"{_span(*band)} day{'' if band == (1, 1) else 's'}" for band in DTES)]


def _span(low: int, high: int) -> str:
    return f"{low} to {high}" if low < high else str(low)


def _cells(dte: np.ndarray, place: np.ndarray, gap: np.ndarray, form: str) -> list[list[str]]:
    rows = []
    for name, low, high in PLACES:
        cells = [name]
        for first, last in DTES:
            here = gap[(dte >= first) & (dte <= last) & (place >= low) & (place < high)]
            cells.append("" if len(here) < 20 else f"{form.format(np.median(here))} / {form.format(np.quantile(here, 0.95))}")
        rows.append(cells)
    return rows


def _parity(days: Sequence[Day]) -> Section:
    """How far call - put stands off the line, in index points and in units of its own bid-ask width."""
    rows = []
    for first, last in DTES:
        gaps, widths = [], []
        for day in days:
            for each in day.series:
                parity = _forward(day, each) if first <= (each.expiry - each.day).days <= last else None
                if parity is None:
                    continue
                near = np.abs(each.strike / parity[0] - 1.0) < 0.05
                gap = each.mid(1) - each.mid(-1) - parity[1] * (parity[0] - each.strike)
                width = 0.5 * (each.ask[1] - each.bid[1] + each.ask[-1] - each.bid[-1])
                seen = near & np.isfinite(gap) & (width > 0.0)
                gaps.append(np.abs(gap[seen]))
                widths.append(width[seen])
        gap, width = np.concatenate(gaps), np.concatenate(widths)
        inside = 100.0 * np.mean(gap <= width)
        rows.append([
            _span(first, last), f"{len(gap):,}", f"{np.median(gap):.3f}", f"{np.quantile(gap, 0.95):.3f}", f"{inside:.1f} %",
        ])
    text = (
        "Strikes within 5 % of the forward: |call - put - discount x (forward - strike)| at mids, in index points. "
        "The last column: how many stand off by no more than half the bid-ask widths of the two together."
    )
    columns = ["days", "pairs", "median", "95th percentile", "inside the spread"]
    return Section(title="Put-call parity", text=text, columns=columns, rows=rows)


def _smiles(days: Sequence[Day]) -> list[Section]:
    every = days[:: max(1, len(days) // 12)]
    found: dict[tuple[int, int], list[tuple[float, float]]] = {each: [] for each in DTES}
    pairs = lifted = 0
    worst = 0.0
    for day in every:
        smiles: list[surface.Smile] = []
        for each in sorted((each for each in day.series if each.root == "SPXW"), key=lambda each: each.t_years):
            smile, inside = smile_of(day, each)
            if smile is None:
                continue
            smiles.append(smile)
            days_left = (each.expiry - each.day).days
            found[next(one for one in DTES if one[0] <= days_left <= one[1])].append((smile.misfit, inside))
        made = surface.make_surface(smiles)
        k = np.linspace(-0.3, 0.1, 81)
        gaps = made.calendar_gaps(k)
        pairs, lifted = pairs + gaps.size, lifted + int(np.sum(gaps < -surface.TOLERANCE))
        worst = min(worst, float(gaps.min()) * day.series[0].spot)
    rows = []
    for band, each in found.items():
        if each:
            misfit, inside = (np.array(column) for column in zip(*each, strict=True))
            rows.append([
                _span(*band), str(len(each)), f"{100 * np.median(misfit):.2f}", f"{100 * np.quantile(misfit, 0.95):.2f}",
                f"{100 * np.median(inside):.0f} %",
            ])
    text = (
        f"SPXW smiles of {len(every)} days. Misfit: weighted root mean square in points of volatility. Inside: share of quotes whose "
        f"fitted volatility lies between those of bid and ask. A smile has no butterfly arbitrage by its form; of {pairs:,} places from "
        f"30 % under to 10 % over the forward, {100 * lifted / pairs:.1f} % lay under an earlier expiry and were lifted, the furthest by "
        f"{-worst:.2f} index points."
    )
    columns = ["days", "smiles", "misfit, median", "95th percentile", "inside, median"]
    return [Section(title="Smiles", text=text, columns=columns, rows=rows)]


def smile_of(day: Day, each: Series) -> tuple[surface.Smile | None, float]:
    """Fit the out-of-the-money quotes of a series; also the share of quotes that the fit lies inside of."""
    parity = _forward(day, each)
    if parity is None:
        return None, math.nan
    side = np.where(each.strike >= parity[0], 1, -1)
    bid, ask = np.where(side > 0, each.bid[1], each.bid[-1]), np.where(side > 0, each.ask[1], each.ask[-1])
    terms = {"right": side, "forward": parity[0], "strike": each.strike, "t_years": each.t_years, "discount": parity[1]}
    low, high = implied.implied_vol(price=bid, **terms), implied.implied_vol(price=ask, **terms)
    middle = implied.implied_vol(price=0.5 * (bid + ask), **terms)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where((high - low > 0.0) & (bid >= 0.05), 1.0 / np.maximum(high - low, 1e-3), np.nan)
    k = np.log(each.strike / parity[0])
    smile = surface.fit_smile(k=k, vol=middle, t_years=each.t_years, weight=weight)
    if smile is None:
        return None, math.nan
    used = np.isfinite(weight) & np.isfinite(middle)
    fitted = smile.vol(k[used])
    return smile, float(np.mean((fitted >= low[used] - 1e-9) & (fitted <= high[used] + 1e-9)))


def vix_level(day: Day) -> float | None:
    """VIX from the day's chain: Friday expiries, the monthly ones of the AM-settled root."""
    found = []
    for each in day.series:
        monthly = 15 <= _friday(each.expiry).day <= 21
        friday = each.expiry.weekday() == 4 or (each.expiry.weekday() == 3 and not is_session(each.expiry + timedelta(days=1)))
        if friday and each.root == ("SPX" if monthly else "SPXW"):
            strip = variance_index.expiry_variance(
                strike=each.strike, call_bid=each.bid[1], call_ask=each.ask[1], put_bid=each.bid[-1], put_ask=each.ask[-1],
                days=(each.expiry - each.day).days, t_years=each.t_years, rate=day.rate,
            )
            if strip is not None:
                found.append(strip)
    return variance_index.index_level(found)


def _friday(day: date) -> date:
    return day + timedelta(days=(4 - day.weekday()) % 7)


def _vix(days: Sequence[Day], folder: Path) -> Section:
    table = pd.read_csv(folder / VIX).set_index("DATE")
    rows, gaps = [], []
    for day in days:
        level, row = vix_level(day), table.loc[day.day.isoformat()]
        if level is None:
            rows.append([day.day.isoformat(), "", f"{row['CLOSE']:.2f}", "", ""])
            continue
        gap = level - float(row["CLOSE"])
        gaps.append(gap)
        inside = "yes" if row["LOW"] <= level <= row["HIGH"] else "no"
        rows.append([day.day.isoformat(), f"{level:.2f}", f"{row['CLOSE']:.2f}", f"{gap:+.2f}", inside])
    size = np.abs(gaps)
    text = (
        "By Cboe's method from the quotes of one snapshot, about 15 minutes before the close; the published close is that of quotes "
        f"at 16:15. {len(gaps)} days: the median of the absolute difference is {np.median(size):.2f} points, the 95th percentile "
        f"{np.quantile(size, 0.95):.2f}, the mean difference {np.mean(gaps):+.2f}, the correlation "
        f"{np.corrcoef([float(row[1]) for row in rows if row[1]], [float(row[2]) for row in rows if row[1]])[0, 1]:.4f}."
    )
    columns = ["day", "recomputed", "published close", "difference", "within the day's range"]
    return Section(title="VIX recomputed", text=text, columns=columns, rows=rows)
