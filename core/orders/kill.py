"""After a kill the desk goes on by itself until the broker's books prove that none of its orders works, one check for each account.

`kill` asks for the cancels and names what is still pending; here every account is asked for complete books until they show nothing of
ours. What still stands is asked to be cancelled again (`AccountSender` does that every ten seconds), and the outcome is recorded as
`KillChecked` and told: proved, or after half a minute NOT proved with the orders that may still fill, and again after growing pauses. A
kill whose proof is missing is taken up again at every start and after every reconnect; lifting HALT ends the check.

The HALT file kills too, whoever made it: a process that found no desk that answers, or a person with `touch`. The desk writes it down as
its own halt, so that it is over when a person lifts it and not when the file goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.events import KillChecked, KilledOrder, Mode, ModeSet, Scope
from core.domain.modes import KILL
from core.errors import Conflict, DeskError
from core.fold import Kill
from core.orders.sender import AccountSender
from core.orders.states import Order
from core.orders.turning import turn_for_ever
from core.portfolio.book import Book

TURN_SECONDS = 1.0
GRACE_SECONDS = 1.0  # for the command that killed, which asks for the cancels itself
TOLD_AFTER_SECONDS = 30.0
TOLD_AGAIN_SECONDS = 300.0  # doubled each time
TOLD_AT_LEAST_EVERY_SECONDS = 3600.0
READ_AGAIN_SECONDS = 2.0  # doubled while nothing changes
READ_AT_LEAST_EVERY_SECONDS = 60.0
CANCELS_SECONDS = 10.0  # of one turn; what is left is asked for in the next
HALTED_BY = "halted by "  # the desk's own HALT files that halt and cancel nothing: a person's `halt`, and a crash loop
DIED_YOUNG = "starts in a row died within a minute"
NO_LINK = "no broker is configured for this account any more"


@dataclass(slots=True, kw_only=True)
class _Case:
    """One kill, as far as this process has come with it."""

    kill: Kill
    began_seconds: float
    asked: set[str] = field(default_factory=set)  # cancels asked for here
    seen: dict[str, None] = field(default_factory=dict)  # every order that was to end
    standing: frozenset[str] | None = None  # what stood at the last reading
    epoch: int | None = None
    read_at: datetime | None = None  # when the last complete books were asked for
    read_pause_seconds: float = READ_AGAIN_SECONDS
    read_due_seconds: float = 0.0
    tell_due_seconds: float = 0.0
    times: int = 0


class KillCheck:
    """The proof that nothing of one account works any more."""

    def __init__(self, desk: Desk, account: AccountId, sender: AccountSender | None) -> None:
        self._desk = desk
        self._account = account
        self._sender = sender
        self._case: _Case | None = None
        self._unwritten: Kill | None = None  # by the HALT file, where the log cannot be written
        self._ailing = ""  # why the last reading proved nothing

    async def run(self) -> None:
        """The background loop. What goes wrong is told once and tried again; a bug is told, and the loop goes on."""
        await turn_for_ever(
            self._desk, f"kill check of {self._account.id}", self.turn, pause_seconds=TURN_SECONDS, after_bug=self._after_bug
        )

    async def turn(self) -> None:
        """Do all there is to do now."""
        if self._desk.lease_lost:
            return
        kill = await self._in_force()
        if kill is None or (not self._open(kill) and self._over(kill)):
            self._case = None
            return
        case, seconds = self._case_of(kill), self._desk.runtime.seconds()
        if seconds - case.began_seconds < GRACE_SECONDS:
            return
        await self._cancel(case)
        if seconds >= case.read_due_seconds and await self._read(case):
            return
        if self._desk.runtime.seconds() >= case.tell_due_seconds:
            await self._tell_unproved(case)

    async def prove(self, limit_seconds: float) -> None:
        """Go on until the kill in force is proved, or so long; what is not proved then is recorded as that."""
        runtime = self._desk.runtime
        until = runtime.seconds() + limit_seconds
        while True:
            try:
                await self.turn()
                if self._case is None:
                    return
                if runtime.seconds() >= until and await self._tell_unproved(self._case):
                    return
            except DeskError as error:
                runtime.report(f"kill check of {self._account.id}", error)
            if runtime.seconds() >= until + GRACE_SECONDS:
                return
            await runtime.sleep(TURN_SECONDS)

    # --- which kill ----------------------------------------------------------------------------------------------------

    async def _in_force(self) -> Kill | None:
        """The kill by the log; a HALT file from outside is written down first, and counts where the disk keeps it out."""
        file = self._desk.halt_reason()
        if file is None or not kills(self._desk, file):
            self._unwritten = None
            return self._desk.fold.kill
        if self._desk.fold.kill is None and not self._desk.trouble:
            try:
                await note_halt_file(self._desk)
            except DeskError as error:
                self._ailing = str(error)
        if self._desk.fold.kill is not None:
            self._unwritten = None
            return self._desk.fold.kill
        self._unwritten = self._unwritten or Kill(seq=0, orders=tuple(self._book.live))
        return self._unwritten

    def _open(self, kill: Kill) -> bool:
        return self._case is not None and self._case.kill.seq == kill.seq

    def _over(self, kill: Kill) -> bool:
        """Proved, and nothing of it has come to life since."""
        checked = kill.checked.get(str(self._account))
        nothing = checked is None and self._sender is None
        return (nothing or (checked is not None and checked.proved)) and not self._standing(kill)

    def _case_of(self, kill: Kill) -> _Case:
        if self._case is None or self._case.kill.seq != kill.seq:
            before, seconds, checked = self._case, self._desk.runtime.seconds(), kill.checked.get(str(self._account))
            self._case = _Case(
                kill=kill, began_seconds=seconds, tell_due_seconds=seconds + TOLD_AFTER_SECONDS,
                times=0 if checked is None or checked.proved else checked.times + 1,
            )
            if before is not None and not before.kill.seq:  # the same, written down at last
                self._case.seen.update(before.seen)
            self._case.seen.update(dict.fromkeys(name for name in kill.orders if name in self._book.orders))
        self._case.kill = kill  # with what was confirmed and checked since
        return self._case

    @property
    def _book(self) -> Book:
        return self._desk.book(self._account)

    def _standing(self, kill: Kill) -> dict[str, Order]:
        """The orders that are to end and may still fill: all but those a person confirmed after the kill."""
        return {name: order for name, order in self._book.live.items() if name not in kill.since}

    # --- cancelling and reading ----------------------------------------------------------------------------------------

    async def _cancel(self, case: _Case) -> None:
        """Ask for the cancel of what nobody asked for yet; from then on the sender asks again until the broker's word is there."""
        desk, sender, until = self._desk, self._sender, self._desk.runtime.seconds() + CANCELS_SECONDS
        for name, order in self._standing(case.kill).items():
            case.seen[name] = None
            reachable = sender is not None and self._account in desk.epochs and desk.runtime.seconds() < until
            if sender is not None and reachable and not order.cancel_asked and name not in case.asked:
                case.asked.add(name)
                await sender.cancel(name, KILL, actor="desk")

    async def _read(self, case: _Case) -> bool:
        """Ask for complete books; True where they prove that nothing works and this is recorded."""
        asked_at, complete = self._desk.now(), False
        if self._sender is None:
            self._ailing = NO_LINK
        else:
            try:
                result = await self._sender.reconcile()
                complete = result.complete and result.epoch == self._desk.epochs.get(self._account)
                self._ailing = "" if complete else "the broker's books came incomplete"
            except (DeskError, TimeoutError, OSError) as error:
                self._ailing = self._desk.links_down.get(self._account) or str(error) or type(error).__name__
        case.read_at = asked_at if complete else case.read_at
        standing = self._standing(case.kill)
        case.seen.update(dict.fromkeys(standing))
        self._pace(case, frozenset(standing))
        if not complete or standing:
            return False
        if not case.kill.seq:
            await note_halt_file(self._desk)
            return False
        if not await self._record(self._checked(case, proved=True), actor=f"broker:{self._account}"):
            return False
        self._case = None
        return True

    def _pace(self, case: _Case, standing: frozenset[str]) -> None:
        """The next reading: soon while something moves, rarer and rarer while nothing does."""
        epoch = self._desk.epochs.get(self._account)
        moved = (standing, epoch) != (case.standing, case.epoch)
        pause = READ_AGAIN_SECONDS if moved else min(READ_AT_LEAST_EVERY_SECONDS, 2 * case.read_pause_seconds)
        case.standing, case.epoch, case.read_pause_seconds = standing, epoch, pause
        case.read_due_seconds = self._desk.runtime.seconds() + pause

    # --- telling -------------------------------------------------------------------------------------------------------

    async def _tell_unproved(self, case: _Case) -> bool:
        """Record what is not proved; False where something else happened meanwhile, which the next turn looks at."""
        case.tell_due_seconds = self._desk.runtime.seconds() + TOLD_AFTER_SECONDS  # where the log cannot be written now
        if not case.kill.seq:
            await note_halt_file(self._desk)
            return False
        if not await self._record(self._checked(case, proved=False), actor="desk"):
            case.tell_due_seconds = self._desk.runtime.seconds()
            return False
        pause = min(TOLD_AT_LEAST_EVERY_SECONDS, TOLD_AGAIN_SECONDS * 2 ** min(case.times, 10))
        case.times += 1
        case.tell_due_seconds = self._desk.runtime.seconds() + pause
        return True

    async def _record(self, checked: KillChecked, *, actor: str) -> bool:
        """Record it as long as nothing else happened meanwhile: an order that came to life, a second kill, a lift."""
        kill = self._desk.fold.kill
        if kill is None or kill.seq != checked.kill:
            return False
        draft = self._desk.draft(checked, actor=actor, stream=str(self._account))
        try:
            await self._desk.record(draft, expected_seq=self._desk.fold.seq)
        except Conflict:
            return False
        return True

    def _checked(self, case: _Case, *, proved: bool) -> KillChecked:
        book, standing = self._book, self._standing(case.kill)
        lost = () if self._sender is None else tuple(name for name in standing if self._sender.is_lost(name))
        ended = [book.orders[name] for name in case.seen if name not in standing]
        return KillChecked(
            account=self._account, kill=case.kill.seq, proved=proved, read_at=case.read_at, pending=tuple(standing), lost=lost,
            ended=tuple(
                KilledOrder(client_id=order.client_id, outcome=order.state.value, filled=order.filled, quantity=order.quantity)
                for order in ended
            ),
            external=tuple(book.external), confirmed_since=tuple(name for name in book.live if name in case.kill.since),
            reason="" if proved else self._ailing, times=0 if proved else case.times,
        )

    async def _after_bug(self, identity: str) -> None:
        if self._sender is not None:
            await self._sender.reducing_after(identity)


def kills(desk: Desk, halt_file: str) -> bool:
    """Whether a HALT file stands for a kill: every one does but those in which the desk itself wrote that it only halts.

    A full disk may have kept the words out of one that this process wrote.
    """
    if desk.only_halts_by_file:
        return halt_file.startswith(KILL)
    return not halt_file.startswith(HALTED_BY) and not halt_file.endswith(DIED_YOUNG)


async def note_halt_file(desk: Desk) -> None:
    """Write down a kill by the HALT file, once; raises DeskError where the log cannot be written."""
    async with desk.halting:
        file = desk.halt_reason()
        if file is None or not kills(desk, file) or desk.fold.kill is not None:
            return
        mode = ModeSet(scope=Scope(), mode=Mode.HALT, cause=KILL, reason=f"HALT file: {file}")
        await desk.record(desk.draft(mode, actor="desk"))
