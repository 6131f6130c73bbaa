"""Modules of flax and Spyx that do what layers do."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from snnbridge.document import channels_last, over_images
from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.groups import Group
from snnbridge.model import UNKNOWN, Array

#: Flax' axes of a kernel, (..., in, out), as the axes of (out, in, ...).
KERNEL_AXES = {3: (2, 1, 0), 4: (3, 2, 0, 1)}


def _pool_padding(layer: Any) -> str:
    if layer.padding == "same":
        return "SAME"
    if any(map(any, layer.padding)):
        raise CheckpointError(f"layer {layer.name!r}: Spyx pads its pools SAME or VALID")
    return "VALID"


def made_pool(layer: Any) -> Any:
    """Return a SumPool."""
    return import_module("spyx.nn").SumPool(layer.window, layer.stride, _pool_padding(layer))


def made_flatten(layer: Any) -> Any:
    """Return a Flatten."""
    if layer.order != "channels last":
        raise CheckpointError(f"layer {layer.name!r}: Spyx runs over images channels last")
    return import_module("spyx.nn").Flatten()


def made_linear(layer: Any) -> Any:
    """Return an ``nnx.Linear`` with the weights of a layer."""
    nnx = import_module("flax.nnx")
    module = nnx.Linear(*layer.size, use_bias=layer.bias is not None, rngs=nnx.Rngs(0))
    return _filled(module, layer, layer.weight.value.T)


def made_conv(layer: Any) -> Any:
    """Return an ``nnx.Conv`` with the weights of a layer."""
    nnx, weight = import_module("flax.nnx"), layer.weight.value
    module = nnx.Conv(
        *layer.size,
        weight.shape[2:],
        layer.stride,
        padding="SAME" if layer.padding == "same" else layer.padding,
        kernel_dilation=layer.dilation,
        feature_group_count=layer.groups,
        use_bias=layer.bias is not None,
        rngs=nnx.Rngs(0),
    )
    return _filled(module, layer, weight.transpose(np.argsort(KERNEL_AXES[weight.ndim])))


def _filled(module: Any, layer: Any, kernel: Array) -> Any:
    module.kernel[...] = kernel
    if layer.bias is not None:
        module.bias[...] = layer.bias.value
    return module


def made_neuron(group: Group) -> Any:
    """Return Spyx' class of a neuron, with its parameters."""
    layer, nnx = group.neuron, import_module("flax.nnx")
    if layer.origin is None or layer.origin.framework != "spyx":
        raise group.refuse("no module of Spyx stands for it")
    if layer.shape is UNKNOWN:
        raise group.refuse("its shape is unknown")
    shape = (*layer.shape[1:], layer.shape[0])
    threshold = group.value("threshold")
    given: dict[str, Any] = {}
    if threshold is not None:
        one = threshold.ndim == 0
        given["threshold"] = float(threshold) if one else _over_channels_last(threshold, len(shape))
    module = getattr(import_module("spyx.nn"), group.kind)(shape, rngs=nnx.Rngs(0), **given)
    held = {
        "beta": group.value("decay"),
        "alpha": group.value("decay", of="synapse"),
        "recurrent_w": group.value("weight", of="recurrent"),
    }
    for key, value in held.items():
        if hasattr(module, key) and value is not None:
            turned = value.T if key == "recurrent_w" else _over_channels_last(value, len(shape))
            setattr(module, key, nnx.Param(import_module("jax.numpy").asarray(turned)))
    return module


def _over_channels_last(value: Array, axes: int) -> Array:
    """Return what stands for each neuron of images as Spyx has it."""
    spread = over_images(value, axes)
    return channels_last(spread.ndim).stored(spread)


def sequential(modules: Mapping[str, Any]) -> Any:
    """Return a Sequential of modules."""
    return import_module("spyx.nn").Sequential(*modules.values())
