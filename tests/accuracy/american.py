"""The AAPL chain around New Year 2015: American values with cash dividends against the quotes, and deltas against the vendor's."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from core.domain.calendar import session, settlement_at, years_to
from core.domain.instruments import series_of
from core.pricing import american, bsm, dividends
from core.pricing.dividends import CashDividend
from core.pricing.implied import implied_vol
from tests.accuracy.report import Section

CHAIN = "aapl_chain_2014-12-30_2015-01-07.csv.xz"
CURVES = "treasury_curves_1990-2017.csv.xz"
# What a holder could expect then: the dividend of February 2015 as it was paid, and the same every quarter after it.
FIRST_EX, QUARTER, AMOUNT = date(2015, 2, 5), timedelta(days=91), 0.47
TERMS = {"1month": 30, "3month": 91, "6month": 182, "1year": 365, "2year": 730, "3year": 1095}
DTES = ((1, 30), (31, 90), (91, 365), (366, 1200))
PLACES = (("under 90 %", 0.0, 0.9), ("90 to 97 %", 0.9, 0.97), ("97 to 103 %", 0.97, 1.03), ("103 to 110 %", 1.03, 1.1),
          ("over 110 %", 1.1, 9.0))


def sections(folder: Path) -> list[Section]:
    """Everything measured on this chain."""
    table = _priced(pd.read_csv(folder / CHAIN), _curves(folder))
    quoted = table[(table["bid"] > 0.0) & (table["ask"] >= table["bid"]) & (table["implied_volatility"] > 0.0) & (table["days"] > 0)]
    text = (
        f"AAPL, 6 days from 2014-12-30 to 2015-01-07, {len(quoted):,} quotes with a bid; the Treasury curve, and the yield that gives the "
        "forward which the pairs within 3 % of spot show. The out-of-the-money mid of a strike gives a volatility, and that the value of "
        "its in-the-money twin. Each cell: median of the absolute difference to the twin's mid in USD, and the share of values between its "
        "bid and ask; first as American options, then the same as European ones."
    )
    deltas = (
        f"By `core.pricing.dividends` (spot model, {AMOUNT} in cash from {FIRST_EX} on each quarter) at the vendor's own volatility: "
        "median and 95th percentile of the absolute difference of delta. The vendor does not say which rate and dividends it used; that "
        "the difference grows with the term says that they are others."
    )
    own = (
        "Out-of-the-money mids of 0.05 and more turned into volatilities by `core.pricing.american.implied_vol`, against the vendor's: "
        "absolute difference in points, median and 95th percentile."
    )
    return [
        Section(title="American calls and puts of one strike", text=text, columns=_heads(), rows=_cells(quoted, _twins)),
        Section(title="American deltas against the vendor's", text=deltas, columns=_heads(), rows=_cells(quoted, _deltas)),
        Section(title="American volatilities against the vendor's", text=own, columns=_heads(), rows=_cells(quoted, _vols)),
    ]


def _curves(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / CURVES)
    table.columns = [str(name).lower() for name in table.columns]
    return table.set_index(table.columns[0])


def _rate(curves: pd.DataFrame, day: date, days: int) -> float:
    """Continuously compounded, from the last curve before the day."""
    row = curves[curves.index < day.isoformat()].iloc[-1]
    known = {term: float(row[name]) for name, term in TERMS.items() if name in row.index and math.isfinite(float(row[name]))}
    return 2.0 * math.log1p(float(np.interp(days, list(known), list(known.values()))) / 2.0)


def _priced(table: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for (text, expiration), part in table.groupby(["quote_datetime", "expiration"], sort=True):
        day, expiry = date.fromisoformat(str(text)), date.fromisoformat(str(expiration))
        hours = session(day)
        assert hours is not None
        at = hours.close_at - timedelta(minutes=15)
        t_years = years_to(settlement_at(series_of("AAPL"), expiry), at)
        if t_years <= 0.0:
            continue
        rate = _rate(curves, day, max((expiry - day).days, 1))
        ahead = [FIRST_EX + count * QUARTER for count in range(16)]
        paid = tuple(CashDividend(t_years=(each - day).days / 365.0, amount=AMOUNT) for each in ahead)
        right = np.where(part["option_type"] == "call", 1, -1)
        spot, strike, vol = (part[name].to_numpy(dtype=np.float64) for name in ("spot_price", "strike", "implied_volatility"))
        known = vol > 0.0
        rows = {name: np.full(len(part), np.nan) for name in ("own_delta", "own_vol", "twin", "european_twin")}
        if known.any():
            terms = {"spot": spot[known], "strike": strike[known], "t_years": t_years, "rate": rate, "dividends": paid, "model": "spot"}
            rows["own_delta"][known] = dividends.greeks(right=right[known], vol=vol[known], **terms).delta
        mid = 0.5 * (part["bid"] + part["ask"]).to_numpy(dtype=np.float64)
        discount = math.exp(-rate * t_years)
        forward = _near_forward(right, strike, np.where(part["bid"] > 0.0, mid, np.nan), spot[0], discount)
        continuous = rate - math.log(forward / spot[0]) / t_years
        outside = right * (strike - forward) > 0.0
        market = {"t_years": t_years, "rate": rate, "dividend": continuous}
        given = {"right": right[outside], "spot": spot[outside], "strike": strike[outside], **market}
        rows["own_vol"][outside] = american.implied_vol(price=mid[outside], **given)
        quoted = outside & (part["bid"] > 0.0).to_numpy()
        twin = pd.Series(rows["own_vol"][quoted], index=strike[quoted]).reindex(strike).to_numpy()
        inside = np.flatnonzero(~outside & np.isfinite(twin))
        rows["twin"][inside] = american.value(right=right[inside], spot=spot[inside], strike=strike[inside], vol=twin[inside], **market)
        terms = {"forward": forward, "t_years": t_years, "discount": discount}
        plain = implied_vol(right=right[quoted], price=mid[quoted], strike=strike[quoted], **terms)
        plain_twin = pd.Series(plain, index=strike[quoted]).reindex(strike).to_numpy()[inside]
        rows["european_twin"][inside] = bsm.value_forward(
            right=right[inside], strike=strike[inside], vol=plain_twin, **terms
        )
        parts.append(part.assign(**rows, days=(expiry - day).days, place=strike / spot, mid=mid))
    return pd.concat(parts)


def _near_forward(right: np.ndarray, strike: np.ndarray, mid: np.ndarray, spot: float, discount: float) -> float:
    """The median forward of the pairs near the money, as `core.market.analytics` reads it for American series."""
    calls, puts = (pd.Series(mid[right == side], index=strike[right == side]) for side in (1, -1))
    gaps = (calls - puts).dropna()
    near = gaps[np.abs(gaps.index / spot - 1.0) <= 0.03]
    return float(np.median(near.index + near / discount)) if len(near) else spot / discount


def _heads() -> list[str]:
    return ["strike / spot", *(f"{low} to {high} days" for low, high in DTES)]


def _cells(table: pd.DataFrame, told: object) -> list[list[str]]:
    assert callable(told)
    rows = []
    for name, low, high in PLACES:
        cells = [name]
        for first, last in DTES:
            here = table[(table["days"] >= first) & (table["days"] <= last) & (table["place"] >= low) & (table["place"] < high)]
            cells.append("" if len(here) < 20 else str(told(here)))
        rows.append(cells)
    return rows


def _twins(part: pd.DataFrame) -> str:
    seen = part[part["twin"].notna() & (part["bid"] > 0.0)]
    if len(seen) < 20:
        return ""
    told = []
    for name in ("twin", "european_twin"):
        inside = (seen[name] >= seen["bid"] - 0.005) & (seen[name] <= seen["ask"] + 0.005)
        told.append(f"{(seen[name] - seen['mid']).abs().median():.3f} / {100 * inside.mean():.0f} %")
    return "; ".join(told)


def _deltas(part: pd.DataFrame) -> str:
    gap = (part["own_delta"] - part["delta"]).abs()
    return f"{gap.median():.3f} / {gap.quantile(0.95):.3f}"


def _vols(part: pd.DataFrame) -> str:
    seen = part[part["mid"] >= 0.05]
    gap = (100.0 * (seen["own_vol"] - seen["implied_volatility"]).abs()).dropna()
    return "" if len(gap) < 20 else f"{gap.median():.2f} / {gap.quantile(0.95):.2f}"
