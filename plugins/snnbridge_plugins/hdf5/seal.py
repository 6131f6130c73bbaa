"""The seal: checksums behind the end of the HDF5 file proper.

An HDF5 library ends a file at the address that its superblock states and cuts off what stands
behind whenever it has opened the file for writing. So a file with a seal is as this package
wrote it, and a file without one was changed, or written, by another program since. Layout, all
numbers little-endian:

==================  =====================================================================
16 bytes            ``snnbridge-seal-1``
u64                 address of the first byte of the structure, which ends at the seal
u32                 number of arrays
per array           u64 offset, u64 bytes, u32 checksum (:mod:`.checksum`)
32 bytes            SHA-256 of the head (256 bytes), the structure, and the seal up to here
==================  =====================================================================
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from snnbridge import IntegrityError
from snnbridge.storage.hdf5 import end_of
from snnbridge_plugins.hdf5.schema import TYPE

SUPERBLOCK_SIZE = 96
#: Bytes of a file before its arrays: the superblock, and what the file is in words.
HEAD_SIZE = 256
_MAGIC = b"snnbridge-seal-1"
_FIXED = struct.Struct("<16sQI")
_RECORD = struct.Struct("<QQI")
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class Seal:
    """The checksums of a file.

    Parameters
    ----------
    arrays : dict of int to (bytes, checksum)
        By their offset.
    """

    arrays: dict[int, tuple[int, int]]


def make(
    head: bytes, structure: bytes | bytearray, start: int, arrays: Sequence[tuple[int, int, int]]
) -> bytes:
    """Make the seal of a file.

    Parameters
    ----------
    head : bytes
        The first 256 bytes of the file.
    structure : bytes
        Everything from `start` to the seal.
    start : int
    arrays : sequence of (offset, bytes, checksum)
    """
    body = _FIXED.pack(_MAGIC, start, len(arrays)) + b"".join(_RECORD.pack(*a) for a in arrays)
    return body + hashlib.sha256(head + structure + body).digest()


def check(data: memoryview) -> Seal | None:
    """Check the seal of a file, and the structure with it.

    Parameters
    ----------
    data : memoryview
        The whole file.

    Returns
    -------
    Seal or None
        None if another program has written the file.

    Raises
    ------
    ReadError
        If it is no HDF5 file, or cut off.
    IntegrityError
        If what stands at its end is no seal, or another one than the structure's.
    """
    end = end_of(data)
    seal = bytes(data[end:])
    if not seal or not (seal.startswith(_MAGIC) or _is_ours(data)):
        return None
    if len(seal) < _FIXED.size + _DIGEST or not seal.startswith(_MAGIC):
        raise IntegrityError(
            f"behind its end at byte {end} there are {len(seal)} bytes that are no seal; the file "
            "was cut off, damaged or appended to"
        )
    _, start, count = _FIXED.unpack_from(seal)
    body = seal[:-_DIGEST]
    if not HEAD_SIZE <= start <= end or len(body) != _FIXED.size + count * _RECORD.size:
        raise IntegrityError(f"the seal at byte {end} is damaged; the file was changed or cut off")
    digest = hashlib.sha256(data[:HEAD_SIZE])
    digest.update(data[start:end])
    digest.update(body)
    if digest.digest() != seal[-_DIGEST:]:
        raise IntegrityError(
            "the structure's SHA-256 is not the one in the seal; the file was damaged"
        )
    records = _RECORD.iter_unpack(body[_FIXED.size :])
    return Seal({offset: (size, checksum) for offset, size, checksum in records})


def _is_ours(data: memoryview) -> bool:
    """Whether the words at the start are those of this package."""
    words = TYPE.encode()
    return bytes(data[SUPERBLOCK_SIZE : SUPERBLOCK_SIZE + len(words)]) == words
