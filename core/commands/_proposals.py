"""From a call's words to a strategy's ideas and an intent: shared by `open` and `why`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core import plugins
from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.calendar import session_date
from core.domain.ideas import Idea, Request
from core.domain.instruments import SERIES, Option, Right, combo_tick, plain_number
from core.domain.money import on_tick, to_tick
from core.domain.orders import Intent, Limit, Side
from core.errors import UserError
from core.market.view import Needs, View

ANY_PRICE = Limit(start=Decimal(0), worst=Decimal(0))  # a ticket prices every intent anew


def request_of(args: Mapping[str, Any]) -> Request:
    """What the person named; a series root given as the symbol (SPXW) names underlying and series."""
    symbol, root = str(args["symbol"]), args.get("root")
    series = SERIES.get(symbol)
    if series is not None and series.underlying != symbol:
        if root not in (None, symbol):
            raise UserError(f"{symbol} and root={root} name two different series.", "Give one of them.")
        symbol, root = series.underlying, symbol
    right = args.get("right")
    return Request(
        symbol=symbol,
        dte=args.get("dte"),
        expiry=args.get("expiry"),
        far_dte=args.get("far_dte"),
        far_expiry=args.get("far_expiry"),
        delta=args.get("delta"),
        strikes=tuple(args.get("strikes") or ()),
        width=args.get("width"),
        right=None if right is None else Right(right),
        root=root,
        side=None if args.get("side") is None else Side(args["side"]),
    )


async def ideas_for(desk: Desk, account: AccountId, name: str, request: Request) -> tuple[Idea, ...]:
    """The strategy's ideas for an account at today's market, best first, at least one; raise UserError or Unavailable with the reason."""
    strategy = plugins.load("strategies", name)
    parameters = desk.settings.parameters("strategies", name)
    needs: Needs = strategy.needs(parameters, request, session_date(desk.now()))
    view = await desk.reader.view(needs)
    if needs.chains and request.symbol not in view.chains and not await desk.reader.expiries(request.symbol):
        raise UserError(f"{request.symbol} has no options here.", "`quote` shows its price.")
    if not needs.chains:
        await check_symbol(desk, view, request.symbol)
    ideas: tuple[Idea, ...] = strategy.find(view, desk.book(account), parameters, request)
    if not ideas:
        raise UserError(f"{name} finds nothing on {request.symbol} now.", "Name strikes or another expiry.")
    return ideas


async def check_symbol(desk: Desk, view: View, symbol: str) -> None:
    """Raise UserError where no source knows a symbol the view has nothing of."""
    if symbol not in view.chains and symbol not in view.quotes:
        await desk.reader.expiries(symbol)


def intent_of(idea: Idea, account: AccountId, quantity: int | None) -> Intent:
    """An opening intent; without a quantity one unit, or all that what is held is enough for, for the ticket to size by rule."""
    most = idea.most_units
    if quantity is not None and most is not None and quantity > most:
        raise UserError(f"The shares held are enough for {most} x {idea.strategy}, not {quantity}.", f"Ask for {most}, or for fewer.")
    return Intent(
        account=account,
        legs=idea.legs,
        quantity=quantity or most or 1,
        plan=ANY_PRICE,
        strategy=idea.strategy,
        thesis=idea.thesis,
        quantity_said=quantity is not None,
        most_units=most,
    )


def signed_limit(intent: Intent, limit: Decimal | None, *, pays: bool) -> Decimal | None:
    """A person's positive limit as a net price (+ received, - paid); raise UserError where it is off the price step."""
    if limit is None:
        return None
    net = -limit if pays else limit
    options = tuple(leg.instrument for leg in intent.legs if isinstance(leg.instrument, Option))
    tick = combo_tick(options, net)
    if not on_tick(limit, tick):
        below, above = to_tick(limit, tick, up=False), to_tick(limit, tick, up=True)
        raise UserError(
            f"A limit of {plain_number(limit)} is between price steps of {plain_number(tick)}.",
            f"Use {plain_number(below)} or {plain_number(above)}." if below > 0 else f"Use {plain_number(above)}.",
        )
    return net


def sells(idea: Idea) -> bool:
    """Whether the structure is sold: its first leg is the one that defines it."""
    return idea.legs[0].side is Side.SELL
