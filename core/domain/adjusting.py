"""What a split makes of shares and of options on them, as OCC adjusts contracts. Pure and exact.

A whole split (2 for 1) multiplies the contracts and divides the strike, to the cent; the root stays and a contract is for 100 shares.
Any other (3 for 2, 1 for 10) leaves contracts, strike and multiplier and changes what is delivered, under a root of its own: the price of
a KO1 contract is still times 100 and its strike too, but it is for 150 shares. A fraction of a share is paid in cash.

Worked example: KO is split 3 for 2 with shares at 40.00. 101 shares become 151 and 20.00 for the half; one KO 60 call becomes one KO1 60
call for 150 shares at 6,000 USD. Split 2 for 1 at 30.00, they become 202 shares and two KO 30 calls.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from core.domain.instruments import Deliverable, Equity, Instrument, Option, adjusted_root
from core.domain.money import CENT, to_cents


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A holding after a split: what it is, how much of it, and the part of a share (of the whole holding) that is paid in cash."""

    instrument: Instrument
    quantity: int
    fraction: Fraction = Fraction(0)

    def cash(self, price: Decimal) -> Decimal:
        """Cash in lieu at a price of the share, to the cent."""
        return to_cents(price * self.fraction.numerator / self.fraction.denominator)


def is_whole(new: int, old: int) -> bool:
    """Whether every share becomes several whole ones."""
    return old == 1 and new > 1


def split_shares(item: Equity, quantity: int, *, new: int, old: int) -> Adjustment:
    """Shares held (+) or owed (-): the whole ones, and what is left over."""
    exact = Fraction(quantity * new, old)
    whole = int(exact)  # towards zero
    return Adjustment(instrument=item, quantity=whole, fraction=exact - whole)


def split_option(
    item: Option, quantity: int, *, new: int, old: int, known: Collection[str] = (), price: Decimal | None = None
) -> Adjustment:
    """A contract on split shares. `known` are adjusted roots that mean something else already; `price` values the part of a share.

    Raises ValueError where that part has no price, or where a contract would deliver no share at all.
    """
    if is_whole(new, old):
        strike = (item.strike / new).quantize(CENT, rounding=ROUND_HALF_UP)
        return Adjustment(instrument=replace(item, strike=strike), quantity=quantity * new)
    if item.deliverable is None:
        raise ValueError(f"{item.label} delivers no shares that could be split")
    delivered = split_shares(Equity(symbol=item.deliverable.symbol), item.deliverable.shares, new=new, old=old)
    if delivered.quantity < 1:
        raise ValueError(f"{item.label} would deliver no whole share after a split {new} for {old}")
    cash = item.deliverable.cash
    if delivered.fraction:
        if price is None:
            raise ValueError(f"{item.label} delivers a part of a share after the split, which has no price")
        cash += delivered.cash(price)
    deliverable = Deliverable(symbol=item.deliverable.symbol, shares=delivered.quantity, cash=cash)
    return Adjustment(instrument=replace(item, root=adjusted_root(item.root, known), deliverable=deliverable), quantity=quantity)
