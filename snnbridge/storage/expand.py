"""Decompressing a member of an archive: exactly as much as it states, in one buffer."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

from snnbridge.errors import IntegrityError, ReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STORED, _DEFLATED, _BZIP2, _LZMA = 0, 8, 12, 14
_INPUT = 64 << 10
_OUTPUT = 256 << 10


def expand(packed: memoryview, method: int, size: int, crc: int, where: str) -> memoryview:
    """Decompress a member.

    Parameters
    ----------
    packed
        Its compressed bytes.
    method
        8 (deflate), 12 (bzip2) or 14 (lzma).
    size
        The number of bytes that it must have; allocated at once.
    crc
        The CRC-32 that they must have.
    where
        What to call it in messages.

    Returns
    -------
    memoryview
        Read-only.

    Raises
    ------
    ReadError
        The compressed data is damaged, too short or too long.
    IntegrityError
        The CRC-32 differs.
    """
    result = bytearray(size)
    filled = found = 0
    pieces = _PIECES[method](packed, size)
    while (piece := _next(pieces, where)) is not None:
        if filled + len(piece) > size:
            raise ReadError(f"{where} expands to more than the {size} bytes that it states")
        result[filled : filled + len(piece)] = piece
        found = zlib.crc32(piece, found)
        filled += len(piece)
    if filled != size:
        raise ReadError(f"{where} expands to {filled} bytes, expected {size}")
    if found != crc:
        raise IntegrityError(f"{where} has CRC-32 {found:08x}, expected {crc:08x}: it was changed")
    return memoryview(result).toreadonly()


def _next(pieces: Iterator[bytes], where: str) -> bytes | None:
    try:
        return next(pieces, None)
    except (zlib.error, OSError, EOFError, ValueError) as error:
        raise ReadError(f"{where} is not valid compressed data: {error}") from error


def _deflate(packed: memoryview, size: int) -> Iterator[bytes]:
    del size
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    for start in range(0, len(packed), _INPUT):
        waiting: bytes | memoryview = packed[start : start + _INPUT]
        while waiting and not decoder.eof:
            yield decoder.decompress(waiting, _OUTPUT)
            waiting = decoder.unconsumed_tail
        if decoder.eof:
            _check_end(len(packed) - start - _INPUT, decoder.unused_data)
            return
    yield decoder.flush()
    if not decoder.eof:
        raise EOFError("it is cut")


def _bzip2(packed: memoryview, size: int) -> Iterator[bytes]:
    import bz2

    del size
    yield from _pull(bz2.BZ2Decompressor(), packed, must_end=True)


def _lzma(packed: memoryview, size: int) -> Iterator[bytes]:
    """Decode LZMA behind the header of zip: version, length, properties, size of dictionary."""
    import lzma

    head = bytes(packed[:9])
    if len(head) < 9 or head[2:4] != b"\x05\x00" or head[4] >= 9 * 5 * 5:
        raise ValueError(f"unknown properties {head.hex()}")
    position_bits, rest = divmod(head[4], 45)
    literal_position_bits, literal_bits = divmod(rest, 9)
    (dictionary,) = struct.unpack_from("<L", head, 5)
    filters = {
        "id": lzma.FILTER_LZMA1,
        "lc": literal_bits,
        "lp": literal_position_bits,
        "pb": position_bits,
        "dict_size": max(4096, min(dictionary, size)),  # more could not be used
    }
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters])
        yield from _pull(decoder, packed[9:], must_end=False)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error


def _pull(decoder: Any, packed: memoryview, *, must_end: bool) -> Iterator[bytes]:
    """Drive a decoder of the ``bz2`` and ``lzma`` kind with bounded steps."""
    for start in range(0, len(packed), _INPUT):
        yield decoder.decompress(packed[start : start + _INPUT], _OUTPUT)
        while not decoder.needs_input and not decoder.eof:
            yield decoder.decompress(b"", _OUTPUT)
        if decoder.eof:
            _check_end(len(packed) - start - _INPUT, decoder.unused_data)
            return
    if must_end:
        raise EOFError("it is cut")


def _check_end(remaining: int, unused: bytes) -> None:
    if remaining > 0 or unused:
        raise ValueError("bytes follow its end")


_PIECES: dict[int, Callable[[memoryview, int], Iterator[bytes]]] = {
    _DEFLATED: _deflate,
    _BZIP2: _bzip2,
    _LZMA: _lzma,
}
METHODS = frozenset({STORED, *_PIECES})
"""Compression methods of zip that can be read."""
