"""The loop of whatever works beside an account's sender: turn after turn, told once when it fails, never dead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core.desk import Desk
from core.errors import DeskError


async def turn_for_ever(
    desk: Desk, what: str, turn: Callable[[], Awaitable[None]], *, pause_seconds: float, after_bug: Callable[[str], Awaitable[None]]
) -> None:
    """Call `turn` with pauses. What goes wrong is told once and tried again; after a bug `after_bug` hears its id, and the loop goes on."""
    failing = False
    while True:
        try:
            await turn()
            failing = False
        except (DeskError, TimeoutError, OSError) as error:
            if not failing:
                desk.runtime.report(what, error)
            failing = True
        except Exception as error:  # noqa: BLE001 - a bug must not end the watch: it is told, entries stop, the loop goes on
            if not failing:
                await after_bug(desk.report(what, error))
            failing = True
        await desk.runtime.sleep(pause_seconds)
