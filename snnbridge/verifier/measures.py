"""What is counted where two layers are compared: spikes, membranes, readouts."""

from __future__ import annotations

import numpy as np

from snnbridge.model import Array
from snnbridge.verifier.partings import rounding
from snnbridge.verifier.result import Divergence, LayerAgreement
from snnbridge.verifier.units import Unit, to_left

#: How far readouts may differ, as a share of their largest value.
READOUT_TOLERANCE = 1e-4

Pair = tuple[Array, Array]


def count_spikes(
    x: LayerAgreement,
    start: int,
    spikes: Pair,
    v: Pair,
    threshold: Array,
    judged: Array | None = None,
) -> None:
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
    judged : numpy.ndarray of bool, shape (steps, batch), optional
        Where spikes count; everywhere by default.
    """
    unequal = _where(judged, spikes[0] != spikes[1], other=False)
    ours, theirs = (_where(judged, side, other=0) for side in spikes)
    x.spikes_left += int(ours.sum(dtype=np.int64))
    x.spikes_right += int(theirs.sum(dtype=np.int64))
    _count(x, start, unequal, v, threshold)


def count_readouts(
    x: LayerAgreement, start: int, v: Pair, unequal: Array, judged: Array | None = None
) -> None:
    """Count the places where two readouts differ.

    Parameters
    ----------
    x : LayerAgreement
        Is brought up to date.
    start : int
    v : pair of numpy.ndarray
    unequal : numpy.ndarray of bool
        As :func:`unequal_readouts` tells them.
    judged : numpy.ndarray of bool, shape (steps, batch), optional
        As for :func:`count_spikes`.
    """
    gap = _where(judged, _gap(*v), other=0.0)
    x.largest_difference = max(x.largest_difference or 0.0, float(gap.max(initial=0.0)))
    _count(x, start, _where(judged, unequal, other=False), v, np.full((), np.nan))


def unequal_readouts(x: LayerAgreement, v: Pair, tolerance: float) -> Array:
    """Return where two readouts differ by more than a share of the largest value so far.

    What comes later does not count, so that the verdict does not depend on the size of blocks.
    """
    peaks = np.abs(v[0].reshape(len(v[0]), -1)).max(axis=1, initial=x.largest_value)
    peaks = np.maximum.accumulate(peaks)
    x.largest_value = float(peaks[-1])
    allowed = max(READOUT_TOLERANCE, tolerance) * np.maximum(peaks, 1e-30)
    unequal: Array = _gap(*v) > allowed.reshape(-1, *(1,) * (v[0].ndim - 1))
    return unequal


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
    x: LayerAgreement,
    v: Pair,
    units: tuple[Unit, Unit],
    tolerance: float,
    judged: Array,
    forgiven: Array,
) -> None:
    """Compare potentials before the reset, those of the right side in the left one's unit.

    In the samples that are `forgiven`, shape (batch,), rounding at the threshold does not count.
    """
    left, right = units[0], units[1].reshaped(units[0])
    theta = left.threshold
    factor, summand = to_left(left, right)
    gap = np.abs(v[0].astype(np.float64) - (v[1].astype(np.float64) * factor + summand))
    distances = np.abs(v[0] - theta), np.abs((v[1] - right.threshold) * factor)
    if forgiven.any():
        near = np.maximum(*distances) <= rounding((left, right), v)
        gap[near & forgiven.reshape(-1, *(1,) * (gap.ndim - 2))] = 0.0
    gap = _where(judged, gap, other=0.0)
    count_close(x, gap, np.minimum(*distances), tolerance * np.abs(theta))


def unjudged_membranes(x: LayerAgreement, v: Pair, judged: Array) -> None:
    """Compare states of a plugin's neurons, whose threshold is not known: any difference may do."""
    gap = _where(judged, _gap(*v), other=0.0)
    count_close(x, gap, np.zeros_like(gap), np.zeros(()))


def shown_membranes(
    x: LayerAgreement, v: Pair, before_reset: Array, threshold: Array, tolerance: float
) -> None:
    """Compare potentials as layers show them; the left side knows how near the threshold is."""
    margin = np.abs(before_reset - threshold)
    count_close(x, _gap(*v), margin, tolerance * np.abs(threshold))


def _where(judged: Array | None, values: Array, *, other: float) -> Array:
    """Return values, and another where they do not count."""
    if judged is None or judged.all():
        return values
    return np.where(judged.reshape(*judged.shape, *(1,) * (values.ndim - 2)), values, other)


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
