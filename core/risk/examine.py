"""The examination of an order before the rules judge it: what it costs, what it changes, and whether it reduces risk. Pure.

**Reducing** is measured, never read off a label. After the order the worst stress loss, the margin requirement and the uncovered short
quantity per underlying, expiry and right are each no larger than before, with the live opening orders counted as filled and without
them, and the order opens no more contracts than it closes (a roll may reduce, a purchase of something new is an entry).

Two kinds of order are reducing by their structure, whatever the market data says, so that nobody is trapped: buying back short options
that are held, and closing them together with long ones of the same expiry and right that are further out of the money. Both only
remove an obligation: what they can cost is what was received for it, never more. Selling a long wing alone, or the shares under a
covered call, is neither. Where an order sells a long without the short it covers, each leg must reduce on its own.

Worked example: short 2 SPXW 2700 puts, long 2 SPXW 2650 puts. Closing both legs: reducing. Buying back the 2700 puts: reducing. Selling
the 2650 puts: uncovered puts go from 0 to 2, not reducing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from core.domain.accounts import AccountKind
from core.domain.calendar import session_date
from core.domain.events import ExternalOrder, Mode
from core.domain.instruments import INDICES, Cash, Equity, Instrument, Option, Right, Settlement, underlying_instrument
from core.domain.mandates import Authority
from core.domain.money import from_market
from core.domain.orders import Effect, Intent, Leg, Side
from core.errors import Unavailable
from core.market.quote import QuoteState
from core.market.view import ChainNeed, Needs, View
from core.orders.states import Order
from core.portfolio.book import Book, add_legs
from core.ports import Preview
from core.pricing.payoff import Payoff, PayoffLeg, expiry_payoff
from core.risk import two_dates
from core.risk.exam import Exam, Measures, Recent
from core.risk.measures import PRICE_STEP, crash_loss, measure, requirement_of, stressed_beside, underlying_of
from core.risk.stress import CRASH, VIX, stress

Holdings = Mapping[str, tuple[Instrument, int]]
ZERO = Decimal(0)
_CENT_USD = 0.01  # stress losses that differ by less are the same
_FULLY_PAID = (AccountKind.CASH, AccountKind.IRA)
_SECURED_STRATEGY = "cash_secured_put"


def exam_needs(intent: Intent, book: Book, now: datetime, *, beside: Holdings | None = None) -> Needs:
    """What the view must hold: quotes of all that is held, working or ordered, of underlyings and VIX, and the chain of every expiry."""
    today = session_date(now)
    held = [*(position.instrument for position in book.positions.values()), *(item for item, _ in (beside or {}).values())]
    working = [leg.instrument for order in book.resting() for leg in order.legs]
    instruments = [item for item in (*held, *working, *(leg.instrument for leg in intent.legs)) if not isinstance(item, Cash)]
    options = [item for item in instruments if isinstance(item, Option)]
    dtes = {(option.underlying, (option.expiry - today).days) for option in options}
    return Needs(
        instruments=frozenset((*instruments, VIX, *(underlying_instrument(underlying_of(item)) for item in instruments))),
        chains=frozenset(ChainNeed(symbol=symbol, first_dte=dte, last_dte=dte) for symbol, dte in dtes if dte >= 0),
        events=frozenset({intent.underlying} - INDICES),
    )


def examine(
    *, intent: Intent, book: Book, view: View, preview: Preview | None, now: datetime, mode: Mode, mode_reason: str,
    recent: tuple[Recent, ...] = (), automation: bool = False, authority: Authority | None = None, second_order: bool = False,
    standing: str | None = None, elsewhere: tuple[Order, ...] = (), strangers: tuple[ExternalOrder, ...] = (),
    beside: Holdings | None = None,
) -> Exam:
    """Measure an order against the book and the market. Never raises for missing data: what is unknown is None in the exam.

    `standing` is the standing order it is sent for: what that one still reserves is this order itself. Nor do the orders count that are
    cancelled before it is sent. `beside` are holdings of no account here that the owner counts in: stress and capital of an underlying
    are judged with them, margin and the reducing test are the account's own.
    """
    own = frozenset(intent.instead_of) if standing is None else frozenset({standing, *intent.instead_of})
    held_before = book.exposed(without=own)
    held_after = _with(held_before, intent.legs, intent.quantity)
    sets: list[tuple[Holdings, Holdings]] = [(held_before, held_after)]
    pairs = [(measure(held_before, book=book, view=view), measure(held_after, book=book, view=view))]
    reducing = is_reducing(intent, book, view, before=pairs[0][0], after=pairs[0][1])
    without = book.exposed(purchases=False, without=_hedges(book, view) | own)
    if not reducing and without != held_before:
        # A wing that is only being bought, or a hedge that still works, may never come: the order must be good without it too.
        sets.append((without, _with(without, intent.legs, intent.quantity)))
        pairs.append(_measured(without, intent.legs, intent.quantity, book, view))
    before, after = worst_of([pair[0] for pair in pairs]), worst_of([pair[1] for pair in pairs])
    kind = book.account.kind
    capitals = [ZERO if reducing else trade_capital(intent, kind=kind, view=view, before=was, after=will) for was, will in pairs]
    natural, mid = natural_and_mid(intent.legs, view)
    exits = reducing or _closes(intent, before, after)
    before = stressed_beside(before, [one for one, _ in sets], beside or {}, view)
    after = stressed_beside(after, [one for _, one in sets], beside or {}, view)
    return Exam(
        intent=intent, account=book.account, book=book, held_before=held_before, held_after=held_after, before=before, after=after,
        reducing=reducing, exits=exits, beside=beside or {}, view=view, preview=preview, payoff=order_payoff(intent),
        now=now, mode=mode, mode_reason=mode_reason,
        capital=None if None in capitals else max(capital for capital in capitals if capital is not None),
        natural=natural, mid=mid, automation=automation, authority=authority, second_order=second_order, recent=recent,
        standing=standing, elsewhere=elsewhere, strangers=strangers,
    )


def _hedges(book: Book, view: View) -> frozenset[str]:
    """Resting orders that gain in the crash: as long as they only work they protect nothing."""
    found = set()
    for order in book.resting():
        opening = tuple(leg for leg in order.legs if leg.effect is Effect.OPEN)
        gain = stress(_with({}, opening, order.quantity), view, scenarios=(CRASH,)).rows[0].pnl_usd if opening else None
        if gain is not None and gain > 0:
            found.add(order.id)
    return frozenset(found)


def worst_of(found: Sequence[Measures]) -> Measures:
    """The worst figure of each kind; unknown where one of them is. Greeks and value are those of the first."""
    margins, losses = [item.margin for item in found], [item.stress_loss_usd for item in found]
    uncovered: dict[tuple[str, date, Right], int] = {}
    for item in found:
        for slot, count in item.uncovered.items():
            uncovered[slot] = max(count, uncovered.get(slot, 0))
    worst = max(found, key=lambda item: item.stress_loss_usd or 0.0)
    return replace(
        found[0], margin=None if None in margins else max(item for item in margins if item is not None),
        margin_refusals=tuple(dict.fromkeys(text for item in found for text in item.margin_refusals)),
        stress_loss_usd=None if None in losses else worst.stress_loss_usd, stress_scenario=worst.stress_scenario, uncovered=uncovered,
        unmarked=tuple(dict.fromkeys(key for item in found for key in item.unmarked)),
    )


# --- prices --------------------------------------------------------------------------------------------------------------


def net_multiplier(legs: Iterable[Leg]) -> int:
    """Money of one unit per point of its net price: the options' multiplier, 1 for shares alone."""
    return next((leg.instrument.multiplier for leg in legs if isinstance(leg.instrument, Option)), 1)


