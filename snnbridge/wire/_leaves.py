"""The keys of a tree, without its values: enough to tell whose file it is."""

from __future__ import annotations

from collections.abc import Iterator

#: A stranger's tree is followed so far.
_MOST_NODES, _DEEPEST = 1 << 15, 256
_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_FIXED |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4}
_TEXTS = (0xD9, 0xDA, 0xDB)
_EXTENSIONS = (0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8)


def leaves(head: bytes | memoryview) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Give each leaf's path in a msgpack map, and whether it is an array.

    Parameters
    ----------
    head : bytes or memoryview
        The first bytes of a file, or all of them; values are passed over.

    Raises
    ------
    ValueError
        For what no tree holds: lists, keys that are no text; and for what is nested too deeply.
    IndexError
        Where the head ends.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge.wire import leaves, pack
    >>> list(leaves(pack({"epoch": 7, "Dense0": {"W": np.ones(2, np.float32)}})))
    [(('epoch',), False), (('Dense0', 'W'), True)]
    """
    count, at = _map_head(head, 0)
    left, path = [count], [""]
    for _ in range(_MOST_NODES):
        if not left:
            return
        if not left[-1]:
            left.pop()
            path.pop()
            continue
        left[-1] -= 1
        key, at = _text(head, at)
        path[-1] = key
        if 0x80 <= head[at] <= 0x8F or head[at] in (0xDE, 0xDF):
            if len(left) > _DEEPEST:
                raise ValueError("too deep")
            count, at = _map_head(head, at)
            left.append(count)
            path.append("")
        else:
            yield tuple(path), _is_array(head, at)
            at = _after(head, at)


def _map_head(head: bytes | memoryview, at: int) -> tuple[int, int]:
    if head[at] <= 0x8F:
        return head[at] & 0x0F, at + 1
    width = 2 if head[at] == 0xDE else 4
    return int.from_bytes(head[at + 1 : at + 1 + width], "big"), at + 1 + width


def _text(head: bytes | memoryview, at: int) -> tuple[str, int]:
    if not (0xA0 <= head[at] <= 0xBF or head[at] in _TEXTS):
        raise ValueError("a key is no text")
    end = _after(head, at)
    if end > len(head):
        raise IndexError(end)
    size = 1 if head[at] <= 0xBF else 1 + _SIZED[head[at]]
    return bytes(head[at + size : end]).decode("utf-8"), end


def _is_array(head: bytes | memoryview, at: int) -> bool:
    if head[at] not in _EXTENSIONS:
        return False
    start = at + 1 + _SIZED.get(head[at], 0)
    return head[start : start + 2] == b"\x01\x93"


def _after(head: bytes | memoryview, at: int) -> int:
    """Return where the value after a leaf starts."""
    first = head[at]
    if first <= 0x7F or first >= 0xE0:
        return at + 1
    if 0xA0 <= first <= 0xBF:
        return at + 1 + (first & 0x1F)
    if first in _FIXED:
        return at + 1 + _FIXED[first]
    if first not in _SIZED:
        raise ValueError("a list")
    width = _SIZED[first]
    size = int.from_bytes(head[at + 1 : at + 1 + width], "big")
    return at + 1 + width + size + (first in _EXTENSIONS)
