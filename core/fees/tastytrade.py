"""tastytrade: 1.00 USD a contract to open, at most 10.00 a leg of an order, nothing to close.

Broad-index options have no such most. Clearing is 0.10 a contract and 0.0008 a share. Passed through: options regulatory fee 0.02685, on
sales the FINRA trading activity fee of 0.00279 and the SEC fee of 8 USD a million, and for options that trade on Cboe alone a flat fee:
SPX and VIX 0.65, RUT 0.18, XSP 0.07 from ten contracts a leg on. An exercise or assignment costs 5.00, shares have no commission. The
figures of commission, clearing and index options are its published ones; the regulatory ones are those of `ibkr` of the same time, the
5.00 is of its list of service fees and was not read again, and for NDX the dearest index fee is assumed.

Example: selling 12 SPY puts at 2.00 to open. Commission 12.00, capped at 10.00; clearing 1.20; 12 x 0.02685 = 0.3222; 12 x 0.00279 =
0.03348; 0.000008 x 2,400 = 0.0192. Together 11.57488, charged 11.57. Buying them back costs 1.20 + 0.3222 = 1.52.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from core.fees import Band, Schedule

NAME = "tastytrade"


def _flat(rate: str) -> tuple[Band, ...]:
    return (Band(below=None, rate=Decimal(rate)),)


_SPX, _RUT, _XSP = _flat("0.65"), _flat("0.18"), _flat("0.07")

schedule: Final = Schedule(
    name=NAME,
    as_of=date(2024, 4, 1),
    source="tastytrade, Commissions & Fees; Single-Listed Exchange Proprietary Index Options Fees",
    commission=_flat("1.00"),
    closing=_flat("0"),
    leg_cap=Decimal("10.00"),
    order_minimum=Decimal(0),
    share_commission=Decimal(0),
    share_commission_cap=Decimal(0),
    share_clearing=Decimal("0.0008"),
    regulatory=Decimal("0.02685"),
    clearing=Decimal("0.10"),
    clearing_cap=None,
    sale_rate=Decimal("0.000008"),
    activity=Decimal("0.00279"),
    share_activity=Decimal("0.000166"),
    share_activity_cap=Decimal("8.30"),
    exchange={
        "SPX": _SPX, "SPXW": _SPX, "XSP": _XSP, "VIX": _SPX, "VIXW": _SPX, "RUT": _RUT, "RUTW": _RUT, "NDX": _SPX, "NDXP": _SPX,
    },
    exchange_free_under={"XSP": 10},
    delivery=Decimal("5.00"),
)
