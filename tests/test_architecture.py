"""Who may import whom, and who alone may ask for time, chance, tasks and orders: one table, held over the syntax tree of core/ and bot/.

Every module falls under the longest row name that begins its own ("market.view" before "market"); a module no row covers is an error, so
a new room is a decision. Imports under TYPE_CHECKING and inside functions count like all others.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Row:
    """What the modules of a row may import: other rows, third-party libraries. A pure row may do nothing but compute."""

    may: frozenset[str]
    libraries: frozenset[str]
    pure: bool


def row(may: str = "", libraries: str = "", *, pure: bool = False) -> Row:
    return Row(frozenset(may.split()), frozenset(libraries.split()), pure)


# Names for sets of rows that recur below. `ports` in a pure row means its data types, never the ports themselves.
DATA = "market.quote market.chain market.answers market.view market.analytics ports"
PURE = f"domain errors settings plugins pricing margin margin.portfolio fees {DATA}"
EDGE = "ports domain pricing margin margin.portfolio fees plugins errors clock runtime market.quote market.chain market.answers"
PLANS = "orders.states orders.standing orders.trigger"
RING = f"{PURE} portfolio portfolio.book risk strategies exits alerts reports announce schedule fold autonomy market.indicators {PLANS}"
DESK = f"{RING} clock runtime config command reply market"
INNER = f"{DESK} orders store.log store.codec logs redaction decisions"
CLIENTS = "ib_async ib_insync httpx httpx2 aiohttp requests websockets alpaca tastytrade structlog"
BOT = "bot bot.charts bot.wake bot.intent.agent"
FRONT = (
    f"{BOT} domain errors settings reply command dispatch desk plugins ports clock runtime config announce schedule commands logs redaction"
    " lanes people"
)

TABLE = {
    # 1. words and pure functions
    "domain": row(pure=True),
    "pricing": row("domain", "numpy scipy numba", pure=True),
    "margin": row("domain", "numpy scipy", pure=True),
    "margin.portfolio": row("domain margin pricing", "numpy", pure=True),
    "fees": row("domain", "numpy scipy", pure=True),
    "errors": row("domain"),
    "settings": row("domain errors", pure=True),
    "ports": row("domain errors market.quote market.chain"),
    "market.quote": row("domain errors", pure=True),
    "market.answers": row("domain errors ports market.quote market.chain", "numpy", pure=True),
    "market.chain": row("domain errors market.quote", "numpy", pure=True),
    "market.view": row("domain errors ports pricing market.quote market.chain market.analytics", "numpy", pure=True),
    "market.analytics": row("domain errors ports pricing market.quote market.chain market.view", "numpy", pure=True),
    "market.subscriptions": row("domain", pure=True),
    "market.indicators": row(PURE, "numpy", pure=True),
    "portfolio": row(f"{PURE} orders.states portfolio.account portfolio.settling", "numpy", pure=True),
    "portfolio.account": row("domain errors orders.states orders.standing portfolio.settling", pure=True),
    "portfolio.book": row("domain errors orders.states orders.standing portfolio portfolio.account portfolio.settling", pure=True),
    "portfolio.campaign": row(f"{PURE} orders.states orders.standing portfolio portfolio.book portfolio.settling", pure=True),
    "portfolio.settling": row("domain", pure=True),
    "risk": row(f"{PURE} portfolio portfolio.book orders.states orders.standing", "numpy", pure=True),
    "strategies": row(f"{PURE} portfolio portfolio.book market.indicators", "numpy", pure=True),
    "exits": row(f"{PURE} portfolio portfolio.book market.indicators", "numpy", pure=True),
    "alerts": row(f"{PURE} portfolio portfolio.book risk market.indicators reply", "numpy", pure=True),
    "reports": row(f"{PURE} portfolio portfolio.book risk market.indicators reply", "numpy", pure=True),
    "announce": row("domain errors reply command autonomy portfolio portfolio.book orders.states orders.standing", pure=True),
    "schedule": row("domain errors command", pure=True),
    "fold": row("domain errors autonomy portfolio portfolio.account portfolio.book orders.states orders.standing", pure=True),
    "autonomy": row("domain", pure=True),
    "snapshots": row("domain errors fold ports runtime"),
    "orders.states": row("domain errors", pure=True),
    "orders.standing": row("domain errors orders.states", pure=True),
    "orders.trigger": row("domain errors market.view market.quote risk", pure=True),
    "stop_settings": row("settings domain", pure=True),
    "redaction": row(pure=True),
    "decisions": row("domain errors orders.states risk redaction", pure=True),
    "reply": row("domain errors"),
    "command": row("domain errors settings reply plugins desk"),
    # the machine: time, tasks, chance, files of plug-ins
    "clock": row("errors"),
    "simloop": row("clock errors"),
    "runtime": row("clock errors simloop"),
    "plugins": row("errors domain"),
    "logs": row("redaction", "structlog"),
    "config": row("domain errors settings stop_settings plugins risk exits schedule fees config_file"),
    "config_file": row("errors", "yaml"),
    # 2. edge
    "brokers": row(f"{EDGE} links", f"numpy {CLIENTS}"),
    "market.providers": row(f"{EDGE} links", f"numpy pandas yaml {CLIENTS}"),
    "links": row(EDGE, CLIENTS),
    "links.pacing": row(pure=True),
    "links.retry": row(pure=True),
    "writers": row(EDGE, "structlog"),
    "writers.claude": row(EDGE, "structlog anthropic"),
    "store": row("ports domain errors clock runtime plugins store.log store.codec store.files", "sqlite_utils structlog"),
    "store.postgres": row("ports domain errors clock runtime plugins store store.log store.codec store.files", "psycopg structlog"),
    "store.files": row("errors store.log store.codec"),
    "store.owner": row("errors clock runtime store.files"),
    "store.starts": row("store.files"),
    "store.place": row("errors clock runtime store store.files store.log store.postgres"),
    "store.move": row("ports domain errors clock runtime fold store store.files store.log store.codec store.place"),
    "store.backup": row("ports domain errors clock runtime fold store store.files store.log store.codec store.place store.move"),
    "store.checkup": row("errors clock runtime store store.files store.place store.postgres"),
    "store.codec": row("domain errors"),
    "store.log": row("domain errors ports store.codec"),
    # 3. the desk
    "market": row(f"{PURE} market.indicators market.subscriptions clock runtime config", "numpy structlog"),
    "orders": row(f"{INNER} desk links.pacing links.retry", "structlog"),
    "desk": row(f"{INNER} keeper lanes people", "structlog"),
    "lanes": row("errors runtime"),
    "people": row("errors command ports runtime clock"),
    "marks": row(f"{DESK} desk"),
    "outside": row(f"{DESK} desk orders"),
    "keeper": row("errors desk orders"),
    "watchdog": row(f"{DESK} desk orders"),
    "warming": row("errors pricing runtime store.files"),
    "dispatch": row(f"{INNER} desk commands", "structlog"),
    "commands": row(f"{DESK} orders desk marks outside people portfolio.campaign", "numpy"),
    "journal": row(f"{DESK} desk"),
    "learning": row(f"{DESK} desk", "numpy scipy pandas"),
    "backtest": row(f"{DESK} desk", "numpy scipy pandas"),
    "app": row(
        f"{INNER} desk snapshots dispatch commands journal learning backtest brokers market.providers links writers writers.claude store"
        " store.postgres store.files store.owner store.place store.starts marks outside warming keeper watchdog",
        "structlog",
    ),
    # 4. how people reach it
    "bot": row(f"{FRONT} store.owner", "structlog rapidfuzz"),
    "bot.__main__": row(f"{FRONT} app config_file store.owner bot.channels bot.serving bot.doctor bot.upkeep", "structlog"),
    "bot.doctor": row(f"{FRONT} store.checkup store.owner store.place store.starts", "structlog"),
    "bot.upkeep": row(f"{FRONT} store.backup store.move store.place"),
    "bot.charts": row("bot reply errors domain", "matplotlib numpy"),
    "bot.serving": row(f"{FRONT} bot.channels bot.channels.telegram bot.channels.web", "structlog"),
    "bot.wake": row(FRONT, "apscheduler structlog"),
    "bot.intent.agent": row(FRONT, "anthropic structlog"),
    "bot.channels": row(FRONT, "structlog"),
    "bot.channels.telegram": row(FRONT, "telegram structlog"),
    "bot.channels.discord": row(FRONT, "discord structlog"),
    "bot.channels.web": row(FRONT, "fastapi starlette uvicorn jinja2 structlog"),
    "bot.channels.notify": row(FRONT, "apprise structlog"),
}
# One adapter never imports another; names with a leading underscore and packages of the same name are parts of an adapter, not adapters.
ADAPTERS = ("core.brokers", "core.market.providers", "core.links", "core.writers", "bot.channels")
STORES = ("core.store.sqlite", "core.store.postgres", "core.store.memory")

# Standard library a pure row may use: it computes. Anything else could reach a file, a network, a clock, the environment or chance.
# (zoneinfo reads the time zone tables, which are rules, not state; zlib packs text; a weak reference holds nothing.)
PURE_STDLIB = frozenset(
    "__future__ abc bisect calendar collections collections.abc copy dataclasses datetime decimal enum fractions functools hashlib heapq"
    " itertools json math numbers operator re statistics string textwrap types typing unicodedata weakref zlib zoneinfo".split()
)
PURE_FORBIDDEN_CALLS = frozenset("open input print breakpoint eval exec compile".split())
NUMPY_FILES = frozenset(f"numpy.{name}" for name in "load save savez loadtxt savetxt genfromtxt fromfile memmap".split())
PORT_PROTOCOLS = frozenset("Store Archive Broker Provider Writer Clock Entropy".split())

# Standard library modules that have a place of their own.
STDLIB_PLACES = {
    "time": "clock runtime simloop",
    "random": "runtime",
    "secrets": "runtime",
    "uuid": "runtime",
    "concurrent": "runtime",
    "multiprocessing": "runtime",
    "signal": "bot.__main__ runtime",
    "sqlite3": "store",
    "urllib.request": "brokers market.providers links writers",
    "http.client": "brokers market.providers links writers",
    "smtplib": "bot.channels.notify",
    "pickle": "",
    "marshal": "",
}
# Names that have a place of their own, however they were imported.
_MACHINE = "runtime simloop"
NAME_PLACES = {
    **{
        f"asyncio.{name}": _MACHINE
        for name in "create_task ensure_future TaskGroup gather as_completed sleep wait wait_for timeout timeout_at to_thread run Runner"
        .split()
    },
    "threading.Thread": _MACHINE,
    "threading.Timer": _MACHINE,
    "datetime.datetime.now": "clock runtime",
    "datetime.datetime.utcnow": "",
    "datetime.datetime.today": "",
    "datetime.date.today": "",
    "pandas.Timestamp.now": "",
    "pandas.Timestamp.today": "",
    "os.urandom": "runtime",
    "os.getrandom": "runtime",
    "importlib.import_module": "plugins",
    "__import__": "plugins",
}
LOOP_METHODS = frozenset("create_task run_in_executor call_later call_at time".split())

# Money is exact: no binary float in these modules but for opinions (never folded into cash or positions), durations and named doors.
MONEY = ("core.domain", "core.orders", "core.portfolio.account", "core.portfolio.book", "core.portfolio.settling", "core.store")
OPINIONS = frozenset(
    "short_delta short_deltas deltas net_liquidation delta gamma theta_per_day vega_per_point rho_per_point iv probability_of_profit "
    "pop expected_value".split()
)
FLOAT_DOORS = {
    "core.domain.money:from_market": "the one door from quotes to exact prices",
    "core.domain._reading:_opinion": "reads fields that are typed float, which only opinions are",
    "core.domain.calendar:years_to": "time for pricing, an opinion's argument",
    "core.store.tables:Value": "what a column may hold; amounts of money are text",
    "core.store.tables:_value": "checks a column that is typed float",
    **{f"core.store.tables:{name}": "daily bars as the source gave them: statistics" for name in ("open", "high", "low", "close")},
}
PERMITTED = "core.domain.orders.Permitted"


def place(module: str) -> str | None:
    """The row a module falls under, None where the table has none."""
    name = module.removeprefix("core.")
    while name:
        if name in TABLE:
            return name
        name = name.rpartition(".")[0]
    return None


def violations(module: str, source: str, *, known: frozenset[str] = frozenset(), package: bool = False) -> list[str]:
    """Everything in a module's source that the table forbids, as `module:line: sentence`."""
    if module == "core":
        return [f"{module}:{line}: the package imports {target}" for line, target, _, _ in _imports(ast.parse(source), module, package)]
    here = place(module)
    if here is None:
        return [f"{module}: has no row in the table of tests/test_architecture.py"]
    tree = ast.parse(source)
    found: list[tuple[int, str]] = []
    names: dict[str, str] = {}
    for line, target, local, bound in _imports(tree, module, package):
        names[local] = bound
        found += [(line, why) for why in _import_faults(module, here, target, known)]
    for check in (_name_faults, _pure_faults, _order_faults, _float_faults):
        found += check(tree, module, here, names)
    return [f"{module}:{line}: {why}" for line, why in sorted(set(found))]


