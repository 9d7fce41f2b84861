"""A leg that closes needs the position it closes; a leg that opens must not silently net against one.

What live closing orders already claim is not there to be closed again. A plan that only waits for a target or a stop claims nothing
yet: it is judged again when it sends.

A covered call is covered: where the shares are sold, or sold against already, when it is pressed, it is refused, whatever the account may
hold.

Worked example: short 3 puts, an order to buy back 2 of them is working. Buying back 1 more passes, buying back 2 is refused: 1 would
open a long position. Buying the same put "to open" while it is held short is refused too: buying back what is short is closing.
"""

from core.domain.instruments import Instrument, Option, Right
from core.domain.orders import Effect, Exits, Leg
from core.portfolio.book import Book
from core.risk.exam import Exam, Finding, blocking, passing
from core.settings import Parameters, Setting

NAME = "effect"
CLASS = "hard"
ON_REDUCING = True
PARAMETERS: tuple[Setting, ...] = ()
COVERED = "covered_call"


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Check each leg against the holdings and the live orders."""
    for leg in exam.intent.legs:
        if isinstance(exam.intent.plan, Exits) and exam.standing is None and _covered(exam, leg):
            continue
        finding = (_closing if leg.effect is Effect.CLOSE else _opening)(exam, leg)
        if finding is not None:
            return finding
    bare = _uncovered_calls(exam) if exam.intent.strategy == COVERED else 0
    if bare:
        fits = max(0, exam.intent.quantity - bare)
        why = f"{bare} of {exam.intent.quantity} calls would not be covered by shares that are held and free"
        return blocking(NAME, CLASS, measured=f"{bare}", limit="0", fits=fits, why=why, next_step=f"Ask for {fits}." if fits else "")
    return passing(NAME, CLASS, measured="as held", limit="as held", why="every leg agrees with what is held")


def _closing(exam: Exam, leg: Leg) -> Finding | None:
    held = _held(exam.book, leg.instrument.key)
    asked = leg.contracts(exam.intent.quantity)
    right_way = held * asked < 0
    free = max(0, abs(held) - _claimed(exam.book, leg, exam.intent.instead_of)) if right_way else 0
    if abs(asked) <= free:
        return None
    name, fits = _name(leg.instrument), free // leg.ratio
    if not right_way:
        state = "not held" if held == 0 else f"held {'long' if held > 0 else 'short'} ({abs(held)})"
        why = f"{leg.side.value} to close {abs(asked)} {name}: it is {state}, so this would open a position"
    else:
        working = abs(held) - free
        why = f"{leg.side.value} to close {abs(asked)} {name}: {abs(held)} held" + (
            f", {working} of them already being closed" if working else ""
        )
    return blocking(
        NAME,
        CLASS,
        measured=f"{abs(asked)}",
        limit=f"{free}",
        fits=fits,
        why=why,
        next_step=f"{fits} can be closed." if fits else "See `positions`.",
    )


def _opening(exam: Exam, leg: Leg) -> Finding | None:
    held = _held(exam.book, leg.instrument.key)
    working = sum(
        other.side.sign * order.left(other)
        for order in exam.book.resting()
        for other in order.legs
        if other.instrument.key == leg.instrument.key and other.effect is Effect.OPEN and other.side is not leg.side
    )
    if held * leg.side.sign >= 0 and working == 0:
        return None
    name = _name(leg.instrument)
    if held * leg.side.sign < 0:
        way, rather = (
            ("short", "buying back what is held short is a close") if held < 0 else ("long", "selling what is held long is a close")
        )
        why = f"{leg.side.value} to open {name}: {abs(held)} are held {way}; {rather}"
    else:
        why = f"{leg.side.value} to open {name}: a live order opens the other side of it"
    return blocking(
        NAME, CLASS, measured=f"{held or working}", limit="0", fits=0, why=why, next_step="Use `close`, or cancel the other order."
    )


def _uncovered_calls(exam: Exam) -> int:
    """Calls without cover that are more than before, counted as the worse of what is held and of what may fill."""
    return sum(
        max(0, count - exam.before.uncovered.get(slot, 0)) for slot, count in exam.after.uncovered.items() if slot[2] is Right.CALL
    )


def _held(book: Book, key: str) -> int:
    position = book.positions.get(key)
    return 0 if position is None else position.quantity


def _covered(exam: Exam, leg: Leg) -> bool:
    """Whether what a waiting plan would close is held now."""
    held, asked = _held(exam.book, leg.instrument.key), leg.contracts(exam.intent.quantity)
    return held * asked < 0 and abs(asked) <= abs(held)


def _claimed(book: Book, leg: Leg, instead_of: tuple[str, ...]) -> int:
    """Contracts that resting orders may still close, those from elsewhere too; what this one is sent instead of are cancelled first."""
    return sum(
        order.left(other)
        for order in book.resting()
        if order.id not in instead_of
        for other in order.legs
        if other.instrument.key == leg.instrument.key and other.effect is Effect.CLOSE
    )


def _name(instrument: Instrument) -> str:
    return instrument.label if isinstance(instrument, Option) else instrument.key
