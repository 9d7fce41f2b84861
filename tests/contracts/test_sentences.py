"""The sentence files beside the commands: every command has one, its patterns compile, its examples mean what they say."""

from __future__ import annotations

from datetime import date

import pytest

from bot.intent import patterns
from bot.intent.frames import plain
from bot.intent.likeness import nearest_label
from bot.intent.meaning import typed_of
from bot.intent.offline import parse
from bot.intent.typed import typed_line
from core import plugins
from core.command import format_call, format_value, parse_args, split_line
from core.commands._planned import planned
from core.dispatch import command_of

TODAY = date(2026, 11, 27)
COMMANDS = tuple(sorted({*plugins.names("commands"), *planned()}))
EXAMPLES = tuple(patterns.examples())
LINES = tuple((name, line) for name in plugins.names("commands") for line in command_of(name).examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_when_listed_then_it_has_patterns_and_examples(name: str) -> None:
    assert any(command == name for command, _ in patterns.lines())
    assert any(command == name for command, _, _ in EXAMPLES)


def test_sentence_files_when_listed_then_each_is_of_a_command() -> None:
    assert {path.stem for path in patterns.FOLDER.glob("*.txt")} == set(COMMANDS)


def test_patterns_when_compiled_then_none_is_wrong_and_none_matches_nothing_said() -> None:
    compiled = [patterns.compiled(command, line) for command, line in patterns.lines()]
    assert [pattern.source for pattern in compiled if pattern.score <= 0] == []
    assert [pattern.source for pattern in compiled if not patterns.expression_of(pattern)] == []


def test_kept_sentences_when_read_then_each_is_of_a_command_or_an_ending_and_is_there_once() -> None:
    kept = list(patterns.kept_lines())
    assert {label for label, _ in kept} <= {*COMMANDS, "smalltalk", "out_of_scope", "ambiguous"}
    assert len({text for _, text in kept}) == len(kept)


def test_likeness_when_a_sentence_is_near_to_kept_ones_then_it_is_told_with_how_sure_that_is() -> None:
    label, sure = nearest_label("what position do i have on".split())
    assert label == "positions"
    assert 0.4 < sure <= 1
    assert nearest_label(["zorp", "blorp"]) == ("", 0.0)


@pytest.mark.parametrize("line", ["(a|b", "a|b)", "[a", "what ?", "is it (fine)?"])
def test_pattern_when_it_is_wrong_then_it_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        patterns.compiled("status", line)


@pytest.mark.parametrize(("command", "sentence", "line"), EXAMPLES)
def test_example_when_parsed_then_it_is_the_line_beside_it(command: str, sentence: str, line: str) -> None:
    found, wanted = parse(sentence, today=TODAY), typed_line(f"/{line}")
    assert wanted is not None
    assert found.label == wanted.label == command
    assert {name: format_value(_listed(value)) for name, value in found.slots.items()} == {
        name: format_value(_listed(value)) for name, value in wanted.slots.items()
    }


@pytest.mark.parametrize(("name", "line"), LINES)
def test_line_of_a_command_when_parsed_as_a_sentence_then_it_is_the_same_call(name: str, line: str) -> None:
    command = command_of(name)
    args = parse_args(command, split_line(line)[1:])
    found = parse(f"/{format_call(command, args)}", today=TODAY)
    assert found.label == name
    assert typed_of(found).args == args


def _listed(value: object) -> object:
    """Strikes as a typed line writes them."""
    shown = plain(value)
    return tuple(shown) if isinstance(shown, list) else shown
