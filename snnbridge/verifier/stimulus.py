"""The stimulus of a verification: seeded spikes at several rates, and drives to the threshold."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import Array, Layer, Neuron, Shape, SNNCheckpoint
from snnbridge.simulator import simulate
from snnbridge.simulator.layout import network_of
from snnbridge.simulator.network import Network
from snnbridge.simulator.sizes import available_memory
from snnbridge.simulator.stimulus import Dense, Events, refuse_odd, stimuli_of
from snnbridge.simulator.unknowns import missing_values, refuse_unknown
from snnbridge.verifier.units import Unit

#: Rows of random spikes, as multiples of the rate that is asked for.
_RATES = (1.0, 1.0, 0.3, 3.0)
_DRIVEN = 6
#: While it is made: a float64, a bool and a float32, and the float32 of the whole.
_BYTES_PER_ELEMENT = 17


@dataclass(frozen=True, slots=True)
class Drive:
    """What both networks get.

    Parameters
    ----------
    inputs : mapping of str to numpy.ndarray
        Shape ``(steps, batch, *layer shape)``, by input layer.
    hitting : range
        The samples that were made to take a neuron to its threshold.
    is_made : bool
        Whether it is not the user's own.
    """

    inputs: Mapping[str, Array]
    hitting: range = field(default=range(0))
    is_made: bool = True

    @property
    def size(self) -> tuple[int, int]:
        """How many steps and samples there are."""
        steps, samples = next(iter(self.inputs.values())).shape[:2]
        return steps, samples


def chosen(
    inputs: Any, raw: SNNCheckpoint, network: Network, *, steps: int, seed: int, rate: float
) -> Drive:
    """Return a stimulus: the given one, or one that is made.

    Raises
    ------
    CheckpointError
        For an input that does not fit or holds a number that is not finite, or too little memory to
        make one.
    """
    if inputs is None:
        return stimulus(raw, network, steps=steps, seed=seed, rate=rate)
    shapes = {name: network.shapes_in[name] for name in network.inputs}
    given, steps, samples = stimuli_of(inputs, shapes, None)
    refuse_odd(given, np.dtype(np.float64))
    if any(isinstance(x, Events) for x in given.values()):
        _refuse_memory(steps, samples, shapes)
    own = {
        name: x.values
        if isinstance(x, Dense)
        else x.block(0, steps)[0].reshape(steps, samples, *shapes[name])
        for name, x in given.items()
    }
    return Drive(own, is_made=False)


def stimulus(raw: SNNCheckpoint, network: Network, *, steps: int, seed: int, rate: float) -> Drive:
    """Make an input for every input layer.

    The first rows of the batch are random spikes, at the rate and at fractions and multiples of
    it; one is a spike everywhere at every step. The others are constant currents, each of a size
    that takes one neuron of the first spiking layers to its threshold in the first step, and the
    float just below: there `>` and `>=`, and two roundings of one sum, come apart.

    Parameters
    ----------
    raw : SNNCheckpoint
        With traces before the reset.
    network : Network
        Of that checkpoint.
    steps, seed, rate
        As for :func:`snnbridge.verify`.

    Returns
    -------
    Drive
        Of float32.
    """
    rng = np.random.default_rng(seed)
    rates = np.array([min(r * rate, 1.0) for r in _RATES] + [1.0])
    shapes = {name: network.shapes_in[name] for name in network.inputs}
    currents = threshold_currents(raw, network)
    _refuse_memory(steps, len(rates) + len(currents), shapes)
    found = {}
    for name, shape in shapes.items():
        size = (steps, len(rates), *shape)
        level = rates.reshape(1, -1, *(1,) * len(shape))
        spikes = (rng.random(size) < level).astype(np.float32)
        driven = np.broadcast_to(
            currents.reshape(1, -1, *(1,) * len(shape)), (steps, len(currents), *shape)
        )
        found[name] = np.concatenate([spikes, driven.astype(np.float32)], axis=1)
    # The last current is one of size 1, whatever the thresholds are.
    return Drive(found, range(len(rates), len(rates) + len(currents) - 1))


def random_spikes(
    checkpoint: SNNCheckpoint, *, steps: int, seed: int, rate: float
) -> dict[str, Array]:
    """Make random spikes for every input layer, one sample.

    Returns
    -------
    dict of str to numpy.ndarray
        float32, shape (steps, 1, *layer shape), by input layer.

    Raises
    ------
    UnknownValue
        If the network does not state what it computes.
    """
    refuse_unknown(missing_values(checkpoint))
    network = network_of(checkpoint)
    _refuse_memory(steps, 1, {name: network.shapes_in[name] for name in network.inputs})
    rng = np.random.default_rng(seed)
    return {
        name: (rng.random((steps, 1, *network.shapes_in[name])) < rate).astype(np.float32)
        for name in network.inputs
    }


def _refuse_memory(steps: int, samples: int, shapes: Mapping[str, Shape]) -> None:
    """Refuse a stimulus that does not fit, before any of it is made."""
    elements = steps * samples * sum(math.prod(shape) for shape in shapes.values())
    needed, there = elements * _BYTES_PER_ELEMENT, available_memory()
    if needed > (sys.maxsize if there is None else there):
        free = "" if there is None else f", but {there >> 20:,} MiB are free"
        raise CheckpointError(
            f"a stimulus of {steps:,} steps needs about {needed >> 20:,} MiB{free}; "
            "take fewer steps"
        )


def threshold_currents(raw: SNNCheckpoint, network: Network) -> Array:
    """Return sizes of a constant input that take single neurons to their threshold.

    Until the first spike a membrane potential is linear in the size of the input: two steps,
    without input and with an input of one, tell the line.
    """
    shapes = {name: network.shapes_in[name] for name in network.inputs}
    neurons = [n for n, layer in network.layers.items() if _spikes(layer)]
    if not neurons:
        return np.ones(1, np.float32)
    record = dict.fromkeys(neurons, ("v",))
    silent, driven = (
        simulate(raw, _constant(shapes, value), record=record).traces for value in (0.0, 1.0)
    )
    sizes: list[float] = []
    for name in neurons:
        base, slope = silent[name, "v"].ravel(), (driven[name, "v"] - silent[name, "v"]).ravel()
        theta = Unit.of(network, name).threshold.ravel()
        with np.errstate(divide="ignore", invalid="ignore"):
            at = (theta - base) / slope
        sizes += sorted(at[np.isfinite(at) & (at > 0) & (at < 1e6)].tolist())
    spread = np.linspace(0, len(sizes) - 1, min(_DRIVEN, len(sizes))).astype(int)
    exact = np.array([sizes[i] for i in spread], np.float32)
    return np.concatenate([exact, np.nextafter(exact, np.float32(0)), np.ones(1, np.float32)])


def _constant(shapes: Mapping[str, Shape], value: float) -> dict[str, Array]:
    return {name: np.full((1, 1, *shape), value, np.float32) for name, shape in shapes.items()}


def _spikes(layer: Layer) -> TypeGuard[Neuron]:
    return isinstance(layer, Neuron) and layer.rule.spiking is True
