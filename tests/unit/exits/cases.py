"""Open trades in figures, for the exits: what was received or paid, and what closing costs or brings now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from core.domain.orders import Leg
from core.domain.structures import Trade
from core.exits import Case
from core.market.quote import Quote
from core.market.view import View
from core.portfolio.pnl import open_result
from tests.unit.risk.market import NOW, PRACTICE, SPREAD, TODAY

WIDE = 0.02  # spread of the hand-made quotes
SPOT = 2900.0
OTHERS = 0.10  # what each leg after the first is worth


def seen(legs: Sequence[Leg] = SPREAD, costs: str | None = None) -> View:
    """A market in which closing the legs costs (or, bought, brings) this at mid; without a number nobody quotes anything."""
    first, *others = legs
    prices = {} if costs is None else {first.instrument.key: float(costs) + sum(OTHERS * leg.side.sign for leg in others)}
    prices |= {} if costs is None else {leg.instrument.key: OTHERS for leg in others}
    made = {key: Quote(key=key, bid=mid - WIDE / 2, ask=mid + WIDE / 2, at=NOW, source="test") for key, mid in prices.items()}
    made["SPX"] = Quote(key="SPX", bid=SPOT, ask=SPOT, at=NOW, source="test")
    return View(at=NOW, session=TODAY, label="TEST", quotes=made, chains={}, rate=0.0)


def trade(
    legs: Sequence[Leg] = SPREAD, *, received: str, units: int = 1, open_units: int | None = None, strategy: str = "put_credit_spread",
    closing_cash: str = "0", opened_at: datetime = NOW,
) -> Trade:
    """A trade that received (+) or paid (-) so much per unit and share."""
    left = units if open_units is None else open_units
    per_unit = legs[0].instrument.multiplier
    return Trade(
        id="P1", account=PRACTICE, strategy=strategy, underlying="SPX", legs=tuple(legs), opened_at=opened_at, opened_units=units,
        open_units=left, premium=Decimal(received) * per_unit * units, closing_cash=Decimal(closing_cash), fees=Decimal(0),
    )


def case(
    legs: Sequence[Leg] = SPREAD, *, received: str, costs: str | None = None, told: bool = False, market: View | None = None,
    missing: Sequence[Leg] = (), **more: object,
) -> Case:
    """One of them at a cost to close per unit and share now; legs of `missing` are no longer held."""
    opened = trade(legs, received=received, **more)  # type: ignore[arg-type]
    shown = market or seen(legs, costs)
    held = {
        leg.instrument.key: (leg.instrument, leg.contracts(opened.open_units)) for leg in opened.legs if leg not in missing
    }
    return Case(result=open_result(opened, held, shown), told=told)
