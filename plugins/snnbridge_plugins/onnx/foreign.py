"""Graphs of other tools: layers where an operator is one, opaque layers elsewhere.

Every node becomes a layer, or a part of one, or is passed through; nothing of it is executed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    Connection,
    Input,
    Layer,
    Linear,
    Opaque,
    Origin,
    Output,
    ReadError,
    SNNCheckpoint,
    SourceInfo,
)
from snnbridge.model import Array, Parameter
from snnbridge_plugins.onnx.arrays import Tensors
from snnbridge_plugins.onnx.models import Model
from snnbridge_plugins.onnx.operators import MAKERS, Node, attributes
from snnbridge_plugins.onnx.parts import neurons_in
from snnbridge_plugins.onnx.probing import Found, Part
from snnbridge_plugins.onnx.schema import Message
from snnbridge_plugins.onnx.terms import Names

_PASSED = {"Identity", "Dropout", "Cast"}
_SPIKING = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Heaviside", "Sign"}


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
    return _Graph(model, tensors).checkpoint()


class _Graph:
    """A graph that is being read.

    Attributes
    ----------
    made : dict of str to str
        From values to the layers that hand them on.
    """

    def __init__(self, model: Model, tensors: Tensors) -> None:
        self.model, self.tensors = model, tensors
        self.graph = model.message["graph"]
        self.constants: dict[str, Array] = {}
        self.names: dict[int, str] = {}
        self.layers: dict[str, Layer] = {}
        self.connections: dict[Connection, None] = {}
        self.made: dict[str, str] = {}
        self.used: set[str] = set()
        self.read: dict[str, int] = {}
        self.neurons: dict[str, tuple[Part, Found]] = {}
        self.inside: set[int] = set()
        self.unused = Names().unique
        self.states: set[str] = set()

    def checkpoint(self) -> SNNCheckpoint:
        """Read the graph in its order."""
        self._find_neurons()
        for value in self.graph.get("input", []):
            if value.get("name", "") not in self.tensors:
                self._input(value)
        for node in self.graph.get("node", []):
            for name in node.get("input", []):
                self.read[name] = self.read.get(name, 0) + 1
        for node in self.graph.get("node", []):
            self._node(node)
        for value in self.graph.get("output", []):
            self._output(value)
        return self._finished()

    def _finished(self) -> SNNCheckpoint:
        left = {name: self.tensors.array(name) for name in self.tensors.names()
                if name not in self.used}  # fmt: skip
        tool = self.model.message.get("producer_name", "") or UNKNOWN
        version = self.model.message.get("producer_version", "") or UNKNOWN
        source = SourceInfo(
            dialect="foreign", framework=tool, framework_version=version, notes=self._notes()
        )
        metadata = self.model.metadata
        return SNNCheckpoint(
            self.layers,
            connections=self.connections,
            metadata={"onnx": metadata} if metadata else {},
            extras={"onnx": {"tensors": left}} if left else {},
            source=source,
        )

    def _notes(self) -> tuple[str, ...]:
        opaque = [x.origin.kind for x in self.layers.values() if isinstance(x, Opaque) and x.origin]
        notes = []
        if self.neurons:
            notes.append(
                f"{len(self.neurons)} layers of neurons were told by what their arithmetic makes "
                "of probes: every spike and potential is that of one rule, bit for bit"
            )
        if opaque:
            kinds = ", ".join(f"{opaque.count(kind)} {kind}" for kind in dict.fromkeys(opaque))
            notes.append(f"kept without knowing what they do: {kinds}")
        if _SPIKING & set(opaque):
            notes.append(self._note_on_states())
        return tuple(notes)

    def _note_on_states(self) -> str:
        inputs = [x for x in self.layers.values() if type(x) is Input]
        if len(inputs) > 1:
            return (
                "comparisons make spikes, and the graph has more than one input: the others are "
                "states; neurons are not told from arithmetic, state them in a spec file"
            )
        return (
            "comparisons make spikes, but no state goes in or out: the sequence is unrolled, or "
            "the state was baked in and the graph is one step from rest; no neuron is made of it"
        )

    # Neurons

    def _find_neurons(self) -> None:
        """Note the arithmetic that is a neuron, its states, and the value of its spikes."""
        held = {
            node["output"][0]: value
            for node in self.graph.get("node", [])
            if node.get("op_type") == "Constant" and node.get("output")
            and isinstance(value := attributes(node).get("value"), np.ndarray)
        }  # fmt: skip

        def constant(name: str) -> Array | None:
            return held[name] if name in held else self._constant(name)

        for part, found in neurons_in(self.graph, constant):
            self.neurons[found.spikes] = part, found
            self.inside |= {id(node) for node in part.nodes}
            self.states |= {part.state, found.state}

    def _neuron(self, spikes: str) -> None:
        part, found = self.neurons[spikes]
        value = next(x for x in self.graph["input"] if x.get("name", "") == part.state)
        name = self.unused(_name_of(part))
        self.layers[name] = found.layer(name, _shape_of(value))
        if part.drive not in self.made:
            raise ReadError(f"nobody defines the value {part.drive!r}, the input of {name!r}")
        self._connect(self.made[part.drive], name)
        self.made[spikes] = name

    # Values

    def _input(self, value: Message) -> None:
        if value.get("name", "") in self.states:
            return
        name = self.unused(value.get("name", "") or "input")
        self.layers[name] = Input(name, _shape_of(value))
        self.made[value.get("name", "")] = name

    def _output(self, value: Message) -> None:
        source = self.made.get(value.get("name", ""))
        if source is None:
            return
        name = self.unused(f"{value.get('name', '')}.output")
        self.layers[name] = Output(name, _shape_of(value))
        self._connect(source, name)

    def _constant(self, name: str) -> Array | None:
        if name in self.constants:
            return self.constants[name]
        if name in self.tensors:
            self.used.add(name)
            self.constants[name] = self.tensors.array(name)
            self.names[id(self.constants[name])] = name
            return self.constants[name]
        return None

    def _connect(self, source: str, target: str) -> None:
        self.connections[Connection(source, target)] = None

    # Nodes

    def _node(self, message: Message) -> None:
        kind, outputs = message.get("op_type", ""), message.get("output", [])
        if id(message) in self.inside:
            if outputs[0] in self.neurons:
                self._neuron(outputs[0])
            return
        if not outputs:
            raise ReadError(f"a node of type {kind!r} has no output")
        for name in outputs:
            if name and (name in self.made or name in self.constants or name in self.tensors):
                raise ReadError(f"two nodes define the value {name!r}")
        node = self._opened(kind, message)
        if not node.signals and self._folds(node, outputs):
            return
        if kind in _PASSED and len(node.signals) == 1 and not node.constants:
            self.made[outputs[0]] = self.made[node.signals[0]]
            return
        if self._joins(node, outputs):
            return
        self._add(node, outputs)

    def _opened(self, kind: str, message: Message) -> Node:
        signals, constants = [], {}
        for at, name in enumerate(message.get("input", [])):
            if not name:
                continue
            held = None if name in self.made else self._constant(name)
            if held is not None:
                constants[at] = held
            elif name in self.made:
                signals.append(name)
            else:
                raise ReadError(f"a node {kind!r} reads {name!r}, which nobody defines before it")
        hint = message.get("name", "") or kind
        return Node(kind, hint, message, signals, constants, attributes(message))

    def _folds(self, node: Node, outputs: list[str]) -> bool:
        """Take over constants, also where they are only turned."""
        if node.kind == "Constant" and isinstance(node.attributes.get("value"), np.ndarray):
            self.constants[outputs[0]] = node.attributes["value"]
            return True
        if node.kind == "Constant":
            held = [v for k, v in node.attributes.items() if k.startswith("value_")]
            if held and isinstance(held[0], int | float | list):
                self.constants[outputs[0]] = np.asarray(held[0])
                return True
        if node.kind not in ("Identity", "Transpose") or len(node.constants) != 1:
            return False
        array = node.constants[0]
        if node.kind == "Transpose":
            turned = array.transpose(node.attributes.get("perm", range(array.ndim)[::-1]))
            self.names[id(turned)] = self.names.get(id(array), "")
            array = turned
        self.constants[outputs[0]] = array
        return True

    def _joins(self, node: Node, outputs: list[str]) -> bool:
        """Take an addition behind a matrix as its bias."""
        if node.kind != "Add" or len(node.signals) != 1 or len(node.constants) != 1:
            return False
        source = self.made[node.signals[0]]
        layer, bias = self.layers[source], next(iter(node.constants.values()))
        if not isinstance(layer, Linear) or layer.bias is not None or bias.ndim != 1:
            return False
        if bias.shape != (layer.size[1],) or self.read[node.signals[0]] > 1:
            return False
        self.layers[source] = replace(layer, bias=Parameter(bias))
        self.made[outputs[0]] = source
        return True

    def _add(self, node: Node, outputs: list[str]) -> None:
        maker = MAKERS.get((node.message.get("domain", ""), node.kind))
        name = self.unused(self._layer_name(node))
        layer = maker(name, node) if maker is not None and len(node.signals) == 1 else None
        if layer is None:
            layer = self._opaque(name, node)
        self.layers[name] = layer
        for signal in node.signals:
            self._widen(self.made[signal], layer)
            self._connect(self.made[signal], name)
        for output in outputs:
            if output:
                self.made[output] = name

    def _widen(self, source: str, reader: Layer) -> None:
        """Leave an input's shape open where a matrix reads its last axis: one may be time."""
        given = self.layers[source]
        shaped = isinstance(given, Input) and given.shape is not UNKNOWN and len(given.shape) > 1
        if shaped and isinstance(reader, Linear):
            self.layers[source] = Input(source, UNKNOWN)

    def _layer_name(self, node: Node) -> str:
        """Name a layer by its weight, which exporters call as the source does."""
        for held in node.constants.values():
            base, dot, last = self.names.get(id(held), "").rpartition(".")
            if dot and last in ("weight", "kernel") and base:
                return base
        name = node.name.strip("/")
        if (node.message.get("domain", ""), node.kind) in MAKERS:
            name = name.removesuffix(f"/{node.kind}")  # torch's path of the module
        return name or node.kind

    def _opaque(self, name: str, node: Node) -> Opaque:
        arrays = {f"input_{at}": Parameter(held) for at, held in node.constants.items()}
        settings = {k: v for k, v in node.attributes.items() if v is not None}
        domain = node.message.get("domain", "")
        origin = Origin(domain or "onnx", node.kind or "?", UNKNOWN)
        return Opaque(name, parameters=arrays, settings=settings, origin=origin)


def _name_of(part: Part) -> str:
    """Name a neuron by the module that its nodes come from, else by its state."""
    paths = [node.get("name", "").strip("/").split("/")[:-1] for node in part.nodes]
    scopes = [_scope(node) for node in part.nodes]
    for found in (["/".join(path) for path in paths if path], [x for x in scopes if x]):
        if found and len(set(found)) == 1:
            return found[0]
    return part.state


def _scope(node: Message) -> str:
    """Return the module that torch's exporter notes for a node."""
    entries = {e.get("key", ""): e.get("value", "") for e in node.get("metadata_props", [])}
    names = re.findall(r"'([^']*)'", entries.get("pkg.torch.onnx.name_scopes", ""))
    return names[1] if len(names) > 2 else ""


def _shape_of(value: Message) -> Any:
    """Return a value's shape without its first axis, if it is known."""
    held = value.get("type", {}).get("tensor_type", {}).get("shape")
    if held is None:
        return UNKNOWN
    dims = [d.get("dim_value", -1) for d in held.get("dim", [])][1:]
    return tuple(dims) if all(n >= 0 for n in dims) and held.get("dim") else UNKNOWN
