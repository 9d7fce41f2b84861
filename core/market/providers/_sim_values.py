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
from core.market.providers._sim_american import DEEP, exercised_early, with_put_premium
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """Dividends to come by session number and day of their ex-dates; `paid` is what the first so many of them are worth now, a share."""

    index: Ints
    ordinal: Ints
    paid: Floats


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
            forward = self._forwards(LISTED[symbol], spot, moment, series, years, discount)
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

    def _forwards(
        self, listed: Listed, spot: float, moment: Moment, series: tuple[Series, ...], years: Floats, discount: Floats
    ) -> Floats:
        """The forward to each settlement."""
        if not series or series[0][0].delivery is Delivery.CASH:
            return np.asarray(spot * np.exp(-INDEX_YIELD * years) / discount)
        expiries = np.array([expiry.toordinal() for _, expiry in series])
        coming = self._coming(listed, moment, date.fromordinal(int(expiries.max())))
        return np.asarray((spot - coming.paid[np.searchsorted(coming.ordinal, expiries, side="right")]) / discount)

    def _coming(self, listed: Listed, moment: Moment, until: date) -> Coming:
        """The dividends from now up to a day. Those past the next are taken to be as large."""
        coming = [one for one in self._paths.payments(listed.symbol, until) if one.index > moment.index]
        amount = coming[0].amount / self._paths.divisor(listed.symbol, moment.index) if coming else 0.0
        days = [(one.ex_date - moment.day).days for one in coming]
        worth = [amount * math.exp(-rate(day) * day / 365.0) for day in days]
        return Coming(
            index=np.array([one.index for one in coming], dtype=np.int64),
            ordinal=np.array([one.ex_date.toordinal() for one in coming], dtype=np.int64), paid=np.concatenate([[0.0], np.cumsum(worth)]),
        )

    def _exercise_calls(
        self, value: Floats, symbol: str, spot: float, moment: Moment, series: tuple[Series, ...], slot: Ints, right: npt.NDArray[np.int8],
        strike: Floats,
    ) -> None:
        """Raise calls to what they are worth exercised before the first or the last dividend to come, where that is more."""
        listed, mood = LISTED[symbol], self._paths.mood(moment)
        expiries = np.array([expiry.toordinal() for _, expiry in series])
        coming = self._coming(listed, moment, date.fromordinal(int(expiries.max())))
        count = np.searchsorted(coming.ordinal, expiries, side="right")
        for place in (np.zeros(len(series), dtype=np.int64), count - 1):
            rows = np.flatnonzero((right == CALL) & (count[slot] > 0))
            if not len(rows):
                return
            place = np.maximum(place, 0)
            eves = [self._paths.day(int(index) - 1) for index in coming.index[place].tolist()]
            days = np.array([(day - moment.day).days for day in eves], dtype=np.float64)
            growth = np.exp([rate(day) * day / 365.0 for day in days.tolist()])
            sessions = ((1.0 - moment.gone) + coming.index[place] - 1 - moment.index) / SESSIONS_PER_YEAR
            total = variance(listed, mood, sessions) + self._reported(symbol, moment, eves)
            money = np.maximum(np.sqrt(total), _LEAST_DEVIATION)[slot[rows]]
            base = ((spot - coming.paid[place]) * growth)[slot[rows]]
            deviation = money * np.sqrt(shape(listed.smile, np.log(strike[rows] / base) / money))
            early = exercised_early(forward=base, growth=growth[slot[rows]], strike=strike[rows], deviation=deviation)
            value[rows] = np.maximum(value[rows], early)
