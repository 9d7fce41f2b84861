"""Bugs planted on purpose: who watches the checkers. Each entry breaks one thing the way a careless change would, and names the
invariants of which at least one must notice within a few seeds.

`rates` is the mixture of faults under which the bug shows, `habits` what people do more often than usual.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

import core.commands.mandate
import core.dispatch
import core.market.chain
import core.orders.automatic
import core.orders.link
import core.orders.sender
import core.orders.standing
import core.orders.steward
import core.orders.ticket
import core.risk.rules.contract
import core.risk.rules.effect
import core.risk.rules.mandate
import core.risk.rules.quotes
import core.store.memory
import tests.sim.checks_desk
from bot.buttons import Buttons, Stored
from bot.session import Session
from core.command import Access, Call, Caller
from core.desk import Desk
from core.domain.events import Draft, Event, Filled, Mode, NoteWritten, OrderEnded, OrderUnknown, Reconciled, Replacing, Settled
from core.domain.orders import OrderState, Permitted
from core.errors import DeskError, UserError
from core.fold import DeskFold, Ticket
from core.orders.link import BrokerLink
from core.orders.sender import AccountSender
from core.orders.states import Order
from core.orders.steward import Steward
from core.portfolio.book import BookFold
from core.redaction import Redaction
from core.reply import Reply
from core.risk import gate
from core.risk.exam import passing
from core.store.memory import MemoryDisk, MemoryStore
from tests.sim.checker import Violation
from tests.sim.faults import Rates
from tests.sim.world import episode

CALM = Rates()
LOSSY = Rates(request_lost=0.1, answer_lost=0.4, request_slow=0.1, snapshot_cut=0.5, disconnects_per_minute=1.0)
CRASHY = Rates(crashes_per_minute=2.0)
CHATTY = Rates(repeat_message=0.8, reorder_message=0.3)
SLEEPY = Rates(suspends_per_minute=1.0)
LATE = Rates(late_report=0.9, expire_order=0.15, disconnects_per_minute=0.3)
DAYS = Rates(outside_per_minute=4.0, suspends_per_minute=3.0)
BROKEN = Rates(late_report=0.3, disconnects_per_minute=3.0)
GLITCHY = Rates(glitches_per_minute=2.0)
JUMPY = Rates(jumps_per_minute=3.0)
PARTIAL = Rates(answer_lost=0.5, request_lost=0.2, snapshot_empty=0.5, late_report=0.5, disconnects_per_minute=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One planted bug."""

    name: str
    caught_by: frozenset[str]
    plant: Callable[[pytest.MonkeyPatch], None]
    rates: Rates = CALM
    habits: Mapping[str, float] = field(default_factory=dict)  # what people do more of
    accounts: int = 1
    calm: bool = True  # False: the seed decides the day and the hour too
    steps: int = 800  # so many may be needed until it shows
    first_seed: int = 1  # tried first: it was the quickest to show the bug when this was written


def _sends_twice(patch: pytest.MonkeyPatch) -> None:
    once = AccountSender._submit

    async def twice(self: AccountSender, order: Order, confirmed: Any) -> str | None:
        await once(self, order, confirmed)
        return await once(self, order, confirmed)

    patch.setattr(AccountSender, "_submit", twice)


def _resends_under_a_new_id(patch: pytest.MonkeyPatch) -> None:
    async def again(self: BrokerLink, order: Order, reason: str) -> None:
        await self._one(OrderUnknown(client_id=order.client_id, reason=reason))
        with suppress(DeskError):
            await self._broker.submit(_permitted(order, client_id=order.client_id + "B"))

    patch.setattr(BrokerLink, "_unknown", again)


