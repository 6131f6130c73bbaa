"""From the framework's own record and arrays to a checkpoint, and nothing guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from snnbridge import (
    Conv1d,
    Conv2d,
    Layer,
    Linear,
    Opaque,
    SNNCheckpoint,
)
from snnbridge.model import Array, neuron_names, parameter, some_of, typed_neuron
from snnbridge_plugins.npz.names import legal, legal_names
from snnbridge_plugins.npz.record import Record

FRAMEWORK = "sc-neurocore"
EXTRAS = "npz"

Orientation = Literal["out-in", "in-out"]


@dataclass(slots=True)
class Notes:
    """What a reader decided, by layer, and the sentences that say so."""

    turned: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)

    def text(self, orientation: Orientation | None) -> tuple[str, ...]:
        """Return everything as sentences for people."""
        found = list(self.sentences)
        if self.turned:
            found.append(
                f"{some_of(self.turned)}: stored as (in, out), as layer_sizes shows; "
                "given as transposed views"
            )
        if self.open:
            found.append(self._open_text())
        if self.contradicted:
            found.append(
                f"{some_of(self.contradicted)}: the shape contradicts layer_sizes; taken as "
                f"{orientation or 'out-in'}; the option orientation settles it"
            )
        if self.settled:
            found.append(f"{some_of(self.settled)}: taken as {orientation}, by the option")
        if self.opaque:
            found.append(
                f"{some_of(self.opaque)}: the meaning of the axes is not stated; kept as is"
            )
        return tuple(found)

    def _open_text(self) -> str:
        hint = ""
        if self.turned:
            hint = "; other matrices of this file are stored as (in, out), so these may be too"
        return (
            f"{some_of(self.open)}: layer_sizes does not tell (out, in) from (in, out); taken as "
            f"(out, in), the rule of SC-NeuroCore 3.16{hint}; the option orientation settles it"
        )


def checkpoint_of(
    record: Record, arrays: Sequence[Array], orientation: Orientation | None = None
) -> tuple[SNNCheckpoint, Notes]:
    """Build the checkpoint that a record and its arrays state.

    Parameters
    ----------
    record : Record
        Without anything of ours in its metadata.
    arrays : sequence of arrays
        One for each layer, of any shape.
    orientation : ``"out-in"`` or ``"in-out"``, optional
        What the user says of matrices of which the sizes do not tell it.

    Returns
    -------
    SNNCheckpoint, Notes
    """
    notes = Notes()
    names = legal_names(record.names)
    layers: list[Layer] = []
    sizes = []
    behind = neuron_names(names) if record.types else []
    for i, (name, size) in enumerate(zip(names, record.sizes, strict=True)):
        weight = _oriented(name, arrays[i], size, orientation, notes)
        sizes.append(size_of(weight.shape))
        layers.append(_layer(name, weight, size, orientation, notes))
        if record.types and record.types[i]:
            layers.append(typed_neuron(behind[i], FRAMEWORK, legal(record.types[i])))
    frozen = _frozen(record, names)
    kept = _kept(record, names, sizes, frozen, notes)
    checkpoint = SNNCheckpoint(
        layers,
        metadata=record.metadata,
        frozen_layers=frozen,
        extras={EXTRAS: kept} if kept else {},
    )
    _note_names(record, names, notes)
    return checkpoint, notes


def size_of(shape: tuple[int, ...], groups: int = 1) -> list[int]:
    """Return ``[in, out]`` of a layer with a weight of this shape, in channels."""
    return [shape[1] * groups if len(shape) > 1 else 1, shape[0] if shape else 1]


def _oriented(
    name: str, array: Array, size: list[int], orientation: Orientation | None, notes: Notes
) -> Array:
    """Return a matrix as (out, in), and note how that was told; anything else as it is."""
    if array.ndim != 2:
        return array
    shape, stated = list(array.shape), size[::-1]
    if shape == stated and shape != size:
        return array
    if shape == size and shape != stated:
        notes.turned.append(name)
        return array.T
    if shape != size and len(size) == 2:
        notes.contradicted.append(name)
    elif orientation is None:
        notes.open.append(name)
    else:
        notes.settled.append(name)
    return array.T if orientation == "in-out" else array


def _layer(
    name: str, weight: Array, size: list[int], orientation: Orientation | None, notes: Notes
) -> Layer:
    if weight.ndim == 2:
        return Linear(name, weight)
    if weight.ndim in (3, 4) and _leads_with_channels(weight.shape, size, orientation):
        kind = Conv1d if weight.ndim == 3 else Conv2d
        return kind(name, weight, groups=1)
    notes.opaque.append(name)
    return Opaque(name, {"weight": parameter(weight)})


def _leads_with_channels(
    shape: tuple[int, ...], size: list[int], orientation: Orientation | None
) -> bool:
    """Whether the first two axes are proven to be the channels out and in.

    They are if no other axis has one of these lengths, or if the user says so.
    """
    if list(shape[:2]) != size[::-1]:
        return False
    return orientation == "out-in" or (size[0] != size[1] and not set(size) & set(shape[2:]))


def _frozen(record: Record, names: list[str]) -> list[str]:
    frozen = set(record.frozen)
    return [name for name, original in zip(names, record.names, strict=True) if original in frozen]


def _kept(
    record: Record, names: list[str], sizes: list[list[int]], frozen: list[str], notes: Notes
) -> dict[str, Any]:
    """Return what the file says and :func:`record_of` its checkpoint would not say again."""
    types = [legal(kind) for kind in record.types]
    pairs = {
        "layer_names": (record.names, names),
        "layer_sizes": (record.sizes, sizes),
        "neuron_types": (record.types, types if any(types) else []),
        "frozen_layers": (record.frozen, sorted(frozen)),
    }
    kept: dict[str, Any] = {k: said for k, (said, derived) in pairs.items() if said != derived}
    if record.other:
        kept["other"] = record.other
    if notes.turned:
        kept["in-out"] = list(notes.turned)
    return kept


def _note_names(record: Record, names: list[str], notes: Notes) -> None:
    renamed = [
        f"{old!r} to {new!r}" for old, new in zip(record.names, names, strict=True) if old != new
    ]
    if renamed:
        shown = ", ".join(renamed[:8]) + (", ..." if len(renamed) > 8 else "")
        notes.sentences.append(f"names made unique and legal: {shown}")
    unknown = sorted(set(record.frozen) - set(record.names))
    if unknown:
        notes.sentences.append(f"frozen_layers names {some_of(unknown)}, which is no layer")
    if record.other:
        notes.sentences.append(f"unknown keys in the JSON file: {some_of(list(record.other))}")
