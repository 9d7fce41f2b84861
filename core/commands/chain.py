"""The option chain of an underlying around the money: strikes with bid, ask, IV, delta, open interest and a liquidity score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from core.command import Access, Call, Command, Kind, Parameter, format_call
from core.desk import Desk
from core.domain.calendar import session_date
from core.domain.instruments import INDICES, SERIES, Right
from core.domain.money import CENT, from_market
from core.errors import UserError
from core.market.analytics import ChainMarks, marks
from core.market.chain import Chain
from core.market.liquidity import judge_liquidity
from core.market.view import ChainNeed, Needs, View
from core.reply import Action, Block, Cell, Column, Fact, Facts, Format, Reply, Table

ROWS = 8
DEFAULT_DTE = 30


async def run(desk: Desk, call: Call) -> Reply:
    """The strikes of one expiry."""
    args = call.args
    symbol = str(args["symbol"])
    series = SERIES.get(symbol)
    symbol, root = (symbol, None) if series is None or series.underlying == symbol else (series.underlying, symbol)
    today = session_date(desk.now())
    listed = await desk.reader.expiries(symbol)
    expiry = _expiry(symbol, listed, args, today)
    days = (expiry - today).days
    need = Needs.of_symbols(symbol) | Needs(chains=frozenset({ChainNeed(symbol=symbol, first_dte=days, last_dte=days)}))
    view = await desk.reader.view(need)
    chain = view.chain(symbol).only(expiry=expiry, root=root)
    if not len(chain):
        raise UserError(f"{root or symbol} has no contracts on {expiry}.", f"Listed are {_words(listed, today)}.")
    rights = (Right(args["right"]),) if args.get("right") else (Right.PUT, Right.CALL)
    spot = view.spot(symbol)
    centre = float(args["around"]) if args.get("around") is not None else spot
    blocks: list[Block] = [_head(view, symbol, chain, spot, days)]
    for name in sorted({str(item) for item in chain.root}):
        blocks += [_table(view, chain.only(root=name, right=right), centre, f"{name} {expiry} {right.value}s") for right in rights]
    shown = tuple(block for block in blocks if not isinstance(block, Table) or block.rows)
    return Reply(blocks=shown, actions=_actions(chain, centre, {**args, "expiry": expiry}, listed))


def _expiry(symbol: str, listed: tuple[date, ...], args: Mapping[str, Any], today: date) -> date:
    """The expiry said, or the listed one nearest to the days said; raise UserError where it is not listed."""
    if not listed:
        raise UserError(f"{symbol} lists no options.", "`help chain` shows examples.")
    said: date | None = args.get("expiry")
    dte: int | None = args.get("dte")
    if said is not None and dte is not None:
        raise UserError("expiry and dte are both given.", "Give one of them.")
    if said is not None:
        if said < today:
            raise UserError(f"expiry {said} is in the past.", f"Listed are {_words(listed, today)}.")
        if said not in listed:
            near = sorted(sorted(listed, key=lambda day: (abs((day - said).days), day))[:3])
            raise UserError(f"{symbol} has no expiry on {said}.", f"Nearest are {', '.join(str(day) for day in near)}.")
        return said
    aim = DEFAULT_DTE if dte is None else dte
    return min(listed, key=lambda day: (abs((day - today).days - aim), day))


def _words(listed: tuple[date, ...], today: date) -> str:
    return ", ".join(f"{day} ({(day - today).days} days)" for day in listed[:5]) + (" and later ones" if len(listed) > 5 else "")


def _head(view: View, symbol: str, chain: Chain, spot: float, days: int) -> Facts:
    source = chain.source
    age_seconds = (view.at - chain.at).total_seconds()
    facts = (
        Fact(label=symbol, value=from_market(spot, CENT), format=Format.PRICE, source=source),
        Fact(label="days to expiry", value=days, format=Format.INTEGER, source="calendar"),
        Fact(label="age", value=age_seconds, format=Format.AGE, source=source),
        Fact(label="quote time", value=chain.at, format=Format.TIME, source=source),
    )
    return Facts(title=f"{symbol} chain ({view.label})", facts=facts)


def _table(view: View, chain: Chain, centre: float, title: str) -> Table:
    columns = (
        Column(title="strike", format=Format.NUMBER), Column(title="bid", format=Format.PRICE), Column(title="ask", format=Format.PRICE),
        Column(title="IV", format=Format.PERCENT), Column(title="delta", format=Format.GREEK, signed=True),
        Column(title="open interest", format=Format.INTEGER), Column(title="score", format=Format.INTEGER),
        Column(title="liquidity"),
    )
    found = marks(view, chain)
    rows = tuple(_row(chain, found, row) for row in _around(chain, centre))
    return Table(title=title, columns=columns, rows=rows, source=chain.source)


def _around(chain: Chain, centre: float) -> list[int]:
    """The rows nearest to a price, highest strike first."""
    nearest = np.argsort(np.abs(chain.strike - centre), kind="stable")[:ROWS]
    return [int(row) for row in sorted(nearest, key=lambda row: -chain.strike_milli[row])]


def _row(chain: Chain, found: ChainMarks, row: int) -> tuple[Cell, ...]:
    usable = bool(chain.usable[row])
    interest = None if chain.open_interest[row] < 0 else int(chain.open_interest[row])
    spread, mid = (float(chain.ask[row] - chain.bid[row]), float(chain.mid[row])) if usable else (math.nan, math.nan)
    score = judge_liquidity(mid=mid, spread=spread, open_interest=interest, index=chain.symbol in INDICES)
    prices: tuple[Cell, ...] = (from_market(chain.bid[row], CENT), from_market(chain.ask[row], CENT)) if usable else (None, None)
    strike = Decimal(int(chain.strike_milli[row])) / 1000
    return (strike, *prices, _known(found.iv[row]), _known(found.delta[row]), interest, score.score, score.word)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _actions(chain: Chain, centre: float, args: Mapping[str, Any], listed: tuple[date, ...]) -> tuple[Action, ...]:
    """Higher and lower strikes, and the next expiry."""
    strikes = np.unique(chain.strike_milli)
    place = int(np.abs(strikes - centre * 1000).argmin())
    kept = {name: value for name, value in args.items() if name not in ("around", "dte")}
    found = []
    for label, step in (("Lower strikes", -ROWS), ("Higher strikes", ROWS)):
        there = min(max(place + step, 0), len(strikes) - 1)
        if there != place:
            strike = Decimal(int(strikes[there])) / 1000
            found.append(Action(label=label, line=format_call(COMMAND, {**kept, "around": strike})))
    later = [day for day in listed if day > args["expiry"]]
    if later:
        found.append(Action(label=f"Next expiry {later[0]}", line=format_call(COMMAND, {**kept, "expiry": later[0]})))
    return tuple(found)


COMMAND = Command(
    name="chain",
    help=f"The option chain around the money: {ROWS} strikes of one expiry, near {DEFAULT_DTE} days where you name none.",
    run=run,
    access=Access.READ,
    parameters=(
        Parameter(name="symbol", kind=Kind.SYMBOL, required=True, help="the underlying, such as SPX; SPXW names the series too"),
        Parameter(name="expiry", kind=Kind.DATE, help="exact expiry"),
        Parameter(name="right", kind=Kind.CHOICE, choices=("put", "call"), help="put or call; both where left out"),
        Parameter(name="dte", kind=Kind.INTEGER, help="days to expiry to aim at", positional=False),
        Parameter(name="around", kind=Kind.MONEY, help="strike to show the rows around", positional=False),
    ),
    examples=("chain SPX", "chain SPY put dte=45", "chain XSP 2026-12-18 call around=690"),
)
