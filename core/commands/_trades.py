"""What several commands look at: an account's open trades and other holdings, priced in one view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.clock import exchange_date
from core.command import Call
from core.commands._accounts import accounts_of
from core.desk import Desk
from core.domain.accounts import Account
from core.domain.calendar import exchange_day, session, session_date
from core.domain.events import CashMoved
from core.domain.instruments import Instrument, Option, underlying_instrument
from core.domain.money import ZERO
from core.domain.orders import Side
from core.errors import Unavailable
from core.market.view import ChainNeed, Needs, View
from core.marks import net_liquidation
from core.orders.expiry_day import unreported
from core.portfolio.book import Book
from core.portfolio.pnl import Held, OpenResult, open_result, untraded
from core.risk.measures import funds, maintenance_of

PAGE = 500
NOT_REPORTED = "UNKNOWN UNTIL THE BROKER REPORTS IT"  # trading is over, and a holder may still have exercised


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """An account's holdings in one view of the market."""

    account: Account
    book: Book
    view: View
    trades: tuple[OpenResult, ...]
    rest: Held  # outside trades


@dataclass(frozen=True, slots=True, kw_only=True)
class DayResult:
    """Change of net liquidation value since the prior session's close, net of deposits; None where there is no such mark."""

    net_liquidation: Decimal
    pnl: Decimal | None
    since: str
    stale: tuple[str, ...]
    margin: Decimal | None = None  # Reg-T requirement of everything held and working, by our own engine
    buying_power: Decimal | None = None
    kept: Decimal | None = None  # what keeping all of that asks for


async def holdings_of(desk: Desk, call: Call, *, symbol: str | None = None) -> tuple[Holdings, ...]:
    """Holdings of the account a call means (of every one with account=all) in one view, of one underlying where `symbol` names it."""
    return await priced_holdings(desk, accounts_of(desk, call), symbol=symbol)


async def priced_holdings(desk: Desk, accounts: Sequence[Account], *, symbol: str | None = None) -> tuple[Holdings, ...]:
    """Load one view of everything held in some accounts and value it."""
    books = [desk.book(account.id) for account in accounts]
    view = await desk.reader.view(marked_needs(desk, (position.instrument for book in books for position in book.positions.values())))
    return tuple(_valued(account, book, view, symbol) for account, book in zip(accounts, books, strict=True))


def _valued(account: Account, book: Book, view: View, symbol: str | None) -> Holdings:
    held = book.held_by_trade
    trades = tuple(
        open_result(trade, held[trade.id], view) for trade in book.open_trades if symbol is None or trade.underlying == symbol
    )
    rest = {
        key: pair for key, pair in untraded(book.positions, held).items() if symbol is None or underlying_of(pair[0]) == symbol
    }
    return Holdings(account=account, book=book, view=view, trades=trades, rest=rest)


def needs_of(instruments: Iterable[Instrument]) -> Needs:
    """Quotes of instruments and of their underlyings."""
    wanted: set[Instrument] = set()
    for instrument in instruments:
        wanted.add(instrument)
        if isinstance(instrument, Option):
            wanted.add(underlying_instrument(instrument.underlying))
    return Needs(instruments=frozenset(wanted))


def marked_needs(desk: Desk, instruments: Iterable[Instrument]) -> Needs:
    """The same with the chain of every expiry: a forward read from it gives the Greeks the card showed."""
    wanted, today = tuple(instruments), session_date(desk.now())
    days = {(option.underlying, (option.expiry - today).days) for option in wanted if isinstance(option, Option)}
    chains = frozenset(ChainNeed(symbol=symbol, first_dte=dte, last_dte=dte) for symbol, dte in days if dte >= 0)
    return needs_of(wanted) | Needs(chains=chains)


def underlying_of(instrument: Instrument) -> str:
    """The symbol an instrument's risk is on."""
    return instrument.underlying if isinstance(instrument, Option) else instrument.key


