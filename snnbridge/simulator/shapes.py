"""The shape that each layer makes of its input's, and the places of windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Array,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Layer,
    Linear,
    Neuron,
    Shape,
    Synapse,
)
from snnbridge.model.layers import Pool
from snnbridge.model.places import placed


def shape_in(layer: Layer) -> Shape | None:
    """Return the shape that a layer takes, if the layer alone says it."""
    if isinstance(layer, Linear):
        return (layer.size[0],) if layer.size[0] is not None else None
    if isinstance(layer, Conv1d | Conv2d):
        channels = layer.size[0]
        if channels is None or layer.input_shape is UNKNOWN:
            return None
        return (channels, *layer.input_shape)
    if isinstance(layer, Synapse) and layer.shape is not UNKNOWN and layer.receptors != 1:
        return (*layer.shape, layer.receptors)
    if isinstance(layer, Neuron | Synapse | Input):
        return None if layer.shape is UNKNOWN else layer.shape
    if isinstance(layer, Flatten):
        return None if layer.input_shape is UNKNOWN else layer.input_shape
    return None


def shape_out(layer: Layer, shape: Shape | None) -> Shape | None:
    """Return the shape that a layer gives for an input of this shape, if it can be told.

    Raises
    ------
    CheckpointError
        If the layer does not take the shape.
    """
    if isinstance(layer, Linear):
        return (layer.size[1],) if layer.size[1] is not None else None
    if isinstance(layer, Neuron | Synapse | Input) and layer.shape is not UNKNOWN:
        return layer.shape
    if shape is None:
        return None
    if isinstance(layer, Synapse) and layer.receptors != 1:
        return shape[:-1]
    if isinstance(layer, Conv1d | Conv2d):
        return _conv_shape(layer, shape)
    if isinstance(layer, Pool):
        return _pool_shape(layer, shape)
    if isinstance(layer, Flatten):
        start, end = flattened(layer, shape)
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    return shape


def check_shape(layer: Layer, shape: Shape) -> None:
    """Refuse an input that a layer does not take.

    Raises
    ------
    CheckpointError
        Naming the layer and both shapes.
    """
    expected = shape_in(layer)
    if expected is None or expected == shape:
        return
    if isinstance(layer, Synapse) and math.prod(expected) == math.prod(shape):
        return  # the receptors may run along with the neurons
    hint = "; is a Flatten missing?" if isinstance(layer, Linear) and len(shape) > 1 else ""
    raise CheckpointError(
        f"layer {layer.name!r} ({layer.kind}) takes shape {expected}, but gets {shape}{hint}"
    )


def flattened(layer: Flatten, shape: Shape) -> tuple[int, int]:
    """Return the first and the last axis that a layer joins."""
    assert layer.start is not UNKNOWN
    assert layer.end is not UNKNOWN
    start, end = (n + len(shape) if n < 0 else n for n in (layer.start, layer.end))
    if not 0 <= start <= end < len(shape):
        raise CheckpointError(
            f"layer {layer.name!r} (Flatten) joins axes {layer.start} to {layer.end}, but its "
            f"input has shape {shape}"
        )
    return start, end


def _conv_shape(layer: Conv1d | Conv2d, shape: Shape) -> Shape:
    channels, outputs = layer.size
    if len(shape) != layer.axes + 1 or shape[0] != channels:
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}) takes {channels} channels and {layer.axes} axes "
            f"after them, but gets shape {shape}"
        )
    kernel = layer.parameters["weight"].value.shape[2:]  # type: ignore[union-attr]
    places = placed(layer, shape[1:], kernel, layer.dilation)  # type: ignore[arg-type]
    return (outputs, *places)  # type: ignore[arg-type]


def _pool_shape(layer: Pool, shape: Shape) -> Shape:
    window = layer.window
    if len(shape) != len(window) + 1:  # type: ignore[arg-type]
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}) has a window {window}, but gets shape {shape}; "
            "expected the channels, and one axis for each number of the window"
        )
    ones = (1,) * len(window)  # type: ignore[arg-type]
    return (shape[0], *placed(layer, shape[1:], window, ones))  # type: ignore[arg-type]


def taps(
    size: int, places: int, kernel: int, stride: int, before: int, dilation: int
) -> tuple[Array, Array, Array]:
    """List, for each place of the input, the (tap, output) that it reaches along one axis.

    Returns
    -------
    start, tap, output : numpy.ndarray of int32
        The pairs of input place y stand from ``start[y]`` to ``start[y + 1]``.
    """
    start, tap, output = [0], [0] * 0, [0] * 0
    for y in range(size):
        for k in range(kernel):
            place, odd = divmod(y + before - k * dilation, stride)
            if not odd and 0 <= place < places:
                tap.append(k)
                output.append(place)
        start.append(len(tap))
    return _int32(start), _int32(tap or [0]), _int32(output or [0])


def _int32(numbers: Sequence[int]) -> Array:
    return np.asarray(numbers, np.int32)


def as_plane(sizes: Sequence[int], fill: int) -> tuple[int, int]:
    """Return one or two numbers as two, the first filled in."""
    return (fill, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])
