"""The layers and connections of graphs inside a graph, by names like ``outer/inner``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from snnbridge.model import UNKNOWN, Connection, Layer, Subgraph
from snnbridge.model.values import Unknown


def inner_layers(layers: Mapping[str, Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield every layer with its name from outside, a subgraph before what is in it."""
    for layer in layers.values():
        yield prefix + layer.name, layer
        if isinstance(layer, Subgraph):
            yield from inner_layers(layer.layers, f"{prefix}{layer.name}/")


def with_inner(
    layers: Mapping[str, Layer], changed: Mapping[str, Layer], prefix: str = ""
) -> dict[str, Layer]:
    """Return layers with those put in their place that changed, by their names from outside."""
    found = {}
    for name, layer in layers.items():
        path = prefix + name
        new = changed.get(path, layer)
        if isinstance(layer, Subgraph) and isinstance(new, Subgraph):
            inner = with_inner(layer.layers, changed, f"{path}/")
            if any(inner[key] is not held for key, held in layer.layers.items()):
                new = replace(new, layers=inner)
        found[name] = new
    return found


def inner_edges(
    layers: Mapping[str, Layer], connections: Iterable[Connection] | Unknown, prefix: str = ""
) -> Iterator[Connection]:
    """Yield every connection that is known, with the names from outside."""
    if not isinstance(connections, Unknown):
        for c in connections:
            yield replace(c, source=prefix + c.source, target=prefix + c.target)
    for layer in layers.values():
        if isinstance(layer, Subgraph):
            yield from inner_edges(layer.layers, layer.connections, f"{prefix}{layer.name}/")


def with_delays(layers: Mapping[str, Layer], edges: Iterator[Connection]) -> dict[str, Layer]:
    """Return layers whose inner connections have the delays of edges.

    Parameters
    ----------
    layers : mapping of str to Layer
    edges : iterator of Connection
        Those of the graphs inside, in the order of :func:`inner_edges`.
    """
    return {name: _with_delays(layer, edges) for name, layer in layers.items()}


def _with_delays(layer: Layer, edges: Iterator[Connection]) -> Layer:
    if not isinstance(layer, Subgraph):
        return layer
    held = layer.connections
    if held is not UNKNOWN:
        held = tuple(replace(c, delay=next(edges).delay) for c in held)
    return replace(layer, layers=with_delays(layer.layers, edges), connections=held)