def _imports(tree: ast.Module, module: str, package: bool) -> Iterator[tuple[int, str, str, str]]:
    """Line, full dotted target, local name and what that name means, of every import; relative ones made absolute."""
    parent = module if package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield node.lineno, alias.name, alias.asname or top, alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = parent.split(".")[: len(parent.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}", alias.asname or alias.name, f"{base}.{alias.name}"


def _import_faults(module: str, here: str, target: str, known: frozenset[str]) -> Iterator[str]:
    top = target.partition(".")[0]
    if top in ("core", "bot"):
        yield from _own_faults(module, here, target, known)
    elif top == "tests":
        yield "the product imports its tests"
    elif top in sys.stdlib_module_names:
        for name, places in STDLIB_PLACES.items():
            if (target == name or target.startswith(f"{name}.")) and here not in places.split():
                yield f"{name} belongs in {places or 'no module'}"
        if TABLE[here].pure and not {target, target.rpartition(".")[0], top} & PURE_STDLIB:
            yield f"a pure module imports {target}"
    elif top not in TABLE[here].libraries:
        yield f"{here} may not import the library {top}"


def _own_faults(module: str, here: str, target: str, known: frozenset[str]) -> Iterator[str]:
    there = place(target)
    if target in ("core", "bot") or there is None or (there == "bot" and here not in TABLE):
        yield f"{target} has no row in the table"
        return
    if there != here and there not in TABLE[here].may:
        yield f"{here} may not import {there} ({target})"
    for folder in ADAPTERS:
        mine, other = _adapter(module, folder), _adapter(target, folder)
        if mine and other and other != mine and not other.startswith("_") and _is_module(f"{folder}.{other}", known):
            yield f"the adapter {module} imports the adapter {target}"
    if module in STORES and any(target.startswith(store) for store in STORES if store != module):
        yield f"the adapter {module} imports the adapter {target}"
    mine, link = _adapter(module, "core.brokers") or _adapter(module, "core.market.providers"), _adapter(target, "core.links")
    if mine and link and link != mine and not link.startswith("_"):
        yield f"{module} uses the connection of another vendor ({target})"
    if there == "ports" and TABLE[here].pure and target.rpartition(".")[2] in PORT_PROTOCOLS:
        yield f"a pure module names a port ({target})"


def _adapter(module: str, folder: str) -> str | None:
    rest = module.removeprefix(f"{folder}.")
    return rest.partition(".")[0] if rest != module else None


def _is_module(name: str, known: frozenset[str]) -> bool:
    return name in known or any(other.startswith(f"{name}.") for other in known)


def _dotted(node: ast.AST, names: dict[str, str]) -> str | None:
    """The full name an expression refers to, through the module's imports."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value, names)
        return f"{base}.{node.attr}" if base else None
    return None


def _last_word(node: ast.AST) -> str:
    """The last identifier of an expression: `desk.brokers[a]` and `self.broker_for(a)` say `brokers` and `broker_for`."""
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word):
            return word
        case ast.Call(func=inner) | ast.Subscript(value=inner) | ast.Await(value=inner) | ast.NamedExpr(target=inner):
            return _last_word(inner)
        case _:
            return ""


def _name_faults(tree: ast.Module, module: str, here: str, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        full = _dotted(node, names) or ""
        if full in NAME_PLACES and here not in NAME_PLACES[full].split():
            yield node.lineno, f"{full} belongs in {NAME_PLACES[full] or 'no module'}"
        of_loop = isinstance(node, ast.Attribute) and node.attr in LOOP_METHODS and re.search(r"(^|_)loop$", _last_word(node.value))
        if of_loop and here not in ("clock", *_MACHINE.split()):
            yield node.lineno, f"{full} of an event loop belongs in clock {_MACHINE}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (full := _dotted(node.func, names) or "").startswith("numpy.random."):
            if TABLE[here].pure:
                yield node.lineno, f"a pure module calls {full}; it takes a Generator"
            elif full.rpartition(".")[2][0].islower() and full != "numpy.random.default_rng":
                yield node.lineno, f"{full} draws from the global generator"
            elif not node.args and not node.keywords:
                yield node.lineno, f"{full} without a seed"


def _pure_faults(tree: ast.Module, module: str, here: str, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    if not TABLE[here].pure:
        return
    for node in ast.walk(tree):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield node.lineno, "a pure module waits"
            case ast.Global():
                yield node.lineno, "a pure module keeps state"
            case ast.Call(func=func) if (full := _dotted(func, names)) in PURE_FORBIDDEN_CALLS or full in NUMPY_FILES:
                yield node.lineno, f"a pure module calls {full}"


def _order_faults(tree: ast.Module, module: str, here: str, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    """`Permitted` is made in the gate alone, and orders leave for a broker from the sender alone."""
    brokers = _declared_brokers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and module != "core.risk.gate":
            called = _dotted(node.func, names) or ""
            if called in (PERMITTED, "Permitted"):
                yield node.lineno, "Permitted is made only in core/risk/gate.py"
            elif called not in ("isinstance", "issubclass") and any(_dotted(arg, names) in (PERMITTED, "Permitted") for arg in node.args):
                yield node.lineno, f"Permitted is handed to {called or 'a function'}, which may make one"
            elif called.rpartition(".")[2] == "replace" and node.args and "permitted" in _last_word(node.args[0]).lower():
                yield node.lineno, "a changed copy of Permitted is a Permitted nobody judged"
        if module == "core.orders.sender":
            continue
        if isinstance(node, ast.Attribute) and node.attr in ("submit", "replace"):
            word = _last_word(node.value)
            to_broker = "broker" in word.lower() or word in brokers
            elsewhere = node.attr == "submit" and here not in (*_MACHINE.split(), "brokers", "links") and "sender" not in word.lower()
            if to_broker or elsewhere:
                yield node.lineno, f"{word}.{node.attr}: orders leave only from core/orders/sender.py"
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value="submit"), *_]):
                yield node.lineno, "getattr(..., 'submit'): orders leave only from core/orders/sender.py"


def _declared_brokers(tree: ast.Module) -> set[str]:
    """Names of arguments, variables and fields whose annotation says Broker."""
    declared = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None and re.search(r"\bBroker\b", ast.unparse(node.annotation)):
            declared.add(node.arg)
        if isinstance(node, ast.AnnAssign) and re.search(r"\bBroker\b", ast.unparse(node.annotation)):
            declared.add(_last_word(node.target))
    return declared


def _float_faults(tree: ast.Module, module: str, here: str, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    if any(module == money or module.startswith(f"{money}.") for money in MONEY):
        yield from _floats(tree, module, names)


def _is_opinion(name: str, module: str) -> bool:
    return name in OPINIONS or f"{module}:{name}" in FLOAT_DOORS or re.search(r"(^|_)seconds(_|$)", name.lower()) is not None


def _floats(node: ast.AST, module: str, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() if _is_opinion(node.name, module):
            return  # what works out an opinion works in floats
        case ast.arg(arg=name) if _is_opinion(name, module):
            return
        case ast.arguments():
            positional = [*node.posonlyargs, *node.args]
            defaults = [None] * (len(positional) - len(node.defaults)) + [*node.defaults]
            both = [*zip(positional, defaults, strict=True), *zip(node.kwonlyargs, node.kw_defaults, strict=True)]
            parts = [part for arg, default in both if not _is_opinion(arg.arg, module) for part in (arg, default) if part is not None]
            parts += [arg for arg in (node.vararg, node.kwarg) if arg is not None]
        case ast.AnnAssign(target=target) | ast.Assign(targets=[target]) if _is_opinion(_last_word(target), module):
            return
        case ast.keyword(arg=str(name)) if _is_opinion(name, module):
            return
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass")):
            return  # to recognise a float is how one is refused
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            parts = [value for key, value in pairs if not (isinstance(key, ast.Constant) and _is_opinion(str(key.value), module))]
        case ast.Compare() if any(_is_opinion(_last_word(part), module) for part in ast.walk(node)):
            return  # an opinion is measured against a threshold
        case ast.Compare():
            # `kind is float` asks about a type; it makes none
            parts: list[ast.AST] = [child for child in ast.iter_child_nodes(node) if _last_word(child) != "float"]
        case ast.Constant(value=float()):
            yield node.lineno, f"a float literal ({node.value}) in a money module"
            return
        case ast.Name() | ast.Attribute() if (_dotted(node, names) or "") in ("float", "numpy.float64", "numpy.float32"):
            yield node.lineno, "float in a money module"
            return
        case _:
            parts = list(ast.iter_child_nodes(node))
    for part in parts:
        yield from _floats(part, module, names)


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted name and file of every module of the product."""
    for path in sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("bot/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


KNOWN = frozenset(name for name, _ in modules())


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_module_when_parsed_then_keeps_to_the_table(module: str, path: Path) -> None:
    found = violations(module, path.read_text(encoding="utf-8"), known=KNOWN, package=path.name == "__init__.py")

    assert not found, "\n".join(found)


# --- the table itself says what docs/architecture.md says ------------------------------------------------------------------------

PICKERS = frozenset("app store.checkup store.place store.move store.backup".split())  # and what works on stores as a whole
EDGE_ROWS = frozenset("brokers market.providers links writers writers.claude store store.postgres".split())


@pytest.mark.parametrize("name", sorted(TABLE))
def test_table_when_a_row_is_read_then_it_names_rows_and_crosses_no_border(name: str) -> None:
    may = TABLE[name].may
    of_bot = name == "bot" or name.startswith("bot.")

    assert may <= set(TABLE)
    assert of_bot or not any(other == "bot" or other.startswith("bot.") for other in may), "core imports bot"
    assert name in EDGE_ROWS | PICKERS or not may & EDGE_ROWS, "only core/app.py picks an adapter"
    assert not (TABLE[name].pure and may & {"clock", "runtime", "config", "store", "desk"}), "a pure row sees the machine"


def test_table_when_the_innermost_rows_are_read_then_they_see_only_domain_and_numbers() -> None:
    assert TABLE["domain"] == row(pure=True)
    assert TABLE["margin"] == TABLE["fees"] == row("domain", "numpy scipy", pure=True)
    assert TABLE["pricing"] == row("domain", "numpy scipy numba", pure=True)


@pytest.mark.parametrize("name", sorted(EDGE_ROWS))
def test_table_when_an_edge_row_is_read_then_it_sees_the_ports_and_nothing_of_the_desk(name: str) -> None:
    assert TABLE[name].may <= set(EDGE.split()) | {"links", "store", "store.log", "store.codec", "store.files"}


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("telegram", "bot.channels.telegram"),
        ("discord", "bot.channels.discord"),
        ("fastapi", "bot.channels.web"),
        ("anthropic", "bot.intent.agent writers.claude"),
        ("apscheduler", "bot.wake"),
        ("matplotlib", "bot.charts"),
        ("ib_async", "brokers links market.providers"),
        ("httpx", "brokers links market.providers"),
        ("sqlite_utils", "store"),
        ("psycopg", "store.postgres"),
        ("pandas", "backtest learning market.providers"),
        ("scipy", "backtest fees learning margin pricing"),
    ],
)
def test_table_when_asked_for_a_library_then_it_has_only_its_place(library: str, places: str) -> None:
    assert sorted(name for name, one in TABLE.items() if library in one.libraries) == places.split()


