"""The tree that BrainPy saves of a net which was just built, and the one that it loads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge.errors import WriteError
from snnbridge.model import (
    UNKNOWN,
    Array,
    Input,
    Layer,
    Neuron,
    Output,
    Path,
    SNNCheckpoint,
    StateVariable,
    Synapse,
)

#: When a neuron that never spiked did so last.
_NEVER = -1e7
_SPIKING = {"v": 0.0, "spike": 0.0}
_LAST = {**_SPIKING, "t_last_spike": _NEVER}
_SHOWING = {"v": 0.0}
_RISING = {"h": 0.0, "i": 0.0}
_VARIABLES: Mapping[str, Mapping[str, float]] = {
    **dict.fromkeys(("Lif", "LifLTC", "IF", "IFLTC"), _SPIKING),
    **dict.fromkeys(("LifRef", "LifRefLTC", "LIF"), _LAST),  # LIF was a LifRef before 2.4.3
    **dict.fromkeys(("Integrator", "Leaky"), _SHOWING),
    "Expon": {"i": 0.0},
    **dict.fromkeys(("DualExpon", "Alpha"), _RISING),
    "DualExponV2": {"g_rise": 0.0, "g_decay": 0.0},
}


def container_of(checkpoint: SNNCheckpoint) -> str:
    """Return the name of the node that holds all others: one that no layer has.

    Examples
    --------
    >>> container_of(SNNCheckpoint())
    'net'
    """
    name = "net"
    while name in checkpoint.layers:
        name += "_"
    return name


def laid_out(checkpoint: SNNCheckpoint) -> SNNCheckpoint:
    """Give a checkpoint the nodes and variables of a net that BrainPy just built of it.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its neurons and synapses of BrainPy's classes, their shapes known.

    Returns
    -------
    SNNCheckpoint
        With a state for each variable that a net in training mode saves, its batch axis first,
        and a node for each module, so that loading misses nothing and finds nothing in excess.

    Raises
    ------
    WriteError
        Naming a layer whose class has variables that are not known.
    """
    modules = [x for x in checkpoint.layers.values() if not isinstance(x, Input | Output)]
    nodes: dict[str, Any] = {container_of(checkpoint): {}}
    state: dict[Path, StateVariable] = {}
    for layer in modules:
        held = dict(_state_of(checkpoint, layer))
        state |= held
        nodes[layer.name] = True if held or layer.parameters else {}
    net = ["net"] if checkpoint.training else []
    layout = {"net": net, "nodes": nodes}
    return replace(checkpoint, state=state, extras={**checkpoint.extras, "brainpy": layout})


def _state_of(checkpoint: SNNCheckpoint, layer: Layer) -> Iterator[tuple[Path, StateVariable]]:
    """Give a layer's variables: as the checkpoint holds them, or as they start."""
    if not isinstance(layer, Neuron | Synapse):
        return
    known = _VARIABLES.get(layer.origin.kind) if layer.origin else None
    if known is None or layer.shape is UNKNOWN:
        raise WriteError(f"layer {layer.name!r}: its class in BrainPy, or its shape, is not known")
    for name, start in known.items():
        held = checkpoint.state.get((layer.name, name))
        shape = (1, *layer.shape)
        first = layer.parameters.get("v_init") if name == "v" else None
        value = start if first is None or first.value is UNKNOWN else first.value
        fresh = StateVariable(np.full(shape, value, np.float32), 0)
        yield (layer.name, name), fresh if held is None else _batched(held, layer.shape) or fresh


def _batched(held: StateVariable, shape: tuple[int, ...]) -> StateVariable | None:
    """Put a batch axis first; None where it is not told, or the shape is another's."""
    value: Array = held.value
    if held.batch_axis is None and value.shape == shape:
        return StateVariable(value[np.newaxis], 0)
    if held.batch_axis == 0 and value.shape[1:] == shape:
        return held
    return None
