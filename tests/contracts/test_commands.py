"""What every command owes: a name, help, examples that parse, a typed line that reads back, an access class from its arguments."""

from __future__ import annotations

import re

import pytest

from core import plugins
from core.command import Access, Command, Kind, Via, format_call, parse_args, split_line
from core.commands._planned import planned
from core.dispatch import command_of
from core.errors import UserError
from tests.paper_desk import call, open_desk

COMMANDS: list[Command] = [plugins.load("commands", name).COMMAND for name in plugins.names("commands")]
EXAMPLES = [(command, line) for command in COMMANDS for line in command.examples]
every = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
# The access classes of the command table, for the rows whose class does not depend on arguments.
TABLE = {
    "status": Access.READ, "positions": Access.READ, "pnl": Access.READ, "fills": Access.READ, "greeks": Access.READ, "why": Access.READ,
    "quote": Access.READ, "chain": Access.READ, "config": Access.READ, "explain": Access.READ, "help": Access.READ,
    "vix": Access.READ, "risk": Access.READ, "alerts": Access.READ, "log_trade": Access.DRAFT,
    "open": Access.DRAFT, "close": Access.DRAFT, "reprice": Access.DRAFT, "size": Access.DRAFT, "note": Access.DRAFT,
    "ack": Access.REDUCE, "drop": Access.REDUCE, "pause": Access.REDUCE, "halt": Access.REDUCE, "kill": Access.REDUCE,
    "snooze": Access.REDUCE, "mandate": Access.COMMIT,
    "confirm": Access.COMMIT, "cancel": Access.COMMIT, "resume": Access.COMMIT, "unhalt": Access.STEPUP,
}


@every
def test_command_when_read_then_name_help_and_examples_are_there(command: Command):
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,31}", command.name)
    assert command.help.strip().endswith(".") and command.examples
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,31}", parameter.name) and parameter.help for parameter in command.parameters)
    assert len({parameter.name for parameter in command.parameters}) == len(command.parameters)
    assert all(parameter.choices for parameter in command.parameters if parameter.kind is Kind.CHOICE)


@every
def test_command_when_found_by_name_then_it_is_not_also_planned(command: Command):
    assert command_of(command.name) is command
    assert command.name not in planned()


@pytest.mark.parametrize(("command", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_example_when_parsed_then_its_call_line_reads_back_alike(command: Command, line: str):
    name, *words = split_line(line)
    args = parse_args(command, words)

    written = split_line(format_call(command, args))

    assert name == command.name
    assert written[0] == command.name and parse_args(command, written[1:]) == args


@every
def test_command_when_a_parameter_is_unknown_then_refuses_with_what_it_takes(command: Command):
    if command.parameters and any(parameter.kind is Kind.TEXT for parameter in command.parameters):
        assert parse_args(command, split_line(command.examples[0])[1:]) is not None  # free text may hold anything
        return
    with pytest.raises(UserError, match="no parameter 'colour'"):
        parse_args(command, ["colour=blue"])


@every
def test_command_when_a_required_parameter_is_missing_then_it_is_named(command: Command):
    required = [parameter.name for parameter in command.parameters if parameter.required]
    if not required:
        assert parse_args(command, []) == {}
        return
    with pytest.raises(UserError, match=required[0]):
        parse_args(command, [])


@pytest.mark.parametrize(("name", "access"), TABLE.items())
def test_access_when_the_table_names_one_then_the_command_has_it(name: str, access: Access):
    command = command_of(name)

    assert command.access_for(parse_args(command, split_line(command.examples[0])[1:])) is access


@every
@pytest.mark.parametrize("via", [Via.MODEL, Via.SENTENCE, Via.CLOCK])
async def test_c2_command_when_it_commits_then_no_model_sentence_or_clock_runs_it(command: Command, via: Via):
    args = parse_args(command, split_line(command.examples[0])[1:])
    if command.access_for(args) < Access.COMMIT:
        assert command.access_for(args) in (Access.READ, Access.DRAFT, Access.REDUCE)
        return
    desk = await open_desk()
    before = desk.fold.seq

    reply = await call(desk, command.name, args, via=via)

    assert not reply.ok
    assert desk.fold.seq == before