def _sends_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    priced = core.orders.ticket._price_undisturbed

    async def eager(desk: Desk, drafted: Any) -> Any:
        found = await priced(desk, drafted)
        envelope = drafted.envelope
        order = Permitted(
            account=envelope.account,
            client_id="O0EAGER",
            ticket_id=drafted.ticket_id,
            envelope=envelope,
            envelope_hash=drafted.envelope_hash,
            limit=envelope.plan.start,
            quantity=envelope.quantity,
            reducing=False,
            verdict_hash="",
        )
        with suppress(DeskError):
            await desk.brokers[envelope.account].submit(order)
        return found

    patch.setattr(core.orders.ticket, "_price_undisturbed", eager)


def _replaces_without_writing(patch: pytest.MonkeyPatch) -> None:
    record = BrokerLink._one

    async def forgetful(self: BrokerLink, body: Any, **more: Any) -> Any:
        return None if isinstance(body, Replacing) else await record(self, body, **more)

    patch.setattr(BrokerLink, "_one", forgetful)


def _spent_without(patch: pytest.MonkeyPatch, fields: tuple[str, ...], *, words: tuple[str, ...] = ()) -> None:
    """The press looks at a ticket as if `fields` were empty, and overlooks the reasons that begin with `words`."""
    look = core.orders.ticket._spent

    def lax(desk: Desk, ticket: Ticket) -> str | None:
        found = look(desk, replace(ticket, **dict.fromkeys(fields)) if fields else ticket)
        return None if found is not None and found.startswith(words or ("\0",)) else found

    patch.setattr(core.orders.ticket, "_spent", lax)


def _accepts_expired(patch: pytest.MonkeyPatch) -> None:
    _spent_without(patch, (), words=("That card had expired", "The clock went back"))


def _accepts_after_halt(patch: pytest.MonkeyPatch) -> None:
    _spent_without(patch, (), words=("The desk was halted or a setting changed",))


def _accepts_twice(patch: pytest.MonkeyPatch) -> None:
    _spent_without(patch, ("confirmed",))
    patch.setattr(Ticket, "is_open", property(lambda self: self.closed is None))
    _forgets_keys(patch)
    _always_allowed(patch)


def _accepts_dropped(patch: pytest.MonkeyPatch) -> None:
    _spent_without(patch, ("closed",))
    patch.setattr(Ticket, "is_open", property(lambda self: self.confirmed is None))


def _accepts_blocked(patch: pytest.MonkeyPatch) -> None:
    _spent_without(patch, (), words=("The rules did not allow",))
    _always_allowed(patch)


def _always_allowed(patch: pytest.MonkeyPatch) -> None:
    """At the press the verdict is taken as yes."""
    priced = core.orders.ticket._price_undisturbed

    async def yes(desk: Desk, drafted: Any) -> Any:
        found = await priced(desk, drafted)
        return replace(found, verdict=replace(found.verdict, allowed=True))

    patch.setattr(core.orders.ticket, "_price_undisturbed", yes)
    patch.setattr(core.orders.ticket, "_moved", lambda desk, ticket, priced: None)


def _anybody_confirms(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core.orders.ticket, "_may_confirm", lambda ticket, caller: None)
    patch.setattr(core.dispatch, "_stands_in_the_way", lambda *args, **more: None)


def _guesses_after_a_timeout(patch: pytest.MonkeyPatch) -> None:
    async def denied(self: BrokerLink, order: Order, reason: str) -> None:
        await self._one(OrderEnded(client_id=order.client_id, outcome="denied", reason=reason))

    patch.setattr(BrokerLink, "_unknown", denied)


def _believes_half_an_answer(patch: pytest.MonkeyPatch) -> None:
    judge = core.orders.link.endings
    patch.setattr(core.orders.link, "endings", lambda book, snapshot, **more: judge(book, replace(snapshot, complete=True), **more))


def _forgets_keys(patch: pytest.MonkeyPatch) -> None:
    append = MemoryStore._append

    def keyless(self: MemoryStore, drafts: Sequence[Draft], *more: Any) -> Any:
        return append(self, [replace(draft, dedupe=None) for draft in drafts], *more)

    patch.setattr(MemoryStore, "_append", keyless)


