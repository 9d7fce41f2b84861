"""The command table against the promised list, and every command against its own words."""

from __future__ import annotations

import pytest

from core import plugins
from core.command import Access, Command, format_call, parse_args, split_line
from core.commands._glossary import ALIASES, TERMS
from core.commands._planned import planned

PROMISED = frozenset(
    "account ack alert alerts attribution backtest blacklist calendar cancel chain close config confirm correlation drill "
    "drop earnings explain fills flow greeks halt heatmap hedge help iv journal kill log_trade mandate ml news next note open "
    "optimize pair pause plan pnl positions quote readiness regime reprice resume review risk roll scan search_journal "
    "sectors settings size snooze status streak stress tax to unhalt vix whatif wheel why".split()
)
HERE = plugins.names("commands")


def load(name: str) -> Command:
    command: Command = plugins.load("commands", name).COMMAND
    return command


def test_table_when_joined_with_the_planned_ones_then_is_what_was_promised() -> None:
    assert set(HERE) | set(planned()) == PROMISED


def test_planned_when_a_file_exists_then_its_line_is_gone() -> None:
    assert not set(HERE) & set(planned())
    assert all(planned().values())


@pytest.mark.parametrize("name", HERE)
def test_command_when_its_example_is_parsed_then_comes_back_the_same(name: str) -> None:
    command = load(name)
    assert command.examples
    for example in command.examples:
        words = split_line(example)
        args = parse_args(command, words[1:])
        again = split_line(format_call(command, args))
        assert words[0] == name
        assert parse_args(command, again[1:]) == args


@pytest.mark.parametrize("name", HERE)
def test_command_when_read_then_has_a_line_of_help(name: str) -> None:
    assert load(name).help.endswith(".")


def test_access_when_listed_then_is_the_one_promised() -> None:
    bare = {name: load(name).access_for({}) for name in HERE}
    reads = "status positions pnl fills greeks why iv quote chain settings config account explain help next to vix risk alerts pair".split()
    assert {name for name in HERE if bare[name] is Access.READ} == set(reads)
    assert {name for name in HERE if bare[name] is Access.DRAFT} == {"open", "close", "reprice", "size", "note", "log_trade"}
    assert {name for name in HERE if bare[name] is Access.REDUCE} == {"drop", "pause", "halt", "kill", "ack", "snooze"}
    assert {name for name in HERE if bare[name] is Access.COMMIT} == {"confirm", "cancel", "resume", "mandate"}
    assert {name for name in HERE if bare[name] is Access.STEPUP} == {"unhalt"}


def test_glossary_when_an_alias_is_given_then_its_term_is_explained() -> None:
    assert set(ALIASES.values()) <= set(TERMS)


@pytest.mark.parametrize("term", [term for term, (_, line) in TERMS.items() if line])
def test_glossary_when_a_term_shows_ones_own_figure_then_the_line_parses(term: str) -> None:
    words = split_line(TERMS[term][1])
    parse_args(load(words[0]), words[1:])
