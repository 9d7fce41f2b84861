"""What of a source's answer enters a view: prices are judged where they are used, answers that are none are refused whole."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from core.domain.instruments import Option
from core.errors import Unavailable
from core.market.answers import (
    checked_bars,
    checked_chain,
    checked_dividends,
    checked_earnings,
    checked_expiries,
    checked_headlines,
    checked_instant,
    checked_quotes,
    checked_rate,
    checked_settlement,
    checked_splits,
)
from core.market.quote import Quote, QuoteState, session_age_seconds
from core.market.view import View
from core.ports import Bars, Dividend, Earnings, Headline, SettlementValue, Split
from tests.unit.risk.market import EXPIRY, FAR, NOW, SPREAD, chain, put

KO = chain("KO", 48.0, {EXPIRY: "KO"}, step=5, half_spread=0.01, at=NOW)
QUOTE = Quote(key="SPX", bid=2899.5, ask=2900.5, at=NOW, source="x", bid_size=3, last=2900.0)
DAYS = (date(2019, 5, 1), date(2019, 5, 2), date(2019, 5, 3))
BARS = Bars(symbol="SPX", days=DAYS, open=(1.0, 2.0, 3.0), high=(1.0, 2.0, 3.0), low=(1.0, 2.0, 3.0), close=(1.0, 2.0, 3.0), source="x")
CONTRACT = SPREAD[0].instrument
VALUE = SettlementValue(root="SPXW", expiry=EXPIRY, value=Decimal("2850.11"), published_at=NOW, label="close")


def test_answers_when_sane_then_are_the_same_objects() -> None:
    assert checked_chain(KO, "KO") is KO
    assert checked_quotes({"SPX": QUOTE})["SPX"] is QUOTE
    assert checked_bars(BARS, "SPX") == BARS
    assert checked_expiries((FAR, EXPIRY, FAR), "SPX") == (EXPIRY, FAR)


@pytest.mark.parametrize(
    ("quote", "state"),
    [
        (replace(QUOTE, bid=math.nan), QuoteState.NOT_A_NUMBER), (replace(QUOTE, ask=math.inf), QuoteState.ABSURD),
        (replace(QUOTE, bid=-1.0), QuoteState.NEGATIVE), (replace(QUOTE, bid=3000.0), QuoteState.CROSSED),
        (replace(QUOTE, ask=1e308), QuoteState.ABSURD), (replace(QUOTE, bid=10**400), QuoteState.ABSURD),
    ],
)  # fmt: skip
def test_g2_quote_when_its_price_is_insane_then_is_kept_to_say_so_and_gives_no_price(quote: Quote, state: QuoteState) -> None:
    kept = checked_quotes({"SPX": quote})
    assert kept["SPX"].state is state
    with pytest.raises(Unavailable, match=state.value):
        View(at=NOW, session=NOW.date(), label="", quotes=kept, chains={}).spot("SPX")


@pytest.mark.parametrize(
    "quote",
    [
        replace(QUOTE, key="SPY"), replace(QUOTE, at=NOW.replace(tzinfo=None)), replace(QUOTE, at=datetime(1, 1, 1, tzinfo=UTC)),
        replace(QUOTE, bid="2899.5"), replace(QUOTE, ask=None), replace(QUOTE, bid=True), None, 2900.0,
    ],
    ids=lambda quote: str(quote)[:60],
)  # fmt: skip
def test_g2_quote_when_it_is_none_then_is_left_out(quote: Any) -> None:
    assert checked_quotes({"SPX": quote}) == {}


def test_quote_when_a_size_or_last_price_is_senseless_then_they_are_unknown() -> None:
    kept = checked_quotes({"SPX": replace(QUOTE, bid_size=-3, ask_size=2.5, last=math.nan)})["SPX"]  # type: ignore[arg-type]
    assert (kept.bid_size, kept.ask_size, kept.last) == (None, None, None)


def test_g2_spot_when_nobody_bids_then_half_the_ask_is_no_price_of_an_underlying() -> None:
    seen = View(at=NOW, session=NOW.date(), label="", quotes={"SPX": replace(QUOTE, bid=0.0)}, chains={})
    with pytest.raises(Unavailable, match="no bid"):
        seen.spot("SPX")
    with pytest.raises(Unavailable, match="out of any range"):
        replace(seen, quotes={"SPX": replace(QUOTE, bid=5e-324, ask=5e-324)}).spot("SPX")


def test_g2_chain_when_rows_are_no_contracts_then_only_those_are_left_out() -> None:
    roots, rights, strikes, days = KO.root.copy(), KO.right.copy(), KO.strike_milli.copy(), KO.expiry.copy()
    roots[0], roots[1], rights[2], strikes[3], days[4] = "TOOLONG", None, 0, -1, 0

    kept = checked_chain(replace(KO, root=roots, right=rights, strike_milli=strikes, expiry=days), "KO")

    assert len(kept) == len(KO) - 5
    assert kept.strike_milli.tolist() == KO.strike_milli[5:].tolist()


@pytest.mark.parametrize(
    "bent",
    [
        replace(KO, bid=KO.bid[:-1]), replace(KO, ask=KO.ask.astype(object)), replace(KO, right=KO.right.astype(np.float64)),
        replace(KO, strike_milli=list(KO.strike_milli)), replace(KO, symbol="SPY"), replace(KO, at=NOW.replace(tzinfo=None)), None,
    ],
    ids=range(7),
)  # fmt: skip
def test_g2_chain_when_its_columns_do_not_fit_then_unavailable(bent: Any) -> None:
    with pytest.raises(Unavailable, match="option chain of KO"):
        checked_chain(bent, "KO")


@pytest.mark.parametrize("spot", [math.nan, math.inf, 0.0, -48.0, 1e300, None, "48"])
def test_g2_chain_when_its_spot_is_no_price_then_it_is_unknown(spot: Any) -> None:
    assert math.isnan(checked_chain(replace(KO, spot=spot), "KO").spot)


def test_bars_when_a_close_is_missing_then_that_session_is_left_out() -> None:
    kept = checked_bars(replace(BARS, close=(1.0, math.nan, 3.0), open=(0.0, 2.0, math.inf)), "SPX")
    assert (kept.days, kept.close) == ((DAYS[0], DAYS[2]), (1.0, 3.0))
    assert all(math.isnan(price) for price in kept.open)


@pytest.mark.parametrize(
    "bent",
    [replace(BARS, close=(1.0,)), replace(BARS, days=DAYS[::-1]), replace(BARS, days=("a", "b", "c")), replace(BARS, symbol="X"), None],
    ids=range(5),
)
def test_bars_when_they_are_none_then_unavailable(bent: Any) -> None:
    with pytest.raises(Unavailable, match="daily prices of SPX"):
        checked_bars(bent, "SPX")


@pytest.mark.parametrize("rate", [math.nan, math.inf, 1e308, 5.0, -0.5, None, "0.02", True])
def test_g6_rate_when_it_is_none_then_unavailable(rate: Any) -> None:
    with pytest.raises(Unavailable, match="riskless rate"):
        checked_rate(rate)


def test_other_answers_when_they_make_no_sense_then_unavailable() -> None:
    assert isinstance(CONTRACT, Option)
    paid = Dividend(symbol="KO", ex_date=DAYS[0], amount=Decimal("0.40"))
    assert checked_dividends((paid,), "KO") == (paid,)
    assert checked_settlement(VALUE, CONTRACT) is VALUE
    assert checked_settlement(None, CONTRACT) is None
    assert checked_instant(NOW + timedelta(days=1), NOW) == NOW + timedelta(days=1)
    for refuse in (
        lambda: checked_dividends((replace(paid, amount=Decimal("NaN")),), "KO"), lambda: checked_dividends(None, "KO"),  # type: ignore[arg-type]
        lambda: checked_expiries(("soon",), "KO"), lambda: checked_expiries((NOW,), "KO"),  # type: ignore[arg-type]
        lambda: checked_settlement(replace(VALUE, value=Decimal("-1")), CONTRACT), lambda: checked_settlement(VALUE, put(2800, expiry=FAR)),
        lambda: checked_settlement(replace(VALUE, value=Decimal("Infinity")), CONTRACT), lambda: checked_instant(NOW, NOW),
        lambda: checked_instant(NOW.replace(tzinfo=None), NOW), lambda: checked_quotes([QUOTE]),  # type: ignore[arg-type]
    ):  # fmt: skip
        with pytest.raises(Unavailable):
            refuse()


def test_splits_when_one_is_no_ratio_then_unavailable_and_sound_ones_pass() -> None:
    made = Split(symbol="KO", ex_date=DAYS[0], new=3, old=2)

    assert checked_splits([made], "KO") == (made,)
    for wrong in (replace(made, new=0), replace(made, old=3), replace(made, new=1.5), replace(made, ex_date=NOW), "4:1"):  # type: ignore[arg-type]
        with pytest.raises(Unavailable, match="splits of KO"):
            checked_splits([wrong], "KO")  # type: ignore[list-item]


def test_earnings_when_the_time_of_day_is_no_known_one_then_unknown_and_no_day_is_refused() -> None:
    made = Earnings(symbol="KO", day=DAYS[0], when="after_close")

    assert checked_earnings([made, replace(made, when="noon")], "KO") == (made, replace(made, when=""))
    with pytest.raises(Unavailable, match="reports of KO"):
        checked_earnings([replace(made, day="soon")], "KO")  # type: ignore[arg-type]


def test_headlines_when_they_hold_several_lines_then_each_is_one_short_line_and_the_oldest_first() -> None:
    made = Headline(at=NOW, symbol=None, text="Stocks\nfall\x1b[2J " + "x" * 300, source="wire")
    older = replace(made, at=NOW - timedelta(hours=1), text="calm")

    found = checked_headlines([made, older, replace(made, text="\n")])

    assert [item.at for item in found] == [older.at, NOW]
    assert found[1].text.startswith("Stocks fall [2J xxx")
    assert len(found[1].text) == 200
    with pytest.raises(Unavailable, match="headlines"):
        checked_headlines([replace(made, at=NOW.replace(tzinfo=None))])


def test_age_when_a_quote_is_years_old_then_counts_as_one_year() -> None:
    old, older = (session_age_seconds(NOW - timedelta(days=days), NOW) for days in (380, 4000))
    assert old == older > 250 * 6 * 3600
