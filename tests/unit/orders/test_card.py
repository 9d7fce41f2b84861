"""The card: every figure of a ticket, its buttons, and what it says when the rules say no."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from core.command import parse_args, split_line
from core.dispatch import command_of
from core.domain.events import Mode
from core.domain.instruments import Equity, Option, Right
from core.domain.listing import option
from core.domain.orders import Effect, Envelope, Intent, Leg, Limit, Side, TimeInForce
from core.domain.structures import Position, Trade
from core.market.view import View
from core.orders.card import draw_card, sizes
from core.orders.ticket import Priced, card_hash
from core.portfolio.book import Book
from core.ports import Dividend, Earnings, Preview, Split
from core.reply import Column, Fact, Facts, Notice, Reply, Table
from core.risk.exam import Family, Finding, Level, RuleClass, Verdict
from core.risk.examine import examine
from tests.hand_market import ACCOUNT, AT, book, chain, view

EXPIRY = date(2026, 12, 18)
ACTIVE = (Mode.ACTIVE, "")
PREVIEW = Preview(
    margin_before=Decimal(0), margin_after=Decimal(10_000), buying_power_before=Decimal(100_000), buying_power_after=Decimal("90244.76"),
    commission=Decimal("5.12"), source="paper exchange",
)
PASS = Finding(rule="capital", rule_class=RuleClass.SOFT, level=Level.PASS, measured="2,285 USD", limit="5,000 USD", why="fits")
OK = Verdict(findings=(PASS,), allowed=True, reducing=False, factor=Decimal(1), quantity_allowed=2)


def contract(strike: str, *, root: str = "SPXW", expiry: date = EXPIRY, right: Right = Right.PUT) -> Option:
    return option(root, expiry, right, Decimal(strike))


def legs(short: Option, long: Option | None = None, *, effect: Effect = Effect.OPEN) -> tuple[Leg, ...]:
    first, second = (Side.SELL, Side.BUY) if effect is Effect.OPEN else (Side.BUY, Side.SELL)
    own = (Leg(instrument=short, side=first, effect=effect),)
    return own if long is None else (*own, Leg(instrument=long, side=second, effect=effect))


def priced(
    own: Sequence[Leg] = legs(contract("2700"), contract("2650")), *, quantity: int = 2, start: str = "1.25", worst: str = "1.15",
    verdict: Verdict = OK, seen: View | None = None, held: Book | None = None, said: bool = True, strategy: str = "put_credit_spread",
    trade_id: str | None = None, preview: Preview | None = PREVIEW,
) -> Priced:
    plan = Limit(start=Decimal(start), worst=Decimal(worst))
    intent = Intent(
        account=ACCOUNT.id, legs=tuple(own), quantity=quantity, plan=plan, strategy=strategy, thesis="A test.", trade_id=trade_id,
        quantity_said=said,
    )
    envelope = Envelope(
        account=ACCOUNT.id, legs=intent.legs, quantity=quantity, plan=plan, tif=TimeInForce.DAY, expires_at=AT + timedelta(seconds=120),
        policy_version=1, strategy=strategy, trade_id=trade_id,
    )
    market = seen or spx()
    exam = examine(intent=intent, book=held or book(), view=market, preview=preview, now=AT, mode=Mode.ACTIVE, mode_reason="")
    trouble = "" if preview else "no answer"
    return Priced(envelope=envelope, exam=exam, verdict=verdict, view=market, preview=preview, preview_trouble=trouble)


def spx() -> View:
    return view(chain("SPX", (("SPX", EXPIRY), ("SPXW", EXPIRY)), spot=2900, strikes=np.arange(2500, 3201, 50), vol=0.2))


def spy(**changes: object) -> View:
    whole = view(chain("SPY", (("SPY", EXPIRY),), spot=500, strikes=np.arange(400, 601, 10), tick=0.01, half_spread=0.02))
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def draw(item: Priced, *, mode: tuple[Mode, str] = ACTIVE, lead: str = "") -> Reply:
    return draw_card(ticket_id="T1", priced=item, now=AT, mode=mode, label="TEST", lead=lead)


def fact(card: Reply, label: str) -> Fact:
    return next(item for block in card.blocks if isinstance(block, Facts) for item in block.facts if item.label == label)


def table(card: Reply, title: str) -> Table:
    return next(block for block in card.blocks if isinstance(block, Table) and block.title == title)


def notices(card: Reply) -> str:
    return " ".join(block.text for block in card.blocks if isinstance(block, Notice))


def labels(card: Reply) -> list[str]:
    return [action.label for action in card.actions]


def test_card_when_a_credit_is_offered_then_start_worst_and_money_are_spelled_out():
    card = draw(priced())

    assert (fact(card, "you receive").value, fact(card, "never under").value) == (Decimal("1.25"), Decimal("1.15"))
    assert fact(card, "in money").value == Decimal("250.00") and fact(card, "in money").note == "2 spreads x 100 x 1.25"
    assert fact(card, "in money at worst").value == Decimal("230.00")


def test_card_when_a_debit_is_paid_then_says_you_pay_and_never_over():
    card = draw(priced(start="-1.25", worst="-1.40"))

    assert (fact(card, "you pay").value, fact(card, "never over").value) == (Decimal("1.25"), Decimal("1.40"))
    assert fact(card, "in money").value == Decimal("-250.00")


def test_card_when_the_price_may_turn_into_a_debit_then_says_so():
    card = draw(priced(start="0.05", worst="-0.05"))

    assert fact(card, "at worst you pay").value == Decimal("0.05")


def test_card_when_risk_is_defined_then_result_at_expiry_is_exact():
    card = draw(priced())

    assert fact(card, "max profit").value == Decimal("250.00")
    assert fact(card, "max loss").value == (50 - Decimal("1.15")) * 100 * 2  # as if filled at the worst price
    assert fact(card, "break-even").value == Decimal("2698.75")


def test_card_when_the_put_is_naked_then_max_loss_is_to_zero():
    card = draw(priced(legs(contract("2700")), quantity=1, start="10.00", worst="9.50"))

    assert fact(card, "max loss").value == (2700 - Decimal("9.50")) * 100
    assert "SPX went to zero" in fact(card, "max loss").note
    assert fact(card, "in money").note == "1 contract x 100 x 10.00"


def test_card_when_a_call_is_naked_then_the_loss_is_unlimited_and_never_blank():
    card = draw(priced(legs(contract("3000", right=Right.CALL)), quantity=1, start="10.00", worst="9.50"))

    assert fact(card, "max loss").value == "unlimited"


def test_card_when_legs_expire_on_different_days_then_the_result_is_unknown_with_the_reason():
    far = option("SPXW", date(2027, 1, 15), Right.CALL, Decimal(2650))
    card = draw(priced(legs(contract("2700"), far)))

    assert fact(card, "max loss").value is None and "do not expire on one day" in fact(card, "max loss").note


def test_card_when_quotes_give_a_volatility_then_probability_agrees_with_the_short_delta():
    card = draw(priced())
    short = next(row for row in table(card, "Legs").rows if row[0] == "sell to open")

    assert isinstance(short[7], float)
    assert fact(card, "probability of profit").value == pytest.approx(1 + short[7], abs=0.02)


def test_card_when_drawn_then_lists_legs_with_contracts_quotes_and_terms():
    rows = table(draw(priced()), "Legs").rows

    assert [row[:4] for row in rows] == [
        ("sell to open", 2, "SPXW 18 Dec 26 2700 put", 28), ("buy to open", 2, "SPXW 18 Dec 26 2650 put", 28),
    ]
    assert all(isinstance(row[4], Decimal) and isinstance(row[5], Decimal) and row[4] < row[5] for row in rows)


def test_card_when_previewed_then_shows_buying_power_effect_and_commission_with_their_source():
    card = draw(priced())

    assert fact(card, "buying power effect").value == Decimal("-9755.24")
    assert (fact(card, "commission").value, fact(card, "commission").source) == (Decimal("5.12"), "paper exchange")


def test_card_when_there_is_no_preview_then_cost_is_unknown_and_says_why():
    card = draw(priced(preview=None))

    assert fact(card, "commission").value is None and fact(card, "commission").note == "no answer"


def test_card_when_drawn_then_greeks_and_stress_stand_before_and_after():
    item = priced()
    rows = {row[0]: row for row in table(draw(item), "Account before and after").rows}

    assert rows["delta, per +1%"][1] == 0 and rows["delta, per +1%"][2] == item.exam.after.exposure.delta_usd_per_pct
    assert rows["theta, per day"][2] == item.exam.after.exposure.theta_usd_per_day
    assert item.exam.after.stress_loss_usd and rows["worst stress result"][2] == -item.exam.after.stress_loss_usd
    assert rows["worst stress result"][3] == item.exam.after.stress_scenario != ""


def test_card_when_a_greek_is_unknown_then_it_is_none_never_zero():
    item = priced()
    blind = dataclasses.replace(item.exam.after.exposure, vega_usd_per_point=None, unmarked=("X",))
    after = dataclasses.replace(item.exam.after, exposure=blind, stress_loss_usd=None)
    blinded = dataclasses.replace(item, exam=dataclasses.replace(item.exam, after=after))
    rows = {row[0]: row for row in table(draw(blinded), "Account before and after").rows}

    assert rows["vega, per point"][2] is None and "no mark for X" in str(rows["vega, per point"][3])
    assert rows["worst stress result"][2] is None


def test_card_when_rules_answered_then_each_stands_with_its_number_failures_first():
    reduce = dataclasses.replace(PASS, rule="vix", level=Level.REDUCE, factor=Decimal("0.5"), family=Family.VOLATILITY, why="VIX 26")
    block = dataclasses.replace(PASS, rule="stress", level=Level.BLOCK, measured="30,000 USD", limit="20,000 USD", why="too much", fits=1)
    verdict = dataclasses.replace(OK, findings=(PASS, reduce, block), allowed=False, quantity_allowed=1, reason="too much")
    rows = table(draw(priced(verdict=verdict)), "Rules").rows

    assert [row[0] for row in rows] == ["stress", "vix", "capital", "liquidity score"]
    assert rows[0] == ("stress", "BLOCK (soft)", "30,000 USD", "20,000 USD", "too much; 1 would fit")
    assert (rows[1][1], rows[2][1], rows[2][4]) == ("reduce x0.5", "pass", "")


def test_card_when_the_short_leg_is_wider_than_the_structure_then_the_score_is_its():
    seen = spx()
    whole = seen.chains["SPX"]
    wide = dataclasses.replace(whole, ask=np.where(whole.strike == 2700, whole.ask + 2.0, whole.ask))
    rows = table(draw(priced(seen=dataclasses.replace(seen, chains={"SPX": wide}))), "Rules").rows

    assert rows[-1][0] == "liquidity score" and rows[-1][1] == "poor" and "too wide" in str(rows[-1][4])


def test_card_when_allowed_then_confirm_is_there_once_and_first():
    card = draw(priced())

    confirm = card.actions[0]
    assert (confirm.label, confirm.line, confirm.style, confirm.once) == ("Confirm", "confirm T1", "primary", True)
    assert labels(card) == ["Confirm", "Reprice", "Size 1", "Why", "Cancel"]


def test_card_when_rules_block_then_there_is_no_confirm_and_the_size_that_fits_is_a_button():
    block = dataclasses.replace(PASS, level=Level.BLOCK, why="ties up 22,850 USD, over 10,000 USD", fits=4, next_step="Ask for 4.")
    verdict = Verdict(
        findings=(block,), allowed=False, reducing=False, factor=Decimal(1), quantity_allowed=4,
        reason="ties up 22,850 USD, over 10,000 USD",
    )
    card = draw(priced(quantity=10, verdict=verdict))

    assert notices(card) == "Blocked: ties up 22,850 USD, over 10,000 USD; you asked 10, rules allow 4."
    assert "Confirm" not in labels(card)
    assert [action.line for action in card.actions if action.label.startswith("Size")] == ["size T1 quantity=4"]
    assert card.data["allowed"] is False


def test_card_when_nothing_fits_then_the_next_step_is_said():
    block = dataclasses.replace(PASS, rule="state", level=Level.BLOCK, why="PAUSED", next_step="`resume` lifts it.")
    verdict = dataclasses.replace(OK, findings=(block,), allowed=False, quantity_allowed=0, reason="PAUSED")
    card = draw(priced(verdict=verdict))

    assert notices(card) == "Blocked: PAUSED. `resume` lifts it."
    assert labels(card) == ["Reprice", "Why", "Cancel"]


def test_d9_card_when_it_repeats_an_order_then_a_second_order_is_a_button_of_its_own():
    block = dataclasses.replace(PASS, rule="duplicate", level=Level.BLOCK, why="the same was confirmed 5 s ago")
    card = draw(priced(verdict=dataclasses.replace(OK, findings=(block,), allowed=False, quantity_allowed=0, reason=block.why)))

    assert "reprice T1 second_order=yes" in [action.line for action in card.actions]


@pytest.mark.parametrize(("asked", "fits", "expected"), [(1, None, (2,)), (1, 1, ()), (1, 3, (3,)), (8, None, (4,)), (8, 9, (4, 9))])
def test_sizes_when_allowed_then_half_and_what_rules_are_known_to_allow(asked: int, fits: int | None, expected: tuple[int, ...]):
    verdict = dataclasses.replace(OK, findings=(dataclasses.replace(PASS, fits=fits),), quantity_allowed=asked)

    assert sizes(priced(quantity=asked, verdict=verdict)) == expected


@pytest.mark.parametrize(("mode", "badge"), [
    (ACTIVE, "PAPER · TEST"), ((Mode.HALT, "kill"), "PAPER · HALTED · TEST"), ((Mode.PAUSED, "lunch"), "PAPER · PAUSED · TEST"),
])
def test_card_when_the_mode_is_not_active_then_badge_and_notice_say_so(mode: tuple[Mode, str], badge: str):
    card = draw(priced(), mode=mode)

    assert card.badge == badge
    assert mode[1] in notices(card)


def test_card_when_drawn_again_then_says_why_first():
    card = draw(priced(), lead="The price moved. Nothing was sent.")

    assert isinstance(card.blocks[0], Notice) and card.blocks[0].text == "The price moved. Nothing was sent."


def test_card_when_holidays_and_half_days_come_first_then_they_are_listed_and_the_missing_calendar_is_told():
    rows = table(draw(priced()), "Before expiry").rows

    assert (date(2026, 11, 26), "exchange closed: Thanksgiving") in rows
    assert any(row[0] == date(2026, 11, 27) and "half day" in str(row[1]) for row in rows)
    assert (EXPIRY, "SPXW settles in cash at the close, the monthly expiry") in rows
    assert rows[-1][1] == "not known here: economic dates such as FOMC and CPI"


def test_card_when_a_report_or_a_split_comes_first_then_it_is_listed():
    report = Earnings(symbol="SPY", day=date(2026, 12, 1), when="after_close")
    seen = spy(earnings={"SPY": (report,)}, splits={"SPY": (Split(symbol="SPY", ex_date=date(2026, 12, 2), new=4, old=1),)})
    rows = table(draw(priced(legs(contract("480", root="SPY")), seen=seen, start="2.00", worst="1.90")), "Before expiry").rows

    assert (date(2026, 12, 1), "SPY reports earnings after the close") in rows
    assert (date(2026, 12, 2), "SPY splits 4 for 1: contracts are adjusted, plans for them end") in rows
    assert rows[-1][1] == "not known here: economic dates such as FOMC and CPI"


def test_card_when_no_source_knows_of_reports_then_it_says_so():
    rows = table(draw(priced(legs(contract("480", root="SPY")), seen=spy(), start="2.00", worst="1.90")), "Before expiry").rows

    assert rows[-1][1] == "not known here: when SPY reports earnings, economic dates such as FOMC and CPI"


def test_n3_card_when_the_series_settles_in_the_morning_then_the_last_trading_day_is_listed():
    rows = table(draw(priced(legs(contract("2700", root="SPX"), contract("2650", root="SPX")))), "Before expiry").rows

    assert (date(2026, 12, 17), "last trading of SPX 2026-12-18") in rows
    assert (EXPIRY, "SPX settles on the opening prices, the monthly expiry") in rows


def test_card_when_a_dividend_is_known_then_it_is_listed():
    seen = spy(dividends={"SPY": (Dividend(symbol="SPY", ex_date=EXPIRY, amount=Decimal("1.90")),)})
    own = legs(contract("480", root="SPY"))
    rows = table(draw(priced(own, seen=seen, strategy="cash_secured_put", start="2.00", worst="1.90")), "Before expiry").rows

    assert any(row[0] == EXPIRY and "SPY goes ex dividend, 1.90 a share" in str(row[1]) for row in rows)


def test_card_when_the_contract_is_a_broad_index_then_tax_is_section_1256_else_ordinary_with_wash_sale():
    index, fund = draw(priced()), draw(priced(legs(contract("480", root="SPY")), seen=spy(), start="2.00", worst="1.90"))

    assert str(fact(index, "tax").value).startswith("section 1256: 60%")
    words = [str(item.value) for block in fund.blocks if isinstance(block, Facts) for item in block.facts if item.label == "tax"]
    assert words[0].startswith("ordinary") and "no loss on SPY in the last 30 days" in words[1]
    assert any(isinstance(block, Facts) and block.title == "Tax (not tax advice)" for block in fund.blocks)


def test_card_when_the_same_fund_was_closed_at_a_loss_lately_then_the_wash_sale_is_named():
    own = legs(contract("480", root="SPY"))
    lost = Trade(
        id="P0", account=ACCOUNT.id, strategy="naked_put", underlying="SPY", legs=own, opened_at=AT - timedelta(days=40), opened_units=1,
        open_units=0, premium=Decimal(100), closing_cash=Decimal(-300), fees=Decimal(2), closed_at=AT - timedelta(days=10),
    )
    held = dataclasses.replace(book(), trades={"P0": lost}, closings={"2026-11-10": ("P0",)})
    card = draw(priced(own, seen=spy(), held=held, start="2.00", worst="1.90"))
    words = " ".join(str(item.value) for block in card.blocks if isinstance(block, Facts) for item in block.facts if item.label == "tax")

    assert "SPY was closed at a loss on 2026-11-10" in words


def test_card_when_a_trade_is_closed_then_its_result_is_premium_less_the_price_paid():
    own = legs(contract("2700"), contract("2650"))
    trade = Trade(
        id="P1", account=ACCOUNT.id, strategy="put_credit_spread", underlying="SPX", legs=own, opened_at=AT, opened_units=4, open_units=4,
        premium=Decimal(1200), closing_cash=Decimal(0), fees=Decimal(10),
    )
    closing = legs(contract("2700"), contract("2650"), effect=Effect.CLOSE)
    item = priced(closing, start="-1.25", worst="-1.40", trade_id="P1", held=dataclasses.replace(book(), trades={"P1": trade}))
    card = draw(item)

    assert fact(card, "profit or loss").value == Decimal(1200) / 4 * 2 - 250
    assert fact(card, "profit or loss at worst").value == Decimal(1200) / 4 * 2 - 280
    assert not any(isinstance(block, Facts) and block.title == "At expiry" for block in card.blocks)


def test_card_when_a_split_paid_out_parts_of_shares_then_the_result_of_closing_the_rest_counts_them():
    shares = Equity(symbol="SPY")
    bought = Leg(instrument=shares, side=Side.BUY, effect=Effect.OPEN)
    trade = Trade(
        id="P1", account=ACCOUNT.id, strategy="stock", underlying="SPY", legs=(bought,), opened_at=AT, opened_units=5, open_units=5,
        premium=Decimal("-2400"), closing_cash=Decimal(220), fees=Decimal(1),
    )
    closing = dataclasses.replace(bought, side=Side.SELL, effect=Effect.CLOSE)
    item = priced((closing,), seen=spy(), start="440", worst="439", trade_id="P1", held=dataclasses.replace(book(), trades={"P1": trade}))

    assert fact(draw(item), "profit or loss").value == Decimal(-2400 + 220) / 5 * 2 + 880


def test_card_when_the_size_was_left_out_then_says_it_was_set_by_rule():
    assert fact(draw(priced(said=False)), "quantity").note == "sized by rule"
    assert fact(draw(priced(said=True)), "quantity").note == "as you said"


def test_card_when_drawn_then_shows_age_time_and_when_it_expires():
    later = dataclasses.replace(priced(), view=dataclasses.replace(spx(), at=AT + timedelta(seconds=7)))
    card = draw(later)

    assert fact(card, "oldest quote").value == 7
    assert fact(card, "exchange time").value == AT
    assert fact(card, "card expires in").value == 120


def test_g6_card_when_a_leg_has_no_quote_then_its_cells_are_unknown_not_zero():
    card = draw(priced(seen=view(chain("SPX", (("SPXW", EXPIRY),), spot=2900, strikes=[2700]))))
    wing = table(card, "Legs").rows[1]

    assert wing[4:] == (None, None, None, None)
    assert fact(card, "oldest quote").value is None and fact(card, "mid now").value is None


def test_d4_card_when_inputs_are_equal_then_the_hash_is_equal_and_any_change_shows():
    same, again = card_hash(draw(priced())), card_hash(draw(priced()))
    others = {
        card_hash(draw(priced(quantity=3))), card_hash(draw(priced(start="1.30"))), card_hash(draw(priced(worst="1.10"))),
        card_hash(draw(priced(legs(contract("2700"), contract("2600"))))),
        card_hash(draw(priced(verdict=dataclasses.replace(OK, allowed=False)))),
    }

    assert same == again
    assert len(others) == 5 and same not in others


def test_card_when_its_buttons_are_read_then_every_line_parses():
    for action in draw(priced()).actions:
        name, *words = split_line(action.line)
        assert parse_args(command_of(name), words)


def test_card_when_its_cells_are_looked_at_then_numbers_are_typed_not_written():
    legs_table = table(draw(priced()), "Legs")
    typed = [column for column in legs_table.columns if column.format.value != "text"]

    assert typed and all(isinstance(column, Column) for column in typed)
    for row in legs_table.rows:
        assert all(not isinstance(cell, str) for cell, column in zip(row, legs_table.columns, strict=True) if column.format.value != "text")


def owner(shares: int, price: str) -> Book:
    item = Equity(symbol="SPY")
    position = Position(account=ACCOUNT.id, instrument=item, quantity=shares, average_price=Decimal(price))
    return dataclasses.replace(book(), positions={"SPY": position})


def on_shares(strategy: str, strike: str, right: Right, side: Side, *, start: str, worst: str) -> Reply:
    own = (Leg(instrument=contract(strike, root="SPY", right=right), side=side, effect=Effect.OPEN),)
    item = priced(own, quantity=2, start=start, worst=worst, seen=spy(), held=owner(250, "480"), strategy=strategy)
    intent = dataclasses.replace(item.exam.intent, most_units=2)
    return draw(dataclasses.replace(item, exam=dataclasses.replace(item.exam, intent=intent)))


def test_card_when_calls_are_sold_against_shares_then_the_figures_are_of_both_and_say_so():
    card = on_shares("covered_call", "520", Right.CALL, Side.SELL, start="3.00", worst="2.90")

    assert any(isinstance(block, Facts) and block.title == "At expiry, together with 200 SPY shares" for block in card.blocks)
    assert fact(card, "the shares").value == 480
    assert fact(card, "max profit").value == (520 - 480 + 3) * 200
    assert (fact(card, "max loss").value, fact(card, "break-even").value) == (Decimal("95420.00"), 477)
    assert "if SPY went to zero" in fact(card, "max loss").note
    assert fact(card, "this order alone").value == "keeps 580.00 USD at least"
    assert fact(card, "capital of the trade").value == 0


def test_card_when_puts_are_bought_for_shares_then_the_shares_are_insured_and_the_put_alone_is_told():
    card = on_shares("protective_put", "470", Right.PUT, Side.BUY, start="-4.00", worst="-4.10")

    assert (fact(card, "max profit").value, fact(card, "max loss").value) == ("unlimited", Decimal("2820.00"))
    assert "went to zero" not in fact(card, "max loss").note and fact(card, "break-even").value == 484
    assert fact(card, "this order alone").value == "can lose 820.00 USD"


def test_card_when_shares_are_bought_then_there_is_no_expiry_and_the_whole_price_can_be_lost():
    own = (Leg(instrument=Equity(symbol="SPY"), side=Side.BUY, effect=Effect.OPEN),)

    card = draw(priced(own, quantity=10, start="-500", worst="-501", seen=spy(), strategy="stock"))

    assert (fact(card, "max profit").value, fact(card, "max loss").value, fact(card, "break-even").value) == ("unlimited", 5010, 500)
    assert "if SPY went to zero" in fact(card, "max loss").note
    assert not any(isinstance(block, Facts) and any(item.label == "probability of profit" for item in block.facts) for block in card.blocks)


def test_card_when_shares_are_sold_short_then_the_loss_is_unlimited_and_no_number():
    own = (Leg(instrument=Equity(symbol="SPY"), side=Side.SELL, effect=Effect.OPEN),)

    assert fact(draw(priced(own, quantity=10, start="500", worst="499", seen=spy(), strategy="stock")), "max loss").value == "unlimited"


def test_card_when_a_strangle_is_sold_then_the_loss_is_unlimited_and_both_break_evens_are_told():
    own = (*legs(contract("2700")), *legs(contract("3100", right=Right.CALL)))

    card = draw(priced(own, quantity=1, start="20", worst="19", strategy="short_strangle"))

    assert fact(card, "max loss").value == "unlimited"
    assert (fact(card, "break-even 1").value, fact(card, "break-even 2").value) == (2680, 3120)
    assert fact(card, "in money").note == "1 unit x 100 x 20.00"


def test_card_when_a_calendar_is_opened_then_its_loss_is_a_bound_and_its_profit_an_estimate():
    later = date(2027, 1, 15)
    seen = view(chain("SPY", (("SPY", EXPIRY), ("SPY", later)), spot=500, strikes=np.arange(400, 601, 10), tick=0.01, half_spread=0.02))
    near, far = (contract("500", root="SPY", expiry=day, right=Right.CALL) for day in (EXPIRY, later))
    own = (Leg(instrument=far, side=Side.BUY, effect=Effect.OPEN), Leg(instrument=near, side=Side.SELL, effect=Effect.OPEN))

    card = draw(priced(own, quantity=2, start="-4.70", worst="-4.80", seen=seen, strategy="calendar"))

    assert fact(card, "max loss").value == 960 and "a bound while both legs are held" in fact(card, "max loss").note
    assert "if SPY stands at 500.00 then" in fact(card, "max profit").note
    assert fact(card, "an estimate").value == "the far leg is valued by the model"
    assert fact(card, "capital of the trade").value == 960
    assert fact(card, "break-even 1").value is not None and fact(card, "break-even 2").value is not None
