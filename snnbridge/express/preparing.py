"""A network without the layers, and in the order and timing, that a target does not have.

Each step raises WriteError where it cannot be done.
"""

from __future__ import annotations

from snnbridge import rewrites
from snnbridge.errors import CheckpointError, WriteError
from snnbridge.express.runner import Runner
from snnbridge.ledger import Entry
from snnbridge.model import UNKNOWN, AvgPool, BatchNorm, SNNCheckpoint, Subgraph
from snnbridge.simulator.graph_shapes import shapes_of

#: What may become part of the weights beside it.
_FOLDED = {BatchNorm: rewrites.with_folded_norm, AvgPool: rewrites.with_sum_pool}


def check_graph(checkpoint: SNNCheckpoint, target: Runner) -> None:
    """Refuse a network that no target runs.

    Raises
    ------
    WriteError
        If its connections are not known, or it holds graphs inside.
    """
    if checkpoint.connections is UNKNOWN:
        raise WriteError(f"the connections are not known; {target.label} needs them")
    for layer in checkpoint.layers.values():
        if isinstance(layer, Subgraph):
            raise WriteError(f"layer {layer.name!r}: {target.label} runs no graphs inside graphs")


def flattened(checkpoint: SNNCheckpoint, target: Runner) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Run over the elements of images in the target's order."""
    try:
        return rewrites.with_image_order(checkpoint, target.order)
    except CheckpointError as error:
        raise WriteError(f"{target.label} runs {target.order}: {error}") from error


def folded(checkpoint: SNNCheckpoint, target: Runner) -> tuple[SNNCheckpoint, list[Entry]]:
    """Fold the layers that a target lacks into the weights beside them, where that can be."""
    entries: list[Entry] = []
    for name, layer in list(checkpoint.layers.items()):
        fold = _FOLDED.get(type(layer))
        if fold is None:
            continue
        taken, _ = shapes_of(checkpoint.layers, checkpoint.connections)  # type: ignore[arg-type]
        try:
            target.check(layer, taken.get(name), checkpoint.dt)
        except WriteError as refusal:
            try:
                checkpoint, told = fold(checkpoint, name)
            except CheckpointError:
                raise refusal from None
            entries += told
    return checkpoint, entries


def retimed(checkpoint: SNNCheckpoint, target: Runner) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Have spikes leave in the step in which the target's neurons tell them."""
    try:
        return rewrites.with_output_delay(checkpoint, target.output_delay)
    except CheckpointError as error:
        raise WriteError(f"{target.label} tells spikes in another step: {error}") from error
