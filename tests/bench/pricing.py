"""Speed and accuracy of pricing against its peers, measured in turns in one run, as ratios (below 1 is faster than the peer).

Each kind of work is done by the compiled kernels on one core, by numpy behind the same call, and by every peer that is installed. Errors
are against exact values: fifty digits for European ones, QuantLib's high-precision scheme and fine grids for American ones.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import mpmath
import numpy as np
import QuantLib as ql
from scipy.optimize import brentq
from scipy.special import ndtr
from vollib.black.implied_volatility import implied_volatility as vollib_implied

from core import warming
from core.pricing import american, bsm, compiled, dividends, implied, scenarios
from core.pricing.dividends import CashDividend

SIZES = (100, 10_000, 1_000_000)
CHAIN = 10_000
SCALAR_SAMPLE = 200
DIGITS_SAMPLE = 400
ROUNDS = 9
LONG_WORK_NS = 300_000_000  # work that takes longer than this is measured fewer times
GREEKS = ("delta", "gamma", "theta_per_day", "vega_per_point", "rho_per_point")
QUARTERLY = ((45, 0.9), (136, 0.9))
Columns = Mapping[str, np.ndarray]


def rows() -> list[dict[str, Any]]:
    """One row per comparison: name, ours_ns and peer_ns per option, ratio ours / peer, accuracy (largest error, in words)."""
    made = [*_skipped()]
    if warming.wanted():
        compiled.warm(str(warming.cache_directory(Path(tempfile.gettempdir()) / f"thetadesk-kernels-{os.getuid()}")))
    else:
        made.append(_missing("compiled kernels", "numba is not installed"))
    return [*made, *_greeks(), *_implied(), *_american(), *_cash(), *_scenarios()]


@contextmanager
def _path(name: str) -> Iterator[None]:
    """Price by numpy, by the kernels on one core, or by the kernels on all cores."""
    whole = compiled._LOADED.kernels
    narrow = {kernel: each for kernel, each in whole.items() if not kernel.endswith("_wide")}
    compiled._LOADED.kernels = {"numpy": {}, "one core": narrow, "all cores": whole}[name]
    try:
        yield
    finally:
        compiled._LOADED.kernels = whole


def _paths() -> tuple[str, ...]:
    return ("one core", "numpy") if compiled.ready() else ("numpy",)


def _by(path: str, work: Callable[[], Any]) -> Callable[[], Any]:
    def timed() -> Any:
        with _path(path):
            return work()

    return timed


# --- peers that may be missing -----------------------------------------------------------------------------------------------------


def _module(name: str) -> Any:
    """A peer's module; raises ImportError where it is not installed, whatever it needs included."""
    import importlib

    return importlib.import_module(name)


def _missing(name: str, reason: object) -> dict[str, Any]:
    return {"name": f"skipped: {name} ({reason})", "value": 0, "unit": "rows"}


def _skipped() -> Iterator[dict[str, Any]]:
    for name in ("fast_vollib", "pyvolr.bs"):
        try:
            _module(name)
        except ImportError as error:
            yield _missing(name, error)


def _installed(peers: Mapping[str, Callable[[], Callable[[], Any]]]) -> dict[str, Callable[[], Any]]:
    made = {}
    for name, make in peers.items():
        try:
            made[name] = make()
        except ImportError:
            continue  # told by `_skipped`
    return made


# --- European values and Greeks ----------------------------------------------------------------------------------------------------


def _chain(size: int) -> dict[str, np.ndarray]:
    """A chain as the desk sees it: strikes 30 % around a spot of 3,000, one day to two years, a skewed volatility."""
    draw = np.random.default_rng(7)
    strike = 3000.0 * np.exp(draw.uniform(-0.3, 0.3, size))
    t_years = np.exp(draw.uniform(np.log(1 / 365), np.log(2.0), size))
    vol = np.clip(0.16 - 0.15 * np.log(strike / 3000.0) / np.sqrt(t_years + 0.05), 0.08, 1.5)
    return {"right": np.where(draw.random(size) < 0.5, 1, -1), "spot": np.full(size, 3000.0), "strike": strike, "t_years": t_years,
            "rate": np.full(size, 0.03), "dividend": np.full(size, 0.015), "vol": vol}


