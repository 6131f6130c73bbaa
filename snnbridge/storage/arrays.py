"""Arrays to bytes and back: little-endian, C order, as little copied as possible."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from snnbridge.errors import ReadError, WriteError
from snnbridge.storage.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    _Box = tuple[int | slice, ...]

BLOCK = 4 << 20
"""Bytes that are copied at a time where an array cannot be written from where it is."""

_TILE = 256 << 10
_LINE = 64
_DEFAULT = Limits()


def little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Give the little-endian form of a dtype.

    Raises
    ------
    WriteError
        The dtype has no such bytes: Python objects, records.
    """
    if dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None:
        raise WriteError(
            f"an array of dtype {dtype} cannot be stored; expected numbers, booleans or strings"
        )
    return dtype if is_little(dtype) else dtype.newbyteorder("<")


def is_little(dtype: np.dtype[Any]) -> bool:
    """Whether elements of the dtype lie in memory as they do in files."""
    order = dtype.byteorder
    return order in "<|" or (order == "=" and sys.byteorder == "little")


def nbytes(array: NDArray[Any]) -> int:
    """Give the number of bytes that :func:`blocks` yields in all.

    Parameters
    ----------
    array
        Any shape, strides and dtype.

    Examples
    --------
    >>> import numpy as np
    >>> nbytes(np.zeros((2, 3), np.float32)[:, ::2])
    16
    """
    return array.size * array.dtype.itemsize


def array_bytes(array: NDArray[Any]) -> bytes:
    """Give a small array's elements as bytes, in C order, little-endian.

    Parameters
    ----------
    array
        As for :func:`blocks`, which suits large ones.

    Examples
    --------
    >>> import numpy as np
    >>> array_bytes(np.array([[1, 2], [3, 4]], ">i2").T).hex()
    '0100030002000400'
    """
    dtype = array.dtype
    if dtype.isbuiltin == 1 and is_little(dtype) and not dtype.hasobject:
        return array.tobytes()
    return array.astype(little(dtype), copy=False).tobytes()


