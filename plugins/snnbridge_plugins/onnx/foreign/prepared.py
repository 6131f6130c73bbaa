"""A graph of another tool before its layers are made: constants, aliases, and what is a neuron."""

from __future__ import annotations

from collections.abc import Iterable

from snnbridge import ReadError
from snnbridge_plugins.onnx.file.arrays import Tensors
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph import own
from snnbridge_plugins.onnx.foreign.graph.aliases import Aliases
from snnbridge_plugins.onnx.foreign.graph.constants import Constants
from snnbridge_plugins.onnx.foreign.graph.inlining import inlined
from snnbridge_plugins.onnx.foreign.neurons.bundles import Bundle, bundles
from snnbridge_plugins.onnx.foreign.neurons.parts import Cutter
from snnbridge_plugins.onnx.foreign.neurons.recognising import COMPARING, Told, neurons_in
from snnbridge_plugins.onnx.foreign.neurons.stacked import unstacked
from snnbridge_plugins.onnx.foreign.shapes.inference import Shapes

#: What makes numbers of a comparison.
_COUNTING = frozenset({"Cast", "Where", "Mul"})


class Prepared:
    """A graph whose nodes are operators on signals, each value under its first name.

    Parameters
    ----------
    message : Message
        The model, vetted.
    tensors : Tensors

    Attributes
    ----------
    inputs : dict of str to Message
        Without those that are constants.
    own : dict of str to Message
        The functions of this package.
    is_ours : bool
        Whether this package wrote the model, by its own word.
    outputs : list of Message
    shapes : Shapes
    nodes : list of Message
        In order.
    read : dict of str to int
        How often each value is read.
    told, missed, bundles : list
        Arithmetic that is a neuron, that is none, and that is kept together.
    inside : dict of int to Told or Bundle
        What the node of an identity belongs to.
    states : set of str
        The inputs that are states of these.
    is_whole : bool
        Whether all arithmetic with states was looked at.
    stacked : frozenset of str
        The states that come in and go out in one tensor.

    Raises
    ------
    ReadError
        For a value that is defined twice.
    """

    def __init__(self, message: Message, tensors: Tensors) -> None:
        graph, nodes = message["graph"], inlined(message)
        self.is_ours = message.get("producer_name") == "snnbridge"
        self.own = {f["name"]: f for f in message.get("functions", []) if own.is_own(f)}
        given, self.outputs, infos = (
            own.without_time(message, graph.get(key, []))
            for key in ("input", "output", "value_info")
        )
        # The states of our own models are inputs with a default.
        starts = [n for x in given if self.own and (n := x.get("name", "")).endswith(own.STATE)]
        self.inputs: dict[str, Message] = {
            name: value for value in given
            if (name := value.get("name", "")) not in tensors or name in starts
        }  # fmt: skip
        _refuse_twice(nodes, {*self.inputs, *tensors.names()})
        ends = [value.get("name", "") for value in self.outputs]
        self.constants = Constants(tensors, nodes, starts)
        stated = (*infos, *self.outputs)
        self.shapes = Shapes(nodes, self.inputs, stated, self.constants)
        self.aliases = Aliases(nodes, ends, self.constants)
        used = self.shapes.used(nodes, ends)
        self.nodes: list[Message] = [
            {**node, "input": [self.aliases[name] for name in node.get("input", [])]}
            for node in used
            if id(node) not in self.aliases.dropped and not self.constants.folds(node)
        ]
        self.read: dict[str, int] = {}
        for name in (name for node in self.nodes for name in node["input"]):
            self.read[name] = self.read.get(name, 0) + 1
        self._recognise(Cutter(self.nodes, self.inputs, [self.aliases[n] for n in ends],
                               self.constants, self.shapes))  # fmt: skip

    def _recognise(self, cutter: Cutter) -> None:
        self.told, self.missed = neurons_in(cutter)
        self.is_whole = cutter.is_done
        self.bundles = list(bundles(cutter, self.missed))
        self.inside: dict[int, Told | Bundle] = {
            id(node): item for item in self.told for node in item.part.nodes
        }
        self.inside |= {id(node): item for item in self.bundles for node in item.nodes}
        self.states = {name for item in self.told for name in item.part.states}
        self.states |= {name for item in self.bundles for name in item.states}
        self.stacked: frozenset[str] = frozenset()

    def is_spiking(self) -> bool:
        """Whether numbers are made of comparisons."""
        compared = {
            name for node in self.nodes if node.get("op_type") in COMPARING
            for name in node.get("output", [])
        }  # fmt: skip
        return any(
            node.get("op_type") in _COUNTING and not compared.isdisjoint(node["input"])
            for node in self.nodes
        )


def _refuse_twice(nodes: Iterable[Message], defined: set[str]) -> None:
    """Refuse a value that is defined twice."""
    for node in nodes:
        for name in filter(None, node.get("output", [])):
            if name in defined:
                raise ReadError(f"two nodes define the value {name!r}")
            defined.add(name)


def prepared(message: Message, tensors: Tensors) -> Prepared:
    """Return a graph as it is, or with its stacked states apart where some of them are told.

    Raises
    ------
    ReadError
        For a value that is defined twice.
    """
    apart = unstacked(message, tensors)
    if apart is not None:
        found = Prepared(apart[0], tensors)
        if not apart[1].isdisjoint(found.states):
            found.stacked = apart[1]
            return found
    return Prepared(message, tensors)
