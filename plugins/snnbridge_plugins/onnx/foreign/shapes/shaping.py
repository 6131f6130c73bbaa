"""The shapes that single operators make of those that they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.operators import attributes
from snnbridge_plugins.onnx.foreign.graph.places import places
from snnbridge_plugins.onnx.foreign.shapes.lengths import (
    MOST_AXES,
    Content,
    Dims,
    product,
    reshaped,
)

#: Lengths, None for one of which nothing is known; or nothing at all.
Lengths: TypeAlias = Sequence[int | str | None] | None
_Look: TypeAlias = Callable[[str], Content | None]

#: Element by element, so that an axis of the result is one of what is taken.
ELEMENTWISE = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "Cast",
        "Ceil",
        "Clip",
        "Div",
        "Dropout",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "Greater",
        "GreaterOrEqual",
        "HardSigmoid",
        "Identity",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Pow",
        "Reciprocal",
        "Relu",
        "Selu",
        "Sigmoid",
        "Sign",
        "Softmax",
        "Softplus",
        "Sqrt",
        "Sub",
        "Sum",
        "Tanh",
        "Where",
        "Xor",
    ]
)


def made(node: Message, shapes: Sequence[Dims | None], look: _Look) -> Lengths:
    """Return the shape of a node's first output.

    Parameters
    ----------
    node : Message
    shapes : sequence
        Those of what it takes.
    look : callable
        Returns what a value holds that holds lengths.

    Raises
    ------
    TypeError, ValueError, IndexError, KeyError, ZeroDivisionError
        For attributes that the operator does not have.
    """
    kind = node.get("op_type", "")
    if kind in ELEMENTWISE:
        return _broadcast(shapes)
    maker = _MADE.get(kind)
    if maker is None or not shapes or shapes[0] is None:
        return None
    return maker(node, shapes[0], shapes[1:], look)


def _broadcast(shapes: Sequence[Dims | None]) -> list[int | str | None] | None:
    if not shapes or any(dims is None for dims in shapes):
        return None
    known = [dims for dims in shapes if dims is not None]
    rank = max(map(len, known))
    padded = [(*(1,) * (rank - len(dims)), *dims) for dims in known]
    return [_common(set(lengths)) for lengths in zip(*padded, strict=True)]


def _common(lengths: set[int | str]) -> int | str | None:
    """Return the length that some broadcast to: a number other than 1 wins over a name."""
    numbers = {n for n in lengths if isinstance(n, int) and n != 1}
    if len(numbers) == 1:
        return numbers.pop()
    rest = lengths - {1}
    return None if len(rest) > 1 else rest.pop() if rest else 1


def _gemm(node: Message, given: Dims, others: Sequence[Dims | None], _: _Look) -> Lengths:
    held = attributes(node)
    if not others or others[0] is None:
        return None
    rows = given[1] if held.get("transA", 0) else given[0]
    return [rows, others[0][0] if held.get("transB", 0) else others[0][1]]


def _matmul(_: Message, given: Dims, others: Sequence[Dims | None], __: _Look) -> Lengths:
    if not others or others[0] is None or len(others[0]) != 2:
        return None
    return [*given[:-1], others[0][1]]


def _conv(node: Message, given: Dims, others: Sequence[Dims | None], _: _Look) -> Lengths:
    if not others or others[0] is None:
        return None
    kernel = others[0][2:]
    return [given[0], others[0][0], *places(attributes(node), given[2:], kernel)]


def _pool(node: Message, given: Dims, *_: Any) -> Lengths:
    held = attributes(node)
    return [*given[:2], *places(held, given[2:], tuple(held["kernel_shape"]))]


def _global(_: Message, given: Dims, *__: Any) -> Lengths:
    return [*given[:2], *(1 for _ in given[2:])]


def _same(_: Message, given: Dims, *__: Any) -> Lengths:
    return given


def _flatten(node: Message, given: Dims, *_: Any) -> Lengths:
    axis = attributes(node).get("axis", 1)
    axis += len(given) if axis < 0 else 0
    return [product(given[:axis]), product(given[axis:])]


def _reshape(node: Message, given: Dims, _: Sequence[Dims | None], look: _Look) -> Lengths:
    target = look(node["input"][1])
    if not isinstance(target, tuple):
        return None
    return reshaped(given, target, allow_zero=bool(attributes(node).get("allowzero", 0)))


def axes_of(node: Message, look: _Look, rank: int) -> list[int] | None:
    """Return the axes that a node states, as an attribute or as an input; None without any."""
    inputs = node["input"]
    held: Any = attributes(node).get("axes")
    if held is None and len(inputs) > 1 and inputs[1]:
        held = look(inputs[1])
    if not isinstance(held, list | tuple) or any(isinstance(n, str) for n in held):
        return None
    return sorted(n + rank if n < 0 else n for n in held)


def _unsqueeze(node: Message, given: Dims, _: Sequence[Dims | None], look: _Look) -> Lengths:
    count = len(axes_of(node, look, 0) or ())
    axes = axes_of(node, look, len(given) + count)
    if axes is None or len(given) + count > MOST_AXES:
        return None
    made = list(given)
    for axis in axes:
        made.insert(axis, 1)
    return made


def _squeeze(node: Message, given: Dims, _: Sequence[Dims | None], look: _Look) -> Lengths:
    axes = axes_of(node, look, len(given))
    return None if axes is None else [n for at, n in enumerate(given) if at not in axes]


def _reduce(node: Message, given: Dims, _: Sequence[Dims | None], look: _Look) -> Lengths:
    axes = axes_of(node, look, len(given))
    if axes is None:
        return None
    kept = bool(attributes(node).get("keepdims", 1))
    return [1 if at in axes else n for at, n in enumerate(given) if kept or at not in axes]


def _concat(node: Message, given: Dims, others: Sequence[Dims | None], _: _Look) -> Lengths:
    axis, lengths = attributes(node)["axis"], [dims for dims in (given, *others) if dims]
    if len(lengths) != len(others) + 1:
        return None
    parts = [dims[axis] for dims in lengths]
    made: list[int | str | None] = list(given)
    made[axis] = sum(n for n in parts if isinstance(n, int))
    if any(isinstance(n, str) for n in parts):
        made[axis] = None
    return made


def _gathered(node: Message, given: Dims, _: Sequence[Dims | None], look: _Look) -> Lengths:
    axis, index = attributes(node).get("axis", 0), look(node["input"][1])
    if index is None:
        return None
    axis += len(given) if axis < 0 else 0
    chosen = [len(index)] if isinstance(index, tuple) else []
    return [*given[:axis], *chosen, *given[axis + 1 :]]


def _sliced(node: Message, given: Dims, _: Sequence[Dims | None], look: _Look) -> Lengths:
    bounds = [look(name) for name in node["input"][1:]]
    if len(bounds) < 2 or not all(isinstance(x, tuple) for x in bounds):
        return None  # of old opsets, or computed
    starts, ends, *rest = (x for x in bounds if isinstance(x, tuple))
    axes = rest[0] if rest else tuple(range(len(starts)))
    steps = rest[1] if len(rest) > 1 else (1,) * len(starts)
    made: list[int | str | None] = list(given)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        length = given[axis]  # type: ignore[index]  # a name is no axis: refused as none
        numbers = all(isinstance(n, int) for n in (length, start, end, step))
        made[axis] = len(range(length)[start:end:step]) if numbers else None  # type: ignore[arg-type, index]
    return made


def _transposed(node: Message, given: Dims, *_: Any) -> Lengths:
    return [given[at] for at in attributes(node).get("perm", range(len(given))[::-1])]


_MADE: Mapping[str, Callable[..., Lengths]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global),
    "BatchNormalization": _same,
    "LayerNormalization": _same,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "ReduceMean": _reduce,
    "ReduceMax": _reduce,
    "ReduceSum": _reduce,
    "Concat": _concat,
    "Gather": _gathered,
    "Slice": _sliced,
    "Transpose": _transposed,
}
