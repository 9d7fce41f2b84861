"""What was known of the market at one instant: the only thing strategies, rules and exits may look at.

A missing item raises `Unavailable`; it is never zero. Option opinions (`OptionMark`) are computed on first use from the quotes in the
view itself, one implied forward per expiry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from core.domain.instruments import Instrument, Option, underlying_instrument
from core.errors import Unavailable
from core.market.chain import Chain
from core.market.quote import SMALLEST_SPOT, Quote, QuoteState, session_age_seconds
from core.ports import Bars, Dividend, Earnings, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainNeed:
    """Contracts of a symbol expiring `first_dte` to `last_dte` calendar days from the view's date, both included."""

    symbol: str
    first_dte: int
    last_dte: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsNeed:
    """The last `sessions` completed daily bars of a symbol."""

    symbol: str
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a view must hold. Merged over everything that will look at it, then loaded once."""

    instruments: frozenset[Instrument] = frozenset()  # quotes; options and underlyings alike
    chains: frozenset[ChainNeed] = frozenset()
    bars: frozenset[BarsNeed] = frozenset()
    events: frozenset[str] = frozenset()  # symbols whose earnings and splits are wanted

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            instruments=self.instruments | other.instruments, chains=self.chains | other.chains, bars=self.bars | other.bars,
            events=self.events | other.events,
        )

    @classmethod
    def of_symbols(cls, *symbols: str) -> Needs:
        """Quotes of these underlyings."""
        return cls(instruments=frozenset(underlying_instrument(symbol) for symbol in symbols))


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionMark:
    """Opinions on one contract. None where the quote gives no implied vol; risk then assumes the worst, never zero."""

    mid: float  # per share delivered: of an adjusted contract not what is quoted
    iv: float | None
    delta: float | None  # of one long contract per share, puts negative
    gamma: float | None
    theta_per_day: float | None
    vega_per_point: float | None
    spot: float  # of the underlying, at the time of its chain where there is one
    forward: float
    discount: float
    t_years: float


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A frozen picture of the market. Build one with `core.market.reader.Reader.view(needs)`."""

    at: datetime  # desk clock, UTC
    session: date  # the exchange session `at` belongs to
    label: str  # SIMULATED, RECORDED or the vendor
    quotes: Mapping[str, Quote]
    chains: Mapping[str, Chain]
    bars: Mapping[str, Bars] = field(default_factory=dict)
    dividends: Mapping[str, tuple[Dividend, ...]] = field(default_factory=dict)
    splits: Mapping[str, tuple[Split, ...]] = field(default_factory=dict)  # of what `Needs.events` asks for, like earnings
    earnings: Mapping[str, tuple[Earnings, ...]] = field(default_factory=dict)
    rate: float | None = None  # continuously compounded, about one month
    missing: Mapping[str, str] = field(default_factory=dict)  # key -> why
    _marks: dict[str, OptionMark] = field(default_factory=dict, repr=False, compare=False)
    _curves: dict[tuple[str, date, str], tuple[float, float]] = field(default_factory=dict, repr=False, compare=False)

    def quote(self, instrument: Instrument) -> Quote:
        """The quote of an instrument, from the quotes or its chain, insane or not; raise Unavailable where there is none."""
        found = self.quotes.get(instrument.key) or self._from_chain(instrument)
        if found is None:
            why = self.missing.get(instrument.key, "no source has it")
            raise Unavailable(f"quote of {getattr(instrument, 'label', instrument.key)}", why=why)
        return found

    def halt_of(self, instrument: Instrument) -> str:
        """Why an instrument does not trade now although its session is open; empty where no source says so. Options stop with what they
        are on."""
        symbol = instrument.underlying if isinstance(instrument, Option) else instrument.key
        chain = self.chains.get(symbol)
        said = [quote.halted for key in (instrument.key, symbol) if (quote := self.quotes.get(key)) is not None]
        return next((why for why in (*said, "" if chain is None else chain.halted) if why), "")

    def spot(self, symbol: str) -> float:
        """Mid price of an underlying; raise Unavailable where unknown or insane.

        Both sides are needed: that nobody bids is normal for a far option, and half the ask is no price of what it is on.
        """
        quote = self.quotes.get(symbol)
        if quote is not None and quote.state is QuoteState.OK and quote.mid >= SMALLEST_SPOT:
            return quote.mid
        chain = self.chains.get(symbol)
        if quote is None and chain is not None and chain.spot > 0:
            return chain.spot
        state = QuoteState.ABSURD if quote is not None and quote.state is QuoteState.OK else None if quote is None else quote.state
        why = self.missing.get(symbol, "no source has it" if state is None else state.value)
        raise Unavailable(f"price of {symbol}", why=why)

    def mid(self, instrument: Instrument) -> float:
        """Mid of a usable quote (ask / 2 where nobody bids); raise Unavailable otherwise."""
        quote = self.quote(instrument)
        if not quote.state.usable:
            raise Unavailable(f"price of {getattr(instrument, 'label', instrument.key)}", why=quote.state.value)
        return quote.mid

    def chain(self, symbol: str) -> Chain:
        """The chain of an underlying; raise Unavailable where it was not loaded or is empty."""
        chain = self.chains.get(symbol)
        if chain is None or len(chain) == 0:
            raise Unavailable(f"option chain of {symbol}", why=self.missing.get(f"chain:{symbol}", "no contracts listed in that range"))
        return chain

    def age_seconds(self, instrument: Instrument) -> float:
        """Seconds between the quote's own time and the view's."""
        return (self.at - self.quote(instrument).at).total_seconds()

    def session_age_seconds(self, instrument: Instrument) -> float:
        """Seconds of trading between the quote's own time and the view's: nights and closed days do not age a quote.

        Options by their series' hours, underlyings by the equity session: an index stands still from 16:00 on.
        """
        spec = instrument.series if isinstance(instrument, Option) else None
        return session_age_seconds(self.quote(instrument).at, self.at, spec)

    def mark(self, contract: Option) -> OptionMark:
        """Implied vol and Greeks of a contract from this view's own quotes; raise Unavailable without a usable quote or spot."""
        known = self._marks.get(contract.key)
        if known is None:
            from core.market.analytics import option_mark  # numpy-heavy: only where marks are wanted

            known = self._marks[contract.key] = option_mark(self, contract)
        return known

    def mark_all(self, contracts: Iterable[Option]) -> None:
        """Work out the marks of many contracts at once, for `mark` to answer with; those that cannot be marked are left for it."""
        wanted = [contract for contract in contracts if contract.key not in self._marks]
        if wanted:
            from core.market.analytics import option_marks  # numpy-heavy: only where marks are wanted

            self._marks.update(option_marks(self, wanted))

    def _from_chain(self, instrument: Instrument) -> Quote | None:
        if not isinstance(instrument, Option):
            return None
        chain = self.chains.get(instrument.underlying)
        row = None if chain is None else chain.row(instrument)
        return None if chain is None or row is None else chain.quote(row)
