"""Option chains of the simulated market: which contracts are listed, and how they are quoted.

Everything about a contract that no price moves (listing, open interest, volume, sizes) is fixed for a session by the close before it and by
the contract's own name; prices follow the moment (`_sim_values`, `_sim_quotes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from core.domain.calendar import hours, last_trade_at, listed_expiries, monthly_expiry
from core.domain.instruments import Option, Right, Settlement, roots_of
from core.market.chain import CALL, PUT, Chain
from core.market.providers._sim_index import STEPS, Ints
from core.market.providers._sim_ladders import ladder, quoted, roundness
from core.market.providers._sim_listed import LISTED
from core.market.providers._sim_noise import Floats, Noise
from core.market.providers._sim_paths import Moment, Paths
from core.market.providers._sim_quotes import burst, sides
from core.market.providers._sim_values import Series, Values
from core.market.quote import Quote

Key = TypeVar("Key")
Kept = TypeVar("Kept")

SOURCE = "simulated"
HORIZON_DAYS = 1100
_KEPT = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Contracts of one underlying in a session, and what of them does not move with the price.

    An adjusted contract delivers `shares` for each unit of its multiplier, and `cash`; a plain one a share and nothing.
    """

    series: tuple[Series, ...]
    slot: Ints  # row -> series
    root: npt.NDArray[np.object_]
    expiry: Ints
    right: npt.NDArray[np.int8]
    strike_milli: Ints
    interest: Ints
    day_volume: Floats  # of the whole session
    bid_size: Ints
    ask_size: Ints
    shares: Floats
    cash: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """Values and quotes of rows at a moment."""

    value: Floats
    bid: Floats
    ask: Floats


