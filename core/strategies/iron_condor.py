"""Sell a put spread below the market and a call spread above it, of one expiry: paid to say that the underlying will stay between.

Only one side can lose, so the wider wing less the whole premium is the most that can be lost. Sold when options are dear (IV rank over
70) near 45 days, both short strikes at a delta near 0.16, taken off at half of the credit, closed or rolled at 21 days.

Example: SPX at 2,900. Sell one 2700 put at 12.00 and buy one 2650 put at 8.00; sell one 3050 call at 9.00 and buy one 3100 call at 5.50:
you receive 7.50, that is 750 USD. Most that can be made: 750. Most that can be lost: (50 - 7.50) x 100 = 4,250. Break-even at expiry:
2,692.50 and 3,057.50. Profit is taken where it costs 3.75 to buy back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from core.domain.ideas import Idea, Request
from core.domain.instruments import Right
from core.domain.orders import Side
from core.errors import UserError
from core.market.view import Needs, View
from core.portfolio.book import Book
from core.settings import Parameters, Setting
from core.strategies._expiries import Series, check_request, option_needs, series_for, twin_series
from core.strategies._select import (
    candidates,
    check_leg,
    check_order,
    delta_words,
    ideas_of,
    known_delta,
    leg_of,
    named_row,
    rows_near,
    strike_words,
    target_delta,
)
from core.strategies._settings import close_setting, delta_setting, exit_settings, expiry_settings, wing_settings
from core.strategies._verticals import check_width, wing_row, wing_strike

NAME = "iron_condor"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.16", of="both short legs"),
    *expiry_settings(dte=45, low=30, high=60),
    *wing_settings(),
    *exit_settings(profit_target="0.5", iv_percentile="0.70"),
    close_setting(),
)
EXAMPLES = (
    "open iron_condor SPX", "open iron_condor SPY 2 dte=45 delta=0.16 width=10", "open iron_condor XSP strikes=635/640/715/720 limit=1.40",
)
_Side = tuple[Series, int, int, float | None]  # a spread: series, short row, long row, delta of the short


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Condors that fit the request, best first; raises UserError where none does."""
    if request.right is not None:
        raise UserError(f"an {NAME} has puts and calls", "Leave right out, or name a credit spread.")
    check_request(request, strategy=NAME, most_strikes=4, wide=True)
    choices = series_for(view, parameters, request, right=Right.PUT)
    if request.strikes:
        low, put, call, high = _four(request)
        puts, calls = choices[0], twin_series(view, choices[0])
        return (_idea(_named(view, puts, put, low), _named(view, calls, call, high), request),)
    target = target_delta(parameters, request)

    def make(series: Series, row: int, delta: float) -> Idea:
        calls = twin_series(view, series)
        best, call_delta = rows_near(view, calls, target, Side.SELL)[0]
        lower = (series, row, wing_row(series, row, parameters, request), delta)
        return _idea(lower, (calls, best, wing_row(calls, best, parameters, request), call_delta), request)

    return ideas_of(candidates(view, choices, target, Side.SELL), make)


def _four(request: Request) -> Sequence[Decimal]:
    """Long put, short put, short call, long call: all said, or the short ones with a width."""
    strikes = sorted(request.strikes)
    if len(strikes) == 2 and request.width is not None:
        put, call = strikes
        return wing_strike(put, request.width, Right.PUT), put, call, wing_strike(call, request.width, Right.CALL)
    if len(strikes) != 4:
        raise UserError("an iron condor has four strikes", "Say strikes=635/640/715/720, or the two short ones with width=.")
    low, put, call, high = strikes
    check_width(request, put, low)
    check_width(request, call, high)
    return strikes


def _named(view: View, series: Series, short: Decimal, long: Decimal) -> _Side:
    row = named_row(series, short)
    return series, row, named_row(series, long), known_delta(view, series, row)


def _idea(lower: _Side, upper: _Side, request: Request) -> Idea:
    check_order((lower[0], lower[1]), (upper[0], upper[1]), strategy=NAME)
    for series, short, long, _ in (lower, upper):
        check_leg(series, short, Side.SELL)
        check_leg(series, long, Side.BUY)
        if not series.chain.mid[short] > series.chain.mid[long]:
            raise UserError(f"the {series.right.value} side of {series.expiry} brings no credit at these quotes", "Choose other strikes.")
    words = [
        f"the {strike_words(series, short)} at {delta_words(delta)} against the {strike_words(series, long)}"
        for series, short, long, delta in (lower, upper)
    ]
    thesis = f"Sell {words[0]} and {words[1]}, {lower[0].dte} days to expiry."
    pairs = [((series, short, Side.SELL), (series, long, Side.BUY)) for series, short, long, _ in (lower, upper)]
    legs = tuple(leg_of(*leg) for pair in pairs for leg in pair)
    known = [delta for *_, delta in (lower, upper) if delta is not None]
    return Idea(strategy=NAME, symbol=request.symbol, legs=legs, thesis=thesis, short_delta=max(known) if len(known) == 2 else None)
