"""What the desk's mode lets through; the strictest mode in scope decides.

ACTIVE: everything. PAUSED: exits only, that is orders that close and leave no more shorts uncovered, and rolls that pass the reducing
test. REDUCING: only orders measured as reducing. HALT: the same, and a person confirms each one. RECOVERY and STANDBY: nothing.

Worked example: in PAUSED, selling 1 new spread is refused; closing 1 of the spreads held passes; selling its long wing alone would leave
1 put uncovered and is refused.
"""

from core.domain.events import Mode
from core.domain.modes import lets_through
from core.risk.exam import Exam, Finding, blocking, passing
from core.settings import Parameters, Setting

NAME = "state"
CLASS = "hard"
ON_REDUCING = True
PARAMETERS: tuple[Setting, ...] = ()

_ALLOWED = {
    Mode.ACTIVE: "everything",
    Mode.PAUSED: "exits only",
    Mode.REDUCING: "reducing orders only",
    Mode.HALT: "reducing orders only, confirmed by a person",
    Mode.RECOVERY: "nothing",
    Mode.STANDBY: "nothing",
}
_LIFT = {
    Mode.PAUSED: "`resume` lifts it.",
    Mode.REDUCING: "Close both legs together, or wait until it is lifted.",
    Mode.HALT: "`unhalt` lifts it.",
    Mode.RECOVERY: "It ends when its cause does; `status` shows it.",
    Mode.STANDBY: "Use the desk that owns the database.",
}


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Look the mode up in the table."""
    mode, limit = exam.mode, _ALLOWED[exam.mode]
    if lets_through(mode, reducing=exam.reducing, exits=exam.exits, automation=exam.automation or exam.standing is not None):
        return passing(NAME, CLASS, measured=mode.value, limit=limit, why=f"the mode is {mode.value}")
    because = f" ({exam.mode_reason})" if exam.mode_reason else ""
    return blocking(
        NAME,
        CLASS,
        measured=mode.value,
        limit=limit,
        fits=0,
        next_step=_LIFT[mode],
        why=f"the mode is {mode.value}{because}, which lets through {limit}; this one is none of them"
        if _reducing_counts(mode)
        else f"the mode is {mode.value}{because}, which lets through {limit}",
    )


def _reducing_counts(mode: Mode) -> bool:
    return mode in (Mode.PAUSED, Mode.REDUCING, Mode.HALT)