def _counts_fills_twice(patch: pytest.MonkeyPatch) -> None:
    _forgets_keys(patch)
    count = BookFold._fill

    def again(self: BookFold, fill: Any) -> None:
        state = self._state(fill.account)
        state.executed.pop(fill.exec_id, None)
        count(self, fill)

    patch.setattr(BookFold, "_fill", again)


def _forgets_fees(patch: pytest.MonkeyPatch) -> None:
    count = BookFold._book

    def free(self: BookFold, state: Any, fill: Any, *, sign: int) -> None:
        count(self, state, replace(fill, fees=Decimal(0)), sign=sign)

    patch.setattr(BookFold, "_book", free)


def _drops_fills_of_ended_orders(patch: pytest.MonkeyPatch) -> None:
    hear, facts = BrokerLink._bodies, core.orders.link.facts

    def alive(book: Any, body: Any) -> bool:
        order = book.orders.get(body.fill.client_id or "") if isinstance(body, Filled) else None
        return order is None or order.ended is None

    def bodies(self: BrokerLink, update: Any) -> Any:
        return [item for item in hear(self, update) if alive(self._desk.book(self._account), item[1])]

    patch.setattr(BrokerLink, "_bodies", bodies)
    patch.setattr(
        core.orders.link, "facts", lambda book, *more, **named: [item for item in facts(book, *more, **named) if alive(book, item[1])]
    )


def _hears_no(patch: pytest.MonkeyPatch, module: Any, kind: type) -> None:
    """What the broker's books report of one kind is not taken over."""
    facts = module.facts
    patch.setattr(module, "facts", lambda *some, **more: [item for item in facts(*some, **more) if not isinstance(item[1], kind)])


def _leaves_fills_to_the_stream(patch: pytest.MonkeyPatch) -> None:
    _hears_no(patch, core.orders.link, Filled)


def _sends_in_halt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core.orders.sender, "may_send", lambda mode, order: mode not in (Mode.RECOVERY, Mode.STANDBY))


def _sends_unreconciled(patch: pytest.MonkeyPatch) -> None:
    own = Desk._own_modes
    patch.setattr(Desk, "_own_modes", lambda self, account: [item for item in own(self, account) if item[0] is not Mode.RECOVERY])


def _walks_past_the_worst(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core.orders.sender, "limit_at_step", lambda envelope, *, done, steps: envelope.plan.worst - Decimal("0.05"))
    patch.setattr(core.orders.sender.gate, "permit_replace", lambda order, *, limit: replace(_permitted(order), limit=limit))


def _sends_one_more(patch: pytest.MonkeyPatch) -> None:
    permit = gate.permit

    def more(**asked: Any) -> Permitted:
        permitted = permit(**asked)
        return replace(permitted, quantity=permitted.quantity + 1)

    patch.setattr(core.orders.sender.gate, "permit", more)


def _sends_another_envelope(patch: pytest.MonkeyPatch) -> None:
    permit = gate.permit

    def other(**asked: Any) -> Permitted:
        permitted = permit(**asked)
        return replace(permitted, envelope=replace(permitted.envelope, expires_at=permitted.envelope.expires_at + timedelta(hours=1)))

    patch.setattr(core.orders.sender.gate, "permit", other)


def _hashes_another_card(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core.orders.ticket, "card_hash", lambda card: "0" * 64)


def _answers_first(patch: pytest.MonkeyPatch) -> None:
    drop = core.orders.ticket.drop

    async def hasty(desk: Desk, ticket_id: str, caller: Caller) -> tuple[int, ...]:
        if not core.orders.ticket.find(desk, ticket_id).is_open:
            raise UserError("That card is over.")
        desk.runtime.spawn(_quietly(drop(desk, ticket_id, caller)), name="drop later")
        return (desk.fold.seq + 1,)

    patch.setattr(core.orders.ticket, "drop", hasty)


