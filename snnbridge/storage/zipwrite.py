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
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from snnbridge.errors import WriteError
from snnbridge.storage.arrays import array_bytes, blocks
from snnbridge.storage.npy import npy_header
from snnbridge.storage.readback import ReadBack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from numpy.typing import NDArray

    from snnbridge.storage.staged import StagedFile

LOCAL = struct.Struct("<4sHHHHHLLLHH")
"""signature, version, flags, method, time, date, CRC-32, sizes (2), lengths (name, extra)"""
CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
"""signature, versions (2), flags, method, time, date, CRC-32, sizes (2), lengths (name, extra,
comment), disk, attributes (2), offset of the local header"""
END = struct.Struct("<4sHHHHLLH")
"""signature, disks (2), counts (2), size and offset of the directory, length of the comment"""
END64 = struct.Struct("<4sQHHLLQQQQ")
"""signature, size of the rest, versions (2), disks (2), counts (2), size and offset"""
LOCATOR = struct.Struct("<4sLQL")
"""signature, disk, offset of END64, number of disks"""

LIMIT32 = 0xFFFFFFFF
LIMIT16 = 0xFFFF
UTF8 = 1 << 11
DESCRIPTOR = 1 << 3

_ALIGNMENT = 64
_DATE = 0 << 9 | 1 << 5 | 1  # 1980-01-01
_PADDING_ID = 0xD935
_UNIX_FILE = 0o600 << 16
_BEHIND = 64 << 10
_SUBMIT = 4 << 20


class _Entry(NamedTuple):
    name: bytes
    flags: int
    size: int
    offset: int
    crc: list[int]  # one element, filled in when the data has been summed


