"""Ports that read words: typed lines, their arguments, numbers, contract names, database addresses; what strikes out and shows texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bot.buttons import Button
from bot.intent.line import Typed, Unclear, parse, suggest
from bot.render import render, to_json
from core import plugins
from core.command import ACCOUNT, Command, Kind, Parameter, format_call, parse_args, read_value, split_line
from core.config import setting_specs
from core.domain.accounts import AccountId
from core.domain.instruments import InstrumentError, Right, combo_tick, occ_symbol, parse_occ, series_of, underlying_instrument
from core.domain.listing import from_occ, option, series_for
from core.domain.money import Money, MoneyError, exact, from_market, on_tick, to_cents, to_tick
from core.errors import UserError
from core.logs import Level, Logs
from core.redaction import Redaction
from core.reply import (
    Action,
    Axis,
    Block,
    Chart,
    Column,
    Fact,
    Facts,
    File,
    Format,
    Mark,
    Notice,
    Panel,
    Reply,
    Series,
    Shape,
    Steps,
    Table,
    Text,
    Tone,
)
from core.store.postgres.address import is_address, read_address
from tests.fuzz.harness import Changed, Port
from tests.fuzz.source import HOSTILE, Source

COMMANDS: tuple[Command, ...] = tuple(plugins.load("commands", name).COMMAND for name in plugins.names("commands"))
LINES = tuple(example for command in COMMANDS for example in command.examples)
TRADING = ("confirm",)  # never suggested: what it stands for is on a card
SETTINGS = tuple(setting_specs().values())
SYMBOLS = (
    "SPXW  190517P02700000", "SPX   190517C02900000", "XSP190517P00290000", "SPY   240621C00550500", "VIX   190522C00020000",
    "AAPL  150117C00110000", "BRK.B 240621P00400000", "XYZ1  240621C00050000",
)
ADDRESSES = (
    "postgresql://desk:secret@127.0.0.1:5432/desk", "postgres://localhost/desk?schema=second", "postgresql://u:p%40ss@h:5432/d?sslmode=require",
    "postgresql://[::1]:5432/desk?schema=a&schema=b", "postgresql:///desk",
)


@dataclass(slots=True)
class Stateless:
    """A port that keeps nothing between inputs."""

    feed: Callable[[Source], str]

    def one(self, source: Source) -> str:
        return self.feed(source)

    def close(self) -> None:
        return


def stateless(name: str, share: float, feed: Callable[[Source], str]) -> Port:
    """A port of one function."""
    return Port(name=name, share=share, opened=lambda source: Stateless(feed))


def held(true: bool, wrong: str) -> None:
    """Report what must hold and does not."""
    if not true:
        raise Changed(wrong)


# --- typed lines ---------------------------------------------------------------------------------------------------------


def feed_line(source: Source) -> str:
    """A typed line names a command exactly, is refused with a sentence, or brings suggestions that never trade."""
    text = source.text(LINES)
    try:
        read = parse(text)
    except UserError as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "refused"
    if isinstance(read, Unclear):
        held(0 < len(read.suggestions) <= 3 and not set(read.suggestions) & set(TRADING), f"suggestions {read.suggestions}")
        return "unclear"
    _reads_back(read)
    return "typed"


def _reads_back(read: Typed) -> None:
    again = parse(format_call(read.command, read.args))
    held(isinstance(again, Typed) and (again.command, again.args) == (read.command, read.args), f"{read} reads back as {again}")


def feed_suggestion(source: Source) -> str:
    """Suggestions to any text and any word."""
    text = source.text(LINES)
    found = suggest(text, (text.lower().split() or [""])[0])
    held(0 < len(found) <= 3 and not set(found) & set(TRADING), f"suggestions {found}")
    return "suggested"


def feed_arguments(source: Source) -> str:
    """Arguments of a command from any words: typed and in their own range, or refused."""
    command = source.pick(COMMANDS)
    words = [_word(source, command) for _ in range(source.number(5))]
    if source.chance(0.3):
        try:
            words = split_line(source.text(LINES))[1:]
        except UserError:
            return "unsplit"
    try:
        args = parse_args(command, list(words))
    except UserError as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "refused"
    held(set(args) <= {item.name for item in (*command.parameters, ACCOUNT)}, f"{command.name} read {set(args)}")
    again = parse_args(command, split_line(format_call(command, args))[1:])
    held(again == args, f"{args} reads back as {again}")
    return "typed"


def _word(source: Source, command: Command) -> str:
    parameter = source.pick((*command.parameters, ACCOUNT))
    usual = (*parameter.choices, "1", "480/470", "2026-11-20", "T1A2B3C", "0.16", "XSP")
    value = source.text() if source.chance(0.6) else source.pick(usual)
    return f"{parameter.name}={value}" if source.chance(0.6) else value


VALUES = (
    "10d", "2x", "ytd", "2026-11-01..2026-11-20", "10%", "0.16", "2h", "1,000,000,000", "480/470/460/450",
    "1,000", "1.5", "-3", "50%", "480/470", "2026-11-20", "$1,234.50", "#T1", "yes", "SPY", "put_credit_spread",
    "1_000",
)
KINDS = (*(parameter for command in COMMANDS for parameter in command.parameters), *(Parameter(name=kind, kind=kind) for kind in Kind))


_FREE = (Kind.TEXT, Kind.SECRET)  # words of a person; of anything else a lookalike letter or digit is none


def feed_value(source: Source) -> str:
    """One value of one kind of parameter, and of one setting."""
    text = source.text(VALUES)
    if source.chance(0.4):
        setting = source.pick(SETTINGS)
        try:
            value = setting.read(text)
        except ValueError as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
        held(setting.read(setting.write(value)) == value, f"setting {setting.name} {value!r} does not read back")
        setting.is_looser(setting.default, value)
        return "setting"
    parameter = source.pick(KINDS)
    try:
        value = read_value(parameter, text)
    except UserError as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "refused"
    held(not isinstance(value, Decimal) or value.is_finite(), f"{parameter.name} is {value}")
    held(parameter.kind is not Kind.QUANTITY or 1 <= value <= 10_000, f"a quantity of {value}")
    held(parameter.kind in _FREE or text.isascii(), f"{text!r} was taken for the {parameter.kind} {value!r}")
    return "value"


# --- numbers and contracts -------------------------------------------------------------------------------------------------


def feed_number(source: Source) -> str:
    """Money and prices: exact, or refused as MoneyError."""
    try:
        match int(source.rng.random() * 7):
            case 0:
                value: Any = source.text(("1.20", "-3", "0.005", "1234567.89")) if source.chance(0.7) else source.typed(Decimal)
                held(exact(value).is_finite(), f"{value!r} is exact")
            case 1:
                held(from_market(source.float_(), source.pick((Decimal("0.01"), Decimal("0.05"), Decimal("0.10")))).is_finite(), "no price")
            case 2:
                tick = source.pick((Decimal("0.01"), Decimal("0.05"), Decimal(1), source.decimal()))
                price = source.decimal()
                moved = to_tick(price, tick, up=source.chance(0.5))
                held(moved.is_finite() and on_tick(moved, tick), f"{price} on {tick} is {moved}")
            case 3:
                amount = source.decimal()
                held(abs(to_cents(amount) - amount) <= Decimal("0.005"), f"{amount} to cents")
            case 4:
                one, other = Money(source.decimal()), Money(source.decimal(), source.pick(("USD", "EUR")))
                (one + other, one - other, -one, one < other, one <= other)
            case 5:
                (Money(source.decimal()) * source.pick((source.integer(), source.decimal()))).rounded()
            case _:
                on_tick(source.decimal(), source.decimal())
    except MoneyError as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "refused"
    return "exact"


def feed_symbol(source: Source) -> str:
    """Contract names: a contract that reads back as itself, or InstrumentError."""
    try:
        if source.chance(0.6):
            text = source.text(SYMBOLS)
            parsed = parse_occ(text)
            held(parse_occ(occ_symbol(*parsed)) == parsed, f"{text!r} reads back as another contract")
            contract = from_occ(text)
            held(from_occ(contract.key) == contract and contract.multiplier > 0, f"{text!r} reads back as another contract")
            (contract.label, combo_tick((contract,), Decimal(1)))
            return "contract"
        root = source.text(("SPX", "SPXW", "XSP", "AAPL", "BRK.B", "XYZ1", "VIX"))
        underlying_instrument(root)
        spec = series_of(root)
        series_for(spec.underlying, source.near_day())
        contract = option(root, source.near_day(), source.pick(tuple(Right)), source.decimal().copy_abs())
        held(from_occ(contract.key) == contract, f"{contract.key!r} reads back as another contract")
        return "contract"
    except InstrumentError as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "refused"


def feed_address(source: Source) -> str:
    """Addresses of databases and accounts: read or refused, and a refusal repeats no password."""
    text = source.text(ADDRESSES)
    try:
        AccountId.parse(source.text(("paper:PRACTICE:paper", "ib:U123:live")))
    except ValueError as error:
        held(bool(str(error)), "a refusal without a sentence")
    is_address(text)
    try:
        address = read_address(text)
    except UserError as error:
        held("secret" not in str(error), "a refusal repeats the password")
        return "refused"
    held(":secret" not in f"{address} {address!r} {address.key}", f"{address} shows a password")
    (address.lock_number("log"), address.beside("old"))
    return "read"


# --- secrets -----------------------------------------------------------------------------------------------------------------

SECRETS = (
    "471100", "hunter2-Hunter2", "123456789:AAF-abcdefghijklmnopqrstuvwxyz012345", "sk-ant-api03-ABCDEFGH12345678", "pass word with spaces",
    "p4ss'w\"ord\\x", "correct.horse(battery)[staple]*+?", "ghp_ABCDEFGHIJKLMNOP1234", "ünïcödé-geheim", "https://not/really",
)
CARRIERS = (
    "token={}", "error: {} refused", "postgresql://desk:{}@127.0.0.1/desk", '{{"password": "{}"}}', "Authorization: Bearer {}", "pin={}",
    "{}",
    "GET /bot{}/getMe", "PIN is {}", "?key={}&x=1", "it said '{}'.", "{}{}",
)
PIN_CARRIERS = ("pin={}", "{}", "PIN is {}", "'{}'", "error: {} refused", '{{"pin": "{}"}}', "({})")  # where digits stand for themselves


class Secrets:
    """One desk's redaction with its secrets, planted into hostile texts."""

    def __init__(self, source: Source) -> None:
        self._redaction = Redaction.of_environment({"DESK_TOKEN": SECRETS[2], "DATABASE_URL": f"postgresql://u:{SECRETS[1]}@h/d"})
        for secret in SECRETS:
            self._redaction.add(secret)

    def one(self, source: Source) -> str:
        secret = source.pick(SECRETS)
        around = (source.text(), source.text())
        carrier = source.pick(CARRIERS if not secret.isdigit() else PIN_CARRIERS)
        planted = f"{around[0]} {carrier.replace('{}', secret)} {around[1]}"
        struck = self._redaction.redact(planted, strict=True)
        held(secret not in struck, f"{secret!r} is still in {struck!r}")
        held(self._redaction.redact(struck, strict=True) == struck, f"{struck!r} changes when redacted again")
        mangled = source.text((planted,))
        self._redaction.redact(mangled)
        if source.chance(0.2):
            self._structure(source, planted, secret)
        if source.chance(0.01):
            Redaction().learn(mangled)
        return "struck" if struck != planted else "as it was"

    def _structure(self, source: Source, planted: str, secret: str) -> None:
        cell: Any = source.pick((planted, [planted], {"k": (planted, 7)}, Text(text=planted)))
        cleaned = self._redaction.clean(cell)
        shown = repr(cleaned).replace("\\\\", "\\").replace("\\'", "'")
        held(secret.isdigit() or secret not in shown, f"{secret!r} is still in {cleaned!r}")
        logs = Logs(self._redaction)
        logs.write(Level.INFO, source.text(), error=planted, **{f"f{number}": source.plain() for number in range(3)})
        figures = {"value": source.decimal(), "at": source.instant(), "number": source.float_()}
        logs.write(Level.INFO, "typed", **figures, facts=lambda: {"error": planted})
        logs.failed(planted, ValueError(planted))
        written = json.dumps(logs.records(), ensure_ascii=False)
        held(secret not in written.replace("\\\\", "\\").replace('\\"', '"'), f"{secret!r} is in the records")

    def close(self) -> None:
        return


