"""The broker's books beside ours: what differs, what it stops, and how a person adopts the broker's word, one difference at a time.

Nothing is adopted silently. A card shows what would be booked, line by line; booking asks for the PIN, compares once more and books
only what the card showed. A halt stays until the books agree and a person lifts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from core.command import Access, Call, Kind, Parameter, Role, format_value
from core.commands._modes import actor_of, scope_words
from core.commands._trades import needs_of
from core.desk import Desk
from core.domain.accounts import Account
from core.domain.encoding import digest
from core.domain.events import Adjusted, Difference, Mode, Reconciled
from core.domain.instruments import Instrument
from core.domain.money import CENT, ZERO, from_market
from core.errors import Unavailable, UserError
from core.fold import ModeEntry
from core.orders.readings import Booking, Reading, reading_of
from core.orders.reconcile import CAUSE, name_of
from core.orders.sender import AccountSender
from core.portfolio.book import Book
from core.reply import Action, Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Text, Tone

PARAMETERS = (
    Parameter(name="books", kind=Kind.FLAG, help="compare with the broker's books now and show what differs", positional=False),
    Parameter(name="resolve", kind=Kind.ID, help="a difference's id: what would be booked on the broker's word", positional=False),
    Parameter(name="book", kind=Kind.FLAG, help="book it, with your PIN", positional=False),
    Parameter(name="seal", kind=Kind.ID, help="stands for exactly what the card showed", positional=False),
    Parameter(name="price", kind=Kind.MONEY, help="per share, of a holding that came without money", positional=False),
    Parameter(name="deposit", kind=Kind.FLAG, help="the money was brought in or taken out, no result", positional=False),
    Parameter(name="pin", kind=Kind.SECRET, help="your PIN; asked for where it is left out", positional=False),
)
_POSITIONS = (
    Column(title="id"), Column(title="what"), Column(title="broker", format=Format.INTEGER, signed=True),
    Column(title="book", format=Format.INTEGER, signed=True), Column(title="since"), Column(title="stops"), Column(title="you can"),
    Column(title="explanation"),
)
_MONEY = (
    Column(title="id"), Column(title="what"), Column(title="broker", format=Format.MONEY, unit="USD"),
    Column(title="book", format=Format.MONEY, unit="USD"), Column(title="since"), Column(title="stops"), Column(title="you can"),
    Column(title="explanation"),
)
_BOOKINGS = (
    Column(title="booked"), Column(title="quantity", format=Format.INTEGER, signed=True), Column(title="price", format=Format.PRICE),
    Column(title="shares", format=Format.INTEGER, signed=True), Column(title="cash", format=Format.MONEY, unit="USD", signed=True),
    Column(title="taken for"),
)


def access_of(args: Mapping[str, Any]) -> Access:
    """Looking is free, a card is a draft, booking needs the PIN."""
    if args.get("book"):
        return Access.STEPUP
    return Access.DRAFT if args.get("resolve") else Access.READ


async def show(desk: Desk, account: Account) -> Reply:
    """Compare and list what differs."""
    result = await _sender(desk, account).look()
    return Reply(blocks=tuple(_state(desk, account, result)), actions=tuple(_actions(account, result)), ok=result.complete)


async def resolve(desk: Desk, account: Account, call: Call) -> Reply:
    """The card of one difference, or its booking."""
    if call.args.get("book"):
        return await _book(desk, account, call)
    result = await _sender(desk, account).look()
    return await _card(desk, account, result, named=str(call.args["resolve"]), price=call.args.get("price"))


# --- what differs --------------------------------------------------------------------------------------------------------


def _state(desk: Desk, account: Account, result: Reconciled) -> list[Block]:
    if not result.complete:
        text = f"The broker's answer for {account.name} was incomplete; nothing can be concluded from it, and nothing is sent until it is."
        return [Notice(text=text, tone=Tone.BAD)]
    halted = _halts(desk, account)
    book = desk.book(account.id)
    counts = f"{len(book.positions)} positions, {len(book.live)} working orders, {len(book.external)} external ones"
    if not result.found:
        blocks: list[Block] = [Notice(text=f"The broker's books of {account.name} and ours agree ({counts}).", tone=Tone.GOOD)]
        if halted:
            names = ", ".join(scope_words(entry.scope) for entry in halted)
            blocks.append(Notice(text=f"Still halted until you lift it with `unhalt`: {names}.", tone=Tone.WARNING))
        return blocks
    count = f"{len(result.found)} difference{'s' if len(result.found) > 1 else ''}"
    text = f"{count} between the broker's books of {account.name} and ours. Nothing was changed or adopted."
    money = [item for item in result.found if item.kind == "cash"]
    others = [item for item in result.found if item.kind != "cash"]
    blocks = [Notice(text=text, tone=Tone.BAD)]
    if others:
        blocks.append(Table(title="Positions and orders", columns=_POSITIONS, rows=tuple(_row(desk, account, item) for item in others)))
    if money:
        blocks.append(Table(title="Cash", columns=_MONEY, rows=tuple(_row(desk, account, item) for item in money)))
    return blocks


def _halts(desk: Desk, account: Account) -> list[ModeEntry]:
    return [entry for entry in desk.fold.all_modes() if entry.cause == f"{CAUSE}{account.id}" and entry.mode is Mode.HALT]


def _row(desk: Desk, account: Account, item: Difference) -> tuple[Cell, ...]:
    whole = item.kind != "cash"
    theirs, ours = (int(item.theirs), int(item.ours)) if whole else (item.theirs, item.ours)
    what = "cash" if item.kind == "cash" else f"order {item.client_id}" if item.instrument is None else name_of(item.instrument)
    can = f"write it off: `cancel {item.client_id}`" if item.kind == "order" else f"book it: `account resolve={item.id}`"
    return (item.id, what, theirs, ours, item.since, _stopped(desk, account, item), can, item.looks_like or "none yet")


def _stopped(desk: Desk, account: Account, item: Difference) -> str:
    modes = [entry for entry in desk.fold.all_modes() if entry.cause == f"{CAUSE}{account.id}"]
    if item.kind == "cash":
        return "entries of the account" if any(entry.mode is Mode.REDUCING for entry in modes) else ""
    names = [_words_of(item, entry.scope.name) for entry in modes if entry.scope.name in item.keys]
    return f"HALT on {', '.join(names)}" if names else "nothing any more: lifted by a person"


def _words_of(item: Difference, key: str) -> str:
    return name_of(item.instrument) if item.instrument is not None and item.instrument.key == key else key.strip()


def _actions(account: Account, result: Reconciled) -> list[Action]:
    found: list[Action] = []
    for item in result.found[:8]:
        if item.kind == "order":
            found.append(Action(label=f"Write {item.client_id} off", line=f"cancel order_id={item.client_id}", style="danger"))
        else:
            found.append(Action(label=f"Resolve {item.id}", line=f"account resolve={item.id} account={account.name}"))
    return [*found, Action(label="Compare again", line=f"account books=yes account={account.name}")]


# --- adopting the broker's word ------------------------------------------------------------------------------------------


async def _card(
    desk: Desk, account: Account, result: Reconciled, *, named: str, price: Decimal | None = None, lead: str = ""
) -> Reply:
    """What would be booked, in full, and the buttons that book just that."""
    book = desk.book(account.id)
    reading = _reading(desk, book, result, named)
    given = price is not None
    price = price if given else await _price_now(desk, reading)
    covered = [item for item in result.found if item.id in reading.ids]
    looks = f"It {reading.words}." if reading.words else "Nothing explains it but the broker's word."
    blocks: list[Block] = [Notice(text=lead, tone=Tone.WARNING)] if lead else []
    blocks.append(Notice(text=f"Nothing is booked yet. {'; '.join(item.text for item in covered)}. {looks}", tone=Tone.WARNING))
    blocks.append(Table(title="What would be booked", columns=_BOOKINGS, rows=tuple(_booked(item, price) for item in reading.bookings)))
    cash = sum((item.cash for item in reading.bookings), ZERO)
    facts = (
        Fact(label="cash in the book now", value=book.cash, format=Format.MONEY, unit="USD"),
        Fact(label="afterwards", value=book.cash + cash, format=Format.MONEY, unit="USD"),
    )
    blocks.append(Facts(facts=facts))
    if any(_without_money(item) for item in reading.bookings):
        words = "is not known either" if price is None else f"is taken as {price:.2f}, {'as you said' if given else 'its mid now'}"
        blocks.append(Text(text=f"No money came with it, so what it cost {words}; price= names another."))
    line = f"account resolve={named} book=yes seal={seal(reading, price)} account={account.name}"
    line += "" if price is None else f" price={format_value(price)}"
    return Reply(blocks=tuple(blocks), actions=tuple(_card_actions(account, reading, line)), data={"difference": named})


def _card_actions(account: Account, reading: Reading, line: str) -> list[Action]:
    leave = Action(label="Leave it", line=f"account books=yes account={account.name}")
    if all(item.instrument is None for item in reading.bookings):
        return [
            Action(label="Book as result", line=line, style="danger", once=True),
            Action(label="Book as deposit or withdrawal", line=f"{line} deposit=yes", style="danger", once=True),
            leave,
        ]
    return [Action(label="Book it", line=line, style="danger", once=True), leave]


async def _book(desk: Desk, account: Account, call: Call) -> Reply:
    """Compare once more and book exactly what the card showed; anything else is shown anew."""
    if call.caller.role is not Role.OWNER:
        raise UserError("Only the owner may book on the broker's word; nothing was booked.", "Ask the owner.")
    named, sender = str(call.args["resolve"]), _sender(desk, account)
    async with desk.lane(account.id):
        result = await sender.reconcile()
        reading = _reading(desk, desk.book(account.id), result, named)
        price = call.args.get("price")
        if call.args.get("seal") != seal(reading, price):
            lead = "It stands otherwise than on that card; nothing was booked. This is what would be booked now."
            return await _card(desk, account, result, named=named, lead=lead)
        recorded = await desk.record(*(
            desk.draft(body, actor=actor_of(call), stream=str(account.id), causation=call.caller.message_id, correlation=named)
            for body in _adjustments(desk, account, call, reading, price)
        ))
    after = await sender.reconcile()
    booked = Notice(text=f"Booked on the broker's word, signed by {call.caller.person}.", tone=Tone.GOOD)
    table = Table(title="Booked", columns=_BOOKINGS, rows=tuple(_booked(item, price) for item in reading.bookings))
    halted = [] if after.found or not _halts(desk, account) else [Action(label="Unhalt", line="unhalt")]
    actions = [*halted, *_actions(account, after)]
    return Reply(blocks=(booked, table, *_state(desk, account, after)), actions=tuple(actions), cites=recorded.seqs)


def _adjustments(desk: Desk, account: Account, call: Call, reading: Reading, price: Decimal | None) -> list[Adjusted]:
    return [
        Adjusted(
            adjustment_id=desk.runtime.entropy.id("J"), account=account.id, person=call.caller.person,
            reason=reading.words or "the broker's word", instrument=item.instrument, quantity=item.quantity, cash=item.cash,
            at=desk.now(), outcome=item.outcome, shares=item.shares, share_symbol=item.share_symbol,
            price=price if _without_money(item) else None, deposit=item.instrument is None and bool(call.args.get("deposit")),
        )
        for item in reading.bookings
    ]


def seal(reading: Reading, price: Decimal | None) -> str:
    """Stands for a reading's bookings and the price they are made at."""
    return digest({"bookings": reading.bookings, "price": None if price is None else format_value(price)})[:12]


