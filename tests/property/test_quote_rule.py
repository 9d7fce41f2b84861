"""The quote rule holds alike for one quote and for whole columns, whatever the numbers (safety G2)."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.market.chain import CALL, UNKNOWN, Chain
from core.market.quote import QuoteState, judge_quote

PRICES = st.floats() | st.sampled_from([0.0, -0.0, 0.05, 1.0, 1e7, 1e308, math.inf, -math.inf, math.nan])
PAIRS = st.lists(st.tuples(PRICES, PRICES), min_size=1, max_size=30)


def chain_of(pairs: list[tuple[float, float]]) -> Chain:
    size = len(pairs)
    unknown = np.full(size, UNKNOWN, dtype=np.int64)
    return Chain(
        symbol="SPX", at=datetime(2024, 5, 15, tzinfo=UTC), source="test", spot=1000.0, root=np.full(size, "SPXW", dtype=object),
        expiry=np.full(size, date(2024, 5, 17).toordinal(), dtype=np.int64), right=np.full(size, CALL, dtype=np.int8),
        strike_milli=np.arange(1, size + 1, dtype=np.int64) * 1000, bid=np.array([bid for bid, _ in pairs]),
        ask=np.array([ask for _, ask in pairs]), bid_size=unknown, ask_size=unknown, open_interest=unknown, volume=unknown,
        vendor_iv=np.full(size, np.nan), vendor_delta=np.full(size, np.nan),
    )


@given(PAIRS)
def test_g2_column_when_judged_then_as_each_quote_alone(pairs: list[tuple[float, float]]) -> None:
    chain = chain_of(pairs)

    assert chain.usable.tolist() == [judge_quote(bid, ask).usable for bid, ask in pairs]
    assert np.isfinite(chain.mid).tolist() == chain.usable.tolist()


@given(PRICES, PRICES)
def test_g2_quote_when_usable_then_its_mid_lies_between_bid_and_ask(bid: float, ask: float) -> None:
    state = judge_quote(bid, ask)

    assert not state.usable or 0 <= bid <= (bid + ask) / 2 <= ask
    assert (state is QuoteState.NO_BID) == (state.usable and bid == 0)
