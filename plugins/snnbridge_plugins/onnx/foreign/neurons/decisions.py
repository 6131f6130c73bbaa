"""Where arithmetic goes one way or another: comparisons, bounds, signs, and what they become.

Between two decisions a part computes one smooth expression, which a few probes tell. What it does
beyond one of them nothing shows but probes from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbridge.model import Array
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.operators import attributes
from snnbridge_plugins.onnx.foreign.neurons.computing import Part
from snnbridge_plugins.onnx.foreign.neurons.ranges import Ranges

_COMPARING = frozenset({"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"})
_AROUND_0 = frozenset({"Relu", "Abs", "Sign", "Floor", "Ceil", "Cast", "Sqrt", "Reciprocal"})


@dataclass(frozen=True)
class Decision:
    """Two values of which one is greater, or the other.

    Attributes
    ----------
    left, right : str or float
        Names of values, or a number.
    binding : bool
        Whether another thing happens on the two sides. Of sums it is the sign alone: where their
        terms cancel out, what is small beside them shows.
    """

    left: str
    right: str | float
    binding: bool = True


def decisions(part: Part) -> list[Decision]:
    """Return the decisions of a part, each once."""
    found = dict.fromkeys(decision for node in part.nodes for decision in _of(node))
    return [d for d in found if not _is_settled(d, part)]


def _is_settled(decision: Decision, part: Part) -> bool:
    """Whether it is one between constants."""
    sides = (x for x in (decision.left, decision.right) if isinstance(x, str))
    return all(name in part.constants for name in sides)


def _of(node: Message) -> Iterator[Decision]:
    kind, names = node["op_type"], node.get("input", [])
    if kind in _COMPARING:
        yield Decision(names[0], names[1])
    elif kind == "Clip":
        yield from _of_clip(names, attributes(node))
    elif kind in ("Min", "Max"):
        yield from (Decision(a, b) for at, a in enumerate(names) for b in names[at + 1 :])
    elif kind in _AROUND_0:
        yield Decision(names[0], 0.0)
    elif kind == "Div":
        yield Decision(names[1], 0.0)
    elif kind in ("Add", "Sub", "Sum"):
        yield Decision(node["output"][0], 0.0, binding=False)


def _of_clip(names: Sequence[str], held: Mapping[str, Any]) -> Iterator[Decision]:
    for at, key in ((1, "min"), (2, "max")):
        if key in held:
            yield Decision(names[0], float(held[key]))
        elif at < len(names) and names[at]:
            yield Decision(names[0], names[at])


def sides(decision: Decision, values: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return both sides of a decision as arrays of one shape."""
    left, right = values[decision.left], decision.right
    return left, values[right] if isinstance(right, str) else np.full_like(left, right)


class Coverage:
    """Which ways each decision of a part went, neuron by neuron.

    Parameters
    ----------
    part : Part
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self._binding = [d for d in decisions(part) if d.binding]
        self._seen: dict[object, tuple[Any, Any]] = {}

    def note(self, values: Mapping[str, Array], where: Array) -> None:
        """Note what some probes went through.

        Parameters
        ----------
        values : mapping of str to numpy.ndarray
            All that was computed.
        where : numpy.ndarray
            The probes that count.
        """
        for decision in self._binding:
            left, right = sides(decision, values)
            if left.dtype != bool:
                self._mark(decision, (left < right) & where, (left > right) & where)
        for node in self.part.nodes:
            made = values[node["output"][0]]
            if made.dtype == bool or node["op_type"] == "Mul":
                self._mark(node["output"][0], (made == 0) & where, (made != 0) & where)

    def _mark(self, key: object, one: Array, other: Array) -> None:
        before = self._seen.get(key, (np.False_, np.False_))
        self._seen[key] = (one.any(axis=0) | before[0], other.any(axis=0) | before[1])

    def is_whole(self, ranges: Ranges) -> bool:
        """Whether each decision went both ways, but for those that cannot."""
        return all(
            (seen | barred).all()
            for key, ways in self._seen.items()
            for seen, barred in zip(ways, _barred(key, ranges), strict=True)
        )


def _barred(key: object, ranges: Ranges) -> tuple[Array, Array]:
    """Return by neuron whether a decision cannot go either way."""
    if isinstance(key, Decision):
        (low, high), (least, most) = (
            ranges[x] if isinstance(x, str) else (np.asarray(x), np.asarray(x))
            for x in (key.left, key.right)
        )
        return np.asarray(low >= most), np.asarray(high <= least)
    low, high = ranges[str(key)]
    return np.asarray((low > 0) | (high < 0)), np.asarray((low == 0) & (high == 0))
