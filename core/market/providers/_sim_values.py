"""What options of the simulated market are worth: forwards, total variance and the early exercise of each series at a moment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt

from core.domain.calendar import settlement_at, years_to
from core.domain.instruments import Delivery, Exercise, SeriesSpec, Settlement
from core.market.chain import CALL, PUT
from core.market.providers._sim_american import DEEP, exercised_before, with_put_premium
from core.market.providers._sim_index import OVERNIGHT, SESSIONS_PER_YEAR, Ints
from core.market.providers._sim_listed import INDEX_YIELD, LISTED, Listed
from core.market.providers._sim_noise import Floats
from core.market.providers._sim_paths import Moment, Paths
from core.market.providers._sim_surface import CALM, VIX_YEARS, rate, shape, variance
from core.market.providers._sim_vix import future, option_variance
from core.pricing.bsm import value_forward

Series = tuple[SeriesSpec, date]

REPORT_PREMIUM = 1.06  # implied over actual size of a move on earnings
_LEAST_DEVIATION = 1e-4  # where no session is left an option is worth its exercise


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the values of a chain hang on: one entry a series."""

    forward: Floats
    discount: Floats
    years: Floats  # of 365 days, to settlement
    sessions: Floats  # years of sessions
    deviation: Floats  # total, at the money


