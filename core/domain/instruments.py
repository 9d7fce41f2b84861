"""Instruments and option series: what can be held, and the contract terms that decide its money.

A *series* (`SeriesSpec`) is the class of options behind one OCC root: SPX and SPXW are two series on the same underlying. Terms
that depend on dates (last trade, settlement time) come from `core.domain.calendar`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from core.domain.encoding import recurring


class Right(StrEnum):
    """Put: the right to sell. Call: the right to buy."""

    PUT = "put"
    CALL = "call"


class Exercise(StrEnum):
    """American: at any time. European: at expiry only."""

    AMERICAN = "american"
    EUROPEAN = "european"


class Settlement(StrEnum):
    """AM: on the opening prints of the settlement morning (SET, SOQ). PM: on the closing value of expiry day."""

    AM = "am"
    PM = "pm"


class Delivery(StrEnum):
    """What changes hands at exercise: cash, or the underlying's shares."""

    CASH = "cash"
    PHYSICAL = "physical"


class UnderlyingKind(StrEnum):
    """The nature of an underlying; broad indices and broad-index ETFs have their own margin percentages."""

    STOCK = "stock"
    ETF = "etf"
    BROAD_ETF = "broad_etf"
    BROAD_INDEX = "broad_index"
    VOLATILITY_INDEX = "volatility_index"


class InstrumentError(ValueError):
    """A symbol or contract that cannot exist as written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickRule:
    """Minimum price steps of a series: `low` under `threshold`, `high` from it on; `combo` for multi-leg net prices."""

    low: Decimal
    high: Decimal
    threshold: Decimal
    combo: Decimal

    def tick(self, price: Decimal) -> Decimal:
        """The step that applies to a single-leg price."""
        return self.low if abs(price) < self.threshold else self.high


MOST_MULTIPLIER = 10**8  # money per point; the largest listed, of currency futures, are an eighth of it
PENNY = TickRule(low=Decimal("0.01"), high=Decimal("0.01"), threshold=Decimal(3), combo=Decimal("0.01"))
PENNY_CLASS = TickRule(low=Decimal("0.01"), high=Decimal("0.05"), threshold=Decimal(3), combo=Decimal("0.01"))
NICKEL = TickRule(low=Decimal("0.05"), high=Decimal("0.10"), threshold=Decimal(3), combo=Decimal("0.05"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSpec:
    """The contract terms shared by every option of one OCC root."""

    root: str
    underlying: str
    underlying_kind: UnderlyingKind
    multiplier: int = 100
    exercise: Exercise = Exercise.AMERICAN
    settlement: Settlement = Settlement.PM
    delivery: Delivery = Delivery.PHYSICAL
    ticks: TickRule = PENNY_CLASS
    late_close: bool = False  # trades to 16:15 exchange time instead of 16:00
    section_1256: bool = False


def _index(
    root: str, underlying: str, settlement: Settlement, ticks: TickRule, kind: UnderlyingKind = UnderlyingKind.BROAD_INDEX
) -> SeriesSpec:
    return SeriesSpec(
        root=root, underlying=underlying, underlying_kind=kind, exercise=Exercise.EUROPEAN, settlement=settlement,
        delivery=Delivery.CASH, ticks=ticks, late_close=True, section_1256=True,
    )


def _etf(root: str, *, broad: bool, late: bool = True) -> SeriesSpec:
    kind = UnderlyingKind.BROAD_ETF if broad else UnderlyingKind.ETF
    return SeriesSpec(root=root, underlying=root, underlying_kind=kind, ticks=PENNY, late_close=late)


# Series whose terms differ from a plain equity option. Any other root is a 100-share American equity option.
SERIES: dict[str, SeriesSpec] = {
    spec.root: spec
    for spec in (
        _index("SPX", "SPX", Settlement.AM, NICKEL),
        _index("SPXW", "SPX", Settlement.PM, NICKEL),
        _index("XSP", "XSP", Settlement.PM, PENNY),
        _index("NDX", "NDX", Settlement.AM, NICKEL),
        _index("NDXP", "NDX", Settlement.PM, NICKEL),
        _index("RUT", "RUT", Settlement.AM, NICKEL),
        _index("RUTW", "RUT", Settlement.PM, NICKEL),
        _index("VIX", "VIX", Settlement.AM, NICKEL, UnderlyingKind.VOLATILITY_INDEX),
        _index("VIXW", "VIX", Settlement.AM, NICKEL, UnderlyingKind.VOLATILITY_INDEX),
        _etf("SPY", broad=True), _etf("QQQ", broad=True), _etf("IWM", broad=True), _etf("DIA", broad=True),
        _etf("TLT", broad=False), _etf("GLD", broad=False, late=False), _etf("EEM", broad=False), _etf("EFA", broad=False),
        _etf("XLE", broad=False), _etf("XLF", broad=False),
    )
}
INDICES = frozenset({"SPX", "XSP", "NDX", "RUT", "VIX", "VIX9D", "VIX3M", "VVIX", "SET"})
# Index option roots whose terms are not tabled: read as a stock they would be settled in shares that do not exist.
_UNTABLED = (INDICES - SERIES.keys()) | {
    "CBTX", "DJX", "MBTX", "MNX", "MRUT", "MXACW", "MXEA", "MXEF", "MXUSA", "MXWLD", "NANOS", "NQX", "OEX", "SPEQF", "SPEQX", "SPESG",
    "SPIKE", "SPXPM", "SPXQ", "UKXM", "XEO", "XND",
}
_INDEX_ROOTS = tuple(root for root, spec in SERIES.items() if spec.delivery is Delivery.CASH)


def series_of(root: str) -> SeriesSpec:
    """The terms of an OCC root; roots that end in a digit are adjusted series, whose terms only a contract of theirs can tell."""
    known = SERIES.get(root)
    if known is not None:
        return known
    if root in _UNTABLED:
        raise InstrumentError(f"the terms of {root} options are not known here; index options are tabled for {', '.join(_INDEX_ROOTS)}")
    if not re.fullmatch(r"[A-Z]{1,5}(\.[A-Z])?|[A-Z]{1,6}", root):
        raise InstrumentError(f"{root!r} is not a plain option root; adjusted series such as XYZ1 need their own terms")
    return SeriesSpec(root=root, underlying=root, underlying_kind=UnderlyingKind.STOCK)


def is_adjusted(root: str) -> bool:
    """Whether a root is that of an adjusted series: a plain one and a digit, KO1. Its terms follow from a contract, not from the root."""
    return root not in SERIES and root not in _UNTABLED and re.fullmatch(r"[A-Z]{1,5}[1-9]", root) is not None


def adjusted_root(root: str, known: Collection[str]) -> str:
    """The root of what is adjusted next: the first of KO1, KO2, ... that is not known."""
    base = root.rstrip("123456789") if is_adjusted(root) else root
    found = next((name for name in (f"{base}{digit}" for digit in range(1, 10)) if name not in known), None)
    if found is None:
        raise InstrumentError(f"{base} was adjusted nine times; there is no root for one more")
    return found


def roots_of(underlying: str) -> tuple[SeriesSpec, ...]:
    """Every series on an underlying: (SPX, SPXW) for SPX, one plain series for an equity."""
    known = tuple(spec for spec in SERIES.values() if spec.underlying == underlying)
    return known or (series_of(underlying),)


@recurring
@dataclass(frozen=True, slots=True, kw_only=True)
class Equity:
    """A share or fund unit."""

    symbol: str
    currency: str = "USD"

    @property
    def key(self) -> str:
        """Unique text form, the ticker itself."""
        return self.symbol

    @property
    def multiplier(self) -> int:
        """Money per point of price: 1."""
        return 1


@recurring
@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A calculated index; it has a level but cannot be held."""

    symbol: str
    currency: str = "USD"

    @property
    def key(self) -> str:
        """Unique text form, the index symbol itself."""
        return self.symbol

    @property
    def multiplier(self) -> int:
        """Points only: 1."""
        return 1


