"""The bytes of HDF5 structures, as the HDF5 File Format Specification (version 3.0) states them.

Of each structure the oldest version is written that can say what is needed: superblock 0,
object headers 1, groups with compact links in creation order, contiguous layout 3 and, for
compressed arrays, chunks behind a version 1 B-tree. Every HDF5 library since 1.8 reads them.
Nothing depends on the time, the machine or a library's version: equal content, equal bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from snnbridge.errors import WriteError
from snnbridge.storage.hdf5.constants import (
    ATTRIBUTE,
    DATASPACE,
    DATATYPE,
    DEFLATE,
    FILL,
    FILTERS,
    GROUP_INFO,
    LAYOUT,
    LINK,
    LINK_INFO,
    SHUFFLE,
    UNDEFINED,
)
from snnbridge.storage.hdf5.datatypes import message, variable_text_message
from snnbridge.storage.signatures import HDF5_SIGNATURE

#: Half the number of chunks that one node of a B-tree holds; superblock 0 fixes it.
_CHUNK_TREE_RANK = 32

_HEADER = struct.Struct("<BxHII4x")
_MESSAGE = struct.Struct("<HHB3x")
_COLLECTION = 4096
_CONSTANT = 1
#: Space is allocated when the dataset is made, a fill value is neither defined nor written.
_NO_FILL = bytes((2, 1, 1, 0))
_SCALARS = {
    bool: (message(np.dtype("?")), struct.Struct("<?")),
    int: (message(np.dtype("<i8")), struct.Struct("<q")),
    float: (message(np.dtype("<f8")), struct.Struct("<d")),
}
_TEXT = variable_text_message()
#: An object header counts its messages in 16 bits.
_MOST_MESSAGES = 0xFFFF

Message = tuple[int, int, bytes]
AttributeValue = str | int | float


def superblock(root: int, end: int) -> bytes:
    """Make a superblock, version 0.

    Parameters
    ----------
    root : int
        Address of the root group's object header.
    end : int
        Address of the first byte behind the file's last structure.
    """
    start = HDF5_SIGNATURE + struct.pack("<8BHHI", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0)
    return start + struct.pack("<4Q2QII16x", 0, UNDEFINED, end, UNDEFINED, 0, root, 0, 0)


def dataspace(shape: Sequence[int]) -> bytes:
    """Make a dataspace message: fixed lengths; none for a scalar."""
    return struct.pack(f"<BBBx4x{len(shape)}Q", 1, len(shape), 0, *shape)


def contiguous(offset: int | None, size: int) -> Message:
    """Make the layout message of elements that lie in one piece; no offset, no space."""
    return LAYOUT, 0, struct.pack("<BBQQ", 3, 1, UNDEFINED if offset is None else offset, size)


def chunked(tree: int, chunk: Sequence[int], itemsize: int) -> Message:
    """Make the layout message of chunks behind a B-tree."""
    body = struct.pack(f"<BBBQ{len(chunk)}II", 3, 2, len(chunk) + 1, tree, *chunk, itemsize)
    return LAYOUT, 0, body


def filters(itemsize: int, level: int) -> Message:
    """Make the filter pipeline message: shuffle, then deflate."""
    shuffle = struct.pack("<HHHHII", SHUFFLE, 0, 1, 1, itemsize, 0)
    return (
        FILTERS,
        0,
        struct.pack("<BB6x", 1, 2) + shuffle + struct.pack("<HHHHII", DEFLATE, 0, 1, 1, level, 0),
    )


class Structure:
    """The part of a file that says what the rest is: object headers, groups, attributes.

    Parameters
    ----------
    start : int
        Where it will stand in the file; a multiple of 8.

    Examples
    --------
    >>> structure = Structure(96)
    >>> structure.group({}, {"type": "layers", "version": 1}) > 96
    True
    """

    def __init__(self, start: int) -> None:
        self._start = start
        self._content = bytearray()
        self._heap_free = self._heap_end = self._heap_start = 0
        self._heap_count = 0

    @property
    def content(self) -> bytearray:
        """Everything so far."""
        return self._content

    def raw(self, data: bytes) -> int:
        """Append bytes; give their address."""
        address = self._start + len(self._content)
        self._content += data + bytes(-len(data) % 8)
        return address

    def dataset(
        self,
        shape: Sequence[int],
        datatype: bytes,
        layout: Sequence[Message],
        attributes: Mapping[str, AttributeValue],
    ) -> int:
        """Append a dataset's object header; give its address."""
        messages = [
            (DATASPACE, 0, dataspace(shape)),
            (DATATYPE, _CONSTANT, datatype),
            (FILL, _CONSTANT, _NO_FILL),
            *layout,
        ]
        return self._object(messages, attributes)

    def group(self, links: Mapping[str, int], attributes: Mapping[str, AttributeValue]) -> int:
        """Append a group's object header with its links in order; give its address."""
        tracked = struct.pack("<BBQQQQ", 0, 3, len(links), UNDEFINED, UNDEFINED, UNDEFINED)
        stays_compact = struct.pack("<BBHH", 0, 1, 0xFFFF, 0xFFFE)
        messages = [(LINK_INFO, 0, tracked), (GROUP_INFO, _CONSTANT, stays_compact)]
        messages += [
            (LINK, 0, _link(name, order, address))
            for order, (name, address) in enumerate(links.items())
        ]
        return self._object(messages, attributes)

    def _object(self, messages: list[Message], attributes: Mapping[str, AttributeValue]) -> int:
        messages += [(ATTRIBUTE, 0, self._attribute(*item)) for item in attributes.items()]
        if len(messages) > _MOST_MESSAGES:
            raise WriteError(
                f"a group would have {len(messages)} members and attributes; expected up to "
                f"{_MOST_MESSAGES}"
            )
        body = bytearray()
        for kind, flags, data in messages:
            padding = -len(data) % 8
            body += _MESSAGE.pack(kind, len(data) + padding, flags) + data + bytes(padding)
        return self.raw(_HEADER.pack(1, len(messages), 1, len(body)) + body)

    def _attribute(self, name: str, value: AttributeValue) -> bytes:
        if isinstance(value, str):
            return _attribute_head(name, _TEXT) + self.texts([value])
        datatype, layout = _SCALARS[type(value)]
        return _attribute_head(name, datatype) + layout.pack(value)

    def texts(self, values: Iterable[str]) -> bytes:
        """Put text of any length into the global heap; give what refers to it, 16 bytes each."""
        return b"".join(self._text(value.encode()) for value in values)

    def _text(self, data: bytes) -> bytes:
        size = 16 + len(data) + -len(data) % 8
        if size > self._heap_end - self._heap_free:
            self._new_collection(size)
        self._heap_count += 1
        at = self._heap_free - self._start
        struct.pack_into("<HH4xQ", self._content, at, self._heap_count, 0, len(data))
        self._content[at + 16 : at + 16 + len(data)] = data
        self._heap_free += size
        left = self._heap_end - self._heap_free
        if left >= 16:
            struct.pack_into("<HH4xQ", self._content, at + size, 0, 0, left)
        return struct.pack("<IQI", len(data), self._heap_start, self._heap_count)

    def _new_collection(self, least: int) -> None:
        size = max(_COLLECTION, 16 + least)
        head = struct.pack("<4sB3xQ", b"GCOL", 1, size)
        self._heap_start = self.raw(head + bytes(size - 16))
        self._heap_free, self._heap_end = self._heap_start + 16, self._heap_start + size
        self._heap_count = 0

    def chunk_tree(
        self, chunks: Sequence[tuple[tuple[int, ...], int, int]], chunk: Sequence[int]
    ) -> int:
        """Append the B-tree of a dataset's chunks; give its root's address.

        Parameters
        ----------
        chunks : sequence of (offsets, address, size)
            In ascending order: the first element of each chunk along every axis, where its
            compressed bytes stand, how many there are.
        chunk : sequence of int
            The shape of a chunk.
        """
        key = struct.Struct(f"<II{len(chunk)}QQ")
        children = [(key.pack(size, 0, *at, 0), address) for at, address, size in chunks]
        behind = [a + n for a, n in zip(chunks[-1][0], chunk, strict=True)]
        last, level = key.pack(0, 0, *behind, 0), 0
        while True:
            children = self._tree_level(children, last, level)
            if len(children) == 1:
                return children[0][1]
            level += 1

    def _tree_level(
        self, children: list[tuple[bytes, int]], last: bytes, level: int
    ) -> list[tuple[bytes, int]]:
        most = 2 * _CHUNK_TREE_RANK
        size = 24 + (most + 1) * len(last) + most * 8
        groups = [children[i : i + most] for i in range(0, len(children), most)]
        first = self._start + len(self._content)
        found = []
        for number, group in enumerate(groups):
            here = first + number * size
            left = here - size if number else UNDEFINED
            right = here + size if number + 1 < len(groups) else UNDEFINED
            node = bytearray(struct.pack("<4sBBHQQ", b"TREE", 1, level, len(group), left, right))
            for key, address in group:
                node += key + struct.pack("<Q", address)
            node += groups[number + 1][0][0] if number + 1 < len(groups) else last
            self.raw(bytes(node.ljust(size, b"\0")))
            found.append((group[0][0], here))
        return found


def _link(name: str, order: int, address: int) -> bytes:
    raw = name.encode()
    width, code = (1, "B") if len(raw) < 256 else (2, "H")
    flags = (width - 1) | 1 << 2 | 1 << 4
    return (
        struct.pack(f"<BBQB{code}", 1, flags, order, 1, len(raw)) + raw + struct.pack("<Q", address)
    )


@lru_cache(maxsize=256)
def _attribute_head(name: str, datatype: bytes) -> bytes:
    raw = name.encode("ascii") + b"\0"
    head = struct.pack("<BxHHH", 1, len(raw), len(datatype), 8)
    return head + _padded(raw) + _padded(datatype) + dataspace(())


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)
