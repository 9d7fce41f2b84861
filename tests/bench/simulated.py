"""The simulated market: how fast it answers, and what kind of market its default seed is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from core.clock import ManualClock
from core.domain.instruments import underlying_instrument
from core.market.providers import simulated

MORNING = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)
FAR = datetime(2036, 11, 14, 16, 0, tzinfo=UTC)
ROUNDS = 15


def rows() -> list[dict[str, Any]]:
    """One row a figure."""
    return asyncio.run(_measure())


async def _measure() -> list[dict[str, Any]]:
    clock = ManualClock(MORNING)
    provider = simulated.build(simulated.PARAMETERS(), clock=clock)
    today = MORNING.date()

    async def spx() -> Any:
        clock.advance(timedelta(seconds=1))
        return await provider.chain("SPX", first=today, last=today + timedelta(days=60))

    async def underlyings() -> Any:
        clock.advance(timedelta(seconds=1))
        return await provider.quotes([underlying_instrument(symbol) for symbol in simulated.LISTED])

    async def fresh_far() -> Any:
        far = simulated.build(simulated.PARAMETERS(), clock=ManualClock(FAR))
        return await far.quotes([underlying_instrument(symbol) for symbol in simulated.LISTED])

    chain = await spx()
    timed = [
        _row(f"SPX chain, 0 to 60 days, {len(chain)} rows", 1e3 * await _seconds(spx), "ms"),
        _row("quotes of all underlyings", 1e3 * await _seconds(underlyings), "ms"),
        _row("a new process's first quotes ten years on", 1e3 * await _seconds(fresh_far), "ms"),
    ]
    return [*timed, *await _character()]


async def _character() -> list[dict[str, Any]]:
    provider = simulated.build(simulated.PARAMETERS(), clock=ManualClock(FAR))
    spx, vix = [await provider.bars(symbol, start=date(2024, 1, 1), end=FAR.date()) for symbol in ("SPX", "VIX")]
    returns = np.diff(np.log(spx.close))
    peak = np.maximum.accumulate(spx.close)
    return [
        _row("sessions simulated", len(spx.days), "sessions"),
        _row("SPX volatility a year", 100 * returns.std() * np.sqrt(252), "%"),
        _row("SPX worst day", 100 * returns.min(), "%"),
        _row("SPX deepest fall from a peak", 100 * float(np.min(spx.close / peak) - 1), "%"),
        _row("VIX, middle of all closes", float(np.median(vix.close)), "points"),
        _row("VIX, lowest close", min(vix.close), "points"),
        _row("VIX, highest close", max(vix.close), "points"),
        _row("correlation of SPX returns and VIX changes", float(np.corrcoef(returns, np.diff(np.log(vix.close)))[0, 1]), ""),
    ]


async def _seconds(work: Callable[[], Coroutine[Any, Any, Any]]) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = perf_counter()
        await work()
        taken.append(perf_counter() - start)
    return median(taken)


def _row(name: str, value: float, unit: str) -> dict[str, Any]:
    return {"name": name, "value": float(value), "unit": unit}
