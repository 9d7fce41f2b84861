"""No secret gets through, no figure is touched."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import MARK, MOST_SECRETS, Redaction
from core.reply import Fact, Facts, Format, Notice, Reply, Table, Text

PIN = "482133"
ENVIRONMENT = {
    "DESK_PIN": PIN,
    "TELEGRAM_TOKEN": "7712345678:AAcanaryAAcanaryAAcanaryAAcanary12345",
    "BROKER_API_KEY": "canary-broker-key",
    "DATABASE_URL": "postgresql://desk:c%40nary-pg@db.example/desk",
    "SIGNING_KEY": "-----BEGIN KEY-----\ncanarylineonecanarylineone\n-----END KEY-----",
    "PATH": "/usr/bin:/bin",
    "PWD": "/srv/trader",
    "LANG": "en_US.UTF-8",
}
SHAPES = {
    "telegram": ("https://api.telegram.org/bot123456:AAcanaryAAcanaryAAcanaryAA/getMe", "canary"),
    "anthropic": ("key sk-ant-api03-canary refused", "canary"),
    "openai": ("sk-canary0123456789abcdef", "canary"),
    "bearer": ("sent Bearer canary0123456789", "canary"),
    "basic": ("sent Basic dXNlcjpjYW5hcnk=", "dXNlcjpjYW5hcnk"),
    "authorization": ("{'Authorization': 'Bot canary'}", "canary"),
    "address": ("cannot reach postgres://desk:canary@db:5432/desk", "canary"),
    "address_at_sign": ("http://me:can@nary@host/x", "nary"),
    "address_slash": ("http://me:can/ary@host/x", "ary"),
    "address_token": ("https://canarytoken@host/x", "canary"),
    "api_key": ("GET /v1?api_key=canary&symbol=SPY", "canary"),
    "query": ("GET /v1?sig=a1b2c3d4e5f6a7b8c9d0e1f2&symbol=SPY", "a1b2c3"),
    "password": ("password: canary", "canary"),
    "quoted": ("{'password': 'two canary words'}", "canary"),
    "json": ('{"client_secret": "canary words"}', "canary"),
    "json_in_json": ('{\\"password\\": \\"canary\\"}', "canary"),
    "pin": ("unhalt pin=4711", "4711"),
    "pin_variable": ("DESK_PIN=4711", "4711"),
    "pin_json": ('{"pin": "4711"}', "4711"),
    "jwt": ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM.canary-_x", "canary"),
    "private_key": ("-----BEGIN RSA PRIVATE KEY-----\ncanary\n", "canary"),
    "cookie": ("Cookie: session=canary; theme=dark", "canary"),
    "discord": ("M" + "a" * 23 + ".abc123." + "canary" * 5, "canary"),
}
FIGURES = (
    "max loss 1,240 USD is over 1,000 USD per trade; 4 contracts would fit",
    f"strike {PIN}, {PIN}.50 and -{PIN}; pin risk {PIN}",
    "SPY   261120P00480000 481.50 x 3",
    "GET /chain?symbols=SPY261120P00480000,SPY261120C00480000&expiry=2026-11-20",
    "token=17 epoch=3 cursor: 12345",
    "9af0954163461128bd742409ac908a53e44a0b4d0a45efa994856ac8c52407e5",
    "open 2026-11-20T15:00:00+00:00, closes 16:00",
    "session: open, key: 5",
    "file /srv/trader/core/desk.py, line 480",
)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_redact_when_a_text_has_the_shape_of_a_secret_then_it_is_struck_out(shape: str) -> None:
    text, secret = SHAPES[shape]

    shown = Redaction().redact(text)

    assert secret not in shown
    assert MARK in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://desk:x1@db:5432/desk is down", f"postgres://{MARK}@db:5432/desk is down"),
        ("GET /v1?api_key=x1&symbol=SPY", f"GET /v1?api_key={MARK}&symbol=SPY"),
        ("{'password': 'a b', 'strike': 480}", f"{{'password': '{MARK}', 'strike': 480}}"),
        ("`unhalt pin=4711` was typed", f"`unhalt pin={MARK}` was typed"),
        ("give it with the command: `unhalt pin=...`", "give it with the command: `unhalt pin=...`"),
    ],
)
def test_redact_when_a_secret_is_struck_out_then_everything_around_it_stays(text: str, shown: str) -> None:
    assert Redaction().redact(text) == shown


@pytest.mark.parametrize("figures", FIGURES)
def test_redact_when_a_text_holds_figures_then_it_is_the_same_object(figures: str) -> None:
    assert Redaction.of_environment(ENVIRONMENT).redact(figures) is figures


@given(st.lists(st.one_of(st.integers(-(10**12), 10**12).map(str), st.decimals(allow_nan=False, allow_infinity=False, places=2).map(
    lambda number: f"{number:,.2f}")), min_size=1), st.text(alphabet="0123456789", min_size=4, max_size=12))
def test_redact_when_a_pin_looks_like_any_figure_then_no_figure_changes(figures: list[str], pin: str) -> None:
    redaction = Redaction()
    redaction.add(pin)
    text = f"limit {' of '.join(figures)} at {pin} USD"

    assert redaction.redact(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("login with canary-broker-key failed", "canary-broker-key"),
        ('authentication failed for "c@nary-pg"', "c@nary-pg"),
        ("asked for /x?p=c%40nary-pg", "c%40nary-pg"),
        ("line: canarylineonecanarylineone", "canaryline"),
        (f"pin {PIN}", PIN),
        (f"PIN is {PIN}.", PIN),
    ],
)
def test_redact_when_a_secret_of_the_environment_stands_alone_then_it_is_struck_out(text: str, secret: str) -> None:
    assert secret not in Redaction.of_environment(ENVIRONMENT).redact(text)


def test_redact_when_strict_then_a_pin_standing_alone_is_struck_out_of_an_error() -> None:
    redaction = Redaction.of_environment(ENVIRONMENT)

    assert redaction.redact(f"invalid literal: '{PIN}'", strict=True) == f"invalid literal: '{MARK}'"
    assert redaction.redact(f"1{PIN} and {PIN}.5", strict=True) == f"1{PIN} and {PIN}.5"


def test_add_when_a_word_is_short_then_ordinary_words_stay() -> None:
    redaction = Redaction()
    redaction.add("paper")
    assert redaction.redact("a paper account") == "a paper account"


def test_add_when_there_are_too_many_secrets_then_the_oldest_are_forgotten_and_the_rest_held() -> None:
    redaction = Redaction()
    for number in range(MOST_SECRETS + 1):
        redaction.add(f"canary-{number:05d}-x")
    assert redaction.redact("canary-00001-x canary-00512-x") == f"{MARK} {MARK}"
    assert redaction.redact("canary-00000-x") == "canary-00000-x"


def test_add_when_a_text_was_harmless_before_then_it_is_looked_at_again() -> None:
    redaction = Redaction()
    assert redaction.redact("canary-late") == "canary-late"
    redaction.add("canary-late")
    assert redaction.redact("canary-late") == MARK


def test_learn_when_a_configuration_holds_secrets_then_they_are_known_alone_too() -> None:
    redaction = Redaction()
    redaction.learn("market:\n  url: https://me:canary-one@host/\n  api_key: canary-two\nsettings: {}\n")
    assert redaction.redact("refused: canary-one, canary-two") == f"refused: {MARK}, {MARK}"


@given(st.text(alphabet="ab1:/@=?&'\"\\ .-*k", max_size=60), st.lists(st.text(alphabet="ab1*-@'\\", min_size=1, max_size=10), max_size=4))
def test_redact_when_done_twice_then_the_second_time_changes_nothing(text: str, secrets: list[str]) -> None:
    redaction = Redaction()
    for secret in secrets:
        redaction.add(secret)
    marked = f"token={text} password={text} http://{text}@x {text}"

    once = redaction.redact(marked)

    assert redaction.redact(once) is once
    assert redaction.redact(redaction.redact(marked, strict=True), strict=True) == redaction.redact(marked, strict=True)


@given(st.text(min_size=1, max_size=40), st.text(alphabet="abcdefXYZ0123456789-_!@%&'\" ", min_size=10, max_size=30), st.text(max_size=40))
def test_redact_when_a_known_secret_is_inside_any_text_then_it_is_gone(before: str, secret: str, after: str) -> None:
    redaction = Redaction()
    redaction.add(f"x{secret}x")
    assert f"x{secret}x" not in redaction.redact(f"{before}x{secret}x{after}")


def test_clean_when_a_reply_holds_a_secret_then_only_texts_change() -> None:
    redaction = Redaction.of_environment(ENVIRONMENT)
    clean = Text(text="all is well")
    facts = Facts(facts=(Fact(label="cash", value=Decimal(PIN), format=Format.MONEY, note="canary-broker-key"),))
    table = Table(columns=(), rows=(("a", Decimal(PIN), None, "http://u:p@h/"),))
    reply = Reply(blocks=(clean, facts, table, Notice(text="no")), data={"order": "O1", "why": "password=x"})

    shown = redaction.clean(reply)

    assert shown.blocks[0] is clean
    assert shown.blocks[1] == Facts(facts=(Fact(label="cash", value=Decimal(PIN), format=Format.MONEY, note=MARK),))
    assert shown.blocks[2] == Table(columns=(), rows=(("a", Decimal(PIN), None, f"http://{MARK}@h/"),))
    assert dict(shown.data) == {"order": "O1", "why": f"password={MARK}"}


def test_clean_when_nothing_is_secret_then_the_very_same_value_comes_back() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Part:
        words: tuple[str, ...]
        counts: dict[str, int]

    part = Part(words=("a", "b"), counts={"a": 1})
    assert Redaction.of_environment(ENVIRONMENT).clean(part) is part


def test_redact_when_a_text_is_long_and_hostile_then_it_is_done_soon() -> None:
    redaction = Redaction.of_environment(ENVIRONMENT)
    for piece in ('token="', "http://a:", "a-", "token=", "eyJaaaaaaaa.", "&x=", "123456:A", "-----BEGIN PRIVATE KEY-----", "pin "):
        text = piece * (20_000 // len(piece))
        assert len(redaction.redact(text)) <= 3 * len(text)