def _textbook(chain: Columns) -> dict[str, np.ndarray]:
    """The formulas as printed, with numpy and scipy's normal distribution."""
    right, spot, strike, t_years, rate, dividend, vol = chain.values()
    root = np.sqrt(t_years)
    d1 = (np.log(spot / strike) + (rate - dividend + vol * vol / 2) * t_years) / (vol * root)
    d2 = d1 - vol * root
    asset, cash = spot * np.exp(-dividend * t_years), strike * np.exp(-rate * t_years)
    n1, n2, density = ndtr(right * d1), ndtr(right * d2), np.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    return {
        "value": right * (asset * n1 - cash * n2),
        "delta": right * np.exp(-dividend * t_years) * n1,
        "gamma": asset * density / (spot * spot * vol * root),
        "theta_per_day": (-asset * density * vol / (2 * root) + right * (dividend * asset * n1 - rate * cash * n2)) / 365,
        "vega_per_point": asset * density * root / 100,
        "rho_per_point": right * cash * t_years * n2 / 100,
    }


def _exact_values(chain: Columns) -> np.ndarray:
    """Values of the first options with fifty digits."""
    found = []
    with mpmath.workdps(50):
        for right, *numbers in zip(*(column[:DIGITS_SAMPLE] for column in chain.values()), strict=True):
            s, k, t, r, q, v = map(mpmath.mpf, numbers)
            total = v * mpmath.sqrt(t)
            d1 = (mpmath.log(s / k) + (r - q) * t) / total + total / 2
            n1, n2 = (mpmath.erfc(-int(right) * each / mpmath.sqrt(2)) / 2 for each in (d1, d1 - total))
            found.append(int(right) * (s * mpmath.exp(-q * t) * n1 - k * mpmath.exp(-r * t) * n2))
        return np.array([float(each) for each in found])


def _greeks() -> Iterator[dict[str, Any]]:
    for size in SIZES:
        chain = _chain(size)
        exact = _exact_values(chain)
        flags = np.where(chain["right"] > 0, "c", "p")
        names = ("spot", "strike", "t_years", "rate", "vol", "dividend")
        columns = [chain[name] for name in names]

        def fast(columns: list[np.ndarray] = columns, flags: np.ndarray = flags) -> Callable[[], np.ndarray]:
            peer, how = _module("fast_vollib"), {"return_as": "numpy"}

            def run() -> np.ndarray:
                peer.get_all_greeks(flags, *columns, model="black_scholes_merton", **how)
                return np.asarray(peer.fast_black_scholes_merton(flags, *columns, **how))

            return run

        def rust(columns: list[np.ndarray] = columns, flags: np.ndarray = flags) -> Callable[[], np.ndarray]:
            peer = _module("pyvolr.bs")

            def run() -> np.ndarray:
                peer.greeks(flags, *columns)
                return np.asarray(peer.price(flags, *columns))

            return run

        peers = _installed({"fast-vollib": fast, "pyvolr": rust})
        peers["numpy + ndtr as printed"] = lambda chain=chain: _textbook(chain)["value"]
        ours = {path: _by(path, lambda chain=chain: bsm.greeks(**chain).value) for path in _paths()}
        yield from _compared(f"value and Greeks, {size:,}", ours, peers, size, lambda values, exact=exact: _relative(values, exact))
    yield from _quantlib_greeks()


def _quantlib_greeks() -> Iterator[dict[str, Any]]:
    chain = _chain(CHAIN)
    sample = [tuple(map(float, row)) for row in zip(*(column[:SCALAR_SAMPLE] for column in chain.values()), strict=True)]

    def peer() -> list[float]:
        found = []
        for right, spot, strike, t_years, rate, dividend, vol in sample:
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if right > 0 else ql.Option.Put, strike)
            made = ql.BlackCalculator(
                payoff, spot * math.exp((rate - dividend) * t_years), vol * math.sqrt(t_years), math.exp(-rate * t_years)
            )
            made.delta(spot), made.gamma(spot), made.theta(spot, t_years), made.vega(t_years), made.rho(t_years)
            found.append(made.value())
        return found

    exact = _exact_values(chain)[:SCALAR_SAMPLE]
    for path in _paths():
        ours_ns, peer_ns = _in_turns(_by(path, lambda: bsm.greeks(**chain)), peer)
        accuracy = f"relative error, peer {_relative(np.array(peer()), exact)}"
        yield _row(f"value and Greeks, {CHAIN:,}, {path}: QuantLib", ours_ns / CHAIN, peer_ns / SCALAR_SAMPLE, accuracy)