# --- what is shown -----------------------------------------------------------------------------------------------------------


def feed_reply(source: Source) -> str:
    """Any reply can be shown, on lines nobody can smuggle control characters into, and as data that is JSON."""
    reply = Reply(
        blocks=tuple(_block(source) for _ in range(source.number(3))), ok=source.chance(0.8), command=source.text(LINES),
        badge=source.text(("PAPER · SIMULATED",)), at=source.instant() if source.chance(0.8) else None,
        actions=tuple(Action(label=source.text(), line=source.text(LINES)) for _ in range(source.number(3))),
        cites=(1, source.integer()), data={source.text(): _cell(source)},
    )
    buttons = tuple(
        Button(number=number, label=action.label, style="normal", token="t", line=action.line)
        for number, action in enumerate(reply.actions, 1)
    )
    shown = render(reply, buttons, width=source.pick((80, 40, 20, 1, 200)))
    held(not any(sign in shown for sign in HOSTILE[:8].replace("\n", "") + "\u200b\u202e\u2066\ufeff"), "an unseen character is shown")
    json.dumps(to_json(reply, buttons), allow_nan=False)
    return "shown"


def _cell(source: Source) -> Any:
    return source.pick((
        source.decimal, source.float_, source.integer, source.text, source.day, source.instant, lambda: source.chance(0.5), lambda: None,
    ))()


