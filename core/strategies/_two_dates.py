"""A short option of a near expiry against a long one of a later expiry, of one right. Pure."""

from __future__ import annotations

from core.domain.ideas import Idea, Request
from core.domain.instruments import Right, UnderlyingKind, series_of
from core.domain.orders import Side
from core.errors import UserError
from core.strategies._expiries import Series
from core.strategies._select import check_leg, delta_words, leg_of, strike_words

Picked = tuple[Series, int]  # a series and a row of it


def right_of(request: Request) -> Right:
    """What a person said, else calls: a long European put may fall under what a short one of the same strike asks for."""
    return request.right or Right.CALL


def two_date_idea(near: Picked, far: Picked, delta: float | None, request: Request, *, strategy: str) -> Idea:
    """The long leg first, which is what is paid for; raises UserError where the far leg is no cover, the pair costs nothing or a leg
    cannot be traded."""
    (sold, short), (bought, long) = near, far
    if series_of(sold.root).underlying_kind is UnderlyingKind.VOLATILITY_INDEX:
        raise UserError(
            f"{request.symbol} options of two dates are on two futures, and the far one does not cover the near one: no {strategy}",
            "Name options of one date, such as call_debit_spread, or another symbol.",
        )
    check_leg(sold, short, Side.SELL)
    check_leg(bought, long, Side.BUY)
    if not bought.chain.mid[long] > sold.chain.mid[short]:
        pair = f"the {strike_words(bought, long)} of {bought.expiry} costs no more than the {strike_words(sold, short)} of {sold.expiry}"
        raise UserError(f"{pair} brings", "Choose other strikes or expiries.")
    thesis = (
        f"Buy the {strike_words(bought, long)} of {bought.expiry}, {bought.dte} days out, and sell the {strike_words(sold, short)} of"
        f" {sold.expiry} against it at {delta_words(delta)}, {sold.dte} days to expiry."
    )
    legs = (leg_of(bought, long, Side.BUY), leg_of(sold, short, Side.SELL))
    return Idea(strategy=strategy, symbol=request.symbol, legs=legs, thesis=thesis, short_delta=delta)
