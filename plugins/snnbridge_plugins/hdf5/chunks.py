"""Compressed datasets: elements cut into chunks, each shuffled and deflated by itself.

Done here and not by an HDF5 library, so that a chunk never expands to more than it should and
no library sees the bytes of a stranger.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from snnbridge.errors import IntegrityError, ReadError
from snnbridge.model import Array, Shape
from snnbridge.storage import Limits
from snnbridge_plugins.hdf5.description import Chunks, Stored
from snnbridge_plugins.hdf5.encode import DEFLATE, FLETCHER32, SHUFFLE

_CHUNK = 1 << 20


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


def chunk_places(shape: Shape, chunk: Shape) -> Iterator[Shape]:
    """Give the index of the first element of each chunk, in C order."""
    grid = tuple(-(-n // c) for n, c in zip(shape, chunk, strict=True))
    for at in np.ndindex(grid):
        yield tuple(i * c for i, c in zip(at, chunk, strict=True))


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
    for place in chunk_places(shape, chunk):
        inside = (min(c, n - a) for a, c, n in zip(place, chunk, shape, strict=True))
        run, filled, size = bytearray(whole), 0, math.prod(inside) * itemsize
        while filled < size:
            if not left:
                left = memoryview(next(source))
            part = left[: size - filled]
            run[filled : filled + len(part)] = part
            filled, left = filled + len(part), left[len(part) :]
        yield place, _deflated(_shuffled(run, itemsize), level)


def _deflated(run: bytes | bytearray, level: int) -> bytes:
    """Compress a chunk, but never so far that a reader would take it for an attack."""
    data = zlib.compress(run, level)
    if len(data) * Limits().expansion_ratio >= len(run):
        return data
    machine = zlib.compressobj(level, strategy=zlib.Z_HUFFMAN_ONLY)  # at best 8 to 1
    return machine.compress(run) + machine.flush()


def _shuffled(run: bytearray, itemsize: int) -> bytes | bytearray:
    return run if itemsize == 1 else np.frombuffer(run, "u1").reshape(-1, itemsize).T.tobytes()


def expand(data: memoryview, stored: Stored, path: str) -> Array:
    """Decompress a dataset.

    Parameters
    ----------
    data : memoryview
        The whole file.
    stored : Stored
        Checked by :func:`.description.check`.
    path : str
        Of the dataset, for messages.

    Returns
    -------
    numpy.ndarray
        Of the stored dtype and shape; read-only.

    Raises
    ------
    ReadError
        For a filter that is not known, or data that do not expand to what is stated.
    IntegrityError
        If a chunk's own checksum differs.
    """
    chunks = stored.chunks
    assert chunks is not None
    for filter in chunks.filters:
        if filter not in _UNDO:
            raise ReadError(
                f"dataset {path!r} is compressed by filter {filter}, which is not read here; "
                "rewrite the file with: h5repack -f GZIP=4"
            )
    dtype = np.dtype(stored.dtype)
    result = np.empty(stored.shape, dtype)
    size = math.prod(chunks.shape) * dtype.itemsize
    for at, address, length, mask in chunks.stored:
        raw = _undone(data[address : address + length], chunks, mask, size, dtype.itemsize, path)
        block = np.frombuffer(raw, dtype).reshape(chunks.shape)
        box = tuple(
            slice(a, min(a + c, n)) for a, c, n in zip(at, chunks.shape, stored.shape, strict=True)
        )
        result[box] = block[tuple(slice(0, s.stop - s.start) for s in box)]
    result.flags.writeable = False
    return result


def _undone(
    raw: memoryview, chunks: Chunks, mask: int, size: int, itemsize: int, path: str
) -> bytes | memoryview:
    result: bytes | memoryview = raw
    for number in reversed(range(len(chunks.filters))):
        if not mask >> number & 1:
            # a checksum that was made before the compression adds its four bytes to the size
            sums = chunks.filters[:number].count(FLETCHER32)
            try:
                result = _UNDO[chunks.filters[number]](result, size + 4 * sums, itemsize)
            except IntegrityError as error:
                raise IntegrityError(f"a chunk of dataset {path!r} is damaged: {error}") from error
            except (zlib.error, ValueError) as error:
                raise ReadError(f"a chunk of dataset {path!r} is damaged: {error}") from error
    if len(result) != size:
        raise ReadError(f"a chunk of dataset {path!r} has {len(result)} bytes, expected {size}")
    return result


def _inflate(raw: bytes | memoryview, size: int, itemsize: int) -> bytes:
    machine = zlib.decompressobj()
    result = machine.decompress(raw, size + 1)
    if len(result) != size or not machine.eof:
        raise ValueError(f"it does not expand to the {size} bytes that it should have")
    return result


def _unshuffle(raw: bytes | memoryview, size: int, itemsize: int) -> bytes | memoryview:
    if itemsize == 1:
        return raw
    whole = len(raw) // itemsize * itemsize
    first = np.frombuffer(raw[:whole], "u1").reshape(itemsize, -1).T.tobytes()
    return first + bytes(raw[whole:])


def _check_sum(raw: bytes | memoryview, size: int, itemsize: int) -> bytes | memoryview:
    if len(raw) < 4:
        raise ValueError("it has no room for its checksum")
    found, stated = _fletcher32(raw[:-4]), int.from_bytes(raw[-4:], "little")
    if found != (stated % 65536 % 65535, (stated >> 16) % 65535):
        raise IntegrityError("its checksum differs")
    return raw[:-4]


def _fletcher32(raw: bytes | memoryview) -> tuple[int, int]:
    """Sum the bytes as HDF5 does: 16-bit words, high byte first, modulo 65535, twice."""
    even = bytes(raw) + b"\0" * (len(raw) % 2)
    words = np.frombuffer(even, ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(65535)
    return int(words.sum()) % 65535, int((words * weights % np.uint64(65535)).sum()) % 65535


_UNDO = {DEFLATE: _inflate, SHUFFLE: _unshuffle, FLETCHER32: _check_sum}