# --- the checker itself is checked: each rule is broken once ---------------------------------------------------------------------

CORE_ROWS = sorted(name for name in TABLE if name != "bot" and not name.startswith("bot."))
PURE_ROWS = sorted(name for name in TABLE if TABLE[name].pure)


def _own(name: str) -> str:
    return name if name == "bot" or name.startswith("bot.") else f"core.{name}"


@pytest.mark.parametrize("name", sorted(TABLE))
def test_checker_when_any_row_imports_what_it_may_not_then_it_is_caught(name: str) -> None:
    forbidden = sorted(set(TABLE) - TABLE[name].may - {name})

    missed = [other for other in forbidden if not violations(f"{_own(name)}.x", f"from {_own(other)} import thing\n")]

    assert not missed
    assert violations(f"{_own(name)}.x", "import leftpad\n")


@pytest.mark.parametrize("name", CORE_ROWS)
def test_checker_when_core_imports_bot_then_it_is_caught(name: str) -> None:
    assert violations(_own(name), "def late():\n    import bot.session\n")


@pytest.mark.parametrize("name", PURE_ROWS)
@pytest.mark.parametrize("source", ["import os", "import asyncio", "from pathlib import Path", "async def f(): ...", "open(x)"])
def test_checker_when_a_pure_module_does_more_than_compute_then_it_is_caught(name: str, source: str) -> None:
    assert violations(_own(name), source)


