"""The figures behind a card: what an order can make and lose, how likely, what happens before it expires, how it is taxed. Pure.

Amounts are exact and before commission; probability is an opinion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.calendar import CalendarError, closure, last_trade_at, monthly_expiry
from core.domain.holidays import half_days
from core.domain.instruments import INDICES, Delivery, Exercise, Index, Option, Settlement, underlying_instrument
from core.domain.money import ZERO
from core.domain.orders import Effect, Envelope, Exits, Intent, Leg, Side
from core.domain.structures import Position
from core.errors import Unavailable
from core.market.liquidity import Liquidity, judge_liquidity
from core.market.view import View
from core.portfolio.book import Book
from core.portfolio.pnl import run_out
from core.pricing import payoff as payoffs
from core.pricing.payoff import Payoff
from core.risk.examine import legs_payoff, net_multiplier

if TYPE_CHECKING:
    from core.orders.ticket import Priced

WASH_DAYS = timedelta(days=30)
_WHEN = {"before_open": " before the open", "after_close": " after the close"}
_WORST_FIRST = ("poor", "acceptable", "good")


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something the exchange calendar or a dividend table knows of."""

    day: date
    what: str


def money(priced: Priced, price: Decimal) -> Decimal:
    """A net price per unit as money for the whole quantity: + received, - paid."""
    return price * net_multiplier(priced.envelope.legs) * priced.envelope.quantity


def payoff_at(priced: Priced, price: Decimal) -> Payoff | None:
    """The payoff at expiry of the whole order if it fills at a net price; None for several expiries."""
    return legs_payoff(priced.envelope.legs, priced.envelope.quantity, net_cash=money(priced, price))


def has_payoff(order: Intent | Envelope) -> bool:
    """Whether an order opens something whose payoff is worth a picture: what closes, rolls or guards has its result on the card."""
    return not isinstance(order.plan, Exits) and all(leg.effect is Effect.OPEN for leg in order.legs)


def shares_behind(priced: Priced) -> Position | None:
    """Of an order that leans on shares: so many of these as it leans on, at their average price; None for any other."""
    intent = priced.exam.intent
    position = priced.exam.book.positions.get(intent.underlying)
    if intent.most_units is None or position is None or position.quantity <= 0:
        return None
    wanted = sum(abs(leg.contracts(intent.quantity)) * leg.instrument.multiplier for leg in intent.legs)
    return replace(position, quantity=min(wanted, position.quantity))


def payoff_with(priced: Priced, price: Decimal, shares: Position) -> Payoff | None:
    """The payoff at expiry of the order together with shares, counted from what these cost."""
    held = Leg(instrument=shares.instrument, side=Side.BUY, effect=Effect.OPEN, ratio=1)
    parts = legs_payoff(priced.envelope.legs, priced.envelope.quantity, net_cash=ZERO)
    own = legs_payoff((held,), shares.quantity, net_cash=ZERO)
    if parts is None or own is None:
        return None
    paid = shares.average_price * shares.quantity
    return payoffs.expiry_payoff((*parts.legs, *own.legs), net_cash=money(priced, price) - paid)


def probability_of_profit(priced: Priced, payoff: Payoff) -> float | None:
    """Risk-neutral chance of a profit at expiry, each break-even at the volatility of the nearest leg; None where quotes give none."""
    options = [leg.instrument for leg in priced.envelope.legs if isinstance(leg.instrument, Option)]
    vols: dict[Decimal, float] = {}
    mark = None
    for option in options:
        try:
            mark = priced.view.mark(option)
        except Unavailable:
            continue
        if mark.iv is not None:
            vols[option.strike] = mark.iv
    if mark is None or not vols:
        return None
    nearest = [vols[min(vols, key=lambda strike: abs(strike - level))] for level in payoff.break_evens]
    return payoffs.probability_of_profit(payoff, forward=mark.forward, t_years=mark.t_years, vol=nearest)


