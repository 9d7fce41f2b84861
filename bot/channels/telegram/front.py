"""The Telegram channel as a whole: starts and stops the client inside this loop, and delivers what the outbox gives it.

The desk never waits for Telegram: where the server cannot be reached at the start, that is tried in the background. One bot is read by one
program; where another one reads it too, this one stops reading and says so, and goes on sending.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from telegram import Update
from telegram.error import Conflict, InvalidToken, TelegramError
from telegram.ext import Application, ContextTypes, TypeHandler, Updater
from telegram.request import HTTPXRequest

from bot.auth import Person, Pins, person_of
from bot.channels.telegram.gate import Where, where_of
from bot.channels.telegram.inbox import Inbox, PollingBot
from bot.channels.telegram.menu import set_menus
from bot.channels.telegram.pace import Pace
from bot.channels.telegram.place import Place
from bot.channels.telegram.sending import Sender
from bot.channels.telegram.strangers import Strangers
from bot.channels.telegram.talk import Talk
from bot.outbox import Letter, Outbox, Refused
from bot.session import Shown
from core.clock import SystemClock
from core.command import Role
from core.desk import Desk
from core.logs import Level
from core.people import OWNER
from core.reply import Notice, Tone

NAME = "telegram"
POLL_SECONDS = 25
AT_ONCE = 256  # updates in hand
YOUNG_SECONDS, YOUNG_CONFLICTS = 60.0, 2  # who began later gives way; one alone may be the poll of a process that died a moment ago
LONG_SECONDS, CONFLICTS = 600.0, 10  # where that does not help, an older one gives up as well
RECONNECT_SECONDS = 2.0
STOP_SECONDS = 4.0
LETTERS = 500  # whose buttons are remembered, so that a second copy has the same
TAKEN = (
    "Another program reads this bot's messages (409 Conflict), so this desk stopped reading them; it still sends. Stop the other one, or "
    "give one of them a bot of its own, and start again."
)
WRONG_TOKEN = "Telegram does not know this token. @BotFather gives a new one; put it in place of the old and start again."
ALLOWED = ["message", "edited_message", "callback_query", "my_chat_member"]


class TelegramFront:
    """One bot."""

    def __init__(
        self, desk: Desk, place: Place, *, pins: Pins, outbox: Outbox, say: Callable[[str], object], pace: Pace | None = None,
        wall: Callable[[], datetime] | None = None, poll_seconds: int = POLL_SECONDS,
    ) -> None:
        self._desk = desk
        self._place = place
        self._say = say
        self._poll_seconds = poll_seconds
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it writes addresses, which hold the token
        desk.redaction.add(place.token)
        loopback = place.base_url.split("//", 1)[1].startswith(("127.0.0.1", "localhost", "[::1]"))
        plain: dict[str, Any] = {"trust_env": False} if loopback else {}
        self._inbox = Inbox(desk, wall=wall or SystemClock().now)
        self._bot = PollingBot(
            place.token, base_url=f"{place.base_url}/bot", base_file_url=f"{place.base_url}/file/bot",
            request=HTTPXRequest(connection_pool_size=32, httpx_kwargs=plain),
            get_updates_request=HTTPXRequest(connection_pool_size=2, read_timeout=poll_seconds + 10, httpx_kwargs=plain),
            rate_limiter=pace or Pace(desk.runtime), inbox=self._inbox, seconds=desk.runtime.seconds,
        )
        self._sender = Sender(desk, self._bot)
        self._talk = Talk(
            desk, place=place, pins=pins, outbox=outbox, inbox=self._inbox, sender=self._sender, strangers=Strangers(desk, outbox),
            welcome=self._welcomed,
        )
        self._shown: OrderedDict[str, Shown] = OrderedDict()
        self._ready = desk.runtime.event()
        self._application: Any = None
        self._connecting: Any = None
        self._began = 0.0
        self._conflicts: list[float] = []

    @property
    def name(self) -> str:
        """As letters and identities name it."""
        return NAME

    def __repr__(self) -> str:
        return f"TelegramFront({self._place!r})"

    # --- life ------------------------------------------------------------------------------------------------------------

    async def start(self) -> Sequence[str]:
        """Begin to connect, in the background; where nobody is paired yet, the code that makes the owner."""
        self._began = self._desk.runtime.seconds()
        self._connecting = self._desk.runtime.spawn(self._connect(), name="telegram")
        if self._desk.people.identities(NAME, Role.OWNER):
            return ()
        code = await self._desk.people.invite(OWNER, Role.OWNER, by=OWNER, now=self._desk.now())
        return (f"[!] Telegram: send `/start {code}` to your bot, and that account is yours here. The code works once, for 24 hours.",)

    async def stop(self) -> None:
        """Take nothing in any more; what was taken in is answered, or is there at the next start."""
        self._ready.clear()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._application is not None:
            try:
                await self._desk.runtime.wait_for(self._close(), STOP_SECONDS)
            except (TimeoutError, TelegramError) as error:
                self._desk.logs.write(Level.WARNING, "telegram stopped in the midst of something", why=type(error).__name__)

    async def _close(self) -> None:
        application, self._application = self._application, None
        if application.updater.running:
            await application.updater.stop()
        if application.running:
            await application.stop()
        await application.shutdown()
        await self._bot.shutdown()  # also where it never came to know itself

    async def _connect(self) -> None:
        """Reach the server, however long that takes, then read on."""
        updater = Updater(self._bot, self._inbox)
        application = Application.builder().updater(updater).job_queue(None).concurrent_updates(AT_ONCE).build()
        application.add_handler(TypeHandler(Update, self._arrived))
        self._application = application
        told = False
        while True:
            try:
                await application.initialize()
                break
            except InvalidToken:
                self._tell_here(WRONG_TOKEN)
                return
            except TelegramError as error:
                if not told:
                    self._tell_here(f"Telegram cannot be reached ({type(error).__name__}); it is tried again until it can.")
                told = True
                await self._desk.runtime.sleep(RECONNECT_SECONDS)
        self._talk.username = self._bot.username
        await application.start()
        for update in await self._inbox.left_over(self._bot):
            self._inbox.put_nowait(update)
        self._ready.set()
        if told:
            self._tell_here("Telegram is reached now.")
        await updater.start_polling(
            timeout=self._poll_seconds, bootstrap_retries=-1, allowed_updates=ALLOWED, error_callback=self._polling_failed
        )
        await self._menus()

    def _polling_failed(self, error: TelegramError) -> None:
        """Called by the client, which goes on trying by itself."""
        if isinstance(error, InvalidToken):
            self._tell_here(WRONG_TOKEN)
        if not isinstance(error, Conflict):
            self._desk.log(Level.WARNING, "telegram polling", why=type(error).__name__)
            return
        now = self._desk.runtime.seconds()
        self._conflicts = [at for at in self._conflicts if now - at < LONG_SECONDS] + [now]
        if len(self._conflicts) >= (YOUNG_CONFLICTS if now - self._began < YOUNG_SECONDS else CONFLICTS):
            self._desk.runtime.spawn(self._give_way(), name="telegram gives way")

    async def _give_way(self) -> None:
        if self._application is not None and self._application.updater.running:
            self._tell_here(TAKEN)
            await self._application.updater.stop()

    def _tell_here(self, words: str) -> None:
        self._desk.log(Level.ERROR, "telegram", why=words)
        self._say(f"[!] {self._desk.redaction.redact(words)}\n")

    # --- in --------------------------------------------------------------------------------------------------------------

    async def _arrived(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        try:
            await self._talk.handle(update)
        except TelegramError as error:  # the answer did not get there; what was asked for is done, and `status` tells
            self._desk.log(Level.WARNING, "answer not delivered", why=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - one update's bug never stops the others
            self._desk.report("telegram", error)
        finally:
            await self._inbox.done(update)

    def _welcomed(self, where: Where, person: Person) -> None:
        self._desk.runtime.spawn(self._menus(), name="telegram menu")

    async def _menus(self) -> None:
        chats = [(int(one.identity.partition(":")[2]), one.role) for one in self._desk.people.identities(NAME)]
        if self._place.group is not None:
            chats.append((self._place.group, Role.VIEWER))
        await set_menus(self._desk, self._bot, chats)

    # --- out -------------------------------------------------------------------------------------------------------------

    def addresses(self) -> Sequence[str]:
        """The private chats of who may trade. A group hears answers alone: strangers may read along there."""
        return tuple(one.identity.partition(":")[2] for one in self._desk.people.identities(NAME) if one.role is not Role.VIEWER)

    async def deliver(self, address: str, letter: Letter) -> None:
        """Show a letter; a copy of one that may have arrived carries the very same buttons."""
        await self._ready.wait()
        where, person = where_of(address), person_of(self._desk.people, f"{NAME}:{address}")
        if person is None:
            raise Refused("nobody is paired there any more")
        shown = self._shown.get(letter.key)
        if shown is None:
            reply = letter.news.reply
            if letter.again:
                told = Notice(text=f"Told {letter.again + 1} times and not answered yet.", tone=Tone.WARNING)
                reply = replace(reply, blocks=(told, *reply.blocks))
            shown = self._shown[letter.key] = await self._talk.session(person, where).tell(reply)
            while len(self._shown) > LETTERS:
                self._shown.popitem(last=False)
        await self._sender.news(where, shown, person=person.id, silent=not letter.rings)
