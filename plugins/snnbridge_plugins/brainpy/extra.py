"""What a file holds beside the framework's own tree: one more entry at its end.

The entry ``"snnbridge"`` of the top-level map is a map:

==================  =========================================================================
``document``        the checkpoint as JSON text, see :mod:`snnbridge.document`; an array's
                    place is ``{"at": [key, ...]}``, its path in the tree, with ``axes`` and
                    ``lead`` where it is held otherwise than stored, or ``{"extra": key}``
``native_bytes``    how many bytes of the file come before this entry
``native_sha256``   their SHA-256, hexadecimal
``arrays``          the arrays that the framework has no place for, by key
``sha256``          the SHA-256 of this map as msgpack, without this key, with its keys in the
                    order of this table and those of ``arrays`` in that of their numbers
==================  =========================================================================

The map's head counts the entry, so it is part of the native bytes.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from snnbridge import IntegrityError, ReadError, SNNCheckpoint
from snnbridge.document import from_document, to_document
from snnbridge.node_trees import RESERVED, StateDict
from snnbridge.storage import Limits, dump_json, parse_json
from snnbridge.wire import MAX_DEPTH, pack_into
from snnbridge_plugins.array_places import Placing, fetching

_Write = Callable[[Any], object]
_BLOCK = 4 << 20
_BEHIND = 4


def write_with_document(
    checkpoint: SNNCheckpoint, native: StateDict, write: _Write, **options: Any
) -> None:
    """Write a tree and, as its last entry, the whole checkpoint.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    native : StateDict
        The tree, and which arrays of the checkpoint stand in it.
    write : function of bytes
    **options
        Of :func:`snnbridge.wire.pack_into`, for the tree.
    """
    arrays: dict[str, Any] = {}
    placing = Placing(native.places)

    def place(path: tuple[str, ...], array: Any) -> dict[str, Any]:
        if stands := placing.in_the_tree(path):
            return stands
        key = str(len(arrays))
        arrays[key] = array
        return {"extra": key}

    document = dump_json(to_document(checkpoint, place), text_keys=True).decode("ascii")
    with _Digest(write) as digest:
        digest.write(map_head(len(native.tree) + 1))
        pack_into(native.tree, _without(digest.write, len(map_head(len(native.tree)))), **options)
    entry = {
        "document": document,
        "native_bytes": digest.count,
        "native_sha256": digest.hexdigest(),
        "arrays": arrays,
    }
    entry["sha256"] = _digest_of(entry)
    pack_into({RESERVED: entry}, _without(write, 1))


_COVERED = ("document", "native_bytes", "native_sha256", "arrays")


def _digest_of(entry: Mapping[str, Any]) -> str:
    """Return the digest of an entry; tools that sort keys do not change it."""
    covered = {key: entry[key] for key in _COVERED if key in entry}
    if isinstance(arrays := covered.get("arrays"), dict):
        covered["arrays"] = {k: arrays[k] for k in sorted(arrays, key=lambda k: (len(k), k))}
    digest = hashlib.sha256()
    pack_into(covered, digest.update)
    return digest.hexdigest()


def check(entry: Mapping[str, Any]) -> None:
    """Hold an entry against its digest.

    Raises
    ------
    IntegrityError
        If it was changed or damaged.
    """
    if entry.get("sha256") != _digest_of(entry):
        raise IntegrityError(
            f"the entry {RESERVED!r}, which snnbridge added to the file, is damaged or was changed "
            "by hand; with the option net=KEY (net=. for the whole tree) the file is read "
            "without it"
        )


def size_of(entry: Mapping[str, Any]) -> int:
    """Return about how many bytes an entry has."""
    arrays = entry.get("arrays")
    held = arrays.values() if isinstance(arrays, dict) else ()
    return len(entry["document"]) + sum(getattr(array, "nbytes", 0) for array in held)


def map_head(count: int) -> bytes:
    """Return the head of a msgpack map."""
    if count < 16:
        return bytes([0x80 | count])
    if count < 1 << 16:
        return b"\xde" + count.to_bytes(2, "big")
    return b"\xdf" + count.to_bytes(4, "big")


def _without(write: _Write, skip: int) -> _Write:
    """Return a function that passes everything on but the first bytes."""

    def passing(piece: Any) -> None:
        nonlocal skip
        write(memoryview(piece)[skip:] if skip else piece)
        skip = 0

    return passing


class _Digest:
    """Counts and hashes what is written, on another thread, a few blocks behind."""

    def __init__(self, write: _Write) -> None:
        self._write = write
        self._hash = hashlib.sha256()
        self._pending: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(1)
        self.count = 0

    def __enter__(self) -> _Digest:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def write(self, piece: Any) -> None:
        view = memoryview(piece).cast("B")
        for start in range(0, len(view), _BLOCK):
            if len(self._pending) == _BEHIND:
                self._pending.popleft().result()
            block = view[start : start + _BLOCK]
            self._pending.append(self._thread.submit(self._hash.update, block))
        self._write(piece)
        self.count += len(view)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def entry_of(tree: dict[str, Any]) -> dict[str, Any] | None:
    """Take this package's entry out of a tree, if it is there.

    Raises
    ------
    IntegrityError
        If its name, or that of a part of it, is another.
    """
    entry = tree.get(RESERVED)
    if isinstance(entry, dict) and isinstance(entry.get("document"), str):
        del tree[RESERVED]
        return entry
    for key, value in tree.items():
        if isinstance(value, dict) and len(value.keys() & {*_COVERED, "sha256"}) > 3:
            raise IntegrityError(
                f"the entry {key!r} is what snnbridge adds to a file, but its names were damaged"
            )
    return None


def is_unchanged(entry: Mapping[str, Any], data: memoryview) -> bool:
    """Whether the bytes before the entry are those that its digest was made of."""
    count = entry.get("native_bytes")
    if type(count) is not int or not 0 < count < len(data):
        return False
    digest = hashlib.sha256()
    for start in range(0, count, _BLOCK):
        digest.update(data[start : min(start + _BLOCK, count)])
    return digest.hexdigest() == entry.get("native_sha256")


def read_document(entry: Mapping[str, Any], tree: Mapping[str, Any]) -> SNNCheckpoint:
    """Read the checkpoint that an entry describes, with the arrays where they stand now.

    Raises
    ------
    ReadError
        If the entry is damaged or speaks of arrays that are not there.
    CheckpointError
        If what it says breaks the rules of the model.
    """
    arrays = entry.get("arrays")

    def extra(place: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        found = arrays.get(place["extra"]) if isinstance(arrays, dict) else None
        if not isinstance(found, np.ndarray):
            raise ReadError(f"there is no array {place['extra']!r} in the entry {RESERVED!r}")
        return found

    text = entry["document"].encode()
    limits = Limits.for_text(len(text), depth=MAX_DEPTH)
    document = parse_json(text, where="the description in the file", limits=limits)
    return from_document(document, fetching(tree, extra, "extra"))
