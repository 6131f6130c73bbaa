"""Images with the channel as first or as last axis: the order after each `Flatten` of a net."""

from __future__ import annotations

from dataclasses import replace

from snnbridge.errors import CheckpointError
from snnbridge.ledger import Entry
from snnbridge.model import UNKNOWN, Flatten, Shape, SNNCheckpoint
from snnbridge.rewrites.parts import edges_of
from snnbridge.rewrites.weights import with_flatten_order
from snnbridge.simulator.graph_shapes import shapes_of
from snnbridge.simulator.shapes import flattened


def with_image_order(
    checkpoint: SNNCheckpoint, order: str, *, only: str | None = None
) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Run over the elements of images as a framework does that keeps them in this order.

    The model's own images have the channel first, and kernels are permuted where they are written;
    what is left are the columns of the weights behind each `Flatten` of the other order.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    order : ``"channels first"`` or ``"channels last"``
    only : str, optional
        The one `Flatten` to change, instead of all.

    Returns
    -------
    SNNCheckpoint
    tuple of Entry
        One for each `Flatten` that was changed.

    Raises
    ------
    CheckpointError
        If something but a `Linear` follows such a `Flatten`, or one that shares its weights, it
        does not run over whole images, or its shape or the connections are not known.
    """
    entries = []
    for name, layer in checkpoint.layers.items():
        if not isinstance(layer, Flatten) or layer.order in (order, UNKNOWN):
            continue
        if only not in (None, name):
            continue
        held = layer.input_shape
        shape = _taken_shapes(checkpoint).get(name) if held is UNKNOWN else held
        if shape is not None and len(shape) == 1:
            continue  # one axis has no order
        if not shape:
            raise CheckpointError(f"layer {name!r}: the shape of its images is not known")
        if flattened(layer, shape) != (0, len(shape) - 1):
            raise CheckpointError(f"layer {name!r} does not run over whole images")
        stated = replace(layer, input_shape=shape)
        sized = replace(checkpoint, layers={**checkpoint.layers, name: stated})
        _check_shared(checkpoint, name)
        checkpoint, entry = with_flatten_order(sized, name, order)
        entries.append(entry)
    return checkpoint, tuple(entries)


def _check_shared(checkpoint: SNNCheckpoint, name: str) -> None:
    """Refuse weights that another layer uses, too: they would have to differ."""
    behind = {edge.target for edge in edges_of(checkpoint) if edge.source == name}
    for tie in checkpoint.ties:
        for layer, *_ in tie:
            if layer in behind:
                raise CheckpointError(f"layer {layer!r} behind {name!r} shares its weights")


def _taken_shapes(checkpoint: SNNCheckpoint) -> dict[str, Shape]:
    """Return the shapes that layers take, as far as the layers before them tell.

    Raises
    ------
    CheckpointError
        If the connections are not known, or a layer does not take what feeds it.
    """
    taken, _ = shapes_of(checkpoint.layers, edges_of(checkpoint), strict=True)
    return taken
