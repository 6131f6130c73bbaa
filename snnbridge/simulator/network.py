"""From a checkpoint to the nodes that a simulation computes, in the order of their computing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Delay,
    Flatten,
    Input,
    Inputs,
    Layer,
    Neuron,
    Output,
    PerStep,
    Quantity,
    Shape,
    SNNCheckpoint,
    Subgraph,
    Synapse,
    TimeStep,
    Unknown,
)
from snnbridge.rules.common import READOUT
from snnbridge.simulator.coefficients import refuse_durations
from snnbridge.simulator.shapes import check_shape, flattened, shape_in, shape_out
from snnbridge.simulator.unknowns import refuse_unknown

#: What a node is: the output of a layer ("out"), or what arrives at it ("in").
Key: TypeAlias = tuple[str, str]


@dataclass
class Node:
    """One signal: the numbers that an operation writes at each step.

    Attributes
    ----------
    layer
        The layer that it belongs to.
    what
        ``"stimulus"``, ``"sum"`` or ``"layer"``.
    shape
        Without batch and time.
    sources
        The nodes that it reads and the steps that it looks back, in connection order.
    history
        How many steps back others look at it.
    """

    key: Key
    layer: Layer
    what: str
    shape: Shape
    sources: list[tuple[Key, int]] = field(default_factory=list)
    history: int = 0

    @property
    def size(self) -> int:
        """How many numbers it has at each step."""
        return math.prod(self.shape)


@dataclass
class Network:
    """A checkpoint's graph without subgraphs, and the nodes of its simulation in order.

    Attributes
    ----------
    layers, steps
        By name, ``outer/inner`` inside subgraphs: the layers and their time steps.
    inputs, outputs
        Names of the layers that take a stimulus and that give a result.
    nodes
        In the order of computing.
    parts
        Each a run of nodes and whether they lie on a cycle: (first, last, cycle).
    """

    layers: dict[str, Layer]
    steps: dict[str, TimeStep]
    incoming: dict[str, list[tuple[str, int]]]
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    shapes_in: dict[str, Shape] = field(default_factory=dict)
    shapes_out: dict[str, Shape] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    parts: list[tuple[int, int, bool]] = field(default_factory=list)

    def signal(self, name: str) -> tuple[Key, int]:
        """Return the node that holds a layer's output, and how many steps ago it was written.

        Layers that hand on what they get share the node of their source.
        """
        delay, seen = 0, set()
        while (through := self._through(name)) is not None:
            if name in seen:
                raise CheckpointError(f"layer {name!r} lies on a cycle that holds no neuron")
            seen.add(name)
            source, steps = through
            name, delay = source, delay + steps
        layer = self.layers[name]
        if isinstance(layer, Neuron):
            delay += int(layer.rule.output_delay)  # type: ignore[arg-type]
        return (name, "out"), delay

    def _through(self, name: str) -> tuple[str, int] | None:
        if len(self.incoming[name]) != 1:
            return None
        source, steps = self.incoming[name][0]
        layer = self.layers[name]
        if isinstance(layer, Input):
            return source, steps
        if isinstance(layer, Flatten) and not reorders(layer, self.shapes_in[name]):
            return source, steps
        if isinstance(layer, Delay):
            own = delay_steps(layer, self.steps[name])
            if own.size == 1:
                return source, steps + int(own.flat[0])
        return None


def network_of(checkpoint: SNNCheckpoint) -> Network:
    """Lay out a checkpoint for simulation.

    Raises
    ------
    CheckpointError
        For shapes that do not fit and cycles without delay.
    UnknownValue
        For shapes that cannot be told.
    """
    network = Network({}, {}, {})
    flattener = _Flattener(network)
    flattener.add(checkpoint.layers, checkpoint.connections, "", checkpoint.dt)
    network.inputs, network.outputs = _ends(network, checkpoint)
    _infer_shapes(network)
    nodes = _make_nodes(network)
    _order(network, nodes)
    return network


class _Flattener:
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


def _ends(network: Network, checkpoint: SNNCheckpoint) -> tuple[list[str], list[str]]:
    """Name the layers that take a stimulus, and those that give a result."""
    outer = set(checkpoint.layers)
    fed = {name for name, sources in network.incoming.items() if sources}
    read = {source for sources in network.incoming.values() for source, _ in sources}
    inputs = [n for n, x in network.layers.items() if type(x) is Input and n in outer - fed]
    if not inputs:
        inputs = [name for name in network.layers if name not in fed]
    outputs = [n for n, x in network.layers.items() if type(x) is Output and n in outer]
    return inputs, outputs or [name for name in network.layers if name not in read]


def _infer_shapes(network: Network) -> None:
    """Hand shapes on from layer to layer until nothing is new."""
    targets: dict[str, list[str]] = {name: [] for name in network.layers}
    for target, sources in network.incoming.items():
        for source, _ in sources:
            targets[source].append(target)
    pending = deque(network.layers)
    while pending:
        name = pending.popleft()
        layer = network.layers[name]
        known = network.shapes_in.get(name) or _shape_arriving(network, name)
        if known is not None:
            check_shape(layer, known)
            network.shapes_in[name] = known
        made = shape_out(layer, known)
        if made is not None and name not in network.shapes_out:
            network.shapes_out[name] = made
            pending.extend(targets[name])
    refuse_unknown((name, "its shape") for name in network.layers if name not in network.shapes_out)
    for name, sources in network.incoming.items():
        network.shapes_in.setdefault(name, network.shapes_out[name])
        for source, _ in sources:
            _check_arriving(network, source, name)


def _shape_arriving(network: Network, name: str) -> Shape | None:
    for source, _ in network.incoming[name]:
        if source in network.shapes_out:
            return network.shapes_out[source]
    return shape_in(network.layers[name])


def _check_arriving(network: Network, source: str, name: str) -> None:
    given, taken = network.shapes_out[source], network.shapes_in[name]
    check_shape(network.layers[name], given)
    if given != taken and math.prod(given) != math.prod(taken):
        raise CheckpointError(
            f"layer {name!r} gets shapes {taken} and {given}; expected one shape from all"
        )
    if math.prod(given) == 0:
        raise CheckpointError(f"layer {source!r} gives shape {given}, in which there is nothing")


def reorders(layer: Flatten, shape: Shape) -> bool:
    """Whether a layer changes the order of the elements.

    Raises
    ------
    UnknownValue
        If it may, and its source does not state the order.
    """
    start, end = flattened(layer, shape)
    channels, others = shape[start], math.prod(shape[start + 1 : end + 1])
    if start == end or channels == 1 or others == 1:
        return False
    if layer.order is UNKNOWN:
        refuse_unknown([(layer.name, "order")])
    return layer.order == "channels last"


def delay_steps(layer: Delay, dt: TimeStep) -> np.ndarray:
    """Return a layer's delays in whole steps, int32.

    Raises
    ------
    CheckpointError
        For a negative delay, one that is no whole number of steps, or one in seconds beside a time
        step without a duration.
    """
    refuse_durations(layer, dt)
    held = layer.parameters["delay"]
    steps = np.asarray(held.value).astype(np.float64)
    if held.unit not in (None, "step") and not isinstance(dt, PerStep):
        assert isinstance(dt, Quantity)
        one = dt.value if dt.unit == held.unit else dt.seconds
        scale = 1.0 if dt.unit == held.unit else Quantity(1.0, str(held.unit)).seconds
        steps = steps * scale / one
    whole = np.rint(steps)
    if not np.isfinite(steps).all() or (np.abs(steps - whole) > 1e-6).any() or (whole < 0).any():
        raise CheckpointError(
            f"layer {layer.name!r} (Delay): {steps.flat[0]} steps; expected whole steps of at "
            "least 0"
        )
    if whole.size and whole.max() > 1 << 24:
        raise CheckpointError(f"layer {layer.name!r} (Delay): {whole.max():.0f} steps are too many")
    whole = whole.astype(np.int32)
    return whole.reshape(-1)[:1] if (whole == whole.flat[0]).all() else whole


def _make_nodes(network: Network) -> dict[Key, Node]:
    nodes: dict[Key, Node] = {}
    for name, layer in network.layers.items():
        if network._through(name) is not None:
            network.signal(name)  # refuses a cycle of such layers
            continue
        sources = [network.signal(source) for source, _ in network.incoming[name]]
        sources = [
            (key, delay + steps)
            for (key, delay), (_, steps) in zip(sources, network.incoming[name], strict=True)
        ]
        stimulated = name in network.inputs
        if isinstance(layer, Input | Flatten | Delay) and not _computes(network, name, layer):
            what = "stimulus" if stimulated else "sum"
            shape = network.shapes_out[name]
            nodes[name, "out"] = Node((name, "out"), layer, what, shape, sources)
            continue
        if not _takes_all(layer, sources, stimulated):
            what = "stimulus" if stimulated else "sum"
            shape = network.shapes_in[name]
            nodes[name, "in"] = Node((name, "in"), layer, what, shape, sources)
            sources = [((name, "in"), 0)]
        nodes[name, "out"] = Node((name, "out"), layer, "layer", network.shapes_out[name], sources)
    return nodes


def _takes_all(layer: Layer, sources: list[tuple[Key, int]], stimulated: bool) -> bool:
    """Whether a layer's step reads its sources itself, and not their sum."""
    if stimulated or not sources:
        return False
    if len(sources) == 1:
        return True
    if not isinstance(layer, Neuron | Synapse):
        return False
    if layer.rule.inputs is UNKNOWN:
        refuse_unknown([(layer.name, "rule.inputs")])
    return layer.rule.inputs is Inputs.IN_TURN