def natural_and_mid(legs: Sequence[Leg], view: View) -> tuple[Decimal | None, Decimal | None]:
    """Net price per unit at which the legs fill at once, and their net mid; + is received.

    Both are None where a quote is missing or insane. A contract nobody bids for may be bought and may be sold to close at 0; opening
    a short on it has a mid and no natural price.
    """
    natural, mid = ZERO, ZERO
    sellable = True
    for leg in legs:
        try:
            quote = view.quote(leg.instrument)
        except Unavailable:
            return None, None
        if not quote.state.usable:
            return None, None
        if quote.state is QuoteState.NO_BID and leg.side is Side.SELL and leg.effect is Effect.OPEN:
            sellable = False
        weight = -leg.side.sign * _weight(leg, legs)
        natural += weight * from_market(quote.ask if leg.side is Side.BUY else quote.bid, PRICE_STEP)
        mid += weight * from_market(quote.mid, PRICE_STEP)
    return natural if sellable else None, mid


def order_payoff(intent: Intent) -> Payoff | None:
    """Payoff at expiry of the order's own legs at the worst confirmed price, before fees; None for several expiries or underlyings."""
    return legs_payoff(intent.legs, intent.quantity, net_cash=worst_cash(intent))


def legs_payoff(legs: Sequence[Leg], quantity: int, *, net_cash: Decimal) -> Payoff | None:
    """Payoff at expiry of legs that all end at one instant on one underlying, else None."""
    return held_payoff([(leg.instrument, leg.contracts(quantity)) for leg in legs], net_cash=net_cash)


