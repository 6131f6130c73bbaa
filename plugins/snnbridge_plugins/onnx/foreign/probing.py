"""Neurons in other tools' graphs: arithmetic between states, told by what it does to probes.

A part of a graph that takes inputs and states, and gives spikes and the next states, is computed
on some thousands of them; it is a neuron if one rule of the family gives the same bits on all,
those at the threshold and beside it included. Names play no part.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnbridge import CheckpointError, Layer
from snnbridge.model import Array, Reset, ResetTiming
from snnbridge_plugins.onnx.foreign.bench import Bench, Guess, Roles, same
from snnbridge_plugins.onnx.foreign.evaluation import Part
from snnbridge_plugins.onnx.foreign.numbers import shaped
from snnbridge_plugins.onnx.foreign.spiking import Spiking, Threshold
from snnbridge_plugins.onnx.foreign.updates import updates

_MOST_NEURONS = 1 << 16
_PROBES = 4096
#: What a part that is no neuron of the family lacks, from the first that is looked at to the last.
REASONS = (
    "it cannot be computed on probes",
    "nothing in it takes the values of spikes",
    "its next states are not those of a membrane potential and at most one synapse",
    "its potential follows no update of the family",
    "its spikes follow no threshold above 0",
    "its reset is none of the family",
)


@dataclass(frozen=True)
class Found:
    """A neuron, and the values that stand for what goes in and out of it.

    Attributes
    ----------
    roles : Roles
    guess : Guess
    bounded : bool
        Whether it was held against potentials up to the threshold alone: from rest a neuron that
        is reset to less gets no further.
    """

    roles: Roles
    guess: Guess
    shape: tuple[int, ...]
    bounded: bool = False

    def layers(self, name: str, shape: object) -> list[Layer]:
        """Return its synapse, if it has one, and the neuron."""
        guess = Guess(shaped(self.guess.neuron, self.shape), self.guess.rule,
                      shaped(self.guess.synapse, self.shape), self.guess.synapse_rule)  # fmt: skip
        return guess.layers(name, shape)


def recognised(part: Part, nexts: Sequence[str]) -> Found | int:
    """Return the neuron that a part is, or how far it came among the reasons.

    Parameters
    ----------
    part : Part
        Its states are one or two inputs of the graph.
    nexts : sequence of str
        Those of its ends that the graph hands on: among them are the next states.
    """
    if np.prod(part.shape, dtype=float) > _MOST_NEURONS:
        return 0
    reached = 0
    try:
        for roles in _roles(part, nexts):
            if isinstance(roles, int):
                reached = max(reached, roles)
                continue
            found = _told(Bench(part, roles))
            if isinstance(found, Found):
                return found
            reached = max(reached, found)
    except (TypeError, ValueError, KeyError, IndexError, CheckpointError):
        return reached  # no arithmetic of one shape and float32
    return reached


def _roles(part: Part, nexts: Sequence[str]) -> Iterator[Roles | int]:
    """Yield what the values may be, told by which of them are whole, and what depends on what."""
    given = part.random(256)
    made = part.run(given)
    if any(x.dtype != np.float32 for x in made.values()):
        return
    spikes = {name: gain for name, x in made.items() if (gain := gain_of(x))}
    if not spikes:
        yield 1
        return
    first = next(iter(spikes))
    alike = tuple(n for n in spikes if (made[n] == made[first]).all())
    ends = [name for name in part.ends if name not in spikes]
    if len(alike) < len(spikes) or len(ends) != len(part.states) or not set(ends) <= set(nexts):
        yield 2
        return
    for drives in itertools.permutations(part.drives):
        if len(ends) == 1:
            yield Roles(drives, part.states[0], ends[0], alike, spikes[first])
            continue
        for v, i in itertools.permutations(part.states):
            moved = part.run({**given, v: given[v] + np.float32(1)})
            still = [name for name in ends if (moved[name] == made[name]).all()]
            if len(still) == 1:
                v_end = next(name for name in ends if name not in still)
                yield Roles(drives, v, v_end, alike, spikes[first], i, still[0])


def gain_of(x: Array) -> float:
    """Return what one spike counts, if all values are whole multiples of it; else 0."""
    if x.dtype != np.float32 or (x < 0).any() or not x.any() or x.all():
        return 0.0
    values = np.unique(x)
    unit = values[values > 0][0]
    counts = values / unit
    return float(unit) if (counts == np.rint(counts)).all() else 0.0


def _told(bench: Bench) -> Found | int:
    """Hold each rule against the part."""
    reached = 3
    for update in updates(bench):
        spiking = Spiking(bench, update)
        threshold = spiking.threshold()
        reached = max(reached, 4)
        if threshold is None:
            continue
        reached = 5
        found = _held(bench, spiking, threshold)
        if found is not None:
            return found
    return reached


def _held(bench: Bench, spiking: Spiking, threshold: Threshold) -> Found | None:
    count, size = max(64, _PROBES // bench.neurons), float(np.abs(threshold.least).max())
    few = bench.random(64, size)
    many = [
        bench.random(count), bench.random(count, size), spiking.near(threshold.least),
        _beside(bench, threshold),
    ]  # fmt: skip
    truth = [bench.truth(given) for given in (few, *many)]
    for guess in spiking.guesses(threshold):
        inside = _reachable(guess, threshold)
        for bounded in (False, True) if inside is not None else (False,):
            limit = inside if bounded else None
            if all(_agrees(bench, guess, given, made, limit)
                   for given, made in zip((few, *many), truth, strict=True)):  # fmt: skip
                return Found(bench.roles, guess, bench.part.shape, bounded)
    return None


def _reachable(guess: Guess, threshold: Threshold) -> Array | None:
    """Return the greatest potential that a step may begin with, if a reset bounds it."""
    now = guess.rule.reset is Reset.SET and guess.rule.reset_timing is ResetTiming.NOW
    value = guess.neuron["v_reset"].value if now else np.inf
    return threshold.below if (value <= threshold.below).all() else None


def _agrees(
    bench: Bench,
    guess: Guess,
    given: Mapping[str, Array],
    truth: Mapping[str, Array],
    limit: Array | None,
) -> bool:
    names = ("spikes", "v", "i") if bench.roles.i else ("spikes", "v")
    found = same(bench.guessed(guess, given), truth, names)
    if limit is not None:
        found |= given[bench.roles.v] > limit
    return bool(found.all())


def _beside(bench: Bench, threshold: Threshold) -> dict[str, Array]:
    """Return probes that begin at the threshold, beside it, and at multiples of it."""
    rows = [threshold.below, threshold.least, np.nextafter(threshold.least, np.float32(np.inf)),
            2 * threshold.least, 3 * threshold.below, -threshold.least]  # fmt: skip
    v = np.tile(np.stack(rows), (64, 1)).astype(np.float32)
    x = (2 * threshold.least * bench.rng.normal(0, 1, v.shape)).astype(np.float32)
    x[: len(rows)] = 0
    return bench.probe(x, v, x[::-1], 0)
