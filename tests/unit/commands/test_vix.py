"""`vix` over the simulated market: what no source has is said, and that nothing of it is enforced."""

from decimal import Decimal
from unittest.mock import AsyncMock

import pytest

from tests.hand_market import view
from tests.paper_desk import fact, open_desk, say, text


async def test_vix_when_asked_then_level_change_percentile_and_advice_are_there() -> None:
    desk = await open_desk()

    reply = await say(desk, "vix")

    assert reply.ok
    assert float(str(fact(reply, "level").value)) == reply.data["vix"]
    assert fact(reply, "percentile").note == "of 252 days"
    assert fact(reply, "positions").note == "of 8"
    assert "the gate enforces none of it" in text(reply)


async def test_vix_when_a_future_or_index_is_missing_then_said_and_never_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await open_desk()
    monkeypatch.setattr(desk.reader, "view", AsyncMock(return_value=view(vix=30.0)))

    reply = await say(desk, "vix")

    assert fact(reply, "level").value == 30.0
    assert fact(reply, "VIX9D").value is None and fact(reply, "VIX3M").value is None
    assert fact(reply, "day change").value is None and fact(reply, "percentile").value is None
    assert fact(reply, "term structure").value == "unknown"
    assert "counts as inverted for entries" in fact(reply, "term structure").note
    assert fact(reply, "size").value == Decimal("0.25") and fact(reply, "naked puts, strangles").note == "delta at most 0.04"
    assert "No source has prices of VIX futures" in text(reply)
