"""What of a data source's answer may be used. Pure, and a leaf, so that the paper exchange at the edge may ask it too.

A price may be insane: it is kept and judged where it is used, so that a refusal can say what is wrong with it. But an answer that is no
answer (columns of different lengths, a time without a zone, a rate of 1e308) is refused whole as Unavailable, and rows that describe no
contract or no session are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from core.domain.holidays import FIRST_YEAR, LAST_YEAR
from core.domain.instruments import Option
from core.errors import Unavailable
from core.market.chain import CALL, PUT, Chain
from core.market.quote import LARGEST_PRICE, SMALLEST_SPOT, Quote
from core.ports import Bars, Dividend, Earnings, Headline, SettlementValue, Split

RATES = (-0.10, 0.50)  # outside, a yield is a mistake of units
LARGEST_DIVIDEND = 10_000  # a share
LARGEST_RATIO = 10_000  # of a split
REPORTED = ("before_open", "after_close", "")
_EXPIRIES = (date(2000, 1, 1).toordinal(), date(2099, 12, 31).toordinal())
_STRIKES = (1, 10**8 - 1)  # in thousandths, as a contract's symbol can hold them
_LONGEST_ROOT = 6
_LONGEST_HALT = 80
_LONGEST_HEADLINE = 200
_BEHIND = timedelta(hours=5)
_COLUMNS: Mapping[str, npt.DTypeLike] = {
    "root": np.object_, "expiry": np.int64, "right": np.int8, "strike_milli": np.int64, "bid": np.float64, "ask": np.float64,
    "bid_size": np.int64, "ask_size": np.int64, "open_interest": np.int64, "volume": np.int64, "vendor_iv": np.float64,
    "vendor_delta": np.float64,
}


def checked_quotes(found: Mapping[str, Quote]) -> dict[str, Quote]:
    """The quotes that are quotes: of the key they are said to be of, with prices that are numbers, made at some time."""
    if not isinstance(found, Mapping):
        raise Unavailable("quotes", why=_senseless(found))
    return {key: _plain_quote(quote) for key, quote in found.items() if _is_quote(key, quote)}


def checked_chain(chain: Chain, symbol: str) -> Chain:
    """A chain of the symbol whose columns fit together, without the rows that are no contract; the same object where nothing is wrong."""
    if not isinstance(chain, Chain) or chain.symbol != symbol or not _is_time(chain.at):
        raise Unavailable(f"option chain of {symbol}", why="the source's answer is none, or of another symbol or no time")
    columns = {name: _column(getattr(chain, name), dtype) for name, dtype in _COLUMNS.items()}
    if any(column is None for column in columns.values()) or len({len(column) for column in columns.values() if column is not None}) != 1:
        raise Unavailable(f"option chain of {symbol}", why="the columns of the source's answer do not fit together")
    if any(columns[name] is not getattr(chain, name) for name in _COLUMNS):
        chain = replace(chain, **columns)
    spot = _number(chain.spot)
    if spot is None or not SMALLEST_SPOT <= spot <= LARGEST_PRICE:
        spot = math.nan
    if type(chain.spot) is not float or spot != chain.spot:
        chain = replace(chain, spot=spot)
    halted = _halted(chain.halted)
    if type(chain.halted) is not str or halted != chain.halted:
        chain = replace(chain, halted=halted)
    contracts = _contracts(chain)
    return chain if contracts.all() else chain.select(contracts)


def checked_bars(bars: Bars, symbol: str) -> Bars:
    """Bars of one length in order of their days, without those that have no close; an open, high or low that is no price is NaN."""
    columns = ("open", "high", "low", "close")
    if not isinstance(bars, Bars) or bars.symbol != symbol or not all(type(getattr(bars, name)) is tuple for name in ("days", *columns)):
        raise Unavailable(f"daily prices of {symbol}", why="the source's answer is none, or of another symbol")
    if len({len(getattr(bars, name)) for name in ("days", *columns)}) != 1:
        raise Unavailable(f"daily prices of {symbol}", why="the columns of the source's answer differ in length")
    if not all(map(_is_day, bars.days)) or any(one >= other for one, other in zip(bars.days, bars.days[1:], strict=False)):
        raise Unavailable(f"daily prices of {symbol}", why="the days of the source's answer are not in order")
    prices = {name: tuple(map(_price, getattr(bars, name))) for name in columns}
    kept = [row for row, close in enumerate(prices["close"]) if not math.isnan(close)]
    return replace(bars, days=tuple(bars.days[row] for row in kept), **{
        name: tuple(column[row] for row in kept) for name, column in prices.items()
    })


def checked_dividends(paid: Iterable[Dividend], symbol: str) -> tuple[Dividend, ...]:
    """Dividends that are amounts on days."""
    if not isinstance(paid, tuple | list) or not all(map(_is_dividend, paid)):
        raise Unavailable(f"dividends of {symbol}", why=_senseless(paid))
    return tuple(paid)


def checked_splits(found: Iterable[Split], symbol: str) -> tuple[Split, ...]:
    """Splits that are ratios on days."""
    if not isinstance(found, tuple | list) or not all(map(_is_split, found)):
        raise Unavailable(f"splits of {symbol}", why=_senseless(found))
    return tuple(found)


def checked_earnings(found: Iterable[Earnings], symbol: str) -> tuple[Earnings, ...]:
    """Reports on days; a time of day that is none of the known ones is unknown."""
    if not isinstance(found, tuple | list) or not all(isinstance(item, Earnings) and _is_day(item.day) for item in found):
        raise Unavailable(f"reports of {symbol}", why=_senseless(found))
    return tuple(item if item.when in REPORTED else replace(item, when="") for item in found)


def checked_headlines(found: Iterable[Headline]) -> tuple[Headline, ...]:
    """Single short lines of words with their times, oldest first."""
    if not isinstance(found, tuple | list) or not all(map(_is_headline, found)):
        raise Unavailable("headlines", why=_senseless(found))
    lined = [replace(item, text=_line(item.text)[:_LONGEST_HEADLINE]) for item in found]
    return tuple(sorted((item for item in lined if item.text), key=lambda item: item.at))


def checked_rate(rate: float) -> float:
    """A yield as a decimal."""
    number = _number(rate)
    if number is None or not RATES[0] <= number <= RATES[1]:
        raise Unavailable("riskless rate", why=f"{rate!r:.40} is none")
    return number


def checked_expiries(days: Iterable[date], symbol: str) -> tuple[date, ...]:
    """Days, each once, in order."""
    if not isinstance(days, tuple | list) or not all(map(_is_day, days)):
        raise Unavailable(f"expiries of {symbol}", why=_senseless(days))
    return tuple(sorted(set(days)))


def checked_settlement(value: SettlementValue | None, contract: Option) -> SettlementValue | None:
    """The value of the contract's own series; None while there is none."""
    if value is None:
        return None
    known = isinstance(value, SettlementValue) and (value.root, value.expiry) == (contract.root, contract.expiry)
    if not known or not _is_amount(value.value, most=Decimal(LARGEST_PRICE)) or not _is_time(value.published_at):
        raise Unavailable(f"settlement value of {contract.label}", why=_senseless(value))
    return value


