"""The node of NIR that each layer is, as far as NIR has a word for it.

A layer that NIR lacks becomes a node of its own type, ``snnbridge.MaxPool``: NIR's package then
refuses the file, where leaving the node out would let it run another network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    AvgPool,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Layer,
    Linear,
    Opaque,
    Output,
    Parameter,
    Scale,
    SumPool,
    WriteError,
)
from snnbridge.express import Inexpressible
from snnbridge.model import SECONDS, Array, Shape
from snnbridge_plugins.nir.graph import Node, Value

#: What the types of nodes that NIR lacks begin with.
FOREIGN = "snnbridge."
#: The most numbers that are written where a checkpoint states fewer.
_MOST_SPREAD = 1 << 26


def to_node(layer: Layer, shape: Shape | None, step: float) -> Node:
    """Return the node of a layer.

    Parameters
    ----------
    layer : Layer
        No neuron and no synapse; see :mod:`snnbridge_plugins.nir.continuous`.
    shape : tuple of int, optional
        Of its input.
    step : float
        The time step in seconds, for delays in steps.
    """
    if isinstance(layer, Opaque):
        return _opaque(layer)
    maker = _MAKERS.get(type(layer))
    if maker is None:
        return foreign(layer)
    try:
        return maker(layer, shape, step)
    except Inexpressible:
        return foreign(layer)


def foreign(layer: Layer) -> Node:
    """Return a node of a type that NIR does not have."""
    arrays = {
        name: storable(held.value)
        for name, held in layer.parameters.items()
        if held.value is not UNKNOWN and is_storable(held.value) and _is_name(name)
    }
    return Node(FOREIGN + layer.kind, {k: v for k, v in arrays.items() if k != "type"})


def _is_name(name: str) -> bool:
    return bool(name) and "/" not in name and name not in (".", "..", "type", "metadata")


def _opaque(layer: Opaque) -> Node:
    if layer.origin is None or layer.origin.framework != "nir":
        return foreign(layer)
    fields: dict[str, Value] = dict(foreign(layer).fields)
    fields |= {
        k: v for k, v in layer.settings.items() if isinstance(v, str | np.ndarray) and _is_name(k)
    }
    return Node(layer.origin.kind, fields)


def is_storable(array: Array) -> bool:
    """Whether an array is of numbers."""
    return array.dtype.kind in "biuf" or array.dtype.name in _SMALL


#: Types that HDF5 and numpy have no word for, and the smallest one that holds all their values.
_SMALL = {
    "bfloat16": np.float32,
    "float8_e4m3fn": np.float32,
    "float8_e5m2": np.float32,
    "int4": np.int8,
    "uint4": np.uint8,
}


def storable(array: Array) -> Array:
    """Return an array in a type that NIR's package reads; the same object where it is in one."""
    wide = _SMALL.get(array.dtype.name)
    if wide is not None:
        return array.astype(wide)
    return array.astype(np.float64) if array.dtype.itemsize > 8 else array


def spread(value: Array, shape: Shape) -> Array:
    """Return an array of a shape, as NIR demands; the same object where it has that shape."""
    if not is_storable(value):
        raise Inexpressible
    if value.shape == shape:
        return storable(value)
    while value.ndim > len(shape):
        if value.shape[0] != 1:
            raise Inexpressible
        value = value[0]
    check_count(shape, value.size)
    return np.ascontiguousarray(np.broadcast_to(storable(value), shape))


def check_count(shape: Shape, held: int) -> None:
    """Refuse to spread few numbers over a shape that nothing but a claim stands behind.

    Raises
    ------
    WriteError
    """
    count = math.prod(shape)
    if count > max(_MOST_SPREAD, held):
        raise WriteError(
            f"NIR wants each parameter in the neurons' shape {shape}, which is {count} numbers for "
            f"{held}; that is refused above {_MOST_SPREAD}"
        )


def stated(layer: Layer, name: str) -> Array:
    """Return a parameter's array.

    Raises
    ------
    Inexpressible
        If it is unknown, or no number.
    """
    held = layer.parameters.get(name)
    if held is None or held.value is UNKNOWN or not is_storable(held.value):
        raise Inexpressible
    return held.value