def _relative(values: np.ndarray, exact: np.ndarray) -> str:
    """The largest relative error where the price is over a billionth."""
    seen = exact > 1e-9
    return f"{np.max(np.abs(values[: len(exact)][seen] / exact[seen] - 1.0)):.1e}"


# --- implied volatility ------------------------------------------------------------------------------------------------------------


def _quotes() -> dict[str, np.ndarray]:
    """Out-of-the-money prices down to a billionth, with the volatility they were made from: the deep ones are where solvers fail."""
    chain = _chain(3 * CHAIN)
    forward = chain["spot"] * np.exp((chain["rate"] - chain["dividend"]) * chain["t_years"])
    quotes = {"right": np.where(chain["strike"] >= forward, 1, -1), "forward": forward, "strike": chain["strike"],
              "t_years": chain["t_years"], "discount": np.exp(-chain["rate"] * chain["t_years"]), "vol": chain["vol"]}
    price = bsm.value_forward(**quotes)
    return {name: column[price >= 1e-9][:CHAIN] for name, column in {**quotes, "price": price}.items()}


def _implied() -> Iterator[dict[str, Any]]:
    quotes = _quotes()
    size = len(quotes["vol"])
    price, forward, strike, t_years, discount, right = (
        quotes[name] for name in ("price", "forward", "strike", "t_years", "discount", "right")
    )
    rate = -np.log(discount) / t_years
    flags = np.where(right > 0, "c", "p")

    def rust() -> Callable[[], np.ndarray]:
        peer = _module("pyvolr.black76")
        return lambda: np.asarray(peer.implied_vol(price, flags, forward, strike, t_years, rate, on_error="ignore"))

    def jaeckel() -> Callable[[], np.ndarray]:
        peer = _module("fast_vollib.jackel")
        return lambda: np.asarray(peer.jackel_iv_black(price / discount, forward, strike, t_years, right > 0))

    def halley() -> Callable[[], np.ndarray]:
        peer = _module("fast_vollib")
        return lambda: np.asarray(
            peer.fast_implied_volatility_black(price, forward, strike, rate, t_years, flags, on_error="ignore", return_as="numpy")
        )

    def error(vols: np.ndarray) -> str:
        gap = np.abs(np.asarray(vols, dtype=np.float64)[: len(quotes["vol"])] / quotes["vol"][: len(vols)] - 1.0)
        wrong = int(np.sum(~(gap < 1e-6)))
        return f"{np.nanmax(gap):.1e}, {wrong} of {len(gap)} wrong" if wrong else f"{np.max(gap):.1e}"

    arguments = {key: quotes[key] for key in ("right", "price", "forward", "strike", "t_years", "discount")}
    ours = {path: _by(path, lambda: implied.implied_vol(**arguments)) for path in _paths()}
    peers = _installed({"pyvolr": rust, "fast-vollib Jaeckel": jaeckel, "fast-vollib default": halley})
    yield from _compared(f"implied volatility, {size:,}", ours, peers, size, error)

    columns = [column[:SCALAR_SAMPLE].tolist() for column in (price, forward, strike, rate, t_years)]
    one_by_one = [(*row, flag) for *row, flag in zip(*columns, flags[:SCALAR_SAMPLE].tolist(), strict=True)]
    rational = [
        (ql.Option.Call if side > 0 else ql.Option.Put, k, f, p, d)
        for side, k, f, p, d in zip(*(each[:SCALAR_SAMPLE].tolist() for each in (right, strike, forward, price, discount)), strict=True)
    ]
    scalar = {
        "vollib": lambda: np.array([vollib_implied(*each) for each in one_by_one]),
        "QuantLib": lambda: np.array([_quantlib_deviation(each) for each in rational]) / np.sqrt(t_years[:SCALAR_SAMPLE]),
    }
    for name, peer in scalar.items():
        for path, work in ours.items():
            ours_ns, peer_ns = _in_turns(work, peer)
            accuracy = f"relative error {error(work())}, peer {error(peer())}"
            yield _row(f"implied volatility, {size:,}, {path}: {name}", ours_ns / size, peer_ns / SCALAR_SAMPLE, accuracy)


