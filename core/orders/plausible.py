"""Whether what a broker says can be true: judged before it is believed or written down. Pure.

A report whose fields are not of their kinds, that names nothing, or whose figures no account could hold is nonsense. It never enters the
log, where every later start would have to read it; what is told beside it is kept. Figures pass only with so few digits that cash and
positions add up exactly.

Example: a margin of 1.7E+308 (how one vendor says "unknown"), an execution of -1 contracts, a price of NaN, a status of "filed".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from core.domain.encoding import EncodingError, read_back
from core.domain.events import CashMoved, CorporateAction, MarginCalled, Settled
from core.domain.holidays import FIRST_YEAR, LAST_YEAR
from core.domain.instruments import Cash, Equity, Future, Index, Instrument, Option
from core.domain.orders import Fill
from core.errors import Unavailable
from core.ports import BrokerOrder, BrokerPosition, BrokerSnapshot, OrderReport, Preview, Update

R = TypeVar("R")  # a report: of an order, an execution, a settlement, cash, a holding, or what an order would do

MOST_MONEY = Decimal(10) ** 12
MOST_PRICE = Decimal(10) ** 7
MOST_UNITS = 10**9
MOST_DECIMALS = 10
MOST_DIGITS = 27  # of price, quantity and multiplier together: sums of their products stay exact
LARGEST_CURSOR = 2**62
LONGEST_NAME = 128
LONGEST_WORDS = 1_000  # a broker's sentence; an error page is cut
YEARS = range(1990, 2101)
_SENTENCES = ("reason", "description", "refusal", "note")


def as_said(text: str) -> str:
    """A broker's words without a change."""
    return text


def believed(item: R, told: Callable[[str], str] = as_said) -> tuple[R | None, str]:
    """The report with every field of its own kind, or None and what cannot be true of it.

    The broker's own sentences in it are first put through `told`, which strikes out what they may give away, and then cut: a secret cut
    in two would not be known again.
    """
    try:
        found = read_back(item)[1]
        if found != item:
            return None, f"a field of a {_kind(item)} is not of its kind"
        wrong = _JUDGES[type(found)](found)
        found = _cut(found, told)
    except (EncodingError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError, RecursionError) as error:
        return None, f"a {_kind(item)} cannot be read ({error!s:.200})"
    return (found, "") if wrong is None else (None, wrong)


def sensible_updates(
    updates: Sequence[Update], told: Callable[[str], str] = as_said
) -> tuple[list[Update], list[tuple[Update, str]]]:
    """The updates that can be true, and the others with what is wrong with each; raise Unavailable where they are no updates at all."""
    if not isinstance(updates, tuple | list) or not all(isinstance(update, Update) for update in updates):
        raise Unavailable("the broker's reports", why=f"its answer is none: {updates!r:.120}")
    good: list[Update] = []
    bad: list[tuple[Update, str]] = []
    for update in updates:
        item, wrong = believed(update.item, told)
        if item is None or not _is_cursor(update.cursor):
            bad.append((update, wrong or f"cursor {update.cursor!r:.40}"))
        else:
            good.append(replace(update, item=item))
    return good, bad


def sensible_snapshot(snapshot: BrokerSnapshot, told: Callable[[str], str] = as_said) -> tuple[BrokerSnapshot, str | None]:
    """A snapshot's sensible parts, and the first thing in it that cannot be true; then it is not complete either.

    Raises Unavailable where it is no snapshot at all.
    """
    if not isinstance(snapshot, BrokerSnapshot):
        raise Unavailable("the broker's books", why=f"its answer is none: {snapshot!r:.120}")
    wrong = _frame(snapshot)
    parts: dict[str, Any] = {}
    for name in ("orders", "positions", "fills", "settlements", "movements", "actions", "calls"):
        items = getattr(snapshot, name)
        if not isinstance(items, tuple):
            wrong, items = wrong or f"{name} are no list", ()
        judged = [believed(item, told) for item in items]
        wrong = wrong or next((why for item, why in judged if item is None), None)
        parts[name] = tuple(item for item, _ in judged if item is not None)
    parts["complete"] = snapshot.complete is True and wrong is None
    return replace(snapshot, **parts), wrong


def words(text: str) -> str:
    """A broker's sentence at a length that can be stored and read."""
    return text if len(text) <= LONGEST_WORDS else f"{text[:LONGEST_WORDS]} ..."


# --- judges ---------------------------------------------------------------------------------------------------------------


def _cut(item: R, told: Callable[[str], str]) -> R:
    """The report with the broker's own sentences as they may be told, at a length that can be stored and read."""
    said = {name: text for name in _SENTENCES if isinstance(text := getattr(item, name, None), str)}
    cut: dict[str, Any] = {name: short for name, text in said.items() if (short := words(told(text))) != text}
    return replace(item, **cut) if cut else item  # type: ignore[type-var]  # only what has a judge comes here, and these are dataclasses


def _frame(snapshot: BrokerSnapshot) -> str | None:
    complete: object = snapshot.complete  # what an adapter hands over is no more than it seems
    cash: object = snapshot.cash
    at: object = snapshot.at
    if type(complete) is not bool:
        return "whether the books are complete is not said"
    if not _is_cursor(snapshot.cursor):
        return f"cursor {snapshot.cursor!r:.40}"
    if not isinstance(at, datetime) or at.tzinfo is None or at.year not in YEARS:
        return f"a time of {at!r:.60}"
    return _amounts(cash=cash) if isinstance(cash, Decimal) else "cash is no amount"


