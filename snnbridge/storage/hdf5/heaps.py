"""Heaps: where names of old groups stand, and text of variable length."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from snnbridge.errors import ReadError
from snnbridge.storage.hdf5.constants import UNDEFINED
from snnbridge.storage.hdf5.image import Image

_LOCAL = struct.Struct("<4sB3xQQQ")
_COLLECTION = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")
_REFERENCE = struct.Struct("<IQI")


def local_heap(image: Image, address: int) -> bytes:
    """Return the data of a local heap, in which names are found by their offset."""
    piece = image.take(address, _LOCAL.size)
    image.expect(piece, b"HEAP", address)
    _, _, size, _, start = _LOCAL.unpack(piece)
    return image.take(start, size)


def heap_name(image: Image, heap: bytes, offset: int) -> bytes:
    """Return the name at an offset of a local heap, which a NUL ends."""
    end = heap.find(b"\0", offset) if 0 <= offset < len(heap) else -1
    if end < 0:
        raise ReadError(f"a name at {offset} lies outside of its heap of {len(heap)} bytes")
    image.spend(end - offset)
    return heap[offset:end]


class GlobalHeap:
    """The text of variable length of a file.

    Parameters
    ----------
    image : Image
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._collections: dict[int, dict[int, bytes]] = {}
        self._texts: dict[tuple[int, int, int], str] = {}

    def texts(self, references: bytes) -> Iterable[str]:
        """Return the texts to which references lead.

        Parameters
        ----------
        references : bytes
            16 for each: length, address of the collection, number of the object in it.

        Raises
        ------
        ReadError
            For one that leads nowhere, or to no UTF-8.
        """
        return map(self._text, _REFERENCE.iter_unpack(references))

    def _text(self, reference: tuple[int, int, int]) -> str:
        found = self._texts.get(reference)
        if found is None:
            found = self._texts[reference] = self._decoded(*reference)
        return found

    def _decoded(self, length: int, address: int, number: int) -> str:
        if not length or address in (0, UNDEFINED):
            return ""
        if address not in self._collections:
            self._collections[address] = self._collection(address)
        data = self._collections[address].get(number)
        if data is None or len(data) < length:
            raise ReadError(
                f"a text of {length} bytes should be object {number} of the heap at byte "
                f"{address}, but is not"
            )
        self._image.spend(length)
        try:
            return data[:length].split(b"\0", 1)[0].decode()
        except UnicodeDecodeError as error:
            raise ReadError(f"the text {data[:80]!r} is no UTF-8") from error

    def _collection(self, address: int) -> dict[int, bytes]:
        head = self._image.take(address, _COLLECTION.size)
        self._image.expect(head, b"GCOL\1", address)
        _, _, size = _COLLECTION.unpack(head)
        body = self._image.take(address + len(head), size - len(head))
        found: dict[int, bytes] = {}
        at = 0
        while at + _OBJECT.size <= len(body):
            number, _, length = _OBJECT.unpack_from(body, at)
            if number == 0:  # free space up to the end
                break
            at += _OBJECT.size
            if number in found or length > len(body) - at:
                raise ReadError(f"the heap at byte {address} is damaged")
            found[number] = body[at : at + length]
            at += length + -length % 8
        return found
