"""Values that are another value under a further name, or with an axis of one added meanwhile.

Exporters write a module that runs over time for a single step: an axis is put in, sliced to its
only element, and taken away. Torch writes a pool of norms, which a pool of sums is one of, with
powers of one and with ``sign(x) * relu(abs(x))``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.constants import Constants
from snnbridge_plugins.onnx.foreign.graph.operators import attributes


class Aliases:
    """What each value is the same as.

    Parameters
    ----------
    nodes : sequence of Message
        In order.
    outputs : set of str
        The values that the graph hands on.
    constants : Constants

    Attributes
    ----------
    dropped : set of int
        The identities of the nodes that nothing is left of.
    """

    def __init__(
        self, nodes: Sequence[Message], outputs: Collection[str], constants: Constants
    ) -> None:
        self._constants = constants
        self._base: dict[str, str] = {}
        self._lifted: dict[str, tuple[str, int]] = {}
        self._halves: dict[str, tuple[str, str]] = {}
        for node in nodes:
            self._note(node)
        self.dropped = set(self._unneeded(nodes, outputs))

    def _unneeded(self, nodes: Sequence[Message], outputs: Collection[str]) -> Iterator[int]:
        """Yield the nodes whose value has another name, and those that only such ones read."""
        needed = set(outputs)
        for node in reversed(nodes):
            made = node["output"][0] if len(node.get("output", [])) == 1 else ""
            gone = made in self._lifted or made in self._halves
            if made in self._base or (gone and made not in needed):
                yield id(node)
            else:
                needed.update(node.get("input", []))

    def __getitem__(self, name: str) -> str:
        """Return the first name of a value."""
        return self._base.get(name, name)

    def _note(self, node: Message) -> None:
        inputs, outputs = node.get("input", []), node.get("output", [])
        if node.get("domain") or len(outputs) != 1 or not inputs or not outputs[0]:
            return
        kind, first, made = node.get("op_type"), self[inputs[0]], outputs[0]
        if first in self._constants:
            return
        if kind == "Identity" or (kind == "Concat" and len(inputs) == 1):
            self._same(made, first)
        elif kind == "Unsqueeze":
            self._lift(node, made, first)
        elif kind == "Pow" and self._is_one(inputs[1:]):
            self._same(made, first)
        elif kind in ("Sign", "Abs", "Relu", "Mul"):
            self._halve(str(kind), made, [self[name] for name in inputs])
        elif first in self._lifted:
            self._lower(node, made, *self._lifted[first])

    def _is_one(self, names: Sequence[str]) -> bool:
        held = self._constants.get(names[0]) if names else None
        return held is not None and held.ndim == 0 and bool(held == 1)

    def _halve(self, kind: str, made: str, given: Sequence[str]) -> None:
        """Take a value's sign and its size, and the product of the two as the value."""
        first = self._halves.get(given[0])
        if kind in ("Sign", "Abs"):
            self._halves[made] = kind, given[0]
        elif kind == "Relu" and first is not None and first[0] == "Abs":
            self._halves[made] = first
        elif kind == "Mul" and first is not None and len(given) == 2:
            second = self._halves.get(given[1], first)
            if second[1] == first[1] and second[0] != first[0]:
                self._same(made, first[1])

    def _same(self, made: str, first: str) -> None:
        if first in self._lifted:
            self._lifted[made] = self._lifted[first]
        else:
            self._base[made] = first

    def _lift(self, node: Message, made: str, first: str) -> None:
        axes = self._numbers(node, 1, "axes")
        if axes is not None and len(axes) == 1 and axes[0] >= 0 and first not in self._lifted:
            self._lifted[made] = first, axes[0]

    def _lower(self, node: Message, made: str, base: str, axis: int) -> None:
        """Take an axis of one away, or its only element."""
        kind = node.get("op_type")
        if kind == "Squeeze":
            gone = self._numbers(node, 1, "axes") == [axis]
        elif kind == "Gather":
            index = self._constants.get(node["input"][1]) if len(node["input"]) > 1 else None
            single = index is not None and index.ndim == 0 and int(index) in (0, -1)
            gone = single and attributes(node).get("axis", 0) == axis
        else:
            if kind == "Slice" and self._slices_whole(node, axis):
                self._lifted[made] = base, axis
            return
        if gone:
            self._base[made] = base

    def _slices_whole(self, node: Message, axis: int) -> bool:
        starts, ends, axes, steps = (
            self._numbers(node, at, name)
            for at, name in ((1, "starts"), (2, "ends"), (3, "axes"), (4, "steps"))
        )
        whole = starts in ([0], [-1]) and ends is not None and len(ends) == 1 and ends[0] >= 1
        return whole and (axes or [0]) == [axis] and (steps or [1]) == [1]

    def _numbers(self, node: Message, at: int, name: str) -> list[Any] | None:
        """Return whole numbers that stand in an attribute, or since opset 10 to 13 in an input."""
        inputs = node["input"]
        if at < len(inputs) and inputs[at]:
            held = self._constants.get(inputs[at])
            return None if held is None or held.size > 8 else [int(n) for n in held.ravel()]
        found = attributes(node).get(name)
        return list(found) if isinstance(found, list | tuple) else None
