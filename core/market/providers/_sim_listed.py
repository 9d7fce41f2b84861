"""What the simulated market lists. Every level, beta and yield here is invented; none is a forecast or a record."""

from __future__ import annotations

from dataclasses import dataclass
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
class Listed:
    """One symbol: its level on the eve of `start`, how it moves, what it pays and how liquid its options are."""

    symbol: str
    level: float
    beta: float = 1.0
    own_vol: float = 0.0  # per year, on top of beta times the market
    sector: str = ""
    dividend_yield: float = 0.0  # per year; an index pays it continuously, others by quarter
    ex_months: tuple[int, ...] = (3, 6, 9, 12)
    ex_day: int | None = None  # day of the month (or the next session); None: the standard monthly expiry
    smile: Smile = Smile(slope=0.30, tilt=-0.40)
    grid: Grid | None = None  # None: no options
    spread: float = 0.012  # of an option's price, near the money
    interest: float = 900.0  # typical contracts open, near the money
    size: float = 40.0  # typical contracts quoted
    share_spread: float = 0.01


INDEX_YIELD: Final = 0.012
SECTOR_SHARE: Final = 0.35  # of a name's own variance, shared with its sector
_INDEX_SMILE: Final = Smile(slope=0.55, tilt=-0.75)
_ETF_SMILE: Final = Smile(slope=0.50, tilt=-0.68)


def _stock(symbol: str, level: float, beta: float, own_vol: float, *, sector: str, pays: float, months: int = 2, day: int = 10) -> Listed:
    step = 1.0 if level < 100 else 2.5 if level < 250 else 5.0
    return Listed(
        symbol=symbol, level=level, beta=beta, own_vol=own_vol, sector=sector, dividend_yield=pays,
        ex_months=tuple(range(months, 13, 3)), ex_day=day, grid=Grid(fine=step, coarse=2 * step, finest=0.5), share_spread=0.02,
    )


_ALL = (
    Listed(
        symbol="SPX", level=6800.0, dividend_yield=INDEX_YIELD, smile=_INDEX_SMILE, grid=Grid(fine=5, coarse=25, finest=5),
        spread=0.0012, interest=5000, size=60,
    ),
    Listed(
        symbol="XSP", level=680.0, dividend_yield=INDEX_YIELD, smile=_INDEX_SMILE, grid=Grid(fine=1, coarse=5, finest=1),
        spread=0.004, interest=1200, size=50,
    ),
    Listed(symbol="VIX", level=0.0),
    Listed(symbol="VIX3M", level=0.0),
    Listed(
        symbol="SPY", level=678.3, dividend_yield=INDEX_YIELD, smile=_INDEX_SMILE, grid=Grid(fine=1, coarse=5, finest=1),
        spread=0.003, interest=9000, size=300,
    ),
    Listed(
        symbol="QQQ", level=610.0, beta=1.15, own_vol=0.06, sector="technology", dividend_yield=0.005, ex_day=22, smile=_ETF_SMILE,
        grid=Grid(fine=1, coarse=5, finest=1), spread=0.004, interest=5000, size=200,
    ),
    Listed(
        symbol="IWM", level=245.0, beta=1.10, own_vol=0.09, sector="small caps", dividend_yield=0.011, ex_day=22, smile=_ETF_SMILE,
        grid=Grid(fine=1, coarse=5, finest=1), spread=0.005, interest=4000, size=200,
    ),
    _stock("AAPL", 270.0, 1.15, 0.17, sector="technology", pays=0.004),
    _stock("MSFT", 500.0, 1.05, 0.15, sector="technology", pays=0.007, day=19),
    _stock("NVDA", 185.0, 1.70, 0.30, sector="technology", pays=0.0002, months=3, day=11),
    _stock("AMZN", 225.0, 1.25, 0.22, sector="consumer", pays=0.0),
    _stock("GOOGL", 280.0, 1.10, 0.20, sector="technology", pays=0.003, months=3, day=9),
    _stock("JPM", 310.0, 1.05, 0.16, sector="financials", pays=0.019, months=1, day=5),
    _stock("XOM", 115.0, 0.75, 0.20, sector="energy", pays=0.034, day=14),
    _stock("JNJ", 190.0, 0.45, 0.13, sector="health", pays=0.027, day=24),
    _stock("PG", 150.0, 0.45, 0.13, sector="staples", pays=0.028, months=1, day=23),
    _stock("KO", 70.0, 0.45, 0.12, sector="staples", pays=0.029, months=3, day=13),
)
LISTED: Final = MappingProxyType({listed.symbol: listed for listed in _ALL})
