"""From the words of a trade done elsewhere to its legs: what is missing is asked for, never filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from core.domain.calendar import closure
from core.domain.instruments import INDICES, SERIES, Equity, Instrument, InstrumentError, Right, plain_number
from core.domain.listing import option, series_for
from core.domain.money import CENT, ZERO
from core.domain.orders import Effect, Leg, Side
from core.errors import UserError
from core.risk.examine import legs_payoff, net_multiplier

SELL, BUY, PUT, CALL = Side.SELL, Side.BUY, Right.PUT, Right.CALL
# Each structure's legs over its ascending strikes. The first leg says how it is opened: sold or bought.
STRUCTURES: Mapping[str, tuple[tuple[Side, Right, int], ...]] = {
    "naked_put": ((SELL, PUT, 0),), "cash_secured_put": ((SELL, PUT, 0),), "covered_call": ((SELL, CALL, 0),),
    "long_put": ((BUY, PUT, 0),), "protective_put": ((BUY, PUT, 0),), "long_call": ((BUY, CALL, 0),),
    "put_credit_spread": ((SELL, PUT, 1), (BUY, PUT, 0)), "call_credit_spread": ((SELL, CALL, 0), (BUY, CALL, 1)),
    "put_debit_spread": ((BUY, PUT, 1), (SELL, PUT, 0)), "call_debit_spread": ((BUY, CALL, 0), (SELL, CALL, 1)),
    "short_strangle": ((SELL, PUT, 0), (SELL, CALL, 1)),
    "iron_condor": ((SELL, PUT, 1), (BUY, PUT, 0), (SELL, CALL, 2), (BUY, CALL, 3)),
}
SINGLE = {(SELL, PUT): "naked_put", (BUY, PUT): "long_put", (BUY, CALL): "long_call", (SELL, CALL): "short_call"}
VERTICALS = {
    (SELL, PUT): "put_credit_spread", (BUY, PUT): "put_debit_spread", (SELL, CALL): "call_credit_spread", (BUY, CALL): "call_debit_spread",
}
TWO_EXPIRIES = ("calendar", "diagonal")
SPARE = Decimal("0.10")  # points, or this share of the bound, whichever is more


class Question(UserError):
    """Something the trade cannot be booked without; `choices` are arguments that would answer it, by the words on their buttons."""

    def __init__(self, sentence: str, hint: str = "", *, choices: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        super().__init__(sentence, hint)
        self.choices = dict(choices or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was traded, with every term: legs as if they open, the net price per unit and share (+ received, - paid)."""

    strategy: str
    legs: tuple[Leg, ...]
    quantity: int
    price: Decimal
    day: date


def said_of(args: Mapping[str, Any], today: date) -> Said:
    """Read a call's words; raise Question for what is missing and UserError for what cannot be."""
    for name, words in (("side", "Was it bought or sold?"), ("symbol", "On which symbol?"), ("price", "At which price a share?")):
        if args.get(name) is None:
            raise Question(words, "As in `log_trade sell SPY strikes=480 right=put expiry=2026-12-18 quantity=2 price=3.20`.")
    side, day = Side(args["side"]), args.get("when") or today
    _check_day(day, today)
    strategy = args.get("strategy")
    if strategy is None and not any(args.get(name) is not None for name in ("strikes", "right", "expiry")):
        raise Question(
            f"Were they shares of {args['symbol']}, or options?", "Options need strikes, right and expiry.",
            choices={"Shares": {"strategy": "stock"}},
        )
    legs, strategy = _shares(args, side) if strategy == "stock" else _options(args, side, strategy, day)
    quantity = args.get("quantity")
    if quantity is None:
        what = "shares" if strategy == "stock" else "contracts" if len(legs) == 1 else "units"
        choices = {} if strategy == "stock" else {f"{count}": {"quantity": count} for count in (1, 2, 5)}
        raise Question(f"How many {what}?", "As in quantity=2.", choices=choices)
    price: Decimal = args["price"]
    said = Said(strategy=strategy, legs=legs, quantity=quantity, price=price if side is SELL else -price, day=day)
    _check_price(said)
    return said


def _check_day(day: date, today: date) -> None:
    if day > today:
        raise UserError(f"{day} is still to come; nothing was booked.", "Log what was traded, with the day it was.")
    closed = closure(day)
    if closed is not None:
        raise UserError(f"The exchange was closed on {day} ({closed}); nothing was booked.", "Name the day it was traded.")


def _check_price(said: Said) -> None:
    """Refuse a price that no structure like it can have: a slip of a digit, or the wrong strikes."""
    payoff = legs_payoff(said.legs, 1, net_cash=ZERO)
    most = None if payoff is None else payoff.max_loss if said.price > 0 else payoff.max_profit
    if most is None:
        return
    bound, can = most / net_multiplier(said.legs), "owe" if said.price > 0 else "be worth"
    if abs(said.price) > bound + max(SPARE, bound * SPARE):  # quotes may pass the bound by a little
        raise UserError(f"{words_of(said)} is more than it can ever {can} ({bound:,.2f}); nothing was booked.", "Check price and strikes.")


def opened_by(said: Said) -> Side:
    """The side a structure of that name is opened by; of any other that of its first leg."""
    return STRUCTURES[said.strategy][0][0] if said.strategy in STRUCTURES else said.legs[0].side


