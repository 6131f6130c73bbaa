"""Messages that stand in a fractal heap, where a group or a dataset has many of them."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator

from snnbridge.errors import IntegrityError, ReadError
from snnbridge.storage.hdf5.btree2 import records
from snnbridge.storage.hdf5.checksum import lookup3
from snnbridge.storage.hdf5.constants import UNDEFINED
from snnbridge.storage.hdf5.image import Image

_HEADER = struct.Struct("<4sBHHBI12QHQQHHQH")
_CHECKED_BLOCKS = 2
_CHECKSUM = 4
_MOST_BITS = 64
_DIRECT = struct.Struct("<4sBQ")
_KIND, _MANAGED, _HUGE = 0x30, 0x00, 0x10
_HUGE_OBJECTS, _NAMES, _ATTRIBUTES = 1, 5, 8
#: Where an object stands that no block of its heap could hold, its length and its number.
_HUGE_RECORD = struct.Struct("<3Q")


def dense_messages(
    image: Image, heap: int, names: int, *, attributes: bool = False
) -> Iterator[bytes]:
    """Give the messages of links, or of attributes, in the order of their names' hashes.

    Parameters
    ----------
    image : Image
    heap, names : int
        Addresses of the heap and of the B-tree that lists what is in it.
    attributes : bool
        Whether the messages are attributes.
    """
    messages = _Heap(image, heap)
    for record in records(image, names, _ATTRIBUTES if attributes else _NAMES):
        yield messages.find(record[:8] if attributes else record[4:])


class _Heap:
    """A fractal heap: blocks of growing size, found through tables of their addresses.

    Parameters
    ----------
    image : Image
    address : int
    """

    def __init__(self, image: Image, address: int) -> None:
        self._image = image
        self._address = address
        head = _HEADER.unpack(image.take(address, _HEADER.size))
        _, _, _, filters, flags, longest, _, huge, *_ = head
        *_, width, first, largest, bits, _, root, rows = head
        if filters:
            raise ReadError("its links or attributes are compressed, which is not read here")
        image.take_checked(address, _HEADER.size + _CHECKSUM, b"FRHP")
        if not (width and first and largest >= first and rows <= bits <= _MOST_BITS):
            raise ReadError(f"the heap at byte {address} is damaged")
        self._checked = bool(flags & _CHECKED_BLOCKS)
        self._width, self._first = width, first
        self._direct_rows = (largest // first).bit_length() + 1
        self._offset_size = (bits + 7) // 8
        self._length_size = min((largest.bit_length() + 6) // 8, (longest.bit_length() + 7) // 8)
        #: Of every direct block where it starts in the heap, its bytes and its address.
        self._blocks = sorted(self._walk(root, rows)) if root != UNDEFINED else []
        self._contents: dict[int, bytes] = {}
        self._huge = dict(self._list_huge(huge)) if huge != UNDEFINED else {}

    def find(self, identifier: bytes) -> bytes:
        """Return the object that an identifier names: by place and length, or by its number."""
        kind = identifier[0] & _KIND
        if kind == _HUGE:
            return self._find_huge(int.from_bytes(identifier[1:], "little"))
        if kind != _MANAGED:
            raise ReadError(f"an object of the heap at byte {self._address} is of unknown kind")
        end = 1 + self._offset_size
        at = int.from_bytes(identifier[1:end], "little")
        length = int.from_bytes(identifier[end : end + self._length_size], "little")
        number = bisect_right(self._blocks, (at, UNDEFINED, 0)) - 1
        if number >= 0:
            start, size, address = self._blocks[number]
            if at + length <= start + size:
                self._image.spend(length)
                return self._content(address, size)[at - start : at - start + length]
        raise ReadError(f"object {at} of the heap at byte {self._address} is in none of its blocks")

    def _find_huge(self, number: int) -> bytes:
        if number not in self._huge:
            raise ReadError(f"the heap at byte {self._address} has no large object {number}")
        return self._image.take(*self._huge[number])

    def _list_huge(self, tree: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """Give number, address and length of the objects that stand outside of the blocks."""
        for record in records(self._image, tree, _HUGE_OBJECTS):
            address, length, number = _HUGE_RECORD.unpack(record)
            yield number, (address, length)

    def _content(self, address: int, size: int) -> bytes:
        if address not in self._contents:
            piece = self._image.take(address, size)
            self._image.expect(piece, b"FHDB", address)
            if self._checked:
                self._check(piece, address)
            self._contents[address] = piece
        return self._contents[address]

    def _check(self, piece: bytes, address: int) -> None:
        """Compare a direct block with its checksum, which was made when its field was zero."""
        at = _DIRECT.size + self._offset_size
        stated = int.from_bytes(piece[at : at + _CHECKSUM], "little")
        if lookup3(piece[:at] + bytes(_CHECKSUM) + piece[at + _CHECKSUM :]) != stated:
            raise IntegrityError(f"the heap block at byte {address} is damaged: checksum")

    def _walk(self, root: int, rows: int) -> Iterator[tuple[int, int, int]]:
        """Give the direct blocks below the root: a direct one itself if it has no rows."""
        if not rows:
            yield 0, self._first, root
            return
        pending = [(root, 0, rows)]
        while pending:
            address, offset, count = pending.pop()
            for row, child in enumerate(self._table(address, count)):
                size = self._first << max(0, row // self._width - 1)
                if child != UNDEFINED and row // self._width < self._direct_rows:
                    yield offset, size, child
                elif child != UNDEFINED:
                    below = (size // (self._first * self._width)).bit_length()
                    pending.append((child, offset, below))
                offset += size

    def _table(self, address: int, rows: int) -> tuple[int, ...]:
        """Return the addresses of the children of an indirect block, row after row."""
        count = rows * self._width
        before = _DIRECT.size + self._offset_size
        piece = self._image.take_checked(address, before + 8 * count + _CHECKSUM, b"FHIB")
        return struct.unpack_from(f"<{count}Q", piece, before)
