"""Models that this package wrote, without their description: what their functions still say.

A function's title is that of its layer's class or kind, and its inputs are called what the layer's
parameters are. A function with a state is put in where it is called, one step of it: what it does
is told as that of any other graph. Settings such as windows and strides stand in the bodies alone,
and are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from snnbridge import BatchNorm, Conv1d, Conv2d, Flatten, Layer, Linear, Scale
from snnbridge_plugins.onnx.file.schema import DOMAIN, Message
from snnbridge_plugins.onnx.foreign.graph.operators import Node

#: The kinds whose functions are told by their titles.
_KINDS: Mapping[str, type[Layer]] = {
    kind.__name__: kind for kind in (Linear, Conv1d, Conv2d, BatchNorm, Scale)
}
_TITLE = re.compile(rf"({'|'.join(_KINDS)}|FlattenChannelsFirst)(?:Bias)?(?:Step)?(?:_\d+)?")
#: How the input of a function for a state ends, and that of a graph.
_START, STATE = "_start", ".start"


def is_own(function: Message) -> bool:
    """Whether a function is of this package."""
    return bool(function.get("domain") == DOMAIN)


def own_layer(name: str, node: Node, function: Message) -> Layer | None:
    """Return the layer that a call stands for, with what its inputs hold.

    Parameters
    ----------
    name : str
    node : Node
        The call.
    function : Message
    """
    found = _TITLE.fullmatch(function.get("name", ""))
    if found is None or len(node.signals) != 1:
        return None
    if found[1] == "FlattenChannelsFirst":
        return Flatten(name, order="channels first")
    kind = _KINDS.get(found[1])
    if kind is None:
        return None
    formal = function.get("input", [])
    held = {formal[at]: x for at, x in node.constants.items() if at < len(formal)}
    known = {field.name for field in fields(kind)}
    given: dict[str, Any] = {key: x for key, x in held.items() if key in known}
    return kind(name, **given)


def one_step(function: Message) -> Message | None:
    """Return one step of a function that has states, None for any other."""
    states = [name for name in function.get("input", []) if name.endswith(_START)]
    if not states:
        return None
    nodes = _without_expansion(function.get("node", []), states)
    loops = [node for node in nodes if node.get("op_type") == "Scan"]
    if not loops:
        return {**function, "node": nodes}
    body = _body(loops[0]) if len(loops) == 1 else None
    if body is None:
        return None
    at = nodes.index(loops[0])
    return {**function, "node": [*nodes[:at], *body, *nodes[at + 1 :]]}


def _without_expansion(nodes: Iterable[Message], states: Iterable[str]) -> list[Message]:
    """Take a state as it is where it is made as large as the batch."""
    grown: dict[str, str] = {name: name for name in states}
    kept = []
    for node in nodes:
        kind, inputs = node.get("op_type"), node.get("input", [])
        if kind in ("Expand", "Reshape") and inputs[0] in grown:
            grown[node["output"][0]] = grown[inputs[0]]
            if kind == "Reshape":
                kept.append(_same(grown[inputs[0]], node["output"][0]))
        else:
            kept.append(node)
    read = {name for node in kept for name in node.get("input", [])}
    return [x for x in kept if x.get("op_type") != "Shape" or x["output"][0] in read]


def _same(source: str, target: str) -> Message:
    return {"op_type": "Identity", "input": [source], "output": [target]}


def _body(loop: Message) -> list[Message] | None:
    """Return the nodes of a loop's body, between what the loop takes and what it gives."""
    held = {a.get("name", ""): a for a in loop.get("attribute", [])}
    if set(held) != {"body", "num_scan_inputs"} or "g" not in held["body"]:
        return None
    graph = held["body"]["g"]
    taken = [x.get("name", "") for x in graph.get("input", [])]
    given = [x.get("name", "") for x in graph.get("output", [])]
    if len(taken) != len(loop["input"]) or len(given) != len(loop["output"]):
        return None
    before = [_same(a, b) for a, b in zip(loop["input"], taken, strict=True)]
    after = [_same(a, b) for a, b in zip(given, loop["output"], strict=True)]
    return [*before, *graph.get("node", []), *after]


def without_time(message: Message, values: Sequence[Message]) -> list[Message]:
    """Return descriptions of values without their axis of steps, if loops in functions run it."""
    own = filter(is_own, message.get("functions", []))
    if not any(n.get("op_type") == "Scan" for f in own for n in f.get("node", [])):
        return list(values)
    return [_without_steps(value) for value in values]


def _without_steps(value: Message) -> Message:
    kind = value.get("type", {}).get("tensor_type", {})
    dims = kind.get("shape", {}).get("dim", [])
    if not dims or dims[0].get("dim_param") != "steps":
        return value
    return {**value, "type": {"tensor_type": {**kind, "shape": {"dim": dims[1:]}}}}
