"""What a set of holdings amounts to: margin, worst stress loss, uncovered shorts, Greeks, capital by underlying. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from core.domain.accounts import AccountKind
from core.domain.instruments import Cash, Equity, Instrument, Option, Right
from core.domain.money import from_market
from core.domain.structures import uncovered_short
from core.errors import Unavailable
from core.margin import portfolio, reg_t
from core.market.view import View
from core.portfolio.book import Book
from core.portfolio.exposure import exposure
from core.risk.exam import Measures
from core.risk.stress import CRASH, stress, worst_price

Holdings = Mapping[str, tuple[Instrument, int]]
Slot = tuple[str, date, Right]
ZERO = Decimal(0)
CLUSTER = frozenset({"SPX", "XSP", "SPY"})  # on the S&P 500: one risk under three symbols
PRICE_STEP = Decimal("0.0001")  # mids lie half a tick off the grid


def measure(holdings: Holdings, *, book: Book, view: View) -> Measures:
    """Measure holdings, key -> (instrument, signed quantity), as held in the account of `book`.

    Net liquidation is the book's own, whatever `holdings` says: cash and positions at mid.
    """
    worth = net_liquidation(book, view)
    margin, refusals = _margin(holdings, kind=book.account.kind, view=view, equity=worth)
    result = stress(holdings, view)
    worst = result.worst
    return Measures(
        margin=margin, margin_refusals=refusals, stress_loss_usd=result.loss_usd, stress_scenario="" if worst is None else worst.name,
        uncovered=uncovered(holdings), exposure=exposure(holdings, view), net_liquidation=worth, unmarked=result.unmarked,
    )


def stressed_beside(found: Measures, sets: Sequence[Holdings], beside: Holdings, view: View) -> Measures:
    """The same measures with what is held elsewhere in the worst stress loss, scenario by scenario; margin stays the account's own."""
    if not beside:
        return found
    results = [stress(added(holdings, beside), view) for holdings in sets]
    losses = [result.loss_usd for result in results]
    worst = max(results, key=lambda result: result.loss_usd or 0.0)
    return replace(
        found, stress_loss_usd=None if None in losses else worst.loss_usd,
        stress_scenario="" if worst.worst is None else f"{worst.worst.name}, with trades elsewhere",
        unmarked=tuple(dict.fromkeys((*found.unmarked, *(name for result in results for name in result.unmarked)))),
    )


def added(*books: Holdings) -> dict[str, tuple[Instrument, int]]:
    """What several sets of holdings come to, contract by contract; opposite holdings of one contract net out."""
    total: dict[str, tuple[Instrument, int]] = {}
    for held in books:
        for key, (instrument, quantity) in held.items():
            total[key] = (instrument, total.get(key, (instrument, 0))[1] + quantity)
    return {key: pair for key, pair in total.items() if pair[1]}


def uncovered(holdings: Holdings) -> dict[Slot, int]:
    """Uncovered short contracts per underlying, expiry and right."""
    held = dict(holdings)
    return {
        (symbol, expiry, right): count
        for symbol in underlyings(held) for (expiry, right), count in uncovered_short(held, symbol).items()
    }


def underlyings(holdings: Holdings) -> tuple[str, ...]:
    """The underlyings of options and shares held, sorted."""
    return tuple(sorted({underlying_of(item) for item, _ in holdings.values() if not isinstance(item, Cash)}))


def underlying_of(instrument: Instrument) -> str:
    """The symbol an instrument's risk is on."""
    return instrument.underlying if isinstance(instrument, Option) else instrument.key


def net_liquidation(book: Book, view: View) -> Decimal | None:
    """Cash and positions at mid; None where a position has no usable price."""
    try:
        worth = [
            from_market(view.mid(held.instrument), PRICE_STEP) * held.instrument.multiplier * held.quantity
            for held in book.positions.values()
        ]
    except Unavailable:
        return None
    return book.cash + sum(worth, ZERO)


def requirement_of(holdings: Holdings, *, kind: AccountKind, view: View) -> Decimal | None:
    """Reg-T requirement of holdings alone; None where the price of an underlying is unknown."""
    return _margin(holdings, kind=kind, view=view, equity=None)[0]


def maintenance_of(holdings: Holdings, *, kind: AccountKind, view: View) -> Decimal | None:
    """What Regulation T asks for to keep holdings, less than to open them where shares are held; None where a price is unknown."""
    try:
        return reg_t.requirement(holdings.values(), prices=_prices(holdings, view), kind=kind, maintenance=True).total
    except (reg_t.MissingPrice, Unavailable, ValueError):
        return None


