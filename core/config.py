"""Configuration: defaults < config.yaml < settings changed from chat. Every error is listed; the YAML is never rewritten.

The file holds accounts, market source, watch list and `settings` by full key. Secrets have no place in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from core import plugins
from core.config_file import ConfigError as ConfigError
from core.config_file import read_yaml, shown
from core.domain.accounts import RESERVED, Account, AccountId, AccountKind, Charter, Env
from core.domain.holidays import FIRST_YEAR, LAST_YEAR
from core.domain.money import MoneyError, exact
from core.errors import UserError
from core.exits import exit_settings
from core.settings import Kind, Loosens, Parameters, Setting, Value
from core.stop_settings import STOP_SETTINGS

TELEGRAM_ADDRESS = "https://api.telegram.org"
FASTEST = 100_000  # simulated seconds per real second
DESK_SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="ticket_life_seconds",
        kind=Kind.INTEGER,
        default=120,
        unit="s",
        help="how long a card may be confirmed",
        loosens=Loosens.UP,
        low=Decimal(5),
        high=Decimal(900),
    ),
    Setting(
        name="guard_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.10"),
        help="worst price is at most this share of mid away from mid",
        loosens=Loosens.UP,
        low=Decimal(0),
        high=Decimal("0.5"),
    ),
    Setting(
        name="reask_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.05"),
        help="a mid worse by more than this asks again",
        loosens=Loosens.UP,
        low=Decimal(0),
        high=Decimal("0.5"),
    ),
    Setting(
        name="reask_delta",
        kind=Kind.NUMBER,
        default=Decimal("0.02"),
        help="a short delta moved by more than this asks again",
        loosens=Loosens.UP,
        low=Decimal(0),
        high=Decimal("0.2"),
    ),
    Setting(
        name="reask_margin",
        kind=Kind.FRACTION,
        default=Decimal("0.05"),
        help="a margin risen by more than this asks again",
        loosens=Loosens.UP,
        low=Decimal(0),
        high=Decimal("0.5"),
    ),
    Setting(
        name="walk_seconds",
        kind=Kind.INTEGER,
        default=60,
        unit="s",
        help="time from the start price to the worst price",
        low=Decimal(5),
        high=Decimal(3600),
    ),
    Setting(name="walk_steps", kind=Kind.INTEGER, default=5, help="price steps on that way", low=Decimal(1), high=Decimal(60)),
    Setting(
        name="broker_seconds",
        kind=Kind.INTEGER,
        default=10,
        unit="s",
        help="time limit of one broker call",
        low=Decimal(1),
        high=Decimal(120),
    ),
    Setting(
        name="heartbeat_seconds",
        kind=Kind.INTEGER,
        default=8,
        unit="s",
        help="a broker connection without a sign of life for this long is down",
        loosens=Loosens.UP,
        low=Decimal(2),
        high=Decimal(9),
    ),
    Setting(
        name="watchdog_seconds",
        kind=Kind.INTEGER,
        default=45,
        unit="s",
        help="how often connections and prices of what is at stake are looked at",
        loosens=Loosens.UP,
        low=Decimal(30),
        high=Decimal(60),
    ),
    Setting(
        name="stale_seconds",
        kind=Kind.INTEGER,
        default=120,
        unit="s",
        help="a broker or a price last heard longer ago, in session, halts entries until a person resumes",
        loosens=Loosens.UP,
        low=Decimal(30),
        high=Decimal(600),
    ),
    Setting(
        name="pace_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.8"),
        help="share of a broker's own request limit that the desk uses",
        low=Decimal("0.1"),
        high=Decimal("0.95"),
    ),
    Setting(
        name="data_seconds",
        kind=Kind.INTEGER,
        default=10,
        unit="s",
        help="time limit of one market-data call",
        low=Decimal(1),
        high=Decimal(120),
    ),
    Setting(
        name="reconcile_minutes",
        kind=Kind.INTEGER,
        default=15,
        unit="min",
        help="in session the books are compared with the broker's this often",
        loosens=Loosens.UP,
        low=Decimal(1),
        high=Decimal(120),
    ),
    Setting(
        name="expiry_cutoff_minutes",
        kind=Kind.INTEGER,
        default=0,
        unit="min",
        help="before the close of an expiry day your broker acts by itself; a decision is asked for 30 minutes earlier",
        low=Decimal(0),
        high=Decimal(180),
    ),
    Setting(
        name="size_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.05"),
        help="capital of a trade whose size is left to the desk, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.001"),
        high=Decimal("0.2"),
    ),
    Setting(
        name="orders_per_minute",
        kind=Kind.INTEGER,
        default=30,
        help="more orders than this in a minute stop all sending",
        loosens=Loosens.UP,
        low=Decimal(1),
        high=Decimal(1000),
    ),
    Setting(
        name="crash_starts",
        kind=Kind.INTEGER,
        default=5,
        help="so many starts in a row that died within a minute halt the desk; from half of them on each start waits",
        loosens=Loosens.UP,
        low=Decimal(2),
        high=Decimal(1000),
    ),
    Setting(
        name="cards_per_minute",
        kind=Kind.INTEGER,
        default=60,
        help="more cards than this in a minute are refused",
        loosens=Loosens.UP,
        low=Decimal(1),
        high=Decimal(1000),
    ),
    Setting(
        name="count_outside",
        kind=Kind.FLAG,
        default=False,
        help="trades done elsewhere, as logged, count in the stress and the capital of an underlying",
        loosens=Loosens.DOWN,
    ),
    *STOP_SETTINGS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """Where the page in a browser listens."""

    on: bool = True
    host: str = "127.0.0.1"
    port: int = 8765  # 0: any that is free
    names: tuple[str, ...] = ()  # by which else a browser may call this machine, as behind a proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramChats:
    """Where the Telegram channel talks: its server, and one group (or one topic of it) besides private chats."""

    base_url: str = TELEGRAM_ADDRESS
    group: int | None = None
    topic: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The effective configuration as read; `settings` holds only the keys the file names."""

    accounts: tuple[Account, ...]
    provider: str = "simulated"
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    watch_list: tuple[str, ...] = ("SPX", "XSP", "SPY")
    settings: Mapping[str, Value] = field(default_factory=dict)
    fee_schedule: str = "ibkr"
    database: str | None = None  # the address of a PostgreSQL database; None: files in the data directory
    web: Web = Web()
    telegram: TelegramChats = field(default_factory=TelegramChats)
    path: str = ""


