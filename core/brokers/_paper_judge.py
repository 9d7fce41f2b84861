"""Whether the paper exchange takes an order: contracts, price, hours, position effect, quotes and money, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.brokers import _paper_rules as rules
from core.brokers._paper_ledger import Ledger
from core.brokers._paper_match import Market, marks, natural_prices
from core.brokers._paper_rules import Funds, Refusal, Shortage
from core.domain.accounts import AccountKind
from core.domain.instruments import Instrument, Option, underlying_instrument
from core.domain.orders import Effect, Envelope, Leg, TimeInForce
from core.fees import Execution, Schedule, order_fees
from core.margin.reg_t import MissingPrice

_DEAR = Decimal(10)  # a premium in the highest band of every schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An order as judged; `instead_of` are the working orders whose place it takes."""

    envelope: Envelope
    limit: Decimal
    quantity: int
    instead_of: tuple[str, ...] = ()


class Judge:
    """Judges against the books as they stand; callers hold the exchange's lock."""

    def __init__(self, ledger: Ledger, *, kind: AccountKind, schedule: Schedule) -> None:
        self._ledger = ledger
        self._kind = kind
        self._schedule = schedule

    def wanted(self, legs: tuple[Leg, ...]) -> tuple[Instrument, ...]:
        """Everything an order's margin and fill depend on: its legs, what is held and working, and their underlyings."""
        found = {leg.instrument.key: leg.instrument for leg in legs}
        found.update({key: item for key, (item, _) in self._ledger.positions.items()})
        found.update({leg.instrument.key: leg.instrument for order in self._ledger.working for leg in order.envelope.legs})
        for item in tuple(found.values()):
            if isinstance(item, Option):
                found.setdefault(item.underlying, underlying_instrument(item.underlying))
        return tuple(found.values())

    def refusal(self, asked: Asked, market: Market) -> Refusal | None:
        """The first reason not to take a new order, None where there is none."""
        legs = asked.envelope.legs
        held = self._ledger.positions
        working = [order for order in self._ledger.working if order.client_id not in asked.instead_of]
        return (
            rules.contract_refusal(legs, held)
            or rules.price_refusal(legs, asked.limit, asked.quantity)
            or (rules.ended_refusal if asked.envelope.tif is TimeInForce.GTC else rules.closed_refusal)(legs, market.at)
            or rules.effect_refusal(legs, asked.quantity, held=held, working=working)
            or _unquoted(legs, market)
            or self.funds_refusal(asked, market)
        )

    def funds_refusal(self, asked: Asked, market: Market) -> Refusal | None:
        """Whether the account can carry the order filled at its limit."""
        legs = asked.envelope.legs
        try:
            _, before, after = self.funds(asked, market)
        except MissingPrice as error:
            if rules.only_buys_back(legs, asked.quantity, cash=self._ledger.cash, limit=asked.limit):
                return None  # a missing quote elsewhere must not keep anybody short
            return Refusal(code="no_quotes", message=str(error))
        return rules.funds_refusal(before, after, closes=all(leg.effect is Effect.CLOSE for leg in legs))

    def funds(self, asked: Asked, market: Market) -> tuple[Decimal, Funds, Funds]:
        """Expected fees, and the account's funds before the order and after it filled at its limit. Raises MissingPrice."""
        ledger, legs = self._ledger, asked.envelope.legs
        working = [order for order in ledger.working if order.client_id not in asked.instead_of]
        prices = marks(self.wanted(legs), market)
        fees = self._fees(legs, asked.quantity, market)
        before = rules.funds_of(held=ledger.positions, cash=ledger.cash, working=working, prices=prices, kind=self._kind, at=market.at)
        after = rules.funds_of(
            held=ledger.positions, cash=ledger.cash, working=working, prices=prices, kind=self._kind, at=market.at, fees=fees,
            extra=(legs, asked.quantity, asked.limit),
        )
        return fees, before, after

    def shortage(self, market: Market, *, without: Instrument | None = None, quantity: int = 0) -> Shortage | None:
        """What the account is short of for what it holds, as if so much of a holding had been closed at its mid; None: nobody can say."""
        ledger, prices = self._ledger, marks(self.wanted(()), market)
        held, cash = list(ledger.positions.values()), ledger.cash
        if without is not None:
            if without.key not in prices:
                return None
            held.append((without, -quantity))
            cash += prices[without.key] * without.multiplier * quantity
        try:
            return rules.shortage_of(held, cash=cash, prices=prices, kind=self._kind, at=market.at)
        except MissingPrice:
            return None

    def _fees(self, legs: tuple[Leg, ...], quantity: int, market: Market) -> Decimal:
        """Fees of the whole order at today's prices."""
        prices = natural_prices(legs, market) or tuple(_DEAR for _ in legs)
        done = [
            Execution(
                instrument=leg.instrument, side=leg.side, quantity=leg.ratio * quantity, price=price, opens=leg.effect is Effect.OPEN,
            )
            for leg, price in zip(legs, prices, strict=True)
        ]
        return sum(order_fees(self._schedule, done), Decimal(0))


def _unquoted(legs: tuple[Leg, ...], market: Market) -> Refusal | None:
    for leg in legs:
        if leg.effect is Effect.OPEN and leg.instrument.key not in market.quotes:
            name = leg.instrument.label if isinstance(leg.instrument, Option) else leg.instrument.key
            return Refusal(code="no_quotes", message=f"{name} is not quoted here, so it is not traded here")
    return None
