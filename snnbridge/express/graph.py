"""What the graph says of its layers: the synapse of a neuron, its way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from snnbridge.model import (
    UNKNOWN,
    Connection,
    Conv1d,
    Conv2d,
    Layer,
    Linear,
    Neuron,
    Scale,
    Synapse,
)
from snnbridge.model.values import Unknown
from snnbridge.simulator.arrivals import output_delay

#: What can lead from a neuron back to itself.
WEIGHTED = (Linear, Conv1d, Conv2d, Scale)


def own_synapses(
    layers: Mapping[str, Layer], connections: Iterable[Connection] | Unknown
) -> dict[str, str]:
    """Return, by neuron, the synapse that alone feeds it and feeds nothing else."""
    if isinstance(connections, Unknown):
        return {}
    into: dict[str, list[Connection]] = {}
    out: dict[str, list[Connection]] = {}
    for c in connections:
        into.setdefault(c.target, []).append(c)
        out.setdefault(c.source, []).append(c)
    found = {}
    for name, layer in layers.items():
        feeding = into.get(name, [])
        if isinstance(layer, Neuron) and len(feeding) == 1 and feeding[0].delay == 0:
            source = layers[feeding[0].source]
            if isinstance(source, Synapse) and len(out[source.name]) == 1:
                found[name] = source.name
    return found


@dataclass(frozen=True, slots=True)
class Loop:
    """Weights that lead from a neuron straight back to it, one step later.

    Parameters
    ----------
    layer : Layer
    waits : bool
        Whether the delay stands behind them, so that their bias is silent at the first step too.
    """

    layer: Layer
    waits: bool

    @property
    def biased(self) -> bool:
        """Whether they have a bias other than 0."""
        held = self.layer.parameters.get("bias")
        return held is not None and (held.value is UNKNOWN or bool(held.value.any()))


def loops_of(
    layers: Mapping[str, Layer], connections: Iterable[Connection], synapses: Mapping[str, str]
) -> dict[str, Loop]:
    """Return, by neuron, the weights that feed its spikes back into it."""
    edges = {(c.source, c.target): c.delay for c in connections}
    found = {}
    for (source, target), delay in edges.items():
        layer = layers[target]
        entry = synapses.get(source, source)
        back = edges.get((target, entry))
        loops = isinstance(layers[source], Neuron) and isinstance(layer, WEIGHTED)
        late = output_delay(layers[source])
        steps = (delay, back)
        if loops and None not in steps and UNKNOWN not in steps and late + delay + back == 1:  # type: ignore[operator]
            found[source] = Loop(layer, waits=back == 1)
    return found
