"""Neurons inside a container that holds the weights for their input and for what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snnbridge.express.graph import loops_of, own_synapses
from snnbridge.model import Connection, Linear, SNNCheckpoint


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
