"""A card the clock drew, told in a chat: it is the very card on record, counts as shown there, and is pressed like any other."""

from __future__ import annotations

from dataclasses import replace

from bot.auth import Person
from bot.session import Session, Shown
from core.command import Role
from core.desk import Desk
from core.domain.encoding import digest
from core.orders.exit_loop import BY_CLOCK
from core.orders.exit_view import look_over
from core.orders.ticket import draft
from core.reply import Action, Notice, Reply
from tests.paper_desk import open_desk, say, text

OWNER = Person(id="owner", role=Role.OWNER)
TRADER = Person(id="trader", role=Role.TRADER)
SNOOZE = Action(label="Snooze 1 h", line="snooze P1.profit_target for=1h")


async def told(desk: Desk) -> Reply:
    """An announcement with a ready ticket that closes the one open trade."""
    card = await say(desk, "open put_credit_spread XSP 1")
    await say(desk, f"confirm {card.data['ticket']}")
    (one,) = await look_over(desk)
    intent = one.intent("profit is 50%")
    assert intent is not None
    ready = await draft(desk, intent, BY_CLOCK, lead="profit is 50%.")
    name = str(ready.data["ticket"])
    desk.keep_card(name, ready)
    assert desk.fold.tickets[name].shown == ()
    return Reply(blocks=(Notice(text="profit is 50%."),), actions=(SNOOZE,), data={"ticket": name})


def token(shown: Shown, label: str) -> str:
    return next(button.token for button in shown.buttons if button.label == label)


async def test_card_when_told_then_it_is_the_one_on_record_and_counts_as_shown() -> None:
    desk = await open_desk()
    news = await told(desk)
    shown = await Session(desk, person=OWNER, chat="phone").tell(news)
    ticket = desk.fold.tickets[str(news.data["ticket"])]
    assert digest(shown.reply.blocks) == ticket.drafted.card_hash
    assert ticket.shown == ("phone",)
    labels = [button.label for button in shown.buttons]
    assert (labels[0], labels[-1]) == ("Confirm", "Snooze 1 h")


async def test_card_when_pressed_in_the_chat_it_was_told_in_then_sent() -> None:
    desk = await open_desk()
    news = await told(desk)
    chat = Session(desk, person=TRADER, chat="phone")
    shown = await chat.tell(news)
    reply = await chat.press(token(shown, "Confirm"))
    assert reply.ok and reply.data["state"] == "filled"


async def test_c3_card_when_told_elsewhere_then_another_persons_chat_may_not_confirm_it() -> None:
    desk = await open_desk()
    news = await told(desk)
    await Session(desk, person=OWNER, chat="phone").tell(news)
    reply = await Session(desk, person=TRADER, chat="desk").message(f"confirm {news.data['ticket']}")
    assert not reply.ok and "was never shown in this chat" in text(reply)


async def test_card_when_it_was_forgotten_then_a_button_draws_it_anew() -> None:
    desk = await open_desk()
    news = await told(desk)
    desk.cards.clear()
    shown = await Session(desk, person=OWNER, chat="phone").tell(news)
    assert shown.reply.blocks == news.blocks
    assert [button.label for button in shown.buttons] == ["Close it", "Snooze 1 h"]
    assert desk.fold.tickets[str(news.data["ticket"])].shown == ()


async def test_card_when_another_one_is_kept_under_its_name_then_it_is_not_shown() -> None:
    desk = await open_desk()
    news = await told(desk)
    name = str(news.data["ticket"])
    desk.cards[name] = replace(desk.cards[name], blocks=(Notice(text="something else"),))
    shown = await Session(desk, person=OWNER, chat="phone").tell(news)
    assert "Confirm" not in [button.label for button in shown.buttons]
