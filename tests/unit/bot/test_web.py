"""The web page over real HTTP on loopback: who may come in, what is refused, and that every tab shows the same."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path

import httpx
import pytest

from bot.auth import Pins, local_owner, open_pins
from bot.buttons import Buttons, hash_of
from bot.channels.web import pages
from bot.channels.web.front import Web
from bot.channels.web.room import Piece, Room
from bot.channels.web.view import view_of
from bot.outbox import Letter, Outbox
from bot.render import render
from bot.session import Session
from core.announce import Announcement, Urgency
from core.config import Web as Place
from core.desk import Desk
from core.domain.events import Mode, ModeSet, Scope
from core.ports import Put
from core.reply import Action, Axis, Block, Chart, Column, Fact, File, Format, Panel, Reply, Series, Steps, Table, Text
from core.runtime import SystemRuntime
from tests.paper_desk import open_desk

PIN = "471100"
OPEN = "open put_credit_spread XSP 1"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@dataclass(kw_only=True)
class House:
    """A desk whose page is served."""

    desk: Desk
    front: Web
    printed: list[str]
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.front.link.partition("/enter/")[0]

    async def signed_in(self) -> Browser:
        client = httpx.AsyncClient(base_url=self.origin, headers={"origin": self.origin, "accept": "text/html"}, timeout=20)
        self.clients.append(client)
        entered = await client.get(self.front.link)
        assert entered.status_code == 200
        return Browser(client=client)


@dataclass(kw_only=True)
class Browser:
    """A browser without scripts: it sends forms, waits, and reads the page anew."""

    client: httpx.AsyncClient

    async def page(self) -> str:
        return (await self.client.get("/")).text

    async def form(self) -> str:
        found = re.search(r'name="form" value="([^"]+)"', await self.page())
        assert found
        return found.group(1)

    async def say(self, text: str, name: str = "1") -> str:
        """The page after the answer."""
        done = await self.client.post("/say", data={"form": await self.form(), "id": name, "text": text}, follow_redirects=True)
        assert done.status_code == 200, done.text
        return done.text

    async def press(self, token: str, name: str = "1") -> str:
        done = await self.client.post("/press", data={"form": await self.form(), "id": name, "token": token}, follow_redirects=True)
        assert done.status_code == 200, done.text
        return done.text


def button(page: str, label: str) -> str:
    """The token of the last button of that label."""
    return re.findall(rf'value="([^"]+)" class="[^"]*">{label}', page)[-1]


def orders(desk: Desk) -> int:
    return len(desk.book(desk.config.accounts[0].id).orders)


@asynccontextmanager
async def serving(desk: Desk, pins: Pins | None = None) -> AsyncIterator[House]:
    desk.config = replace(desk.config, web=Place(port=0))
    outbox, printed = Outbox(desk), []
    front = Web(desk, pins=pins, outbox=outbox, say=printed.append)
    outbox.join(front)
    await outbox.start()
    await front.start()
    house = House(desk=desk, front=front, printed=printed)
    failures: list[tuple[str, BaseException]] = []
    desk.runtime.on_failure = lambda name, error: failures.append((name, error))
    try:
        yield house
        assert failures == []
    finally:
        await desk.runtime.gather(*(client.aclose() for client in house.clients))
        await front.stop()
        await outbox.stop()
        await desk.runtime.aclose()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    pins = open_pins(tmp_path, SystemRuntime(), make=PIN, salt="00")[0]
    async with serving(await open_desk(), pins) as house:
        yield house


# --- who may come in -----------------------------------------------------------------------------------------------------


async def test_page_when_nobody_signed_in_then_shows_nothing_of_the_desk(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.origin) as client:
        answer = await client.get("/", headers={"accept": "text/html"})
    assert answer.status_code == 401
    assert "PAPER" not in answer.text
    assert "Open the link" in answer.text


async def test_link_when_used_then_signs_in_once_and_the_next_is_printed(house: House) -> None:
    first = house.front.link
    browser = await house.signed_in()
    assert "PAPER · SIMULATED" in await browser.page()
    assert house.front.link in house.printed[0]
    again = await browser.client.get(first)
    assert again.status_code == 403
    assert "set-cookie" not in again.headers


async def test_cookie_when_given_then_no_script_and_no_other_site_gets_it(house: House) -> None:
    async with httpx.AsyncClient() as client:
        cookie = (await client.get(house.front.link)).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


async def test_link_when_guessed_then_is_refused_and_guessing_is_slowed(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.origin) as client:
        answers = [(await client.get(f"/enter/{number}")).status_code for number in range(60)]
    assert answers[0] == 403
    assert answers[-1] == 429
    assert set(answers) == {403, 429}


async def test_sign_in_when_left_then_its_cookie_is_worth_nothing(house: House) -> None:
    browser = await house.signed_in()
    cookies = dict(browser.client.cookies)
    await browser.client.post("/leave", data={"form": await browser.form()})
    async with httpx.AsyncClient(base_url=house.origin, cookies=cookies) as client:
        assert (await client.get("/")).status_code == 401


async def test_host_when_a_foreign_name_points_here_then_nothing_is_answered(house: House) -> None:
    browser = await house.signed_in()
    names = ("evil.example", "127.0.0.1.evil.example", "evil.example:8765", "", "[", "desk.example.org", "127.0.0.1@evil.example")
    answers = [await browser.client.get("/", headers={"host": name}) for name in names]
    assert {answer.status_code for answer in answers} == {421}
    assert "PAPER" not in "".join(answer.text for answer in answers)


async def test_form_when_from_another_origin_then_nothing_is_done(house: House) -> None:
    browser = await house.signed_in()
    fields = {"form": await browser.form(), "id": "1", "text": "halt"}
    del browser.client.headers["origin"]
    origins = [{}, *({"origin": origin} for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "", "file://"))]
    answers = [(await browser.client.post("/say", data=fields, headers=origin)).status_code for origin in origins]
    assert answers == [403] * 6
    assert house.desk.mode()[0] is Mode.ACTIVE


async def test_form_when_a_browser_says_it_comes_from_elsewhere_then_nothing_is_done(house: House) -> None:
    browser = await house.signed_in()
    fields = {"form": await browser.form(), "id": "1", "text": "halt"}
    answer = await browser.client.post("/say", data=fields, headers={"sec-fetch-site": "same-site"})
    assert answer.status_code == 403
    assert house.desk.mode()[0] is Mode.ACTIVE


async def test_form_when_its_token_is_missing_or_wrong_then_nothing_is_done(house: House) -> None:
    browser = await house.signed_in()
    forms = [{}, *({"form": form} for form in ("", "0" * 64, "é"))]
    answers = [(await browser.client.post("/say", data={**form, "id": "1", "text": "halt"})).status_code for form in forms]
    assert answers == [403] * 4
    assert house.desk.mode()[0] is Mode.ACTIVE


async def test_form_when_of_another_sign_in_then_nothing_is_done(house: House) -> None:
    mine, other = await house.signed_in(), await house.signed_in()
    answer = await mine.client.post("/say", data={"form": await other.form(), "id": "1", "text": "halt"})
    assert answer.status_code == 403


async def test_form_when_no_form_or_endless_then_is_refused_in_words(house: House) -> None:
    browser = await house.signed_in()
    form = await browser.form()
    as_json = await browser.client.post("/say", json={"form": form, "text": "halt"})
    endless = await browser.client.post("/say", data={"form": form, "text": "x" * 70_000})
    assert (as_json.status_code, endless.status_code) == (415, 413)
    assert "nothing was done" in endless.text


async def test_address_when_not_of_the_page_then_is_not_there(house: House) -> None:
    browser = await house.signed_in()
    paths = ("/static/../site.py", "/static/%2e%2e%2fsite.py", "/static/site.py", "/docs", "/openapi.json", "/chart/99/0/light.png")
    assert [(await browser.client.get(path)).status_code for path in paths] == [404] * 6


async def test_address_when_not_signed_in_then_tells_nothing(house: House) -> None:
    paths = ("/", "/stream", "/chart/1/0/light.png", "/file/1/0")
    async with httpx.AsyncClient(base_url=house.origin) as client:
        assert [(await client.get(path)).status_code for path in paths] == [401] * 4


async def test_page_when_served_then_runs_no_script_but_its_own(house: House) -> None:
    browser = await house.signed_in()
    answer = await browser.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert re.findall(r"<script[^>]*>", answer.text) == ['<script src="/static/chat.js" defer>']
    assert not re.findall(r"\son\w+=|style=|javascript:", answer.text)


# --- talking -------------------------------------------------------------------------------------------------------------


async def test_chat_when_asked_then_the_answer_stands_on_the_page(house: House) -> None:
    browser = await house.signed_in()
    page = await browser.say("positions")
    assert "No open positions in practice." in page
    assert "10:00 ET" in page


async def test_card_when_confirmed_twice_at_once_then_one_order_is_sent(house: House) -> None:
    browser = await house.signed_in()
    token = button(await browser.say(OPEN), "Confirm")
    form = await browser.form()
    presses = [{"form": form, "id": name, "token": token} for name in ("a", "b")]
    await house.desk.runtime.gather(*(browser.client.post("/press", data=press) for press in presses))
    later = await browser.press(token, "c")
    assert orders(house.desk) == 1
    assert "already" in later


async def test_message_when_sent_twice_under_one_name_then_is_done_once(house: House) -> None:
    browser = await house.signed_in()
    await browser.say("note hello", "same")
    page = await browser.say("note hello", "same")
    assert [note.text for note in house.desk.fold.notes] == ["hello"]
    assert page.count("Noted: hello") == 1


async def test_k2_pin_when_typed_then_is_nowhere_on_the_page_and_nowhere_kept(house: House) -> None:
    browser = await house.signed_in()
    await browser.say("halt")
    asked = await browser.say("unhalt", "2")
    assert 'type="password"' in asked
    await browser.say(f"unhalt pin={PIN}1", "3")
    await browser.say("unhalt", "4")
    page = await browser.say(PIN, "5")
    assert house.desk.mode()[0] is Mode.ACTIVE
    assert 'type="text"' in page
    assert PIN not in page
    rows = await house.desk.archive.select("conversations")
    assert len([row for row in rows if row["chat"] == "web page"]) > 8
    assert PIN not in str(rows)


async def test_a8_text_when_it_holds_markup_then_the_page_shows_it_as_text(house: House) -> None:
    browser = await house.signed_in()
    lines = (HOSTILE, f"note {HOSTILE}", f'note "{HOSTILE}" symbol=SPY', f"help topic={HOSTILE}", f"`{HOSTILE}`")
    page = [await browser.say(line, line) for line in lines][-1]
    assert page.count("&lt;script&gt;") > len(lines)
    assert "<script>alert" not in page
    assert "<img src=x" not in page


async def test_a8_news_when_it_holds_markup_then_the_page_shows_it_as_text(house: House) -> None:
    browser = await house.signed_in()
    mode = ModeSet(scope=Scope(), mode=Mode.HALT, cause="x", reason=f"{HOSTILE}\u202e\x1b[31m")
    await house.desk.record(house.desk.draft(mode, actor="desk"))
    page = await browser.say("positions")
    assert "&lt;img src=x" in page
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page


async def test_l1_halt_when_questions_flood_then_is_done_at_once(house: House) -> None:
    browser = await house.signed_in()
    form = await browser.form()
    fields = [{"form": form, "id": str(number), "text": "positions"} for number in range(60)]
    answers = [await browser.client.post("/say", data=one, headers={"accept": "application/json"}) for one in fields]
    halt = await browser.client.post("/say", data={"form": form, "id": "halt", "text": "halt"})
    assert {answer.status_code for answer in answers} == {202, 429}
    assert "nothing was done" in answers[-1].text
    assert halt.status_code == 303
    assert house.desk.mode()[0] is Mode.HALT


async def test_state_when_halted_then_every_page_says_so(house: House) -> None:
    browser = await house.signed_in()
    page = await browser.say("halt")
    assert '<p id="badge" role="status">PAPER · HALTED · SIMULATED</p>' in page
    assert 'data-tone="halted"' in page


@pytest.mark.parametrize(
    "line", [OPEN, "open iron_condor SPY 5000", "positions", "account", "risk", "help", "status", "explain delta", "nonsense"]
)
async def test_answer_when_shown_on_the_page_then_says_every_word_and_figure_of_the_terminal(line: str) -> None:
    desk = await open_desk()
    reply = await Session(desk, person=local_owner(), chat="web").message(line)
    view, attached = view_of(reply)
    piece = Piece(number=1, kind="answer", done=desk.runtime.event(), view=view, attached=attached)

    words = unescape(re.sub(r"<[^>]+>", " ", pages.html("entry", piece=piece)))

    assert set(re.findall(r"[\w.,%+/-]*\w", render(reply).replace("`", " "))) - set(re.findall(r"[\w.,%+/-]*\w", words)) <= {"x", "ok", "i"}


# --- tabs ----------------------------------------------------------------------------------------------------------------


async def told(lines: AsyncIterator[str], event: str, words: str) -> dict[str, object]:
    """The next event of a stream of that kind whose data holds these words."""
    kind = ""
    async with asyncio.timeout(10):
        async for line in lines:
            kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
            if line.startswith("data: ") and kind == event and words in line:
                found: dict[str, object] = json.loads(line.removeprefix("data: "))
                return found
    raise AssertionError(f"the stream ended without {words}")


async def test_tabs_when_one_asks_then_the_other_is_told(house: House) -> None:
    browser = await house.signed_in()
    mark = re.search(r'data-mark="([^"]+)"', await browser.page())
    assert mark
    async with browser.client.stream("GET", "/stream", params={"mark": mark.group(1)}) as stream:
        lines = stream.aiter_lines()
        await told(lines, "state", "PAPER")
        await browser.say("note tabs in step")
        piece = await told(lines, "piece", "Noted: tabs in step")
    assert str(piece["id"]).startswith("piece-")


async def test_tab_when_it_lost_its_connection_then_gets_what_it_missed(house: House) -> None:
    browser = await house.signed_in()
    mark = re.search(r'data-mark="([^"]+)"', await browser.page())
    assert mark
    await browser.say("note missed meanwhile")
    async with browser.client.stream("GET", "/stream", headers={"last-event-id": mark.group(1)}) as stream:
        piece = await told(stream.aiter_lines(), "piece", "Noted: missed meanwhile")
    assert "Noted: missed meanwhile" in str(piece["html"])


async def test_tabs_when_too_many_are_open_then_the_oldest_rests(house: House) -> None:
    browser = await house.signed_in()
    async with browser.client.stream("GET", "/stream") as oldest:
        lines = oldest.aiter_lines()
        await told(lines, "state", "PAPER")
        opened = [browser.client.stream("GET", "/stream") for _ in range(4)]
        streams = [await one.__aenter__() for one in opened]
        await told(lines, "moved", "{}")
        assert [left async for left in lines if left.startswith("data")] == []
        assert [stream.status_code for stream in streams] == [200] * 4
        for one in opened:
            await one.__aexit__(None, None, None)


async def test_news_when_something_happens_elsewhere_then_open_pages_get_it_with_buttons(house: House) -> None:
    browser = await house.signed_in()
    async with browser.client.stream("GET", "/stream") as stream:
        lines = stream.aiter_lines()
        await told(lines, "reset", "First guided trade")
        await house.desk.record(house.desk.draft(ModeSet(scope=Scope(), mode=Mode.HALT, cause="x", reason="a rule said so"), actor="desk"))
        piece = await told(lines, "piece", "a rule said so")
    assert piece["loud"] is True
    assert "Take note" in str(piece["html"])


# --- what a piece may hold -----------------------------------------------------------------------------------------------


async def shown(house: House, *blocks: Block) -> str:
    """The page once these were told."""
    browser = await house.signed_in()
    news = Announcement(key="k", urgency=Urgency.LOW, blocks=blocks)
    await house.front.deliver("page", Letter(key="web:page:k", news=news))
    await house.front.deliver("page", Letter(key="web:page:k", news=news))
    return await browser.page()


async def test_chart_when_told_then_its_picture_is_drawn_light_and_dark_and_its_figures_stand_beneath(house: House) -> None:
    panel = Panel(series=(Series(name="value", x=(1.0, 2.0, 3.0), y=(1.0, 4.0, 2.0)),), axis=Axis(label="USD"))
    facts = (Fact(label="max loss", value=Decimal("914"), format=Format.MONEY, unit="USD"),)
    page = await shown(house, Chart(title="Payoff <b>", panels=(panel,), axis=Axis(label="XSP"), facts=facts))
    browser = await house.signed_in()
    pictures = [await browser.client.get(path) for path in re.findall(r"/chart/\d+/\d/(?:dark|light).png", page)]
    assert len(pictures) == 2
    assert {picture.headers["content-type"] for picture in pictures} == {"image/png"}
    assert pictures[0].content[:4] == b"\x89PNG"
    assert pictures[0].content != pictures[1].content
    assert "Payoff &lt;b&gt;: max\N{NO-BREAK SPACE}loss\N{NO-BREAK SPACE}914.00\N{NO-BREAK SPACE}USD" in page


async def test_file_when_told_then_is_downloaded_as_it_is_and_never_opened_by_the_browser(house: House) -> None:
    page = await shown(house, File(name='fills"\n.csv', content=b"a,b\n", media_type="text/html"))
    browser = await house.signed_in()
    (path,) = re.findall(r'href="(/file/\d+/0)"', page)
    answer = await browser.client.get(path)
    assert answer.content == b"a,b\n"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''fills%22%0A.csv"
    assert (await browser.client.get(path.replace("/0", "/1"))).status_code == 404


async def test_table_when_long_then_eight_rows_are_seen_and_the_others_fold(house: House) -> None:
    columns = (Column(title="rule"), Column(title="P&L", format=Format.MONEY, unit="USD", signed=True))
    rows = (*((f"row {number}", Decimal(number)) for number in range(9)), ("last", None))
    page = await shown(house, Table(columns=columns, rows=rows, title="Rules"), Steps(steps=("draft", "send"), done=1))
    assert "<summary>2 more</summary>" in page
    assert page.index("row 7") < page.index("<details>") < page.index("row 8")
    assert '<td role="cell" data-head="P&amp;L USD" class="short number">+7.00</td>' in page
    assert '<td role="cell" data-head="P&amp;L USD" class="short number">?</td>' in page
    assert "draft" in page
    assert page.count("row 7") == 1


# --- over a restart ------------------------------------------------------------------------------------------------------


async def test_card_when_the_page_is_served_anew_then_is_still_there_and_its_button_answers(house: House) -> None:
    browser = await house.signed_in()
    old = button(await browser.say(OPEN), "Confirm")
    again = Web(house.desk, pins=None, outbox=Outbox(house.desk), say=house.printed.append)
    await again.start()
    moved = httpx.AsyncClient(base_url=again.link.partition("/enter/")[0], timeout=20)
    moved.headers.update({"origin": str(moved.base_url).rstrip("/"), "accept": "text/html"})
    moved.cookies.set(f"desk_{moved.base_url.port}", next(iter(browser.client.cookies.values())))
    house.clients.append(moved)
    later = Browser(client=moved)

    page = await later.page()
    fresh = button(page, "Confirm")
    answer = await later.press(fresh, "2")
    twice = await later.press(old, "3")
    await again.stop()

    assert fresh != old
    assert "put spread" in page
    assert "Filled: 1 of 1." in answer
    assert "already" in twice
    assert orders(house.desk) == 1


async def test_piece_when_kept_by_another_version_or_damaged_then_the_others_are_still_shown(tmp_path: Path) -> None:
    desk = await open_desk()
    row = {"person": "owner", "chat": "web page", "at": desk.now().isoformat(), "role": "news", "call": "[]"}
    good = '{"view": {"text": [{"code": false, "text": "kept words"}], "press": false}, "loud": false, "key": ""}'
    texts = ("not even json", "[]", '{"view": {"ok": true}, "loud": false, "key": ""}', good)
    for number, text in enumerate(texts, 1):
        await desk.archive.write([Put(table="conversations", row={**row, "id": f"web-{number:012d}", "role": "said", "text": text})])
    errors: list[str] = []
    desk.runtime.on_failure = lambda name, error: errors.append(str(error))
    room = Room(desk, person=local_owner(), pins=None, answering=lambda: Outbox(desk).answering("web", "page"))
    await room.open()
    shown = [piece.html for piece in room.pieces]
    room.close()
    await desk.runtime.aclose()
    assert len(shown) == 1
    assert "kept words" in shown[0]
    assert len(errors) == 3


async def test_button_when_drawn_anew_then_what_may_be_pressed_once_moves_and_what_is_too_old_is_gone() -> None:
    desk = await open_desk()
    buttons = Buttons(desk.archive, desk.runtime.entropy)
    actions = (Action(label="Book it", line="note x", once=True), Action(label="Look", line="status"))
    reply = Reply(blocks=(Text(text="x"),), actions=actions)
    once, often = await buttons.issue(reply, person="owner", chat="web", now=desk.now())

    moved = await buttons.renew(hash_of(once.token), now=desk.now())
    copied = await buttons.renew(hash_of(often.token), now=desk.now())

    assert moved is not None
    assert copied is not None
    assert await buttons.find(once.token) is None
    assert await buttons.find(often.token) is not None
    assert (await buttons.find(moved)).line == "note x"
    assert await buttons.renew(hash_of(copied), now=desk.now() + timedelta(days=8)) is None
    assert await buttons.renew("0" * 64, now=desk.now()) is None


async def test_start_when_the_port_is_taken_then_says_so_and_how_to_go_on(house: House) -> None:
    port = int(house.origin.rpartition(":")[2])
    house.desk.config = replace(house.desk.config, web=Place(port=port))
    second = Web(house.desk, pins=None, outbox=Outbox(house.desk), say=house.printed.append)
    with pytest.raises(Exception, match=rf"port {port} cannot be used.*--no-web"):
        await second.start()
