"""From what a person wished to a plan with prices: targets, stops, brackets and orders in parts. Pure.

Everything is said in the money of the market it is drafted on; a wish that is fulfilled or passed already is refused with the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.domain.hours import open_together
from core.domain.instruments import Option
from core.domain.money import from_market
from core.domain.orders import Effect, Intent, Leg, TimeInForce
from core.domain.plans import Bracket, Exits, Limit, Plan, Sliced, Slicing, StopTerms, VolatilityScale, Wish, exit_price
from core.errors import Unavailable, UserError
from core.market.view import View
from core.orders.standing import bracket_exits, closing_leg, exits_plan, guard_of, on_step, volume_curve
from core.portfolio.book import Book
from core.risk.examine import legs_payoff, natural_and_mid, net_multiplier
from core.settings import Parameters

ZERO, ONE = Decimal(0), Decimal(1)
DEFAULT_MINUTES, DEFAULT_PARTS = 30, 6
IV_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a plan is made from."""

    intent: Intent
    view: View
    book: Book
    settings: Parameters  # the desk's own
    now: datetime


def plan_for(setup: Setup, base: Limit) -> tuple[Plan, TimeInForce]:
    """The plan of an intent whose ordinary price range is `base`; raises UserError where the wish cannot be carried out."""
    wish, effect = setup.intent.wish, setup.intent.effect
    if wish is None or not (wish.exits or wish.slicing):
        return base, TimeInForce.DAY
    if wish.exits and wish.slicing:
        raise UserError("An order in parts cannot carry a target or a stop yet.", "Open it in parts, then `close ... target= stop=`.")
    if effect is None:
        raise UserError("A roll is sent as one order; it takes no target, stop or parts.", "Set them for the new trade once it is filled.")
    if wish.slicing is not None:
        return _sliced(setup, wish, base), TimeInForce.DAY
    if effect is Effect.OPEN:
        return _bracket(setup, wish, base), TimeInForce.DAY
    return _exits(setup, wish), TimeInForce.GTC


def implied_volatility(legs: Sequence[Leg], view: View) -> Decimal | None:
    """Mean implied volatility of the option legs, None where one of them has none."""
    found: list[Decimal] = []
    for leg in legs:
        if not isinstance(leg.instrument, Option):
            continue
        try:
            iv = view.mark(leg.instrument).iv
        except Unavailable:
            return None
        if iv is None:
            return None
        found.append(from_market(iv, IV_STEP))
    return round(sum(found, ZERO) / len(found), 4) if found else None


# --- exits ---------------------------------------------------------------------------------------------------------------


def _bracket(setup: Setup, wish: Wish, base: Limit) -> Bracket:
    if wish.target_price is not None or wish.stop_price is not None or wish.stop_limit is not None or wish.trail is not None:
        raise UserError(
            "An opening order does not know yet at what price it fills.",
            "Name target and stop as shares of the premium: target=50% stop=2x.",
        )
    credit = base.worst >= 0
    _check_share(wish.target_share, credit=credit)
    for name, loss in (("stop", wish.stop_multiple), ("trail", wish.trail_share)):
        _check_loss(loss, name=name, credit=credit)
    _one_stop(wish)
    scale = _scale_iv(setup, wish)
    plan = Bracket(
        start=base.start, worst=base.worst, target_share=wish.target_share, stop_multiple=wish.stop_multiple, trail_share=wish.trail_share,
        guard_share=setup.settings.number("stop_guard_fraction"), guard_least=setup.settings.number("stop_guard_points"), iv=scale,
        least=setup.settings.number("stop_scale_least") if scale is not None else ONE,
        most=setup.settings.number("stop_scale_most") if scale is not None else ONE,
    )
    legs = tuple(closing_leg(leg) for leg in setup.intent.legs)
    _check_reach(legs, bracket_exits(plan, entry=base.start, legs=legs).stop)
    return plan


