"""An event loop of its own for a port that is asked in coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
MOST_TURNS = 20_000  # of the loop for one input


class Looped:
    """Runs coroutines one at a time on a loop that is closed with the port."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run one to its end."""
        return self.loop.run_until_complete(coro)

    def close(self) -> None:
        """End what still runs and close the loop."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
