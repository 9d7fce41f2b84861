"""Choosing expiry and strikes from a chain: what the put strategies share. Pure and deterministic.

What a person named is taken as it is or refused with what would be right; only what was left open is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from core.domain.calendar import CalendarError, closure, last_trade_at, listed_expiries, may_expire
from core.domain.ideas import Idea, Request
from core.domain.instruments import InstrumentError, Right, Settlement, plain_number, roots_of, series_of
from core.domain.orders import Effect, Leg, Side
from core.errors import Unavailable, UserError
from core.market.analytics import marks
from core.market.chain import Chain
from core.market.view import ChainNeed, Needs, View
from core.settings import Parameters

MOST_IDEAS = 3
LONGEST_DTE = 1_100  # three years: the longest that is listed
_LISTED_DAYS = 400
_NEAR_DELTA = 0.5  # a strike counts as "near" a delta within this share of it


class WhichSeries(UserError):
    """Two series of one underlying expire that day, settled differently: a person must say which."""

    def __init__(self, symbol: str, expiry: date, roots: Sequence[str]) -> None:
        words = ", ".join(f"{root} ({_settles(root)})" for root in roots)
        super().__init__(
            f"{symbol} has {len(roots)} series that expire on {expiry}: {words}",
            f"Say which: {' or '.join(f'root={root}' for root in roots)}.",
        )
        self.roots = tuple(roots)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutSeries:
    """The puts of one expiry of one root; the rows of `chain` ascend by strike."""

    chain: Chain
    root: str
    expiry: date
    dte: int


def put_needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """The chain to load: the expiry named, or the days accepted around the aim. Raises UserError for an expiry in the past."""
    if request.expiry is None:
        _, low, high = _days(parameters, request)
    elif request.dte is not None:
        raise UserError("dte and expiry are both given", "Give one of them.")
    elif request.expiry < today:
        near = _listed_near(request.symbol, today, aim=0)
        raise UserError(f"expiry {request.expiry} is in the past", f"This session is {today}; {near}.")
    else:
        low = high = (request.expiry - today).days
    return Needs.of_symbols(request.symbol) | Needs(chains=frozenset({ChainNeed(symbol=request.symbol, first_dte=low, last_dte=high)}))


def check_puts(request: Request, *, strategy: str, most_strikes: int) -> None:
    """Refuse what contradicts a put strategy or itself."""
    if request.right is Right.CALL:
        raise UserError(f"a {strategy} is made of puts", "Leave right out, or name a call strategy.")
    if len(request.strikes) > most_strikes:
        words = "one strike" if most_strikes == 1 else f"{most_strikes} strikes at most"
        raise UserError(f"a {strategy} has {words}, not {_strikes(request.strikes)}")
    if request.strikes and request.delta is not None:
        raise UserError("strikes and delta are both given", "Give one of them.")
    if most_strikes == 1 and request.width is not None:
        raise UserError(f"a {strategy} has one leg and no width", "Leave width out, or name put_credit_spread.")


def put_series(view: View, parameters: Parameters, request: Request) -> tuple[PutSeries, ...]:
    """The series that may be used, best first; at least one.

    Raises UserError where there is none or a person must choose, Unavailable where nobody has the chain.
    """
    chain = view.chains.get(request.symbol)
    if chain is None:
        chain = view.chain(request.symbol)  # raises, with the reason
    found = _tradable(chain, view)
    if request.root is not None:
        found = [item for item in found if item.root == request.root]
    if request.expiry is not None:
        return _named(view, request, [item for item in found if item.expiry == request.expiry])
    aim, low, high = _days(parameters, request)
    found = [item for item in found if low <= item.dte <= high]
    if not found:
        name, near = request.root or request.symbol, _listed_near(request.symbol, view.session, aim=aim)
        listed = any(low <= (day - view.session).days <= high for day in _listed(request.symbol, view.session))
        wrong = f"no {name} options near {aim} days are quoted" if listed else f"{name} has no expiry near {aim} days"
        raise UserError(wrong, _sentence(near))
    evening = [item for item in found if series_of(item.root).settlement is Settlement.PM]
    return tuple(sorted(evening or found, key=lambda item: (abs(item.dte - aim), -item.dte, item.root)))


def named_row(series: PutSeries, strike: Decimal) -> int:
    """The row of a strike somebody named; raises UserError with the strikes next to it."""
    strikes = series.chain.strike_milli
    milli = strike * 1000
    hits = np.flatnonzero(strikes == int(milli)) if milli == milli.to_integral_value() else np.array([], dtype=int)
    if len(hits):
        return int(hits[0])
    below, above = strikes[strikes < float(milli)], strikes[strikes > float(milli)]
    near = [plain_number(Decimal(int(item)) / 1000) for item in (*below[-1:], *above[:1])]
    verb = "nearest are" if len(near) > 1 else "nearest is"
    raise UserError(f"there is no {plain_number(strike)} put on {series.expiry}; {verb} {' and '.join(near)}")


def check_sellable(series: PutSeries, row: int) -> None:
    """Refuse a short leg that nobody bids for or whose quote is not sane."""
    if not sellable(series.chain)[row]:
        name = series.chain.option(row).label
        state = series.chain.quote(row).state.value
        raise UserError(f"the {name} cannot be sold to open: {state}", "A short leg needs a bid; choose a strike nearer to the money.")


def sellable(chain: Chain) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Rows with a sane quote and somebody who bids."""
    with np.errstate(invalid="ignore"):
        return chain.usable & (chain.bid > 0)


