"""The book as it stands against the limits: what each rule says of it without any order, and where a margin call would come. Pure.

A rule that limits the book as a whole has a function `use(stand, parameters)` beside its `judge`, so that a limit and its use are stated
in one place. Example: margin of 21,000 USD on 100,000 USD of net liquidation value uses 42% of the 50% that entries may take it to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from core.domain.accounts import AccountKind
from core.domain.instruments import Instrument
from core.domain.money import ZERO, from_market
from core.errors import Unavailable
from core.market.view import View
from core.portfolio.book import Book
from core.risk.exam import Measures, Rule
from core.risk.measures import PRICE_STEP, left_at, measure, stressed_beside, underlying_of
from core.risk.stress import Scenario, repriced

FURTHEST = 60  # percent up and down that are looked at for a margin call
FINE = 20  # parts of a percent
VOL_PER_PERCENT = 2.0  # points of VIX for each percent down, as in the stress scenarios


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """An account as it stands: `held` counts working opening orders as filled."""

    book: Book
    held: Mapping[str, tuple[Instrument, int]]
    measures: Measures
    view: View
    beside: Mapping[str, tuple[Instrument, int]] = field(default_factory=dict)  # trades done elsewhere that count

    @property
    def worth(self) -> Decimal:
        """Net liquidation value; raise Unavailable where a position has no price."""
        if self.measures.net_liquidation is None:
            raise Unavailable("net liquidation value", why="a position has no usable price")
        return self.measures.net_liquidation


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A limit and what of it is used, in money or as a plain number; `used` is None where a price is missing, which `note` says."""

    rule: str
    what: str
    used: Decimal | None
    limit: Decimal
    unit: str = "USD"
    note: str = ""

    @property
    def share(self) -> Decimal | None:
        """Use as a part of the limit."""
        return None if self.used is None or self.limit <= 0 else self.used / self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCall:
    """The move of every underlying at once at which the requirement passes what the account is worth; `level` is of `symbol`."""

    symbol: str
    level: float
    move: float


def stand_of(book: Book, view: View, *, beside: Mapping[str, tuple[Instrument, int]] | None = None) -> Stand:
    """Measure an account without any order; with trades done elsewhere `beside` it where they count."""
    held, more = book.exposed(), beside or {}
    measures = stressed_beside(measure(held, book=book, view=view), [held], more, view)
    return Stand(book=book, held=held, measures=measures, view=view, beside=more)


def uses(stand: Stand, rules: Sequence[Rule]) -> tuple[Use, ...]:
    """What every rule that limits the book says is used, in the order of the rules."""
    found: list[Use] = []
    for rule in rules:
        use: Callable[..., tuple[Use, ...]] | None = getattr(rule.module, "use", None)
        if use is None:
            continue
        try:
            found += use(stand, rule.parameters)
        except Unavailable as error:
            found.append(Use(rule=rule.name, what=rule.name, used=None, limit=ZERO, note=str(error)))
    return tuple(found)


def margin_calls(stand: Stand) -> tuple[MarginCall | None, MarginCall | None] | None:
    """The nearest margin call down and up, None for one that lies further than 60% away; None altogether where a price is missing.

    Every contract is repriced at each move, down with VIX 2 points higher for each percent, up with volatilities as they are, and the
    requirement worked out anew at those prices. Accounts that are fully paid have no calls.
    """
    if stand.book.account.kind in (AccountKind.CASH, AccountKind.IRA) or not stand.book.positions:
        return None, None
    held = stand.book.holdings()
    symbol = _main(stand)
    try:
        spot = stand.view.spot(symbol)
        found = [_nearest(stand, held, sign) for sign in (-1, 1)]
    except Unavailable:
        return None
    down, up = (None if move is None else MarginCall(symbol=symbol, level=spot * (1 + move), move=move) for move in found)
    return down, up


def _nearest(stand: Stand, held: Mapping[str, tuple[Instrument, int]], sign: int) -> float | None:
    """The smallest move in one direction at which the account is short of margin: by whole percents, then in between."""
    coarse = [sign * step / 100 for step in range(FURTHEST + 1)]
    first = next((index for index, short in enumerate(_short(stand, held, coarse)) if short), None)
    if first is None:
        return None
    if first == 0:
        return 0.0
    fine = [coarse[first - 1] + sign * step / 100 / FINE for step in range(1, FINE + 1)]
    return next((move for move, short in zip(fine, _short(stand, held, fine), strict=True) if short), coarse[first])


def _short(stand: Stand, held: Mapping[str, tuple[Instrument, int]], moves: Sequence[float]) -> list[bool]:
    scenarios = [
        Scenario(name=f"{move:+.4f}", spot_move=move, vol_points=max(0.0, -move * 100 * VOL_PER_PERCENT)) for move in moves
    ]
    prices = repriced(held, stand.view, scenarios=scenarios)
    symbols = {underlying_of(item) for item, _ in held.values()}
    found = []
    for index, move in enumerate(moves):
        spots = {symbol: from_market(stand.view.spot(symbol) * (1 + move), PRICE_STEP) for symbol in symbols}
        then = spots | {key: from_market(float(values[index]), PRICE_STEP) for key, values in prices.items()}
        left = left_at(held, cash=stand.book.cash, prices=then, kind=stand.book.account.kind, at=stand.view.at)
        if left is None:
            raise Unavailable("margin call", why="a contract has no margin rule")
        found.append(left < 0)
    return found


def _main(stand: Stand) -> str:
    """The underlying most of the margin is on: the level of that one is named."""
    names = sorted({underlying_of(item) for item, _ in stand.book.holdings().values()})
    weights = {name: sum(abs(count) for item, count in stand.book.holdings().values() if underlying_of(item) == name) for name in names}
    return max(names, key=lambda name: (name == "SPX", weights[name]))
