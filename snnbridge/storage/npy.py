r"""The ``.npy`` format, versions 1 to 3: a header of one line, then the elements.

Layout (numpy.lib.format): ``\x93NUMPY``, two bytes of version, the header's length (two bytes
little-endian in version 1, four in 2 and 3), then a Python dict literal with the keys ``descr``,
``fortran_order`` and ``shape``, padded by spaces so that the data starts at a multiple of 64.
The literal is matched, never evaluated.
"""

from __future__ import annotations

import math
import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from snnbridge.errors import ReadError
from snnbridge.storage.arrays import little, read_only, shape_problem
from snnbridge.storage.limits import Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Parsed = tuple[np.dtype[Any], tuple[int, ...], bool, int, int]

_DEFAULT = Limits()
_MAGIC = b"\x93NUMPY"
_ALIGNMENT = 64
_USUAL = 128  # bytes before the data, in nearly every file
_USUAL_LENGTH = b"\x01\x00\x76\x00"
_LONGEST_LENGTH = 24  # characters of one axis in the text
_GROWTH = 21  # digits that numpy reserves for a first axis that grows in place
_ITEM = rb"""\s*'(?:descr|fortran_order|shape)'\s*:\s*(?:'[^'\\]*'|True|False|\([0-9L,\s]*\))\s*"""
_HEADER = re.compile(rb"\{" + _ITEM + rb"(?:," + _ITEM + rb"){2},?\s*\}\s*")
_DESCR = re.compile(rb"'descr'\s*:\s*'([^']*)'")
_ORDER = re.compile(rb"'fortran_order'\s*:\s*(True|False)")
_SHAPE = re.compile(rb"'shape'\s*:\s*\(([^)]*)\)")
_LENGTHS = re.compile(rb"\s*(?:[0-9]+L?\s*(?:,\s*[0-9]+L?\s*)*,?\s*)?")
_DTYPE = re.compile(rb"[<>|=]?(?:[biufc][0-9]{1,2}|[SUV][0-9]{1,9}|[mM]8(?:\[[0-9a-zA-Z]+\])?)")


