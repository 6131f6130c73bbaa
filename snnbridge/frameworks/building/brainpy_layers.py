"""The layers without dynamics as BrainPy's modules, their kernels with the channels last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.express import TARGETS
from snnbridge.model import (
    PER_STEP,
    UNKNOWN,
    Array,
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Shape,
    SumPool,
)

_SETTINGS = ("padding", "window", "stride", "dilation", "groups", "order", "start", "end")


def module_of(layer: Layer, shape: Shape | None) -> Any:
    """Return the module of a layer, which takes arrays of a shape.

    Raises
    ------
    CheckpointError
        If something of it is not known.
    WriteError
        If BrainPy has none that does the same.
    """
    held: dict[str, Any] = {name: parameter.value for name, parameter in layer.parameters.items()}
    held |= {name: getattr(layer, name, None) for name in _SETTINGS}
    unknown = [name for name, value in held.items() if value is UNKNOWN]
    if unknown:
        raise CheckpointError(f"layer {layer.name!r}: its {unknown[0]} is not known")
    TARGETS["brainpy"].check(layer, shape, PER_STEP)
    if isinstance(layer, BatchNorm):
        return _norm(layer, shape)
    return _BUILT[type(layer)](layer)


def to_jax(array: Any) -> Any:
    """Return an array as BrainPy's."""
    return import_module("brainpy").math.asarray(np.ascontiguousarray(array))


def _dense(layer: Any) -> Any:
    inputs, outputs = layer.size
    weight, bias = _weights(layer)
    dnn = import_module("brainpy").dnn
    return dnn.Dense(
        inputs, outputs, W_initializer=to_jax(weight.T), b_initializer=bias, name=layer.name
    )


def _weights(layer: Any) -> tuple[Array, Any]:
    return layer.weight.value, None if layer.bias is None else to_jax(layer.bias.value)


def _conv(layer: Any) -> Any:
    weight, bias = _weights(layer)
    inputs, outputs = layer.size
    kernel = np.moveaxis(weight, (0, 1), (-1, -2))
    if bias is not None:
        bias = bias.reshape((1,) * layer.axes + (outputs,))
    return getattr(import_module("brainpy").dnn, f"Conv{layer.axes}d")(
        inputs,
        outputs,
        weight.shape[2:],
        stride=layer.stride,
        padding=_padding(layer),
        rhs_dilation=layer.dilation,
        groups=layer.groups,
        w_initializer=to_jax(kernel),
        b_initializer=bias,
        name=layer.name,
    )


def _padding(layer: Any) -> Any:
    return "SAME" if layer.padding == "same" else tuple(tuple(x) for x in layer.padding)


def _largest(layer: Any) -> Any:
    return import_module("brainpy").dnn.MaxPool(**_window(layer))


def _average(layer: Any) -> Any:
    return import_module("brainpy").dnn.AvgPool(**_window(layer))


def _sum(layer: Any) -> Any:
    """Make the pool of which BrainPy's others are special cases."""
    pooling, lax = import_module("brainpy.dnn.pooling"), import_module("jax.lax")
    return pooling.Pool(0.0, lax.add, **_window(layer))


def _window(layer: Any) -> dict[str, Any]:
    window, stride = tuple(map(int, layer.window)), tuple(map(int, layer.stride))
    return {
        "kernel_size": window,
        "stride": stride,
        "padding": _padding(layer),
        "channel_axis": -1,
        "name": layer.name,
    }


def _norm(layer: Any, shape: Shape | None) -> Any:
    if shape is None:
        raise CheckpointError(f"layer {layer.name!r}: the shape of what it normalises is not known")
    if (layer.weight is None) != (layer.bias is None):
        raise CheckpointError(f"layer {layer.name!r}: BrainPy's has a scale and a bias, or neither")
    dnn, mean = import_module("brainpy").dnn, layer.mean.value
    affine = layer.weight is not None
    epsilon = float(np.asarray(layer.epsilon.value))
    kind = getattr(dnn, f"BatchNorm{len(shape) - 1}d")
    module = kind(len(mean), epsilon=epsilon, affine=affine, name=layer.name)
    for key, held in (("running_mean", layer.mean), ("running_var", layer.variance),
                      ("scale", layer.weight), ("bias", layer.bias)):  # fmt: skip
        if held is not None:
            getattr(module, key).value = to_jax(held.value)
    return module


def _flatten(layer: Any) -> Any:
    if layer.order == "channels first" or layer.start != 0 or layer.end != -1:
        raise CheckpointError(
            f"layer {layer.name!r} joins no whole images with their channels last"
        )
    return import_module("brainpy").dnn.Flatten(name=layer.name)


_BUILT: Mapping[type[Layer], Callable[[Any], Any]] = {
    Linear: _dense,
    Conv1d: _conv,
    Conv2d: _conv,
    MaxPool: _largest,
    AvgPool: _average,
    SumPool: _sum,
    Flatten: _flatten,
}
