"""Reading and writing ``.pt`` and ``.pth`` files.

Beside what ``torch.save`` writes, an archive may hold ``<root>/snnbridge.json``, the checkpoint as
a document (:mod:`snnbridge.document`), and ``<root>/snnbridge/<n>``, the elements of arrays that
the tree has no place for. ``torch.load`` looks at neither. A document refers to an array by
``{"at": [key, ...]}``, its path in the tree, with ``axes`` where it is stored otherwise than held,
or by ``{"member": n}`` with dtype and shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import CheckpointError, ReadError, SNNCheckpoint, SourceInfo, differences
from snnbridge.document import dtype_name, dtype_of, from_document, to_document
from snnbridge.document.arrays import checked
from snnbridge.model import Array, Integrity, Path
from snnbridge.storage import Limits, Source, StoredZip, Target, dump_json, parse_json, view
from snnbridge_plugins.torch.container import Contents
from snnbridge_plugins.torch.finding import read_tree
from snnbridge_plugins.torch.forms import Form
from snnbridge_plugins.torch.pickling import Written, pickled
from snnbridge_plugins.torch.reading import checkpoint_of
from snnbridge_plugins.torch.to_tree import Native, native_of
from snnbridge_plugins.torch.trees import restored

#: A file up to this size is held against its checksums unasked.
CHECKED_BYTES = 16 << 20
_ROOT = "archive"
_DOCUMENT = "snnbridge.json"


def read(source: Source, options: Mapping[str, Any]) -> SNNCheckpoint:
    """Read a file.

    Parameters
    ----------
    source : Source
    options : mapping
        ``net`` and ``check``; the format's declaration has their meaning.

    Returns
    -------
    SNNCheckpoint
        Its arrays are views of the mapped file.

    Raises
    ------
    ReadError
        If it is no such file, damaged, or holds more than a tree of tensors.
    """
    verify = options.get("check", "yes" if source.size <= CHECKED_BYTES else "no") == "yes"
    contents, tree, notes = read_tree(source, verify=verify)
    integrity: Integrity = "unchecked"
    if verify or contents.archive is None:
        integrity = "intact" if contents.is_checked else ""  # some files hold no checksums
    if contents.archive is not None and "net" not in options:
        described = _described(contents, tree)
        if described is not None:
            described.source = SourceInfo(dialect="described", integrity=integrity)
            return described
    checkpoint = checkpoint_of(tree, notes, options.get("net"))
    dialect = "stream" if contents.archive is None else "archive"
    info = checkpoint.source or SourceInfo()
    checkpoint.source = replace(info, dialect=dialect, integrity=integrity)
    return checkpoint


def _described(contents: Contents, tree: Any) -> SNNCheckpoint | None:
    """Read a file that this package wrote."""
    archive, name = contents.archive, f"{contents.root}/{_DOCUMENT}"
    if archive is None or name not in archive:
        return None

    def member(place: Mapping[str, Any]) -> Array:
        record = f"{contents.root}/snnbridge/{place['member']}"
        return _record(archive.data(record), place, record)

    text = archive.data(name)
    limits = Limits(json_bytes=len(text), json_items=max(Limits().json_items, len(text) // 8))
    document = parse_json(text, where=f"{name!r} in the archive", limits=limits)
    return from_document(document, fetching(tree, member))


def _record(data: memoryview, place: Mapping[str, Any], where: str) -> Array:
    """Return an array that stands beside the tree."""
    shape, dtype = place.get("shape"), dtype_of(str(place.get("dtype")))
    if not isinstance(shape, list) or any(type(n) is not int for n in shape):
        raise ReadError(f"the document gives {where!r} the shape {shape!r}")
    array = view(data, dtype.newbyteorder("<"), tuple(shape), where=repr(where))
    return checked(array, repr(where))


def fetching(tree: Any, extra: Callable[[Any], Array]) -> Callable[[Any], Array]:
    """Return the function that finds a document's arrays in a tree, or beside it.

    Parameters
    ----------
    tree
        Plain.
    extra : function of a place that has a ``member``
    """

    def fetch(place: Any) -> Array:
        if not isinstance(place, dict):
            raise ReadError(f"an array's place must be an object, found {place!r}")
        if "member" in place:
            return extra(place)
        stored = _at(tree, place.get("at"))
        form = Form.from_json(place) if len(place) > 1 else Form()
        if not form.fits(stored):
            raise ReadError(f"the array at {place['at']!r} has the shape {stored.shape}")
        return form.held(stored)

    return fetch


def _at(tree: Any, path: Any) -> Array:
    for key in path if isinstance(path, list) else ():
        if isinstance(tree, list) and isinstance(key, str) and key.isdecimal():
            tree = tree[int(key)] if int(key) < len(tree) else None
        else:
            tree = tree.get(key) if isinstance(tree, dict) and isinstance(key, str) else None
    if not isinstance(tree, np.ndarray):
        raise ReadError(f"there is no array at {path!r}")
    return tree


def write(checkpoint: SNNCheckpoint, target: Target, options: Mapping[str, Any]) -> None:
    """Write a file that ``torch.load(path, weights_only=True)`` reads.

    Raises
    ------
    WriteError
        If the tree holds what no such file can.
    """
    native = native_of(checkpoint, options=options)
    storages: dict[str, Array] = {}
    tree = restored(native.tree, native.notes, _storing(native, storages))
    with target.open() as file, StoredZip(file) as archive:
        archive.add(f"{_ROOT}/data.pkl", pickled(tree))
        archive.add(f"{_ROOT}/.format_version", b"1")
        archive.add(f"{_ROOT}/byteorder", b"little")
        for key, array in storages.items():
            archive.add_elements(f"{_ROOT}/data/{key}", array)
        archive.add(f"{_ROOT}/version", b"3\n")
        if not options.get("bare"):
            _add_document(checkpoint, native, archive)


def _storing(
    native: Native, storages: dict[str, Array]
) -> Callable[[Path, Array, Mapping[str, Any]], Written]:
    """Return the function that gives each tensor its storage; tied parameters share one."""
    keys: dict[Any, str] = {}

    def store(path: Path, array: Array, flags: Mapping[str, Any]) -> Written:
        tie = native.shared.get(path)
        owner = path if tie is None else (tie, array.shape, array.dtype.name)
        key = keys.setdefault(owner, str(len(keys)))
        storages.setdefault(key, array)
        return Written(array, key, bool(flags.get("grad")), bool(flags.get("parameter")))

    return store


def _add_document(checkpoint: SNNCheckpoint, native: Native, archive: StoredZip) -> None:
    members: list[Array] = []

    def place(path: Path, array: Array) -> dict[str, Any]:
        stands = native.places.get(path)
        if stands is not None:
            return {"at": list(stands[0]), **stands[1].as_json}
        members.append(array)
        what = {"dtype": dtype_name(array.dtype), "shape": list(array.shape)}
        return {"member": len(members) - 1, **what}

    document = to_document(checkpoint, place)
    archive.add(f"{_ROOT}/{_DOCUMENT}", dump_json(document))
    for number, array in enumerate(members):
        archive.add_elements(f"{_ROOT}/snnbridge/{number}", array)


def losses(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Say what a file would lose: nothing, unless it is bare."""
    if not options.get("bare"):
        return
    native = native_of(checkpoint, options=options)
    try:
        back = checkpoint_of(native.tree, native.notes, native.net[0] if native.net else ".")
    except (ReadError, CheckpointError) as error:
        yield ("layers",), f"its state dict cannot be read: {error}"
        return
    for found in differences(checkpoint, back):
        yield found.path, "the keys and tensors of a state dict do not tell it"
