"""Money and prices as exact decimals.

`Money` is an amount in a currency; a price is a plain `Decimal` in the currency of its instrument. Binary floats are refused
here, so that no rounding error can enter cash, prices or fees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation, Overflow

CENT = Decimal("0.01")
ZERO = Decimal(0)
_EXACT = Context(prec=50)
_LONGEST = 100  # characters of a number that somebody wrote


class MoneyError(ValueError):
    """An amount that is not exact money: a float, a mixed currency, or text that is no plain number."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount of one currency; cash in is positive, cash out negative."""

    amount: Decimal
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise MoneyError(f"an amount must be a Decimal, not {type(self.amount).__name__}")
        if not self.amount.is_finite():
            raise MoneyError("an amount must be finite")

    def __add__(self, other: Money) -> Money:
        return self._of(_EXACT.add, self._same(other))

    def __sub__(self, other: Money) -> Money:
        return self._of(_EXACT.subtract, self._same(other))

    def __neg__(self) -> Money:
        return Money(_EXACT.minus(self.amount), self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        if type(factor) not in (Decimal, int):
            raise MoneyError("money is multiplied by an integer or a Decimal")
        return self._of(_EXACT.multiply, Decimal(factor))

    __rmul__ = __mul__

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def rounded(self) -> Money:
        """Round to cents, half to even: the only rounding of booked money."""
        return Money(to_cents(self.amount), self.currency)

    def _of(self, operation: Callable[[Decimal, Decimal], Decimal], other: Decimal) -> Money:
        try:
            return Money(operation(self.amount, other), self.currency)
        except (InvalidOperation, Overflow) as error:
            raise MoneyError(f"{self.amount:.3E} and {other:.3E} give no amount") from error

    def _same(self, other: object) -> Decimal:
        if not isinstance(other, Money) or other.currency != self.currency:
            raise MoneyError(f"cannot combine {self.currency} with {getattr(other, 'currency', type(other).__name__)}")
        return other.amount


def to_cents(amount: Decimal) -> Decimal:
    """Round to 0.01, half to even."""
    if not amount.is_finite():
        raise MoneyError("an amount must be finite")
    try:
        return amount.quantize(CENT, rounding=ROUND_HALF_EVEN, context=_EXACT)
    except InvalidOperation as error:
        raise MoneyError(f"{amount:.3E} has too many digits to be rounded to cents") from error


def to_tick(price: Decimal, tick: Decimal, *, up: bool) -> Decimal:
    """Round a price to the next multiple of `tick` above (`up`) or below; a price on the tick stays."""
    _check_tick(tick)
    if not price.is_finite():
        raise MoneyError("a price must be finite")
    return _multiple(price, tick, ROUND_CEILING if up else ROUND_FLOOR)


def on_tick(price: Decimal, tick: Decimal) -> bool:
    """True where the price is a whole multiple of the tick; False for what is no price."""
    _check_tick(tick)
    try:
        return price.is_finite() and _EXACT.remainder(price, tick) == 0
    except InvalidOperation:
        return False  # more digits than any price has


def exact(value: str | int | Decimal) -> Decimal:
    """Read a plain finite decimal number ("1.20", "-3"); raise MoneyError for anything else.

    No exponents, separators, fractions or non-ASCII digits: the words of a person are read by the intent grammar, not here.
    """
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    elif isinstance(value, str):
        text = value.strip(" \t\r\n")
        if not text or len(text) > _LONGEST or not text.isascii() or not set(text) <= set("0123456789.-+"):
            raise MoneyError(f"{value!r:.60} is not a plain number such as 1.25")
        try:
            number = Decimal(text)
        except (InvalidOperation, Overflow) as error:
            raise MoneyError(f"{value!r:.60} is not a plain number such as 1.25") from error
    else:
        raise MoneyError(f"{type(value).__name__} is not exact money")
    if not number.is_finite():
        raise MoneyError("a number must be finite")
    return number


def from_market(price: float, tick: Decimal = CENT) -> Decimal:
    """Turn a market-data float into the nearest multiple of `tick`: the one door from quotes to exact prices."""
    number = Decimal(repr(float(price)))
    if not number.is_finite():
        raise MoneyError("a market price must be finite")
    return _multiple(number, tick, ROUND_HALF_EVEN)


def _check_tick(tick: Decimal) -> None:
    if not tick.is_finite() or tick <= 0:
        raise MoneyError("a tick must be positive")


def _multiple(price: Decimal, tick: Decimal, rounding: str) -> Decimal:
    try:
        steps = _EXACT.divide(price, tick).to_integral_value(rounding=rounding)
        return _EXACT.quantize(_EXACT.multiply(steps, tick), tick)
    except (InvalidOperation, Overflow) as error:
        raise MoneyError(f"{price:.3E} is no price: too many digits") from error
