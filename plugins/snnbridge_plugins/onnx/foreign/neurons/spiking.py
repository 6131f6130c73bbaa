"""When a neuron spikes and what becomes of its potential, told by what probes become.

The update is known here, so that the simulator says what the potential before the reset is. The
threshold lies between the greatest of these without a spike and the least with one; probes are
aimed there until the two are neighbours among the floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbridge.model import Array, Compare, Reset, ResetTiming, SynapseOrder, Trace
from snnbridge_plugins.onnx.foreign.neurons.bench import Bench, Guess
from snnbridge_plugins.onnx.foreign.neurons.numbers import floats, ordinals, parameter, pool_of

_AIMED = 4096
_FAR = 2.0**30
_DELAYED = {ResetTiming.NEXT_AFTER_LEAK, ResetTiming.NEXT_BEFORE_LEAK}


@dataclass(frozen=True)
class Threshold:
    """The greatest potential that does not make a neuron spike, and the least that does."""

    below: Array
    least: Array

    def compares(self, bench: Bench, several: bool) -> Iterator[tuple[Compare, Array]]:
        """Yield both ways of saying so, first the one whose number stands in the graph."""
        pool = pool_of(bench.part)
        ways = [(Compare.GREATER_EQUAL, self.least)]
        if not several:
            ways.append((Compare.GREATER, self.below))
        yield from sorted(ways, key=lambda way: (way[1] not in pool, sum(map(_digits, way[1]))))


def _digits(number: np.floating[Any]) -> int:
    """Count the digits of a number: people choose the one with fewer as a threshold."""
    return len(str(number))


class Spiking:
    """Tells the threshold and the reset of a part whose update is known.

    Parameters
    ----------
    bench : Bench
    update : Guess
        A readout.
    """

    def __init__(self, bench: Bench, update: Guess) -> None:
        self.bench, self.update, self.dtype = bench, update, bench.dtype
        free = {name: p for name, p in update.neuron.items() if name != "v_min"}
        self.unbounded = Guess(free, update.rule, update.synapse, update.synapse_rule)
        order = update.synapse_rule.order if update.synapse_rule is not None else None
        self.late = order is SynapseOrder.DECAY_USE_ADD

    def _given(self, x: Any, v: Any) -> dict[str, Array]:
        """Return probes that drive the potential, by the current of before where it comes late."""
        return self.bench.probe(*((0, v, x) if self.late else (x, v)))

    def _float(self, order: Array) -> Array:
        return floats(order, self.dtype)

    def _heights(self, given: Mapping[str, Array]) -> Array:
        return self.bench.guessed(self.unbounded, given)["v"]

    def threshold(self) -> Threshold | None:
        """Find the threshold; None where there is none above 0, or where it is not one."""
        zero = np.zeros((1, self.bench.neurons), self.dtype)
        low = np.zeros(self.bench.neurons, np.int64)
        high = np.full(self.bench.neurons, int(ordinals(np.asarray(_FAR, self.dtype))), np.int64)
        if not self._fires(high, zero).all() or self._fires(low, zero).any():
            return None
        while (high - low > 1).any():
            middle = low + (high - low) // 2
            fires = self._fires(middle, zero)
            low, high = np.where(fires, low, middle), np.where(fires, middle, high)
        below, least = (
            self._heights(self._given(self._float(n)[None], zero))[0] for n in (low, high)
        )
        return self._aimed(below, least)

    def _fires(self, bits: Array, v: Array) -> Array:
        found: Array = self.bench.truth(self._given(self._float(bits)[None], v))["spikes"][0] > 0
        return found

    def _aimed(self, below: Array, least: Array) -> Threshold | None:
        for _ in range(4):
            given = self.near(least)
            heights, fires = self._heights(given), self.bench.truth(given)["spikes"] > 0
            below = np.maximum(below, np.where(fires, -np.inf, heights).max(axis=0))
            least = np.minimum(least, np.where(fires, heights, np.inf).min(axis=0))
            if not (below < least).all():
                return None
            if (np.nextafter(below, self.dtype.type(np.inf)) == least).all():
                return Threshold(below, least)
        return None

    def near(self, level: Array) -> dict[str, Array]:
        """Return probes whose potential before the reset lies at a level, and beside it."""
        bench, count = self.bench, max(64, _AIMED // self.bench.neurons)
        spread = np.maximum(np.abs(level), 2.0**-10)
        back = 0.01 + np.abs(bench.rng.normal(0, 1, (count, bench.neurons)))
        v = (level - spread * back).astype(self.dtype)  # below, where no late reset acts
        v[: count // 8] = 0  # where the input alone decides
        base = self._heights(self._given(np.zeros_like(v), v)).astype(np.float64)
        zero, one = np.zeros_like(v[:1]), spread[None].astype(self.dtype)
        unit = self._heights(self._given(one, zero)) - self._heights(self._given(zero, zero))
        unit = unit.astype(np.float64) / spread
        x = ((level - base) / unit).astype(self.dtype)
        for _ in range(2):  # where rounding took it elsewhere, go there
            missed = level - self._heights(self._given(x, v)).astype(np.float64)
            x = (x + missed / unit).astype(self.dtype)
        jitter = bench.rng.integers(-3, 4, x.shape)
        return self._given(self._float(ordinals(x) + jitter), v)

    # Resets

    def guesses(self, threshold: Threshold) -> Iterator[Guess]:
        """Yield everything that the neuron may be."""
        most = self._most(threshold.least)
        several = {} if self.bench.roles.gain == 1 else {
            "output_gain": parameter(np.full(self.bench.neurons, self.bench.roles.gain, self.dtype))
        }  # fmt: skip
        for compare, theta in threshold.compares(self.bench, most != 1):
            base = self.update.but(
                {"threshold": parameter(theta), **several},
                spiking=True, compare=compare, max_spikes=most, trace=Trace.RESET,
            )  # fmt: skip
            yield from self._resets(base, theta)

    def _most(self, theta: Array) -> int | None:
        """Return how often a neuron spikes in one step, None where nothing bounds it."""
        x = np.abs(theta) * self.dtype.type(1000.5) / self.bench.roles.gain
        given = self._given(x[None], np.zeros((1, self.bench.neurons), self.dtype))
        heights = self._heights(given)[0] / np.abs(theta)
        counts = self.bench.truth(given)["spikes"][0] / self.bench.roles.gain
        free = np.abs(counts - heights) <= 1
        return None if free.all() and (counts > 1).all() else max(1, int(counts.max()))

    def _resets(self, base: Guess, theta: Array) -> Iterator[Guess]:
        for timing in (ResetTiming.NOW, *_DELAYED, ResetTiming.RESIDUAL):
            switches: dict[str, Any] = {"reset_timing": timing}
            if timing in _DELAYED:
                switches["trace"] = Trace.RAW
            yield base.but({}, reset=Reset.SUBTRACT, **switches)
            if timing is not ResetTiming.RESIDUAL:
                for value in self._values(theta):
                    yield base.but({"v_reset": parameter(value)}, reset=Reset.SET, **switches)
        yield base.but({}, reset=Reset.NONE, trace=Trace.RAW)
        for amount in self._amounts(theta):
            yield base.but({"reset_amount": parameter(amount)}, reset=Reset.SUBTRACT)

    def _after(self, theta: Array) -> tuple[Array, Array]:
        """Return potentials a little above the threshold, and what becomes of them."""
        given = self.near(theta + np.abs(theta) / 8)
        return self._heights(given)[-1], self.bench.truth(given)["v"][-1]

    def _values(self, theta: Array) -> Iterator[Array]:
        zero = np.zeros(self.bench.neurons, self.dtype)
        yield zero
        after = self._after(theta)[1]
        if after.any():
            yield after.astype(self.dtype)
        seen = [zero, after]
        for value in pool_of(self.bench.part).numbers[:16]:
            if not any(np.array_equal(value, x) for x in seen):
                yield value

    def _amounts(self, theta: Array) -> Iterator[Array]:
        height, after = self._after(theta)
        for amount in pool_of(self.bench.part).near((height - after).astype(np.float64), 1):
            if (amount != theta).any():
                yield amount