def held_payoff(held: Sequence[tuple[Instrument, int]], *, net_cash: Decimal) -> Payoff | None:
    """The same of contracts (signed) and shares that are held."""
    ends: set[tuple[date, Settlement]] = set()
    parts: list[PayoffLeg] = []
    for item, count in held:
        if isinstance(item, Option):
            ends.add((item.expiry, item.settlement))
            parts.append(PayoffLeg(
                kind="call" if item.right is Right.CALL else "put", strike=item.share_strike, quantity=count,
                multiplier=Decimal(item.shares),
            ))
        elif isinstance(item, Equity):
            parts.append(PayoffLeg(kind="stock", strike=None, quantity=count, multiplier=Decimal(1)))
        else:
            return None
    if not parts or len(ends) > 1 or len({underlying_of(item) for item, _ in held}) > 1:
        return None
    return expiry_payoff(parts, net_cash=net_cash)


def worst_cash(intent: Intent) -> Decimal:
    """Money received (+) or paid (-) for the whole order at its worst price, before fees."""
    return intent.plan.worst * net_multiplier(intent.legs) * intent.quantity


# --- capital -------------------------------------------------------------------------------------------------------------


def trade_capital(intent: Intent, *, kind: AccountKind, view: View, before: Measures, after: Measures) -> Decimal | None:
    """Capital an order ties up, for the whole quantity; None where a number it needs is unknown.

    Defined risk, a calendar or diagonal too: the most it can lose. Cash-secured put: strike x multiplier. Shares: their price. Naked: the
    larger of the requirement and the loss at (-20%, VIX +40). What else is covered, and closing orders that do not reduce: what they add to
    margin or stress.

    Example: sell one 2700/2650 put spread for 3.10: (50 - 3.10) x 100 = 4,690 USD.
    """
    opening = tuple(leg for leg in intent.legs if leg.effect is Effect.OPEN)
    whole = len(opening) == len(intent.legs)
    if not opening:
        return _increase(before, after, paid=ZERO)
    paid = max(ZERO, -worst_cash(intent))
    if whole and all(isinstance(leg.instrument, Equity) and leg.side is Side.BUY for leg in opening):
        return paid
    payoff = legs_payoff(opening, intent.quantity, net_cash=worst_cash(intent) if whole else ZERO)
    if payoff is not None and payoff.defined_risk and payoff.max_loss is not None:
        return payoff.max_loss
    pair = two_dates.pair_of(opening) if whole else None
    if pair is not None:
        return two_dates.most_lost(pair, view, quantity=intent.quantity, net_cash=worst_cash(intent))
    secured = _secured_cash(opening, intent, kind)
    if secured is not None and intent.strategy == _SECURED_STRATEGY:
        return secured  # what it is sold as: its cash is set aside, whatever else is held
    if no_more_uncovered(before.uncovered, after.uncovered):
        return _increase(before, after, paid=paid)
    if secured is not None:
        return secured
    own = _with({}, opening, intent.quantity)
    needed, loss = requirement_of(own, kind=kind, view=view), crash_loss(own, view)
    return None if needed is None or loss is None else max(needed, loss)


def _secured_cash(opening: Sequence[Leg], intent: Intent, kind: AccountKind) -> Decimal | None:
    """Cash behind a single short put that is meant to be secured, or must be; None for anything else."""
    if len(opening) != 1 or not (kind in _FULLY_PAID or intent.strategy == _SECURED_STRATEGY):
        return None
    leg = opening[0]
    if not isinstance(leg.instrument, Option) or leg.instrument.right is not Right.PUT or leg.side is not Side.SELL:
        return None
    return leg.instrument.strike * leg.instrument.multiplier * leg.ratio * intent.quantity


def _increase(before: Measures, after: Measures, *, paid: Decimal) -> Decimal | None:
    if before.margin is None or after.margin is None or before.stress_loss_usd is None or after.stress_loss_usd is None:
        return None
    return max(ZERO, paid, after.margin - before.margin, from_market(after.stress_loss_usd - before.stress_loss_usd))


# --- reducing ------------------------------------------------------------------------------------------------------------


def is_reducing(intent: Intent, book: Book, view: View, *, before: Measures, after: Measures) -> bool:
    """Whether the order only reduces risk; see the module's text. `before` and `after` count live opening orders as filled."""
    held = book.holdings()
    if removes_obligations(intent.legs, intent.quantity, held):
        # A long sold with its short may have served another short better in the margin rules; where that is known it is not reducing.
        if before.margin is None or after.margin is None or all(leg.side is Side.BUY for leg in intent.legs):
            return True
        return after.margin <= before.margin
    if _flips(intent, held) or _contracts(intent, Effect.OPEN) > _contracts(intent, Effect.CLOSE) or not no_larger(before, after):
        return False
    if book.resting() and not no_larger(*_measured(held, intent.legs, intent.quantity, book, view)):
        return False  # it would lean on an order that may never fill
    partial = len(intent.legs) > 1 and intent.effect is Effect.CLOSE and not _whole_sets(intent)
    exposed = book.exposed(without=intent.instead_of)
    return not partial or all(
        removes_obligations((leg,), intent.quantity, held) or no_larger(*_measured(exposed, (leg,), intent.quantity, book, view))
        for leg in intent.legs
    )


