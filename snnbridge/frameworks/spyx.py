"""Saving nets of Spyx with everything that their parameters leave out, and building them.

A state of flax holds arrays: no thresholds, no classes of neurons, no layers without arrays, no
strides.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np

from snnbridge import bridge, rules
from snnbridge.document import channels_last, over_images
from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.builder import Builder
from snnbridge.frameworks.building.spyx_modules import (
    KERNEL_AXES,
    made_conv,
    made_flatten,
    made_linear,
    made_neuron,
    made_pool,
    sequential,
)  # fmt: skip
from snnbridge.frameworks.reading.call_graph import Edge
from snnbridge.frameworks.reading.connecting import stated_edge
from snnbridge.frameworks.reading.pieces import Piece
from snnbridge.ledger import Ledger
from snnbridge.model import (
    PER_STEP,
    Array,
    Connection,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Layer,
    Linear,
    SNNCheckpoint,
    SourceInfo,
    SumPool,
)
from snnbridge.simulator.graph_shapes import infer_shapes

__all__ = ["build", "checkpoint_of", "export"]


def export(
    net: Any,
    path: str | os.PathLike[str],
    *,
    input_shape: tuple[int, ...] | None = None,
    connections: Iterable[Any] | None = None,
) -> Ledger:
    """Save a live net so that every other format can take it; see :func:`checkpoint_of`.

    The file has the bytes of ``serialization.to_bytes(nnx.to_pure_dict(nnx.state(net)))``; what
    that leaves out stands in a second file beside it.

    Raises
    ------
    WriteError
        If the files cannot be written; the old ones are still there.
    """
    checkpoint = checkpoint_of(net, input_shape=input_shape, connections=connections)
    return bridge.write(checkpoint, os.fspath(path), format="spyx")


def checkpoint_of(
    net: Any,
    *,
    input_shape: tuple[int, ...] | None = None,
    connections: Iterable[Any] | None = None,
) -> SNNCheckpoint:
    """Return a live net as a checkpoint.

    Parameters
    ----------
    net : spyx.nn.Sequential or flax.nnx.Module
        Of Spyx' neurons, ``nnx.Linear``, ``nnx.Conv``, ``SumPool`` and ``Flatten``; those of a
        class of your own are its attributes, or theirs, and have their names.
    input_shape : tuple of int, optional
        Of what the net takes at one step, without batch: ``(height, width, channels)``. A net that
        starts with a convolution does not say it.
    connections : iterable of (source, target) or (source, target, delay), optional
        Between modules by name, without the input; a loop needs one step of delay. Only a
        Sequential says itself what feeds what; those of any other net stay unknown without them,
        with a warning.

    Raises
    ------
    TypeError
        If `net` is no module.
    CheckpointError
        If a module does what no rule says, or a connection is none.
    """
    nnx = import_module("flax.nnx")
    if not isinstance(net, nnx.Module):
        raise TypeError(f"expected an nnx.Module, found {type(net).__name__!r}")
    chain = isinstance(net, nnx.Sequential)
    modules = dict(_numbered(net.layers) if chain else _modules(net))
    pieces = {name: _piece(name, module) for name, module in modules.items()}
    if connections is not None:
        between = [stated_edge(edge, modules) for edge in connections]
    elif chain:
        between = [(a, b, 0) for a, b in pairwise(modules)]
    else:
        return _unconnected(net, pieces, input_shape)
    edges = list(_edges(pieces, between))
    layers = [layer for piece in pieces.values() for layer in piece.layers]
    if input_shape is not None:
        layers.insert(0, Input("input", _first(input_shape)))
        fed = {target for _, target, _ in between}
        edges = [*(Connection("input", pieces[x].entry) for x in modules if x not in fed), *edges]
    known = infer_shapes({layer.name: layer for layer in layers}, tuple(edges))
    return SNNCheckpoint(known, connections=edges, dt=PER_STEP, extras=_layout(chain=chain))


def _unconnected(
    net: Any, pieces: Mapping[str, Piece], input_shape: tuple[int, ...] | None
) -> SNNCheckpoint:
    """Return a net that does not say what feeds what."""
    note = (
        f"connections: not known, since {type(net).__name__} is no nnx.Sequential: state "
        "connections=[(source, target), (source, target, delay), ...] between modules"
    )
    warnings.warn(note, stacklevel=3)
    first = [] if input_shape is None else [Input("input", _first(input_shape))]
    layers = [*first, *(layer for piece in pieces.values() for layer in piece.layers)]
    source = SourceInfo(framework="spyx", framework_version=version("spyx"), notes=(note,))
    return SNNCheckpoint(layers, dt=PER_STEP, extras=_layout(chain=False), source=source)


def _layout(*, chain: bool) -> dict[str, Any]:
    """Say for the format that modules stand at the top of the tree, by their own names."""
    return {} if chain else {"spyx": {"net": []}}


def _numbered(modules: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    return ((str(i), module) for i, module in enumerate(modules))


def _modules(net: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Give the modules that layers stand for, by the names of attributes joined by dots."""
    nnx = import_module("flax.nnx")
    several = isinstance(net, list | tuple | nnx.List)
    for key, held in _numbered(net) if several else vars(net).items():
        if key.startswith("_"):
            continue
        name = f"{above}{key}"
        if _is_known(held):
            yield name, held
        elif isinstance(held, list | tuple | nnx.List | nnx.Module):
            inner = list(_modules(held, f"{name}."))
            yield from inner or ([(name, held)] if isinstance(held, nnx.Module) else [])


