"""Images in the order of flax, with the channel as last axis."""

from __future__ import annotations

from snnbridge import CheckpointError, Entry, SNNCheckpoint, rewrites


def channels_last(checkpoint: SNNCheckpoint) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Permute the weights behind a `Flatten` that runs over images channels first.

    What is not known well enough for that stays as it is; the description says in which order.
    """
    try:
        return rewrites.with_image_order(checkpoint, "channels last")
    except CheckpointError:
        return checkpoint, ()
