"""Regulation T margin for options and shares, in exact money.

Formulas: FINRA Rule 4210(f)(2) and the Cboe Margin Manual (strategy-based margin), as in the desk's trading rules. The *requirement* is
the rulebook figure before any proceeds are applied to it, so it contains the market value of naked short options:

- naked short option: market value + max(20% of the underlying - out-of-the-money amount, 10% of the strike for a put / of the underlying
  for a call); 15% in place of 20% for broad indices and broad-index ETFs, both percentages times leverage
- spread: the most the pair can lose between its strikes, at most the naked figure; the long must not end before the short
- two spreads that all end together on one underlying: the most all four legs can lose together (an iron condor: the wider wing once; a
  butterfly paid for: nothing); strangle, straddle: the greater side plus the market value of the other, if both end together
- long option: paid in full, requirement 0 (it lends nothing)
- shares: 50% (Regulation T initial); 100% in cash and IRA accounts. To keep them (maintenance, FINRA Rule 4210(c)): long 25%, short 30% and
  at least 5 USD a share (under 5 USD all of their value, at least 2.50). Options ask for the same to open and to keep
- covered call: the shares' requirement, their value counted up to the strike only; covered put: that of the short shares, and what the put
  is in the money. Shares with a put of one's own, collars and conversions ask for less to keep, see `_hedges`
- cash and IRA accounts: a short put is secured by strike x multiplier; cash accounts know no spreads, IRA accounts do; anything uncovered
  is refused

Portfolio-margin accounts are judged by `portfolio`, and by these rules while their equity is under its minimum. Shorts are paired so that
the total is the smallest the rules allow.

**Buying power = cash + share value - requirement.** In terms of net liquidation value (cash + everything
held at market) that is NLV - maintenance, maintenance being requirement + long option value - short option value: the market value of a
short option is a debt already inside NLV and is not asked for twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import combinations, product

from core.domain.accounts import AccountKind
from core.domain.instruments import Cash, Equity, Instrument, Option, Right, Settlement, UnderlyingKind, plain_number
from core.margin._hedges import Lot, joint_loss, levels_of, pays, reliefs
from core.margin._pairing import Choice, Cost, Solution, cheapest

ZERO = Decimal(0)
MINIMUM_EQUITY = Decimal(2000)
NAKED = Decimal("0.20")
NAKED_BROAD = Decimal("0.15")
FLOOR = Decimal("0.10")
STOCK_INITIAL = Decimal("0.50")
STOCK_MAINTENANCE = Decimal("0.25")  # long, of the market value
SHORT_MAINTENANCE = Decimal("0.30")
SHORT_LEAST = Decimal(5)  # a share that costs so much or more; of cheaper ones all of their value, 2.50 at least
SHORT_CHEAP_LEAST = Decimal("2.50")
MOST_SPREADS, NEAREST = 64, 6  # of one underlying that are all tried together; beyond, of each short contract
_BROAD = (UnderlyingKind.BROAD_INDEX, UnderlyingKind.BROAD_ETF)
_FULLY_PAID = (AccountKind.CASH, AccountKind.IRA)

Holding = tuple[Instrument, int]


class MissingPrice(LookupError):
    """A price without which the requirement is unknown."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"no price for {self.key.strip()}, so the margin is unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLine:
    """A part of the requirement, in words."""

    underlying: str
    text: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginReport:
    """The requirement of a whole account. `refusals` are the reasons why such an account may not hold this at all.

    `exact` is False where the book was too large to try every pairing: the total may then be above the smallest, never below it.
    """

    total: Decimal
    lines: tuple[MarginLine, ...] = ()
    refusals: tuple[str, ...] = ()
    exact: bool = True


def requirement(
    positions: Iterable[Holding],
    *,
    prices: Mapping[str, Decimal],
    kind: AccountKind,
    equity: Decimal | None = None,
    leverage: Mapping[str, Decimal] | None = None,
    maintenance: bool = False,
) -> MarginReport:
    """The smallest requirement of a set of holdings: to open them, or with `maintenance` to keep them, which asks less for shares only.

    positions: instruments with signed contracts or shares; the same instrument twice is added up. prices: marks of options and levels of
    underlyings by instrument key, per share. equity: net liquidation value, for the 2,000 USD minimum of margin accounts; None leaves that
    rule out. leverage: factor by underlying of leveraged funds, 1 where it is not named.
    Raises MissingPrice where a price is lacking without which there is no figure.
    """
    held = _netted(positions)
    factors = leverage or {}
    reports = [
        _underlying(symbol, group, prices, kind, factors.get(symbol, Decimal(1)), maintenance)
        for symbol, group in sorted(_by_underlying(held).items())
    ]
    refusals = [text for report in reports for text in report.refusals]
    if kind not in _FULLY_PAID and equity is not None and equity < MINIMUM_EQUITY and any(quantity < 0 for _, quantity in held):
        refusals.append(
            f"a margin account needs {MINIMUM_EQUITY:,} USD of equity to be short, this one has {equity:,.2f} USD;"
            " deposit, or buy options only"
        )
    return MarginReport(
        total=sum((report.total for report in reports), ZERO),
        lines=tuple(line for report in reports for line in report.lines),
        refusals=tuple(refusals),
        exact=all(report.exact for report in reports),
    )


