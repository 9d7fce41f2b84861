"""The market a paper exchange trades on, with answers that make no sense kept out: its books are made of what comes from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from core.domain.instruments import Instrument, Option
from core.market.answers import checked_dividends, checked_quotes, checked_settlement, checked_splits
from core.market.quote import Quote
from core.ports import Dividend, SettlementValue, Split


class QuoteSource(Protocol):
    """The market the exchange trades on; every Provider is one."""

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        """Quotes by instrument key; a key that is not quoted is left out."""
        ...

    async def settlement(self, contract: Option) -> SettlementValue | None:
        """The published settlement value, None while there is none."""
        ...

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        """Dividends with ex-date in [start, end], as far as known now."""
        ...

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        """Splits with ex-date in [start, end], as far as announced by now."""
        ...


class Checked:
    """A source whose senseless answers are Unavailable."""

    def __init__(self, source: QuoteSource) -> None:
        self._source = source

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        """Quotes that are quotes; whether one may be traded on is judged by its own state."""
        return checked_quotes(await self._source.quotes(instruments))

    async def settlement(self, contract: Option) -> SettlementValue | None:
        """A value an index or a share could have."""
        return checked_settlement(await self._source.settlement(contract), contract)

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        """Amounts on days."""
        return checked_dividends(await self._source.dividends(symbol, start=start, end=end), symbol)

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        """Ratios on days."""
        return checked_splits(await self._source.splits(symbol, start=start, end=end), symbol)
