"""The card of a ticket: everything a person should know before pressing Confirm. Pure: equal inputs give an equal card.

Blocks are facts, tables and notices with typed cells. The hash of the blocks is stored with the ticket: what was seen is what is sent.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.accounts import Account, Env
from core.domain.events import Mode
from core.domain.instruments import Option
from core.domain.money import from_market
from core.domain.orders import Effect, Exits, Leg, Side
from core.domain.structures import describe_legs
from core.errors import Unavailable
from core.market.view import View
from core.orders.card_results import results
from core.orders.closable import position_id
from core.orders.figures import happenings, money, structure_liquidity, tax_words, unknown_happenings
from core.orders.plan_words import plan_facts, plan_kind
from core.portfolio.whose import addressed
from core.reply import Action, Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Tone
from core.risk.exam import Finding, Level, RuleClass
from core.risk.examine import net_multiplier, no_more_uncovered
from core.risk.measures import underlying_of

if TYPE_CHECKING:
    from core.orders.ticket import Priced

MODE_WORDS = {Mode.HALT: "HALTED"}
_ORDER_OF_LEVELS = (Level.BLOCK, Level.REDUCE, Level.PASS)


def draw_card(
    *, ticket_id: str, priced: Priced, now: datetime, mode: tuple[Mode, str], label: str, lead: str = "", again: bool = False,
    owner: Account | None = None,
) -> Reply:
    """Draw the card of a priced intent; it has a Confirm button only where the verdict allows the order.

    `again` says that it stands for an earlier card, whose reasons it repeats. `owner` is the account where there are several.
    """
    blocks: list[Block] = [
        *_notices(priced, mode, lead), _order(ticket_id, priced, again=again), _legs(priced), _price(priced), *_plan(priced),
        results(priced), _cost(priced), _before_after(priced), _rules(priced), _events(priced), _tax(priced),
        _data(priced, now=now, label=label),
    ]
    return Reply(
        blocks=tuple(blocks), ok=priced.verdict.allowed,
        actions=tuple(replace(item, line=addressed(item.line, owner)) for item in _actions(ticket_id, priced)),
        badge=badge_words(priced.envelope.account.env, mode[0], label), at=now,
        data={"allowed": priced.verdict.allowed, "quantity": priced.envelope.quantity},
    )


def badge_words(env: Env, mode: Mode, label: str) -> str:
    """`PAPER · HALTED · SIMULATED`: where orders go, a mode other than ACTIVE, and where prices come from."""
    words = [env.value.upper()]
    if mode is not Mode.ACTIVE:
        words.append(MODE_WORDS.get(mode, mode.value.upper()))
    return " · ".join([*words, label])


def findings_table(findings: tuple[Finding, ...], *, title: str = "Rules") -> Table:
    """Every rule's verdict with its number, failures first."""
    ordered = sorted(findings, key=lambda item: _ORDER_OF_LEVELS.index(item.level))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (item.rule, _verdict_words(item), item.measured, item.limit, "" if item.level is Level.PASS else _why(item)) for item in ordered
    )
    columns = (Column(title="rule"), Column(title="verdict"), Column(title="measured"), Column(title="limit"), Column(title="why"))
    return Table(title=title, columns=columns, rows=rows)


def blocked_words(priced: Priced) -> str:
    """What stands in the way and what would be right."""
    verdict, asked = priced.verdict, priced.envelope.quantity
    parts = [verdict.reason or "the rules do not allow this order"]
    if 0 < verdict.quantity_allowed < asked and "rules allow" not in verdict.reason:
        parts.append(f"you asked {asked}, rules allow {verdict.quantity_allowed}")
    text = f"Blocked: {'; '.join(parts)}."
    steps = [item.next_step for item in verdict.blocks if item.next_step and not item.fits]  # a smaller size is said already
    return " ".join([text, *dict.fromkeys(steps)])


def _notices(priced: Priced, mode: tuple[Mode, str], lead: str) -> list[Block]:
    found: list[Block] = [Notice(text=lead, tone=Tone.WARNING)] if lead else []
    if mode[0] is not Mode.ACTIVE:
        name = MODE_WORDS.get(mode[0], mode[0].value.upper())
        found.append(Notice(text=f"{name}: {mode[1]}" if mode[1] else name, tone=Tone.WARNING))
    found += _halted(priced)
    if not priced.verdict.allowed:
        found.append(Notice(text=blocked_words(priced), tone=Tone.BAD))
    return found