def _takes_every_delivery(patch: pytest.MonkeyPatch) -> None:
    taken = Session._taken

    async def always(self: Session, message_id: str, **how: bool) -> Any:
        mine, handling = await taken(self, f"{message_id}-{self._desk.runtime.entropy.nonce()}", **how)
        return mine, handling

    patch.setattr(Session, "_taken", always)


def _finds_any_button(patch: pytest.MonkeyPatch) -> None:
    issue, find = Buttons.issue, Buttons.find
    newest: dict[int, str] = {}  # the newest Confirm button of each archive

    async def issued(self: Buttons, reply: Reply, **more: Any) -> Any:
        buttons = await issue(self, reply, **more)
        for button in buttons:
            if button.label.startswith("Confirm"):
                newest[id(self._archive)] = button.token
        return buttons

    async def found(self: Buttons, token: str) -> Stored | None:
        return await find(self, token) or await find(self, newest.get(id(self._archive), ""))

    patch.setattr(Buttons, "issue", issued)
    patch.setattr(Buttons, "find", found)


def _keeps_a_secret_state(patch: pytest.MonkeyPatch) -> None:
    apply = DeskFold.apply
    live: set[int] = set()
    tell = Desk._told

    def told(self: Desk, events: tuple[Event, ...], outcomes: Any) -> None:
        live.add(id(self.fold))
        tell(self, events, outcomes)

    def counted(self: DeskFold, event: Event) -> Any:
        outcome = apply(self, event)
        if id(self) in live and isinstance(event.body, NoteWritten | Reconciled):
            self._desk.policy_version += 1
        return outcome

    patch.setattr(Desk, "_told", told)
    patch.setattr(DeskFold, "apply", counted)


def _edits_the_log(patch: pytest.MonkeyPatch) -> None:
    append = MemoryStore._append

    def tidy(self: MemoryStore, drafts: Sequence[Draft], *more: Any) -> Any:
        events = append(self, drafts, *more)
        if len(self.disk.rows) > 20:
            self.disk.rows[9] = self.disk.rows[9]._replace(actor="nobody", hash=self.disk.rows[8].hash)
        return events

    patch.setattr(MemoryStore, "_append", tidy)


def _loses_the_last_write(patch: pytest.MonkeyPatch) -> None:
    """What was acknowledged was not synced: a crash takes the newest event with it."""
    image = MemoryDisk.image

    def unsynced(self: MemoryDisk) -> Any:
        whole = image(self)
        return replace(whole, rows=whole.rows[:-1])

    patch.setattr(MemoryDisk, "image", unsynced)


def _gives_up_on_the_link(patch: pytest.MonkeyPatch) -> None:
    run = AccountSender.run

    async def once(self: AccountSender) -> None:
        connect = self.connect

        async def last() -> None:
            with suppress(DeskError, TimeoutError):
                await connect()
                return
            await self._desk.runtime.sleep(1e9)

        self.connect = last  # type: ignore[method-assign]
        await run(self)

    patch.setattr(AccountSender, "run", once)


def _forgets_settlements(patch: pytest.MonkeyPatch) -> None:
    hear = BrokerLink._bodies
    patch.setattr(BrokerLink, "_bodies", lambda self, update: [] if isinstance(update.item, Settled) else hear(self, update))
    _hears_no(patch, core.orders.link, Settled)


def _shrugs_at_overfills(patch: pytest.MonkeyPatch) -> None:
    async def nothing(self: BrokerLink, order: Order) -> None:
        return None

    patch.setattr(BrokerLink, "_stop_overfilled", nothing)


def _ends_orders_for_good(patch: pytest.MonkeyPatch) -> None:
    """Once an order has ended, a late fill does not change its state."""
    state = Order.state.fget
    assert state is not None

    def final(self: Order) -> OrderState:
        return OrderState(self.ended) if self.ended is not None else state(self)

    patch.setattr(Order, "state", property(final))


