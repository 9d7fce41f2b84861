"""The command menu beside the typing field, from the command table: everything for who may do everything, questions for who may look.

Strangers see no menu: the commands of the default scope are taken away.
"""

from __future__ import annotations

from collections.abc import Sequence

from telegram import Bot, BotCommand, BotCommandScopeChat, BotCommandScopeDefault
from telegram.error import TelegramError

from core import plugins
from core.command import Access, Command, Role
from core.desk import Desk

FIRST = tuple("status positions pnl risk open close alerts quote chain why pause halt kill resume help".split())
LONGEST = 256  # characters of a description


def commands_for(role: Role) -> list[BotCommand]:
    """The commands of the table that a role may use, the everyday ones first."""
    table: list[Command] = [plugins.load("commands", name).COMMAND for name in plugins.names("commands")]
    mine = [one for one in table if role in one.roles and (role is not Role.VIEWER or one.access_for({}) is Access.READ)]
    mine.sort(key=lambda one: (FIRST.index(one.name) if one.name in FIRST else len(FIRST), one.name))
    return [BotCommand(one.name, one.help[:LONGEST]) for one in mine]


async def set_menus(desk: Desk, bot: Bot, chats: Sequence[tuple[int, Role]]) -> None:
    """The menu of each chat. Where Telegram takes none the chat works without."""
    try:
        await bot.delete_my_commands(scope=BotCommandScopeDefault())
        for chat_id, role in chats:
            menu = await desk.runtime.in_thread(commands_for, role)  # it loads every command there is
            await bot.set_my_commands(menu, scope=BotCommandScopeChat(chat_id))
    except TelegramError as error:
        desk.report("telegram menu", error)
