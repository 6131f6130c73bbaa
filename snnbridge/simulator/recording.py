"""What is recorded of a run: which signals, where each is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import UNKNOWN, Array, Neuron, Shape, Synapse
from snnbridge.simulator._kernel import Program
from snnbridge.simulator.lower import Lowering
from snnbridge.simulator.network import Network
from snnbridge.simulator.result import wanted_traces
from snnbridge.simulator.unknowns import refuse_unknown

#: Recordings by (layer, variable).
Traces: TypeAlias = Mapping[tuple[str, str], Array]

#: How the kernel reads off a signal.
_VALUES, _SPIKES_8, _SPIKES_32, _COUNTS = range(4)


class Recording:
    """What one run records, and the counts of its spikes.

    Parameters
    ----------
    lowering : Lowering
    program : Program
        That of the run.
    record : as `Simulator.run` takes it
    batch : int

    Attributes
    ----------
    pairs : list of (layer, variable)
    counts : dict of str to numpy.ndarray
        By spiking layer, int64, shape (batch, *layer shape).
    history : list of int
        How many past rows each node keeps for those who look back at it.
    """

    def __init__(self, lowering: Lowering, program: Program, record: Any, batch: int) -> None:
        self.lowering, self.network, self.program = lowering, lowering.network, program
        self.batch = batch
        self.pairs = wanted_traces(record, recordable(self.network), self._default())
        self.history = [node.history for node in self.network.nodes]
        self._widen_histories()
        shapes = self.network.shapes_out
        self.counts = {n: np.zeros((batch, *shapes[n]), np.int64) for n in self._spiking()}

    def _default(self) -> list[tuple[str, str]]:
        """Record what the output layers hand on, and the spikes of the neurons there."""
        wanted = [(name, "output") for name in self.network.outputs]
        for name in self.network.outputs:
            (source, what), _ = self.network.signal(name)
            layer = self.network.layers[source]
            if what == "out" and isinstance(layer, Neuron) and layer.rule.spiking is True:
                wanted.append((source, "spikes"))
        return list(dict.fromkeys(wanted))

    def _spiking(self) -> list[str]:
        layers = self.network.layers.items()
        return [n for n, x in layers if isinstance(x, Neuron) and x.rule.spiking is True]

    def _widen_histories(self) -> None:
        """Keep the rows that delayed recordings look back at."""
        read = [n for n, v in self.pairs if v in ("spikes", "output")] + self._spiking()
        for name in read:
            node, delay = self._tapped(name)
            self.history[node] = max(self.history[node], delay)
            self.lowering.declare(self.program, node, self.history[node], read=True)

    def row_bytes(self) -> int:
        """Return what one step of one sample takes."""
        return sum(
            int(np.prod(shape, dtype=np.int64)) * int(dtype.itemsize)
            for shape, dtype in (self._form(*pair) for pair in self.pairs)
        )

    def empty(self, steps: int) -> dict[tuple[str, str], Array]:
        """Return arrays for some steps, of shape (steps, batch, *layer shape)."""
        made = {}
        for pair in self.pairs:
            shape, dtype = self._form(*pair)
            made[pair] = np.empty((steps, self.batch, *shape), dtype)
        return made

    def _form(self, name: str, variable: str) -> tuple[Shape, np.dtype[Any]]:
        """Return the shape and the type of one step of one sample."""
        layer, shape = self.network.layers[name], self.network.shapes_out[name]
        if isinstance(layer, Neuron):
            most = layer.rule.max_spikes
            if variable == "spikes":
                small = isinstance(most, int) and most < 256
                return shape, np.dtype(np.uint8 if small else np.int32)
            if variable == "v" and layer.rule.spiking is True and layer.rule.trace is UNKNOWN:
                refuse_unknown([(name, "rule.trace")])
        if variable == "i" and isinstance(layer, Synapse) and layer.receptors != 1:
            shape = (*shape, layer.receptors)
        return shape, self.lowering.width

    # What the kernel writes

    def show(self, traces: Traces, keep: list[Any]) -> None:
        """Have states written while they are computed; `keep` must outlive that."""
        for (name, variable), array in traces.items():
            if variable in ("v", "i"):
                self.program.show(self.lowering.index[name, "out"], array, keep)

    def taps(self, traces: Traces) -> list[tuple[Any, ...]]:
        """Return what the kernel reads off after each block: (node, delay, what, gain, array)."""
        taps = [
            (*self._tapped(name), _COUNTS, self._gain(name), x) for name, x in self.counts.items()
        ]
        for (name, variable), array in traces.items():
            if variable == "output":
                taps.append((*self._tapped(name), _VALUES, None, array))
            elif variable == "spikes":
                wanted = _SPIKES_8 if array.dtype == np.uint8 else _SPIKES_32
                taps.append((*self._tapped(name), wanted, self._gain(name), array))
        return taps

    def _tapped(self, name: str) -> tuple[int, int]:
        key, delay = self.network.signal(name)
        return self.lowering.index[key], delay

    def _gain(self, name: str) -> Array | None:
        gain = self.lowering.numbers[name]["output_gain"]
        if (gain == 0).any():
            raise CheckpointError(f"layer {name!r}: output_gain must not be 0")
        return None if (gain == 1).all() else gain


def recordable(network: Network) -> dict[str, tuple[str, ...]]:
    """Return what can be recorded of each layer."""
    found: dict[str, tuple[str, ...]] = {}
    for name, layer in network.layers.items():
        variables: tuple[str, ...] = ("output",)
        if isinstance(layer, Neuron):
            variables = ("spikes", "v", "output") if layer.rule.spiking is True else ("v", "output")
        elif isinstance(layer, Synapse):
            variables = ("i", "output")
        found[name] = variables
    return found