def left_at(holdings: Holdings, *, cash: Decimal, prices: Mapping[str, Decimal], kind: AccountKind, at: datetime) -> Decimal | None:
    """What an account has more (below zero: less) than it needs to keep its holdings at given prices, by key of options and underlyings.

    None where there is no rule or price for one of them.
    """
    held = tuple(holdings.values())
    try:
        equity = reg_t.net_liquidation(held, cash=cash, prices=prices)
        needed = portfolio.asked(held, prices=prices, kind=kind, at=at, equity=equity, maintenance=True).total
        return reg_t.buying_power(held, cash=cash, prices=prices, requirement=needed)
    except (reg_t.MissingPrice, ValueError):
        return None


def funds(holdings: Holdings, *, book: Book, view: View) -> tuple[Decimal | None, Decimal | None]:
    """Margin requirement of holdings and what is left for new positions with the book's cash; None where a price is unknown."""
    requirement = requirement_of(holdings, kind=book.account.kind, view=view)
    try:
        shares = _value_of_shares(holdings, view)
    except Unavailable:
        return requirement, None
    return requirement, None if requirement is None else book.cash + shares - requirement


def crash_loss(holdings: Holdings, view: View) -> Decimal | None:
    """The loss at (-20%, VIX +40), None where unknown."""
    loss = stress(holdings, view, scenarios=(CRASH,)).loss_usd
    return None if loss is None else from_market(loss)


def capital_by_underlying(holdings: Holdings, *, kind: AccountKind, view: View) -> dict[str, Decimal | None]:
    """Capital tied up on each underlying; None where a price it needs is unknown.

    Shares at their value; options at what they are worth net of what is sold, where that is paid for; short structures besides at their
    requirement or, where a short is uncovered, at the loss in the crash scenario if that is larger.
    """
    return {
        symbol: _capital({key: held for key, held in holdings.items() if underlying_of(held[0]) == symbol}, kind=kind, view=view)
        for symbol in underlyings(holdings)
    }


def _capital(group: Holdings, *, kind: AccountKind, view: View) -> Decimal | None:
    options = {key: held for key, held in group.items() if isinstance(held[0], Option)}
    try:
        shares = _value({key: held for key, held in group.items() if isinstance(held[0], Equity)}, view)
        if all(quantity > 0 for _, quantity in options.values()):
            return shares + _value(options, view)
    except Unavailable:
        return None
    # Shares cover short calls: the requirement is that of both together, less what the shares need alone.
    others = {key: held for key, held in group.items() if key not in options}
    whole, alone = requirement_of(group, kind=kind, view=view), requirement_of(others, kind=kind, view=view)
    if whole is None or alone is None:
        return None
    capital = max(ZERO, whole - alone)
    try:
        worth = [from_market(view.mid(item), PRICE_STEP) * item.multiplier * quantity for item, quantity in options.values()]
    except Unavailable:
        worth = []  # a short without a price: its requirement is at its dearest already
    capital += max(ZERO, sum(worth, ZERO))
    if uncovered(group):
        loss = crash_loss(options, view)
        if loss is None:
            return None
        capital = max(capital, loss)
    return shares + capital


def _value(group: Holdings, view: View) -> Decimal:
    return sum((from_market(view.mid(item), PRICE_STEP) * item.multiplier * abs(quantity) for item, quantity in group.values()), ZERO)


def _value_of_shares(holdings: Holdings, view: View) -> Decimal:
    worth = [from_market(view.mid(item), PRICE_STEP) * quantity for item, quantity in holdings.values() if isinstance(item, Equity)]
    return sum(worth, ZERO)


def _margin(holdings: Holdings, *, kind: AccountKind, view: View, equity: Decimal | None) -> tuple[Decimal | None, tuple[str, ...]]:
    try:
        report = reg_t.requirement(holdings.values(), prices=_prices(holdings, view), kind=kind, equity=equity)
    except (reg_t.MissingPrice, Unavailable, ValueError):  # ValueError: an instrument without a margin rule, such as an adjusted series
        return None, ()
    return report.total, report.refusals


def _prices(holdings: Holdings, view: View) -> dict[str, Decimal]:
    """Mids by key, underlyings included; a short option without a mid at its dearest plausible price."""
    prices: dict[str, Decimal] = {}
    for item, quantity in holdings.values():
        if isinstance(item, Cash):
            continue
        prices.setdefault(underlying_of(item), from_market(view.spot(underlying_of(item)), PRICE_STEP))
        if isinstance(item, Option) and quantity < 0:
            try:
                price = view.mid(item)
            except Unavailable:
                price = worst_price(item, short=True, view=view)
            prices[item.key] = from_market(price, PRICE_STEP)
    return prices
