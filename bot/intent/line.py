"""Typed commands: one line becomes one call. What is not understood gets two or three suggestions, never a guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core import plugins
from core.command import Command, parse_args, split_line
from core.commands._planned import planned
from core.dispatch import command_of
from core.errors import UserError
from core.lanes import STOPS

LONGEST_LINE = 4_000
SUGGESTIONS = 3
_FEW_LETTERS = 60.0  # below this likeness a suggestion would be noise
COMMON = ("help", "status", "positions")
STOPPING = ("halt", "kill", "status")
ALARMED = frozenset("stop panic abort emergency flatten freeze".split())  # what a person types who wants things to end at once
GREETINGS = frozenset("hello hi hey start thanks help? menu ?".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A line that names a command with arguments that fit."""

    command: Command
    args: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """A line that names no command, with lines the person may have meant."""

    text: str
    suggestions: tuple[str, ...]


def parse(text: str) -> Typed | Unclear:
    """Read a typed line. Raises UserError where the command is clear and its arguments are not."""
    if len(text) > LONGEST_LINE:
        raise UserError(f"That is {len(text):,} characters; a line may have {LONGEST_LINE:,}.", "Nothing of it was read.")
    if any(not character.isprintable() and character != "\t" for character in text):
        raise UserError("That line holds characters that cannot be seen.", "Type it again; nothing of it was read.")
    words = split_line(text)
    if not words:
        return Unclear(text=text, suggestions=COMMON)
    name = words[0].lower()
    if name not in plugins.names("commands") and name not in planned():
        return Unclear(text=text, suggestions=suggest(text, name))
    command = command_of(name)
    try:
        return Typed(command=command, args=parse_args(command, words[1:]))
    except UserError as error:
        if name in STOPS:  # somebody in a hurry must not take this for done
            raise UserError(f"{error} Nothing was stopped.", f"Type `{name}` alone.") from error
        raise


def suggest(text: str, word: str) -> tuple[str, ...]:
    """Up to three commands that look like what was typed; where nothing does, the ones to begin with. Never one that trades."""
    if word.strip("!.,") in ALARMED:
        return STOPPING
    if word in GREETINGS or len(word) < 2:
        return COMMON
    from rapidfuzz import fuzz, process  # only where something was not understood

    names = [name for name in plugins.names("commands") if name != "confirm"]
    near = process.extract(word, names, scorer=fuzz.WRatio, limit=SUGGESTIONS, score_cutoff=_FEW_LETTERS)
    found = [name for name, _, _ in near]
    inside = [name for name in names if name in text.lower().split() and name not in found]
    return tuple((inside + found)[:SUGGESTIONS]) or COMMON