@recurring
@dataclass(frozen=True, slots=True, kw_only=True)
class Future:
    """A futures contract, e.g. root ES, expiry day, multiplier 50."""

    root: str
    expiry: date
    multiplier: int
    currency: str = "USD"

    def __post_init__(self) -> None:
        _check_multiplier(self.multiplier)

    @property
    def key(self) -> str:
        """Unique text form `/ES 2026-12-18`."""
        return f"/{self.root} {self.expiry.isoformat()}"


@recurring
@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverable:
    """What one contract delivers at physical exercise."""

    symbol: str
    shares: int
    cash: Decimal = Decimal(0)


@recurring
@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One listed option contract with every term that decides its money."""

    root: str
    underlying: str
    expiry: date
    right: Right
    strike: Decimal
    multiplier: int
    exercise: Exercise
    settlement: Settlement
    delivery: Delivery
    deliverable: Deliverable | None  # None for cash settlement
    last_trade_at: datetime  # UTC
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not self.strike.is_finite():
            raise InstrumentError("a strike must be finite")
        occ_symbol(self.root, self.expiry, self.right, self.strike)  # what has no symbol is no listed contract
        _check_multiplier(self.multiplier)

    @property
    def key(self) -> str:
        """The 21-character OCC symbol, e.g. `SPXW  190517P02700000`."""
        return occ_symbol(self.root, self.expiry, self.right, self.strike)

    @property
    def series(self) -> SeriesSpec:
        """Terms shared by the contract's root; of an adjusted series those of the plain one it came from."""
        if is_adjusted(self.root):
            return replace(series_of(self.root[:-1]), root=self.root)
        return series_of(self.root)

    @property
    def is_standard(self) -> bool:
        """It delivers as many shares as its price is multiplied by, and nothing else; or cash."""
        return self.deliverable is None or (self.deliverable.shares == self.multiplier and not self.deliverable.cash)

    @property
    def shares(self) -> int:
        """Units of the underlying that a contract stands for: 150 after a split of 3 for 2."""
        return self.multiplier if self.deliverable is None else self.deliverable.shares

    @property
    def share_strike(self) -> Decimal:
        """What exercise pays (call) or brings (put) for each of those units: the strike itself where the contract is standard.

        Example: KO1 60 call for 150 shares: 6,000 USD for 150 shares, 40 a share.
        """
        if self.is_standard or self.deliverable is None:
            return self.strike
        return (self.strike * self.multiplier - self.deliverable.cash) / self.deliverable.shares

    def intrinsic(self, level: Decimal) -> Decimal:
        """Money one contract is worth at exercise, at a level of its underlying; never below zero."""
        paid = Decimal(0) if self.deliverable is None else self.deliverable.cash
        points = level * self.shares + paid - self.strike * self.multiplier
        return max(Decimal(0), points if self.right is Right.CALL else -points)

    @property
    def label(self) -> str:
        """Short form for cards: `SPXW 17 May 19 2700 put`."""
        return f"{self.root} {self.expiry.day} {self.expiry:%b %y} {plain_number(self.strike)} {self.right.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cash:
    """Money itself as a holding."""

    currency: str = "USD"

    @property
    def key(self) -> str:
        """Unique text form `$USD`."""
        return f"${self.currency}"

    @property
    def multiplier(self) -> int:
        """1."""
        return 1


