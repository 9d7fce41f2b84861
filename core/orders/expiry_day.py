"""The last afternoon of a short option: when a person must decide, and both ways it may end. Pure.

A short that is in the money or within half a percent of spot asks for a decision two hours and one hour before the close and a last time
30 minutes before the broker's cut-off: 14:00, 15:00 and 15:30 in New York on a full day without a cut-off, three hours earlier on half
days. After its last trade a holder may still exercise; the position is unknown until the broker reports it. A short that is settled in
cash leaves nothing to decide about shares: it is named once, at the last call, where it is in the money.

Worked example: short 2 SPY 285 puts, SPY at 284.20 at 14:00: in the money by 0.80 (0.28%). In the money at the close: +200 SPY at 285.00
for 57,000.00. Out of the money: they run out and the premium is kept.

A long on shares that is in the money is exercised by exception, which nobody asks for any more: it is told at the same hours, unless a
short of that day is asked about already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.calendar import EXCHANGE, session
from core.domain.instruments import Delivery, Instrument, Option, Right, Settlement, plain_number
from core.orders.alarm import Alarm, key_of
from core.portfolio.book import Book

NEAR = Decimal("0.005")  # of spot
EARLY = (("1", timedelta(hours=2)), ("2", timedelta(hours=1)))
LAST_CALL = timedelta(minutes=30)  # before the broker's cut-off
LAST, AFTER = "last", "after"
Held = Mapping[str, tuple[Instrument, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """An option on its last day."""

    option: Option
    quantity: int  # contracts
    spot: Decimal | None
    stage: str
    decide_by: datetime
    long: bool = False

    @property
    def inside(self) -> Decimal | None:
        """How far it is in the money (+) or out of it (-), per share; None where the price is unknown."""
        if self.spot is None:
            return None
        strike = self.option.share_strike
        return self.spot - strike if self.option.right is Right.CALL else strike - self.spot

    @property
    def close_enough(self) -> bool:
        """In the money, within half a percent of spot, or of unknown price; settled in cash only in the money at the last call.

        A long only in the money, and while it can be sold.
        """
        if self.long:
            return self.stage != AFTER and self.inside is not None and self.inside > 0
        if self.option.delivery is Delivery.CASH:
            return self.stage == LAST and self.inside is not None and self.inside > 0
        return self.inside is None or self.spot is None or self.inside > 0 or -self.inside <= NEAR * self.spot


def shorts_of_the_day(held: Held, now: datetime) -> tuple[tuple[Option, int], ...]:
    """Short options that are decided at today's close, in their last two hours or past them."""
    return tuple((item, -count) for item, count in _of_the_day(held, now) if count < 0)


def longs_of_the_day(held: Held, now: datetime) -> tuple[tuple[Option, int], ...]:
    """The same of long ones that would become shares."""
    return tuple((item, count) for item, count in _of_the_day(held, now) if count > 0 and item.delivery is Delivery.PHYSICAL)


def _of_the_day(held: Held, now: datetime) -> tuple[tuple[Option, int], ...]:
    today = now.astimezone(EXCHANGE).date()
    regular = session(today)
    if regular is None or now < regular.close_at - EARLY[0][1]:
        return ()
    return tuple(
        (item, count) for item, count in held.values()
        if isinstance(item, Option) and item.expiry == today and item.settlement is Settlement.PM
    )


def expiring(
    option: Option, quantity: int, *, spot: Decimal | None, now: datetime, cutoff_minutes: int, long: bool = False
) -> Expiring | None:
    """Where an option stands on its last day, None before its last two hours."""
    regular = session(now.astimezone(EXCHANGE).date())
    if regular is None:
        return None
    decide_by = regular.close_at - timedelta(minutes=cutoff_minutes) - LAST_CALL
    stages = sorted([(regular.close_at - before, name) for name, before in EARLY] + [(decide_by, LAST)])
    passed = [name for at, name in stages if now >= at]
    if now >= option.last_trade_at:
        passed.append(AFTER)
    if not passed:
        return None
    return Expiring(option=option, quantity=quantity, spot=spot, stage=passed[-1], decide_by=decide_by, long=long)


def alert_key(account_id: str, option: Option, stage: str) -> str:
    """The key of an alert on a contract's last day."""
    return f"expiry:{account_id}:{key_of(option)}:{stage}"


def stages_before(stage: str) -> tuple[str, ...]:
    """The stages an answer may have been given to by then."""
    names = (*(name for name, _ in EARLY), LAST, AFTER)
    return names[: names.index(stage) + 1]


def alarm(item: Expiring, book: Book, *, can_roll: bool) -> Alarm:
    """The alert of a stage, with both outcomes and the decision as buttons."""
    account, option = book.account.id.id, item.option
    key = alert_key(account, option, item.stage)
    if item.stage == AFTER:
        text = (
            f"{option.label}, short {item.quantity}, does not trade any more. Until 17:30 New York holders may still exercise, whatever "
            f"the close was: your position is unknown until the broker reports it. {_outcomes(item)}"
        )
        return Alarm(key=key, urgency="medium", text=text)
    by = f"{item.decide_by.astimezone(EXCHANGE):%H:%M}"
    side = "long" if item.long else "short"
    text = f"{option.label} expires today, {side} {item.quantity}; {_where(item)}. {_outcomes(item)} Decide by {by} New York."
    critical = not item.long and item.stage == LAST and (item.inside is None or item.inside > 0)
    buttons = {"Close": f"close position_id={_position(book, option)}"}
    if can_roll:
        buttons["Roll"] = f"roll position_id={_position(book, option)}"
    left = "Let it settle" if option.delivery is Delivery.CASH else "Let it be exercised" if item.long else "Let it be assigned"
    buttons[left] = f"ack alert={key}"
    return Alarm(key=key, urgency="critical" if critical else "high", text=text, buttons=buttons)


def unreported(held: Held, now: datetime) -> Iterable[Option]:
    """Contracts on shares whose trading is over and of which the broker has not said what became of them."""
    for item, _ in held.values():
        if isinstance(item, Option) and item.delivery is Delivery.PHYSICAL and now >= item.last_trade_at:
            yield item


def _where(item: Expiring) -> str:
    if item.inside is None or item.spot is None:
        return f"the price of {item.option.underlying} is unknown"
    side = "in the money by" if item.inside > 0 else "out of the money by" if item.inside < 0 else "at the strike, by"
    share = abs(item.inside) / item.spot * 100
    return f"{item.option.underlying} at {item.spot:,.2f} is {side} {abs(item.inside):,.2f} ({share:.2f}%)"


def _outcomes(item: Expiring) -> str:
    option = item.option
    if option.delivery is Delivery.CASH:
        money = (item.inside or 0) * option.multiplier * item.quantity
        return f"If it ends there it is settled in cash for {-money:+,.2f} USD."
    shares = item.quantity * option.shares
    bought = (option.right is Right.CALL) is item.long
    money = option.strike * option.multiplier * item.quantity
    shares_words = f"{'+' if bought else '-'}{shares} {option.underlying} at {plain_number(round(option.share_strike, 4))}"
    assigned = f"{shares_words} {'for' if bought else 'bringing'} {money:,.2f} USD"
    if item.long:
        return f"If it ends in the money it is exercised without being asked: {assigned}. Sell it to have no shares."
    return f"If it ends in the money you are assigned: {assigned}. If not, it runs out and its premium is kept."


def _position(book: Book, option: Option) -> str:
    """What `close` knows the option as: its trade while that is whole, else the contract."""
    for trade in book.open_trades:
        if any(leg.instrument.key == option.key for leg in trade.legs):
            return trade.id
    return key_of(option)
