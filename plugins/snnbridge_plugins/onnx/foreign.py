"""Graphs of other tools: layers where an operator is one, opaque layers elsewhere.

Every node becomes a layer, or a part of one, or is passed through; nothing of it is executed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    AvgPool,
    BatchNorm,
    Connection,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Layer,
    Linear,
    MaxPool,
    Opaque,
    Origin,
    Output,
    ReadError,
    SNNCheckpoint,
    SourceInfo,
)
from snnbridge.model import Array, Parameter, Shape
from snnbridge_plugins.onnx.arrays import Tensors
from snnbridge_plugins.onnx.models import Model
from snnbridge_plugins.onnx.protobuf import encode
from snnbridge_plugins.onnx.schema import Message
from snnbridge_plugins.onnx.tensors import array_of

_PASSED = {"Identity", "Dropout", "Cast"}
_SPIKING = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Heaviside", "Sign"}


def attributes(node: Message) -> dict[str, Any]:
    """Return a node's attributes as values: numbers, text, arrays, bytes of inner graphs."""
    return {held.get("name", ""): _value(held) for held in node.get("attribute", [])}


def _value(held: Message) -> Any:
    if "t" in held:
        return array_of(held["t"])
    if "g" in held:
        return encode("Graph", held["g"])
    if "s" in held:
        return _text(held["s"])
    if "floats" in held:
        return [x for piece in held["floats"] for (x,) in struct.iter_unpack("<f", piece)]
    if "strings" in held:
        return [_text(x) for x in held["strings"]]
    found = (held[key] for key in ("ints", "i", "f") if key in held)
    return next(found, 0 if held.get("type") == 2 else None)


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


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


@dataclass
class _Node:
    """One node: what it reads, split into signals and constants."""

    kind: str
    name: str
    message: Message
    signals: list[str]
    constants: dict[int, Array]
    attributes: dict[str, Any] = field(default_factory=dict)


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

    def checkpoint(self) -> SNNCheckpoint:
        """Read the graph in its order."""
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

    # Values

    def _input(self, value: Message) -> None:
        name = self._unused(value.get("name", "") or "input")
        self.layers[name] = Input(name, _shape_of(value))
        self.made[value.get("name", "")] = name

    def _output(self, value: Message) -> None:
        source = self.made.get(value.get("name", ""))
        if source is None:
            return
        name = self._unused(f"{value.get('name', '')}.output")
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

    def _unused(self, name: str) -> str:
        made, count = name, 1
        while made in self.layers:
            count += 1
            made = f"{name}_{count}"
        return made

    def _connect(self, source: str, target: str) -> None:
        self.connections[Connection(source, target)] = None

    # Nodes

    def _node(self, message: Message) -> None:
        kind, outputs = message.get("op_type", ""), message.get("output", [])
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

    def _opened(self, kind: str, message: Message) -> _Node:
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
        return _Node(kind, hint, message, signals, constants, attributes(message))

    def _folds(self, node: _Node, outputs: list[str]) -> bool:
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
        held = node.constants[0]
        if node.kind == "Transpose":
            turned = held.transpose(node.attributes.get("perm", range(held.ndim)[::-1]))
            self.names[id(turned)] = self.names.get(id(held), "")
            held = turned
        self.constants[outputs[0]] = held
        return True

    def _joins(self, node: _Node, outputs: list[str]) -> bool:
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

    def _add(self, node: _Node, outputs: list[str]) -> None:
        maker = _MAKERS.get((node.message.get("domain", ""), node.kind))
        name = self._unused(self._layer_name(node))
        layer = maker(name, node) if maker is not None and len(node.signals) == 1 else None
        if layer is None:
            layer = self._opaque(name, node)
        self.layers[name] = layer
        for signal in node.signals:
            self._connect(self.made[signal], name)
        for output in outputs:
            if output:
                self.made[output] = name

    def _layer_name(self, node: _Node) -> str:
        """Name a layer by its weight, which exporters call as the source does."""
        for held in node.constants.values():
            base, dot, last = self.names.get(id(held), "").rpartition(".")
            if dot and last in ("weight", "kernel") and base:
                return base
        name = node.name.strip("/")
        if (node.message.get("domain", ""), node.kind) in _MAKERS:
            name = name.removesuffix(f"/{node.kind}")  # torch's path of the module
        return name or node.kind

    def _opaque(self, name: str, node: _Node) -> Opaque:
        arrays = {f"input_{at}": held for at, held in node.constants.items()}
        settings = {k: v for k, v in node.attributes.items() if v is not None}
        domain = node.message.get("domain", "")
        origin = Origin(domain or "onnx", node.kind or "?", UNKNOWN)
        return Opaque(name, parameters=arrays, settings=settings, origin=origin)


