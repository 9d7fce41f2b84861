"""What the paper exchange refuses, and in which words; when an order ends; what an account's margin comes to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.brokers._paper_ledger import PaperOrder
from core.brokers._paper_match import unit_multiplier
from core.clock import exchange_date
from core.domain.accounts import AccountKind
from core.domain.hours import trading_hours
from core.domain.instruments import Equity, Instrument, InstrumentError, Option, combo_tick, plain_number
from core.domain.listing import option
from core.domain.money import CENT, on_tick
from core.domain.orders import Effect, Envelope, Leg, TimeInForce
from core.margin import portfolio, reg_t

MAX_LEGS = 4
ZERO = Decimal(0)
Held = Mapping[str, tuple[Instrument, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an order is not taken."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """Margin and buying power of holdings, working orders counted as filled."""

    margin: Decimal
    buying_power: Decimal
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """What an account is worth, and how much more it must be worth to keep what it holds (zero or less: nothing)."""

    equity: Decimal
    missing: Decimal
    required: Decimal  # as accounts show what keeping their positions asks for


def contract_refusal(legs: tuple[Leg, ...], held: Held) -> Refusal | None:
    """Contracts that do not exist, or cannot be traded here; adjusted ones may be closed by who holds them."""
    if len(legs) > MAX_LEGS:
        return Refusal(code="legs", message=f"{len(legs)} legs are over the {MAX_LEGS} this exchange takes; send parts")
    for leg in legs:
        item = leg.instrument
        if isinstance(item, Option) and leg.effect is Effect.CLOSE and item.key in held and held[item.key][0] == item:
            continue
        if isinstance(item, Option):
            try:
                listed = option(item.root, item.expiry, item.right, item.strike)
            except InstrumentError as error:
                return Refusal(code="unknown_contract", message=str(error))
            if listed != item:
                return Refusal(code="unknown_contract", message=f"{item.label} has other terms here than in the order")
        elif not isinstance(item, Equity):
            return Refusal(code="unknown_contract", message=f"{item.key} cannot be traded here; options and shares can")
    return None


def price_refusal(legs: tuple[Leg, ...], limit: Decimal, quantity: int) -> Refusal | None:
    """Quantities and prices an exchange does not take."""
    if quantity < 1:
        return Refusal(code="quantity", message=f"a quantity is at least 1, not {quantity}")
    options = tuple(leg.instrument for leg in legs if isinstance(leg.instrument, Option))
    tick = combo_tick(options, limit) if len(options) == len(legs) else CENT
    if not on_tick(limit, tick):
        return Refusal(code="tick", message=f"{plain_number(limit)} is not a multiple of the price step {plain_number(tick)}")
    return None


def closed_refusal(legs: tuple[Leg, ...], now: datetime) -> Refusal | None:
    """A leg whose market is closed."""
    for leg in legs:
        span = trading_hours(leg.instrument, exchange_date(now))
        if span is None or not span[0] <= now < span[1]:
            name = leg.instrument.label if isinstance(leg.instrument, Option) else leg.instrument.key
            return Refusal(code="closed", message=f"the market of {name} is closed; nothing was taken")
    return None


def ended_refusal(legs: tuple[Leg, ...], now: datetime) -> Refusal | None:
    """A leg that will never trade again; an order good till cancelled may wait for the next session otherwise."""
    for leg in legs:
        if isinstance(leg.instrument, Option) and now >= leg.instrument.last_trade_at:
            return Refusal(code="closed", message=f"{leg.instrument.label} does not trade any more; nothing was taken")
    return None


def is_open(legs: tuple[Leg, ...], now: datetime) -> bool:
    """Whether every leg trades now."""
    return closed_refusal(legs, now) is None


def order_end(envelope: Envelope, now: datetime) -> datetime | None:
    """When an order taken now expires: DAY with the first close of its legs today, GTC with its first contract; None for GTC shares."""
    if envelope.tif is TimeInForce.DAY:
        spans = [trading_hours(leg.instrument, exchange_date(now)) for leg in envelope.legs]
        return min(span[1] for span in spans if span is not None)
    return min((leg.instrument.last_trade_at for leg in envelope.legs if isinstance(leg.instrument, Option)), default=None)


def effect_refusal(legs: tuple[Leg, ...], quantity: int, *, held: Held, working: Iterable[PaperOrder]) -> Refusal | None:
    """A closing leg needs a position nobody else is closing; an opening leg may not run against what is held or being opened."""
    others = tuple(working)
    for leg in legs:
        key, count = leg.instrument.key, leg.contracts(quantity)
        have = held.get(key, (leg.instrument, 0))[1]
        name = leg.instrument.label if isinstance(leg.instrument, Option) else key
        same = [(other, order.leaves) for order in others for other in order.envelope.legs if other.instrument.key == key]
        if leg.effect is Effect.CLOSE:
            closing = sum(other.contracts(units) for other, units in same if other.effect is Effect.CLOSE)
            free = have + closing
            if free * count >= 0 or abs(count) > abs(free):
                why = f"closing {abs(count)} x {name} needs a position: {have:+d} held, {abs(closing)} of it being closed already"
                return Refusal(code="effect", message=why)
        else:
            opening = [other.contracts(units) for other, units in same if other.effect is Effect.OPEN]
            if have * count < 0 or any(other * count < 0 for other in opening):
                why = f"opening {count:+d} x {name} runs against {have:+d} held or against orders working; close those first"
                return Refusal(code="effect", message=why)
    return None


def funds_of(
    *, held: Held, cash: Decimal, working: Iterable[PaperOrder], prices: Mapping[str, Decimal], kind: AccountKind, at: datetime,
    fees: Decimal = ZERO, extra: tuple[tuple[Leg, ...], int, Decimal] | None = None,
) -> Funds:
    """Margin and buying power with every working order's opening legs filled at its limit, and `extra` (legs, units, limit) too.

    Closing legs of working orders are not counted, since they may not fill; those of `extra` are. Raises MissingPrice.
    """
    equity = reg_t.net_liquidation(held.values(), cash=cash, prices=prices)
    holdings = list(held.values())
    money = cash - fees
    for order in working:
        opening = [leg for leg in order.envelope.legs if leg.effect is Effect.OPEN]
        holdings += [(leg.instrument, leg.contracts(order.leaves)) for leg in opening]
        if opening:
            money += order.limit * unit_multiplier(order.envelope.legs) * order.leaves
    if extra is not None:
        legs, units, limit = extra
        holdings += [(leg.instrument, leg.contracts(units)) for leg in legs]
        money += limit * unit_multiplier(legs) * units
    report = portfolio.asked(holdings, prices=prices, kind=kind, at=at, equity=equity)
    power = reg_t.buying_power(holdings, cash=money, prices=prices, requirement=report.total)
    return Funds(margin=_shown(report), buying_power=power, refusals=report.refusals)


def shortage_of(
    held: Sequence[tuple[Instrument, int]], *, cash: Decimal, prices: Mapping[str, Decimal], kind: AccountKind, at: datetime
) -> Shortage:
    """The maintenance requirement against cash and shares. Raises MissingPrice."""
    equity = reg_t.net_liquidation(held, cash=cash, prices=prices)
    report = portfolio.asked(held, prices=prices, kind=kind, at=at, equity=equity, maintenance=True)
    power = reg_t.buying_power(held, cash=cash, prices=prices, requirement=report.total)
    return Shortage(equity=equity, missing=-power, required=_shown(report))


def _shown(report: reg_t.MarginReport) -> Decimal:
    """What a report asks for, without what options are worth to portfolio margin."""
    return sum((line.amount for line in report.lines if line.underlying), ZERO)


def funds_refusal(before: Funds, after: Funds, *, closes: bool) -> Refusal | None:
    """Nobody is trapped: an order that only closes and asks for no more margin passes whatever the account looks like."""
    if closes and after.margin <= before.margin and len(after.refusals) <= len(before.refusals):
        return None
    if after.refusals:
        return Refusal(code="margin", message=after.refusals[0])
    if after.buying_power < 0:
        needs = before.buying_power - after.buying_power
        why = f"insufficient buying power: needs {needs:,.2f} USD, has {before.buying_power:,.2f} USD"
        if needs <= 0:
            why = f"insufficient buying power: {after.buying_power:,.2f} USD would still be under zero, where only closing orders are taken"
        return Refusal(code="buying_power", message=why)
    return None


def only_buys_back(legs: tuple[Leg, ...], quantity: int, *, cash: Decimal, limit: Decimal) -> bool:
    """Whether an order does nothing but buy back shorts with money that is there: safe even where nothing can be priced."""
    cost = -limit * unit_multiplier(legs) * quantity
    return all(leg.effect is Effect.CLOSE and leg.side.sign > 0 for leg in legs) and cost <= cash
