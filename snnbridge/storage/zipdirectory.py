"""The central directory of a zip archive, read into columns and checked as a whole."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from snnbridge.errors import ReadError
from snnbridge.storage.expand import METHODS, STORED
from snnbridge.storage.limits import TRUST
from snnbridge.storage.zipformat import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    ENCRYPTED,
    END,
    END64,
    END64_SIGNATURE,
    END_SIGNATURE,
    LIMIT16,
    LIMIT32,
    LOCAL,
    LOCATOR,
    LOCATOR_SIGNATURE,
    PATCH,
    UNICODE_NAME_ID,
    UTF8,
    ZIP64_ID,
    extra_fields,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from snnbridge.storage.limits import Limits

_LENGTHS = 28  # where the lengths of name, extra and comment are in a record
_COLUMNS = ("flags", "method", "crc", "packed", "size", "disk", "offset")
_RECORD = np.dtype(
    {
        "names": ["signature", *_COLUMNS],
        "formats": ["S4", "<u2", "<u2", "<u4", "<u4", "<u4", "<u2", "<u4"],
        "offsets": [0, 8, 10, 16, 20, 24, 34, 42],
        "itemsize": CENTRAL.size,
    }
)


class Member(NamedTuple):
    """What an archive's directory says about a member; sizes and offsets in bytes.

    ``bound`` is where the next member or the directory begins.
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    bound: int


class Directory(NamedTuple):
    """An archive's members by name, where their directory starts, and the archive's comment."""

    members: dict[str, Member]
    start: int
    comment: bytes


def read_directory(data: memoryview, where: str, limits: Limits) -> Directory:
    """Read and check the directory of the archive ``data``.

    Raises
    ------
    ReadError
        No archive, a damaged or an ambiguous one, or one that claims more than it holds.
    """
    count, start, stop, comment = _find(data, where)
    if count > limits.members:
        raise ReadError(f"{where} has {count} members, more than the {limits.members} allowed")
    text = bytes(data[start:stop])
    positions, extents = _walk(text, count, where)
    records = _records(text, positions)
    raw = [
        text[p + CENTRAL.size : p + CENTRAL.size + n]
        for p, (n, _) in zip(positions, extents, strict=True)
    ]
    columns = {name: records[name].astype(np.int64) for name in _COLUMNS}
    for index, (n, x) in enumerate(extents):
        if x:
            begin = positions[index] + CENTRAL.size + n
            _apply_extra(columns, index, text[begin : begin + x], raw[index], where)
    names = [
        _decode(name, flags, where, limits)
        for name, flags in zip(raw, columns["flags"].tolist(), strict=True)
    ]
    _check_records(records, columns, names, where)
    bounds = _check_layout(columns, raw, names, start, where)
    _check_expansion(columns, len(data), where, limits)
    keys = ("flags", "method", "crc", "packed", "size", "offset")
    rows = zip(names, raw, *(columns[key].tolist() for key in keys), bounds.tolist(), strict=True)
    members = dict(zip(names, map(Member._make, rows), strict=True))
    if len(members) != count:
        twice = next(name for name in members if names.count(name) > 1)
        raise ReadError(f"{where} has the member {twice!r} twice")
    return Directory(members, start, comment)


def _find(data: memoryview, where: str) -> tuple[int, int, int, bytes]:
    """Find the directory: count of members, its start and end, the archive's comment."""
    if bytes(data[:2]) != b"PK":
        raise ReadError(f"{where} is no zip archive: it starts with {bytes(data[:4])!r}")
    base = max(0, len(data) - END.size - LIMIT16)
    tail = bytes(data[base:])
    end = tail.rfind(END_SIGNATURE)
    if end < 0 or end + END.size > len(tail):
        raise ReadError(f"{where} is a zip archive that is cut: it has no directory")
    _, disk, first, here, count, size, start, length = END.unpack_from(tail, end)
    if end + END.size + length != len(tail):
        raise ReadError(
            f"{where} has {len(tail) - end - END.size} bytes after its directory, expected {length}"
        )
    comment, stop = tail[end + END.size :], base + end
    locator = bytes(data[max(0, stop - LOCATOR.size) : stop])
    if len(locator) == LOCATOR.size and locator.startswith(LOCATOR_SIGNATURE):
        record = _find64(data, stop - LOCATOR.size, locator, (here, count, size, start), where)
        stop, here, count, size, start = record
    if disk not in {0, LIMIT16} or first not in {0, LIMIT16} or here != count:
        raise ReadError(f"{where} is one part of a divided archive")
    if start + size != stop or count * CENTRAL.size > size:
        raise ReadError(
            f"{where} is damaged or follows other bytes: its directory of {count} members and "
            f"{size} bytes at {start} should end at {stop}"
        )
    return count, start, stop, comment


def _find64(
    data: memoryview, stop: int, locator: bytes, small: tuple[int, ...], where: str
) -> tuple[int, int, int, int, int]:
    """Read the zip64 end record: its own position, counts, size and start."""
    _, disk, position, _ = LOCATOR.unpack(locator)
    if disk != 0 or position + END64.size > stop:
        raise ReadError(f"{where} has a damaged zip64 directory")
    signature, rest, _, _, disk, first, here, count, size, start = END64.unpack_from(data, position)
    stated = (here, count, size, start)
    limits = (LIMIT16, LIMIT16, LIMIT32, LIMIT32)
    agree = all(s in {t, x} for s, t, x in zip(small, stated, limits, strict=True))
    if signature != END64_SIGNATURE or position + 12 + rest != stop or disk or first or not agree:
        raise ReadError(f"{where} has a damaged zip64 directory")
    return position, here, count, size, start


