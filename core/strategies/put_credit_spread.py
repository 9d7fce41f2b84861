"""Sell a put below the market and buy a cheaper one further down: paid to say that the underlying will not fall far.

The premium received is the most that can be made, the distance between the strikes less the premium the most that can be lost, whatever
happens. Entered near 45 days, where time decay begins to gather pace, at a short delta near 0.16 (about one standard deviation), taken
off at half of the credit, and closed or rolled at 21 days.

Example: SPX at 2,900. Sell one 2700 put at 12.00 and buy one 2650 put at 8.00: you receive 4.00, that is 400 USD. Most that can be
made: 400. Most that can be lost: (50 - 4) x 100 = 4,600. Break-even at expiry: 2,696. Profit is taken where it costs 2.00 to buy back.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np

from core.domain.ideas import Idea, Request
from core.domain.instruments import plain_number
from core.domain.orders import Side
from core.errors import UserError
from core.market.view import Needs, View
from core.portfolio.book import Book
from core.settings import Kind, Loosens, Parameters, Setting
from core.strategies._select import (
    PutSeries,
    candidates,
    check_puts,
    check_sellable,
    delta_words,
    known_delta,
    named_row,
    put_leg,
    put_needs,
    put_series,
)
from core.strategies._settings import delta_setting, exit_settings, expiry_settings

NAME = "put_credit_spread"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.16"),
    *expiry_settings(dte=45, low=30, high=60),
    Setting(name="wing_points_spx", kind=Kind.NUMBER, default=Decimal(50), unit="points", help="distance of the long put on SPX",
            loosens=Loosens.UP, low=Decimal(5), high=Decimal(500)),
    Setting(name="wing_points_xsp", kind=Kind.NUMBER, default=Decimal(5), unit="points", help="distance of the long put on XSP",
            loosens=Loosens.UP, low=Decimal(1), high=Decimal(50)),
    Setting(name="wing_fraction", kind=Kind.FRACTION, default=Decimal("0.05"), help="distance elsewhere, share of the short strike",
            loosens=Loosens.UP, low=Decimal("0.005"), high=Decimal("0.3")),
    *exit_settings(profit_target="0.5", iv_percentile="0.70"),
    Setting(name="close_dte", kind=Kind.INTEGER, default=21, unit="days", help="close or roll at this many days", loosens=Loosens.EXIT,
            low=Decimal(0), high=Decimal(60)),
)
EXAMPLES = (
    "open put_credit_spread SPX",
    "open put_credit_spread SPY 2 dte=45 delta=0.16",
    "open put_credit_spread XSP strikes=640/635 limit=0.85",
)


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return put_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Spreads that fit the request, best first; raises UserError where none does."""
    check_puts(request, strategy=NAME, most_strikes=2)
    choices = put_series(view, parameters, request)
    if request.strikes:
        return (_as_named(view, choices[0], request),)
    target = request.delta if request.delta is not None else parameters.number("delta")
    shorts = candidates(view, choices, target)
    ideas, trouble = [], None
    for series, short, delta in shorts:
        try:
            ideas.append(_idea(series, short, _wing(series, short, parameters, request), delta, request))
        except UserError as error:
            trouble = trouble or error
    if not ideas and trouble is not None:
        raise trouble
    return tuple(ideas)


def _as_named(view: View, series: PutSeries, request: Request) -> Idea:
    """The spread whose strikes a person said: two, or the short one with a width."""
    if len(request.strikes) == 2:
        low, high = sorted(request.strikes)
        if request.width is not None and request.width != high - low:
            raise UserError(f"strikes {_pair(high, low)} are {plain_number(high - low)} points apart, not {plain_number(request.width)}")
    elif request.width is not None:
        high = request.strikes[0]
        low = high - request.width
    else:
        short = plain_number(request.strikes[0])
        raise UserError("a put credit spread has two strikes", f"Say both, as in strikes={short}/LOWER, or add width=.")
    if low <= 0:
        raise UserError(f"a width of {plain_number(high - low)} points leaves no strike under {plain_number(high)}")
    short, long = named_row(series, high), named_row(series, low)
    check_sellable(series, short)
    return _idea(series, short, long, known_delta(view, series, short), request)


def _wing(series: PutSeries, short: int, parameters: Parameters, request: Request) -> int:
    """The row to buy: exactly the width a person said, else the listed strike nearest to the usual distance (of two alike the nearer)."""
    strike = series.chain.option(short).strike
    if request.width is not None:
        return named_row(series, strike - request.width)
    points = {"SPX": "wing_points_spx", "XSP": "wing_points_xsp"}.get(request.symbol)
    distance = parameters.number(points) if points else strike * parameters.number("wing_fraction")
    below = np.flatnonzero((series.chain.strike_milli < int(strike * 1000)) & series.chain.usable)
    if not len(below):
        raise UserError(f"there is no put to buy under {plain_number(strike)} on {series.expiry}", "Name strikes, or another expiry.")
    away = np.abs(series.chain.strike_milli[below] - float((strike - distance) * 1000))
    return int(below[np.flatnonzero(away == away.min())[-1]])


def _idea(series: PutSeries, short: int, long: int, delta: float | None, request: Request) -> Idea:
    chain = series.chain
    sold, bought = chain.option(short), chain.option(long)
    if not chain.usable[long]:
        raise UserError(f"the {bought.label} has no usable quote: {chain.quote(long).state.value}", "Choose another strike to buy.")
    pair, points = _pair(sold.strike, bought.strike), plain_number(sold.strike - bought.strike)
    if not chain.mid[short] > chain.mid[long]:
        raise UserError(f"the {pair} put spread on {series.expiry} brings no credit at these quotes", "Choose other strikes.")
    high, low = plain_number(sold.strike), plain_number(bought.strike)
    thesis = f"Sell the {high} put at {delta_words(delta)} and buy the {low} put {points} points lower, {series.dte} days to expiry."
    legs = (put_leg(series, short, Side.SELL), put_leg(series, long, Side.BUY))
    return Idea(strategy=NAME, symbol=request.symbol, legs=legs, thesis=thesis, short_delta=delta)


def _pair(high: Decimal, low: Decimal) -> str:
    return f"{plain_number(high)}/{plain_number(low)}"
