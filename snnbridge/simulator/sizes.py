"""How much of a run is held at once: samples, steps and memory."""

from __future__ import annotations

import sys

from snnbridge.errors import CheckpointError
from snnbridge.model import Linear
from snnbridge.simulator.lower import Lowering
from snnbridge.simulator.recording import Recording

#: Weights beyond this do not stay in a processor's own cache; more rows then share each pass.
_CACHE = 1 << 20
_SMALL, _LARGE = 1 << 21, 1 << 23
#: Bytes that are taken without a look at what is free: looking takes as long as a small run.
_UNASKED = 1 << 25
#: Numbers of a spike list that are laid out at once.
_LAID_OUT = 1 << 22
#: Multiply-adds after which control comes back to Python, to look for Ctrl-C.
_PATIENCE = 1e9


class Sizes:
    """The sizes of one run.

    Parameters
    ----------
    lowering : Lowering
    steps, batch, threads : int
    listed : int
        How many numbers a step of the spike lists has when they are laid out.

    Attributes
    ----------
    group, steps : int
        How many samples and steps a worker holds at once.
    block : int
        After how many steps control comes back to Python.
    """

    def __init__(
        self, lowering: Lowering, steps: int, batch: int, threads: int, listed: int
    ) -> None:
        self.lowering, self.network = lowering, lowering.network
        self.batch, self.threads, self.all_steps, self.listed = batch, threads, steps, listed
        self.group, self.steps = self._shape_of_work()
        self.block = self._block_steps()

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
        budget = _SMALL if self.lowering.weight_bytes <= _CACHE else _LARGE
        rows = max(1, budget // self._touched_bytes())
        share = -(-self.batch // self.threads)
        group = min(share, rows)
        return group, max(1, min(self.all_steps, rows // group))

    def _block_steps(self) -> int:
        work = 1.0
        for node in self.network.nodes:
            taken = sum(self.network.nodes[self.lowering.index[k]].size for k, _ in node.sources)
            dense = node.what == "layer" and isinstance(node.layer, Linear)
            work += node.size * (0.2 * taken if dense else 30)
        most = _PATIENCE * self.threads / (work * self.batch)
        if self.listed:
            most = min(most, _LAID_OUT / self.listed)
        whole = int(most) // self.steps * self.steps
        return min(max(whole, self.steps), self.all_steps)

    def refuse_memory(self, recording: Recording, *, streamed: bool) -> None:
        """Refuse a run that needs more memory than there is.

        Raises
        ------
        CheckpointError
            With both numbers.
        """
        nodes = zip(self.network.nodes, recording.history, strict=True)
        history = sum(node.size * steps for node, steps in nodes)
        buffers = self.threads * self.group * (self._row_bytes() * self.steps + 8 * history)
        kept = self.batch * (self.block if streamed else self.all_steps) * recording.row_bytes()
        state = 2 * 8 * self.batch * sum(node.size for node in self.network.nodes)
        laid_out = self.listed * self.block * 8
        refuse_bytes(buffers + kept + state + laid_out)


def refuse_bytes(needed: int) -> None:
    """Refuse to take more memory than there is.

    Raises
    ------
    CheckpointError
        With both numbers.
    """
    there = available_memory() if needed > _UNASKED else None
    if there is not None and needed > there:
        raise CheckpointError(
            f"the simulation needs about {needed >> 20:,} MiB, but {there >> 20:,} MiB are free; "
            "record less, take on_block, or fewer samples"
        )


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
