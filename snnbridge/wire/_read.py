"""Reading: bytes to a tree whose arrays are views of the bytes."""

from __future__ import annotations

import functools
import math
import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnbridge.errors import ReadError
from snnbridge.wire._dtypes import dtype_of
from snnbridge.wire._scan import CHUNKED, scan

# The objects of an untrusted tree may take BUDGET + BUDGET_PER_BYTE * (size of the input) bytes.
BUDGET = 16 * 2**20
BUDGET_PER_BYTE = 24

# A larger array in chunks is joined in a temporary file instead of in memory.
MAX_IN_MEMORY = 64 * 2**20

_MAX_RANK = 64


def unpack(
    buffer: bytes | bytearray | memoryview | mmap.mmap, *, trusted: bool = False
) -> dict[str, Any]:
    """Decode one tree; its arrays are read-only views of `buffer`, nothing is copied.

    An array that was stored in chunks is the exception: the chunks are joined in memory up to
    64 MiB, above that in an unlinked temporary file (in ``tempfile.gettempdir()``) which is
    mapped read-only. The views keep `buffer` alive, may be unaligned, and see later changes of
    a mutable buffer.

    Parameters
    ----------
    buffer : bytes-like
        The whole file, typically a mapped one.
    trusted : bool
        Lift the limits that an honest file could meet: the memory that the objects of the tree
        may take (16 MiB and 24 bytes for each byte of the input), and the check that the bytes
        of boolean and text arrays are truth values and code points.

    Returns
    -------
    dict
        Keys are ``str``, in file order. Values are dicts, None, bool, int, float, str, bytes,
        complex, numpy scalars, and numpy arrays of any shape, a 0-d array being distinct from a
        scalar. Lists and tuples were stored as dicts with the keys "0", "1", ...

    Raises
    ------
    ReadError
        If the buffer is anything else than one well-formed tree of at most 512 nested maps. The
        message names the byte and the path.
    OSError
        If the temporary file for a large array in chunks cannot be written.

    Examples
    --------
    >>> unpack(bytes.fromhex("81a15603"))
    {'V': 3}
    """
    tree = unpack_value(buffer, trusted=trusted)
    if not isinstance(tree, dict):
        found = type(tree).__name__
        raise ReadError(f"a map was expected at the top of the file, found a value of type {found}")
    return tree


def unpack_value(
    buffer: bytes | bytearray | memoryview | mmap.mmap, *, trusted: bool = False
) -> Any:
    """Decode one tree or one bare leaf, which a framework stores if it is given no tree.

    All else is as in :func:`unpack`.

    Examples
    --------
    >>> unpack_value(bytes.fromhex("03"))
    3
    """
    view = memoryview(buffer).toreadonly().cast("B")
    base = np.frombuffer(view, np.uint8) if len(view) else np.empty(0, np.uint8)
    budget = sys.maxsize if trusted else BUDGET + BUDGET_PER_BYTE * len(view)
    check = _accept if trusted else _check_content
    return scan(base, budget, dtype_of, _scalar_of, check, functools.partial(_join, base))


def _accept(array: NDArray[Any]) -> None:
    pass


def _check_content(array: NDArray[Any]) -> None:
    """Refuse bytes that numpy would misread: truth values above 1, impossible characters."""
    unit, limit = (np.uint8, 1) if array.dtype.kind == "b" else (np.dtype("<u4"), sys.maxunicode)
    if array.size and array.reshape(-1).view(unit).max() > limit:
        raise ReadError(f"an array of type {array.dtype.name} has units above {limit:#x}")


def _scalar_of(dtype: np.dtype[Any], raw: NDArray[np.uint8]) -> np.generic:
    """Return the numpy scalar that the bytes `raw` are, keeping trailing NULs of texts.

    numpy stores an empty text as a single NUL, which is read as the empty text again.
    """
    if dtype.kind == "S":
        return np.bytes_(raw.tobytes() if raw.any() or raw.size > 1 else b"")
    cell = raw.copy().view(dtype)
    if dtype.kind in "bU":
        _check_content(cell)
    if dtype.kind == "U":
        text = raw.tobytes().decode("utf-32-le", "surrogatepass")  # numpy allows surrogates
        return np.str_("" if text == "\0" else text)
    scalar: np.generic = cell[0]
    return scalar


def _join(base: NDArray[np.uint8], parts: dict[str, Any]) -> NDArray[Any]:
    """Return the array whose flat chunks are in `parts`."""
    if parts.keys() != {CHUNKED, "shape", "chunks"} or parts[CHUNKED] is not True:
        raise ReadError(
            f"an array in chunks must have the keys {CHUNKED!r} (true), 'shape' and 'chunks'"
        )
    shape = _numbered(parts["shape"], "shape")
    if len(shape) > _MAX_RANK or not all(type(n) is int and n >= 0 for n in shape):
        raise ReadError("the shape of an array in chunks must be a short map of lengths")
    chunks = _numbered(parts["chunks"], "chunks")
    # A chunk that is not a view of the input was itself joined, which nobody writes.
    if not chunks or not all(_is_chunk(part, base, chunks[0]) for part in chunks):
        raise ReadError("chunks must be one-dimensional arrays of one type")
    if math.prod(shape) != sum(part.size for part in chunks):
        raise ReadError(f"the chunks of an array do not fill its shape {shape!r}")
    try:
        return _concatenated(chunks).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise ReadError(f"numpy cannot hold the joined array: {error}") from error


def _is_chunk(part: object, base: NDArray[np.uint8], first: object) -> bool:
    return (
        isinstance(part, np.ndarray)
        and isinstance(first, np.ndarray)
        and part.base is base
        and part.ndim == 1
        and part.dtype == first.dtype
    )


def _numbered(parts: object, what: str) -> list[Any]:
    """Return the values of a map with the keys "0", "1", ... in their order."""
    if not isinstance(parts, dict):
        raise ReadError(f"the {what} of an array in chunks must be a map")
    keys = [str(i) for i in range(len(parts))]
    if parts.keys() != set(keys):
        raise ReadError(f"the {what} of an array in chunks must have the keys '0', '1', ...")
    return [parts[key] for key in keys]


def _concatenated(chunks: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the chunks as one read-only array, in a temporary file if they are large."""
    if len(chunks) == 1:
        return chunks[0]
    if sum(part.nbytes for part in chunks) > MAX_IN_MEMORY:
        return _spooled(chunks)
    joined = np.concatenate(chunks)
    joined.flags.writeable = False
    return joined


def _spooled(chunks: list[NDArray[Any]]) -> NDArray[Any]:
    import tempfile  # slow to import, and rarely needed

    with tempfile.TemporaryFile(prefix="snnbridge-") as file:
        for part in chunks:
            file.write(part.view(np.uint8).data)
        file.flush()
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapping, chunks[0].dtype)
