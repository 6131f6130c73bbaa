"""Running a network: blocks of steps, threads over samples, recordings."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import UNKNOWN, Array, Linear, Neuron, Path, Synapse
from snnbridge.simulator._kernel import Program, Worker
from snnbridge.simulator.lower import Lowering
from snnbridge.simulator.network import Network
from snnbridge.simulator.result import Block, Simulation, wanted_traces
from snnbridge.simulator.states import States
from snnbridge.simulator.stimulus import Dense, Events, kind_of, stimuli_of
from snnbridge.simulator.unknowns import refuse_unknown

#: Weights beyond this do not stay in a processor's own cache; more rows then share each pass.
_CACHE = 1 << 20
_SMALL, _LARGE = 1 << 21, 1 << 23
#: Bytes that are taken without a look at what is free: looking takes as long as a small run.
_UNASKED = 1 << 25
#: Multiply-adds after which control comes back to Python, to look for Ctrl-C.
_PATIENCE = 1e9
_VALUES, _SPIKES_8, _SPIKES_32, _COUNTS = range(4)


class Pool:
    """The buffers of runs that ended, for the next run of the same size: fresh memory is slow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[int, ...] = ()
        self._free: list[Worker] = []

    def take(self, key: tuple[int, ...], program: Program, count: int) -> list[Worker]:
        """Return up to so many workers, for a program of this layout."""
        with self._lock:
            if key != self._key:
                self._key, self._free = key, []
            taken, self._free = self._free[:count], self._free[count:]
        for worker in taken:
            worker.attach(program)
        return taken

    def give(self, key: tuple[int, ...], program: Program, workers: list[Worker]) -> None:
        """Keep workers; they let go of the run's states, and hold on to `program` instead."""
        for worker in workers:
            worker.attach(program)
        with self._lock:
            if key == self._key and not self._free:
                self._free = workers


class Run:
    """One simulation of a network that is ready: its states, recordings and loops."""

    def __init__(
        self,
        lowering: Lowering,
        inputs: Any,
        steps: int | None,
        record: Any,
        initial: Mapping[Path, Any],
        threads: int | None,
        pool: Pool,
    ) -> None:
        if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool)):
            raise CheckpointError(f"steps must be a whole number, not {steps!r}")
        self.lowering, self.network, self.pool = lowering, lowering.network, pool
        self.program: Program = lowering.program.fork()
        shapes = {name: self.network.shapes_in[name] for name in self.network.inputs}
        self.stimuli, self.steps, self.batch = stimuli_of(inputs, shapes, steps)
        self.record = wanted_traces(record, recordable(self.network), self._default())
        self.first_step = int(getattr(initial, "step", 0))
        self.threads = _thread_count(threads, self.batch)
        self.history = [node.history for node in self.network.nodes]
        self._widen_histories()
        self._refuse_memory()
        self.program.batch_is(self.batch)
        self.state = States(self.lowering, self.program, self.history, self.batch, initial)
        self.counts = self._make_counts()

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
        read = [n for n, v in self.record if v in ("spikes", "output")] + self._spiking()
        for name in read:
            node, delay = self._tapped(name)
            self.history[node] = max(self.history[node], delay)
            self.lowering.declare(self.program, node, self.history[node], read=True)

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
        group, block = self._shape_of_work()
        nodes = zip(self.network.nodes, self.history, strict=True)
        history = sum(node.size * steps for node, steps in nodes)
        buffers = self.threads * group * (self._row_bytes() * block + 8 * history)
        kept = sum(_row_of(self.network, self.lowering.width, *x) for x in self.record)
        kept *= self.steps * self.batch
        state = 2 * 8 * self.batch * sum(node.size for node in self.network.nodes)
        needed = buffers + kept + state
        there = available_memory() if needed > _UNASKED else None
        if there is not None and needed > there:
            raise CheckpointError(
                f"the simulation needs about {needed >> 20} MiB, but {there >> 20} MiB are free; "
                "record less, take on_block, or fewer samples"
            )

    # Loops

    def go(self, on_block: Any, progress: Any) -> Simulation:
        """Run all blocks."""
        group, steps = self._shape_of_work()
        key = (group, steps, *self.history)
        workers = self._workers(key)
        try:
            traces = self._run_blocks(workers, on_block, progress)
        finally:
            self.pool.give(key, self.lowering.program, workers)
        return Simulation(
            steps=self.steps,
            batch=self.batch,
            traces=traces,
            counts=self.counts,
            state=self.state.variables(self.first_step + self.steps),
        )

    def _workers(self, key: tuple[int, ...]) -> list[Worker]:
        found = self.pool.take(key, self.program, self.threads)
        try:
            while len(found) < self.threads:
                found.append(Worker(self.program, *key[:2]))
        except MemoryError:
            raise CheckpointError(
                "there is too little memory for the simulation's buffers"
            ) from None
        return found

    def _run_blocks(self, workers: list[Worker], on_block: Any, progress: Any) -> Any:
        size = self._block_steps()
        traces = {} if on_block else self._make_traces(self.steps)
        for first in range(0, self.steps, size):
            steps = min(size, self.steps - first)
            here = self._make_traces(steps) if on_block else traces
            self._run_block(workers, here, first, steps, 0 if on_block else first)
            if on_block:
                on_block(Block(first, first + steps, here))
            if progress:
                progress(first + steps, self.steps)
        return traces

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
    return min(threads, batch)


def available_memory() -> int | None:
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
