"""Rules of the graph: endpoints that exist, shapes that fit, delays on every cycle."""

from __future__ import annotations

from collections.abc import Mapping

from snnbridge.errors import CheckpointError
from snnbridge.model.fitting import check_fit
from snnbridge.model.layers import Connection, Delay, Layer, Neuron, Subgraph
from snnbridge.model.values import UNKNOWN, Unknown


def check(layers: Mapping[str, Layer], connections: tuple[Connection, ...] | Unknown) -> None:
    """Check the edges of a graph and of the graphs inside it.

    Raises
    ------
    CheckpointError
        For an unknown endpoint, a duplicate edge, shapes that do not fit, or a cycle without
        delay.
    """
    for layer in layers.values():
        if isinstance(layer, Subgraph):
            check(layer.layers, layer.connections)
    if connections is UNKNOWN:
        return
    seen: set[Connection] = set()
    for connection in connections:
        _check_endpoints(layers, connection)
        if connection in seen:
            raise CheckpointError(
                f"the connection {connection.source!r} to {connection.target!r} stands twice"
            )
        seen.add(connection)
        check_fit(layers[connection.source], layers[connection.target])
    _check_cycles(layers, connections)


def _check_endpoints(layers: Mapping[str, Layer], connection: Connection) -> None:
    for name in (connection.source, connection.target):
        if name not in layers:
            raise CheckpointError(
                f"the connection {connection.source!r} to {connection.target!r} names "
                f"{name!r}, which is no layer"
            )
    _check_port(layers[connection.source], connection.source_port, "outputs")
    _check_port(layers[connection.target], connection.target_port, "inputs")


def _check_port(layer: Layer, port: str | None, side: str) -> None:
    if port is None:
        return
    ports = getattr(layer, side) if isinstance(layer, Subgraph) else {}
    if port not in ports:
        raise CheckpointError(f"layer {layer.name!r} has no port {port!r} among its {side}")


def _check_cycles(layers: Mapping[str, Layer], connections: tuple[Connection, ...]) -> None:
    """Remove layers without undelayed input, again and again; what stays lies on a cycle."""
    following: dict[str, list[str]] = {}
    waiting = dict.fromkeys(layers, 0)
    for c in connections:
        if c.delay == 0 and not _delays(layers[c.source]) and not _delays(layers[c.target]):
            following.setdefault(c.source, []).append(c.target)
            waiting[c.target] += 1
    ready = [name for name, count in waiting.items() if not count]
    while ready:
        for target in following.get(ready.pop(), ()):
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    stuck = [name for name, count in waiting.items() if count]
    if stuck:
        shown = ", ".join(repr(name) for name in stuck[:4])
        raise CheckpointError(
            f"a cycle without delay runs through or into {shown}; give one of its connections "
            "a delay of at least one step"
        )


def _delays(layer: Layer) -> bool:
    if isinstance(layer, Neuron):
        return layer.rule.output_delay is not UNKNOWN and layer.rule.output_delay > 0
    if not isinstance(layer, Delay):
        return False
    value = layer.parameters["delay"].value
    return value is UNKNOWN or bool((value > 0).all())
