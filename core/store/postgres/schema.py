"""The tables on the server and how they change, and the schema they stand in. A released migration is never edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.errors import Corrupt, NewerSchema
from core.store.log import START, Head
from core.store.postgres.address import Address
from core.store.postgres.session import fetch
from core.store.schema import Lease, sealed, unsealed

if TYPE_CHECKING:
    from psycopg import AsyncConnection, AsyncCursor

    Asked = tuple[tuple[str, ...], AsyncCursor[Any]]

Migrations = Sequence[Sequence[str]]

MIGRATIONS: Migrations = (
    (
        """CREATE TABLE event (
            seq BIGINT PRIMARY KEY, stream TEXT NOT NULL, kind TEXT NOT NULL, version BIGINT NOT NULL, at TEXT NOT NULL,
            recorded_at TEXT NOT NULL, actor TEXT NOT NULL, causation TEXT NOT NULL, correlation TEXT NOT NULL,
            dedupe TEXT COLLATE "C", body TEXT NOT NULL, hash TEXT NOT NULL)""",
        "CREATE UNIQUE INDEX event_dedupe ON event (dedupe) WHERE dedupe IS NOT NULL",
        """CREATE FUNCTION event_stays() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'the log is append-only'; END $$""",
        "CREATE TRIGGER event_is_not_changed BEFORE UPDATE OR DELETE ON event FOR EACH ROW EXECUTE FUNCTION event_stays()",
        "CREATE TRIGGER event_is_not_emptied BEFORE TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION event_stays()",
        """CREATE TABLE snapshot (
            name TEXT PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL, code_version TEXT NOT NULL, state BYTEA NOT NULL,
            digest TEXT NOT NULL)""",
    ),
    (
        """CREATE TABLE snapshot_part (
            name TEXT NOT NULL, part TEXT NOT NULL, content BYTEA NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (name, part))""",
    ),
)
_NOTES = "CREATE TABLE {} (key TEXT COLLATE \"C\" PRIMARY KEY, value TEXT NOT NULL, seal TEXT NOT NULL)"


class Notes:
    """The desk's own notes in a small table: schema, end of the log, lease. Each is sealed against a hand that changes it."""

    def __init__(self, address: Address, table: str) -> None:
        self._address = address
        self._table = table

    async def make(self, connection: AsyncConnection[Any]) -> bool:
        """Make schema and table; False where the table is there."""
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._address.schema}"')
        if await self.exist(connection):
            return False
        await connection.execute(_NOTES.format(self._table))
        return True

    async def exist(self, connection: AsyncConnection[Any]) -> bool:
        """Whether the table is there."""
        [(found,)] = await fetch(connection, "SELECT to_regclass(%s) IS NOT NULL", (f'"{self._address.schema}".{self._table}',))
        return bool(found)

    async def schema(self, connection: AsyncConnection[Any], *, supported: int) -> int:
        """The schema of tables this program can read; raise Corrupt or NewerSchema."""
        found = (await self.read(connection, "schema"))["schema"]
        if not isinstance(found, int):
            raise Corrupt(f"{self._address} does not say which schema it has; restore a backup")
        if found > supported:
            raise NewerSchema(f"the database {self._address}", found=found, supported=supported)
        return found

    async def read(self, connection: AsyncConnection[Any], *keys: str, lock: bool = False) -> Mapping[str, Any]:
        """Notes by key; with `lock`, nobody else may change or so read them before this transaction ends."""
        return await self.answer(await self.ask(connection, *keys, lock=lock))

    async def ask(self, connection: AsyncConnection[Any], *keys: str, lock: bool = False) -> Asked:
        """Ask as `read` does; in a pipeline, without waiting for the answer."""
        statement = f"SELECT key, value, seal FROM {self._table} WHERE key = ANY(%s) ORDER BY key" + (" FOR UPDATE" if lock else "")
        return keys, await connection.execute(statement, (list(keys),))

    async def answer(self, asked: Asked) -> Mapping[str, Any]:
        """The answer to what was asked."""
        keys, cursor = asked
        rows = {key: (value, seal) for key, value, seal in await cursor.fetchall()}
        return {key: unsealed(key, rows.get(key)) for key in keys}

    async def write(self, connection: AsyncConnection[Any], key: str, value: Any) -> None:
        """Keep a note."""
        await connection.execute(
            f"INSERT INTO {self._table} VALUES (%s, %s, %s) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, seal = EXCLUDED.seal",
            (key, *sealed(key, value)),
        )


async def prepare_log(connection: AsyncConnection[Any], notes: Notes, migrations: Migrations) -> None:
    """Make the log's tables, or bring them up to date, in one transaction."""
    async with connection.transaction():
        if await notes.make(connection):
            await notes.write(connection, "schema", 0)
            await write_head(connection, notes, START)
            await write_lease(connection, notes, Lease())
        found = await notes.schema(connection, supported=len(migrations))
        for statements in migrations[found:]:
            for statement in statements:
                await connection.execute(statement)
        if found < len(migrations):
            await notes.write(connection, "schema", len(migrations))


def head_of(notes: Mapping[str, Any]) -> Head:
    """Where the log ends, of notes that were read."""
    seq, end_hash = notes["head"]
    return Head(seq=seq, hash=end_hash)


def lease_of(notes: Mapping[str, Any]) -> Lease:
    """The lease, of notes that were read."""
    token, owner, pid = notes["lease"]
    return Lease(token=token, owner=owner, pid=pid)


async def write_head(connection: AsyncConnection[Any], notes: Notes, head: Head) -> None:
    """Note where the log ends, in the transaction that moves the end."""
    await notes.write(connection, "head", [head.seq, head.hash])


async def write_lease(connection: AsyncConnection[Any], notes: Notes, lease: Lease) -> None:
    """Hand the lease over, or give it up."""
    await notes.write(connection, "lease", [lease.token, lease.owner, lease.pid])


async def is_used(connection: AsyncConnection[Any], address: Address) -> bool:
    """Whether anything stands in the schema."""
    [(found,)] = await fetch(
        connection,
        "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = %s",
        (address.schema,),
    )
    return bool(found)


async def drop(connection: AsyncConnection[Any], address: Address) -> None:
    """Remove a schema and all in it, where it is there."""
    await connection.execute(f'DROP SCHEMA IF EXISTS "{address.schema}" CASCADE')


async def rename(connection: AsyncConnection[Any], address: Address, to: Address) -> None:
    """Give a schema another name, in one step with all in it."""
    await connection.execute(f'ALTER SCHEMA "{address.schema}" RENAME TO "{to.schema}"')


async def replace_empty(connection: AsyncConnection[Any], address: Address, to: Address) -> None:
    """Give a schema the name of an empty one, or of none, in one step; a schema that holds anything is not replaced."""
    async with connection.transaction():
        await connection.execute(f'DROP SCHEMA IF EXISTS "{to.schema}"')
        await rename(connection, address, to)
