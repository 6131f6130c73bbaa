"""Graphs of other tools: layers where an operator is one, opaque layers elsewhere.

Every node becomes a layer, or a part of one, or is passed through; nothing of it is executed, but
small arithmetic on probes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from snnbridge import (
    UNKNOWN,
    Connection,
    Conv1d,
    Conv2d,
    Input,
    Layer,
    Linear,
    Output,
    ReadError,
    SNNCheckpoint,
    SourceInfo,
)
from snnbridge_plugins.onnx.file.arrays import Tensors
from snnbridge_plugins.onnx.file.models import Model
from snnbridge_plugins.onnx.file.schema import DOMAIN, Message
from snnbridge_plugins.onnx.foreign.graph.operators import Node, attributes, opaque, with_bias
from snnbridge_plugins.onnx.foreign.graph.own import STATE, own_layer
from snnbridge_plugins.onnx.foreign.graph.titles import outer_values
from snnbridge_plugins.onnx.foreign.layers.makers import MAKERS, layer_name
from snnbridge_plugins.onnx.foreign.layers.sums import Sums
from snnbridge_plugins.onnx.foreign.layers.ties import ties
from snnbridge_plugins.onnx.foreign.layers.windows import summed
from snnbridge_plugins.onnx.foreign.neurons.bundles import Bundle
from snnbridge_plugins.onnx.foreign.neurons.recognising import Told
from snnbridge_plugins.onnx.foreign.notes import notes_on
from snnbridge_plugins.onnx.foreign.prepared import prepared
from snnbridge_plugins.onnx.foreign.shapes.inference import joins
from snnbridge_plugins.onnx.recipes.terms import Names

#: Types that keep the numbers of a signal, as "Cast" has them.
_FLOATS = (1, 11)


def from_graph(model: Model, tensors: Tensors) -> SNNCheckpoint:
    """Return what can be told of a graph.

    Parameters
    ----------
    model : Model
        Vetted.
    tensors : Tensors

    Raises
    ------
    ReadError
        For a value that nobody defines, or that two nodes do.
    """
    return _Reader(model, tensors).checkpoint()


class _Reader:
    """A graph that is being read.

    Attributes
    ----------
    made : Sums
        From values to the layers that hand them on.
    used : set of str
        The tensors that a layer holds as they are, or turned.
    weights : dict of str to str
        From the layers of matrices and kernels to the tensors that these are.
    """

    def __init__(self, model: Model, tensors: Tensors) -> None:
        self.model, self.tensors = model, tensors
        self.graph = prepared(model.message, tensors)
        self.constants, self.shapes = self.graph.constants, self.graph.shapes
        self.layers: dict[str, Layer] = {}
        self.connections: dict[Connection, None] = {}
        self.made = Sums(self.shapes, self._kept_sum)
        self.used: set[str] = set()
        self.weights: dict[str, str] = {}
        self.unused = Names().unique

    def checkpoint(self) -> SNNCheckpoint:
        """Read the graph in its order."""
        for name in self.graph.inputs:
            self._input(name)
        for node in self.graph.nodes:
            self._node(node)
        for value in self.graph.outputs:
            self._output(value.get("name", ""))
        return self._finished()

    def _finished(self) -> SNNCheckpoint:
        left = {
            name: self.tensors.array(name) for name in self.tensors.names() if name not in self.used
        }
        message, metadata = self.model.message, self.model.metadata
        return SNNCheckpoint(
            self.layers,
            connections=self.connections,
            metadata={"onnx": metadata} if metadata else {},
            ties=ties(self.weights, self.layers),
            extras={"onnx": {"tensors": left}} if left else {},
            source=SourceInfo(
                dialect="foreign",
                framework=message.get("producer_name", "") or UNKNOWN,
                framework_version=message.get("producer_version", "") or UNKNOWN,
                notes=notes_on(
                    self.layers, list(self.weights.values()), self.graph, self.made.kept
                ),
            ),
        )

    # Values

    def _input(self, name: str) -> None:
        if name in self.graph.states:
            return
        layer = self.unused(name or "input")
        self.layers[layer] = Input(layer, self.shapes.layer(name))
        self.made[name] = layer

    def _output(self, name: str) -> None:
        value = self.graph.aliases[name]
        if value not in self.made:
            return
        layer, shape = self.unused(f"{name}.output"), self.shapes.layer(value)
        self.layers[layer] = Output(layer, self.shapes.layer(name) if shape is UNKNOWN else shape)
        self._connect(self.made.layers(value), layer)

    def _connect(self, sources: Iterable[str], target: str) -> None:
        self.connections.update({Connection(source, target): None for source in sources})

    def _source(self, name: str, reader: str) -> str:
        self._check(name, reader)
        return self.made.single(name)

    def _check(self, name: str, reader: str) -> None:
        if name not in self.made:
            raise ReadError(f"{reader} reads {name!r}, which nobody defines before it")

    # Neurons, and what may be some

    def _inner(self, item: Told | Bundle, output: str) -> None:
        """Add a layer of several nodes where its result is made."""
        if isinstance(item, Bundle):
            if output == item.spikes:
                self._bundle(item)
        elif output in item.found.roles.spikes:
            self._neuron(item)

    def _bundle(self, bundle: Bundle) -> None:
        name = self.unused(bundle.name)
        self.layers[name] = bundle.layer(name)
        sources = [self._source(drive, f"the arithmetic {name!r}") for drive in bundle.drives]
        self._connect(sources, name)
        self.made[bundle.spikes] = name

    def _neuron(self, told: Told) -> None:
        """Add a neuron once, under all names of its spikes."""
        roles = told.found.roles
        if roles.spikes[0] in self.made:
            return
        name = self.unused(told.name.removesuffix(f".v{STATE}"))
        layers = told.found.layers(name, self.shapes.layer(roles.v))
        for layer in layers:
            self.layers[layer.name] = layer
        self._connect(self._driving(told, name), layers[0].name)
        if len(layers) > 1:
            self._connect([layers[0].name], name)
        for spikes in roles.spikes:
            self.made[spikes] = name

    def _driving(self, told: Told, name: str) -> Sequence[str]:
        """Return the layers that lead to a neuron, in the order in which it adds them."""
        drives = told.found.roles.drives
        for drive in drives:
            self._check(drive, f"the neuron {name!r}")
        added = self.made.added(drives) if len(drives) == 1 or told.adds_first else None
        return added or [self.made.single(drive) for drive in drives]

    # Nodes

    def _node(self, message: Message) -> None:
        outputs = message.get("output", [])
        if not outputs:
            raise ReadError(f"a node of type {message.get('op_type', '')!r} has no output")
        if id(message) in self.graph.inside:
            self._inner(self.graph.inside[id(message)], outputs[0])
            return
        node = self._opened(message)
        if self._passes(node):
            self.made.alias(outputs[0], node.signals[0])
        elif not (self._joins(node, outputs[0]) or self.made.add(node, outputs[0])):
            self._add(node, outputs)

    def _opened(self, message: Message) -> Node:
        kind, signals, constants = message.get("op_type", ""), [], {}
        joined = self.shapes.joined(message) if joins(message) else None
        for at, name in enumerate(message["input"]):
            if not name:
                continue
            held = None if name in self.made else self.constants.get(name)
            if held is not None:
                constants[at] = held
            elif not (at and joined):  # the shape that is computed for it says no more
                self._check(name, f"a node {kind!r}")
                signals.append(name)
        signals += [x for n in outer_values(message) if (x := self.graph.aliases[n]) in self.made]
        made = Node(kind, message.get("name", "") or kind, message, signals, constants,
                    attributes(message), joined=joined)  # fmt: skip
        if signals:
            made.shape, made.batches = self.shapes.own(signals[0]), self.shapes.batches(signals[0])
        return made

    @staticmethod
    def _passes(node: Node) -> bool:
        """Whether a node hands its signal on as it is."""
        if len(node.signals) != 1 or node.message.get("domain"):
            return False
        if node.kind == "Cast":
            return node.attributes.get("to") in _FLOATS
        if node.joined is not None and node.joined[1] < node.joined[0]:
            return True
        training = node.constants.get(2)
        return node.kind == "Dropout" and (training is None or not training.any())

    def _joins(self, node: Node, output: str) -> bool:
        """Take what stands behind a layer into it: a bias, and what makes means sums."""
        if len(node.signals) != 1 or len(node.constants) != 1:
            return False
        sources = self.made.layers(node.signals[0])
        if self.graph.read[node.signals[0]] > 1 or len(sources) > 1:
            return False
        (source,), (held,) = sources, node.constants.values()
        joined: Layer | None = None
        if node.kind == "Add":
            joined = with_bias(self.layers[source], held)
        elif node.kind == "Mul" and held.size == 1:
            joined = summed(self.layers[source], held.item())
        if joined is None:
            return False
        self.layers[source] = joined
        self.made[output] = source
        self._use(node)
        return True

    def _add(self, node: Node, outputs: list[str]) -> None:
        name = self.unused(layer_name(node, self.constants))
        made = self._made(name, node) if len(node.signals) == 1 else None
        if made is None:
            self._keep(name, node, outputs)
            return
        layers = made if isinstance(made, tuple) else (made,)
        self.layers.update({layer.name: layer for layer in layers})
        self._use(node)
        if isinstance(layers[0], Linear | Conv1d | Conv2d) and 1 in node.constants:
            self.weights[name] = self.constants.source(node.constants[1])
        self._connect(self.made.layers(node.signals[0]), name)
        for before, layer in itertools.pairwise(layers):
            self._connect([before.name], layer.name)
        self.made[outputs[0]] = layers[-1].name

    def _made(self, name: str, node: Node) -> Layer | tuple[Layer, ...] | None:
        domain = node.message.get("domain", "")
        if domain == DOMAIN and node.kind in self.graph.own:
            return own_layer(name, node, self.graph.own[node.kind])
        maker = MAKERS.get((domain, node.kind))
        return None if maker is None else maker(name, node)

    def _keep(self, name: str, node: Node, outputs: Iterable[str]) -> None:
        """Add a node as a layer of which nothing is known."""
        sources = [self.made.single(signal) for signal in node.signals]
        self.layers[name] = opaque(name, node)
        self._use(node)
        self._connect(sources, name)
        for output in filter(None, outputs):
            self.made[output] = name

    def _kept_sum(self, node: Node) -> str:
        """Add an addition as a layer, for one that does not add what it gets."""
        name = self.unused(layer_name(node, self.constants))
        self._keep(name, node, ())
        return name

    def _use(self, node: Node) -> None:
        self.used |= {self.constants.source(held) for held in node.constants.values()}
