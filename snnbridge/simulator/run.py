"""Running a network: blocks of steps, threads over samples."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Mapping
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.model import Path
from snnbridge.simulator._kernel import Program, Worker
from snnbridge.simulator.lower import Lowering
from snnbridge.simulator.recording import Recording, Traces
from snnbridge.simulator.result import Block, Simulation
from snnbridge.simulator.sizes import Sizes
from snnbridge.simulator.states import States
from snnbridge.simulator.stimulus import Dense, Events, kind_of, refuse_odd, stimuli_of


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
        *,
        streamed: bool = False,
    ) -> None:
        self.lowering, self.network, self.pool = lowering, lowering.network, pool
        self.program: Program = lowering.program.fork()
        shapes = {name: self.network.shapes_in[name] for name in self.network.inputs}
        self.stimuli, self.steps, self.batch = stimuli_of(inputs, shapes, whole_steps(steps))
        self.recording = Recording(lowering, self.program, record, self.batch)
        self.first_step = int(getattr(initial, "step", 0))
        self.threads = _thread_count(threads, self.batch)
        listed = sum(x.row_size for x in self.stimuli.values() if isinstance(x, Events))
        self.sizes = Sizes(lowering, self.steps, self.batch, self.threads, listed)
        self.sizes.refuse_memory(self.recording, streamed=streamed)
        if self.sizes.block < self.steps:  # a single block finds them before it hands out anything
            refuse_odd(self.stimuli, lowering.width)
        self.program.batch_is(self.batch)
        self.state = States(lowering, self.program, self.recording.history, self.batch, initial)

    def go(self, on_block: Any, progress: Any) -> Simulation:
        """Run all blocks."""
        key = (self.sizes.group, self.sizes.steps, *self.recording.history)
        workers = self._workers(key)
        try:
            traces = self._run_blocks(workers, on_block, progress)
        finally:
            self.pool.give(key, self.lowering.program, workers)
        return Simulation(
            steps=self.steps,
            batch=self.batch,
            traces=traces,
            counts=self.recording.counts,
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
        size = self.sizes.block
        traces = {} if on_block else self.recording.empty(self.steps)
        for first in range(0, self.steps, size):
            steps = min(size, self.steps - first)
            here = self.recording.empty(steps) if on_block else traces
            self._run_block(workers, here, first, steps, 0 if on_block else first)
            if on_block:
                on_block(Block(first, first + steps, here))
            if progress:
                progress(first + steps, self.steps)
        return traces

    def _run_block(
        self, workers: list[Worker], traces: Traces, first: int, steps: int, row: int
    ) -> None:
        keep: list[Any] = []
        self.recording.show(traces, keep)
        taps = self.recording.taps(traces)
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
        self._refuse_failed(failures)

    def _refuse_failed(self, failures: list[int]) -> None:
        failed = [node for node in failures if node >= 0]
        if failed:
            refuse_odd(self.stimuli, self.lowering.width)
            name = self.network.nodes[failed[0]].key[0]
            raise CheckpointError(f"the input of {name!r} was changed while it was read")

    def _feed(self, name: str, stimulus: Dense | Events, first: int, steps: int) -> tuple[Any, ...]:
        array, at = stimulus.block(first, steps)
        size = array.dtype.itemsize * array[0, 0].size
        node = self._stimulus_node(name)
        return node, array, at * self.batch * size, kind_of(array), self.batch * size, size

    def _stimulus_node(self, name: str) -> int:
        index = self.lowering.index
        return index[name, "in"] if (name, "in") in index else index[name, "out"]


def whole_steps(steps: Any) -> int | None:
    """Return a number of steps as the integer that it is.

    Raises
    ------
    CheckpointError
        If it is none.
    """
    try:
        return None if steps is None else operator.index(steps)
    except TypeError:
        raise CheckpointError(f"steps must be a whole number, not {steps!r}") from None


def _thread_count(threads: int | None, batch: int) -> int:
    if threads is None:
        affinity = getattr(os, "sched_getaffinity", None)
        threads = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(threads, batch)
