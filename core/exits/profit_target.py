"""Take the profit once most of it is made: what is left to earn is no longer worth the risk of staying.

Trades that received a credit are measured by the share of it that is earned, trades that paid a debit by their gain as a share of that
debit; both on what is open now, at mids, before commission. The share is the strategy's own `profit_target` where it has one: half for
most, 70% for a naked put of a few days.

Worked example: a put spread sold for 1.20 costs 0.60 to buy back: half of the credit is earned, and with a target of 50% it is closed. A
naked put sold for 0.40 is closed at 0.12, 70%. A call bought for 2.00 is sold at 3.00, 50% of the debit. Once told it is told again
only after the earned share has been under 45%.
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

NAME = "profit_target"
URGENCY = 1
RUNG = Rung.SUGGEST
REPEAT_MINUTES = 0
CAREFUL = False
PAYS_UP = False
COVERED_BY: Role | None = Role.TARGET
STRATEGIES: tuple[str, ...] | None = None
FROM_STRATEGY = {"share": "profit_target"}
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="share", kind=Kind.FRACTION, default=Decimal("0.5"), help="share of the credit, or of the debit, at which profit is taken",
        loosens=Loosens.EXIT, low=Decimal("0.05"), high=Decimal(10),
    ),
    Setting(
        name="rearm", kind=Kind.FRACTION, default=Decimal("0.05"), help="told again only after the profit was this much under the target",
        loosens=Loosens.EXIT, low=Decimal(0), high=Decimal("0.5"),
    ),
)


def needs(trade: Trade, parameters: Parameters, today: date) -> Needs:
    """The quotes of its legs."""
    return quotes_of(trade)


def judge(case: Case, view: View, parameters: Parameters) -> Judgement:
    """Compare the gain with the target."""
    target = parameters.number("share")
    limit = f"{target:.0%}"
    if case.holds_shares:
        return hold("with shares", limit, "shares are part of this trade, or came of it; their price is no premium")
    gained = case.gain_fraction
    if gained is None:
        return hold("no premium", limit, "nothing was received or paid for it")
    of = "credit" if case.premium > 0 else "debit"
    measured, reached = f"{gained:.1%} of the {of}", target - (parameters.number("rearm") if case.told else 0)
    if gained < reached:
        return hold(measured, limit, f"profit is {measured}; the target is {limit}")
    closing = -case.per_share(case.gain - case.premium) if case.premium > 0 else case.per_share(case.gain - case.premium)
    opened = abs(case.per_share(case.premium))
    deed = f"sold for {opened:.2f}, costs {closing:.2f} to buy back" if of == "credit" else f"bought for {opened:.2f}, brings {closing:.2f}"
    return Judgement(
        decision=Decision.CLOSE, measured=measured, limit=limit,
        reason=f"profit is {measured} at mid, the target is {limit} ({deed}; {case.gain:+,.2f} USD)",
    )
