"""What befalls an account beside the desk's own orders: expiry, exercise, early assignment, busts, liquidation, other people's orders
and trades, fees that are booked late, and books that are wrong for a while."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random

from core.domain.calendar import EXCHANGE, session
from core.domain.events import Settled
from core.domain.instruments import Delivery, Exercise, Instrument, Option, Right
from core.domain.orders import Effect, Leg, Side
from core.ports import BrokerStatus
from tests.sim.exchange import ANY_PRICE, FEE, ZERO, Exchange, Resting
from tests.sim.market import CENT, SHARES
from tests.sim.worth import intrinsic

EVERY_SECONDS = 5.0
SHARES_EACH = 100


class Clearing:
    """The back office of one account."""

    def __init__(self, exchange: Exchange, rng: Random) -> None:
        self._exchange = exchange
        self._rng = rng
        self._market = exchange.market
        self._faults = exchange.faults
        self._closing: dict[tuple[str, date], Decimal] = {}  # the value a series is settled on
        self._due: dict[str, timedelta] = {}  # contract -> how long after its last trade it is booked
        self._night: date | None = None  # the last night that was looked through for assignments
        exchange.later(EVERY_SECONDS, self._work)

    def _work(self) -> None:
        self._exchange.later(EVERY_SECONDS, self._work)
        for instrument, count in list(self._exchange.held.values()):
            if isinstance(instrument, Option) and instrument.last_trade_at <= self._market.now():
                self._expire(instrument, count)
        self._assignments()

    # --- ends of contracts

    def _expire(self, contract: Option, count: int) -> None:
        slot = (contract.underlying, contract.expiry)
        value = self._closing.setdefault(slot, Decimal(str(round(self._market.spot(contract.underlying), 2))))
        cash = contract.delivery is Delivery.CASH
        wait = self._due.setdefault(contract.key, timedelta(minutes=self._rng.uniform(5, 60) if cash else self._rng.uniform(60, 480)))
        if self._market.now() < contract.last_trade_at + wait:
            return
        money = intrinsic(contract, value)
        if not money:
            self._settled(contract, -count, "expired", value, ZERO)
        elif cash:
            self._settled(contract, -count, "cash_settled", value, money * count)
        else:
            self._exercised(contract, count, "exercised" if count > 0 else "assigned", value)
        self._faults.count("expiry")

    def _exercised(self, contract: Option, count: int, outcome: str, value: Decimal) -> None:
        """Shares change hands at the strike for `count` contracts held (+) or owed (-)."""
        shares = SHARES_EACH * count * (1 if contract.right is Right.CALL else -1)
        self._settled(contract, -count, outcome, value, -contract.strike * shares, shares=shares)

    def _settled(self, contract: Option, quantity: int, outcome: str, value: Decimal, cash: Decimal, *, shares: int = 0) -> None:
        exchange, fees = self._exchange, FEE if shares else ZERO
        exchange.step("settlement")
        exchange.hold(contract, quantity)
        if shares:
            exchange.hold(SHARES, shares)
        exchange.cash += cash - fees
        exchange.publish(
            Settled(
                settlement_id=exchange.new_id("S"),
                account=exchange.account,
                instrument=contract,
                quantity=quantity,
                outcome=outcome,
                value=value,
                cash=cash,
                at=self._market.now(),
                shares=shares,
                share_symbol=SHARES.symbol if shares else None,
                fees=fees,
            )
        )

    def _assignments(self) -> None:
        """Once a night somebody may exercise what this account is short of, long before expiry."""
        now = self._market.now()
        day = now.astimezone(EXCHANGE).date()
        today = session(day)
        if today is None or now < today.close_at + timedelta(hours=1) or self._night == day:
            return
        self._night = day
        for item, count in list(self._exchange.held.values()):
            if isinstance(item, Option) and item.exercise is Exercise.AMERICAN and count < 0 and self._faults.hits("assignment"):
                self._exercised(item, -self._rng.randint(1, -count), "assigned", Decimal(str(round(self._market.spot(item.underlying), 2))))

    # --- acts, at rates the seed decides

    def bust(self) -> None:
        """A recent execution never happened."""
        counted = list(self._exchange.executions.values())[-6:]
        if counted:
            self._faults.count("bust")
            self._exchange.correct(self._rng.choice(counted), bust=True)

    def liquidate(self) -> None:
        """The broker closes a holding at the market, whatever else is being done about it."""
        held = [(item, count) for item, count in self._exchange.held.values() if self._exchange.open_for((_leg(item, count),))]
        if held:
            self._faults.count("liquidation")
            item, count = self._rng.choice(held)
            self._trade(_leg(item, count), self._rng.randint(1, abs(count)))

    def outside_trade(self) -> None:
        """A fill, and a fee, that did not come from the desk."""
        leg, quantity = self._anything()
        if leg is not None and self._exchange.open_for((leg,)):
            self._faults.count("outside")
            self._trade(leg, quantity)
            self._exchange.move_cash(Decimal("-1.25"), "fee")

    def outside_order(self) -> None:
        """Somebody works an order in the broker's own program; it may fill, or be taken back."""
        leg, quantity = self._anything()
        if leg is None or not self._exchange.open_for((leg,)):
            return
        self._faults.count("outside_order")
        order = self._exchange.rest(None, (leg,), quantity, self._limit(leg), until=None)
        self._exchange.later(self._rng.uniform(20, 200), lambda: self._outside_order_ends(order))

    def fee(self) -> None:
        """A fee that the books show in the cash long before they say what it was."""
        self._faults.count("late_fee")
        self._exchange.move_cash(Decimal("-3.21"), "fee", told_after=self._rng.uniform(20, 150))

    def glitch(self) -> None:
        """The books show a position that is not there, until somebody corrects them."""
        exchange, held = self._exchange, [item for item, _ in self._exchange.held.values()]
        item = self._rng.choice(held if held and self._rng.random() < 0.6 else list(self._market.contracts.values()))
        self._faults.count("glitch")
        exchange.glitch[item.key] = (item, self._rng.choice((-1, 1, 2)))
        exchange.later(self._rng.uniform(30, 200), lambda: exchange.glitch.pop(item.key, None))

    # --- inside

    def _outside_order_ends(self, order: Resting) -> None:
        if not order.live:
            return
        if self._rng.random() < 0.4 and self._exchange.open_for(order.legs):
            order.limit = ANY_PRICE
        else:
            self._exchange.end(order, BrokerStatus.CANCELLED, "taken back")

    def _anything(self) -> tuple[Leg | None, int]:
        """Something a person may trade: more of a holding, less of it, a put far away, shares."""
        held, kind = list(self._exchange.held.values()), self._rng.random()
        if held and kind < 0.5:
            item, count = self._rng.choice(held)
            leg = _leg(item, count if self._rng.random() < 0.8 else -count)
            return leg, SHARES_EACH if item is SHARES else self._rng.randint(1, abs(count))
        if kind < 0.6:
            return _leg(SHARES, self._rng.choice((1, -1))), SHARES_EACH
        root = self._rng.choice(("XSP", "KO"))
        expiry = self._rng.choice(self._market.trading(root))
        puts = [item for item in self._market.contracts.values() if (item.root, item.expiry, item.right) == (root, expiry, Right.PUT)]
        # Shares may come of a short KO put; short index puts would only tie up the whole account.
        return _leg(self._rng.choice(puts), 1 if root == "KO" and self._rng.random() < 0.5 else -1), 1

    def _limit(self, leg: Leg) -> Decimal:
        bid, ask = self._market.price(leg.instrument.key) or (0.0, 0.0)
        return -leg.side.sign * Decimal(str((bid + ask) / 2)).quantize(CENT)

    def _trade(self, leg: Leg, quantity: int) -> None:
        bid, ask = self._market.price(leg.instrument.key) or (0.0, 0.0)
        price = Decimal(str(ask if leg.side is Side.BUY else bid)).quantize(CENT)
        self._exchange.execution(None, leg.instrument, leg.side, quantity, price)


def _leg(instrument: Instrument, held: int) -> Leg:
    """The leg that takes off what is held."""
    return Leg(instrument=instrument, side=Side.SELL if held > 0 else Side.BUY, effect=Effect.CLOSE)