def _is_known(module: Any) -> bool:
    kind = type(module).__name__
    return kind in _READ or ("spyx", kind) in rules.classes


def _edges(pieces: Mapping[str, Piece], between: Iterable[Edge]) -> Iterator[Connection]:
    """Connect the modules; what is fed back inside one comes last."""
    inner = [edge for piece in pieces.values() for edge in piece.edges]
    loops = [edge for edge in inner if edge.source.endswith(".recurrent")]
    yield from (edge for edge in inner if edge not in loops)
    for source, target, delay in between:
        yield Connection(pieces[source].exit, pieces[target].entry, delay)
    yield from loops


def _array(param: Any) -> Array:
    return np.asarray(param[...])


def _piece(name: str, module: Any) -> Piece:
    kind = type(module).__name__
    if kind in _READ:
        return Piece.of(_READ[kind](name, module))
    if _is_known(module):
        return _neuron(name, kind, module)
    raise CheckpointError(f"module {name!r}: no layer stands for a {kind}")


def _neuron(name: str, kind: str, module: Any) -> Piece:
    known = rules.get("spyx", kind)
    taken = {*known.arguments, *(known.synapse.arguments if known.synapse else ())}
    shape = module.layer_shape if kind == "LI" else module.hidden_shape
    found = {key: _array(getattr(module, key)) for key in ("alpha", "beta") if key in taken}
    if "threshold" in taken:
        found["threshold"] = np.asarray(module.threshold, np.float32)
    given: dict[str, Any] = {
        key: _over_channels_first(value, len(shape)) for key, value in found.items()
    }
    piece = Piece.of(*known.chain(name, version("spyx"), shape=_first(shape), **given))
    if hasattr(module, "recurrent_w"):
        piece.feed_back(Linear(f"{name}.recurrent", _array(module.recurrent_w).T), before=False)
        piece.edges[-2:] = [Connection(e.source, e.target) for e in piece.edges[-2:]]
    return piece


def _over_channels_first(value: Array, axes: int) -> Array:
    """Return what stands for each neuron of images as the model holds it."""
    spread = over_images(value, axes)
    return channels_last(spread.ndim).held(spread)


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
        kernel.transpose(KERNEL_AXES[kernel.ndim]),
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


build = Builder(
    name="spyx",
    neuron=made_neuron,
    sequential=sequential,
    plain={
        Linear: made_linear,
        Conv1d: made_conv,
        Conv2d: made_conv,
        SumPool: made_pool,
        Flatten: made_flatten,
    },
    standard={},
    chains=True,
).build
