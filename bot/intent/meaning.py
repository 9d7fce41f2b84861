"""From what was typed to a call: an exact command as it stands, anything else as a sentence. What is no call is answered shortly.

An exact line is a person's own command; a sentence is only words, and what a sentence commits ends as a card with its button.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bot.intent import line
from bot.intent.frames import AMBIGUOUS, SMALLTALK, Frame
from bot.intent.line import Typed, Unclear
from core.command import ACCOUNT, Access, Kind, Via, format_value, read_value
from core.dispatch import call_line, command_of
from core.errors import UserError
from core.lanes import DECIDES, STOPS, Lane, lane_of
from core.reply import Action, Reply, Text

MOST_CHOICES = 4
LONGEST_WORD = 80  # letters; what is longer is no word of a sentence
# Words that stand in sentences and never in an exact command: with one of them "close my spy" is a sentence, not a symbol MY.
_TALK = frozenset(
    "my the a an it its half everything all that this those these of on for in please now me i you we "
    "out back up down off with from to at is are was do and or any some what how why when if then"
    " just only also can could would should our your them one two three position positions trade trades "
    "today tomorrow yesterday put puts call calls spread spreads condor condors strangle shares stock "
    "half quarter third".split()
)
BEYOND = (
    "That is nothing I can help with. I know your positions, P&L and risk, quotes and option chains; "
    "I draft trades to open and close, each with "
    "a card to confirm; and I stop everything when you say so."
)
HELLO = "Here and listening. Ask about positions, P&L or a quote, or say what to trade; `help` lists everything."


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """A call that was understood, and whether as an exact line or as a sentence."""

    typed: Typed
    via: Via


def meant(text: str, *, context: Sequence[Mapping[str, str]], today: date) -> Meant | Frame | Unclear:
    """What a text means. Raises UserError where it is an exact command with something wrong in it, or asks for what is not there yet."""
    problem: UserError | None = None
    exact: Typed | Unclear | None = None
    try:
        exact = line.parse(text)
    except UserError as error:
        problem = error
    if isinstance(exact, Typed) and not _strays(exact, text):
        return Meant(typed=exact, via=Via.LINE)
    unreadable = len(text) > line.LONGEST_LINE or not text.replace("\t", " ").isprintable()
    endless = max(map(len, text.split()), default=0) > LONGEST_WORD
    if endless and problem is None and exact is not None:
        return Meant(typed=exact, via=Via.LINE) if isinstance(exact, Typed) else exact
    if (problem is not None and "=" in text) or unreadable or endless:
        raise problem or UserError("That line holds characters that cannot be seen.", "Type it again; nothing of it was read.")
    from bot.intent.offline import parse  # only where it is no exact command

    frame = parse(text, context=() if problem is not None or isinstance(exact, Typed) else context, today=today)
    if isinstance(exact, Typed) and frame.ends and frame.label != AMBIGUOUS:
        return Meant(typed=exact, via=Via.LINE)
    if problem is not None and not _talks(text) and (frame.ends or frame.label not in STOPS):
        raise problem
    if problem is not None and frame.ends and frame.partial != _first(text):
        raise problem
    if isinstance(exact, Unclear) and frame.ends and frame.label != SMALLTALK and len(text.split()) <= 1:
        return exact  # one unknown word: the commands it looks like say more than a question
    return frame if frame.ends else Meant(typed=typed_of(frame), via=Via.SENTENCE)


def typed_of(frame: Frame) -> Typed:
    """The call of a frame. Raises UserError where its command is not there yet, or does not take what was said."""
    command = command_of(frame.label)
    known = {parameter.name: parameter for parameter in (*command.parameters, ACCOUNT)}
    args: dict[str, Any] = {}
    for name, value in frame.slots.items():
        parameter = known.get(name)
        if parameter is None:
            raise UserError(f"`{command.name}` does not take {name.replace('_', ' ')}.", f"`help {command.name}` shows what it takes.")
        words = format_value(tuple(value) if isinstance(value, list) else value)
        args[name] = read_value(parameter, words.replace(" ", "_") if parameter.kind is Kind.ID else words)
    return Typed(command=command, args=args)


def answer_to(frame: Frame, text: str, *, context: Sequence[Mapping[str, str]], today: date) -> Reply:
    """The reply to what is no command: a word back, what can be done instead, or one question with buttons where answers are few."""
    if frame.label == SMALLTALK:
        return Reply(blocks=(Text(text=HELLO),))
    if frame.label == AMBIGUOUS:
        asked = frame.question or "What would you like to know or do?"
        return Reply(blocks=(Text(text=asked),), actions=_choices(frame, text, asked, context, today), ok=False)
    actions = (Action(label="Status", line="status"), Action(label="Positions", line="positions"), Action(label="Help", line="help"))
    return Reply(blocks=(Text(text=BEYOND),), actions=actions, ok=False)


def _choices(frame: Frame, text: str, asked: str, context: Sequence[Mapping[str, str]], today: date) -> tuple[Action, ...]:
    """A button for each answer that makes the sentence whole; one that does not is left to be typed."""
    from bot.intent.offline import parse

    found: list[Action] = []
    for choice in frame.choices[:MOST_CHOICES]:
        turns = [*context, {"role": "user", "text": text}, {"role": "bot", "text": asked}]
        whole = parse(choice, context=turns, today=today)
        try:
            if not whole.ends:
                typed = typed_of(whole)
                found.append(Action(label=choice[:1].upper() + choice[1:], line=call_line(typed.command, typed.args)))
        except UserError:
            continue  # the command is not there yet: the question stands without that button
    return tuple(found)


def lane_meant(text: str) -> Lane:
    """The lane of a typed text: what stops goes first, in a sentence as in a command."""
    lane = lane_of(text)
    if lane is Lane.STOP or "=" in text or len(text) > line.LONGEST_LINE:
        return lane
    try:
        exact = line.parse(text)
    except UserError:
        exact = None
    if isinstance(exact, Typed) and not _strays(exact, text):
        return lane
    from bot.intent.offline import single

    label = single(text, date.min.replace(year=2000)).label
    return Lane.STOP if label in STOPS else Lane.DECIDE if label in DECIDES else lane


def changes_nothing(text: str) -> bool:
    """Whether a text that begins with no command is at most a question; what cannot be read is answered and changes nothing."""
    if len(text) > line.LONGEST_LINE:
        return True
    from bot.intent.offline import single

    frame = single(text, date.min.replace(year=2000))
    try:
        return frame.ends or command_of(frame.label).access_for(dict(frame.slots)) is Access.READ
    except UserError:
        return True


def _first(text: str) -> str:
    words = text.strip().removeprefix("/").split(maxsplit=1)
    return words[0].lower() if words else ""


def _strays(exact: Typed, text: str) -> bool:
    """Whether an exact reading took a word of talk for a symbol, an id or the beginning of a text."""
    if "=" in text:
        return False
    kinds = {parameter.name: parameter.kind for parameter in exact.command.parameters}
    taken = [str(value).lower().split() for name, value in exact.args.items() if kinds.get(name) in (Kind.SYMBOL, Kind.ID, Kind.TEXT)]
    return any(words and words[0].strip(",.!?") in _TALK for words in taken)


def _talks(text: str) -> bool:
    """Whether words that only sentences have stand in a line."""
    return "=" not in text and not _TALK.isdisjoint(word.strip(",.!?").lower() for word in text.split()[1:])