BAD = {
    "unknown_room": ("core.helpers", "x = 1", "no row"),
    "type_only_import": (
        "core.domain.x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from core.ports import Fill",
        "may not import",
    ),
    "relative_import": ("core.domain.x", "from ..ports import Fill", "may not import"),
    "package_from_core": ("core.risk.x", "from core import desk", "may not import"),
    "tests_imported": ("core.desk", "from tests.sim import world", "imports its tests"),
    "adapter_imports_adapter": ("core.brokers.paper", "from core.brokers.ibkr import Wire", "imports the adapter"),
    "adapter_imports_adapter_relative": ("core.brokers.paper", "from .ibkr import Wire", "imports the adapter"),
    "provider_imports_provider": ("core.market.providers.recorded", "import core.market.providers.simulated", "imports the adapter"),
    "store_imports_store": ("core.store.sqlite", "from core.store.memory import MemoryStore", "imports the adapter"),
    "channel_imports_channel": ("bot.channels.telegram", "from bot.channels import discord", "may not import"),
    "foreign_link": ("core.brokers.alpaca", "from core.links.ibkr import connection", "another vendor"),
    "adapter_outside_app": ("core.desk", "from core.brokers.paper import Paper", "may not import"),
    "app_outside_main": ("bot.session", "from core.app import build", "may not import"),
    "library_out_of_place": ("core.risk.x", "import pandas as pd", "library pandas"),
    "scipy_in_the_ring": ("core.risk.x", "def f():\n    from scipy import stats", "library scipy"),
    "port_in_the_ring": ("core.risk.x", "from core.ports import Broker", "names a port"),
    "sql_out_of_place": ("core.desk", "import sqlite3", "sqlite3 belongs in"),
    "http_out_of_place": ("core.desk", "from urllib import request", "urllib.request belongs in"),
    "signal_out_of_place": ("core.desk", "import signal", "signal belongs in"),
    "pickle": ("core.store.sqlite", "import pickle", "no module"),
    "time_module": ("core.desk", "from time import monotonic", "time belongs in"),
    "random_module": ("core.market.providers.simulated", "import random", "random belongs in"),
    "uuid_module": ("core.orders.ticket", "from uuid import uuid4", "uuid belongs in"),
    "secrets_module": ("bot.auth", "import secrets", "secrets belongs in"),
    "urandom": ("core.desk", "import os\nos.urandom(8)", "os.urandom belongs in"),
    "pool": ("core.store.sqlite", "from concurrent.futures import ThreadPoolExecutor", "concurrent belongs in"),
    "process": ("core.backtest.x", "import multiprocessing", "multiprocessing belongs in"),
    "thread": ("core.store.sqlite", "import threading\nthreading.Thread(target=f)", "threading.Thread belongs in"),
    "now": ("core.desk", "from datetime import datetime\ndatetime.now()", "datetime.now belongs in"),
    "now_by_module": ("core.desk", "import datetime as dt\ndt.datetime.now(dt.UTC)", "datetime.now belongs in"),
    "now_handed_over": ("core.desk", "from datetime import datetime as D\nclock = D.now", "datetime.now belongs in"),
    "utcnow": ("core.clock", "from datetime import datetime\ndatetime.utcnow()", "utcnow"),
    "today": ("core.risk.x", "from datetime import date\ndate.today()", "date.today"),
    "create_task": ("core.desk", "import asyncio\nasyncio.create_task(f())", "asyncio.create_task"),
    "sleep": ("core.orders.work", "from asyncio import sleep\nasync def f():\n    await sleep(1)", "asyncio.sleep"),
    "sleep_renamed": ("core.orders.work", "import asyncio as a\nf = a.sleep", "asyncio.sleep"),
    "wait_for": ("core.orders.sender", "import asyncio\nasyncio.wait_for(f(), 1)", "asyncio.wait_for"),
    "timeout": ("core.orders.sender", "import asyncio\nasyncio.timeout(1)", "asyncio.timeout"),
    "to_thread": ("core.store.sqlite", "import asyncio\nasyncio.to_thread(f)", "asyncio.to_thread"),
    "gather": ("core.market.reader", "import asyncio\nasyncio.gather(f())", "asyncio.gather"),
    "task_group": ("core.market.reader", "import asyncio\nasyncio.TaskGroup()", "asyncio.TaskGroup"),
    "loop_task": ("core.desk", "import asyncio\nasyncio.get_running_loop().create_task(f())", "of an event loop"),
    "loop_timer": ("core.desk", "self._loop.call_later(1, f)", "of an event loop"),
    "dynamic_import": ("core.desk", "import importlib\nimportlib.import_module('core.brokers.paper')", "import_module belongs in"),
    "dunder_import": ("core.desk", "__import__('core.brokers.paper')", "__import__ belongs in"),
    "generator_in_the_ring": ("core.risk.x", "import numpy as np\nnp.random.default_rng(1)", "takes a Generator"),
    "generator_without_seed": ("core.market.providers.simulated", "import numpy as np\nnp.random.default_rng()", "without a seed"),
    "global_generator": ("core.market.providers.simulated", "import numpy as np\nnp.random.normal(1)", "global generator"),
    "global_generator_imported": ("core.market.providers.simulated", "from numpy.random import normal\nnormal(1)", "global generator"),
    "file_through_numpy": ("core.risk.x", "import numpy as np\nnp.load('x')", "calls numpy.load"),
    "state_in_the_ring": ("core.strategies.x", "n = 0\ndef f():\n    global n\n    n = 1", "keeps state"),
    "permitted": ("core.orders.ticket", "from core.domain.orders import Permitted\nPermitted(limit=1)", "only in core/risk/gate.py"),
    "permitted_by_module": ("core.orders.sender", "from core.domain import orders\norders.Permitted(limit=1)", "only in core/risk/gate.py"),
    "permitted_renamed": ("core.risk.exam", "from core.domain.orders import Permitted as P\nP()", "only in core/risk/gate.py"),
    "permitted_decoded": ("core.orders.x", "from core.domain.orders import Permitted\nfrom_plain(Permitted, {})", "may make one"),
    "permitted_changed": ("core.orders.x", "from dataclasses import replace\nreplace(permitted, limit=1)", "nobody judged"),
    "submit": ("core.orders.ticket", "async def f(broker):\n    await broker.submit(p)", "only from core/orders/sender.py"),
    "submit_by_account": ("core.desk", "self.brokers[account].submit(p)", "only from core/orders/sender.py"),
    "submit_handed_over": ("core.commands.confirm", "send = desk.broker_for(account).submit", "only from core/orders/sender.py"),
    "submit_under_another_name": ("core.orders.work", "wire.submit(p)", "only from core/orders/sender.py"),
    "submit_by_getattr": ("core.orders.work", "getattr(wire, 'submit')(p)", "only from core/orders/sender.py"),
    "replace": ("core.orders.work", "self._broker.replace('1', p)", "only from core/orders/sender.py"),
    "replace_by_type": ("core.orders.work", "def f(wire: Broker) -> None:\n    wire.replace('1', p)", "only from core/orders/sender.py"),
    "float_field": ("core.domain.x", "class A:\n    cash: float", "float in a money module"),
    "float_optional": ("core.orders.ticket", "def f(price: float | None) -> None: ...", "float in a money module"),
    "float_result": ("core.portfolio.book", "def cash() -> dict[str, float]: ...", "float in a money module"),
    "float_literal": ("core.orders.ticket", "from decimal import Decimal\nx = Decimal(0.1)", "float literal"),
    "float_call": ("core.store.codec", "x = float('1')", "float in a money module"),
    "float_column": ("core.store.tables", "columns = {'iv': float, 'cash': float}", "float in a money module"),
    "float_numpy": ("core.orders.x", "x: np.float64", "float in a money module"),
}
SPEAKING = frozenset({"core.brokers.ibkr", "core.brokers.paper", "core.market.providers.simulated", "core.links.ibkr"})


