"""Neurons in other tools' graphs: arithmetic between states, told by what it does to probes.

A part of a graph that takes inputs and states, and gives spikes and the next states, is computed
on some thousands of them; it is a neuron if one rule of the family gives the same bits on all,
those on both sides of each of its comparisons and bounds included. Names play no part.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snnbridge import CheckpointError, Layer
from snnbridge.model import Array
from snnbridge_plugins.onnx.foreign.neurons.bench import Bench, Guess, Roles
from snnbridge_plugins.onnx.foreign.neurons.computing import Part, TooMuchError
from snnbridge_plugins.onnx.foreign.neurons.holding import held
from snnbridge_plugins.onnx.foreign.neurons.numbers import shaped
from snnbridge_plugins.onnx.foreign.neurons.spiking import Spiking
from snnbridge_plugins.onnx.foreign.neurons.updates import updates
from snnbridge_plugins.onnx.foreign.neurons.widening import holds_for_all, widened

#: Neurons with numbers of their own in one layer.
_MOST_NEURONS = 1 << 22
#: What a part that is no neuron of the family lacks, from the first that is looked at to the last.
REASONS = (
    "it cannot be computed on probes",
    "nothing in it takes the values of spikes",
    "its next states are not those of a membrane potential and at most one synapse",
    "its potential follows no update of the family",
    "its spikes follow no threshold above 0",
    "its reset is none of the family, or a bound or a comparison in it does more than the rule",
    "not all of its neurons do what some of them do",
    "the probes for it would take too long: its neurons, or those before it, are too many",
)
_NOT_ALL, _TOO_MUCH = len(REASONS) - 2, len(REASONS) - 1


@dataclass(frozen=True)
class Found:
    """A neuron, and the values that stand for what goes in and out of it.

    Attributes
    ----------
    roles : Roles
    guess : Guess
    shape : tuple of int
        Along which its numbers differ.
    reach : float
        Up to which size of inputs and states it was held against the graph.
    bounded : bool
        Whether it was held against potentials up to the threshold alone: from rest a neuron that
        is reset to less gets no further.
    """

    roles: Roles
    guess: Guess
    shape: tuple[int, ...]
    reach: float
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
    if part.neurons > _MOST_NEURONS:
        return _TOO_MUCH
    reached = 0
    try:
        for roles in _roles(part.few, nexts):
            found = roles if isinstance(roles, int) else _told(part, roles)
            if isinstance(found, Found):
                return found
            reached = max(reached, found)
    except TooMuchError:
        return _TOO_MUCH
    except (TypeError, ValueError, KeyError, IndexError, CheckpointError):
        return reached  # no arithmetic of one shape and width
    return reached


def _roles(part: Part, nexts: Sequence[str]) -> Iterator[Roles | int]:
    """Yield what the values may be, told by which of them are whole, and what depends on what."""
    given = part.random(256)
    made = part.run(given)
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
    if any(made[name].dtype != part.dtype for name in ends):
        return
    for drives in itertools.permutations(part.drives):
        if len(ends) == 1:
            yield Roles(drives, part.states[0], ends[0], alike, spikes[first])
            continue
        for v, i in itertools.permutations(part.states):
            moved = part.run({**given, v: given[v] + part.dtype.type(1)})
            still = [name for name in ends if (moved[name] == made[name]).all()]
            if len(still) == 1:
                v_end = next(name for name in ends if name not in still)
                yield Roles(drives, v, v_end, alike, spikes[first], i, still[0])


def gain_of(x: Array) -> float:
    """Return what one spike counts, if all values are whole multiples of it; else 0."""
    if x.dtype not in (np.float32, np.float64) or (x < 0).any() or not x.any() or x.all():
        return 0.0
    values = np.unique(x)
    # One spike, or where no probe made a single one the least that two of them differ by.
    for unit in (values[values > 0][0], np.diff(values).min()):
        counts = values / unit
        if (counts == np.rint(counts)).all():
            return float(unit)
    return 0.0


def _told(part: Part, roles: Roles) -> Found | int:
    """Hold each rule against the neurons that stand for all, then that which fits against all."""
    bench, reached = Bench(part.few, roles), 3
    for update in updates(bench):
        spiking = Spiking(bench, update)
        threshold = spiking.threshold()
        reached = max(reached, 4)
        if threshold is None:
            continue
        reached = max(reached, 5)
        for guess, limit in held(bench, spiking, threshold):
            wide = widened(part, guess)
            end = holds_for_all(part, roles, wide, limit is not None) if wide else 0.0
            if wide and end:
                return Found(roles, wide, part.shape, end, limit is not None)
            reached = _NOT_ALL
    return reached
