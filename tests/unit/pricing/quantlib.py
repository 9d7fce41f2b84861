"""QuantLib's American engines as an oracle: the fixed point engine of high precision, and finite differences with cash dividends."""

from __future__ import annotations

from collections.abc import Sequence

import QuantLib as ql

TODAY = ql.Date(1, 1, 2020)
COUNT = ql.Actual365Fixed()


def option(
    *, right: int, spot: float, strike: float, days: int, rate: float, dividend: float, vol: float
) -> tuple[ql.VanillaOption, object]:
    """The option and its process; days are calendar days, so that time is exactly days / 365."""
    ql.Settings.instance().evaluationDate = TODAY
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, dividend, COUNT)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, rate, COUNT)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(TODAY, ql.NullCalendar(), vol, COUNT)),
    )
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if right > 0 else ql.Option.Put, strike)
    return ql.VanillaOption(payoff, ql.AmericanExercise(TODAY, TODAY + days)), process


def american(scheme: object | None = None, **terms: float) -> float:
    """The value by Andersen, Lake and Offengenden's engine."""
    made, process = option(**terms)
    made.setPricingEngine(ql.QdFpAmericanEngine(process, scheme or ql.QdFpAmericanEngine.highPrecisionScheme()))
    return made.NPV()


def with_cash(*, dividends: Sequence[tuple[int, float]], model: str, points: int, **terms: float) -> float:
    """The value by finite differences; dividends are (days, amount)."""
    made, process = option(dividend=0.0, **terms)
    paid = ql.DividendVector([TODAY + days for days, _ in dividends], [amount for _, amount in dividends])
    kind = ql.FdBlackScholesVanillaEngine.Spot if model == "spot" else ql.FdBlackScholesVanillaEngine.Escrowed
    made.setPricingEngine(
        ql.FdBlackScholesVanillaEngine(process, paid, points, points, 0, ql.FdmSchemeDesc.Douglas(), False, -1e10, kind)
    )
    return made.NPV()
