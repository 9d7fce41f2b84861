"""`make sim`: run the simulation and print what happened. `make sim SEED=1 STEPS=200000` runs one seed after another from 1 on."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from hashlib import blake2b

from tests.sim.world import Result, episode

EPISODE_STEPS = 2_500


def main() -> int:
    """Run episodes until the steps are used up; returns 1 where an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--steps", type=int, default=20_000, help="steps in all")
    options = parser.parse_args()
    digest, faults = blake2b(digest_size=16), Counter[str]()
    done: list[Result] = []
    seed = options.seed
    while (left := options.steps - sum(result.steps for result in done)) > 0:
        result = episode(seed, steps=min(EPISODE_STEPS, left))
        done.append(result)
        faults.update(result.faults)
        digest.update(result.digest.encode())
        print(
            f"seed {seed:<6} steps {result.steps:>6}  crashes {result.crashes:>3}  events {result.events:>5}  orders {result.orders:>3}  "
            f"fills {result.fills:>4}  faults {sum(result.faults.values()):>5}  {result.digest[:12]}"
        )
        for violation in result.violations:
            print(f"  VIOLATION of {violation.invariant} at step {violation.step} ({violation.second:.1f} s): {violation.text}")
            print(f"  again: make sim SEED={seed} STEPS={min(EPISODE_STEPS, left)}")
        seed += 1
    violations = sum(len(result.violations) for result in done)
    print()
    print(f"seeds      {options.seed} to {seed - 1}")
    print(f"steps      {sum(result.steps for result in done):,} ({sum(result.callbacks for result in done):,} callbacks)")
    print(f"faults     {sum(faults.values()):,}: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    print(f"crashes    {sum(result.crashes for result in done)}")
    print(f"violations {violations}")
    print(f"digest     {digest.hexdigest()}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
