"""Book a trade done elsewhere, after a tap. Nothing is sent to any broker by it.

`account=outside` books it into an account that no broker of this desk keeps. For a connected account it only puts words on executions that
are in that broker's books and came from elsewhere: contract, side, quantity, day, and the price within 0.05. Example: `log_trade sell SPY
strikes=480 right=put expiry=2026-12-18 quantity=2 price=3.20 when=2026-11-19 account=outside` books 640.00 USD received.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.clock import exchange_date
from core.command import Access, Call, Command, Kind, Parameter, Role
from core.commands._booking import NEAR, Booking, booked_outside, named_fills, outside_book, own_order, taken_back
from core.commands._booking_card import asked, book, card_of, is_booked
from core.commands._ended import ended, record_ending
from core.commands._said import Question, said_of, words_of
from core.desk import Desk
from core.domain.accounts import OUTSIDE, Account
from core.errors import UserError
from core.reply import Notice, Reply

LEFT = "Nothing was booked."


async def run(desk: Desk, call: Call) -> Reply:
    """Draw the card of a booking, or book what a card showed."""
    card = call.args.get("card")
    log_id, _, seal = str(card or "").partition("-")
    if card is not None and is_booked(desk, log_id):
        return Reply(blocks=(Notice(text=f"{log_id} was booked before; nothing was booked again."),), data={"log": log_id})
    if call.args.get("outcome") is not None:
        return await ended(desk, call) if card is None else await record_ending(desk, call)
    try:
        booking = await _booking(desk, call)
    except Question as question:
        return asked(COMMAND, call.args, question)
    if card is None:
        return card_of(desk, COMMAND, call.args, booking)
    if seal != booking.seal:
        lead = f"It stands otherwise than on that card. {LEFT} This is what would be booked now."
        return card_of(desk, COMMAND, call.args, booking, lead=lead)
    return await book(desk, call, booking, log_id)


def access(args: Mapping[str, Any]) -> Access:
    """DRAFT for the card, COMMIT for the press on it."""
    return Access.DRAFT if args.get("card") is None else Access.COMMIT


async def _booking(desk: Desk, call: Call) -> Booking:
    args = call.args
    if args.get("undo") is not None:
        return taken_back(outside_book(desk), str(args["undo"]))
    said = said_of(args, exchange_date(desk.now()))
    account = _account(desk, call)
    if account.id.outside:
        return booked_outside(outside_book(desk), said, args.get("fees"), position_id=args.get("position_id"))
    fills = named_fills(desk, account, said)
    if not fills:
        await _reconciled_once(desk, account)
        fills = named_fills(desk, account, said)
    if fills:
        return Booking(account=account, said=said, legs=said.legs, named=fills)
    own = own_order(desk, account, said)
    if own is not None:
        raise UserError(f"That is order {own} of this desk, which is in the books already. {LEFT}", "`fills all` shows it.")
    raise Question(
        f"It is not there: the broker's books of {account.name} have no such execution of {said.day} from elsewhere within {NEAR} of "
        f"{words_of(said)}. {LEFT}",
        "Check contract, side, quantity, price and day.", choices={"It was done elsewhere": {"account": OUTSIDE.name}},
    )


def _account(desk: Desk, call: Call) -> Account:
    """The account a trade names: it is asked for, since a booking in the wrong one would be a wrong book."""
    named = call.args.get("account")
    if named == OUTSIDE.name:
        return OUTSIDE
    if named is not None:
        return desk.account(call.caller, named)
    choices = {"Elsewhere": {"account": OUTSIDE.name}, **{item.name: {"account": item.name} for item in desk.config.accounts[:4]}}
    raise Question("In which account was it done?", "`outside` stands for one that is not connected.", choices=choices)


async def _reconciled_once(desk: Desk, account: Account) -> None:
    """Compare with the broker's books once more: what was done a moment ago may not have been heard of yet."""
    sender = desk.senders.get(account.id)
    if sender is None:
        raise UserError(f"{account.name} is not connected to a broker. {LEFT}", "`status` says why.")
    async with desk.lane(account.id):
        await sender.reconcile()


COMMAND = Command(
    name="log_trade",
    help="Books a trade done elsewhere, after a tap; nothing is sent.",
    run=run,
    access=access,
    parameters=(
        Parameter(name="side", kind=Kind.CHOICE, choices=("sell", "buy"), help="sell or buy, as it was traded"),
        Parameter(name="strategy", kind=Kind.STRATEGY, help="a structure's name, or stock for shares"),
        Parameter(name="symbol", kind=Kind.SYMBOL, help="the underlying, or a series such as SPXW"),
        Parameter(name="strikes", kind=Kind.STRIKES, help="its strikes, such as 480 or 480/470"),
        Parameter(name="right", kind=Kind.CHOICE, choices=("put", "call"), help="put or call"),
        Parameter(name="quantity", kind=Kind.QUANTITY, help="contracts, units or shares"),
        Parameter(name="expiry", kind=Kind.DATE, help="the expiry"),
        Parameter(name="price", kind=Kind.MONEY, help="net price per share, such as 3.20"),
        Parameter(name="when", kind=Kind.DATE, help="the day it was traded; today where left out"),
        Parameter(name="fees", kind=Kind.MONEY, help="commission and fees paid in all", positional=False),
        Parameter(name="outcome", kind=Kind.CHOICE, choices=("expired", "assigned", "exercised"), positional=False, help="how one ended"),
        Parameter(name="position_id", kind=Kind.ID, help="the logged trade it closes, where several could be meant", positional=False),
        Parameter(name="root", kind=Kind.SYMBOL, help="series where several expire that day: SPX or SPXW", positional=False),
        Parameter(name="undo", kind=Kind.ID, help="a booking to take back", positional=False),
        Parameter(name="card", kind=Kind.ID, help="the card a press is for; its Confirm button carries it", positional=False),
    ),
    examples=(
        "log_trade sell SPY strikes=480 right=put quantity=2 expiry=2026-12-18 price=3.20 when=2026-11-19 account=outside",
        "log_trade sell put_credit_spread SPX strikes=6000/5950 quantity=1 expiry=2026-12-18 price=4.10 account=practice",
        "log_trade buy stock SPY quantity=100 price=631.20 account=outside",
        "log_trade undo=L1A2B3C",
        "log_trade outcome=assigned SPY strikes=480 right=put expiry=2026-12-18",
    ),
    roles=frozenset({Role.OWNER, Role.TRADER}),
)
