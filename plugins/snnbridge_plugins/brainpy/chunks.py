"""The limit above which a file's arrays were cut into chunks.

The frameworks cut at 2**30 bytes. A smaller limit is met in small files alone, where somebody
changed it; it is noted so that such a file can be written again byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snnbridge.wire import packed_size

_MOST = 16 << 20
_FIRST_CHUNK = re.compile(
    rb"\xa6chunks(?:[\x80-\x8f]|\xde..|\xdf....)\xa10"  # the map, its key "0"
    rb"(?:[\xd4-\xd8]|\xc7.|\xc8..|\xc9....)\x01\x93\x91"  # an array of one axis
    rb"(?:([\x00-\x7f])|\xcc(.)|\xcd(..)|\xce(....)|\xcf(.{8}))"  # its length
    rb"(?:([\xa0-\xbf]))",  # the head of its dtype's name
    re.DOTALL,
)


def chunk_bytes_of(data: memoryview, tree: Mapping[str, Any]) -> int | None:
    """Return the limit that gives a file its size, or ``None`` if it is the usual one.

    Parameters
    ----------
    data : memoryview
        The whole file.
    tree : mapping
        What it holds.
    """
    if len(data) > _MOST or packed_size(tree) == len(data):
        return None
    least = max((size for size in _first_chunks(data)), default=0)
    if not least:
        return None
    sizes = sorted({least, *(x.nbytes for x in _arrays(tree) if x.nbytes >= least)})
    return next((n for n in sizes[:_TRIES] if packed_size(tree, chunk_bytes=n) == len(data)), None)


_TRIES = 16


def _first_chunks(data: memoryview) -> Iterator[int]:
    """Give the bytes of the first chunk of each array in chunks."""
    for match in _FIRST_CHUNK.finditer(data):
        length = next(int.from_bytes(x, "big") for x in match.groups()[:5] if x is not None)
        start = match.end()
        name = bytes(data[start : start + (match[6][0] & 0x1F)]).decode("ascii", "replace")
        yield length * _itemsize(name)


def _itemsize(name: str) -> int:
    from snnbridge import ReadError
    from snnbridge.document import dtype_of

    try:
        return dtype_of(name).itemsize
    except ReadError:
        return 1


def _arrays(tree: Any) -> Iterator[np.ndarray[Any, Any]]:
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, np.ndarray):
            yield node
        elif isinstance(node, Mapping):
            pending.extend(node.values())
