"""A part of a graph that can be computed on probes, whole or for some of its neurons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from snnbridge.model import Array
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.evaluation import computed

#: Numbers of one value that are computed at a time.
_BLOCK = 1 << 16
#: How many of them take as long as it takes to begin.
_EACH = 2048
#: Neurons that stand for all of a layer: the extremes of every constant, and some between.
_MOST_EXTREME, _BETWEEN = 48, 16


class TooMuchError(ValueError):
    """What may be computed for one graph is used up."""


@dataclass
class Effort:
    """How many more operations on single numbers may be computed for one graph."""

    left: int

    def spend(self, operations: int) -> None:
        """Note that some are computed.

        Raises
        ------
        TooMuchError
            If that is more than may be.
        """
        if operations > self.left:
            raise TooMuchError
        self.left -= operations


@dataclass(frozen=True)
class Part:
    """A part of a graph that may be a neuron.

    It is run with its neurons side by side, as :attr:`few` and :meth:`at` have them.

    Attributes
    ----------
    nodes : tuple of Message
        In order; all of them arithmetic, element by element.
    drives, states : tuple of str
        The values that it takes.
    ends : tuple of str
        The values that others take of it.
    constants : dict of str to numpy.ndarray
    shape : tuple of int
        The part of a layer's shape along which its constants tell neurons apart; () where all are
        alike.
    dtype : numpy.dtype
        Of what it takes.
    effort : Effort
        Shared by all parts of a graph.
    """

    nodes: tuple[Message, ...]
    drives: tuple[str, ...]
    states: tuple[str, ...]
    ends: tuple[str, ...]
    constants: Mapping[str, Array]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    effort: Effort

    @property
    def neurons(self) -> int:
        """How many neurons its constants tell apart."""
        return math.prod(self.shape)

    def held(self, name: str) -> Array:
        """Return a constant, one number for each neuron."""
        return np.broadcast_to(self.constants[name], self.shape).reshape(self.neurons)

    def at(self, places: Array) -> Part:
        """Return some of its neurons as a part of their own, side by side."""
        found = np.unravel_index(places, self.shape) if self.shape else ()
        chosen = {
            name: np.broadcast_to(x, self.shape)[found] if x.ndim else x
            for name, x in self.constants.items()
        }
        return replace(self, constants=chosen, shape=(len(places),))

    @cached_property
    def places(self) -> Array:
        """The neurons that stand for all."""
        if self.neurons <= _MOST_EXTREME + _BETWEEN:
            return np.arange(self.neurons)
        between = np.linspace(0, self.neurons - 1, _BETWEEN).astype(np.int64)
        return np.unique([*self._extremes(), *between])

    def _extremes(self) -> list[int]:
        """Find the neurons with the least and the greatest of each constant."""
        found: dict[int, None] = {}
        for x in self.constants.values():
            if x.size > 1 and x.dtype.kind in "fiu":
                for at in (np.argmin(x), np.argmax(x)):
                    own = np.unravel_index(at, x.shape)
                    whole = [0] * (len(self.shape) - x.ndim) + [int(n) for n in own]
                    found[int(np.ravel_multi_index(whole, self.shape))] = None
        return list(found)[:_MOST_EXTREME]

    @cached_property
    def few(self) -> Part:
        """Those of its neurons that stand for all, as a part."""
        return self.at(self.places)

    @property
    def is_few(self) -> bool:
        """Whether these are all."""
        return len(self.places) == self.neurons

    def random(self, count: int) -> dict[str, Array]:
        """Return numbers of all sizes for everything that it takes."""
        rng = np.random.default_rng(0)

        def draw() -> Array:
            sizes = 2.0 ** rng.integers(-6, 18, (count, self.neurons))
            with np.errstate(over="ignore"):  # in less than 32 bits
                return (rng.normal(0, 1, (count, self.neurons)) * sizes).astype(self.dtype)

        return {name: draw() for name in (*self.drives, *self.states)}

    def run(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """Return the ends for drives and states of shape (probes, neurons)."""
        blocks = [
            {name: values[name] for name in self.ends} for _, values in self.blocks(given)
        ]  # fmt: skip
        return {name: np.concatenate([made[name] for made in blocks]) for name in self.ends}

    def blocks(self, given: Mapping[str, Array]) -> Iterator[tuple[slice, dict[str, Array]]]:
        """Yield all values of a part, some probes at a time.

        Constants have their own shapes, all else has (probes, neurons).
        """
        count = len(next(iter(given.values())))
        rows = max(1, _BLOCK // max(1, self.neurons))
        for start in range(0, count, rows):
            part = slice(start, start + rows)
            yield part, self._values({name: x[part] for name, x in given.items()})

    def _values(self, given: Mapping[str, Array]) -> dict[str, Array]:
        whole = next(iter(given.values())).shape
        self.effort.spend((_EACH + math.prod(whole)) * len(self.nodes))
        values: dict[str, Any] = {**self.constants, **given}
        for node in self.nodes:
            arguments = [values[name] if name else None for name in node.get("input", [])]
            values[node["output"][0]] = computed(node, arguments)
            if values[node["output"][0]].shape != whole:  # of constants alone
                values[node["output"][0]] = np.broadcast_to(values[node["output"][0]], whole)
        return values
