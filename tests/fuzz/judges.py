"""Ports of what judges the outside: the checks of a data source's answers, of a broker's reports, and the compact form of a recording.

Whatever is handed over, a check gives what can be used or says that there is nothing: Unavailable, or a sentence. What it lets through is
of its declared kind to the letter.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from core.clock import ManualClock
from core.domain.encoding import read_back
from core.domain.instruments import InstrumentError, Option
from core.errors import Unavailable, UserError
from core.market import answers
from core.market.chain import Chain
from core.market.providers import recorded
from core.market.quote import Quote
from core.orders.plausible import LONGEST_WORDS, MOST_MONEY, believed, sensible_snapshot, sensible_updates
from core.ports import Bars, BrokerPosition, BrokerSnapshot, Dividend, Earnings, Headline, SettlementValue, Split, Update
from tests.fuzz.accounts import ITEMS, PREVIEW
from tests.fuzz.accounts import bent as bent_report
from tests.fuzz.harness import Port
from tests.fuzz.looped import Looped
from tests.fuzz.markets import CHAINS, PLAIN, SMALL, bent_chain, look_at
from tests.fuzz.source import SWAPS, Source
from tests.fuzz.words import held, stateless
from tests.unit.risk.market import NOW, PRACTICE, SPREAD

CONTRACT = SPREAD[0].instrument
assert isinstance(CONTRACT, Option)
QUOTE = Quote(key=CONTRACT.key, bid=1.0, ask=1.2, at=NOW, source="fuzz", bid_size=5, ask_size=7, last=1.1)
DAYS = tuple(date(2019, 4, 1) + timedelta(days=number) for number in range(20))
LEVEL = (2900.0,) * 20
BARS = Bars(symbol="SPX", days=DAYS, open=LEVEL, high=LEVEL, low=LEVEL, close=LEVEL, source="fuzz")
PAID = Dividend(symbol="SPX", ex_date=date(2019, 5, 20), amount=Decimal("0.40"))
SETTLES = SettlementValue(root=CONTRACT.root, expiry=CONTRACT.expiry, value=Decimal(2850), published_at=NOW, label="close")
DIVIDED = Split(symbol="SPX", ex_date=date(2019, 5, 20), new=3, old=2)
REPORTED = Earnings(symbol="SPX", day=date(2019, 5, 20), when="after_close")
NEWS = Headline(at=NOW, symbol=None, text="SPX falls", source="fuzz")
MANY = 5_000  # items of one answer


def anything(source: Source) -> Any:
    """An answer that is none: of any type, of absurd size, or cyclic."""
    if source.chance(0.03):
        return source.pick((_circle(), [source.plain(1)] * MANY, "9" * 100_000, 10**400, np.array([math.nan]), np.float64("inf"), {1: 2}))
    return source.pick(SWAPS) if source.chance(0.5) else source.plain()


def _circle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def feed_market_answer(source: Source) -> str:
    """An answer of a data source: usable as its declared kind, or Unavailable with who and why."""
    check = source.pick(MARKET_CHECKS)
    try:
        check(source)
    except Unavailable as error:
        held(0 < len(str(error)) < 1_000, f"a refusal of {len(str(error))} characters")
        return "unavailable"
    return "used"


def _some(source: Source, made: Any) -> Any:
    """The sane answer, bent in its fields, or anything else."""
    if source.chance(0.25):
        return anything(source)
    return made if isinstance(made, float | int | datetime | None) else source.bent(made, swaps=source.chance(0.3))


def _quotes(source: Source) -> None:
    key = source.pick((CONTRACT.key, source.text(), 7, None))
    found = {key: _some(source, QUOTE), CONTRACT.key: _some(source, QUOTE)}
    for name, quote in answers.checked_quotes(found if source.chance(0.9) else anything(source)).items():
        held(type(quote) is Quote and quote.key == name and type(quote.bid) is float and type(quote.ask) is float, f"{quote}")
        held(quote.at.tzinfo is not None and (quote.last is None or math.isfinite(quote.last)), f"{quote}")


def _chain(source: Source) -> None:
    made = CHAINS["XSP"]
    wanted = bent_chain(source, made) if source.chance(0.7) else _some(source, made)
    found = answers.checked_chain(wanted, "XSP")
    columns = [getattr(found, item.name) for item in fields(Chain) if item.name not in PLAIN]
    held(len({len(column) for column in columns}) == 1 and type(found.spot) is float, "columns of different lengths")
    held(type(found.halted) is str and len(found.halted) <= 80, "a halt in no words")
    for row in range(min(len(found), 3)):
        with contextlib.suppress(InstrumentError):  # an adjusted series: its terms are not known by its root
            held(found.option(row).multiplier > 0, "a row of no contract")


def _bars(source: Source) -> None:
    found = answers.checked_bars(_some(source, BARS), "SPX")
    held(len({len(found.days), len(found.open), len(found.high), len(found.low), len(found.close)}) == 1, f"{found}")
    held(all(type(value) is float and math.isfinite(value) and value > 0 for value in found.close), f"closes {found.close}")
    held(list(found.days) == sorted(set(found.days)), f"days {found.days}")


def _dividends(source: Source) -> None:
    paid = source.pick(((PAID, _some(source, PAID)), [PAID] * MANY, anything(source)))
    for item in answers.checked_dividends(paid, "SPX"):
        held(type(item.ex_date) is date and item.amount.is_finite() and item.amount >= 0, f"{item}")


def _splits(source: Source) -> None:
    found = source.pick(((DIVIDED, _some(source, DIVIDED)), [DIVIDED] * MANY, anything(source)))
    for item in answers.checked_splits(found, "SPX"):
        held(type(item.ex_date) is date and 1 <= item.new <= 10**4 and 1 <= item.old <= 10**4 and item.new != item.old, f"{item}")


def _earnings(source: Source) -> None:
    found = source.pick(((REPORTED, _some(source, REPORTED)), [REPORTED] * MANY, anything(source)))
    for item in answers.checked_earnings(found, "SPX"):
        held(type(item.day) is date and item.when in ("before_open", "after_close", ""), f"{item}")


def _headlines(source: Source) -> None:
    found = answers.checked_headlines(source.pick(((NEWS, _some(source, NEWS)), [NEWS] * MANY, anything(source))))
    held([item.at for item in found] == sorted(item.at for item in found), "headlines out of order")
    held(all(0 < len(item.text) <= 200 and item.text.isprintable() for item in found), "a headline in no words")


def _rate(source: Source) -> None:
    rate = answers.checked_rate(source.pick((0.02, source.float_(), source.integer(), anything(source), np.float32(0.02), Decimal("0.02"))))
    held(type(rate) is float and abs(rate) <= 1, f"rate {rate}")


def _expiries(source: Source) -> None:
    days = source.pick((DAYS, [source.day() for _ in range(source.number(5))], [DAYS[0]] * MANY, (NOW, DAYS[0]), anything(source)))
    found = answers.checked_expiries(days, "SPX")
    held(list(found) == sorted(set(found)) and all(type(day) is date for day in found), f"{found}")


def _settlement(source: Source) -> None:
    assert isinstance(CONTRACT, Option)
    found = answers.checked_settlement(_some(source, SETTLES), CONTRACT)
    held(found is None or (found.value.is_finite() and 0 <= found.value <= 10**7), f"{found}")


def _instant(source: Source) -> None:
    found = answers.checked_instant(source.pick((None, source.instant(), anything(source), date(2030, 1, 1))), NOW)
    held(found is None or found > NOW, f"{found}")


MARKET_CHECKS: tuple[Callable[[Source], None], ...] = (
    _quotes, _chain, _bars, _dividends, _rate, _expiries, _settlement, _instant, _splits, _earnings, _headlines,
)

# --- a broker's reports ------------------------------------------------------------------------------------------------------

REPORTS = (*ITEMS, PREVIEW, BrokerPosition(instrument=CONTRACT, quantity=1))
BOOKS = BrokerSnapshot(
    account=PRACTICE, epoch=1, complete=True, at=NOW, cash=Decimal(100_000), orders=(), positions=(REPORTS[-1],), fills=(), settlements=(),
    movements=(), cursor=7,
)
SECRET = "hunter2-Hunter2"


def feed_report(source: Source) -> str:
    """A broker's report, several, or its books: what is believed can be stored and added up, and tells no secret."""
    kind = source.rng.random()
    try:
        if kind < 0.6:
            return _believed(*believed(_report(source), _told))
        if kind < 0.8:
            told = source.pick((tuple(_update(source) for _ in range(source.number(4))), anything(source)))
            good, bad = sensible_updates(told, _told)
            held(len(good) + len(bad) == len(told) and all(why for _, why in bad), "an update was lost, or refused without a sentence")
            return "updates"
        books = source.bent(BOOKS, swaps=source.chance(0.3))
        name = source.pick(("orders", "positions", "fills", "settlements", "movements"))
        books = replace(books, **{name: source.pick((tuple(_report(source) for _ in range(source.number(4))), anything(source)))})
        found, wrong = sensible_snapshot(source.pick((books, books, books, anything(source))), _told)
        held(wrong != "" and (wrong is None or not found.complete), f"complete, and {wrong}")
        held(wrong is not None or (found.cash.is_finite() and abs(found.cash) <= MOST_MONEY), f"cash {found.cash}")
        return "books" if wrong is None else "broken books"
    except Unavailable as error:
        held(0 < len(str(error)) < 1_000, f"a refusal of {len(str(error))} characters")
        return "unavailable"


