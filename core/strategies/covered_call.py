"""Sell calls against shares that are held: paid to agree to a price at which the shares would be sold anyway.

The premium is kept whatever happens. Above the strike the shares are called away there, so what they rise beyond it is given up; below it
they are kept, with all that they lose. A strike at or above what the shares cost (the strike they were assigned at) is chosen, 14 to 30
days out at a delta near 0.30, and the call is taken off at half of the credit. Calls are sold only against shares that no other call is
sold against: what is missing is said, and nothing is ever uncovered.

Example: 100 KO held at 70.00. Sell one 72 call at 0.90: you receive 0.90, that is 90 USD. With the shares: most that can be made
(72 - 70 + 0.90) x 100 = 290; lost if KO went to zero: (70 - 0.90) x 100 = 6,910; break-even at expiry 69.10. Profit is taken where it
costs 0.45 to buy back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from core.domain.ideas import Idea, Request
from core.domain.instruments import Option, Right, plain_number
from core.domain.orders import Side
from core.market.view import Needs, View
from core.portfolio.book import Book
from core.settings import Kind, Parameters, Setting
from core.strategies._expiries import option_needs
from core.strategies._select import single_ideas
from core.strategies._settings import delta_setting, exit_settings, expiry_settings
from core.strategies._shares import cost_of, free_lots

NAME = "covered_call"
PARAMETERS: tuple[Setting, ...] = (
    delta_setting("0.30"),
    *expiry_settings(dte=30, low=14, high=30),
    Setting(name="above_cost", kind=Kind.FLAG, default=True, help="choose no strike under what the shares cost"),
    *exit_settings(profit_target="0.5", iv_percentile="0"),
)
EXAMPLES = ("open covered_call KO", "open covered_call KO 2 dte=21 delta=0.25", "open covered_call KO 1 strikes=72 limit=0.90")


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return option_needs(parameters, request, today)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """Calls that fit the request and the shares, best first; raises UserError where none does."""
    lots = free_lots(book, request.symbol, Right.CALL, strategy=NAME)
    cost = cost_of(book, request.symbol)
    note = f", against {lots * 100} shares held at {cost:.2f}"
    ideas = single_ideas(
        view, parameters, request, strategy=NAME, right=Right.CALL, side=Side.SELL, most_units=lots, note=note,
        lowest=cost if parameters.flag("above_cost") else None,
    )
    return tuple(idea if _strike(idea) >= cost else _under_cost(idea) for idea in ideas)


def _strike(idea: Idea) -> Decimal:
    option = idea.legs[0].instrument
    assert isinstance(option, Option)
    return option.strike


def _under_cost(idea: Idea) -> Idea:
    """A person named it, or lets strikes under the cost be chosen: it is said that the shares may go for less than they cost."""
    return replace(idea, thesis=f"{idea.thesis} The {plain_number(_strike(idea))} strike is under what they cost.")