class Values:
    """Values over the paths of one seed."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def terms(self, symbol: str, series: tuple[Series, ...], moment: Moment, at: datetime) -> Terms:
        """Forward, discount, time and deviation of each series."""
        mood, spot = self._paths.mood(moment), self._paths.level(symbol, moment)
        sessions = np.array([self.sessions_left(moment, one) for one in series]) / SESSIONS_PER_YEAR
        years = np.array([years_to(settlement_at(*one), at) for one in series])
        discount = np.exp([-rate(each * 365.0) * each for each in years.tolist()])
        if symbol == "VIX":
            forward = np.array([future(mood, left) for left in sessions.tolist()])
            total = option_variance(mood, sessions)
        else:
            forward = np.array([
                self._forward(LISTED[symbol], spot, moment, one, term, part)
                for one, term, part in zip(series, years.tolist(), discount.tolist(), strict=True)
            ])
            total = variance(LISTED[symbol], mood, sessions) + self._reported(symbol, moment, [expiry for _, expiry in series])
        deviation = np.maximum(np.sqrt(total), _LEAST_DEVIATION)
        return Terms(forward=forward, discount=discount, years=years, sessions=sessions, deviation=deviation)

    def of(
        self, symbol: str, moment: Moment, terms: Terms, series: tuple[Series, ...], slot: Ints, right: npt.NDArray[np.int8], strike: Floats
    ) -> tuple[Floats, Floats]:
        """Values of rows, and their places on the smile in standard deviations from the forward."""
        listed = LISTED[symbol]
        forward, discount, money = terms.forward[slot], terms.discount[slot], terms.deviation[slot]
        y = np.log(strike / forward) / money
        deviation = money * np.sqrt(shape(listed.smile, y))
        value = value_forward(right=right, forward=forward, strike=strike, t_years=1.0, discount=discount, vol=deviation)
        if len(slot) and series[0][0].exercise is Exercise.AMERICAN:
            spot = self._paths.level(symbol, moment)
            value = np.maximum(value, right * (spot - strike))
            puts = np.flatnonzero(right == PUT)
            by = np.where(y > DEEP, money * math.sqrt(float(shape(listed.smile, np.array([DEEP]))[0])), deviation)
            value[puts] = with_put_premium(
                value[puts], spot=spot, strike=strike[puts], forward=forward[puts], discount=discount[puts],
                years=terms.years[slot][puts], deviation=by[puts], y=y[puts],
            )
            self._exercise_calls(value, symbol, spot, moment, series, slot, right, strike)
        return value, y

    def sessions_left(self, moment: Moment, series: Series) -> float:
        """Sessions of variance up to settlement: today's rest, whole ones, and a night only before an AM settlement."""
        spec, expiry = series
        whole = self._paths.index_of(expiry) - moment.index
        return max((1.0 - moment.gone) + (whole if spec.settlement is Settlement.PM else whole - 1 + OVERNIGHT), 0.0)

    def fear(self, symbol: str, moment: Moment) -> float:
        """Implied volatility of thirty days over what it is in an ordinary market."""
        mood = self._paths.mood(moment)
        if symbol == "VIX":
            return 1.0
        month = np.array([VIX_YEARS])
        now, usual = (float(variance(LISTED[symbol], each, month)[0]) for each in (mood, CALM))
        return math.sqrt(now / usual)

    def reference_deviation(self, symbol: str, moment: Moment, series: tuple[Series, ...]) -> Floats:
        """Standard deviation of each expiry at the open, by the volatility of the close before."""
        mood = self._paths.close_mood(moment.index - 1)
        left = np.array([max(1, self._paths.index_of(expiry) - moment.index + 1) for _, expiry in series], dtype=np.float64)
        years = left / SESSIONS_PER_YEAR
        if symbol == "VIX":
            return np.sqrt(option_variance(mood, years))
        return np.sqrt(variance(LISTED[symbol], mood, years) + self._reported(symbol, moment, [expiry for _, expiry in series]))

    def vix_future(self, expiry_series: Series, moment: Moment) -> float:
        """Price of the future that settles with a series of VIX options."""
        return future(self._paths.mood(moment), self.sessions_left(moment, expiry_series) / SESSIONS_PER_YEAR)

    def _reported(self, symbol: str, moment: Moment, expiries: list[date]) -> Floats:
        """Variance of the reports between now and each expiry."""
        reports = LISTED[symbol].reports
        if reports is None:
            return np.zeros(len(expiries))
        last = [self._paths.index_of(expiry) for expiry in expiries]
        moving = np.array([report.index for report in self._paths.name(symbol).reports])
        count = np.searchsorted(moving, last, side="right") - int(np.searchsorted(moving, moment.index, side="right"))
        return np.maximum(count, 0) * (REPORT_PREMIUM * reports.move) ** 2

    def _forward(self, listed: Listed, spot: float, moment: Moment, series: Series, years: float, discount: float) -> float:
        """The forward to settlement. Dividends past the next are taken to be as large."""
        spec, expiry = series
        if spec.delivery is Delivery.CASH:
            return spot * math.exp(-INDEX_YIELD * years) / discount
        return (spot - sum(amount for _, amount in self._coming(listed, moment, expiry))) / discount

    def _coming(self, listed: Listed, moment: Moment, until: date) -> list[tuple[int, float]]:
        """(session of the ex-date, present value a share) of the dividends from now up to a day."""
        coming = [one for one in self._paths.payments(listed.symbol, until) if one.index > moment.index]
        if not coming:
            return []
        amount = coming[0].amount / self._paths.divisor(listed.symbol, moment.index)
        days = [(one.ex_date - moment.day).days for one in coming]
        return [(one.index, amount * math.exp(-rate(day) * day / 365.0)) for one, day in zip(coming, days, strict=True)]

    def _exercise_calls(
        self, value: Floats, symbol: str, spot: float, moment: Moment, series: tuple[Series, ...], slot: Ints, right: npt.NDArray[np.int8],
        strike: Floats,
    ) -> None:
        """Raise calls to what they are worth exercised before the first or the last dividend to come, where that is more."""
        listed, mood = LISTED[symbol], self._paths.mood(moment)
        for number, (_, expiry) in enumerate(series):
            coming = self._coming(listed, moment, expiry)
            rows = np.flatnonzero((slot == number) & (right == CALL)) if coming else np.zeros(0, dtype=np.int64)
            for place in sorted({0, len(coming) - 1}) if len(rows) else ():
                index = coming[place][0]
                sessions = np.array([(1.0 - moment.gone) + index - 1 - moment.index]) / SESSIONS_PER_YEAR
                day = self._paths.day(index - 1)
                days = (day - moment.day).days
                growth = math.exp(rate(days) * days / 365.0)
                before = sum(amount for _, amount in coming[:place])
                total = variance(listed, mood, sessions) + self._reported(symbol, moment, [day])
                money = max(math.sqrt(float(total[0])), _LEAST_DEVIATION)
                y = np.log(strike[rows] / ((spot - before) * growth)) / money
                deviation = money * np.sqrt(shape(listed.smile, y))
                early = exercised_before(spot=spot, paid_before=before, strike=strike[rows], growth=growth, deviation=deviation)
                value[rows] = np.maximum(value[rows], early)
