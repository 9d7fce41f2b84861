"""`make mutants`: plant every careless change and print who noticed; `MUTANTS="gate"` takes those whose id or area fits."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.runner import Mutant, Outcome, judge, load

LEAST_CAUGHT = 0.95


def main() -> int:
    """Run the mutants; returns 1 where more than one in twenty survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="ids or areas; all where left out")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    wanted = [item for item in load() if not options.names or {item.id, item.area} & set(options.names)]
    with tempfile.TemporaryDirectory(prefix="mutants") as place, ThreadPoolExecutor(options.jobs) as pool:
        done = list(pool.map(lambda pair: _one(pair[1], Path(place) / str(pair[0])), enumerate(wanted)))
    survivors = [item for item in done if not item.by]
    by = Counter("simulation" if item.by.startswith("simulation") else "tests" for item in done if item.by)
    print()
    print(f"mutants    {len(done)} in {len({item.mutant.area for item in done})} areas")
    print(f"caught     {len(done) - len(survivors)}: " + ", ".join(f"{name} {count}" for name, count in sorted(by.items())))
    print(f"survivors  {len(survivors)}" + "".join(f"\n  {item.mutant.id}: {item.mutant.replace.strip()[:90]}" for item in survivors))
    return 1 if done and len(survivors) > len(done) * (1 - LEAST_CAUGHT) else 0


def _one(mutant: Mutant, place: Path) -> Outcome:
    place.mkdir()
    outcome = judge(mutant, place)
    print(f"{mutant.id:<44} {outcome.seconds:6.1f} s  {outcome.by or 'SURVIVED'}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
