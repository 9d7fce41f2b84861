"""Settings that several strategies declare."""

from __future__ import annotations

from decimal import Decimal

from core.settings import Kind, Loosens, Setting


def expiry_settings(*, dte: int, low: int, high: int) -> tuple[Setting, ...]:
    """The settings of a strategy that chooses its expiry by calendar days."""
    named = (("dte", dte, "days to expiry aimed at"), ("min_dte", low, "fewest days accepted"), ("max_dte", high, "most days accepted"))
    return tuple(
        Setting(name=name, kind=Kind.INTEGER, default=default, unit="days", help=text, low=Decimal(0), high=Decimal(1100))
        for name, default, text in named
    )


def delta_setting(default: str) -> Setting:
    """The setting of the short leg's delta."""
    return Setting(
        name="delta", kind=Kind.NUMBER, default=Decimal(default), help="absolute delta of the short leg", loosens=Loosens.UP,
        low=Decimal("0.01"), high=Decimal("0.6"),
    )


def exit_settings(*, profit_target: str, iv_percentile: str) -> tuple[Setting, ...]:
    """The settings of profit taking and of the volatility gate (advice to a person)."""
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