def _padding(length: int) -> bytes:
    """Make an extra field of ``length`` bytes: 0, or at least 6."""
    if length == 0:
        return b""
    return struct.pack("<HHH", _PADDING_ID, length - 4, _ALIGNMENT) + bytes(length - 6)


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
        if len(comment) > LIMIT16 or b"PK\x05\x06" in comment:
            raise WriteError(f"a zip comment of {len(comment)} bytes cannot be written")
        self._file = file
        self._comment = comment
        self._entries: list[_Entry] = []
        self._names: set[str] = set()
        self._behind = ReadBack(file.staged)
        self._fingerprint = ""
        self._settled = 0
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
        fortran = not array.flags.c_contiguous and array.flags.f_contiguous
        header = npy_header(array.dtype, array.shape, fortran=fortran)
        if fortran:
            array = array.T
        size = len(header) + array.nbytes
        if size < _BEHIND:
            self._add_small(name, header + array_bytes(array))
        else:
            self._add_large(name, size, _after(header, blocks(array)))

    def add(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Add a member of bytes; errors as in :meth:`add_array`."""
        size = memoryview(data).nbytes
        if size < _BEHIND:
            self._add_small(name, bytes(data))
        else:
            self._add_large(name, size, [memoryview(data).cast("B")])

    def _encode(self, name: str) -> tuple[bytes, int]:
        if name in self._names:
            raise WriteError(f"the archive already has a member {name!r}")
        try:
            raw = name.encode()
        except UnicodeEncodeError as error:
            raise WriteError(f"{name!r} cannot be the name of a member: {error.reason}") from error
        if "\0" in name or not 0 < len(raw) <= LIMIT16:
            raise WriteError(f"{name[:100]!r} ({len(raw)} bytes) cannot be the name of a member")
        self._names.add(name)
        return raw, 0 if name.isascii() else UTF8

    def _add_small(self, name: str, data: bytes) -> None:
        raw, flags = self._encode(name)
        entry = _Entry(raw, flags, len(data), self._file.tell(), [zlib.crc32(data)])
        self._entries.append(entry)
        self._file.write(_local_header(entry) + data)
        stop = self._file.tell()
        if stop - self._settled >= _SUBMIT:
            self._settled = stop
            self._file.flush()
            self._behind.after(lambda: self._file.settle(stop))

    def _add_large(self, name: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        """Write the data and have it summed behind, then the header's CRC-32 patched."""
        raw, flags = self._encode(name)
        file, behind = self._file, self._behind
        entry = _Entry(raw, flags, size, file.tell(), [0])
        self._entries.append(entry)
        file.write(_local_header(entry))
        file.flush()
        first = position = file.tell()
        feed = _summer(entry)
        for piece in _slices(pieces):
            file.write(piece)
            if file.tell() - position >= _SUBMIT:
                file.flush()
                behind.submit(position, file.tell(), feed)
                position = file.tell()
        file.flush()
        stop = self._settled = file.tell()
        if stop - first != size:
            raise WriteError(f"{name!r} has {stop - first} bytes, {size} were announced")
        behind.submit(position, stop, feed, lambda: self._finish(entry, stop))

    def _finish(self, entry: _Entry, stop: int) -> None:
        self._behind.patch(entry.offset, _local_header(entry))
        self._file.settle(stop)

    def close(self) -> None:
        """Write the directory; the file itself stays open."""
        self._file.flush()
        self._behind.finish()
        self._file.settle()
        start = self._file.tell()
        tail = hashlib.sha256()
        for piece in self._directory(start):
            tail.update(piece)
            self._file.write(piece)
        self._fingerprint = tail.hexdigest()

    def _directory(self, start: int) -> Iterable[bytes]:
        size = 0
        for first in range(0, len(self._entries), 1024):
            piece = b"".join(map(_central_header, self._entries[first : first + 1024]))
            size += len(piece)
            yield piece
        yield _end(len(self._entries), size, start, self._comment)


def _after(header: bytes, pieces: Iterable[memoryview]) -> Iterable[bytes | memoryview]:
    yield header
    yield from pieces


def _slices(pieces: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    for piece in pieces:
        for start in range(0, len(piece), _SUBMIT):
            yield memoryview(piece)[start : start + _SUBMIT]


def _summer(entry: _Entry) -> Callable[[memoryview], None]:
    crc = entry.crc

    def feed(block: memoryview) -> None:
        crc[0] = zlib.crc32(block, crc[0])

    return feed


def _local_header(entry: _Entry) -> bytes:
    name, flags, size, offset, (crc,) = entry
    extra, stated, version = b"", size, 20
    if size >= LIMIT32:
        extra, stated, version = struct.pack("<HHQQ", 1, 16, size, size), LIMIT32, 45
    extra += _PADDINGS[-(offset + 30 + len(name) + len(extra)) % _ALIGNMENT]
    return (
        LOCAL.pack(
            b"PK\x03\x04", version, flags, 0, 0, _DATE, crc, stated, stated, len(name), len(extra)
        )
        + name
        + extra
    )


def _central_header(entry: _Entry) -> bytes:
    name, flags, size, offset, (crc,) = entry
    large = [size, size] if size >= LIMIT32 else []
    large += [offset] if offset >= LIMIT32 else []
    extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    stated, version = min(size, LIMIT32), 45 if large else 20
    return (
        CENTRAL.pack(
            b"PK\x01\x02", version | 3 << 8, version, flags, 0, 0, _DATE, crc, stated, stated,
            len(name), len(extra), 0, 0, 0, _UNIX_FILE, min(offset, LIMIT32),
        )
        + name
        + extra
    )  # fmt: skip


def _end(count: int, size: int, start: int, comment: bytes) -> bytes:
    result = b""
    if count >= LIMIT16 or size >= LIMIT32 or start >= LIMIT32:
        result = END64.pack(b"PK\x06\x06", 44, 45 | 3 << 8, 45, 0, 0, count, count, size, start)
        result += LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1)
    few = min(count, LIMIT16)
    return result + END.pack(
        b"PK\x05\x06", 0, 0, few, few, min(size, LIMIT32), min(start, LIMIT32), len(comment)
    ) + comment
