"""Rules of the graph: endpoints that exist, shapes that fit, delays on every cycle."""

from __future__ import annotations

from collections.abc import Mapping

from snnbridge.errors import CheckpointError
from snnbridge.model.layers import (
    Connection,
    Delay,
    Input,
    Layer,
    Linear,
    Neuron,
    Output,
    Subgraph,
    Synapse,
)
from snnbridge.model.values import UNKNOWN, Shape, Unknown


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
        _check_shapes(layers[connection.source], layers[connection.target])
    _check_cycles(layers, connections)


def _check_endpoints(layers: Mapping[str, Layer], connection: Connection) -> None:
    for name in (connection.source, connection.target):
        if name not in layers:
            raise CheckpointError(
                f"the connection {connection.source!r} to {connection.target!r} names "
                f"{name!r}, which is no layer"
            )
    delay = connection.delay
    if delay is not UNKNOWN and (not isinstance(delay, int) or delay < 0):
        raise CheckpointError(
            f"the connection {connection.source!r} to {connection.target!r} has the delay "
            f"{delay!r}; expected whole steps of at least 0, or UNKNOWN"
        )
    _check_port(layers[connection.source], connection.source_port, "outputs")
    _check_port(layers[connection.target], connection.target_port, "inputs")


def _check_port(layer: Layer, port: str | None, side: str) -> None:
    if port is None:
        return
    ports = getattr(layer, side) if isinstance(layer, Subgraph) else {}
    if port not in ports:
        raise CheckpointError(f"layer {layer.name!r} has no port {port!r} among its {side}")


def _check_shapes(source: Layer, target: Layer) -> None:
    left, right = _shape_out(source), _shape_in(target)
    if left is not None and right is not None and left != right:
        raise CheckpointError(
            f"layer {source.name!r} ({source.kind}) gives shape {left}, but layer "
            f"{target.name!r} ({target.kind}) takes {right}"
        )


def _shape_out(layer: Layer) -> Shape | None:
    if isinstance(layer, Linear):
        return None if layer.size[1] is None else (layer.size[1],)
    if isinstance(layer, Input | Neuron | Synapse) and layer.shape is not UNKNOWN:
        return layer.shape
    return None


def _shape_in(layer: Layer) -> Shape | None:
    if isinstance(layer, Linear):
        return None if layer.size[0] is None else (layer.size[0],)
    if isinstance(layer, Synapse) and layer.receptors != 1:
        return None
    if isinstance(layer, Output | Neuron | Synapse) and layer.shape is not UNKNOWN:
        return layer.shape
    return None


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
