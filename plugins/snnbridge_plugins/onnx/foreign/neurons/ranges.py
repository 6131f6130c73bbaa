"""Between which numbers the values of a part lie, whatever it is given."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from snnbridge.model import Array
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.evaluation import computed
from snnbridge_plugins.onnx.foreign.neurons.computing import Part

Ranges: TypeAlias = Mapping[str, tuple[Array, Array]]

#: More arguments have too many corners.
_MOST = 4
_ANY = (np.asarray(-np.inf), np.asarray(np.inf))


def reach(part: Part) -> float:
    """Return up to which size of what it takes nothing in a part overflows, a power of two.

    Beyond it engines differ in what becomes of a number that is made a whole one.
    """
    for power in range(np.finfo(part.dtype).maxexp - 32, 0, -1):
        if not _overflows(part, ranges(part, 2.0**power, {})):
            return float(2.0**power)
    return 0.0


def _overflows(part: Part, found: Ranges) -> bool:
    for node in part.nodes:
        made = found[node["output"][0]]
        if not all(np.isfinite(x).all() for x in made):
            return True
        if made[0].dtype.kind in "iu" and node["op_type"] == "Cast":
            whole, given = np.iinfo(made[0].dtype), found[node["input"][0]]
            if (
                given[0].dtype.kind == "f"
                and not ((given[0] >= whole.min) & (given[1] < whole.max)).all()
            ):
                return True
    return False


def ranges(part: Part, end: float, most: Mapping[str, Array]) -> Ranges:
    """Return the least and the greatest of each value, by neuron.

    Parameters
    ----------
    part : Part
    end : float
        Up to which size it takes values.
    most : mapping of str to numpy.ndarray
        The greatest of some of them, where that is less.

    Notes
    -----
    Arithmetic is monotonic in each argument, rounded as it is: the extremes lie at corners.
    """
    least, greatest = (np.asarray(x, part.dtype) for x in (-end, end))
    found: dict[str, tuple[Array, Array]] = {
        name: (least, most.get(name, greatest)) for name in (*part.drives, *part.states)
    }
    found |= {name: (x, x) for name, x in part.constants.items()}
    for node in part.nodes:
        found[node["output"][0]] = _of(node, found)
    return found


def _of(node: Message, found: Ranges) -> tuple[Array, Array]:
    names = [name for name in node.get("input", []) if name]
    ends = [found[name] for name in names]
    if len(names) > _MOST:
        return _ANY
    low, high = _corners(node, found)
    if node["op_type"] == "Abs":
        low = np.where((ends[0][0] < 0) & (ends[0][1] > 0), np.zeros_like(low), low)
    if node["op_type"] in ("Div", "Reciprocal"):
        across = (ends[-1][0] <= 0) & (ends[-1][1] >= 0)
        low, high = np.where(across, -np.inf, low), np.where(across, np.inf, high)
    if node["op_type"] == "Equal":
        fixed = np.logical_and.reduce([low == high for low, high in ends])
        low, high = low & fixed, high | ~fixed
    if low.dtype.kind != "f":
        return low, high
    odd = np.isnan(low) | np.isnan(high)
    return np.where(odd, -np.inf, low), np.where(odd, np.inf, high)


def _corners(node: Message, found: Ranges) -> tuple[Array, Array]:
    """Return the least and the greatest of what a node makes of the ends of what it takes."""
    names = node.get("input", [])
    choices = [(0, 1) if name and _varies(found[name]) else (0,) for name in names]
    corners = [
        computed(node, [found[n][at] if n else None for n, at in zip(names, corner, strict=True)])
        for corner in itertools.product(*choices)
    ]
    made = np.broadcast_arrays(*corners)
    if made[0].dtype == bool:
        return np.logical_and.reduce(made), np.logical_or.reduce(made)
    return np.minimum.reduce(made), np.maximum.reduce(made)


def _varies(ends: tuple[Array, Array]) -> bool:
    return ends[0] is not ends[1]