def _walk(text: bytes, count: int, where: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Find where each record starts, and the lengths of its name and extra field."""
    lengths = struct.Struct("<HHH").unpack_from
    position, size = 0, len(text)
    positions, extents = [], []
    for index in range(count):
        if position + CENTRAL.size > size:
            raise ReadError(f"{where} has a directory that is cut after {index} members")
        name, extra, comment = lengths(text, position + _LENGTHS)
        positions.append(position)
        extents.append((name, extra))
        position += CENTRAL.size + name + extra + comment
    if position != size:
        raise ReadError(f"{where} has a directory of {size} bytes, its members need {position}")
    return positions, extents


def _records(text: bytes, positions: list[int]) -> NDArray[Any]:
    """Gather the fixed parts of the records."""
    rows = np.array(positions, np.int64)[:, None] + np.arange(CENTRAL.size)
    records: NDArray[Any] = np.frombuffer(text, np.uint8)[rows].view(_RECORD)[:, 0]
    return records


def _apply_extra(
    columns: dict[str, NDArray[np.int64]], index: int, extra: bytes, name: bytes, where: str
) -> None:
    """Take sizes and offset beyond 32 bits from the extra field."""
    fields = extra_fields(extra)
    if fields is None:
        raise ReadError(f"{where} has a damaged extra field at member {name!r}")
    if fields.get(UNICODE_NAME_ID, name)[-len(name) :] != name:
        raise ReadError(f"{where} gives the member {name!r} a second name")
    if ZIP64_ID not in fields:
        return
    rest = fields[ZIP64_ID]
    for key, limit in (
        ("size", LIMIT32),
        ("packed", LIMIT32),
        ("offset", LIMIT32),
        ("disk", LIMIT16),
    ):
        if columns[key][index] == limit:
            width = 4 if key == "disk" else 8
            value = int.from_bytes(rest[:width], "little")
            if len(rest) < width or value >= 1 << 62:
                raise ReadError(f"{where} has a damaged zip64 field at member {name!r}")
            columns[key][index], rest = value, rest[width:]


def _decode(raw: bytes, flags: int, where: str, limits: Limits) -> str:
    try:
        name = raw.decode("utf-8" if flags & UTF8 or raw.isascii() else "cp437")
    except UnicodeDecodeError as error:
        raise ReadError(f"{where} has a member whose name is not UTF-8: {raw[:100]!r}") from error
    if not raw or b"\0" in raw or len(raw) > limits.name_bytes:
        raise ReadError(f"{where} has a member with an impossible name: {name[:100]!r}")
    return name


def _check_records(
    records: NDArray[Any], columns: dict[str, NDArray[np.int64]], names: list[str], where: str
) -> None:
    methods = columns["method"]
    stored = (methods == STORED) & (columns["packed"] != columns["size"])
    for wrong, what in (
        (records["signature"] != CENTRAL_SIGNATURE, "has a damaged record"),
        (columns["flags"] & ENCRYPTED != 0, "is encrypted"),
        (columns["flags"] & PATCH != 0, "is a patch"),
        (~np.isin(methods, list(METHODS)), "is compressed by an unknown method"),
        (stored, "is stored but states two sizes"),
        (columns["disk"] != 0, "lies in another part of the archive"),
    ):
        if wrong.any():
            raise ReadError(f"{where}: the member {names[int(wrong.argmax())]!r} {what}")


def _check_layout(
    columns: dict[str, NDArray[np.int64]],
    raw: list[bytes],
    names: list[str],
    start: int,
    where: str,
) -> NDArray[np.int64]:
    """Check that the members lie one after another before the directory; give their bounds."""
    offsets = columns["offset"]
    bounds = np.full(len(offsets), start, np.int64)
    if not len(offsets):
        if start:
            raise ReadError(f"{where} has {start} bytes that belong to no member")
        return bounds
    order = np.argsort(offsets, kind="stable")
    bounds[order[:-1]] = offsets[order[1:]]
    least = LOCAL.size + np.fromiter(map(len, raw), np.int64, len(raw)) + columns["packed"]
    wrong = offsets + least > bounds
    if wrong.any():
        name = names[int(wrong.argmax())]
        raise ReadError(f"{where}: the member {name!r} overlaps what follows it")
    if offsets[order[0]] != 0:
        raise ReadError(f"{where} starts with {offsets[order[0]]} bytes that belong to no member")
    return bounds


def _check_expansion(
    columns: dict[str, NDArray[np.int64]], present: int, where: str, limits: Limits
) -> None:
    sizes = columns["size"][columns["method"] != STORED]
    total = sum(sizes.tolist())
    if total > limits.expanded(present):
        raise ReadError(
            f"{where} of {present} bytes states that it expands to {total}, more than the "
            f"{limits.expanded(present)} that are allowed; {TRUST}"
        )