def setting_specs() -> dict[str, Setting]:
    """Every setting by its full key: the desk's own and those of rules, strategies and exits."""
    specs = {f"desk.{setting.name}": setting for setting in DESK_SETTINGS}
    for family in ("rules", "strategies"):
        for name in plugins.names(family):
            declared: tuple[Setting, ...] = plugins.load(family, name).PARAMETERS
            specs.update({f"{family}.{name}.{setting.name}": setting for setting in declared})
    for name in plugins.names("exits"):
        declared = exit_settings(plugins.load("exits", name), plugins.names("strategies"))
        specs.update({f"exits.{name}.{setting.name}": setting for setting in declared})
    return specs


class SettingsTable:
    """Effective values: defaults, then the file, then what was changed from chat."""

    def __init__(self, config: Config, changed: Mapping[str, str] | None = None, specs: Mapping[str, Setting] | None = None) -> None:
        self.specs: Mapping[str, Setting] = specs if specs is not None else setting_specs()
        self.values: dict[str, Value] = {key: setting.default for key, setting in self.specs.items()}
        self.values.update({key: value for key, value in config.settings.items() if key in self.specs})
        self.unread: list[str] = []
        for key, text in (changed or {}).items():
            self._change(key, text)

    def _change(self, key: str, text: str) -> None:
        if key not in self.specs:
            self.unread.append(f"the stored setting {key} is not known any more")
            return
        try:
            self.values[key] = self.specs[key].read(text)
        except ValueError as error:
            self.unread.append(f"the stored setting {key} is out of range now: {error}")

    def parameters(self, family: str, name: str) -> Parameters:
        """The effective parameters of a plug-in."""
        prefix = f"{family}.{name}."
        return Parameters(values={key.removeprefix(prefix): value for key, value in self.values.items() if key.startswith(prefix)})

    def all_parameters(self, family: str) -> dict[str, Parameters]:
        """Effective parameters of every plug-in of a family."""
        return {name: self.parameters(family, name) for name in plugins.names(family)}

    @cached_property
    def desk(self) -> Parameters:
        """The desk's own settings."""
        return Parameters(values={key.removeprefix("desk."): value for key, value in self.values.items() if key.startswith("desk.")})


