"""A rule held against a part of a graph: the same bits on all probes, and none left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from snnbridge.model import Array, Reset, ResetTiming
from snnbridge_plugins.onnx.foreign.neurons.aiming import THOROUGH, Aim, aimed, far
from snnbridge_plugins.onnx.foreign.neurons.bench import Bench, Guess, same
from snnbridge_plugins.onnx.foreign.neurons.decisions import Coverage
from snnbridge_plugins.onnx.foreign.neurons.ranges import ranges, reach
from snnbridge_plugins.onnx.foreign.neurons.spiking import Spiking, Threshold

_PROBES = 4096
#: Up to which size a neuron must take its inputs at least.
LEAST_REACH = 2.0**16


def held(
    bench: Bench, spiking: Spiking, threshold: Threshold
) -> Iterator[tuple[Guess, Array | None]]:
    """Yield the rules that do what a part does, each with the potential up to which, if any.

    Parameters
    ----------
    bench : Bench
    spiking : Spiking
        Of an update that fits.
    threshold : Threshold
    """
    end = reach(bench.part)
    if end < LEAST_REACH:
        return
    count, size = max(64, _PROBES // bench.neurons), float(np.abs(threshold.least).max())
    few = [bench.random(64, size)]
    many = [
        bench.random(count), bench.random(count, size), spiking.near(threshold.least),
        _beside(bench, threshold),
    ]  # fmt: skip
    checks = [Check(bench, few), Check(bench, many)]
    for guess in spiking.guesses(threshold):
        inside = reachable(guess, threshold.below)
        for limit in (None, inside) if inside is not None else (None,):
            if not all(check.agrees(guess, limit) for check in checks):
                continue
            last = thorough(bench, end)
            if last.agrees(guess, limit) and covered(bench, [*checks, last], end, limit):
                yield guess, limit


def thorough(bench: Bench, end: float) -> Check:
    """Return the probes that tell, made once for a part."""
    if bench.checked is None:
        bench.checked = Check(bench, probes(bench, THOROUGH, end))
    found: Check = bench.checked
    return found


def probes(bench: Bench, aim: Aim, end: float) -> Iterator[dict[str, Array]]:
    """Yield probes of all sizes, and on both sides of all decisions."""
    part = bench.part
    yield far(part, 1024 if aim is THOROUGH else 16, end)
    yield from aimed(part, aim, end)


def reachable(guess: Guess, below: Array) -> Array | None:
    """Return the greatest potential that a step may begin with, if a reset bounds it."""
    now = guess.rule.reset is Reset.SET and guess.rule.reset_timing is ResetTiming.NOW
    value = guess.neuron["v_reset"].value if now else np.inf
    return below if (value <= below).all() else None


class Check:
    """Probes, and what a part makes of them.

    Parameters
    ----------
    bench : Bench
    given : iterable of dict
        Sets of probes.
    """

    def __init__(self, bench: Bench, given: Iterable[dict[str, Array]]) -> None:
        self.bench = bench
        self.sets = [(x, bench.truth(x)) for x in given]

    def agrees(self, guess: Guess, limit: Array | None) -> bool:
        """Whether a rule gives the same bits for all probes up to a potential."""
        return all(self._agree(guess, given, truth, limit) for given, truth in self.sets)

    def _agree(
        self,
        guess: Guess,
        given: Mapping[str, Array],
        truth: Mapping[str, Array],
        limit: Array | None,
    ) -> bool:
        names = ("spikes", "v", "i") if self.bench.roles.i else ("spikes", "v")
        found = same(self.bench.guessed(guess, given), truth, names)
        if limit is not None:
            found |= given[self.bench.roles.v] > limit
        return bool(found.all())


def covered(bench: Bench, checks: list[Check], end: float, limit: Array | None) -> bool:
    """Whether the probes went all ways that there are in a part, up to a potential.

    Parameters
    ----------
    bench : Bench
    checks : list of Check
    end : float
        Up to which size anything is given.
    limit : numpy.ndarray or None
        Up to which potential by neuron.
    """
    found, v = Coverage(bench.part), bench.roles.v
    for given, _ in (item for check in checks for item in check.sets):
        for rows, values in bench.part.blocks(given):
            x = given[v][rows]
            found.note(values, np.ones(x.shape, bool) if limit is None else x <= limit)
    return found.is_whole(ranges(bench.part, end, {} if limit is None else {v: limit}))


def _beside(bench: Bench, threshold: Threshold) -> dict[str, Array]:
    """Return probes that begin at the threshold, beside it, and at multiples of it."""
    rows = [threshold.below, threshold.least,
            np.nextafter(threshold.least, bench.dtype.type(np.inf)),
            2 * threshold.least, 3 * threshold.below, -threshold.least]  # fmt: skip
    v = np.tile(np.stack(rows), (64, 1)).astype(bench.dtype)
    x = (2 * threshold.least * bench.rng.normal(0, 1, v.shape)).astype(bench.dtype)
    x[: len(rows)] = 0
    return bench.probe(x, v, x[::-1], 0)