def _obeys_the_model(patch: pytest.MonkeyPatch) -> None:
    in_the_way = core.dispatch._stands_in_the_way

    def lax(command: Any, call: Call, access: Access, line: str) -> Reply | None:
        return None if access is Access.REDUCE else in_the_way(command, call, access, line)

    patch.setattr(core.dispatch, "_stands_in_the_way", lax)


def _forgets_the_scope(patch: pytest.MonkeyPatch) -> None:
    """Only what was set on the whole desk counts."""
    modes = DeskFold.modes
    patch.setattr(DeskFold, "modes", lambda self, **scope: modes(self))


def _lets_breaks_stand(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core.orders.link, "breaks", lambda result, modes: [])


def _keeps_to_itself(patch: pytest.MonkeyPatch) -> None:
    tell = tests.sim.checks_desk.announce

    def quiet(event: Event, outcomes: Any, books: Any) -> Any:
        return None if isinstance(event.body, OrderUnknown) else tell(event, outcomes, books)

    patch.setattr(tests.sim.checks_desk, "announce", quiet)


def _believes_any_quote(patch: pytest.MonkeyPatch) -> None:
    def pass_it(exam: Any, parameters: Any) -> Any:
        return passing("quotes", "hard", measured="0 s", limit="120 s", why="every quote is fine")

    patch.setattr(core.risk.rules.quotes, "judge", pass_it)


def _counts_in_floats(patch: pytest.MonkeyPatch) -> None:
    """The body of a fee is written with its amount as a number."""
    store = core.store.memory.stored

    def stored(draft: Draft, **more: Any) -> Any:
        row, event = store(draft, **more)
        if row.kind != "CashMoved":
            return row, event
        plain = json.loads(row.body)
        body = json.dumps({**plain, "amount": float(plain["amount"])})
        return row._replace(body=body), event

    patch.setattr(core.store.memory, "stored", stored)


def _prices_off_the_tick(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core.orders.ticket, "to_tick", lambda price, tick, *, up: price + Decimal("0.001"))


def _takes_any_contract(patch: pytest.MonkeyPatch) -> None:
    """The terms of a contract are taken from wherever, and the rule that knows them is gone."""
    option = core.market.chain.option
    patch.setattr(core.market.chain, "option", lambda *terms: replace(option(*terms), multiplier=10))
    fine = passing("contract", "hard", measured="terms known", limit="standard terms", why="every contract is fine")
    patch.setattr(core.risk.rules.contract, "judge", lambda exam, parameters: fine)


def _ignores_the_fence(patch: pytest.MonkeyPatch) -> None:
    append = MemoryStore._append
    patch.setattr(MemoryStore, "_append", lambda self, drafts, seq, token: append(self, drafts, seq, None))

    async def own(self: MemoryStore) -> int:
        return self._own_token

    async def acquire(self: MemoryStore, owner: str) -> int:
        self._own_token = await acquired(self, owner)
        return self._own_token

    acquired = MemoryStore.acquire_lease
    patch.setattr(MemoryStore, "_own_token", 0, raising=False)
    patch.setattr(MemoryStore, "acquire_lease", acquire)
    patch.setattr(MemoryStore, "lease_token", own)


def _mixes_up_accounts(patch: pytest.MonkeyPatch) -> None:
    """Every sender speaks to the broker connection of the last account."""
    made: list[Any] = []
    init = BrokerLink.__init__

    def mixed(self: BrokerLink, desk: Desk, account: Any, broker: Any) -> None:
        made.append(broker)
        init(self, desk, account, broker)
        links = tuple(desk.brokers.values())
        self._submits = links[-1].submit  # type: ignore[attr-defined]

    async def submit(self: AccountSender, order: Order, confirmed: Any) -> str | None:
        own = self._broker.submit
        self._broker.submit = self._submits  # type: ignore[method-assign, attr-defined]
        try:
            return await send(self, order, confirmed)
        finally:
            self._broker.submit = own  # type: ignore[method-assign]

    send = AccountSender._submit
    patch.setattr(BrokerLink, "__init__", mixed)
    patch.setattr(AccountSender, "_submit", submit)


