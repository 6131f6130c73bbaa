"""Single operators of other tools' graphs as layers."""

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
    Conv1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Opaque,
    Origin,
    ReadError,
)
from snnbridge.model import Array, Parameter, Shape
from snnbridge_plugins.onnx.file.protobuf import encode
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.file.tensors import array_of


@dataclass
class Node:
    """One node: what it reads, split into signals and constants."""

    kind: str
    name: str
    message: Message
    signals: list[str]
    constants: dict[int, Array]
    attributes: dict[str, Any] = field(default_factory=dict)


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


def _gemm(name: str, node: Node) -> Layer | None:
    found, weight = node.attributes, node.constants.get(1)
    plain = found.get("alpha", 1.0) == 1.0 and found.get("beta", 1.0) == 1.0
    if weight is None or weight.ndim != 2 or not plain or found.get("transA", 0):
        return None
    bias = node.constants.get(2)
    return Linear(name, weight if found.get("transB", 0) else weight.T, _vector(bias))


def _matmul(name: str, node: Node) -> Layer | None:
    weight = node.constants.get(1)
    return Linear(name, weight.T) if weight is not None and weight.ndim == 2 else None


def _vector(bias: Array | None) -> Array | None:
    return bias if bias is None or bias.ndim <= 1 else bias.reshape(-1)


def _sides(found: Mapping[str, Any], axes: int) -> Any:
    if found.get("auto_pad", "NOTSET") == "SAME_UPPER":
        return "same"
    if found.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    pads = _numbers(found, "pads", 2 * axes, 0)
    return tuple(zip(pads[:axes], pads[axes:], strict=True))


def _numbers(found: Mapping[str, Any], name: str, count: int, default: int) -> Shape:
    """Return an attribute that holds one number for each axis, or for each side of each."""
    held = found.get(name, [default] * count)
    if not isinstance(held, list | tuple) or len(held) != count:
        raise ReadError(f"the attribute {name!r} of a node is {held!r}; expected {count} numbers")
    return tuple(held)


def _conv(name: str, node: Node) -> Layer | None:
    weight, found = node.constants.get(1), node.attributes
    kind = {3: Conv1d, 4: Conv2d}.get(0 if weight is None else weight.ndim)
    if kind is None or weight is None:
        return None
    axes = weight.ndim - 2
    padding = _sides(found, axes)
    if padding is None:
        return None
    return kind(
        name, weight, node.constants.get(2), stride=_numbers(found, "strides", axes, 1),
        padding=padding, dilation=_numbers(found, "dilations", axes, 1),
        groups=found.get("group", 1),
    )  # fmt: skip


def _pool(name: str, node: Node) -> Layer | None:
    found = node.attributes
    held = found.get("kernel_shape", ())
    window = _numbers(found, "kernel_shape", len(held) if isinstance(held, list | tuple) else 1, 0)
    padding = _sides(found, len(window))
    odd = found.get("ceil_mode", 0) or any(
        d != 1 for d in _numbers(found, "dilations", len(window), 1)
    )
    if not window or padding is None or odd or len(node.message.get("output", [])) > 1:
        return None
    stride = _numbers(found, "strides", len(window), 1)
    if node.kind == "MaxPool":
        return MaxPool(name, window=window, stride=stride, padding=padding)
    counted = bool(found.get("count_include_pad", 0))
    return AvgPool(name, window=window, stride=stride, padding=padding, count_padding=counted)


def _norm(name: str, node: Node) -> Layer | None:
    if set(node.constants) != {1, 2, 3, 4} or node.attributes.get("training_mode", 0):
        return None
    weight, bias, mean, variance = (node.constants[at] for at in (1, 2, 3, 4))
    epsilon = np.float32(node.attributes.get("epsilon", 1e-5))
    return BatchNorm(name, mean, variance, weight, bias, epsilon=Parameter(np.asarray(epsilon)))


def _flatten(name: str, node: Node) -> Layer | None:
    if node.attributes.get("axis", 1) != 1:
        return None
    return Flatten(name, order="channels first")


def _reshape(name: str, node: Node) -> Layer | None:
    """Take a reshape to two axes, of which the first is the batch, as a flattening."""
    shape = node.constants.get(1)
    if shape is None or shape.shape != (2,):
        return None
    kept = int(shape[0]) == 0 and not node.attributes.get("allowzero", 0)
    rest = int(shape[1]) == -1 and (kept or int(shape[0]) > 0)
    # A batch of one, as exporters trace it.
    plain = rest or (int(shape[0]) in (1, -1) and int(shape[1]) > 0)
    return Flatten(name, order="channels first") if plain else None


def _dense(name: str, node: Node) -> Layer | None:
    """Take SC-NeuroCore's layer: its weights; which neuron stands behind them is not said."""
    weight = next((x for x in node.constants.values() if x.ndim == 2), None)
    return None if weight is None else Linear(name, weight)


def with_bias(layer: Layer, bias: Array) -> Layer | None:
    """Return a matrix or a kernel with what is added behind it as its bias, if that fits."""
    if not isinstance(layer, Linear | Conv1d | Conv2d) or layer.bias is not None:
        return None
    weight = layer.parameters["weight"].value
    if weight is UNKNOWN:
        return None
    own = (len(weight), *(1,) * (weight.ndim - 2))
    if bias.shape not in (own, (1, *own)):
        return None
    return replace(layer, bias=Parameter(bias.reshape(len(weight))))


def opaque(name: str, node: Node) -> Opaque:
    """Return a node as a layer that keeps all it has."""
    arrays = {f"input_{at}": Parameter(held) for at, held in node.constants.items()}
    settings = {k: v for k, v in node.attributes.items() if v is not None}
    origin = Origin(node.message.get("domain", "") or "onnx", node.kind or "?", UNKNOWN)
    return Opaque(name, parameters=arrays, settings=settings, origin=origin)


#: What makes a layer of an operator, by domain and name; None where it is not quite that layer.
MAKERS: dict[tuple[str, str], Callable[[str, Node], Layer | None]] = {
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
