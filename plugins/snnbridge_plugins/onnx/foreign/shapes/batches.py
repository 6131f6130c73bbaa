"""Which axes of a graph's values come before those of a layer: the batch, as a rule one.

A matrix is applied to the last axis of whatever it gets, a kernel to those after the batch and the
channels. What such operators say of a value holds for all that is computed element by element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.constants import Constants
from snnbridge_plugins.onnx.foreign.shapes.lengths import Dims
from snnbridge_plugins.onnx.foreign.shapes.shaping import ELEMENTWISE

_BATCHED = frozenset(
    [
        "Gemm",
        "Conv",
        "MaxPool",
        "AveragePool",
        "LpPool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "BatchNormalization",
        "Flatten",
    ]
)
_ODD = -1


class Batches:
    """How many axes come first.

    Parameters
    ----------
    nodes : sequence of Message
        In order.
    shape : callable
        Returns a value's shape.
    constants : Constants
    """

    def __init__(
        self,
        nodes: Sequence[Message],
        shape: Callable[[str], Dims | None],
        constants: Constants,
    ) -> None:
        self._shape, self._constants = shape, constants
        self._found: dict[str, int] = {}
        for node in nodes:
            self._note(node)
        for ordered in (nodes, reversed(nodes), nodes):
            for node in ordered:
                self._spread(node)

    def of(self, name: str) -> int:
        """Return how many axes of a value come before those of its layer, -1 if nobody knows."""
        dims = self._shape(name)
        # Where nothing says otherwise the first axis is the batch, as in all frameworks.
        usual = 1 if dims is None or len(dims) > 1 else _ODD
        return self._found.get(name, usual)

    def _note(self, node: Message) -> None:
        """Take what an operator says of its input and its output."""
        kind, inputs = node.get("op_type"), node.get("input", [])
        if node.get("domain") or not inputs or not node.get("output"):
            return
        count = 1 if kind in _BATCHED else None
        if kind == "MatMul" and len(inputs) > 1 and inputs[1] in self._constants:
            dims = self._shape(inputs[0])
            count = None if dims is None else len(dims) - 1
        if count is not None:
            for name in (inputs[0], node["output"][0]):
                self._put(name, count)

    def _put(self, name: str, count: int) -> None:
        self._found[name] = count if self._found.get(name, count) == count else _ODD

    def _spread(self, node: Message) -> None:
        if node.get("domain") or node.get("op_type") not in ELEMENTWISE:
            return
        names = [n for n in (*node["input"], *node["output"][:1]) if n and n not in self._constants]
        shapes = [self._shape(name) for name in names]
        ranks = {len(dims) for dims in shapes if dims is not None}
        found = {self._found[name] for name in names if name in self._found}
        if None in shapes or len(ranks) > 1 or not found:
            return
        for name in names:
            self._found[name] = found.copy().pop() if len(found) == 1 else _ODD
