"""Two sides of which one comes some steps later than the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from snnbridge.model import Array
from snnbridge.simulator.arrivals import arrivals, output_delay
from snnbridge.simulator.network import Network

#: Membranes and spikes of one layer, arrays (steps, ...); None where it has none.
Signal: TypeAlias = Sequence[Array | None]


@dataclass(slots=True)
class Lag:
    """Hands on, block by block, the steps of two signals that belong together.

    Parameters
    ----------
    steps : int
        By how many the second signal comes later; negative where it comes earlier.
    """

    steps: int
    _waiting: tuple[_Queue, _Queue] = field(init=False)

    def __post_init__(self) -> None:
        self._waiting = (_Queue(max(0, -self.steps)), _Queue(max(0, self.steps)))

    def pair(self, first: Signal, second: Signal) -> tuple[int, Signal, Signal]:
        """Return the first signal's step at which what follows begins, and both from there."""
        for queue, signal in zip(self._waiting, (first, second), strict=True):
            queue.put(signal)
        count = min(len(queue) for queue in self._waiting)
        start = self._waiting[0].start
        one, other = (queue.take(count) for queue in self._waiting)
        return start, one, other


@dataclass(slots=True)
class _Queue:
    """The steps of a signal that have not been handed on, the first of which never are."""

    start: int
    _to_skip: int = field(init=False)
    _held: list[Array | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._to_skip = self.start

    def __len__(self) -> int:
        return next((len(x) for x in self._held if x is not None), 0)

    def put(self, signal: Signal) -> None:
        held = self._held or [None] * len(signal)
        self._held = [_joined(a, b) for a, b in zip(held, signal, strict=True)]
        skipped = min(self._to_skip, len(self))
        self._to_skip -= skipped
        self._held = [None if x is None else x[skipped:] for x in self._held]

    def take(self, count: int) -> Signal:
        taken = [None if x is None else x[:count] for x in self._held]
        self._held = [None if x is None else x[count:] for x in self._held]
        self.start += count
        return taken


@dataclass(slots=True)
class Alignment:
    """Two matched layers, and the steps in which what is the same happens in each.

    Parameters
    ----------
    arrival : int
        By how many steps what enters the networks reaches the right layer later.
    told : pair of int
        In which step after its cause a spike leaves each.
    """

    arrival: int = 0
    told: tuple[int, int] = (0, 0)
    _between: Lag = field(init=False)
    _within: tuple[Lag, Lag] = field(init=False)

    def __post_init__(self) -> None:
        self._between = Lag(self.arrival)
        self._within = (Lag(self.told[0]), Lag(self.told[1]))

    @property
    def latency(self) -> int:
        """By how many steps the spikes of the right layer come later."""
        return self.arrival + self.told[1] - self.told[0]

    def pair(self, left: Signal, right: Signal) -> tuple[int, Signal, Signal]:
        """Return the left side's step at which what follows begins, and both sides from there."""
        sides = zip(self._within, (left, right), strict=True)
        return self._between.pair(*(_with_their_causes(lag, side) for lag, side in sides))


@dataclass(slots=True)
class Together:
    """Hands on the same steps of all layers, of which some come later than others.

    Parameters
    ----------
    layers : int
        How many there are.
    """

    layers: int
    _queues: list[_Queue] = field(init=False)

    def __post_init__(self) -> None:
        self._queues = [_Queue(0) for _ in range(self.layers)]

    def put(self, layer: int, start: int, left: Signal, right: Signal) -> None:
        """Take in what an alignment hands on."""
        queue = self._queues[layer]
        if not len(queue):
            queue.start = start
        queue.put([*left, *right])

    def take(self, *, all: bool = False) -> Iterator[tuple[int, Signal, Signal]]:
        """Yield each layer's next steps, the first of them and both sides; at last all of them."""
        ends = [queue.start + len(queue) for queue in self._queues]
        end = max(ends, default=0) if all else min(ends, default=0)
        for queue in self._queues:
            start, count = queue.start, min(max(0, end - queue.start), len(queue))
            signal = queue.take(count)
            half = len(signal) // 2
            yield start, signal[:half], signal[half:]


def _with_their_causes(lag: Lag, side: Signal) -> Signal:
    """Put spikes beside the membranes that crossed the threshold."""
    v, spikes = side
    if spikes is None or lag.steps == 0:
        return side
    _, (v,), (spikes,) = lag.pair([v], [spikes])
    return v, spikes


def _joined(held: Array | None, new: Array | None) -> Array | None:
    if held is None or new is None or not len(held):
        return new
    return np.concatenate([held, new])


def alignments(left: Network, right: Network, pairs: Sequence[tuple[str, str]]) -> list[Alignment]:
    """Return how far apart the same things happen in matched layers, as delays on the way say."""
    a, b = (arrivals(n.layers, _edges(n)) for n in (left, right))
    return [
        Alignment(
            b[theirs] - a[ours],
            (output_delay(left.layers[ours]), output_delay(right.layers[theirs])),
        )
        for ours, theirs in pairs
    ]


def _edges(network: Network) -> list[tuple[str, str, int]]:
    return [
        (source, target, steps)
        for target, sources in network.incoming.items()
        for source, steps in sources
    ]
