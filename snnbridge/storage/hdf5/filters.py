"""Undoing the filters of a chunk, none of them by a library that is found at run time."""

from __future__ import annotations

import zlib

import numpy as np

from snnbridge.errors import IntegrityError, ReadError
from snnbridge.storage.hdf5.constants import DEFLATE, FLETCHER32, LZF, SHUFFLE

Bytes = bytes | bytearray | memoryview


def check_filters(filters: tuple[int, ...]) -> None:
    """Refuse filters that are not known, or too many of them.

    Raises
    ------
    ReadError
        With the number, and how to rewrite the file.
    """
    for number in filters:
        if number not in _UNDO:
            raise ReadError(
                f"it is compressed by filter {number}, which is not read here; rewrite the file "
                "with: h5repack -f GZIP=4"
            )
    if len(set(filters)) != len(filters):
        raise ReadError(f"its filters {filters} repeat themselves; expected each once")


def undo(raw: memoryview, filters: tuple[int, ...], mask: int, size: int, itemsize: int) -> Bytes:
    """Return the elements of a chunk.

    Parameters
    ----------
    raw : memoryview
        The bytes that are stored.
    filters : tuple of int
        In the order in which they were applied; checked by :func:`check_filters`.
    mask : int
        The filters that were left out for this chunk, as bits.
    size : int
        Of the elements, in bytes.
    itemsize : int

    Raises
    ------
    ReadError
        If it is not `size` bytes that come out.
    IntegrityError
        If the chunk's own checksum differs.
    """
    result: Bytes = raw
    for number in reversed(range(len(filters))):
        if not mask >> number & 1:
            # a checksum that was made before the compression adds its four bytes to the size
            sums = filters[:number].count(FLETCHER32)
            result = _UNDO[filters[number]](result, size + 4 * sums, itemsize)
    if len(result) != size:
        raise ReadError(f"a chunk has {len(result)} bytes, expected {size}")
    return result


def _inflate(raw: Bytes, size: int, itemsize: int) -> bytes:
    machine = zlib.decompressobj()
    result = machine.decompress(raw, size + 1)
    if len(result) != size or not machine.eof:
        raise ReadError(f"a chunk does not expand to the {size} bytes that it should have")
    return result


def _unshuffle(raw: Bytes, size: int, itemsize: int) -> Bytes:
    if itemsize == 1:
        return raw
    whole = len(raw) // itemsize * itemsize
    first = np.frombuffer(raw[:whole], "u1").reshape(itemsize, -1).T.tobytes()
    return first + bytes(raw[whole:])


def _check_sum(raw: Bytes, size: int, itemsize: int) -> Bytes:
    if len(raw) < 4:
        raise ReadError("a chunk has no room for its checksum")
    found, stated = fletcher32(raw[:-4]), int.from_bytes(raw[-4:], "little")
    if found != (stated % 65536 % 65535, (stated >> 16) % 65535):
        raise IntegrityError("a chunk's checksum differs; it was damaged")
    return raw[:-4]


def fletcher32(raw: Bytes) -> tuple[int, int]:
    """Sum bytes as HDF5 does: 16-bit words, high byte first, modulo 65535, twice."""
    even = bytes(raw) + b"\0" * (len(raw) % 2)
    words = np.frombuffer(even, ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(65535)
    return int(words.sum()) % 65535, int((words * weights % np.uint64(65535)).sum()) % 65535


def _unpack_lzf(raw: Bytes, size: int, itemsize: int) -> bytearray:
    """Undo LZF: runs of literal bytes, and copies of what came before.

    A control byte below 32 says how many literals follow, less one. Else its upper three bits
    are a length less two (7: the next byte is added), its lower five and the byte behind are
    how far back the copy starts, less one.
    """
    data, result, at = bytes(raw), bytearray(), 0
    while at < len(data) and len(result) <= size:
        control = data[at]
        at += 1
        if control < 32:
            result += data[at : at + control + 1]
            at += control + 1
            continue
        length = control >> 5
        if length == 7:
            length, at = length + data[at], at + 1
        start = len(result) - ((control & 31) << 8 | data[at]) - 1
        at += 1
        if start < 0:
            raise ReadError("a chunk of LZF copies from before its start")
        _copy(result, start, length + 2)
    if len(result) != size:
        raise ReadError(f"a chunk does not expand to the {size} bytes that it should have")
    return result


def _copy(result: bytearray, start: int, length: int) -> None:
    """Append `length` bytes from `start` on, those that it appends included."""
    run = result[start : start + length]
    result += (run * (length // len(run) + 1))[:length]


_UNDO = {DEFLATE: _inflate, SHUFFLE: _unshuffle, FLETCHER32: _check_sum, LZF: _unpack_lzf}
