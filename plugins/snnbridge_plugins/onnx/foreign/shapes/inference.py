"""The shapes of a graph's values, as far as they are certain.

A length is a number, or a name: that of a symbolic length, or one for a length of which is known
only that it is the same wherever it has this name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from snnbridge import UNKNOWN
from snnbridge.model import Shape, Unknown
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.constants import Constants
from snnbridge_plugins.onnx.foreign.graph.titles import outer_values
from snnbridge_plugins.onnx.foreign.shapes.batches import Batches
from snnbridge_plugins.onnx.foreign.shapes.lengths import (
    MOST_AXES,
    Content,
    Dims,
    contents,
    product,
)
from snnbridge_plugins.onnx.foreign.shapes.shaping import Lengths, made


class Shapes:
    """What is known of the shapes of values.

    Parameters
    ----------
    nodes : sequence of Message
        In order.
    inputs : mapping of str to Message
    stated : iterable of Message
        What the graph says of its other values; what is computed here counts more.
    constants : Constants

    Attributes
    ----------
    contents : dict of str to Content
        The values that hold shapes, or lengths.
    """

    def __init__(
        self,
        nodes: Sequence[Message],
        inputs: Mapping[str, Message],
        stated: Iterable[Message],
        constants: Constants,
    ) -> None:
        self._constants = constants
        self._found: dict[str, Dims] = {}
        self._stated = {x.get("name", ""): x for x in stated}
        self.contents: dict[str, Content] = {}
        for name, value in inputs.items():
            self._put(name, _stated(value))
        for node in nodes:
            self._follow(node)
        self._batches = Batches(nodes, self.get, constants)

    def get(self, name: str) -> Dims | None:
        """Return a value's whole shape, None where not even the number of its axes is known."""
        if name in self._constants:
            held = self._constants.get(name)
            return None if held is None else held.shape
        return self._found.get(name)

    def own(self, name: str) -> Dims | None:
        """Return a value's shape without the batch, None where it cannot be told."""
        dims, batches = self.get(name), self.batches(name)
        return None if dims is None or batches not in (0, 1) else dims[batches:]

    def layer(self, name: str) -> Shape | Unknown:
        """Return a value's shape without the batch, if each of its lengths is a number."""
        dims = self.own(name)
        if dims is None or any(isinstance(n, str) for n in dims):
            return UNKNOWN
        return tuple(int(n) for n in dims)

    def batches(self, name: str) -> int:
        """Return how many axes of a value come before those of its layer, -1 if nobody knows."""
        return self._batches.of(name)

    def alike(self, names: Iterable[str]) -> bool:
        """Whether some values are certain to have one shape, but for the batch."""
        found = {self.own(name) for name in names}
        return len(found) == 1 and None not in found

    def joined(self, node: Message) -> tuple[int, int] | None:
        """Return which axes, counted without the batch, a node "Reshape" or "Flatten" joins.

        The second is before the first where it changes nothing; None where it does anything else.
        """
        source = node["input"][0]
        given, result, batches = self.get(source), self.get(node["output"][0]), self.batches(source)
        if given is None or result is None or batches not in (0, 1):
            return None
        if given == result:
            return 0, -1
        more = len(given) - len(result)
        for at in range(batches, len(result)) if more > 0 else ():
            rest = (*given[:at], *given[at + more + 1 :])
            whole = product(given[at : at + more + 1])
            fits = whole == result[at] or self._infers(node, at)
            if fits and rest == (*result[:at], *result[at + 1 :]):
                return at - batches, at + more - batches
        return None

    def _infers(self, node: Message, at: int) -> bool:
        """Whether a length follows from the others."""
        if node["op_type"] == "Flatten":
            return at == 1
        target = self._content(node["input"][1])
        return isinstance(target, tuple) and target[at] == -1

    def _content(self, name: str) -> Content | None:
        held = self._constants.get(name) if name in self._constants else None
        if held is None:
            return self.contents.get(name)
        if held.dtype.kind not in "iu" or held.ndim > 1 or held.size > MOST_AXES:
            return None
        return tuple(held.tolist()) if held.ndim else int(held)

    def used(self, nodes: Sequence[Message], outputs: Collection[str]) -> list[Message]:
        """Return the nodes without those that only compute shapes which are known here."""
        needed, kept = set(outputs), []
        for node in reversed(nodes):
            held = [name for name in node.get("output", []) if name]
            if held and held[0] in self.contents and needed.isdisjoint(held):
                continue
            kept.append(node)
            told = joins(node) and self.joined(node) is not None
            needed.update(node["input"][:1] if told else node.get("input", []))
            needed.update(outer_values(node))
        return kept[::-1]

    # What each node makes

    def _put(self, name: str, dims: Lengths) -> None:
        if dims is None or len(dims) > MOST_AXES:
            return
        self._found[name] = tuple(
            f"\0{name}[{at}]" if n is None or (isinstance(n, int) and n < 0) else n
            for at, n in enumerate(dims)
        )

    def _follow(self, node: Message) -> None:
        outputs = [name for name in node.get("output", []) if name]
        if not outputs:
            return
        dims: Lengths = None
        if not node.get("domain"):
            try:
                held = contents(node, self.get, self._content)
                if held is not None:
                    self.contents[outputs[0]] = held
                given = [self.get(name) for name in node.get("input", []) if name]
                dims = made(node, given, self._content)
            except (TypeError, ValueError, IndexError, KeyError, ZeroDivisionError):
                dims = None  # attributes that no such operator has: said where a layer is made
        if dims is None and outputs[0] in self._stated:
            dims = _stated(self._stated[outputs[0]])
        self._put(outputs[0], dims)
        for name in outputs[1:]:
            self._put(name, _stated(self._stated[name]) if name in self._stated else None)


def joins(node: Message) -> bool:
    """Whether a node may join axes."""
    return node.get("op_type") in ("Reshape", "Flatten") and not node.get("domain")


def _stated(value: Message) -> list[int | str | None] | None:
    """Return what a graph says of a value."""
    held = value.get("type", {}).get("tensor_type", {}).get("shape")
    if held is None:
        return None
    return [_length(d) for d in held.get("dim", [])]


def _length(held: Message) -> int | str | None:
    if held.get("dim_param"):
        return str(held["dim_param"])
    length = held.get("dim_value", -1)
    return int(length) if length >= 0 else None