def _quantlib_deviation(quote: tuple[Any, ...]) -> float:
    """QuantLib's total volatility; NaN where it gives up, which counts as a failure."""
    try:
        return float(ql.blackFormulaImpliedStdDevLiRS(*quote, 0.0, ql.nullDouble(), 1.0, 1e-12, 100))
    except RuntimeError:
        return math.nan


# --- American options --------------------------------------------------------------------------------------------------------------


def _puts() -> dict[str, np.ndarray]:
    draw, size = np.random.default_rng(11), 400
    return {
        "right": np.full(size, -1), "spot": 100.0 * np.exp(draw.uniform(-0.25, 0.25, size)), "strike": np.full(size, 100.0),
        "t_years": np.round(np.exp(draw.uniform(np.log(5.0), np.log(730.0), size))) / 365.0, "rate": draw.uniform(0.005, 0.08, size),
        "dividend": draw.uniform(0.0, 0.06, size), "vol": np.exp(draw.uniform(np.log(0.12), np.log(0.8), size)),
    }


def _quantlib_options(chain: Columns) -> list[tuple[Any, Any, Any, Any, Any]]:
    """Options whose spot, volatility and rate can be moved, so that a value is worked out and not remembered."""
    today = ql.Date(1, 1, 2020)
    ql.Settings.instance().evaluationDate = today
    count, made = ql.Actual365Fixed(), []
    for _, spot, strike, t_years, rate, dividend, vol in zip(*(column.tolist() for column in chain.values()), strict=True):
        at, sigma, short = ql.SimpleQuote(spot), ql.SimpleQuote(vol), ql.SimpleQuote(rate)
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(at), ql.YieldTermStructureHandle(ql.FlatForward(today, dividend, count)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, ql.QuoteHandle(short), count)),
            ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(sigma), count)),
        )
        exercise = ql.AmericanExercise(today, today + round(t_years * 365))
        made.append((ql.VanillaOption(ql.PlainVanillaPayoff(ql.Option.Put, strike), exercise), process, at, sigma, short))
    return made


def _american() -> Iterator[dict[str, Any]]:
    chain = _puts()
    size = len(chain["spot"])
    options = _quantlib_options(chain)

    def valued(engine: Callable[[Any], Any]) -> Callable[[], np.ndarray]:
        for option, process, *_ in options:
            option.setPricingEngine(engine(process))

        def run() -> np.ndarray:
            found = []
            for option, _, at, *_ in options:
                spot = at.value()
                at.setValue(spot * 1.001)
                at.setValue(spot)
                found.append(option.NPV())
            return np.array(found)

        return run

    exact = valued(lambda process: ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme()))()

    def error(values: np.ndarray) -> str:
        return f"{np.max(np.abs(values - exact)):.1e} USD"

    ours = {path: _by(path, lambda: american.value(**chain)) for path in _paths()}
    for name, engine in (
        ("QuantLib QdFp fast", lambda process: ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.fastScheme())),
        ("QuantLib BAW", ql.BaroneAdesiWhaleyApproximationEngine),
    ):
        yield from _compared("American value, a strike of 100", ours, {name: valued(engine)}, size, error)

    fast = valued(lambda process: ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.fastScheme()))
    fast()

    def bumped() -> None:
        for option, _, at, sigma, short in options:
            for quote, bump in ((at, 0.1), (sigma, 1e-3), (short, 1e-4)):
                middle = quote.value()
                for each in (middle + bump, middle - bump):
                    quote.setValue(each)
                    option.NPV()
                quote.setValue(middle)
            option.NPV()

    for path in _paths():
        ours_ns, peer_ns = _in_turns(_by(path, lambda: american.greeks(**chain)), bumped)
        name = f"American value and all Greeks, {path}: QuantLib QdFp fast, bumped (no vanna, charm, theta)"
        yield _row(name, ours_ns / size, peer_ns / size, "")
    yield from _american_chain()


