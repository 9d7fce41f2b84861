"""How well sentences are understood, as floors that may only rise. `python -m tests.intent` prints the same figures in full.

The frozen half is judged by its totals alone: what a failure prints names no sentence of it.
"""

from __future__ import annotations

import csv
import lzma
import os
from datetime import date
from pathlib import Path

import pytest

from bot.intent.offline import parse
from tests.intent.__main__ import Tally, judge
from tests.intent.sentences import read

TODAY = date(2026, 11, 27)
DATA = os.environ.get("DESK_REAL_DATA")
FROZEN_LABELS, FROZEN_FRAMES = 0.83, 0.81
FROZEN_UNSAFE, FROZEN_MISSED = 13, 7
EVERYDAY = "intents_clinc150_full.csv.xz"


@pytest.fixture(scope="module")
def dev() -> Tally:
    return judge(read("dev"))[0]


@pytest.fixture(scope="module")
def frozen() -> Tally:
    return judge(read("frozen"))[0]


def test_dev_sentences_when_parsed_then_labels_and_frames_are_right_as_often_as_before(dev: Tally) -> None:
    assert dev.label_accuracy >= 0.97
    assert dev.frame_accuracy >= 0.96
    assert dev.slot_f1 >= 0.97


def test_dev_sentences_when_parsed_then_no_order_is_drawn_that_nobody_gave(dev: Tally) -> None:
    assert dev.unsafe == []


def test_dev_sentences_when_they_stop_something_then_none_is_missed(dev: Tally) -> None:
    assert dev.missed_stops == []


def test_frozen_sentences_when_parsed_then_labels_and_frames_are_right_as_often_as_before(frozen: Tally) -> None:
    assert frozen.label_accuracy >= FROZEN_LABELS
    assert frozen.frame_accuracy >= FROZEN_FRAMES


def test_frozen_sentences_when_parsed_then_no_more_orders_than_before_are_drawn_that_nobody_gave(frozen: Tally) -> None:
    assert len(frozen.unsafe) <= FROZEN_UNSAFE


def test_frozen_sentences_when_they_stop_something_then_no_more_than_before_are_missed(frozen: Tally) -> None:
    assert len(frozen.missed_stops) <= FROZEN_MISSED


@pytest.mark.skipif(DATA is None or not Path(DATA or ".", EVERYDAY).exists(), reason="DESK_REAL_DATA is not set")
def test_everyday_sentences_when_parsed_then_none_becomes_an_order() -> None:
    labels = [parse(text, today=TODAY).label for text in _everyday_sentences()]
    assert {"open", "close", "roll"}.isdisjoint(labels)
    outside = sum(label in ("out_of_scope", "smalltalk", "ambiguous") for label in labels)
    assert outside / len(labels) >= 0.72


def _everyday_sentences() -> list[str]:
    """One in ten of the test sentences of an everyday assistant, those about a bank, cards and taxes included."""
    with lzma.open(Path(DATA or ".", EVERYDAY), "rt", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file) if row["split"] in ("test", "oos_test")][::10]
