"""Ports on the market's side: whatever a source of data may answer, the files of a recording, and the paper exchange behind them.

What a view holds of it can be asked for without an error but Unavailable and UserError; a rule, a strategy and the exchange may only use
what is sane.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from core import plugins
from core.brokers.paper import PaperBroker, Parameters
from core.clock import ManualClock
from core.config import SettingsTable, parse_config
from core.domain.calendar import CalendarError
from core.domain.ideas import Request
from core.domain.instruments import Instrument, InstrumentError, Option, Right, underlying_instrument
from core.domain.orders import Permitted
from core.errors import DeskError, Unavailable, UserError
from core.market import analytics
from core.market.chain import Chain
from core.market.providers import recorded
from core.market.quote import Quote
from core.market.reader import Reader
from core.market.view import BarsNeed, ChainNeed, Needs, View
from core.ports import Bars, Dividend, Earnings, Headline, ProviderCapabilities, SettlementValue, Split
from core.risk.exam import Exam
from core.risk.examine import examine
from core.risk.gate import judge
from core.risk.registry import load_rules
from core.runtime import SeededEntropy, SystemRuntime
from core.settings import defaults
from core.store.archive import MemoryArchive
from tests.fuzz.harness import Port
from tests.fuzz.looped import Looped
from tests.fuzz.source import FLOATS, Source
from tests.fuzz.words import held
from tests.unit.risk.market import EXPIRY, FAR, NOW, PRACTICE, SPREAD, account, book, chain, envelope, intent, preview

RECORDED = Path(__file__).resolve().parents[1] / "refdata" / "recorded_small"
SYMBOLS = ("SPX", "XSP", "SPY", "KO", "VIX")
CHAINS = {
    "SPX": chain("SPX", 2900.0, {EXPIRY: "SPXW", FAR: "SPXW"}, step=100, half_spread=0.10, at=NOW),
    "XSP": chain("XSP", 290.0, {EXPIRY: "XSP"}, step=10, half_spread=0.02, at=NOW),
    "SPY": chain("SPY", 290.0, {EXPIRY: "SPY"}, step=10, half_spread=0.01, at=NOW),
    "KO": chain("KO", 48.0, {EXPIRY: "KO"}, step=2, half_spread=0.01, at=NOW, vol=0.2),
}
LEVELS = {"SPX": 2900.0, "XSP": 290.0, "SPY": 290.0, "KO": 48.0, "VIX": 15.0}
PLAIN = ("symbol", "at", "source", "spot", "halted")
COLUMNS = tuple(item.name for item in fields(Chain) if item.name not in PLAIN)
TOLD = (UserError, Unavailable)  # what a view may raise


class Hostile:
    """The Provider port over a small market, each answer of which may be bent."""

    def __init__(self) -> None:
        self.source = Source()
        self.bend = 0.5

    @property
    def capabilities(self) -> ProviderCapabilities:
        return ProviderCapabilities(name="fuzz", label="FUZZ", symbols=None)

    def _bent(self) -> bool:
        return self.source.chance(self.bend)

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        found: dict[str, Quote] = {}
        for item in instruments:
            quote = _sane_quote(item)
            if quote is not None:
                found[item.key] = self._quote(quote) if self._bent() else quote
        if self._bent() and self.source.chance(0.1):
            found[self.source.text()] = _sane_quote(underlying_instrument("SPX"))  # type: ignore[assignment]
        return found

    def _quote(self, quote: Quote) -> Quote:
        if self.source.chance(0.6):
            return replace(quote, bid=self.source.float_(), ask=self.source.float_() if self.source.chance(0.7) else quote.ask)
        return self.source.bent(quote, swaps=self.source.chance(0.2))

    async def chain(self, symbol: str, *, first: date, last: date) -> Chain:
        made = CHAINS.get(symbol)
        if made is None:
            raise UserError(f"no {symbol} here")
        return bent_chain(self.source, made) if self._bent() else made

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        return self.source.pick(((EXPIRY, FAR), (FAR, EXPIRY, EXPIRY), (), (self.source.day(),), (NOW, "soon", None), None))  # type: ignore[arg-type, return-value]

    async def bars(self, symbol: str, *, start: date, end: date) -> Bars:
        days = tuple(date(2019, 4, 1) + timedelta(days=number) for number in range(20))
        level = (LEVELS.get(symbol, 10.0),) * 20
        made = Bars(symbol=symbol, days=days, open=level, high=level, low=level, close=level, source="fuzz")
        if not self._bent():
            return made
        if self.source.chance(0.5):
            name = self.source.pick(("open", "high", "low", "close"))
            return replace(made, **{name: tuple(self.source.float_() if self.source.chance(0.2) else value for value in level)})
        return self.source.bent(made, swaps=self.source.chance(0.2))

    async def settlement(self, contract: Option) -> SettlementValue | None:
        made = SettlementValue(root=contract.root, expiry=contract.expiry, value=Decimal(2850), published_at=NOW, label="close")
        bent = self.source.bent(made, swaps=self.source.chance(0.2))
        return self.source.pick((made, None, bent, replace(made, value=self.source.decimal())))

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        made = Dividend(symbol=symbol, ex_date=date(2019, 5, 20), amount=Decimal("0.40"))
        bent = self.source.bent(made, swaps=self.source.chance(0.2))
        return self.source.pick(((), (made,), (made, bent), (replace(made, amount=self.source.decimal()),)))

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        made = Split(symbol=symbol, ex_date=date(2019, 5, 20), new=4, old=1)
        return self.source.pick(((), (made,), (made, self.source.bent(made, swaps=self.source.chance(0.2)))))

    async def earnings(self, symbol: str, *, start: date, end: date) -> tuple[Earnings, ...]:
        made = Earnings(symbol=symbol, day=date(2019, 5, 20), when="after_close")
        return self.source.pick(((), (made,), (made, self.source.bent(made, swaps=self.source.chance(0.2)))))

    async def headlines(self, symbol: str | None, *, since: datetime) -> tuple[Headline, ...]:
        made = Headline(at=NOW, symbol=symbol, text="SPX falls", source="fuzz")
        return self.source.pick(((), (made,), (made, self.source.bent(made, swaps=self.source.chance(0.2)))))

    async def rate(self, days: int) -> float:
        return 0.02 if not self._bent() else self.source.pick((*FLOATS, None, "0.02"))  # type: ignore[arg-type]

    async def next_instant(self) -> datetime | None:
        return self.source.pick((None, NOW + timedelta(days=1), self.source.instant(), "soon"))  # type: ignore[arg-type]


def _sane_quote(item: Instrument) -> Quote | None:
    if isinstance(item, Option):
        made = CHAINS.get(item.underlying)
        row = None if made is None else made.row(item)
        return None if made is None or row is None else made.quote(row)
    level = LEVELS.get(item.key)
    return None if level is None else Quote(key=item.key, bid=level, ask=level, at=NOW, source="fuzz", bid_size=50, ask_size=50)


def bent_chain(source: Source, made: Chain) -> Chain:
    """A chain with wrong cells, columns, lengths, rows twice, in any order, or of another market."""
    for _ in range(1 + source.number(2)):
        match int(source.rng.random() * 8):
            case 0:
                made = replace(made, spot=source.pick((source.float_(), None, "2900", 0.0)))
                if source.chance(0.3):
                    made = replace(made, halted=source.pick((None, 7, True, [1, 2], source.text(), "\n", "x" * 900)))
            case 1:
                made = replace(made, at=source.instant())
            case 2 if len({len(getattr(made, name)) for name in COLUMNS}) == 1:
                rows = np.array([source.rng.randrange(len(made)) for _ in range(len(made))]) if len(made) else np.array([], dtype=int)
                made = made.select(rows)  # type: ignore[arg-type]  # rows twice, some missing, in any order
            case 3:
                name = source.pick(COLUMNS)
                made = replace(made, **{name: getattr(made, name)[: source.number(len(made))]})
            case 4:
                made = replace(made, symbol=source.pick(("SPY", "", "NOTHING")))
            case 5:
                name = source.pick(COLUMNS)
                column = getattr(made, name)
                with np.errstate(over="ignore"):
                    narrow = column if name == "root" else column.astype(np.float32)
                swapped = source.pick((None, list(column), column.astype(object), column.astype(str), narrow))
                made = replace(made, **{name: swapped})
                return made
            case _:
                made = _bent_cells(source, made)
    return made


def _bent_cells(source: Source, made: Chain) -> Chain:
    name = source.pick(("bid", "ask", "bid", "ask", *COLUMNS))
    column = getattr(made, name).copy()
    if not len(column):
        return made
    for _ in range(1 + source.number(len(column) // 2)):
        row = source.rng.randrange(len(column))
        if name == "root":
            column[row] = source.pick(("SPX", "", "XYZ1", "spxw", "TOOLONGROOT", "\0", None, 7))
        elif column.dtype.kind == "f":
            column[row] = source.float_()
        elif column.dtype == np.int8:
            column[row] = source.pick((0, 1, -1, 2, -128, 127))
        else:
            column[row] = source.pick((0, -1, 1, 2**62, -(2**62), 10**8, 999_999_999, source.rng.randrange(10**6)))
    return replace(made, **{name: column})


class Views(Looped):
    """Views read from a source that may answer anything, and all that looks at them."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.clock = ManualClock(NOW)
        self.provider = Hostile()
        self.reader = Reader((self.provider,), clock=self.clock, runtime=SystemRuntime(self.clock))
        self.needs = Needs(
            instruments=frozenset((*(leg.instrument for leg in SPREAD), *map(underlying_instrument, SYMBOLS))),
            chains=frozenset(ChainNeed(symbol=symbol, first_dte=0, last_dte=90) for symbol in CHAINS),
            bars=frozenset((BarsNeed(symbol="SPX", sessions=10),)),
        )
        self.rules = load_rules(SettingsTable(parse_config({})).all_parameters("rules"))
        self.strategies = [plugins.load("strategies", name) for name in plugins.names("strategies")]
        self.book = book((SPREAD[1].instrument, 2), (SPREAD[0].instrument, -2))

    def one(self, source: Source) -> str:
        self.provider.source = source
        self.provider.bend = source.pick((0.1, 0.5, 1.0))
        view = self.run(self.reader.view(self.needs, fresh=True))
        self._asked(source, view)
        if source.chance(0.15):
            return self._judged(source, view)
        if source.chance(0.15):
            return self._found(source, view)
        if source.chance(0.2):
            self._others(source)
        return "viewed"

    def _asked(self, source: Source, view: View) -> None:
        contract = SPREAD[0].instrument
        assert isinstance(contract, Option)
        for symbol in SYMBOLS:
            spot = known(lambda symbol=symbol: view.spot(symbol))
            held(spot is None or 0 < spot <= 1e7, f"{symbol} at {spot}")
        for ask in (view.mid, view.age_seconds, view.session_age_seconds, view.quote):
            answer = known(lambda ask=ask: ask(contract))
            held(not isinstance(answer, float) or math.isfinite(answer), f"{ask.__name__} is {answer}")
        mark = known(lambda: view.mark(contract))
        if mark is not None:
            figures = (mark.mid, mark.iv, mark.delta, mark.gamma, mark.theta_per_day, mark.vega_per_point, mark.forward, mark.discount)
            held(all(value is None or math.isfinite(value) for value in figures), f"{mark}")
        made = known(lambda: view.chain(source.pick(tuple(CHAINS))))
        if made is not None:
            known(lambda: analytics.strike_by_delta(view, made, source.pick(tuple(Right)), 0.16))
            (made.expiries(), made.mid, len(made.only(right=Right.PUT)))
            row = source.rng.randrange(len(made))
            known(lambda: made.option(row))
            made.quote(row)
        bars = view.bars.get("SPX")
        if bars is not None:
            held(len({len(column) for column in (bars.days, bars.open, bars.high, bars.low, bars.close)}) == 1, f"{bars}")
            held(all(math.isfinite(close) and close > 0 for close in bars.close), f"closes {bars.close}")
        held(view.rate is None or (math.isfinite(view.rate) and abs(view.rate) <= 1), f"rate {view.rate}")

    def _judged(self, source: Source, view: View) -> str:
        asked: Exam = examine(
            intent=intent(SPREAD), book=self.book, view=view, preview=preview(), now=NOW, mode=_ACTIVE, mode_reason="",
        )
        reports: list[BaseException] = []
        verdict = judge(asked, self.rules, report=lambda name, error: reports.append(error) or "E")
        if reports:
            raise reports[0]
        held(len(verdict.hash) == 64, f"{verdict}")
        held(not verdict.allowed or (asked.mid is not None and asked.mid.is_finite()), f"allowed at {asked.mid}")
        return "allowed" if verdict.allowed else "blocked"

    def _found(self, source: Source, view: View) -> str:
        strategy = source.pick(self.strategies)
        request = Request(symbol=source.pick(("SPX", "XSP", "SPY", "KO")))
        try:
            ideas = strategy.find(view, self.book, defaults(strategy.PARAMETERS), request)
        except TOLD:
            return "no idea"
        for idea in ideas:
            for leg in idea.legs:
                held(known(lambda leg=leg: view.mid(leg.instrument)) is not None, f"an idea on {leg.instrument.key} without a price")
        return "idea"

    def _others(self, source: Source) -> None:
        contract = SPREAD[0].instrument
        assert isinstance(contract, Option)
        days = known(lambda: self.run(self.reader.expiries("SPX")))
        held(days is None or all(type(day) is date for day in days), f"expiries {days}")
        value = known(lambda: self.run(self.reader.settlement(contract)))
        held(value is None or (value.value.is_finite() and value.value >= 0), f"settles on {value}")
        instant = known(lambda: self.run(self.reader.next_instant()))
        held(instant is None or (instant.tzinfo is not None and instant > NOW), f"next instant {instant}")


