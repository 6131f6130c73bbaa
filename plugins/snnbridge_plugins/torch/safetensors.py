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

from snnbridge import SNNCheckpoint, SourceInfo
from snnbridge.document import from_document, from_inline, inline, to_document
from snnbridge.model import Array, Path
from snnbridge.storage import (
    Limits,
    Source,
    Target,
    dump_json,
    parse_json,
)
from snnbridge_plugins import read_back
from snnbridge_plugins.array_places import Places, Placing, fetching
from snnbridge_plugins.checking import SMALL, is_to_check
from snnbridge_plugins.torch.digests import (
    DIGESTS,
    DOCUMENT,
    FILE,
    RESERVED,
    are_intact,
    blank,
    compare,
    fill_in,
)
from snnbridge_plugins.torch.files import REASON, WORDS
from snnbridge_plugins.torch.reading import checkpoint_of
from snnbridge_plugins.torch.sharding import INDEX, read_shards, shards_of, size_of, write_shards
from snnbridge_plugins.torch.tensors import WRITTEN, read_tensors, write_tensors
from snnbridge_plugins.torch.to_tree import native_of
from snnbridge_plugins.torch.trees import Notes

_CHANGED = (
    "another program changed the file after snnbridge wrote it, or it was damaged: the arrays are "
    "those that stand there now, everything else is as snnbridge wrote it"
)
_ONE_OF_SEVERAL = (
    "this is one of several files of a net; read NAME.safetensors.index.json beside it"
)
#: The size that huggingface takes where none is said.
_SHARD = "5GB"
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
    parts: list[Source] = []
    if source.read(0, 1) == b"{":
        shards = read_shards(source)
        source, parts = shards.index, shards.files
        tensors, metadata = shards.tensors, shards.metadata
    else:
        tensors, metadata = read_tensors(source.data)
    dialect = "index" if parts else "file"
    size = source.size + sum(part.size for part in parts)
    asked = is_to_check(options, size, SMALL)
    integrity = compare(source.data, metadata, whole=asked)
    if integrity == "intact" and parts:
        files = ((part.path.name, part.data) for part in parts)
        integrity = "intact" if are_intact(files, metadata) else "changed"
    if DOCUMENT in metadata:
        changed = (_CHANGED,) if integrity == "changed" else ()
        checkpoint = _described(tensors, metadata[DOCUMENT])
        checkpoint.source = SourceInfo(dialect="described", integrity=integrity, notes=changed)
        return checkpoint
    checkpoint = checkpoint_of(tensors, _NOTES, ".")
    info = checkpoint.source or SourceInfo()
    notes = (*info.notes, _ONE_OF_SEVERAL) if FILE in metadata else info.notes
    checkpoint.metadata = {k: v for k, v in metadata.items() if k not in ("format", FILE)}
    checkpoint.source = replace(info, dialect=dialect, integrity=integrity, notes=notes)
    return checkpoint


def _described(tensors: dict[str, Array], text: str) -> SNNCheckpoint:
    """Read a file that this package wrote."""
    data = text.encode("utf-8")
    limits = Limits.for_text(len(data), bytes_a_value=1)
    document = parse_json(data, where=f"{DOCUMENT!r} in the metadata", limits=limits)
    return from_document(document, fetching(tensors, lambda place: from_inline(place["member"])))


def write(checkpoint: SNNCheckpoint, target: Target, options: Mapping[str, Any]) -> None:
    """Write one file that the safetensors package reads, or several and their index.

    Raises
    ------
    WriteError
        If the header would become larger than readers take.
    OptionError
        If ``shard`` is no size.
    """
    native = native_of(checkpoint, flat=True, options=options)
    tensors = {key: a for key, a in native.tree.items() if _is_tensor(a)}
    texts = ((k, v) for k, v in checkpoint.metadata.items() if isinstance(v, str))
    metadata = {k: v for k, v in texts if k not in RESERVED}
    bare = bool(options.get("bare"))
    if not bare:
        metadata[DOCUMENT] = _document(checkpoint, native.places, tensors)
        metadata[DIGESTS] = blank(metadata[DOCUMENT])
    has_index = target.path.name.endswith(INDEX)
    shards = [tensors]
    if "shard" in options or has_index:
        shards = shards_of(tensors, size_of(options.get("shard", _SHARD)))
    if len(shards) > 1 or has_index:
        write_shards(shards, metadata, target, bare=bare)
        return
    with target.open() as file:
        header = write_tensors(tensors, {"format": "pt", **metadata}, file.write)
        if not bare:
            fill_in(file, header)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.name in WRITTEN


def _document(checkpoint: SNNCheckpoint, places: Places, tensors: Mapping[str, Array]) -> str:
    placing = Placing({path: at for path, at in places.items() if at[0][-1] in tensors})

    def place(path: Path, array: Array) -> dict[str, Any]:
        return placing.in_the_tree(path) or {"member": inline(array)}

    return dump_json(to_document(checkpoint, place)).decode("ascii")


def losses(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Say what a file would lose: nothing, unless it is bare."""
    if not options.get("bare"):
        return
    native = native_of(checkpoint, flat=True, options=options)
    tensors = {key: a.copy() for key, a in native.tree.items() if _is_tensor(a)}
    yield from read_back.losses(
        checkpoint, lambda: checkpoint_of(tensors, _NOTES, "."), WORDS, REASON
    )
