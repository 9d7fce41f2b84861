"""No entry in what does not trade now: a halt, a volatility pause or an auction of a leg or its underlying, as the data source reports it.

Options stop with what they are on. An order that reduces risk may be sent: it waits at the broker, may fill at the reopening price or not
at all, and its card says so.

Worked example: KO is paused for volatility from 10:30 to 10:35. A put spread on KO asked for at 10:32 is refused; buying back a short KO
put at 10:32 is let through and queued at the broker until trading resumes.
"""

from __future__ import annotations

from core.risk.exam import Exam, Finding, blocking, passing
from core.risk.measures import underlying_of
from core.settings import Parameters, Setting

NAME = "halted"
CLASS = "hard"
PARAMETERS: tuple[Setting, ...] = ()


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Ask leg by leg whether the source says it does not trade."""
    for leg in exam.intent.legs:
        exam.view.quote(leg.instrument)  # of what nobody quotes it is not known whether it trades
        why = exam.view.halt_of(leg.instrument)
        if why:
            name = underlying_of(leg.instrument)
            return blocking(
                NAME, CLASS, measured=why, limit="trading", fits=0,
                why=f"{name} does not trade now ({why}); an order would wait at the broker until trading resumes",
                next_step="Ask again when it trades.",
            )
    return passing(NAME, CLASS, measured="trading", limit="trading", why="no source reports a halt")
