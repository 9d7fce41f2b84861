"""A connection to a PostgreSQL server that is made anew when it was lost, and the right to write that hangs on it.

The right is an advisory lock of the session: it ends with the connection, however that ends. A session that comes back and finds
another holder may only read. What of a write survives a lost connection is for the writer to find out; here nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from core.clock import Clock
from core.errors import Corrupt, DeskError, LeaseHeld, LeaseLost, Unavailable, UserError
from core.store.postgres.address import Address

if TYPE_CHECKING:
    from types import ModuleType

    from psycopg import AsyncConnection

    from core.runtime import Runtime

T = TypeVar("T")

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10.0
WORK_SECONDS = 20.0  # one transaction of the desk, however many statements
LEAST_SERVER = 130000
_PAUSES_SECONDS = (0.1, 0.4, 1.0)  # between attempts to connect
_LOCK_STEP_SECONDS = 0.05

_SETTINGS = {
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "default_transaction_isolation": "read committed",
    "standard_conforming_strings": "on",
    "statement_timeout": f"{STATEMENT_SECONDS * 1000:.0f}",
    "lock_timeout": f"{STATEMENT_SECONDS * 500:.0f}",
    "idle_in_transaction_session_timeout": f"{STATEMENT_SECONDS * 1000:.0f}",  # a paused owner must not hold its row for ever
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# Stronger settings of the server (a standby that must have it too) are left as they are.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')"
)
_ABOUT = (
    "SELECT current_setting('fsync'), current_setting('server_encoding'), pid, backend_start::text"
    " FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start::text = %s"
# The same on this side of the connection: a half-open link is noticed in about ten seconds.
_LINK = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}

_LOST = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")
_REASONS = {
    "53100": "the server's disk is full; nothing was written",
    "53200": "the server has not enough memory; nothing was written",
    "53300": "the server takes no more connections",
    "25006": "the database is read-only (a standby?); nothing was written",
    "57014": "the server did not finish in time; nothing was written",
    "55P03": "another session holds the database; nothing was written",
    "40001": "another session was in the way; nothing was written",
    "40P01": "another session was in the way; nothing was written",
    "42501": "this user may not do that on the server",
    "54000": "a value is too long to be found again; nothing was written",
    "58": "the server could not read or write its disk; whether the last write was kept is known when it is back",
}


class ConnectionLost(Unavailable):
    """The connection broke at work: whether a transaction that was being committed was kept is not known."""


class Session:
    """One connection at a time, used by one coroutine at a time. Made by `open`."""

    def __init__(self, address: Address, *, clock: Clock, runtime: Runtime, writes: str | None) -> None:
        self.address = address
        self.holds = False  # the right to write
        self._clock = clock
        self._runtime = runtime
        self._writes = writes
        self._lock = runtime.lock()
        self._connection: AsyncConnection[Any] | None = None
        self._backend: tuple[int, str] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls, address: Address, *, clock: Clock, runtime: Runtime, writes: str | None = None, patience_seconds: float = 1.0
    ) -> Session:
        """Connect; with `writes`, as the one session that may write what it names: raise LeaseHeld where another may."""
        session = cls(address, clock=clock, runtime=runtime, writes=writes)
        try:
            async with session._lock:
                await session._connected(patience_seconds)
                if writes is not None and not session.holds:
                    raise LeaseHeld(f"another desk process, which owns {address}")
        except BaseException:
            await session.close()
            raise
        return session

    async def run(
        self, work: Callable[[AsyncConnection[Any]], Awaitable[T]], *, again: bool = True, limit_seconds: float | None = WORK_SECONDS
    ) -> T:
        """Do `work` with the connection to oneself. Where it is lost, connect and, with `again`, do the whole work once more.

        `again` is for work that may be repeated. A caller that is cancelled does not leave the work half done.
        """
        return await self._runtime.to_the_end(self._run(work, again, limit_seconds), name="work on the database server")

    async def write(self, work: Callable[[AsyncConnection[Any]], Awaitable[T]], *, again: bool = True) -> T:
        """As `run`, for work only the holder of the right to write may do; raise LeaseLost where that is another now."""

        async def guarded(connection: AsyncConnection[Any]) -> T:
            if not self.holds:
                raise LeaseLost()
            return await work(connection)

        return await self.run(guarded, again=again)

    async def close(self) -> None:
        """Disconnect, which gives the right to write up; a second call does nothing."""
        self._closed = True
        async with self._lock:
            await self._drop()

    async def _run(self, work: Callable[[AsyncConnection[Any]], Awaitable[T]], again: bool, limit_seconds: float | None) -> T:
        async with self._lock:
            try:
                return await self._once(work, limit_seconds)
            except ConnectionLost:
                if not again:
                    raise
            return await self._once(work, limit_seconds)

    async def _once(self, work: Callable[[AsyncConnection[Any]], Awaitable[T]], limit_seconds: float | None) -> T:
        library = load_library()
        connection = await self._connected()
        clean = False
        try:
            async with self._runtime.timeout(limit_seconds):
                done = await work(connection)
            clean = True
            return done
        except TimeoutError as error:
            raise self._lost(f"no answer within {limit_seconds:g} seconds") from error
        except library.Error as error:
            if connection.closed or connection.broken or _code(error).startswith(_LOST):
                raise self._lost(_words(error)) from error
            clean = True  # the server refused a statement, and its transaction with it
            raise self._told(error) from error
        except DeskError:
            clean = True
            raise
        finally:
            if not clean or connection.closed or connection.info.transaction_status != library.pq.TransactionStatus.IDLE:
                await self._drop()  # cancelled or broken in the middle: what is half done must not be gone on with

    async def _connected(self, patience_seconds: float = 1.0) -> AsyncConnection[Any]:
        if self._closed:
            raise Unavailable("storage", why=f"{self.address} is closed")
        if self._connection is not None and not self._connection.closed:
            return self._connection
        await self._drop()
        library = load_library()
        for pause_seconds in (*_PAUSES_SECONDS, None):
            try:
                self._connection = await self._connect(library, patience_seconds)
                return self._connection
            except (library.Error, OSError, TimeoutError) as error:
                if pause_seconds is None or _code(error) in ("42501", "3D000"):
                    why = f"{self.address} cannot be reached ({_words(error)})"
                    raise Unavailable("storage", since=self._clock.now(), why=why) from error
                await self._runtime.sleep(pause_seconds)
        raise Unavailable("storage", why=f"{self.address} cannot be reached")

    async def _connect(self, library: ModuleType, patience_seconds: float) -> AsyncConnection[Any]:
        async with self._runtime.timeout(WORK_SECONDS):
            try:
                connection: AsyncConnection[Any] = await library.AsyncConnection.connect(
                    self.address.conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="thetadesk", **_LINK
                )
            except library.ProgrammingError as error:
                raise UserError("The address of the database has an option the server's library does not know.") from error
            try:
                await self._prepare(connection)
                if self._writes is not None:
                    await self._claim(connection, patience_seconds)
            except BaseException:
                await connection.close()
                raise
        return connection

    async def _prepare(self, connection: AsyncConnection[Any]) -> None:
        read_only = "on" if self._writes is None else "off"
        settings = {**_SETTINGS, "search_path": f'"{self.address.schema}"', "default_transaction_read_only": read_only}
        await connection.execute(
            "SELECT " + ", ".join(["set_config(%s, %s, false)"] * len(settings)), [part for pair in settings.items() for part in pair]
        )
        await connection.execute(_DURABLE)
        [(synced, encoding, pid, began)] = await fetch(connection, _ABOUT)
        if connection.info.server_version < LEAST_SERVER:
            raise UserError(f"{self.address} is a PostgreSQL older than 13.", "Use a newer server.")
        if synced != "on":
            raise UserError(f"{self.address} runs with fsync off: it would lose events in a power cut.", "Turn fsync on in its settings.")
        if encoding != "UTF8":
            raise UserError(f"{self.address} stores text as {encoding}.", "Make a database with ENCODING 'UTF8'.")
        ghost, self._backend = self._backend, (pid, began)
        if ghost is not None:  # our own earlier session may still stand there, holding the lock and a transaction
            await connection.execute(_END, ghost)

    async def _claim(self, connection: AsyncConnection[Any], patience_seconds: float) -> None:
        """Take the right to write, waiting a little for a dead owner's session to be noticed."""
        self.holds = False
        deadline = self._runtime.seconds() + patience_seconds
        while True:
            [(taken,)] = await fetch(connection, "SELECT pg_try_advisory_lock(%s)", (self.address.lock_number(str(self._writes)),))
            if taken:
                self.holds = True
                return
            if self._runtime.seconds() >= deadline:
                return
            await self._runtime.sleep(_LOCK_STEP_SECONDS)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self.holds = False
        if connection is not None:
            await connection.close()

    def _lost(self, why: str) -> ConnectionLost:
        return ConnectionLost("storage", self._clock.now(), f"the connection to {self.address} was lost ({why})")

    def _told(self, error: Exception) -> DeskError:
        code = _code(error)
        reason = _REASONS.get(code) or _REASONS.get(code[:2])
        if reason is None and code[:2] not in ("53", "55", "57"):
            return Corrupt(f"{self.address} is not as the desk left it ({_words(error)}); restore a backup")
        return Unavailable("storage", since=self._clock.now(), why=f"{reason or 'the server refused'} ({self.address}: {_words(error)})")


async def fetch(connection: AsyncConnection[Any], statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows."""
    cursor = await connection.execute(statement, arguments)
    return list(await cursor.fetchall())


def load_library() -> ModuleType:
    """The client library, loaded when a server is first asked for."""
    try:
        import psycopg
    except ImportError as error:
        raise UserError(
            "PostgreSQL needs its client library, which is not installed.",
            "Run: requirements/install.sh .venv requirements/base.txt requirements/postgres.txt",
        ) from error
    return psycopg


def to_server(text: str) -> str:
    """Write text for a server that has no NUL; the order of texts stays what it was."""
    if "\0" not in text and "\1" not in text:
        return text
    return text.replace("\1", "\1\2").replace("\0", "\1\1")


def from_server(text: str) -> str:
    """Read what `to_server` wrote."""
    return text if "\1" not in text else text.replace("\1\1", "\0").replace("\1\2", "\1")


def _code(error: BaseException) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
