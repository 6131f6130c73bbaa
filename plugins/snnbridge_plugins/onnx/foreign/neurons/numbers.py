"""Numbers that a part of a graph holds, beside those that were measured of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbridge.model import Array, Parameter
from snnbridge_plugins.onnx.foreign.neurons.computing import Part

_CLOSE = 1e-4


@dataclass(frozen=True)
class Pool:
    """The floats among a part's constants, one for each neuron."""

    numbers: tuple[Array, ...]
    dtype: np.dtype[Any]

    def near(self, measured: Array, ulps: int = 0) -> Iterator[Array]:
        """Yield the numbers that may be one that was measured, those of the graph first.

        Parameters
        ----------
        measured : numpy.ndarray
            One number for each neuron.
        ulps : int
            By how many units in its last place it may be wrong.
        """
        found = measured.astype(self.dtype)
        seen = list[Array]()
        for number in (*self._close(measured), found, *_around(found, ulps)):
            if not any(np.array_equal(number, other) for other in seen):
                seen.append(number)
                yield number

    def _close(self, measured: Array) -> Iterator[Array]:
        scale = _CLOSE * np.maximum(np.abs(measured), 1e-30)
        return (x for x in self.numbers if (np.abs(x - measured) <= scale).all())

    def __contains__(self, number: Array) -> bool:
        return any(np.array_equal(number, x) for x in self.numbers)


def pool_of(part: Part) -> Pool:
    """Collect the constants of a part that may be parameters, and the same with a minus."""
    found: dict[bytes, Array] = {}
    for name, held in part.constants.items():
        if held.dtype.kind == "f" and held.size and np.isfinite(held).all():
            whole = part.held(name).astype(part.dtype)
            for number in (whole, -whole):
                found.setdefault(number.tobytes(), number)
    return Pool(tuple(found.values()), part.dtype)


def _around(number: Array, ulps: int) -> Iterator[Array]:
    for end in (number.dtype.type(np.inf), number.dtype.type(-np.inf)):
        other = number
        for _ in range(ulps):
            other = np.nextafter(other, end)
            yield other


def parameter(numbers: Array, unit: str | None = None) -> Parameter:
    """Return numbers as a parameter: as one where all neurons have the same."""
    single = bool((numbers == numbers[0]).all())
    return Parameter(np.asarray(numbers[0]) if single else numbers, unit)


def shaped(held: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Parameter]:
    """Return parameters in the shape along which neurons differ."""
    return {
        name: Parameter(p.value.reshape(shape), p.unit) if p.value.ndim else p
        for name, p in held.items()
    }


# Floats by their order


def ordinals(x: Array) -> Array:
    """Return whole numbers that follow each other as the floats do; 0 for both zeros."""
    bits = x.view(f"i{x.dtype.itemsize}").astype(np.int64)
    return np.where(bits < 0, np.iinfo(f"i{x.dtype.itemsize}").min - bits, bits)


def floats(order: Array, dtype: np.dtype[Any]) -> Array:
    """Return the floats that some whole numbers stand for."""
    whole = np.dtype(f"i{dtype.itemsize}")
    bits = np.where(order < 0, np.iinfo(whole).min - order, order)
    return bits.astype(whole).view(dtype)
