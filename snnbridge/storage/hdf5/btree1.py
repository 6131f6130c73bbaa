"""Version 1 B-trees: the nodes of old groups, and the chunks of most datasets."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from snnbridge.errors import ReadError
from snnbridge.storage.hdf5.image import Image

_NODE = struct.Struct("<4sBBH16x")
_GROUPS, _CHUNKS = 0, 1
_DEPTH = 16


def leaves(image: Image, root: int) -> Iterator[int]:
    """Give the addresses of a group's nodes of links, in the order of their names."""
    for _, address in _entries(image, root, _GROUPS, struct.Struct("<Q")):
        yield address


def chunks(image: Image, root: int, rank: int) -> Iterator[tuple[tuple[int, ...], int, int, int]]:
    """Give the chunks of a dataset of `rank` axes: place, address, bytes, filter mask."""
    for (size, mask, *place), address in _entries(
        image, root, _CHUNKS, struct.Struct(f"<II{rank}Q8x")
    ):
        yield tuple(place), address, size, mask


def _entries(
    image: Image, root: int, kind: int, key: struct.Struct
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Walk a tree from left to right; give the key and the address of every leaf's child."""
    entry = struct.Struct(f"{key.format}Q")
    pending = [(root, _DEPTH)]
    while pending:
        address, most = pending.pop()
        head = image.take(address, _NODE.size)
        image.expect(head, b"TREE", address)
        _, found, level, count = _NODE.unpack(head)
        if found != kind or level >= most:
            raise ReadError(f"the B-tree's node at byte {address} is of another kind or level")
        body = image.take(address + _NODE.size, count * entry.size)
        children = [(values[:-1], values[-1]) for values in entry.iter_unpack(body)]
        if level:
            pending += [(child, level) for _, child in reversed(children)]
        else:
            yield from children