def short_rows(view: View, series: PutSeries, target: Decimal) -> tuple[tuple[int, float], ...]:
    """Rows that may be sold, nearest in delta first (of two alike the further out), with their absolute deltas."""
    chain = series.chain
    deltas = np.abs(marks(view, chain).delta)
    deltas[~sellable(chain)] = np.nan
    rows = [int(row) for row in np.flatnonzero(np.isfinite(deltas))]
    if not rows:
        raise Unavailable(f"delta of the {series.root} puts of {series.expiry}", why="no quote with a bid gives a volatility")
    aim = float(target)
    rows.sort(key=lambda row: (round(abs(deltas[row] - aim), 9), deltas[row]))
    near = [(row, float(deltas[row])) for row in rows if abs(deltas[row] - aim) <= _NEAR_DELTA * aim]
    if not near:
        best = rows[0]
        name = plain_number(chain.option(best).strike)
        raise UserError(
            f"no {series.root} put on {series.expiry} that somebody bids for is near {plain_number(target)} delta",
            f"The nearest is the {name} put at {deltas[best]:.3f}; name delta or strikes to have it.",
        )
    return tuple(near[:MOST_IDEAS])


def known_delta(view: View, series: PutSeries, row: int) -> float | None:
    """The absolute delta of a row, None where its quote gives none."""
    try:
        delta = view.mark(series.chain.option(row)).delta
    except Unavailable:
        return None
    return None if delta is None else abs(delta)


def put_leg(series: PutSeries, row: int, side: Side) -> Leg:
    """One opening leg of a row."""
    return Leg(instrument=series.chain.option(row), side=side, effect=Effect.OPEN)


def single_puts(view: View, parameters: Parameters, request: Request, *, strategy: str) -> tuple[Idea, ...]:
    """Ideas of one short put, best first."""
    check_puts(request, strategy=strategy, most_strikes=1)
    choices = put_series(view, parameters, request)
    if request.strikes:
        series = choices[0]
        row = named_row(series, request.strikes[0])
        check_sellable(series, row)
        return (_single(series, row, known_delta(view, series, row), request, strategy=strategy),)
    target = request.delta if request.delta is not None else parameters.number("delta")
    return tuple(_single(series, row, delta, request, strategy=strategy) for series, row, delta in candidates(view, choices, target))


def candidates(view: View, choices: Sequence[PutSeries], target: Decimal) -> list[tuple[PutSeries, int, float]]:
    """Short strikes over the series, best first: first the best series, later ones only where that has none."""
    trouble: UserError | Unavailable | None = None
    for series in choices:
        try:
            return [(series, row, delta) for row, delta in short_rows(view, series, target)]
        except (UserError, Unavailable) as error:
            trouble = trouble or error
    assert trouble is not None, "there is at least one series"
    raise trouble


