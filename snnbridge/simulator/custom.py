"""Networks with neurons whose step a plugin defines.

Such a network is cut into parts. A part holds layers that the kernel runs; between two parts
stand the plugin's neurons, whose input one part gives and whose output the next ones take. Where
nothing leads back to an earlier part, each part runs all steps at once; else they take turns,
step by step, and what leads back is handed on one step later with a delay that is one less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge.model import (
    Array,
    Neuron,
    Path,
    SNNCheckpoint,
    StateVariable,
)
from snnbridge.neurons import NeuronKind
from snnbridge.simulator.combinations import refuse_rules
from snnbridge.simulator.layout import network_of
from snnbridge.simulator.lower import Lowering, width_of
from snnbridge.simulator.network import Network
from snnbridge.simulator.parts import Cutter, Part, PluginNeuron
from snnbridge.simulator.recording import recordable
from snnbridge.simulator.result import (
    Block,
    Simulation,
    State,
    initial_value,
    refuse_strangers,
    wanted_traces,
)
from snnbridge.simulator.run import Run, whole_steps
from snnbridge.simulator.sizes import refuse_bytes
from snnbridge.simulator.stimulus import Dense, Events, refuse_odd, stimuli_of

#: Steps that a network without a way back runs at once.
_BLOCK = 256


class CustomNetwork:
    """A network with neurons of plugins, ready to run.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    kinds : mapping of str to NeuronKind
    threads : int, optional
    lanes : int

    Raises
    ------
    CheckpointError
        For a kind that no plugin defines, or a cycle without delay.
    UnknownValue
        For a parameter that a kind needs and its layer does not state.
    """

    def __init__(
        self,
        checkpoint: SNNCheckpoint,
        kinds: Mapping[str, NeuronKind],
        threads: int | None,
        lanes: int,
    ) -> None:
        self.network = network_of(checkpoint)
        self._threads = threads
        self.neurons = {
            x.name: PluginNeuron(x, kinds[x.model], self.network.shapes_out[x.name])
            for x in _custom_layers(checkpoint)
        }
        self.parts = Cutter(self.network, self.neurons).parts()
        self.width = _width(self.network, self.neurons)
        for part in self.parts:
            inner = network_of(SNNCheckpoint(part.layers, part.connections, dt=checkpoint.dt))
            refuse_rules(inner)
            part.lowering = Lowering(inner, lanes, self.width)

    @property
    def goes_back(self) -> bool:
        """Whether anything leads back to an earlier part."""
        return any(late for part in self.parts for _, late in part.taken.values())

    def recordable(self) -> dict[str, tuple[str, ...]]:
        """Return what can be recorded of each layer."""
        return recordable(self.network) | {
            name: ("spikes", *neuron.kind.state, "output") for name, neuron in self.neurons.items()
        }

    def run(
        self,
        inputs: Any,
        *,
        steps: int | None,
        record: Any,
        initial: Mapping[Path, StateVariable],
        on_block: Callable[[Block], object] | None,
        progress: Callable[[int, int], object] | None,
    ) -> Simulation:
        """Run the network; as :meth:`snnbridge.simulator.Simulator.run`."""
        refuse_strangers(initial, {name for part in self.parts for name in part.layers})
        return _CustomRun(self, inputs, steps, record, initial, self._threads).go(
            on_block, progress
        )


class _CustomRun:
    """One simulation of a network with neurons of plugins."""

    def __init__(
        self,
        whole: CustomNetwork,
        inputs: Any,
        steps: int | None,
        record: Any,
        initial: Mapping[Path, Any],
        threads: int | None,
    ) -> None:
        self.whole, self.network, self.threads = whole, whole.network, threads
        shapes = {name: self.network.shapes_in[name] for name in self.network.inputs}
        self.stimuli, self.steps, self.batch = stimuli_of(inputs, shapes, whole_steps(steps))
        refuse_odd(self.stimuli, whole.width)
        self.record = wanted_traces(record, whole.recordable(), self._default())
        self.first_step = int(getattr(initial, "step", 0))
        self.states: list[Mapping[Path, Any]] = [initial for _ in whole.parts]
        self.neurons = {name: self._initial(name, initial) for name in whole.neurons}
        self.parameters = {n: x.parameters(whole.width) for n, x in whole.neurons.items()}
        self.before = {
            source: self._make(initial, (source, "output"), self.network.shapes_out[source], 0.0)
            for part in whole.parts
            for source, late in part.taken.values()
            if late
        }
        self.counts: dict[str, Array] = {}

    def _make(self, initial: Mapping[Path, Any], path: Path, shape: Any, default: float) -> Array:
        return initial_value(initial, path, (self.batch, *shape), self.whole.width, default)

    def _initial(self, name: str, initial: Mapping[Path, Any]) -> dict[str, Array]:
        neuron = self.whole.neurons[name]
        return {
            variable: self._make(initial, (name, variable), neuron.shape, start)
            for variable, start in neuron.kind.state.items()
        }

    def _default(self) -> list[tuple[str, str]]:
        possible = self.whole.recordable()
        spiking = [n for n in self.network.outputs if "spikes" in possible[n]]
        return [(n, "output") for n in self.network.outputs] + [(n, "spikes") for n in spiking]

    def go(
        self,
        on_block: Callable[[Block], object] | None,
        progress: Callable[[int, int], object] | None,
    ) -> Simulation:
        size = 1 if self.whole.goes_back else _BLOCK
        refuse_bytes((min(size, self.steps) if on_block else self.steps) * self._row_bytes())
        kept: list[dict[tuple[str, str], Array]] = []
        for first in range(0, self.steps, size):
            steps = min(size, self.steps - first)
            traces = self._block(first, steps)
            shown = {key: traces[key] for key in self.record}
            if on_block:
                on_block(Block(first, first + steps, shown))
            else:
                kept.append(shown)
            if progress:
                progress(first + steps, self.steps)
        traces = {key: np.concatenate([x[key] for x in kept]) for key in self.record if kept}
        return Simulation(self.steps, self.batch, traces, self.counts, self._state())

    def _row_bytes(self) -> int:
        """Return about what is recorded in one step."""
        sizes = [math.prod(self.network.shapes_out[name]) for name, _ in self.record]
        return self.batch * self.whole.width.itemsize * sum(sizes)

    def _block(self, first: int, steps: int) -> dict[tuple[str, str], Array]:
        """Run some steps of every part, and of the neurons between them."""
        traces: dict[tuple[str, str], Array] = {}
        for i, part in enumerate(self.whole.parts):
            self._run_part(i, part, first, steps, traces)
            for name in self.whole.neurons:
                if name in part.layers:
                    self._run_neurons(name, traces)
        for source in self.before:
            self.before[source] = traces[source, "output"][-1].astype(self.whole.width)
        return traces

    def _run_part(
        self, i: int, part: Part, first: int, steps: int, traces: dict[tuple[str, str], Array]
    ) -> None:
        assert part.lowering is not None
        inner = part.lowering.network
        own = recordable(inner)
        record: dict[str, list[str]] = {}
        wanted = [*self.record, *((n, "output") for n in (*part.given, *self.whole.neurons))]
        for name, variable in wanted:
            if name in part.layers and variable in own.get(name, ()):
                record.setdefault(name, []).append(variable)
        run = Run(
            part.lowering, {n: self._fed(part, n, first, steps, traces) for n in inner.inputs},
            steps, record, self.states[i], self.threads, part.pool,
        )  # fmt: skip
        done = run.go(None, None)
        self.states[i] = done.state
        traces.update(done.traces)
        for name, count in done.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count

    def _fed(
        self,
        part: Part,
        name: str,
        first: int,
        steps: int,
        traces: Mapping[tuple[str, str], Array],
    ) -> Array:
        """Return what an input layer of a part takes in some steps."""
        source, late = part.taken.get(name, (name, False))
        if late:
            return self.before[source][None]
        if (source, "output") in traces:
            return traces[source, "output"]
        return _dense_block(self.stimuli[source], first, steps, self.network.shapes_in[source])

    def _run_neurons(self, name: str, traces: dict[tuple[str, str], Array]) -> None:
        neuron, arriving = self.whole.neurons[name], traces[name, "output"]
        spikes = np.empty(arriving.shape, np.uint8)
        shown = {variable: np.empty_like(arriving) for variable in neuron.kind.state}
        after = self.neurons[name]
        taken = neuron.steps(arriving, after, self.parameters[name])
        for t, (fired, after) in enumerate(taken):
            spikes[t] = fired
            for variable, value in after.items():
                shown[variable][t] = value
        self.neurons[name] = after
        traces[name, "spikes"] = spikes
        traces[name, "output"] = spikes.astype(self.whole.width)
        traces.update({(name, variable): x for variable, x in shown.items()})
        self.counts[name] = self.counts.get(name, 0) + spikes.sum(0, dtype=np.int64)

    def _state(self) -> State:
        held: dict[Path, StateVariable] = {}
        for state in self.states:
            held.update(state)
        for name, variables in self.neurons.items():
            held.update({(name, v): StateVariable(x, batch_axis=0) for v, x in variables.items()})
        held.update({(n, "output"): StateVariable(x, batch_axis=0) for n, x in self.before.items()})
        return State(held, self.first_step + self.steps)


def _dense_block(stimulus: Dense | Events, first: int, steps: int, shape: Any) -> Array:
    array, at = stimulus.block(first, steps)
    part = array[at : at + steps]
    return part.reshape(*part.shape[:2], *shape)


def _custom_layers(checkpoint: SNNCheckpoint) -> Iterator[Neuron]:
    for layer in checkpoint.layers.values():
        if isinstance(layer, Neuron) and layer.model != "lif":
            yield layer


def _width(network: Network, neurons: Mapping[str, PluginNeuron]) -> np.dtype[Any]:
    own = {name: layer for name, layer in network.layers.items() if name not in neurons}
    return width_of(replace(network, layers=own))