def _block(source: Source) -> Block:
    match int(source.rng.random() * 7):
        case 0:
            return Text(text=source.text())
        case 1:
            return Notice(text=source.text(), tone=source.pick(tuple(Tone)))
        case 2:
            return Facts(title=source.text(), facts=tuple(
                Fact(label=source.text(), value=_cell(source), format=source.pick(tuple(Format)), unit=source.pick(("", "USD")),
                     signed=source.chance(0.5), note=source.text())
                for _ in range(source.number(4))
            ))
        case 3:
            columns = tuple(Column(title=source.text(), format=source.pick(tuple(Format)), unit=source.pick(("", "%")))
                            for _ in range(1 + source.number(3)))
            return Table(title=source.text(), columns=columns,
                         rows=tuple(tuple(_cell(source) for _ in columns) for _ in range(source.number(4))))
        case 4:
            ends, heights = (source.float_(), source.float_()), (source.float_(), None)
            series = Series(name=source.text(), x=ends, y=heights, shape=source.pick(tuple(Shape)))
            axis = Axis(label=source.text(), format=source.pick(tuple(Format)), unit=source.text(), signed=source.chance(0.5))
            panel = Panel(series=(series,), axis=axis, marks=(Mark(label=source.text(), x=source.float_(), y=source.float_()),))
            fact = Fact(label=source.text(), value=_cell(source), note=source.text())
            return Chart(title=source.text(), panels=(panel,), axis=axis, facts=(fact,), note=source.text())
        case 5:
            return File(name=source.text(), content=source.raw())
        case _:
            return Steps(steps=(source.text(), source.text()), done=source.integer())


PORTS = (
    stateless("lines", 200, feed_line),
    stateless("suggestions", 20, feed_suggestion),
    stateless("arguments", 90, feed_arguments),
    stateless("values", 90, feed_value),
    stateless("numbers", 120, feed_number),
    stateless("symbols", 90, feed_symbol),
    stateless("addresses", 60, feed_address),
    Port(name="redaction", share=40, opened=Secrets),
    stateless("render", 40, feed_reply),
)