def blocks(array: NDArray[Any], size: int = BLOCK) -> Iterator[memoryview]:
    """Give an array's elements as bytes, in C order, little-endian, block by block.

    An array that has that form in memory comes as one block that is the array's own memory.
    Any other is copied through a buffer of about ``size`` bytes, so a block must be used before
    the next one is asked for.

    Parameters
    ----------
    array
        Any shape, strides and byte order; any dtype but objects and records, those of
        ``ml_dtypes`` included (one byte for each int4).
    size
        Bytes of a block; at least one element is copied.

    Yields
    ------
    memoryview
        Unsigned bytes; nothing for an array without elements.

    Examples
    --------
    >>> import numpy as np
    >>> b"".join(blocks(np.array([[1, 2], [3, 4]], ">i2").T)).hex()
    '0100030002000400'
    """
    dtype = little(array.dtype)
    if array.size == 0 or dtype.itemsize == 0:
        return
    if array.flags.c_contiguous and dtype == array.dtype:
        yield array.reshape(-1).view(np.uint8).data
        return
    count = max(1, size // dtype.itemsize)
    buffer = np.empty(min(count, array.size), dtype)
    raw = buffer.view(np.uint8).data
    for box in _boxes(array.shape, count):
        part = array[box]
        _gather(part, buffer[: part.size].reshape(part.shape))
        yield raw[: part.size * dtype.itemsize]


def _boxes(shape: tuple[int, ...], count: int) -> Iterator[_Box]:
    """Cut a shape into boxes of at most ``count`` elements that follow each other in C order."""
    axis, below = len(shape), 1
    while axis and below * shape[axis - 1] <= count:
        axis -= 1
        below *= shape[axis]
    if axis == 0:
        yield ()
        return
    step = count // below
    for prefix in np.ndindex(shape[: axis - 1]):
        for start in range(0, shape[axis - 1], step):
            yield (*prefix, slice(start, start + step))


def _gather(part: NDArray[Any], out: NDArray[Any]) -> None:
    """Copy ``part`` to ``out``, which is contiguous, without striding through cold memory.

    Where the axis along which ``part`` is dense is not the last one, tiles are copied in the
    order of their memory first and turned within the cache.
    """
    if part.ndim < 2 or part.nbytes <= _TILE:
        out[...] = part
        return
    axes = sorted(range(part.ndim), key=lambda i: (part.shape[i] > 1, -abs(part.strides[i])))
    if axes[-1] == part.ndim - 1:
        out[...] = part
        return
    source, target = part.transpose(axes), out.transpose(axes)
    axis = max(range(part.ndim - 1), key=lambda i: source.shape[i])
    step = max(1, _TILE * source.shape[axis] // part.nbytes)
    for start in range(0, source.shape[axis], step):
        tile = (slice(None),) * axis + (slice(start, start + step),)
        _turn(source[tile], target[tile])


def _turn(source: NDArray[Any], target: NDArray[Any]) -> None:
    """Copy a tile that fits the cache by way of a compact one in the order of its memory.

    Its rows are longer by a cache line: at strides of a power of two they would share their
    places in the cache.
    """
    *outer, inner = source.shape
    padding = max(1, _LINE // source.itemsize)
    compact = np.empty((*outer, inner + padding), source.dtype)[..., :inner]
    compact[...] = source
    target[...] = compact


def view(
    buffer: bytes | bytearray | memoryview,
    dtype: DTypeLike,
    shape: tuple[int, ...],
    offset: int = 0,
    *,
    order: Literal["C", "F"] = "C",
    where: str = "an array",
    limits: Limits = _DEFAULT,
) -> NDArray[Any]:
    """Give a read-only array over bytes, after checking that they are there.

    Parameters
    ----------
    buffer
        The bytes of a file; kept alive by the array.
    dtype, shape, order
        What the file says about the array.
    offset
        Where it starts, in bytes.
    where
        What to call it in messages.
    limits
        ``rank`` and ``dimension`` apply.

    Returns
    -------
    ndarray
        A view, not a copy; not writeable.

    Raises
    ------
    ReadError
        The array would reach beyond the buffer, or cannot exist.

    Examples
    --------
    >>> view(bytes(range(8)), "<u2", (2,), 2)
    array([ 770, 1284], dtype=uint16)
    """
    kind = np.dtype(dtype)
    problem = shape_problem(shape, limits.rank, limits.dimension)
    if kind.hasobject:
        problem = f"has dtype {kind}, which holds Python objects"
    if problem:
        raise ReadError(f"{where} {problem}")
    size, present = math.prod(shape) * kind.itemsize, memoryview(buffer).nbytes
    if offset < 0 or size > present - offset:
        raise ReadError(
            f"{where} of shape {shape} and dtype {kind} needs {size} bytes at byte {offset}, "
            f"but only {max(0, present - offset)} are there"
        )
    return read_only(buffer, kind, shape, offset if size else 0, order)


def read_only(
    buffer: bytes | bytearray | memoryview,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    offset: int,
    order: Literal["C", "F"],
) -> NDArray[Any]:
    """Give a read-only array over bytes that are known to be there."""
    array: NDArray[Any] = np.ndarray(shape, dtype, buffer, offset, None, order)
    if array.flags.writeable:
        array.flags.writeable = False
    return array


def shape_problem(shape: tuple[int, ...], rank: int, dimension: int) -> str:
    """Say what is wrong with a shape that a file states; nothing where it is possible."""
    if len(shape) > rank:
        return f"has {len(shape)} axes, more than the {rank} allowed"
    if any(n < 0 or n > dimension for n in shape):
        return f"has the shape {shape}; expected lengths of 0 to {dimension}"
    if math.prod(n for n in shape if n) >= 1 << 58:  # numpy refuses it even without elements
        return f"has the shape {shape}, which is too large to exist"
    return ""
