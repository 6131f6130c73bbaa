"""Arithmetic that makes spikes and is no neuron of the family: kept as one layer.

A spec file can then say of what class it is; as single operators it could not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from snnbridge import UNKNOWN, Opaque, Origin
from snnbridge_plugins.onnx.file.protobuf import encode
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.titles import module_of
from snnbridge_plugins.onnx.foreign.neurons.parts import Cutter
from snnbridge_plugins.onnx.foreign.neurons.probing import gain_of
from snnbridge_plugins.onnx.foreign.neurons.recognising import COMPARING, Missed
from snnbridge_plugins.onnx.recipes.terms import tensor

#: The kind of such a layer in its origin.
ARITHMETIC = "arithmetic"


@dataclass(frozen=True)
class Bundle:
    """Arithmetic with one result, and states beside it.

    Attributes
    ----------
    nodes : tuple of Message
        In order.
    drives, states : tuple of str
        What it takes; the states are inputs of the graph that nobody else reads.
    spikes : str
    graph : bytes
        All of it, its constants too, as a graph of ONNX.
    """

    nodes: tuple[Message, ...]
    drives: tuple[str, ...]
    states: tuple[str, ...]
    spikes: str
    graph: bytes

    @property
    def name(self) -> str:
        """The module that it comes from, or its result."""
        return module_of(self.nodes) or self.spikes

    def layer(self, name: str) -> Opaque:
        """Return it as a layer."""
        kinds = ", ".join(dict.fromkeys(node["op_type"] for node in self.nodes))
        settings = {"operators": kinds, "graph": np.frombuffer(self.graph, np.uint8)}
        return Opaque(name, settings=settings, origin=Origin("onnx", ARITHMETIC, UNKNOWN))


def bundles(cutter: Cutter, missed: Iterable[Missed]) -> Iterator[Bundle]:
    """Yield what was missed, and what makes spikes from a single value without any state."""
    gone: set[int] = set()
    found = [(item.nodes, item.states) for item in missed if item.spikes]
    for nodes, states in itertools.chain(found, ((nodes, ()) for nodes in cutter.alone())):
        inside = {id(node) for node in nodes}
        if gone.isdisjoint(inside) and any(n["op_type"] in COMPARING for n in nodes):
            gone |= inside
            yield from _bundled(cutter, nodes, states)


def _bundled(
    cutter: Cutter, nodes: tuple[Message, ...], states: tuple[str, ...]
) -> Iterator[Bundle]:
    states = tuple(n for n in states if not cutter.is_read_beside(n, nodes))
    part = cutter.whole(nodes, states)
    if part is None:
        return
    outside = [name for name in part.ends if cutter.is_read_beside(name, nodes)]
    try:
        made = part.few.run(part.few.random(256))
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        return
    spiking = [n for n in part.ends if gain_of(made[n])]
    results = outside or spiking
    if len(results) != 1 or results[0] not in spiking or (not states and len(part.ends) > 1):
        return
    if cutter.unfit(part) or not cutter.in_order(part.drives, results):
        return
    held = [tensor(np.ascontiguousarray(x), name) for name, x in part.constants.items()]
    graph = encode("Graph", {"node": list(nodes), "initializer": held})
    yield Bundle(nodes, part.drives, states, results[0], graph)
