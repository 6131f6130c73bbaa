"""Cutting a graph: which of its arithmetic hangs together between a state going in and out.

Everything here takes a time that grows with the graph and not with its square: a stranger's graph
may have a million nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from snnbridge.model import Array
from snnbridge_plugins.onnx.probing import ARITHMETIC, MOST_NODES, Found, Part, recognised
from snnbridge_plugins.onnx.schema import Message

Constant = Callable[[str], Array | None]
#: Parts that are probed; no network has more layers of neurons in one step.
_MOST_PARTS = 256


def neurons_in(graph: Message, constant: Constant) -> Iterator[tuple[Part, Found]]:
    """Yield the parts of a graph that are neurons.

    Parameters
    ----------
    graph : Message
    constant : function of a value's name
        Its array, if it is a constant.
    """
    cut = _Cut(graph, constant)
    left = _MOST_PARTS
    for nodes in cut.groups():
        for part in cut.parts(nodes):
            left -= 1
            if left < 0:
                return
            widths = [x.shape[-1] for x in part.constants.values() if x.ndim]
            found = recognised(part, max(widths, default=1))
            if found is not None and found.state in cut.outputs:
                yield part, found
                break


class _Cut:
    """A graph, and who makes and who reads each of its values."""

    def __init__(self, graph: Message, constant: Constant) -> None:
        self.constant = constant
        self.nodes: list[Message] = [n for n in graph.get("node", []) if n.get("output")]
        self.inputs = {value.get("name", "") for value in graph.get("input", [])}
        self.outputs = {value.get("name", "") for value in graph.get("output", [])}
        self.maker = {name: at for at, n in enumerate(self.nodes) for name in n["output"]}
        self.readers: dict[str, list[int]] = {}
        for at, node in enumerate(self.nodes):
            for name in node.get("input", []):
                self.readers.setdefault(name, []).append(at)
        self.arithmetic = [self._is_arithmetic(node) for node in self.nodes]

    def _is_arithmetic(self, node: Message) -> bool:
        """Whether a node is arithmetic, and no bias behind a product."""
        kind = node.get("op_type")
        if kind not in ARITHMETIC or node.get("domain") or len(node["output"]) != 1:
            return False
        sources = [self.maker.get(name) for name in node.get("input", [])]
        product = any(
            at is not None and self.nodes[at].get("op_type") == "MatMul" for at in sources
        )
        held = [x for n in node.get("input", []) if (x := self.constant(n)) is not None]
        return not (kind == "Add" and product and any(x.ndim == 1 for x in held))

    def groups(self) -> Iterator[list[int]]:
        """Yield the arithmetic that passes values on to other arithmetic, in the graph's order."""
        seen: set[int] = set()
        for first, fits in enumerate(self.arithmetic):
            if not fits or first in seen:
                continue
            group, pending = [], [first]
            seen.add(first)
            while pending:
                at = pending.pop()
                group.append(at)
                near = [other for other in self._beside(at) if other not in seen]
                seen.update(near)
                pending += dict.fromkeys(near)
            if len(group) <= MOST_NODES:
                yield sorted(group)

    def _beside(self, at: int) -> Iterator[int]:
        """Yield the arithmetic that makes what a node reads, or reads what it makes."""
        for name in self.nodes[at].get("input", []):
            if name in self.maker and self.arithmetic[self.maker[name]]:
                yield self.maker[name]
        for other in self.readers.get(self.nodes[at]["output"][0], []):
            if self.arithmetic[other]:
                yield other

    def parts(self, group: list[int]) -> Iterator[Part]:
        """Yield a group as a part for each input that may be its state, if it takes one more."""
        nodes, members = tuple(self.nodes[at] for at in group), set(group)
        made = {node["output"][0]: None for node in nodes}
        taken = [n for node in nodes for n in node.get("input", []) if n and n not in made]
        constants: Mapping[str, Array] = {
            n: held for n in dict.fromkeys(taken) if (held := self.constant(n)) is not None
        }
        free = [n for n in dict.fromkeys(taken) if n not in constants]
        if len(free) != 2:
            return
        given = tuple(n for n in made if n in self.outputs or self._is_read(n, members))
        for state, drive in (free, free[::-1]):
            if state in self.inputs:
                yield Part(nodes, drive, state, given, constants)

    def _is_read(self, name: str, members: set[int]) -> bool:
        return any(at not in members for at in self.readers.get(name, []))
