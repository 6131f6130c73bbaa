"""Layers that are given the shape they run with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from snnbridge import (
    UNKNOWN,
    Connection,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Layer,
    Linear,
    Neuron,
    Parameter,
    Synapse,
)
from snnbridge.model import Shape
from snnbridge.simulator.graph_shapes import given_shape, shape_in

#: A shape of which some lengths may be any.
_Wanted: TypeAlias = tuple[int | None, ...]


def shaped(
    layers: Mapping[str, Layer], connections: Iterable[Connection], notes: list[str]
) -> dict[str, Layer]:
    """Give layers the shape of what stands beside them, where their own only looks different.

    Exporters write ``(1, 10)``, or one number, for ten neurons behind a matrix of ten rows, and
    inputs and outputs with axes of time and batch.

    Parameters
    ----------
    layers : mapping of str to Layer
        Sources first, as far as cycles allow.
    connections : iterable of Connection
    notes : list of str
        Gets a line for each layer of which axes were taken off.
    """
    found = dict(layers)
    sources: dict[str, list[str]] = {name: [] for name in found}
    targets: dict[str, list[str]] = {name: [] for name in found}
    for c in connections:
        sources[c.target].append(c.source)
        targets[c.source].append(c.target)
    given: dict[str, Shape] = {}

    def tells_more(name: str) -> bool:
        """Fit a layer to its neighbours; say whether what it gives is known only now."""
        arriving = next((given[s] for s in sources[name] if s in given), None)
        wanted = (_wanted(found[t]) for t in targets[name])
        layer = _fitted(found[name], arriving, next((w for w in wanted if w), None))
        shape = arriving if arriving is not None else shape_in(layer)
        found[name] = _completed(layer, shape)
        out, known = given_shape(layer, shape), name in given
        if out is not None:
            given[name] = out
        return out is not None and not known

    for name in found:
        tells_more(name)
    pending = list(found)
    while pending:  # what a cycle kept back, until nothing more is told
        told = [name for name in pending if tells_more(name)]
        pending = list(dict.fromkeys(x for name in told for x in (*targets[name], *sources[name])))
    notes += (_note(layers[name], layer) for name, layer in found.items() if _lost(layers, layer))
    return found


def _wanted(layer: Layer) -> _Wanted | None:
    """Return the shape that a layer must be given, as far as it tells by itself."""
    if isinstance(layer, Conv1d | Conv2d):
        return (layer.size[0], *(None,) * layer.axes) if layer.size[0] is not None else None
    if isinstance(layer, Neuron | Synapse) and math.prod(shape_in(layer) or ()) == 1:
        return None  # one number may stand for any shape
    if isinstance(layer, Linear | Neuron | Synapse | Flatten):
        return shape_in(layer)
    return None


def _fitted(layer: Layer, arriving: Shape | None, wanted: _Wanted | None) -> Layer:
    if isinstance(layer, Input) and arriving is None and wanted is not None:
        return _end(layer, wanted)
    if isinstance(layer, Input):  # an Output too
        return layer if arriving is None else _end(layer, arriving)
    if isinstance(layer, Neuron | Synapse):
        shape = arriving
        if shape is None and wanted is not None and None not in wanted:
            shape = tuple(n for n in wanted if n is not None)
        return layer if shape is None else _spread(layer, shape)
    if isinstance(layer, Flatten) and arriving is not None:
        return _sampled(layer, arriving)
    return layer


def _end(layer: Input, wanted: _Wanted) -> Input:
    """Take axes of time and batch off an end of the graph."""
    shape, whole = layer.shape, tuple(n for n in wanted if n is not None)
    if shape is UNKNOWN:
        return replace(layer, shape=whole) if len(whole) == len(wanted) else layer
    if _agree(shape, wanted) or len(shape) < len(wanted):
        return layer
    if len(whole) == len(wanted) and math.prod(shape) == math.prod(whole):
        return replace(layer, shape=whole)
    rest = shape[len(shape) - len(wanted) :] if len(shape) > len(wanted) else ()
    return replace(layer, shape=rest) if rest and _agree(rest, wanted) else layer


def _agree(shape: Shape, wanted: _Wanted) -> bool:
    return len(shape) == len(wanted) and all(
        b is None or a == b for a, b in zip(shape, wanted, strict=True)
    )


def _spread(layer: Neuron | Synapse, shape: Shape) -> Layer:
    """Let parameters hold for a shape: one number, one along an axis, or as many elsewise laid."""
    if layer.shape == shape:
        return layer
    found = {name: _reshaped(held, shape) for name, held in layer.parameters.items()}
    parameters = {name: held for name, held in found.items() if held is not None}
    return (
        layer
        if len(parameters) < len(found)
        else replace(layer, shape=shape, parameters=parameters)
    )


def _reshaped(held: Parameter, shape: Shape) -> Parameter | None:
    """Return a parameter as it holds for a shape; None if it does not fit."""
    value = held.value
    if value is UNKNOWN or value.ndim == 0:
        return held
    if value.size == 1:
        return replace_value(held, value.reshape(()))
    if value.size == math.prod(shape):
        return replace_value(held, value.reshape(shape))
    while value.ndim > len(shape) and (value == value[:1]).all():  # the same along time or batch
        value = value[0]
    if value.ndim != len(shape) or any(
        a not in (1, b) for a, b in zip(value.shape, shape, strict=True)
    ):
        return None
    return replace_value(held, value)


def replace_value(held: Parameter, value: np.ndarray[Any, Any]) -> Parameter:
    """Return a parameter of the same unit with another array."""
    return Parameter(value, held.unit, held.trainable)


def _sampled(layer: Flatten, arriving: Shape) -> Flatten:
    """Take the axis of the batch off what a Flatten says of its input."""
    stated = layer.input_shape
    extra = 0 if stated is UNKNOWN else len(stated) - len(arriving)
    if extra <= 0 or stated[extra:] != arriving or math.prod(stated[:extra]) != 1:  # type: ignore[index]
        return layer
    start, end = (
        n if n is UNKNOWN or n < 0 else max(n - extra, 0) for n in (layer.start, layer.end)
    )
    return replace(layer, start=start, end=end, input_shape=arriving)


def _completed(layer: Layer, shape: Shape | None) -> Layer:
    """State what the graph says of a layer that does not say it itself."""
    if shape is None:
        return layer
    if isinstance(layer, Flatten) and layer.input_shape is UNKNOWN:
        return replace(layer, input_shape=shape)
    if isinstance(layer, Conv1d | Conv2d) and layer.input_shape is UNKNOWN:
        return replace(layer, input_shape=shape[1:]) if len(shape) == layer.axes + 1 else layer
    return layer


def _lost(before: Mapping[str, Layer], layer: Layer) -> bool:
    old: Any = before[layer.name]
    if not isinstance(layer, Input | Neuron | Synapse) or UNKNOWN in (old.shape, layer.shape):
        return False
    return bool(math.prod(old.shape) > math.prod(layer.shape or ()))  # type: ignore[arg-type]


def _note(before: Any, layer: Any) -> str:
    extra = before.shape[: len(before.shape) - len(layer.shape)]
    return (
        f"{layer.kind} {layer.name!r} states shape {before.shape}; its neighbours take samples of "
        f"{layer.shape}, so that {extra} are taken for axes of time or batch"
    )
