"""Settings of the exits the desk watches itself: stops, trailing stops, targets. Pure data; they belong to the desk's own settings."""

from __future__ import annotations

from decimal import Decimal

from core.settings import Kind, Loosens, Setting

STOP_SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="exit_check_seconds", kind=Kind.INTEGER, default=60, unit="s", help="how often the exits look at every open trade",
        loosens=Loosens.EXIT, low=Decimal(5), high=Decimal(300),
    ),
    Setting(
        name="stop_check_seconds", kind=Kind.INTEGER, default=15, unit="s", help="how often stops and targets look at the market",
        loosens=Loosens.EXIT, low=Decimal(1), high=Decimal(300),
    ),
    Setting(
        name="stop_gap_seconds", kind=Kind.INTEGER, default=30, unit="s", help="a stop triggers on two looks at least this far apart",
        loosens=Loosens.EXIT, low=Decimal(5), high=Decimal(600),
    ),
    Setting(
        name="stop_opening_seconds", kind=Kind.INTEGER, default=300, unit="s", help="no stop triggers this soon after the open",
        loosens=Loosens.EXIT, low=Decimal(0), high=Decimal(3600),
    ),
    Setting(
        name="stop_spread_fraction", kind=Kind.FRACTION, default=Decimal("0.25"),
        help="no stop triggers where the spread is a larger share of mid", loosens=Loosens.EXIT, low=Decimal("0.01"), high=Decimal(2),
    ),
    Setting(
        name="stop_quote_seconds", kind=Kind.INTEGER, default=120, unit="s", help="a stop does not look at quotes older than this",
        loosens=Loosens.EXIT, low=Decimal(5), high=Decimal(3600),
    ),
    Setting(
        name="stop_guard_fraction", kind=Kind.FRACTION, default=Decimal("0.25"), help="a stop pays at most this share beyond its level",
        loosens=Loosens.EXIT, low=Decimal(0), high=Decimal(2),
    ),
    Setting(
        name="stop_guard_points", kind=Kind.MONEY, default=Decimal("0.10"), unit="USD a share", help="or this much, whichever is more",
        loosens=Loosens.EXIT, low=Decimal(0), high=Decimal(50),
    ),
    Setting(
        name="stop_walk_seconds", kind=Kind.INTEGER, default=60, unit="s", help="time a triggered exit takes from mid to natural",
        loosens=Loosens.EXIT, low=Decimal(5), high=Decimal(600),
    ),
    Setting(
        name="stop_patience_seconds", kind=Kind.INTEGER, default=30, unit="s", help="unfilled this long at natural is a critical alert",
        loosens=Loosens.EXIT, low=Decimal(5), high=Decimal(600),
    ),
    Setting(
        name="stop_scale_least", kind=Kind.NUMBER, default=Decimal("0.75"), help="a stop scaled by volatility narrows to this at most",
        loosens=Loosens.EXIT, low=Decimal("0.1"), high=Decimal(1),
    ),
    Setting(
        name="stop_scale_most", kind=Kind.NUMBER, default=Decimal("1.5"), help="and widens to this at most", loosens=Loosens.EXIT,
        low=Decimal(1), high=Decimal(5),
    ),
)
