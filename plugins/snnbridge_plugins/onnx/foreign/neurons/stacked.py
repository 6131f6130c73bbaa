"""States that a graph takes and hands on in one tensor, side by side along its first axis.

``m[0]`` and ``m[1]`` go in, ``stack([m1, m2])`` comes out: each of them is a state of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from snnbridge_plugins.onnx.file.arrays import Tensors
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.operators import attributes

#: A number that stands in the graph, or None.
_Number: TypeAlias = Callable[[Message, int, str], Any]
_MOST = 64


def unstacked(model: Message, tensors: Tensors) -> tuple[Message, frozenset[str]] | None:
    """Return a model whose stacked states are inputs and outputs each, and their names.

    Parameters
    ----------
    model : Message
        Vetted.
    tensors : Tensors

    Returns
    -------
    tuple of Message and frozenset, or None
        None where no input is taken apart and nothing but that.
    """
    graph = model["graph"]
    nodes, number = graph.get("node", []), _numbers(graph.get("node", []), tensors)
    readers: dict[str, list[Message]] = {}
    for node in nodes:
        for name in node.get("input", []):
            readers.setdefault(name, []).append(node)
    taken = [
        found for value in graph.get("input", [])
        if (found := _slices(value, readers.get(value.get("name", ""), []), number))
    ]  # fmt: skip
    if not taken:
        return None
    names = {output: name for slices in taken for output, name in slices.renamed.items()}
    if not _are_free(names.values(), graph, tensors):
        return None
    ends, gone = _ends(graph, readers, number)
    gone |= {id(node) for slices in taken for node in slices.nodes}
    made = {
        **graph,
        "node": [
            {**node, "input": [names.get(n, n) for n in node.get("input", [])]}
            for node in nodes if id(node) not in gone
        ],
        "input": [x for value in graph["input"] for x in _inputs(value, taken)],
        "output": [
            {**x, "name": names.get(x.get("name", ""), x.get("name", ""))} for x in ends
        ],
    }  # fmt: skip
    return {**model, "graph": made}, frozenset(names.values())


def _numbers(nodes: Sequence[Message], tensors: Tensors) -> _Number:
    literals = {
        name: node for node in nodes if node.get("op_type") == "Constant"
        for name in node.get("output", [])
    }  # fmt: skip

    def number(node: Message, at: int, name: str) -> Any:
        """Return the only number that an input, or an attribute of older operators, holds."""
        inputs = node.get("input", [])
        if at >= len(inputs):
            held = attributes(node).get(name)
            return held[0] if isinstance(held, list) and len(held) == 1 else held
        literal = attributes(literals.get(inputs[at], {})).get("value")
        found = tensors.array(inputs[at]) if inputs[at] in tensors else literal
        if not isinstance(found, np.ndarray) or found.size != 1 or found.dtype.kind not in "iu":
            return None
        return int(found.reshape(()))

    return number


class _Slices:
    """An input of which the graph reads single elements of the first axis.

    Attributes
    ----------
    value : Message
    nodes : list of Message
        Those that read it.
    renamed : dict of str to str
        From their results to the names of the elements.
    """

    def __init__(self, value: Message, nodes: list[Message], renamed: Mapping[str, str]) -> None:
        self.value, self.nodes, self.renamed = value, nodes, dict(renamed)

    def inputs(self) -> list[Message]:
        """Return an input for each element."""
        tensor = self.value["type"]["tensor_type"]
        shape = {**tensor["shape"], "dim": tensor["shape"]["dim"][1:]}
        kind = {**self.value["type"], "tensor_type": {**tensor, "shape": shape}}
        return [
            {**self.value, "name": n, "type": kind} for n in dict.fromkeys(self.renamed.values())
        ]


def _slices(value: Message, readers: list[Message], number: _Number) -> _Slices | None:
    name = value.get("name", "")
    dims = value.get("type", {}).get("tensor_type", {}).get("shape", {}).get("dim", [])
    count = dims[0].get("dim_value", 0) if dims else 0
    if not readers or len(dims) < 2 or not 0 < count <= _MOST:
        return None
    renamed = {}
    for node in readers:
        index = number(node, 1, "indices")
        plain = node.get("op_type") == "Gather" and not attributes(node).get("axis", 0)
        if not plain or index is None or not -count <= index < count:
            return None
        renamed[node["output"][0]] = f"{name}[{index % count}]"
    return _Slices(value, readers, renamed)


def _are_free(names: Iterable[str], graph: Message, tensors: Tensors) -> bool:
    made = {name for node in graph.get("node", []) for name in node.get("output", [])}
    taken = made | {value.get("name", "") for value in graph.get("input", [])}
    return not any(name in taken or name in tensors for name in names)


def _inputs(value: Message, taken: Sequence[_Slices]) -> list[Message]:
    return next((x.inputs() for x in taken if x.value is value), [value])


def _ends(
    graph: Message, readers: Mapping[str, Sequence[Message]], number: _Number
) -> tuple[list[Message], set[int]]:
    """Return the outputs with what is stacked in them, and the nodes that do nothing else."""
    makers = {name: node for node in graph.get("node", []) for name in node.get("output", [])}
    ends, gone = list[Message](), set[int]()
    for value in graph.get("output", []):
        join = makers.get(value.get("name", ""), {})
        parts = [makers.get(name, {}) for name in join.get("input", [])]
        stacked = join.get("op_type") == "Concat" and attributes(join).get("axis") == 0
        if stacked and parts and all(
            part.get("op_type") == "Unsqueeze" and number(part, 1, "axes") == 0
            and len(readers[part["output"][0]]) == 1 for part in parts
        ) and value.get("name", "") not in readers:  # fmt: skip
            ends += [{"name": part["input"][0]} for part in parts]
            gone |= {id(join), *map(id, parts)}
        else:
            ends.append(value)
    return ends, gone