def known(ask: Any) -> Any:
    """The answer, None where the view says that it is not known or cannot be."""
    try:
        return ask()
    except (*TOLD, InstrumentError, CalendarError):
        return None


def _active() -> Any:
    from core.domain.events import Mode

    return Mode.ACTIVE


_ACTIVE = _active()


# --- the paper exchange --------------------------------------------------------------------------------------------------------


class Exchange(Looped):
    """The paper exchange on a market that may quote anything: its books stay sums of sane executions."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.clock = ManualClock(NOW)
        self.provider = Hostile()
        runtime = SystemRuntime(self.clock, entropy=SeededEntropy(1))
        self.broker = PaperBroker(
            Parameters(), account=replace(account(), start_cash=Decimal(100_000)), quotes=self.provider, clock=self.clock, runtime=runtime,
            archive=MemoryArchive(),
        )
        self.run(self.broker.connect())
        self.count = 0

    def one(self, source: Source) -> str:
        self.provider.source = source
        self.provider.bend = source.pick((0.1, 0.5, 1.0))
        covered = envelope(SPREAD, 1 + source.number(3), start="9.00", worst=source.pick(("4.00", "8.00", "1.00")))
        self.count += 1
        order = Permitted(
            account=PRACTICE, client_id=f"O{self.count}", ticket_id="T1", envelope=covered, envelope_hash=covered.hash, reducing=False,
            limit=source.pick((covered.plan.start, covered.plan.worst)), quantity=covered.quantity, verdict_hash="",
        )
        try:
            match int(source.rng.random() * 4):
                case 0:
                    found = self.run(self.broker.preview(covered))
                    held(all(getattr(found, name).is_finite() for name in ("margin_after", "buying_power_after", "commission")), f"{found}")
                case 1:
                    self.run(self.broker.submit(order))
                case 2:
                    self.run(self.broker.poll())
                case _:
                    self.run(self.broker.cancel(f"O{source.number(self.count)}"))
        except DeskError as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
        finally:
            self._books()
        if source.chance(0.01):
            self.clock.set(datetime(2019, 6, 14, 21, 0, tzinfo=UTC), allow_backward=True)  # everything has expired
            self.run(self.broker.poll())
            self._books()
            self.clock.set(NOW, allow_backward=True)
        return "taken"

    def _books(self) -> None:
        found = self.run(self.broker.snapshot())
        held(found.cash.is_finite() and abs(found.cash) < 10**9, f"cash {found.cash}")
        held(all(0 <= fill.price <= 10**7 and fill.quantity > 0 for fill in found.fills), "an insane execution")


# --- recordings ----------------------------------------------------------------------------------------------------------------

FILES = {path.name: path.read_bytes() for path in sorted(RECORDED.iterdir()) if path.suffix in (".csv", ".yaml")}
SMALL = {
    name: b"\n".join(content.splitlines()[:40]) + b"\n" for name, content in FILES.items()
}  # a chain of some rows is enough, and read quickly


MANIFESTS = tuple(f"- {{role: chain, file: {word}}}\n".encode() for word in (
    "/dev/zero", "../../../etc/passwd", f"0x{'f' * 9_000}", "x" * 5_000, '"a\\0b"', "[a, b]", "{a: b}", "2026-02-30", "1:1:1",
    "on", "~", "*a", ".", "&a [*a]", "\u202ea", "''",
))


class Recordings(Looped):
    """Folders of recorded data whose files and manifest may hold anything: a market, or a UserError that says what is wrong."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()

    def one(self, source: Source) -> str:
        folder = Path(self._folder.name) / "data"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        files = dict(SMALL)
        for _ in range(1 + source.number(1)):
            name = source.pick(tuple(files))
            files[name] = self._bent(source, name, files)
        if source.chance(0.2):
            del files[source.pick(tuple(files))]
        if source.chance(0.3):
            files.pop("manifest.yaml", None)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        clock = ManualClock(datetime(1998, 1, 2, tzinfo=UTC))
        try:
            market = recorded.build(recorded.Parameters(data_dir=folder), clock=clock)
        except UserError as error:
            held(bool(str(error)) and str(folder.parent) not in str(error).replace(str(folder), ""), f"{error}")
            return "refused"
        clock.set(market.first_instant)
        look_at(self, market)
        return "market"

    @staticmethod
    def _bent(source: Source, name: str, files: Mapping[str, bytes]) -> bytes:
        if name == "manifest.yaml" and source.chance(0.3):
            return source.pick(MANIFESTS)
        if source.chance(0.3):
            return source.raw(tuple(SMALL.values()))
        lines = files[name].decode("utf-8", "replace").split("\n")
        for _ in range(1 + source.number(3)):
            place = source.rng.randrange(len(lines))
            cells = lines[place].split(",")
            cells[source.rng.randrange(len(cells))] = source.pick((source.text(), str(source.float_()), str(source.day()), "", "NaN", "-1"))
            lines[place] = ",".join(cells)
        return "\n".join(lines).encode("utf-8", "replace")

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


