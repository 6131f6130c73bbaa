"""From a checkpoint to a pair: the framework's own record, and a document for the rest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np

from snnbridge import (
    Difference,
    Entry,
    Layer,
    Opaque,
    ReadError,
    SNNCheckpoint,
    Status,
    differences,
)
from snnbridge.document import to_document
from snnbridge.model import Array, Names, Path, describe, some_of
from snnbridge.storage import StoredZip, Target, dump_json
from snnbridge_plugins.npz.carry import Carried, inlined, is_inline
from snnbridge_plugins.npz.from_record import EXTRAS, checkpoint_of, size_of
from snnbridge_plugins.npz.pair import COMMENT, base_name, digest_of
from snnbridge_plugins.npz.record import OURS, Record, from_tree, is_plain
from snnbridge_plugins.npz.stated import is_stated, record_of, weights_of

STRICT = "3.16"
PERMISSIVE = "permissive"

#: The version of what stands under ``metadata["snnbridge"]``; a reader refuses a later one.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes into the two files.

    Parameters
    ----------
    record : Record
        One name for each array; sizes for those whose size is not that of its member.
    arrays : list of Carried
        The weights, then what else the document needs.
    document : dict, optional
        Where the pair and the dtypes alone do not hold everything.
    notes_arrays : bool
        Whether to state how each array travels: what 3.16 changes, it can be undone.
    is_whole : bool
        Whether the pair is known to say everything.
    """

    record: Record
    arrays: list[Carried]
    document: dict[str, Any] | None = None
    notes_arrays: bool = False
    is_whole: bool = False

    def record_for(self, members: list[tuple[int, ...]]) -> Record:
        """Complete the record for members of these shapes."""
        sizes = [size_of(shape) for shape in members]
        if not self.record.is_strict:
            sizes[: len(self.record.sizes)] = self.record.sizes
        return replace(self.record, sizes=sizes, total=sum(map(math.prod, members)))


def write(checkpoint: SNNCheckpoint, target: Target, options: Mapping[str, Any]) -> None:
    """Write a pair; docs/formats/npz.md has its layout."""
    plan = _plan(checkpoint, options)
    base = base_name(target.path.name)
    is_bound = not options.get("bare")
    shapes = []
    with (
        target.open(name=f"{base}.npz") as file,
        StoredZip(file, comment=COMMENT if is_bound else b"") as archive,
    ):
        for i, carried in enumerate(plan.arrays):
            member = carried.stored()
            archive.add_array(f"layer_{i}.npy", member)
            shapes.append(member.shape)
    record = plan.record_for(shapes)
    if is_bound:
        record = _bound(record, plan, archive.fingerprint)
    with target.open(name=f"{base}.json") as head:
        head.write(record.text())


def _bound(record: Record, plan: Plan, fingerprint: str) -> Record:
    """Add what the framework has no word for, and the digests that bind the two files."""
    held: dict[str, Any] = {
        "version": VERSION,
        "dialect": STRICT if record.is_strict else PERMISSIVE,
        "names": digest_of_names(record.names),
        "archive": fingerprint,
    }
    if plan.document is not None:
        held["document"] = _json_text(plan.document)
    elif plan.notes_arrays:
        held["arrays"] = _references(plan.arrays)
    record = replace(record, metadata={**record.metadata, OURS: held})
    held["digest"] = digest_of(record)
    return record


def _references(arrays: list[Carried]) -> dict[str, Any] | str:
    """Say how the arrays travel: once, if they all do in the same way."""
    references = [carried.reference for carried in arrays]
    if all(reference == references[0] for reference in references):
        return references[0]
    return _json_text(references)


def _json_text(tree: Any) -> str:
    return dump_json(tree, text_keys=True).decode("ascii")


def digest_of_names(names: list[str]) -> str:
    """Return the SHA-256 of a list of names: it tells whether another tool changed the list."""
    return hashlib.sha256(json.dumps(names).encode("ascii")).hexdigest()


