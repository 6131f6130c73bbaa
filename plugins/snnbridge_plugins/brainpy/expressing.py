"""A network in BrainPy's classes, with the nodes and variables of the net that is built of it."""

from __future__ import annotations

from collections.abc import Iterator

from snnbridge import Entry, Neuron, SNNCheckpoint, Status
from snnbridge.express import TARGETS, express
from snnbridge.node_trees import laid_out


def expressed(checkpoint: SNNCheckpoint) -> tuple[SNNCheckpoint, list[Entry]]:
    """Express a network in BrainPy's classes.

    Raises
    ------
    WriteError
        Naming the first layer that BrainPy has no class for.
    UnknownValue
        If a rule is not known.
    """
    planned, entries = express(checkpoint, "brainpy")
    for layer in planned.layers.values():
        if not isinstance(layer, Neuron):
            TARGETS["brainpy"].check(layer, None, planned.dt)
    made = laid_out(planned)
    return made, [*entries, *_told(checkpoint, planned, made)]


def _told(source: SNNCheckpoint, planned: SNNCheckpoint, made: SNNCheckpoint) -> Iterator[Entry]:
    """Say what becomes of the nodes of another net, and of the variables."""
    if "brainpy" in source.extras:
        reason = "the nodes are those of the net that BrainPy builds of it, no longer the source's"
        yield Entry(Status.REWRITTEN, ("extras", "brainpy"), "the layout of the nodes", reason)
    else:
        reason = "BrainPy saves the variables of a net with it, here as they start"
        yield Entry(Status.REWRITTEN, ("state",), "variables", reason)
    for key, held in planned.state.items():
        kept = made.state.get(key)
        if kept is None or kept.value.size != held.value.size:
            reason = "BrainPy's class has no such variable, or its batch axis is not known"
            yield Entry(Status.DROPPED, ("state", *key), f"state {'.'.join(key)!r}", reason)
