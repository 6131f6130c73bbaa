"""From a graph to a checkpoint, by what the graph alone says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    Connection,
    Input,
    Layer,
    Neuron,
    Output,
    ReadError,
    SNNCheckpoint,
    Subgraph,
    Synapse,
    rules,
)
from snnbridge.model import TimeStep, Tree, Unknown
from snnbridge_plugins.nir.graph import Graph, Node, in_order
from snnbridge_plugins.nir.layers import METHODS, left_over, to_layers
from snnbridge_plugins.nir.shapes import shaped

if TYPE_CHECKING:
    from snnbridge_plugins.nir.importers import Importer

#: The name of the layer where a file's root is a single neuron.
ROOT = "node"


@dataclass(slots=True)
class Reading:
    """How a graph is read.

    Parameters
    ----------
    version : str or UNKNOWN
        Of NIR.
    soft : bool
        Whether a spike subtracts the threshold where no ``v_reset`` is stated.
    dt : Quantity or PER_STEP or UNKNOWN
    method : str, optional
        ``"euler"`` or ``"exact"``.
    importer : Importer, optional
        Whose reading of a node it is; without it, and without a method, rules are unknown.
    notes : list of str
        What had to be decided.
    assumed : list of tuple of str
        The nodes, each by the graphs that it lies in, for which `soft` is an assumption.
    """

    version: str | Unknown = UNKNOWN
    soft: bool = False
    dt: TimeStep = UNKNOWN
    method: str | None = None
    importer: Importer | None = None
    notes: list[str] = field(default_factory=list)
    assumed: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def is_discrete(self) -> bool:
        """Whether a rule was chosen, so that a cycle takes one step."""
        return self.method is not None or self.importer is not None


def to_checkpoint(root: Node | Graph, reading: Reading) -> SNNCheckpoint:
    """Read a graph, or a single node, as a checkpoint.

    Raises
    ------
    ReadError
        If a node is damaged, or the importer would not take it.
    """
    graph = root if isinstance(root, Graph) else Graph({ROOT: root})
    beside: dict[str, Any] = {}
    layers, connections = _read(graph, reading, beside)
    metadata = {k: v for k, v in graph.metadata.items() if k != "snnbridge"}
    if not isinstance(root, Graph):
        beside["root"] = True
    return SNNCheckpoint(
        layers,
        connections=connections,
        dt=reading.dt,
        metadata=as_json(metadata),
        extras={"nir": beside} if beside else {},
    )


def _read(
    graph: Graph, reading: Reading, beside: dict[str, Any]
) -> tuple[dict[str, Layer], tuple[Connection, ...]]:
    order = in_order(graph.nodes, [_ends(graph, edge) for edge in graph.edges])
    place = {name: i for i, name in enumerate(order)}
    layers: dict[str, Layer] = {}
    first: dict[str, str] = {}
    connections: list[Connection] = []
    for name in order:
        chain = _chain(name, graph.nodes[name], reading, beside)
        first[name] = chain[0].name
        for layer in chain:
            if layer.name in layers:
                raise ReadError(f"two nodes would be the layer {layer.name!r}")
            layers[layer.name] = layer
        connections += [Connection(a.name, b.name) for a, b in pairwise(chain)]
    connections += list(_edges(graph, place, first, reading))
    return shaped(layers, connections, reading.notes), tuple(connections)


def _ends(graph: Graph, edge: tuple[str, str]) -> tuple[str, str]:
    source, target = (_node_of(graph, name)[0] for name in edge)
    return source, target


def _node_of(graph: Graph, name: str) -> tuple[str, str | None]:
    """Return the node that an end of an edge means, and its port: ``graph.port``."""
    if name in graph.nodes:
        return name, None
    node, _, port = name.partition(".")
    inner = graph.nodes[node]
    if not isinstance(inner, Graph) or port not in inner.nodes:
        raise ReadError(f"an edge names {name!r}, which is no node and no port of a graph")
    return node, port


def _edges(
    graph: Graph, place: Mapping[str, int], first: Mapping[str, str], reading: Reading
) -> Iterator[Connection]:
    delays = {} if reading.importer is None else reading.importer.delays(graph)
    ends = [(_node_of(graph, a), _node_of(graph, b), delays.get((a, b))) for a, b in graph.edges]
    ends.sort(key=lambda edge: (place[edge[1][0]], place[edge[0][0]]))
    for (source, out), (target, into), stated in ends:
        delay: int | Unknown = 0 if stated is None else stated
        # What closes a cycle takes a step; NIR does not say how long it takes.
        if stated is None and place[source] >= place[target]:
            delay = 1 if reading.is_discrete else UNKNOWN
        yield Connection(source, first[target], delay, out, into)


def _chain(
    name: str, node: Node | Graph, reading: Reading, beside: dict[str, Any]
) -> tuple[Layer, ...]:
    if isinstance(node, Graph):
        more: dict[str, Any] = {"metadata": node.metadata} if node.metadata else {}
        inner = _subgraph(name, node, reading, more)
        _keep(beside, name, more)
        return (inner,)
    _keep(beside, name, {"metadata": node.metadata, "fields": left_over(node)})
    if reading.importer is not None:
        return reading.importer.layers(name, node, reading.dt)
    layers = to_layers(name, node, reading.version, soft=reading.soft)
    if reading.method is None:
        return layers
    return tuple(_discrete(layer, reading.method) for layer in layers)


def _discrete(layer: Layer, method: str) -> Layer:
    """State the rule by which an equation is run."""
    known = rules.of(layer)
    if known is None or not isinstance(layer, Neuron | Synapse):
        return layer
    assert method in METHODS
    return known.state(layer, {"method": method} if "method" in known.arguments else {})


def _keep(beside: dict[str, Any], name: str, more: dict[str, Any]) -> None:
    """Note what a node holds beside its layers."""
    held = {key: value for key, value in more.items() if value}
    if held:
        beside.setdefault("nodes", {})[name] = held


def _subgraph(name: str, graph: Graph, reading: Reading, beside: dict[str, Any]) -> Subgraph:
    layers, connections = _read(graph, reading, beside)
    ports = [
        {n: n for n, layer in layers.items() if type(layer) is kind} for kind in (Input, Output)
    ]
    return Subgraph(name, layers=layers, connections=connections, inputs=ports[0], outputs=ports[1])


def with_importer(reading: Reading, importer: Importer) -> Reading:
    """Return the reading of a framework's importer, in the time step that it runs."""
    dt = importer.read_step(reading.dt)
    if reading.dt is not UNKNOWN and dt != reading.dt:
        reading.notes.append(
            f"the importer of {importer.name} runs a step of {dt}, whatever is given"
        )
    return replace(reading, importer=importer, dt=dt)


def as_json(tree: Tree) -> Tree:
    """Turn arrays of metadata into JSON values."""
    if isinstance(tree, Mapping):
        return {key: as_json(value) for key, value in tree.items()}
    if isinstance(tree, np.ndarray):
        return as_json(tree.tolist())
    if isinstance(tree, list):
        return [as_json(x) for x in tree]
    if isinstance(tree, bytes):
        return tree.decode("utf-8", "replace")
    return tree if isinstance(tree, str | bool | int | float) else str(tree)
