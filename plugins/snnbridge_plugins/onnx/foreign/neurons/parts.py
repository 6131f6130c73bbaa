"""Cutting a graph: which of its arithmetic hangs together between a state going in and out.

A value depends on those *free* values from which nothing but arithmetic leads to it: inputs of the
graph, and what other operators make. All arithmetic that depends on a few of them, and on a state
among them, may be one neuron. Everything here takes a time that grows with the graph and not with
its square: a stranger's graph may have a million nodes.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import UNKNOWN
from snnbridge.document import dtype_of
from snnbridge.model import Array
from snnbridge_plugins.onnx.file.schema import DTYPES, Message
from snnbridge_plugins.onnx.foreign.graph.constants import Constants
from snnbridge_plugins.onnx.foreign.graph.evaluation import ARITHMETIC
from snnbridge_plugins.onnx.foreign.neurons.computing import Effort, Part
from snnbridge_plugins.onnx.foreign.neurons.cuts import Cut, apart, fits, shape_along
from snnbridge_plugins.onnx.foreign.shapes.inference import Shapes

#: No neuron's step takes more operators, or depends on more values.
MOST_NODES, MOST_FREE = 96, 6
#: What is looked at in one graph: parts, and operations on single numbers in their probes.
MOST_CUTS, MOST_EFFORT = 256, 1 << 32
#: How much more of these each number is worth that stands in the graph, and how many numbers are.
_EACH, _MOST_NUMBERS = 1 << 12, 1 << 22
_NONE: frozenset[str] = frozenset()


class Cutter:
    """A graph, and who makes and who reads each of its values.

    Parameters
    ----------
    nodes : sequence of Message
        In order, each value under its first name, and neither constants nor aliases among them.
    inputs : mapping of str to Message
    outputs : collection of str
        The graph's own.
    constants : Constants
    shapes : Shapes

    Attributes
    ----------
    effort : Effort
        What may still be computed on probes.
    is_done : bool
        Whether all there is was cut.
    """

    def __init__(
        self,
        nodes: Sequence[Message],
        inputs: Mapping[str, Message],
        outputs: Collection[str],
        constants: Constants,
        shapes: Shapes,
    ) -> None:
        self.nodes, self.constants, self.shapes = nodes, constants, shapes
        self.effort = Effort(MOST_EFFORT)
        self._numbers_left, self._counted = _MOST_NUMBERS, set[str]()
        self.is_done = True
        self.inputs, self.outputs = inputs, list(dict.fromkeys(outputs))
        self._readers: dict[str, list[int]] = {}
        self._makers = {name: at for at, n in enumerate(nodes) for name in n.get("output", [])}
        for at, node in enumerate(nodes):
            for name in node.get("input", []):
                self._readers.setdefault(name, []).append(at)
        self._free: dict[str, frozenset[str] | None] = {}
        self._depending: dict[frozenset[str], list[int]] = {}
        self._taken: set[int] = set()
        for at in range(len(nodes)):
            self._follow(at)

    # What a value depends on

    def _is_arithmetic(self, at: int) -> bool:
        """Whether a node is arithmetic, and no bias behind a product."""
        node = self.nodes[at]
        if node.get("op_type") not in ARITHMETIC or node.get("domain"):
            return False
        if len(node.get("output", [])) != 1:
            return False
        if node["op_type"] != "Add" or not any(map(self._is_product, node.get("input", []))):
            return True
        held = [x for n in node["input"] if (x := self.constants.get(n)) is not None]
        return not any(x.ndim == 1 for x in held)

    def _is_product(self, name: str) -> bool:
        at = self._makers.get(name)
        return at is not None and self.nodes[at].get("op_type") == "MatMul"

    def _follow(self, at: int) -> None:
        node = self.nodes[at]
        if not self._is_arithmetic(at):
            return
        free: frozenset[str] | None = _NONE
        for name in node.get("input", []):
            found = self._free.get(name, _NONE if name in self.constants or not name
                                   else frozenset((name,)))  # fmt: skip
            free = None if free is None or found is None else free | found
        if free is not None and len(free) > MOST_FREE:
            free = None
        self._free[node["output"][0]] = free
        if free:
            self._depending.setdefault(free, []).append(at)

    # Cuts

    def cuts(self) -> Iterator[Cut]:
        """Yield what may be a neuron, those that depend on the fewest values first.

        What is taken between two of them changes what follows.
        """
        tried: set[frozenset[str]] = set()
        for _ in range(MOST_CUTS):
            keys = {
                key: None for name in self.outputs
                if (key := self._free.get(name)) and key not in tried
                and not key.isdisjoint(self.inputs)
            }  # fmt: skip
            if not keys:
                return
            key = min(keys, key=len)
            tried.add(key)
            nodes = self._within(key)
            if 0 < len(nodes) <= MOST_NODES:
                yield self._cut(key, nodes)
        self.is_done = False

    def _within(self, key: frozenset[str]) -> list[int]:
        """Return the nodes that depend on nothing else."""
        found: set[int] = set()
        for size in range(1, len(key) + 1):
            for names in itertools.combinations(sorted(key), size):
                part = frozenset(names)
                found.update(
                    at for at in self._depending.get(part, ())
                    if at not in self._taken
                    and self._free[self.nodes[at]["output"][0]] == part
                )  # fmt: skip
        return sorted(found)

    def _cut(self, key: frozenset[str], places: Iterable[int]) -> Cut:
        order = sorted(key, key=lambda name: (name not in self.inputs, name))
        nodes = tuple(self.nodes[at] for at in places)
        states = tuple(name for name in order if name in self.inputs)
        return Cut(nodes, tuple(order), states, self.ends(nodes))

    def stateful(self, cut: Cut, states: Collection[str]) -> Cut:
        """Leave out what does not depend on some states."""
        nodes = tuple(n for n in cut.nodes if not set(states).isdisjoint(
            self._free[n["output"][0]] or ()))  # fmt: skip
        return replace(cut, nodes=nodes, ends=self.ends(nodes))

    def unscaled(self, cut: Cut, states: Collection[str]) -> Cut:
        """Leave out where values that are no states are multiplied by constants."""
        nodes = tuple(node for node in cut.nodes if not self._scales(node, {*cut.free} - {*states}))
        return replace(cut, nodes=nodes, ends=self.ends(nodes))

    def _scales(self, node: Message, values: Collection[str]) -> bool:
        names = node.get("input", [])
        if node.get("op_type") != "Mul" or len(names) != 2:
            return False
        return any(a in values and b in self.constants for a, b in (names, names[::-1]))

    def without(self, cut: Cut, names: Collection[str]) -> Cut:
        """Leave out the nodes that make some ends, for others to take their values."""
        nodes = tuple(node for node in cut.nodes if node["output"][0] not in names)
        return replace(cut, nodes=nodes, ends=self.ends(nodes))

    def depends(self, name: str, states: Collection[str]) -> bool:
        """Whether a value depends on some states."""
        return not set(states).isdisjoint(self._free.get(name) or ())

    def ends(self, nodes: Sequence[Message]) -> tuple[str, ...]:
        """Return what of some nodes is read elsewhere, or handed on by the graph."""
        inside = {id(node) for node in nodes}
        return tuple(
            name for node in nodes for name in node["output"]
            if name in self.outputs
            or any(id(self.nodes[at]) not in inside for at in self._readers.get(name, ()))
        )  # fmt: skip

    def place(self, node: Message) -> int:
        """Return where in the graph a node stands."""
        return self._makers[node["output"][0]]

    def in_order(self, drives: Sequence[str], spikes: Sequence[str]) -> bool:
        """Whether some values are there before some spikes are."""
        last = max((self._makers.get(name, -1) for name in drives), default=-1)
        return all(last < self._makers[name] for name in spikes)

    def unfit(self, part: Part) -> str:
        """Return why a part cannot be a layer of its own, or ""."""
        for name in part.states:
            if self.is_read_beside(name, part.nodes):
                return f"its state {name!r} is read by {self.reader(name, part.nodes)!r} too"
            shape = self.shapes.layer(name)
            if shape is not UNKNOWN and not fits(part.shape, shape):
                return f"its constants of shape {part.shape} do not fit its state of shape {shape}"
        return ""

    def reader(self, name: str, nodes: Sequence[Message]) -> str:
        """Name the operator that reads a value outside of some nodes."""
        inside = {id(node) for node in nodes}
        others = (self.nodes[at] for at in self._readers.get(name, ()))
        return next((n.get("op_type", "?") for n in others if id(n) not in inside), "output")

    def take(self, spikes: Sequence[str], nodes: Sequence[Message]) -> None:
        """Note that some nodes are a neuron: what depends on them depends on its spikes."""
        inside = {id(node) for node in nodes}
        self._taken |= {self._makers[node["output"][0]] for node in nodes}
        pending, seen = [*spikes], set[int]()
        self._free.update({name: frozenset((name,)) for name in spikes})
        while pending:
            for at in self._readers.get(pending.pop(), ()):
                if id(self.nodes[at]) in inside or at in seen or not self._is_arithmetic(at):
                    continue
                seen.add(at)
                pending.append(self.nodes[at]["output"][0])
        for at in sorted(seen):
            self._follow(at)

    def alone(self) -> Iterator[tuple[Message, ...]]:
        """Yield the arithmetic that depends on a single value, for each such value."""
        for key in [key for key in self._depending if len(key) == 1]:
            nodes = self._within(key)
            if 0 < len(nodes) <= MOST_NODES:
                yield tuple(self.nodes[at] for at in nodes)

    def is_read_beside(self, name: str, nodes: Sequence[Message]) -> bool:
        """Whether a value is read outside of some nodes too."""
        inside = {id(node) for node in nodes}
        return any(id(self.nodes[at]) not in inside for at in self._readers.get(name, ()))

    # Parts

    def whole(self, nodes: tuple[Message, ...], states: Sequence[str]) -> Part | None:
        """Return some nodes as a part that can be run."""
        return self.part(Cut(nodes, (), tuple(states), self.ends(nodes)), states)

    def part(self, cut: Cut, states: Sequence[str]) -> Part | None:
        """Return a cut as a part that can be run, with some of its values as states."""
        made = {node["output"][0] for node in cut.nodes}
        taken = dict.fromkeys(n for node in cut.nodes for n in node.get("input", []) if n)
        held: dict[str, Array] = {
            n: x for n in taken if n not in made and (x := self.constants.get(n)) is not None
        }
        drives = [n for n in taken if n not in made and n not in held and n not in states]
        if not drives or any(n not in taken for n in states):
            return None
        shape = shape_along(held.values())
        if shape is None:
            return None
        self._count(held)
        held = {name: apart(x, shape) for name, x in held.items()}
        width = self._width(states, held)
        return Part(cut.nodes, tuple(drives), tuple(states), cut.ends, held, shape, width,
                    self.effort)  # fmt: skip

    def _count(self, held: Mapping[str, Array]) -> None:
        """Let the effort grow with the numbers that stand in a graph, each counted once."""
        new = sum(x.size for name, x in held.items() if name not in self._counted)
        self._counted.update(held)
        counted = min(new, self._numbers_left)
        self._numbers_left -= counted
        self.effort.left += counted * _EACH

    def _width(self, states: Sequence[str], held: Mapping[str, Array]) -> np.dtype[Any]:
        """Return in what a part computes: the type of its states, or of its constants."""
        for name in states:
            kind = self.inputs[name].get("type", {}).get("tensor_type", {}).get("elem_type")
            if kind in DTYPES:
                return dtype_of(DTYPES[kind])
        return next((x.dtype for x in held.values() if x.dtype.kind == "f"), np.dtype(np.float32))
