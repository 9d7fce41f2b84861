"""Prepare the closing of what is held: one trade, a part of it, or everything, each with its own card. Nothing is sent by this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.command import Access, Call, Command, Kind, Parameter, format_call, read_value
from core.commands._proposals import ANY_PRICE, signed_limit
from core.commands._wishes import CLOSING, names_exits, wish_of
from core.desk import Desk
from core.domain.accounts import Account
from core.domain.calendar import last_trade_at
from core.domain.instruments import Option
from core.domain.orders import Effect, Intent
from core.errors import Unavailable, UserError
from core.orders import ticket
from core.orders.closable import Closable, closables, named_leg, on_symbol, with_id
from core.portfolio.book import Book
from core.reply import Action, Block, Column, Format, Notice, Reply, Table, Tone
from core.risk.measures import underlying_of
from core.risk.sizing import part_of

QUANTITY = Parameter(name="quantity", kind=Kind.QUANTITY, help="units to close; all where left out")


async def run(desk: Desk, call: Call) -> Reply:
    """Find what is meant and draft a closing ticket for it; ask where several fit."""
    args = _sized(call.args)
    call = replace(call, args=args)
    account = _account(desk, call, args)
    if args.get("quantity") is not None and args.get("fraction") is not None:
        raise UserError("quantity and fraction are both given.", "Give one of them.")
    symbol, held = args.get("symbol"), closables(desk.book(account.id))
    named = args.get("position_id") or symbol
    if named is None:
        found = held
    elif named == symbol:
        found = on_symbol(held, named)
    else:
        found = with_id(held, named) or named_leg(desk.book(account.id), named) or on_symbol(held, named.upper())
    if not found:
        what = f"{named} position" if named else "position"
        raise UserError(f"There is no open {what} in {account.name}.", _instead(desk.book(account.id), named))
    if args.get("scope") == "all":
        return await _all(desk, call, account, found)
    if len(found) > 1:
        return _which(found, args)
    return await _one(desk, call, account, found[0])


def _instead(book: Book, named: str | None) -> str:
    """Where nothing is held yet: the order that would open it, which closing cannot take back."""
    orders = [
        name for name, order in book.live.items()
        if any(leg.effect is Effect.OPEN for leg in order.envelope.legs)
        and named in (None, order.trade_id, underlying_of(order.envelope.legs[0].instrument))
    ]
    if not orders:
        return "`positions` shows what is held."
    return f"Order {' and '.join(orders)} works to open one; `cancel {orders[0]}` withdraws it."


def _account(desk: Desk, call: Call, args: Mapping[str, Any]) -> Account:
    """The account that is named, else the one that holds the trade that is; else the default."""
    trade = None if args.get("account") is not None else desk.books.trade(str(args.get("position_id") or "").upper().removeprefix("#"))
    return desk.account(call.caller, args.get("account")) if trade is None else desk.books.accounts[trade.account].account


def _sized(args: Mapping[str, Any]) -> dict[str, Any]:
    """`close XSP 1` means one unit: a bare number after the symbol is no trade's id."""
    said = args.get("position_id")
    if said is None or not said.isdecimal() or args.get("symbol") is None or args.get("quantity") is not None:
        return dict(args)
    return {**args, "position_id": None, "quantity": read_value(QUANTITY, said)}


async def _one(desk: Desk, call: Call, account: Account, item: Closable) -> Reply:
    args = call.args
    _refuse_ended(item, desk.now())
    wish = wish_of(args)
    if names_exits(args) and args.get("limit") is not None:
        raise UserError("A limit is for an order sent now; a target or a stop waits.", "Leave limit out, or name stop_limit=.")
    units = item.held if names_exits(args) else _free_units(item)
    if args.get("fraction") is not None and units == 1 and 0 < args["fraction"] < 1:
        return _half_of_one(item, args)
    intent = Intent(
        account=account.id,
        legs=item.legs,
        quantity=_quantity(units, args),
        plan=ANY_PRICE,
        strategy=item.strategy,
        thesis=f"{'Wait to close' if names_exits(args) else 'Close'} {item.label}.",
        trade_id=item.trade_id,
        quantity_said=args.get("quantity") is not None or args.get("fraction") is not None,
        wish=wish,
    )
    limit = signed_limit(intent, args.get("limit"), pays=item.pays)
    return await ticket.draft(desk, intent, call.caller, limit=limit)


def _refuse_ended(item: Closable, now: datetime) -> None:
    """Contracts whose trading is over settle by themselves; an order could not be sent any more."""
    for leg in item.legs:
        option = leg.instrument
        if isinstance(option, Option) and last_trade_at(option.series, option.expiry) <= now:
            raise UserError(
                f"The {option.label} has stopped trading; it ends by its settlement value, as soon as that is published.",
                "`positions` shows it until then.",
            )


