"""One trade ties up at most a small share of the account: 5% of net liquidation value (NLV).

Capital is the most the trade can lose if that is defined, cash secured for a cash-secured put, the price of shares, and for naked options
the larger of the requirement and the loss at (-20%, VIX +40). The same legs already held or working count as one trade with this order.
Under 10,000 USD one contract may take 8%, since it cannot be divided.

Worked example: NLV 100,000 USD, limit 5,000 USD. One 50 wide SPX put spread sold for 1.00 can lose (50 - 1.00) x 100 = 4,900 USD: passes.
Two lose 9,800 USD: refused, 1 fits.
"""

from decimal import Decimal

from core.domain.orders import Effect
from core.domain.structures import Trade
from core.errors import Unavailable
from core.risk.exam import Exam, Finding, blocking, legs_key, passing
from core.risk.examine import legs_payoff
from core.risk.measures import capital_by_underlying
from core.risk.usage import Stand, Use
from core.settings import Kind, Loosens, Parameters, Setting

NAME = "capital"
CLASS = "soft"
PARAMETERS: tuple[Setting, ...] = (
    Setting(
        name="max_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.05"),
        help="capital of one trade, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.001"),
        high=Decimal("0.5"),
    ),
    Setting(
        name="small_account_fraction",
        kind=Kind.FRACTION,
        default=Decimal("0.08"),
        help="capital of a single contract in a small account, of NLV",
        loosens=Loosens.UP,
        low=Decimal("0.001"),
        high=Decimal("0.5"),
    ),
    Setting(
        name="small_account_usd",
        kind=Kind.MONEY,
        default=Decimal(10000),
        unit="USD",
        help="an account under this is small",
        loosens=Loosens.UP,
        low=Decimal(0),
        high=Decimal(100000),
    ),
)


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Compare the capital of the trade with its share of NLV."""
    worth, capital, quantity = exam.before.net_liquidation, exam.capital, exam.intent.quantity
    if worth is None:
        raise Unavailable("net liquidation value", why="a position has no usable price")
    if capital is None:
        raise Unavailable("capital of the trade", why="a price it needs is unknown")
    per_unit = capital / quantity
    already = _already(exam)
    whole = capital + already * per_unit
    limit = worth * parameters.number("max_fraction")
    if worth < parameters.number("small_account_usd") and already + quantity == 1:
        limit = max(limit, worth * parameters.number("small_account_fraction"))
    measured, most = f"{whole:,.0f} USD", f"{limit:,.0f} USD"
    if whole <= limit or capital == 0:
        return passing(NAME, CLASS, measured=measured, limit=most, why=f"the trade ties up {measured} of {most}")
    fits = max(0, int(limit // per_unit) - already)
    held = f", {already} of them already held or working" if already else ""
    return blocking(
        NAME,
        CLASS,
        measured=measured,
        limit=most,
        fits=fits,
        why=f"the trade ties up {measured}{held}, over {most} per trade; {fits or 'none'} would fit",
        next_step=f"Ask for {fits}." if fits else "Choose a narrower or cheaper structure.",
    )


def use(stand: Stand, parameters: Parameters) -> tuple[Use, ...]:
    """The open trade that ties up most: the most it can lose, or for others what its holdings need."""
    limit = stand.worth * parameters.number("max_fraction")
    tied = [(_held_capital(stand, trade), trade.id) for trade in stand.book.open_trades]
    unknown = [name for amount, name in tied if amount is None]
    if unknown:
        return (Use(rule=NAME, what="largest trade", used=None, limit=limit, note=f"{unknown[0]}: a price is missing"),)
    amount, name = max(((amount, name) for amount, name in tied if amount is not None), default=(Decimal(0), ""))
    return (Use(rule=NAME, what="largest trade", used=amount, limit=limit, note=name),)


def _held_capital(stand: Stand, trade: Trade) -> Decimal | None:
    payoff = legs_payoff(trade.legs, trade.open_units, net_cash=trade.credit_per_unit * trade.open_units)
    if payoff is not None and payoff.defined_risk and payoff.max_loss is not None:
        return payoff.max_loss
    held = stand.book.held_by_trade[trade.id]
    amounts = capital_by_underlying(held, kind=stand.book.account.kind, view=stand.view).values()
    return None if None in amounts else sum((amount for amount in amounts if amount is not None), Decimal(0))


def _already(exam: Exam) -> int:
    """Units of the very same legs that are held or working."""
    if exam.intent.effect is not Effect.OPEN:
        return 0
    key = legs_key(exam.intent)
    working = sum(order.leaves for order in exam.book.live.values() if legs_key(order.envelope) == key)
    wanted = {(leg.instrument.key, leg.side, leg.ratio) for leg in exam.intent.legs}
    held = sum(
        trade.open_units for trade in exam.book.open_trades if {(leg.instrument.key, leg.side, leg.ratio) for leg in trade.legs} == wanted
    )
    return working + held
