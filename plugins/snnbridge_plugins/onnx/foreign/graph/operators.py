"""Single operators of other tools' graphs as layers."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    BatchNorm,
    Conv1d,
    Conv2d,
    Layer,
    Linear,
    Opaque,
    Origin,
    Scale,
)
from snnbridge.model import Array, Parameter
from snnbridge_plugins.onnx.file.protobuf import encode
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.file.tensors import array_of


@dataclass
class Node:
    """One node: what it reads, split into signals and constants.

    Attributes
    ----------
    shape : tuple or None
        Of its first signal, without the batch; lengths that are no numbers have names.
    batches : int
        How many axes of that signal come before these, -1 if nobody knows.
    joined : tuple of int or None
        Which of these axes it joins, if that is all that it does.
    """

    kind: str
    name: str
    message: Message
    signals: list[str]
    constants: dict[int, Array]
    attributes: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int | str, ...] | None = None
    batches: int = 1
    joined: tuple[int, int] | None = None


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


def gemm(name: str, node: Node) -> Layer | None:
    """Return a matrix with its bias."""
    found, weight = node.attributes, node.constants.get(1)
    plain = found.get("alpha", 1.0) == 1.0 and found.get("beta", 1.0) == 1.0
    if weight is None or weight.ndim != 2 or not plain or found.get("transA", 0):
        return None
    weight, bias = weight if found.get("transB", 0) else weight.T, node.constants.get(2)
    if bias is not None and bias.size not in (1, len(weight)):
        return None  # one for each sample
    return Linear(name, weight, _vector(bias))


def matmul(name: str, node: Node) -> Layer | None:
    """Return a matrix that stands on the right."""
    weight = node.constants.get(1)
    return Linear(name, weight.T) if weight is not None and weight.ndim == 2 else None


def _vector(bias: Array | None) -> Array | None:
    return bias if bias is None or bias.ndim <= 1 else bias.reshape(-1)


def norm(name: str, node: Node) -> Layer | None:
    """Return a normalisation by running statistics."""
    if set(node.constants) != {1, 2, 3, 4} or node.attributes.get("training_mode", 0):
        return None
    weight, bias, mean, variance = (node.constants[at] for at in (1, 2, 3, 4))
    epsilon = np.float32(node.attributes.get("epsilon", 1e-5))
    return BatchNorm(name, mean, variance, weight, bias, epsilon=Parameter(np.asarray(epsilon)))


def scale(name: str, node: Node) -> Layer | None:
    """Return a product with a constant that leaves the shape as it is."""
    factor = next(iter(node.constants.values()), None)
    if factor is None or factor.dtype.kind != "f":
        return None
    if not factor.ndim:
        return Scale(name, factor)
    if node.shape is None or node.batches not in (0, 1):
        return None
    lengths = (*(1,) * node.batches, *node.shape)
    own = zip(reversed(factor.shape), reversed(lengths), strict=False)
    if factor.ndim > len(lengths) or any(a not in (1, b) for a, b in own):
        return None
    if factor.ndim == len(lengths) and node.batches:
        factor = factor[0]
    return Scale(name, factor)


def dense(name: str, node: Node) -> Layer | None:
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
