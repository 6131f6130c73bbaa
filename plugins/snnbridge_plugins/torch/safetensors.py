"""Reading and writing ``.safetensors`` files, and indexes of several.

Among the metadata of a file the checkpoint stands as a document, under ``snnbridge``; arrays that
are no tensors of the state dict stand in the document itself. An index
(``*.safetensors.index.json``) says in ``weight_map`` which file has which tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import ReadError, SNNCheckpoint, SourceInfo, differences
from snnbridge.document import from_document, from_inline, inline, to_document
from snnbridge.model import Array, Path
from snnbridge.storage import (
    Limits,
    Source,
    Target,
    dump_json,
    parse_json,
)
from snnbridge_plugins.torch.digests import DIGESTS, DOCUMENT, blank, compare, fill_in
from snnbridge_plugins.torch.files import CHECKED_BYTES, fetching
from snnbridge_plugins.torch.native import native_of
from snnbridge_plugins.torch.reading import checkpoint_of
from snnbridge_plugins.torch.tensors import WRITTEN, read_tensors, write_tensors
from snnbridge_plugins.torch.trees import Notes

_CHANGED = (
    "another program changed the file after snnbridge wrote it, or it was damaged: the arrays are "
    "those that stand there now, everything else is as snnbridge wrote it"
)
_SHARDS = 10_000
_NOTES: Notes = {(): {"is": "OrderedDict"}}


def read(source: Source, options: Mapping[str, Any]) -> SNNCheckpoint:
    """Read a file, or all files of an index.

    Returns
    -------
    SNNCheckpoint
        Its arrays are views of the mapped files.

    Raises
    ------
    ReadError
        If a file is damaged, or is not what the index says.
    """
    if source.read(0, 1) == b"{":
        tensors, metadata, dialect = *_read_index(source), "index"
    else:
        tensors, metadata, dialect = *read_tensors(source.data), "file"
    asked = options.get("check", "yes" if source.size <= CHECKED_BYTES else "no") == "yes"
    integrity = compare(source.data, metadata, whole=asked)
    if DOCUMENT in metadata and not options.get("net"):
        notes = (_CHANGED,) if integrity == "changed" else ()
        checkpoint = _described(tensors, metadata[DOCUMENT])
        checkpoint.source = SourceInfo(dialect="described", integrity=integrity, notes=notes)
        return checkpoint
    checkpoint = checkpoint_of(tensors, _NOTES, ".")
    checkpoint.metadata = {key: value for key, value in metadata.items() if key != "format"}
    checkpoint.source = replace(checkpoint.source or SourceInfo(), dialect=dialect)
    return checkpoint


def _read_index(source: Source) -> tuple[dict[str, Array], dict[str, Any]]:
    index = parse_json(source.data, where="the index")
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not all(isinstance(x, str) for x in places.values()):
        raise ReadError("an index has a weight_map from tensors to files")
    names = dict.fromkeys(places.values())
    if len(names) > _SHARDS:
        raise ReadError(f"the index names {len(names)} files; at most {_SHARDS} are read")
    shards = {}
    for name in names:
        try:
            with source.sibling(name, follow=False) as shard:
                shards[name] = read_tensors(shard.data)[0]
        except FileNotFoundError as error:
            raise ReadError(f"the index names {name!r}, which is not beside it") from error
    missing = [key for key, name in places.items() if key not in shards[name]]
    if missing:
        raise ReadError(f"{places[missing[0]]!r} lacks the tensor {missing[0]!r} of the index")
    return {key: shards[name][key] for key, name in places.items()}, {}


def _described(tensors: dict[str, Array], text: str) -> SNNCheckpoint:
    """Read a file that this package wrote."""
    data = text.encode("utf-8")
    limits = Limits(json_bytes=len(data), json_items=max(Limits().json_items, len(data)))
    document = parse_json(data, where=f"{DOCUMENT!r} in the metadata", limits=limits)
    return from_document(document, fetching(tensors, lambda place: from_inline(place["member"])))


def write(checkpoint: SNNCheckpoint, target: Target, options: Mapping[str, Any]) -> None:
    """Write one file that the safetensors package reads.

    Raises
    ------
    WriteError
        If the header would become larger than readers take.
    """
    native = native_of(checkpoint, flat=True, options=options)
    tensors = {key: a for key, a in native.tree.items() if _is_tensor(a)}
    metadata = {"format": "pt"}
    metadata |= {k: v for k, v in checkpoint.metadata.items() if isinstance(v, str)}
    if not options.get("bare"):
        metadata[DOCUMENT] = _document(checkpoint, native.places, tensors)
        metadata[DIGESTS] = blank(metadata[DOCUMENT])
    with target.open() as file:
        header = write_tensors(tensors, metadata, file.write)
        if DIGESTS in metadata:
            fill_in(file, header)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.name in WRITTEN


def _document(
    checkpoint: SNNCheckpoint, places: Mapping[Path, Any], tensors: Mapping[str, Array]
) -> str:
    def place(path: Path, array: Array) -> dict[str, Any]:
        stands = places.get(path)
        if stands is not None and stands[0][-1] in tensors:
            return {"at": list(stands[0]), **stands[1].as_json}
        return {"member": inline(array)}

    return dump_json(to_document(checkpoint, place)).decode("ascii")


def losses(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Say what a file would lose: nothing, unless it is bare."""
    if not options.get("bare"):
        return
    native = native_of(checkpoint, flat=True, options=options)
    tensors = {key: a.copy() for key, a in native.tree.items() if _is_tensor(a)}
    for found in differences(checkpoint, checkpoint_of(tensors, _NOTES, ".")):
        yield found.path, "the keys and tensors of a state dict do not tell it"
