"""Nets over images in the order of a framework: with the channel as first or as last axis.

Kernels are turned where they are read and written. What is left are the weights behind a
`Flatten`: a net that is built in the target's framework runs over its images in that framework's
order, so they are permuted while a conversion is planned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    CheckpointError,
    Conv1d,
    Conv2d,
    Entry,
    Flatten,
    Linear,
    SNNCheckpoint,
    Status,
    rewrites,
)
from snnbridge.model import Array, Shape
from snnbridge.simulator.graph_shapes import shapes_of

FIRST, LAST = "channels first", "channels last"
#: Formats and frameworks by the order of their images.
_ORDERS = dict.fromkeys(("brainpy", "spyx"), LAST) | dict.fromkeys(
    (
        "torch", "safetensors", "rockpool", "nir", "onnx", "lava", "norse", "sinabs", "snntorch",
        "spikingjelly",
    ),
    FIRST,
)  # fmt: skip


def in_order(
    checkpoint: SNNCheckpoint, order: str, framework: str
) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Permute the weights behind each `Flatten` of the other order.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    order : ``"channels first"`` or ``"channels last"``
        Of the framework that a file is written for.
    framework : str
        Its name, for the ledger.

    Returns
    -------
    SNNCheckpoint
    tuple of Entry
        ``rewritten`` for what was permuted. What cannot be, or may have to be and is not known, is
        ``approximated`` in a net that was read from a file of the other order, so that it is
        refused; in any other net it stays as it is, and a line says so.
    """
    source, entries = checkpoint, list[Entry]()
    differs = _order_of(checkpoint) not in (order, "")
    for name, layer in checkpoint.layers.items():
        if not isinstance(layer, Flatten) or layer.order in (order, UNKNOWN):
            continue
        try:
            checkpoint, turned = rewrites.with_image_order(checkpoint, order, only=name)
            entries += turned
        except CheckpointError as error:
            reason = f"runs {layer.order}, and a net of {framework} {order}: {error}"
            entries.append(_told(name, reason, is_loss=differs))
    if differs:
        reason = f"a net of {framework} runs over images {order}, and its source {_other(order)}: "
        entries += (_told(x, reason + what, is_loss=True) for x, what in _open(checkpoint))
    entries += _beside(source, checkpoint)
    return checkpoint, tuple(entries)


def _beside(source: SNNCheckpoint, turned: SNNCheckpoint) -> Iterator[Entry]:
    """Say so where the training state may hold moments of weights that were permuted."""
    shapes = {
        layer.size
        for name, layer in turned.layers.items()
        if isinstance(layer, Linear) and layer is not source.layers[name]
    }
    if any(a.shape in shapes or a.shape[::-1] in shapes for a in _arrays(source.training)):
        reason = "stays in the order of the source; moments of the permuted weights do not fit them"
        yield Entry(Status.EXACT, ("training",), "training state", reason)


def _arrays(tree: Any) -> Iterator[Array]:
    """Give the arrays in a tree."""
    if isinstance(tree, np.ndarray):
        yield tree
    elif isinstance(tree, Mapping | list | tuple):
        for value in tree.values() if isinstance(tree, Mapping) else tree:
            yield from _arrays(value)


def _other(order: str) -> str:
    return FIRST if order == LAST else LAST


def _told(name: str, reason: str, *, is_loss: bool) -> Entry:
    status = Status.APPROXIMATED if is_loss else Status.EXACT
    return Entry(status, ("layers", name), f"layer {name!r}", reason)


def _order_of(checkpoint: SNNCheckpoint) -> str:
    """Return the order of the file that a net was read from; empty if nothing tells it."""
    if checkpoint.source is None:
        return ""
    for name in (str(checkpoint.source.format), *reversed(_formats(checkpoint))):
        if name in _ORDERS:
            return _ORDERS[name]
    origins = {x.origin.framework for x in checkpoint.layers.values() if x.origin is not None}
    told = {_ORDERS[x] for x in (*origins, *checkpoint.extras) if x in _ORDERS}
    return told.pop() if len(told) == 1 else ""


def _formats(checkpoint: SNNCheckpoint) -> list[str]:
    """Return the formats that a net went through, the oldest first."""
    records = (x for x in checkpoint.provenance if isinstance(x, Mapping))
    sources = (x.get("source") for x in records)
    return [str(x.get("format")) for x in sources if isinstance(x, Mapping)]


def _open(checkpoint: SNNCheckpoint) -> Iterator[tuple[str, str]]:
    """Name the layers for which it matters that something is not known, and say what."""
    dense = [x for x in checkpoint.layers.values() if isinstance(x, Linear)]
    shapes = _shapes(checkpoint)
    for name, layer in checkpoint.layers.items():
        if isinstance(layer, Flatten) and layer.order is UNKNOWN and dense:
            held = layer.input_shape
            shape = shapes.get(name, ()) if held is UNKNOWN else held
            if not shape or (shape[0] > 1 and math.prod(shape[1:]) > 1):
                yield name, 'its order is not known; state it in a spec, order = "channels last"'
    if checkpoint.connections is UNKNOWN:
        for layer in dense:
            if _may_take_images(checkpoint, layer):
                what = "nothing says whether it stands behind a Flatten of the convolutions"
                yield (
                    layer.name,
                    f"{what}; state the connections, and the Flatten with its order, in a spec",
                )


def _shapes(checkpoint: SNNCheckpoint) -> Mapping[str, Shape]:
    """Return the shapes that layers take, as far as they are known."""
    if checkpoint.connections is UNKNOWN:
        return {}
    try:
        return shapes_of(checkpoint.layers, checkpoint.connections, strict=True)[0]
    except CheckpointError:
        return {}


def _may_take_images(checkpoint: SNNCheckpoint, layer: Linear) -> bool:
    """Whether a layer takes as many elements as images of several channels may have."""
    inputs = layer.size[0] or 0
    channels = {
        x.size[1] or 0 for x in checkpoint.layers.values() if isinstance(x, Conv1d | Conv2d)
    }
    return any(1 < n < inputs and inputs % n == 0 for n in channels)
