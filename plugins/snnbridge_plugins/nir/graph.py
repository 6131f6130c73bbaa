"""A NIR graph as it stands in a file: typed nodes with fields, edges, metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from snnbridge.model import Array

#: What a node states under one name.
Value: TypeAlias = Array | str


@dataclass(slots=True)
class Node:
    """One node.

    Parameters
    ----------
    kind : str
        What the file calls its type: ``"LIF"``.
    fields : dict of str to array or str
    metadata : dict
        A tree of text and arrays.
    """

    kind: str
    fields: dict[str, Value] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Graph:
    """Nodes by name, and the edges between them.

    Parameters
    ----------
    nodes : dict of str to Node or Graph
    edges : list of pairs of names
    metadata : dict
    """

    nodes: dict[str, Node | Graph] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    kind = "NIRGraph"


def is_same(a: Node | Graph, b: Node | Graph) -> bool:
    """Whether two graphs or nodes say the same, bit for bit, whatever their metadata."""
    if isinstance(a, Graph):
        return (
            isinstance(b, Graph)
            and a.nodes.keys() == b.nodes.keys()
            and set(a.edges) == set(b.edges)
            and all(is_same(node, b.nodes[name]) for name, node in a.nodes.items())
        )
    return (
        isinstance(b, Node)
        and a.kind == b.kind
        and a.fields.keys() == b.fields.keys()
        and all(_is_same_value(value, b.fields[name]) for name, value in a.fields.items())
    )


def without_added(node: Node | Graph, ours: Node | Graph) -> Node | Graph:
    """Leave out the ends that NIR's package adds where a graph begins or ends at another node."""
    if not isinstance(node, Graph) or not isinstance(ours, Graph):
        return node
    added = {
        name
        for name, inner in node.nodes.items()
        if name not in ours.nodes
        and inner.kind in ("Input", "Output")
        and name.removeprefix(f"{inner.kind.lower()}_") in ours.nodes
    }
    kept = {name: inner for name, inner in node.nodes.items() if name not in added}
    nodes = {n: without_added(x, ours.nodes[n]) if n in ours.nodes else x for n, x in kept.items()}
    return Graph(nodes, [edge for edge in node.edges if not added & set(edge)])


def _is_same_value(a: Value, b: Value) -> bool:
    if a is b:
        return True
    if isinstance(a, str) or isinstance(b, str):
        return a is b or (isinstance(a, str) and isinstance(b, str) and a == b)
    if a.dtype.newbyteorder("=") != b.dtype.newbyteorder("=") or a.shape != b.shape:
        return False
    left, right = (np.ascontiguousarray(x, x.dtype.newbyteorder("=")) for x in (a, b))
    return left.tobytes() == right.tobytes()


def by_name(node: Any) -> Any:
    """Return a graph, a node or a tree with everything in it sorted by name, as a file keeps it."""
    if isinstance(node, Graph):
        return Graph(by_name(node.nodes), node.edges, by_name(node.metadata))
    if isinstance(node, Node):
        return Node(node.kind, by_name(node.fields), by_name(node.metadata))
    if isinstance(node, Mapping):
        return {name: by_name(node[name]) for name in sorted(node)}
    return node


def in_order(names: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Return names so that each comes after what feeds it, as far as cycles allow.

    A file keeps its nodes by the alphabet. Among nodes that may come next the one goes first
    that follows the node before, then the first by name, numbers inside names by their value.
    """
    rank = {name: i for i, name in enumerate(sorted(names, key=natural))}
    waiting: dict[str, set[str]] = {name: set() for name in rank}
    following: dict[str, list[str]] = {name: [] for name in waiting}
    for source, target in edges:
        if source != target and source not in waiting[target]:
            waiting[target].add(source)
            following[source].append(target)
    for targets in following.values():
        targets.sort(key=rank.__getitem__, reverse=True)
    return _walk(waiting, following)


def _walk(waiting: dict[str, set[str]], following: Mapping[str, list[str]]) -> list[str]:
    found: list[str] = []
    ready = [name for name, before in reversed(waiting.items()) if not before]
    reached: dict[str, None] = {}
    while waiting:
        if not ready:  # a cycle: enter it where it was reached first
            inside = (name for name in reached if name in waiting)
            ready.append(next(inside, next(iter(waiting))))
        name = ready.pop()
        if waiting.pop(name, None) is None:
            continue
        found.append(name)
        for target in following[name]:
            if target in waiting:
                waiting[target].discard(name)
                reached[target] = None
                if not waiting[target]:
                    ready.append(target)
    return found


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts ``lif10`` behind ``lif2``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple(
        (not digits, int(part) if digits else 0, part)
        for part in parts
        for digits in [part.isdecimal() and len(part) < 20]
    )
