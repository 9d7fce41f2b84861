"""One exchange and one server of warm processes for a whole run of the tests; each test has homes of its own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.blackbox.machine import Home, Servers, connected

Make = Callable[..., Awaitable[Home]]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    launched = Servers.launch()
    yield launched
    launched.end()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose sockets' names fit into what the system allows for them (108 bytes), whatever runs the tests."""
    with tempfile.TemporaryDirectory(prefix="bb") as made:
        yield Path(made)


@pytest.fixture
async def make_home(servers: Servers, short_path: Path) -> AsyncIterator[Make]:
    """Makes homes; `settings`, `env` and `market` go into their configuration. No desk process survives the test."""
    async with connected(servers) as (exchange, warm):

        async def make(**more: object) -> Home:
            make.made += 1  # type: ignore[attr-defined]
            name = f"{short_path.name[2:]}-{make.made}"  # type: ignore[attr-defined]
            return await Home.make(short_path, exchange, warm, name=name, **more)  # type: ignore[arg-type]

        make.made = 0  # type: ignore[attr-defined]
        yield make


@pytest.fixture
async def home(make_home: Make) -> Home:
    """A home with an account at the exchange that fills nothing by itself."""
    made = await make_home()
    await made.habits(fill_at_once=0, fill_a_tick=0, stubborn=0)
    return made
