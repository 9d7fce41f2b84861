"""Limits beside their use without an order, and where a margin call comes, against the margin worked out by hand."""

from decimal import Decimal

import pytest

from core.commands.risk import bar, call_words
from core.domain.accounts import AccountKind
from core.pricing.bsm import value_forward
from core.risk.registry import load_rules
from core.risk.usage import MarginCall, Use, margin_calls, stand_of, uses
from tests.unit.risk import market

SPX = 2900.0
STRIKE = 2800


def short_put(cash: str, kind: AccountKind = AccountKind.REG_T):
    book = market.book((market.put(STRIKE), -1), cash=cash, opened=market.account(kind))
    return stand_of(book, market.view())


def short_of_margin(move: float, cash: float) -> float:
    """Cash less the Reg-T requirement of one short 2,800 put after a move, VIX up 2 points a percent, all by hand."""
    at = market.view()
    mark = at.mark(market.put(STRIKE))
    spot, tenor = SPX * (1 + move), min(1.0, (30 / 365 / mark.t_years) ** 0.5)
    vol = mark.iv + max(0.0, -move) * 2.0 * tenor
    forward = mark.forward * (1 + move)
    price = float(value_forward(right=-1, forward=forward, strike=2800.0, t_years=mark.t_years, discount=mark.discount, vol=vol))
    out = max(0.0, spot - STRIKE)
    needed = 100 * (price + max(0.15 * spot - out, 0.10 * STRIKE))
    return cash - needed


def test_margin_call_when_one_put_is_short_then_nearest_move_at_which_equity_is_under_the_requirement_by_hand() -> None:
    cash = 60_000.0

    found = margin_calls(short_put("60000"))

    assert found is not None and found[0] is not None
    down = found[0]
    assert down.symbol == "SPX" and down.level == pytest.approx(SPX * (1 + down.move))
    assert short_of_margin(down.move, cash) < 0 < short_of_margin(down.move + 0.0005, cash)


def test_margin_call_when_nothing_is_held_or_all_is_paid_in_full_then_none() -> None:
    assert margin_calls(stand_of(market.book(), market.view())) == (None, None)
    assert margin_calls(short_put("300000", AccountKind.CASH)) == (None, None)


def test_margin_call_when_the_account_is_short_of_margin_already_then_at_no_move_at_all() -> None:
    found = margin_calls(short_put("20000"))

    assert found is not None and found[0] is not None and found[0].move == 0.0
    assert call_words(found[0]) == "NOW: the account is short of margin"


def test_margin_call_when_an_underlying_has_no_price_then_unknown() -> None:
    book = market.book((market.put(STRIKE), -1), cash="60000")

    assert margin_calls(stand_of(book, market.empty_view())) is None


def test_uses_when_a_spread_is_held_then_every_limit_of_the_book_stands_beside_its_use() -> None:
    book = market.book((market.put(2800), -4), (market.put(2750), 4), cash="100000")
    stand = stand_of(book, market.view())

    found = {use.what: use for use in uses(stand, load_rules())}

    assert stand.measures.margin == Decimal(20000)
    assert found["margin for entries"].used == Decimal(20000)
    assert found["margin for entries"].limit == stand.worth * Decimal("0.50")
    assert found["margin, hard line"].limit == stand.worth * Decimal("0.60")
    assert found["capital on SPX/SPY/XSP"].used == Decimal(20000)
    assert found["capital on SPX/SPY/XSP"].limit == stand.worth * Decimal("0.40")
    assert found["worst stress loss"].used == Decimal(str(round(stand.measures.stress_loss_usd or 0, 2))).quantize(Decimal("0.01"))
    assert found["trades"].limit == 8 and found["largest trade"].limit == stand.worth * Decimal("0.05")


def test_uses_when_a_price_is_missing_then_unknown_with_the_reason_and_never_zero() -> None:
    book = market.book((market.put(2800), -1), cash="100000")

    found = uses(stand_of(book, market.empty_view()), load_rules())

    assert {use.used for use in found if use.what != "trades"} == {None}
    assert all(use.note for use in found if use.what != "trades")


@pytest.mark.parametrize(
    ("share", "text"), [("0", "[----------]"), ("0.42", "[####------]"), ("1", "[##########]"), ("1.01", "[##########]!")]
)
def test_bar_when_a_share_is_used_then_ten_signs(share: str, text: str) -> None:
    assert bar(Decimal(share)) == text
    assert bar(None) == "?"


def test_use_when_margin_is_21000_of_50000_then_42_percent() -> None:
    assert Use(rule="margin_use", what="margin for entries", used=Decimal(21000), limit=Decimal(50000)).share == Decimal("0.42")
    assert call_words(MarginCall(symbol="SPX", level=6210.0, move=-0.087)) == "SPX 6,210.00, -8.7%"