def naked_requirement(option: Option, *, spot: Decimal, mark: Decimal, leverage: Decimal = Decimal(1)) -> Decimal:
    """Requirement of one naked short contract in money; spot and mark per share."""
    rate = (NAKED_BROAD if option.series.underlying_kind in _BROAD else NAKED) * leverage
    put, strike = option.right is Right.PUT, option.share_strike
    out_of_the_money = max(ZERO, spot - strike if put else strike - spot)
    floor = FLOOR * leverage * (strike if put else spot)
    return mark * option.multiplier + max(rate * spot - out_of_the_money, floor) * option.shares


def net_liquidation(positions: Iterable[Holding], *, cash: Decimal, prices: Mapping[str, Decimal]) -> Decimal:
    """Cash plus everything held at its price; short positions count against it."""
    return cash + sum((_price(prices, item.key) * item.multiplier * quantity for item, quantity in _netted(positions)), ZERO)


def buying_power(positions: Iterable[Holding], *, cash: Decimal, prices: Mapping[str, Decimal], requirement: Decimal) -> Decimal:
    """What new positions may require: cash + share value - requirement; negative is a margin call."""
    shares = [(item, quantity) for item, quantity in _netted(positions) if isinstance(item, Equity)]
    return net_liquidation(shares, cash=cash, prices=prices) - requirement


def _netted(positions: Iterable[Holding]) -> list[Holding]:
    totals: dict[str, Holding] = {}
    for item, quantity in positions:
        totals[item.key] = (item, totals.get(item.key, (item, 0))[1] + quantity)
    for item, quantity in totals.values():
        if quantity and not isinstance(item, Option | Equity | Cash):
            raise ValueError(f"{item.key} has no margin rule here: options, shares and cash only")
    return [(item, quantity) for item, quantity in totals.values() if quantity and not isinstance(item, Cash)]


def _by_underlying(held: Sequence[Holding]) -> dict[str, list[Holding]]:
    groups: dict[str, list[Holding]] = {}
    for item, quantity in held:
        groups.setdefault(item.underlying if isinstance(item, Option) else item.key, []).append((item, quantity))
    return groups


@dataclass(frozen=True, slots=True)
class _Group:
    """The holdings on one underlying: short options first, then long ones, then whole lots of shares."""

    symbol: str
    kind: AccountKind
    shorts: tuple[tuple[Option, int], ...]
    longs: tuple[tuple[Option, int], ...]
    shares: int
    spot: Decimal | None
    naked: tuple[Decimal | None, ...]  # per short line, None where a price is missing
    marks: tuple[Decimal | None, ...]
    maintenance: bool

    @property
    def lot(self) -> int:
        """Shares that cover one call."""
        return self.shorts[0][0].shares if self.shorts else 100

    @property
    def share_rate(self) -> Decimal:
        """The part of their value that long shares ask for."""
        if self.kind in _FULLY_PAID:
            return Decimal(1)
        return STOCK_MAINTENANCE if self.maintenance else STOCK_INITIAL


def _underlying(
    symbol: str, held: Sequence[Holding], prices: Mapping[str, Decimal], kind: AccountKind, leverage: Decimal, maintenance: bool
) -> MarginReport:
    shorts = tuple((item, -quantity) for item, quantity in held if isinstance(item, Option) and quantity < 0)
    longs = tuple((item, quantity) for item, quantity in held if isinstance(item, Option) and quantity > 0)
    shares = sum(quantity for item, quantity in held if isinstance(item, Equity))
    spot = _price(prices, symbol) if shares else prices.get(symbol)
    marks = tuple(prices.get(item.key) for item, _ in shorts)
    naked = tuple(
        None if spot is None or mark is None else naked_requirement(item, spot=spot, mark=mark, leverage=leverage)
        for (item, _), mark in zip(shorts, marks, strict=True)
    )
    group = _Group(symbol, kind, shorts, longs, shares, spot, naked, marks, maintenance)
    lines = [*_share_lines(group)]
    refusals: list[str] = []
    if shares < 0 and kind in _FULLY_PAID:
        refusals.append(f"{symbol}: {kind.value} accounts may not be short shares; {-shares} are short")
    solution = _solve(group) if shorts else Solution((), Cost(0, ZERO), True)
    for choice, units in solution.taken:
        amount = choice.cost.amount * units
        lines.append(MarginLine(underlying=symbol, text=f"{units} x {choice.words}", amount=amount))
        if choice.cost.refused:
            refusals.append(f"{symbol}: {kind.value} accounts refuse {units} x {choice.words}; cover it or use a margin account")
    lines += _relieved(group, solution)
    if longs:
        lines.append(MarginLine(underlying=symbol, text=f"{sum(count for _, count in longs)} long options, paid in full", amount=ZERO))
    total = sum((line.amount for line in lines), ZERO)
    return MarginReport(total=total, lines=tuple(lines), refusals=tuple(refusals), exact=solution.exact)


