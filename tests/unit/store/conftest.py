"""What the tests of stores share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from core.runtime import SystemRuntime
from core.store.postgres.address import Address
from tests import postgres_server


@pytest.fixture
def schema() -> Iterator[Address]:
    """A schema of its own on a PostgreSQL server; skips where there is none."""
    with contextlib.contextmanager(postgres_server.new_schema)() as address:
        yield address


@pytest.fixture
async def runtime() -> AsyncIterator[SystemRuntime]:
    """The machine's runtime, closed afterwards."""
    made = SystemRuntime()
    yield made
    await made.aclose()
