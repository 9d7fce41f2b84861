"""`python -m tests.accuracy.market`: the simulated market beside the recorded one, written into docs/simulator.md between its marks."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.clock import EXCHANGE_ZONE, ManualClock, as_utc
from core.domain.instruments import Right
from core.market.chain import Chain
from core.market.providers import simulated
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_noise import Noise
from core.market.providers._sim_paths import Paths
from core.pricing.bsm import greeks_forward
from core.pricing.implied import implied_vol

Floats = npt.NDArray[np.float64]

TARGET = Path(__file__).resolve().parents[2] / "docs" / "simulator.md"
START, END = "<!-- figures -->", "<!-- end of figures -->"
SEEDS, SESSIONS = range(1, 21), 3276  # thirteen years of each
CHAIN_SEEDS, CHAIN_DAYS = (1, 2, 3, 5), (date(2026, 11, 17), date(2026, 12, 9), date(2027, 2, 10))
DELTAS = ((0.0, 0.02), (0.02, 0.05), (0.05, 0.10), (0.10, 0.20), (0.20, 0.35), (0.35, 0.50))
TERMS = ((1, 2), (3, 7), (8, 21), (22, 45), (46, 90), (91, 180))
CALM, CRASH = 15.0, 35.0  # VIX
MONTH = 21


def main(arguments: Sequence[str]) -> int:
    """Measure and write, or print with `--print`."""
    folder = os.environ.get("DESK_REAL_DATA")
    if not folder:
        print("DESK_REAL_DATA is not set: there is no recorded market on this machine to set the simulated one beside")
        return 1
    text = figures(Path(folder))
    if "--print" in arguments:
        print(text)
    else:
        before, rest = TARGET.read_text(encoding="utf-8").split(START)
        TARGET.write_text(f"{before}{START}\n\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
        print(f"wrote {TARGET.name}")
    return 0


def figures(folder: Path) -> str:
    """The tables."""
    real, real_names = _recorded(folder)
    paths = [_simulated(seed) for seed in SEEDS]
    simulated_series = [(np.diff(np.log(spx)), vix[1:]) for spx, vix, _ in paths]
    rows = [(name, show([of(*one) for one in real]), show([of(*one) for one in simulated_series])) for name, of, show in STATISTICS]
    correlations = [
        (name, f"{_together(*real_names, calm=calm):.2f}", _range([_together(moves, vix, calm=calm) for _, vix, moves in paths], 2))
        for name, calm in (("names with each other, VIX under 15", True), ("names with each other, VIX over 35", False))
    ]
    parts = [
        "Returns of SPX and closes of VIX: recorded 1990 to 2022, and the middle of twenty seeds of thirteen years with the 10th and 90th",
        "percentile of the seeds. Correlations: daily returns of pairs of stocks, their mean.\n",
        _table(("", "recorded", "simulated"), [*rows, *correlations]),
        "\nSpread of SPXW puts as a share of their mid, by delta and days to expiry: median of the recorded chains of 25 April to 22 July",
        "2019 (VIX 12 to 21), and of the simulated market on days with VIX under 22.\n",
        _table(("delta", *(f"{low} to {high} d" for low, high in TERMS)), _spreads(folder)),
        "\nSpread of SPY options of 8 to 45 days in cents, by delta: median of 2021, and of the simulated market on the days of above.\n",
        _table(("delta", "recorded", "simulated"), _cents(folder)),
    ]
    return "\n".join(parts)


def _range(values: Sequence[float], digits: int) -> str:
    known = [value for value in values if math.isfinite(value)]
    low, middle, high = np.quantile(known, [0.1, 0.5, 0.9])
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _as(digits: int, factor: float = 1.0) -> Callable[[Sequence[float]], str]:
    def show(values: Sequence[float]) -> str:
        scaled = [factor * value for value in values]
        return f"{scaled[0]:.{digits}f}" if len(scaled) == 1 else _range(scaled, digits)

    return show


def _moment(power: int) -> Callable[[Floats, Floats], float]:
    return lambda returns, vix: float(np.mean(((returns - returns.mean()) / returns.std()) ** power))


def _memory(lag: int) -> Callable[[Floats, Floats], float]:
    return lambda returns, vix: _correlation(np.abs(returns[:-lag]), np.abs(returns[lag:]))


def _correlation(one: Floats, other: Floats) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def _vix(quantile: float) -> Callable[[Floats, Floats], float]:
    return lambda returns, vix: float(np.quantile(vix, quantile))


def _fall(returns: Floats, vix: Floats) -> float:
    level = np.cumsum(returns)
    return float(np.min(np.exp(level - np.maximum.accumulate(level))) - 1.0)


def _premium(returns: Floats, vix: Floats) -> float:
    """Median of VIX less what the following month realised, in points."""
    squares = np.convolve(returns**2, np.full(MONTH, 1 / MONTH), "valid")
    realised = 100.0 * np.sqrt(252.0 * squares)
    return float(np.median(vix[: len(realised) - 1] - realised[1:]))


STATISTICS: tuple[tuple[str, Callable[[Floats, Floats], float], Callable[[Sequence[float]], str]], ...] = (
    ("SPX volatility a year, %", lambda returns, vix: float(returns.std() * math.sqrt(252)), _as(1, 100)),
    ("SPX growth a year, %", lambda returns, vix: float(returns.mean() * 252), _as(1, 100)),
    ("skew of daily returns", _moment(3), _as(1)),
    ("kurtosis of daily returns", _moment(4), _as(1)),
    ("autocorrelation of absolute returns, 1 day", _memory(1), _as(2)),
    ("5 days", _memory(5), _as(2)),
    ("21 days", _memory(MONTH), _as(2)),
    ("worst day, %", lambda returns, vix: float(np.expm1(returns.min())), _as(1, 100)),
    ("best day, %", lambda returns, vix: float(np.expm1(returns.max())), _as(1, 100)),
    ("1st percentile of days, %", lambda returns, vix: float(np.quantile(returns, 0.01)), _as(2, 100)),
    ("deepest fall from a peak, %", _fall, _as(0, 100)),
    ("VIX, mean", lambda returns, vix: float(vix.mean()), _as(1)),
    ("VIX, 5th percentile", _vix(0.05), _as(1)),
    ("VIX, 25th", _vix(0.25), _as(1)),
    ("VIX, median", _vix(0.5), _as(1)),
    ("VIX, 75th", _vix(0.75), _as(1)),
    ("VIX, 95th", _vix(0.95), _as(1)),
    ("VIX, highest close", _vix(1.0), _as(1)),
    ("autocorrelation of log VIX, 1 day", lambda returns, vix: _correlation(np.log(vix[:-1]), np.log(vix[1:])), _as(3)),
    ("21 days", lambda returns, vix: _correlation(np.log(vix[:-MONTH]), np.log(vix[MONTH:])), _as(2)),
    ("daily change of log VIX, standard deviation", lambda returns, vix: float(np.diff(np.log(vix)).std()), _as(3)),
    ("largest daily rise of VIX, %", lambda returns, vix: float(np.expm1(np.diff(np.log(vix)).max())), _as(0, 100)),
    ("correlation of SPX returns and changes of log VIX", lambda returns, vix: _correlation(returns[1:], np.diff(np.log(vix))), _as(2)),
    ("VIX less the volatility of the month after, median, points", _premium, _as(1)),
)


def _recorded(folder: Path) -> tuple[list[tuple[Floats, Floats]], tuple[Floats, Floats]]:
    """Returns of SPX with VIX beside them, and returns of the twenty stocks with VIX."""
    spx = pd.read_csv(folder / "spx_close_1990-2022.csv.xz", parse_dates=["Date"]).set_index("Date")["SP500"]
    vix = pd.read_csv(folder / "vix_daily_1990-01-02_2026-07-23.csv.xz", parse_dates=["DATE"]).set_index("DATE")["CLOSE"]
    both = pd.concat([spx, vix], axis=1, join="inner").dropna()
    stocks = pd.read_csv(folder / "prices_20stocks_1990-2022.csv.xz", parse_dates=["Date"]).set_index("Date")
    moves = np.log(stocks).diff().join(vix, how="inner").dropna()
    series = np.diff(np.log(both["SP500"].to_numpy())), both["CLOSE"].to_numpy()[1:]
    return [series], (moves.drop(columns="CLOSE").to_numpy(), moves["CLOSE"].to_numpy())


def _simulated(seed: int) -> tuple[Floats, Floats, Floats]:
    """Closes of SPX and VIX of one seed, and daily returns of its stocks."""
    paths = Paths(Noise(seed), start=date(2026, 11, 2), history_sessions=504)
    paths.index_of(date(2039, 12, 30))
    spx, vix = (paths.closes(symbol, 2, 1 + SESSIONS) for symbol in ("SPX", "VIX"))
    stocks = [symbol for symbol, listed in LISTED.items() if listed.stock]
    return spx, vix, np.diff(np.log([paths.closes(symbol, 2, 1 + SESSIONS) for symbol in stocks]), axis=1).T


def _together(moves: Floats, vix: Floats, *, calm: bool) -> float:
    """Mean correlation of pairs on the days whose VIX of the day before was low, or high; NaN where there are too few."""
    before = vix[-len(moves) - 1 : -1] if len(vix) > len(moves) else np.concatenate([vix[:1], vix[:-1]])
    days = before < CALM if calm else before > CRASH
    if days.sum() < 60:
        return math.nan
    found = np.corrcoef(moves[days].T)
    return float(found[np.triu_indices(len(found), 1)].mean())


def _spreads(folder: Path) -> list[tuple[str, ...]]:
    chain = pd.read_csv(folder / "spx_spxw_chain_2019-04-25_2019-07-22.csv.xz")
    chain = chain[(chain["root"] == "SPXW") & (chain["type"] == "put") & (chain["bid"] > 0)]
    days = (pd.to_datetime(chain["expiration"]) - pd.to_datetime(chain["quote_date"])).dt.days.to_numpy()
    relative = (2 * (chain["ask"] - chain["bid"]) / (chain["ask"] + chain["bid"])).to_numpy()
    real = relative, -chain["delta"].to_numpy(), days
    made = asyncio.run(_simulated_spreads("SPX", "SPXW", 180, right=Right.PUT, relative=True))
    rows = []
    for low, high in DELTAS:
        cells = [f"{_middle(real, (low, high), term)} / {_middle(made, (low, high), term)}" for term in TERMS]
        rows.append((f"{low:.2f} to {high:.2f}", *cells))
    return rows


def _middle(rows: tuple[Floats, Floats, Floats], delta: tuple[float, float], term: tuple[int, int]) -> str:
    relative, deltas, days = rows
    inside = (deltas > delta[0]) & (deltas <= delta[1]) & (days >= term[0]) & (days <= term[1])
    return f"{np.median(relative[inside]):.1%}" if inside.any() else "-"


def _cents(folder: Path) -> list[tuple[str, ...]]:
    chain = pd.read_csv(folder / "spy_chain_20perday_2021.csv.xz")
    chain = chain[chain["bid"] > 0]
    days = (pd.to_datetime(chain["expiration"]) - pd.to_datetime(chain["quotedate"])).dt.days.to_numpy()
    real = 100.0 * (chain["ask"] - chain["bid"]).to_numpy(), chain["delta"].abs().to_numpy(), days
    made = asyncio.run(_simulated_spreads("SPY", "SPY", 45, right=None, relative=False))
    rows = []
    for delta in (*DELTAS[2:], (0.50, 0.65)):
        cells = []
        for apart, deltas, left in (real, made):
            inside = (deltas > delta[0]) & (deltas <= delta[1]) & (left >= 8) & (left <= 45)
            cells.append(f"{np.median(apart[inside]):.0f}")
        rows.append((f"{delta[0]:.2f} to {delta[1]:.2f}", *cells))
    return rows


async def _simulated_spreads(symbol: str, root: str, days: int, *, right: Right | None, relative: bool) -> tuple[Floats, Floats, Floats]:
    """Spreads (a share of mid, or cents), absolute deltas and days of what has a bid, on the ordinary days looked at."""
    parts: list[tuple[Floats, Floats, Floats]] = []
    for seed in CHAIN_SEEDS:
        for day in CHAIN_DAYS:
            clock = ManualClock(as_utc(datetime.combine(day, time(15, 45), EXCHANGE_ZONE)))
            provider = simulated.build(simulated.PARAMETERS(seed=seed), clock=clock)
            level = provider._paths.level("VIX", provider._paths.moment(clock.now()))
            if level < 22.0:
                chain = (await provider.chain(symbol, first=day + timedelta(days=1), last=day + timedelta(days=days))).only(root=root)
                parts.append(_of_chain(chain if right is None else chain.only(right=right), day, relative=relative))
    apart, deltas, left = (np.concatenate(column) for column in zip(*parts, strict=True))
    return apart, deltas, left


def _of_chain(chain: Chain, day: date, *, relative: bool) -> tuple[Floats, Floats, Floats]:
    chain = chain.select(chain.bid > 0)
    days = (chain.expiry - day.toordinal()).astype(np.float64)
    years = days / 365.0
    forward, discount = chain.spot * np.exp(0.024 * years), np.exp(-0.036 * years)
    vol = implied_vol(right=chain.right, price=chain.mid, forward=forward, strike=chain.strike, t_years=years, discount=discount)
    delta = greeks_forward(right=chain.right, forward=forward, strike=chain.strike, t_years=years, discount=discount, vol=vol).delta
    apart = chain.ask - chain.bid
    return apart / chain.mid if relative else 100.0 * apart, np.abs(delta), days


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
