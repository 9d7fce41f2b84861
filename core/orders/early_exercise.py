"""Whether the holder of a short option may exercise it early, and so tonight. Pure.

A call is exercised for a dividend: its holder must own the share before the ex-date, and what he gives up is the time value left in the
call. A put is exercised for the interest on its strike: worth it once the time value is less than what the strike earns to expiry.

Worked example: short one SPY 295 call, SPY at 310.00, the call at 15.20, 1.40 a share going off tomorrow. Its time value is 0.20: exercised
tonight it brings the holder 1.40. Short one 330 put with 30 days left at 2% a year: the strike earns 330 x 2% x 30 / 365 = 0.54; a put at
39.98 with SPY at 290.10 holds 0.08 over its intrinsic value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.domain.instruments import Delivery, Exercise, Instrument, Option, Right
from core.orders.alarm import Alarm, key_of

ZERO = Decimal(0)
DAYS_PER_YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """A short that its holder may exercise now: what it gives up, and for what."""

    option: Option
    quantity: int  # contracts short
    time_value: Decimal
    gain: Decimal  # the dividend, or the interest on the strike
    ex_date: date | None = None


def may_be_exercised(held: Iterable[tuple[Instrument, int]]) -> tuple[tuple[Option, int], ...]:
    """Short American options on shares."""
    return tuple(
        (item, -count) for item, count in held
        if isinstance(item, Option) and count < 0 and item.exercise is Exercise.AMERICAN and item.delivery is Delivery.PHYSICAL
    )


def early(
    option: Option, quantity: int, *, price: Decimal, spot: Decimal, rate: Decimal, today: date, dividend: Decimal, ex_date: date | None
) -> Early | None:
    """The risk of an exercise tonight, None where waiting pays the holder more; `dividend` goes off the share at the next session."""
    call = option.right is Right.CALL
    intrinsic = spot - option.share_strike if call else option.share_strike - spot
    if intrinsic <= 0 or option.expiry <= today:
        return None
    days = (option.expiry - today).days
    gain = dividend if call else option.share_strike * rate * days / DAYS_PER_YEAR
    time_value = max(ZERO, price * option.multiplier / option.shares - intrinsic)
    if gain <= time_value or gain <= 0:
        return None
    return Early(option=option, quantity=quantity, time_value=time_value, gain=gain, ex_date=ex_date if call else None)


def alarm(item: Early, account_id: str) -> Alarm:
    """The alert: once for each ex-date of a call, once in all for a put."""
    option = item.option
    when = "" if item.ex_date is None else f":{item.ex_date.isoformat()}"
    why = (
        f"{item.gain:,.2f} a share goes off on {item.ex_date.day} {item.ex_date:%b}" if item.ex_date is not None
        else f"its strike earns {item.gain:,.2f} a share to expiry"
    )
    text = (
        f"{option.label}, short {item.quantity}, may be assigned tonight: its time value is {item.time_value:,.2f} and {why}. "
        f"Close it before the close, or be ready for the shares."
    )
    key = f"early:{account_id}:{key_of(option)}{when}"
    return Alarm(key=key, urgency="high", text=text, buttons={"Close": f"close symbol={option.underlying}", "Noted": f"ack alert={key}"})
