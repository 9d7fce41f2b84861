"""Choosing an expiry from a chain: what all option strategies share. Pure and deterministic.

What a person named is taken as it is or refused with what would be right; only what was left open is chosen. A series is one right of one
expiry of one root; where a date has a morning and an evening series of one underlying, a person who named the date must say which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from core.domain.calendar import CalendarError, closure, last_trade_at, listed_expiries, may_expire
from core.domain.ideas import Request
from core.domain.instruments import InstrumentError, Right, Settlement, plain_number, roots_of, series_of
from core.errors import UserError
from core.market.chain import Chain
from core.market.view import ChainNeed, Needs, View
from core.settings import Parameters

MOST_NAMED = 3  # expiries a refusal names
LONGEST_DTE = 1_100  # three years: the longest that is listed
_LISTED_DAYS = 400


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
class Series:
    """The puts or calls of one expiry of one root; the rows of `chain` ascend by strike."""

    chain: Chain
    root: str
    expiry: date
    dte: int
    right: Right


def check_request(
    request: Request, *, strategy: str, most_strikes: int, right: Right | None = None, wide: bool = False, far: bool = False
) -> None:
    """Refuse what contradicts a strategy or itself. `right`: what it is made of, None for either; `wide`: it has a width; `far`: a later
    expiry too."""
    if right is not None and request.right not in (None, right):
        raise UserError(f"a {strategy} is made of {right.value}s", f"Leave right out, or name a {_other(right).value} strategy.")
    if len(request.strikes) > most_strikes:
        words = "one strike" if most_strikes == 1 else f"{most_strikes} strikes at most"
        raise UserError(f"a {strategy} has {words}, not {'/'.join(plain_number(strike) for strike in request.strikes)}")
    if request.strikes and request.delta is not None:
        raise UserError("strikes and delta are both given", "Give one of them.")
    if request.width is not None and not wide:
        words = "one strike" if most_strikes == 1 else f"{most_strikes} strikes"
        raise UserError(f"a {strategy} has {words} and no width", "Leave width out, or name a spread.")
    for name, said in (("far_dte", request.far_dte), ("far_expiry", request.far_expiry)):
        if said is not None and not far:
            raise UserError(f"{name} belongs to calendars and diagonals, not to {strategy}.", "Leave it out.")
    if request.far_dte is not None and request.far_expiry is not None:
        raise UserError("far_dte and far_expiry are both given", "Give one of them.")


def option_needs(parameters: Parameters, request: Request, today: date) -> Needs:
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


def two_needs(parameters: Parameters, request: Request, today: date) -> Needs:
    """The chains of a structure with a near and a far expiry."""
    return option_needs(parameters, request, today) | option_needs(*_far_side(parameters, request, today), today)


def series_for(view: View, parameters: Parameters, request: Request, *, right: Right) -> tuple[Series, ...]:
    """The series that may be used, best first; at least one.

    Raises UserError where there is none or a person must choose, Unavailable where nobody has the chain.
    """
    found = _tradable(view, request, right)
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


def far_series(view: View, parameters: Parameters, request: Request, near: Series) -> Series:
    """The later expiry that goes with a near one: as named, or nearest to its aim; of two series that day the near one's own."""
    if request.far_expiry is not None and request.far_expiry <= near.expiry:
        raise UserError(f"far_expiry {request.far_expiry} is not after the near expiry {near.expiry}", "Name a later one.")
    if request.far_dte is not None and request.far_dte <= (nearer := near.dte if request.dte is None else request.dte):
        raise UserError(f"far_dte {request.far_dte} is not later than the near expiry, {nearer} days out", "Name more days.")
    values, asked = _far_side(parameters, request, view.session, near_dte=near.dte)
    own = [item.expiry for item in _tradable(view, asked, near.right) if item.root == near.root]
    if asked.expiry in own:
        asked = replace(asked, root=near.root)
    found = [item for item in series_for(view, values, asked, right=near.right) if item.expiry > near.expiry]
    if not found:
        raise UserError(f"{request.symbol} has no quoted expiry after {near.expiry} in that range", "Name far_dte= or far_expiry=.")
    return next((item for item in found if item.expiry == found[0].expiry and item.root == near.root), found[0])


def twin_series(view: View, series: Series) -> Series:
    """The other right of the same expiry and root."""
    right = _other(series.right)
    chain = view.chain(series.chain.symbol).only(expiry=series.expiry, right=right, root=series.root)
    return replace(series, chain=chain, right=right)


def _other(right: Right) -> Right:
    return Right.CALL if right is Right.PUT else Right.PUT


def _far_side(parameters: Parameters, request: Request, today: date, *, near_dte: int | None = None) -> tuple[Parameters, Request]:
    """The far expiry asked for as if it were the only one; left open it keeps its distance to a near one that was named."""
    asked = replace(request, dte=request.far_dte, expiry=request.far_expiry, far_dte=None, far_expiry=None)
    named = request.dte if request.expiry is None else (request.expiry - today).days
    shift = 0 if named is None else named - parameters.whole("dte")
    least = 1 + (near_dte if near_dte is not None else max(0, named or 0))
    names = (("dte", "far_dte"), ("min_dte", "min_far_dte"), ("max_dte", "max_far_dte"))
    days = {name: max(least, parameters.whole(far) + shift) for name, far in names}
    return Parameters(values={**parameters.values, **days}), asked


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


def _tradable(view: View, request: Request, right: Right) -> list[Series]:
    """Every series of one right that still trades at the view's time, of the root that was said; raises Unavailable without a chain."""
    chain = view.chains.get(request.symbol)
    if chain is None:
        chain = view.chain(request.symbol)  # raises, with the reason
    found: list[Series] = []
    own = chain.only(right=right)
    for expiry in own.expiries():
        day = own.only(expiry=expiry)
        for root in sorted({str(item) for item in day.root}):
            if request.root in (None, root) and _trades(root, expiry, view):
                dte = (expiry - view.session).days
                found.append(Series(chain=day.only(root=root), root=root, expiry=expiry, dte=dte, right=right))
    return found


def _trades(root: str, expiry: date, view: View) -> bool:
    """Whether contracts of a root and expiry exist and may still be traded; one without known terms may not."""
    try:
        spec = series_of(root)
        return may_expire(spec, expiry) and last_trade_at(spec, expiry) > view.at
    except (InstrumentError, CalendarError):
        return False


def _named(view: View, request: Request, found: list[Series]) -> tuple[Series, ...]:
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
    near = sorted(sorted(days, key=lambda day: (abs((day - today).days - aim), day))[:MOST_NAMED])
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