def _keeps_no_secrets(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Redaction, "redact", lambda self, text, *, strict=False: text)


def _draws_without_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core.orders.ticket, "_slow_down", lambda desk: None)


def _halts_when_it_has_time(patch: pytest.MonkeyPatch) -> None:
    """A halt waits behind everything else that is being handled."""
    run = core.dispatch._run

    async def patient(desk: Desk, command: Any, call: Call, access: Access) -> Reply:
        if command.name in ("halt", "kill"):
            await desk.runtime.sleep(60)
        return await run(desk, command, call, access)

    patch.setattr(core.dispatch, "_run", patient)


def _takes_one_look_for_two(patch: pytest.MonkeyPatch) -> None:
    """A stop is touched at the first look at its level."""
    judge = core.orders.steward.look

    def hasty(sight: Any, *, level: Decimal, first: Any, discipline: Any, **more: Any) -> Any:
        return judge(sight, level=level, first=first, discipline=replace(discipline, looks=1), **more)

    patch.setattr(core.orders.steward, "look", hasty)


def _stops_untouched(patch: pytest.MonkeyPatch) -> None:
    """What stands for a stop is sent at once."""

    async def at_once(self: Steward, item: Any, envelope: Any, view: Any, *, first_turn: bool) -> None:
        await self._exit(item, envelope, view)

    patch.setattr(Steward, "_watch", at_once)


def _derives_other_exits(patch: pytest.MonkeyPatch) -> None:
    """The exits of an entry follow from its limit, not from what it filled at."""
    derive = core.orders.standing.bracket_exits

    def other(plan: Any, *, entry: Decimal, legs: Any) -> Any:
        return derive(plan, entry=entry * 2, legs=legs)

    patch.setattr(core.orders.standing, "bracket_exits", other)


def _forgets_its_children(patch: pytest.MonkeyPatch) -> None:
    """A standing order sends again what it has sent already."""
    patch.setattr(core.orders.standing, "committed", lambda standing, orders: 0)
    patch.setattr(core.orders.standing, "live_children", lambda standing, orders: ())
    _always_fine(patch)


def _leaves_the_other_exit(patch: pytest.MonkeyPatch) -> None:
    """A target rests beside whatever else closes the trade."""
    patch.setattr(Steward, "_closing_elsewhere", lambda self, item: False)
    patch.setattr(Steward, "_others_closing", lambda self, item: [])
    _always_fine(patch)


def _always_fine(patch: pytest.MonkeyPatch) -> None:
    """The rule that keeps closing orders within what is held is gone too."""
    fine = passing("effect", "hard", measured="as held", limit="as held", why="every effect is fine")
    patch.setattr(core.risk.rules.effect, "judge", lambda exam, parameters: fine)


def _keeps_revoked_mandates(patch: pytest.MonkeyPatch) -> None:
    states = DeskFold.mandates

    def standing(self: DeskFold, *, now: Any) -> Any:
        return {name: replace(state, ended="", revoked=False) for name, state in states(self, now=now).items()}

    patch.setattr(DeskFold, "mandates", standing)


def _loses_count_of_mandates(patch: pytest.MonkeyPatch) -> None:
    states = DeskFold.mandates
    patch.setattr(
        DeskFold, "mandates", lambda self, *, now: {key: replace(item, sent_today=0) for key, item in states(self, now=now).items()}
    )


def _acts_on_other_trades(patch: pytest.MonkeyPatch) -> None:
    """A mandate covers whatever its rule calls for."""
    for module in (core.orders.automatic, core.risk.rules.mandate):
        patch.setattr(module, "broken_bounds", lambda *some, **more: ())


