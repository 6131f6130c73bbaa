"""The order in which nodes are computed: sources first, cycles together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Delay,
)
from snnbridge.simulator.network import Key, Network, Node, delay_steps

_T = TypeVar("_T")


def order(network: Network, nodes: dict[Key, Node]) -> None:
    """Put sources before what reads them; what lies on a cycle stays together."""
    for component in components({key: node.sources for key, node in nodes.items()}):
        first = len(network.nodes)
        inner = set(component)
        cycle = len(component) > 1 or any(
            key == component[0] for key, _ in nodes[component[0]].sources
        )
        ordered = _acyclic(nodes, component, inner) if cycle else component
        network.nodes += [nodes[key] for key in ordered]
        network.parts.append((first, len(network.nodes) - 1, cycle))
    for node in network.nodes:
        for key, delay in node.sources:
            nodes[key].history = max(nodes[key].history, delay)
        if isinstance(node.layer, Delay) and node.what == "layer":
            longest = int(delay_steps(node.layer, network.steps[node.key[0]]).max())
            key, delay = node.sources[0]
            nodes[key].history = max(nodes[key].history, delay + longest)


def _acyclic(nodes: dict[Key, Node], component: list[Key], inner: set[Key]) -> list[Key]:
    """Order the nodes of a cycle by what they need of the same step."""
    following: dict[Key, list[Key]] = {key: [] for key in component}
    waiting = dict.fromkeys(component, 0)
    for key in component:
        for source, delay in nodes[key].sources:
            if source in inner and delay == 0 and not _looks_back(nodes[key]):
                following[source].append(key)
                waiting[key] += 1
    ready = deque(key for key in component if not waiting[key])
    ordered = []
    while ready:
        ordered.append(ready.popleft())
        for key in following[ordered[-1]]:
            waiting[key] -= 1
            if not waiting[key]:
                ready.append(key)
    if len(ordered) < len(component):
        stuck = ", ".join(repr(key[0]) for key, count in waiting.items() if count)
        raise CheckpointError(
            f"a cycle without delay runs through {stuck}; give one of its connections a delay of "
            "at least one step"
        )
    return ordered


def _looks_back(node: Node) -> bool:
    """Whether a node needs nothing of the present step: a Delay with no zero among its delays."""
    if not isinstance(node.layer, Delay) or node.what != "layer":
        return False
    value = node.layer.parameters["delay"].value
    return value is not UNKNOWN and bool((np.asarray(value) > 0).all())


def components(sources: Mapping[_T, Sequence[tuple[_T, int]]]) -> Iterator[list[_T]]:
    """Yield the strongly connected components, sources first (Tarjan 1972, without recursion).

    Parameters
    ----------
    sources : mapping of key to sequence of (key, delay)
        What each reads.
    """
    number: dict[_T, int] = {}
    low: dict[_T, int] = {}
    stack: list[_T] = []
    on_stack: set[_T] = set()
    for root in sources:
        if root in number:
            continue
        work = [(root, iter(sources[root]))]
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while work:
            key, read = work[-1]
            for source, _ in read:
                if source not in number:
                    number[source] = low[source] = len(number)
                    stack.append(source)
                    on_stack.add(source)
                    work.append((source, iter(sources[source])))
                    break
                if source in on_stack:
                    low[key] = min(low[key], number[source])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[key])
                if low[key] == number[key]:
                    component = []
                    while True:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                        if component[-1] == key:
                            break
                    yield component[::-1]
