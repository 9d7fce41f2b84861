"""Options against shares that are held: how many lots are free for them. Pure."""

from __future__ import annotations

from decimal import Decimal

from core.domain.instruments import INDICES, Right
from core.domain.structures import lots_free
from core.errors import UserError
from core.portfolio.book import Book

LOT = 100


def free_lots(book: Book, symbol: str, right: Right, *, strategy: str) -> int:
    """Lots of 100 shares without a call sold (or a put bought) against them yet; raises UserError with what is missing.

    Working orders count as they would hurt: shares that are being sold cover nothing, those being bought may never come, and options that
    are being opened need their shares already.
    """
    if symbol in INDICES:
        raise UserError(f"{symbol} is an index; nobody can hold shares of it", f"A {strategy} needs shares of a stock or fund.")
    position = book.positions.get(symbol)
    shares = 0 if position is None else position.quantity
    held, there = book.exposed(), book.exposed(purchases=False).get(symbol)
    lots = lots_free({key: pair for key, pair in held.items() if key != symbol} | ({} if there is None else {symbol: there}), symbol, right)
    if lots > 0:
        return lots
    if shares < LOT:
        held = f"{shares} shares of {symbol} are" if shares > 0 else f"no shares of {symbol} are"
        raise UserError(
            f"a {strategy} needs {LOT} {symbol} shares for each contract; {held} held in {book.account.name}",
            f"`open stock {symbol} {LOT - max(0, shares)} side=buy` buys what is missing.",
        )
    done = "covered" if right is Right.CALL else "protected"
    wrong = f"of the {shares} {symbol} shares held in {book.account.name} no {LOT} are left that are not {done} or being sold"
    raise UserError(wrong, "`positions` shows by what.")


def cost_of(book: Book, symbol: str) -> Decimal:
    """What the shares cost each: the price they were bought or assigned at, on average."""
    return book.positions[symbol].average_price
