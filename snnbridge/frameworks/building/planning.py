"""Which modules of a net feed which, once each neuron holds what its class holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.groups import Group
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Layer,
    Linear,
    Output,
    SNNCheckpoint,
    listed,
)
from snnbridge.rewrites.parts import edges_of
from snnbridge.simulator.graph_shapes import shapes_of

_BY_HAND = "write that loop or delay in a forward of your own, and load the state dict there"


@dataclass(frozen=True, slots=True)
class Plan:
    """The modules of a net, and its ends, in an order in which each follows what feeds it.

    Parameters
    ----------
    layers : dict of str to Layer
        By name; those that a neuron's class holds are left out.
    sources : dict of str to list of str
        What feeds each, in the order of the connections.
    inputs, outputs : list of str
        What takes the net's input, and what gives its output.
    """

    layers: dict[str, Layer]
    sources: dict[str, list[str]]
    inputs: list[str]
    outputs: list[str]

    @property
    def modules(self) -> list[str]:
        """The layers that become modules."""
        return [x for x, layer in self.layers.items() if not isinstance(layer, Input | Output)]

    def fed_by(self, name: str) -> list[str]:
        """Return what a layer feeds."""
        return [target for target, sources in self.sources.items() if name in sources]

    @property
    def is_chain(self) -> bool:
        """Whether every layer takes what the one before gives, from one input to one output."""
        order = list(self.layers)
        return self.outputs == order[-1:] and all(
            self.sources[name] == ([order[place - 1]] if place else [])
            for place, name in enumerate(order)
        )

    def axes(self, checkpoint: SNNCheckpoint) -> dict[str, int]:
        """Return how many axes stand behind the channels of what each layer takes.

        Two where nothing tells it.
        """
        taken, _ = shapes_of(checkpoint.layers, edges_of(checkpoint))
        found: dict[str, int] = {}
        given: dict[str, int] = {}
        for name, layer in self.layers.items():
            before = next((given[x] for x in self.sources[name]), 2)
            found[name] = len(taken[name]) - 1 if name in taken else before
            given[name] = _axes_after(layer, found[name])
        return found


def _axes_after(layer: Layer, before: int) -> int:
    if isinstance(layer, Linear | Flatten):
        return 0
    return layer.axes if isinstance(layer, Conv1d | Conv2d) else before


def planned(checkpoint: SNNCheckpoint, groups: Mapping[str, Group]) -> Plan:
    """Return what feeds what in a net of modules.

    Raises
    ------
    CheckpointError
        Naming connections that wait for a step, layers that feed each other in a cycle, or a layer
        that nothing feeds beside the inputs.
    """
    inner = {pair for group in groups.values() for pair in group.inner}
    whole = {layer.name: name for name, group in groups.items() for layer in group.held}
    edges = [
        replace(c, source=whole.get(c.source, c.source), target=whole.get(c.target, c.target))
        for c in edges_of(checkpoint)
        if (c.source, c.target) not in inner
    ]
    _refuse_late(edges)
    sources: dict[str, list[str]] = {x: [] for x in checkpoint.layers if x not in whole}
    for c in edges:
        sources[c.target].append(c.source)
    layers = {name: checkpoint.layers[name] for name in in_order(sources)}
    return Plan(layers, sources, _inputs(layers, sources), _outputs(layers, sources))


def _refuse_late(edges: Iterable[Connection]) -> None:
    late = [c for c in edges if c.delay is UNKNOWN or c.delay]
    if not late:
        return
    names = listed([f"{c.source!r} to {c.target!r} ({_steps(c)})" for c in late])
    raise CheckpointError(
        f"connections {names}: what modules give is passed on in the same step; only weights "
        f"from a neuron straight back to it, held by its class, act a step later; {_BY_HAND}"
    )


def _steps(edge: Connection) -> str:
    if edge.delay is UNKNOWN:
        return "a delay that is not known"
    return f"{edge.delay} step{'' if edge.delay == 1 else 's'} later"


def in_order(sources: Mapping[str, Iterable[str]]) -> list[str]:
    """Return layers so that each follows all that feed it, otherwise in the order given.

    Raises
    ------
    CheckpointError
        Naming the connections that lead in a circle.
    """
    sorter, names = TopologicalSorter(sources), list(sources)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " to ".join(map(repr, error.args[1]))
        raise CheckpointError(
            f"the connections {cycle} lead in a circle within one step, which no net of modules "
            "runs; state the delay of one of them, or write that loop in code of your own"
        ) from None
    places = {name: place for place, name in enumerate(names)}
    found: list[str] = []
    ready: list[int] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, places[name])
        found.append(names[heappop(ready)])
        sorter.done(found[-1])
    return found


def _inputs(layers: Mapping[str, Layer], sources: Mapping[str, list[str]]) -> list[str]:
    unfed = [name for name in sources if not sources[name]]
    found = [name for name in unfed if type(layers[name]) is Input]  # an Output is one too
    lost = [name for name in unfed if name not in found]
    if (found and lost) or any(isinstance(layers[name], Output) for name in lost):
        raise CheckpointError(
            f"layer {lost[0]!r}: nothing feeds it; connect it, or take it out of the checkpoint"
        )
    return found or unfed


def _outputs(layers: Mapping[str, Layer], sources: Mapping[str, list[str]]) -> list[str]:
    read = {source for feeding in sources.values() for source in feeding}
    told = [name for name in sources if isinstance(layers[name], Output)]
    return told or [name for name in sources if name not in read]
