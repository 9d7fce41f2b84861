"""Stop a trade that sold premium once it loses a multiple of what it received: the way out of a small loss that would grow large.

The loss is measured at mid on what is open now and shown in money. It is acted on by the discipline of stops: two fresh checks at least
30 seconds apart, not in the first five minutes of the session, with a spread of at most a quarter of mid. Where the price cannot be
seen, a person is told to look. Off for covered calls, secured puts and the wheel, which take assignment instead.

Worked example: a spread sold for 1.20 with a stop at 200% of the credit is stopped when it costs 3.60 to buy back: 1.20 received, 3.60
paid, a loss of 240 USD each. Once told it is told again only after the loss has been under 180%.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from core.domain.events import Role
from core.domain.mandates import Rung
from core.domain.structures import Trade
from core.exits import Case, Decision, Judgement, hold, quotes_of
from core.market.view import Needs, View
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "credit_stop"
URGENCY = 3
RUNG = Rung.CONFIRM
REPEAT_MINUTES = 5
CAREFUL = True
PAYS_UP = True
COVERED_BY: Role | None = Role.STOP
STRATEGIES: tuple[str, ...] | None = ("naked_put", "put_credit_spread", "call_credit_spread", "iron_condor", "short_strangle")
FROM_STRATEGY: dict[str, str] = {}
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="loss", kind=Kind.NUMBER, default=Decimal(2), unit="x credit", help="loss at which a trade is closed, in credits received",
        loosens=Loosens.EXIT, low=Decimal("0.25"), high=Decimal(20),
    ),
    Setting(
        name="rearm", kind=Kind.NUMBER, default=Decimal("0.2"), unit="x credit", loosens=Loosens.EXIT,
        help="told again only after the loss was this much under the stop", low=Decimal(0), high=Decimal(2),
    ),
)


def needs(trade: Trade, parameters: Parameters, today: date) -> Needs:
    """The quotes of its legs."""
    return quotes_of(trade)


def judge(case: Case, view: View, parameters: Parameters) -> Judgement:
    """Compare the loss with the multiple of the credit."""
    stop = parameters.number("loss")
    credit = case.premium
    if credit <= 0:
        return hold("no credit", f"{stop:.0%}", "it received no credit")
    sold, at = case.per_share(credit), case.per_share(credit * (1 + stop))
    limit = f"{stop:.0%} of the credit"
    words = f"sold {sold:.2f}; stop when it costs {at:.2f} to buy back (loss {credit * stop / case.trade.open_units:,.0f} USD each)"
    gain = case.gain
    lost = -gain / credit
    measured = f"{lost:.0%} of the credit"
    if lost < stop - (parameters.number("rearm") if case.told else 0):
        return hold(measured, limit, f"the loss is {measured}; {words}")
    now = case.per_share(credit - gain)
    return Judgement(
        decision=Decision.CLOSE, measured=measured, limit=limit,
        reason=f"stop hit: it costs {now:.2f} at mid, a loss of {measured} ({gain:+,.2f} USD); {words}", level=-at,
    )
