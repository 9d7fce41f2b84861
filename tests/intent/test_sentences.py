"""Sentences people say to the desk, each with the command it means. This is how they are labelled.

A line is `{"id", "text", "context"?, "today"?, "label", "slots", "also"?}`: what `python -m bot parse` is given, and what it should answer.
`dev/` is for building a parser, `frozen/` judges it and stays closed to whoever writes one. Each line is written by hand, in the voice
of one person: terse professional, beginner, somebody dictating, somebody angry, somebody on a phone, somebody whose English is second.

How lines are labelled:
- The label is a command of the table, or smalltalk, out_of_scope, ambiguous. `also` names labels that count as right beside it, where the
  text leaves it open; it is rare for commands (one of them is then right with whatever slots), and usual for the three endings.
- A slot stands there only where it was said. What a structure implies (side and right of a naked_put, side of an iron_condor) is left
  out; `sentences.canonical` drops it from an answer too, so that a parser which fills it in loses nothing.
- Articles are no quantity ("a put" names none); "one", "a couple", "half a dozen" are. A plural is none either.
- "Market" and "mid" are no limit; a typed price on an order is.
- Days: "this friday", "friday", "monday" are the next such day after today; "next friday" is used only where both readings agree, on a
  Friday or a weekend. A month alone, or a "monthly", is its monthly expiry, moved by the calendar where that is a holiday. A day without
  a year is the next one (of a trade already done: the last one). "Expiring today" is a date, "0dte" is dte 0; weeks are 7 days each.
- Periods: this week is `week`, this year `ytd`, the past year `year`; last month and a month by name are from..to by calendar days.
- A single option in `log_trade` is told by side and right without a strategy; spreads, condors, covered calls and shares name theirs.
- `close` and `roll` have no strike, right or expiry: what is said of them is not a slot. Selling what the text says is held, or buying
  back, is `close`; selling shares "short" opens.
- An open question in `context` is answered by the text, and the slots are the merged whole; a text that is a wish of its own leaves the
  question behind. What the bot said (a headline, a journal line) is never a wish.
- An order that contradicts itself, names two symbols, a part of a contract, or a day that does not exist is ambiguous.
- A put sold without a word about cash or cover is a naked_put; a call sold without shares behind it, a butterfly, a straddle, a ratio, a
  future, a coin are structures the desk does not trade: ambiguous or out_of_scope, never a neighbour of theirs.
- Missing side, symbol or structure is ambiguous; missing strike, expiry, size is not. A spread said to be for a credit has its side.
- "Don't …" without another wish, hypotheticals, and orders in quoted, pasted, forwarded or "system" text end as one of the three endings.
  "Don't open anything new" is `pause`. An own order with "skip the confirmation" around it is that order.
- The VIX is asked for with `vix`, not `quote`. A move of the market is `stress`; "VIX at 40" is a level and fills no slot; another rule
  on past trades is `whatif`; the margin of a planned trade is `risk`.
- `halt` is the word halt; `kill` is kill, emergency stop, stop everything, flatten everything; `pause` concerns entries. A single
  strategy can only be paused. "Flatten SPY" is `close`, "close everything" is `close` with scope all.
- A value of `settings` is a number where it is one (60% is 0.6, 2x is 2), else the words; key, topic, text, query and scenario are the
  words and are compared without case and articles. A mandate's bounds beyond action, strategy and symbol are not labelled.
- `account` is the name as said.

`sentences.is_right` says whether an answer is right by these rules: by label, and by slots in their canonical form.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from core import plugins
from core.commands._planned import planned
from tests.intent import sentences

DEV, FROZEN = sentences.read("dev"), sentences.read("frozen")
BOTH = (*DEV, *FROZEN)
COMMON = (
    "open", "close", "roll", "positions", "pnl", "quote", "chain", "stress", "settings", "alert", "log_trade", "pause", "kill", "cancel",
    "explain", "help",
)  # fmt: skip


def _counts(half: tuple[sentences.Sentence, ...]) -> Counter[str]:
    return Counter(sentence.label for sentence in half)


def test_labels_when_compared_with_the_command_table_then_each_is_in_it() -> None:
    assert set(sentences.PARAMETERS) - {*plugins.names("commands"), *planned()} == set()


def test_parameters_when_a_command_is_built_then_it_has_them() -> None:
    built = {name: {one.name for one in plugins.load("commands", name).COMMAND.parameters} for name in plugins.names("commands")}
    unknown = {name: set(sentences.PARAMETERS[name].split()) - own for name, own in built.items()}
    assert {name: names for name, names in unknown.items() if names} == {}


def test_sentences_when_checked_then_label_slots_and_forms_are_those_of_the_table() -> None:
    assert [problem for sentence in BOTH for problem in sentences.problems(sentence)] == []


def test_sentences_when_their_ids_are_counted_then_each_is_there_once() -> None:
    assert [name for name, times in Counter(sentence.id for sentence in BOTH).items() if times > 1] == []


def test_sentences_when_read_then_no_two_say_the_same_in_the_same_words() -> None:
    assert sentences.doubles(BOTH) == []


@pytest.mark.parametrize("half", [DEV, FROZEN], ids=["dev", "frozen"])
def test_half_when_counted_then_it_is_as_large_as_promised(half: tuple[sentences.Sentence, ...]) -> None:
    assert len(half) >= 900


@pytest.mark.parametrize("half", [DEV, FROZEN], ids=["dev", "frozen"])
def test_half_when_its_labels_are_counted_then_every_label_occurs(half: tuple[sentences.Sentence, ...]) -> None:
    assert {*sentences.PARAMETERS, *sentences.ENDINGS} - set(_counts(half)) == set()


@pytest.mark.parametrize("label", COMMON)
def test_common_label_when_counted_then_both_halves_have_thirty_of_it(label: str) -> None:
    assert min(_counts(DEV)[label], _counts(FROZEN)[label]) >= 30


@pytest.mark.parametrize(
    ("label", "slots", "same"),
    [
        ("open", {"strategy": "naked_put", "symbol": "SPY", "side": "sell", "right": "put"}, {"strategy": "naked_put", "symbol": "SPY"}),
        ("open", {"strategy": "stock", "symbol": "SPY", "side": "sell"}, {"strategy": "stock", "symbol": "SPY", "side": "sell"}),
        ("open", {"strategy": "calendar", "right": "call", "side": None}, {"strategy": "calendar", "right": "call"}),
        ("log_trade", {"side": "sell", "strategy": "naked_put", "price": 3}, {"side": "sell", "right": "put", "price": 3.0}),
        ("settings", {"key": "the profit_target", "value": "60%"}, {"key": "profit target", "value": 0.6}),
        ("settings", {"key": "Stop", "value": "2x"}, {"key": "stop", "value": 2.0}),
        ("ambiguous", {"symbol": "SPY"}, {}),
    ],
)
def test_slots_when_made_canonical_then_they_are_as_the_docstring_says(label: str, slots: dict[str, Any], same: dict[str, Any]) -> None:
    assert sentences.canonical(label, slots) == same


@pytest.mark.parametrize(
    ("label", "slots", "what"),
    [
        ("opens", {}, "one: label opens is not in the table"),
        ("open", {"symbol": "SPY"}, "one: strategy is missing"),
        ("quote", {"symbol": "SPY", "expiry": "2026-12-18"}, "one: expiry is no parameter of quote"),
        ("quote", {"symbol": "spy"}, "one: symbol is not of its form: 'spy'"),
        ("close", {"fraction": 50}, "one: fraction is not of its form: 50"),
        ("close", {"quantity": 2.0}, "one: quantity is not of its form: 2.0"),
        ("stress", {"spot_pct": -5}, "one: spot_pct is not of its form: -5"),
        ("roll", {"dte": "45"}, "one: dte is not of its form: '45'"),
        ("pnl", {"period": "last week"}, "one: period is not of its form: 'last week'"),
        ("chain", {"symbol": "SPY", "expiry": "20261218"}, "one: expiry is not of its form: '20261218'"),
        ("cancel", {"order_id": "#7"}, "one: order_id is not of its form: '#7'"),
    ],
)
def test_line_when_it_is_wrong_then_it_is_told(label: str, slots: dict[str, Any], what: str) -> None:
    assert sentences.problems(sentences.Sentence(id="one", text="words", label=label, slots=slots)) == [what]


@pytest.mark.parametrize(
    ("label", "slots", "right"),
    [
        ("help", {"topic": "pause"}, True),
        ("help", {"topic": "the pause of the desk"}, True),
        ("help", {"topic": "kill"}, False),
        ("help", {}, False),
        ("help", {"topic": "pause", "account": "ira"}, False),
        ("explain", {"topic": "anything"}, True),
        ("pause", {}, False),
    ],
)
def test_answer_when_judged_then_label_and_every_slot_count(label: str, slots: dict[str, Any], right: bool) -> None:
    meant = sentences.Sentence(id="one", text="what does pause do", label="help", slots={"topic": "pause"}, also=("explain",))
    assert sentences.is_right(meant, label, slots) is right


def test_lines_when_they_differ_in_dress_or_in_a_figure_only_then_they_are_told_as_doubles() -> None:
    texts = ("Sell 2 SPY puts at 480, please!", "sell 2 spy puts at 480 please", "sell 3 spy puts at 480 please", "close the qqq condor")
    lines = [sentences.Sentence(id=str(place), text=text, label="status", slots={}) for place, text in enumerate(texts)]
    assert sentences.doubles(lines) == [("0", "1"), ("0", "2"), ("1", "2")]
