"""Decompressing a member of an archive: exactly as much as it states, in one buffer."""

from __future__ import annotations

import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Protocol

from snnbridge.errors import IntegrityError, ReadError

if TYPE_CHECKING:
    from collections.abc import Callable

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
METHODS = {STORED: "stored", DEFLATED: "deflate", BZIP2: "bzip2", LZMA: "lzma"}

_INPUT = 64 << 10
_OUTPUT = 256 << 10


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes: ...


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
    errors = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
    try:
        for piece in _pieces(packed, method, size):
            if filled + len(piece) > size:
                raise ReadError(f"{where} expands to more than the {size} bytes that it states")
            result[filled : filled + len(piece)] = piece
            found = zlib.crc32(piece, found)
            filled += len(piece)
    except ReadError:
        raise
    except errors as error:
        raise ReadError(f"{where} is not valid {METHODS[method]} data: {error}") from error
    if filled != size:
        raise ReadError(f"{where} expands to {filled} bytes, expected {size}")
    if found != crc:
        raise IntegrityError(f"{where} has CRC-32 {found:08x}, expected {crc:08x}: it was changed")
    return memoryview(result).toreadonly()
