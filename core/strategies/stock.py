"""Buy shares, or sell them short where the account's charter lets it.

Bought, they can lose their whole price and gain without end; sold short, they can lose without end. The quantity counts shares. Selling
what is held is a close (`close KO`), buying back what is short too.

Example: KO at 70.00. Buy 100: you pay 70.00 a share, that is 7,000 USD. Lost if KO went to zero: 7,000. Most that can be made: unlimited.
Break-even: 70.
"""

from __future__ import annotations

from datetime import date

from core.domain.ideas import Idea, Request
from core.domain.instruments import INDICES, Equity
from core.domain.orders import Effect, Leg, Side
from core.errors import UserError
from core.market.view import Needs, View
from core.portfolio.book import Book
from core.settings import Parameters, Setting

NAME = "stock"
PARAMETERS: tuple[Setting, ...] = ()
EXAMPLES = ("open stock KO 100 side=buy", "open stock SPY 10 limit=500.00", "open stock KO 100 side=sell")


def needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """What a view must hold for `find`."""
    return Needs.of_symbols(request.symbol)


def find(view: View, book: Book, parameters: Parameters, request: Request) -> tuple[Idea, ...]:
    """The shares on the side that was said, bought where none was; raises UserError for what shares do not have."""
    symbol = request.symbol
    if symbol in INDICES:
        raise UserError(f"{symbol} is an index; nobody can hold shares of it", "Name a fund on it, such as SPY.")
    said = (
        ("dte", request.dte), ("expiry", request.expiry), ("far_dte", request.far_dte), ("far_expiry", request.far_expiry),
        ("delta", request.delta), ("strikes", request.strikes or None), ("width", request.width), ("right", request.right),
        ("root", request.root),
    )
    strange = [name for name, value in said if value is not None]
    if strange:
        raise UserError(f"shares have no {' and no '.join(strange)}", "Leave it out, or name an option strategy.")
    side = request.side or Side.BUY
    held = book.positions[symbol].quantity if symbol in book.positions else 0
    if held * side.sign < 0:
        way, deed = ("held", "Selling them") if held > 0 else ("held short", "Buying them back")
        raise UserError(f"{abs(held)} {symbol} shares are {way}", f"{deed} is `close {symbol}`.")
    price = view.mid(Equity(symbol=symbol))
    leg = Leg(instrument=Equity(symbol=symbol), side=side, effect=Effect.OPEN)
    deed = "Buy" if side is Side.BUY else "Sell short"
    return (Idea(strategy=NAME, symbol=symbol, legs=(leg,), thesis=f"{deed} {symbol} shares near {price:,.2f}."),)