def _halted(priced: Priced) -> list[Block]:
    """An order that may be sent although something of it does not trade now: it is queued, which its card says."""
    if not priced.verdict.allowed:
        return []
    legs = priced.exam.intent.legs
    stopped = {underlying_of(leg.instrument): why for leg in legs if (why := priced.view.halt_of(leg.instrument))}
    return [
        Notice(
            text=f"{symbol} does not trade now ({why}). The order waits at the broker until it does; it may fill at the reopening price, "
            "or not at all.", tone=Tone.WARNING,
        )
        for symbol, why in stopped.items()
    ]


def _order(ticket_id: str, priced: Priced, *, again: bool) -> Facts:
    intent, account = priced.exam.intent, priced.exam.account
    verb = {Effect.OPEN: "open", Effect.CLOSE: "close", None: "roll"}[intent.effect]
    if isinstance(priced.envelope.plan, Exits):
        verb = f"arm a {plan_kind(priced.envelope.plan)} for"
    unsaid = "sized by rule" if intent.effect is Effect.OPEN else "all that is open"
    facts = [
        Fact(label="account", value=account.name, note=f"{account.id.broker} {account.id.id}, {account.id.env.value}"),
        Fact(label=verb, value=describe_legs(intent.legs), note=intent.strategy),
        Fact(label="quantity", value=intent.quantity, format=Format.INTEGER, note="as you said" if intent.quantity_said else unsaid),
        Fact(label="risk", value="reduces risk, as measured" if priced.exam.reducing else "adds risk"),
    ]
    if intent.thesis:
        facts.append(Fact(label="why", value=intent.thesis, note="when it was proposed" if again else ""))
    if intent.trade_id is not None:
        facts.append(Fact(label="trade", value=intent.trade_id))
    return Facts(title=f"Ticket {ticket_id}", facts=tuple(facts))


def _legs(priced: Priced) -> Table:
    columns = (
        Column(title="leg"), Column(title="qty", format=Format.INTEGER), Column(title="contract"),
        Column(title="days", format=Format.INTEGER),
        Column(title="bid", format=Format.PRICE), Column(title="ask", format=Format.PRICE), Column(title="IV", format=Format.PERCENT),
        Column(title="delta", format=Format.GREEK, signed=True),
    )
    sources = {quote.source for leg in priced.envelope.legs if (quote := priced.view.quotes.get(leg.instrument.key)) is not None}
    rows = tuple(_leg_row(leg, priced) for leg in priced.envelope.legs)
    return Table(title="Legs", columns=columns, rows=rows, source=", ".join(sorted(sources)) or priced.view.label)


def _leg_row(leg: Leg, priced: Priced) -> tuple[Cell, ...]:
    instrument, view = leg.instrument, priced.view
    bid, ask = _bid_ask(leg, view)
    head: tuple[Cell, ...] = (f"{leg.side.value} to {leg.effect.value}", leg.ratio * priced.envelope.quantity)
    if not isinstance(instrument, Option):
        return (*head, instrument.key, "", bid, ask, "", "")
    try:
        mark = view.mark(instrument)
        opinions: tuple[Cell, ...] = (mark.iv, mark.delta)
    except Unavailable:
        opinions = (None, None)
    return (*head, instrument.label, (instrument.expiry - view.session).days, bid, ask, *opinions)


def _bid_ask(leg: Leg, view: View) -> tuple[Decimal | None, Decimal | None]:
    try:
        quote = view.quote(leg.instrument)
    except Unavailable:
        return None, None
    return (from_market(quote.bid), from_market(quote.ask)) if quote.state.usable else (None, None)


def _plan(priced: Priced) -> list[Block]:
    """What waits for what, and what is cancelled first."""
    envelope, book = priced.envelope, priced.exam.book
    trade = book.trades.get(envelope.trade_id or "")
    entry = None
    if trade is not None and trade.opened_units and len(trade.legs) == len(envelope.legs):
        entry = trade.credit_per_unit / net_multiplier(envelope.legs)
    facts = plan_facts(envelope, entry=entry)
    found: list[Block] = [] if facts is None else [facts]
    if envelope.instead_of:
        orders = [book.orders[name] for name in envelope.instead_of if name in book.orders]
        words = ", ".join(f"{order.client_id} ({describe_legs(order.envelope.legs)})" for order in orders)
        found.append(Notice(text=f"Cancelled first, and proved so: order {words}.", tone=Tone.WARNING))
    return found


def _price(priced: Priced) -> Facts:
    plan = priced.envelope.plan
    if isinstance(plan, Exits):
        return Facts(title="Price", facts=tuple(_now(priced)))
    start_label, worst_label = _price_words(plan.start, plan.worst)
    facts = [
        Fact(label=start_label, value=abs(plan.start), format=Format.PRICE, unit="per share", note="start of a limit order for today"),
        Fact(label=worst_label, value=abs(plan.worst), format=Format.PRICE, unit="per share", note="the price is walked no further"),
    ]
    for name, price in (("in money", plan.start), ("in money at worst", plan.worst)):
        amount, note = money(priced, price), _spelled_out(priced, price)
        facts.append(Fact(label=name, value=amount, format=Format.MONEY, unit="USD", signed=True, note=note))
    return Facts(title="Price", facts=(*facts, *_now(priced)))