def closed_result(priced: Priced, price: Decimal) -> Decimal | None:
    """Profit (+) or loss (-) of what a closing order closes at a net price; None where the opening price is not known."""
    return closing_result(priced.envelope, priced.exam.book, price)


def closing_result(order: Intent | Envelope, book: Book, price: Decimal) -> Decimal | None:
    """The same before there is a card: of an order, or what is wanted of one."""
    net = price * net_multiplier(order.legs) * order.quantity
    trade = book.trades.get(order.trade_id or "")
    if trade is not None and trade.opened_units and len(trade.legs) == len(order.legs):
        paid = trade.closing_cash if trade.opened_units == trade.open_units else ZERO  # for what a split left of a share
        return (trade.credit_per_unit + paid / trade.opened_units) * order.quantity + net
    if trade is not None and ends_a_run_out_trade(order, book):
        return (trade.premium + trade.closing_cash) * order.quantity / trade.open_units + net
    opened = Decimal(0)
    held = dict(book.positions)
    if order.trade_id is None:
        held |= {position.instrument.key: position for position in book.untraded_positions()}
    for leg in order.legs:
        position = held.get(leg.instrument.key)
        if position is None:
            return None
        opened += leg.contracts(order.quantity) * position.average_price * leg.instrument.multiplier
    return opened + net


def ends_a_run_out_trade(order: Intent | Envelope, book: Book) -> bool:
    """Whether it closes what is left of a trade whose near legs ran out: these count in its result."""
    trade = book.trades.get(order.trade_id or "")
    days = [leg.instrument.expiry for leg in order.legs if isinstance(leg.instrument, Option)]
    if trade is None or not days or trade.opened_units != trade.open_units:
        return False
    gone = run_out(trade.legs, (leg.instrument.key for leg in order.legs), min(days))
    whole = bool(gone) and len(gone) + len(order.legs) == len(trade.legs)
    return whole and not book.delivered_since(trade.opened_at, gone)  # shares that came of it are held beside it


def happenings(priced: Priced) -> tuple[Happening, ...]:
    """What is known to come between the view's session and the last expiry of the order, by day."""
    view = priced.view
    options = [leg.instrument for leg in priced.envelope.legs if isinstance(leg.instrument, Option)]
    last = max((option.expiry for option in options), default=None)
    if last is None:
        return ()
    found = _calendar_days(view.session, last)
    for option in {item.expiry: item for item in options}.values():
        found += _expiry_words(option)
    symbol = options[0].underlying
    found += [
        Happening(day=report.day, what=f"{symbol} reports earnings{_WHEN.get(report.when, ', the time is not known yet')}")
        for report in view.earnings.get(symbol, ()) if view.session <= report.day <= last
    ]
    found += [
        Happening(day=split.ex_date, what=f"{symbol} splits {split.new} for {split.old}: contracts are adjusted, plans for them end")
        for split in view.splits.get(symbol, ()) if view.session < split.ex_date <= last
    ]
    for dividend in view.dividends.get(symbol, ()):
        if view.session < dividend.ex_date <= last:
            early = " (short calls may be assigned early)" if options[0].exercise is Exercise.AMERICAN else ""
            found.append(Happening(day=dividend.ex_date, what=f"{symbol} goes ex dividend, {dividend.amount} a share{early}"))
    return tuple(sorted(set(found), key=lambda item: (item.day, item.what)))


def unknown_happenings(priced: Priced) -> str:
    """What no source here knows of the days before expiry, in a sentence."""
    symbol = priced.exam.intent.underlying
    reports = f"when {symbol} reports earnings, " if symbol not in INDICES and symbol not in priced.view.earnings else ""
    return f"not known here: {reports}economic dates such as FOMC and CPI"


