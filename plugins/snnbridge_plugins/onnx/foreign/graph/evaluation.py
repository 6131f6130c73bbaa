"""What single arithmetic operators compute, in numpy, bit for bit as IEEE 754 has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from snnbridge.document import dtype_of
from snnbridge.model import Array
from snnbridge_plugins.onnx.file.schema import DTYPES, Message
from snnbridge_plugins.onnx.foreign.graph.operators import attributes


def _sum(*terms: Array) -> Array:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _most(*terms: Array) -> Array:
    return np.asarray(np.maximum.reduce(np.broadcast_arrays(*terms)))


def _least(*terms: Array) -> Array:
    return np.asarray(np.minimum.reduce(np.broadcast_arrays(*terms)))


_PLAIN: Mapping[str, Callable[..., Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Sum": _sum,
    "Max": _most,
    "Min": _least,
    "Neg": np.negative,
    "Abs": np.abs,
    "Sign": np.sign,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Sqrt": np.sqrt,
    "Reciprocal": lambda x: np.ones((), x.dtype) / x,
    "Relu": lambda x: np.maximum(x, np.zeros((), x.dtype)),
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Not": np.logical_not,
    "Where": np.where,
    "Identity": np.array,
}
#: The operators that every engine computes to the same bits, element by element.
ARITHMETIC = frozenset({*_PLAIN, "Cast", "Clip"})


def _each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    def compute(x: Array) -> Array:
        wide = [function(float(value)) for value in x.ravel()]
        return np.array(wide, np.float64).astype(x.dtype).reshape(x.shape)

    return compute


#: Of constants alone, rounded once from float64: engines differ in the last bit of these.
TRANSCENDENT: Mapping[str, Callable[..., Array]] = {
    "Exp": _each(math.exp),
    "Log": _each(math.log),
    "Sigmoid": _each(lambda x: 1.0 / (1.0 + math.exp(-x))),
    "Tanh": _each(math.tanh),
}
#: Of constants alone: another shape.
_SHAPED: Mapping[str, Callable[..., Array]] = {
    "Unsqueeze": lambda x, axes: np.expand_dims(x, tuple(int(a) for a in axes)),
    "Squeeze": lambda x, axes: np.squeeze(x, tuple(int(a) for a in axes)),
    "Reshape": lambda x, shape: x.reshape(tuple(int(n) for n in shape)),
}
#: What is computed of constants while a graph is read.
FOLDED = ARITHMETIC | set(TRANSCENDENT) | set(_SHAPED) | {"DequantizeLinear"}


def computed(node: Message, arguments: Sequence[Any]) -> Array:
    """Return what a node of arithmetic makes of arrays.

    Raises
    ------
    TypeError, ValueError, KeyError, IndexError, OverflowError
        For arguments that the operator does not take.
    """
    kind = node["op_type"]
    with np.errstate(all="ignore"):
        if kind == "Cast":
            return np.asarray(arguments[0], dtype_of(DTYPES[attributes(node)["to"]]))
        if kind == "Clip":
            return _clipped(node, *arguments)
        if kind == "DequantizeLinear":
            return _dequantized(node, *arguments)
        table = next(t for t in (_PLAIN, TRANSCENDENT, _SHAPED) if kind in t)
        return np.asarray(table[kind](*arguments))


def _clipped(node: Message, x: Array, low: Any = None, high: Any = None) -> Array:
    held = attributes(node)
    for bound, function in (
        (held.get("min", low), np.maximum),
        (held.get("max", high), np.minimum),
    ):
        if bound is not None:
            x = function(x, np.asarray(bound, x.dtype))
    return x


def _dequantized(node: Message, x: Array, scale: Array, zero: Array | None = None) -> Array:
    """Return ``(x - zero) * scale``, which every engine rounds once.

    Raises
    ------
    ValueError
        For blocks with a scale each, and for numbers of another kind.
    """
    if x.dtype.kind not in "iu" or x.dtype.itemsize > 2 or scale.dtype != np.float32:
        raise ValueError("a type that is not computed")
    if scale.ndim > 1 or attributes(node).get("block_size", 0):
        raise ValueError("blocks that are not computed")
    axis = attributes(node).get("axis", 1)
    along = [1] * x.ndim
    if scale.ndim:
        along[axis] = scale.size
    whole = x.astype(np.int32)
    if zero is not None:
        whole = whole - zero.astype(np.int32).reshape(along if zero.ndim else ())
    return whole.astype(np.float32) * scale.reshape(along if scale.ndim else ())
