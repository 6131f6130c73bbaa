"""Reading and writing ``.pt`` and ``.pth`` files.

Beside what ``torch.save`` writes, an archive may hold ``<root>/snnbridge.json``, the checkpoint as
a document (:mod:`snnbridge.document`), and ``<root>/snnbridge/<n>``, the elements of arrays that
the tree has no place for. ``torch.load`` looks at neither. A document refers to an array by
its place (:mod:`snnbridge_plugins.array_places`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from snnbridge import SNNCheckpoint, SourceInfo
from snnbridge.document import from_document, from_elements, to_document
from snnbridge.model import Array, Integrity, Path
from snnbridge.storage import Limits, Source, StoredZip, Target, dump_json, parse_json
from snnbridge_plugins import read_back
from snnbridge_plugins.array_places import Placing, fetching
from snnbridge_plugins.checking import SMALL, is_to_check
from snnbridge_plugins.torch.container import Contents
from snnbridge_plugins.torch.finding import read_tree
from snnbridge_plugins.torch.pickling import Written, pickled
from snnbridge_plugins.torch.reading import checkpoint_of
from snnbridge_plugins.torch.to_tree import Native, native_of
from snnbridge_plugins.torch.trees import restored

_ROOT = "archive"
_DOCUMENT = "snnbridge.json"
#: What a file without the document says itself, and why it does not say more.
WORDS, REASON = "its state dict", "the keys and tensors of a state dict do not tell it"


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
    verify = is_to_check(options, source.size, SMALL)
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
        return from_elements(place, archive.data(record), repr(record))

    text = archive.data(name)
    where, limits = f"{name!r} in the archive", Limits.for_text(len(text))
    document = parse_json(text, where=where, limits=limits)
    return from_document(document, fetching(tree, member))


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
    placing = Placing(native.places)
    document = to_document(checkpoint, placing)
    archive.add(f"{_ROOT}/{_DOCUMENT}", dump_json(document))
    for number, array in enumerate(placing.members):
        archive.add_elements(f"{_ROOT}/snnbridge/{number}", array)


def losses(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Say what a file would lose: nothing, unless it is bare."""
    if not options.get("bare"):
        return
    native = native_of(checkpoint, options=options)
    net = native.net[0] if native.net else "."

    def read() -> SNNCheckpoint:
        return checkpoint_of(native.tree, native.notes, net)

    yield from read_back.losses(checkpoint, read, WORDS, REASON)
