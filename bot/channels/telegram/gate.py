"""Who may speak, and what counts as their own words. A number that Telegram vouches for is a person; a name or a forwarded text is not.

Both the person and the chat must be right: a private chat is with that person alone, a group is the configured one (and its topic).
"""

from __future__ import annotations

from dataclasses import dataclass

from telegram import Chat, Message, Update, User

from bot.channels.telegram.place import Place

NOT_YOUR_WORDS = "That is not a command: {what}. Nothing was done; type it yourself if you mean it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A chat the desk may talk in."""

    chat_id: int
    topic: int | None
    private: bool

    @property
    def address(self) -> str:
        """As the outbox and the buttons name it."""
        return str(self.chat_id) if self.topic is None else f"{self.chat_id}/{self.topic}"


def where_of(address: str) -> Where:
    """The chat of an address."""
    chat, _, topic = address.partition("/")
    return Where(chat_id=int(chat), topic=int(topic) if topic else None, private=not chat.startswith("-"))


def identity_of(user: User | None) -> str | None:
    """What a person is known by; None for bots, channels and nobody."""
    return None if user is None or user.is_bot else f"telegram:{user.id}"


def place_of(message: Message, user: User | None, place: Place) -> Where | None:
    """The chat of a message, where the desk may talk in it and a person (no channel, no anonymous admin) wrote it."""
    if user is None or message.sender_chat is not None:
        return None
    return _where(message.chat, user, message.message_thread_id if message.is_topic_message else None, place)


def press_place(update: Update, place: Place) -> Where | None:
    """The chat of the card that was pressed; None for an inline message and for a chat the desk does not talk in."""
    query = update.callback_query
    if query is None or query.message is None:
        return None
    message = query.message
    topic = message.message_thread_id if isinstance(message, Message) and message.is_topic_message else None
    where = _where(message.chat, query.from_user, topic, place)
    if where is None and not isinstance(message, Message) and message.chat.id == place.group:  # too old a card to say its topic
        return Where(chat_id=message.chat.id, topic=place.topic, private=False)
    return where


def _where(chat: Chat, user: User, topic: int | None, place: Place) -> Where | None:
    if chat.type == Chat.PRIVATE:
        return Where(chat_id=chat.id, topic=None, private=True) if chat.id == user.id else None
    if place.group is None or chat.id != place.group or (place.topic is not None and topic != place.topic):
        return None
    return Where(chat_id=chat.id, topic=place.topic, private=False)


def not_own_words(message: Message) -> str | None:
    """Why a message is not what its sender says, None where it is."""
    if message.forward_origin is not None or message.is_automatic_forward:
        return "it was forwarded"
    if message.via_bot is not None:
        return "another bot wrote it"
    if message.quote is not None or message.external_reply is not None:
        return "it quotes something"
    return None


def words_of(message: Message, username: str) -> str | None:
    """The typed words, without `@` and this bot's name after a command; None where another bot is meant or nothing was typed."""
    text = message.text or ""
    first, space, rest = text.partition(" ")
    if not first.startswith("/") or "@" not in first:
        return text or None
    command, _, name = first.partition("@")
    return f"{command}{space}{rest}" if name.lower() == username.lower() else None
