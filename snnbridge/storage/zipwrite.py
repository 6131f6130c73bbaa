"""Writing a zip archive of stored (not compressed) members, at the disk's speed.

Layout (PKWARE APPNOTE 6.3): for each member a local header, its name, an extra field and the
data; then the central directory and its end record. The extra field (0xD935, as ``zipalign``
writes it) pads the header so that every member's data starts at a multiple of 64, and with it
an ``.npy`` array: the file can be mapped and its arrays used where they are. Dates are
1980-01-01, so the same arrays give the same bytes.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from functools import lru_cache
from itertools import chain, starmap
from typing import TYPE_CHECKING, Any, Self

from snnbridge.errors import WriteError
from snnbridge.storage.arrays import blocks, little, nbytes
from snnbridge.storage.npy import npy_header
from snnbridge.storage.zipformat import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    END,
    END64,
    END64_SIGNATURE,
    END_SIGNATURE,
    LIMIT16,
    LIMIT32,
    LOCAL,
    LOCAL_SIGNATURE,
    LOCATOR,
    LOCATOR_SIGNATURE,
    PADDING_ID,
    UTF8,
    ZIP64_ID,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from snnbridge.storage.staged import StagedFile

    _Entry = tuple[bytes, int, int, int]  # name, CRC-32, size, offset of the local header

_ALIGNMENT = 64
_DATE = 0 << 9 | 1 << 5 | 1  # 1980-01-01
_UNIX = 3 << 8
_UNIX_FILE = 0o600 << 16
_TINY = 16 << 10
_BEHIND = 1 << 20
_SUBMIT = 4 << 20


def _padding(length: int) -> bytes:
    """Make an extra field of ``length`` bytes: 0, or at least 6."""
    if length == 0:
        return b""
    return struct.pack("<HHH", PADDING_ID, length - 4, _ALIGNMENT) + bytes(length - 6)


_PADDINGS = [_padding(n if n == 0 or n >= 6 else n + _ALIGNMENT) for n in range(_ALIGNMENT)]


class StoredZip:
    """A zip archive that is written into a staged file, member after member.

    Parameters
    ----------
    file
        A staged file; the archive starts at its beginning.
    comment
        The archive's comment, at most 65,535 bytes.

    Examples
    --------
    >>> with target.open(".npz") as file, StoredZip(file) as archive:  # doctest: +SKIP
    ...     archive.add_array("weight.npy", weight)
    """

    def __init__(self, file: StagedFile, *, comment: bytes = b"") -> None:
        if len(comment) > LIMIT16 or END_SIGNATURE in comment:
            raise WriteError(f"a zip comment of {len(comment)} bytes cannot be written")
        self._file = file
        self._comment = comment
        self._entries: list[_Entry] = []
        self._names: set[str] = set()
        self._behind = file.read_behind()
        self._fingerprint = ""
        self._settled = self._summed = self._crc = 0
        self._large = False
        file.watcher = self._watch
        file.defer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._behind.cancel()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the closed archive's directory: of every name, size and CRC-32.

        As good as a digest of the file for telling which files belong together, and known
        without another pass over the data. ``ZipReader.fingerprint`` gives the same.
        """
        return self._fingerprint

    def add_array(self, name: str, array: NDArray[Any]) -> None:
        """Add an array as an ``.npy`` member; ``name`` should end in ``.npy``.

        An array in Fortran order keeps it, as with ``numpy.save``.

        Raises
        ------
        WriteError
            The name is taken or too long; objects or records; the disk is full.
        """
        fortran = array.flags.fnc
        header, crc, native = _npy(array.dtype, array.shape, fortran)
        size = array.nbytes
        if size < _TINY and native:
            self._add_small(name, header, array.tobytes("A"), crc)
            return
        data = blocks(array.T if fortran else array)
        if size < _BEHIND:
            self._add_small(name, header, b"".join(data), crc)
        else:
            self._add_large(name, len(header) + size, chain([header], data))

    def add_elements(self, name: str, array: NDArray[Any]) -> None:
        """Add an array's elements in C order, little-endian, without a header.

        Errors as in :meth:`add_array`.
        """
        size, data = nbytes(array), blocks(array)
        if size < _BEHIND:
            self._add_small(name, b"", b"".join(data), 0)
        else:
            self._add_large(name, size, data)

    def add(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Add a member of bytes; errors as in :meth:`add_array`."""
        size = memoryview(data).nbytes
        if size < _BEHIND:
            self._add_small(name, b"", bytes(data), 0)
        else:
            self._add_large(name, size, [memoryview(data).cast("B")])

    def _encode(self, name: str) -> bytes:
        if name in self._names:
            raise WriteError(f"the archive already has a member {name!r}")
        try:
            raw = name.encode()
        except UnicodeEncodeError as error:
            raise WriteError(f"{name!r} cannot be the name of a member: {error.reason}") from error
        if not 0 < len(raw) <= LIMIT16 or b"\0" in raw:
            raise WriteError(f"{name[:100]!r} ({len(raw)} bytes) cannot be the name of a member")
        self._names.add(name)
        return raw

    def _add_small(self, name: str, header: bytes, data: bytes, crc: int) -> None:
        """Write header and data; ``crc`` is the header's."""
        raw = self._encode(name)
        file = self._file
        offset, size, crc = file.tell(), len(header) + len(data), zlib.crc32(data, crc)
        self._entries.append((raw, crc, size, offset))
        stop = offset + file.write(b"".join((_local_header(raw, crc, size, offset), header, data)))
        if stop - self._settled >= _SUBMIT:
            self._settled = stop
            self._behind.after(lambda: file.settle(stop))

    def _add_large(self, name: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        """Write the data and have it summed behind, then the header's CRC-32 patched."""
        raw = self._encode(name)
        file, index = self._file, len(self._entries)
        offset = file.tell()
        self._entries.append((raw, 0, size, offset))
        file.write(_local_header(raw, 0, size, offset))
        self._summed = file.tell()
        stop = self._settled = self._summed + size
        self._large = True
        for piece in pieces:
            file.write(piece)
        file.flush()
        self._large = False
        if file.tell() != stop:
            raise WriteError(f"{name!r} ended at byte {file.tell()}, expected {stop}")
        self._behind.submit(self._summed, stop, self._feed, lambda: self._finish(index, stop))

    def _watch(self, taken: int) -> None:
        """Have what the kernel has taken of a large member summed."""
        if self._large and taken - self._summed >= _SUBMIT:
            self._behind.submit(self._summed, taken, self._feed)
            self._summed = taken

    def _feed(self, block: memoryview) -> None:
        self._crc = zlib.crc32(block, self._crc)

    def _finish(self, index: int, stop: int) -> None:
        """Patch a header, in the thread that sums; members come in order there."""
        raw, _, size, offset = self._entries[index]
        crc, self._crc = self._crc, 0
        self._entries[index] = (raw, crc, size, offset)
        self._behind.patch(offset, _local_header(raw, crc, size, offset))
        self._file.settle(stop)

    def close(self) -> None:
        """Write the directory; the file itself stays open."""
        self._file.flush()
        self._behind.finish()
        self._file.settle(sys.maxsize)
        start = self._file.tell()
        tail = hashlib.sha256()
        for piece in self._directory(start):
            tail.update(piece)
            self._file.write(piece)
        self._fingerprint = tail.hexdigest()

    def _directory(self, start: int) -> Iterable[bytes]:
        size = 0
        for first in range(0, len(self._entries), 1024):
            piece = b"".join(starmap(_central_header, self._entries[first : first + 1024]))
            size += len(piece)
            yield piece
        yield _end(len(self._entries), size, start, self._comment)


@lru_cache(maxsize=1024)
def _npy(dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool) -> tuple[bytes, int, bool]:
    """Make an array's header, its CRC-32, and whether the elements' bytes are those in memory."""
    header = npy_header(dtype, shape, fortran=fortran)
    return header, zlib.crc32(header), little(dtype) == dtype


def _local_header(name: bytes, crc: int, size: int, offset: int) -> bytes:
    extra, stated, version = b"", size, 20
    if size >= LIMIT32:
        extra, stated, version = struct.pack("<HHQQ", ZIP64_ID, 16, size, size), LIMIT32, 45
    extra += _PADDINGS[-(offset + LOCAL.size + len(name) + len(extra)) % _ALIGNMENT]
    flags = 0 if name.isascii() else UTF8
    fixed = LOCAL.pack(
        LOCAL_SIGNATURE, version, flags, 0, 0, _DATE, crc, stated, stated, len(name), len(extra)
    )
    return fixed + name + extra


def _central_header(name: bytes, crc: int, size: int, offset: int) -> bytes:
    extra, stated, version, place = b"", size, 20, offset
    if size >= LIMIT32 or offset >= LIMIT32:
        large = [size, size] if size >= LIMIT32 else []
        large += [offset] if offset >= LIMIT32 else []
        extra = struct.pack(f"<HH{len(large)}Q", ZIP64_ID, 8 * len(large), *large)
        stated, version, place = min(size, LIMIT32), 45, min(offset, LIMIT32)
    flags = 0 if name.isascii() else UTF8
    fixed = CENTRAL.pack(
        CENTRAL_SIGNATURE, version | _UNIX, version, flags, 0, 0, _DATE, crc, stated, stated,
        len(name), len(extra), 0, 0, 0, _UNIX_FILE, place,
    )  # fmt: skip
    return fixed + name + extra


def _end(count: int, size: int, start: int, comment: bytes) -> bytes:
    result = b""
    if count >= LIMIT16 or size >= LIMIT32 or start >= LIMIT32:
        result = END64.pack(END64_SIGNATURE, 44, 45 | _UNIX, 45, 0, 0, count, count, size, start)
        result += LOCATOR.pack(LOCATOR_SIGNATURE, 0, start + size, 1)
    few = min(count, LIMIT16)
    return (
        result
        + END.pack(
            END_SIGNATURE, 0, 0, few, few, min(size, LIMIT32), min(start, LIMIT32), len(comment)
        )
        + comment
    )
