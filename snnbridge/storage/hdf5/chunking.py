"""Writing compressed datasets: elements cut into chunks, each shuffled and deflated by itself."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from snnbridge.storage.limits import Limits

_CHUNK = 1 << 20

Shape = tuple[int, ...]


def chunk_shape(shape: Shape, itemsize: int) -> Shape:
    """Choose chunks of up to 1 MiB, each a run of elements in C order."""
    count = max(1, _CHUNK // itemsize)
    axis, below = len(shape), 1
    while axis and below * shape[axis - 1] <= count:
        axis -= 1
        below *= shape[axis]
    if axis == 0:
        return shape
    return (*(1,) * (axis - 1), count // below, *shape[axis:])


def compressed(
    pieces: Iterable[bytes | memoryview], shape: Shape, chunk: Shape, itemsize: int, level: int
) -> Iterator[tuple[Shape, bytes]]:
    """Compress a dataset chunk by chunk.

    Parameters
    ----------
    pieces : iterable of bytes
        The bytes of all elements in C order, in pieces of any size.
    shape, chunk : tuple of int
        `chunk` as :func:`chunk_shape` gives it.
    itemsize : int
        Bytes of an element.
    level : int
        Of zlib.

    Yields
    ------
    place : tuple of int
        The index of the chunk's first element.
    data : bytes
    """
    source = iter(pieces)
    left = memoryview(b"")
    whole = math.prod(chunk) * itemsize
    for place in _places(shape, chunk):
        inside = (min(c, n - a) for a, c, n in zip(place, chunk, shape, strict=True))
        run, filled, size = bytearray(whole), 0, math.prod(inside) * itemsize
        while filled < size:
            if not left:
                left = memoryview(next(source))
            part = left[: size - filled]
            run[filled : filled + len(part)] = part
            filled, left = filled + len(part), left[len(part) :]
        yield place, _deflated(_shuffled(run, itemsize), level)


def _places(shape: Shape, chunk: Shape) -> Iterator[Shape]:
    """Give the index of the first element of each chunk, in C order."""
    grid = tuple(-(-n // c) for n, c in zip(shape, chunk, strict=True))
    for at in np.ndindex(grid):
        yield tuple(i * c for i, c in zip(at, chunk, strict=True))


def _deflated(run: bytes | bytearray, level: int) -> bytes:
    """Compress a chunk, but never so far that a reader would take it for an attack."""
    data = zlib.compress(run, level)
    if len(data) * Limits().expansion_ratio >= len(run):
        return data
    machine = zlib.compressobj(level, strategy=zlib.Z_HUFFMAN_ONLY)  # at best 8 to 1
    return machine.compress(run) + machine.flush()


def _shuffled(run: bytearray, itemsize: int) -> bytes | bytearray:
    return run if itemsize == 1 else np.frombuffer(run, "u1").reshape(-1, itemsize).T.tobytes()
