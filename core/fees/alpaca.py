"""Alpaca: no commission on shares and options; what regulators and clearing charge is passed through.

Options: options regulatory fee 0.02685 a contract, OCC clearing 0.02 (at most 55.00 an execution), consolidated audit trail 0.000046 a
share (a contract counts as 100), on sales the FINRA trading activity fee of 0.00279 a contract and the SEC fee of 27.80 USD a million.
Shares: audit trail, and on sales an activity fee of 0.000166 a share (at most 8.30) and the SEC fee. Alpaca adds a day up and rounds the
sum to the next cent; here each execution is rounded, so a day of many small ones may differ by some cents. Exercise and assignment are
free. Index options are not offered there: they are charged like others and their exchange's fee is left out.

Example: selling 2 puts at 3.00. 2 x 0.02685 + 2 x 0.02 + 200 x 0.000046 + 2 x 0.00279 + 0.0000278 x 600 = 0.0537 + 0.04 + 0.0092 +
0.00558 + 0.01668 = 0.12516, charged 0.13. Buying them back at 1.00: 0.0537 + 0.04 + 0.0092 = 0.1029, charged 0.10.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from core.fees import Band, Schedule

NAME = "alpaca"
_FREE = (Band(below=None, rate=Decimal(0)),)

schedule: Final = Schedule(
    name=NAME,
    as_of=date(2025, 1, 1),
    source="Alpaca, Regulatory Fees (documentation of its trading interface)",
    commission=_FREE,
    order_minimum=Decimal(0),
    share_commission=Decimal(0),
    share_commission_cap=Decimal(0),
    regulatory=Decimal("0.02685"),
    clearing=Decimal("0.02"),
    clearing_cap=Decimal("55.00"),
    sale_rate=Decimal("0.0000278"),
    activity=Decimal("0.00279"),
    share_activity=Decimal("0.000166"),
    share_activity_cap=Decimal("8.30"),
    audit=Decimal("0.000046"),
)
