"""The conversation behind the page: what was said and answered, the same for every open tab, kept over a restart.

Whatever changes is pushed to the open pages under a rising number, so that one that lost its connection gets what it missed.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from bot.auth import PIN_FORM, Person, Pins
from bot.buttons import Buttons, hash_of
from bot.channels.web import pages
from bot.channels.web.view import Attachments, View, view_of
from bot.outbox import Letter
from bot.render import clean, value_text
from bot.session import Session, Shown, without_pin
from core.announce import Urgency
from core.command import Caller, Via
from core.desk import Desk
from core.dispatch import badge, stamped
from core.domain.events import Mode
from core.errors import DeskError, UserError
from core.ports import Delete, Put
from core.reply import Action, Format, Reply, Text, refusal

CHAT = "web"
PIECES = "web page"  # the pieces' own place among the conversations kept: what the parser remembers of this chat stands under its name
KEPT = 60  # pieces of the conversation on a page, and over a restart
PAGES = 4  # a browser opens six connections to one place: with more streams than this a press would find none
WAITING = 200  # changes a page may be behind before it has to begin anew
STATE_SECONDS = 5.0
HIDDEN = "••••"
LONGEST_SAID = 2_000
REMEMBERED = 1_000
Answering = Callable[[], AbstractAsyncContextManager[Callable[[Collection[int]], None]]]
LOUD = frozenset({Urgency.HIGH, Urgency.CRITICAL})


@dataclass(slots=True, kw_only=True)
class Pressable:
    """A button on the page."""

    label: str
    style: str
    token: str
    pressed: bool = False


@dataclass(slots=True, kw_only=True)
class Piece:
    """One piece of the conversation: said by the person, answered, or told unasked."""

    number: int
    kind: str  # said | answer | news
    done: asyncio.Event
    view: View = field(default_factory=dict)
    buttons: list[Pressable] = field(default_factory=list)
    attached: Attachments = field(default_factory=Attachments)
    loud: bool = False
    key: str = ""  # of the letter it shows
    version: int = 0
    html: str = ""


class Page:
    """An open page: what it has to be told next, None at its end."""

    def __init__(self, queue: asyncio.Queue[tuple[str, str, Any] | None]) -> None:
        self._queue = queue
        self.behind = False

    def tell(self, event: str, mark: str, data: Any) -> None:
        """Give it news; one that takes none any more is ended and begins anew."""
        if self._queue.full():
            self.behind = True
        if not self.behind:
            self._queue.put_nowait((event, mark, data))

    def end(self) -> None:
        """No more news."""
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def next(self) -> tuple[str, str, Any] | None:
        """The next event with its mark and data."""
        return None if self.behind else await self._queue.get()


class Room:
    """One person's conversation on the web."""

    def __init__(self, desk: Desk, *, person: Person, pins: Pins | None, answering: Answering) -> None:
        """`answering` holds news while an answer is on its way, and drops what the answer tells."""
        self._desk = desk
        self._person = person
        self._answering = answering
        self._session = Session(desk, person=person, chat=CHAT, pins=pins)
        self._stored = Buttons(desk.archive, desk.runtime.entropy)
        self._boot = desk.runtime.entropy.nonce()
        self._pieces: deque[Piece] = deque(maxlen=KEPT)
        self._pages: list[Page] = []
        self._version = 0
        self._next = 1
        self._heard_names: OrderedDict[str, Piece] = OrderedDict()  # messages that came already

    async def open(self) -> None:
        """Take up the conversation where it was."""
        await self._restore()
        if not self._pieces:
            await self._put(await self._session.tell(self._welcome()))
        self._desk.runtime.spawn(self._tick_for_ever(), name="web state")

    def close(self) -> None:
        """End every open page."""
        for page in self._pages:
            page.end()
        self._pages.clear()

    # --- pages ---------------------------------------------------------------------------------------------------------

    @property
    def mark(self) -> str:
        """How far the conversation has come."""
        return f"{self._boot}:{self._version}"

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The recent conversation."""
        return tuple(self._pieces)

    def piece(self, number: int) -> Piece | None:
        """A piece by its number."""
        return next((piece for piece in self._pieces if piece.number == number), None)

    def join(self, mark: str) -> Page:
        """A page that knows the conversation up to `mark`: it is told the rest, or all of it where the desk was started again since."""
        if len(self._pages) >= PAGES:
            oldest = self._pages.pop(0)
            oldest.tell("moved", self.mark, {})
            oldest.end()
        page = Page(self._desk.runtime.queue(WAITING))
        self._pages.append(page)
        boot, _, version = mark.partition(":")
        page.tell("state", self.mark, self.state())
        if boot != self._boot or not version.isdecimal() or len(version) > 12:
            page.tell("reset", self.mark, {"html": [piece.html for piece in self._pieces]})
        else:
            for piece in self._pieces:
                if piece.version > int(version):
                    page.tell("piece", self.mark, _told(piece))
        return page

    def leave(self, page: Page) -> None:
        """A page that is gone."""
        if page in self._pages:
            self._pages.remove(page)

    def state(self) -> View:
        """What stands over every page: PAPER, LIVE, HALTED, the desk's time, and whether a PIN is awaited."""
        caller = self._caller()
        try:
            account = self._desk.account(caller).id
            mode, live = self._desk.mode(account=account)[0], account.env.value == "live"
        except (UserError, KeyError):
            mode, live = self._desk.mode()[0], False
        at = self._desk.now()
        tone = "calm" if mode is Mode.ACTIVE else "halted" if mode is Mode.HALT else "careful"
        return {
            "badge": badge(self._desk, caller), "tone": tone, "live": live, "when": value_text(at, Format.TEXT), "at": at.isoformat(),
            "secret": self._session.expects_secret,
        }

    def _caller(self) -> Caller:
        return Caller(person=self._person.id, via=Via.LINE, role=self._person.role, chat=CHAT)

    # --- in ------------------------------------------------------------------------------------------------------------

    def say(self, text: str, name: str) -> Piece:
        """Take in what was typed; the answer's place is there at once. Raises UserError where too much comes."""
        known = self._heard_names.get(name)
        if known is not None:
            return known
        self._desk.lanes.admit(self._session.lane(text), CHAT)
        secret = self._session.expects_secret or PIN_FORM.fullmatch(text.strip()) is not None
        shown = HIDDEN if secret else clean(self._desk.redaction.redact(without_pin(text.strip())))
        shown = shown if len(shown) <= LONGEST_SAID else f"{shown[:LONGEST_SAID]}..."
        return self._begin(_said(shown, press=False), name, lambda: self._session.hear(text, name))

    def press(self, token: str, name: str) -> Piece:
        """Take in a press. A second press while the first is at work waits for the same answer."""
        known = self._heard_names.get(name) or self._heard_names.get(f"press {hash_of(token)}")
        if known is not None and (name in self._heard_names or not known.done.is_set()):
            return known
        self._desk.lanes.admit(self._session.lane_of_press(token), CHAT)
        found = next(((piece, button) for piece in self._pieces for button in piece.buttons if button.token == token), None)
        label = "a button" if found is None else found[1].label
        answer = self._begin(_said(clean(label), press=True), name, lambda: self._session.push(token, name))
        self._heard_names[f"press {hash_of(token)}"] = answer
        if found is not None:
            found[1].pressed = True
            self._changed(found[0])
            self._keep_later(found[0])
        return answer

    def _begin(self, said: View, name: str, work: Callable[[], Awaitable[Shown]]) -> Piece:
        mine = self._add(Piece(number=self._number(), kind="said", done=self._desk.runtime.event(), view=said))
        mine.done.set()
        answer = self._add(Piece(number=self._number(), kind="answer", done=self._desk.runtime.event()))
        self._heard_names[name] = answer
        while len(self._heard_names) > REMEMBERED:
            self._heard_names.popitem(last=False)
        self._keep_later(mine)
        self._desk.runtime.spawn(self._answer(answer, work), name="web answer")
        return answer

    async def _answer(self, answer: Piece, work: Callable[[], Awaitable[Shown]]) -> None:
        async with self._answering() as said:
            shown = await self._outcome(work)
            said(shown.reply.cites)
            self._fill(answer, shown)
        answer.done.set()
        self._tell_state()
        await self._keep(answer)

    async def _outcome(self, work: Callable[[], Awaitable[Shown]]) -> Shown:
        try:
            return await work()
        except Exception as error:  # noqa: BLE001 - a page must not wait for ever; the trace goes to the log
            identity = self._desk.report("web", error)
            return Shown(reply=refusal(f"Something went wrong on our side ({identity}). `status` says what is on its way."))

    # --- news ----------------------------------------------------------------------------------------------------------

    async def tell(self, letter: Letter) -> None:
        """Show news. A copy of what is shown already changes nothing."""
        if any(piece.key == letter.key for piece in self._pieces):
            return
        shown = await self._session.tell(letter.news.reply)
        await self._put(shown, loud=letter.news.urgency in LOUD, key=letter.key)
        self._tell_state()

    def _welcome(self) -> Reply:
        """What stands on an empty page: a first trade to try, which sends nothing until it is confirmed."""
        first = f"open put_credit_spread {self._desk.first_symbol()}"
        words = (
            "Type below, or press a button. A first guided paper trade: you get a card with every figure, and nothing is sent until you "
            "confirm it. Each answer ends with the command it stands for."
        )
        actions = (
            Action(label="First guided trade", line=first, style="primary"), Action(label="Positions", line="positions"),
            Action(label="What else", line="help"),
        )
        return Reply(blocks=(Text(text=words),), actions=actions)

    async def _tick_for_ever(self) -> None:
        while True:
            await self._desk.runtime.sleep(STATE_SECONDS)
            self._tell_state()

    def _tell_state(self) -> None:
        self._tell_all("state", self.state())

    def _tell_all(self, event: str, data: Any) -> None:
        for page in self._pages:
            page.tell(event, self.mark, data)
            if page.behind:
                page.end()
        self._pages = [page for page in self._pages if not page.behind]

    # --- pieces --------------------------------------------------------------------------------------------------------

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _add(self, piece: Piece) -> Piece:
        self._changed(piece)  # one that cannot be drawn is none
        self._pieces.append(piece)
        return piece

    async def _put(self, shown: Shown, *, loud: bool = False, key: str = "") -> None:
        piece = Piece(number=self._number(), kind="news", done=self._desk.runtime.event(), loud=loud, key=key)
        piece.done.set()
        self._pieces.append(piece)
        self._fill(piece, replace(shown, reply=stamped(self._desk, shown.reply, self._caller())))
        await self._keep(piece)

    def _fill(self, piece: Piece, shown: Shown) -> None:
        piece.view, piece.attached = view_of(shown.reply)
        piece.buttons = [Pressable(label=clean(one.label), style=one.style, token=one.token) for one in shown.buttons]
        self._changed(piece)

    def _changed(self, piece: Piece) -> None:
        self._version += 1
        piece.version = self._version
        piece.html = pages.html("entry", piece=piece)
        self._tell_all("piece", _told(piece))

    # --- over a restart --------------------------------------------------------------------------------------------------

    def _keep_later(self, piece: Piece) -> None:
        self._desk.runtime.spawn(self._keep(piece), name="web conversation")

    async def _keep(self, piece: Piece) -> None:
        """Write a piece down: its texts, and of its buttons the hashes."""
        buttons = [
            {"label": one.label, "style": one.style, "hash": hash_of(one.token), "pressed": one.pressed} for one in piece.buttons
        ]
        row = {
            "id": _row_id(piece.number), "person": self._person.id, "chat": PIECES, "at": self._desk.now().isoformat(), "role": piece.kind,
            "text": json.dumps({"view": piece.view, "loud": piece.loud, "key": piece.key}), "call": json.dumps(buttons),
        }
        old = [Delete(table="conversations", where={"id": _row_id(piece.number - KEPT)})] if piece.number > KEPT else []
        try:
            await self._desk.archive.write([Put(table="conversations", row=row), *old])
        except DeskError as error:  # the page shows it all the same
            self._desk.runtime.report("web conversation", error)

    async def _restore(self) -> None:
        where = {"person": self._person.id, "chat": PIECES}
        rows = await self._desk.archive.select("conversations", where=where, order_by="id", descending=True, limit=KEPT)
        for row in reversed(rows):
            try:
                kept, buttons = json.loads(str(row["text"])), json.loads(str(row["call"]))
                piece = Piece(
                    number=int(str(row["id"]).rpartition("-")[2]), kind=str(row["role"]), done=self._desk.runtime.event(),
                    view=kept["view"], loud=kept["loud"], key=kept["key"], buttons=await self._renewed(buttons),
                )
                self._add(piece)
            except (ValueError, KeyError, TypeError, pages.TemplateError) as error:
                self._desk.runtime.report("web conversation", DeskError(f"a piece of the conversation cannot be read: {error}"))
                continue
            piece.done.set()
            self._next = piece.number + 1

    async def _renewed(self, buttons: list[dict[str, Any]]) -> list[Pressable]:
        """Buttons of before the restart under new tokens; one that is too old is gone."""
        tokens = [await self._stored.renew(one["hash"], now=self._desk.now()) for one in buttons]
        return [
            Pressable(label=one["label"], style=one["style"], token=token, pressed=one["pressed"])
            for one, token in zip(buttons, tokens, strict=True) if token is not None
        ]


def _said(text: str, *, press: bool) -> View:
    return {"text": [{"code": False, "text": text}], "press": press}


def _told(piece: Piece) -> View:
    return {"id": f"piece-{piece.number}", "html": piece.html, "loud": piece.loud and piece.kind == "news"}


def _row_id(number: int) -> str:
    return f"{CHAT}-{number:012d}"