def _exits(setup: Setup, wish: Wish) -> Exits:
    legs = setup.intent.legs
    _, mid = natural_and_mid(legs, setup.view)
    if mid is None:
        raise Unavailable("price of what is to be closed", why="a leg has no usable quote")
    pays = mid < 0 or (mid == 0 and legs[0].side.sign > 0)
    target = _target(setup, wish, mid, pays=pays)
    stop = _stop(setup, wish, mid, pays=pays)
    _check_reach(legs, stop)
    if stop is not None and target is not None and stop.level >= target:
        raise UserError("The stop lies on the wrong side of the target.", "A stop is worse than the target.")
    return exits_plan(legs, target=target, stop=stop, now=mid)


def _target(setup: Setup, wish: Wish, mid: Decimal, *, pays: bool) -> Decimal | None:
    legs = setup.intent.legs
    if wish.target_share is not None:
        entry = _entry(setup)
        _check_share(wish.target_share, credit=entry >= 0)
        target = on_step(legs, exit_price(entry, wish.target_share), up=True)
    elif wish.target_price is not None:
        target = on_step(legs, -wish.target_price if pays else wish.target_price, up=True)
    else:
        return None
    if target <= mid:
        raise UserError(
            f"{_cost(mid)} now, which is as good as the target of {abs(target):.2f} already.", "`close` without a target does it at once."
        )
    return target


def _stop(setup: Setup, wish: Wish, mid: Decimal, *, pays: bool) -> StopTerms | None:
    legs = setup.intent.legs
    level, trail = _level(setup, wish, mid, pays=pays)
    if level is None:
        return None
    _one_stop(wish)
    if level >= mid:
        raise UserError(
            f"{_cost(mid)} now, which is beyond a stop at {abs(level):.2f} already.",
            "`close` does it at once, or name a stop further away.",
        )
    guard = guard_of(legs, level, setup.settings.number("stop_guard_fraction"), setup.settings.number("stop_guard_points"))
    terms = StopTerms(level=level, guard=guard, trail=trail, scale=_scale(setup, wish))
    if wish.stop_limit is not None:
        worst, lowest = on_step(legs, -wish.stop_limit if pays else wish.stop_limit, up=True), terms.lowest
        if lowest < worst:
            where = f"the stop at {abs(level):.2f}" if lowest == level else f"{abs(lowest):.2f}, to which volatility may move the stop"
            raise UserError(f"The limit of {wish.stop_limit} is better than {where}; it could not fill.", "Name a worse one.")
        return replace(terms, guard=lowest - worst)  # never beyond it, wherever the stop then stands
    return terms if pays else replace(terms, guard=min(guard, max(ZERO, level)))  # what is sold brings at least nothing


def _level(setup: Setup, wish: Wish, mid: Decimal, *, pays: bool) -> tuple[Decimal | None, Decimal | None]:
    """The level a stop begins at, and how far it trails."""
    legs = setup.intent.legs
    if wish.stop_multiple is not None:
        entry = _entry(setup)
        _check_loss(wish.stop_multiple, name="stop", credit=entry >= 0)
        return on_step(legs, exit_price(entry, -wish.stop_multiple), up=True), None
    if wish.stop_price is not None:
        return on_step(legs, -wish.stop_price if pays else wish.stop_price, up=True), None
    trail = wish.trail if wish.trail is not None else None if wish.trail_share is None else wish.trail_share * abs(_entry(setup))
    if trail is None:
        return None, None
    return on_step(legs, mid - trail, up=True), trail


def _entry(setup: Setup) -> Decimal:
    """What a unit of the trade was opened for, net per share; raises UserError where that is not known."""
    trade = setup.book.trades.get(setup.intent.trade_id or "")
    if trade is None or not trade.opened_units or len(trade.legs) != len(setup.intent.legs):
        raise UserError("What this was opened for is not known here.", "Name prices instead: target_price=0.60 stop_price=3.60.")
    return trade.credit_per_unit / net_multiplier(trade.legs)


def _scale(setup: Setup, wish: Wish) -> VolatilityScale | None:
    iv = _scale_iv(setup, wish)
    if iv is None:
        return None
    return VolatilityScale(
        anchor=-_entry(setup), iv=iv, least=setup.settings.number("stop_scale_least"), most=setup.settings.number("stop_scale_most")
    )