def checked_instant(at: datetime | None, now: datetime) -> datetime | None:
    """A later instant, None where there is none."""
    if at is not None and not (_is_time(at) and at > now):
        raise Unavailable("next instant of the market", why=_senseless(at))
    return at


# --- inside ---------------------------------------------------------------------------------------------------------------


def _senseless(answer: object) -> str:
    return f"the source's answer makes no sense: {answer!r:.120}"


def _number(value: object) -> float | None:
    """A finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _price(value: object) -> float:
    number = _number(value)
    return number if number is not None and 0 < number <= LARGEST_PRICE else math.nan


def _is_day(day: object) -> bool:
    return type(day) is date and FIRST_YEAR <= day.year <= LAST_YEAR


def _is_time(at: object) -> bool:
    if not isinstance(at, datetime) or at.tzinfo is None or not FIRST_YEAR <= at.year <= LAST_YEAR:
        return False
    everywhere = at.astimezone(UTC)  # and in New York, whose day must be one of the calendar's
    return (everywhere - _BEHIND).year >= FIRST_YEAR and everywhere.year <= LAST_YEAR


def _is_amount(value: object, *, most: Decimal) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and 0 <= value <= most


def _is_dividend(item: object) -> bool:
    return isinstance(item, Dividend) and _is_day(item.ex_date) and _is_amount(item.amount, most=Decimal(LARGEST_DIVIDEND))


def _is_split(item: object) -> bool:
    if not isinstance(item, Split) or not _is_day(item.ex_date):
        return False
    return all(type(part) is int and 1 <= part <= LARGEST_RATIO for part in (item.new, item.old)) and item.new != item.old


def _is_headline(item: object) -> bool:
    known = isinstance(item, Headline) and _is_time(item.at) and isinstance(item.text, str) and isinstance(item.source, str)
    return known and (item.symbol is None or isinstance(item.symbol, str))


def _is_quote(key: object, quote: object) -> bool:
    prices = (quote.bid, quote.ask) if isinstance(quote, Quote) and quote.key == key and _is_time(quote.at) else ()
    return bool(prices) and all(isinstance(price, int | float | np.floating) and not isinstance(price, bool) for price in prices)


def _plain_quote(quote: Quote) -> Quote:
    """The quote with plain floats, and without a size or a last price that is none."""
    bid, ask = _plain(quote.bid), _plain(quote.ask)
    sizes = [size if type(size) is int and size >= 0 else None for size in (quote.bid_size, quote.ask_size)]
    last = None if quote.last is None else _number(quote.last)
    halted = _halted(quote.halted)
    same = type(quote.bid) is type(quote.ask) is float and sizes == [quote.bid_size, quote.ask_size] and last == quote.last
    if same and type(quote.halted) is str and halted == quote.halted:
        return quote
    return replace(quote, bid=bid, ask=ask, bid_size=sizes[0], ask_size=sizes[1], last=last, halted=halted)


def _halted(words: object) -> str:
    """The source's words for a halt on one short line; whatever is said that is no words is a halt all the same."""
    if not isinstance(words, str):
        return "" if words is None or words is False else "halted"
    return _line(words)[:_LONGEST_HALT] or ("halted" if words else "")


