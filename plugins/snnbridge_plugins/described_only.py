"""What a file carries and its framework does not see: layers of other frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from snnbridge import Entry, Input, Layer, Output, SNNCheckpoint, Status


def told(
    checkpoint: SNNCheckpoint, framework: str, label: str, is_seen: Callable[[Layer], bool]
) -> Iterator[Entry]:
    """Give a line of the ledger for each layer that stands in the description alone.

    Nothing is lost, and a file that is read again has all of it; but who loads it in the framework
    gets a net without these layers.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    framework : str
        As `for` takes it.
    label : str
        As people write it.
    is_seen : function of Layer
        Whether the framework has a module for it, whose arrays stand in its own file.
    """
    reason = (
        f"kept in the description alone: {label} itself loads the file without it; "
        f"--for {framework} writes it as {label}'s"
    )
    for name, layer in checkpoint.layers.items():
        if not isinstance(layer, Input | Output) and not is_seen(layer):
            yield Entry(Status.EXACT, ("layers", name), f"layer {name!r}", reason)