def _order_report(item: OrderReport) -> str | None:
    return _names(item.client_id, item.broker_ref) or _price(item.limit)


def _broker_order(item: BrokerOrder) -> str | None:
    named = _names(item.broker_ref) or (None if item.client_id is None else _names(item.client_id))
    sane = named or _price(item.limit) or _count(item.quantity, least=0) or _count(item.filled, least=0)
    return sane or next((wrong for leg in item.legs or () if (wrong := _thing(leg.instrument)) is not None), None)


def _position(item: BrokerPosition) -> str | None:
    return _thing(item.instrument) or _count(item.quantity, least=-MOST_UNITS)


def _fill(item: Fill) -> str | None:
    if isinstance(item.instrument, Cash | Index):
        return f"an execution of {item.instrument.key!r:.40}, which is not traded"
    named = _names(item.exec_id, *(name for name in (item.client_id, item.corrects) if name is not None))
    sane = named or _thing(item.instrument) or _count(item.quantity, least=0 if item.busted else 1) or _when(item.at)
    if sane is not None:
        return sane
    if item.price < 0 and not isinstance(item.instrument, Future):
        return f"a price of {item.price}"
    digits = len(item.price.as_tuple().digits) + len(str(item.quantity)) + len(str(item.instrument.multiplier))
    if digits > MOST_DIGITS:
        return f"more digits than can be booked exactly: {item.quantity} at {item.price}"
    return _price(item.price) or _amounts(fees=item.fees, value=item.price * item.quantity * item.instrument.multiplier)


def _settled(item: Settled) -> str | None:
    sane = _names(item.settlement_id, item.outcome) or _thing(item.instrument) or _when(item.at)
    sane = sane or _count(item.quantity, least=-MOST_UNITS) or _count(item.shares, least=-MOST_UNITS)
    if sane is not None:
        return sane
    if not item.quantity:
        return "a settlement of nothing"
    if item.shares and not item.share_symbol:
        return f"{item.shares} shares of nothing"
    return _amounts(cash=item.cash, fees=item.fees, value=item.value or Decimal(0))


def _moved(item: CashMoved) -> str | None:
    return _names(item.movement_id, item.reason) or _when(item.at) or _amounts(amount=item.amount)


def _action(item: CorporateAction) -> str | None:
    sane = _names(item.action_id, item.symbol) or _when(item.at) or _count(item.new, least=1) or _count(item.old, least=1)
    if sane is not None or not item.lines:
        return sane or "a corporate action on nothing"
    if len({line.instrument.key for line in item.lines}) != len(item.lines):
        return "a corporate action that names a holding twice"
    for line in item.lines:
        sane = _thing(line.instrument) or _thing(line.successor) or _amounts(cash=line.cash)
        sane = sane or _count(line.quantity, least=-MOST_UNITS) or _count(line.becomes, least=-MOST_UNITS)
        if sane is not None:
            return sane
        if not line.quantity or line.quantity * line.becomes < 0:
            return f"{line.quantity} of {line.instrument.key!r:.40} that become {line.becomes}"
    return None


def _called(item: MarginCalled) -> str | None:
    sane = _names(item.call_id) or _when(item.at) or (None if item.due_at is None else _when(item.due_at)) or _amounts(amount=item.amount)
    return sane or (None if item.amount >= 0 else f"a call for {item.amount}")


def _preview(item: Preview) -> str | None:
    return _amounts(**{
        name.replace("_", " "): getattr(item, name)
        for name in ("margin_before", "margin_after", "buying_power_before", "buying_power_after", "commission")
    })


_JUDGES: dict[type, Any] = {
    OrderReport: _order_report, BrokerOrder: _broker_order, BrokerPosition: _position, Fill: _fill, Settled: _settled, CashMoved: _moved,
    CorporateAction: _action, MarginCalled: _called, Preview: _preview,
}


def _names(*names: str) -> str | None:
    wrong = [name for name in names if not (0 < len(name) <= LONGEST_NAME and name.isprintable())]
    return f"a name of {wrong[0]!r:.40}" if wrong else None


def _thing(item: Instrument) -> str | None:
    if isinstance(item, Option | Future) and not FIRST_YEAR <= item.expiry.year <= LAST_YEAR:
        return f"an expiry of {item.expiry}"  # outside, no calendar says when it ends
    if isinstance(item, Option):
        return _names(item.underlying, item.root) or (None if item.deliverable is None else _names(item.deliverable.symbol))
    return _names(item.root if isinstance(item, Future) else item.key if isinstance(item, Equity | Index) else item.currency)


def _count(count: int, *, least: int) -> str | None:
    return None if least <= count <= MOST_UNITS else f"a count of {count:.3E}" if abs(count) > MOST_UNITS else f"a count of {count}"


def _price(price: Decimal) -> str | None:
    return None if abs(price) <= MOST_PRICE and _decimals(price) <= MOST_DECIMALS else f"a price of {price:.6E}"


def _amounts(**amounts: Decimal) -> str | None:
    for name, amount in amounts.items():
        if not amount.is_finite() or abs(amount) > MOST_MONEY or _decimals(amount) > MOST_DECIMALS:
            return f"{name} of {amount:.6E}"
    return None


def _decimals(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _when(at: datetime) -> str | None:
    return None if at.year in YEARS else f"a time of {at.isoformat()}"


def _is_cursor(cursor: object) -> bool:
    return type(cursor) is int and 0 <= cursor <= LARGEST_CURSOR


def _kind(item: object) -> str:
    return type(item).__name__
