"""What stands between layers, as functions that a viewer shows as one box each.

Each function here returns how to build such a one: from a scope and inputs to named outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

from snnbridge_plugins.onnx.graph.functions import Build
from snnbridge_plugins.onnx.graph.loops import whole_batch
from snnbridge_plugins.onnx.recipes.terms import Scope, Term

#: What each box does, by the title of its function.
DOCS = {
    "Start": "a state for the whole batch; refuses one of another batch",
    "FlattenChannelsFirst": "the same elements along fewer axes",
    "Shaped": "the same elements in the shape that the next layer takes",
    "Zeros": "what a layer gets that nothing leads to",
    "Clock": "the index of each step in float32, and of the step after the last",
    "Past": "the steps before the first in front of a signal, and its last steps for the next run",
    "Delayed": "a signal some steps later",
    "Delay": "each element later by its own number of steps",
    "Later": "a past without its oldest step, with the newest",
}
#: Behind the last element, whatever the length.
_END = 1 << 62


def started(shape: Sequence[int], axis: int, steps: int = 0) -> Build:
    """Expand a state to the batch: of (what has the batch at an axis, the state)."""

    def build(scope: Scope, x: list[Term]) -> dict[str, Term]:
        return {"state": whole_batch(scope, x[0], x[1], axis, shape, "whole", steps)}

    return build


def shaped(shape: Sequence[int], lead: int) -> Build:
    """Give a signal another shape behind its first axes."""

    def build(scope: Scope, x: list[Term]) -> dict[str, Term]:
        return {"y": scope.reshape(x[0], (*(0,) * lead, *shape))}

    return build


def zeros(shape: Sequence[int], lead: int, dtype: str) -> Build:
    """Make a signal of zeros, with the first axes of another."""

    def build(scope: Scope, x: list[Term]) -> dict[str, Term]:
        dims = scope.sizes(x[0], 0, lead)
        if shape:
            dims = scope.op("Concat", dims, scope.constant(list(shape), "int64"), axis=0)
        return {"y": scope.op("Expand", scope.constant(0, dtype), dims)}

    return build


# Over all steps


def clock(scope: Scope, x: list[Term]) -> dict[str, Term]:
    """Return the indices of the steps in float32, and that of the next: of (signal, first)."""
    count = scope.op("Squeeze", scope.sizes(x[0], 0, 1), scope.constant([0], "int64"))
    after = x[1] + count
    steps = scope.op("Range", x[1], after, scope.constant(1, "int64"))
    return {"time": steps.cast("float32"), "next": after}


def past(shape: Sequence[int], steps: int) -> Build:
    """Put the steps before the first in front of a signal: of (signal, past)."""

    def build(scope: Scope, x: list[Term]) -> dict[str, Term]:
        before = whole_batch(scope, x[0], x[1], 1, shape, "before", steps)
        joined = scope.op("Concat", before, x[0], axis=0)
        return {"joined": joined, "end": scope.slice(joined, -steps, _END)}

    return build


def delayed(start: int, delay: int) -> Build:
    """Take a signal some steps later, of the same with its past in front."""

    def build(scope: Scope, x: list[Term]) -> dict[str, Term]:
        return {"y": scope.slice(x[0], start, -delay)}

    return build


def delays(shape: Sequence[int]) -> Build:
    """Give each element its own delay: of (signal, the same with its past, places of step 0)."""

    def build(scope: Scope, x: list[Term]) -> dict[str, Term]:
        now, whole, places = x
        count = scope.op("Squeeze", scope.sizes(now, 0, 1), scope.constant([0], "int64"))
        zero, one = scope.constant(0, "int64"), scope.constant(1, "int64")
        column = scope.reshape(scope.op("Range", zero, count, one), (-1, 1, *(1,) * len(shape)))
        lead, own = scope.sizes(now, 0, 2), scope.constant(list(shape), "int64")
        indices = scope.op("Expand", column + places, scope.op("Concat", lead, own, axis=0))
        whole = scope.reshape(whole, (0, 0, *shape))
        return {"y": scope.op("GatherElements", whole, indices, axis=0)}

    return build


# Step by step


def clock_step(scope: Scope, x: list[Term]) -> dict[str, Term]:
    """Return the index of the step in float32, and that of the next."""
    return {"time": x[0].cast("float32"), "next": x[0] + 1}


def earlier(place: int) -> Build:
    """Take one of the steps before."""

    def build(scope: Scope, x: list[Term]) -> dict[str, Term]:
        return {"y": scope.op("Gather", x[0], scope.constant(place, "int64"), axis=0)}

    return build


def later(scope: Scope, x: list[Term]) -> dict[str, Term]:
    """Move a past on by one step: of (past, signal)."""
    now = scope.op("Unsqueeze", x[1], scope.constant([0], "int64"))
    return {"end": scope.op("Concat", scope.slice(x[0], 1, _END), now, axis=0)}


def delays_of_step(shape: Sequence[int]) -> Build:
    """Give each element its own delay: of (places, past), and the signal where some have none."""

    def build(scope: Scope, x: list[Term]) -> dict[str, Term]:
        places, whole, *now = x
        whole = scope.reshape(whole, (0, 0, *shape))
        if now:
            last = scope.reshape(now[0], (1, -1, *shape))
            whole = scope.op("Concat", whole, last, axis=0)
        one = scope.constant([1], "int64")
        dims = scope.op("Concat", one, scope.sizes(whole, 1), axis=0)
        made = scope.op("GatherElements", whole, scope.op("Expand", places, dims), axis=0)
        return {"y": scope.op("Squeeze", made, scope.constant([0], "int64"))}

    return build