def _share_lines(group: _Group) -> Iterable[MarginLine]:
    if not group.shares or group.spot is None:
        return
    count, spot = abs(group.shares), group.spot
    if group.shares < 0 and group.maintenance and group.kind not in _FULLY_PAID:
        each = max(SHORT_MAINTENANCE * spot, SHORT_LEAST) if spot >= SHORT_LEAST else max(spot, SHORT_CHEAP_LEAST)
        yield MarginLine(underlying=group.symbol, text=f"{count} short shares of {spot} at {plain_number(each)} each", amount=count * each)
        return
    rate, side = group.share_rate, "long" if group.shares > 0 else "short"
    text = f"{count} {side} shares at {rate:.0%} of {plain_number(spot)}"
    yield MarginLine(underlying=group.symbol, text=text, amount=count * spot * rate)


def _solve(group: _Group) -> Solution:
    counts = [count for _, count in (*group.shorts, *group.longs)]
    counts.append(abs(group.shares) // group.lot)
    choices = [*_alone(group), *_covered(group)]
    pairs = _pairs(group)
    if group.kind is not AccountKind.CASH:
        choices += [choice for (short, _), choice in pairs.items() if _worth(group, choice, short)]
        choices += _joined(group, pairs)
    if group.kind not in _FULLY_PAID:
        choices += _strangles(group)
    solution = cheapest(counts, len(group.shorts), choices)
    for choice, _ in solution.taken:
        if choice.cost.amount == _UNKNOWN:
            raise MissingPrice(group.symbol if group.spot is None else group.shorts[choice.uses[0]][0].key)
    tried_all = sum(item.same_expiry for item in pairs.values()) <= MOST_SPREADS
    return replace(solution, exact=solution.exact and tried_all)


_UNKNOWN = Decimal(10) ** 15  # stands for "no figure" while pairing; a solution that needs it raises MissingPrice


def _worth(group: _Group, choice: Choice, short: int) -> bool:
    """False for a spread so wide that its short leg asks for less as a naked one."""
    naked = None if group.kind in _FULLY_PAID else group.naked[short]
    return naked is None or choice.cost.amount < naked


def _alone(group: _Group) -> Iterable[Choice]:
    """Every short by itself: naked, or secured by cash where naked is not allowed."""
    for index, (item, _) in enumerate(group.shorts):
        if group.kind in _FULLY_PAID and item.right is Right.PUT:
            yield Choice((index,), Cost(0, item.strike * item.multiplier), f"{item.label} secured by cash")
            continue
        naked = group.naked[index]
        if group.kind in _FULLY_PAID:
            yield Choice((index,), Cost(1, item.strike * item.multiplier if naked is None else naked), f"{item.label} uncovered")
        else:
            yield Choice((index,), Cost(0, _UNKNOWN if naked is None else naked), f"{item.label} naked")


def _covered(group: _Group) -> Iterable[Choice]:
    """Short calls against whole lots of shares, whose value counts only up to the strike; short puts against lots that are short."""
    if abs(group.shares) < group.lot or group.spot is None or (group.shares < 0 and group.kind in _FULLY_PAID):
        return
    lots, right = len(group.shorts) + len(group.longs), Right.CALL if group.shares > 0 else Right.PUT
    for index, (item, _) in enumerate(group.shorts):
        if item.right is right and item.shares == group.lot:
            inside = max(ZERO, group.spot - item.share_strike if right is Right.CALL else item.share_strike - group.spot)
            part = 1 - group.share_rate if right is Right.CALL else 1
            side = "shares" if right is Right.CALL else "short shares"
            yield Choice((index, lots), Cost(0, inside * part * item.shares), f"{item.label} covered by {side}")


def _relieved(group: _Group, solution: Solution) -> Iterable[MarginLine]:
    """What shares ask for less to keep because an option of one's own guards them."""
    if not group.maintenance or group.kind in _FULLY_PAID or group.spot is None or not group.shares:
        return
    lots, used = len(group.shorts) + len(group.longs), [0] * len(group.longs)
    covering: list[tuple[Option | None, int]] = []
    for choice, units in solution.taken:
        for line in choice.uses:
            if len(group.shorts) <= line < lots:
                used[line - len(group.shorts)] += units
        if lots in choice.uses:
            covering.append((group.shorts[choice.uses[0]][0], units))
    covering.append((None, abs(group.shares) // group.lot - sum(units for _, units in covering)))
    guards = tuple((item, count - used[place]) for place, (item, count) in enumerate(group.longs) if item.shares == group.lot)
    each = sum((line.amount for line in _share_lines(group)), ZERO) / abs(group.shares)
    lot = Lot(spot=group.spot, each=each, rate=group.share_rate, long=group.shares > 0)
    for words, units, saved in reliefs(lot, covering, guards):
        yield MarginLine(underlying=group.symbol, text=f"{units} x {words}", amount=-saved * units * group.lot)


def _pairs(group: _Group) -> dict[tuple[int, int], Choice]:
    """Spreads: (short line, long line) with the most the pair can lose between its strikes, at most the naked figure."""
    found: dict[tuple[int, int], Choice] = {}
    first_long = len(group.shorts)
    for (short, (sold, _)), (place, (bought, _)) in product(enumerate(group.shorts), enumerate(group.longs)):
        if not _covers(bought, sold):
            continue
        width = sold.strike - bought.strike if sold.right is Right.PUT else bought.strike - sold.strike
        words = f"{sold.label} covered by {plain_number(bought.strike)}"
        same = _end(sold) == _end(bought)
        words += "" if same else f" of {bought.expiry.day} {bought.expiry:%b %y}"
        found[short, first_long + place] = Choice(
            (short, first_long + place), Cost(0, max(ZERO, width) * sold.multiplier), words, same
        )
    return found


def _joined(group: _Group, pairs: Mapping[tuple[int, int], Choice]) -> Iterable[Choice]:
    """Two spreads that all end together, where both cannot lose the most at once: condors, butterflies, boxes.

    In a book of very many spreads only the nearest of each short contract are tried.
    """
    near: list[tuple[Choice, Option, Option]] = []
    for item in pairs.values():
        if item.same_expiry:
            near.append((item, group.shorts[item.uses[0]][0], group.longs[item.uses[1] - len(group.shorts)][0]))
    if len(near) > MOST_SPREADS:
        near.sort(key=lambda one: (one[0].cost, abs(one[1].strike - one[2].strike)))
        seen: Counter[int] = Counter()
        near = [one for one in near if seen.update((one[0].uses[0],)) is None and seen[one[0].uses[0]] <= NEAREST]
    if len(near) < 2:
        return
    levels = levels_of(option for _, *both in near for option in both)
    paid = [pays(sold, bought, levels) for _, sold, bought in near]
    for (one, other), (money, more) in zip(combinations(near, 2), combinations(paid, 2), strict=True):
        apart = (one[0].cost + other[0].cost).amount
        if not apart or not _together(one[1], other[1]):
            continue
        loss = joint_loss(money, more)
        if loss < apart:
            kind = "condor" if one[1].right is not other[1].right else "spreads together"
            yield Choice((*one[0].uses, *other[0].uses), Cost(0, loss), f"{kind}: {one[0].words}, {other[0].words}")


def _strangles(group: _Group) -> Iterable[Choice]:
    """A naked put and a naked call that end together: the greater side plus the market value of the other."""
    for (one, (put, _)), (two, (call, _)) in product(enumerate(group.shorts), enumerate(group.shorts)):
        if put.right is not Right.PUT or call.right is not Right.CALL or not _together(put, call):
            continue
        put_naked, call_naked, put_mark, call_mark = group.naked[one], group.naked[two], group.marks[one], group.marks[two]
        if put_naked is None or call_naked is None or put_mark is None or call_mark is None:
            continue
        other = call_mark if put_naked >= call_naked else put_mark
        amount = max(put_naked, call_naked) + other * put.multiplier
        yield Choice((one, two), Cost(0, amount), f"{put.label} and {call.label} as a strangle")


def _end(option: Option) -> tuple[date, bool]:
    """When a contract is decided: the evening of its day for PM settlement, the morning for AM."""
    return option.expiry, option.settlement is Settlement.PM


def _together(one: Option, other: Option) -> bool:
    return _end(one) == _end(other) and one.multiplier == other.multiplier and one.deliverable == other.deliverable


def _covers(bought: Option, sold: Option) -> bool:
    """A long option of the same right that does not end before the short one; VIX options of different dates are on different futures."""
    if bought.right is not sold.right or bought.multiplier != sold.multiplier or bought.deliverable != sold.deliverable:
        return False
    if sold.series.underlying_kind is UnderlyingKind.VOLATILITY_INDEX:
        return _end(bought) == _end(sold)
    return _end(bought) >= _end(sold)


def _price(prices: Mapping[str, Decimal], key: str) -> Decimal:
    price = prices.get(key)
    if price is None:
        raise MissingPrice(key)
    return price
