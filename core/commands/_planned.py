"""Commands that are promised but have no file yet: name and one line of help, from `planned.yaml` beside this file.

The file is plain `name: help` lines, read without a YAML library so that a start does not pay for one. It may only shrink.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("planned.yaml")


@cache
def planned() -> dict[str, str]:
    """Planned commands by name, with their line of help."""
    lines = (line for line in FILE.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#"))
    return {name.strip(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
