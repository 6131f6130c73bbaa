"""The checksum of HDF5's newer structures: Bob Jenkins' ``lookup3``, ``hashlittle``."""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFF
_TRIPLE = struct.Struct("<3I")


def lookup3(data: bytes) -> int:
    """Return the checksum of bytes, of 32 bits.

    Examples
    --------
    >>> hex(lookup3(b"Four score and seven years ago"))
    '0x17770551'
    """
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    if not data:
        return c
    whole = (len(data) - 1) // 12 * 12
    for x, y, z in _TRIPLE.iter_unpack(data[:whole]):
        a, b, c = _mixed((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
    x, y, z = _TRIPLE.unpack(data[whole:].ljust(12, b"\0"))
    return _finished((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = (a - c) & _MASK ^ (c << 4 & _MASK | c >> 28)
    c = (c + b) & _MASK
    b = (b - a) & _MASK ^ (a << 6 & _MASK | a >> 26)
    a = (a + c) & _MASK
    c = (c - b) & _MASK ^ (b << 8 & _MASK | b >> 24)
    b = (b + a) & _MASK
    a = (a - c) & _MASK ^ (c << 16 & _MASK | c >> 16)
    c = (c + b) & _MASK
    b = (b - a) & _MASK ^ (a << 19 & _MASK | a >> 13)
    a = (a + c) & _MASK
    c = (c - b) & _MASK ^ (b << 4 & _MASK | b >> 28)
    return a, (b + a) & _MASK, c


def _finished(a: int, b: int, c: int) -> int:
    c = ((c ^ b) - (b << 14 & _MASK | b >> 18)) & _MASK
    a = ((a ^ c) - (c << 11 & _MASK | c >> 21)) & _MASK
    b = ((b ^ a) - (a << 25 & _MASK | a >> 7)) & _MASK
    c = ((c ^ b) - (b << 16 & _MASK | b >> 16)) & _MASK
    a = ((a ^ c) - (c << 4 & _MASK | c >> 28)) & _MASK
    b = ((b ^ a) - (a << 14 & _MASK | a >> 18)) & _MASK
    return ((c ^ b) - (b << 24 & _MASK | b >> 8)) & _MASK
