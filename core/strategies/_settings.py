"""Settings that several strategies declare."""

from __future__ import annotations

from decimal import Decimal

from core.settings import Kind, Loosens, Setting

_MOST_DAYS = Decimal(1100)


def expiry_settings(*, dte: int, low: int, high: int) -> tuple[Setting, ...]:
    """The settings of a strategy that chooses its expiry by calendar days."""
    named = (("dte", dte, "days to expiry aimed at"), ("min_dte", low, "fewest days accepted"), ("max_dte", high, "most days accepted"))
    return tuple(_days(name, default, text) for name, default, text in named)


def far_settings(*, dte: int, low: int, high: int) -> tuple[Setting, ...]:
    """The same of the later expiry of a calendar or diagonal."""
    named = (
        ("far_dte", dte, "days to the later expiry aimed at"), ("min_far_dte", low, "fewest days to the later expiry"),
        ("max_far_dte", high, "most days to the later expiry"),
    )
    return tuple(_days(name, default, text) for name, default, text in named)


def delta_setting(default: str, *, of: str = "the short leg", name: str = "delta", high: str = "0.6", loosens: bool = True) -> Setting:
    """The setting of the delta a strike is chosen by; that of a leg that is bought loosens nothing."""
    return Setting(
        name=name, kind=Kind.NUMBER, default=Decimal(default), help=f"absolute delta of {of}",
        loosens=Loosens.UP if loosens else Loosens.NEVER, low=Decimal("0.01"), high=Decimal(high),
    )


def wing_settings() -> tuple[Setting, ...]:
    """The distance between the strikes of a spread: points on the indices, a share of the strike elsewhere."""
    return (
        Setting(name="wing_points_spx", kind=Kind.NUMBER, default=Decimal(50), unit="points", help="distance of the wing on SPX",
                loosens=Loosens.UP, low=Decimal(5), high=Decimal(500)),
        Setting(name="wing_points_xsp", kind=Kind.NUMBER, default=Decimal(5), unit="points", help="distance of the wing on XSP",
                loosens=Loosens.UP, low=Decimal(1), high=Decimal(50)),
        Setting(name="wing_fraction", kind=Kind.FRACTION, default=Decimal("0.05"), help="distance elsewhere, share of the defining strike",
                loosens=Loosens.UP, low=Decimal("0.005"), high=Decimal("0.3")),
    )


def exit_settings(*, profit_target: str, iv_percentile: str) -> tuple[Setting, ...]:
    """The settings of profit taking and of the volatility gate (advice to a person) of what is sold."""
    return (
        Setting(
            name="profit_target", kind=Kind.FRACTION, default=Decimal(profit_target), help="share of the credit at which profit is taken",
            loosens=Loosens.EXIT, low=Decimal("0.05"), high=Decimal(1),
        ),
        Setting(
            name="iv_percentile", kind=Kind.FRACTION, default=Decimal(iv_percentile), loosens=Loosens.DOWN,
            help="lowest IV percentile for an entry; advice to a person", low=Decimal(0), high=Decimal(1),
        ),
    )


def debit_settings(*, profit_target: str, iv_percentile: str = "0.30") -> tuple[Setting, ...]:
    """The same of what is bought: profit as a share of the debit paid, and volatility that is low."""
    return (
        Setting(
            name="profit_target", kind=Kind.FRACTION, default=Decimal(profit_target), loosens=Loosens.EXIT,
            help="gain at which profit is taken, share of the debit paid", low=Decimal("0.05"), high=Decimal(10),
        ),
        Setting(
            name="max_iv_percentile", kind=Kind.FRACTION, default=Decimal(iv_percentile), loosens=Loosens.UP,
            help="highest IV percentile for an entry; advice to a person", low=Decimal(0), high=Decimal(1),
        ),
    )


def close_setting(days: int = 21) -> Setting:
    """The days left at which a trade of weeks is closed or rolled."""
    return Setting(
        name="close_dte", kind=Kind.INTEGER, default=days, unit="days", help="close or roll at this many days", loosens=Loosens.EXIT,
        low=Decimal(0), high=Decimal(60),
    )


def _days(name: str, default: int, text: str) -> Setting:
    return Setting(name=name, kind=Kind.INTEGER, default=default, unit="days", help=text, low=Decimal(0), high=_MOST_DAYS)