def _line(words: str) -> str:
    """Printable words on one line."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())


def _plain(price: Any) -> float:
    try:
        return float(price)
    except OverflowError:
        return math.inf


def _column(column: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any] | None:
    """The column as its type, None where it is none or of a type that would lose something."""
    if not isinstance(column, np.ndarray) or column.ndim != 1:
        return None
    if column.dtype == dtype:
        return column
    return column.astype(dtype) if np.can_cast(column.dtype, dtype, casting="safe") and column.dtype.kind in "iuf" else None


def _contracts(chain: Chain) -> npt.NDArray[np.bool_]:
    """The rows that describe a contract somebody could list."""
    strikes, days = chain.strike_milli, chain.expiry
    rows = (strikes >= _STRIKES[0]) & (strikes <= _STRIKES[1]) & (days >= _EXPIRIES[0]) & (days <= _EXPIRIES[1])
    rows &= (chain.right == CALL) | (chain.right == PUT)
    if not all(map(_is_root, set(chain.root.tolist()))):
        rows &= np.array([_is_root(root) for root in chain.root], dtype=np.bool_)
    return rows


def _is_root(root: object) -> bool:
    return type(root) is str and 0 < len(root) <= _LONGEST_ROOT and root.isascii() and root.replace(".", "").isalnum()
