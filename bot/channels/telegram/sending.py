"""Putting a reply into a chat: one message where it fits, pages one at a time where it does not, pictures and documents after it.

Which page is shown is in the button, what the pages are is remembered for a while; afterwards, and after a restart, a question is asked
again. Only what merely answers is paged so: a card's pages are sent one after another, with its buttons under the last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, InputFile, LinkPreviewOptions
from telegram.constants import ParseMode
from telegram.error import BadRequest, Forbidden, NetworkError, RetryAfter, TelegramError

from bot.buttons import Button, Buttons
from bot.channels.telegram.gate import Where
from bot.channels.telegram.pace import ANSWER, NEWS, ONCE, seconds_of
from bot.channels.telegram.pages import LONGEST_DATA, Pages, caption_of, cut_html, label_of, plain, to_pages
from bot.intent.line import Typed, parse
from bot.outbox import Blocked, Later, Refused
from bot.session import Shown
from core.command import Access
from core.desk import Desk
from core.errors import DeskError, UserError
from core.logs import Level
from core.reply import Action, Chart, File, Reply

REMEMBERED = 100  # answers whose pages are kept
SENDS = 3  # attempts where the connection fails
AGAIN_SECONDS = 1.0
IN_A_ROW = 2
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid", "there is no text in the message", "message to be")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """An answer that is being read page by page."""

    person: str
    pages: Pages
    buttons: tuple[Button, ...]
    token: str


class Sender:
    """Everything that goes out over one bot."""

    def __init__(self, desk: Desk, bot: Bot) -> None:
        self._desk = desk
        self._bot = bot
        self._buttons = Buttons(desk.archive, desk.runtime.entropy)
        self._books: OrderedDict[str, Book] = OrderedDict()

    async def answer(self, where: Where, shown: Shown, *, person: str, edit: int | None = None, page: int = 0) -> None:
        """Show an answer to a person, in place of the message `edit` where one is given, opened at a page."""
        await self._show(where, shown, person=person, edit=edit, weight=ANSWER, silent=True, page=page)

    async def news(self, where: Where, shown: Shown, *, person: str, silent: bool) -> None:
        """Show news; raises what the outbox understands."""
        try:
            await self._show(where, shown, person=person, edit=None, weight=NEWS + ONCE, silent=silent)
        except RetryAfter as error:
            raise Later(seconds_of(error)) from error
        except Forbidden as error:
            raise Blocked(str(error)) from error
        except BadRequest as error:
            raise (Blocked if "chat not found" in str(error).lower() else Refused)(str(error)) from error

    async def turn(self, where: Where, data: str, *, person: str, edit: int) -> bool:
        """Turn to a page (`p:2:token`) or send the table as a document (`c:token`); False where the answer is no longer remembered."""
        kind, *rest = data.split(":")
        book = self._books.get(rest[-1]) if rest else None
        if book is None:
            return False
        if book.person != person:
            raise UserError("That answer is not yours; nothing was done.", "Ask for it yourself.")
        if kind == "c":
            await self._documents(where, book.pages.tables)
            return True
        await self._page(where, book, min(int(rest[0]), len(book.pages.pages) - 1), edit=edit)
        return True

    async def documents(self, where: Where, reply: Reply) -> None:
        """The long tables of an answer, for a spreadsheet."""
        await self._documents(where, to_pages(reply).tables)

    async def note(self, where: Where, html: str) -> int:
        """A short message of the channel's own; returns its number, to be edited later."""
        return await self._text(where, html, None, edit=None, weight=ANSWER, silent=True)

    async def acknowledge(self, query_id: str, text: str = "") -> None:
        """Stop the button's waiting sign. Too late is no error: the ticket decides, not the sign."""
        try:
            await self._bot.answer_callback_query(query_id, text=text or None)
        except TelegramError as error:
            self._desk.log(Level.DEBUG, "press not acknowledged", why=type(error).__name__)

    async def forget(self, where: Where, message_id: int) -> None:
        """Take a person's message out of the chat where Telegram lets us; it held a PIN."""
        try:
            await self._bot.delete_message(where.chat_id, message_id)
        except TelegramError as error:
            self._desk.report("a message with a PIN could not be deleted", DeskError(type(error).__name__))

    # --- inside ----------------------------------------------------------------------------------------------------------

    async def _show(
        self, where: Where, shown: Shown, *, person: str, edit: int | None, weight: int, silent: bool, page: int = 0
    ) -> None:
        found = to_pages(shown.reply)
        many = len(found.pages) > 1
        if (many or found.tables) and _only_answers(shown.reply.command):
            book = await self._book(where, found, shown, person)
            await self._page(where, book, min(page, len(found.pages) - 1), edit=edit, weight=weight, silent=silent)
        else:
            for number, html in enumerate(found.pages):
                last = number == len(found.pages) - 1
                markup = _keyboard(shown.buttons) if last else None
                await self._text(where, html, markup, edit=edit if number == 0 else None, weight=weight, silent=silent)
        for chart in found.charts:
            await self._photo(where, chart, weight=weight)
        await self._documents(where, found.files, weight=weight)

    async def _book(self, where: Where, found: Pages, shown: Shown, person: str) -> Book:
        again = Reply(blocks=(), actions=(Action(label="page", line=shown.reply.command),))
        chat = f"telegram:{where.address}"
        [button] = await self._buttons.issue(again, person=person, chat=chat, now=self._desk.now())
        book = self._books[button.token] = Book(person=person, pages=found, buttons=shown.buttons, token=button.token)
        while len(self._books) > REMEMBERED:
            self._books.popitem(last=False)
        return book

    async def _page(
        self, where: Where, book: Book, number: int, *, edit: int | None = None, weight: int = ANSWER, silent: bool = True
    ) -> None:
        last = len(book.pages.pages) - 1
        row = []
        if number > 0:
            row.append(InlineKeyboardButton(f"◀ {number}/{last + 1}", callback_data=f"p:{number - 1}:{book.token}"))
        if number < last:
            row.append(InlineKeyboardButton(f"{number + 2}/{last + 1} ▶", callback_data=f"p:{number + 1}:{book.token}"))
        if book.pages.tables:
            row.append(InlineKeyboardButton("CSV", callback_data=f"c:{book.token}"))
        await self._text(where, book.pages.pages[number], _keyboard(book.buttons, row), edit=edit, weight=weight, silent=silent)

    async def _text(
        self, where: Where, html: str, markup: InlineKeyboardMarkup | None, *, edit: int | None, weight: int, silent: bool
    ) -> int:
        for attempt in range(1, SENDS + 1):
            try:
                return await self._once(where, html, markup, edit=edit, weight=weight, silent=silent)
            except BadRequest as error:
                said = str(error).lower()
                if "not modified" in said:
                    return edit or 0
                if edit is not None and any(words in said for words in _GONE):
                    edit = None  # the message is gone or too old: the answer comes as a new one
                elif "parse entities" in said:
                    return await self._once(where, plain(html), markup, edit=edit, weight=weight, silent=silent, parse=None)
                else:
                    raise
            except NetworkError:
                if attempt == SENDS or weight >= ONCE:
                    raise
                await self._desk.runtime.sleep(AGAIN_SECONDS * attempt)
        raise DeskError("the message could not be put into the chat")

    async def _once(
        self, where: Where, html: str, markup: InlineKeyboardMarkup | None, *, edit: int | None, weight: int, silent: bool,
        parse: str | None = ParseMode.HTML,
    ) -> int:
        text = cut_html(html, 4_096)
        if edit is not None:
            await self._bot.edit_message_text(
                text, chat_id=where.chat_id, message_id=edit, parse_mode=parse, reply_markup=markup, link_preview_options=NO_PREVIEW,
                rate_limit_args=weight,  # type: ignore[call-arg]
            )
            return edit
        sent = await self._bot.send_message(
            where.chat_id, text, message_thread_id=where.topic, parse_mode=parse, reply_markup=markup, link_preview_options=NO_PREVIEW,
            disable_notification=silent, rate_limit_args=weight,  # type: ignore[call-arg]
        )
        return sent.message_id

    async def _photo(self, where: Where, chart: Chart, *, weight: int) -> None:
        from bot.charts import png  # draws with a library that takes a while to load

        picture = await self._desk.runtime.in_thread(partial(png, chart, dark=False))
        await self._bot.send_photo(
            where.chat_id, InputFile(picture, filename="chart.png"), caption=caption_of(chart), parse_mode=ParseMode.HTML,
            message_thread_id=where.topic, disable_notification=True, rate_limit_args=weight,  # type: ignore[call-arg]
        )

    async def _documents(self, where: Where, files: Sequence[File], *, weight: int = ANSWER) -> None:
        for file in files:
            await self._bot.send_document(
                where.chat_id, InputFile(file.content, filename=file.name), message_thread_id=where.topic, disable_notification=True,
                rate_limit_args=weight,  # type: ignore[call-arg]
            )


def _keyboard(buttons: Sequence[Button], last: Sequence[InlineKeyboardButton] = ()) -> InlineKeyboardMarkup | None:
    """Two buttons in a row, each with its stored token; the row that turns pages comes last."""
    made = [InlineKeyboardButton(label_of(button), callback_data=button.token) for button in buttons]
    rows = [made[start : start + IN_A_ROW] for start in range(0, len(made), IN_A_ROW)]
    if last:
        rows.append([*last])
    if any(len(str(button.callback_data).encode()) > LONGEST_DATA for row in rows for button in row):
        raise DeskError("a button's token is longer than Telegram takes")
    return InlineKeyboardMarkup(rows) if rows else None


def _only_answers(line: str) -> bool:
    """Whether a line may be asked again for its next page: it reads and changes nothing."""
    try:
        read = parse(line)
    except UserError:
        return False
    return isinstance(read, Typed) and read.command.access_for(read.args) is Access.READ
