"""Reading: the structure first, then the documents, then the arrays that they refer to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from snnbridge import Options
from snnbridge.document import from_document
from snnbridge.errors import OptionError, ReadError
from snnbridge.model import SNNCheckpoint, SourceInfo
from snnbridge.storage import Limits, Source
from snnbridge_plugins.hdf5 import description, library, native, seal
from snnbridge_plugins.hdf5.arrays import Arrays
from snnbridge_plugins.hdf5.description import Description
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
    data, limits = source.data, _limits(source.size)
    found, sealed = structure(data)
    description.check(found, len(data), limits)
    arrays = Arrays(data, found, sealed, limits, check=options.get("check") == "yes")
    document = _document(arrays)
    notes = [] if sealed else [_UNSEALED]
    if "layers" in options:
        notes += part_of(document, _names(options["layers"]))
    checkpoint = from_document(document, arrays.fetch)
    if "layers" not in options and (unused := arrays.unused()):
        notes.append(
            f"{len(unused)} datasets to which nothing refers were left out, first {unused[0]!r}"
        )
    checkpoint.source = SourceInfo(dialect=f"layout {LAYOUT}", notes=tuple(notes))
    return checkpoint


_UNSEALED = "the file has no checksums, so another program wrote or changed it"


def structure(data: memoryview) -> tuple[Description, seal.Seal | None]:
    """Look at the structure of a file, by this package's own reader if it can.

    Parameters
    ----------
    data : memoryview
        The whole file.

    Returns
    -------
    dict of str to Stored
        The datasets by path.
    Seal or None
        The checksums, unless another program has changed the file.
    """
    try:
        sealed = seal.check(data, native.end_of(data))
        return native.structure(data), sealed
    except native.Unfamiliar:
        return library.structure(data), None


def _limits(size: int) -> Limits:
    """Bound the documents by the file that holds them."""
    usual = Limits()
    return Limits(
        name_bytes=max(usual.name_bytes, size),
        depth=_DEPTH,
        rank=64,
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
