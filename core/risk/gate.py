"""The gate: every order, human or automatic, passes all rules here, and only here is a `Permitted` made. It fails closed.

Families multiply and the smallest factor within one wins; the product is floored to whole units. A rule that cannot be computed blocks.
For a measured reducing order only the rules that declare `ON_REDUCING = True` may block: nobody is trapped in a short position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal

from core.domain.orders import Bracket, Envelope, Limit, Permitted
from core.errors import DeskError, Unavailable
from core.orders import standing as standings
from core.orders.standing import Standing
from core.orders.states import Order
from core.risk.exam import Exam, Family, Finding, Level, Rule, RuleClass, Verdict, blocking

ONE = Decimal(1)
Report = Callable[[str, BaseException], str]


class NotPermitted(DeskError):
    """An order outside its confirmation; carries the sentence."""


def judge(exam: Exam, rules: Sequence[Rule], *, report: Report) -> Verdict:
    """Run every rule over the exam.

    `report(rule, error)` logs an unexpected error and returns its id; such a rule blocks. Raises nothing.
    """
    if not rules:
        missing = blocking("gate", RuleClass.HARD, measured="no rules", limit="rules loaded", why="no rule is loaded")
        return Verdict(findings=(missing,), allowed=False, reducing=False, factor=ONE, quantity_allowed=0, reason=missing.why)
    findings = tuple(_one(exam, rule, report) for rule in rules)
    asked = exam.intent.quantity
    if exam.reducing:
        # Whoever presses may go on past what is not hard; a mandate may not.
        hard = [item for item in findings if item.level is Level.BLOCK and (item.rule_class is RuleClass.HARD or exam.automation)]
        return _verdict(exam, findings, hard, ONE, _fitting(hard, asked))
    factor = combined_factor(findings)
    against = [item for item in findings if item.level is Level.BLOCK and (item.rule_class is not RuleClass.ADVISORY or exam.automation)]
    scaled = int((asked * factor).to_integral_value(rounding=ROUND_FLOOR))
    return _verdict(exam, findings, against, factor, min(_fitting(against, asked), scaled))


def combined_factor(findings: Sequence[Finding]) -> Decimal:
    """The product over families of the smallest factor within each; findings without a family stand alone."""
    smallest: dict[Family, Decimal] = {}
    product = ONE
    for item in findings:
        if item.level is not Level.REDUCE:
            continue
        if item.family is Family.NONE:
            product *= item.factor
        else:
            smallest[item.family] = min(item.factor, smallest.get(item.family, ONE))
    for factor in smallest.values():
        product *= factor
    return product


def _fitting(against: Sequence[Finding], asked: int) -> int:
    """The largest quantity that every finding against the order would let pass; 0 where one of them knows none."""
    return max(0, min((min(item.fits or 0, asked) for item in against), default=asked))


def permit(
    *, verdict: Verdict, envelope: Envelope, confirmed_hash: str, client_id: str, ticket_id: str, limit: Decimal, quantity: int,
) -> Permitted:
    """Let one order (or one replace of it) through; raise NotPermitted where it leaves the confirmed envelope."""
    if not verdict.allowed:
        raise NotPermitted(verdict.reason or "the rules do not allow this order")
    if not isinstance(envelope.plan, Limit | Bracket):
        raise NotPermitted("a plan that waits sends nothing itself; what it sends is permitted as a part of it")
    _confirmed(envelope, confirmed_hash, limit)
    if not 1 <= quantity <= envelope.quantity:
        raise NotPermitted(f"{quantity} is more than the confirmed {envelope.quantity}")
    return Permitted(
        account=envelope.account, client_id=client_id, ticket_id=ticket_id, envelope=envelope, envelope_hash=confirmed_hash, limit=limit,
        quantity=quantity, reducing=verdict.reducing, verdict_hash=verdict.hash,
    )


def permit_part(order: Order, standing: Standing, *, verdict: Verdict, orders: Mapping[str, Order], confirmed_hash: str) -> Permitted:
    """Let one order of a standing order through; raise NotPermitted where it leaves what was confirmed.

    `orders` are the account's; `confirmed_hash` is the one the person's press carries. All orders of a standing order together, filled
    and working, never come to more than its quantity.
    """
    if not verdict.allowed:
        raise NotPermitted(verdict.reason or "the rules do not allow this order")
    others = {name: orders[name] for name in (*standing.children, standing.parent or "") if name in orders and name != order.client_id}
    outside = standings.covers(
        standing, others, envelope=order.envelope, limit=order.limit, quantity=order.quantity, confirmed_hash=confirmed_hash
    )
    if outside is None and order.envelope.hash != order.envelope_hash:
        outside = "the order differs from the one that was written down"
    if outside is not None:
        raise NotPermitted(outside)
    return Permitted(
        account=order.account, client_id=order.client_id, ticket_id=order.ticket_id, envelope=order.envelope,
        envelope_hash=order.envelope_hash, limit=order.limit, quantity=order.quantity, reducing=verdict.reducing, verdict_hash=verdict.hash,
    )


def permit_replace(order: Order, *, limit: Decimal) -> Permitted:
    """Let a price change of a live order through: the exposure is the confirmed one, the limit must stay inside the envelope."""
    envelope = order.envelope
    _confirmed(envelope, order.envelope_hash, limit)
    return Permitted(
        account=envelope.account, client_id=order.client_id, ticket_id=order.ticket_id, envelope=envelope,
        envelope_hash=order.envelope_hash, limit=limit, quantity=order.quantity, reducing=order.reducing, verdict_hash="",
    )


def _confirmed(envelope: Envelope, confirmed_hash: str, limit: Decimal) -> None:
    """Raise NotPermitted unless the envelope is the confirmed one and the limit inside it."""
    if envelope.hash != confirmed_hash:
        raise NotPermitted("the order differs from the one that was confirmed")
    plan = envelope.plan
    if not limit.is_finite() or not plan.worst <= limit <= plan.start:
        raise NotPermitted(f"limit {limit} is outside the confirmed {plan.start} to {plan.worst}")


def _one(exam: Exam, rule: Rule, report: Report) -> Finding:
    try:
        finding = rule.module.judge(exam, rule.parameters)
        if not isinstance(finding, Finding) or finding.rule != rule.name or finding.rule_class is not rule.rule_class:
            raise TypeError(f"rule {rule.name} answered {type(finding).__name__}")
        if not (finding.factor.is_finite() and 0 <= finding.factor <= 1):
            raise ValueError(f"rule {rule.name} gave the factor {finding.factor}")
    except Unavailable as error:
        finding = _blocked(rule, measured="unknown", why=str(error))
    except Exception as error:  # noqa: BLE001 - the gate fails closed on any bug of a rule, and says so
        finding = _blocked(rule, measured="error", why=f"the rule failed ({report(rule.name, error)})")
    if exam.reducing and finding.level is not Level.PASS and not getattr(rule.module, "ON_REDUCING", False):
        return Finding(
            rule=finding.rule, rule_class=finding.rule_class, level=Level.PASS, measured=finding.measured, limit=finding.limit,
            why=f"{finding.why}; not applied, this order reduces risk", family=finding.family,
        )
    return finding


def _blocked(rule: Rule, *, measured: str, why: str) -> Finding:
    return Finding(rule=rule.name, rule_class=rule.rule_class, level=Level.BLOCK, measured=measured, limit="must be known", why=why)


def _verdict(exam: Exam, findings: tuple[Finding, ...], against: list[Finding], factor: Decimal, quantity: int) -> Verdict:
    asked = exam.intent.quantity
    reason = "; ".join(item.why for item in against)
    if not against and quantity < asked:
        held_back = ", ".join(item.rule for item in findings if item.level is Level.REDUCE)
        reason = f"you asked {asked}, rules allow {quantity}" if quantity else "the rules leave less than one unit"
        reason += f" ({held_back})"
    return Verdict(
        findings=findings, allowed=not against and quantity >= asked, reducing=exam.reducing, exits=exam.exits, factor=factor,
        quantity_allowed=quantity, reason=reason,
    )
