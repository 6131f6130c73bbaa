"""What feeds what in a network of BrainPy, as far as it tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from snnbridge.frameworks.reading.connecting import stated_edge
from snnbridge.model import UNKNOWN, Connection, Layer


def connections(
    net: Any, nodes: Mapping[str, Any], layers: Mapping[str, Layer], given: Iterable[Any] | None
) -> Any:
    """Return the edges that are stated, those that ``build`` noted, or those of a Sequential.

    Raises
    ------
    CheckpointError
        If what is stated is no edge between layers.
    """
    if given is not None:
        return tuple(Connection(*stated_edge(edge, layers)) for edge in given)
    if isinstance(edges := getattr(net, "snnbridge_edges", None), tuple):  # build made it
        return tuple(Connection(*edge) for edge in edges)
    chain = _chain(net, {id(node): name for name, node in nodes.items()}, layers)
    if chain is None or sorted(chain) != sorted(layers):
        return UNKNOWN
    return tuple(Connection(a, b) for a, b in pairwise(chain))


def _chain(node: Any, names: Mapping[int, str], layers: Mapping[str, Layer]) -> list[str] | None:
    """Return the layers that a Sequential runs through, or None if it is not all layers."""
    name = names.get(id(node), "")
    if name in layers:
        return [name]
    if type(node).__name__ != "Sequential" or not type(node).__module__.startswith("brainpy"):
        return None
    found: list[str] = []
    for child in node.children.values():
        inner = _chain(child, names, layers)
        if inner is None:
            return None
        found += inner
    return found
