"""Interactive Brokers, United States: its published fixed rates (up to 10,000 contracts a month, smart-routed), with pass-through fees.

Commission 0.65 USD a contract (0.50 for premiums under 0.10, 0.25 under 0.05), at least 1.00 USD an order. Passed through: options
regulatory fee 0.02685, OCC clearing 0.02 (at most 55.00 an execution), on sales the FINRA trading activity fee of 0.00279 and the SEC fee
of 8 USD a million (not on index options), and Cboe's customer fees for its own index options by premium. Shares cost 0.005, at least 1.00
USD an order and at most 1% of their value. Exercise and assignment are free. Pass-through rates change several times a year: the figures
are of the date below.

Example: selling 1 SPXW put at 6.50 and buying 1 at 4.10 in one order. Commission 2 x 0.65 = 1.30, above the minimum of 1.00, of which the
first execution carries 1.00. Sale: 1.00 + 0.02685 + 0.02 + 0.58 (Cboe) + 0.00279 = 1.62964, charged 1.63. Purchase: 0.30 + 0.02685 + 0.02
+ 0.58 = 0.92685, charged 0.93. Together 2.56 USD.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from core.fees import Band, Schedule

NAME = "ibkr"


def _bands(*steps: tuple[str | None, str]) -> tuple[Band, ...]:
    return tuple(Band(below=None if below is None else Decimal(below), rate=Decimal(rate)) for below, rate in steps)


_SPX = _bands(("1.00", "0.57"), (None, "0.66"))  # 0.36 / 0.45 and the execution surcharge of 0.21
_SPXW = _bands(("1.00", "0.49"), (None, "0.58"))  # the same and a surcharge of 0.13
_VIX = _bands(("0.11", "0.10"), ("1.00", "0.25"), ("2.00", "0.45"), (None, "0.50"))
_XSP = _bands((None, "0.07"))
_RUT = _bands((None, "0.18"))
_OTHER_INDEX = _bands((None, "0.66"))  # no figure at hand: the dearest one above is assumed

schedule: Final = Schedule(
    name=NAME,
    as_of=date(2024, 4, 1),
    source="Interactive Brokers, Options Commissions (United States); Cboe Exchange, Inc. Fees Schedule",
    commission=_bands(("0.05", "0.25"), ("0.10", "0.50"), (None, "0.65")),
    order_minimum=Decimal("1.00"),
    share_commission=Decimal("0.005"),
    share_commission_cap=Decimal("0.01"),
    regulatory=Decimal("0.02685"),
    clearing=Decimal("0.02"),
    clearing_cap=Decimal("55.00"),
    sale_rate=Decimal("0.000008"),
    activity=Decimal("0.00279"),
    share_activity=Decimal("0.000166"),
    share_activity_cap=Decimal("8.30"),
    exchange={
        "SPX": _SPX, "SPXW": _SPXW, "XSP": _XSP, "VIX": _VIX, "VIXW": _VIX, "RUT": _RUT, "RUTW": _RUT,
        "NDX": _OTHER_INDEX, "NDXP": _OTHER_INDEX,
    },
    exchange_free_under={"XSP": 10},
)
