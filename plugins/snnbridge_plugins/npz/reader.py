"""From the files to a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    CheckpointError,
    Layer,
    Linear,
    Opaque,
    ReadError,
    SNNCheckpoint,
    SourceInfo,
)
from snnbridge.document import from_document
from snnbridge.model import Array, parameter, some_of
from snnbridge.storage import Source, parse_json
from snnbridge_plugins.checking import NEVER, is_to_check
from snnbridge_plugins.npz.carry import Members, check_content, check_numeric
from snnbridge_plugins.npz.from_record import FRAMEWORK, checkpoint_of, size_of
from snnbridge_plugins.npz.names import legal_names
from snnbridge_plugins.npz.pair import (
    Pair,
    check_total,
    integrity_of,
    layer_arrays,
    member_keys,
    open_pair,
    ours,
)
from snnbridge_plugins.npz.record import OURS, Record, is_plain, limits_for
from snnbridge_plugins.npz.stated import record_of, weights_of
from snnbridge_plugins.npz.writer import PERMISSIVE, STRICT, VERSION, digest_of_names

_ZOO = re.compile(r"W([0-9]+|_rec[0-9]*)")
_RESAVED = (
    "re-saved by another tool since snnbridge wrote it: its arrays, metadata and frozen layers "
    "are taken as they are now, everything else as snnbridge wrote it"
)


def read(source: Source, options: Mapping[str, Any]) -> SNNCheckpoint:
    """Read a pair, or an archive alone; docs/formats/npz.md has their layouts."""
    pair = open_pair(source)
    check = is_to_check(options, source.size, NEVER)
    checkpoint = _read_pair(pair, options, check=check)
    info = checkpoint.source or SourceInfo()
    checkpoint.source = replace(info, integrity=integrity_of(pair, checked=check))
    return checkpoint


def _read_pair(pair: Pair, options: Mapping[str, Any], *, check: bool) -> SNNCheckpoint:
    if pair.record is None:
        return _read_archive(pair, options.get("orientation"), check=check)
    arrays = layer_arrays(pair, check=check)
    check_total(pair, arrays)
    for i, array in enumerate(arrays):
        check_content(array, f"layer_{i}")
    held = ours(pair.record)
    if held is None:
        return _read_native(pair, pair.record, arrays, options)
    if held.get("names") != digest_of_names(pair.record.names):
        return _read_stale(pair, pair.record, arrays, options)
    return _read_bound(pair, pair.record, arrays, held)


def _dialect(record: Record, arrays: Sequence[Array]) -> str:
    """Tell the dialects apart: 3.16 ends its text with a newline and knows float64 matrices."""
    is_strict = record.is_strict and all(
        a.ndim == 2 and a.dtype.newbyteorder("=") == np.float64 for a in arrays
    )
    return STRICT if is_strict else PERMISSIVE


def _read_native(
    pair: Pair, record: Record, arrays: list[Array], options: Mapping[str, Any]
) -> SNNCheckpoint:
    orientation = options.get("orientation")
    for i, array in enumerate(arrays):  # 3.14 and 3.15 save complex numbers, and never said why
        check_numeric(array, f"layer_{i}", real=record.is_strict)
    checkpoint, notes = checkpoint_of(record, arrays, orientation)
    if notes.contradicted and record.is_strict and orientation is None:
        raise ReadError(
            f"{pair.name!r}: layer_sizes contradicts the shape of {some_of(notes.contradicted)}; "
            "do the two files belong together? The option orientation reads them all the same"
        )
    checkpoint.source = SourceInfo(
        dialect=_dialect(record, arrays),
        framework=FRAMEWORK,
        notes=notes.text(orientation),
    )
    return checkpoint


def _read_stale(
    pair: Pair, record: Record, arrays: list[Array], options: Mapping[str, Any]
) -> SNNCheckpoint:
    """Read a pair whose layers another tool changed, so that the document is of other layers."""
    checkpoint = _read_native(pair, record.without_ours(), arrays, options)
    note = (
        "another tool changed the list of layers after snnbridge wrote it: what the document in "
        f"metadata[{OURS!r}] says of the old layers is left out"
    )
    return _noted(checkpoint, note)


def _noted(checkpoint: SNNCheckpoint, *notes: str) -> SNNCheckpoint:
    source = checkpoint.source or SourceInfo()
    checkpoint.source = replace(source, notes=(*source.notes, *notes))
    return checkpoint


def _read_bound(
    pair: Pair, record: Record, arrays: list[Array], held: Mapping[str, Any]
) -> SNNCheckpoint:
    """Read a pair of ours: with a document, or with a note on how its arrays travel."""
    if held.get("version") != VERSION:
        raise ReadError(
            f"{pair.name!r} has version {held.get('version')!r} of metadata[{OURS!r}]; this "
            f"version of snnbridge reads {VERSION}; update snnbridge"
        )
    members = Members(arrays)
    if "document" in held:
        checkpoint = _read_document(pair, record, members, held)
    elif "arrays" in held:
        restored = _restored(pair, members, held["arrays"])
        sizes = [size_of(array.shape) for array in restored]
        checkpoint, _ = checkpoint_of(replace(record.without_ours(), sizes=sizes), restored)
    else:
        checkpoint, _ = checkpoint_of(record.without_ours(), arrays)
    checkpoint.source = SourceInfo(dialect=STRICT if record.is_strict else PERMISSIVE)
    if not pair.is_bound:
        _noted(checkpoint, *_resaved_notes(record, checkpoint, members.changed))
    return _noted(checkpoint, *_note_on_bytes(record, checkpoint, members.as_bytes))


def _note_on_bytes(record: Record, checkpoint: SNNCheckpoint, found: list[int]) -> list[str]:
    weights = [record.names[i] for i in found if record.names[i] in checkpoint.layers]
    note = (
        f"{some_of(weights)}: to SC-NeuroCore the bytes of the elements, numbers from 0 to 255; it "
        "refuses NaN and infinity, and its float64 does not hold every type"
    )
    return [note] if weights else []


def _restored(pair: Pair, members: Members, references: Any) -> list[Array]:
    if isinstance(references, str):
        references = _parsed(pair, references)
    if isinstance(references, dict):
        if members.are_as_stated(references):
            return members.arrays
        references = [references] * len(members.arrays)
    if not isinstance(references, list) or len(references) != len(members.arrays):
        count = len(members.arrays)
        raise ReadError(f"{pair.name!r} must say of each of {count} arrays how it travels")
    return [
        members.restore({**reference, "layer": i} if isinstance(reference, dict) else None)
        for i, reference in enumerate(references)
    ]


def _read_document(
    pair: Pair, record: Record, members: Members, held: Mapping[str, Any]
) -> SNNCheckpoint:
    document = _parsed(pair, held["document"])
    try:
        checkpoint = from_document(document, members.restore)
    except CheckpointError as error:
        raise ReadError(
            f"{pair.name!r}: the document does not fit the arrays ({error}); if another tool "
            f"changed them, delete {OURS!r} from the metadata to read the pair without it"
        ) from error
    finite = held.get("dialect") != PERMISSIVE
    checkpoint.metadata = _merged(record, checkpoint.metadata, finite=finite)
    checkpoint.frozen_layers += [n for n in record.frozen if n in checkpoint.layers]
    checkpoint.validate()
    return checkpoint


def _parsed(pair: Pair, text: Any) -> Any:
    where = f"the document in {pair.name!r}"
    if not isinstance(text, str):
        raise ReadError(f"{where} must be a string")
    data = text.encode()
    return parse_json(data, where=where, limits=limits_for(len(data), pair.limits))


def _merged(record: Record, held: dict[str, Any], *, finite: bool) -> dict[str, Any]:
    """Join the metadata that the framework sees with what only the document can say.

    What the framework sees counts: a value that was changed there, or taken out. With `finite`,
    it never saw NaN and infinity.
    """
    native = {key: value for key, value in record.metadata.items() if key != OURS}
    kept = {
        key: native.get(key, value)
        for key, value in held.items()
        if key in native or key == OURS or not is_plain({key: value}, finite=finite)
    }
    return {**kept, **native}


def _resaved_notes(record: Record, checkpoint: SNNCheckpoint, changed: list[int]) -> list[str]:
    notes = [_RESAVED]
    if changed:
        names = [record.names[i] for i in changed]
        notes.append(f"{some_of(names)}: changed to values that need float64; given as such")
    lost = [n for n in record.frozen if n not in checkpoint.layers]
    if lost:
        notes.append(f"frozen_layers names {some_of(lost)}, which is no layer of the network")
    weights = weights_of(checkpoint)
    types = record_of(checkpoint, weights, strict=True).types
    if record.types and record.types[: len(weights)] != types:
        notes.append("neuron_types was changed by another tool; the document's neurons are kept")
    return notes


def _read_archive(pair: Pair, orientation: Any, *, check: bool) -> SNNCheckpoint:
    """Read an archive without its JSON half: the framework's own arrays, its zoo, or another's."""
    keys = member_keys(pair.archive)
    arrays = {key: pair.archive.array(name, verify=check) for key, name in keys.items()}
    for key, array in arrays.items():
        check_content(array, repr(key))
    if sorted(arrays) == sorted(f"layer_{i}" for i in range(len(arrays))):
        return _read_headless(arrays, orientation, pair.foreign)
    if all(_ZOO.fullmatch(key) and array.ndim == 2 for key, array in arrays.items()):
        return _read_zoo(arrays, orientation or "in-out")
    return _read_foreign(arrays, orientation)


def _read_headless(arrays: Mapping[str, Array], orientation: Any, foreign: str) -> SNNCheckpoint:
    ordered = [arrays[f"layer_{i}"] for i in range(len(arrays))]
    for name, array in arrays.items():
        check_numeric(array, name, real=False)
    names = [f"layer_{i}" for i in range(len(arrays))]
    record = Record(names, [[] for _ in names])
    checkpoint, notes = checkpoint_of(record, ordered, orientation)
    checkpoint.extras = {}
    checkpoint.source = SourceInfo(
        dialect="archive", framework=FRAMEWORK, notes=notes.text(orientation)
    )
    missing = f"{foreign!r} lacks 'layer_names'" if foreign else "the JSON file is missing"
    return _noted(checkpoint, f"{missing}: names, sizes and metadata are unknown")


def _read_zoo(arrays: Mapping[str, Array], orientation: str) -> SNNCheckpoint:
    layers = [
        Linear(name, array.T if orientation == "in-out" else array)
        for name, array in arrays.items()
    ]
    note = (
        f"laid out as the model zoo of SC-NeuroCore: matrices taken as {orientation}; the option "
        "orientation changes that"
    )
    return SNNCheckpoint(
        layers,
        source=SourceInfo(dialect="model zoo", framework=FRAMEWORK, notes=(note,)),
    )


def _read_foreign(arrays: Mapping[str, Array], orientation: Any) -> SNNCheckpoint:
    layers: list[Layer] = []
    for name, array in zip(legal_names(list(arrays)), arrays.values(), strict=True):
        if orientation is not None and array.ndim == 2:
            layers.append(Linear(name, array.T if orientation == "in-out" else array))
        else:
            layers.append(Opaque(name, {"weight": parameter(array)}))
    note = (
        "an archive of arrays whose meaning is not stated; the option orientation reads its "
        "matrices as linear layers"
    )
    return SNNCheckpoint(
        layers,
        source=SourceInfo(dialect="archive", framework=UNKNOWN, notes=(note,)),
    )
