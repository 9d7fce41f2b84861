"""Chance without state: a number drawn at (seed, stream, day, contract ...) is the same whenever and wherever it is asked for.

Each draw hashes its coordinates, so nothing has to be drawn in order and no generator's version matters. The hash is the finaliser of
SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014); normals come by Box and Muller.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.runtime import seed_of

Floats = npt.NDArray[np.float64]
_Bits = npt.NDArray[np.uint64]

_GOLDEN = np.array([0x9E3779B97F4A7C15], dtype=np.uint64)
_FIRST = np.array([0xBF58476D1CE4E5B9], dtype=np.uint64)
_SECOND = np.array([0x94D049BB133111EB], dtype=np.uint64)
_SHIFTS = tuple(np.array([bits], dtype=np.uint64) for bits in (30, 27, 31, 11))
_UNIT = 2.0**-53


class Noise:
    """All chance of one simulated market. Coordinates are whole numbers or integer arrays that broadcast; results are at least 1-d."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._keys: dict[str, _Bits] = {}

    def uniform(self, stream: str, *coordinates: npt.ArrayLike) -> Floats:
        """Draw from (0, 1), both ends excluded."""
        return _unit(self._bits(stream, coordinates))

    def normal(self, stream: str, *coordinates: npt.ArrayLike) -> Floats:
        """Draw standard normals."""
        bits = self._bits(stream, coordinates)
        radius = np.sqrt(-2.0 * np.log(_unit(bits)))
        return radius * np.cos(2.0 * np.pi * _unit(_mixed(bits ^ _GOLDEN)))

    def _bits(self, stream: str, coordinates: tuple[npt.ArrayLike, ...]) -> _Bits:
        bits = self._keys.get(stream)
        if bits is None:
            key = seed_of("simulated market", self._seed, stream) % 2**64
            bits = self._keys[stream] = np.array([key], dtype=np.uint64)
        for coordinate in coordinates:
            number = np.atleast_1d(np.asarray(coordinate, dtype=np.int64)).astype(np.uint64)
            bits = _mixed(bits + number * _GOLDEN)
        return bits


def _mixed(bits: _Bits) -> _Bits:
    bits = (bits ^ (bits >> _SHIFTS[0])) * _FIRST
    bits = (bits ^ (bits >> _SHIFTS[1])) * _SECOND
    return bits ^ (bits >> _SHIFTS[2])


def _unit(bits: _Bits) -> Floats:
    return (bits >> _SHIFTS[3]).astype(np.float64) * _UNIT + 0.5 * _UNIT
