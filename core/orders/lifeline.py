"""One connection to a broker account: is there life at the other end, how fast may be asked, when is it tried again, may the desk in.

What was asked and not answered in time, or turned away, is a matter of the connection and stands here; what the answers mean is `link`'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.events import Mode, ModeSet, Scope, ScopeKind
from core.domain.orders import Envelope
from core.errors import BrokerTimeout, DeskError, LoginNeeded, RateLimited, Unavailable
from core.links.pacing import Lane, Pacing
from core.links.retry import Retry
from core.orders.mouth import Mouth
from core.orders.plausible import LARGEST_CURSOR, believed
from core.ports import Broker, Preview

T = TypeVar("T")
NO_ANSWER = (BrokerTimeout, TimeoutError)
LOGIN = "login"  # cause of the RECOVERY of an account whose broker does not let the desk in


class Lifeline:
    """The connection of one account."""

    def __init__(self, desk: Desk, account: AccountId, broker: Broker) -> None:
        self._desk = desk
        self._account = account
        self._broker = broker
        self._mouth = Mouth(desk.runtime, self._pace())  # held across a request about an order; a cancel needs no more than this
        self._dice: Any = None
        self._retry = Retry(chance=self._draw)
        self._heard_seconds = desk.runtime.seconds()  # when the other end last gave a sign of life

    @property
    def account(self) -> AccountId:
        """The account this connection serves."""
        return self._account

    @property
    def broker(self) -> Broker:
        """The account's broker: previews and books; orders reach it through this class only."""
        return self._broker

    @property
    def silent_seconds(self) -> float:
        """How long ago the broker last gave a sign of life."""
        return self._desk.runtime.seconds() - self._heard_seconds

    async def preview(self, envelope: Envelope) -> Preview:
        """The broker's figures before an order, within the time limit and the pace; raises Unavailable where they make no sense."""
        await self._mouth.paced(Lane.READ)
        found, wrong = believed(await self._asked(self._broker.preview(envelope), self._seconds()))
        if found is None:
            raise Unavailable("preview", why=f"the broker's figures make no sense: {wrong}")
        return found

    async def _open(self) -> int:
        """Connect (again); returns the epoch. Raises Unavailable where nobody answers."""
        self._retry.tried(self._desk.runtime.seconds())
        try:
            epoch = await self._asked(self._broker.connect(), self._seconds())
        except NO_ANSWER as error:
            self._down("no answer to connect")
            raise Unavailable(f"broker {self._broker.capabilities.name}", why="no answer to connect") from error
        except (DeskError, OSError) as error:
            self._down(str(error) or type(error).__name__)
            raise
        epoch = self._desk.epochs[self._account] = self._next_epoch(epoch)
        self._desk.links_down.pop(self._account, None)
        return epoch

    def _next_epoch(self, epoch: int) -> int:
        """The number of a new connection: above that of every one that was reconciled, whatever the broker counts."""
        if type(epoch) is not int or not 0 <= epoch <= LARGEST_CURSOR:
            self._down(why := f"its connection has no number ({epoch!r:.40})")
            raise Unavailable(f"broker {self._broker.capabilities.name}", why=why)
        last = self._desk.fold.reconciled(self._account)
        return epoch if last is None else max(epoch, last.epoch + 1)

    def _epoch(self) -> int:
        """Of the present connection; raises Unavailable where there is none."""
        epoch = self._desk.epochs.get(self._account)
        if epoch is None:
            raise Unavailable(f"books of {self._account.id}", why="there is no connection to the broker")
        return epoch

    async def _alive(self, call: Callable[[], Awaitable[T]], *, waits_seconds: float = 0) -> T:
        """Ask what proves the link alive, a second time where no answer comes; after that nothing is sent until the link is made anew.

        `waits_seconds` is how long the other end may take its time by agreement; the heartbeat is split between the two tries.
        """
        limit_seconds = waits_seconds + self._heartbeat_seconds() / 2
        try:
            with contextlib.suppress(*NO_ANSWER):
                return await self._asked(call(), limit_seconds)
            return await self._asked(call(), limit_seconds)
        except NO_ANSWER:
            self._down(f"no sign of life from the broker for {2 * limit_seconds:.0f} seconds")
            raise
        except (Unavailable, OSError) as error:
            self._down(str(error) or type(error).__name__)
            raise

    async def _asked(self, call: Awaitable[T], seconds: float) -> T:
        """Await a call within a time limit; where the broker asks for silence it gets it."""
        try:
            answer = await self._desk.runtime.wait_for(call, seconds)
        except RateLimited as error:
            self._mouth.hold(error.retry_after_seconds)
            raise
        self._heard_seconds = self._desk.runtime.seconds()
        return answer

    def _down(self, why: str) -> None:
        """There is no connection any more: the account is in RECOVERY until a new one is made and the books are compared."""
        self._desk.epochs.pop(self._account, None)
        self._desk.links_down[self._account] = why

    # --- logins ----------------------------------------------------------------------------------------------------------

    async def _locked_out(self, error: LoginNeeded) -> None:
        """Only a person can end it: told once, and the account reads at most until the broker lets the desk in again."""
        self._down(str(error))
        if not self._locked_out_now():
            await self._login_mode(Mode.RECOVERY, f"{error}. Log in or renew the keys; the desk tries again by itself")

    async def _let_in(self) -> None:
        if self._locked_out_now():
            await self._login_mode(Mode.ACTIVE, "the broker lets the desk in again, and the books were compared")

    def _locked_out_now(self) -> bool:
        return any(entry.cause == LOGIN and entry.scope.name == str(self._account) for entry in self._desk.fold.all_modes())

    async def _login_mode(self, mode: Mode, reason: str) -> None:
        scope = Scope(kind=ScopeKind.ACCOUNT, name=str(self._account))
        body = ModeSet(scope=scope, mode=mode, cause=LOGIN, reason=reason)
        try:
            await self._desk.record(self._desk.draft(body, actor=self._actor, stream=str(self._account)))
        except DeskError as failure:  # the account is in RECOVERY by what this process knows; it is written down at the next round
            self._desk.runtime.report("mode after a refused login", failure)

    # --- pace and pauses -------------------------------------------------------------------------------------------------

    def _failed_pause_seconds(self, *, at_least_seconds: float = 0) -> float:
        """Count a failure of the link; returns the pause before the next try."""
        return self._retry.failed(self._desk.runtime.seconds(), at_least_seconds=at_least_seconds)

    def _draw(self) -> Any:
        """A number in [0, 1) that stretches a pause; an account whose link never fails makes no source of them."""
        if self._dice is None:
            entropy = self._desk.runtime.entropy
            self._dice = entropy.rng("retry", str(self._account), entropy.nonce())
        return self._dice.random()

    def _pace(self) -> Pacing:
        limit, share = self._broker.capabilities.requests_per_minute, self._desk.settings.desk.number("pace_fraction")
        return Pacing(per_minute=None if limit is None else limit * share, now_seconds=self._desk.runtime.seconds())

    def _heartbeat_seconds(self) -> float:
        return float(self._desk.settings.desk.whole("heartbeat_seconds"))

    def _seconds(self) -> float:
        return float(self._desk.settings.desk.whole("broker_seconds"))

    @property
    def _actor(self) -> str:
        return f"broker:{self._account}"