def seconds(held: Parameter, step: float) -> Array:
    """Return a time in seconds; the same object where it is stated in seconds."""
    assert held.value is not UNKNOWN
    if held.unit in ("s", None):
        return held.value
    if held.unit == "step":
        return np.asarray(held.value, np.float64) * step
    if held.unit not in SECONDS:
        raise Inexpressible
    return np.asarray(held.value, np.float64) * SECONDS[held.unit]


def _port(layer: Any, shape: Shape | None, step: float) -> Node:
    known = layer.shape if layer.shape is not UNKNOWN else shape
    if known is None:
        raise Inexpressible
    return Node(type(layer).__name__, {"shape": _whole(known)})


def _linear(layer: Any, shape: Shape | None, step: float) -> Node:
    weight = storable(stated(layer, "weight"))
    if layer.bias is None:
        return Node("Linear", {"weight": weight})
    return Node("Affine", {"weight": weight, "bias": _bias(layer)})


def _bias(layer: Any) -> Array:
    return spread(stated(layer, "bias"), (layer.size[1],))


def _conv(layer: Any, shape: Shape | None, step: float) -> Node:
    settings = (layer.stride, layer.padding, layer.dilation, layer.groups)
    if any(x is UNKNOWN for x in settings):
        raise Inexpressible
    weight = storable(stated(layer, "weight"))
    # The package has no convolution without a bias.
    bias = np.zeros(len(weight), np.float32) if layer.bias is None else _bias(layer)
    one = layer.axes == 1
    fields: dict[str, Value] = {
        "weight": weight,
        "bias": bias,
        "stride": _whole(layer.stride, one),
        "padding": _padding(layer.padding, one),
        "dilation": _whole(layer.dilation, one),
        "groups": np.asarray(layer.groups, np.int64),
    }
    if layer.input_shape is not UNKNOWN:
        fields["input_shape"] = _whole(layer.input_shape, one)
    elif shape is not None and len(shape) == layer.axes + 1:
        fields["input_shape"] = _whole(shape[1:], one)
    return Node(layer.kind, fields)


def _whole(numbers: Shape, one: bool = False) -> Array:
    return np.asarray(numbers[0] if one else numbers, np.int64)


def _padding(padding: Any, one: bool = False) -> Value:
    if padding == "same":
        return "same"
    if any(a != b for a, b in padding):
        raise Inexpressible
    return _whole(tuple(a for a, _ in padding), one)


def _pool(layer: Any, shape: Shape | None, step: float) -> Node:
    if UNKNOWN in (layer.window, layer.stride, layer.padding) or len(layer.window) != 2:
        raise Inexpressible
    if layer.padding == "same":
        raise Inexpressible
    empty = all(pair == (0, 0) for pair in layer.padding)
    if isinstance(layer, AvgPool) and layer.count_padding is not True and not empty:
        raise Inexpressible
    fields: dict[str, Value] = {
        "kernel_size": _whole(layer.window),
        "stride": _whole(layer.stride),
        "padding": _padding(layer.padding),
    }
    return Node(f"{layer.kind}2d", fields)


def _flatten(layer: Any, shape: Shape | None, step: float) -> Node:
    known = layer.input_shape if layer.input_shape is not UNKNOWN else shape
    if UNKNOWN in (layer.start, layer.end):
        raise Inexpressible
    if layer.order == "channels last" and (known is None or len(known) > 1):
        raise Inexpressible
    fields: dict[str, Value] = {
        "start_dim": np.asarray(layer.start, np.int64),
        "end_dim": np.asarray(layer.end, np.int64),
    }
    if known is not None:
        fields["input_type"] = _whole(known)
    return Node("Flatten", fields)


def _scale(layer: Any, shape: Shape | None, step: float) -> Node:
    factor = stated(layer, "factor")
    return Node("Scale", {"scale": spread(factor, shape if shape is not None else factor.shape)})


def _delay(layer: Any, shape: Shape | None, step: float) -> Node:
    stated(layer, "delay")
    delay = seconds(layer.parameters["delay"], step)
    return Node("Delay", {"delay": spread(delay, shape if shape is not None else delay.shape)})


_MAKERS: Mapping[type[Layer], Callable[[Any, Shape | None, float], Node]] = {
    Input: _port,
    Output: _port,
    Linear: _linear,
    Conv1d: _conv,
    Conv2d: _conv,
    SumPool: _pool,
    AvgPool: _pool,
    Flatten: _flatten,
    Scale: _scale,
    Delay: _delay,
}