Instrument = Equity | Index | Future | Option | Cash


def _check_multiplier(multiplier: int) -> None:
    if type(multiplier) is not int or not 1 <= multiplier <= MOST_MULTIPLIER:
        raise InstrumentError(f"a multiplier is a whole number from 1 to {MOST_MULTIPLIER:,}, not {multiplier!r:.40}")


_OCC = re.compile(r"([A-Z0-9.]{1,6}) *([0-9]{6})([CP])([0-9]{8})")


@lru_cache(maxsize=1 << 16)
def occ_symbol(root: str, expiry: date, right: Right, strike: Decimal) -> str:
    """The 21-character OCC symbol: root padded to six, yymmdd, C or P, strike in thousandths padded to eight digits."""
    # Size first: a thousandfold of what is no number, or of a number without measure, cannot be taken.
    milli = strike * 1000 if strike.is_finite() and 0 < strike < 10**5 else None
    if milli is None or milli != milli.to_integral_value():
        raise InstrumentError(f"strike {strike} cannot be written in an OCC symbol (thousandths, under 100,000)")
    if not 1 <= len(root) <= 6:
        raise InstrumentError(f"option root {root!r} must have one to six characters")
    if not 2000 <= expiry.year <= 2099:
        raise InstrumentError(f"expiry {expiry} is outside 2000 to 2099")
    return f"{root:<6}{expiry:%y%m%d}{'C' if right is Right.CALL else 'P'}{int(milli):08d}"


def parse_occ(text: str) -> tuple[str, date, Right, Decimal]:
    """Read an OCC symbol, padded or not, into root, expiry, right and strike; raise InstrumentError otherwise."""
    match = _OCC.fullmatch(text.strip())
    if match is None:
        raise InstrumentError(f"{text!r} is not an OCC option symbol such as SPXW  190517P02700000")
    root, day, right, strike = match.groups()
    try:
        expiry = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError as error:
        raise InstrumentError(f"{text!r} has no valid expiry: {error}") from error
    value = Decimal(int(strike)) / 1000
    if value == 0:
        raise InstrumentError(f"{text!r} has a strike of zero")
    return root, expiry, Right.CALL if right == "C" else Right.PUT, value


def underlying_instrument(symbol: str) -> Equity | Index:
    """The underlying as an instrument: an Index for index symbols, an Equity otherwise."""
    return Index(symbol=symbol) if symbol in INDICES else Equity(symbol=symbol)


def combo_tick(options: tuple[Option, ...], net: Decimal) -> Decimal:
    """The price step of an order over these option legs: the series' own for one leg, the coarsest combo step for several."""
    if len(options) == 1:
        return options[0].series.ticks.tick(net)
    return max((option.series.ticks.combo for option in options), default=Decimal("0.01"))


def plain_number(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros: 2700, 2712.5."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