def _shape_of(value: Message) -> Any:
    """Return a value's shape without its first axis, if it is known."""
    held = value.get("type", {}).get("tensor_type", {}).get("shape")
    if held is None:
        return UNKNOWN
    dims = [d.get("dim_value", -1) for d in held.get("dim", [])][1:]
    return tuple(dims) if all(n >= 0 for n in dims) and held.get("dim") else UNKNOWN


# Layers, one maker for each operator; None where the node is not quite that layer.


def _gemm(name: str, node: _Node) -> Layer | None:
    found, weight = node.attributes, node.constants.get(1)
    plain = found.get("alpha", 1.0) == 1.0 and found.get("beta", 1.0) == 1.0
    if weight is None or weight.ndim != 2 or not plain or found.get("transA", 0):
        return None
    bias = node.constants.get(2)
    return Linear(name, weight if found.get("transB", 0) else weight.T, _vector(bias))


def _matmul(name: str, node: _Node) -> Layer | None:
    weight = node.constants.get(1)
    return Linear(name, weight.T) if weight is not None and weight.ndim == 2 else None


def _vector(bias: Array | None) -> Array | None:
    return bias if bias is None or bias.ndim <= 1 else bias.reshape(-1)


def _sides(found: Mapping[str, Any], axes: int) -> Any:
    if found.get("auto_pad", "NOTSET") == "SAME_UPPER":
        return "same"
    if found.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    pads = found.get("pads", [0] * 2 * axes)
    return tuple(zip(pads[:axes], pads[axes:], strict=True))


def _conv(name: str, node: _Node) -> Layer | None:
    weight, found = node.constants.get(1), node.attributes
    kind = {3: Conv1d, 4: Conv2d}.get(0 if weight is None else weight.ndim)
    if kind is None or weight is None:
        return None
    axes = weight.ndim - 2
    padding = _sides(found, axes)
    if padding is None:
        return None
    return kind(
        name, weight, node.constants.get(2), stride=tuple(found.get("strides", (1,) * axes)),
        padding=padding, dilation=tuple(found.get("dilations", (1,) * axes)),
        groups=found.get("group", 1),
    )  # fmt: skip


def _pool(name: str, node: _Node) -> Layer | None:
    found = node.attributes
    window: Shape = tuple(found.get("kernel_shape", ()))
    padding = _sides(found, len(window))
    odd = found.get("ceil_mode", 0) or any(d != 1 for d in found.get("dilations", ()))
    if not window or padding is None or odd or len(node.message.get("output", [])) > 1:
        return None
    stride = tuple(found.get("strides", (1,) * len(window)))
    if node.kind == "MaxPool":
        return MaxPool(name, window=window, stride=stride, padding=padding)
    counted = bool(found.get("count_include_pad", 0))
    return AvgPool(name, window=window, stride=stride, padding=padding, count_padding=counted)


def _norm(name: str, node: _Node) -> Layer | None:
    if set(node.constants) != {1, 2, 3, 4} or node.attributes.get("training_mode", 0):
        return None
    weight, bias, mean, variance = (node.constants[at] for at in (1, 2, 3, 4))
    epsilon = np.float32(node.attributes.get("epsilon", 1e-5))
    return BatchNorm(name, mean, variance, weight, bias, epsilon=Parameter(np.asarray(epsilon)))


def _flatten(name: str, node: _Node) -> Layer | None:
    if node.attributes.get("axis", 1) != 1:
        return None
    return Flatten(name, order="channels first")


def _reshape(name: str, node: _Node) -> Layer | None:
    """Take a reshape to two axes, of which the first is the batch, as a flattening."""
    shape = node.constants.get(1)
    if shape is None or shape.shape != (2,) or node.attributes.get("allowzero", 0):
        return None
    plain = int(shape[1]) == -1 or int(shape[0]) == 1  # a batch of one, as exporters trace it
    return Flatten(name, order="channels first") if plain else None


def _dense(name: str, node: _Node) -> Layer | None:
    """Take SC-NeuroCore's layer: its weights; which neuron stands behind them is not said."""
    weight = next((x for x in node.constants.values() if x.ndim == 2), None)
    return None if weight is None else Linear(name, weight)


_MAKERS: dict[tuple[str, str], Callable[[str, _Node], Layer | None]] = {
    ("", "Gemm"): _gemm,
    ("", "MatMul"): _matmul,
    ("", "Conv"): _conv,
    ("", "MaxPool"): _pool,
    ("", "AveragePool"): _pool,
    ("", "BatchNormalization"): _norm,
    ("", "Flatten"): _flatten,
    ("", "Reshape"): _reshape,
    ("sc_neurocore", "SC_Dense"): _dense,
}