def _free_units(item: Closable) -> int:
    if item.units:
        return item.units
    orders = " and ".join(item.working)
    raise UserError(f"All of {item.label} is being closed already by order {orders}.", f"`cancel {item.working[0]}` to close it otherwise.")


def _quantity(units: int, args: Mapping[str, Any]) -> int:
    if args.get("fraction") is not None:
        return part_of(units, args["fraction"])
    asked = args.get("quantity")
    if asked is not None and asked > units:
        raise UserError(f"{asked} is more than the {units} that may be closed.", f"Close {units}, or fewer.")
    return int(asked or units)


def _half_of_one(item: Closable, args: Mapping[str, Any]) -> Reply:
    kept = {name: value for name, value in args.items() if name not in ("symbol", "scope", "fraction")}
    line = format_call(COMMAND, {**kept, "position_id": item.id, "quantity": 1})
    text = f"Only 1 of {item.label} is open; a part of it cannot be closed. Close it all, or leave it?"
    return Reply(
        blocks=(Notice(text=text, tone=Tone.WARNING),),
        actions=(Action(label="Close all of it", line=line), Action(label="Leave it", line="positions")),
        ok=False,
    )


def _which(found: Sequence[Closable], args: Mapping[str, Any]) -> Reply:
    kept = {name: value for name, value in args.items() if name not in ("symbol", "scope")}
    columns = (
        Column(title="id"), Column(title="structure"), Column(title="strategy"), Column(title="open", format=Format.INTEGER),
        Column(title="expiry", format=Format.DATE),
    )
    rows = tuple((item.id, item.label, item.strategy, item.held, item.expiry or "") for item in found)
    actions = tuple(Action(label=f"Close {item.id}", line=format_call(COMMAND, {**kept, "position_id": item.id})) for item in found)
    rest = {name: value for name, value in kept.items() if name != "position_id" and value is not None}
    if rest.keys() <= {"account"}:
        line = format_call(COMMAND, {**rest, "symbol": found[0].underlying, "scope": "all"})
        actions += (Action(label="Close all of them", line=line),)
    notice = Notice(text=f"{len(found)} positions fit. Which one?", tone=Tone.WARNING)
    return Reply(blocks=(notice, Table(title="Open", columns=columns, rows=rows, source="book")), actions=actions, ok=False)


async def _all(desk: Desk, call: Call, account: Account, found: Sequence[Closable]) -> Reply:
    """A card for each, confirmed one by one; one that cannot be drawn does not hold up the others."""
    if call.args.get("quantity") is not None or call.args.get("limit") is not None:
        raise UserError("A quantity or limit cannot hold for everything.", "Close one position with it, or everything without.")
    blocks: list[Block] = []
    actions: list[Action] = []
    cites: list[int] = []
    for item in sorted(found, key=lambda one: not one.pays):  # what is short first: what covers it is sold after it
        try:
            reply = await _one(desk, call, account, item)
        except (UserError, Unavailable) as error:
            blocks.append(Notice(text=f"{item.label}: {error}", tone=Tone.BAD))
            continue
        name = str(reply.data.get("ticket", item.id))
        blocks += reply.blocks
        actions += [replace(action, label=f"{action.label} {name}") for action in reply.actions if action.label != "Reprice"]
        cites += reply.cites
    drawn = len(cites) > 0
    head = f"{len(found)} position{'s' if len(found) > 1 else ''} to close, each with its own card; confirm them one by one."
    if len(found) > 1:
        head += " After each fill the next card may be drawn again, for the account as it then stands."
    return Reply(blocks=(Notice(text=head), *blocks), actions=tuple(actions), ok=drawn, cites=tuple(cites))


COMMAND = Command(
    name="close",
    help="Prepares the closing of a trade, a part of it, or everything: a card with Confirm for each.",
    run=run,
    access=Access.DRAFT,
    parameters=(
        Parameter(name="scope", kind=Kind.CHOICE, choices=("all",), help="all: a card for everything that is open"),
        Parameter(name="symbol", kind=Kind.SYMBOL, help="what is open on this underlying"),
        Parameter(name="position_id", kind=Kind.ID, help="trade id, or contract symbol without spaces"),
        QUANTITY,
        Parameter(name="fraction", kind=Kind.FRACTION, help="part to close, 0.5 or 50%; rounded down, at least 1", positional=False),
        Parameter(name="limit", kind=Kind.MONEY, help="net price per share to close at", positional=False),
        *CLOSING,
    ),
    examples=(
        "close SPY", "close position_id=P1A2B3C quantity=1", "close SPX fraction=50%", "close scope=all",
        "close position_id=P1A2B3C target=50% stop=2x", "close SPX stop_price=3.60 stop_limit=4.20", "close XSP trail=0.40",
    ),
)
