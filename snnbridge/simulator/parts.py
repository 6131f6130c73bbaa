"""Cutting a network at the neurons whose step a plugin defines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError, PluginError, UnknownValue
from snnbridge.model import UNKNOWN, Array, Connection, Input, Layer, Neuron, Output
from snnbridge.neurons import NeuronKind
from snnbridge.simulator.lower import Lowering
from snnbridge.simulator.network import Network
from snnbridge.simulator.run import Pool


@dataclass
class Part:
    """Layers that the kernel runs together.

    Attributes
    ----------
    taken
        By the name of an input layer of the part: the layer of the network that feeds it, and
        whether with what it gave one step ago.
    given
        Layers whose output others take.
    """

    number: int
    layers: dict[str, Layer] = field(default_factory=dict)
    connections: list[Connection] = field(default_factory=list)
    taken: dict[str, tuple[str, bool]] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    lowering: Lowering | None = None
    pool: Pool = field(default_factory=Pool)


class PluginNeuron:
    """One layer of a plugin's neurons."""

    def __init__(self, layer: Neuron, kind: NeuronKind, shape: tuple[int, ...]) -> None:
        self.layer, self.kind, self.shape = layer, kind, shape
        missing = [
            (layer.name, name)
            for name in kind.parameters
            if name not in layer.parameters or layer.parameters[name].value is UNKNOWN
        ]
        if missing:
            names = ", ".join(name for _, name in missing)
            raise UnknownValue(
                f"a simulation needs what the source does not state: layer {layer.name!r}: {names}",
                missing=tuple(missing),
            )

    def parameters(self, width: np.dtype[Any]) -> dict[str, Array]:
        """Return what its kind needs, rounded to the network's width."""
        held = self.layer.parameters
        return {name: np.asarray(held[name].value).astype(width) for name in self.kind.parameters}

    def steps(
        self, arriving: Array, state: dict[str, Array], parameters: Mapping[str, Array]
    ) -> Iterator[tuple[Array, dict[str, Array]]]:
        """Yield the spikes and the state after each step."""
        for x in arriving:
            spikes, state = self._step(x, state, parameters)
            yield spikes, state

    def _step(
        self, x: Array, state: Mapping[str, Array], parameters: Mapping[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        try:
            spikes, after = self.kind.step(x, state, parameters)
            spikes = np.asarray(spikes)
            made = {name: np.asarray(after[name]).astype(x.dtype) for name in self.kind.state}
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"the step of neuron kind {self.kind.name!r} failed: "
                f"{type(error).__name__}: {error}"
            ) from error
        wrong = [n for n, a in {"its spikes": spikes, **made}.items() if a.shape != x.shape]
        if wrong:
            raise PluginError(
                f"the step of neuron kind {self.kind.name!r} gave {wrong[0]} another shape than "
                f"{x.shape}"
            )
        return spikes, made


class Cutter:
    """Finds the parts of a network, and what goes from one to another."""

    def __init__(self, network: Network, neurons: Mapping[str, PluginNeuron]) -> None:
        self.network, self.neurons = network, neurons
        self.stage = self._stages()

    def _stages(self) -> dict[str, int]:
        """Return the part of each layer: one later than every plugin neuron before it."""
        stage: dict[str, int] = {}
        for name in self._order():
            sources = [s for s, delay in self.network.incoming[name] if delay == 0]
            stage[name] = max((stage[s] + (s in self.neurons) for s in sources), default=0)
        return stage

    def _order(self) -> list[str]:
        """Order the layers by what they need of the same step."""
        waiting = {n: sum(d == 0 for _, d in x) for n, x in self.network.incoming.items()}
        targets: dict[str, list[str]] = {name: [] for name in waiting}
        for name, sources in self.network.incoming.items():
            for source, delay in sources:
                if delay == 0:
                    targets[source].append(name)
        ready = [name for name, count in waiting.items() if count == 0]
        for name in ready:  # it grows
            for target in targets[name]:
                waiting[target] -= 1
                if waiting[target] == 0:
                    ready.append(target)
        if len(ready) < len(waiting):
            stuck = ", ".join(repr(n) for n, count in waiting.items() if count)
            raise CheckpointError(
                f"a cycle without a delay on one of its connections runs through {stuck}"
            )
        return ready

    def parts(self) -> list[Part]:
        """Return the parts in the order in which they run."""
        found = [Part(i) for i in range(max(self.stage.values(), default=0) + 1)]
        for name, layer in self.network.layers.items():
            part = found[self.stage[name]]
            part.layers[name] = self._inside(name, layer)
            if name in self.network.inputs and not isinstance(layer, Input):
                self._take(part, name, name, 0, late=False)
        for target, sources in self.network.incoming.items():
            part = found[self.stage[target]]
            for source, delay in sources:
                if source in part.layers and source not in self.neurons:
                    part.connections.append(Connection(source, target, delay))
                else:
                    late = self.stage[source] >= part.number
                    self._take(part, source, target, delay - late, late=late)
                    self._give(found[self.stage[source]], source)
        return [part for part in found if part.layers]

    def _inside(self, name: str, layer: Layer) -> Layer:
        """Return what stands in a part for a layer: for a plugin's neuron, the sum before it."""
        if name not in self.neurons:
            own = layer.dt if layer.dt is not None else self.network.steps[name]
            return replace(layer, name=name, dt=own)
        fed = bool(self.network.incoming[name])
        return (Output if fed else Input)(name, self.neurons[name].shape)

    def _take(self, part: Part, source: str, target: str, delay: int, *, late: bool) -> None:
        key = (source, late)
        known = {taken: name for name, taken in part.taken.items()}
        if key not in known:
            name = f"{source}, one step ago" if late else f"{source}, given"
            while name in self.network.layers:
                name += "'"
            shape = self.network.shapes_in if source == target else self.network.shapes_out
            part.layers[name] = Input(name, shape[source])
            part.taken[name] = key
            known[key] = name
        part.connections.append(Connection(known[key], target, delay))

    def _give(self, part: Part, source: str) -> None:
        if source not in self.neurons and source not in part.given:
            part.given.append(source)