class NpyHeader(NamedTuple):
    """What an ``.npy`` header says, and where the elements start."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool
    data_offset: int


def parse_npy(
    buffer: bytes | bytearray | memoryview, *, where: str = "an array", limits: Limits = _DEFAULT
) -> NpyHeader:
    """Read an ``.npy`` header.

    Parameters
    ----------
    buffer
        The file, or at least its header.
    where
        What to call it in messages.
    limits
        ``npy_header``, ``rank`` and ``dimension`` apply.

    Returns
    -------
    NpyHeader
        dtype, shape, order in memory, and the offset of the elements in bytes.

    Raises
    ------
    ReadError
        No ``.npy``; Python objects or records; a header that numpy would not write.

    Examples
    --------
    >>> import numpy as np
    >>> parse_npy(npy_header(np.dtype("f4"), (2, 3)))
    NpyHeader(dtype=dtype('float32'), shape=(2, 3), fortran_order=False, data_offset=128)
    """
    return NpyHeader(*_parse(memoryview(buffer), where, limits)[:4])


def _parse(data: memoryview, where: str, limits: Limits) -> _Parsed:
    head = bytes(data[:_USUAL])
    if head[6:10] == _USUAL_LENGTH:
        start, length = 10, _USUAL - 10
    elif head[6:8] in {b"\x02\x00", b"\x03\x00"}:
        start, length = 12, int.from_bytes(head[8:12], "little")
    elif head[6:8] == b"\x01\x00":
        start, length = 10, int.from_bytes(head[8:10], "little")
    else:
        raise ReadError(f"{where} is no .npy array: it starts with {head[:8]!r}")
    present = max(0, len(data) - start)
    if length > min(limits.npy_header, present):
        raise ReadError(
            f"{where} states an .npy header of {length} bytes; expected at most "
            f"{min(limits.npy_header, present)}"
        )
    if start + length != _USUAL:
        head = bytes(data[: start + length])
    found = _parse_text(head, start, limits.rank, limits.dimension)
    if isinstance(found, str):
        raise ReadError(f"{where} {found}")
    return found


@lru_cache(maxsize=1024)
def _parse_text(head: bytes, start: int, rank: int, dimension: int) -> _Parsed | str:
    """Parse a header, or say what is wrong with it."""
    text = head[start:]
    if not head.startswith(_MAGIC):
        return f"is no .npy array: it starts with {head[:8]!r}"
    if re.search(rb"'descr'\s*:\s*\[", text):
        return "holds records (a structured dtype); expected plain numbers"
    descr, order, shape = (pattern.search(text) for pattern in (_DESCR, _ORDER, _SHAPE))
    if not (_HEADER.fullmatch(text) and descr and order and shape):
        return f"has a malformed .npy header: {text[:120]!r}"
    if not _LENGTHS.fullmatch(shape[1]) or len(shape[1]) > _LONGEST_LENGTH * rank:
        return f"has a malformed .npy shape: ({shape[1][:80]!r})"
    if descr[1].endswith(b"O"):
        return "holds pickled Python objects, which are never loaded"
    dtype = _dtype(descr[1])
    if dtype is None:
        return f"has the dtype {descr[1]!r}, which is unknown"
    lengths = tuple(int(digits) for digits in re.findall(rb"[0-9]+", shape[1]))
    problem = shape_problem(lengths, rank, dimension)
    size = math.prod(lengths) * dtype.itemsize
    return problem or (dtype, lengths, order[1] == b"True", len(head), size)


def _dtype(descr: bytes) -> np.dtype[Any] | None:
    if not _DTYPE.fullmatch(descr):
        return None
    try:
        dtype = np.dtype(descr.decode("latin-1"))
    except (TypeError, ValueError):
        return None
    return dtype if dtype.itemsize else None


@lru_cache(maxsize=1024)
def npy_header(dtype: np.dtype[Any], shape: tuple[int, ...], *, fortran: bool = False) -> bytes:
    """Make the ``.npy`` header that numpy writes for an array; little-endian.

    Parameters
    ----------
    dtype
        Any but objects and records; those of ``ml_dtypes`` become ``<V2`` and the like, as
        numpy writes them.
    shape
        The array's shape.
    fortran
        Whether the elements follow in Fortran order.

    Examples
    --------
    >>> import numpy as np
    >>> npy_header(np.dtype("f4"), (2, 3))[10:69]
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    """
    text = f"{{'descr': {little(dtype).str!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    if shape:
        text += " " * (_GROWTH - len(repr(shape[-1 if fortran else 0])))
    length = len(_MAGIC) + 4 + len(text) + 1
    text += " " * (-length % _ALIGNMENT) + "\n"
    return _MAGIC + b"\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin-1")


def npy_array(
    buffer: bytes | bytearray | memoryview, *, where: str = "an array", limits: Limits = _DEFAULT
) -> NDArray[Any]:
    """Give the array of an ``.npy`` as a read-only view of the file's bytes.

    Parameters
    ----------
    buffer, where, limits
        As for :func:`parse_npy`; the whole file.

    Examples
    --------
    >>> import numpy as np
    >>> npy_array(npy_header(np.dtype("<u2"), (2,)) + bytes([1, 0, 2, 0]))
    array([1, 2], dtype=uint16)

    Raises
    ------
    ReadError
        As :func:`parse_npy`; or there are more or fewer bytes than the header says.
    """
    data = memoryview(buffer)
    dtype, shape, fortran, start, size = _parse(data, where, limits)
    if start + size != len(data):
        raise ReadError(
            f"{where} of shape {shape} and dtype {dtype} has {len(data) - start} bytes, "
            f"expected {size}"
        )
    return read_only(data, dtype, shape, start if size else 0, "F" if fortran else "C")