def _plan(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Plan:
    strict = options.get("dialect", STRICT) == STRICT
    weights = weights_of(checkpoint)
    record = record_of(checkpoint, weights, strict=strict)
    record = replace(record, metadata=_plain(record.metadata, strict=strict))
    plan = Plan(record, [Carried(array, strict) for _, array in weights])
    original = None if strict else _as_it_was(checkpoint, plan)
    if original is not None and not differences(_read_back(original), checkpoint):
        plan = original
    stated = is_stated(checkpoint, weights, record)
    if options.get("bare"):
        taken = _without_what_is_refused(plan)
        return replace(taken, is_whole=stated and taken is plan)
    if _survives(plan) and (stated or (not strict and _says_all(plan, checkpoint))):
        return plan
    if stated:
        return replace(plan, notes_arrays=True)
    return _documented(checkpoint, record, [array for _, array in weights])


def _plain(metadata: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    return {
        key: value
        for key, value in metadata.items()
        if key != OURS and is_plain({key: value}, finite=strict)
    }


def _as_it_was(checkpoint: SNNCheckpoint, plan: Plan) -> Plan | None:
    """Plan the permissive pair that the checkpoint was read from, if it says so."""
    kept = checkpoint.extras.get(EXTRAS)
    if not isinstance(kept, dict):
        return None
    stated = {key: value for key, value in kept.items() if key not in ("other", "in-out")}
    try:
        tree = {**plan.record.tree(), **stated, **kept.get("other", {})}
        record = from_tree(tree, "", is_strict=False)
        turned = set(kept.get("in-out", []))
    except (ReadError, TypeError):
        return None
    if len(record.names) != len(plan.arrays):
        return None
    layers = zip(plan.record.names, plan.arrays, strict=True)
    arrays = [Carried(c.array.T, False) if name in turned else c for name, c in layers]
    return Plan(record, arrays)


def _read_back(plan: Plan) -> SNNCheckpoint:
    """Return what a reader makes of a plan without a document."""
    members = [carried.stored() for carried in plan.arrays]
    return checkpoint_of(plan.record_for([m.shape for m in members]), members)[0]


def _survives(plan: Plan) -> bool:
    """Whether the framework gives every array back as it is: 3.16 turns all into float64."""
    if plan.record.is_strict and any(c.array.dtype != np.float64 for c in plan.arrays):
        return False
    return all(carried.travels_as_numbers() for carried in plan.arrays)


def _says_all(plan: Plan, checkpoint: SNNCheckpoint) -> bool:
    return not checkpoint.provenance and not differences(_read_back(plan), checkpoint)


def _without_what_is_refused(plan: Plan) -> Plan:
    """Leave out the layers whose arrays the framework does not take."""
    taken = [carried.travels_as_numbers() for carried in plan.arrays]
    if all(taken):
        return plan
    record = plan.record
    names = list(compress(record.names, taken))
    record = replace(
        record,
        names=names,
        sizes=list(compress(record.sizes, taken)),
        types=list(compress(record.types, taken)),
        frozen=[name for name in record.frozen if name in names],
    )
    return Plan(record, list(compress(plan.arrays, taken)))


class _Places:
    """Where each array of a document goes: to its layer, into the document, or to a new layer."""

    def __init__(self, taken: Iterable[str], record: Record, weights: list[Array]) -> None:
        self._strict = record.is_strict
        self.names = list(record.names)
        self.arrays = [
            Carried(array, self._strict, {"layer": i}) for i, array in enumerate(weights)
        ]
        self._own: dict[Path, int] = {
            ("layers", name, "weight"): i for i, name in enumerate(self.names)
        }
        self._unique = Names(taken)

    def place(self, path: Path, array: Array) -> dict[str, Any]:
        """Return the reference of an array; the document calls this once for each."""
        index = self._own.get(path)
        if index is not None:
            return self.arrays[index].reference
        if is_inline(array) and path[-1] != "bias":
            return inlined(array)
        carried = Carried(array, self._strict, {"layer": len(self.arrays)})
        self.arrays.append(carried)
        self.names.append(self._unique.unique(".".join(path[path[0] == "layers" :])))
        return carried.reference


def _documented(checkpoint: SNNCheckpoint, record: Record, weights: list[Array]) -> Plan:
    places = _Places(checkpoint.layers, record, weights)
    document = to_document(checkpoint, places.place)
    if len(record.metadata) == len(checkpoint.metadata):
        document["metadata"] = {}
    known = set(record.frozen)
    document["frozen_layers"] = [n for n in checkpoint.frozen_layers if n not in known]
    more = len(places.arrays) - len(record.names)
    types = [*record.types, *[""] * more] if record.types else []
    record = replace(record, names=places.names, types=types)
    return Plan(record, places.arrays, document)


def told(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[Entry]:
    """Say what SC-NeuroCore will see otherwise than it is, although the pair holds it exactly."""
    if options.get("bare"):
        return
    weights = weights_of(checkpoint)
    for layer, array in weights:
        if isinstance(layer, Opaque) and array.ndim == 2:
            what = f"{layer.kind} {layer.name!r}: {', '.join(layer.parameters)}"
            yield Entry(Status.EXACT, ("layers", layer.name), what, _UNORIENTED)
    beside = _beside(checkpoint, weights, options)
    if beside:
        what = f"{len(beside)} array{'s' * (len(beside) > 1)} beside the weights: {some_of(beside)}"
        yield Entry(Status.EXACT, ("metadata", OURS), what, _BESIDE)


_UNORIENTED = "which axis is the output is not known; SC-NeuroCore takes its matrix as (out, in)"
_BESIDE = "SC-NeuroCore shows each as a layer of its own, behind those of the network"


def _beside(
    checkpoint: SNNCheckpoint, weights: list[tuple[Layer, Array]], options: Mapping[str, Any]
) -> list[str]:
    """Name the arrays for which members are added; in the 3.16 dialect no array is looked at."""
    strict = options.get("dialect", STRICT) == STRICT
    record = record_of(checkpoint, weights, strict=strict)
    if is_stated(checkpoint, weights, record):
        return []
    arrays = [array for _, array in weights]
    plan = _documented(checkpoint, record, arrays) if strict else _plan(checkpoint, options)
    return plan.record.names[len(weights) :]


def losses(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Say what a bare pair loses: all in which it, read back, differs from the checkpoint."""
    if not options.get("bare"):
        return
    plan = _plan(checkpoint, options)
    if plan.is_whole:
        return
    for difference in differences(checkpoint, _read_back(plan)):
        yield difference.path, _reason(difference)


def _reason(difference: Difference) -> str:
    if difference.kind == "missing" or difference.right is None:
        return "a bare npz pair has no place for it"
    if difference.kind == "order":
        return f"a bare npz pair has {difference.right!r} where {difference.left!r} stands"
    return f"a bare npz pair gives {describe(difference.right)} back"
