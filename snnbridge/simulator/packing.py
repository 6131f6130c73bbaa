"""Weights and windows as the kernel takes them."""

from __future__ import annotations

import contextlib
import mmap
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    Array,
    AvgPool,
    Layer,
)
from snnbridge.model.places import placed, sides_of
from snnbridge.simulator._kernel import pack
from snnbridge.simulator.shapes import as_plane, taps

#: Bytes from which large pages pay.
_MANY = 1 << 22


def refuse_odd(layer: Layer, name: str, value: Array) -> None:
    """Refuse an array with a number that is not finite.

    Raises
    ------
    CheckpointError
        Naming the layer, the array and the number.
    """
    if value.dtype.kind in "iub":
        return
    finite = np.isfinite(value)
    if not finite.all():
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}): {name} holds {value[~finite].flat[0]}; expected "
            "finite numbers"
        )


def held_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 where it holds every number of a type exactly, and float64 elsewhere."""
    exact = dtype.itemsize <= 2 or dtype == np.float32
    return np.dtype(np.float32 if exact else np.float64)


def pack_tiles(layer: Layer, weight: Array) -> Array:
    """Copy weights (out, in) into tiles of at most 64 outputs, (in, tile) each.

    The last tile is filled with zeros to a multiple of 8 outputs.

    Raises
    ------
    CheckpointError
        For a weight that is not finite.
    """
    outputs, inputs = weight.shape
    held = held_as(weight.dtype)
    packed = _zeros(-(-outputs // 8) * 8 * inputs, held)
    ready = weight if weight.dtype == held and weight.flags.aligned else weight.astype(held)
    if not pack(ready, packed):
        refuse_odd(layer, "weight", weight)
    return packed


def _zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Return zeros, on large pages where there are many: rows of weights are read at random."""
    pages = getattr(mmap, "MADV_HUGEPAGE", None)
    if pages is None or size * dtype.itemsize < _MANY:
        return np.zeros(size, dtype)
    memory = mmap.mmap(-1, size * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):
        memory.madvise(pages)
    return np.frombuffer(memory, dtype)


def window_of(layer: Any, sizes: Any, kernel: Any, dilation: Any) -> tuple[Any, ...]:
    """Describe the places of a window; one axis is a plane of one row."""
    places = placed(layer, sizes, kernel, dilation)
    sides = sides_of(layer, sizes, kernel, dilation)
    plane = [as_plane(x, 1) for x in (sizes, places, kernel, layer.stride, dilation)]
    (height, width), (out_height, out_width), (rows, columns), strides, spread = plane
    before = as_plane([a for a, _ in sides], 0)
    down = taps(height, out_height, rows, strides[0], before[0], spread[0])
    across = taps(width, out_width, columns, strides[1], before[1], spread[1])
    return ((height, width, out_height, out_width, rows, columns), *down, *across)


def counts_of(layer: AvgPool, window: tuple[Any, ...], full: int) -> Array:
    """Return by how many numbers each place of a mean is divided, float64."""
    (_, _, out_height, out_width, _, _), down, across = window[0], window[1:4], window[4:7]
    if layer.count_padding is True or not any(n for side in _sides(layer) for n in side):
        return np.full((out_height, out_width), float(full))
    rows = np.bincount(down[2][: down[0][-1]], minlength=out_height)
    columns = np.bincount(across[2][: across[0][-1]], minlength=out_width)
    return np.outer(rows, columns).astype(np.float64)


def _sides(layer: AvgPool) -> Any:
    return ((1, 1),) if layer.padding == "same" else layer.padding


def spread(layer: Layer, name: str, value: Array, shape: Any) -> Array:
    """Return a parameter in the shape of what its layer takes.

    Raises
    ------
    CheckpointError
        If it does not broadcast to it.
    """
    try:
        return np.ascontiguousarray(np.broadcast_to(value, shape))
    except ValueError:
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}): {name} of shape {value.shape} does not "
            f"broadcast to {shape}"
        ) from None
