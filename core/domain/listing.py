"""Contracts by name: an option with every term filled in from its root's series and the exchange calendar."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from core.domain.calendar import CalendarError, closure, expires_on, last_trade_at, may_expire, trading_expiry
from core.domain.instruments import (
    Deliverable,
    Delivery,
    InstrumentError,
    Option,
    Right,
    SeriesSpec,
    occ_symbol,
    parse_occ,
    roots_of,
    series_of,
)

_SEARCH_DAYS = 45  # far enough to meet a monthly expiry on either side


def option(root: str, expiry: date, right: Right, strike: Decimal) -> Option:
    """One contract with all its terms; raise InstrumentError, saying what is wrong, where it cannot exist.

    Whether it has expired or is quoted is another question: ask the calendar and the chain.
    """
    spec = series_of(root)
    if not strike.is_finite() or strike <= 0:
        raise InstrumentError(f"a strike must be positive, not {strike}")
    occ_symbol(root, expiry, right, strike)  # refuses strikes and dates that have no symbol
    _check_expiry(spec, expiry)
    shares = Deliverable(symbol=spec.underlying, shares=spec.multiplier)
    return Option(
        root=root,
        underlying=spec.underlying,
        expiry=expiry,
        right=right,
        strike=strike,
        multiplier=spec.multiplier,
        exercise=spec.exercise,
        settlement=spec.settlement,
        delivery=spec.delivery,
        deliverable=shares if spec.delivery is Delivery.PHYSICAL else None,
        last_trade_at=last_trade_at(spec, expiry),
    )


def from_occ(text: str) -> Option:
    """The contract of an OCC symbol, padded or not."""
    root, expiry, right, strike = parse_occ(text)
    return option(root, expiry, right, strike)


def series_for(underlying: str, expiry: date) -> tuple[SeriesSpec, ...]:
    """The series of an underlying with contracts of this expiry.

    Two of them (SPX, settled in the morning, and SPXW, settled at the close) mean that a person must say which. None means no such expiry.
    """
    return tuple(spec for spec in roots_of(underlying) if _exists(spec, expiry))


def _exists(spec: SeriesSpec, expiry: date) -> bool:
    try:
        return may_expire(spec, expiry)
    except CalendarError:
        return False  # outside the calendar nothing is listed


def _check_expiry(spec: SeriesSpec, expiry: date) -> None:
    try:
        if may_expire(spec, expiry):
            return
        reason = closure(trading_expiry(spec, expiry))
    except CalendarError as error:
        raise InstrumentError(f"{spec.root} cannot expire on {_words(expiry)}: {error}") from error
    if reason == "weekend":
        wrong = f"{_words(expiry)} is a {expiry:%A}"
    elif reason is not None:
        wrong = f"the exchange is closed on {_words(expiry)} ({reason})"
    else:
        wrong = f"{spec.root} has no expiry on {expiry:%A} {_words(expiry)}"
    near = " and ".join(_words(day) for day in _nearest(spec, expiry))
    raise InstrumentError(f"{wrong}; nearest listed expiries are {near}" if near else wrong)


def _nearest(spec: SeriesSpec, expiry: date) -> tuple[date, ...]:
    """The tabled expiry before and the one after a day."""
    found = []
    for direction in (-1, 1):
        for step in range(1, _SEARCH_DAYS):
            day = expiry + timedelta(days=direction * step)
            if _tabled(spec, day):
                found.append(day)
                break
    return tuple(found)


def _tabled(spec: SeriesSpec, day: date) -> bool:
    try:
        return expires_on(spec, day)
    except CalendarError:
        return False  # the search may step over the end of the calendar


def _words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