class Chains:
    """The option market over the paths of one seed."""

    def __init__(self, paths: Paths, noise: Noise) -> None:
        self._paths = paths
        self._noise = noise
        self._values = Values(paths)
        self._rows: dict[tuple[str, int, tuple[Series, ...]], Rows] = {}
        self._listings: dict[tuple[str, int], tuple[Series, ...]] = {}

    def at(self, symbol: str, moment: Moment, now: datetime) -> datetime:
        """When the option prices that stand were made: with the underlying's, or up to a late close a quarter of an hour after."""
        if moment.step < STEPS:
            return moment.at
        span = hours(roots_of(symbol)[0], moment.day)
        return moment.at if span is None else min(now.replace(microsecond=0), span[1])

    def series(self, symbol: str, moment: Moment, at: datetime) -> tuple[Series, ...]:
        """What is listed and still trades at `at`, by expiry and root."""
        if LISTED[symbol].grid is None:
            return ()
        key = symbol, moment.index
        listed = self._listings.get(key)
        if listed is None:
            found = [(spec, day) for spec in roots_of(symbol) for day in listed_expiries(spec, moment.day, days=HORIZON_DAYS)]
            listed = _keep(self._listings, key, tuple(sorted(found, key=lambda series: (series[1], series[0].root))))
        return tuple(series for series in listed if last_trade_at(*series) > at)

    def chain(self, symbol: str, now: datetime, first: date, last: date) -> Chain:
        """All contracts of a symbol expiring within [first, last]."""
        moment = self._paths.moment(now)
        at = self.at(symbol, moment, now)
        series = tuple(one for one in self.series(symbol, moment, at) if first <= one[1] <= last)
        key = symbol, moment.index, series
        rows = self._rows.get(key) or _keep(self._rows, key, self._listed_rows(symbol, moment, series))
        priced = self.price(symbol, rows, moment, at)
        unknown = np.full(len(rows.slot), np.nan)
        return Chain(
            symbol=symbol, at=at, source=SOURCE, spot=self._paths.level(symbol, moment),
            root=rows.root, expiry=rows.expiry, right=rows.right, strike_milli=rows.strike_milli,
            bid=priced.bid, ask=priced.ask, bid_size=np.where(priced.bid > 0, rows.bid_size, 0), ask_size=rows.ask_size,
            open_interest=rows.interest, volume=(rows.day_volume * (moment.step / STEPS)).astype(np.int64),
            vendor_iv=unknown, vendor_delta=unknown.copy(),
        )

    def quotes(self, symbol: str, contracts: Sequence[Option], now: datetime) -> dict[str, Quote]:
        """Quotes of contracts on one symbol; those not listed, or no longer trading, are left out."""
        moment = self._paths.moment(now)
        at = self.at(symbol, moment, now)
        listed = {(spec.root, expiry): (spec, expiry) for spec, expiry in self.series(symbol, moment, at)}
        reference, ratios = self.reference(symbol, moment), self._ratios(symbol, moment)
        wanted = [
            one for one in contracts
            if (_plain_root(one), one.expiry) in listed
            and (_adjusted(one) or quoted(float(one.strike), LISTED[symbol], reference, ratios))
        ]
        if not wanted:
            return {}
        series = tuple(dict.fromkeys(listed[_plain_root(one), one.expiry] for one in wanted))
        number = {(spec.root, expiry): slot for slot, (spec, expiry) in enumerate(series)}
        rows = self._made_rows(
            symbol, moment, series,
            slot=np.array([number[_plain_root(one), one.expiry] for one in wanted]),
            right=np.array([CALL if one.right is Right.CALL else PUT for one in wanted], dtype=np.int8),
            strike_milli=np.array([int(one.strike * 1000) for one in wanted]),
            delivers=np.array([_delivers(one) for one in wanted]),
        )
        priced = self.price(symbol, rows, moment, at)
        return {
            one.key: Quote(
                key=one.key, bid=float(priced.bid[row]), ask=float(priced.ask[row]), at=at, source=SOURCE,
                bid_size=int(rows.bid_size[row]) if priced.bid[row] > 0 else 0, ask_size=int(rows.ask_size[row]),
            )
            for row, one in enumerate(wanted)
        }

    def price(self, symbol: str, rows: Rows, moment: Moment, at: datetime) -> Priced:
        """Value and quote rows. A contract on more or less than its multiplier is so many options of a strike in proportion."""
        if not rows.series:
            return Priced(value=np.zeros(0), bid=np.zeros(0), ask=np.zeros(0))
        terms = self._values.terms(symbol, rows.series, moment, at)
        strike = np.maximum(rows.strike_milli / 1000.0 - rows.cash, 0.001) / rows.shares
        value, y = self._values.of(symbol, moment, terms, rows.series, rows.slot, rows.right, strike)
        bid, ask = sides(
            value * rows.shares, spot=self._paths.level(symbol, moment), inside=-rows.right * y, years=terms.years[rows.slot],
            fear=self._values.fear(symbol, moment), listed=LISTED[symbol], spec=rows.series[0][0],
        )
        return Priced(value=value * rows.shares, bid=bid, ask=ask)

    def reference(self, symbol: str, moment: Moment) -> float:
        """The close before a session, in terms of its shares."""
        close = self._paths.close(symbol, moment.index - 1)
        return close * self._paths.divisor(symbol, moment.index - 1) / self._paths.divisor(symbol, moment.index)

    def vix_future(self, expiry: date, moment: Moment, at: datetime) -> float | None:
        """Price of the VIX future of an expiry; None where none is listed or it has settled."""
        found = next((one for one in self.series("VIX", moment, at) if one[1] == expiry), None)
        return None if found is None else self._values.vix_future(found, moment)

    def _ratios(self, symbol: str, moment: Moment) -> tuple[float, ...]:
        """How many shares each earlier share has become: one ratio a split that has gone ex."""
        if not LISTED[symbol].sector:
            return ()
        now = self._paths.divisor(symbol, moment.index)
        splits = [one for one in self._paths.name(symbol).splits if one.index <= moment.index]
        return tuple(now / self._paths.divisor(symbol, one.index - 1) for one in splits)

    def _listed_rows(self, symbol: str, moment: Moment, series: tuple[Series, ...]) -> Rows:
        listed, reference = LISTED[symbol], self.reference(symbol, moment)
        slots, rights, strikes = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int8)], [np.zeros(0, dtype=np.int64)]
        if listed.grid is not None:
            for slot, (deviation, one) in enumerate(zip(self._values.reference_deviation(symbol, moment, series), series, strict=True)):
                steps = ladder(listed, reference, float(deviation), (one[1] - moment.day).days)
                strikes += [steps, steps]
                rights.append(np.repeat(np.array([PUT, CALL], dtype=np.int8), len(steps)))
                slots.append(np.full(2 * len(steps), slot))
        return self._made_rows(
            symbol, moment, series, slot=np.concatenate(slots), right=np.concatenate(rights), strike_milli=np.concatenate(strikes),
        )

    def _made_rows(
        self, symbol: str, moment: Moment, series: tuple[Series, ...], *, slot: Ints, right: npt.NDArray[np.int8], strike_milli: Ints,
        delivers: Floats | None = None,
    ) -> Rows:
        """Rows with open interest, volume and sizes by the contract's name; more where a strike is near, round or monthly."""
        listed = LISTED[symbol]
        expiry = np.array([day.toordinal() for _, day in series], dtype=np.int64)[slot]
        morning = np.array([spec.settlement is Settlement.AM for spec, _ in series], dtype=np.int64)[slot]
        monthly = np.array([day == monthly_expiry(day.year, day.month) for _, day in series], dtype=bool)[slot]
        days = expiry - moment.day.toordinal()
        reference, deviation = self.reference(symbol, moment), self._values.reference_deviation(symbol, moment, series)[slot]
        y = np.log(strike_milli / 1000.0 / reference) / deviation
        near = np.exp(-0.5 * (y / np.where(y < 0, 2.0, 1.4)) ** 2)
        name = expiry, strike_milli, 2 * morning + (right == CALL)
        interest = listed.interest * near * roundness(listed, strike_milli) * np.where(monthly, 2.5, 1.0) * 90.0 / (90.0 + days)
        interest = interest * (0.4 + 1.2 * self._noise.uniform(f"interest {symbol}", *name))
        today = *name, np.full(len(slot), moment.day.toordinal())
        traded = interest * 0.35 * (1.0 + 3.0 / (1.0 + days)) * self._noise.uniform(f"volume {symbol}", *today)
        traded = traded * burst(*(self._noise.uniform(f"burst {what} {symbol}", *today) for what in ("chance", "size")))
        depth = 1.0 + listed.size * (0.15 + 0.85 * near)
        sizes = [(depth * (0.4 + 1.2 * self._noise.uniform(f"{side} size {symbol}", *today))).astype(np.int64) for side in ("bid", "ask")]
        return Rows(
            series=series, slot=slot, root=np.array([spec.root for spec, _ in series], dtype=object)[slot], expiry=expiry, right=right,
            strike_milli=strike_milli, interest=interest.astype(np.int64), day_volume=traded,
            bid_size=np.maximum(sizes[0], 1), ask_size=np.maximum(sizes[1], 1),
            shares=np.ones(len(slot)) if delivers is None else delivers[:, 0],
            cash=np.zeros(len(slot)) if delivers is None else delivers[:, 1],
        )


def _keep(kept: dict[Key, Kept], key: Key, value: Kept) -> Kept:
    """Remember a value among the last few."""
    while len(kept) >= _KEPT:
        del kept[next(iter(kept))]
    kept[key] = value
    return value


def _plain_root(contract: Option) -> str:
    """The root without the digit of an adjusted series."""
    return contract.root.rstrip("0123456789")


def _adjusted(contract: Option) -> bool:
    return contract.root != _plain_root(contract)


def _delivers(contract: Option) -> tuple[float, float]:
    """Shares and cash for each unit of the multiplier."""
    if contract.deliverable is None:
        return 1.0, 0.0
    return contract.deliverable.shares / contract.multiplier, float(contract.deliverable.cash) / contract.multiplier
