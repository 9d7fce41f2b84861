"""Matching on quotes alone: who buys pays the ask, who sells gets the bid, all legs together or none. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.brokers._paper_ledger import PaperOrder, Taken
from core.clock import exchange_date
from core.domain.instruments import Instrument, Option
from core.domain.money import CENT, from_market, to_tick
from core.domain.orders import Leg, Side
from core.market.quote import Quote, QuoteState

QUOTE_STEP = Decimal("0.0001")  # binary noise below this is no price


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What is quoted at an instant, and how much of it was traded already."""

    quotes: Mapping[str, Quote]
    taken: Mapping[str, Taken]
    at: datetime
    standing: bool  # the clock moves by hand: a new instant is a new market even where the quote is the same
    partial_fills: bool
    unknown_size: int  # contracts there are where the source says no size


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Units traded and the price of each leg."""

    units: int
    prices: tuple[Decimal, ...]
    taken: Mapping[str, Taken]


def match(order: PaperOrder, market: Market) -> Match | None:
    """How much of the order trades now, at the natural price; None where nothing does."""
    legs = order.envelope.legs
    prices = natural_prices(legs, market)
    if prices is None or net_price(legs, prices) < order.limit:
        return None
    units = min(order.leaves, *(_available(leg, market) // leg.ratio for leg in legs)) if market.partial_fills else order.leaves
    if units < 1:
        return None
    return Match(units=units, prices=prices, taken={leg.instrument.key: _use(leg, units, market) for leg in legs})


def natural_prices(legs: tuple[Leg, ...], market: Market) -> tuple[Decimal, ...] | None:
    """The price of each leg at once: ask to buy, bid to sell; None where a leg has no sane quote of this session, or nobody bids."""
    prices: list[Decimal] = []
    for leg in legs:
        quote = current_quote(leg.instrument, market)
        if quote is None or (leg.side is Side.SELL and quote.state is QuoteState.NO_BID):
            return None
        raw = quote.ask if leg.side is Side.BUY else quote.bid
        prices.append(to_tick(from_market(raw, QUOTE_STEP), CENT, up=leg.side is Side.BUY))
    return tuple(prices)


def net_price(legs: tuple[Leg, ...], prices: tuple[Decimal, ...]) -> Decimal:
    """Net per unit and per share: + received, - paid. Shares beside options count as the part of a contract they are."""
    money = Decimal(0)
    for leg, price in zip(legs, prices, strict=True):
        money -= leg.contracts(1) * leg.instrument.multiplier * price
    return money / unit_multiplier(legs)


def unit_multiplier(legs: tuple[Leg, ...]) -> int:
    """Money per point of a structure's net price."""
    return max(leg.instrument.multiplier for leg in legs)


def marks(instruments: Collection[Instrument], market: Market) -> dict[str, Decimal]:
    """Mid prices by key of whatever is sanely quoted, for margin; options that no longer trade at what they would pay now.

    So are contracts of adjusted series that nobody quotes.
    """
    found: dict[str, Decimal] = {}
    for item in instruments:
        quote = market.quotes.get(item.key)
        if quote is not None and quote.state.usable:
            found[item.key] = from_market(quote.mid, QUOTE_STEP)
    for item in instruments:
        if not isinstance(item, Option) or item.underlying not in found:
            continue
        if market.at >= item.last_trade_at or (not item.is_standard and item.key not in found):
            found[item.key] = item.intrinsic(found[item.underlying]) / item.multiplier
    return found


def current_quote(instrument: Instrument, market: Market) -> Quote | None:
    """The instrument's quote where it is sane, of today's session, and trading is not halted; options stop with what they are on."""
    quote = market.quotes.get(instrument.key)
    under = market.quotes.get(instrument.underlying) if isinstance(instrument, Option) else None
    if under is not None and under.halted:
        return None
    if quote is None or not quote.state.usable or quote.halted or exchange_date(quote.at) != exchange_date(market.at):
        return None
    return quote


def same_quote(used: Taken, quote: Quote, market: Market) -> bool:
    """Whether an earlier execution already drew on this quote."""
    if quote.at > used.quoted_at:
        return False
    return not (market.standing and market.at > used.at)


def _available(leg: Leg, market: Market) -> int:
    quote = market.quotes[leg.instrument.key]
    size = quote.ask_size if leg.side is Side.BUY else quote.bid_size
    used = market.taken.get(leg.instrument.key)
    gone = 0
    if used is not None and same_quote(used, quote, market):
        gone = used.bought if leg.side is Side.BUY else used.sold
    return max(0, (market.unknown_size * _lot(leg) if size is None else size) - gone)


def _lot(leg: Leg) -> int:
    return 1 if isinstance(leg.instrument, Option) else 100


def _use(leg: Leg, units: int, market: Market) -> Taken:
    quote = market.quotes[leg.instrument.key]
    used = market.taken.get(leg.instrument.key)
    if used is None or not same_quote(used, quote, market):
        used = Taken(quoted_at=quote.at, at=market.at)
    count = leg.ratio * units
    bought, sold = (count, 0) if leg.side is Side.BUY else (0, count)
    return Taken(quoted_at=used.quoted_at, at=market.at, bought=used.bought + bought, sold=used.sold + sold)
