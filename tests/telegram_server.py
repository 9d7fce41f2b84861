"""A small Bot API server on loopback that holds a client to the documented limits and answers with the documented errors.

Texts up to 4,096 and captions up to 1,024 UTF-16 units after the marks are read, only the tags Telegram knows and closed in order, button
data of 1 to 64 bytes; one message a second into a chat (a burst of three is taken) and twenty a minute into a group, else 429; one
program that polls, else 409; an edit that changes nothing is 400; who blocked the bot is 403. Seconds run `speed` times as fast as outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl

TOKEN = "123456789:AAF-this_is_a_token_of_the_tests_only"
BOT = {"id": 123456789, "is_bot": True, "first_name": "Desk", "username": "desk_of_tests_bot"}
PATIENCE_SECONDS = 5.0
KNOWN_TAGS = frozenset("b i u s code pre a strong em ins del tg-spoiler blockquote".split())


class Fault(Exception):
    """An answer of the Bot API that is no success."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters


@dataclass
class Sent:
    """A message of the bot as it stands now."""

    id: int
    chat: int
    text: str
    html: str
    buttons: list[tuple[str, str]]
    topic: int | None = None
    silent: bool = False
    edits: int = 0
    kind: str = "text"
    file: bytes = b""

    def data(self, label: str) -> str:
        """What the button of that label carries."""
        return next(data for found, data in self.buttons if found.removeprefix("⚠ ") == label)