def look_at(bench: Looped, market: recorded.RecordedProvider) -> None:
    """Ask a recorded market for everything it may be asked."""
    (market.capabilities, market.identity, market.notes, market.missing_sessions, market.snapshot_instants, market.next_snapshot())
    for symbol in ("SPX", "ZZZ", "VIX"):
        for ask in (
            lambda symbol=symbol: market.chain(symbol, first=date.min, last=date.max), lambda symbol=symbol: market.expiries(symbol),
            lambda symbol=symbol: market.bars(symbol, start=date(2000, 1, 1), end=date(2039, 1, 1)),
            lambda symbol=symbol: market.dividends(symbol, start=date(2000, 1, 1), end=date(2039, 1, 1)),
            lambda symbol=symbol: market.quotes([underlying_instrument(symbol)]),
        ):
            known(lambda ask=ask: bench.run(ask()))
    rate = known(lambda: bench.run(market.rate(30)))
    held(rate is None or math.isfinite(rate), f"rate {rate}")
    instant = bench.run(market.next_instant())
    held(instant is None or instant > market.first_instant, f"next {instant}")


PORTS = (
    Port(name="views", share=40, opened=Views, episode=5_000),
    Port(name="exchange", share=12, opened=Exchange, episode=200),
    Port(name="recordings", share=4, opened=Recordings),
)
