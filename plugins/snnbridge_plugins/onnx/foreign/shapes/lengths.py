"""Arithmetic on lengths of which some are known by name alone.

A graph computes shapes as it runs: ``x.view(x.size(0), -1)`` becomes "Shape", "Gather",
"Unsqueeze", "Concat". What these hold is followed here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.operators import attributes

Dims: TypeAlias = tuple[int | str, ...]
#: What a value holds: lengths, or a single one.
Content: TypeAlias = Dims | int | str
#: No tensor that is followed has more.
MOST_AXES = 16
_GREAT = 1 << 62


def product(lengths: Sequence[int | str]) -> int | str | None:
    """Return a product, None where it is that of a name and anything else."""
    names = [n for n in lengths if isinstance(n, str)]
    number = math.prod(n for n in lengths if isinstance(n, int))
    if not names:
        return number
    return names[0] if len(names) == 1 and number == 1 else None


def reshaped(
    given: Dims, target: Sequence[int | str], *, allow_zero: bool
) -> list[int | str | None] | None:
    """Return the lengths that a shape with 0 (as it was) and -1 (the rest) stands for."""
    made: list[int | str | None] = [
        given[at] if n == 0 and not allow_zero else n for at, n in enumerate(target)
    ]
    if -1 in made:
        at = made.index(-1)
        made[at] = _rest(given, [n for n in made if n != -1])
    return made


def _rest(given: Dims, others: Sequence[int | str | None]) -> int | str | None:
    names = Counter(n for n in given if isinstance(n, str))
    known = Counter(n for n in others if isinstance(n, str))
    if known - names:
        return None
    number = math.prod(n for n in given if isinstance(n, int))
    taken = math.prod(n for n in others if isinstance(n, int))
    if taken < 1 or number % taken:
        return None
    return product([number // taken, *(names - known).elements()])


def contents(
    node: Message,
    shape: Callable[[str], Dims | None],
    held: Callable[[str], Content | None],
) -> Content | None:
    """Return what a node makes of shapes, None where it is not one of these, or not known.

    Parameters
    ----------
    node : Message
    shape : callable
        Returns a value's shape.
    held : callable
        Returns what a value holds.
    """
    kind, inputs = node.get("op_type"), node.get("input", [])
    if kind == "Shape" and inputs:
        dims = shape(inputs[0])
        found = attributes(node)
        return None if dims is None else dims[found.get("start", 0) : found.get("end")]
    if kind not in ("Gather", "Unsqueeze", "Squeeze", "Concat", "Cast", "Identity", "Slice", "Mul"):
        return None
    given = [held(name) for name in inputs]
    if (
        not given
        or any(x is None for x in given)
        or (isinstance(given[0], str | int) and (kind in ("Gather", "Concat", "Slice")))
    ):
        return None
    return _combined(str(kind), node, [x for x in given if x is not None])


def _combined(kind: str, node: Message, given: Sequence[Content]) -> Content | None:
    first = given[0]
    if kind in ("Cast", "Identity"):
        return first
    if kind == "Unsqueeze":
        return None if isinstance(first, tuple) else (first,)
    if kind == "Squeeze":
        return first[0] if isinstance(first, tuple) and len(first) == 1 else None
    if kind == "Mul":
        return _multiplied(given)
    if not isinstance(first, tuple):
        return None
    if kind == "Gather":
        return _gathered(first, given[1])
    if kind == "Slice":
        return _sliced(first, given[1:])
    parts = [x for x in given if isinstance(x, tuple)]
    whole = tuple(n for part in parts for n in part)
    return whole if len(parts) == len(given) and len(whole) <= MOST_AXES else None


def _multiplied(given: Sequence[Content]) -> Content | None:
    plain = [x for x in given if not isinstance(x, tuple)]
    made = product(plain) if len(plain) == len(given) else None
    return made if isinstance(made, str) or (made is not None and abs(made) < _GREAT) else None


def _gathered(lengths: Dims, index: Content) -> Content | None:
    places = index if isinstance(index, tuple) else (index,)
    whole = [n for n in places if isinstance(n, int) and -len(lengths) <= n < len(lengths)]
    if len(whole) < len(places):
        return None
    made = tuple(lengths[n] for n in whole)
    return made if isinstance(index, tuple) else made[0]


def _sliced(lengths: Dims, bounds: Sequence[Content]) -> Content | None:
    """Take a piece of a shape: starts, ends, and perhaps axes and steps, one number each."""
    plain = [n[0] for n in bounds if isinstance(n, tuple) and len(n) == 1]
    numbers = [n for n in plain if isinstance(n, int)]
    if len(numbers) < len(bounds) or len(numbers) < 2:
        return None
    axis, step = (numbers[2] if len(numbers) > 2 else 0), (numbers[3] if len(numbers) > 3 else 1)
    return lengths[numbers[0] : numbers[1]] if (axis, step) == (0, 1) else None
