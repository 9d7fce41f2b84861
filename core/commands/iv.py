"""Implied volatility of a symbol: at the money for 30 days, rank and percentile where a history of it is known, and what was realised.

SPX, XSP and SPY are one index, of whose 30-day volatility VIX is the history. Of any other name no source has one: its rank and percentile
are unknown, and what it realised stands beside what its options imply.
Example: VIX at 18 where 63 of 252 closes lie under 18, between 12 and 36: percentile 25%, rank (18 - 12) / (36 - 12) = 25%.
"""

from __future__ import annotations

from datetime import date

from core.command import Access, Call, Command, Kind, Parameter
from core.commands._proposals import check_symbol
from core.commands._vols import WINDOW, around, implied, name_chart, realised, short_of
from core.desk import Desk
from core.domain.calendar import session_date
from core.domain.instruments import SERIES
from core.errors import Unavailable, UserError
from core.market.view import BarsNeed, ChainNeed, Needs, View
from core.market.vix import SESSIONS, Standing, standing_of
from core.reply import Action, Block, Fact, Facts, Format, Reply
from core.risk.measures import CLUSTER

INDEX = "VIX"


async def run(desk: Desk, call: Call) -> Reply:
    """One view of the chain around 30 days and of a year of bars."""
    said = str(call.args["symbol"])
    series = SERIES.get(said)
    symbol = said if series is None else series.underlying
    if symbol == INDEX:
        raise UserError("VIX is a volatility itself.", "`vix` shows its level, rank and percentile.")
    days = around(await desk.reader.expiries(symbol), session_date(desk.now()))
    indexed = symbol in CLUSTER
    view = await desk.reader.view(_needs(symbol, [(day - session_date(desk.now())).days for day in days], indexed=indexed))
    await check_symbol(desk, view, symbol)
    return await desk.runtime.in_thread(_reply, view, symbol, days, indexed)


def _needs(symbol: str, terms: list[int], *, indexed: bool) -> Needs:
    wanted = Needs.of_symbols(symbol, *((INDEX,) if indexed else ())) | Needs(
        chains=frozenset(ChainNeed(symbol=symbol, first_dte=term, last_dte=term) for term in terms),
        bars=frozenset({BarsNeed(symbol=symbol, sessions=SESSIONS + WINDOW)}),
    )
    return wanted | Needs(bars=frozenset({BarsNeed(symbol=INDEX, sessions=SESSIONS)})) if indexed else wanted


def _reply(view: View, symbol: str, days: tuple[date, ...], indexed: bool) -> Reply:
    now = implied(view, symbol, days)
    closes = _closes(view, symbol)
    index = _closes(view, INDEX) if indexed else ((), ())
    level = _level(view) if indexed else None
    moved = realised(closes[1])[-1] if closes[1] else None
    gap = None if now is None or moved is None else now - moved
    facts = [
        Fact(
            label="implied, 30 days", value=now, format=Format.PERCENT, source=view.label,
            note="at the money" if now is not None else "no quotes near the money give one",
        ),
        *_standing(standing_of(level, index[1]) if level is not None else None, level),
        Fact(
            label="realised", value=moved, format=Format.PERCENT, note=f"over {WINDOW} sessions" if moved is not None else "too few closes",
        ),
        Fact(label="implied less realised", value=gap, format=Format.PERCENT, signed=True),
    ]
    chart = name_chart(symbol, index=index, own=closes, now=now)
    blocks: list[Block] = [Facts(title=f"Implied volatility of {symbol} ({view.label})", facts=tuple(facts))]
    blocks += [] if chart is None else [chart]
    return Reply(blocks=tuple(blocks), actions=(Action(label="Chain", line=f"chain {symbol}"),), data={"symbol": symbol, "iv": now})


def _standing(found: Standing | None, level: float | None) -> list[Fact]:
    """Rank and percentile of the index; unknown, and said so, where there is no history."""
    if found is None or level is None:
        none = f"only 0 of {SESSIONS} sessions of its implied volatility are known"
        return [Fact(label=name, value=None, note=none) for name in ("percentile", "rank")]
    note = f"of {INDEX}, {SESSIONS} sessions" if found.sessions >= SESSIONS else f"of {INDEX}; {short_of(found.sessions).lower()}"
    return [
        Fact(label=INDEX, value=level, format=Format.PRICE, note="the same for SPX, XSP and SPY"),
        Fact(label="percentile", value=found.percentile, format=Format.PERCENT, note=note.rstrip(".")),
        Fact(label="rank", value=found.rank, format=Format.PERCENT, note="between the lowest and the highest close"),
    ]


def _closes(view: View, symbol: str) -> tuple[tuple[date, ...], tuple[float, ...]]:
    bars = view.bars.get(symbol)
    return ((), ()) if bars is None else (bars.days, bars.close)


def _level(view: View) -> float | None:
    try:
        return view.spot(INDEX)
    except Unavailable:
        return None


COMMAND = Command(
    name="iv", help="Implied volatility of a symbol for 30 days: rank, percentile, and what was realised.",
    run=run, access=Access.READ, parameters=(Parameter(name="symbol", kind=Kind.SYMBOL, required=True, help="such as SPX or AAPL"),),
    examples=("iv SPX", "iv AAPL"),
)
