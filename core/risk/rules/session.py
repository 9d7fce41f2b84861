"""Every leg must be open for trading now, in its series' regular hours.

Worked example: SPX options not expiring today trade to 16:15 in New York, those expiring today to 16:00. At 16:05 an SPXW put of
today is closed for good; one of next week is open for 10 more minutes.
"""

from datetime import date, datetime

from core.domain.calendar import EXCHANGE, is_session, next_session
from core.domain.hours import trading_hours
from core.domain.instruments import Instrument, Option
from core.risk.exam import Exam, Finding, blocking, passing
from core.settings import Parameters, Setting

NAME = "session"
CLASS = "hard"
ON_REDUCING = True
PARAMETERS: tuple[Setting, ...] = ()


def judge(exam: Exam, parameters: Parameters) -> Finding:
    """Ask the calendar leg by leg."""
    today = exam.now.astimezone(EXCHANGE).date()
    for leg in exam.intent.legs:
        span = trading_hours(leg.instrument, today)
        if span is None or not span[0] <= exam.now < span[1]:
            return _closed(exam, leg.instrument, today)
    return passing(NAME, CLASS, measured=_clock(exam.now), limit="regular hours", why="every leg is open for trading")


def _closed(exam: Exam, instrument: Instrument, today: date) -> Finding:
    name = instrument.label if isinstance(instrument, Option) else instrument.key
    opens = _next_open(instrument, exam.now, today)
    when = "it trades no more" if opens is None else f"it opens {opens.astimezone(EXCHANGE):%A %-d %B at %H:%M} New York time"
    return blocking(
        NAME,
        CLASS,
        measured=_clock(exam.now),
        limit="regular hours",
        fits=0,
        why=f"{name} is closed now; {when}",
        next_step="" if opens is None else "Ask again then.",
    )


def _next_open(instrument: Instrument, now: datetime, today: date) -> datetime | None:
    day = today if is_session(today) else next_session(today)
    for _ in range(2):
        span = trading_hours(instrument, day)
        if span is not None and span[0] < span[1] and span[0] > now:
            return span[0]
        day = next_session(day)
    return None


def _clock(at: datetime) -> str:
    return f"{at.astimezone(EXCHANGE):%a %H:%M}"
