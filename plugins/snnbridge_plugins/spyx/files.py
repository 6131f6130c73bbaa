"""Reading and writing the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from snnbridge import SNNCheckpoint, SourceInfo
from snnbridge.model import Path
from snnbridge.storage import Source, Target
from snnbridge.wire import pack_into, unpack
from snnbridge_plugins import description_file, read_back
from snnbridge_plugins.spyx.reading import NAME, checkpoint_of
from snnbridge_plugins.spyx.to_tree import native_of


def read(source: Source, options: Mapping[str, Any]) -> SNNCheckpoint:
    """Read a file, and its description where it has one.

    Returns
    -------
    SNNCheckpoint
        Its arrays are views of the mapped file.

    Raises
    ------
    ReadError
        If it is damaged or no such file.
    """
    alone = options.get("description") == "no" or "net" in options
    native, description = description_file.opened(source, NAME, alone=alone)
    tree = unpack(native.data, trusted=native.trusted)
    if description is None:
        checkpoint = checkpoint_of(tree, options.get("net"))
        info = checkpoint.source or SourceInfo()
        checkpoint.source = replace(info, dialect="saved by flax")
        return checkpoint
    checkpoint = description.checkpoint(tree)
    checkpoint.source = SourceInfo(dialect="described", integrity="intact")
    return checkpoint


def write(checkpoint: SNNCheckpoint, target: Target, options: Mapping[str, Any]) -> None:
    """Write the bytes that flax would, and beside them what they cannot say."""
    native = native_of(checkpoint)
    described = None if options.get("bare") else (checkpoint, native.places)
    description_file.write(target, NAME, lambda write: pack_into(native.tree, write), described)


def losses(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Say what a file would lose: nothing, unless it is bare."""
    if not options.get("bare"):
        return
    layout = checkpoint.extras.get(NAME)
    net = "/".join(layout.get("net", ("layers",))) if isinstance(layout, Mapping) else "layers"

    def read() -> SNNCheckpoint:
        return checkpoint_of(native_of(checkpoint).tree, net or ".")

    reason = "the keys and arrays of the tree do not tell it"
    yield from read_back.losses(checkpoint, read, "its tree", reason)
