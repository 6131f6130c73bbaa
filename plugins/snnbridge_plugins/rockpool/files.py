"""Reading and writing the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from snnbridge import SNNCheckpoint, SourceInfo
from snnbridge.model import Path
from snnbridge.storage import Source, Target
from snnbridge_plugins import description_file, read_back
from snnbridge_plugins.rockpool.entries import native_of
from snnbridge_plugins.rockpool.modules import NAME, checkpoint_of
from snnbridge_plugins.rockpool.values import numbers_as_arrays, read_modules, write_modules


def read(source: Source, options: Mapping[str, Any]) -> SNNCheckpoint:
    """Read a file, and its description where it has one.

    Raises
    ------
    ReadError
        If it is damaged or no such file.
    """
    alone = options.get("description") == "no"
    native, description = description_file.opened(source, NAME, alone=alone)
    modules = read_modules(native.data)
    if description is None:
        checkpoint = checkpoint_of(modules)
        info = checkpoint.source or SourceInfo()
        checkpoint.source = replace(info, dialect="saved by Rockpool")
        return checkpoint
    checkpoint = description.checkpoint(numbers_as_arrays(modules))
    checkpoint.source = SourceInfo(dialect="described", integrity="intact")
    return checkpoint


def write(checkpoint: SNNCheckpoint, target: Target, options: Mapping[str, Any]) -> None:
    """Write a file that ``net.load(path)`` reads, and beside it what it cannot say."""
    native = native_of(checkpoint)
    data = write_modules(native.modules)
    described = None if options.get("bare") else (checkpoint, native.places)
    description_file.write(target, NAME, lambda write: write(data), described)


def losses(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Say what a file would lose: nothing, unless it is bare."""
    if not options.get("bare"):
        return

    def read() -> SNNCheckpoint:
        data = write_modules(native_of(checkpoint).modules)
        return checkpoint_of(read_modules(memoryview(data)))

    yield from read_back.losses(
        checkpoint, read, "its modules", "Rockpool's modules do not tell it"
    )
