"""The payoff of a ticket or an open trade as a chart: at expiry from the exact payoff, today from the model, and the same figures in words.

Example: one 95/90 put spread sold for 1.20 makes 120 at 95 and over, loses 380 at 90 and under, and breaks even at 93.80.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from core.domain.instruments import Option
from core.domain.money import CENT, from_market
from core.domain.orders import Leg, Side
from core.domain.structures import describe_legs
from core.errors import Unavailable
from core.market.view import View
from core.orders.card_results import results
from core.orders.figures import money, shares_behind
from core.orders.ticket import Priced
from core.portfolio.pnl import Held, OpenResult
from core.pricing.payoff import Payoff
from core.reply import Axis, Chart, Fact, Format, Mark, Panel, Series, Shape
from core.risk.examine import held_payoff
from core.risk.measures import underlying_of
from core.risk.profile import widest_deviation, worth

POINTS = 121
WIDEST = 0.5  # of spot: a break-even further away is told, not drawn
DEVIATIONS, LEAST = 1.5, 0.04  # room on either side: so many standard deviations, and of spot
SHARES_ROOM = 0.2
EVEN = "break-even"
FIGURES = ("max ", EVEN, "probability")  # of the card
RESULT = Axis(label="profit or loss", format=Format.MONEY, unit="USD", signed=True)


def ticket_chart(name: str, priced: Priced) -> Chart:
    """What a ticket can make and lose, in the figures of its card."""
    envelope = priced.envelope
    held = {leg.instrument.key: (leg.instrument, leg.contracts(envelope.quantity)) for leg in envelope.legs}
    net, shares = money(priced, envelope.plan.start), shares_behind(priced)
    if shares is not None:
        held[shares.instrument.key] = (shares.instrument, shares.quantity)
        net -= shares.average_price * shares.quantity
    told = [replace(fact, label=_label(fact), note="") for fact in results(priced).facts if fact.label.startswith(FIGURES)]
    note = "Before commission, at the start price; max loss at the worst price."
    behind = "" if shares is None else f" with {shares.quantity} {shares.instrument.key} shares"
    title = f"{_structure(envelope.legs, envelope.quantity)}{behind}, ticket {name}"
    return _chart(title, held, net_cash=net, view=priced.view, facts=told, note=note)


def trade_chart(result: OpenResult, view: View) -> Chart | None:
    """What an open trade makes and loses from here, counted from what it received or paid; None where nothing of it is held."""
    trade = result.trade
    if not result.held:
        return None
    net = trade.premium + trade.closing_cash - trade.fees
    exact = held_payoff(list(result.held.values()), net_cash=net)
    note = "Net of commission and fees so far, parts already closed included."
    title = f"{_structure(trade.legs, trade.open_units)}, trade {trade.id}"
    return _chart(title, result.held, net_cash=net, view=view, facts=_facts(exact), note=note)


def _structure(legs: tuple[Leg, ...], units: int) -> str:
    """`Short 1 x SPY 18 Dec 26 658 call`: what is short or long as a whole says so, the words for a spread do not."""
    sides = {leg.side for leg in legs}
    words = f"{units} x {describe_legs(legs)}"
    return words if len(sides) > 1 else f"{'Short' if sides == {Side.SELL} else 'Long'} {words}"


def _facts(exact: Payoff | None) -> list[Fact]:
    if exact is None:
        return []
    facts = [_most("max profit", exact.max_profit), _most("max loss", exact.max_loss)]
    levels = [Fact(label=EVEN, value=level, format=Format.PRICE) for level in exact.break_evens]
    return [*facts, *(levels or [Fact(label=EVEN, value="none")])]


def _label(fact: Fact) -> str:
    """Break-evens are not numbered where they stand in a row with their prices."""
    return EVEN if fact.label.startswith(EVEN) else fact.label


def _most(label: str, amount: Decimal | None) -> Fact:
    return Fact(label=label, value="unlimited") if amount is None else Fact(label=label, value=amount, format=Format.MONEY, unit="USD")


def _chart(title: str, held: Held, *, net_cash: Decimal, view: View, facts: Sequence[Fact], note: str) -> Chart:
    symbol = next(underlying_of(item) for item, _ in held.values())
    options = [item for item, _ in held.values() if isinstance(item, Option)]
    spot = _spot(view, symbol)
    levels = [float(fact.value) for fact in facts if fact.label == EVEN and isinstance(fact.value, Decimal)]
    exact = held_payoff(list(held.values()), net_cash=net_cash)
    xs = _places(options, levels, spot=spot, room=_room(options, view, spot))
    series = [Series(name=_when(options), x=xs, y=_at_end(exact, held, net_cash, xs, spot=spot, view=view), shape=Shape.FILLED)]
    today = _modelled(held, net_cash, xs, spot=spot, view=view) if options else None
    if today is not None:
        series.append(Series(name="today", x=xs, y=today))
    marks = [Mark(label=EVEN, x=level) for level in levels if xs[0] <= level <= xs[-1]]
    if spot is not None:
        marks.append(Mark(label="spot", x=round(spot, 2)))
        facts = [*facts, Fact(label=f"{symbol} now", value=from_market(spot, CENT), format=Format.PRICE)]
    if options and today is None:
        note = f"{note} No curve for today: a price or a volatility is not known."
    panel = Panel(series=tuple(series), axis=RESULT, marks=tuple(marks), title=_heading(exact))
    return Chart(title=title, panels=(panel,), axis=Axis(label=symbol, format=Format.PRICE), facts=tuple(facts), note=note)


def _heading(exact: Payoff | None) -> str:
    """What the axis measures, and what no picture can show: that a line goes on for ever."""
    endless = [word for word, most in (("profit", exact.max_profit), ("loss", exact.max_loss)) if most is None] if exact is not None else []
    return f"profit or loss, USD{''.join(f'; {word} unlimited' for word in endless)}"


def _when(options: Sequence[Option]) -> str:
    days = {item.expiry for item in options}
    if not days:
        return "at that price"
    first = min(days)
    return f"at {'expiry' if len(days) == 1 else 'the near expiry'}, {first.day} {first:%b}"


def _spot(view: View, symbol: str) -> float | None:
    try:
        return view.spot(symbol)
    except Unavailable:
        return None


def _room(options: Sequence[Option], view: View, spot: float | None) -> float:
    """How far the picture goes beyond strikes and spot, as a fraction of spot."""
    if not options:
        return SHARES_ROOM
    return min(max(LEAST, DEVIATIONS * widest_deviation(options, view)), WIDEST)


def _places(options: Sequence[Option], levels: Sequence[float], *, spot: float | None, room: float) -> tuple[float, ...]:
    """Prices of the underlying to draw: evenly, and exactly where the payoff turns or changes sign."""
    corners = [float(item.share_strike) for item in options] + ([] if spot is None else [spot])
    centre = spot if spot is not None else sum(corners) / len(corners)
    corners += [level for level in levels if abs(level - centre) <= WIDEST * centre]
    low, high = max(min(corners) - room * centre, 0.0), max(corners) + room * centre
    return tuple(sorted({*np.linspace(low, high, POINTS).tolist(), *corners}))


def _at_end(
    exact: Payoff | None, held: Held, net_cash: Decimal, xs: Sequence[float], *, spot: float | None, view: View
) -> tuple[float | None, ...]:
    """The result when the near contracts run out: exact where all run out together, else the later ones at the model's value."""
    if exact is not None:
        return tuple(float(exact.at(Decimal(repr(x)))) for x in xs)
    try:
        years = min(view.mark(item).t_years for item, _ in held.values() if isinstance(item, Option))
    except (Unavailable, ValueError):
        return tuple(None for _ in xs)
    found = _modelled(held, net_cash, xs, spot=spot, view=view, years=max(years, 0.0))
    return tuple(None for _ in xs) if found is None else found


def _modelled(
    held: Held, net_cash: Decimal, xs: Sequence[float], *, spot: float | None, view: View, years: float = 0.0
) -> tuple[float | None, ...] | None:
    """The result at the model's values some time from now, each contract at the volatility of its quote; None where one has none."""
    if spot is None:
        return None
    try:
        found = worth(held, view, moves=[x / spot - 1.0 for x in xs], years=years)
    except Unavailable:
        return None
    return tuple(float(each) + float(net_cash) if math.isfinite(each) else None for each in found)
