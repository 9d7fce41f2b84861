"""Published examples, and the hedges of FINRA Rule 4210(f)(2)(H) worked by hand from its percentages.

The table is Cboe's "Margin Requirement Examples for Sample Options-based Positions" (IBM at 97.73; its SPX figures follow from a level of
1,451.19, which it does not print). It states what a customer has to bring: the requirement, less what short options brought, and what long
ones cost. The put and the spread on a stock at 209.00 are those of Cboe's margin calculator as a third party prints them; the text of the
rule's paragraph on hedges could not be read again, its percentages are as the desk's own notes have them.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from core.domain.accounts import AccountKind
from core.domain.adjusting import split_option
from core.domain.instruments import Equity, Instrument, Option, Right
from core.domain.listing import option
from core.margin.reg_t import requirement

APRIL = date(2007, 4, 20)
PUT, CALL = Right.PUT, Right.CALL
Line = tuple[Instrument, int, str]


def ibm(strike: int, right: Right) -> Option:
    return option("IBM", APRIL, right, Decimal(strike))


def spx(strike: int, right: Right) -> Option:
    return option("SPXW", date(2019, 5, 17), right, Decimal(strike))


IBM = Equity(symbol="IBM")


def brought(*lines: Line, symbol: str = "IBM", spot: str = "97.73") -> Decimal:
    """The requirement, less proceeds, and the cost of long options."""
    prices = {symbol: Decimal(spot), **{item.key: Decimal(price) for item, _, price in lines}}
    asked = requirement([(item, count) for item, count, _ in lines], prices=prices, kind=AccountKind.REG_T).total
    return asked + sum((Decimal(price) * 100 * count for item, count, price in lines if isinstance(item, Option)), Decimal(0))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([(ibm(100, CALL), -100, "1.68")], "172760"),
        ([(ibm(100, PUT), -100, "3.18")], "195460"),
        ([(IBM, 10_000, "97.73"), (ibm(100, CALL), -100, "1.68")], "471850"),
        ([(IBM, 10_000, "97.73"), (ibm(95, PUT), 100, "1.02")], "498850"),
        ([(ibm(100, CALL), 100, "1.68"), (ibm(100, PUT), -100, "3.18")], "212260"),
        ([(ibm(95, PUT), 100, "1.02"), (ibm(105, CALL), -100, "0.40")], "132960"),
        ([(IBM, 10_000, "97.73"), (ibm(95, PUT), 100, "1.02"), (ibm(105, CALL), -100, "0.40")], "494850"),
        ([(ibm(95, CALL), 100, "4.53"), (ibm(105, CALL), -100, "0.40")], "41300"),
        ([(ibm(100, PUT), 100, "3.18"), (ibm(100, CALL), 100, "1.68")], "48600"),  # printed as 48,500: a cent less a share
    ],
    ids=["short_call", "short_put", "covered_call", "protective_put", "synthetic_long", "risk_reversal", "collar", "vertical", "straddle"],
)
def test_equity_when_published_then_agrees(lines: list[Line], expected: str) -> None:
    assert brought(*lines) == Decimal(expected)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([(spx(1460, CALL), -100, "21.66")], "2088685"),
        ([(spx(1460, PUT), -100, "22.55")], "2176785"),
        ([(spx(1460, CALL), 100, "21.66"), (spx(1460, PUT), -100, "22.55")], "2393385"),
        ([(spx(1450, PUT), 100, "18.72"), (spx(1500, CALL), -100, "5.96")], "1875885"),
        ([(spx(1450, CALL), 100, "27.57"), (spx(1500, CALL), -100, "5.96")], "216100"),
    ],
    ids=["short_call", "short_put", "synthetic_long", "risk_reversal", "vertical"],
)
def test_index_when_published_then_agrees(lines: list[Line], expected: str) -> None:
    assert brought(*lines, symbol="SPX", spot="1451.19") == Decimal(expected)


def test_calculator_when_published_then_agrees() -> None:
    naked = option("XYZ", APRIL, PUT, Decimal(200))
    high, low = option("XYZ", APRIL, PUT, Decimal(125)), option("XYZ", APRIL, PUT, Decimal(120))

    # 120 + 20% of 20,900 - 900 = 3,400 of which the 120 of proceeds pay their part; 500 and 80 for the long, less 124
    assert brought((naked, -1, "1.20"), symbol="XYZ", spot="209") == Decimal(3280)
    assert brought((high, -1, "1.24"), (low, 1, "0.80"), symbol="XYZ", spot="130") == Decimal(456)


# --- to keep them: maintenance -------------------------------------------------------------------------------------------

KO = Equity(symbol="KO")


def ko(strike: str, right: Right, expiry: date = date(2019, 6, 21)) -> Option:
    return option("KO", expiry, right, Decimal(strike))


def kept(*lines: tuple[Instrument, int], spot: str = "60", mark: str = "1", kind: AccountKind = AccountKind.REG_T) -> Decimal:
    prices = {"KO": Decimal(spot), **{item.key: Decimal(mark) for item, _ in lines if isinstance(item, Option)}}
    return requirement(lines, prices=prices, kind=kind, maintenance=True).total


@pytest.mark.parametrize(
    ("lines", "spot", "expected"),
    [
        ([(KO, 100)], "60", "1500"),  # 25%
        ([(KO, -100)], "60", "1800"),  # 30%
        ([(KO, -100)], "12", "500"),  # 5.00 a share is more than 30% of 12
        ([(KO, -100)], "3", "300"),  # under 5.00 all of it
        ([(KO, -100)], "2", "250"),  # and 2.50 at least
        # protective put: 10% of 55 and 5 out of the money: 10.50, under 15.00
        ([(KO, 100), (ko("55", PUT), 1)], "60", "1050"),
        # far out: 10% of 45 and 15 are more than a quarter
        ([(KO, 100), (ko("45", PUT), 1)], "60", "1500"),
        # 150 shares, one put: 100 are guarded
        ([(KO, 150), (ko("55", PUT), 1)], "60", "1800"),
        # covered call in the money: counted to 50 a quarter of 50, and the 10 above
        ([(KO, 100), (ko("50", CALL), -1)], "60", "2250"),
        # collar: 10% of 55 and 5: 10.50, under a quarter of the 65 call
        ([(KO, 100), (ko("55", PUT), 1), (ko("65", CALL), -1)], "60", "1050"),
        # conversion: 10% of 60
        ([(KO, 100), (ko("60", PUT), 1), (ko("60", CALL), -1)], "60", "600"),
        # conversion with the call 2 in the money: 10% of 58 and 2
        ([(KO, 100), (ko("58", PUT), 1), (ko("58", CALL), -1)], "60", "780"),
        # short shares with a 62 call: 10% of 62 and 2: 8.20, under 18.00
        ([(KO, -100), (ko("62", CALL), 1)], "60", "820"),
        # covered put 1 in the money: 30% of 60, and 1
        ([(KO, -100), (ko("61", PUT), -1)], "60", "1900"),
        # reverse conversion: 10% of 60
        ([(KO, -100), (ko("60", CALL), 1), (ko("60", PUT), -1)], "60", "600"),
        # a put that a spread uses guards nothing else
        ([(KO, 100), (ko("55", PUT), 1), (ko("58", PUT), -1)], "60", "1800"),
        # long and short options ask for the same to open and to keep: 100 + 20% of 60 less 5, times 100
        ([(ko("55", PUT), -1)], "60", "800"),
    ],
)
def test_maintenance_when_worked_by_hand_then_agrees(lines: list[tuple[Instrument, int]], spot: str, expected: str) -> None:
    assert kept(*lines, spot=spot) == Decimal(expected)


def test_collar_when_its_put_ends_earlier_then_it_guards_as_a_put_only_where_it_is_one() -> None:
    early = ko("55", PUT, date(2019, 5, 17))

    assert kept((KO, 100), (early, 1), (ko("65", CALL), -1)) == Decimal(1500)


@pytest.mark.parametrize("kind", [AccountKind.CASH, AccountKind.IRA])
def test_maintenance_when_the_account_is_fully_paid_then_nothing_is_lent(kind: AccountKind) -> None:
    assert kept((KO, 100), (ko("55", PUT), 1), kind=kind) == Decimal(6000)


def test_adjusted_contract_when_short_then_asked_for_150_shares() -> None:
    adjusted = split_option(ko("60", CALL), -1, new=3, old=2).instrument
    prices = {"KO": Decimal(41), adjusted.key: Decimal(3)}

    naked = requirement([(adjusted, -1)], prices=prices, kind=AccountKind.REG_T).total
    covered = requirement([(adjusted, -1), (KO, 150)], prices=prices, kind=AccountKind.REG_T).total

    # 3 x 100 and 20% of 41 on 150 shares; covered: half of 150 x 41, and half of the 1 above 40 on each
    assert (naked, covered) == (Decimal(1530), Decimal(3150))
