"""`make accuracy DESK_REAL_DATA=DIR`: our numbers on recorded markets against the vendor's and published ones, to docs/accuracy.md."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

from core import warming
from core.pricing import compiled
from tests.accuracy import american, chain, report

TARGET = Path(__file__).resolve().parents[2] / "docs" / "accuracy.md"


def main(arguments: list[str]) -> int:
    """Measure everything and write the page, or print it with `--print`."""
    folder = os.environ.get("DESK_REAL_DATA")
    if not folder:
        print("DESK_REAL_DATA is not set: there is no recorded market on this machine to measure on")
        return 1
    warnings.simplefilter("error")
    if warming.wanted():
        compiled.warm(str(warming.cache_directory(Path(tempfile.gettempdir()) / f"thetadesk-kernels-{os.getuid()}")))
    days = chain.read(Path(folder))
    page = report.page([*chain.sections(days, Path(folder)), *american.sections(Path(folder))])
    if "--print" in arguments:
        print(page)
    else:
        TARGET.write_text(page, encoding="utf-8")
        print(f"wrote {TARGET.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
