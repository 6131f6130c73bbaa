"""What single arithmetic operators compute, in numpy, bit for bit as IEEE 754 has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbridge.document import dtype_of
from snnbridge.model import Array
from snnbridge_plugins.onnx.file.schema import DTYPES, Message
from snnbridge_plugins.onnx.foreign.operators import attributes


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
FOLDED = ARITHMETIC | set(TRANSCENDENT) | set(_SHAPED)


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


_MOST = 1 << 18


@dataclass(frozen=True)
class Part:
    """A part of a graph that may be a neuron.

    Attributes
    ----------
    nodes : tuple of Message
        In order; all of them arithmetic.
    drives, states : tuple of str
        The values that it takes.
    ends : tuple of str
        The values that others take of it.
    constants : dict of str to numpy.ndarray
    shape : tuple of int
        The part of a layer's shape along which its constants tell neurons apart; () where all are
        alike.
    """

    nodes: tuple[Message, ...]
    drives: tuple[str, ...]
    states: tuple[str, ...]
    ends: tuple[str, ...]
    constants: Mapping[str, Array]
    shape: tuple[int, ...]

    def random(self, count: int) -> dict[str, Array]:
        """Return numbers of all sizes for everything that it takes, float32.

        For many neurons these are fewer for each.
        """
        neurons = int(np.prod(self.shape, dtype=np.int64))
        count = min(count, max(16, _MOST // neurons))
        rng = np.random.default_rng(0)

        def draw() -> Array:
            sizes = 2.0 ** rng.integers(-6, 18, (count, neurons))
            return (rng.normal(0, 1, (count, neurons)) * sizes).astype(np.float32)

        return {name: draw() for name in (*self.drives, *self.states)}

    def run(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """Return the ends for drives and states of shape (probes, neurons)."""
        count = len(next(iter(given.values())))
        values: dict[str, Any] = dict(self.constants)
        values |= {name: x.reshape(count, *self.shape) for name, x in given.items()}
        for node in self.nodes:
            arguments = [values[name] if name else None for name in node.get("input", [])]
            values[node["output"][0]] = computed(node, arguments)
        whole = (count, *self.shape)
        return {name: np.broadcast_to(values[name], whole).reshape(count, -1) for name in self.ends}
