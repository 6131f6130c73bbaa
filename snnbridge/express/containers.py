"""Neurons inside a container that holds the weights for their input and for what comes back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from snnbridge.express.graph import loops_of, own_synapses
from snnbridge.model import UNKNOWN, Connection, Layer, Linear, SNNCheckpoint


def contained(checkpoint: SNNCheckpoint) -> tuple[SNNCheckpoint, dict[str, str]]:
    """Put neurons that a matrix feeds back to into containers, with an identity for the input.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its connections known.

    Returns
    -------
    SNNCheckpoint
        With ``rc``, which has the bias too, ``recurrent`` and ``sub_module`` below the neuron's
        name.
    dict of str to str
        The new names, by the old ones.
    """
    edges: tuple[Connection, ...] = checkpoint.connections  # type: ignore[assignment]
    synapses = own_synapses(checkpoint.layers, edges)
    layers = dict(checkpoint.layers)
    names: dict[str, str] = {}
    for neuron, loop in loops_of(checkpoint.layers, edges, synapses).items():
        back = loop.layer
        if not isinstance(back, Linear) or back.size[0] is None:
            continue
        names |= {neuron: f"{neuron}.sub_module", back.name: f"{neuron}.recurrent"}
        first = Linear(f"{neuron}.rc", np.eye(back.size[0], dtype=np.float32), back.bias)
        layers |= {back.name: replace(back, bias=None), first.name: first}
        entry = synapses.get(neuron, neuron)
        edges = (
            *(
                replace(c, target=first.name) if c.target == entry and c.source != back.name else c
                for c in edges
            ),
            Connection(first.name, entry),
        )
    return renamed(replace(checkpoint, layers=layers, connections=edges), names), names


def with_inputs(checkpoint: SNNCheckpoint, kinds: Collection[str]) -> SNNCheckpoint:
    """Put an identity before neurons whose class has weights for its input, but no bias for it.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its connections known.
    kinds : collection of str
        Those classes.
    """
    edges: tuple[Connection, ...] = checkpoint.connections  # type: ignore[assignment]
    synapses = own_synapses(checkpoint.layers, edges)
    loops = loops_of(checkpoint.layers, edges, synapses)
    layers = dict(checkpoint.layers)
    for name, loop in loops.items():
        origin = checkpoint.layers[name].origin
        size = loop.layer.size[0] if isinstance(loop.layer, Linear) else None
        entry = synapses.get(name, name)
        into = [c for c in edges if c.target == entry and c.source != loop.layer.name]
        if origin is None or origin.kind not in kinds or size is None or _is_plain(layers, into):
            continue
        first = Linear(f"{name}.input", np.eye(size, dtype=np.float32))
        layers[first.name] = first
        edges = (
            *(replace(c, target=first.name) if c in into else c for c in edges),
            Connection(first.name, entry),
        )
    return replace(checkpoint, layers=layers, connections=edges)


def _is_plain(layers: Mapping[str, Layer], into: Sequence[Connection]) -> bool:
    """Whether one matrix without a bias feeds a neuron, which its class can hold."""
    source = layers[into[0].source] if len(into) == 1 else None
    if not isinstance(source, Linear):
        return False
    bias = source.parameters.get("bias")
    return bias is None or (bias.value is not UNKNOWN and not bias.value.any())


def renamed(checkpoint: SNNCheckpoint, names: Mapping[str, str]) -> SNNCheckpoint:
    """Return a checkpoint with other names of layers, wherever they are named.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its connections known.
    names : mapping of str to str
        The new names, by the old ones; the others stay.
    """
    edges: tuple[Connection, ...] = checkpoint.connections  # type: ignore[assignment]
    layers = [replace(x, name=names.get(x.name, x.name)) for x in checkpoint.layers.values()]
    return replace(
        checkpoint,
        layers={layer.name: layer for layer in layers},
        connections=tuple(
            replace(c, source=names.get(c.source, c.source), target=names.get(c.target, c.target))
            for c in edges
        ),
        state={(names.get(n, n), *rest): v for (n, *rest), v in checkpoint.state.items()},
        frozen_layers=[names.get(name, name) for name in checkpoint.frozen_layers],
        ties=tuple(
            frozenset((names.get(n, n), *rest) for n, *rest in tie) for tie in checkpoint.ties
        ),
    )
