"""Prepare the opening of a trade: the strategy chooses what you leave out, and you get a card to confirm. Nothing is sent by this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.command import Access, Call, Command, Kind, Parameter, format_call
from core.commands._proposals import ideas_for, intent_of, request_of, sells, signed_limit
from core.commands._wishes import OPENING, wish_of
from core.desk import Desk
from core.domain.ideas import Idea
from core.errors import UserError
from core.orders import ticket
from core.reply import Action, Notice, Reply, Tone
from core.strategies._expiries import WhichSeries


async def run(desk: Desk, call: Call) -> Reply:
    """Find the structure and draft a ticket for it."""
    args = call.args
    account = desk.account(call.caller, args.get("account"))
    try:
        ideas = await ideas_for(desk, account.id, args["strategy"], request_of(args))
    except WhichSeries as question:
        return _which(question, args)
    idea = ideas[0]
    _check_side(idea, args.get("side"))
    intent = replace(intent_of(idea, account.id, args.get("quantity")), wish=wish_of(args))
    limit = signed_limit(intent, args.get("limit"), pays=not sells(idea))
    return await ticket.draft(desk, intent, call.caller, limit=limit)


def _check_side(idea: Idea, side: str | None) -> None:
    own = "sell" if sells(idea) else "buy"
    if side is not None and side != own:
        raise UserError(f"{idea.strategy} is opened by a {own}, not a {side}.", "Leave side out, or name the strategy you mean.")


def _which(question: WhichSeries, args: Mapping[str, Any]) -> Reply:
    actions = tuple(Action(label=root, line=format_call(COMMAND, {**args, "root": root})) for root in question.roots)
    return Reply(blocks=(Notice(text=str(question), tone=Tone.WARNING),), actions=actions, ok=False)


COMMAND = Command(
    name="open",
    help="Prepares the opening of a trade: a card with Confirm. What you leave out is chosen from the chain by the strategy.",
    run=run,
    access=Access.DRAFT,
    parameters=(
        Parameter(name="strategy", kind=Kind.STRATEGY, required=True, help="such as put_credit_spread, iron_condor, covered_call, stock"),
        Parameter(name="symbol", kind=Kind.SYMBOL, required=True, help="the underlying, such as SPX; SPXW names the series too"),
        Parameter(name="quantity", kind=Kind.QUANTITY, help="units; left out, the size is set by rule"),
        Parameter(name="expiry", kind=Kind.DATE, help="exact expiry", positional=False),
        Parameter(name="strikes", kind=Kind.STRIKES, help="exact strikes, such as 480/470", positional=False),
        Parameter(name="dte", kind=Kind.INTEGER, help="days to expiry to aim at", positional=False),
        Parameter(name="far_expiry", kind=Kind.DATE, help="later expiry of a calendar or diagonal", positional=False),
        Parameter(name="far_dte", kind=Kind.INTEGER, help="days to that later expiry", positional=False),
        Parameter(name="right", kind=Kind.CHOICE, choices=("put", "call"), help="put or call", positional=False),
        Parameter(name="side", kind=Kind.CHOICE, choices=("buy", "sell"), help="buy or sell (shares)", positional=False),
        Parameter(name="delta", kind=Kind.DELTA, help="delta of the leg sold, or bought for a debit: 0.16 or 16", positional=False),
        Parameter(name="width", kind=Kind.MONEY, help="points between the strikes", positional=False),
        Parameter(name="limit", kind=Kind.MONEY, help="net price per share you want, such as 1.25", positional=False),
        *OPENING,
        Parameter(name="root", kind=Kind.SYMBOL, help="series where several expire that day: SPX or SPXW", positional=False),
    ),
    examples=(
        "open put_credit_spread SPX",
        "open put_credit_spread SPY 2 strikes=480/470 limit=1.25",
        "open naked_put XSP 1 dte=2 delta=0.065",
        "open put_credit_spread XSP 2 target=50% stop=2x",
        "open put_credit_spread SPX 20 work=twap parts=5 minutes=20",
        "open cash_secured_put SPY expiry=2026-12-18",
        "open iron_condor SPX",
        "open calendar SPY right=call dte=30 far_dte=60",
        "open stock KO 100 side=buy",
    ),
)
