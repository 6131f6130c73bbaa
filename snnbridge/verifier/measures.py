"""What is counted where two layers are compared: spikes, membranes, readouts."""

from __future__ import annotations

import numpy as np

from snnbridge.model import Array
from snnbridge.verifier.result import Divergence, LayerAgreement
from snnbridge.verifier.units import Unit, to_left

#: How far readouts may differ, as a share of their largest value.
READOUT_TOLERANCE = 1e-4

Pair = tuple[Array, Array]


def count_spikes(x: LayerAgreement, start: int, spikes: Pair, v: Pair, threshold: Array) -> None:
    """Count the spikes of both sides, and the places where they differ.

    Parameters
    ----------
    x : LayerAgreement
        Is brought up to date.
    start : int
        The step at which the arrays begin.
    spikes, v : pair of numpy.ndarray
        Shape ``(steps, batch, *layer shape)``; the membranes only to name them where spikes differ.
    threshold : numpy.ndarray
        Of the left side, shape (*layer shape).
    """
    unequal = spikes[0] != spikes[1]
    x.spikes_left += int(spikes[0].sum(dtype=np.int64))
    x.spikes_right += int(spikes[1].sum(dtype=np.int64))
    _count(x, start, unequal, v, threshold)


def count_readouts(x: LayerAgreement, start: int, v: Pair, tolerance: float) -> None:
    """Count the places where two readouts differ by more than a share of the largest value so far.

    What comes later does not count, so that the verdict does not depend on the size of blocks.
    """
    gap = _gap(*v)
    peaks = np.abs(v[0].reshape(len(v[0]), -1)).max(axis=1, initial=x.largest_value)
    peaks = np.maximum.accumulate(peaks)
    x.largest_value = float(peaks[-1])
    allowed = max(READOUT_TOLERANCE, tolerance) * np.maximum(peaks, 1e-30)
    unequal = gap > allowed.reshape(-1, *(1,) * (gap.ndim - 1))
    x.largest_difference = max(x.largest_difference or 0.0, float(gap.max(initial=0.0)))
    _count(x, start, unequal, v, np.full((), np.nan))


def count_close(x: LayerAgreement, gap: Array, margin: Array, allowed: Array) -> None:
    """Count the places where membranes differ by more than their distance to the threshold.

    Parameters
    ----------
    x : LayerAgreement
        Is brought up to date.
    gap : numpy.ndarray
        By how much the two potentials differ.
    margin : numpy.ndarray
        How far from the threshold the nearer of them is.
    allowed : numpy.ndarray
        The difference that is of no account.
    """
    x.largest_difference = max(x.largest_difference or 0.0, float(gap.max(initial=0.0)))
    slack = np.where((gap == 0) | (gap <= allowed), np.inf, margin - gap)
    x.smallest_margin = min(x.smallest_margin, float(slack.min(initial=np.inf)))
    x.close += int(np.count_nonzero(slack <= 0))


def simulated_membranes(
    x: LayerAgreement, v: Pair, units: tuple[Unit, Unit], tolerance: float
) -> None:
    """Compare potentials before the reset, those of the right side in the left one's unit."""
    left, right = units[0], units[1].reshaped(units[0])
    theta = left.threshold
    factor, summand = to_left(left, right)
    gap = np.abs(v[0].astype(np.float64) - (v[1].astype(np.float64) * factor + summand))
    margin = np.minimum(np.abs(v[0] - theta), np.abs((v[1] - right.threshold) * factor))
    count_close(x, gap, margin, tolerance * np.abs(theta))


def unjudged_membranes(x: LayerAgreement, v: Pair) -> None:
    """Compare states of a plugin's neurons, whose threshold is not known: any difference may do."""
    gap = _gap(*v)
    count_close(x, gap, np.zeros_like(gap), np.zeros(()))


def shown_membranes(
    x: LayerAgreement, v: Pair, before_reset: Array, threshold: Array, tolerance: float
) -> None:
    """Compare potentials as layers show them; the left side knows how near the threshold is."""
    margin = np.abs(before_reset - threshold)
    count_close(x, _gap(*v), margin, tolerance * np.abs(threshold))


def _gap(left: Array, right: Array) -> Array:
    """Return how far two arrays are apart: without end where one is no number."""
    gap = np.abs(left.astype(np.float64) - right.astype(np.float64))
    return np.where(np.isnan(gap), np.inf, gap)


def _count(x: LayerAgreement, start: int, unequal: Array, v: Pair, threshold: Array) -> None:
    x.places += unequal.size
    count = int(np.count_nonzero(unequal))
    if count and x.first is None:
        x.first = _divergence(unequal, start, v, threshold)
    x.differing += count


def _divergence(unequal: Array, start: int, v: Pair, threshold: Array) -> Divergence:
    step, sample, *neuron = (int(n) for n in np.argwhere(unequal)[0])
    place = (step, sample, *neuron)
    at = np.broadcast_to(threshold, unequal.shape[2:])[tuple(neuron)]
    left, right = (float(np.broadcast_to(side, unequal.shape)[place]) for side in v)
    return Divergence(start + step, sample, tuple(neuron), left, right, float(at))
