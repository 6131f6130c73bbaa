"""Saving nets of Spyx with everything that their parameters leave out, and building them.

A state of flax holds arrays: no thresholds, no classes of neurons, no layers without arrays, no
strides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np

from snnbridge import bridge, rules
from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.chain import Builder, Group
from snnbridge.frameworks.reading.pieces import Piece
from snnbridge.ledger import Ledger
from snnbridge.model import (
    PER_STEP,
    UNKNOWN,
    Array,
    Connection,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Layer,
    Linear,
    SNNCheckpoint,
    SumPool,
)
from snnbridge.spec.network import infer_shapes

__all__ = ["build", "checkpoint_of", "export"]

_HWIO = {3: (2, 1, 0), 4: (3, 2, 0, 1)}


def export(
    net: Any, path: str | os.PathLike[str], *, input_shape: tuple[int, ...] | None = None
) -> Ledger:
    """Save a live net so that every other format can take it; see :func:`checkpoint_of`.

    The file has the bytes of ``serialization.to_bytes(nnx.to_pure_dict(nnx.state(net)))``; what
    that leaves out stands in a second file beside it.

    Raises
    ------
    WriteError
        If the files cannot be written; the old ones are still there.
    """
    checkpoint = checkpoint_of(net, input_shape=input_shape)
    return bridge.write(checkpoint, os.fspath(path), format="spyx")


def checkpoint_of(net: Any, *, input_shape: tuple[int, ...] | None = None) -> SNNCheckpoint:
    """Return a live net as a checkpoint.

    Parameters
    ----------
    net : spyx.nn.Sequential
        Of Spyx' neurons, ``nnx.Linear``, ``nnx.Conv``, ``SumPool`` and ``Flatten``.
    input_shape : tuple of int, optional
        Of what the net takes at one step, without batch: ``(height, width, channels)``. A net that
        starts with a convolution does not say it.

    Raises
    ------
    TypeError
        If `net` is no Sequential.
    CheckpointError
        If a module does what no rule says.
    """
    if not isinstance(net, import_module("flax.nnx").Sequential):
        raise TypeError(f"expected a spyx.nn.Sequential, found {type(net).__name__!r}")
    pieces = [_piece(str(i), module) for i, module in enumerate(net.layers)]
    if input_shape is not None:
        pieces.insert(0, Piece.of(Input("input", _first(input_shape))))
    layers = {layer.name: layer for piece in pieces for layer in piece.layers}
    edges = [edge for piece in pieces for edge in piece.edges]
    chain = [Connection(a.exit, b.entry) for a, b in pairwise(pieces)]
    loops = [edge for edge in edges if edge.source.endswith(".recurrent")]
    connections = (*(x for x in edges if x not in loops), *chain, *loops)
    layers = infer_shapes(layers, connections)
    return SNNCheckpoint(layers, connections=connections, dt=PER_STEP)


def _array(param: Any) -> Array:
    return np.asarray(param[...])


def _piece(name: str, module: Any) -> Piece:
    kind = type(module).__name__
    if kind in _READ:
        return Piece.of(_READ[kind](name, module))
    if any(known == ("spyx", kind) for known in rules.classes):
        return _neuron(name, kind, module)
    raise CheckpointError(f"module {name!r}: no layer stands for a {kind}")


def _neuron(name: str, kind: str, module: Any) -> Piece:
    known = rules.get("spyx", kind)
    taken = {*known.arguments, *(known.synapse.arguments if known.synapse else ())}
    given: dict[str, Any] = {
        key: _array(getattr(module, key)) for key in ("alpha", "beta") if key in taken
    }
    if "threshold" in taken:
        given["threshold"] = np.float32(module.threshold)
    shape = module.layer_shape if kind == "LI" else module.hidden_shape
    piece = Piece.of(*known.chain(name, version("spyx"), shape=_first(shape), **given))
    if hasattr(module, "recurrent_w"):
        piece.feed_back(Linear(f"{name}.recurrent", _array(module.recurrent_w).T), before=False)
        piece.edges[-2:] = [Connection(e.source, e.target) for e in piece.edges[-2:]]
    return piece


def _first(shape: Any) -> tuple[int, ...]:
    """Return a shape with its last axis, the channel, as first."""
    return (shape[-1], *shape[:-1])


def _linear(name: str, module: Any) -> Layer:
    return Linear(name, _array(module.kernel).T, _bias(module))


def _bias(module: Any) -> Array | None:
    return None if getattr(module, "bias", None) is None else _array(module.bias)


def _conv(name: str, module: Any) -> Layer:
    kernel = _array(module.kernel)
    kind: Any = {3: Conv1d, 4: Conv2d}[kernel.ndim]
    return kind(  # type: ignore[no-any-return]
        name,
        kernel.transpose(_HWIO[kernel.ndim]),
        _bias(module),
        stride=_steps(module.strides, kernel.ndim - 2),
        padding=_padding(name, module.padding),
        dilation=_steps(module.kernel_dilation, kernel.ndim - 2),
        groups=module.feature_group_count,
    )


def _steps(value: Any, axes: int) -> tuple[int, ...]:
    return (value or 1,) * axes if value is None or isinstance(value, int) else tuple(value)


def _padding(name: str, value: Any) -> Any:
    known: Mapping[Any, Any] = {"SAME": "same", "VALID": 0}
    if isinstance(value, str):
        if value not in known:
            raise CheckpointError(f"module {name!r}: no layer pads {value!r}")
        return known[value]
    if isinstance(value, int):
        return value
    return tuple((x, x) if isinstance(x, int) else tuple(x) for x in value)


def _pool(name: str, module: Any) -> Layer:
    window, stride = (_steps(x, 2) for x in (module.window_shape, module.strides))
    if len(window) != 2 or len(stride) != 2 or module.channel_axis not in (-1, None):
        raise CheckpointError(f"module {name!r}: no layer pools over other axes than the image's")
    return SumPool(name, window, stride, _padding(name, module.padding))


def _flatten(name: str, module: Any) -> Layer:
    return Flatten(name, order="channels last")


_READ: Mapping[str, Callable[[str, Any], Layer]] = {
    "Linear": _linear,
    "Conv": _conv,
    "SumPool": _pool,
    "Flatten": _flatten,
}


def _pool_padding(layer: Any) -> str:
    if layer.padding == "same":
        return "SAME"
    if any(map(any, layer.padding)):
        raise CheckpointError(f"layer {layer.name!r}: Spyx pads its pools SAME or VALID")
    return "VALID"


def _made_pool(layer: Any) -> Any:
    return import_module("spyx.nn").SumPool(layer.window, layer.stride, _pool_padding(layer))


def _made_flatten(layer: Any) -> Any:
    if layer.order != "channels last":
        raise CheckpointError(f"layer {layer.name!r}: Spyx runs over images channels last")
    return import_module("spyx.nn").Flatten()


def _made_linear(layer: Any) -> Any:
    nnx = import_module("flax.nnx")
    module = nnx.Linear(*layer.size, use_bias=layer.bias is not None, rngs=nnx.Rngs(0))
    return _filled(module, layer, layer.weight.value.T)


def _made_conv(layer: Any) -> Any:
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
    return _filled(module, layer, weight.transpose(np.argsort(_HWIO[weight.ndim])))


def _filled(module: Any, layer: Any, kernel: Array) -> Any:
    module.kernel[...] = kernel
    if layer.bias is not None:
        module.bias[...] = layer.bias.value
    return module


def _made_neuron(group: Group) -> Any:
    layer, nnx = group.neuron, import_module("flax.nnx")
    if layer.origin is None or layer.origin.framework != "spyx":
        raise group.refuse("no module of Spyx stands for it")
    if layer.shape is UNKNOWN:
        raise group.refuse("its shape is unknown")
    shape = (*layer.shape[1:], layer.shape[0])
    threshold = group.value("threshold")
    given = {} if threshold is None else {"threshold": float(threshold)}
    module = getattr(import_module("spyx.nn"), group.kind)(shape, rngs=nnx.Rngs(0), **given)
    held = {
        "beta": group.value("decay"),
        "alpha": group.value("decay", of="synapse"),
        "recurrent_w": group.value("weight", of="recurrent"),
    }
    for key, value in held.items():
        if hasattr(module, key) and value is not None:
            turned = value.T if key == "recurrent_w" else value
            setattr(module, key, nnx.Param(import_module("jax.numpy").asarray(turned)))
    return module


def _sequential(modules: Mapping[str, Any]) -> Any:
    return import_module("spyx.nn").Sequential(*modules.values())


build = Builder(
    name="spyx",
    neuron=_made_neuron,
    sequential=_sequential,
    plain={
        Linear: _made_linear,
        Conv1d: _made_conv,
        Conv2d: _made_conv,
        SumPool: _made_pool,
        Flatten: _made_flatten,
    },
    standard={},
).build
