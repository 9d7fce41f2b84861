"""Delta, gamma, theta and vega of everything held, by underlying and together, in money.

Delta is the gain for +1% of the underlying, gamma its change for a further 1%, theta per calendar day, vega per point of volatility.
Example: short one SPX put of delta -0.20 with SPX at 3,000 gains 600 USD for +1%.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._accounts import TOGETHER, accounts_of, words_of_accounts
from core.commands._greeks_profile import profile_chart
from core.commands._trades import marked_needs, underlying_of
from core.desk import Desk
from core.domain.accounts import Account
from core.domain.instruments import Option
from core.errors import Unavailable
from core.market.view import View
from core.portfolio.exposure import exposure
from core.portfolio.pnl import Held
from core.reply import Block, Cell, Chart, Column, Fact, Facts, Format, Notice, Reply, Table, Text, Tone
from core.risk.measures import CLUSTER, added

COLUMNS = (
    Column(title="underlying"), Column(title="delta +1%", format=Format.MONEY, unit="USD", signed=True),
    Column(title="gamma 1%", format=Format.MONEY, unit="USD", signed=True),
    Column(title="theta day", format=Format.MONEY, unit="USD", signed=True),
    Column(title="vega point", format=Format.MONEY, unit="USD", signed=True),
)


async def run(desk: Desk, call: Call) -> Reply:
    """Sum what is held; an underlying with a contract nobody can price is unknown, and so is the total."""
    accounts = accounts_of(desk, call)
    symbol = call.args.get("symbol")
    by_account = {account.name: _held(desk, account, symbol) for account in accounts}
    held = added(*by_account.values())
    where = words_of_accounts(accounts)
    if not any(by_account.values()):
        return Reply(blocks=(Text(text=f"Nothing is held{f' of {symbol}' if symbol else ''} in {where}: every Greek is zero."),))
    instruments = [instrument for one in by_account.values() for instrument, _ in one.values()]
    view = await desk.reader.view(marked_needs(desk, instruments))
    symbols = sorted({underlying_of(instrument) for instrument in instruments})
    rows = [_row(name, {key: pair for key, pair in held.items() if underlying_of(pair[0]) == name}, view) for name in symbols]
    cluster = {key: pair for key, pair in held.items() if underlying_of(pair[0]) in CLUSTER}
    named = "+".join(name for name in symbols if name in CLUSTER)
    if "+" in named and len(symbols) > len(named.split("+")):
        rows.append(_row(named, cluster, view))
    if len(symbols) > 1:
        rows.append(_row("together", held, view))
    total = exposure(held, view)
    blocks: list[Block] = [Table(title=f"Greeks of {where}", columns=COLUMNS, rows=tuple(rows), source=view.label)]
    if len(accounts) > 1:
        each = (*(_row(name, one, view) for name, one in by_account.items()), _row(TOGETHER, held, view))
        blocks.append(Table(title="By account", columns=(Column(title="account"), *COLUMNS[1:]), rows=each, source=view.label))
    blocks.append(Facts(facts=(_notional(by_account.values(), view), _theta_per_delta(total.theta_usd_per_day, total.delta_usd_per_pct))))
    if total.unmarked:
        text = f"No price or volatility for {', '.join(total.unmarked)}; limits assume the worst for them."
        blocks.append(Notice(text=text, tone=Tone.WARNING))
    chart = await desk.runtime.in_thread(_profile, held, view, where)
    blocks += [] if chart is None else [chart]
    if len(symbols) > 1:
        blocks.append(Text(text="Together counts every underlying as moving 1% at once (beta 1)."))
    return Reply(blocks=tuple(blocks))


def _profile(held: Held, view: View, where: str) -> Chart | None:
    return profile_chart(held, view, where=where)


def _held(desk: Desk, account: Account, symbol: str | None) -> Held:
    return {key: pair for key, pair in desk.book(account.id).holdings().items() if symbol is None or underlying_of(pair[0]) == symbol}


def _row(name: str, held: Held, view: View) -> tuple[Cell, ...]:
    found = exposure(held, view)
    return (name, found.delta_usd_per_pct, found.gamma_usd_per_pct2, found.theta_usd_per_day, found.vega_usd_per_point)


def _notional(books: Iterable[Held], view: View) -> Fact:
    """Underlying value behind the short options of each account: a long of another account does not lessen it."""
    total: float | None = 0.0
    for instrument, quantity in (pair for held in books for pair in held.values()):
        if isinstance(instrument, Option) and quantity < 0 and total is not None:
            try:
                total += -quantity * instrument.multiplier * view.spot(instrument.underlying)
            except Unavailable:
                total = None
    note = "contracts x 100 x price of the underlying"
    return Fact(label="notional of short options", value=total, format=Format.MONEY, unit="USD", note=note)


def _theta_per_delta(theta: float | None, delta: float | None) -> Fact:
    ratio = None if theta is None or not delta else theta / abs(delta)
    return Fact(label="theta / delta", value=ratio, format=Format.GREEK, note="daily decay for each USD of a 1% move")


COMMAND = Command(
    name="greeks", help="Portfolio delta, gamma, theta and vega in money, notional, theta per delta.", run=run, access=Access.READ,
    parameters=(Parameter(name="symbol", kind=Kind.SYMBOL, help="one underlying only"),),
    examples=("greeks", "greeks SPX", "greeks account=all"),
)