def _american_chain() -> Iterator[dict[str, Any]]:
    """What 200 American quotes take before they can be answered: volatilities and Greeks. The peer is scipy's Brent on QuantLib's value."""
    chain = {name: column[:200] for name, column in _puts().items()}
    price = american.value(**chain)
    terms = {name: column for name, column in chain.items() if name != "vol"}
    alive = price > np.maximum(chain["strike"] - chain["spot"], 0.0) + 0.05
    options = _quantlib_options({name: column[alive] for name, column in chain.items()})
    for option, process, *_ in options:
        option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.fastScheme()))

    def ours() -> np.ndarray:
        found = american.implied_vol(price=price, **terms)
        american.greeks(vol=found, **terms)
        return found

    def peer() -> np.ndarray:
        return np.array([_brent(each[0], each[3], float(worth)) for each, worth in zip(options, price[alive], strict=True)])

    for path in _paths():
        ours_ns, peer_ns = _in_turns(_by(path, ours), peer)
        errors = [f"{np.nanmax(np.abs(each / chain['vol'][alive] - 1.0)):.1e}" for each in (_by(path, ours)()[alive], peer())]
        name = f"American volatility with Greeks, 200 quotes, {path}: QuantLib QdFp fast, volatility alone"
        yield _row(name, ours_ns / 200, peer_ns / int(alive.sum()), f"relative error {errors[0]}, peer {errors[1]}")


def _brent(option: Any, sigma: Any, worth: float) -> float:
    """The volatility at which QuantLib's option has a price."""

    def miss(vol: float) -> float:
        sigma.setValue(vol)
        return float(option.NPV()) - worth

    return float(brentq(miss, 0.01, 4.0, xtol=1e-10))


def _cash() -> Iterator[dict[str, Any]]:
    draw, size = np.random.default_rng(5), 60
    right, strike, vol = np.where(draw.random(size) < 0.5, 1, -1), draw.uniform(80.0, 120.0, size), draw.uniform(0.15, 0.5, size)
    chain = {"right": right, "strike": strike, "vol": vol}
    days, rate = 200, 0.04
    paid = tuple(CashDividend(t_years=day / 365, amount=amount) for day, amount in QUARTERLY)
    today = ql.Date(1, 1, 2020)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    schedule = ql.DividendVector([today + day for day, _ in QUARTERLY], [amount for _, amount in QUARTERLY])

    def by_quantlib(points: int, which: slice) -> np.ndarray:
        found = []
        for right, strike, vol in zip(*(column[which].tolist() for column in chain.values()), strict=True):
            process = ql.BlackScholesMertonProcess(
                ql.QuoteHandle(ql.SimpleQuote(100.0)), ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, count)),
                ql.YieldTermStructureHandle(ql.FlatForward(today, rate, count)),
                ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), vol, count)),
            )
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if right > 0 else ql.Option.Put, strike)
            option = ql.VanillaOption(payoff, ql.AmericanExercise(today, today + days))
            option.setPricingEngine(ql.FdBlackScholesVanillaEngine(process, schedule, points, points))
            found.append(option.NPV())
        return np.array(found)

    few = slice(0, 6)
    exact = by_quantlib(2000, few)

    def ours() -> np.ndarray:
        return dividends.value(**chain, spot=100.0, t_years=days / 365, rate=rate, dividends=paid, model="spot")

    for path in _paths():
        ours_ns, peer_ns = _in_turns(_by(path, ours), lambda: by_quantlib(400, few))
        errors = [f"{np.max(np.abs(each - exact)):.1e}" for each in (_by(path, ours)()[few], by_quantlib(400, few))]
        accuracy = f"error {errors[0]} USD, peer {errors[1]}"
        yield _row(f"American with cash dividends, {path}: QuantLib FD 400x400", ours_ns / size, peer_ns / 6, accuracy)


