"""`make years`: years of trading on the simulated market, each worked out a second time from plain files.

    make years YEARS=10 SEED=1         ten years of one person on one market
    make years YEARS=1 SEED=5 SEEDS=4  four persons and markets, a year each

Where DESK_REAL_DATA names the folder of recorded markets, a person trades through each of them too, and the audit reads their own files.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from tests.years import recordings
from tests.years.audit import Audit, audit
from tests.years.played import RECORDED_2019, RECORDED_2021, Year

SESSIONS = 252
Reading = Callable[[Path], tuple[dict[str, Any], recordings.Quotes]]
RECORDINGS: dict[str, tuple[date, Any, Reading]] = {
    "SPX 2019": (date(2019, 4, 25), RECORDED_2019, recordings.spx_2019),
    "SPY 2021": (date(2021, 1, 4), RECORDED_2021, recordings.spy_2021),
}


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
        data = os.environ.get("DESK_REAL_DATA")
        for name, (start, plans, read) in RECORDINGS.items() if data else ():
            folder = (options.keep or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            year = Year.recorded(seed=options.seed, folder=folder, data_dir=Path(data or ""), start=start, plans=plans)
            market, quotes = read(Path(data or ""))
            wrong += _told(name, year, partial(audit, folder, market=market, quotes=quotes), 1000)
    return 1 if wrong else 0


def _year(seed: int, sessions: int, folder: Path) -> int:
    return _told(f"seed {seed}", Year.simulated(seed=seed, folder=folder), partial(audit, folder), sessions)


def _told(name: str, year: Year, look: Callable[[], Audit], sessions: int) -> int:
    """Trade, audit and print; returns how much is not explained."""
    began = time.perf_counter()
    year.play(sessions)
    found = look()
    print(f"{name}: {found.counts['days']} sessions in {time.perf_counter() - began:.0f} s")
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