def _reading(desk: Desk, book: Book, result: Reconciled, named: str) -> Reading:
    item = next((item for item in result.found if item.id == named), None)
    if item is None:
        raise UserError(f"There is no difference {named!r} now; nothing was booked.", "`account books=yes` shows what differs.")
    if item.kind == "order":
        raise UserError(f"{item.text[:1].upper()}{item.text[1:]}.", f"`cancel {item.client_id}` writes it off.")
    reading = reading_of(book, result.found, desk.now(), named=named)
    if reading is None:
        raise UserError(f"Nothing can be booked for {named}.", "`account books=yes` shows what differs.")
    return reading


def _booked(item: Booking, price: Decimal | None) -> tuple[Cell, ...]:
    name = "cash" if item.instrument is None else name_of(item.instrument)
    shown = price if _without_money(item) else ""
    taken = item.outcome.replace("_", " ")
    return (name, item.quantity or "", shown, item.shares or "", item.cash, taken)


def _without_money(item: Booking) -> bool:
    """A holding that came or went without money: it needs a price to be booked at."""
    return item.instrument is not None and not item.cash and item.outcome == "adjusted"


async def _price_now(desk: Desk, reading: Reading) -> Decimal | None:
    """The mid of a holding that came without money, None where it is not needed or nobody quotes it."""
    wanted: Sequence[Instrument] = [item.instrument for item in reading.bookings if item.instrument is not None and _without_money(item)]
    if len(wanted) != 1:
        return None
    view = await desk.reader.view(needs_of(wanted))
    try:
        mid = from_market(view.mid(wanted[0]), CENT)
    except Unavailable:
        return None
    return mid if mid > 0 else None


def _sender(desk: Desk, account: Account) -> AccountSender:
    sender = desk.senders.get(account.id)
    if sender is None:
        raise UserError(f"{account.name} is not connected to a broker.", "`status` says why.")
    return sender
