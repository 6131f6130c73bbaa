"""Reading: the structure first, then the documents, then the arrays that they refer to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from snnbridge import OptionError, Options, ReadError
from snnbridge.document import from_document
from snnbridge.model import SNNCheckpoint, SourceInfo
from snnbridge.storage import Limits, Source
from snnbridge.storage.hdf5 import Dataset, Group, open_file
from snnbridge_plugins.checking import NEVER, is_to_check
from snnbridge_plugins.hdf5 import seal
from snnbridge_plugins.hdf5.arrays import Arrays
from snnbridge_plugins.hdf5.part import part_of
from snnbridge_plugins.hdf5.schema import CHECKPOINT, LAYOUT, SECTIONS

#: JSON may be nested as deep as the model's trees, in subgraphs.
_DEPTH = 500


def read(source: Source, options: Options) -> SNNCheckpoint:
    """Read a checkpoint, or some of its layers.

    Parameters
    ----------
    source : Source
    options : mapping
        ``layers``: names, as a list, or as text with commas between them. ``check``: ``"yes"``
        to compare the arrays that are read with their checksums.

    Returns
    -------
    SNNCheckpoint
        Its arrays are read-only views of the mapped file, but those of compressed datasets.

    Raises
    ------
    ReadError
        For a file that is damaged, hostile or of another schema.
    IntegrityError
        For bytes that are not those that were written.
    OptionError
        For a layer that the file does not have.
    """
    if "compression" in options:
        raise OptionError("option 'compression' of format 'hdf5' is for writing")
    if source.is_dir:
        raise ReadError("it is a folder; expected an HDF5 file")
    data = source.data
    sealed = seal.check(data)
    found = datasets(open_file(data, limits=source.limits))
    limits = _limits(source.limits, source.size)
    check = is_to_check(options, source.size, NEVER)
    arrays = Arrays(data, found, sealed, limits, check=check)
    document = _document(arrays)
    notes = [] if sealed else [_UNSEALED]
    if "layers" in options:
        notes += part_of(document, _names(options["layers"]))
    checkpoint = from_document(document, arrays.fetch)
    if "layers" not in options and (unused := arrays.unused()):
        notes.append(
            f"{len(unused)} datasets to which nothing refers were left out, first {unused[0]!r}"
        )
    checkpoint.source = SourceInfo(
        dialect=f"layout {LAYOUT}",
        notes=tuple(notes),
        integrity="" if not sealed else "intact" if check else "unchecked",
    )
    return checkpoint


_UNSEALED = "the file has no checksums, so another program wrote or changed it"


def datasets(root: Group) -> dict[str, Dataset]:
    """Open every dataset of a file.

    Parameters
    ----------
    root : Group

    Returns
    -------
    dict of str to Dataset
        By path.

    Raises
    ------
    ReadError
        For anything in it that this format does not have, or datasets that share bytes.
    """
    found: dict[str, Dataset] = {}
    pending = [root]
    while pending:
        for child in pending.pop().values():
            if isinstance(child, Group):
                pending.append(child)
            elif child.dtype.hasobject:
                raise ReadError(f"{child.path!r} has text of variable length; expected a fixed one")
            else:
                found[child.path] = child
    _expect_own_bytes(found)
    return found


def _expect_own_bytes(found: dict[str, Dataset]) -> None:
    behind, before = 0, ""
    pieces = [(*piece, path) for path, dataset in found.items() for piece in dataset.extents()]
    for offset, length, path in sorted(pieces):
        if offset < behind:
            raise ReadError(f"datasets {before!r} and {path!r} share bytes; expected each its own")
        behind, before = offset + length, path


def _limits(usual: Limits, size: int) -> Limits:
    """Bound the documents by the file that holds them."""
    return replace(
        usual,
        name_bytes=max(usual.name_bytes, size),
        depth=_DEPTH,
        json_bytes=max(usual.json_bytes, size),
        json_items=max(usual.json_items, size),
    )


def _names(value: str | Iterable[str]) -> list[str]:
    return value.split(",") if isinstance(value, str) else list(value)


def _document(arrays: Arrays) -> dict[str, Any]:
    """Put the sections together to one document."""
    head = arrays.json(CHECKPOINT)
    if not isinstance(head, dict) or "layout" not in head:
        raise ReadError(f"{CHECKPOINT!r} does not say the version of the layout")
    if head.pop("layout") != LAYOUT:
        raise ReadError(f"it has another layout than {LAYOUT}, the one that is known; update")
    return {**head, **{name: arrays.json(path) for name, path in SECTIONS.items()}}
