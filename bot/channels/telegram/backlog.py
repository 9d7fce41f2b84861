"""What came while nobody listened. Nothing of it acts but what stops things; one message for each chat says what there was, with a button
for each line that may still be wanted. Presses are not repeated: the card itself, where it lives, still has its button.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bot.auth import Person
from bot.buttons import Buttons
from bot.channels.telegram.gate import Where
from bot.channels.telegram.sending import Sender
from bot.intent.line import Typed, parse
from bot.session import Session, without_pin
from core.command import Kind, repeated
from core.desk import Desk
from core.dispatch import ONLY_ON_ITS_CARD
from core.errors import DeskError, UserError
from core.lanes import Lane, lane_of
from core.reply import Action, Notice, Reply, Text, Tone

QUIET_SECONDS = 1.0  # after the last of them the summary goes
OFFERED = 5
LONGEST_LABEL = 32


@dataclass(slots=True)
class _Missed:
    where: Where
    person: Person
    lines: list[str] = field(default_factory=list)  # the last of them
    messages: int = 0
    presses: int = 0
    last: float = 0.0


class Backlog:
    """What is to be said about an absence, chat by chat."""

    def __init__(self, desk: Desk, session: Callable[[Person, Where], Session], sender: Sender) -> None:
        self._desk = desk
        self._session = session
        self._sender = sender
        self._buttons = Buttons(desk.archive, desk.runtime.entropy)
        self._missed: dict[tuple[str, str], _Missed] = {}

    def message(self, where: Where, person: Person, text: str) -> None:
        """A line that came late."""
        missed = self._of(where, person)
        missed.messages += 1
        missed.lines = [*missed.lines, without_pin(text)][-OFFERED:]

    def press(self, where: Where, person: Person) -> None:
        """A press that came late."""
        self._of(where, person).presses += 1

    async def stops(self, token: str) -> bool:
        """Whether a late press is one that stops things: that is never too late."""
        try:
            stored = await self._buttons.find(token)
        except DeskError:
            return False  # the press is told as not done
        return stored is not None and lane_of(stored.line) is Lane.STOP

    def _of(self, where: Where, person: Person) -> _Missed:
        key = (person.id, where.address)
        found = self._missed.get(key)
        if found is None:
            found = self._missed[key] = _Missed(where, person)
            self._desk.runtime.spawn(self._say(key), name="telegram backlog")
        found.last = self._desk.runtime.seconds()
        return found

    async def _say(self, key: tuple[str, str]) -> None:
        missed = self._missed[key]
        while (left := missed.last + QUIET_SECONDS - self._desk.runtime.seconds()) > 0:
            await self._desk.runtime.sleep(left)
        del self._missed[key]
        shown = await self._session(missed.person, missed.where).tell(_summary(missed))
        await self._sender.answer(missed.where, shown, person=missed.person.id)


def _summary(missed: _Missed) -> Reply:
    counted = [_count(missed.messages, "message", "messages"), _count(missed.presses, "press of a button", "presses of buttons")]
    came = " and ".join(text for text in counted if text)
    blocks: list[Notice | Text] = [Notice(text=f"While the desk was away came {came}. Nothing of it was done.", tone=Tone.WARNING)]
    actions = tuple(action for line in missed.lines if (action := _offer(line)) is not None)
    again = [repeated(line) for line in missed.lines if _offer(line) is None]
    if actions:
        last = f"The last {OFFERED}: press" if missed.messages > OFFERED else "Press"
        blocks.append(Text(text=f"{last} what you still want."))
    if again:
        blocks.append(Text(text=f"Say again, if you still mean it: {', '.join(again)}."))
    if missed.presses:
        blocks.append(Text(text="A card that is still open can be pressed again; a fresh one comes with `reprice`."))
    return Reply(blocks=tuple(blocks), actions=actions)


def _offer(line: str) -> Action | None:
    """A button for a typed command; none for a sentence, and none for what only its own card may do."""
    try:
        read = parse(line)
    except UserError:
        return None
    if not isinstance(read, Typed) or read.command.name in ONLY_ON_ITS_CARD:
        return None
    secret = {parameter.name for parameter in read.command.parameters if parameter.kind is Kind.SECRET}
    if secret & read.args.keys():
        return None
    label = line.strip().removeprefix("/")
    return Action(label=label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…", line=label, once=True)


def _count(number: int, one: str, many: str) -> str:
    return "" if not number else f"1 {one}" if number == 1 else f"{number:,} {many}"
