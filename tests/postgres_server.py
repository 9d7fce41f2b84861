"""A PostgreSQL server to test against: the one DESK_POSTGRES names, or the usual one on this machine; without one, a skip with the reason.

Every test has a schema of its own, which is dropped with everything beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from core.store.postgres.address import Address, read_address

DEFAULT = "postgresql://root@127.0.0.1:5432/test"
TYPED = os.environ.get("DESK_POSTGRES") or DEFAULT
_numbers = iter(range(1_000_000))


def new_schema() -> Iterator[Address]:
    """Yield the address of a schema nobody else uses; drop it, and those made beside it, afterwards."""
    trouble = _trouble()
    if trouble:
        pytest.skip(trouble)
    name = f"desk_test_{os.getpid()}_{next(_numbers)}"
    try:
        yield read_address(f"{TYPED}{'&' if '?' in TYPED else '?'}schema={name}")
    finally:
        for (schema,) in ask("SELECT nspname FROM pg_namespace WHERE nspname = %s OR nspname LIKE %s", name, f"{name}\\_%"):
            ask(f'DROP SCHEMA "{schema}" CASCADE')


def ask(statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Run one statement past the desk, as an administrator would."""
    import psycopg

    with psycopg.connect(read_address(TYPED).conninfo, autocommit=True, connect_timeout=2) as connection:
        cursor = connection.execute(statement, arguments or None)
        return cursor.fetchall() if cursor.description else []


def url(address: Address) -> str:
    """The address as a person types it."""
    return f"{TYPED}{'&' if '?' in TYPED else '?'}schema={address.schema}"


def sessions(address: Address) -> list[int]:
    """The server processes that hold a lock of the schema."""
    held = "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = ANY(%s)"
    return [pid for (pid,) in ask(held, [address.lock_number(what) for what in ("log", "archive")])]


def break_connections(address: Address) -> None:
    """End every session that owns something of the schema, as a server or a network that goes away does."""
    for pid in sessions(address):
        ask("SELECT pg_terminate_backend(%s, 5000)", pid)


@cache
def _trouble() -> str:
    try:
        ask("SELECT 1")
    except ImportError:
        return "psycopg is not installed"
    except OSError as error:
        return f"no PostgreSQL server: {error}"
    except Exception as error:  # noqa: BLE001 - psycopg's own errors, whose type needs psycopg
        return f"no PostgreSQL server at {read_address(TYPED)}: {' '.join(str(error).split())[:120]}"
    return ""
