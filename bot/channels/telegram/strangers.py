"""People the desk does not know: they get silence, the log a line, the owner one message about each.

Somebody who makes thousands of accounts fills neither: the log takes one line a minute for each and thirty a minute in all, the owner
hears of five in an hour.
"""

from __future__ import annotations

from collections import OrderedDict

from bot.outbox import Outbox
from core.announce import Announcement, Urgency
from core.desk import Desk
from core.logs import Level
from core.people import Known
from core.reply import Action, Notice, Tone

LINE_SECONDS, LINES_A_MINUTE = 60.0, 30
TOLD_SECONDS, TOLD = 3_600.0, 5
REMEMBERED = 1_000


class Strangers:
    """Who knocked."""

    def __init__(self, desk: Desk, outbox: Outbox) -> None:
        self._desk = desk
        self._outbox = outbox
        self._lines: OrderedDict[str, float] = OrderedDict()  # identity -> when the log had a line on it
        self._told: list[float] = []
        self._left_out = 0

    def knocked(self, identity: str, *, elsewhere: bool = False) -> None:
        """Somebody unknown wrote or pressed, or somebody known in a chat that is not the desk's."""
        now = self._desk.runtime.seconds()
        lately = [at for at in self._lines.values() if now - at < LINE_SECONDS]
        if now - self._lines.get(identity, float("-inf")) < LINE_SECONDS or len(lately) >= LINES_A_MINUTE:
            self._left_out += 1
            return
        self._lines[identity] = now
        self._lines.move_to_end(identity)
        while len(self._lines) > REMEMBERED:
            self._lines.popitem(last=False)
        self._desk.log(Level.WARNING, "unknown person", identity=identity, known_elsewhere=elsewhere, left_out=self._left_out)
        self._left_out = 0
        self._told = [at for at in self._told if now - at < TOLD_SECONDS]
        if not elsewhere and len(self._told) < TOLD:
            self._told.append(now)
            text = f"Somebody unknown ({identity}) wrote to the bot. They got no answer. `pair name=... role=...` invites somebody."
            blocks = (Notice(text=text, tone=Tone.WARNING),)
            self._outbox.tell(Announcement(key=f"stranger:{identity}", urgency=Urgency.MEDIUM, blocks=blocks))

    def joined(self, known: Known) -> None:
        """Somebody used a code: everybody who hears news is told."""
        self._desk.log(Level.WARNING, "paired", identity=known.identity, person=known.person, role=known.role.value)
        text = f"{known.identity} is {known.person} ({known.role.value}) from now on, invited by {known.by}."
        remove = Action(label=f"Remove {known.person}", line=f"pair remove={known.person}", style="danger")
        self._outbox.tell(Announcement(
            key=f"paired:{known.identity}:{known.at}", urgency=Urgency.HIGH, blocks=(Notice(text=text, tone=Tone.WARNING),),
            actions=(remove,),
        ))
