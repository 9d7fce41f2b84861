"""No more than 20% of the account on one underlying; SPX, XSP and SPY count together and may take 40%.

Capital on an underlying: shares at their value, options at what was paid for them net of what is sold (a calendar, a debit spread), short
structures at their requirement or, where a short is uncovered, the loss at (-20%, VIX +40) if larger. Live opening orders count as filled.
An order that does not raise a share that is already over passes.

Worked example: NLV 100,000 USD, four 50 wide SPX spreads held: 20,000 USD of the 40,000 USD for the S&P 500 cluster. Four more pass;
five make 45,000 USD and are refused, 4 fit.
"""

from decimal import Decimal

from core.errors import Unavailable
from core.market.view import View
from core.portfolio.book import Book, add_legs
from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.measures import CLUSTER, Holdings, capital_by_underlying, underlying_of, underlyings
from core.risk.usage import Stand, Use
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "per_underlying"
CLASS = "soft"
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="max_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.20"),
        help="capital on one underlying, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.01"),
        high=Decimal(1),
    ),
    Setting(
        name="cluster_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.40"),
        help="capital on SPX, XSP and SPY together, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.01"),
        high=Decimal(1),
    ),
)
ZERO = Decimal(0)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Compare capital before and after on every underlying the order touches."""
    worth = exam.before.net_liquidation
    if worth is None:
        raise Unavailable("net liquidation value", why="a position has no usable price")
    tightest: Finding | None = None
    for symbols in sorted({_group(underlying_of(leg.instrument)) for leg in exam.intent.legs}):
        limit = worth * parameters.number("cluster_fraction" if len(symbols) > 1 else "max_fraction")
        finding = _judged(exam, symbols, limit)
        if tightest is None or (finding.fits is not None and (tightest.fits is None or finding.fits < tightest.fits)):
            tightest = finding
    assert tightest is not None  # an order has at least one leg
    return tightest


def use(stand: Stand, parameters: Parameters) -> tuple[Use, ...]:
    """Capital on every underlying held or working, the cluster as one."""
    found = []
    elsewhere = stand.beside
    for symbols in sorted({_group(name) for name in (*underlyings(stand.held), *underlyings(elsewhere))}):
        limit = stand.worth * parameters.number("cluster_fraction" if len(symbols) > 1 else "max_fraction")
        own = max(_tied_up(stand.book, held, symbols, stand.view) for held in (stand.held, stand.book.exposed(purchases=False)))
        used = own + _tied_up(stand.book, elsewhere, symbols, stand.view)
        found.append(Use(rule=NAME, what=f"capital on {'/'.join(symbols)}", used=used, limit=limit))
    return tuple(found)


def _judged(exam: Exam, symbols: tuple[str, ...], limit: Decimal) -> Finding:
    before, after = _both_ways(exam, symbols)
    name, measured, most = "/".join(symbols), f"{after:,.0f} USD", f"{limit:,.0f} USD"
    if after <= limit or after <= before:
        return passing(NAME, CLASS, measured=measured, limit=most, why=f"{name} ties up {measured} of {most}")
    per_unit = (after - before) / exam.intent.quantity
    fits = min(exam.intent.quantity - 1, max(0, int((limit - before) // per_unit)))
    return blocking(
        NAME,
        CLASS,
        measured=measured,
        limit=most,
        fits=fits,
        why=f"{name} would tie up {measured}, over {most}; {fits or 'none'} would fit",
        next_step=f"Ask for {fits}." if fits else "Trade another underlying, or close something first.",
    )


def _both_ways(exam: Exam, symbols: tuple[str, ...]) -> tuple[Decimal, Decimal]:
    """Capital before and after the order, with working purchases counted as filled or not, whichever is more."""
    without = exam.book.exposed(purchases=False, without=exam.intent.instead_of)
    with_order = dict(without)
    add_legs(with_order, exam.intent.legs, exam.intent.quantity)
    before = max(_capital(exam, exam.held_before, symbols), _capital(exam, without, symbols))
    return before, max(_capital(exam, exam.held_after, symbols), _capital(exam, with_order, symbols))


def _capital(exam: Exam, held: Holdings, symbols: tuple[str, ...]) -> Decimal:
    return _tied_up(exam.book, held, symbols, exam.view) + _tied_up(exam.book, exam.beside, symbols, exam.view)


def _tied_up(book: Book, held: Holdings, symbols: tuple[str, ...], view: View) -> Decimal:
    group = {key: item for key, item in held.items() if underlying_of(item[0]) in symbols}
    total = ZERO
    for symbol, capital in capital_by_underlying(group, kind=book.account.kind, view=view).items():
        if capital is None:
            raise Unavailable(f"capital on {symbol}", why="a price it needs is unknown")
        total += capital
    return total


def _group(symbol: str) -> tuple[str, ...]:
    return tuple(sorted(CLUSTER)) if symbol in CLUSTER else (symbol,)
