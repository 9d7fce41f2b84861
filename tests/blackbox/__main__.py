"""`python -m tests.blackbox --cycles 500`: kill the shipped process that often under load and say what was lost or doubled: nothing.

`--seed` names the first home's seed; a home that went wrong is left where the last line says, with its log and its output.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.blackbox.campaign import LIVES, WEATHERS, Tally, one_home
from tests.blackbox.machine import Servers, connected
from tests.blackbox.planted import PLANTED, Planted

PLANTED_HOMES = 3
PLANTED_LIVES = 10


def main() -> int:
    """Run homes until the cycles are used up; returns 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.blackbox", description=__doc__)
    parser.add_argument("--cycles", type=int, default=500, help="processes to kill")
    parser.add_argument("--seed", type=int, default=1, help="the first home's seed")
    parser.add_argument("--jobs", type=int, default=2, help="homes at the same time")
    parser.add_argument("--lives", type=int, default=LIVES, help="kills of one home")
    parser.add_argument("--planted", action="store_true", help="run careless changes of the desk instead: each must be noticed")
    options = parser.parse_args()
    if options.planted:
        return asyncio.run(_planted())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where it runs in the background
    root = Path(tempfile.mkdtemp(prefix="blackbox."))
    began = time.monotonic()
    tally = Tally()
    asyncio.run(_run(root, options, tally))
    _print(tally, seconds=time.monotonic() - began)
    if tally.wrong:
        print(f"left in {root}")
        return 1
    shutil.rmtree(root)
    return 0


async def _run(root: Path, options: argparse.Namespace, tally: Tally) -> None:
    seeds = iter(range(options.seed, options.seed + 1_000_000))

    async def homes(servers: Servers) -> None:
        async with connected(servers) as (exchange, warm):
            while (left := options.cycles - tally.cycles) > 0:
                seed = next(seeds)
                lives = min(options.lives, max(5, left))
                campaign = await one_home(root, exchange, warm, name=f"L{seed}", seed=seed, lives=lives, tally=tally)
                wrong = campaign.checker.wrong
                said = "; ".join(wrong) or "nothing lost, nothing doubled"
                print(f"home {seed:<5} {tally.cycles:>5} killed in all  {said}", flush=True)
                if not wrong:
                    shutil.rmtree(campaign.home.path)

    launched = [Servers.launch() for _ in range(options.jobs)]
    try:
        await asyncio.gather(*(homes(servers) for servers in launched))
    finally:
        for servers in launched:
            servers.end()


async def _planted() -> int:
    """Give each planted bug a few homes; returns 1 where one goes unnoticed."""
    missed = 0
    servers = Servers.launch()
    try:
        for bug in PLANTED:
            noticed = await _noticed(bug, servers)
            missed += noticed is None
            print(f"{bug.name:<34} {noticed or 'NOT NOTICED'}", flush=True)
    finally:
        servers.end()
    return 1 if missed else 0


async def _noticed(bug: Planted, servers: Servers) -> str | None:
    for seed in range(1, PLANTED_HOMES + 1):
        tally = Tally()
        with tempfile.TemporaryDirectory() as root:
            async with connected(servers) as (exchange, warm):
                campaign = await one_home(
                    Path(root), exchange, warm, name=f"{bug.name[:16].replace('_', '-')}-{seed}", seed=seed, lives=PLANTED_LIVES,
                    tally=tally, weathers=(bug.weather,) if bug.weather else WEATHERS, planted=bug.name, only=bug.only,
                )
        wrong = [text for text in campaign.checker.wrong if text.partition(":")[0] in bug.caught_by]
        if wrong:
            return f"home {seed}, {tally.cycles} kills: {wrong[0][:120]}"
    return None


def _print(tally: Tally, *, seconds: float) -> None:
    lost = [text for text in tally.wrong if _number(text) in ("9", "15", "16", "27")]
    doubled = [text for text in tally.wrong if _number(text) in ("4", "6", "17")]
    print()
    print(f"cycles     {tally.cycles} processes killed by SIGKILL in {seconds:.0f} s, {tally.starts} started, {tally.homes} homes")
    print("moments    " + ", ".join(f"{name} {count}" for name, count in sorted(tally.kills.items())))
    print(f"load       {tally.answers:,} answers, {tally.orders:,} orders confirmed, {tally.requests:,} requests at the exchange")
    print(f"log        {tally.events:,} events, {tally.fills:,} executions, {tally.unknown:,} times unknown, {tally.taken_over} take-overs")
    print(f"lost       {len(lost)} (of {tally.fills:,} executions and {tally.claims:,} claims looked at)")
    print(f"doubled    {len(doubled)}")
    print(f"wrong      {len(tally.wrong)}")
    for text in tally.wrong:
        print(f"  {text}")


def _number(text: str) -> str:
    return text.partition(") ")[2].partition(":")[0]


if __name__ == "__main__":
    sys.exit(main())
