"""Close or roll a trade of weeks before its last weeks begin, when a small move of the underlying moves it most.

The number of days is the strategy's own `close_dte` where it has one. A trade opened with no more days than that was never meant to be
held so long, and is left alone. Off for covered calls, secured puts and the wheel, which take assignment or roll for credit instead.

Worked example: a spread opened with 45 days is due when 21 are left, on the first session with 21 days or fewer. A put opened with 4
days is not.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from core.domain.events import Role
from core.domain.mandates import Rung
from core.domain.structures import Trade
from core.exits import Case, Decision, Judgement, hold
from core.market.view import Needs, View
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "days_left"
URGENCY = 2
RUNG = Rung.CONFIRM
REPEAT_MINUTES = 390  # once a session
CAREFUL = False
PAYS_UP = False
COVERED_BY: Role | None = None
STRATEGIES: tuple[str, ...] | None = ("naked_put", "put_credit_spread", "call_credit_spread", "iron_condor", "short_strangle")
FROM_STRATEGY = {"days": "close_dte"}
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="days", kind=Kind.INTEGER, default=21, unit="days", help="close or roll when this many days are left", loosens=Loosens.EXIT,
        low=Decimal(0), high=Decimal(60),
    ),
)


def needs(trade: Trade, parameters: Parameters, today: date) -> Needs:
    """Nothing: the calendar tells."""
    return Needs()


def judge(case: Case, view: View, parameters: Parameters) -> Judgement:
    """Count the days; no price is looked at."""
    most = parameters.whole("days")
    left, start = case.days_left(view.session), case.days_at_start
    limit = f"{most} days"
    if left is None or start is None:
        return hold("no expiry", limit, "it never expires")
    measured = f"{left} day{'' if left == 1 else 's'}"
    if left < 0:
        return hold(measured, limit, "it has expired; its settlement is pending")
    if start <= most:
        return hold(measured, limit, f"it was opened with {start} days, no more than {most}")
    if left > most:
        return hold(measured, limit, f"{measured} left; due at {most}")
    verb = "is" if left == 1 else "are"
    return Judgement(
        decision=Decision.CLOSE, measured=measured, limit=limit,
        reason=f"{measured} {verb} left of {start}: close it, or roll it to a later expiry (due at {most} days)",
    )