def _now(priced: Priced) -> list[Fact]:
    note, source = "per share; + received, - paid", priced.view.label
    return [
        Fact(label=name, value=now, format=Format.PRICE, signed=True, note=note, source=source)
        for name, now in (("mid now", priced.exam.mid), ("natural now", priced.exam.natural))
    ]


def _price_words(start: Decimal, worst: Decimal) -> tuple[str, str]:
    if start >= 0 and worst >= 0:
        return "you receive", "never under"
    if start < 0:
        return "you pay", "never over"
    return "you receive", "at worst you pay"


def _spelled_out(priced: Priced, price: Decimal) -> str:
    quantity, per_point = priced.envelope.quantity, net_multiplier(priced.envelope.legs)
    if per_point == 1:
        return f"{quantity} x {abs(price):.2f}"
    count, sides = len(priced.envelope.legs), {leg.side for leg in priced.envelope.legs}
    noun = "contract" if count == 1 else "spread" if count == 2 and len(sides) == 2 else "unit"
    return f"{quantity} {noun}{'' if quantity == 1 else 's'} x {per_point} x {abs(price):.2f}"


def _cost(priced: Priced) -> Facts:
    exam, preview = priced.exam, priced.preview
    nlv = exam.before.net_liquidation
    share = "net liquidation value is not known"
    if exam.capital is not None and nlv:
        share = f"{exam.capital / nlv:.1%} of net liquidation value"
    facts = [Fact(label="capital of the trade", value=exam.capital, format=Format.MONEY, unit="USD", note=share)]
    if preview is None:
        facts += [Fact(label=name, value=None, note=priced.preview_trouble) for name in ("buying power effect", "commission")]
        return Facts(title="Cost", facts=tuple(facts))
    effect = preview.buying_power_after - preview.buying_power_before
    source = preview.source
    facts += [
        Fact(label="buying power effect", value=effect, format=Format.MONEY, unit="USD", signed=True, source=source),
        Fact(label="buying power left", value=preview.buying_power_after, format=Format.MONEY, unit="USD", source=source),
        Fact(label="commission", value=preview.commission, format=Format.MONEY, unit="USD", note="for filling this order", source=source),
    ]
    if preview.refusal:
        facts.append(Fact(label="the broker says", value=preview.refusal, source=preview.source))
    return Facts(title="Cost", facts=tuple(facts))


def _before_after(priced: Priced) -> Table:
    before, after = priced.exam.before, priced.exam.after
    greeks = (
        ("delta, per +1%", before.exposure.delta_usd_per_pct, after.exposure.delta_usd_per_pct),
        ("gamma, per 1% squared", before.exposure.gamma_usd_per_pct2, after.exposure.gamma_usd_per_pct2),
        ("theta, per day", before.exposure.theta_usd_per_day, after.exposure.theta_usd_per_day),
        ("vega, per point", before.exposure.vega_usd_per_point, after.exposure.vega_usd_per_point),
    )
    unmarked = sorted({*before.exposure.unmarked, *after.exposure.unmarked, *before.unmarked, *after.unmarked})
    note = f"no mark for {', '.join(unmarked)}" if unmarked else ""
    rows: list[tuple[Cell, ...]] = [(*row, note) for row in greeks]
    worst = after.stress_scenario if after.stress_loss_usd else ""
    rows.append(("worst stress result", _loss(before.stress_loss_usd), _loss(after.stress_loss_usd), worst))
    rows.append(("margin requirement", before.margin, after.margin, "; ".join(after.margin_refusals)))
    columns = (
        Column(title="account"), Column(title="before", format=Format.MONEY, unit="USD", signed=True),
        Column(title="after", format=Format.MONEY, unit="USD", signed=True), Column(title="note"),
    )
    return Table(title="Account before and after", columns=columns, rows=tuple(rows), source=priced.view.label)


def _loss(stress_loss: Cell) -> Cell:
    """A loss (positive) as a result (negative); unknown stays unknown."""
    return -stress_loss if isinstance(stress_loss, int | float) and stress_loss else stress_loss


def _rules(priced: Priced) -> Table:
    score = structure_liquidity(priced)
    judged = findings_table(priced.verdict.findings)
    line: tuple[Cell, ...] = ("liquidity score", score.word, "unknown" if score.score is None else f"{score.score} of 100", "", score.why)
    return Table(title=judged.title, columns=judged.columns, rows=(*judged.rows, line))


