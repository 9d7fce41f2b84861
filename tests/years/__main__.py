"""`make years`: years of trading on the simulated market, each worked out a second time from plain files.

    make years YEARS=10 SEED=1         ten years of one person on one market
    make years YEARS=1 SEED=5 SEEDS=4  four persons and markets, a year each

The files stay in KEEP where that names a folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.years.audit import audit
from tests.years.played import Year

SESSIONS = 252


def main() -> int:
    """Trade, audit and print; returns 1 where a line is not explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.years", description="Years of trading, worked out a second time.")
    parser.add_argument("--years", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--keep", type=Path, help="the folder in which the files stay")
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(options.seed, options.seed + options.seeds):
            folder = (options.keep or Path(temporary)) / f"seed-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            wrong += _year(seed, round(options.years * SESSIONS), folder)
    return 1 if wrong else 0


def _year(seed: int, sessions: int, folder: Path) -> int:
    began = time.perf_counter()
    year = Year.simulated(seed=seed, folder=folder)
    year.play(sessions)
    found = audit(folder)
    print(f"seed {seed}: {sessions} sessions in {time.perf_counter() - began:.0f} s")
    print(f"  opened   {_counts(year.opened)}")
    print(f"  refused  {_counts(year.refused)}")
    print(f"  audited  {_counts(found.counts)}")
    print(f"  cash under zero on {len(found.overdrawn)} evenings")
    for day, why in list(found.overdrawn.items())[:5]:
        print(f"    {day}: {why}")
    print(f"  findings {len(found.findings)}")
    for text in found.findings[:20]:
        print(f"    {text}")
    sys.stdout.flush()
    return len(found.findings)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
