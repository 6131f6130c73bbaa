"""Layers that are given the shape they run with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

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
from snnbridge.express.graph import shapes_of
from snnbridge.model import Shape
from snnbridge.simulator.shapes import shape_in

_Own = Neuron | Synapse | Input


def shaped(layers: Mapping[str, Layer], connections: Iterable[Connection]) -> dict[str, Layer]:
    """Give layers the shape of what stands beside them, where their own only looks different.

    Exporters write ``(1, 10)`` or one number for ten neurons behind a matrix of ten rows.
    """
    edges = list(connections)
    found = dict(layers)
    for _ in range(2):
        for c in edges:
            source, target = found[c.source], found[c.target]
            wanted = shape_in(target) if isinstance(target, Linear | Neuron | Synapse) else None
            if isinstance(source, _Own) and isinstance(target, Linear):
                found[c.source] = _fitted(source, wanted)
            _, given = shapes_of({c.source: source}, ())
            if isinstance(target, _Own):
                found[c.target] = _fitted(target, given.get(c.source))
    taken, _ = shapes_of(found, edges)
    return {name: _completed(layer, taken.get(name)) for name, layer in found.items()}


def _fitted(layer: _Own, wanted: Shape | None) -> Layer:
    if wanted is None or layer.shape == wanted:
        return layer
    held: Mapping[str, Parameter] = getattr(layer, "parameters", {})
    changes: dict[str, Any] = {"shape": wanted}
    if isinstance(layer, Neuron | Synapse):
        changes["parameters"] = {k: _reshaped(p, wanted) for k, p in held.items()}
        if any(p is None for p in changes["parameters"].values()):
            return layer
    elif layer.shape is not UNKNOWN and math.prod(layer.shape) != math.prod(wanted):
        return layer
    return replace(layer, **changes)


def _reshaped(held: Parameter, wanted: Shape) -> Parameter | None:
    """Return a parameter in another shape of as many elements; None if it does not fit."""
    value = held.value
    if value is UNKNOWN or value.ndim == 0:
        return held
    if value.size == 1:
        return replace_value(held, value.reshape(()))
    if value.size != math.prod(wanted):
        return None
    return replace_value(held, value.reshape(wanted))


def replace_value(held: Parameter, value: np.ndarray[Any, Any]) -> Parameter:
    """Return a parameter of the same unit with another array."""
    return Parameter(value, held.unit, held.trainable)


def _completed(layer: Layer, shape: Shape | None) -> Layer:
    """State what the graph says of a layer that does not say it itself."""
    if shape is None:
        return layer
    if isinstance(layer, Flatten) and layer.input_shape is UNKNOWN:
        return replace(layer, input_shape=shape)
    if isinstance(layer, Conv1d | Conv2d) and layer.input_shape is UNKNOWN:
        return replace(layer, input_shape=shape[1:]) if len(shape) == layer.axes + 1 else layer
    return layer