def _verdict_words(item: Finding) -> str:
    if item.level is Level.PASS:
        return "pass"
    if item.level is Level.REDUCE:
        return f"reduce x{item.factor}"
    return "advises against" if item.rule_class is RuleClass.ADVISORY else f"BLOCK ({item.rule_class.value})"


def _why(item: Finding) -> str:
    fits = f"; {item.fits} would fit" if item.fits and str(item.fits) not in item.why else ""
    return f"{item.why}{fits}"


def _events(priced: Priced) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple((item.day, item.what) for item in happenings(priced))
    missing: tuple[Cell, ...] = ("", unknown_happenings(priced))
    return Table(title="Before expiry", columns=(Column(title="day", format=Format.DATE), Column(title="event")), rows=(*rows, missing))


def _tax(priced: Priced) -> Facts:
    return Facts(title="Tax (not tax advice)", facts=tuple(Fact(label="tax", value=words) for words in tax_words(priced)))


def _data(priced: Priced, *, now: datetime, label: str) -> Facts:
    view, symbol = priced.view, priced.exam.intent.underlying
    facts = [Fact(label="market data", value=label)]
    quote = view.quotes.get(symbol)
    if quote is not None and quote.state.usable:
        facts.append(Fact(label=symbol, value=from_market(quote.mid), format=Format.PRICE, source=quote.source))
    facts += [
        Fact(label="oldest quote", value=_oldest_seconds(priced), format=Format.AGE, note="counting trading hours only"),
        Fact(label="exchange time", value=now, format=Format.TIME),
        Fact(label="card expires in", value=int((priced.envelope.expires_at - now).total_seconds()), format=Format.AGE),
    ]
    return Facts(title="Data", facts=tuple(facts))


def _oldest_seconds(priced: Priced) -> Cell:
    """Age of the oldest leg's quote, None where a leg has none."""
    try:
        return max(priced.view.session_age_seconds(leg.instrument) for leg in priced.envelope.legs)
    except Unavailable:
        return None


def _actions(ticket_id: str, priced: Priced) -> tuple[Action, ...]:
    found = []
    if priced.verdict.allowed:
        found.append(Action(label="Confirm", line=f"confirm {ticket_id}", style="primary", once=True))
    found.append(Action(label="Reprice", line=f"reprice {ticket_id}"))
    found += [Action(label=f"Size {count}", line=f"size {ticket_id} quantity={count}") for count in sizes(priced)]
    if any(item.rule == "duplicate" for item in priced.verdict.blocks):
        found.append(Action(label="Second order", line=f"reprice {ticket_id} second_order=yes"))
    if _uncovers(priced):
        found.append(Action(label="Close both", line=f"close symbol={priced.exam.intent.underlying} scope=all"))
    short = _short_leg(priced)
    if short is not None and not priced.verdict.allowed:
        found.append(Action(label="Buy back the short leg", line=f"close position_id={short}"))
    found.append(Action(label="Why", line=f"why ticket={ticket_id}"))
    found.append(Action(label="Cancel", line=f"drop {ticket_id}", style="danger"))
    return tuple(found)


def _short_leg(priced: Priced) -> str | None:
    """Of a close of several legs the contract whose purchase alone is a way out whatever the rules say of the whole."""
    intent = priced.exam.intent
    if intent.effect is not Effect.CLOSE or len(intent.legs) < 2:
        return None
    bought = (leg.instrument for leg in intent.legs if leg.side is Side.BUY and isinstance(leg.instrument, Option))
    return next((position_id(item) for item in bought), None)


def _uncovers(priced: Priced) -> bool:
    """Whether closing this alone leaves a short without the shares or the long leg that cover it."""
    exam = priced.exam
    return exam.intent.effect is Effect.CLOSE and not no_more_uncovered(exam.before.uncovered, exam.after.uncovered)


def sizes(priced: Priced) -> tuple[int, ...]:
    """Other quantities worth a button: what the rules allow, and half; for one opening unit two, where no rule is known to refuse it."""
    asked, allowed = priced.envelope.quantity, priced.verdict.quantity_allowed
    opening = priced.exam.intent.effect is Effect.OPEN
    most = min((item.fits for item in priced.verdict.findings if item.fits is not None), default=None)
    if allowed < asked:
        wanted = {allowed, min(asked // 2, allowed)}
    elif not opening:
        wanted = {asked // 2}
    else:
        wanted = {asked // 2, most if most is not None else 2 * asked if asked == 1 else asked}
    return tuple(sorted(count for count in wanted if count >= 1 and count != asked))