def _scale_iv(setup: Setup, wish: Wish) -> Decimal | None:
    if not wish.with_volatility:
        return None
    if wish.stop_multiple is None and wish.stop_price is None:
        raise UserError("Only a stop at a price can move with volatility.", "Name one with stop=2x, or leave follow_vol out.")
    iv = implied_volatility(setup.intent.legs, setup.view)
    if not iv:
        raise Unavailable("implied volatility of the legs", why="a leg has none; leave follow_vol out")
    return iv


def _one_stop(wish: Wish) -> None:
    named = [value for value in (wish.stop_multiple, wish.stop_price, wish.trail, wish.trail_share) if value is not None]
    if len(named) > 1:
        raise UserError("Several stops are named.", "Give one: stop, stop_price, trail or trail_share.")


def _check_share(share: Decimal | None, *, credit: bool) -> None:
    if share is not None and not (0 < share < 1 if credit else 0 < share <= 10):
        most = "between 0 and 100% of the credit" if credit else "over 0"
        raise UserError(f"A target of {share:.0%} cannot be; it lies {most}.", "target=50% is usual.")


def _check_loss(loss: Decimal | None, *, name: str, credit: bool) -> None:
    if loss is None:
        return
    if loss <= 0 or (not credit and loss >= 1):
        why = "a debit can only lose what was paid" if loss > 0 else "it must be over 0"
        raise UserError(f"{name}={loss} cannot be: {why}.", f"{name}=2x for a credit, {name}=0.5 for a debit.")


def _check_reach(legs: tuple[Leg, ...], stop: StopTerms | None) -> None:
    """Raise UserError for a stop that no price of the structure touches: 6.00 where closing costs 5.00 at most. One that trails may."""
    payoff = legs_payoff(legs, 1, net_cash=ZERO)
    if stop is None or stop.trail is not None or payoff is None or payoff.max_profit is None:
        return
    lowest = -payoff.max_profit / net_multiplier(legs)
    nearest = stop.level if stop.scale is None else max(stop.level, stop.scale.level(stop.level, stop.scale.iv * stop.scale.least))
    if nearest <= lowest:
        never = f"costs more than {-lowest:.2f}" if lowest < 0 else f"brings less than {lowest:.2f}"
        raise UserError(f"A stop at {abs(stop.level):.2f} would never be touched: closing this never {never}.", "Name a nearer one.")


def _cost(mid: Decimal) -> str:
    return f"It costs {-mid:.2f} to close" if mid < 0 else f"Closing brings {mid:.2f}"


# --- parts ---------------------------------------------------------------------------------------------------------------


def _sliced(setup: Setup, wish: Wish, base: Limit) -> Sliced:
    quantity, style = setup.intent.quantity, wish.slicing
    assert style is not None
    if quantity < 2:
        raise UserError("One unit cannot be sent in parts.", "Leave the style of working out, or name a larger quantity.")
    if style is Slicing.ICEBERG:
        show = wish.show or max(1, quantity // 5)
        if show >= quantity:
            raise UserError(f"Showing {show} of {quantity} hides nothing.", "Name a smaller show=.")
        return Sliced(start=base.start, worst=base.worst, style=style, show=show)
    minutes = DEFAULT_MINUTES if wish.minutes is None else wish.minutes
    parts = min(wish.parts or DEFAULT_PARTS, quantity)
    if parts < 2 or minutes < 1:
        what = "at least 2 parts" if parts < 2 else f"a duration, and minutes={minutes} is none"
        raise UserError(f"A timed order has {what}.", "parts=6 minutes=30 is usual.")
    span = open_together([leg.instrument for leg in setup.intent.legs], setup.now)
    if span is None:
        raise UserError("The market is closed; an order in parts is timed within a session.", "Ask again when it is open.")
    left = int((span[1] - setup.now).total_seconds() // 60)
    if minutes > left:
        raise UserError(f"{minutes} minutes are more than the {left} left of this session.", f"Name at most minutes={left}.")
    weights = (ONE,) * parts
    if style is Slicing.VWAP:
        weights = volume_curve(int((setup.now - span[0]).total_seconds() // 60), minutes, parts)
    return Sliced(start=base.start, worst=base.worst, style=style, seconds=minutes * 60, weights=weights)
