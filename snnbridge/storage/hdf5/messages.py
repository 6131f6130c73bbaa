"""What the messages of an object header say: shapes, places, filters, links."""

from __future__ import annotations

import struct
from typing import NamedTuple

from snnbridge.errors import ReadError
from snnbridge.storage.hdf5.constants import FILL, OLD_FILL, UNDEFINED
from snnbridge.storage.hdf5.headers import Header

_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = range(4)
_NULL = 2
_NAMED_FILTER = 256
_HARD, _SOFT = 0, 1
_ORDER = struct.Struct("<q")
#: Where the index of the chunks starts: these stand in the message itself, by kind of index.
_INDEX_EXTRA = {1: 0, 2: 0, 3: 1, 4: 5, 5: 6}
_FILTERED_SINGLE = 12
_BTREE1 = 0
_BARE_EDGES = 1


class Contiguous(NamedTuple):
    """Elements that lie in one piece; nowhere if they were never written."""

    address: int | None
    size: int


class Chunked(NamedTuple):
    """Elements that are cut into chunks.

    Parameters
    ----------
    shape : tuple of int
        Of a chunk.
    itemsize : int
        Bytes of an element, if the message says so.
    kind : int
        How the chunks are found: 0 by a version 1 B-tree, else the number that the specification
        gives the index.
    address : int or None
        Of the index; nowhere if nothing was ever written.
    single : (size, mask), optional
        Of the one chunk where there is no other and it is filtered.
    """

    shape: tuple[int, ...]
    itemsize: int
    kind: int
    address: int | None
    single: tuple[int, int] | None = None


#: Where a dataset's elements are; bytes where they stand in the message itself.
Layout = bytes | Contiguous | Chunked


class Space(NamedTuple):
    """The shape of a dataset, and the shape to which it may grow."""

    shape: tuple[int, ...]
    most: tuple[int, ...]


def parse_space(message: bytes) -> Space | None:
    """Read a dataspace message; None for one that has no elements and no shape."""
    version, rank, flags, kind = struct.unpack_from("<4B", message)
    if version not in (1, 2) or (version == 1 and flags & 2):
        raise ReadError(f"its dataspace has version {version}, flags {flags}; expected 1 or 2")
    if version == 2 and kind == _NULL:
        return None
    at = 8 if version == 1 else 4
    shape = struct.unpack_from(f"<{rank}Q", message, at)
    most = struct.unpack_from(f"<{rank}Q", message, at + 8 * rank) if flags & 1 else shape
    return Space(shape, most)


def parse_layout(message: bytes) -> Layout:
    """Read a layout message of version 3 or later."""
    version, kind = struct.unpack_from("<2B", message)
    if version not in (3, 4, 5):
        raise ReadError(f"its layout has version {version}; expected 3 to 5; rewrite by h5repack")
    if kind == _COMPACT:
        (size,) = struct.unpack_from("<H", message, 2)
        return message[4 : 4 + size]
    if kind == _CONTIGUOUS:
        address, size = struct.unpack_from("<QQ", message, 2)
        return Contiguous(_defined(address), size)
    if kind == _VIRTUAL:
        raise ReadError("it is put together from other datasets, which is not read here")
    if kind != _CHUNKED:
        raise ReadError(f"its layout is of the unknown class {kind}")
    return _old_chunks(message) if version == 3 else _new_chunks(message)


def _old_chunks(message: bytes) -> Chunked:
    axes, address = struct.unpack_from("<BQ", message, 2)
    *shape, itemsize = struct.unpack_from(f"<{max(1, axes)}I", message, 11)
    return Chunked(tuple(shape), itemsize, _BTREE1, _defined(address))


def _new_chunks(message: bytes) -> Chunked:
    flags, axes, width = struct.unpack_from("<3B", message, 2)
    at = 5 + axes * width
    if not axes or not 1 <= width <= 8 or len(message) <= at:
        raise ReadError("its layout is damaged")
    if flags & _BARE_EDGES:
        raise ReadError("the chunks at its edges are left without filters, which is not read here")
    lengths = [int.from_bytes(message[i : i + width], "little") for i in range(5, at, width)]
    index = message[at]
    if index not in _INDEX_EXTRA:
        raise ReadError(f"its chunks have an index of the unknown type {index}")
    at += 1 + _INDEX_EXTRA[index]
    single = None
    if index == 1 and flags & 2:
        single = struct.unpack_from("<QI", message, at)
        at += _FILTERED_SINGLE
    (address,) = struct.unpack_from("<Q", message, at)
    *shape, itemsize = lengths
    return Chunked(tuple(shape), itemsize, index, _defined(address), single)


def _defined(address: int) -> int | None:
    return None if address == UNDEFINED else address


def parse_fill(header: Header, size: int) -> bytes | None:
    """Return the bytes of the element that stands for what was never written, if not zeros."""
    value = b""
    if FILL in header.single:
        value = _fill_value(header.single[FILL])
    elif message := header.single.get(OLD_FILL):
        (length,) = struct.unpack_from("<I", message)
        value = message[4 : 4 + length]
    return value if len(value) == size and any(value) else None


def _fill_value(message: bytes) -> bytes:
    version, flags = message[0], message[1]
    at = 2 if version == 3 else 4
    if (version == 3 and not flags & 0x20) or (version == 2 and not message[3]) or version > 3:
        return b""
    (size,) = struct.unpack_from("<i", message, at)
    return message[at + 4 : at + 4 + max(0, size)]


def parse_filters(message: bytes) -> tuple[int, ...]:
    """Return the numbers of the filters, in the order in which they were applied."""
    version, count = struct.unpack_from("<2B", message)
    if version not in (1, 2):
        raise ReadError(f"its filters have version {version}; expected 1 or 2")
    at = 8 if version == 1 else 2
    found = []
    for _ in range(count):
        (number,) = struct.unpack_from("<H", message, at)
        length = 0
        if version == 1 or number >= _NAMED_FILTER:
            (length,) = struct.unpack_from("<H", message, at + 2)
            at += 2
        _, values = struct.unpack_from("<HH", message, at + 2)
        at += 6 + length + 4 * values
        if version == 1:
            at += -length % 8 + 4 * (values % 2)
        found.append(number)
    return tuple(found)


def parse_link(message: bytes) -> tuple[int, str, int]:
    """Read a hard link; return when it was made, its name and the address to which it leads.

    The first is the link's place in the order of creation, where the group keeps it.

    Raises
    ------
    ReadError
        For a link of another kind, which could lead out of the file.
    """
    version, flags = message[:2]
    if version != 1:
        raise ReadError(f"a link has version {version}; expected 1")
    at, kind, order = 2, _HARD, 0
    if flags & 0x08:
        kind, at = message[at], at + 1
    if flags & 0x04:
        (order,), at = _ORDER.unpack_from(message, at), at + 8
    if flags & 0x10:
        at += 1
    width = 1 << (flags & 3)
    end = at + width + int.from_bytes(message[at : at + width], "little")
    name = link_name(message[at + width : end])
    if kind != _HARD:
        raise ReadError(foreign_link(name, "a soft" if kind == _SOFT else "an external"))
    return order, name, int.from_bytes(message[end : end + 8], "little")


def link_name(raw: bytes) -> str:
    """Decode the name of a link."""
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise ReadError(f"the name {raw[:80]!r} is no UTF-8") from error
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ReadError(f"a link has the name {name!r}, which no link can have")
    return name


def foreign_link(name: str, kind: str) -> str:
    """Say why a link is refused."""
    return f"{name!r} is {kind} link; expected groups and datasets only"