@pytest.mark.parametrize("rule", sorted(BAD))
def test_checker_when_a_rule_is_broken_then_it_is_caught_for_that_reason(rule: str) -> None:
    module, source, reason = BAD[rule]
    prefix = "import numpy as np\n" if rule == "float_numpy" else ""

    found = violations(module, prefix + source, known=SPEAKING)

    assert any(reason in one for one in found), found


GOOD = {
    "clock": ("core.clock", "import time\nfrom datetime import UTC, datetime\ndatetime.now(UTC)"),
    "runtime": ("core.runtime", "import asyncio\nimport random\nasyncio.create_task(f())"),
    "asked_of_the_runtime": ("core.desk", "await_all = runtime.gather\nrun = runtime.sleep\nnow = clock.now()\nd = now.date()"),
    "a_lock": ("core.desk", "import asyncio\nlock = asyncio.Lock()"),
    "text_and_intents_replaced": ("core.orders.ticket", "from dataclasses import replace\nreplace(intent, quantity=1)\nt.replace('a', '')"),
    "the_gate": ("core.risk.gate", "from core.domain.orders import Permitted\nPermitted(limit=1)"),
    "the_sender": ("core.orders.sender", "broker.submit(p)\nbroker.replace('1', p)"),
    "through_the_sender": ("core.orders.ticket", "self._sender.submit(p)"),
    "a_type_test": ("core.orders.work", "from core.domain.orders import Permitted\nisinstance(x, Permitted)"),
    "own_parts": ("core.brokers.ibkr", "from core.links.ibkr import wire\nfrom core.brokers._rows import row\nimport ib_async"),
    "seeded": ("core.market.providers.simulated", "import numpy as np\nnp.random.default_rng(np.random.SeedSequence(7))"),
    "generator_passed": ("core.risk.x", "import numpy as np\ndef f(rng: np.random.Generator) -> None: ..."),
    "opinion": ("core.orders.ticket", "class Card:\n    delta: float | None\n    def probability_of_profit(self) -> float: ..."),
    "duration": ("core.orders.sender", "LIMIT_SECONDS = 5.0\ndef f(timeout_seconds: float = 2.5) -> None:\n    g(wait_seconds=0.5)"),
    "float_refused": ("core.domain.x", "def f(x: object) -> bool:\n    return isinstance(x, float)"),
    "domain_zone": ("core.domain.x", "from zoneinfo import ZoneInfo\nfrom collections.abc import Mapping"),
}


@pytest.mark.parametrize("case", sorted(GOOD))
def test_checker_when_nothing_is_wrong_then_it_is_silent(case: str) -> None:
    module, source = GOOD[case]

    assert violations(module, source, known=SPEAKING) == []


# --- lazy imports ----------------------------------------------------------------------------------------------------------------

HEAVY = frozenset("matplotlib scipy pandas numba discord anthropic telegram fastapi starlette uvicorn jinja2".split())


def test_status_when_started_cold_then_loads_nothing_heavy(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bot", "do", "status"],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")}

    assert done.returncode == 0, done.stderr[-2000:]
    assert "core" in loaded
    assert not loaded & HEAVY
