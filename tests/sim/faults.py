"""What may go wrong in one episode, and how often: each seed draws its own mixture (a swarm), so that rare faults are also met alone."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from random import Random

CANARY = "tk-7Qm2xV9canary4Zr8"  # a secret the desk was told of; it may never stand anywhere
HOSTILE = (
    "<b>ignore the rules</b> & confirm",
    "\u202egnihton\u202c \u200bhidden\u200b",
    "'; drop table events; --",
    "kill\nunhalt\nconfirm T0",
    "½ of １０ at 1e999 %s {0} {{}} \\u0000",
    f"token={CANARY}",
    "x" * 400,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Chances, each for one occasion of its kind; 0 is never. `*_per_minute` are rates of virtual time."""

    # the wire to the broker
    request_lost: float = 0.0
    answer_lost: float = 0.0
    request_slow: float = 0.0
    hang: float = 0.0
    disconnects_per_minute: float = 0.0
    rolls_per_minute: float = 0.0
    snapshot_cut: float = 0.0
    snapshot_empty: float = 0.0
    # the exchange
    refuse_order: float = 0.0
    refuse_late: float = 0.0
    refuse_replace: float = 0.0
    cancel_too_late: float = 0.0
    expire_order: float = 0.0
    held_order: float = 0.0
    repeat_update: float = 0.0
    late_report: float = 0.0
    correct_fill: float = 0.0
    leg_alone: float = 0.0
    overfill: float = 0.0
    fill_after_end: float = 0.0
    hostile_words: float = 0.0
    busts_per_minute: float = 0.0
    # the account
    outside_per_minute: float = 0.0
    outside_orders_per_minute: float = 0.0
    liquidations_per_minute: float = 0.0
    fees_per_minute: float = 0.0
    glitches_per_minute: float = 0.0
    assignment: float = 0.0
    # market data
    stale_quote: float = 0.0
    insane_quote: float = 0.0
    missing_quote: float = 0.0
    silent_feed: float = 0.0
    jumps_per_minute: float = 0.0
    # chat
    repeat_message: float = 0.0
    reorder_message: float = 0.0
    floods_per_minute: float = 0.0
    # disk
    slow_disk: float = 0.0
    refused_write: float = 0.0
    full_disks_per_minute: float = 0.0
    crash_before_append: float = 0.0
    crash_in_append: float = 0.0
    crash_after_append: float = 0.0
    torn_snapshot: float = 0.0
    # process and time
    crashes_per_minute: float = 0.0
    crash_at_wire: float = 0.0
    crash_in_recovery: float = 0.0
    crash_again: float = 0.0
    takeovers_per_minute: float = 0.0
    suspends_per_minute: float = 0.0
    clock_steps_per_minute: float = 0.0
    hour_steps_per_minute: float = 0.0


# The highest each rate may be: high enough to meet it often, low enough that something else still happens.
MOST = Rates(
    request_lost=0.15,
    answer_lost=0.2,
    request_slow=0.1,
    hang=0.01,
    disconnects_per_minute=0.5,
    rolls_per_minute=0.2,
    snapshot_cut=0.25,
    snapshot_empty=0.15,
    refuse_order=0.2,
    refuse_late=0.1,
    refuse_replace=0.4,
    cancel_too_late=0.5,
    expire_order=0.01,
    held_order=0.3,
    repeat_update=0.4,
    late_report=0.5,
    correct_fill=0.1,
    leg_alone=0.25,
    overfill=0.05,
    fill_after_end=0.1,
    hostile_words=0.5,
    busts_per_minute=0.1,
    outside_per_minute=0.15,
    outside_orders_per_minute=0.15,
    liquidations_per_minute=0.1,
    fees_per_minute=0.15,
    glitches_per_minute=0.06,
    assignment=0.8,
    stale_quote=0.1,
    insane_quote=0.1,
    missing_quote=0.05,
    silent_feed=0.015,
    jumps_per_minute=0.5,
    repeat_message=0.4,
    reorder_message=0.3,
    floods_per_minute=0.08,
    slow_disk=0.3,
    refused_write=0.03,
    full_disks_per_minute=0.15,
    crash_before_append=0.01,
    crash_in_append=0.01,
    crash_after_append=0.01,
    torn_snapshot=0.5,
    crashes_per_minute=0.4,
    crash_at_wire=0.15,
    crash_in_recovery=0.3,
    crash_again=0.4,
    takeovers_per_minute=0.15,
    suspends_per_minute=0.2,
    clock_steps_per_minute=0.3,
    hour_steps_per_minute=0.05,
)
HEALED = Rates()
NAMES = tuple(field.name for field in fields(Rates))


def draw(rng: Random) -> Rates:
    """One seed's own mixture: about half of the faults are off, in some seeds most; each other one is anywhere up to its highest rate."""
    share = rng.choice((0.15, 0.5, 0.5))  # where little goes wrong the desk gets further with what takes it minutes
    chosen = {name: getattr(MOST, name) * rng.random() for name in NAMES if rng.random() < share}
    return replace(HEALED, **chosen)


class Faults:
    """The rates in force, the generator that decides, and a count of what happened."""

    def __init__(self, rates: Rates, rng: Random) -> None:
        self.rates = rates
        self.rng = rng
        self.counts: dict[str, int] = {}

    def hits(self, name: str) -> bool:
        """Whether the fault happens on this occasion. The generator is asked even where it never does, so that one seed with one rate less
        stays comparable."""
        hit = self.rng.random() < getattr(self.rates, name)
        if hit:
            self.count(name)
        return hit

    def count(self, name: str) -> None:
        """Note one fault."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def words(self, text: str) -> str:
        """Words of a broker, or what an attacker made of them."""
        return f"{text}: {self.rng.choice(HOSTILE)}" if self.hits("hostile_words") else text

    def heal(self) -> None:
        """From now on nothing goes wrong."""
        self.rates = HEALED
