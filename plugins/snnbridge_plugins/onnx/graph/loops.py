"""Loops over steps: the states that they start from, their bodies, and the Scan itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.recipes.terms import Scope, Term, value_info


def whole_batch(
    scope: Scope,
    like: Term,
    start: Term,
    axis: int,
    shape: Sequence[int] | None,
    hint: str,
    steps: int = 0,
) -> Term:
    """Expand a state to the whole batch, and refuse one of another batch.

    Parameters
    ----------
    scope : Scope
    like : Term
        What has the batch.
    start : Term
    axis : int
        Of `like`, at which its batch stands.
    shape : sequence of int, or None
        Of the state, without the batch; ``None`` for that of `like`.
    hint : str
    steps : int
        How many steps stand before the batch, for a past.
    """
    if shape is None:
        whole = scope.sizes(like, axis)
    else:
        dims = [scope.constant([steps], "int64")] if steps else []
        dims.append(scope.sizes(like, axis, axis + 1))
        if shape:
            dims.append(scope.constant(list(shape), "int64"))
        whole = scope.op("Concat", *dims, axis=0) if len(dims) > 1 else dims[0]
    # What is expanded may itself be the larger: a state of 4 samples for an input of 1.
    return scope.op("Reshape", scope.op("Expand", start, whole), whole, hint=hint)


def loop_graph(
    body: Scope,
    inputs: Sequence[Term],
    results: Sequence[Term],
    shapes: Sequence[Sequence[int]],
) -> Message:
    """Close the body of a Scan.

    Parameters
    ----------
    body : Scope
    inputs : sequence of Term
        The states, then what is scanned.
    results : sequence of Term
        The new states, then the outputs.
    shapes : sequence of tuple
        Of the results, without the batch: their number of axes is stated, since runtimes up to
        1.20 ask for it, and the lengths are not, since a function serves layers of any size.
    """
    outputs = [body.op("Identity", term, hint=f"{term.name}_next") for term in results]
    return {
        "node": body.nodes,
        "name": "step",
        "input": [{"name": term.name} for term in inputs],  # the loop knows their types
        "output": [
            value_info(term.name, term.dtype, [None] * (len(shape) + 1))
            for term, shape in zip(outputs, shapes, strict=True)
        ],
    }


def scan(
    scope: Scope,
    graph: Message,
    states: Sequence[Term],
    scanned: Sequence[Term],
    names: Sequence[str],
    dtypes: Sequence[str],
    **more: Any,
) -> list[Term]:
    """Add a Scan; return the last states, then the outputs."""
    attributes = {"body": graph, "num_scan_inputs": len(scanned)}
    outputs = list(zip(names, dtypes, strict=True))
    return scope.add("Scan", [*states, *scanned], outputs, attributes, **more)