def hold_back(config: Config, seen: Mapping[str, str] | None) -> tuple[Config, dict[str, str], tuple[str, ...]]:
    """What of a configuration applies at a start: tightening at once, loosening only by a person's step-up.

    `seen` is what was accepted at the last start (None at the first, which accepts all). Returns the configuration that applies, its
    settings as texts to remember, and a sentence for each setting that was held back.
    """
    table = SettingsTable(config)
    applied: dict[str, Value] = dict(config.settings)
    held: list[str] = []
    for key, text in (seen or {}).items():
        setting = table.specs.get(key)
        if setting is None:
            continue
        try:
            old = setting.read(text)
        except ValueError:
            continue  # its range changed with the program: the file's value stands
        new = table.values[key]
        if new != old and (setting.is_looser(old, new) or setting.loosens is Loosens.EXIT):
            applied[key] = old
            written = setting.write(new)
            held.append(
                f"config.yaml changes {key} from {text} to {written}; that loosens it and is not applied. "
                f"`settings {key} {written}` applies it, once you confirm."
            )
    config = replace(config, settings=applied)
    values = SettingsTable(config).values
    return config, {key: table.specs[key].write(value) for key, value in values.items()}, tuple(held)


def loosened_accounts(config: Config, known: Mapping[AccountId, Account]) -> tuple[Config, tuple[str, ...]]:
    """Accounts keep the stricter terms the log knows them by; returns what applies and a sentence for each one held back."""
    accounts: list[Account] = []
    held: list[str] = []
    for account in config.accounts:
        old = known.get(account.id)
        if old is not None and _is_looser(old, account):
            held.append(f"config.yaml loosens account {account.name}; its old terms stay in force. A new --home takes new terms.")
            account = replace(account, kind=old.kind, charter=old.charter)
        accounts.append(account)
    return replace(config, accounts=tuple(accounts)), tuple(held)


def _is_looser(old: Account, new: Account) -> bool:
    kinds = tuple(AccountKind)
    was, will = old.charter, new.charter
    freed = [before and not after for before, after in (
        (was.long_only, will.long_only), (was.defined_risk_only, will.defined_risk_only), (was.no_shares_short, will.no_shares_short),
    )]
    symbols = was.symbols is not None and (will.symbols is None or not will.symbols <= was.symbols)
    return kinds.index(new.kind) > kinds.index(old.kind) or any(freed) or symbols


