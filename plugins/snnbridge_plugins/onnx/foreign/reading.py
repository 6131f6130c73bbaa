"""Graphs of other tools: layers where an operator is one, opaque layers elsewhere.

Every node becomes a layer, or a part of one, or is passed through; nothing of it is executed, but
small arithmetic on probes.
"""

from __future__ import annotations

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
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.bundles import Bundle
from snnbridge_plugins.onnx.foreign.notes import notes_on
from snnbridge_plugins.onnx.foreign.operators import MAKERS, Node, attributes, opaque, with_bias
from snnbridge_plugins.onnx.foreign.prepared import Prepared
from snnbridge_plugins.onnx.foreign.recognising import Told
from snnbridge_plugins.onnx.foreign.titles import outer_values, shape_of
from snnbridge_plugins.onnx.recipes.terms import Names

#: Types that keep the numbers of a signal, as "Cast" has them.
_FLOATS = (1, 11)
#: What makes spikes of a comparison.
_COUNTING = frozenset({"Cast", "Where", "Mul"})


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
    made : dict of str to str
        From values to the layers that hand them on.
    used : set of str
        The tensors that a layer holds as they are, or turned.
    weights : list of str
        Those of matrices and kernels, once for each use.
    """

    def __init__(self, model: Model, tensors: Tensors) -> None:
        self.model, self.tensors = model, tensors
        self.graph = Prepared(model.message, tensors)
        self.constants = self.graph.constants
        self.layers: dict[str, Layer] = {}
        self.connections: dict[Connection, None] = {}
        self.made: dict[str, str] = {}
        self.used: set[str] = set()
        self.weights: list[str] = []
        self.unused = Names().unique

    def checkpoint(self) -> SNNCheckpoint:
        """Read the graph in its order."""
        for name, value in self.graph.inputs.items():
            self._input(name, value)
        for node in self.graph.nodes:
            self._node(node)
        for value in self.graph.outputs:
            self._output(value)
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
            extras={"onnx": {"tensors": left}} if left else {},
            source=SourceInfo(
                dialect="foreign",
                framework=message.get("producer_name", "") or UNKNOWN,
                framework_version=message.get("producer_version", "") or UNKNOWN,
                notes=notes_on(self.layers, self.weights, self.graph),
            ),
        )

    # Values

    def _input(self, name: str, value: Message) -> None:
        if name in self.graph.states:
            return
        layer = self.unused(name or "input")
        self.layers[layer] = Input(layer, shape_of(value))
        self.made[name] = layer

    def _output(self, value: Message) -> None:
        source = self.made.get(self.graph.aliases[value.get("name", "")])
        if source is None:
            return
        name = self.unused(f"{value.get('name', '')}.output")
        self.layers[name] = Output(name, shape_of(value))
        self._connect(source, name)

    def _connect(self, source: str, target: str) -> None:
        self.connections[Connection(source, target)] = None

    def _source(self, name: str, reader: str) -> str:
        if name not in self.made:
            raise ReadError(f"{reader} reads {name!r}, which nobody defines before it")
        return self.made[name]

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
        for drive in bundle.drives:
            self._connect(self._source(drive, f"the arithmetic {name!r}"), name)
        self.made[bundle.spikes] = name

    def _neuron(self, told: Told) -> None:
        """Add a neuron once, under all names of its spikes."""
        roles = told.found.roles
        if roles.spikes[0] in self.made:
            return
        name = self.unused(told.name)
        layers = told.found.layers(name, shape_of(self.graph.inputs[roles.v]))
        for layer in layers:
            self.layers[layer.name] = layer
        for drive in roles.drives:
            self._connect(self._source(drive, f"the neuron {name!r}"), layers[0].name)
        if len(layers) > 1:
            self._connect(layers[0].name, name)
        self.made.update(dict.fromkeys(roles.spikes, name))

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
            self.made[outputs[0]] = self.made[node.signals[0]]
        elif not self._joins(node, outputs[0]):
            self._add(node, outputs)

    def _opened(self, message: Message) -> Node:
        kind, signals, constants = message.get("op_type", ""), [], {}
        for at, name in enumerate(message["input"]):
            if not name:
                continue
            held = None if name in self.made else self.constants.get(name)
            if held is not None:
                constants[at] = held
            else:
                self._source(name, f"a node {kind!r}")
                signals.append(name)
        signals += [x for n in outer_values(message) if (x := self.graph.aliases[n]) in self.made]
        hint = message.get("name", "") or kind
        return Node(kind, hint, message, signals, constants, attributes(message))

    @staticmethod
    def _passes(node: Node) -> bool:
        """Whether a node hands its signal on as it is."""
        if len(node.signals) != 1 or node.message.get("domain"):
            return False
        if node.kind == "Cast":
            return node.attributes.get("to") in _FLOATS
        training = node.constants.get(2)
        return node.kind == "Dropout" and (training is None or not training.any())

    def _joins(self, node: Node, output: str) -> bool:
        """Take an addition behind a matrix or a kernel as its bias."""
        if node.kind != "Add" or len(node.signals) != 1 or len(node.constants) != 1:
            return False
        if self.graph.read[node.signals[0]] > 1:
            return False
        source, (bias,) = self.made[node.signals[0]], node.constants.values()
        joined = with_bias(self.layers[source], bias)
        if joined is not None:
            self.layers[source], self.made[output] = joined, source
            self._use(node)
        return joined is not None

    def _add(self, node: Node, outputs: list[str]) -> None:
        maker = MAKERS.get((node.message.get("domain", ""), node.kind))
        name = self.unused(self._layer_name(node))
        layer = maker(name, node) if maker is not None and len(node.signals) == 1 else None
        if layer is None:
            layer = opaque(name, node)
        self.layers[name] = layer
        self._use(node)
        if isinstance(layer, Linear | Conv1d | Conv2d) and 1 in node.constants:
            self.weights.append(self.constants.source(node.constants[1]))
        for signal in node.signals:
            self._widen(self.made[signal], layer)
            self._connect(self.made[signal], name)
        self.made.update({output: name for output in outputs if output})

    def _use(self, node: Node) -> None:
        self.used |= {self.constants.source(held) for held in node.constants.values()}

    def _widen(self, source: str, reader: Layer) -> None:
        """Leave an input's shape open where a matrix reads its last axis: one may be time."""
        given = self.layers[source]
        shaped = isinstance(given, Input) and given.shape is not UNKNOWN and len(given.shape) > 1
        if shaped and isinstance(reader, Linear):
            self.layers[source] = Input(source, UNKNOWN)

    def _layer_name(self, node: Node) -> str:
        """Name a layer by its weight, which exporters call as the source does."""
        for held in node.constants.values():
            base, dot, last = self.constants.source(held).rpartition(".")
            if dot and last in ("weight", "kernel") and base:
                return base
        name = node.name.strip("/")
        if (node.message.get("domain", ""), node.kind) in MAKERS:
            name = name.removesuffix(f"/{node.kind}")  # torch's path of the module
        return name or node.kind
