"""Building graphs of standard operators by writing arithmetic.

A :class:`Term` is a value of a graph; its operators add the nodes that compute them, one for each
rounding, to the :class:`Scope` that it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnbridge.model import Array
from snnbridge.storage import array_bytes
from snnbridge_plugins.onnx.file.schema import ATTRIBUTE_TYPES, DATA_TYPES, Message

_FIELDS: Mapping[type, str] = {int: "i", np.ndarray: "t", dict: "g"}


def tensor(array: Array, name: str = "") -> Message:
    """Return a small array as a message that holds its bytes."""
    held: Message = {"dims": list(array.shape), "data_type": DATA_TYPES[array.dtype.name]}
    return {**held, **({"name": name} if name else {}), "raw_data": array_bytes(array)}


def attribute(name: str, value: Any) -> Message:
    """Return an attribute of a node; its type follows from the value's."""
    held = next((field for kind, field in _FIELDS.items() if isinstance(value, kind)), "ints")
    stored = tensor(value) if held == "t" else value
    return {"name": name, held: stored, "type": ATTRIBUTE_TYPES[held]}


def value_info(name: str, dtype: str, dims: Sequence[int | str | None], doc: str = "") -> Message:
    """Return the type of a value; a dimension is a number, a name, or anything."""
    shape = [
        {"dim_value": d} if isinstance(d, int) else {"dim_param": d} if d else {} for d in dims
    ]
    held = {"tensor_type": {"elem_type": DATA_TYPES[dtype], "shape": {"dim": shape}}}
    return {"name": name, "type": held, **({"doc_string": doc} if doc else {})}


class Names:
    """Hands out names of values, each once."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def unique(self, hint: str) -> str:
        """Return a name that nobody has, the hint if it is free."""
        name = hint = hint or "value"
        while name in self._used:
            self._used[hint] += 1
            name = f"{hint}_{self._used[hint]}"
        self._used[name] = 1
        return name


@dataclass(eq=False)
class Scope:
    """A graph, a body or a function under construction.

    Attributes
    ----------
    names : Names
        Shared with the graphs inside: a value must not hide an outer one.
    nodes : list of Message
    """

    names: Names = field(default_factory=Names)
    nodes: list[Message] = field(default_factory=list)
    _constants: dict[tuple[str, bytes, Any], Term] = field(default_factory=dict)

    def inner(self) -> Scope:
        """Return a scope for a graph inside this one."""
        return Scope(self.names)

    def term(self, hint: str, dtype: str) -> Term:
        """Return a new value that something else defines: an input."""
        return Term(self, self.names.unique(hint), dtype)

    def add(
        self,
        kind: str,
        inputs: Sequence[Term | None],
        outputs: Sequence[tuple[str, str]],
        attributes: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> list[Term]:
        """Add a node.

        Parameters
        ----------
        kind : str
            The operator.
        inputs : sequence of Term or None
            ``None`` for one that is left out.
        outputs : sequence of (hint of the name, dtype)
        attributes : mapping, optional
        **more
            Other fields of the message: ``name``, ``domain``, ``doc_string``.

        Returns
        -------
        list of Term
            One for each output.
        """
        made = [self.term(hint, dtype) for hint, dtype in outputs]
        node: Message = {
            "input": ["" if x is None else x.name for x in inputs],
            "output": [x.name for x in made],
            "op_type": kind,
            **more,
        }
        if attributes:
            node["attribute"] = [attribute(k, v) for k, v in attributes.items()]
        self.nodes.append(node)
        return made

    def op(
        self,
        kind: str,
        *inputs: Term | None,
        dtype: str = "",
        hint: str = "",
        name: str = "",
        **attributes: Any,
    ) -> Term:
        """Add a node of one output, of the dtype of its first input unless it is given."""
        first = next(x for x in inputs if x is not None)
        outputs = [(hint or kind.lower(), dtype or first.dtype)]
        more = {"name": name} if name else {}
        return self.add(kind, inputs, outputs, attributes, **more)[0]

    def constant(self, value: Any, dtype: str) -> Term:
        """Return a constant, made once in each scope."""
        array = np.asarray(value, np.dtype(dtype))
        key = (dtype, array.tobytes(), array.shape)
        if key not in self._constants:
            self._constants[key] = self.add(
                "Constant", [], [("constant", dtype)], {"value": array}
            )[0]
        return self._constants[key]

    def reshape(self, x: Term, dims: Sequence[int]) -> Term:
        """Reshape; 0 keeps a dimension."""
        return self.op("Reshape", x, self.constant(list(dims), "int64"))

    def sizes(self, x: Term, start: int, end: int | None = None) -> Term:
        """Return some of the dimensions of a value."""
        more: dict[str, Any] = {} if end is None else {"end": end}
        return self.op("Shape", x, dtype="int64", hint="shape", start=start, **more)

    def slice(self, x: Term, start: int, end: int) -> Term:
        """Return a part along the first axis."""
        vectors = (self.constant([n], "int64") for n in (start, end, 0))
        return self.op("Slice", x, *vectors)

    def where(self, condition: Term, yes: Term, no: Term) -> Term:
        """Choose by element."""
        return self.op("Where", condition, yes, no, dtype=yes.dtype)


@dataclass(frozen=True, eq=False)
class Term:
    """A value of a graph.

    Attributes
    ----------
    scope : Scope
        Where its operators add nodes.
    name, dtype : str
    """

    scope: Scope
    name: str
    dtype: str

    def within(self, scope: Scope) -> Term:
        """Return the same value for use in another scope that sees it."""
        return Term(scope, self.name, self.dtype)

    def cast(self, dtype: str) -> Term:
        """Convert, unless it has that dtype."""
        if dtype == self.dtype:
            return self
        return self.scope.op("Cast", self, dtype=dtype, to=DATA_TYPES[dtype])

    def _with(self, kind: str, other: Term | float, dtype: str = "") -> Term:
        if not isinstance(other, Term):
            other = self.scope.constant(other, self.dtype)
        return self.scope.op(kind, self, other, dtype=dtype)

    def __add__(self, other: Term | float) -> Term:
        return self._with("Add", other)

    def __sub__(self, other: Term | float) -> Term:
        return self._with("Sub", other)

    def __mul__(self, other: Term | float) -> Term:
        return self._with("Mul", other)

    def __truediv__(self, other: Term | float) -> Term:
        return self._with("Div", other)

    def __gt__(self, other: Term | float) -> Term:
        return self._with("Greater", other, "bool")

    def __ge__(self, other: Term | float) -> Term:
        return self._with("GreaterOrEqual", other, "bool")

    def __le__(self, other: Term | float) -> Term:
        return self._with("LessOrEqual", other, "bool")

    def __and__(self, other: Term) -> Term:
        return self._with("And", other)

    def __neg__(self) -> Term:
        return self.scope.op("Neg", self)

    def equals(self, other: Term | float) -> Term:
        """Compare by element."""
        return self._with("Equal", other, "bool")

    def floor(self) -> Term:
        """Round down."""
        return self.scope.op("Floor", self)

    def maximum(self, other: Term | float) -> Term:
        """Return the larger of two."""
        return self._with("Max", other)

    def minimum(self, other: Term | float) -> Term:
        """Return the smaller of two."""
        return self._with("Min", other)
