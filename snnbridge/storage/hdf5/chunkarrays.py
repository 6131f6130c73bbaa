"""Arrays of entries by which the chunks of newer datasets are found."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice, repeat
from typing import NamedTuple

from snnbridge.errors import ReadError
from snnbridge.storage.hdf5.constants import UNDEFINED
from snnbridge.storage.hdf5.image import Image

_FIXED = struct.Struct("<4sBBBBQQ4x")
#: Signature, version, client and the address of the header.
_BLOCK = struct.Struct("<4sBBQ")
_CHECKSUM = 4
_EXTENSIBLE = struct.Struct("<4s8B32xQ8xQ4x")
_MOST_BITS = 64


def fixed_array(image: Image, address: int) -> Iterator[bytes]:
    """Give the entries of a fixed array; nothing stands for those of pages that are not there.

    Raises
    ------
    ReadError
        For an array that is damaged.
    """
    head = image.take_checked(address, _FIXED.size, b"FAHD")
    _, _, _, size, bits, count, block = _FIXED.unpack(head)
    if not size or count * size > len(image.data):
        raise ReadError(
            f"the array of chunks at byte {address} has {count} entries of {size} bytes"
        )
    if block == UNDEFINED:
        return
    if count <= 1 << bits:
        whole = image.take_checked(block, _BLOCK.size + count * size + _CHECKSUM, b"FADB")
        yield from _cut(whole[_BLOCK.size : -_CHECKSUM], size)
        return
    yield from _pages(image, block, count, size, 1 << bits)


def _pages(image: Image, block: int, count: int, size: int, most: int) -> Iterator[bytes]:
    """Give the entries of a block that is cut into pages of `most` entries."""
    pages = -(-count // most)
    width = (pages + 7) // 8
    head = image.take_checked(block, _BLOCK.size + width + _CHECKSUM, b"FADB")
    present = head[_BLOCK.size : -_CHECKSUM]
    for page in range(pages):
        here = min(most, count - page * most)
        at = block + len(head) + page * (most * size + _CHECKSUM)
        yield from _page(image, at, here, size, present=_bit(present, page))


def _page(image: Image, at: int, count: int, size: int, *, present: bool) -> Iterator[bytes]:
    if present:
        yield from _cut(image.take_checked(at, count * size + _CHECKSUM, b"")[:-_CHECKSUM], size)
    else:
        yield from repeat(b"", count)


def _bit(bits: bytes, number: int) -> bool:
    return bool(bits[number // 8] & 0x80 >> number % 8)


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


class _Array(NamedTuple):
    """The numbers that the header of an extensible array states."""

    image: Image
    size: int
    bits: int
    in_index: int
    least: int
    pointers: int
    page: int


def extensible_array(image: Image, address: int) -> Iterator[bytes]:
    """Give the entries of an extensible array; nothing stands for those that are not there.

    The first entries stand in the index block. The others are in data blocks whose length grows:
    super block number u has 2^(u // 2) of them, of 2^((u + 1) // 2) times the least length. The
    index block has the addresses of the data blocks of the first super blocks itself.

    Raises
    ------
    ReadError
        For an array that is damaged.
    """
    head = image.take_checked(address, _EXTENSIBLE.size, b"EAHD")
    _, _, _, size, bits, in_index, least, pointers, page, _, index = _EXTENSIBLE.unpack(head)
    powers = least and pointers and not (least & least - 1 or pointers & pointers - 1)
    if not (size and powers and 0 < bits <= _MOST_BITS and page < _MOST_BITS):
        raise ReadError(f"the array of chunks at byte {address} is damaged")
    if index == UNDEFINED:
        return
    array = _Array(image, size, bits, in_index, least, pointers, 1 << page)
    yield from _index_block(array, index)


def _index_block(array: _Array, address: int) -> Iterator[bytes]:
    direct = 2 * (array.pointers - 1)
    first = 2 * (array.pointers.bit_length() - 1)
    supers = max(0, 1 + array.bits - (array.least.bit_length() - 1) - first)
    start = _BLOCK.size + array.in_index * array.size
    whole = array.image.take_checked(address, start + 8 * (direct + supers) + _CHECKSUM, b"EAIB")
    yield from _cut(whole[_BLOCK.size : start], array.size)
    blocks = iter(struct.unpack_from(f"<{direct + supers}Q", whole, start))
    for number in range(first):
        for block in islice(blocks, 1 << number // 2):
            yield from _data_block(array, block, _length(array, number), b"")
    for number, block in enumerate(blocks, first):
        yield from _super_block(array, block, number)


def _length(array: _Array, number: int) -> int:
    """Return the entries in each data block of a super block."""
    return array.least << (number + 1) // 2


def _super_block(array: _Array, address: int, number: int) -> Iterator[bytes]:
    count, length = 1 << number // 2, _length(array, number)
    if address == UNDEFINED:
        yield from repeat(b"", count * length)
        return
    pages = length // array.page if length > array.page else 0
    width = (pages + 7) // 8
    before = _BLOCK.size + (array.bits + 7) // 8
    start = before + count * width
    whole = array.image.take_checked(address, start + 8 * count + _CHECKSUM, b"EASB")
    for place, block in enumerate(struct.unpack_from(f"<{count}Q", whole, start)):
        present = whole[before + place * width : before + (place + 1) * width]
        yield from _data_block(array, block, length, present)


def _data_block(array: _Array, address: int, length: int, present: bytes) -> Iterator[bytes]:
    before = _BLOCK.size + (array.bits + 7) // 8
    if address == UNDEFINED:
        yield from repeat(b"", length)
    elif length <= array.page:
        size = before + length * array.size + _CHECKSUM
        whole = array.image.take_checked(address, size, b"EADB")
        yield from _cut(whole[before:-_CHECKSUM], array.size)
    else:
        array.image.take_checked(address, before + _CHECKSUM, b"EADB")
        step = array.page * array.size + _CHECKSUM
        for page in range(length // array.page):
            at = address + before + _CHECKSUM + page * step
            yield from _page(array.image, at, array.page, array.size, present=_bit(present, page))