async def day_result(desk: Desk, account: Account) -> DayResult:
    """P&L of the day as the brakes measure it: NLV against the last mark of an earlier session, deposits taken out, at mids."""
    book = desk.book(account.id)
    view = await desk.reader.view(needs_of(instrument for instrument, _ in {**book.holdings(), **book.exposed()}.values()))
    value, stale = net_liquidation(book, view)
    margin, power = funds(book.exposed(), book=book, view=view)
    kept = maintenance_of(book.exposed(), kind=account.kind, view=view)
    today = exchange_day(desk.now())
    mark = desk.fold.last_mark(account.id, before=today)
    if mark is None:
        pnl = value - book.deposits
        return DayResult(net_liquidation=value, pnl=pnl, since="the start", stale=stale, margin=margin, buying_power=power, kept=kept)
    closed = session(mark.session)
    moved = ZERO if closed is None else await _deposits_since(desk, account, closed.close_at)
    change = value - Decimal(str(mark.net_liquidation)) - moved
    since = f"the close of {mark.session.day} {mark.session:%b %y}"
    return DayResult(net_liquidation=value, pnl=change, since=since, stale=stale, margin=margin, buying_power=power, kept=kept)


async def _deposits_since(desk: Desk, account: Account, at: datetime) -> Decimal:
    """Deposits less withdrawals after an instant, from the end of the log backwards."""
    total, last = ZERO, desk.fold.seq
    while last > 0:
        first = max(0, last - PAGE)
        events = await desk.store.read(after=first, limit=last - first)
        for event in events:
            body = event.body
            if isinstance(body, CashMoved) and body.account == account.id and body.reason in ("deposit", "withdrawal") and body.at > at:
                total += body.amount
        if events and events[0].at < at:
            break
        last = first
    return total


def short_delta(result: OpenResult, view: View) -> float | None:
    """The largest absolute delta among the short options held, None where there is none or it is unknown."""
    found: list[float] = []
    for instrument, quantity in result.held.values():
        if quantity < 0 and isinstance(instrument, Option):
            try:
                delta = view.mark(instrument).delta
            except Unavailable:
                return None
            if delta is None:
                return None
            found.append(abs(delta))
    return max(found, default=None)


def distance_to_strike(result: OpenResult, view: View) -> float | None:
    """How far the underlying is from the nearest short strike, as a fraction of its price; negative in the money."""
    try:
        spot = view.spot(result.trade.underlying)
    except Unavailable:
        return None
    found = [
        (spot - float(instrument.share_strike)) / spot * (1 if instrument.right.value == "put" else -1)
        for instrument, quantity in result.held.values()
        if quantity < 0 and isinstance(instrument, Option)
    ]
    return min(found, default=None)


def flags_of(result: OpenResult, view: View, *, close_dte: Mapping[str, int]) -> str:
    """What deserves a look, in a few words."""
    words: list[str] = []
    trade = result.trade
    counts = {abs(quantity) for _, quantity in result.held.values()}
    living = [leg for leg in trade.legs if leg.instrument.key not in result.run_out]
    expected = {leg.ratio * trade.open_units for leg in living}
    if counts != expected or len(result.held) != len(living):
        words.append("UNEVEN LEGS")
    elif result.run_out:
        words.append("the near leg has ended")
    distance = distance_to_strike(result, view)
    if distance is not None and distance < 0:
        words.append("IN THE MONEY")
    if result.expiry is not None:
        dte = (result.expiry - view.session).days
        if any(True for _ in unreported(result.held, view.at)):
            words.append(NOT_REPORTED)
        elif dte < 0:
            words.append("settlement pending")
        elif dte == 0:
            words.append("expires today")
        elif dte <= close_dte.get(trade.strategy, -1) < (result.expiry - exchange_date(trade.opened_at)).days:
            words.append(f"{dte} day{'' if dte == 1 else 's'} left: close or roll")
    if result.stale:
        words.append("no price")
    if any(leg.side is Side.SELL for leg in trade.legs) and distance is not None and 0 <= distance < 0.01:
        words.append("near the strike")
    return ", ".join(words)
