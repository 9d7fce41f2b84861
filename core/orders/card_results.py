"""The card's figures of profit and loss: at expiry, at the near expiry, together with shares that are held, or of what is closed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.instruments import Option, plain_number
from core.domain.orders import Effect, Exits, Side
from core.orders.figures import closed_result, ends_a_run_out_trade, money, payoff_at, payoff_with, probability_of_profit, shares_behind
from core.pricing.payoff import Payoff
from core.reply import Fact, Facts, Format
from core.risk import two_dates

if TYPE_CHECKING:
    from core.orders.ticket import Priced


def results(priced: Priced) -> Facts:
    """What an order can make and lose; of a closing one, what closing makes or loses."""
    if priced.exam.intent.effect is Effect.CLOSE:
        return _closing_result(priced)
    pair, shares = two_dates.pair_of(priced.envelope.legs), shares_behind(priced)
    if pair is not None:
        return _at_near_expiry(priced, pair)
    plan = priced.envelope.plan
    best, worst = payoff_at(priced, plan.start), payoff_at(priced, plan.worst)
    title, facts = "At expiry", []
    if shares is not None:
        best, worst = payoff_with(priced, plan.start, shares), payoff_with(priced, plan.worst, shares)
        title = f"At expiry, together with {shares.quantity} {shares.instrument.key} shares"
        facts.append(Fact(label="the shares", value=shares.average_price, format=Format.PRICE, unit="per share", note="what they cost"))
    if best is None or worst is None:
        why = "the legs do not expire on one day"
        names = ("max profit", "max loss", "break-even", "probability of profit")
        return Facts(title="At expiry", facts=tuple(Fact(label=name, value=None, note=why) for name in names))
    facts += [_extreme("max profit", best.max_profit, note="before commission, filled at the start price"), _max_loss(priced, worst)]
    facts += _break_evens(best.break_evens, note="at the start price")
    if all(leg.kind == "stock" for leg in best.legs):
        return Facts(title="Result", facts=tuple(facts))
    chance = probability_of_profit(priced, best)
    note = "risk-neutral, from today's volatility; not a forecast"
    facts.append(Fact(label="probability of profit", value=chance, format=Format.PERCENT, note=note, source=priced.view.label))
    if shares is not None:
        facts.append(_option_alone(priced, shares.instrument.key))
    return Facts(title=title, facts=tuple(facts))


def _break_evens(levels: Sequence[Decimal], *, note: str) -> list[Fact]:
    several = len(levels) > 1
    found = [
        Fact(label=f"break-even {number}" if several else "break-even", value=level, format=Format.PRICE, note=note)
        for number, level in enumerate(levels, 1)
    ]
    return found or [Fact(label="break-even", value="none", note="the result never changes sign")]


def _option_alone(priced: Priced, symbol: str) -> Fact:
    """What the order itself adds to shares that are held already."""
    leg, worst = priced.envelope.legs[0], abs(money(priced, priced.envelope.plan.worst))
    assert isinstance(leg.instrument, Option)
    strike = plain_number(leg.instrument.strike)
    if leg.side is Side.SELL:
        return Fact(label="this order alone", value=f"keeps {worst:,.2f} USD at least", note=f"over {strike} the {symbol} shares go there")
    return Fact(label="this order alone", value=f"can lose {worst:,.2f} USD", note=f"under {strike} the {symbol} shares can go there")


def _at_near_expiry(priced: Priced, pair: two_dates.Pair) -> Facts:
    """Legs of two expiries: what is known, and what is estimated, of the day on which the near one runs out."""
    plan, quantity, view = priced.envelope.plan, priced.envelope.quantity, priced.view
    found = two_dates.estimate(pair, view, quantity=quantity, net_cash=money(priced, plan.start))
    lost = two_dates.most_lost(pair, view, quantity=quantity, net_cash=money(priced, plan.worst))
    bound = "a bound while both legs are held; before commission, filled at the worst price"
    if lost is not None and lost > -money(priced, plan.worst):
        bound = f"more than is paid, since the far leg may be worth less than exercise then; {bound}"
    facts = [Fact(label="max loss", value=lost, format=Format.MONEY, unit="USD", note=bound)]
    if found is None:
        why = "a leg's quote gives no volatility"
        facts += [Fact(label=name, value=None, note=why) for name in ("max profit", "break-even", "probability of profit")]
    else:
        about = f"if {pair.sold.underlying} stands at {found.best_at:,.2f} then; before commission, filled at the start price"
        odds = found.probability_of_profit
        chance = Fact(label="probability of profit", value=odds, format=Format.PERCENT, note="risk-neutral; not a forecast")
        top = Fact(label="max profit", value=found.max_profit, format=Format.MONEY, unit="USD", note=about)
        facts = [top, *facts, *_break_evens(found.break_evens, note="at the start price"), chance]
    day = f"{pair.sold.expiry.day} {pair.sold.expiry:%b %y}"
    how = Fact(label="an estimate", value="the far leg is valued by the model", note="at the volatility of its quote today")
    after = Fact(label="after that", value="the far leg is held alone", note="it can lose all that it is worth then")
    return Facts(title=f"At the near expiry, {day}", facts=(*facts, how, after))


def _closing_result(priced: Priced) -> Facts:
    if isinstance(priced.envelope.plan, Exits):
        note = "of what is held, at mid, before commission"
        value = None if priced.exam.mid is None else closed_result(priced, priced.exam.mid)
        return Facts(title="Result", facts=(Fact(label="now", value=value, format=Format.MONEY, unit="USD", signed=True, note=note),))
    plan, note = priced.envelope.plan, "of what is closed, before commission"
    if ends_a_run_out_trade(priced.envelope, priced.exam.book):
        note = "of the whole trade, the leg that ran out included, before commission"
    facts = tuple(
        Fact(label=name, value=closed_result(priced, price), format=Format.MONEY, unit="USD", signed=True, note=note)
        for name, price in (("profit or loss", plan.start), ("profit or loss at worst", plan.worst))
    )
    return Facts(title="Result", facts=facts)


def _extreme(label: str, amount: Decimal | None, *, note: str) -> Fact:
    if amount is None:
        return Fact(label=label, value="unlimited", note=note)
    return Fact(label=label, value=amount, format=Format.MONEY, unit="USD", note=note)


def _max_loss(priced: Priced, payoff: Payoff) -> Fact:
    note = "before commission, filled at the worst price"
    if payoff.max_loss is not None and (payoff.downside_uncovered or _falls_to_zero(payoff)):
        note = f"if {priced.exam.intent.underlying} went to zero; {note}"
    return _extreme("max loss", payoff.max_loss, note=note)


def _falls_to_zero(payoff: Payoff) -> bool:
    """Whether shares, or what stands for them, go on losing all the way down."""
    units = [leg.units for leg in payoff.legs if leg.kind == "stock"]
    return bool(units) and sum(units) + sum(-leg.units for leg in payoff.legs if leg.kind == "put") > 0
