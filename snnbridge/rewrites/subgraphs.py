"""Subgraphs taken apart, for a target that runs no graphs inside graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

from snnbridge.errors import CheckpointError
from snnbridge.ledger import Entry, Status
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Input,
    Layer,
    Output,
    SNNCheckpoint,
    Subgraph,
    TimeStep,
    Unknown,
)
from snnbridge.simulator.network import Network
from snnbridge.simulator.subgraphs import Flattener


def without_subgraphs(checkpoint: SNNCheckpoint) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Put the layers of graphs inside a graph beside all others, as ``outer/inner``.

    The ports of such a graph go; what they passed on is connected straight.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its connections, and those inside, known.

    Returns
    -------
    SNNCheckpoint
    tuple of Entry
        One for each subgraph, rewritten.

    Raises
    ------
    CheckpointError
        If connections are not known, two would become one, or a state belongs to a subgraph.
    """
    graphs = [name for name, layer in checkpoint.layers.items() if isinstance(layer, Subgraph)]
    if not graphs:
        return checkpoint, ()
    _check_known(checkpoint.connections, "")
    layers = dict(_inside(checkpoint.layers, "", checkpoint.dt))
    network = Network({}, {}, {})
    Flattener(network).add(checkpoint.layers, checkpoint.connections, "", checkpoint.dt)
    edges = [Connection(a, name, d) for name, fed in network.incoming.items() for a, d in fed]
    ports = {n for n, x in layers.items() if _port(x) and n not in checkpoint.layers}
    for name in ports:
        edges = _past(edges, name)
    used = {name for c in edges for name in (c.source, c.target)}
    kept = {name: layer for name, layer in layers.items() if name in used or name not in ports}
    if len(set(edges)) < len(edges):
        raise CheckpointError("two connections through the ports of a subgraph would become one")
    taken_apart = replace(
        checkpoint,
        layers=kept,
        connections=tuple(edges),
        frozen_layers=[n for name in checkpoint.frozen_layers for n in _names(name, kept)],
    )
    reason = "its layers stand beside all others"
    told = (Entry(Status.REWRITTEN, ("layers", n), f"subgraph {n!r}", reason) for n in graphs)
    return taken_apart, tuple(told)


def _inside(layers: Mapping[str, Layer], prefix: str, dt: TimeStep) -> Iterator[tuple[str, Layer]]:
    for layer in layers.values():
        name, own = prefix + layer.name, layer.dt if layer.dt is not None else dt
        if not isinstance(layer, Subgraph):
            yield name, replace(layer, name=name) if prefix else layer
            continue
        _check_known(layer.connections, f" inside {name!r}")
        if layer.dt is not None and own != dt:
            raise CheckpointError(f"the subgraph {name!r} runs a time step of its own")
        yield from _inside(layer.layers, f"{name}/", own)


def _check_known(connections: tuple[Connection, ...] | Unknown, where: str) -> None:
    if connections is UNKNOWN:
        raise CheckpointError(f"the connections{where} are unknown")
    for c in connections:
        if c.delay is UNKNOWN:
            raise CheckpointError(f"the delay from {c.source!r} to {c.target!r}{where} is unknown")


def _port(layer: Layer) -> bool:
    return isinstance(layer, Input | Output)


def _past(edges: list[Connection], port: str) -> list[Connection]:
    """Connect what leads into a port with what leads out of it."""
    into = [c for c in edges if c.target == port]
    out = [c for c in edges if c.source == port]
    if not into or not out:
        return edges
    straight = [Connection(a.source, b.target, a.delay + b.delay) for a, b in product(into, out)]  # type: ignore[operator]
    return [c for c in edges if port not in (c.source, c.target)] + straight


def _names(name: str, layers: Mapping[str, Layer]) -> list[str]:
    return [name] if name in layers else [n for n in layers if n.startswith(f"{name}/")]
