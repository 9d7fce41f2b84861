"""A columnar option chain: one numpy column per field, one row per contract.

A leaf module (numpy and domain only), so that providers at the edge may make chains. Prices are float64, strikes int64 thousandths;
Decimals are made only when a leg is made. NaN in a price column means the source had none; sizes and interest use -1 for unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from core.domain.instruments import Option, Right, occ_symbol
from core.domain.listing import option
from core.market.quote import LARGEST_PRICE, Quote

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CALL, PUT = 1, -1
UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """All quoted contracts of one underlying at one instant.

    Columns (n rows): `root` (object array of str), `expiry` (int64 ordinal day), `right` (int8, +1 call, -1 put), `strike_milli`
    (int64), `bid`, `ask` (float64), `bid_size`, `ask_size`, `open_interest`, `volume` (int64, -1 unknown), `vendor_iv`, `vendor_delta`
    (float64, NaN unknown). Rows are sorted by expiry, root, right, strike.
    """

    symbol: str
    at: datetime  # when the prices were made, UTC
    source: str
    spot: float
    root: npt.NDArray[np.object_]
    expiry: Ints
    right: npt.NDArray[np.int8]
    strike_milli: Ints
    bid: Floats
    ask: Floats
    bid_size: Ints
    ask_size: Ints
    open_interest: Ints
    volume: Ints
    vendor_iv: Floats
    vendor_delta: Floats
    halted: str = ""  # why nothing on this underlying trades now, in the source's words

    def __len__(self) -> int:
        return len(self.strike_milli)

    @property
    def strike(self) -> Floats:
        """Strikes in points, float64."""
        return self.strike_milli / 1000.0

    @property
    def mid(self) -> Floats:
        """Mid prices; ask / 2 where the bid is zero, NaN where the quote is not usable."""
        with np.errstate(over="ignore", invalid="ignore"):  # absurd prices are masked, but added up first
            return np.where(self.usable, (self.bid + self.ask) / 2, np.nan)

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Rows whose quote passes the quote rule (bid may be zero)."""
        with np.errstate(invalid="ignore"):
            return (self.bid >= 0) & (self.ask > 0) & (self.bid <= self.ask) & (self.ask <= LARGEST_PRICE)

    def expiries(self) -> tuple[date, ...]:
        """The distinct expiries, ascending."""
        return tuple(date.fromordinal(int(day)) for day in np.unique(self.expiry))

    def select(self, mask: npt.NDArray[np.bool_]) -> Chain:
        """The rows where `mask` is true."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        kept: dict[str, Any] = {name: column[mask] for name, column in columns.items() if isinstance(column, np.ndarray)}
        return replace(self, **kept)

    def only(self, *, expiry: date | None = None, right: Right | None = None, root: str | None = None) -> Chain:
        """The rows of one expiry, right and root, each optional."""
        mask = np.ones(len(self), dtype=bool)
        if expiry is not None:
            mask &= self.expiry == expiry.toordinal()
        if right is not None:
            mask &= self.right == (CALL if right is Right.CALL else PUT)
        if root is not None:
            mask &= self.root == root
        return self.select(mask)

    def option(self, row: int) -> Option:
        """The contract of a row, with all its terms; raise InstrumentError where no such contract can be listed."""
        return option(str(self.root[row]), date.fromordinal(int(self.expiry[row])), self._right(row), self._strike(row))

    def row(self, contract: Option) -> int | None:
        """The row of a contract, None where it is not in the chain."""
        side = CALL if contract.right is Right.CALL else PUT
        ordinal = contract.expiry.toordinal()
        hits = np.flatnonzero((self.strike_milli == int(contract.strike * 1000)) & (self.expiry == ordinal) & (self.right == side))
        return next((int(hit) for hit in hits if self.root[hit] == contract.root), None)

    def quote(self, row: int) -> Quote:
        """A row as a Quote."""
        key = occ_symbol(str(self.root[row]), date.fromordinal(int(self.expiry[row])), self._right(row), self._strike(row))
        return Quote(
            key=key, bid=float(self.bid[row]), ask=float(self.ask[row]), at=self.at, source=self.source,
            bid_size=_known(self.bid_size[row]), ask_size=_known(self.ask_size[row]), halted=self.halted,
        )

    def pairs(self, *, expiry: date, root: str) -> tuple[Floats, Floats, Floats]:
        """Strikes of a series that have a call and a put, ascending, with the mids of both (NaN where not usable)."""
        series = np.flatnonzero(self.expiry == expiry.toordinal())
        series = series[self.root[series] == root]
        return pair_mids(self.strike_milli[series], self.right[series], self.mid[series])

    def _right(self, row: int) -> Right:
        return Right.CALL if self.right[row] == CALL else Right.PUT

    def _strike(self, row: int) -> Decimal:
        return Decimal(int(self.strike_milli[row])) / 1000


def pair_mids(strike_milli: Ints, right: npt.NDArray[np.int8], mid: Floats) -> tuple[Floats, Floats, Floats]:
    """From the rows of one series: strikes in points that have both rights, ascending, the call mids, the put mids."""
    calls, puts = right == CALL, right == PUT
    strikes, call_rows, put_rows = np.intersect1d(strike_milli[calls], strike_milli[puts], return_indices=True)
    return strikes / 1000.0, mid[calls][call_rows], mid[puts][put_rows]


def _known(value: np.int64) -> int | None:
    return None if value == UNKNOWN else int(value)