def _told(text: str) -> str:
    return text.replace(SECRET, "****")


def _report(source: Source) -> Any:
    if source.chance(0.15):
        return anything(source)
    item = bent_report(source, source.pick(REPORTS))
    for name in ("reason", "description", "refusal", "note"):
        if isinstance(getattr(item, name, None), str) and source.chance(0.3):
            item = replace(item, **{name: source.text() + " " * source.number(LONGEST_WORDS) + SECRET})
    return item


def _update(source: Source) -> Any:
    made = Update(cursor=source.number(9), epoch=1, item=_report(source))
    if source.chance(0.05):
        return anything(source)
    return replace(made, cursor=source.pick((-1, None, 2**70, 7.5))) if source.chance(0.15) else made


def _believed(item: Any, wrong: str) -> str:
    if item is None:
        held(0 < len(wrong) < 1_000, f"a refusal of {len(wrong)} characters")
        return "refused"
    text, again = read_back(item)
    held(again == item and SECRET not in text, f"{item} reads back as {again}")
    return "believed"


# --- the compact form of a recording ------------------------------------------------------------------------------------------


class Compact(Looped):
    """A recording's compact form whose files may hold anything: the same market, or a UserError that names the folder to delete."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._home, self._data = Path(self._folder.name), Path(self._folder.name) / "data"
        self._data.mkdir()
        for name, content in SMALL.items():
            (self._data / name).write_bytes(content)
        self._open()
        (self._place,) = (self._home / "cache").iterdir()
        self._files = {path.name: path.read_bytes() for path in self._place.iterdir()}
        self._index = json.loads(self._files["index.json"].partition(b"\n")[2])

    def _open(self) -> recorded.RecordedProvider:
        clock = ManualClock(datetime(1998, 1, 2, tzinfo=UTC))
        market = recorded.build(recorded.Parameters(data_dir=self._data, cache_dir=self._home / "cache"), clock=clock)
        clock.set(market.first_instant)
        return market

    def one(self, source: Source) -> str:
        name = "index.json" if source.chance(0.5) else source.pick(sorted(self._files))
        path, whole = self._place / name, self._files[name]
        if name == "index.json" and source.chance(0.7):
            path.write_bytes(whole.partition(b"\n")[0] + b"\n" + json.dumps(source.bent_plain(self._index)).encode())
        elif name != "index.json" and source.chance(0.5):
            path.write_bytes(_other_arrays(source, whole))
        else:
            path.write_bytes(source.raw((whole, *self._files.values())))
        try:
            look_at(self, self._open())
        except UserError as error:
            held(bool(str(error)), "a refusal without a sentence")
            return "refused"
        finally:
            for other in (path for path in (self._home / "cache").iterdir() if path != self._place):
                shutil.rmtree(other)
            path.write_bytes(whole)
        held(name != "index.json" or path.read_bytes() == whole, "a changed index was believed")
        return "market"

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


def _other_arrays(source: Source, content: bytes) -> bytes:
    """The same archive with one array left out, cut, or of another type or shape."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = source.pick(sorted(arrays))
    array = arrays.pop(name)
    match int(source.rng.random() * 5):
        case 0:
            pass
        case 1:
            arrays[name] = array[: source.number(len(array))]
        case 2:
            arrays[name] = array.astype(str)
        case 3:
            arrays[name] = np.zeros((2, 2))
        case _:
            changed = array.astype(np.float64)
            if changed.size:
                changed.flat[source.rng.randrange(changed.size)] = source.float_()
            with np.errstate(all="ignore"), contextlib.suppress(ValueError):
                arrays[name] = changed if source.chance(0.5) else changed.astype(array.dtype)
    written = io.BytesIO()
    np.savez(written, **arrays)
    return written.getvalue()


PORTS = (
    stateless("market answers", 60, feed_market_answer),
    stateless("reports", 60, feed_report),
    Port(name="compact", share=3, opened=Compact),
)
