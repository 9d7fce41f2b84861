"""Sell a put far below and a call far above the market for a few days, with nothing bought against either: paid on both sides, no cover.

The premium is the most that can be made. The put can lose down to zero, the call without any end, so it needs an account that may be
uncovered and is sized by stress. The put is sold at a delta near 0.065, the call further out at 0.02 to 0.03, since a rise cannot be
sat out; no call is opened in the last hour (after 15:00 in New York). Taken off at 70% of the credit.

Example: XSP at 680. Sell one 655 put at 0.40 and one 700 call at 0.20: you receive 0.60, that is 60 USD. Most that can be made: 60. Most
that can be lost: unlimited. Break-even at expiry: 654.40 and 700.60. Profit is taken where it costs 0.18 to buy back.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from core.domain.accounts import AccountKind
from core.domain.calendar import EXCHANGE
from core.domain.ideas import Idea, Request
from core.domain.instruments import Right
from core.domain.orders import Side
from core.errors import UserError
from core.market.view import Needs, View
from core.portfolio.book import Book
from core.settings import Kind, Loosens, Parameters, Setting
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
)
from core.strategies._settings import delta_setting, exit_settings, expiry_settings

NAME = "short_strangle"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.065", of="the put"),
    delta_setting("0.025", of="the call", name="call_delta"),
    Setting(name="last_call_hour", kind=Kind.INTEGER, default=15, unit="h", help="no call is sold from this hour in New York on",
            loosens=Loosens.UP, low=Decimal(10), high=Decimal(17)),
    *expiry_settings(dte=4, low=1, high=4),
    *exit_settings(profit_target="0.70", iv_percentile="0"),
)
EXAMPLES = ("open short_strangle XSP", "open short_strangle SPX 1 dte=2 delta=0.05", "open short_strangle XSP strikes=655/700 limit=0.60")

_KINDS = {AccountKind.CASH: "is a cash account", AccountKind.IRA: "is an IRA account"}


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Strangles that fit the request, best first; a delta that is said counts for both sides. Raises UserError where none does."""
    _check(view, book, parameters, request)
    choices = series_for(view, parameters, request, right=Right.PUT)
    if request.strikes:
        return (_as_named(view, choices[0], request),)
    sold_put, sold_call = (request.delta or parameters.number(name) for name in ("delta", "call_delta"))

    def make(puts: Series, row: int, delta: float) -> Idea:
        calls = twin_series(view, puts)
        call, call_delta = rows_near(view, calls, sold_call, Side.SELL)[0]
        return _idea((puts, row, delta), (calls, call, call_delta), request)

    return ideas_of(candidates(view, choices, sold_put, Side.SELL), make)


def _check(view: View, book: Book, parameters: Parameters, request: Request) -> None:
    account, hour = book.account, parameters.whole("last_call_hour")
    if account.kind in _KINDS or account.charter.defined_risk_only or account.charter.long_only:
        wrong = f"{account.name} {_KINDS.get(account.kind, 'may only hold defined risk')}: it may not sell a strangle"
        instead = "cash_secured_put" if account.kind is AccountKind.CASH else "iron_condor"
        raise UserError(f"{wrong}, whose call can lose without end", f"Name {instead}, or another account.")
    if request.right is not None:
        raise UserError(f"a {NAME} is a put and a call", "Leave right out, or name naked_put.")
    check_request(request, strategy=NAME, most_strikes=2)
    now = view.at.astimezone(EXCHANGE)
    if now.hour >= hour:
        raise UserError(f"no call is sold after {hour}:00 New York time, and it is {now:%H:%M}", "Name naked_put, or ask again tomorrow.")


def _as_named(view: View, puts: Series, request: Request) -> Idea:
    if len(request.strikes) != 2:
        raise UserError("a short strangle has two strikes", "Say both, the put and the call, as in strikes=655/700.")
    calls = twin_series(view, puts)
    low, high = sorted(request.strikes)
    row, call = named_row(puts, low), named_row(calls, high)
    return _idea((puts, row, known_delta(view, puts, row)), (calls, call, known_delta(view, calls, call)), request)


def _idea(put: tuple[Series, int, float | None], call: tuple[Series, int, float | None], request: Request) -> Idea:
    check_order((put[0], put[1]), (call[0], call[1]), strategy=NAME)
    for series, row, _ in (put, call):
        check_leg(series, row, Side.SELL)
    words = [f"the {strike_words(series, row)} at {delta_words(delta)}" for series, row, delta in (put, call)]
    known = [delta for *_, delta in (put, call) if delta is not None]
    return Idea(
        strategy=NAME, symbol=request.symbol, legs=tuple(leg_of(series, row, Side.SELL) for series, row, _ in (put, call)),
        thesis=f"Sell {words[0]} and {words[1]}, {put[0].dte} days to expiry.", short_delta=max(known) if len(known) == 2 else None,
    )
