"""Looking at the structure of a file that this package wrote and nobody rewrote.

Only the forms that :mod:`.encode` writes are known here; for anything else :class:`Unfamiliar`
says that an HDF5 library is needed. What is known is read as the specification says, so both
ways find the same.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from snnbridge.errors import ReadError
from snnbridge_plugins.hdf5.datatypes import stored_dtype
from snnbridge_plugins.hdf5.description import Chunks, Description, Stored
from snnbridge_plugins.hdf5.encode import (
    ATTRIBUTE,
    CHUNK_TREE_RANK,
    DATASPACE,
    DATATYPE,
    FILL,
    FILTERS,
    GROUP_INFO,
    LAYOUT,
    LINK,
    LINK_INFO,
    SUPERBLOCK_SIZE,
    UNDEFINED,
    superblock,
)
from snnbridge_plugins.hdf5.schema import DEPTH

_PLACES = struct.Struct("<Q16xQ")
_HEADER = struct.Struct("<BxHII4x")
_MESSAGE = struct.Struct("<HHB3x")
_LINK = struct.Struct("<BBQB")
_PLAIN_LAYOUT = struct.Struct("<BBQQ")
_CHUNK_LAYOUT = struct.Struct("<BBBQ")
_NODE = struct.Struct("<4sBBH16x")
_SHARED = 2
_TEXT_FLAGS = 1 << 2 | 1 << 4


class Unfamiliar(Exception):
    """The file has a structure that this package does not write."""


class _Object(NamedTuple):
    """The messages of an object header that matter: one of each kind, and the links."""

    found: dict[int, bytes]
    links: list[bytes]


def end_of(data: memoryview) -> int:
    """Return where the superblock says that the file ends.

    Raises
    ------
    Unfamiliar
        If the superblock is another one than :func:`.encode.superblock` makes.
    ReadError
        If the file is shorter.
    """
    if len(data) < SUPERBLOCK_SIZE:
        raise Unfamiliar
    end: int
    end, root = _PLACES.unpack_from(data, 40)
    if superblock(root, end) != data[:SUPERBLOCK_SIZE]:
        raise Unfamiliar
    if end > len(data):
        raise ReadError(
            f"the file has {len(data)} bytes, but its superblock says {end}; it was cut off"
        )
    return end


def structure(data: memoryview) -> Description:
    """Look at every group and dataset of a file.

    Parameters
    ----------
    data : memoryview
        The whole file.

    Returns
    -------
    dict of str to Stored
        The datasets by path; not yet checked against the bytes that are there.

    Raises
    ------
    Unfamiliar
        If something in it was not written by this package.
    ReadError
        If it is cut off, or an object has two names.
    """
    try:
        return _Walk(data[: end_of(data)]).run()
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise Unfamiliar from error


class _Walk:
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._left = len(data)
        self._seen: set[int] = set()

    def run(self) -> Description:
        (root,) = struct.unpack_from("<Q", self._data, 64)
        found: Description = {}
        pending = [("", root, 0)]
        while pending:
            path, address, depth = pending.pop()
            if depth > DEPTH:
                raise ReadError(f"group {path[:80]!r}... lies more than {DEPTH} groups deep")
            item = self._object(address)
            if LAYOUT in item.found:
                found[path] = self._dataset(item)
            else:
                links = self._links(item)
                pending += [(f"{path}/{name}", at, depth + 1) for name, at in links.items()]
        return found

    def _object(self, address: int) -> _Object:
        if address in self._seen:
            raise ReadError(f"the object at byte {address} has two names; expected one")
        self._seen.add(address)
        data, start = self._data, address + _HEADER.size
        if start > len(data):
            raise Unfamiliar
        version, count, references, size = _HEADER.unpack_from(data, address)
        self._left -= size + _HEADER.size  # honest headers do not overlap
        if version != 1 or references != 1 or start + size > len(data) or self._left < 0:
            raise Unfamiliar
        body = bytes(data[start : start + size])
        found: dict[int, bytes] = {}
        links: list[bytes] = []
        at = 0
        for _ in range(count):
            kind, length, flags = _MESSAGE.unpack_from(body, at)
            at += 8
            if kind == LINK:
                links.append(body[at : at + length])
            elif kind not in _EXPECTED or flags & _SHARED or kind in found:
                raise Unfamiliar
            elif kind != ATTRIBUTE:
                found[kind] = body[at : at + length]
            at += length
        if at != size:
            raise Unfamiliar
        return _Object(found, links)

    def _links(self, item: _Object) -> dict[str, int]:
        info = item.found.get(LINK_INFO, b"")
        if len(info) != 40 or info[:2] != b"\0\3" or info[10:34] != b"\xff" * 24:
            raise Unfamiliar
        links = dict(map(_link, item.links))
        if len(links) != len(item.links):
            raise ReadError("a group has two links of one name; expected names to be unique")
        return links

    def _dataset(self, item: _Object) -> Stored:
        if not {DATASPACE, DATATYPE} <= item.found.keys():
            raise Unfamiliar
        space, layout = item.found[DATASPACE], item.found[LAYOUT]
        if space[:1] != b"\1" or space[2] != 0 or len(space) != 8 + 8 * space[1] or item.links:
            raise Unfamiliar
        shape = struct.unpack_from(f"<{space[1]}Q", space, 8)
        dtype = stored_dtype(item.found[DATATYPE])
        if dtype is None:
            raise Unfamiliar
        if layout[:2] == b"\3\2":
            return Stored(dtype, shape, chunks=self._chunks(item, len(shape)))
        if layout[:2] != b"\3\1" or FILTERS in item.found:
            raise Unfamiliar
        _, _, offset, size = _PLAIN_LAYOUT.unpack_from(layout)
        stored = Stored(dtype, shape, 0 if offset == UNDEFINED else offset)
        if size != stored.nbytes or (offset == UNDEFINED and size):
            raise Unfamiliar
        return stored

    def _chunks(self, item: _Object, rank: int) -> Chunks:
        layout = item.found[LAYOUT]
        _, _, axes, tree = _CHUNK_LAYOUT.unpack_from(layout)
        if axes != rank + 1:
            raise Unfamiliar
        shape = struct.unpack_from(f"<{rank}I", layout, _CHUNK_LAYOUT.size)
        return Chunks(shape, _filters(item.found.get(FILTERS, b"")), self._tree(tree, rank))

    def _tree(self, address: int, rank: int) -> list[tuple[tuple[int, ...], int, int, int]]:
        """Collect the chunks below a node of the B-tree."""
        key = struct.Struct(f"<II{rank}Q8xQ")
        size = _NODE.size + (2 * CHUNK_TREE_RANK + 1) * key.size - 8
        found: list[tuple[tuple[int, ...], int, int, int]] = []
        pending = [address]
        while pending:
            at = pending.pop()
            self._left -= size
            if at in self._seen or self._left < 0 or at + size > len(self._data):
                raise Unfamiliar
            self._seen.add(at)
            signature, kind, level, count = _NODE.unpack_from(self._data, at)
            if signature != b"TREE" or kind != 1 or count > 2 * CHUNK_TREE_RANK:
                raise Unfamiliar
            for number in range(count):
                entry = key.unpack_from(self._data, at + _NODE.size + number * key.size)
                length, mask, *place, child = entry
                if level:
                    pending.append(child)
                else:
                    found.append((tuple(place), child, length, mask))
        return found


_EXPECTED = frozenset(
    (DATASPACE, LINK_INFO, DATATYPE, FILL, LAYOUT, GROUP_INFO, FILTERS, ATTRIBUTE)
)


def _link(message: bytes) -> tuple[str, int]:
    version, flags, _, charset = _LINK.unpack_from(message)
    if version != 1 or flags & ~3 != _TEXT_FLAGS or charset != 1:
        raise Unfamiliar
    at = _LINK.size
    width = 1 << (flags & 3)
    length = int.from_bytes(message[at : at + width], "little")
    name = message[at + width : at + width + length]
    (address,) = struct.unpack_from("<Q", message, at + width + length)
    if b"/" in name or name in (b"", b".", b".."):
        raise Unfamiliar
    return name.decode(), address


def _filters(message: bytes) -> tuple[int, ...]:
    """List the filters of a pipeline message of version 1 whose filters have no names."""
    if not message:
        return ()
    if message[0] != 1:
        raise Unfamiliar
    found, at = [], 8
    for _ in range(message[1]):
        kind, name, _, values = struct.unpack_from("<HHHH", message, at)
        if name:
            raise Unfamiliar
        found.append(kind)
        at += 8 + 4 * (values + values % 2)
    return tuple(found)
