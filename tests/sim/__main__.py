"""`make sim`: run the simulation and print what happened.

    make sim SEED=1 STEPS=1000000 JOBS=2     one seed after another from 1 on, two at a time
    make sim SEED=201 STEPS=2500             one seed again

Which seeds run, and the digest, depend on SEED and STEPS alone, not on how many processes share the work.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from itertools import count

from tests.sim.world import Result, episode

EPISODE_STEPS = 2_500  # under faults; some hundred more come with the minutes of rest
SEEDS_A_PROCESS = 20  # then a fresh one takes over: what killed desks held is never given back


def main() -> int:
    """Run episodes until the steps are used up; returns 1 where an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description="The seeded simulation of the whole desk.")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--steps", type=int, default=20_000, help="steps in all")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the work")
    options = parser.parse_args()
    steps = min(EPISODE_STEPS, options.steps)
    began, digest, faults, totals = time.perf_counter(), blake2b(digest_size=16), Counter[str](), Counter[str]()
    for result in _results(options.seed, steps=steps, jobs=options.jobs):
        faults.update(result.faults)
        totals.update(
            seeds=1, steps=result.steps, callbacks=result.callbacks, crashes=result.crashes, events=result.events, orders=result.orders,
            fills=result.fills, violations=len(result.violations), seconds=int(result.seconds),
        )  # fmt: skip
        digest.update(result.digest.encode())
        _print(result, steps)
        if totals["steps"] >= options.steps:
            break
    took_seconds = time.perf_counter() - began
    print()
    print(f"seeds      {options.seed} to {options.seed + totals['seeds'] - 1}, {totals['seconds'] / 3600:,.1f} hours of virtual time")
    print(f"steps      {totals['steps']:,} ({totals['callbacks']:,} callbacks)")
    print(f"{totals['steps'] / took_seconds:,.0f} steps a second", file=sys.stderr)
    print(f"orders     {totals['orders']:,}, fills {totals['fills']:,}, events {totals['events']:,}")
    print(f"faults     {faults.total():,}: " + ", ".join(f"{name} {number}" for name, number in sorted(faults.items())))
    print(f"crashes    {totals['crashes']:,}")
    print(f"violations {totals['violations']}")
    print(f"digest     {digest.hexdigest()}")
    return 1 if totals["violations"] else 0


def _results(first: int, *, steps: int, jobs: int) -> Iterator[Result]:
    """What each seed from the first on came to, in their order."""
    if jobs <= 1:
        yield from (episode(seed, steps=steps) for seed in count(first))
        return
    gc.freeze()
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=SEEDS_A_PROCESS) as pool:
        for begin in count(first, jobs * 4):  # a few ahead, since nobody knows which seed uses up the last steps
            yield from pool.imap(partial(episode, steps=steps), range(begin, begin + jobs * 4))


def _print(result: Result, steps: int) -> None:
    made = f"events {result.events:>5}  orders {result.orders:>3}  fills {result.fills:>4}  faults {sum(result.faults.values()):>5}"
    print(f"seed {result.seed:<6} steps {result.steps:>6}  crashes {result.crashes:>3}  {made}  {result.digest[:12]}", flush=True)
    for violation in result.violations:
        print(f"  VIOLATION of {violation.invariant} at step {violation.step} ({violation.second:.1f} s): {violation.text}")
        print(f"  again: make sim SEED={result.seed} STEPS={steps}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
