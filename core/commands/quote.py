"""The price of an underlying, with its age and source."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from core.clock import exchange_date
from core.command import Access, Call, Command, Kind, Parameter
from core.commands._proposals import check_symbol
from core.desk import Desk
from core.domain.instruments import SERIES, underlying_instrument
from core.domain.money import CENT, from_market
from core.market.quote import Quote
from core.market.view import BarsNeed, Needs, View
from core.reply import Action, Block, Fact, Facts, Format, Notice, Reply, Tone


async def run(desk: Desk, call: Call) -> Reply:
    """Bid, ask, mid and change of one symbol."""
    symbol = str(call.args["symbol"])
    series = SERIES.get(symbol)
    symbol = symbol if series is None else series.underlying
    view = await desk.reader.view(Needs.of_symbols(symbol) | Needs(bars=frozenset({BarsNeed(symbol=symbol, sessions=2)})))
    await check_symbol(desk, view, symbol)
    instrument = underlying_instrument(symbol)
    quote = view.quote(instrument)
    blocks: list[Block] = []
    if not quote.state.usable:
        blocks.append(Notice(text=f"This quote is not usable: {quote.state.value}.", tone=Tone.BAD))
    facts = [*_prices(quote), *_change(view, symbol, quote), *_times(view, quote)]
    sourced = tuple(replace(fact, source=fact.source or quote.source) for fact in facts)
    return Reply(
        blocks=(*blocks, Facts(title=f"{symbol} ({view.label})", facts=sourced)),
        actions=(Action(label="Chain", line=f"chain {symbol}"),),
        data={"symbol": symbol, "mid": _price(quote.mid)},
    )


def _prices(quote: Quote) -> list[Fact]:
    found = [
        Fact(label=name, value=_price(value), format=Format.PRICE)
        for name, value in (("bid", quote.bid), ("ask", quote.ask), ("mid", quote.mid if quote.state.usable else math.nan))
    ]
    if quote.last is not None:
        found.append(Fact(label="last", value=_price(quote.last), format=Format.PRICE))
    return found


def _change(view: View, symbol: str, quote: Quote) -> list[Fact]:
    """Against the close of the session before the quote's own, where that is known."""
    bars = view.bars.get(symbol)
    day = exchange_date(quote.at)
    before = [pair for pair in zip(bars.days, bars.close, strict=True) if pair[0] < day] if bars is not None else []
    if bars is None or not before or not quote.state.usable or not math.isfinite(before[-1][1]) or before[-1][1] <= 0:
        return [Fact(label="previous close", value=None, note=view.missing.get(f"bars:{symbol}", "not known"))]
    last, close = before[-1]
    return [
        Fact(label="previous close", value=_price(close), format=Format.PRICE, note=f"{last}", source=bars.source),
        Fact(label="change", value=quote.mid / close - 1, format=Format.PERCENT, signed=True),
    ]


def _times(view: View, quote: Quote) -> list[Fact]:
    note = "delayed data" if quote.delayed else ""
    return [
        Fact(label="age", value=(view.at - quote.at).total_seconds(), format=Format.AGE, note=note),
        Fact(label="quote time", value=quote.at, format=Format.TIME),
        Fact(label="source", value=quote.source),
    ]


def _price(value: float) -> Decimal | None:
    return from_market(value, CENT) if math.isfinite(value) and abs(value) < 1e9 else None


COMMAND = Command(
    name="quote",
    help="The price of an underlying, with age and source.",
    run=run,
    access=Access.READ,
    parameters=(Parameter(name="symbol", kind=Kind.SYMBOL, required=True, help="such as SPX"),),
    examples=("quote SPX", "quote AAPL"),
)
