"""In which step what enters a network reaches each of its layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from snnbridge.model import UNKNOWN, Layer, Neuron

#: From a layer to a layer, and the steps between them.
Edge: TypeAlias = tuple[str, str, int]


def output_delay(layer: Layer) -> int:
    """Return how many steps after its cause a layer's output leaves it; 0 if it is not known."""
    if not isinstance(layer, Neuron) or layer.rule.output_delay is UNKNOWN:
        return 0
    return int(layer.rule.output_delay)


def forward(names: Iterable[str], edges: Iterable[Edge]) -> tuple[list[str], list[Edge]]:
    """Return the layers in the order in which a signal passes them, and the edges that lead on.

    Edges that close a cycle are left out: they lead back.
    """
    followed: dict[str, list[Edge]] = {name: [] for name in names}
    fed = set()
    for edge in edges:
        followed[edge[0]].append(edge)
        fed.add(edge[1])
    starts = sorted(followed, key=lambda name: name in fed)
    ended: dict[str, bool] = {}  # False while a layer's own path is walked
    order: list[str] = []
    onward: list[Edge] = []
    for start in starts:
        pending = [] if start in ended else [(start, iter(followed[start]))]
        ended.setdefault(start, False)
        while pending:
            name, rest = pending[-1]
            following = next(rest, None)
            if following is None:
                pending.pop()
                ended[name] = True
                order.append(name)
            elif ended.get(following[1]) is not False:
                onward.append(following)
                if following[1] not in ended:
                    ended[following[1]] = False
                    pending.append((following[1], iter(followed[following[1]])))
    return order[::-1], onward


def arrivals(layers: Mapping[str, Layer], edges: Iterable[Edge]) -> dict[str, int]:
    """Return the steps after which what enters a network reaches each layer, by the longest way.

    Edges and neurons take steps; what a Delay holds back is not counted.
    """
    order, onward = forward(layers, edges)
    into: dict[str, list[Edge]] = {name: [] for name in order}
    for edge in onward:
        into[edge[1]].append(edge)
    found: dict[str, int] = {}
    for name in order:
        ways = (found[a] + output_delay(layers[a]) + steps for a, _, steps in into[name])
        found[name] = max(ways, default=0)
    return found
