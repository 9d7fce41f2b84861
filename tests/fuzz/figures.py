"""Ports that read configuration and dates, and those that make orders and fold them."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from core.config import (
    Config,
    ConfigError,
    SettingsTable,
    configured_database,
    hold_back,
    load_config,
    loosened_accounts,
    parse_config,
    setting_specs,
    speed_of,
)
from core.domain import calendar
from core.domain.accounts import Charter
from core.domain.calendar import CalendarError
from core.domain.encoding import EncodingError
from core.domain.instruments import SERIES, InstrumentError, series_of
from core.domain.structures import average_after, describe_legs
from core.market.quote import Quote, judge_quote, session_age_seconds
from core.orders.states import TRANSITIONS, Order, step
from core.orders.work import limit_at_step, steps_done
from core.risk.gate import NotPermitted, permit
from tests.fuzz.harness import Port
from tests.fuzz.source import Source
from tests.fuzz.words import held, stateless
from tests.unit.risk.market import NOW, SPREAD, acknowledged, envelope, filled, intent, submitting

CONFIG: dict[str, Any] = {
    "accounts": [
        {"name": "practice", "broker": "paper", "id": "PRACTICE", "env": "paper", "kind": "reg_t", "start_cash": 100000,
         "charter": {"long_only": False, "symbols": ["SPY", "SPX"]}},
        {"name": "ira", "broker": "paper", "id": "IRA", "env": "paper", "kind": "ira", "start_cash": "2500.50"},
    ],
    "market": {"provider": "simulated", "speed": 10, "seed": 7, "start": date(2026, 11, 20)},
    "watch_list": ["SPX", "XSP", "BRK.B"],
    "settings": {"rules.capital.max_fraction": 0.05, "desk.walk_steps": 5, "desk.guard_fraction": "10%"},
    "fees": "ibkr",
    "database": "postgresql://desk@127.0.0.1:5432/desk",
}
CONFIG_TEXTS = tuple(text.encode() for text in (
    yaml.safe_dump(CONFIG), "accounts: [{name: a, broker: paper, id: A, env: paper, kind: cash}]\n", "? [a, b]\n: {c: d}\n", "&a [*a]\n",
    "settings: {rules.capital.max_fraction: 0.05, rules.capital.max_fraction: 0.2}\n", "!!python/object/apply:os.system ['true']\n",
    "market: {start: 2026-11-20, speed: .nan}\n<<: {fees: ibkr}\n", "accounts: &x\n- {name: 1e3, id: 0o17, kind: ~}\n- *x\n",
    "a: &a [lol, lol, lol]\n" + "".join(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi")),
    f"market: {{seed: 0x{'f' * 9_000}}}\n", f"market: {{seed: 1{':59' * 300}}}\n", f"fees: {'x' * 1_100}\n", "[" * 700, "{a: " * 400,
    "watch_list: [S\u200bPX, \u202eYPS, ſPX]\n", "---\nfees: ibkr\n---\nfees: ibkr\n", "\ufefffees: ibkr\n", "fees: \0\n",
    "watch_list: &w [SPX]\nwatch_list: *w\n", "market: {speed: 1e400}\n", "market: {speed: '٣'}\n", "settings: {desk.walk_steps: ٣}\n",
    f"#{'x' * 100_001}\n",
))
SPECS = setting_specs()
PLAIN = parse_config({})
SETTING_TEXTS = ("0.05", "5%", "12", "yes", "on", "1_000", "0.5", "60")


# --- configuration ---------------------------------------------------------------------------------------------------------


def feed_config(source: Source) -> str:
    """A mapping as YAML gives it: a sound configuration, or ConfigError with sentences; the mapping itself is left alone."""
    plain = source.bent_plain(CONFIG) if source.chance(0.9) else source.plain()
    if not isinstance(plain, dict):
        plain = {"accounts": plain}
    before = copy.deepcopy(plain)
    try:
        config = parse_config(plain)
    except ConfigError as error:
        held(bool(error.errors) and all(error.errors), "a refusal without a sentence")
        held(repr(plain) == repr(before), "the mapping was changed")
        return "refused"
    held(repr(plain) == repr(before), "the mapping was changed")
    _sound(config)
    return "sound"


def _sound(config: Config) -> None:
    held(bool(config.accounts), "no account")
    for account in config.accounts:
        held(account.start_cash.is_finite() and account.start_cash >= 0, f"start cash {account.start_cash}")
        held(account.id.broker != "paper" or account.id.env.value == "paper", "the paper broker is live")
    held(config.database is None or ":secret@" not in config.database, "a password in the configuration")
    table = SettingsTable(config, specs=SPECS)
    for key, value in table.values.items():
        held(SPECS[key].read(SPECS[key].write(value)) == value, f"{key} is {value!r}")


class ConfigFiles:
    """config.yaml of any bytes."""

    def __init__(self, source: Source) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "config.yaml"

    def one(self, source: Source) -> str:
        content = source.raw(CONFIG_TEXTS)
        if source.chance(0.3):
            content = source.text([text.decode() for text in CONFIG_TEXTS]).encode("utf-8", "replace")
        self._path.write_bytes(content)
        with suppress(ConfigError):
            configured_database(self._path)
        try:
            config = load_config(self._path)
        except ConfigError as error:
            held(bool(error.errors) and all(error.errors), "a refusal without a sentence")
            return "refused"
        finally:
            held(self._path.read_bytes() == content, "the file was changed")
        _sound(config)
        return "sound"

    def close(self) -> None:
        self._folder.cleanup()


def feed_settings(source: Source) -> str:
    """Settings as the log holds them, and what a start makes of them: what cannot be read is named and not applied."""
    config = PLAIN
    keys = tuple(SPECS)
    named = [source.text(keys) if source.chance(0.3) else source.pick(keys) for _ in range(1 + source.number(3))]
    changed = {key: source.text(SETTING_TEXTS) for key in named}
    table = SettingsTable(config, changed, SPECS)
    for key, value in table.values.items():
        held(SPECS[key].read(SPECS[key].write(value)) == value, f"{key} is {value!r}")
    applied, seen, sentences = hold_back(config, changed)
    held(all(sentences), "a setting held back without a sentence")
    values = SettingsTable(applied, specs=SPECS).values
    for key, text in seen.items():
        held(SPECS[key].read(text) == values[key], f"{key} is remembered as {text!r}")
    account = source.bent(replace(config.accounts[0], charter=source.bent(Charter())))
    _, told = loosened_accounts(config, {config.accounts[0].id: account})
    held(all(told), "an account held back without a sentence")
    with suppress(ValueError):
        held(0 < speed_of(source.pick((source.text(("10", "1.5")), source.float_(), source.plain(1)))) <= 100_000, "a speed")
    return "unread" if table.unread else "read"


# --- dates -------------------------------------------------------------------------------------------------------------------


def feed_calendar(source: Source) -> str:
    """Any date and any instant: an answer, or CalendarError or InstrumentError."""
    spec = source.pick(tuple(SERIES.values())) if source.chance(0.8) else series_of("AAPL")
    day, at = source.near_day(), source.instant()
    asked: tuple[Callable[[], Any], ...] = (
        lambda: calendar.session(day), lambda: calendar.session_date(at), lambda: calendar.hours(spec, day, source.near_day()),
        lambda: calendar.is_open(spec, at, day), lambda: calendar.extended_hours(spec, day), lambda: calendar.last_trade_at(spec, day),
        lambda: calendar.settlement_at(spec, day), lambda: calendar.next_session(day), lambda: calendar.previous_session(day),
        lambda: calendar.listed_expiries(spec, day, days=source.number(900)), lambda: calendar.expires_on(spec, day),
        lambda: calendar.may_expire(spec, day), lambda: calendar.trading_expiry(spec, day), lambda: calendar.closure(day),
        lambda: tuple(calendar.sessions(day, source.near_day())), lambda: calendar.monthly_expiry(day.year, day.month),
        lambda: calendar.vix_expiry(day.year, day.month), lambda: session_age_seconds(at, source.instant(), spec),
        lambda: calendar.dte(day, source.day()), lambda: calendar.years_to(calendar.settlement_at(spec, day), at),
    )
    try:
        answer = source.pick(asked)()
    except (CalendarError, InstrumentError) as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "refused"
    held(not isinstance(answer, float) or answer == answer, "an age that is no number")
    return "answered"


# --- orders ------------------------------------------------------------------------------------------------------------------

ORDER, _ = step(None, submitting(SPREAD, 3), at=NOW)
BODIES = (
    submitting(SPREAD, 3), acknowledged(), filled(SPREAD[0], 1, "30", exec_id="E1"), filled(SPREAD[1], 1, "25", exec_id="E2"),
    filled(SPREAD[0], 1, "31", exec_id="E3", corrects="E1"), filled(SPREAD[0], 1, "30", exec_id="E4", corrects="E1", busted=True),
)


def feed_intent(source: Source) -> str:
    """Legs, limits, intents and envelopes of any values: refused with ValueError, or orders whose figures can be worked out and hashed."""
    try:
        legs = tuple(source.bent(leg) if source.chance(0.3) else leg for leg in SPREAD)
        asked = source.bent(intent(legs, source.integer() if source.chance(0.3) else 3))
        covered = source.bent(envelope(asked.legs, asked.quantity, start=str(source.decimal()) if source.chance(0.2) else "5.00"))
        (asked.effect, asked.options, asked.underlying, describe_legs(asked.legs))
    except ValueError as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "refused"
    try:
        held(covered.hash == replace(covered).hash, "two hashes of one envelope")
    except EncodingError:
        return "unhashable"
    limit = source.decimal() if source.chance(0.5) else covered.plan.worst
    try:
        given = permit(
            verdict=_ALLOWED, envelope=covered, confirmed_hash=covered.hash, client_id="O1", ticket_id="T1", limit=limit,
            quantity=source.integer() if source.chance(0.5) else covered.quantity,
        )
    except NotPermitted as error:
        held(bool(str(error)), "a refusal without a sentence")
        return "not permitted"
    held(covered.plan.worst <= given.limit <= covered.plan.start and 1 <= given.quantity <= covered.quantity, f"{given} left its envelope")
    done = limit_at_step(covered, done=source.integer(), steps=1 + source.number(60))
    held(covered.plan.worst <= done <= covered.plan.start, f"the price walk left {covered.plan} for {done}")
    steps = 1 + source.number(60)
    walked = steps_done(
        elapsed_seconds=source.rng.uniform(-1e9, 1e9), walk_seconds=1 + source.number(3600), steps=steps,
        patience_seconds=source.number(3600),
    )
    held(0 <= walked <= steps + 1, f"{walked} of {steps} steps")
    return "permitted"


def feed_order(source: Source) -> str:
    """An order told of anything in any order: only listed transitions, and figures that can be worked out."""
    order: Order | None = ORDER
    for _ in range(1 + source.number(5)):
        body = source.pick(BODIES)
        try:
            body = source.bent(body) if source.chance(0.6) else body
        except ValueError:
            return "no such body"
        before = None if order is None else order.state
        order, outcomes = step(order, body, at=NOW)
        held(order is not None, "the order is gone")
        assert order is not None
        held(order.state is before or before is None or order.state in TRANSITIONS[before], f"{before} became {order.state}")
        figures = (order.leaves, order.overfilled_keys, order.uneven, order.filled_contracts, outcomes)
        held(figures[0] >= 0, f"{figures}")
    return "stepped"


def feed_quote(source: Source) -> str:
    """Any two prices are judged, and only sane ones may be used."""
    bid, ask = source.float_(), source.float_()
    state = judge_quote(bid, ask)
    held(not state.usable or (0 <= bid <= ask and 0 < ask <= 1e7), f"{bid} by {ask} is {state}")
    quote = Quote(key="X", bid=bid, ask=ask, at=NOW, source="fuzz")
    held(quote.state is state and (not state.usable or bid <= quote.mid <= ask), f"{quote}")
    average = average_after(source.rng.randrange(-9, 9), Decimal("1.25"), source.rng.choice((-3, -2, -1, 1, 2, 3)), Decimal("1.30"))
    held(average.is_finite(), "an average price")
    return "usable" if state.usable else "refused"


def _allowed() -> Any:
    from core.risk.exam import Verdict

    return Verdict(findings=(), allowed=True, reducing=False, factor=Decimal(1), quantity_allowed=99)


_ALLOWED = _allowed()
PORTS = (
    stateless("config", 60, feed_config),
    Port(name="config file", share=6, opened=ConfigFiles),
    stateless("settings", 12, feed_settings),
    stateless("calendar", 110, feed_calendar),
    stateless("orders", 60, feed_intent),
    stateless("order life", 60, feed_order),
    stateless("quotes", 70, feed_quote),
)
