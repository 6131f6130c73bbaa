"""What every rewriting needs: a known neuron, its numbers, and a checkpoint with layers changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from snnbridge.errors import CheckpointError
from snnbridge.ledger import Entry, Status
from snnbridge.model import (
    UNKNOWN,
    Array,
    Connection,
    Layer,
    Neuron,
    Parameter,
    Path,
    SNNCheckpoint,
    StateVariable,
)

#: A new checkpoint, and its line in the ledger.
Rewritten: TypeAlias = tuple[SNNCheckpoint, Entry]


def neuron_of(checkpoint: SNNCheckpoint, name: str) -> Neuron:
    """Return a neuron whose rule is known as far as rewriting needs it."""
    layer = checkpoint.layers.get(name)
    if not isinstance(layer, Neuron) or layer.model != "lif":
        raise CheckpointError(f"layer {name!r} is no neuron of the family")
    needed = ("compare", "reset", "reset_timing", "max_spikes", "width")
    absent = [switch for switch in needed if getattr(layer.rule, switch) is UNKNOWN]
    if absent:
        raise CheckpointError(f"layer {name!r}: {absent[0]} is unknown")
    return layer


def stated(layer: Neuron, name: str) -> Array:
    """Return a parameter that a neuron must state."""
    held = layer.parameters.get(name)
    if held is None or held.value is UNKNOWN:
        raise CheckpointError(f"layer {layer.name!r}: {name} is unknown")
    return held.value


def edges_of(checkpoint: SNNCheckpoint) -> tuple[Connection, ...]:
    """Return the connections; CheckpointError if they are unknown."""
    if checkpoint.connections is UNKNOWN:
        raise CheckpointError("the connections are unknown; state them in a spec")
    return checkpoint.connections


def value_of(layer: Layer, held: Parameter) -> Array:
    """Return a value that must be known."""
    if held.value is UNKNOWN:
        raise CheckpointError(f"layer {layer.name!r}: a weight is unknown")
    return held.value


def known(layer: Layer, name: str) -> Array | None:
    """Return a parameter's value; None if the layer does not state it, or it is not known."""
    held = layer.parameters.get(name)
    return None if held is None or held.value is UNKNOWN else held.value


def is_tied(checkpoint: SNNCheckpoint, name: str) -> bool:
    """Whether a layer shares a parameter with another one, which would have to change as well."""
    return any(path[0] == name for tie in checkpoint.ties for path in tie)


def only_source(checkpoint: SNNCheckpoint, name: str, *, but: str | None = None) -> Layer | None:
    """Return the layer that alone feeds another, feeds nothing else and shares no weights.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    name : str
    but : str, optional
        A layer that may feed it besides.
    """
    edges = edges_of(checkpoint)
    before = [c.source for c in edges if c.target == name and c.source != but]
    alone = len(before) == 1 and [c.source for c in edges].count(before[0]) == 1
    alone = alone and not is_tied(checkpoint, before[0])
    return checkpoint.layers[before[0]] if alone else None


def with_membrane(
    checkpoint: SNNCheckpoint, name: str, change: Callable[[Array], Array]
) -> dict[Path, StateVariable]:
    """Return the state with a neuron's membrane potential changed, where there is one."""
    state = dict(checkpoint.state)
    held = state.get((name, "v"))
    if held is not None:
        state[name, "v"] = replace(held, value=change(held.value).astype(held.value.dtype))
    return state


def replaced(
    checkpoint: SNNCheckpoint,
    changed: Iterable[Layer],
    state: Mapping[Path, StateVariable] | None = None,
) -> SNNCheckpoint:
    """Return a checkpoint with some of its layers changed, and its state where it is given."""
    new: Mapping[str, Layer] = {layer.name: layer for layer in changed}
    layers = {name: new.get(name, layer) for name, layer in checkpoint.layers.items()}
    return replace(
        checkpoint, layers=layers, state=dict(checkpoint.state if state is None else state)
    )


def entry(status: Status, name: str, reason: str) -> Entry:
    """Return the ledger's line on a layer."""
    return Entry(status, ("layers", name), f"layer {name!r}", reason)