def _closes(intent: Intent, before: Measures, after: Measures) -> bool:
    """An exit although it does not reduce: all legs close, and no short is left uncovered by it."""
    return intent.effect is Effect.CLOSE and no_more_uncovered(before.uncovered, after.uncovered)


def no_larger(before: Measures, after: Measures) -> bool:
    """The three measures of the reducing test; an unknown one fails it."""
    if before.margin is None or after.margin is None or before.stress_loss_usd is None or after.stress_loss_usd is None:
        return False
    return (
        after.margin <= before.margin
        and after.stress_loss_usd <= before.stress_loss_usd + _CENT_USD
        and no_more_uncovered(before.uncovered, after.uncovered)
    )


def no_more_uncovered(
    before: Mapping[tuple[str, date, Right], int], after: Mapping[tuple[str, date, Right], int]
) -> bool:
    """No underlying, expiry and right has more uncovered shorts than before."""
    return all(count <= before.get(slot, 0) for slot, count in after.items())


def removes_obligations(legs: Sequence[Leg], quantity: int, held: Holdings) -> bool:
    """True where the legs buy back held short options, each long one sold with them being matched by a short one that is bought back.

    Matched: same underlying, expiry, settlement and right, and the long no closer to the money than the short.
    """
    bought: dict[tuple[str, date, Settlement, Right], list[Decimal]] = {}
    sold: dict[tuple[str, date, Settlement, Right], list[Decimal]] = {}
    for leg in legs:
        item, change = leg.instrument, leg.contracts(quantity)
        now = held.get(item.key, (item, 0))[1]
        if not isinstance(item, Option) or leg.effect is not Effect.CLOSE or now * change >= 0 or abs(change) > abs(now):
            return False
        side = bought if leg.side is Side.BUY else sold
        side.setdefault((item.underlying, item.expiry, item.settlement, item.right), []).extend([item.strike] * leg.ratio)
    return bool(bought) and all(_outside(longs, bought.get(slot, []), slot[3]) for slot, longs in sold.items())


def _whole_sets(intent: Intent) -> bool:
    """Whether each option that is sold goes with a short one bought back that it covers: a debit spread, a calendar or a diagonal."""
    free = [leg.instrument for leg in intent.legs if leg.side is Side.BUY for _ in range(leg.ratio)]
    for leg in sorted(intent.legs, key=lambda one: one.instrument.expiry if isinstance(one.instrument, Option) else date.min):
        if leg.side is Side.BUY:
            continue
        for _ in range(leg.ratio):
            short = next((item for item in free if _covers(leg.instrument, item)), None)
            if short is None:
                return False
            free.remove(short)
    return True


def _covers(long: Instrument, short: Instrument) -> bool:
    if not isinstance(long, Option) or not isinstance(short, Option):
        return False
    alike = (long.underlying, long.right, long.multiplier) == (short.underlying, short.right, short.multiplier)
    return alike and (long.expiry, long.settlement is Settlement.PM) >= (short.expiry, short.settlement is Settlement.PM)


def _outside(longs: list[Decimal], shorts: list[Decimal], right: Right) -> bool:
    """Whether each long can be matched with its own short that is at least as close to the money."""
    puts = right is Right.PUT
    near, far = sorted(shorts, reverse=puts), sorted(longs, reverse=puts)
    return len(far) <= len(near) and all((long <= short) if puts else (long >= short) for short, long in zip(near, far, strict=False))


def _measured(held: Holdings, legs: Sequence[Leg], quantity: int, book: Book, view: View) -> tuple[Measures, Measures]:
    return measure(held, book=book, view=view), measure(_with(held, legs, quantity), book=book, view=view)


def _with(held: Holdings, legs: Sequence[Leg], quantity: int) -> dict[str, tuple[Instrument, int]]:
    changed = dict(held)
    add_legs(changed, legs, quantity)
    return changed


def _flips(intent: Intent, held: Holdings) -> bool:
    """Whether a leg that closes would close more than is held."""
    for leg in intent.legs:
        now, change = held.get(leg.instrument.key, (leg.instrument, 0))[1], leg.contracts(intent.quantity)
        if leg.effect is Effect.CLOSE and (now * change >= 0 or abs(change) > abs(now)):
            return True
    return False


def _contracts(intent: Intent, effect: Effect) -> int:
    return sum(leg.ratio * leg.instrument.multiplier for leg in intent.legs if leg.effect is effect)


def _weight(leg: Leg, legs: Sequence[Leg]) -> Decimal:
    """Share of a leg's price in the net price: 1 for an option, shares / multiplier for shares beside options."""
    return Decimal(leg.ratio * leg.instrument.multiplier) / net_multiplier(legs)
