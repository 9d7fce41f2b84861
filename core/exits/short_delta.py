"""Get out of a short option that has become a coin toss: with a delta over 0.60 it gains and loses nearly like the underlying itself.

The delta is that of the short leg nearest to the money, in size, from the view's own quotes. Off for covered calls, secured puts and the
wheel, which take assignment instead.

Worked example: a put sold at a delta of 0.16 stands at 0.62 after a fall: close it, or roll it. At 0.58 nothing is said; once told, it is
told again only after the delta has been under 0.55.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from core.domain.events import Role
from core.domain.instruments import Option, underlying_instrument
from core.domain.mandates import Rung
from core.domain.money import from_market
from core.domain.structures import Trade
from core.errors import Unavailable
from core.exits import Case, Decision, Judgement, hold
from core.market.view import ChainNeed, Needs, View
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "short_delta"
URGENCY = 2
RUNG = Rung.CONFIRM
REPEAT_MINUTES = 5
CAREFUL = False
PAYS_UP = True
COVERED_BY: Role | None = None
STRATEGIES: tuple[str, ...] | None = ("naked_put", "put_credit_spread", "call_credit_spread", "iron_condor", "short_strangle")
FROM_STRATEGY: dict[str, str] = {}
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="most", kind=Kind.NUMBER, default=Decimal("0.60"), help="absolute delta of a short leg at which a trade is closed or rolled",
        loosens=Loosens.EXIT, low=Decimal("0.2"), high=Decimal("0.95"),
    ),
    Setting(
        name="rearm", kind=Kind.NUMBER, default=Decimal("0.05"), help="told again only after the delta was this much under the line",
        loosens=Loosens.EXIT, low=Decimal(0), high=Decimal("0.3"),
    ),
)
_STEP = Decimal("0.001")


def needs(trade: Trade, parameters: Parameters, today: date) -> Needs:
    """The quotes of its legs and their underlying, and the chain of each expiry, whose forward the delta is read on."""
    options = [leg.instrument for leg in trade.legs if isinstance(leg.instrument, Option)]
    dtes = {(option.underlying, (option.expiry - today).days) for option in options}
    return Needs(
        instruments=frozenset((*options, *(underlying_instrument(option.underlying) for option in options))),
        chains=frozenset(ChainNeed(symbol=symbol, first_dte=dte, last_dte=dte) for symbol, dte in dtes if dte >= 0),
    )


def judge(case: Case, view: View, parameters: Parameters) -> Judgement:
    """Compare the largest delta of a short leg with the line."""
    most = parameters.number("most")
    limit = f"{most:.2f}"
    found: list[tuple[Decimal, str]] = []
    for instrument, quantity in case.result.held.values():
        if quantity < 0 and isinstance(instrument, Option):
            delta = view.mark(instrument).delta
            if delta is None:
                raise Unavailable(f"delta of {instrument.label}", why="its quote gives no volatility")
            found.append((from_market(abs(delta), _STEP), instrument.label))
    if not found:
        return hold("no short leg", limit, "nothing is held short")
    worst, name = max(found)
    measured = f"{worst:.2f}"
    if worst < most - (parameters.number("rearm") if case.told else 0):
        return hold(measured, limit, f"the delta of the {name} is {measured}; the line is {limit}")
    return Judgement(
        decision=Decision.CLOSE, measured=measured, limit=limit,
        reason=f"the delta of the {name} is {measured}, over {limit}: close it, or roll it",
    )
