"""Subgraphs taken apart: their layers beside all others, under the names ``outer/inner``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Input,
    Layer,
    Neuron,
    Output,
    Subgraph,
    TimeStep,
    Unknown,
)
from snnbridge.rules.common import READOUT
from snnbridge.simulator.network import Network


class Flattener:
    """Puts the layers of subgraphs beside all others."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def add(
        self,
        layers: Mapping[str, Layer],
        connections: tuple[Connection, ...] | Unknown,
        prefix: str,
        dt: TimeStep,
    ) -> None:
        """Add some layers and what connects them, under names that begin with a prefix."""
        assert connections is not UNKNOWN
        for layer in layers.values():
            if not isinstance(layer, Subgraph):
                name = prefix + layer.name
                if name in self.network.layers:
                    raise CheckpointError(f"two layers are called {name!r}; rename one")
                self.network.layers[name] = _stand_in(layer)
                self.network.steps[name] = layer.dt if layer.dt is not None else dt
                self.network.incoming[name] = []
        for layer in layers.values():
            if isinstance(layer, Subgraph):
                own = layer.dt if layer.dt is not None else dt
                self.add(layer.layers, layer.connections, f"{prefix}{layer.name}/", own)
        for c in connections:
            source = self.end(layers[c.source], c.source_port, prefix, inward=False)
            target = self.end(layers[c.target], c.target_port, prefix, inward=True)
            self.network.incoming[target].append((source, int(c.delay)))  # type: ignore[arg-type]

    def end(self, layer: Layer, port: str | None, prefix: str, *, inward: bool) -> str:
        """Return the layer without subgraphs that an end of a connection stands for."""
        while isinstance(layer, Subgraph):
            prefix = f"{prefix}{layer.name}/"
            layer = layer.layers[self._behind(layer, port, inward=inward)]
            port = None
        return prefix + layer.name

    def _behind(self, graph: Subgraph, port: str | None, *, inward: bool) -> str:
        ports = graph.inputs if inward else graph.outputs
        if port is not None:
            return ports[port]
        found = list(ports.values())
        if not ports:
            kind = Input if inward else Output
            found = [x.name for x in graph.layers.values() if type(x) is kind]
        if len(found) != 1:
            side = "inputs" if inward else "outputs"
            raise CheckpointError(
                f"a connection to the subgraph {graph.name!r} must name one of its {side} "
                f"{', '.join(map(repr, ports)) or '(it has none)'}"
            )
        return found[0]


def _stand_in(layer: Layer) -> Layer:
    """Put a readout where a plugin's neuron is: shapes and order do not depend on its step."""
    if isinstance(layer, Neuron) and layer.model != "lif":
        return replace(layer, parameters={}, rule=READOUT)
    return layer