def _scenarios() -> Iterator[dict[str, Any]]:
    """200 positions under 1,000 scenarios, by the desk's own call: a list of spots and volatilities, then a grid with times."""
    draw = np.random.default_rng(9)
    right, strike = np.where(draw.random(200) < 0.5, 1, -1), 3000.0 * np.exp(draw.uniform(-0.2, 0.2, 200))
    t_years, vol = draw.uniform(0.02, 1.0, 200), draw.uniform(0.1, 0.4, 200)
    units = draw.choice([-300.0, -100.0, 100.0, 200.0], 200)
    book = {"right": right, "units": units, "price": 3000.0, "strike": strike, "t_years": t_years, "vol": vol, "rate": 0.03,
            "dividend": 0.015}
    moves, shifts = np.exp(draw.uniform(-0.25, 0.25, 1000)) - 1.0, draw.uniform(-0.05, 0.3, 1000)
    made = {
        "list": scenarios.listed(spot_move=moves, vol_shift=shifts),
        "grid 25 x 8 x 5": scenarios.grid(
            spot_move=np.linspace(-0.25, 0.25, 25), vol_shift=np.linspace(-0.05, 0.3, 8), years=np.linspace(0.0, 0.2, 5)
        ),
    }
    for name, each in made.items():
        for style, early in (("European", False), ("half of them American", np.arange(200) % 2 == 0)):
            if name == "list" and style != "European":
                continue  # without a spot axis there is no boundary to share; the row "American value" has that work
            legs = scenarios.make_legs(**book, american=early)

            def ours(legs: scenarios.Legs = legs, each: scenarios.Scenarios = each) -> np.ndarray:
                return scenarios.values(legs, each)

            columns = [np.broadcast_to(one, (200, *each.shape)).ravel() for one in (
                3000.0 * (1.0 + each.spot_move), _along(strike, each), np.maximum(_along(t_years, each) - each.years, 1e-9), 0.03,
                _along(vol, each) + each.vol_shift, 0.015,
            )]
            flags = np.where(np.broadcast_to(_along(right, each), (200, *each.shape)).ravel() > 0, "c", "p")

            def fast(columns: list[np.ndarray] = columns, flags: np.ndarray = flags) -> Callable[[], np.ndarray]:
                peer = _module("fast_vollib")
                return lambda: np.asarray(peer.fast_black_scholes_merton(flags, *columns, return_as="numpy"))

            reference = _by("numpy", ours)()

            def apart(values: np.ndarray, reference: np.ndarray = reference, each: scenarios.Scenarios = each) -> str:
                worth = values if values.shape == reference.shape else values.reshape(reference.shape) * _along(units, each)
                return f"{np.max(np.abs(worth - reference)):.1e} apart"

            yield from _compared(
                f"200 positions x 1,000 scenarios, {name}, {style}", {path: _by(path, ours) for path in _paths()},
                _installed({"fast-vollib" if style == "European" else "fast-vollib, all as European": fast}), 200 * 1000, apart,
            )


def _along(column: np.ndarray, each: scenarios.Scenarios) -> np.ndarray:
    return column.reshape(-1, *(1,) * len(each.shape))


# --- measuring ---------------------------------------------------------------------------------------------------------------------


def _compared(
    name: str, ours: Mapping[str, Callable[[], Any]], peers: Mapping[str, Callable[[], Any]], size: int, error: Callable[[Any], str]
) -> Iterator[dict[str, Any]]:
    for peer_name, peer in peers.items():
        for path, work in ours.items():
            ours_ns, peer_ns = _in_turns(work, peer)
            accuracy = f"error {error(work())}, peer {error(peer())}"
            yield _row(f"{name}, {path}: {peer_name}", ours_ns / size, peer_ns / size, accuracy)


def _in_turns(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    """Median nanoseconds of each, run in turns after one warm-up, so that a busy machine slows both; short work is repeated."""
    repeats = []
    for work in (ours, peer):
        work()
        start = perf_counter_ns()
        work()
        repeats.append(max(1, min(200, int(2_000_000 / max(perf_counter_ns() - start, 1)))))
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS):
        for work, count, times in zip((ours, peer), repeats, taken, strict=True):
            start = perf_counter_ns()
            for _ in range(count):
                work()
            times.append((perf_counter_ns() - start) / count)
        if turn >= 2 and sum(map(sum, taken)) > ROUNDS * LONG_WORK_NS:
            break
    return median(taken[0]), median(taken[1])


def _row(name: str, ours_ns: float, peer_ns: float, accuracy: str) -> dict[str, Any]:
    ratio = round(ours_ns / peer_ns, 4)
    return {"name": name, "ours_ns": round(ours_ns, 1), "peer_ns": round(peer_ns, 1), "ratio": ratio, "accuracy": accuracy}
