"""A graph with the model's own functions put in where they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from snnbridge_plugins.onnx.file.schema import DOMAIN, Message
from snnbridge_plugins.onnx.foreign.graph.own import one_step

_Key = tuple[str, str, str]


def inlined(model: Message) -> list[Message]:
    """Return the nodes of a model's graph.

    Of functions of this package those with states are put in, as one step; the others stay calls.

    Parameters
    ----------
    model : Message
        Vetted: its functions do not call each other in a circle, and do not grow without bound.
    """
    functions: dict[_Key, Message] = {
        (f.get("domain", ""), f.get("name", ""), f.get("overload", "")): held
        for f in model.get("functions", [])
        if (held := one_step(f) if f.get("domain") == DOMAIN else f) is not None
    }
    return list(_put_in(model["graph"].get("node", []), functions, ""))


def _put_in(
    nodes: Sequence[Message], functions: Mapping[_Key, Message], path: str
) -> Iterator[Message]:
    for at, node in enumerate(nodes):
        key = (node.get("domain", ""), node.get("op_type", ""), node.get("overload", ""))
        if key not in functions:
            yield node
            continue
        name = f"{path}{node.get('name') or f'{key[1]}_{at}'}/"
        yield from _put_in(_body(node, functions[key], name), functions, name)


def _body(call: Message, function: Message, path: str) -> list[Message]:
    """Return the nodes of a function with the values and attributes of a call."""
    given = {a.get("name", ""): a for a in function.get("attribute_proto", [])}
    given |= {a.get("name", ""): a for a in call.get("attribute", [])}
    names = dict(_pairs(function.get("input", []), call.get("input", [])))
    names |= dict(_pairs(function.get("output", []), call.get("output", [])))

    def renamed(name: str) -> str:
        return names.setdefault(name, path + name) if name else ""

    return [_node(node, renamed, given, path) for node in function.get("node", [])]


def _pairs(formal: Sequence[str], actual: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pair what a function calls its values with what a call does; the rest is left out."""
    for at, name in enumerate(formal):
        if at < len(actual) and actual[at]:
            yield name, actual[at]


def _node(
    node: Message, renamed: Callable[[str], str], given: Mapping[str, Message], path: str
) -> Message:
    made = {
        **node,
        "input": [renamed(name) for name in node.get("input", [])],
        "output": [renamed(name) for name in node.get("output", [])],
    }
    if node.get("name"):
        made["name"] = path + node["name"]
    held = [x for a in node.get("attribute", []) if (x := _attribute(a, renamed, given))]
    return {**made, "attribute": held}


def _attribute(
    held: Message, renamed: Callable[[str], str], given: Mapping[str, Message]
) -> Message | None:
    """Return an attribute, that of the call where it refers to one; None where it has none."""
    reference = held.get("ref_attr_name")
    if reference:
        found = given.get(reference)
        return None if found is None else {**found, "name": held.get("name", "")}
    if "g" in held:
        return {**held, "g": _graph(held["g"], renamed, given)}
    if "graphs" in held:
        return {**held, "graphs": [_graph(g, renamed, given) for g in held["graphs"]]}
    return held


def _graph(graph: Message, renamed: Callable[[str], str], given: Mapping[str, Message]) -> Message:
    """Return an inner graph: its own values keep their names, outer ones take the new."""
    nodes = graph.get("node", [])
    own = {x.get("name", "") for x in (*graph.get("input", []), *graph.get("initializer", []))}
    own |= {name for node in nodes for name in node.get("output", [])}

    def inner(name: str) -> str:
        return name if name in own else renamed(name)

    return {**graph, "node": [_node(node, inner, given, "") for node in nodes]}
