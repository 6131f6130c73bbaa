"""Another step in which neurons tell their spikes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.ledger import LATENCY, Entry, Status
from snnbridge.model import UNKNOWN, Connection, Layer, Neuron, SNNCheckpoint, Synapse
from snnbridge.rewrites.parts import edges_of
from snnbridge.simulator.arrivals import Edge, forward, output_delay


def with_output_delay(
    checkpoint: SNNCheckpoint, delay: int
) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Have every spike leave its neuron a number of steps after it crossed the threshold.

    What a neuron gains or loses is taken from the connections that lead back to it, and from those
    that join another way; each layer then does what it did, some steps later or earlier. That
    holds as long as a layer without input does nothing: a bias acts from the first step.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its connections known.
    delay : int
        In steps: 1 for Spyx, whose neurons compare the potential of the step before; else 0.

    Returns
    -------
    SNNCheckpoint
    tuple of Entry
        Approximated if the outputs come in another step, else rewritten; none if nothing changes.

    Raises
    ------
    CheckpointError
        If a way back takes too few steps to give one up.
    """
    gained = {
        name: delay - output_delay(layer)
        for name, layer in checkpoint.layers.items()
        if isinstance(layer, Neuron) and layer.rule.spiking is True
    }
    if not any(gained.values()):
        return checkpoint, ()
    unknown = [c for c in edges_of(checkpoint) if c.delay is UNKNOWN]
    if unknown:
        c = unknown[0]
        raise CheckpointError(f"the delay from {c.source!r} to {c.target!r} is not known")
    order, onward = forward(checkpoint.layers, [_edge(c) for c in edges_of(checkpoint)])
    into, out = _latencies(order, onward, gained)
    delays = {
        _edge(c): c.delay + into[c.target] - out[c.source]  # type: ignore[operator]  # refused above
        for c in edges_of(checkpoint)
    }
    _take_from_before(delays, checkpoint)
    connections = [replace(c, delay=delays[_edge(c)]) for c in edges_of(checkpoint)]
    layers = {name: _told_after(x, delay, gained) for name, x in checkpoint.layers.items()}
    last = set(order) - {c.source for c in edges_of(checkpoint)}
    ends = {out[name] for name in last or gained}
    changed = replace(checkpoint, layers=layers, connections=tuple(connections))
    biased = [x.name for x in layers.values() if into[x.name] and _is_biased(x)]
    return changed, (_entry(ends, biased),)


def _is_biased(layer: Layer) -> bool:
    """Whether a layer does something before anything reaches it."""
    held = layer.parameters.get("bias")
    return held is not None and (held.value is UNKNOWN or bool(np.any(held.value)))


def _edge(c: Connection) -> Edge:
    return c.source, c.target, c.delay  # type: ignore[return-value]


def _take_from_before(delays: dict[Edge, int], checkpoint: SNNCheckpoint) -> None:
    """Let a connection that lacks a step have one of those before its source."""
    for edge, delay in list(delays.items()):
        if delay >= 0:
            continue
        source = edge[0]
        beside = [e for e in delays if source in (e[0], e[1]) and e != edge]
        stateless = not isinstance(checkpoint.layers[source], Neuron | Synapse)
        before = beside[0] if len(beside) == 1 and beside[0][1] == source else None
        if not stateless or before is None or delays[before] + delay < 0:
            raise CheckpointError(
                f"layer {edge[1]!r}: the way back from {source!r} takes no step that the neuron "
                "could take"
            )
        delays[before] += delay
        delays[edge] = 0


def _latencies(
    order: Iterable[str], onward: Iterable[Edge], gained: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return by how many steps the input and the output of each layer move."""
    sources: dict[str, list[str]] = {name: [] for name in order}
    for source, target, _ in onward:
        sources[target].append(source)
    into: dict[str, int] = {}
    out: dict[str, int] = {}
    for name in order:
        into[name] = max((out[source] for source in sources[name]), default=0)
        out[name] = into[name] + gained.get(name, 0)
    return into, out


def _told_after(layer: Layer, delay: int, gained: Mapping[str, int]) -> Layer:
    if not isinstance(layer, Neuron) or not gained.get(layer.name):
        return layer
    return replace(layer, rule=replace(layer.rule, output_delay=delay))


def _entry(ends: Iterable[int], biased: Sequence[str]) -> Entry:
    """Say in which step the outputs come now."""
    if not any(ends):
        reason = "spikes are told in another step, the ways back are as much shorter or longer"
        return Entry(Status.REWRITTEN, LATENCY, "when spikes are told", reason)
    told = " or ".join(_later(steps) for steps in sorted(set(ends)))
    reason = f"the outputs come {told}"
    if biased:
        more = f" and {len(biased) - 1} others" if len(biased) > 1 else ""
        reason += f"; but the bias of {biased[0]!r}{more} acts from the first step all the same"
    return Entry(Status.APPROXIMATED, LATENCY, "when outputs come", reason)


def _later(steps: int) -> str:
    if steps == 0:
        return "in the same step"
    count = f"{abs(steps)} step{'s' * (abs(steps) > 1)}"
    return f"{count} {'later' if steps > 0 else 'earlier'}"
