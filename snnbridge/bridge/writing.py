"""Writing: losses are refused, and the old file stays until the new one is whole."""

from __future__ import annotations

from pathlib import Path

from snnbridge.bridge.boundary import Progress
from snnbridge.bridge.destination import Destination
from snnbridge.formats import Options
from snnbridge.ledger import Ledger
from snnbridge.model import SNNCheckpoint, expect_checkpoint
from snnbridge.registry import Registry


def write(
    checkpoint: SNNCheckpoint,
    path: str | Path,
    *,
    format: str | None = None,
    bare: bool = False,
    allow_loss: bool = False,
    force: bool = False,
    options: Options | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Ledger:
    """Write a checkpoint; the old file stays until the new one is complete.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    path : str or Path
    format : str, optional
        The format's name; found by the suffix if it is not given.
    bare : bool
        Write nothing but what the framework itself would.
    allow_loss : bool
        Write also if something is lost; the ledger says what.
    force : bool
        Where the format writes several files, replace also one that belongs to something else.
    options, registry
        As for :func:`read`.
    progress : function of (phase, done, total), optional
        Called a few times a second, from another thread, with the bytes done of all.

    Returns
    -------
    Ledger
        What became of everything.

    Raises
    ------
    LossyWrite
        If something would be lost; nothing is written. It holds the ledger.
    WriteError
        If the file cannot be written; the old one is still there.

    Examples
    --------
    >>> from snnbridge import read, write
    >>> ledger = write(read("fixtures/brainpy-2.8.2/snn.bp"), "snn.h5")
    >>> ledger.losses
    ()
    """
    expect_checkpoint(checkpoint)
    goal = Destination.of(path, format, options, registry, bare=bare)
    planned, ledger = goal.plan(checkpoint, allow_loss=allow_loss)
    with goal.staged(planned, progress) as target:
        if not force:
            goal.refuse_replacing(target)
    return ledger