def _shares(args: Mapping[str, Any], side: Side) -> tuple[tuple[Leg, ...], str]:
    extra = [name for name in ("strikes", "right", "expiry") if args.get(name) is not None]
    if args["symbol"] in INDICES:
        wrong = f"{args['symbol']} is an index; nobody can hold shares of it; nothing was booked."
        raise UserError(wrong, "Name a fund on it, such as SPY.")
    if extra:
        raise UserError(f"Shares have no {' and no '.join(extra)}; nothing was booked.", "Leave it out, or name an option strategy.")
    return (Leg(instrument=Equity(symbol=str(args["symbol"])), side=side, effect=Effect.OPEN),), "stock"


def _options(args: Mapping[str, Any], side: Side, strategy: str | None, day: date) -> tuple[tuple[Leg, ...], str]:
    if strategy in TWO_EXPIRIES:
        raise UserError(f"A {strategy} has two expiries; nothing was booked.", "Log its two legs one by one.")
    shape, name = _shape(args, side, strategy)
    needed = 1 + max(index for _, _, index in shape)
    strikes = tuple(args.get("strikes") or ())
    if len(strikes) != needed:
        told = f"{len(strikes)} given" if strikes else "none given"
        example = "/".join(("470", "480", "520", "530")[:needed])
        raise Question(f"Which strike{'' if needed == 1 else 's'}? A {name} has {needed}, {told}.", f"As in strikes={example}.")
    root, expiry = _series(args, day)
    flip = shape[0][0] is not side
    try:
        legs = tuple(
            Leg(instrument=option(root, expiry, right, strikes[index]), side=_other(own) if flip else own, effect=Effect.OPEN)
            for own, right, index in shape
        )
    except InstrumentError as error:
        raise UserError(f"{error}; nothing was booked.", "Check strike and expiry.") from error
    return legs, name


def _other(side: Side) -> Side:
    return BUY if side is SELL else SELL


def _shape(args: Mapping[str, Any], side: Side, strategy: str | None) -> tuple[tuple[tuple[Side, Right, int], ...], str]:
    """The legs a strategy's name, or side, right and number of strikes, stand for."""
    right, strikes = args.get("right"), tuple(args.get("strikes") or ())
    if strategy is not None:
        shape = STRUCTURES[strategy]
        if right is not None and all(own is not Right(right) for _, own, _ in shape):
            raise UserError(f"A {strategy} has no {right}; nothing was booked.", "Leave right out, or name another strategy.")
        return shape, strategy
    if right is None:
        raise Question("Puts or calls?", "As in right=put.", choices={"Puts": {"right": "put"}, "Calls": {"right": "call"}})
    own = Right(right)
    if len(strikes) <= 1:
        return ((side, own, 0),), SINGLE[side, own]
    if len(strikes) == 2:
        names = (VERTICALS[side, own], VERTICALS[_other(side), own])
        raise Question(
            "Two strikes: which structure?", f"As in strategy={names[0]}; bought back, it keeps the name it was opened by.",
            choices={f"{'Opened' if number == 0 else 'Closed'} {name}": {"strategy": name} for number, name in enumerate(names)},
        )
    choices = {"iron_condor": {"strategy": "iron_condor"}}
    raise Question(f"{len(strikes)} strikes: which structure?", "As in strategy=iron_condor.", choices=choices)


def _series(args: Mapping[str, Any], day: date) -> tuple[str, date]:
    """The series and expiry; asked for where two series expire that day and the symbol names neither."""
    symbol, expiry = str(args["symbol"]), args.get("expiry")
    if expiry is None:
        raise Question("Which expiry?", "As in expiry=2026-12-18.")
    if expiry < day:
        raise UserError(f"What expired on {expiry} was not traded on {day}; nothing was booked.", "Check expiry and when.")
    if symbol in SERIES and SERIES[symbol].underlying != symbol:
        return symbol, expiry
    found = series_for(symbol, expiry)
    root = args.get("root")
    if root is not None and root in {spec.root for spec in found}:
        return str(root), expiry
    if len(found) > 1:
        names = [spec.root for spec in found]
        raise Question(f"{' and '.join(names)} both expire on {expiry}: which?", choices={name: {"root": name} for name in names})
    if not found:
        raise UserError(f"Nothing on {symbol} expires on {expiry}; nothing was booked.", _near(symbol, expiry))
    return found[0].root, expiry


def _near(symbol: str, expiry: date) -> str:
    try:
        option(symbol, expiry, PUT, Decimal(100))
    except InstrumentError as error:
        return f"{error}."
    return "Check the date."


def words_of(said: Said) -> str:
    """The price in words: `3.20 received`."""
    amount = abs(said.price)
    text = f"{amount:,.2f}" if amount == amount.quantize(CENT) else plain_number(amount)
    return f"{text} {'received' if said.price >= 0 else 'paid'}"


def as_closing(legs: tuple[Leg, ...]) -> tuple[Leg, ...]:
    """The same legs, closing."""
    return tuple(replace(leg, effect=Effect.CLOSE) for leg in legs)


def keyed(legs: tuple[Leg, ...], quantity: int) -> dict[str, tuple[Instrument, int]]:
    """Signed change by contract."""
    return {leg.instrument.key: (leg.instrument, leg.contracts(quantity)) for leg in legs}
