"""No order on a missing, insane, delayed or old price, of any leg or of its underlying.

Rejected are negative prices, no number, bid above ask and no ask. A bid of 0 is normal for a far option: it may be bought, or sold to
close, but not sold to open. Age is trading time, so a Friday close is not old on Monday's open.

Worked example: a put bid 3.10, asked 3.30, quoted 45 seconds ago passes the limit of 120 seconds; the same quote 300 seconds old does
not. A put bid 0.00, asked 0.05 cannot be sold to open.
"""

from decimal import Decimal

from core.domain.instruments import Instrument, InstrumentError, Option, underlying_instrument
from core.domain.orders import Effect, Side
from core.errors import Unavailable
from core.market.quote import QuoteState, session_age_seconds
from core.market.view import View
from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.measures import underlying_of
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "quotes"
CLASS = "hard"
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="max_age_seconds",
        kind=Kind.INTEGER,
        default=120,
        unit="s",
        help="a price older than this in trading time is too old",
        loosens=Loosens.UP,
        low=Decimal(1),
        high=Decimal(3600),
    ),
    Setting(
        name="max_ahead_seconds",
        kind=Kind.INTEGER,
        default=5,
        unit="s",
        help="a price may be ahead of the desk's clock by this much",
        loosens=Loosens.UP,
        low=Decimal(0),
        high=Decimal(60),
    ),
)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Look at each leg, then at each underlying."""
    most, ahead = parameters.whole("max_age_seconds"), parameters.whole("max_ahead_seconds")
    oldest = 0.0
    for leg in exam.intent.legs:
        quote, name = exam.view.quote(leg.instrument), _name(leg.instrument)
        if not quote.state.usable:
            return _refused(quote.state.value, "a sane quote", f"the quote of {name} is unusable: {quote.state.value}")
        if quote.state is QuoteState.NO_BID and leg.side is Side.SELL and leg.effect is Effect.OPEN:
            return _refused("bid 0.00", "a bid", f"nobody bids for {name}; it cannot be sold to open")
        if quote.delayed:
            return _refused("delayed", "live quotes", f"the quote of {name} is delayed")
        oldest, finding = _aged(oldest, _age(exam.view, leg.instrument), name, most, ahead)
        if finding is not None:
            return finding
    for symbol in sorted({underlying_of(leg.instrument) for leg in exam.intent.legs}):
        oldest, finding = _aged(oldest, _underlying_age(exam.view, symbol), symbol, most, ahead)
        if finding is not None:
            return finding
    return passing(NAME, CLASS, measured=f"{oldest:.0f} s", limit=f"{most} s", why=f"every quote is sane, the oldest {oldest:.0f} s old")


def _aged(oldest: float, age: float, name: str, most: int, ahead: int) -> tuple[float, Finding | None]:
    if age > most:
        return age, _refused(f"{age:.0f} s", f"{most} s", f"the quote of {name} is {age:,.0f} s old, the limit is {most} s")
    if age < -ahead:
        return oldest, _refused(f"{age:.0f} s", f"{ahead} s ahead", f"the quote of {name} is {-age:.0f} s ahead of the desk's clock")
    return max(oldest, age), None


def _age(view: View, instrument: Instrument) -> float:
    try:
        return view.session_age_seconds(instrument)
    except InstrumentError:  # an adjusted series: its hours are not tabled, the equity session's count
        return session_age_seconds(view.quote(instrument).at, view.at)


def _underlying_age(view: View, symbol: str) -> float:
    """Age of the underlying's own quote, or of the chain that carries its price."""
    view.spot(symbol)
    try:
        return view.session_age_seconds(underlying_instrument(symbol))
    except Unavailable:
        return session_age_seconds(view.chain(symbol).at, view.at)


def _refused(measured: str, limit: str, why: str) -> Finding:
    return blocking(NAME, CLASS, measured=measured, limit=limit, fits=0, why=why, next_step="Ask again when the market data is back.")


def _name(instrument: Instrument) -> str:
    return instrument.label if isinstance(instrument, Option) else instrument.key
