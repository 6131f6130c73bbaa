"""The links of a group, however they are stored."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from operator import itemgetter

from snnbridge.errors import ReadError
from snnbridge.storage.hdf5.btree1 import leaves
from snnbridge.storage.hdf5.constants import LINK_INFO, SYMBOL_TABLE, UNDEFINED
from snnbridge.storage.hdf5.dense import dense_messages
from snnbridge.storage.hdf5.headers import Header
from snnbridge.storage.hdf5.heaps import heap_name, local_heap
from snnbridge.storage.hdf5.image import Image
from snnbridge.storage.hdf5.messages import foreign_link, link_name, parse_link

_TABLE = struct.Struct("<QQ")
_NODE = struct.Struct("<4sBxH")
_ENTRY = struct.Struct("<QQI20x")
_SOFT = 2


def read_links(image: Image, header: Header) -> dict[str, int]:
    """Return the addresses to which a group's links lead, by name.

    The names are in the order in which the links were made, where the file keeps it, else
    sorted.

    Raises
    ------
    ReadError
        For a link that is not hard, or a name that two links have.
    """
    if SYMBOL_TABLE in header.single:
        found = list(_symbols(image, *_TABLE.unpack_from(header.single[SYMBOL_TABLE])))
    else:
        found = _messages(image, header)
    links = dict(found)
    if len(links) != len(found):
        raise ReadError("two of its links have the same name; expected names to be unique")
    return links


def _symbols(image: Image, tree: int, heap: int) -> Iterator[tuple[str, int]]:
    """Give the links of an old group: a B-tree of nodes whose names are in a local heap."""
    names = local_heap(image, heap)
    for address in leaves(image, tree):
        head = image.take(address, _NODE.size)
        image.expect(head, b"SNOD\1", address)
        _, _, count = _NODE.unpack(head)
        entries = image.take(address + _NODE.size, count * _ENTRY.size)
        for offset, target, kind in _ENTRY.iter_unpack(entries):
            name = link_name(heap_name(image, names, offset))
            if kind == _SOFT:
                raise ReadError(foreign_link(name, "a soft"))
            yield name, target


def _messages(image: Image, header: Header) -> list[tuple[str, int]]:
    """List the links of a new group: messages in its header, or in a heap where there are many."""
    messages = header.several
    ordered = False
    if (info := header.single.get(LINK_INFO)) is not None:
        version, flags = info[:2]
        if version != 0:
            raise ReadError(f"its links have version {version}; expected 0")
        ordered = bool(flags & 1)
        heap, names = struct.unpack_from("<QQ", info, 10 if ordered else 2)
        if heap != UNDEFINED:
            messages = messages + list(dense_messages(image, heap, names))
    links = sorted(map(parse_link, messages), key=itemgetter(0 if ordered else 1))
    return [(name, address) for _, name, address in links]
