"""Speed and accuracy of pricing against its peers, measured in turns in one run, as ratios (below 1 is faster than the peer)."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
import QuantLib as ql
from scipy.special import ndtr
from vollib.black.implied_volatility import implied_volatility as vollib_implied
from vollib.black_scholes_merton import black_scholes_merton as vollib_value
from vollib.black_scholes_merton.greeks import analytical as vollib_greeks

from core.pricing import bsm, implied

CHAIN = 10_000
SCALAR_SAMPLE = 200
ROUNDS = 7


def rows() -> list[dict[str, Any]]:
    """One row per comparison: name, ours_ns and peer_ns per option, ratio ours / peer, accuracy (largest error, in words)."""
    chain = _chain()
    return [_value_against_textbook(chain), _greeks_against_textbook(chain), _greeks_against_vollib(chain), _implied_against_vollib(chain),
            _implied_against_quantlib(chain)]


def _chain() -> dict[str, np.ndarray]:
    """A chain as the desk sees it: strikes 30 % around a spot of 3,000, one day to two years, a skewed volatility."""
    draw = np.random.default_rng(7)
    strike = 3000.0 * np.exp(draw.uniform(-0.3, 0.3, CHAIN))
    t_years = np.exp(draw.uniform(np.log(1 / 365), np.log(2.0), CHAIN))
    vol = np.clip(0.16 - 0.15 * np.log(strike / 3000.0) / np.sqrt(t_years + 0.05), 0.08, 1.5)
    return {"right": np.where(draw.random(CHAIN) < 0.5, 1, -1), "spot": np.full(CHAIN, 3000.0), "strike": strike, "t_years": t_years,
            "rate": np.full(CHAIN, 0.03), "dividend": np.full(CHAIN, 0.015), "vol": vol}


def _textbook_greeks(chain: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
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
        "theta": (-asset * density * vol / (2 * root) + right * (dividend * asset * n1 - rate * cash * n2)) / 365,
        "vega": asset * density * root / 100,
        "rho": right * cash * t_years * n2 / 100,
    }


def _textbook_value(chain: dict[str, np.ndarray]) -> np.ndarray:
    right, spot, strike, t_years, rate, dividend, vol = chain.values()
    root = np.sqrt(t_years)
    d1 = (np.log(spot / strike) + (rate - dividend + vol * vol / 2) * t_years) / (vol * root)
    asset, cash = spot * np.exp(-dividend * t_years), strike * np.exp(-rate * t_years)
    return right * (asset * ndtr(right * d1) - cash * ndtr(right * (d1 - vol * root)))


def _value_against_textbook(chain: dict[str, np.ndarray]) -> dict[str, Any]:
    ours, peer = _in_turns(lambda: bsm.value(**chain), lambda: _textbook_value(chain))
    gap = np.max(np.abs(bsm.value(**chain) - _textbook_value(chain)))
    return _row("value, 10,000 options: numpy + ndtr as printed", ours / CHAIN, peer / CHAIN, f"largest difference {gap:.1e}")


def _greeks_against_textbook(chain: dict[str, np.ndarray]) -> dict[str, Any]:
    ours, peer = _in_turns(lambda: bsm.greeks(**chain), lambda: _textbook_greeks(chain))
    gap = np.max(np.abs(bsm.greeks(**chain).delta - _textbook_greeks(chain)["delta"]))
    name, accuracy = "value and Greeks, 10,000 options: numpy + ndtr as printed", f"largest delta difference {gap:.1e}"
    return _row(name, ours / CHAIN, peer / CHAIN, accuracy)


def _greeks_against_vollib(chain: dict[str, np.ndarray]) -> dict[str, Any]:
    sample = _arguments(chain)

    def peer() -> list[tuple[float, ...]]:
        names = ("delta", "gamma", "theta", "vega", "rho")
        return [(vollib_value(*each), *(getattr(vollib_greeks, name)(*each) for name in names)) for each in sample]

    ours_ns, peer_ns = _in_turns(lambda: bsm.greeks(**chain), peer)
    gap = np.max(np.abs(bsm.greeks(**chain).value[:SCALAR_SAMPLE] - [each[0] for each in peer()]))
    return _row("value and Greeks: vollib, one by one", ours_ns / CHAIN, peer_ns / SCALAR_SAMPLE, f"largest difference {gap:.1e}")


def _implied_against_vollib(chain: dict[str, np.ndarray]) -> dict[str, Any]:
    quotes = _quotes(chain)
    names = ("price", "forward", "strike", "discount", "t_years")
    price, forward, strike, discount, t_years = (quotes[each][:SCALAR_SAMPLE] for each in names)
    columns = (price, forward, strike, -np.log(discount) / t_years, t_years)
    sample = [(*map(float, row), "c" if right > 0 else "p") for *row, right in zip(*columns, quotes["right"][:SCALAR_SAMPLE], strict=True)]
    return _implied_row(quotes, "implied volatility: vollib, one by one", lambda: [vollib_implied(*each) for each in sample])


def _implied_against_quantlib(chain: dict[str, np.ndarray]) -> dict[str, Any]:
    quotes = _quotes(chain)
    columns = [quotes[name][:SCALAR_SAMPLE] for name in ("strike", "forward", "price", "discount", "t_years")]
    sample = [
        (ql.Option.Call if right > 0 else ql.Option.Put, *map(float, row))
        for *row, right in zip(*columns, quotes["right"][:SCALAR_SAMPLE], strict=True)
    ]

    def peer() -> list[float]:
        return [ql.blackFormulaImpliedStdDevLiRS(kind, k, f, p, d, 0.0, ql.nullDouble(), 1.0, 1e-12, 100) / math.sqrt(t)
                for kind, k, f, p, d, t in sample]

    return _implied_row(quotes, "implied volatility: QuantLib (C++), one by one", peer)


def _implied_row(quotes: dict[str, np.ndarray], name: str, peer: Callable[[], list[float]]) -> dict[str, Any]:
    arguments = {key: quotes[key] for key in ("right", "price", "forward", "strike", "t_years", "discount")}
    ours_ns, peer_ns = _in_turns(lambda: implied.implied_vol(**arguments), peer)
    ours_error = np.max(np.abs(implied.implied_vol(**arguments) - quotes["vol"]))
    peer_error = np.max(np.abs(np.array(peer()) - quotes["vol"][:SCALAR_SAMPLE]))
    accuracy = f"largest vol error {ours_error:.1e}, peer {peer_error:.1e}"
    return _row(name, ours_ns / len(quotes["vol"]), peer_ns / SCALAR_SAMPLE, accuracy)


def _quotes(chain: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Out-of-the-money prices of a cent and more, with the volatility they were made from."""
    forward = chain["spot"] * np.exp((chain["rate"] - chain["dividend"]) * chain["t_years"])
    quotes = {"right": np.where(chain["strike"] >= forward, 1, -1), "forward": forward, "strike": chain["strike"],
              "t_years": chain["t_years"], "discount": np.exp(-chain["rate"] * chain["t_years"]), "vol": chain["vol"]}
    price = bsm.value_forward(**quotes)
    return {name: column[price >= 0.01] for name, column in {**quotes, "price": price}.items()}


def _arguments(chain: dict[str, np.ndarray]) -> list[tuple[Any, ...]]:
    columns = [chain[name][:SCALAR_SAMPLE] for name in ("spot", "strike", "t_years", "rate", "vol", "dividend")]
    return [("c" if right > 0 else "p", *map(float, row)) for *row, right in zip(*columns, chain["right"][:SCALAR_SAMPLE], strict=True)]


def _in_turns(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    """Median nanoseconds of each, run in turns after one warm-up, so that a busy machine slows both."""
    ours(), peer()
    taken: tuple[list[int], list[int]] = ([], [])
    for _ in range(ROUNDS):
        for work, times in zip((ours, peer), taken, strict=True):
            start = perf_counter_ns()
            work()
            times.append(perf_counter_ns() - start)
    return median(taken[0]), median(taken[1])


def _row(name: str, ours_ns: float, peer_ns: float, accuracy: str) -> dict[str, Any]:
    ratio = round(ours_ns / peer_ns, 4)
    return {"name": name, "ours_ns": round(ours_ns, 1), "peer_ns": round(peer_ns, 1), "ratio": ratio, "accuracy": accuracy}
