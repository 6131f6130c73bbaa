"""Object headers: the messages that say what a group or a dataset is."""

from __future__ import annotations

import struct
from typing import NamedTuple

from snnbridge.errors import ReadError
from snnbridge.storage.hdf5.constants import (
    ATTRIBUTE_INFO,
    CONTINUATION,
    DATASPACE,
    DATATYPE,
    EXTERNAL,
    FILL,
    FILTERS,
    LAST_MESSAGE,
    LAYOUT,
    LINK,
    LINK_INFO,
    OLD_FILL,
    SYMBOL_TABLE,
)
from snnbridge.storage.hdf5.image import Image

_PREFIX = struct.Struct("<BxHII4x")
_PLACE = struct.Struct("<QQ")
_MESSAGE = struct.Struct("<HHB3x")
_SHORT_MESSAGE = struct.Struct("<BHB")
_ORDERED_MESSAGE = struct.Struct("<BHB2x")
#: How a header of version 2 starts: with the first letter of its signature.
_VERSION2 = ord("O")
_SHARED, _MUST_BE_KNOWN = 0x02, 0x80
_SINGLE = frozenset(
    (DATASPACE, LINK_INFO, DATATYPE, OLD_FILL, FILL, EXTERNAL, LAYOUT, FILTERS, SYMBOL_TABLE,
     ATTRIBUTE_INFO)
)  # fmt: skip


class Header(NamedTuple):
    """The messages of one object.

    Parameters
    ----------
    single : dict of int to bytes
        Those of which an object has one, by their type.
    several : list of bytes
        Its links, or its attributes, in the order of the file.
    """

    single: dict[int, bytes]
    several: list[bytes]


def read_header(image: Image, address: int, several: int = LINK) -> Header:
    """Read the object header at an address, of either version.

    Parameters
    ----------
    image : Image
    address : int
    several : int
        ``LINK`` or ``ATTRIBUTE``: which of the two is wanted.

    Raises
    ------
    ReadError
        For a header that is damaged, or says that something in it is stored elsewhere.
    """
    found = Header({}, [])
    if image.data[address] == _VERSION2:
        _read_version2(image, address, several, found)
        return found
    version, _, _, size = _PREFIX.unpack(image.take(address, _PREFIX.size))
    if version != 1:
        raise ReadError(f"at byte {address} there is no object header")
    blocks = [(address + _PREFIX.size, size)]
    for start, length in blocks:
        blocks += _collect(image.take(start, length), _MESSAGE, several, found)
    return found


def _read_version2(image: Image, address: int, several: int, found: Header) -> None:
    flags = image.take(address, 6)[5]
    width = 1 << (flags & 3)
    before = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    size = int.from_bytes(image.take(address + before, width), "little")
    layout = _ORDERED_MESSAGE if flags & 0x04 else _SHORT_MESSAGE
    whole = image.take_checked(address, before + width + size + 4, b"OHDR")
    blocks = _collect(whole[before + width : -4], layout, several, found)
    for start, length in blocks:
        body = image.take_checked(start, length, b"OCHK")[4:-4]
        blocks += _collect(body, layout, several, found)


def _collect(
    body: bytes, layout: struct.Struct, several: int, found: Header
) -> list[tuple[int, int]]:
    """Sort the messages of one block; return where the header goes on."""
    more = []
    at, last = 0, len(body) - layout.size
    while at <= last:
        kind, size, flags = layout.unpack_from(body, at)
        start = at + layout.size
        at = start + size
        if kind == several or kind in _SINGLE:
            if flags & _SHARED:
                raise ReadError(_shared(kind))
            if kind == several:
                found.several.append(body[start:at])
            else:
                found.single.setdefault(kind, body[start:at])
        elif kind == CONTINUATION:
            more.append(_PLACE.unpack_from(body, start))
        elif kind > LAST_MESSAGE and flags & _MUST_BE_KNOWN:
            raise ReadError(f"its object header has a message of the unknown type {kind}")
    if at > len(body):
        raise ReadError("a message reaches beyond its object header")
    return more


def _shared(kind: int) -> str:
    if kind == DATATYPE:
        return "it has a named datatype, which is not read here; expected one of its own"
    return f"a message of type {kind} in its object header is shared, which is not read here"
