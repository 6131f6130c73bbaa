"""Reading: any file of BrainPy or braintools as a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge import CheckpointError, OptionError, ReadError, SNNCheckpoint, SourceInfo
from snnbridge.model import Integrity
from snnbridge.node_trees import STEP_FILE, choose, from_tree
from snnbridge.storage import Source, is_hdf5, is_zip
from snnbridge.wire import unpack
from snnbridge_plugins.brainpy.chunks import chunk_bytes_of
from snnbridge_plugins.brainpy.extra import (
    check,
    entry_of,
    is_unchanged,
    read_document,
    size_of,
)
from snnbridge_plugins.brainpy.flat import read_archive, read_hdf5
from snnbridge_plugins.brainpy.head import PICKLE
from snnbridge_plugins.checking import SMALL, is_to_check
from snnbridge_plugins.option_pairs import pairs_of

_PLACEHOLDER = "//GDAPlaceholder:"


def read(source: Source, options: Mapping[str, Any]) -> SNNCheckpoint:
    """Read a file, or the newest checkpoint of a folder.

    Parameters
    ----------
    source : Source
    options : mapping
        ``net``, ``step``, ``classes`` and ``check``; the format's declaration has their meaning.

    Returns
    -------
    SNNCheckpoint
        Its arrays are views of the mapped file.

    Raises
    ------
    ReadError
        If it is no such file, damaged, or does not hold what makes a network.
    OptionError
        If an option does not fit the file.
    """
    if source.is_dir:
        return _read_folder(source, options)
    if "step" in options:
        raise OptionError("step chooses a file in a folder of checkpoints; this is a file")
    found = {"classes": pairs_of("classes", options.get("classes", ""), "NODE=CLASS")}
    if "net" in options:
        found["net"] = options["net"]
    data = source.data
    if is_zip(data):
        return read_archive(data, found, source.limits)
    if is_hdf5(data):
        return read_hdf5(data, found, source.limits)
    if PICKLE.match(data):
        raise ReadError(
            "a pickle is a program that runs while it is read, so it is not; load it with the "
            "BrainPy that wrote it and save it with brainpy.checkpoints.save_pytree"
        )
    return _read_tree(data, found, options, trusted=source.trusted)


def _read_folder(source: Source, options: Mapping[str, Any]) -> SNNCheckpoint:
    names = source.names()
    name = choose(names, options.get("step"))
    rest = {key: value for key, value in options.items() if key != "step"}
    checkpoint = read(source.child(name, follow=False), rest)
    count = sum(STEP_FILE.fullmatch(x) is not None for x in names)
    return _noted(checkpoint, [f"{name} is one of {count} checkpoints in the folder"])


def _read_tree(
    data: memoryview, found: Mapping[str, Any], options: Mapping[str, Any], *, trusted: bool
) -> SNNCheckpoint:
    tree = unpack(data, trusted=trusted)
    _refuse_placeholders(tree)
    entry = entry_of(tree)
    if entry is not None and "net" not in options:
        return _read_described(data, tree, entry, found, options)
    checkpoint = from_tree(tree, **found)
    limit = chunk_bytes_of(data, tree) if entry is None else None
    if limit is not None:
        layout = checkpoint.extras.get("brainpy", {})
        checkpoint.extras = {"brainpy": {**layout, "chunk_bytes": limit}}
    return checkpoint


def _read_described(
    data: memoryview,
    tree: dict[str, Any],
    entry: Mapping[str, Any],
    found: Mapping[str, Any],
    options: Mapping[str, Any],
) -> SNNCheckpoint:
    """Read a file that this package wrote, and perhaps others after it."""
    integrity: Integrity = "unchecked"
    if is_to_check(options, size_of(entry), SMALL):
        check(entry)
    if is_to_check(options, _size_of_both(entry), SMALL):
        integrity = "intact" if is_unchanged(entry, data) else "changed"
    try:
        checkpoint = read_document(entry, tree)
    except (ReadError, CheckpointError) as error:
        if integrity != "changed":
            raise
        note = f"another tool changed the file so that its description does not fit: {error}"
        checkpoint = _noted(from_tree(tree, **found), [f"{note}; it was passed over"])
    else:
        framework = _framework(checkpoint)
        notes = _NOTES.get(integrity, ())
        checkpoint.source = SourceInfo(dialect="described", framework=framework, notes=notes)
    info = checkpoint.source or SourceInfo()
    checkpoint.source = replace(info, integrity=integrity)
    return checkpoint


def _size_of_both(entry: Mapping[str, Any]) -> int:
    """Return the larger size of the two parts of a file, the description and the tree."""
    held = entry.get("native_bytes", 0)
    return max(size_of(entry), held if isinstance(held, int) else 0)


_NOTES: Mapping[Integrity, tuple[str, ...]] = {
    "changed": (
        (
            "another tool changed the file after snnbridge wrote it: the arrays are those that "
            "stand there now, everything else is as snnbridge wrote it"
        ),
    ),
    "unchecked": ("the file is large and was not held against its digest; do so with check=yes",),
}


def _framework(checkpoint: SNNCheckpoint) -> Any:
    return "brainpy" if "brainpy" in checkpoint.extras else SourceInfo().framework


def _noted(checkpoint: SNNCheckpoint, notes: list[str]) -> SNNCheckpoint:
    info = checkpoint.source or SourceInfo()
    checkpoint.source = replace(info, notes=(*notes, *info.notes))
    return checkpoint


def _refuse_placeholders(tree: dict[str, Any]) -> None:
    pending = list(tree.values())
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            pending.extend(node.values())
        elif isinstance(node, str) and node.startswith(_PLACEHOLDER):
            raise ReadError(
                f"the array {node.removeprefix(_PLACEHOLDER)!r} was saved by several processes "
                "and stands in a folder beside the file, which is not read; load the checkpoint "
                "with the BrainPy that wrote it and save it with save_pytree"
            )