@dataclass
class TelegramServer:
    """Its chats, what waits for the bot, and how it misbehaves: `faults` are used up one by one for the method they name."""

    speed: float = 50.0
    chats: dict[int, list[Sent]] = field(default_factory=dict)
    deleted: list[tuple[int, int]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    menus: dict[str, list[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, Any]] = field(default_factory=list)
    blocked: set[int] = field(default_factory=set)
    url: str = ""

    def __post_init__(self) -> None:
        self.updates: list[dict[str, Any]] = []
        self._numbers = itertools.count(1_000)
        self._messages = itertools.count(1)
        self._arrived = asyncio.Event()
        self._changed = asyncio.Event()
        self._polling: asyncio.Event | None = None
        self._open_queries: dict[str, float] = {}
        self._connections: set[asyncio.StreamWriter] = set()
        self._given: set[int] = set()
        self._stamps: dict[int, list[float]] = {}

    # --- what people do --------------------------------------------------------------------------------------------------

    def write(self, user: int, text: str | None, *, chat: int | None = None, age: float = 0.0, **more: Any) -> dict[str, Any]:
        """Somebody writes; `more` are fields of the message (forward_origin, via_bot, sender_chat ...)."""
        message: dict[str, Any] = {
            "message_id": next(self._messages), "date": int(time.time() - age), "chat": _chat(chat or user), "from": _user(user), **more,
        }
        if text is not None:
            message["text"] = text
        if (chat or user) < 0 and "message_thread_id" in more:
            message["is_topic_message"] = True
        return self.put({"message": message})

    def press(self, user: int, sent: Sent, label: str, *, query: str | None = None, data: str | None = None) -> dict[str, Any]:
        """Somebody presses a button of a message."""
        name = query or f"q{next(self._numbers)}"
        self._open_queries[name] = time.monotonic()
        message: dict[str, Any] = {
            "message_id": sent.id, "date": int(time.time()), "chat": _chat(sent.chat), "from": BOT, "text": sent.text,
        }
        if sent.topic is not None:
            message |= {"message_thread_id": sent.topic, "is_topic_message": True}
        pressed = {"id": name, "from": _user(user), "chat_instance": "1", "message": message, "data": data or sent.data(label)}
        return self.put({"callback_query": pressed})

    def put(self, update: dict[str, Any], *, number: int | None = None) -> dict[str, Any]:
        """Let an update wait for the bot, under a new number."""
        found = {**update, "update_id": number if number is not None else next(self._numbers)}
        self.updates.append(found)
        self._arrived.set()
        return found

    def close_queries(self) -> None:
        """All presses so far are too old to be acknowledged."""
        self._open_queries.clear()

    async def until(self, found: Callable[[], Any]) -> Any:
        """What `found` gives, once it gives something."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (value := found()):
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.02)
        return value

    async def called(self) -> None:
        """Return with the next request that is answered."""
        self._changed.clear()
        await self._changed.wait()

    async def last(self, chat: int, words: str) -> Sent:
        """The newest message of a chat that says so."""
        found: Sent = await self.until(lambda: next((one for one in reversed(self.chats.get(chat, [])) if words in one.text), None))
        return found

    def texts(self, chat: int) -> list[str]:
        """Everything the bot said in a chat, as it stands."""
        return [one.text for one in self.chats.get(chat, [])]

    # --- the API ---------------------------------------------------------------------------------------------------------

    async def call(self, token: str, method: str, fields: dict[str, Any]) -> Any:
        """One request; raises Fault for every answer that is no success."""
        if token != TOKEN:
            raise Fault(401, "Unauthorized")
        self.calls.append(method)
        fault = next((one for one in self.faults if one[0] == method), None)
        if fault is not None:
            self.faults.remove(fault)
            if isinstance(fault[1], Exception) and not isinstance(fault[1], Lost):
                raise fault[1]
        result = await getattr(self, f"_{method}")(fields)
        self._changed.set()
        if fault is not None:
            raise fault[1]
        return result

    async def _getMe(self, fields: dict[str, Any]) -> Any:
        return {**BOT, "can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}

    async def _deleteWebhook(self, fields: dict[str, Any]) -> Any:
        return True

    async def _deleteMyCommands(self, fields: dict[str, Any]) -> Any:
        self.menus.pop(json.dumps(fields.get("scope")), None)
        return True

    async def _setMyCommands(self, fields: dict[str, Any]) -> Any:
        commands = fields["commands"]
        if len(commands) > 100 or any(not 1 <= len(one["command"]) <= 32 or not 1 <= len(one["description"]) <= 256 for one in commands):
            raise Fault(400, "Bad Request: BOT_COMMAND_INVALID")
        self.menus[str(fields["scope"].get("chat_id"))] = [one["command"] for one in commands]
        return True

    async def _getUpdates(self, fields: dict[str, Any]) -> Any:
        if self._polling is not None:
            self._polling.set()
        mine = self._polling = asyncio.Event()
        offset = int(fields.get("offset", 0))
        self.updates = [one for one in self.updates if one["update_id"] not in self._given or one["update_id"] >= offset]
        until = time.monotonic() + float(fields.get("timeout", 0))
        while not self.updates and time.monotonic() < until:
            self._arrived.clear()
            waits = [asyncio.ensure_future(self._arrived.wait()), asyncio.ensure_future(mine.wait())]
            await asyncio.wait(waits, timeout=until - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            for one in waits:
                one.cancel()
            if mine.is_set():
                raise Fault(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
        if self._polling is mine:
            self._polling = None
        found = self.updates[: int(fields.get("limit", 100))]
        self._given.update(one["update_id"] for one in found)
        return found

    async def _sendMessage(self, fields: dict[str, Any]) -> Any:
        text, chat = self._checked(fields, "text", 4_096), self._may_send(fields)
        sent = Sent(
            id=next(self._messages), chat=chat, text=text, html=fields["text"], buttons=_buttons(fields),
            topic=fields.get("message_thread_id"), silent=bool(fields.get("disable_notification")),
        )
        self.chats.setdefault(chat, []).append(sent)
        return _as_message(sent)

    async def _editMessageText(self, fields: dict[str, Any]) -> Any:
        text, chat = self._checked(fields, "text", 4_096), self._may_send(fields)
        found = next((one for one in self.chats.get(chat, []) if one.id == int(fields["message_id"])), None)
        if found is None:
            raise Fault(400, "Bad Request: message to edit not found")
        buttons = _buttons(fields)
        if (found.html, found.buttons) == (fields["text"], buttons):
            raise Fault(400, "Bad Request: message is not modified: specified new message content and reply markup are exactly the same")
        found.text, found.html, found.buttons, found.edits = text, fields["text"], buttons, found.edits + 1
        return _as_message(found)

    async def _sendPhoto(self, fields: dict[str, Any]) -> Any:
        return await self._file(fields, "photo")

    async def _sendDocument(self, fields: dict[str, Any]) -> Any:
        return await self._file(fields, "document")

    async def _file(self, fields: dict[str, Any], kind: str) -> Any:
        caption = self._checked(fields, "caption", 1_024) if fields.get("caption") else ""
        chat = self._may_send(fields)
        content = next(value for value in fields.values() if isinstance(value, bytes))
        sent = Sent(id=next(self._messages), chat=chat, text=caption, html=caption, buttons=[], kind=kind, file=content)
        self.chats.setdefault(chat, []).append(sent)
        return _as_message(sent)

    async def _deleteMessage(self, fields: dict[str, Any]) -> Any:
        self.deleted.append((int(fields["chat_id"]), int(fields["message_id"])))
        return True

    async def _answerCallbackQuery(self, fields: dict[str, Any]) -> Any:
        if self._open_queries.pop(fields["callback_query_id"], None) is None:
            raise Fault(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self.acknowledged.append(fields["callback_query_id"])
        return True

    def _checked(self, fields: dict[str, Any], name: str, most: int) -> str:
        text = _shown(fields[name]) if fields.get("parse_mode") == "HTML" else fields[name]
        if not text.strip():
            raise Fault(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > most:
            raise Fault(400, f"Bad Request: message {'caption ' if name == 'caption' else ''}is too long")
        if any(not 1 <= len(data.encode()) <= 64 for _, data in _buttons(fields)):
            raise Fault(400, "Bad Request: BUTTON_DATA_INVALID")
        return text

    def _may_send(self, fields: dict[str, Any]) -> int:
        chat, now = int(fields["chat_id"]), time.monotonic() * self.speed
        if chat in self.blocked:
            raise Fault(403, "Forbidden: bot was blocked by the user")
        stamps = [at for at in self._stamps.get(chat, []) if now - at < 60]
        lately = [at for at in stamps if now - at < 3]
        if (chat < 0 and len(stamps) >= 20) or len(lately) >= 5:
            raise Fault(429, "Too Many Requests: retry after 1", retry_after=1)
        self._stamps[chat] = [*stamps, now]
        return chat

    # --- HTTP ------------------------------------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept open as long as the client likes."""
        self._connections.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                request, *lines = head.split("\r\n")
                headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                path = request.split(" ")[1].split("?")[0]
                try:
                    code, answer = await self._respond(path, headers.get("content-type", ""), body)
                except Lost:
                    break  # it was done, and nobody will ever hear so
                text = json.dumps(answer).encode()
                writer.write(f"HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        writer.close()
        self._connections.discard(writer)

    async def hang_up(self) -> None:
        """Close every connection."""
        self._arrived.set()
        for writer in list(self._connections):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await asyncio.sleep(0)

    async def _respond(self, path: str, kind: str, body: bytes) -> tuple[int, dict[str, Any]]:
        token, _, method = path.removeprefix("/bot").partition("/")
        try:
            return 200, {"ok": True, "result": await self.call(token, method, _fields(kind, body))}
        except Fault as fault:
            self.refused.append((method, fault.description))
            plain: dict[str, Any] = {"ok": False, "error_code": fault.code, "description": fault.description}
            if fault.parameters:
                plain["parameters"] = fault.parameters
            return fault.code, plain


class Lost(Exception):
    """The request is carried out and the answer lost."""


@asynccontextmanager
async def telegram_server(*, speed: float = 50.0) -> AsyncIterator[TelegramServer]:
    """A server for the length of a test."""
    made = TelegramServer(speed=speed)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        listening.close()
        await made.hang_up()


class _Marks(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in KNOWN_TAGS:
            raise Fault(400, f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise Fault(400, "Bad Request: can't parse entities: Unexpected end tag")

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise Fault(400, "Bad Request: can't parse entities: Unclosed start tag")
        self.text.append(data)

    def handle_entityref(self, name: str) -> None:
        self.text.append({"lt": "<", "gt": ">", "amp": "&", "quot": '"'}.get(name, f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self.text.append(chr(int(name[1:], 16) if name[:1] in "xX" else int(name)))


def _shown(html: str) -> str:
    marks = _Marks()
    marks.feed(html)
    marks.close()
    if marks.open:
        raise Fault(400, f'Bad Request: can\'t parse entities: Can\'t find end tag corresponding to start tag "{marks.open[-1]}"')
    return "".join(marks.text)


def _fields(kind: str, body: bytes) -> dict[str, Any]:
    if kind.startswith("multipart/"):
        parsed = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=email.policy.HTTP)
        return {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True) if part.get_filename()
            else _value((part.get_payload(decode=True) or b"").decode()) for part in parsed.iter_parts()  # type: ignore[union-attr]
        }
    found = parse_qsl(body.decode(), keep_blank_values=True)
    return {name: text if name in ("text", "caption") else _value(text) for name, text in found}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _buttons(fields: dict[str, Any]) -> list[tuple[str, str]]:
    rows = (fields.get("reply_markup") or {}).get("inline_keyboard", [])
    return [(button["text"], button["callback_data"]) for row in rows for button in row]


def _as_message(sent: Sent) -> dict[str, Any]:
    return {"message_id": sent.id, "date": int(time.time()), "chat": _chat(sent.chat), "from": BOT, "text": sent.text}


def _chat(number: int) -> dict[str, Any]:
    return {"id": number, "type": "private", "first_name": "P"} if number > 0 else {"id": number, "type": "supergroup", "title": "Desk"}


def _user(number: int) -> dict[str, Any]:
    return {"id": number, "is_bot": False, "first_name": f"Person {number}", "username": "anna"}
