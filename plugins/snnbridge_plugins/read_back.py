"""What a file without the description loses: found by reading back what would stand in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from snnbridge import ORDER, CheckpointError, ReadError, SNNCheckpoint, differences
from snnbridge.model import Path


def losses(
    checkpoint: SNNCheckpoint, read: Callable[[], SNNCheckpoint], words: str, reason: str
) -> Iterator[tuple[Path, str]]:
    """Compare a checkpoint with what the framework's own words give back.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    read : function
        Reads the words.
    words : str
        What they are, for messages.
    reason : str
        Why what differs is lost.

    Yields
    ------
    path, reason
        Of :func:`snnbridge.differences`.
    """
    try:
        back = read()
    except (ReadError, CheckpointError) as error:
        yield ("layers",), f"{words} cannot be read: {error}"
        return
    for found in differences(checkpoint, back):
        only = (ORDER,) if found.kind == "order" else ()
        yield (*found.path, *only), reason