def _computes(network: Network, name: str, layer: Layer) -> bool:
    """Whether a layer does anything to the sum of what arrives."""
    if isinstance(layer, Flatten):
        return reorders(layer, network.shapes_in[name])
    if isinstance(layer, Delay):
        return bool((delay_steps(layer, network.steps[name]) != 0).any())
    return False


def _order(network: Network, nodes: dict[Key, Node]) -> None:
    """Put sources before what reads them; what lies on a cycle stays together."""
    for component in _components(nodes):
        first = len(network.nodes)
        inner = set(component)
        cycle = len(component) > 1 or any(
            key == component[0] for key, _ in nodes[component[0]].sources
        )
        ordered = _acyclic(nodes, component, inner) if cycle else component
        network.nodes += [nodes[key] for key in ordered]
        network.parts.append((first, len(network.nodes) - 1, cycle))
    for node in network.nodes:
        for key, delay in node.sources:
            nodes[key].history = max(nodes[key].history, delay)
        if isinstance(node.layer, Delay) and node.what == "layer":
            longest = int(delay_steps(node.layer, network.steps[node.key[0]]).max())
            key, delay = node.sources[0]
            nodes[key].history = max(nodes[key].history, delay + longest)


def _acyclic(nodes: dict[Key, Node], component: list[Key], inner: set[Key]) -> list[Key]:
    """Order the nodes of a cycle by what they need of the same step."""
    following: dict[Key, list[Key]] = {key: [] for key in component}
    waiting = dict.fromkeys(component, 0)
    for key in component:
        for source, delay in nodes[key].sources:
            if source in inner and delay == 0 and not _looks_back(nodes[key]):
                following[source].append(key)
                waiting[key] += 1
    ready = deque(key for key in component if not waiting[key])
    ordered = []
    while ready:
        ordered.append(ready.popleft())
        for key in following[ordered[-1]]:
            waiting[key] -= 1
            if not waiting[key]:
                ready.append(key)
    if len(ordered) < len(component):
        stuck = ", ".join(repr(key[0]) for key, count in waiting.items() if count)
        raise CheckpointError(
            f"a cycle without delay runs through {stuck}; give one of its connections a delay of "
            "at least one step"
        )
    return ordered


def _looks_back(node: Node) -> bool:
    """Whether a node needs nothing of the present step: a Delay with no zero among its delays."""
    if not isinstance(node.layer, Delay) or node.what != "layer":
        return False
    value = node.layer.parameters["delay"].value
    return value is not UNKNOWN and bool((np.asarray(value) > 0).all())


def _components(nodes: Mapping[Key, Node]) -> Iterable[list[Key]]:
    """Yield the strongly connected components, sources first (Tarjan 1972, without recursion)."""
    number: dict[Key, int] = {}
    low: dict[Key, int] = {}
    stack: list[Key] = []
    on_stack: set[Key] = set()
    for root in nodes:
        if root in number:
            continue
        work = [(root, iter(nodes[root].sources))]
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while work:
            key, sources = work[-1]
            for source, _ in sources:
                if source not in number:
                    number[source] = low[source] = len(number)
                    stack.append(source)
                    on_stack.add(source)
                    work.append((source, iter(nodes[source].sources)))
                    break
                if source in on_stack:
                    low[key] = min(low[key], number[source])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[key])
                if low[key] == number[key]:
                    component = []
                    while True:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                        if component[-1] == key:
                            break
                    yield component[::-1]
