"""Two networks side by side in the simulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge.model import Array, Layer, Neuron, SNNCheckpoint, Subgraph, Trace
from snnbridge.simulator import Simulator
from snnbridge.simulator.layout import network_of
from snnbridge.simulator.network import Network
from snnbridge.simulator.unknowns import missing_values, refuse_unknown
from snnbridge.verifier.alignment import Alignment, Together, alignments
from snnbridge.verifier.matching import matched, matched_inputs
from snnbridge.verifier.measures import (
    Pair,
    count_readouts,
    count_spikes,
    simulated_membranes,
    unequal_readouts,
    unjudged_membranes,
)
from snnbridge.verifier.partings import Partings, any_neuron, beyond_rounding
from snnbridge.verifier.reach import reached
from snnbridge.verifier.result import LayerAgreement, Verification
from snnbridge.verifier.stimulus import Drive, chosen
from snnbridge.verifier.units import Unit

_BLOCK_BYTES = 64 << 20


class Comparison:
    """Two networks side by side: their layers matched, ready to be run.

    Parameters
    ----------
    left, right : SNNCheckpoint
    tolerance : float
    latency, rounding : bool
        As for :func:`snnbridge.verify`.
    """

    def __init__(
        self,
        left: SNNCheckpoint,
        right: SNNCheckpoint,
        tolerance: float,
        latency: bool = False,
        rounding: bool = False,
    ) -> None:
        self.raw = (with_raw_traces(left), with_raw_traces(right))
        self.networks = (network_of(self.raw[0]), network_of(self.raw[1]))
        self.tolerance = tolerance
        self.pairs, self.matched_by = matched(*self.networks)
        self.inputs = matched_inputs(*self.networks)
        self.found = [agreement(self.networks[0], a, b) for a, b in self.pairs]
        self.latency, self.rounding = latency, rounding
        places = {node.key[0]: n for n, node in enumerate(self.networks[0].nodes)}
        self.order = sorted(range(len(self.pairs)), key=lambda i: places[self.pairs[i][0]])
        for x, aligned in zip(self.found, self.alignments(), strict=True):
            x.latency = aligned.latency
        self.units = [
            (Unit.of(self.networks[0], ours), Unit.of(self.networks[1], theirs))
            for ours, theirs in self.pairs
        ]

    def run(self, inputs: Any, steps: int, seed: int, rate: float, progress: Any) -> Verification:
        """Run both and compare; the arguments are those of :func:`snnbridge.verify`."""
        drive = self._drive(inputs, steps, seed, rate)
        steps, samples = drive.size
        hitting = np.isin(np.arange(samples), drive.hitting)
        behind = reached(self.networks, [self.pairs[i] for i in self.order])
        partings = Partings(hitting, behind, drive.is_made, self.rounding)
        simulators = [Simulator(raw) for raw in self.raw]
        aligned, together = self.alignments(), Together(len(self.pairs))
        for end, results in self._blocks(simulators, drive.inputs, steps, samples):
            for i, alignment in enumerate(aligned):
                together.put(i, *alignment.pair(results[0][i], results[1][i]))
            self._compare(list(together.take()), partings)
            if progress is not None:
                progress("simulating", end, steps)
        self._compare(list(together.take(all=True)), partings)
        notes = dict.fromkeys(note for simulator in simulators for note in simulator.notes)
        return Verification.of(
            self.found, self.matched_by, steps, samples, list(notes), partings=partings
        )

    def alignments(self) -> list[Alignment]:
        """Return for each pair of layers how far apart the same things happen in them."""
        if self.latency:
            return alignments(*self.networks, self.pairs)
        return [Alignment() for _ in self.pairs]

    def stimulus(self, inputs: Any, steps: int, seed: int, rate: float) -> dict[str, Array]:
        """Return the stimulus by the left network's input layers: the given one, or a made one."""
        return dict(self._drive(inputs, steps, seed, rate).inputs)

    def _drive(self, inputs: Any, steps: int, seed: int, rate: float) -> Drive:
        return chosen(inputs, self.raw[0], self.networks[0], steps=steps, seed=seed, rate=rate)

    def _blocks(
        self, simulators: list[Simulator], given: Mapping[str, Array], steps: int, samples: int
    ) -> Iterator[tuple[int, Any]]:
        """Run both networks some steps at a time, so that memory stays bounded."""
        neurons = sum(x.neurons for x in self.found) or 1
        block = max(1, min(steps, _BLOCK_BYTES // (neurons * samples * 16)))
        states: list[Any] = [None, None]
        for start in range(0, steps, block):
            results = []
            for side, simulator in enumerate(simulators):
                names = [pair[side] for pair in self.pairs]
                part = {
                    self.inputs[name][side]: value[start : start + block]
                    for name, value in given.items()
                }
                record = recorded(names, self.found)
                done = simulator.run(part, record=record, initial=states[side])
                states[side] = done.state
                results.append(
                    [(done.traces[name, "v"], done.traces.get((name, "spikes"))) for name in names]
                )
            yield min(start + block, steps), results

    def _compare(self, signals: Sequence[tuple[int, Any, Any]], partings: Partings) -> None:
        """Compare the same steps of all layers."""
        sides = [_shaped(left, right) for _, left, right in signals]
        unequal = [self._unequal(i, *both) for i, both in enumerate(sides)]
        starts = [start for start, _, _ in signals]
        if partings.is_made and signals:
            partings.see(*self._in_order(starts, sides, unequal))
        for place, i in enumerate(self.order):
            start, (v, spikes) = starts[i], sides[i]
            if len(v[0]):
                judged = partings.judged(place, start, len(v[0]))
                self._count(i, start, v, spikes, unequal[i], judged, partings)

    def _unequal(self, i: int, v: Pair, spikes: Pair | None) -> Array:
        """Return where two layers differ: spikes, or values of a readout."""
        if not len(v[0]):
            return np.zeros(v[0].shape, np.bool_)
        if spikes is None:
            return unequal_readouts(self.found[i], v, self.tolerance)
        unequal: Array = spikes[0] != spikes[1]
        return unequal

    def _in_order(
        self, starts: Sequence[int], sides: Sequence[Any], unequal: Sequence[Array]
    ) -> tuple[int, list[tuple[Array, Array]]]:
        """Return the first step, and from there what `Partings.see` takes, causes first."""
        first = min(starts)
        found = []
        for i in self.order:
            v, spikes = sides[i]
            judges = spikes is not None and self._kinds(i) == ["lif", "lif"]
            real = beyond_rounding(unequal[i], v, self.units[i]) if judges else unequal[i]
            before = ((starts[i] - first, 0), (0, 0))
            found.append((np.pad(any_neuron(unequal[i]), before), np.pad(any_neuron(real), before)))
        return first, found

    def _count(
        self,
        i: int,
        start: int,
        v: Pair,
        spikes: Pair | None,
        unequal: Array,
        judged: Array,
        partings: Partings,
    ) -> None:
        x = self.found[i]
        if spikes is None:
            count_readouts(x, start, v, unequal, judged)
            return
        units, kinds = self.units[i], self._kinds(i)
        count_spikes(x, start, spikes, v, units[0].threshold, judged)
        if kinds[0] != kinds[1]:
            x.largest_difference = None  # two states that mean different things
        elif kinds[0] == "lif":
            simulated_membranes(x, v, units, self.tolerance, judged, partings.forgiven)
        else:
            unjudged_membranes(x, v, judged)

    def _kinds(self, i: int) -> list[str]:
        """Return of which kind the neurons of two matched layers are."""
        layers = [n.layers[name] for n, name in zip(self.networks, self.pairs[i], strict=True)]
        return [layer.model for layer in layers if isinstance(layer, Neuron)]


def _shaped(left: Any, right: Any) -> tuple[Pair, Pair | None]:
    """Return the membranes and the spikes of both sides in the left one's shape."""
    (v_left, s_left), (v_right, s_right) = left, right
    v = (v_left, v_right.reshape(v_left.shape))
    return v, None if s_left is None else (s_left, s_right.reshape(s_left.shape))


def with_raw_traces(checkpoint: SNNCheckpoint) -> SNNCheckpoint:
    """Have every neuron show its membrane potential before the reset: what the threshold sees.

    Raises
    ------
    UnknownValue
        If the network does not state what it computes.
    """
    layers = {name: _raw(layer) for name, layer in checkpoint.layers.items()}
    shown = replace(checkpoint, layers=layers, source=None)
    refuse_unknown(missing_values(shown))
    return shown


def _raw(layer: Layer) -> Layer:
    if isinstance(layer, Subgraph):
        return replace(layer, layers={name: _raw(x) for name, x in layer.layers.items()})
    if isinstance(layer, Neuron):
        return replace(layer, rule=replace(layer.rule, trace=Trace.RAW))
    return layer


def recorded(names: list[str], found: list[LayerAgreement]) -> dict[str, tuple[str, ...]]:
    """Return what to record of layers: membranes, and spikes where there are any."""
    pairs = zip(names, found, strict=True)
    return {name: ("v", "spikes") if x.spiking else ("v",) for name, x in pairs}


def agreement(network: Network, left: str, right: str) -> LayerAgreement:
    """Return the empty record of two matched layers."""
    layer = network.layers[left]
    assert isinstance(layer, Neuron)
    size = int(np.prod(network.shapes_out[left]))
    return LayerAgreement(left, right, size, spiking=is_spiking(layer))


def is_spiking(layer: Neuron) -> bool:
    """Whether a layer's spikes are compared; neurons of plugins always have some."""
    return layer.rule.spiking is True or layer.model != "lif"
