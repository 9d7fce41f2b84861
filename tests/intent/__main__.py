"""`python -m tests.intent`: how well sentences are understood, against their labels.

Prints label accuracy, whole-frame accuracy and slot F1, by command too; unsafe answers, which are an order complete enough to draw a card
where none was meant or with another side, symbol, structure, strike or quantity; and missed stops. `--wrong` also prints each sentence that
was read otherwise (of the dev half only), `--frozen` judges the half nobody tunes on and prints totals alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from bot.intent.frames import Frame, plain
from bot.intent.offline import parse
from tests.intent.sentences import ENDINGS, Sentence, canonical, read

TODAY = date(2026, 11, 27)  # of sentences that name none
DRAWS_A_CARD = {"open": ("strategy", "symbol"), "close": (), "roll": ()}
BINDING = (
    "strategy",
    "symbol",
    "side",
    "right",
    "quantity",
    "fraction",
    "strikes",
    "scope",
    "position_id",
    "expiry",
    "delta",
    "limit",
    "width",
)
STOPS = frozenset({"kill", "halt", "pause", "cancel"})


@dataclass(slots=True)
class Tally:
    """Counts of one run."""

    sentences: int = 0
    labels: int = 0
    frames: int = 0
    slots_right: int = 0
    slots_said: int = 0
    slots_meant: int = 0
    unsafe: list[str] = field(default_factory=list)
    missed_stops: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def label_accuracy(self) -> float:
        """Share of sentences with the right label."""
        return self.labels / self.sentences if self.sentences else 1.0

    @property
    def frame_accuracy(self) -> float:
        """Share of sentences whose label and slots are all right."""
        return self.frames / self.sentences if self.sentences else 1.0

    @property
    def slot_f1(self) -> float:
        """Harmonic mean of precision and recall over slots."""
        total = self.slots_said + self.slots_meant
        return 2 * self.slots_right / total if total else 1.0


def answer(sentence: Sentence) -> Frame:
    """What the parser makes of a labelled sentence."""
    return parse(sentence.text, context=sentence.context, today=date.fromisoformat(sentence.today) if sentence.today else TODAY)


def judge(sentences: Sequence[Sentence]) -> tuple[Tally, dict[str, Tally]]:
    """All counts, and those of each label meant."""
    total = Tally()
    by_label: dict[str, Tally] = defaultdict(Tally)
    for sentence in sentences:
        frame = answer(sentence)
        for tally in (total, by_label[sentence.label]):
            _count(tally, sentence, frame)
    return total, by_label


def _count(tally: Tally, sentence: Sentence, frame: Frame) -> None:
    said, meant = canonical(frame.label, json.loads(json.dumps(plain_slots(frame)))), canonical(sentence.label, sentence.slots)
    labelled = frame.label == sentence.label or frame.label in sentence.also
    slots = {name for name in said if name in meant and said[name] == meant[name]}
    tally.sentences += 1
    tally.labels += labelled
    whole = labelled and (said == meant or frame.label != sentence.label)
    tally.frames += whole
    if frame.label == sentence.label:
        tally.slots_right += len(slots)
    if frame.label == sentence.label or frame.label not in sentence.also:
        tally.slots_said += len(said)
        tally.slots_meant += len(meant)
    asked = f" ({frame.question})" if frame.question else ""
    line = f"{sentence.id} {sentence.text!r}: {frame.label}{asked} {said} for {sentence.label} {meant}"
    if not whole:
        tally.wrong.append(line)
    if _unsafe(sentence, frame, said, meant):
        tally.unsafe.append(line)
    if sentence.label in STOPS and frame.label not in (STOPS if sentence.label != "cancel" else {"cancel", "kill"}):
        tally.missed_stops.append(line)


def plain_slots(frame: Frame) -> dict[str, Any]:
    """A frame's slots as JSON holds them."""
    return {name: plain(value) for name, value in frame.slots.items()}


def _unsafe(sentence: Sentence, frame: Frame, said: Mapping[str, Any], meant: Mapping[str, Any]) -> bool:
    """An answer that draws a card nobody asked for, or one for another order than was said."""
    if frame.label not in DRAWS_A_CARD or not all(name in said for name in DRAWS_A_CARD[frame.label]):
        return False
    if frame.label in sentence.also and frame.label != sentence.label:
        return False
    if frame.label != sentence.label:
        return not (sentence.label not in ENDINGS and frame.label == "roll")
    return any(said.get(name) != meant.get(name) for name in BINDING)


def report(total: Tally, by_label: Mapping[str, Tally], *, frozen: bool) -> str:
    """The figures as lines."""
    lines = [
        f"{total.sentences} sentences: labels {total.label_accuracy:.1%}, whole frames {total.frame_accuracy:.1%}, "
        f"slot F1 {total.slot_f1:.3f}, "
        f"unsafe {len(total.unsafe)}, missed stops {len(total.missed_stops)}"
    ]
    for label, tally in sorted(by_label.items(), key=lambda item: (item[1].frame_accuracy, item[0])):
        lines.append(f"  {label:<15} {tally.sentences:>4}  labels {tally.label_accuracy:>6.1%}  frames {tally.frame_accuracy:>6.1%}")
    return "\n".join(lines[:1] if frozen else lines)


def main(arguments: Sequence[str]) -> int:
    """Print the figures of a half."""
    parser = argparse.ArgumentParser(prog="python -m tests.intent", description=__doc__)
    parser.add_argument("--frozen", action="store_true", help="judge the frozen half; totals only")
    parser.add_argument("--wrong", action="store_true", help="print every sentence of the dev half that was read otherwise")
    parser.add_argument("--file", default="", help="only sentences whose id holds this")
    options = parser.parse_args(arguments)
    sentences = [one for one in read("frozen" if options.frozen else "dev") if options.file in one.id]
    total, by_label = judge(sentences)
    if options.wrong and not options.frozen:
        for title, lines in (("UNSAFE", total.unsafe), ("MISSED STOP", total.missed_stops), ("wrong", total.wrong)):
            sys.stdout.writelines(f"{title} {line}\n" for line in lines)
        confused = Counter(line.rsplit(" for ", 1)[1].split(" ", 1)[0] for line in total.wrong)
        sys.stdout.write(f"{confused.most_common(20)}\n")
    sys.stdout.write(report(total, by_label, frozen=options.frozen) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