def delta_words(delta: float | None) -> str:
    """`0.158 delta`, or that it is unknown."""
    return "delta unknown" if delta is None else f"{delta:.3f} delta"


def _single(series: PutSeries, row: int, delta: float | None, request: Request, *, strategy: str) -> Idea:
    leg = put_leg(series, row, Side.SELL)
    thesis = f"Sell the {plain_number(series.chain.option(row).strike)} put at {delta_words(delta)}, {series.dte} days to expiry."
    return Idea(strategy=strategy, symbol=request.symbol, legs=(leg,), thesis=thesis, short_delta=delta)


def _days(parameters: Parameters, request: Request) -> tuple[int, int, int]:
    """Aim, fewest and most days: the strategy's own, or around what was said (a weekend, or a quarter of the time)."""
    if request.dte is None:
        return parameters.whole("dte"), parameters.whole("min_dte"), parameters.whole("max_dte")
    if not 0 <= request.dte <= LONGEST_DTE:
        raise UserError(f"no option has {request.dte} days to expiry", f"Ask for 0 to {LONGEST_DTE}.")
    if request.dte == 0:
        return 0, 0, 0
    spare = max(3, request.dte // 4)
    return request.dte, max(1, request.dte - spare), request.dte + spare


def _tradable(chain: Chain, view: View) -> list[PutSeries]:
    """Every series of the chain that still trades at the view's time."""
    found: list[PutSeries] = []
    puts = chain.only(right=Right.PUT)
    for expiry in puts.expiries():
        day = puts.only(expiry=expiry)
        for root in sorted({str(item) for item in day.root}):
            if _trades(root, expiry, view):
                found.append(PutSeries(chain=day.only(root=root), root=root, expiry=expiry, dte=(expiry - view.session).days))
    return found


def _trades(root: str, expiry: date, view: View) -> bool:
    """Whether contracts of a root and expiry exist and may still be traded; one without known terms may not."""
    try:
        spec = series_of(root)
        return may_expire(spec, expiry) and last_trade_at(spec, expiry) > view.at
    except (InstrumentError, CalendarError):
        return False


def _named(view: View, request: Request, found: list[PutSeries]) -> tuple[PutSeries, ...]:
    assert request.expiry is not None
    if len(found) > 1:
        raise WhichSeries(request.symbol, request.expiry, [item.root for item in found])
    if found:
        return tuple(found)
    name, expiry = request.root or request.symbol, request.expiry
    near = _sentence(_listed_near(request.symbol, view.session, aim=(expiry - view.session).days))
    chain = view.chains[request.symbol]
    if (chain.expiry == expiry.toordinal()).any() and request.root is None:
        raise UserError(f"the {name} options of {expiry} have stopped trading", near)
    raise UserError(f"{name} has no expiry on {expiry}{_why_closed(expiry)}", near)


def _why_closed(day: date) -> str:
    try:
        reason = closure(day)
    except CalendarError:
        return ""
    if reason is None:
        return ""
    return f", a {day:%A}" if reason == "weekend" else f": the exchange is closed ({reason})"


def _listed_near(symbol: str, today: date, *, aim: int) -> str:
    """The listed expiries nearest to a number of days, in words."""
    days = _listed(symbol, today)
    near = sorted(sorted(days, key=lambda day: (abs((day - today).days - aim), day))[:MOST_IDEAS])
    if not near:
        return "no expiry is listed"
    return f"listed are {', '.join(f'{day} ({_days_words(day, today)})' for day in near)}"


def _days_words(day: date, today: date) -> str:
    days = (day - today).days
    return f"{days} day" if days == 1 else f"{days} days"


def _listed(symbol: str, today: date) -> set[date]:
    """What the exchange calendar lists; nothing for a symbol it knows no series of."""
    try:
        return {day for spec in roots_of(symbol) for day in listed_expiries(spec, today, days=_LISTED_DAYS)}
    except (InstrumentError, CalendarError):
        return set()


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _settles(root: str) -> str:
    return "settles on the opening prices of that morning" if series_of(root).settlement is Settlement.AM else "settles at that day's close"


def _strikes(strikes: Sequence[Decimal]) -> str:
    return "/".join(plain_number(strike) for strike in strikes)
