"""Do two networks do the same? The same stimulus into both, and every spike compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge.compare import differences
from snnbridge.errors import CheckpointError
from snnbridge.model import Array, Layer, Neuron, SNNCheckpoint, Subgraph, Trace
from snnbridge.simulator import simulate
from snnbridge.simulator.network import Network, network_of
from snnbridge.verifier.result import VERDICTS, Divergence, LayerAgreement, Verification
from snnbridge.verifier.stimulus import stimulus, thresholds

__all__ = ["VERDICTS", "Divergence", "LayerAgreement", "Verification", "verify"]

#: What a network computes with; the rest of a checkpoint does not bear on its behaviour.
_BEHAVIOUR = ("layers", "connections", "dt", "state", "step")
_BLOCK_BYTES = 64 << 20
#: How far readouts may differ, as a share of their largest value.
_READOUT_TOLERANCE = 1e-4


def verify(
    left: SNNCheckpoint,
    right: SNNCheckpoint,
    *,
    steps: int = 100,
    seed: int = 0,
    rate: float = 0.1,
    inputs: Mapping[str, Array] | Array | None = None,
    tolerance: float = 0.0,
    progress: Callable[[str, int, int], object] | None = None,
) -> Verification:
    """Compare what two networks do under the same stimulus.

    Parameters
    ----------
    left, right : SNNCheckpoint
        Layers are matched by name; where the names differ, by order and size.
    steps, seed : int
        Of the stimulus that is made: random spikes, and constant currents that drive single
        neurons of the left network to their threshold.
    rate : float
        Probability of a spike per input and step.
    inputs : array or mapping of arrays, optional
        A stimulus of your own, shape (steps, batch, *layer shape), by the left network's input
        layers.
    tolerance : float
        How far two membrane potentials may differ, as a share of the threshold, without the
        verdict becoming indeterminate although they come closer to the threshold than that.
    progress : function of (phase, done, total), optional

    Returns
    -------
    Verification

    Raises
    ------
    UnknownValue
        Listing what a network does not state.
    CheckpointError
        If a network cannot be simulated, or the two cannot be matched.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Connection, Linear, SNNCheckpoint, rules, verify
    >>> def net(threshold):
    ...     lif = rules.get("snntorch", "Leaky").build(
    ...         "lif", shape=(2,), beta=0.5, threshold=threshold)
    ...     return SNNCheckpoint([Linear("fc", np.eye(2, dtype=np.float32)), lif],
    ...                          connections=[Connection("fc", "lif")])
    >>> verify(net(1.0), net(1.0)).verdict, verify(net(1.0), net(1.5)).verdict
    ('identical', 'different')
    """
    if steps < 1 or not 0 <= rate <= 1 or tolerance < 0:
        raise CheckpointError(
            f"steps must be at least 1, rate between 0 and 1, tolerance at least 0; "
            f"found {steps}, {rate}, {tolerance}"
        )
    if not any(d.path[0] in _BEHAVIOUR for d in differences(left, right)):
        return Verification("identical")
    return Comparison(left, right, tolerance).run(inputs, steps, seed, rate, progress)


class Comparison:
    """Two networks side by side: their layers matched, ready to be run.

    Parameters
    ----------
    left, right : SNNCheckpoint
    tolerance : float
        As for :func:`verify`.
    """

    def __init__(self, left: SNNCheckpoint, right: SNNCheckpoint, tolerance: float) -> None:
        self.raw = (_with_raw_traces(left), _with_raw_traces(right))
        for checkpoint in self.raw:
            _refuse_unsimulated(checkpoint)
        self.networks = (network_of(self.raw[0]), network_of(self.raw[1]))
        self.tolerance = tolerance
        self.pairs, self.matched_by = _matched(*self.networks)
        self.inputs = _matched_inputs(*self.networks)
        self.found = [_agreement(self.networks[0], a, b) for a, b in self.pairs]
        self.thresholds = [
            tuple(
                thresholds(n, name) if x.spiking else np.zeros(())
                for n, name in zip(self.networks, pair, strict=True)
            )
            for pair, x in zip(self.pairs, self.found, strict=True)
        ]

    def run(self, inputs: Any, steps: int, seed: int, rate: float, progress: Any) -> Verification:
        given = self.stimulus(inputs, steps, seed, rate)
        steps, samples = next(iter(given.values())).shape[:2]
        for start, results in self._blocks(given, steps, samples):
            for i in range(len(self.found)):
                self._compare(i, start, results)
            if progress is not None:
                progress("simulating", min(steps, start + 1), steps)
        return Verification(self._verdict(), tuple(self.found), self.matched_by, steps, samples)

    def stimulus(self, inputs: Any, steps: int, seed: int, rate: float) -> dict[str, Array]:
        """Return the stimulus by the left network's input layers: the given one, or a made one."""
        names = self.networks[0].inputs
        if inputs is None:
            return stimulus(self.raw[0], self.networks[0], steps=steps, seed=seed, rate=rate)
        if isinstance(inputs, Mapping):
            return {name: np.asarray(value) for name, value in inputs.items()}
        if len(names) != 1:
            raise CheckpointError(f"the network has several inputs, name them: {', '.join(names)}")
        return {names[0]: np.asarray(inputs)}

    def _blocks(
        self, given: Mapping[str, Array], steps: int, samples: int
    ) -> Iterator[tuple[int, Any]]:
        """Run both networks some steps at a time, so that memory stays bounded."""
        neurons = sum(x.neurons for x in self.found) or 1
        block = max(1, min(steps, _BLOCK_BYTES // (neurons * samples * 16)))
        states: list[Any] = [None, None]
        for start in range(0, steps, block):
            part = {name: value[start : start + block] for name, value in given.items()}
            results = []
            for side in (0, 1):
                names = [pair[side] for pair in self.pairs]
                done = simulate(
                    self.raw[side],
                    {self.inputs[name][side]: value for name, value in part.items()},
                    record={
                        name: ("v", "spikes") if x.spiking else ("v",)
                        for name, x in zip(names, self.found, strict=True)
                    },
                    initial=states[side],
                )
                states[side] = done.state
                results.append(
                    [(done.traces[name, "v"], done.traces.get((name, "spikes"))) for name in names]
                )
            yield start, results

    def _compare(self, i: int, start: int, results: Any) -> None:
        agreement = self.found[i]
        (h_left, s_left), (h_right, s_right) = results[0][i], results[1][i]
        h_right = h_right.reshape(h_left.shape)
        if agreement.spiking:
            self._compare_spikes(
                i, start, (h_left, h_right), (s_left, s_right.reshape(s_left.shape))
            )
        else:
            self._compare_readout(agreement, start, h_left, h_right)

    def _compare_spikes(self, i: int, start: int, h: Any, s: Any) -> None:
        x = self.found[i]
        unequal = s[0] != s[1]
        x.places += unequal.size
        x.spikes_left += int(s[0].sum(dtype=np.int64))
        x.spikes_right += int(s[1].sum(dtype=np.int64))
        count = int(np.count_nonzero(unequal))
        if count and x.first is None:
            x.first = _divergence(unequal, start, h, self.thresholds[i][0])
        x.differing += count
        theta = self.thresholds[i]
        scale = _scale(*theta)
        gap = np.abs(h[0].astype(np.float64) - h[1].astype(np.float64) * scale)
        margin = np.minimum(
            np.abs(h[0] - theta[0]), np.abs(h[1] * scale - theta[1].reshape(theta[0].shape) * scale)
        )
        x.largest_difference = max(x.largest_difference, float(gap.max(initial=0.0)))
        allowed = self.tolerance * np.abs(theta[0])
        slack = np.where((gap == 0) | (gap <= allowed), np.inf, margin - gap)
        x.smallest_margin = min(x.smallest_margin, float(slack.min(initial=np.inf)))
        x.close += int(np.count_nonzero(slack <= 0))

    def _compare_readout(self, x: LayerAgreement, start: int, left: Array, right: Array) -> None:
        gap = np.abs(left.astype(np.float64) - right.astype(np.float64))
        size = max(float(np.abs(left).max(initial=0.0)), 1e-30)
        unequal = gap > max(_READOUT_TOLERANCE, self.tolerance) * size
        x.places += unequal.size
        x.largest_difference = max(x.largest_difference, float(gap.max(initial=0.0)))
        count = int(np.count_nonzero(unequal))
        if count and x.first is None:
            x.first = _divergence(unequal, start, (left, right), np.full((), np.nan))
        x.differing += count

    def _verdict(self) -> str:
        if any(x.differing for x in self.found):
            return "different"
        return "indeterminate" if any(x.close for x in self.found) else "equivalent"


def _scale(left: Array, right: Array) -> Array:
    """Return the factor from the right network's potentials to the left one's."""
    right = right.reshape(left.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = left / right
    return np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)


def _divergence(unequal: Array, start: int, h: Any, theta: Array) -> Divergence:
    step, sample, *neuron = (int(n) for n in np.argwhere(unequal)[0])
    place = (step, sample, *neuron)
    at = np.broadcast_to(theta, unequal.shape[2:])[tuple(neuron)]
    return Divergence(
        start + step, sample, tuple(neuron), float(h[0][place]), float(h[1][place]), float(at)
    )


def _with_raw_traces(checkpoint: SNNCheckpoint) -> SNNCheckpoint:
    """Have every neuron show its membrane potential before the reset: what the threshold sees."""
    layers = {name: _raw(layer) for name, layer in checkpoint.layers.items()}
    return replace(checkpoint, layers=layers, source=None)


def _raw(layer: Layer) -> Layer:
    if isinstance(layer, Subgraph):
        return replace(layer, layers={name: _raw(x) for name, x in layer.layers.items()})
    if isinstance(layer, Neuron):
        return replace(layer, rule=replace(layer.rule, trace=Trace.RAW))
    return layer


def _refuse_unsimulated(checkpoint: SNNCheckpoint) -> None:
    from snnbridge.simulator.unknowns import missing_values, refuse_unknown

    refuse_unknown(missing_values(checkpoint))


def _matched(left: Network, right: Network) -> tuple[list[tuple[str, str]], str]:
    """Match the neuron layers: by name, and what is left over by order and size."""
    a, b = (
        [name for name, layer in n.layers.items() if isinstance(layer, Neuron)]
        for n in (left, right)
    )
    common = [name for name in a if name in b]
    rest = [[name for name in names if name not in common] for names in (a, b)]
    sizes = [
        [int(np.prod(n.shapes_out[name])) for name in names]
        for n, names in zip((left, right), rest, strict=True)
    ]
    if sizes[0] != sizes[1]:
        raise CheckpointError(
            f"the neuron layers cannot be matched: {rest[0]} of sizes {sizes[0]} on the left, "
            f"{rest[1]} of sizes {sizes[1]} on the right"
        )
    partner = {**{name: name for name in common}, **dict(zip(rest[0], rest[1], strict=True))}
    return [(name, partner[name]) for name in a], "structure" if rest[0] else "name"


def _matched_inputs(left: Network, right: Network) -> dict[str, tuple[str, str]]:
    if len(left.inputs) != len(right.inputs):
        raise CheckpointError(
            f"the networks differ in their inputs: {left.inputs} on the left, {right.inputs} on "
            "the right"
        )
    same = set(left.inputs) == set(right.inputs)
    partners = left.inputs if same else right.inputs
    for a, b in zip(left.inputs, partners, strict=True):
        if left.shapes_in[a] != right.shapes_in[b]:
            raise CheckpointError(
                f"input {a!r} takes shape {left.shapes_in[a]}, input {b!r} of the other network "
                f"{right.shapes_in[b]}"
            )
    return {a: (a, b) for a, b in zip(left.inputs, partners, strict=True)}


def _agreement(network: Network, left: str, right: str) -> LayerAgreement:
    layer = network.layers[left]
    assert isinstance(layer, Neuron)
    size = int(np.prod(network.shapes_out[left]))
    return LayerAgreement(left, right, size, spiking=layer.rule.spiking is True)
