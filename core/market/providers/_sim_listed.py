"""What the simulated market lists. Every level, beta and yield here is invented; none is a forecast or a record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Smile:
    """Shape of a smile in standard deviations `y` from the forward: variance over ATM variance is 1 at y = 0 (see `_sim_surface`)."""

    slope: float  # of the wings together
    tilt: float  # -1 to 1; negative makes puts dearer


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Strikes: steps of `fine` points near the money, `coarse` farther out; `fine` for expiries beyond `near_days` is `coarse`."""

    fine: float
    coarse: float
    near_days: int = 75
    finest: float  # a contract off the listed window is still quoted where its strike is a multiple of this


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """When a company reports: three days of a month's span, and how much its shares move on it."""

    month: int  # the first of the year; the others follow by quarter
    day: int  # about this day of the month
    when: str  # before_open | after_close
    move: float  # standard deviation of the move


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One symbol: its level on the eve of `start`, how it moves, what it pays and how liquid its options are."""

    symbol: str
    level: float
    beta: float = 1.0
    hedge: float = 0.0  # how much of its beta turns negative when the market is in distress: flight to quality
    own_vol: float = 0.0  # per year, on top of beta times the market
    sector: str = ""
    stock: bool = False  # reports, splits, and jumps on news of its own
    dividend_yield: float = 0.0  # per year; an index pays it continuously, others in equal parts on their ex-dates
    ex_months: tuple[int, ...] = (3, 6, 9, 12)
    ex_day: int | None = None  # day of the month (or the next session); None: the standard monthly expiry
    reports: Reports | None = None
    smile: Smile = Smile(slope=0.30, tilt=-0.40)
    grid: Grid | None = None  # None: no options
    spread: float = 1.0  # of its options, in terms of those of SPX
    interest: float = 900.0  # typical contracts open, near the money
    size: float = 40.0  # typical contracts quoted
    share_spread: float = 0.01


INDEX_YIELD: Final = 0.012
SECTOR_SHARE: Final = 0.35  # of a name's own variance, shared with its sector
VIX_SMILE: Final = Smile(slope=0.32, tilt=0.62)
_INDEX_SMILE: Final = Smile(slope=0.55, tilt=-0.75)
_ETF_SMILE: Final = Smile(slope=0.50, tilt=-0.68)
_FLAT_SMILE: Final = Smile(slope=0.30, tilt=-0.10)


def stock_grid(level: float) -> Grid:
    """Strikes of a stock at a price."""
    step = 0.5 if level < 25 else 1.0 if level < 100 else 2.5 if level < 250 else 5.0
    return Grid(fine=step, coarse=2 * step, finest=0.5)


def _stock(
    symbol: str, level: float, beta: float, own_vol: float, *, sector: str, pays: float, months: int = 2, day: int = 10,
    reports: tuple[int, int, str, float], spread: float = 0.8, interest: float = 900.0,
) -> Listed:
    month, on, when, move = reports
    return Listed(
        symbol=symbol, level=level, beta=beta, own_vol=own_vol, sector=sector, stock=True, dividend_yield=pays,
        ex_months=tuple(range(months, 13, 3)), ex_day=day, grid=stock_grid(level), share_spread=0.02,
        reports=Reports(month=month, day=on, when={"open": "before_open", "close": "after_close"}[when], move=move), spread=spread,
        interest=interest,
    )


def _fund(symbol: str, level: float, *, spread: float, interest: float, **more: object) -> Listed:
    made = Listed(
        symbol=symbol, level=level, smile=_ETF_SMILE, grid=Grid(fine=1, coarse=5, finest=1), spread=spread, interest=interest, size=200,
    )
    return replace(made, **more)  # type: ignore[arg-type]


_INDICES = (
    Listed(
        symbol="SPX", level=6800.0, dividend_yield=INDEX_YIELD, smile=_INDEX_SMILE, grid=Grid(fine=5, coarse=25, finest=5),
        spread=1.1, interest=5000, size=60,
    ),
    Listed(
        symbol="XSP", level=680.0, dividend_yield=INDEX_YIELD, smile=_INDEX_SMILE, grid=Grid(fine=1, coarse=5, finest=1),
        spread=0.25, interest=1200, size=50,
    ),
    Listed(symbol="VIX9D", level=0.0),
    Listed(symbol="VIX", level=0.0, smile=VIX_SMILE, grid=Grid(fine=0.5, coarse=1, finest=0.5), spread=1.75, interest=9000, size=150),
    Listed(symbol="VIX3M", level=0.0),
)
_FUNDS = (
    _fund("SPY", 678.3, spread=0.15, interest=9000, size=300, dividend_yield=INDEX_YIELD, smile=_INDEX_SMILE),
    _fund("QQQ", 610.0, spread=0.2, interest=5000, beta=1.15, own_vol=0.06, sector="technology", dividend_yield=0.005, ex_day=22),
    _fund("IWM", 245.0, spread=0.3, interest=4000, beta=1.10, own_vol=0.09, sector="small caps", dividend_yield=0.011, ex_day=22),
    _fund(
        "TLT", 90.0, spread=0.4, interest=3000, beta=-0.08, hedge=0.30, own_vol=0.12, sector="rates", dividend_yield=0.042,
        ex_months=tuple(range(1, 13)), ex_day=1, smile=_FLAT_SMILE, grid=Grid(fine=0.5, coarse=1, finest=0.5),
    ),
    _fund(
        "GLD", 370.0, spread=0.5, interest=2500, beta=0.03, hedge=0.08, own_vol=0.15, sector="gold", smile=Smile(slope=0.30, tilt=0.10),
        grid=Grid(fine=1, coarse=5, finest=1),
    ),
)
_STOCKS = (
    _stock("AAPL", 270.0, 1.15, 0.16, sector="technology", pays=0.004, reports=(1, 29, "close", 0.038), spread=0.5, interest=3000),
    _stock("MSFT", 500.0, 1.05, 0.14, sector="technology", pays=0.007, day=19, reports=(1, 28, "close", 0.040), spread=0.55, interest=2000),
    _stock("NVDA", 185.0, 1.70, 0.29, sector="technology", pays=0.0002, months=3, day=11, reports=(2, 19, "close", 0.065), spread=0.4,
           interest=5000),
    _stock("AMD", 230.0, 1.65, 0.33, sector="technology", pays=0.0, reports=(2, 4, "close", 0.075), spread=0.5, interest=2500),
    _stock("GOOGL", 280.0, 1.10, 0.19, sector="communication", pays=0.003, months=3, day=9, reports=(2, 1, "close", 0.050), spread=0.5,
           interest=2000),
    _stock("DIS", 112.0, 1.05, 0.19, sector="communication", pays=0.012, months=1, day=8, reports=(2, 7, "open", 0.060)),
    _stock("VZ", 40.0, 0.35, 0.15, sector="communication", pays=0.066, months=1, day=9, reports=(1, 24, "open", 0.035)),
    _stock("AMZN", 225.0, 1.25, 0.21, sector="consumer", pays=0.0, reports=(2, 2, "close", 0.060), spread=0.45, interest=2500),
    _stock("HD", 375.0, 0.95, 0.14, sector="consumer", pays=0.024, months=3, day=12, reports=(2, 18, "open", 0.032)),
    _stock("MCD", 305.0, 0.50, 0.12, sector="consumer", pays=0.023, months=3, day=1, reports=(2, 8, "open", 0.028)),
    _stock("JPM", 310.0, 1.05, 0.15, sector="financials", pays=0.019, months=1, day=5, reports=(1, 14, "open", 0.030), spread=0.6),
    _stock("BAC", 53.0, 1.20, 0.17, sector="financials", pays=0.021, months=3, day=5, reports=(1, 15, "open", 0.036), spread=0.6),
    _stock("XOM", 115.0, 0.75, 0.19, sector="energy", pays=0.034, day=14, reports=(1, 31, "open", 0.024), spread=0.6),
    _stock("CVX", 155.0, 0.75, 0.19, sector="energy", pays=0.044, day=17, reports=(1, 31, "open", 0.026)),
    _stock("JNJ", 190.0, 0.45, 0.12, sector="health", pays=0.027, day=24, reports=(1, 21, "open", 0.024)),
    _stock("PFE", 25.0, 0.55, 0.17, sector="health", pays=0.067, months=1, day=23, reports=(2, 4, "open", 0.030)),
    _stock("UNH", 350.0, 0.55, 0.20, sector="health", pays=0.025, months=3, day=9, reports=(1, 16, "open", 0.048)),
    _stock("PG", 150.0, 0.45, 0.12, sector="staples", pays=0.028, months=1, day=23, reports=(1, 22, "open", 0.026)),
    _stock("KO", 70.0, 0.45, 0.11, sector="staples", pays=0.029, months=3, day=13, reports=(2, 11, "open", 0.022)),
    _stock("CAT", 560.0, 1.10, 0.19, sector="industrials", pays=0.011, months=1, day=20, reports=(2, 3, "open", 0.048)),
    _stock("BA", 205.0, 1.20, 0.24, sector="industrials", pays=0.0, reports=(1, 28, "open", 0.042), spread=0.6),
    _stock("LIN", 420.0, 0.80, 0.13, sector="materials", pays=0.014, months=3, day=4, reports=(2, 6, "open", 0.028)),
    _stock("FCX", 42.0, 1.40, 0.27, sector="materials", pays=0.014, months=1, day=15, reports=(1, 23, "open", 0.042)),
    _stock("NEE", 83.0, 0.50, 0.17, sector="utilities", pays=0.027, day=27, reports=(1, 24, "open", 0.028)),
    _stock("DUK", 124.0, 0.35, 0.12, sector="utilities", pays=0.034, day=14, reports=(2, 11, "open", 0.018)),
    _stock("AMT", 182.0, 0.60, 0.18, sector="real estate", pays=0.037, months=3, day=28, reports=(2, 24, "open", 0.034)),
)
LISTED: Final = MappingProxyType({listed.symbol: listed for listed in (*_INDICES, *_FUNDS, *_STOCKS)})
