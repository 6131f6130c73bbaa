"""A network in the simulator beside a file that its own engine runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import UNKNOWN, Array, Neuron, SNNCheckpoint
from snnbridge.simulator import simulate
from snnbridge.simulator.layout import network_of
from snnbridge.simulator.network import Network
from snnbridge.verifier.comparison import agreement, is_spiking, recorded, with_raw_traces
from snnbridge.verifier.measures import (
    count_readouts,
    count_spikes,
    shown_membranes,
    unequal_readouts,
)
from snnbridge.verifier.result import LayerAgreement, Verification
from snnbridge.verifier.stimulus import chosen
from snnbridge.verifier.units import Unit

#: From arrays by input layer to arrays by (layer, variable), all ``(steps, batch, *layer shape)``.
Engine = Callable[[Mapping[str, Array]], Mapping[tuple[str, str], Array]]


class Execution:
    """A network, and what an engine makes of the same input.

    Layers are matched by name. Those that the engine does not return are not judged; those of
    which it returns no membranes are judged by their spikes. Of a network without neurons, the
    outputs are compared.

    Parameters
    ----------
    left : SNNCheckpoint
    engine : function
        See :func:`snnbridge.bridge.engine`.
    tolerance : float
        As for :func:`snnbridge.verify`.
    """

    def __init__(self, left: SNNCheckpoint, engine: Engine, tolerance: float) -> None:
        self.left = left
        self.raw = with_raw_traces(left)
        self.network = network_of(self.raw)
        self.engine = engine
        self.tolerance = tolerance

    def run(self, inputs: Any, steps: int, seed: int, rate: float, progress: Any) -> Verification:
        """Run both and compare; the arguments are those of :func:`snnbridge.verify`."""
        drive = chosen(inputs, self.raw, self.network, steps=steps, seed=seed, rate=rate)
        given, (steps, samples) = drive.inputs, drive.size
        returned = self.engine(given)
        if not any(isinstance(layer, Neuron) for layer in self.network.layers.values()):
            return self._run_outputs(given, returned, (steps, samples), progress)
        names = _returned_layers(self.network, returned)
        found = [agreement(self.network, name, name) for name in names]
        record = recorded(names, found)
        raw = simulate(self.raw, given, record=record, progress=_steps(progress)).traces
        both = _shown(network_of(self.left), record, returned)
        shown = simulate(self.left, given, record=both).traces
        for x in found:
            self._compare(x, returned, raw, shown, (steps, samples))
        return Verification.of(found, "name", steps, samples)

    def _run_outputs(
        self, given: Any, returned: Any, size: tuple[int, int], progress: Any
    ) -> Verification:
        """Compare the outputs of a network without neurons, as readouts."""
        traces = simulate(self.left, given, progress=_steps(progress)).outputs
        found = []
        for name, ours in traces.items():
            theirs = _shaped(returned, (name, "output"), ours.shape)
            if theirs is not None:
                x = LayerAgreement(name, name, int(np.prod(ours.shape[2:])), spiking=False)
                both = (ours, theirs)
                count_readouts(x, 0, both, unequal_readouts(x, both, self.tolerance))
                found.append(x)
        if not found:
            raise CheckpointError(
                f"the engine returns {_listed(returned)}; the left network has neither neurons nor "
                f"one of these outputs: {_listed((name, 'output') for name in traces)}"
            )
        return Verification.of(found, "name", *size)

    def _compare(
        self, x: LayerAgreement, returned: Any, raw: Any, shown: Any, size: tuple[int, int]
    ) -> None:
        name = x.left
        shape = (*size, *self.network.shapes_out[name])
        v = _shaped(returned, (name, "v"), shape)
        own = shown.get((name, "v"))
        if not x.spiking:
            count_readouts(x, 0, (own, v), unequal_readouts(x, (own, v), self.tolerance))
            return
        before_reset, theta = raw[name, "v"], Unit.of(self.network, name).threshold
        spikes = (raw[name, "spikes"], _shaped(returned, (name, "spikes"), shape))
        nothing = np.full((), np.nan)
        both = (own, v) if own is not None else (nothing, nothing)
        count_spikes(x, 0, spikes, both, theta)
        if own is None:
            x.largest_difference = None
        else:
            shown_membranes(x, both, before_reset, theta, self.tolerance)


def _returned_layers(network: Network, returned: Mapping[tuple[str, str], Array]) -> list[str]:
    """Return the neuron layers that an engine gives back, in the network's order."""
    needed = {
        name: "spikes" if is_spiking(layer) else "v"
        for name, layer in network.layers.items()
        if isinstance(layer, Neuron)
    }
    names = [name for name, variable in needed.items() if (name, variable) in returned]
    if not names:
        raise CheckpointError(
            f"the engine returns {_listed(returned)}; the left network has "
            f"{_listed(needed.items())}: no neuron layer of it can be compared"
        )
    return names


def _listed(pairs: Any) -> str:
    return ", ".join(f"{variable} of {name!r}" for name, variable in pairs) or "nothing"


def _shown(
    left: Network, record: Mapping[str, Any], returned: Mapping[tuple[str, str], Array]
) -> dict[str, tuple[str, ...]]:
    """Return the membranes that both sides can show."""
    return {
        name: ("v",)
        for name in record
        if (name, "v") in returned and left.layers[name].rule.trace is not UNKNOWN  # type: ignore[attr-defined]
    }


def _shaped(
    returned: Mapping[tuple[str, str], Array], key: tuple[str, str], shape: tuple[int, ...]
) -> Any:
    """Return one of an engine's arrays in the layer's own shape; None if it is not there."""
    if key not in returned:
        return None
    array = np.asarray(returned[key])
    if array.shape[:2] != shape[:2] or array.size != int(np.prod(shape)):
        raise CheckpointError(
            f"the engine returns {key[1]} of {key[0]!r} of shape {array.shape}, expected {shape}"
        )
    return array.reshape(shape)


def _steps(progress: Any) -> Any:
    if progress is None:
        return None
    return lambda done, steps: progress("simulating", done, steps)
