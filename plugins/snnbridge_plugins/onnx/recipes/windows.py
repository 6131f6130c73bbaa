"""The elements that the windows of convolutions and pools see."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from snnbridge.model import Array, AvgPool, Shape, placed, sides_of


def taps(layer: Any, shape: Shape, kernel: Sequence[int]) -> Array:
    """List the elements of each window, place by place.

    Parameters
    ----------
    layer : Conv1d, Conv2d, SumPool or AvgPool
    shape : tuple of int
        Of the input, the window's axes last.
    kernel : sequence of int

    Returns
    -------
    numpy.ndarray of int64, shape (places * elements of a window,)
        Indices into one channel; its size stands for what lies outside.
    """
    sizes = shape[-len(kernel) :]
    dilation = getattr(layer, "dilation", (1,) * len(kernel))
    places = placed(layer, sizes, tuple(kernel), dilation)
    sides = sides_of(layer, sizes, tuple(kernel), dilation)
    along = [
        np.arange(n)[:, None] * stride - before + np.arange(k) * d
        for n, stride, (before, _), k, d in zip(
            places, layer.stride, sides, kernel, dilation, strict=True
        )
    ]
    return _joined(along, sizes, math.prod(sizes)).reshape(-1)


def _joined(along: list[Array], sizes: Sequence[int], outside: int) -> Array:
    """Return the index of each (place, tap) of all axes together."""
    count = len(along)
    found, inside = np.zeros((1,) * 2 * count, np.int64), np.ones((1,) * 2 * count, bool)
    for axis, (at, size) in enumerate(zip(along, sizes, strict=True)):
        dims = [1] * 2 * count
        dims[axis], dims[count + axis] = at.shape
        at = at.reshape(dims)
        found = found * size + at
        inside = inside & (at >= 0) & (at < size)
    return np.where(inside, found, outside)


def counts(layer: AvgPool, seen: Array, outside: int) -> Array:
    """Return by how much the sum over each window is divided, float64.

    Parameters
    ----------
    layer : AvgPool
    seen : numpy.ndarray, shape (places, elements of a window)
        As :func:`taps` lists them.
    outside : int
    """
    if layer.count_padding is True:
        return np.full(1, seen.shape[1], np.float64)
    found: Array = (seen < outside).sum(axis=1).astype(np.float64)
    return found


def pads(layer: Any, sizes: Shape) -> list[int]:
    """Return what is added before each axis, then what is added behind each."""
    ones = (1,) * len(sizes)
    return list(itertools.chain(*zip(*sides_of(layer, sizes, layer.window, ones), strict=True)))