def structure_liquidity(priced: Priced) -> Liquidity:
    """The worst score of the order as one market (natural against mid) and of each leg sold to open; wings are bought, not judged."""
    exam = priced.exam
    if exam.mid is None or exam.natural is None:
        return Liquidity(score=None, word="poor", relative=None, why="no usable price")
    found = [judge_liquidity(mid=exam.mid, spread=exam.mid - exam.natural, open_interest=None, combo=True)]
    for leg in priced.envelope.legs:
        if leg.side is Side.SELL and leg.effect is Effect.OPEN:
            quote = priced.view.quote(leg.instrument)
            index = isinstance(underlying_instrument(exam.intent.underlying), Index)
            found.append(judge_liquidity(mid=quote.mid, spread=quote.spread, open_interest=open_interest(priced.view, leg), index=index))
    return min(found, key=lambda item: (_WORST_FIRST.index(item.word), -1 if item.score is None else item.score))


def open_interest(view: View, leg: Leg) -> int | None:
    """Contracts open of a leg, None where the view does not hold its chain."""
    if not isinstance(leg.instrument, Option):
        return None
    chain = view.chains.get(leg.instrument.underlying)
    row = None if chain is None else chain.row(leg.instrument)
    if chain is None or row is None or chain.open_interest[row] < 0:
        return None
    return int(chain.open_interest[row])


def tax_words(priced: Priced) -> tuple[str, ...]:
    """How a result would be taxed, and what is known of wash sales; not advice."""
    options = [leg.instrument for leg in priced.envelope.legs if isinstance(leg.instrument, Option)]
    if options and all(option.series.section_1256 for option in options):
        return ("section 1256: 60% long-term and 40% short-term whatever the holding time, marked at year-end, outside the wash-sale rule",)
    treatment = "ordinary: a short option that expires or is bought back is short-term"
    return treatment, _wash_words(priced)


def _wash_words(priced: Priced) -> str:
    exam = priced.exam
    symbol = exam.intent.underlying
    if exam.intent.effect is Effect.CLOSE:
        result = closed_result(priced, priced.envelope.plan.start)
        if result is not None and result < 0:
            return f"wash sale: this closes at a loss; opening {symbol} again within 30 days before or after would defer it"
        return "wash sale: no loss is closed here"
    lost = _recent_loss(exam.book, symbol, priced)
    if lost is None:
        return f"wash sale: no loss on {symbol} in the last 30 days in this account; other accounts are not looked at"
    return f"wash sale: {symbol} was closed at a loss on {lost} in this account; opening it again now may defer that loss"


def _recent_loss(book: Book, symbol: str, priced: Priced) -> date | None:
    days = [
        trade.closed_at.date() for trade in book.closed_since(priced.exam.now - WASH_DAYS)
        if trade.underlying == symbol and trade.closed_at is not None and trade.realized is not None and trade.realized < 0
    ]
    return max(days, default=None)


def _calendar_days(start: date, end: date) -> list[Happening]:
    """Holidays on weekdays and half days after `start` up to `end`."""
    found: list[Happening] = []
    day = start + timedelta(days=1)
    while day <= end:
        try:
            reason, half = closure(day), half_days(day.year).get(day)
        except CalendarError:
            return found  # past the end of the exchange calendar nothing is known
        if reason is not None and reason != "weekend":
            found.append(Happening(day=day, what=f"exchange closed: {reason}"))
        elif half is not None:
            found.append(Happening(day=day, what=f"half day, closes at 13:00: {half}"))
        day += timedelta(days=1)
    return found


def _expiry_words(option: Option) -> list[Happening]:
    expiry = option.expiry
    monthly = ", the monthly expiry" if expiry == monthly_expiry(expiry.year, expiry.month) else ""
    if option.settlement is Settlement.AM:
        last = last_trade_at(option.series, expiry).date()
        return [
            Happening(day=last, what=f"last trading of {option.root} {expiry}"),
            Happening(day=expiry, what=f"{option.root} settles on the opening prices{monthly}"),
        ]
    how = "settles in cash at the close" if option.delivery is Delivery.CASH else "expires; in the money it becomes shares"
    return [Happening(day=expiry, what=f"{option.root} {how}{monthly}")]