def load_config(path: Path | None, *, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read config.yaml; raise ConfigError with every mistake found. No path gives the defaults: one paper account, simulated market."""
    plain = read_yaml(path) if path is not None else {}
    for key, value in (overrides or {}).items():
        plain[key] = value
    return parse_config(plain, path=str(path or ""))


def parse_config(plain: Mapping[str, Any], *, path: str = "") -> Config:
    """Check a mapping as read from YAML; raise ConfigError with every mistake found."""
    errors: list[str] = []
    known = {"accounts", "market", "watch_list", "settings", "fees", "database", "web", "telegram"}
    errors += [f"unknown key {shown(key)}; known are {', '.join(sorted(known))}" for key in plain if key not in known]
    accounts = _accounts(plain.get("accounts", _DEFAULT_ACCOUNTS), errors)
    provider, options = _market(plain.get("market", {}), errors)
    watch = plain.get("watch_list", ["SPX", "XSP", "SPY"])
    if not isinstance(watch, list) or not all(isinstance(item, str) and re.fullmatch(r"[A-Z][A-Z0-9.]{0,6}", item) for item in watch):
        errors.append("watch_list must be a list of upper-case symbols such as [SPX, SPY]")
        watch = []
    fees = plain.get("fees", "ibkr")
    if fees not in plugins.names("fees"):
        errors.append(f"fees must be one of {', '.join(plugins.names('fees'))}, not {shown(fees)}")
    settings = _settings(plain.get("settings", {}), errors)
    database = _database(plain.get("database"), errors)
    web = _web(plain.get("web", {}), errors)
    telegram = _telegram(plain.get("telegram", {}), errors)
    if errors:
        raise ConfigError(tuple(errors))
    return Config(
        accounts=accounts,
        provider=provider,
        provider_options=options,
        watch_list=tuple(watch),
        settings=settings,
        fee_schedule=str(fees),
        database=database,
        web=web,
        telegram=telegram,
        path=path,
    )


def _telegram(plain: Any, errors: list[str]) -> TelegramChats:
    if not isinstance(plain, dict) or not plain.keys() <= {"base_url", "group", "topic"}:
        errors.append("telegram takes base_url, group and topic; the bot's token comes from the environment or a file, never from here")
        return TelegramChats()
    address, group, topic = plain.get("base_url", TELEGRAM_ADDRESS), plain.get("group"), plain.get("topic")
    if not isinstance(address, str) or not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._-]+)*/?", address):
        errors.append(f"telegram: base_url must be an address such as {TELEGRAM_ADDRESS}, not {shown(address)}")
    if group is not None and (not isinstance(group, int) or isinstance(group, bool) or group >= 0):
        errors.append(f"telegram: group must be a group's number, which is negative, such as -1001234567890, not {shown(group)}")
    if topic is not None and (not isinstance(topic, int) or isinstance(topic, bool) or topic < 1 or group is None):
        errors.append("telegram: topic must be the number of a topic in that group, such as 7, and goes with a group")
    return TelegramChats(base_url=str(address).rstrip("/"), group=group, topic=topic)


def configured_database(path: Path | None) -> str | None:
    """The database a configuration names, also where the rest of it has errors; raise ConfigError where it cannot be used."""
    try:
        named = read_yaml(path).get("database") if path is not None else None
    except ConfigError:
        return None  # not even a mapping: it names nothing, and the start lists why
    errors: list[str] = []
    database = _database(named, errors)
    if errors:
        raise ConfigError(tuple(errors))
    return database


_DEFAULT_ACCOUNTS: list[dict[str, Any]] = [
    {"name": "practice", "broker": "paper", "id": "PRACTICE", "env": "paper", "kind": "reg_t", "start_cash": 100000}
]


def _accounts(plain: Any, errors: list[str]) -> tuple[Account, ...]:
    if not isinstance(plain, list) or not plain:
        errors.append("accounts must be a list with at least one account")
        return ()
    accounts = [account for number, item in enumerate(plain, 1) if (account := _account(item, f"account {number}", errors)) is not None]
    for kind, values in (("name", [item.name for item in accounts]), ("id", [str(item.id) for item in accounts])):
        errors += [f"two accounts have the {kind} {value!r}" for value in sorted({value for value in values if values.count(value) > 1})]
    return tuple(accounts)


def _account(item: Any, where: str, errors: list[str]) -> Account | None:
    fields = {"name", "broker", "id", "env", "kind", "start_cash", "charter"}
    if not isinstance(item, dict):
        errors.append(f"{where} must be a mapping with {', '.join(sorted(fields))}")
        return None
    before = len(errors)
    errors += [f"{where} has no key {shown(key)}" for key in item if key not in fields]
    errors += [f"{where} needs {key}" for key in ("name", "broker", "id", "env", "kind") if not isinstance(item.get(key), str)]
    if item.get("env") not in (None, *[env.value for env in Env]):
        errors.append(f"{where}: env must be paper or live, not {shown(item['env'])}")
    if item.get("kind") not in (None, *[kind.value for kind in AccountKind]):
        errors.append(f"{where}: kind must be cash, ira, reg_t or portfolio_margin, not {shown(item['kind'])}")
    if isinstance(item.get("broker"), str) and item["broker"] not in plugins.names("brokers"):
        errors.append(f"{where}: there is no broker {shown(item['broker'])}; there are {', '.join(plugins.names('brokers'))}")
    for key in ("name", "id"):
        if isinstance(item.get(key), str) and not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", item[key]):
            errors.append(f"{where}: {key} must be letters, digits and dashes, not {shown(item[key])}")
    errors += [f"{where}: the {key} {item[key]!r} is reserved" for key in ("name", "id") if str(item.get(key)).lower() in RESERVED]
    if item.get("broker") == "paper" and item.get("env") == "live":
        errors.append(f"{where}: the paper broker cannot be live")
    cash = _amount(item.get("start_cash", 0), f"{where}: start_cash", errors)
    charter = _charter(item.get("charter", {}), where, errors)
    if len(errors) > before:
        return None
    identity = AccountId(broker=item["broker"], id=item["id"], env=Env(item["env"]))
    return Account(id=identity, name=item["name"], kind=AccountKind(item["kind"]), charter=charter, start_cash=cash)


def _charter(plain: Any, where: str, errors: list[str]) -> Charter:
    flags = ("long_only", "defined_risk_only", "no_shares_short")
    if not isinstance(plain, dict) or any(key not in (*flags, "symbols") for key in plain):
        errors.append(f"{where}: charter takes {', '.join(flags)} (yes/no) and symbols (a list)")
        return Charter()
    wrong = [key for key in flags if not isinstance(plain.get(key, False), bool)]
    errors += [f"{where}: charter {key} must be true or false" for key in wrong]
    symbols = plain.get("symbols")
    if symbols is not None and (not isinstance(symbols, list) or not all(isinstance(item, str) for item in symbols)):
        errors.append(f"{where}: charter symbols must be a list of symbols")
        symbols = None
    return Charter(
        long_only=bool(plain.get("long_only", False)),
        defined_risk_only=bool(plain.get("defined_risk_only", False)),
        no_shares_short=bool(plain.get("no_shares_short", True)),
        symbols=None if symbols is None else frozenset(symbols),
    )


def _amount(value: Any, where: str, errors: list[str]) -> Decimal:
    try:
        # YAML reads 1000.50 as a float; its shortest text is what the person typed.
        amount = exact(repr(value) if isinstance(value, float) else value)
    except MoneyError as error:
        errors.append(f"{where}: {error}")
        return Decimal(0)
    if amount < 0:
        errors.append(f"{where} cannot be negative")
    return amount


def _market(plain: Any, errors: list[str]) -> tuple[str, dict[str, Any]]:
    if not isinstance(plain, dict):
        errors.append("market must be a mapping such as {provider: simulated}")
        return "simulated", {}
    provider = plain.get("provider", "simulated")
    if provider not in plugins.names("providers"):
        errors.append(f"market: there is no provider {shown(provider)}; there are {', '.join(plugins.names('providers'))}")
    options = {key: value for key, value in plain.items() if key != "provider"}
    for key, value in options.items():
        if not isinstance(value, str | int | float | bool | date):
            errors.append(f"market: {key} must be a single value")
    if "speed" in options:
        try:
            speed_of(options["speed"])
        except ValueError as error:
            errors.append(f"market: {error}")
    if provider in plugins.names("providers"):
        errors += _option_errors(provider, options)
    return str(provider), options


def speed_of(value: object) -> float:
    """Simulated seconds per real second; raise ValueError with what would be right."""
    try:
        speed = float(str(value)) if str(value).isascii() else math.nan
    except ValueError:
        speed = math.nan
    if not 0 < speed <= FASTEST:
        raise ValueError(f"speed must be a number above 0 and up to {FASTEST:,}, not {shown(str(value))}")
    return speed


def _option_errors(provider: str, options: Mapping[str, Any]) -> list[str]:
    """Options the provider does not have, or of another type than theirs."""
    parameters = fields(plugins.load("providers", provider).PARAMETERS)
    declared = {item.name: item.default for item in parameters}
    bounds = {item.name: item.metadata["bounds"] for item in parameters if "bounds" in item.metadata}
    readers = {item.name: item.metadata["reads"] for item in parameters if "reads" in item.metadata}
    declared.pop("cache_dir", None)
    errors = [
        f"market: {provider} has no option {shown(key)}; it has {', '.join(sorted({*declared, 'speed'}))}"
        for key in options if key not in declared and key != "speed"
    ]
    for key, value in options.items():
        if isinstance(declared.get(key), int) and (not isinstance(value, int) or isinstance(value, bool)):
            errors.append(f"market: {key} must be a whole number, not {shown(value)}")
        elif key in bounds and not bounds[key][0] <= value <= bounds[key][1]:
            errors.append(f"market: {key} must be from {bounds[key][0]:,} to {bounds[key][1]:,}, not {shown(value)}")
        if key in readers:
            errors += _unreadable(readers[key], key, value)
        if key == "start" and type(value) is not date:
            errors.append(f"market: start must be a day such as 2026-11-20, not {shown(value)}")
        elif key == "start" and not FIRST_YEAR <= value.year <= LAST_YEAR:
            errors.append(f"market: start must be a day from {FIRST_YEAR} to {LAST_YEAR}, which the exchange calendar covers, not {value}")
    return errors


def _unreadable(reads: Callable[[str], object], key: str, value: object) -> list[str]:
    if not isinstance(value, str):
        return [f"market: {key} must be a text, not {shown(value)}"]
    try:
        reads(value)
    except UserError as error:
        return [str(error)]
    return []


def _database(plain: Any, errors: list[str]) -> str | None:
    if plain is None:
        return None
    if not isinstance(plain, str) or not plain.startswith(("postgresql://", "postgres://")):
        errors.append("database must be an address such as postgresql://user@host:5432/desk")
        return None
    try:
        parts = urlsplit(plain)
        secret = parts.password is not None or "password" in dict(parse_qsl(parts.query))
    except ValueError:
        errors.append("database is not an address that can be read")
        return None
    if secret:
        errors.append("database must hold no password; secrets come from the environment: DESK_DATABASE, or the server's password file")
        return None
    return plain


_WEB = Web()


def _web(plain: Any, errors: list[str]) -> Web:
    if plain is False:
        return Web(on=False)
    if not isinstance(plain, dict) or any(key not in ("host", "port", "names") for key in plain):
        errors.append("web must be a mapping such as {host: 127.0.0.1, port: 8765}, or false for no page")
        return Web()
    host, port, names = plain.get("host", _WEB.host), plain.get("port", _WEB.port), plain.get("names", [])
    if not isinstance(host, str) or not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", host):
        errors.append(f"web: host must be an address of this machine such as 127.0.0.1, not {shown(host)}")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65_535:
        errors.append(f"web: port must be a whole number from 0 to 65,535, not {shown(port)}")
    if not isinstance(names, list) or not all(isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name) for name in names):
        errors.append("web: names must be a list of host names such as [desk.example.org], without ports")
    return Web() if errors else Web(host=host, port=port, names=tuple(names))


def _settings(plain: Any, errors: list[str]) -> dict[str, Value]:
    if not isinstance(plain, dict):
        errors.append("settings must be a mapping such as {rules.capital.max_fraction: 0.05}")
        return {}
    specs = setting_specs()
    values: dict[str, Value] = {}
    for key, value in plain.items():
        if key not in specs:
            errors.append(f"there is no setting {shown(key)}; `python -m bot config` lists them")
            continue
        try:
            values[key] = specs[key].read(
                "yes" if value is True else "no" if value is False else repr(value) if isinstance(value, float) else str(value)
            )
        except ValueError as error:
            errors.append(f"settings: {key.removesuffix(specs[key].name)}{error}")
    return values
