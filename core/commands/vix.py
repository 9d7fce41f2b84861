"""VIX: level, change of the day, regime, term structure, percentile of a year, and what that says about sizes, deltas and positions today.

Example: VIX 27 with VIX3M at 26 is in the band 25-30: half the usual size, 4 of 8 positions, naked deltas at most 0.05, and inverted.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from core.clock import exchange_date
from core.command import Access, Call, Command
from core.commands._vols import index_chart
from core.desk import Desk
from core.domain.expiries import vix_expiry
from core.domain.instruments import Future
from core.errors import Unavailable
from core.market.view import BarsNeed, Needs, View
from core.market.vix import SESSIONS, SPIKE, Band, Standing, Term, band_of, naked_words, positions_of, size_of, standing_of, term_of
from core.reply import Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Tone

NEAR, MONTH, QUARTER = "VIX9D", "VIX", "VIX3M"
MONTHS = 6  # futures asked for
CONTRACT = 1000  # USD a point of a VIX future
FUTURES = (
    Column(title="future"), Column(title="days", format=Format.INTEGER), Column(title="price", format=Format.PRICE),
    Column(title="over VIX", format=Format.NUMBER, signed=True),
)


async def run(desk: Desk, call: Call) -> Reply:
    """One look at the market; what no source has is said."""
    futures = _futures(exchange_date(desk.now()))
    needs = Needs.of_symbols(NEAR, MONTH, QUARTER) | Needs(
        instruments=frozenset(futures), bars=frozenset({BarsNeed(symbol=MONTH, sessions=SESSIONS)})
    )
    view = await desk.reader.view(needs)
    level = view.spot(MONTH)
    near, quarter = _spot(view, NEAR), _spot(view, QUARTER)
    band, term = band_of(level), term_of(level, quarter)
    bars = view.bars.get(MONTH)
    closes = () if bars is None else bars.close
    standing = standing_of(level, closes)
    change = level / closes[-1] - 1 if closes else None
    blocks: list[Block] = [
        Facts(title=f"VIX, {view.label}", facts=(*_level(level, change, standing), *_curve(level, near, quarter, term))),
        *_table(view, futures, level), Facts(title="What it says for new entries", facts=_advice(desk, level, band, term)),
        Notice(text=_enforced()),
    ]
    chart = None if bars is None else index_chart(MONTH, bars.days, closes, level=level, standing=standing)
    blocks += [] if chart is None else [chart]
    if change is not None and change > SPIKE:
        blocks.insert(1, Notice(text=f"VIX rose {change:.0%} today, over {SPIKE:.0%}: premium is dear, and so is risk.", tone=Tone.WARNING))
    return Reply(blocks=tuple(blocks), data={"vix": level, "band": band.name, "term": term.value})


def _futures(today: date) -> list[Future]:
    """The next monthly VIX futures by the morning they settle on."""
    months = [divmod(today.year * 12 + today.month - 1 + ahead, 12) for ahead in range(MONTHS + 1)]
    days = [vix_expiry(year, month + 1) for year, month in months]
    return [Future(root="VX", expiry=day, multiplier=CONTRACT) for day in days if day > today][:MONTHS]


def _spot(view: View, symbol: str) -> float | None:
    try:
        return view.spot(symbol)
    except Unavailable:
        return None


def _level(level: float, change: float | None, standing: Standing | None) -> list[Fact]:
    facts = [
        Fact(label="level", value=level, format=Format.PRICE),
        Fact(label="day change", value=change, format=Format.PERCENT, signed=True, note="" if change is None else "since the last close"),
    ]
    if standing is None:
        return [*facts, Fact(label="percentile", value=None, format=Format.PERCENT, note="no closes to compare with")]
    note = f"of {SESSIONS} days" if standing.sessions >= SESSIONS else f"only {standing.sessions} of {SESSIONS} days"
    return [
        *facts, Fact(label="percentile", value=standing.percentile, format=Format.PERCENT, note=note),
        Fact(label="rank", value=standing.rank, format=Format.PERCENT, note="between the lowest and the highest close"),
    ]


def _curve(level: float, near: float | None, quarter: float | None, term: Term) -> list[Fact]:
    words = "one look; a rule takes two, 5 minutes apart"
    if quarter is None:
        words = "VIX3M is missing: counts as inverted for entries, never as a reason to close"
    ratio = None if quarter is None else level / quarter
    return [
        Fact(label=NEAR, value=near, format=Format.PRICE, note="9 days" if near is not None else "no source has it"),
        Fact(label=QUARTER, value=quarter, format=Format.PRICE, note="3 months" if quarter is not None else "no source has it"),
        Fact(label="VIX / VIX3M", value=ratio, format=Format.GREEK), Fact(label="term structure", value=term.value, note=words),
    ]


def _table(view: View, futures: list[Future], level: float) -> list[Block]:
    rows: list[tuple[Cell, ...]] = []
    for future in futures:
        try:
            price = view.mid(future)
        except Unavailable:
            continue
        rows.append((f"/VX {future.expiry:%b %y}", (future.expiry - exchange_date(view.at)).days, price, price - level))
    if not rows:
        return [Notice(text="No source has prices of VIX futures now.")]
    return [Table(title="VIX futures", columns=FUTURES, rows=tuple(rows), source=view.label)]


def _advice(desk: Desk, level: float, band: Band, term: Term) -> tuple[Fact, ...]:
    usual = desk.settings.parameters("rules", "positions").whole("max_positions")
    size, high = size_of(band, term), "" if band.high == float("inf") else f" to {band.high:.0f}"
    span = f"under {band.high:.0f}" if not band.low else f"{band.low:.0f}{high}" if high else f"{band.low:.0f} and over"
    by = "the term structure" if size < band.size else "the level"
    cap: Decimal | None = band.naked_delta
    return (
        Fact(label="regime", value=band.name, note=f"VIX {span}{'; ' + band.words if band.words else ''}"),
        Fact(label="size", value=size, format=Format.PERCENT, note=f"of the usual, by {by}"),
        Fact(label="positions", value=positions_of(band, usual), format=Format.INTEGER, note=f"of {usual}"),
        Fact(label="naked puts, strangles", value=naked_words(level), note="" if cap is None else f"delta at most {cap}"),
        Fact(label="other deltas", value=band.delta, format=Format.PERCENT, note="of each strategy's own"),
        *((Fact(label="naked positions held", value="close them", note="deeply inverted"),) if term is Term.DEEP else ()),
    )


def _enforced() -> str:
    return (
        "Advice: the gate enforces none of it, nothing is cut or refused for the level of VIX. What it does enforce is in `risk`: the size "
        "of a trade, the number of positions, margin, and a stress with VIX up to 40 points higher."
    )


COMMAND = Command(
    name="vix", help="VIX: level, regime, term structure, percentile, and what it says about sizes, deltas and positions today.", run=run,
    access=Access.READ, examples=("vix",),
)
