"""What a spec states of the network: its edges, and the shapes and batch axes that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from snnbridge.errors import CheckpointError, SpecError
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Layer,
    Opaque,
    Shape,
    SNNCheckpoint,
    StateVariable,
    Subgraph,
)
from snnbridge.simulator.graph_shapes import own_shape, shapes_of
from snnbridge.spec.settling import same
from snnbridge.spec.values import short, time_step


def connections(spec: Mapping[str, Any], held: Any) -> Any:
    """Return the edges that a spec states, or those of the file.

    Raises
    ------
    SpecError
        For what is no edge, or is not what the file says.
    """
    if "chains" not in spec and "connections" not in spec:
        return held
    chains = _lists(spec, "chains", names=None)
    edges = [Connection(a, b) for chain in chains for a, b in pairwise(chain)]
    edges += [_edge(edge) for edge in _lists(spec, "connections", names=2)]
    return tuple(edges) if held is UNKNOWN else _delays_of(held, edges)


def _edge(edge: list[Any]) -> Connection:
    whole = len(edge) < 3 or (isinstance(edge[2], int) and not isinstance(edge[2], bool))
    if len(edge) not in (2, 3) or not whole:
        raise SpecError(
            f"a connection is [source, target] or [source, target, delay in steps], not "
            f"{short(edge)}"
        )
    return Connection(*edge)


def _delays_of(held: tuple[Connection, ...], stated: list[Connection]) -> tuple[Connection, ...]:
    """Fill in the delays that the file leaves open; the edges are its own."""
    delays = {(c.source, c.target): c.delay for c in stated}
    found = tuple(
        replace(c, delay=delays.pop((c.source, c.target), c.delay)) if c.delay is UNKNOWN else c
        for c in held
    )
    known = {(c.source, c.target, c.delay) for c in found}
    for c in stated:
        if (c.source, c.target, c.delay) not in known:
            raise SpecError(
                f"the connection {c.source!r} to {c.target!r} with the delay {c.delay} is not in "
                "the file, which has its connections; leave chains and connections out"
            )
    return found


def _lists(spec: Mapping[str, Any], key: str, names: int | None) -> list[list[Any]]:
    """Return a list of lists, of which so many at the start, or all, are names of layers."""
    value = spec.get(key, [])
    if not isinstance(value, list | tuple) or not all(
        isinstance(x, list | tuple) and all(isinstance(n, str) for n in x[:names]) for x in value
    ):
        raise SpecError(f"{key} must be a list of lists of layer names, found {short(value)}")
    return [list(x) for x in value]


def following(checkpoint: SNNCheckpoint) -> set[tuple[str, str]]:
    """Return the shapes that a file leaves out and that follow from its connections.

    Returns
    -------
    set of (str, str)
        Layer and field: ``("lif1", "shape")``, ``("conv1", "input_shape")``.
    """
    taken, _ = shapes_of(*_transparent(checkpoint))
    return {(name, field) for name in taken for field in ("shape", "input_shape")}


def unfit(checkpoint: SNNCheckpoint) -> str:
    """Say which layer does not take the shape that it gets; nothing where all fit."""
    try:
        shapes_of(*_transparent(checkpoint), strict=True)
    except CheckpointError as error:
        return str(error)
    return ""


def _transparent(checkpoint: SNNCheckpoint) -> tuple[dict[str, Layer], list[Connection]]:
    """Return the layers of which it is known what they make of a shape, and the edges of these."""
    held = () if checkpoint.connections is UNKNOWN else checkpoint.connections
    layers = {k: x for k, x in checkpoint.layers.items() if not isinstance(x, Opaque | Subgraph)}
    return layers, [c for c in held if c.source in layers and c.target in layers]


def stated_dt(spec: Mapping[str, Any], held: Any) -> Any:
    """Return the time step.

    Raises
    ------
    SpecError
        If it is none, or not the file's.
    """
    if "dt" not in spec:
        return held
    stated = time_step(spec["dt"])
    if held is not UNKNOWN and not same(held, stated):
        raise SpecError(f"dt is {held} in the file and {stated} in the spec; leave it out")
    return stated if held is UNKNOWN else held


def stated_step(spec: Mapping[str, Any], held: Any) -> Any:
    """Return the index of the next step.

    Raises
    ------
    SpecError
        If it is no whole number, or not the file's.
    """
    if "step" not in spec:
        return held
    step = spec["step"]
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 1 << 63:
        raise SpecError(f"step must be a whole number of at least 0, not {short(step)}")
    if held is not UNKNOWN and held != step:
        said = "no state" if held is None else f"step {held}"
        raise SpecError(f"the file has {said}, and the spec step {step}; leave it out")
    return step


def stated_frozen(spec: Mapping[str, Any], checkpoint: SNNCheckpoint) -> list[str]:
    """Return the names of the frozen layers.

    Raises
    ------
    SpecError
        If they are no list of layers, or not those of the file.
    """
    held = checkpoint.frozen_layers
    frozen = spec.get("frozen_layers", held)
    if not isinstance(frozen, list | tuple) or not all(isinstance(x, str) for x in frozen):
        raise SpecError(f"frozen_layers must be a list of layer names, found {short(frozen)}")
    if held and set(held) != set(frozen):
        raise SpecError(
            f"frozen_layers is {short(held)} in the file and {short(frozen)} in the spec; leave "
            "it out"
        )
    return list(frozen)


def batch_axes(
    checkpoint: SNNCheckpoint, layers: Mapping[str, Layer], stated: Mapping[str, Any]
) -> dict[tuple[str, ...], StateVariable]:
    """Name the batch axes of states: as stated, or where the layer's shape leaves one answer.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    layers : mapping
        With the shapes that are known now.
    stated : mapping of str to int or "none"
        By layer.

    Raises
    ------
    SpecError
        For an axis that a state does not have, or another one than the file's.
    """
    found = dict(checkpoint.state)
    for path, variable in found.items():
        axis = variable.batch_axis
        if path[0] in stated:
            axis = _stated_axis(path, variable, stated[path[0]])
        elif axis is UNKNOWN:
            axis = _only_axis(variable, own_shape(layers[path[0]]))
        found[path] = replace(variable, batch_axis=axis)
    return found


def _stated_axis(path: tuple[str, ...], variable: StateVariable, stated: Any) -> Any:
    where = f"layer {path[0]!r}: batch_axis"
    axis = None if stated == "none" else stated
    if axis is not None and (
        isinstance(axis, bool) or not isinstance(axis, int) or not 0 <= axis < variable.value.ndim
    ):
        raise SpecError(
            f'{where} must be "none" or an axis of {path[1]}, whose shape is '
            f"{variable.value.shape}; found {short(stated)}"
        )
    if variable.batch_axis is not UNKNOWN and variable.batch_axis != axis:
        raise SpecError(
            f"{where} of {path[1]} is {variable.batch_axis} in the file and {axis} in the spec; "
            "leave it out"
        )
    return axis


def _only_axis(variable: StateVariable, shape: Shape | None) -> Any:
    if shape is None:
        return UNKNOWN
    if variable.value.shape == shape:
        return None
    return 0 if variable.value.shape[1:] == shape else UNKNOWN
