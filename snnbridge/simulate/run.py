"""Running a network: blocks of steps, threads over samples, recordings, state."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Array,
    Clock,
    Linear,
    Neuron,
    Path,
    Refractory,
    SNNCheckpoint,
    StateVariable,
    Synapse,
    SynapseKind,
)
from snnbridge.simulate._kernel import Program, Worker
from snnbridge.simulate.lower import Lowering, refuse_kinds, refuse_rules
from snnbridge.simulate.network import Key, Network, network_of
from snnbridge.simulate.result import Block, Simulation, State, initial_value, wanted_traces
from snnbridge.simulate.stimulus import Dense, Events, Stimulus, kind_of, stimuli_of
from snnbridge.simulate.unknowns import missing_values, refuse_unknown

#: Weights beyond this do not stay in a processor's own cache; more rows then share each pass.
_CACHE = 1 << 20
_SMALL, _LARGE = 1 << 20, 1 << 23
#: Multiply-adds after which control comes back to Python, to look for Ctrl-C.
_PATIENCE = 1e9
_VALUES, _SPIKES_8, _SPIKES_32, _COUNTS = range(4)


def simulate(
    checkpoint: SNNCheckpoint,
    inputs: Stimulus | Mapping[str, Stimulus],
    *,
    steps: int | None = None,
    record: Any = None,
    initial: Mapping[Path, StateVariable] | None = None,
    threads: int | None = None,
    on_block: Callable[[Block], object] | None = None,
    progress: Callable[[int, int], object] | None = None,
    lanes: int = -1,
) -> Simulation:
    """Run a network, deterministically to the bit.

    Input currents are summed in ascending presynaptic index in float64, the bias last, and
    rounded once to the network's width; several inputs of a layer are added in the order of
    their connections in that width. The result does not depend on batch size, threads,
    sparsity or processor.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    inputs : array, spike list, or mapping of them by input layer
        An array has shape (steps, batch, *layer shape), spikes or currents of any numeric type,
        and is rounded to the network's width; a spike list is (times, indices) or (times,
        indices, samples), integers all, where an index counts the elements of the layer. A
        network without `Input` layers takes its input at the layers that nothing leads to.
    steps : int, optional
        Needed where only spike lists are handed in and the last step has no spike.
    record : iterable of str, or mapping of str to variables, optional
        Layers, or what of each: ``"spikes"``, ``"v"``, ``"i"``, ``"output"``. By default the
        output of the output layers and the spikes of the neurons there.
    initial : mapping of (layer, variable) to StateVariable, optional
        The state to start from: that of an earlier :class:`Simulation`, or the checkpoint's.
        Without it, membranes start at ``v_init`` (0 where it is not stated), all else at rest.
    threads : int, optional
        All processors by default.
    on_block : function of Block, optional
        Gets what is recorded, some steps at a time; nothing is kept then.
    progress : function of (steps done, steps), optional
    lanes : int
        The instruction set to use, for tests; -1 for the best.

    Returns
    -------
    Simulation

    Raises
    ------
    UnknownValue
        Listing everything that the checkpoint does not state and its rules need.
    CheckpointError
        Before the first step: for layers that cannot be simulated, values that no step can be
        made of, inputs that do not fit, cycles without delay, too little memory.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Connection, Linear, SNNCheckpoint, rules
    >>> from snnbridge.simulate import simulate
    >>> lif = rules.get("snntorch", "Leaky").build("lif", shape=(1,), beta=0.5, threshold=1.0)
    >>> net = SNNCheckpoint([Linear("fc", np.ones((1, 2), np.float32)), lif],
    ...                     connections=[Connection("fc", "lif")])
    >>> simulate(net, np.ones((3, 1, 2), np.float32)).spikes["lif"].ravel()
    array([1, 1, 1], dtype=uint8)
    """
    run = _Run(checkpoint, inputs, steps, record, initial or {}, threads, lanes)
    return run.go(on_block, progress)


class _Run:
    """One simulation: what is prepared once, and the loops."""

    def __init__(
        self,
        checkpoint: SNNCheckpoint,
        inputs: Any,
        steps: int | None,
        record: Any,
        initial: Mapping[Path, Any],
        threads: int | None,
        lanes: int,
    ) -> None:
        if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool)):
            raise CheckpointError(f"steps must be a whole number, not {steps!r}")
        self.network = _prepared(checkpoint)
        shapes = {name: self.network.shapes_in[name] for name in self.network.inputs}
        self.stimuli, self.steps, self.batch = stimuli_of(inputs, shapes, steps)
        self.lowering = Lowering(self.network, lanes)
        self.program: Program = self.lowering.program
        self.record = wanted_traces(record, _recordable(self.network), self._default())
        self.first_step = int(getattr(initial, "step", 0))
        self.threads = _thread_count(threads, self.batch)
        self._widen_histories()
        self._refuse_memory()
        self.program.batch_is(self.batch)
        self.state = _States(self.lowering, self.network, self.batch, initial)
        self.counts = self._make_counts()
        self.stopped = threading.Event()

    def _default(self) -> list[tuple[str, str]]:
        """Record what the output layers hand on, and the spikes of the neurons there."""
        wanted = [(name, "output") for name in self.network.outputs]
        for name in self.network.outputs:
            (source, what), _ = self.network.signal(name)
            layer = self.network.layers[source]
            if what == "out" and isinstance(layer, Neuron) and layer.rule.spiking is True:
                wanted.append((source, "spikes"))
        return list(dict.fromkeys(wanted))

    # Sizes

    def _widen_histories(self) -> None:
        """Keep the rows that delayed recordings look back at."""
        nodes = {node.key: node for node in self.network.nodes}
        read = [n for n, v in self.record if v in ("spikes", "output")] + self._spiking()
        for name in read:
            key, delay = self.network.signal(name)
            nodes[key].history = max(nodes[key].history, delay)
            self.lowering.wants_numbers(key)

    def _spiking(self) -> list[str]:
        layers = self.network.layers.items()
        return [n for n, x in layers if isinstance(x, Neuron) and x.rule.spiking is True]

    def _row_bytes(self) -> int:
        """Return what one step of one sample takes in the buffers."""
        item = self.lowering.width.itemsize
        return sum(node.size * (item + 4) + 32 for node in self.network.nodes)

    def _touched_bytes(self) -> int:
        """Return about how much of it is used: few numbers of a row are events."""
        item = self.lowering.width.itemsize
        stimuli = sum(node.size for node in self.network.nodes if node.what == "stimulus")
        return (self._row_bytes() - stimuli * item) * (item + 1) // (item + 4)

    def _shape_of_work(self) -> tuple[int, int]:
        """Return how many samples and steps a worker holds at once."""
        budget = _SMALL if self.lowering.weight_bytes <= _CACHE else _LARGE
        rows = max(1, budget // self._touched_bytes())
        share = -(-self.batch // self.threads)
        group = min(share, rows)
        return group, max(1, min(self.steps, rows // group))

    def _block_steps(self) -> int:
        """Return after how many steps control comes back to Python."""
        work = 1.0
        for node in self.network.nodes:
            taken = sum(self.network.nodes[self.lowering.index[k]].size for k, _ in node.sources)
            dense = node.what == "layer" and isinstance(node.layer, Linear)
            work += node.size * (0.2 * taken if dense else 30)
        _, steps = self._shape_of_work()
        whole = int(_PATIENCE * self.threads / (work * self.batch)) // steps * steps
        return min(max(whole, steps), self.steps)

    def _refuse_memory(self) -> None:
        group, steps = self._shape_of_work()
        history = sum(node.size * node.history for node in self.network.nodes)
        buffers = self.threads * group * (self._row_bytes() * steps + 8 * history)
        kept = sum(_row_of(self.network, self.lowering.width, *x) for x in self.record)
        kept *= self.steps * self.batch
        state = 2 * 8 * self.batch * sum(node.size for node in self.network.nodes)
        needed, there = buffers + kept + state, _available_memory()
        if there is not None and needed > there:
            raise CheckpointError(
                f"the simulation needs about {needed >> 20} MiB, but {there >> 20} MiB are free; "
                "record less, take on_block, or fewer samples"
            )

    # Loops

    def go(self, on_block: Any, progress: Any) -> Simulation:
        """Run all blocks."""
        size = self._block_steps()
        workers = self._workers()
        traces = {} if on_block else self._make_traces(self.steps)
        for first in range(0, self.steps, size):
            steps = min(size, self.steps - first)
            here = self._make_traces(steps) if on_block else traces
            self._run_block(workers, here, first, steps, 0 if on_block else first)
            if on_block:
                on_block(Block(first, first + steps, here))
            if progress:
                progress(first + steps, self.steps)
        return Simulation(
            steps=self.steps,
            batch=self.batch,
            traces=traces,
            counts=self.counts,
            state=self.state.variables(self.first_step + self.steps),
        )

    def _workers(self) -> list[Worker]:
        group, steps = self._shape_of_work()
        try:
            return [Worker(self.program, group, steps) for _ in range(self.threads)]
        except MemoryError:
            raise CheckpointError(
                "there is too little memory for the simulation's buffers"
            ) from None

    def _run_block(
        self, workers: list[Worker], traces: Any, first: int, steps: int, row: int
    ) -> None:
        keep: list[Any] = []
        self._show(traces, keep)
        taps = self._taps(traces)
        fed = [self._feed(name, x, first, steps) for name, x in self.stimuli.items()]
        bounds = [self.batch * i // len(workers) for i in range(len(workers) + 1)]
        failures: list[int] = []

        def work(i: int) -> None:
            start, end = bounds[i], bounds[i + 1]
            moved = [(n, a, at + start * s, k, t, s) for n, a, at, k, t, s in fed]
            failures.append(
                workers[i].run(moved, taps, start, end - start, steps, self.first_step + first, row)
            )

        others = [threading.Thread(target=work, args=(i,)) for i in range(1, len(workers))]
        for thread in others:
            thread.start()
        try:
            work(0)
        finally:
            for thread in others:
                thread.join()
        failed = [node for node in failures if node >= 0]
        if failed:
            name = self.network.nodes[failed[0]].key[0]
            raise CheckpointError(
                f"the input of {name!r} holds a number that is not finite, in one of the steps "
                f"{first} to {first + steps - 1}"
            )

    def _feed(self, name: str, stimulus: Dense | Events, first: int, steps: int) -> tuple[Any, ...]:
        array, at = stimulus.block(first, steps)
        size = array.dtype.itemsize * array[0, 0].size
        node = self._stimulus_node(name)
        return node, array, at * self.batch * size, kind_of(array), self.batch * size, size

    def _stimulus_node(self, name: str) -> int:
        index = self.lowering.index
        return index[name, "in"] if (name, "in") in index else index[name, "out"]

    # Recordings

    def _make_traces(self, steps: int) -> dict[tuple[str, str], Array]:
        made = {}
        for name, variable in self.record:
            shape, dtype = _trace_form(self.network, self.lowering.width, name, variable)
            made[name, variable] = np.empty((steps, self.batch, *shape), dtype)
        return made

    def _show(self, traces: Mapping[tuple[str, str], Array], keep: list[Any]) -> None:
        """Have states written while they are computed."""
        for (name, variable), array in traces.items():
            if variable in ("v", "i"):
                self.program.show(self.lowering.index[name, "out"], array, keep)

    def _taps(self, traces: Mapping[tuple[str, str], Array]) -> list[tuple[Any, ...]]:
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

    def _make_counts(self) -> dict[str, Array]:
        shapes = self.network.shapes_out
        return {n: np.zeros((self.batch, *shapes[n]), np.int64) for n in self._spiking()}


def _prepared(checkpoint: SNNCheckpoint) -> Network:
    """Refuse what cannot be simulated, then lay out what can."""
    checkpoint.validate()
    if not checkpoint.layers:
        raise CheckpointError("there is no layer to simulate")
    refuse_kinds(checkpoint.layers)
    refuse_unknown(missing_values(checkpoint))
    network = network_of(checkpoint)
    refuse_rules(network)
    return network


def _recordable(network: Network) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, layer in network.layers.items():
        variables: tuple[str, ...] = ("output",)
        if isinstance(layer, Neuron):
            variables = ("spikes", "v", "output") if layer.rule.spiking is True else ("v", "output")
        elif isinstance(layer, Synapse):
            variables = ("i", "output")
        found[name] = variables
    return found


def _trace_form(network: Network, width: Any, name: str, variable: str) -> tuple[Any, Any]:
    layer, shape = network.layers[name], network.shapes_out[name]
    if variable == "spikes":
        most = layer.rule.max_spikes  # type: ignore[attr-defined]
        return shape, np.dtype(np.uint8 if most is not None and most < 256 else np.int32)
    if variable == "i" and layer.receptors != 1:  # type: ignore[attr-defined]
        return (*shape, layer.receptors), width  # type: ignore[attr-defined]
    if variable == "v" and layer.rule.spiking is True and layer.rule.trace is UNKNOWN:  # type: ignore[attr-defined]
        refuse_unknown([(name, "rule.trace")])
    return shape, width


def _row_of(network: Network, width: Any, name: str, variable: str) -> int:
    shape, dtype = _trace_form(network, width, name, variable)
    return int(np.prod(shape, dtype=np.int64)) * int(dtype.itemsize)


def _thread_count(threads: int | None, batch: int) -> int:
    if threads is None:
        affinity = getattr(os, "sched_getaffinity", None)
        threads = len(affinity(0)) if affinity else os.cpu_count() or 1
    if not isinstance(threads, int) or threads < 1:
        raise CheckpointError(f"threads must be a whole number of at least 1, not {threads!r}")
    return min(threads, batch)


def _available_memory() -> int | None:
    """Return the bytes that may be taken without swapping, where the system says it."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123  # no file of a user
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) << 10
    except (OSError, ValueError):
        return None
    return None


