"""From a checkpoint to a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    Connection,
    Input,
    Layer,
    Neuron,
    Output,
    SNNCheckpoint,
    Subgraph,
    Synapse,
)
from snnbridge.model import Shape, TimeStep, Unknown
from snnbridge_plugins.nir.continuous import neuron_node, step_seconds, synapse_node
from snnbridge_plugins.nir.graph import Graph, Node
from snnbridge_plugins.nir.native import ROOT
from snnbridge_plugins.nir.nodes import to_node
from snnbridge_plugins.nir.shapes import shapes_of

if TYPE_CHECKING:
    from snnbridge_plugins.nir.importers import Importer


@dataclass(slots=True)
class _Net:
    """A graph of layers that is being written."""

    layers: Mapping[str, Layer]
    connections: tuple[Connection, ...] | Unknown
    dt: TimeStep
    importer: Importer | None
    beside: Mapping[str, Any]

    @property
    def edges(self) -> tuple[Connection, ...]:
        return () if self.connections is UNKNOWN else self.connections


def to_graph(checkpoint: SNNCheckpoint, importer: Importer | None = None) -> Node | Graph:
    """Write a checkpoint as a graph, without what only our own reader understands.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    importer : Importer, optional
        For whose reading of nodes it is written.
    """
    beside = checkpoint.extras.get("nir")
    net = _Net(
        checkpoint.layers,
        checkpoint.connections,
        checkpoint.dt,
        importer,
        beside if isinstance(beside, Mapping) else {},
    )
    if net.beside.get("root") is True and list(net.layers) == [ROOT]:
        return _graph(net, ports=False).nodes[ROOT]
    graph = _graph(net)
    graph.metadata = _storable(checkpoint.metadata)
    return graph


def fused(
    layers: Mapping[str, Layer], connections: tuple[Connection, ...] | Unknown
) -> dict[str, str]:
    """Return, by neuron, the synapse that alone feeds it and feeds nothing else."""
    if connections is UNKNOWN:
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


def _graph(net: _Net, *, ports: bool = True) -> Graph:
    taken, given = shapes_of(net.layers, net.edges)
    synapses = fused(net.layers, net.connections)
    inner = set(synapses.values())
    names = _names(name for name in net.layers if name not in inner)
    names |= {synapse: names[neuron] for neuron, synapse in synapses.items()}
    graph = Graph()
    for name, layer in net.layers.items():
        if name not in inner:
            synapse = net.layers[synapses[name]] if name in synapses else None
            shape = taken.get(synapses.get(name, name))
            graph.nodes[names[name]] = _with_rest(net, name, _node(net, layer, synapse, shape))
    outer = (c for c in net.edges if synapses.get(c.target) != c.source)
    ends = (
        (_end(names, c.source, c.source_port), _end(names, c.target, c.target_port)) for c in outer
    )
    graph.edges = list(dict.fromkeys(ends))
    if ports and net.connections is not UNKNOWN:
        _add_ports(net, graph, names, taken, given)
    return graph


def _node(net: _Net, layer: Layer, synapse: Layer | None, shape: Shape | None) -> Node | Graph:
    if isinstance(layer, Subgraph):
        more = net.beside.get("nodes", {}).get(layer.name, {})
        dt = layer.dt if layer.dt is not None else net.dt
        return _graph(_Net(layer.layers, layer.connections, dt, net.importer, more), ports=False)
    if net.importer is not None:
        return net.importer.node(layer, synapse, shape, net.dt)
    if isinstance(layer, Neuron):
        assert synapse is None or isinstance(synapse, Synapse)
        return neuron_node(layer, synapse, shape, net.dt)
    if isinstance(layer, Synapse):
        return synapse_node(layer, shape, net.dt)
    return to_node(layer, shape, step_seconds(layer.dt if layer.dt is not None else net.dt))


def _with_rest(net: _Net, name: str, node: Node | Graph) -> Node | Graph:
    """Give a node back what it held beside its layers when it was read."""
    nodes = net.beside.get("nodes")
    held = nodes.get(name) if isinstance(nodes, Mapping) else None
    if not isinstance(held, Mapping):
        return node
    if isinstance(node, Node) and isinstance(held.get("fields"), Mapping):
        node.fields |= {k: v for k, v in held["fields"].items() if k not in node.fields}
    node.metadata = _storable(held.get("metadata", {}))
    return node


def _end(names: Mapping[str, str], layer: str, port: str | None) -> str:
    return names[layer] if port is None else f"{names[layer]}.{port}"


def _add_ports(
    net: _Net,
    graph: Graph,
    names: dict[str, str],
    taken: Mapping[str, Shape],
    given: Mapping[str, Shape],
) -> None:
    """Add the inputs and outputs that NIR wants where a graph begins and ends."""
    fed = {c.target for c in net.edges}
    feeding = {c.source for c in net.edges}
    for kind, ends, shapes in ((Input, fed, taken), (Output, feeding, given)):
        if any(type(layer) is kind for layer in net.layers.values()):
            continue
        bare = [name for name in net.layers if name not in ends] or _on_cycle(net, kind)
        bare = [name for name in bare if name in shapes]
        for name in bare:
            port = kind.__name__.lower() + ("" if len(bare) == 1 else f"_{names[name]}")
            while port in graph.nodes:
                port += "_"
            shape = np.asarray(shapes[name], np.int64)
            graph.nodes[port] = Node(kind.__name__, {"shape": shape})
            edge = (port, names[name]) if kind is Input else (names[name], port)
            graph.edges.append(edge)


def _on_cycle(net: _Net, kind: type[Layer]) -> list[str]:
    """Return where a graph without an end is entered and left: its first and its last neurons."""
    neurons = [name for name, layer in net.layers.items() if isinstance(layer, Neuron | Synapse)]
    return neurons[:1] if kind is Input else neurons[-1:]


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
