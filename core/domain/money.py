"""Money and prices as exact decimals.

`Money` is an amount in a currency; a price is a plain `Decimal` in the currency of its instrument. Binary floats are refused
here, so that no rounding error can enter cash, prices or fees.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation, Overflow

CENT = Decimal("0.01")
ZERO = Decimal(0)
_EXACT = Context(prec=50)


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
        return Money(_EXACT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(_EXACT.subtract(self.amount, self._same(other)), self.currency)

    def __neg__(self) -> Money:
        return Money(_EXACT.minus(self.amount), self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        if type(factor) not in (Decimal, int):
            raise MoneyError("money is multiplied by an integer or a Decimal")
        return Money(_EXACT.multiply(self.amount, Decimal(factor)), self.currency)

    __rmul__ = __mul__

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def rounded(self) -> Money:
        """Round to cents, half to even: the only rounding of booked money."""
        return Money(to_cents(self.amount), self.currency)

    def _same(self, other: object) -> Decimal:
        if not isinstance(other, Money) or other.currency != self.currency:
            raise MoneyError(f"cannot combine {self.currency} with {getattr(other, 'currency', type(other).__name__)}")
        return other.amount


def to_cents(amount: Decimal) -> Decimal:
    """Round to 0.01, half to even."""
    return amount.quantize(CENT, rounding=ROUND_HALF_EVEN, context=_EXACT)


def to_tick(price: Decimal, tick: Decimal, *, up: bool) -> Decimal:
    """Round a price to the next multiple of `tick` above (`up`) or below; a price on the tick stays."""
    if tick <= 0:
        raise MoneyError("a tick must be positive")
    return _multiple(price, tick, ROUND_CEILING if up else ROUND_FLOOR)


def on_tick(price: Decimal, tick: Decimal) -> bool:
    """True where the price is a whole multiple of the tick."""
    return price % tick == 0


def exact(value: str | int | Decimal) -> Decimal:
    """Read a plain finite decimal number ("1.20", "-3"); raise MoneyError for anything else.

    No exponents, separators, fractions or non-ASCII digits: the words of a person are read by the intent grammar, not here.
    """
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    elif isinstance(value, str):
        text = value.strip()
        if not text or not text.isascii() or not set(text) <= set("0123456789.-+"):
            raise MoneyError(f"{value!r} is not a plain number such as 1.25")
        try:
            number = Decimal(text)
        except (InvalidOperation, Overflow) as error:
            raise MoneyError(f"{value!r} is not a plain number such as 1.25") from error
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


def _multiple(price: Decimal, tick: Decimal, rounding: str) -> Decimal:
    try:
        steps = _EXACT.divide(price, tick).to_integral_value(rounding=rounding)
        return _EXACT.quantize(_EXACT.multiply(steps, tick), tick)
    except InvalidOperation as error:
        raise MoneyError(f"{price:.3E} is no price: too many digits") from error