def _anybody_grants(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core.dispatch, "_stands_in_the_way", lambda *args, **more: None)
    patch.setattr(core.commands.mandate, "Role", SimpleNamespace(OWNER=_Anybody()))


class _Anybody:
    """Equal to every role."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


def caught(bug: Planted, *, seeds: int) -> tuple[int, tuple[Violation, ...]] | None:
    """Run seeds with the bug in place until an invariant is broken: the seed and what was found, None where none did."""
    for seed in dict.fromkeys((bug.first_seed, *range(1, seeds + 1))):
        with pytest.MonkeyPatch.context() as patch:
            bug.plant(patch)
            found = episode(seed, steps=bug.steps, rates=bug.rates, habits=bug.habits, accounts=bug.accounts, calm=bug.calm).violations
        if found:
            return seed, found
    return None


async def _quietly(work: Awaitable[Any]) -> None:
    with suppress(DeskError):
        await work


def _permitted(order: Order, *, client_id: str | None = None) -> Permitted:
    return Permitted(
        account=order.account,
        client_id=client_id or order.client_id,
        ticket_id=order.ticket_id,
        envelope=order.envelope,
        envelope_hash=order.envelope_hash,
        limit=order.limit,
        quantity=order.quantity,
        reducing=order.reducing,
        verdict_hash="",
    )


def _bug(
    name: str,
    caught_by: str,
    plant: Callable[[pytest.MonkeyPatch], None],
    rates: Rates = CALM,
    *,
    first_seed: int = 1,
    accounts: int = 1,
    calm: bool = True,
    steps: int = 800,
    **habits: float,
) -> Planted:
    invariants = frozenset(caught_by.split())
    return Planted(
        name=name, caught_by=invariants, plant=plant, rates=rates, habits=habits, first_seed=first_seed, accounts=accounts, calm=calm,
        steps=steps,
    )  # fmt: skip


PLANTED: tuple[Planted, ...] = (
    _bug("sends every order twice", "1 4 6", _sends_twice),
    _bug("sends an unanswered order again under a new id", "1 3 4 6", _resends_under_a_new_id, LOSSY, first_seed=3, press=20.0),
    _bug("sends before anything is written", "1 3 6", _sends_before_it_is_written),
    _bug("changes a price without writing it first", "3", _replaces_without_writing),
    _bug("accepts a press on an expired card", "1", _accepts_expired, SLEEPY, press_old=20.0),
    _bug("accepts a card from before a halt or a change of limits", "1", _accepts_after_halt, first_seed=2, limits=5.0, press_old=10.0),
    _bug("accepts a second press", "1 4", _accepts_twice, press_often=10.0),
    _bug("accepts a press on a dropped card", "1", _accepts_dropped, press_and_drop=10.0),
    _bug("accepts a card the rules blocked", "1 11", _accepts_blocked),
    _bug("does not judge again at the press", "11", _always_allowed),
    _bug("lets anybody confirm", "1 12", _anybody_confirms, first_seed=2),
    _bug("takes any button for the last one", "1", _finds_any_button, forge=10.0),
    _bug("calls an unanswered order denied", "5 1", _guesses_after_a_timeout, LOSSY, first_seed=3, press=20.0),
    _bug("concludes from half an answer", "5 1 7", _believes_half_an_answer, PARTIAL, first_seed=15, press=20.0),
    _bug("counts a repeated fill again", "7 8", _counts_fills_twice, Rates(repeat_update=0.8)),
    _bug("forgets the fees", "7", _forgets_fees),
    _bug("drops fills of orders that ended", "7 9", _drops_fills_of_ended_orders, LATE, first_seed=21, press=20.0),
    _bug("leaves fills to the stream", "7 9 27", _leaves_fills_to_the_stream, BROKEN, press=20.0),
    _bug("goes on in HALT", "13", _sends_in_halt, first_seed=3, press=20.0, halt=2.0),
    _bug("sends before the books were compared", "14", _sends_unreconciled, LOSSY, first_seed=4),
    _bug("walks past the worst price", "1", _walks_past_the_worst),
    _bug("sends one more than was confirmed", "1 6", _sends_one_more),
    _bug("sends another envelope than was confirmed", "2", _sends_another_envelope),
    _bug("hashes another card than it shows", "2", _hashes_another_card),
    _bug("answers before it has written", "15", _answers_first),
    _bug("acts on every delivery of a message", "17", _takes_every_delivery, CHATTY),
    _bug("keeps state the log does not explain", "16", _keeps_a_secret_state, CRASHY),
    _bug("rewrites an old event", "16 bug", _edits_the_log, CRASHY),
    _bug("acknowledges what a crash takes back", "16", _loses_the_last_write, CRASHY),
    _bug("forgets settlements", "7 9", _forgets_settlements, DAYS, calm=False, first_seed=7, steps=2500),
    _bug("shrugs at overfills", "9", _shrugs_at_overfills, Rates(overfill=0.7)),
    _bug("lets no fill change an order that ended", "10 8", _ends_orders_for_good, Rates(fill_after_end=0.9, expire_order=0.1), press=20.0),
    _bug("does what a model says as long as it reduces", "12", _obeys_the_model),
    _bug("halts the whole desk or nothing", "13", _forgets_the_scope, halt=5.0, press=20.0),
    _bug("trades on where the books differ", "14", _lets_breaks_stand, GLITCHY, first_seed=14, press=20.0, steps=1500),
    _bug("keeps an unknown order to itself", "18", _keeps_to_itself, LOSSY),
    _bug("believes any quote", "19", _believes_any_quote, Rates(stale_quote=0.5, insane_quote=0.3)),
    _bug("writes an amount as a number", "20 16", _counts_in_floats, Rates(outside_per_minute=5.0)),
    _bug("prices between the ticks", "20", _prices_off_the_tick),
    _bug("does not look at a contract's terms", "21", _takes_any_contract),
    _bug("writes on after another took the lease", "23 16", _ignores_the_fence, Rates(takeovers_per_minute=3.0)),
    _bug("mixes up two accounts", "24", _mixes_up_accounts, accounts=2, press=20.0),
    _bug("keeps no secrets", "25", _keeps_no_secrets, hostile_note=5.0),
    _bug("draws cards without end", "26", _draws_without_end, Rates(floods_per_minute=3.0), first_seed=6, steps=2500),
    _bug("halts when it has the time", "13", _halts_when_it_has_time, halt=5.0),
    _bug("sends a stop that is not touched", "1", _stops_untouched, exits=20.0, steps=1500),
    _bug("takes one look at a stop for two", "1", _takes_one_look_for_two, JUMPY, exits=20.0, bracket=10.0, steps=3000),
    _bug("derives a bracket's exits from another price", "1", _derives_other_exits, first_seed=4, bracket=20.0, steps=1500),
    _bug("sends again what a standing order sent", "1 6 11", _forgets_its_children, exits=20.0, bracket=10.0, steps=1500),
    _bug("lets two exits close one trade", "11 1", _leaves_the_other_exit, exits=20.0, steps=1500),
    _bug("obeys a mandate that was revoked", "1", _keeps_revoked_mandates, JUMPY, grant=20.0, revoke=5.0, press=20.0, steps=3000),
    _bug("loses count of a mandate's orders", "1", _loses_count_of_mandates, JUMPY, first_seed=11, grant=20.0, press=20.0, steps=3000),
    _bug("lets a mandate cover any trade", "1", _acts_on_other_trades, JUMPY, first_seed=3, grant=20.0, press=20.0, steps=3000),
    _bug("lets anybody grant a mandate", "1 12", _anybody_grants, grant=20.0, ask_mandate=10.0, steps=1500),
    _bug("does not come back after a lost connection", "27", _gives_up_on_the_link, Rates(disconnects_per_minute=1.0)),
)
