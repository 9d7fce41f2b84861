"""A person trades for years on the simulated market, in sentences and button presses; what happened is kept as plain JSON.

Each session the person may open something, close something, sell calls against shares, and moves the clock on. What is kept is what the
broker's books say line by line, what the desk says it has after each session, and what the market published: closes, opens, dividends and
splits. `audit.py` works everything out again from these files.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from core.clock import exchange_date
from core.domain.instruments import Equity
from core.domain.sessions import previous_session
from tests.golden.theatre import Stage, Theatre

INDEX = ("SPX", "XSP", "VIX")
# What is opened how often, and on what. Whatever the desk refuses is a refusal: the person goes on.
Plan = tuple[int, str, tuple[str, ...]]  # how often, what, on what
PLANS: tuple[Plan, ...] = (
    (5, "put_credit_spread", ("SPX", "XSP", "SPY", "IWM", "AAPL", "JPM")),
    (5, "cash_secured_put", ("KO", "PG", "JNJ", "XOM", "NVDA", "TLT")),
    (3, "naked_put", ("XSP",)),
    (2, "call_credit_spread", ("SPX", "XSP", "QQQ", "GLD", "VIX")),
    (3, "iron_condor", ("SPX", "XSP", "SPY")),
    (1, "short_strangle", ("XSP",)),
    (1, "long_put", ("SPY", "XSP", "NVDA")),
    (1, "long_call", ("QQQ", "AAPL", "VIX")),
    (1, "put_debit_spread", ("SPY", "XSP")),
    (1, "call_debit_spread", ("QQQ", "MSFT")),
    (1, "calendar", ("SPY", "XSP")),
    (1, "diagonal", ("SPY",)),
    (2, "stock", ("KO", "PG", "JNJ", "XOM", "TLT")),
)
SYMBOLS = tuple(sorted({symbol for _, _, symbols in PLANS for symbol in symbols}))
KEPT_SHARES = 0.9  # of mornings on which shares are left alone or calls sold against them
_TRADE = re.compile(r"position_id=([\w-]+)")


RECORDED_2019: tuple[Plan, ...] = (
    (6, "put_credit_spread", ("SPX",)),
    (3, "call_credit_spread", ("SPX",)),
    (3, "iron_condor", ("SPX",)),
    (1, "calendar", ("SPX",)),
    (1, "put_debit_spread", ("SPX",)),
    (1, "long_put", ("SPX",)),
)
RECORDED_2021: tuple[Plan, ...] = (
    (5, "cash_secured_put", ("SPY",)),
    (2, "put_credit_spread", ("SPY",)),
    (1, "long_put", ("SPY",)),
    (1, "long_call", ("SPY",)),
    (2, "stock", ("SPY",)),
)


@dataclass(kw_only=True)
class Year:
    """One person's trading on one market, and what is kept of it. A recorded market's own files are read by the audit."""

    seed: int
    folder: Path
    stage: Stage
    plans: tuple[Plan, ...] = PLANS
    opened: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    market: dict[str, dict[str, Any]] = field(default_factory=lambda: {"close": {}, "open": {}, "dividends": {}, "splits": {}})
    days: list[dict[str, Any]] = field(default_factory=list)

    def play(self, sessions: int) -> None:
        """Trade for so many sessions, then write the files."""
        self.luck = random.Random(self.seed)
        self.theatre = Theatre(stage=self.stage, cache_dir=self.folder)
        try:
            self._say("status")
            for _ in range(sessions):
                self._morning()
                if "The recording ends here." in self._say("next"):
                    break
                self._say("!wait 10")  # the broker's news of the way here is heard
                self._note()
            self._write()
        finally:
            self.theatre.end()

    @classmethod
    def simulated(cls, *, seed: int, folder: Path, cash: str = "400000") -> Year:
        """A person on the simulated market of a seed."""
        return cls(seed=seed, folder=folder, stage=Stage(start=date(2026, 11, 20), seed=seed, cash=cash, short_cards=True))

    @classmethod
    def recorded(cls, *, seed: int, folder: Path, data_dir: Path, start: date, plans: tuple[Plan, ...]) -> Year:
        """A person on a recorded market from a day on."""
        stage = Stage(market="recorded", start=start, seed=seed, cash="2000000", short_cards=True, data_dir=data_dir)
        return cls(seed=seed, folder=folder, stage=stage, plans=plans)

    # --- the person --------------------------------------------------------------------------------------------------------

    def _say(self, words: str) -> str:
        return self.theatre.play(f"> {words}\n")

    def _morning(self) -> None:
        if self.luck.random() < 0.6:
            self._open(*self._wish())
        if self.luck.random() < 0.15:
            self._close()
        for symbol, shares in self._shares():
            if shares >= 100 and self.luck.random() > KEPT_SHARES:
                self._open(*(("covered_call", symbol, "1") if self.luck.random() < 0.7 else ("protective_put", symbol, "1")))
            elif shares and self.luck.random() > 0.97:
                self._pressed(self._say(f"close {symbol}"))

    def _wish(self) -> tuple[str, str, str]:
        _, strategy, symbols = self.luck.choices(self.plans, weights=[plan[0] for plan in self.plans])[0]
        count = "100 side=buy" if strategy == "stock" else str(self.luck.choice((1, 1, 1, 2, 3)))
        return strategy, self.luck.choice(symbols), count

    def _open(self, strategy: str, symbol: str, rest: str) -> None:
        said = self._say(f"open {strategy} {symbol} {rest}")
        (self.opened if self._pressed(said) else self.refused)[strategy] += 1

    def _close(self) -> None:
        trades = [trade.id for trade in self._book().trades.values() if trade.is_open]
        if trades:
            self._pressed(self._say(f"close position_id={self.luck.choice(trades)}"))

    def _pressed(self, card: str) -> bool:
        """Press Confirm where the card has it, and give the order half a minute."""
        if "] Confirm" not in card:
            return False
        self._say("Confirm")
        self._say("!wait 40")
        return True

    # --- what is kept --------------------------------------------------------------------------------------------------------

    def _book(self) -> Any:
        desk = self.theatre.app.desk
        return desk.book(desk.account().id)

    def _shares(self) -> list[tuple[str, int]]:
        return [(item.key, count) for item, count in _held(self._book()) if isinstance(item, Equity)]

    def _note(self) -> None:
        """After the clock has moved: what the desk says it has, and what the market said of the session that has ended."""
        book, today = self._book(), exchange_date(self.theatre.clock.now())
        held = {item.key: count for item, count in _held(book)}
        lines = self.theatre.app.desk.brokers[book.account.id]._ledger.cursor
        self.days.append({"day": today.isoformat(), "lines": lines, "cash": str(book.cash), "positions": held})
        if self.stage.market == "simulated":
            self.theatre._run(lambda: self._facts(today))

    async def _facts(self, today: date) -> None:
        provider, ended = self.theatre.provider, previous_session(today)
        for symbol in SYMBOLS:
            bars = await provider.bars(symbol, start=ended, end=ended)
            for name, values in (("close", bars.close), ("open", bars.open)):
                self.market[name].setdefault(symbol, {})[ended.isoformat()] = f"{values[0]:.2f}"
            if symbol in INDEX:
                continue
            for one in await provider.dividends(symbol, start=today, end=today):
                self.market["dividends"].setdefault(symbol, {})[today.isoformat()] = str(one.amount)
            for split in await provider.splits(symbol, start=today, end=today):
                self.market["splits"].setdefault(symbol, {})[today.isoformat()] = [split.new, split.old]

    def _write(self) -> None:
        async def rows() -> list[dict[str, Any]]:
            return list(await self.theatre.archive.select("paper", order_by="key"))

        kept = [row for row in self.theatre._run(rows) if row["kind"].endswith("/journal")]
        orders = [row for row in self.theatre._run(rows) if row["kind"].endswith("/order")]
        for name, value in (
            ("journal", [json.loads(row["body"])["item"] for row in kept]), ("orders", [json.loads(row["body"]) for row in orders]),
            ("days", self.days), ("market", self.market),
        ):
            (self.folder / f"{name}.json").write_text(json.dumps(value, indent=1), encoding="utf-8")


def _held(book: Any) -> Iterator[tuple[Any, int]]:
    for position in book.positions.values():
        yield position.instrument, position.quantity