class _States:
    """The arrays that stay from block to block, made from `initial` or from rest."""

    def __init__(
        self, lowering: Lowering, network: Network, batch: int, initial: Mapping[Path, Any]
    ) -> None:
        self.lowering, self.network, self.batch, self.initial = lowering, network, batch, initial
        self.held: dict[Path, Array] = {}
        for node in network.nodes:
            if node.what == "layer" and isinstance(node.layer, Neuron):
                self._neuron(node.key, node.layer)
            elif node.what == "layer" and isinstance(node.layer, Synapse):
                self._synapse(node.key, node.layer)
            if node.history:
                self._past(node.key, node.history)

    def _make(self, key: Key, variable: str, shape: Any, default: Any, dtype: Any = None) -> Array:
        path = (key[0], variable)
        dtype = self.lowering.width if dtype is None else np.dtype(dtype)
        self.held[path] = initial_value(self.initial, path, (self.batch, *shape), dtype, default)
        return self.held[path]

    def _neuron(self, key: Key, layer: Neuron) -> None:
        shape, rule = self.network.shapes_out[key[0]], layer.rule
        v = self._make(key, "v", shape, self.lowering.numbers[key[0]]["initial"])
        clock = None
        if rule.spiking is True and rule.refractory is not Refractory.NONE:
            if rule.clock is Clock.FLOAT32_TIME:
                clock = self._make(key, "t_last_spike", shape, -1e7, np.float32)
            else:
                clock = self._make(key, "refractory_steps", shape, 0, np.int64)
        self.lowering.program.bind(self.lowering.index[key], v, clock)

    def _synapse(self, key: Key, layer: Synapse) -> None:
        shape = self.network.shapes_out[key[0]]
        shape = shape if layer.receptors == 1 else (*shape, layer.receptors)
        current = self._make(key, "i", shape, 0.0)
        second = None
        if layer.rule.kind is SynapseKind.EXPONENTIAL_DIFFERENCE:
            second = self._make(key, "i_rise", shape, 0.0)
        elif layer.rule.kind is not SynapseKind.EXPONENTIAL:
            second = self._make(key, "h", shape, 0.0)
        self.lowering.program.bind(self.lowering.index[key], current, second)

    def _past(self, key: Key, history: int) -> None:
        shape = (history, *self.network.nodes[self.lowering.index[key]].shape)
        name = "past" if key[1] == "out" else "past input"
        past = self._make(key, name, shape, 0.0)
        self.lowering.program.bind_past(self.lowering.index[key], past)

    def variables(self, step: int) -> State:
        """Return all of them as state variables, the batch first."""
        return State({path: StateVariable(x, batch_axis=0) for path, x in self.held.items()}, step)
