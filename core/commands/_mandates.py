"""What a person asks for when granting a mandate, and how one stands, in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from core import plugins
from core.clock import exchange_date
from core.command import Call
from core.commands._accounts import connected
from core.desk import Desk
from core.domain.accounts import AccountId
from core.domain.instruments import SERIES
from core.domain.mandates import MOST_CONCESSION_FRACTION, MOST_CONCESSION_POINTS, Mandate, MandateAction, MandateState
from core.errors import UserError
from core.orders import mandates
from core.orders.states import Order
from core.reply import Block, Cell, Column, Format, Notice, Table, Tone

DAYS, MOST_DAYS = 30, 366
ORDERS_PER_DAY = 3


def standing_words(desk: Desk, state: MandateState) -> str:
    """How a mandate stands, in a few words."""
    if not state.in_force:
        return state.ended
    if mandates.is_lapsed(desk, state):
        return "covers nothing: a setting it was granted on has changed"
    return f"in force, {state.sent_today} of {state.mandate.max_orders_per_day} orders sent today"


def mandates_table(desk: Desk, account: AccountId | None = None) -> tuple[Table, ...]:
    """The mandates in force, of one account where it is named; no table where there is none."""
    states = [state for state in desk.fold.mandates(now=desk.now()).values() if state.in_force and account in (None, state.mandate.account)]
    if not states:
        return ()
    columns = (
        Column(title="mandate"), Column(title="may"), Column(title="when"), Column(title="trades"), Column(title="at most"),
        Column(title="stands"), Column(title="until", format=Format.DATE),
    )
    return (Table(title="Mandates in force", columns=columns, rows=tuple(_row(desk, state) for state in states), source="log"),)


def _row(desk: Desk, state: MandateState) -> tuple[Cell, ...]:
    mandate = state.mandate
    where = "any underlying" if mandate.symbols is None else ", ".join(mandate.symbols)
    return (
        mandate.id, mandate.action.value, ", ".join(mandate.rules), f"{', '.join(mandate.strategies)} on {where}",
        mandates.units_words(mandate), standing_words(desk, state), exchange_date(mandate.valid_until),
    )


def left_over(orders: Sequence[Order]) -> list[Block]:
    """What its orders that have not ended come to: those the broker has work on, those on their way are stopped if they have not left."""
    there = ", ".join(order.client_id for order in orders if order.broker_ref is not None)
    leaving = ", ".join(order.client_id for order in orders if order.broker_ref is None)
    found: list[Block] = []
    if there:
        text = f"Still working at the broker, as it was sent: {there}. An exit is never silently withdrawn."
        found.append(Notice(text=text, tone=Tone.WARNING))
    if leaving:
        text = f"On its way when you revoked it: {leaving}. If it has not left the desk it does not leave any more; `status` shows it."
        found.append(Notice(text=text, tone=Tone.WARNING))
    return found


def _underlying(symbol: str) -> str:
    """What trades are known by: SPX for SPXW."""
    series = SERIES.get(symbol)
    return symbol if series is None else series.underlying


def asked(desk: Desk, call: Call) -> Mandate:
    """The mandate a call asks for; what is left out has the usual bound, and the quantity must be said."""
    args, account = call.args, connected(desk.account(call.caller, call.args.get("account")))
    if args.get("rule") is None:
        rules = ", ".join(plugins.names("exits"))
        raise UserError("Which rule may act by itself?", f"One of {rules}, as in `mandate grant profit_target quantity=1`.")
    if args.get("quantity") is None:
        raise UserError("How many units may one order close?", "Say it, as in quantity=2.")
    item = next(item for item in desk.exits if item.name == args["rule"])
    served = tuple(name for name in plugins.names("strategies") if item.serves(name))
    strategies = served if args.get("strategy") is None else (args["strategy"],)
    if not set(strategies) <= set(served):
        raise UserError(f"{item.name} is not for {strategies[0]} trades.", f"It is for {', '.join(served)}.")
    days = args.get("days", DAYS)
    if not 1 <= days <= MOST_DAYS:
        raise UserError(f"A mandate lasts 1 to {MOST_DAYS} days, not {days}.", "Grant it again when it has run out.")
    concession = args.get("concession", MOST_CONCESSION_POINTS)
    if concession > MOST_CONCESSION_POINTS:
        most = f"A mandate concedes at most {MOST_CONCESSION_POINTS} a share beyond natural, not {concession}."
        raise UserError(most, "Name less, or leave it out.")
    whole = concession == MOST_CONCESSION_POINTS
    return Mandate(
        id=mandates.new_mandate_id(desk), account=account.id, rules=(item.name,), action=MandateAction.CLOSE, strategies=strategies,
        symbols=None if args.get("symbol") is None else (_underlying(args["symbol"]),), max_quantity=args["quantity"],
        max_orders_per_day=args.get("orders", ORDERS_PER_DAY), concession_points=concession,
        concession_fraction=MOST_CONCESSION_FRACTION if whole else Decimal(0), valid_until=desk.now() + timedelta(days=days),
        granted_by=call.caller.person, chat=call.caller.chat, terms=desk.exit_terms((item.name,), strategies),
    )
