"""The offline parser: what a sentence takes, beside its aim of 2 ms, and how long the first one waits for the patterns."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from bot.intent.offline import parse, single
from tests.intent.sentences import read

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 27)
AIM_SECONDS = 0.002


def rows() -> list[dict[str, object]]:
    """Median and 99th percentile over the development sentences, each parsed anew; the first sentence of a new process."""
    sentences = [sentence for sentence in read("dev") if not sentence.context]
    parse("positions", today=TODAY)  # the patterns are read once
    taken = sorted(_seconds(sentence.text) for sentence in sentences)
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", _FIRST], cwd=ROOT, check=True, capture_output=True, timeout=60)
    first = time.perf_counter() - begin
    median, slow = statistics.median(taken), taken[int(len(taken) * 0.99)]
    return [
        {"name": "offline parse of a sentence, median", "value": median * 1_000, "unit": "ms"},
        {"name": "offline parse of a sentence, 99th percentile", "value": slow * 1_000, "unit": "ms"},
        {"name": "offline parse, median / aim of 2 ms", "value": median / AIM_SECONDS, "unit": "times"},
        {"name": "a new process with its first sentence", "value": first, "unit": "s"},
    ]


def _seconds(text: str) -> float:
    single.cache_clear()
    begin = time.perf_counter()
    parse(text, today=TODAY)
    return time.perf_counter() - begin


_FIRST = "from datetime import date; from bot.intent.offline import parse; parse('how am i doing today', today=date(2026, 11, 27))"
