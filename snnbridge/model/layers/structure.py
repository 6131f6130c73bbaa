"""Graphs inside graphs, the edges of a graph, and layers that nobody here knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from snnbridge.errors import CheckpointError
from snnbridge.model.checks import SUBGRAPH_DEPTH, check_tree, key_problem, whole
from snnbridge.model.layers.base import Layer
from snnbridge.model.values import UNKNOWN, Parameter, Tree, Unknown, describe


@dataclass(frozen=True, slots=True)
class Connection:
    """One edge of the graph.

    Parameters
    ----------
    source, target : str
        Names of layers.
    delay : int or UNKNOWN
        Steps between what the source emits and what the target sees.
    source_port, target_port : str, optional
        Ports, where the layer is a :class:`Subgraph` with more than one.

    Raises
    ------
    CheckpointError
        For a name that is no text, or a delay that is no whole number of at least 0.

    Examples
    --------
    >>> Connection("fc", "lif", delay=1)
    Connection(source='fc', target='lif', delay=1, source_port=None, target_port=None)
    """

    source: str
    target: str
    delay: int | Unknown = 0
    source_port: str | None = None
    target_port: str | None = None

    def __post_init__(self) -> None:
        for name in (self.source, self.target, self.source_port, self.target_port):
            if name is not None and not isinstance(name, str):
                raise CheckpointError(f"a connection and its ports are named by text, not {name!r}")
        if self.delay is UNKNOWN or (type(self.delay) is int and self.delay >= 0):
            return
        delay = whole(self.delay)
        if delay is None or delay < 0:
            raise CheckpointError(
                f"the connection {self.source!r} to {self.target!r} has the delay "
                f"{self.delay!r}; expected whole steps of at least 0, or UNKNOWN"
            )
        object.__setattr__(self, "delay", delay)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Subgraph(Layer):
    """A graph inside the graph.

    Parameters
    ----------
    layers : mapping of str to Layer, or iterable of Layer
    connections : tuple of Connection or UNKNOWN
    inputs, outputs : mapping of str to str
        Names of ports and the inner layers behind them.

    Raises
    ------
    CheckpointError
        For a port without a layer, two layers of one name, or graphs nested too deep.

    Examples
    --------
    >>> from snnbridge.model import Neuron
    >>> Subgraph("block", [Neuron("lif")], inputs={"in": "lif"})
    Subgraph('block', 1 layers)
    """

    layers: Mapping[str, Layer] = field(default_factory=dict)
    connections: tuple[Connection, ...] | Unknown = UNKNOWN
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        try:
            self._set("layers", by_name(self.layers))
            self._set("connections", edges(self.connections))
        except CheckpointError as error:
            self._refuse(str(error))
        if _depth(self) > SUBGRAPH_DEPTH:
            self._refuse(f"graphs are nested more than {SUBGRAPH_DEPTH} deep; flatten them")
        for side in ("inputs", "outputs"):
            self._check_ports(side)

    def _check_ports(self, side: str) -> None:
        ports = getattr(self, side)
        if not isinstance(ports, Mapping):
            self._refuse(f"{side} must be a mapping of ports to layers, not {ports!r}")
        for port, layer in ports.items():
            if problem := key_problem(port):
                self._refuse(f"a port {problem}")
            if not isinstance(layer, str) or layer not in self.layers:
                self._refuse(f"port {port!r} names layer {layer!r}, which is not inside")

    def __repr__(self) -> str:
        return f"Subgraph({self.name!r}, {len(self.layers)} layers)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Opaque(Layer):
    """A layer of a kind that the model has no word for: kept, not simulated.

    Parameters
    ----------
    parameters : mapping of str to Parameter, array or number
        Its arrays, under the source's names.
    settings : tree
        Whatever else the source states of it; JSON values, bytes and arrays.

    Raises
    ------
    CheckpointError
        For a parameter that is no array, or settings that are no tree.

    Examples
    --------
    >>> import numpy as np
    >>> Opaque("att", {"query": np.zeros((4, 4))}, {"heads": 2})
    Opaque('att', kind=?, query=float64[4,4])
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    settings: Mapping[str, Tree] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        self._wrap_all()
        if not isinstance(self.settings, Mapping):
            self._refuse(f"settings must be a mapping, not {self.settings!r}")
        check_tree(self.settings, f"settings of layer {self.name!r}")

    def __repr__(self) -> str:
        kind = self.origin.kind if self.origin else "?"
        shown = (f"{name}={describe(p.value)}" for name, p in self.parameters.items())
        return f"Opaque({', '.join([repr(self.name), f'kind={kind}', *shown])})"


def by_name(layers: Mapping[str, Layer] | Iterable[Layer]) -> dict[str, Layer]:
    """Return the layers by name, in order.

    Raises
    ------
    CheckpointError
        For two layers of one name, or a key that is not its layer's name.
    """
    if isinstance(layers, Mapping):
        for name, layer in layers.items():
            if _a_layer(layer).name != name:
                raise CheckpointError(f"layer {layer.name!r} stands under the name {name!r}")
        return dict(layers)
    if not isinstance(layers, Iterable):
        raise CheckpointError(f"layers must be layers in order or by name, not {layers!r}")
    found: dict[str, Layer] = {}
    for layer in layers:
        if _a_layer(layer).name in found:
            raise CheckpointError(f"two layers are named {layer.name!r}; rename one")
        found[layer.name] = layer
    return found


def _a_layer(layer: object) -> Layer:
    if not isinstance(layer, Layer):
        raise CheckpointError(f"expected a layer, found {layer!r}")
    return layer


def edges(connections: Iterable[Connection] | Unknown) -> tuple[Connection, ...] | Unknown:
    """Return the edges of a graph as a tuple.

    Raises
    ------
    CheckpointError
        If they are no connections.
    """
    if connections is UNKNOWN:
        return UNKNOWN
    if not isinstance(connections, Iterable):
        raise CheckpointError(
            f"connections must be a list of Connection, or UNKNOWN; found {connections!r}"
        )
    found = tuple(connections)
    for connection in found:
        if not isinstance(connection, Connection):
            raise CheckpointError(
                f"expected a connection, found {connection!r}; write Connection(source, target)"
            )
    return found


def _depth(graph: Subgraph) -> int:
    """Count the graphs inside each other; those inside `graph` were counted when made."""
    inner = (_depth(x) for x in graph.layers.values() if isinstance(x, Subgraph))
    return 1 + max(inner, default=0)
