"""Version 2 B-trees: indexes of large groups, many attributes, and some chunked datasets."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from snnbridge.errors import ReadError
from snnbridge.storage.hdf5.constants import UNDEFINED
from snnbridge.storage.hdf5.image import Image

_HEADER = struct.Struct("<4sBBIHHBBQHQ4x")
#: Signature, version, type and checksum of a node.
_PREFIX, _OVERHEAD = 6, 10
_DEPTH = 16


def records(image: Image, address: int, kind: int) -> Iterator[bytes]:
    """Give the records of a tree in their order.

    Parameters
    ----------
    image : Image
    address : int
        Of the tree's header.
    kind : int
        The type of records that is expected.
    """
    head = image.take_checked(address, _HEADER.size, b"BTHD")
    _, _, found, node_size, size, depth, _, _, root, count, _ = _HEADER.unpack(head)
    if found != kind or depth > _DEPTH or not size:
        raise ReadError(f"the B-tree at byte {address} has records of type {found}, not {kind}")
    if root == UNDEFINED or not count:
        return
    sizes = _pointer_sizes(node_size, size, depth)
    pending: list[tuple[int, int, int] | bytes] = [(root, count, depth)]
    while pending:
        item = pending.pop()
        if isinstance(item, bytes):
            yield item
        else:
            pending += reversed(_node(image, *item, size, sizes))


def _pointer_sizes(node_size: int, size: int, depth: int) -> list[tuple[int, int]]:
    """Return, for the nodes of each level, the bytes of a child's two counts.

    They are as wide as the largest number that can occur needs: of records in a leaf, and of
    records below a child, which children that are leaves do not state.
    """
    most = (node_size - _OVERHEAD) // size
    width = _width(most)
    below, found = most, [(0, 0)]
    for level in range(1, depth + 1):
        total = 0 if level == 1 else _width(below)
        found.append((width, total))
        most = (node_size - _OVERHEAD - (8 + width + total)) // (size + 8 + width + total)
        below = (most + 1) * below + most
    return found


def _width(most: int) -> int:
    return max(1, (most.bit_length() + 7) // 8)


def _node(
    image: Image, address: int, count: int, level: int, size: int, sizes: list[tuple[int, int]]
) -> list[tuple[int, int, int] | bytes]:
    """Return the records of a node and its children (address, count, level), as they alternate."""
    width, total = sizes[level]
    pointer = 8 + width + total
    children = (count + 1) * pointer if level else 0
    signature = b"BTIN" if level else b"BTLF"
    piece = image.take_checked(address, _OVERHEAD + count * size + children, signature)
    found: list[tuple[int, int, int] | bytes] = [
        piece[at : at + size] for at in range(_PREFIX, _PREFIX + count * size, size)
    ]
    if not level:
        return found
    mixed: list[tuple[int, int, int] | bytes] = []
    at = _PREFIX + count * size
    for record in (*found, None):
        below = int.from_bytes(piece[at + 8 : at + 8 + width], "little")
        mixed.append((int.from_bytes(piece[at : at + 8], "little"), below, level - 1))
        if record is not None:
            mixed.append(record)
        at += pointer
    return mixed
