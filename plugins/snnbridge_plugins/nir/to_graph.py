"""From a checkpoint to a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    Input,
    Layer,
    Neuron,
    Output,
    SNNCheckpoint,
    Subgraph,
    Synapse,
)
from snnbridge.express import own_synapses
from snnbridge.model import TimeStep
from snnbridge.simulator.graph_shapes import shapes_of
from snnbridge_plugins.nir.continuous import neuron_node, step_seconds, synapse_node
from snnbridge_plugins.nir.from_graph import ROOT
from snnbridge_plugins.nir.graph import Graph, Node
from snnbridge_plugins.nir.importers.names import usable_names
from snnbridge_plugins.nir.importers.running import arranged
from snnbridge_plugins.nir.nodes import to_node

if TYPE_CHECKING:
    from snnbridge_plugins.nir.importers import Importer


def to_graph(checkpoint: SNNCheckpoint, importer: Importer | None = None) -> Node | Graph:
    """Write a checkpoint as a graph, without what only our own reader understands.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    importer : Importer, optional
        For whose reading of nodes it is written.
    """
    beside = checkpoint.extras.get("nir")
    beside = beside if isinstance(beside, Mapping) else {}
    net = _Net(checkpoint, checkpoint.dt, importer, beside)
    if beside.get("root") is True and list(checkpoint.layers) == [ROOT]:
        return net.graph().nodes[ROOT]
    return net.whole(checkpoint)


def named_graph(checkpoint: SNNCheckpoint, importer: Importer) -> tuple[Graph, dict[str, str]]:
    """Write a checkpoint as a graph for an importer; return it and its nodes by their layers."""
    net = _Net(checkpoint, checkpoint.dt, importer, {})
    return net.whole(checkpoint), net.names


class _Net:
    """A graph of layers that is being written.

    Parameters
    ----------
    held : SNNCheckpoint or Subgraph
    dt : Quantity or PER_STEP or UNKNOWN
    importer : Importer, optional
    beside : mapping
        What the graph held beside its layers when it was read.
    """

    def __init__(
        self,
        held: SNNCheckpoint | Subgraph,
        dt: TimeStep,
        importer: Importer | None,
        beside: Mapping[str, Any],
    ) -> None:
        self.layers, self.dt, self.importer, self.beside = held.layers, dt, importer, beside
        self.edges = () if held.connections is UNKNOWN else held.connections
        self.taken, self.given = shapes_of(self.layers, self.edges)
        self.synapses = own_synapses(self.layers, held.connections)
        inner = set(self.synapses.values())
        self.outer = {name: layer for name, layer in self.layers.items() if name not in inner}
        self.names = _names(self.outer) if importer is None else usable_names(self.outer)
        self.names |= {synapse: self.names[neuron] for neuron, synapse in self.synapses.items()}

    def whole(self, checkpoint: SNNCheckpoint) -> Graph:
        """Return the graph with its ends and metadata."""
        graph = self.graph()
        if checkpoint.connections is not UNKNOWN:
            self.add_ports(graph)
        if self.importer is not None:
            graph.edges = arranged(graph)
        graph.metadata = _storable(checkpoint.metadata)
        return graph

    def graph(self) -> Graph:
        nodes = {self.names[n]: self._with_rest(n, self._node(x)) for n, x in self.outer.items()}
        outside = (c for c in self.edges if self.synapses.get(c.target) != c.source)
        edges = (
            (self._end(c.source, c.source_port), self._end(c.target, c.target_port))
            for c in outside
        )
        return Graph(nodes, list(dict.fromkeys(edges)))

    def _node(self, layer: Layer) -> Node | Graph:
        dt = layer.dt if layer.dt is not None else self.dt
        if isinstance(layer, Subgraph):
            more = self._rest(layer.name)
            return _Net(layer, dt, self.importer, more).graph()
        held = self.synapses.get(layer.name)
        synapse = None if held is None else self.layers[held]
        shape = self.taken.get(layer.name if held is None else held)
        if self.importer is not None:
            return self.importer.node(layer, synapse, shape, self.dt)
        if isinstance(layer, Neuron):
            assert synapse is None or isinstance(synapse, Synapse)
            return neuron_node(layer, synapse, shape, self.dt)
        if isinstance(layer, Synapse):
            return synapse_node(layer, shape, self.dt)
        return to_node(layer, shape, step_seconds(dt))

    def _rest(self, name: str) -> Mapping[str, Any]:
        """Return what a node held beside its layers when it was read."""
        nodes = self.beside.get("nodes")
        held = nodes.get(name) if isinstance(nodes, Mapping) else None
        return held if isinstance(held, Mapping) else {}

    def _with_rest(self, name: str, node: Node | Graph) -> Node | Graph:
        held = self._rest(name)
        if isinstance(node, Node) and isinstance(held.get("fields"), Mapping):
            node.fields |= {k: v for k, v in held["fields"].items() if k not in node.fields}
        node.metadata = _storable(held.get("metadata", {}))
        return node

    def _end(self, layer: str, port: str | None) -> str:
        return self.names[layer] if port is None else f"{self.names[layer]}.{port}"

    def add_ports(self, graph: Graph) -> None:
        """Add the inputs and outputs that NIR wants where a graph begins and ends."""
        fed, feeding = ({getattr(c, end) for c in self.edges} for end in ("target", "source"))
        for kind, ends, shapes in ((Input, fed, self.taken), (Output, feeding, self.given)):
            if any(type(layer) is kind for layer in self.layers.values()):
                continue
            bare = [name for name in self.layers if name not in ends] or self._on_cycle(kind)
            bare = [name for name in bare if name in shapes]
            for name in bare:
                port = kind.__name__.lower() + ("" if len(bare) == 1 else f"_{self.names[name]}")
                while port in graph.nodes:
                    port += "_"
                shape = np.asarray(shapes[name], np.int64)
                graph.nodes[port] = Node(kind.__name__, {"shape": shape})
                ours = self.names[name]
                graph.edges.append((port, ours) if kind is Input else (ours, port))

    def _on_cycle(self, kind: type[Layer]) -> list[str]:
        """Return where a graph without an end is entered or left: the first or last neurons."""
        dynamic = [n for n, layer in self.layers.items() if isinstance(layer, Neuron | Synapse)]
        return dynamic[:1] if kind is Input else dynamic[-1:]


def _names(names: Iterable[str]) -> dict[str, str]:
    """Return a name for each layer that HDF5 takes: no slash, not empty, no dot alone."""
    wanted = list(names)
    found: dict[str, str] = {}
    used = {name for name in wanted if _is_plain(name)}
    for name in wanted:
        plain = name
        if not _is_plain(name):
            plain = name.replace("%", "%25").replace("/", "%2F").replace(".", "%2E") or "%"
            while plain in used:
                plain += "%"
            used.add(plain)
        found[name] = plain
    return found


def _is_plain(name: str) -> bool:
    return bool(name) and "/" not in name and name not in (".", "..")


def _storable(tree: Any) -> dict[str, Any]:
    """Return the part of a tree that a file's metadata can hold; the document has all of it."""
    if not isinstance(tree, Mapping):
        return {}
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if not _is_plain(key) or key == "snnbridge":
            continue
        if isinstance(value, Mapping):
            if value:
                found[key] = _storable(value)
        elif (leaf := _leaf(value)) is not None:
            found[key] = leaf
    return found


def _leaf(value: Any) -> Any:
    if isinstance(value, str):
        return value if "\0" not in value else None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):  # lists of different lengths
        return None
    fits = array.dtype.kind in "biuf" and array.size and array.dtype.itemsize <= 8
    return array if fits else None
