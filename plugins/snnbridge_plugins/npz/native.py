"""From the framework's own record and arrays to a checkpoint, and nothing guessed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from snnbridge import (
    UNKNOWN,
    Conv1d,
    Conv2d,
    Layer,
    Linear,
    Neuron,
    Opaque,
    Origin,
    SNNCheckpoint,
)
from snnbridge.model import Array, is_weighted, parameter
from snnbridge_plugins.npz.names import legal, legal_names, neuron_names
from snnbridge_plugins.npz.record import Record

FRAMEWORK = "sc-neurocore"
EXTRAS = "npz"

Orientation = Literal["out-in", "in-out"]

#: Types of neurons that belong to the model's family of leaky integrate-and-fire neurons.
_FAMILY = frozenset(
    ("LIF", "lif", "IF", "if", "LI", "li", "StochasticLIFNeuron", "FixedPointLIFNeuron")
)


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
                f"{some(self.turned)}: stored as (in, out), as layer_sizes shows; "
                "given as transposed views"
            )
        if self.open:
            found.append(self._open_text())
        if self.contradicted:
            found.append(
                f"{some(self.contradicted)}: the shape contradicts layer_sizes; taken as "
                f"{orientation or 'out-in'}; the option orientation settles it"
            )
        if self.settled:
            found.append(f"{some(self.settled)}: taken as {orientation}, by the option")
        if self.opaque:
            found.append(f"{some(self.opaque)}: the meaning of the axes is not stated; kept as is")
        return tuple(found)

    def _open_text(self) -> str:
        hint = ""
        if self.turned:
            hint = "; other matrices of this file are stored as (in, out), so these may be too"
        return (
            f"{some(self.open)}: layer_sizes does not tell (out, in) from (in, out); taken as "
            f"(out, in), the rule of SC-NeuroCore 3.16{hint}; the option orientation settles it"
        )


def some(names: Sequence[str], most: int = 8) -> str:
    """Return names for a message, not too many."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


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
    weighted = [
        _layer(name, array, size, orientation, notes)
        for name, array, size in zip(names, arrays, record.sizes, strict=True)
    ]
    behind: Iterable[Layer | None] = [None] * len(names)
    if record.types:
        behind = map(_neuron, neuron_names(names), record.types)
    layers = [x for pair in zip(weighted, behind, strict=True) for x in pair if x is not None]
    checkpoint = SNNCheckpoint(
        layers,  # type: ignore[arg-type]
        metadata=record.metadata,
        frozen_layers=_frozen(record, names),
    )
    kept = _kept(record, checkpoint, notes)
    if kept:
        checkpoint.extras = {EXTRAS: kept}
    _note_names(record, names, notes)
    return checkpoint, notes


def _layer(
    name: str, array: Array, size: list[int], orientation: Orientation | None, notes: Notes
) -> Layer:
    if array.ndim == 2:
        return Linear(name, _oriented(name, array, size, orientation, notes))
    if array.ndim in (3, 4) and _leads_with_channels(array.shape, size, orientation):
        kind = Conv1d if array.ndim == 3 else Conv2d
        return kind(name, array, groups=1)
    notes.opaque.append(name)
    return Opaque(name, {"weight": parameter(array)})


def _oriented(
    name: str, array: Array, size: list[int], orientation: Orientation | None, notes: Notes
) -> Array:
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


def _leads_with_channels(
    shape: tuple[int, ...], size: list[int], orientation: Orientation | None
) -> bool:
    """Whether the first two axes are proven to be the channels out and in.

    They are if no other axis has one of these lengths, or if the user says so.
    """
    if list(shape[:2]) != size[::-1]:
        return False
    return orientation == "out-in" or (size[0] != size[1] and not set(size) & set(shape[2:]))


def _neuron(name: str, kind: str) -> Neuron | None:
    if not kind:
        return None
    kind = legal(kind)
    model = "lif" if kind in _FAMILY else kind
    return Neuron(name, origin=Origin(FRAMEWORK, kind), model=model)


def _frozen(record: Record, names: list[str]) -> list[str]:
    frozen = set(record.frozen)
    return [name for name, original in zip(names, record.names, strict=True) if original in frozen]


def _kept(record: Record, checkpoint: SNNCheckpoint, notes: Notes) -> dict[str, Any]:
    """Return what the file says and a record of the checkpoint would not."""
    plain = record_of(checkpoint, strict=False)
    pairs = {
        "layer_names": (record.names, plain.names),
        "layer_sizes": (record.sizes, plain.sizes),
        "neuron_types": (record.types, plain.types),
        "frozen_layers": (record.frozen, plain.frozen),
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
        notes.sentences.append(f"frozen_layers names {some(unknown)}, which is no layer")
    if record.other:
        notes.sentences.append(f"unknown keys in the JSON file: {some(list(record.other))}")


def record_of(checkpoint: SNNCheckpoint, *, strict: bool) -> Record:
    """Say of a checkpoint what the framework's record has words for.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    strict : bool
        For the text of 3.16.
    """
    weights = [x for x in checkpoint.layers.values() if is_weighted(x)]
    names = [layer.name for layer in weights]
    known = set(names)
    return Record(
        names=names,
        sizes=[list(size) for size in checkpoint.layer_sizes],
        types=_types(checkpoint, names),
        frozen=sorted(name for name in checkpoint.frozen_layers if name in known),
        metadata=dict(checkpoint.metadata),
        total=sum(w.size for w in checkpoint.weights),
        is_strict=strict,
    )


def _types(checkpoint: SNNCheckpoint, names: list[str]) -> list[str]:
    """Return what :attr:`SNNCheckpoint.neuron_types` does, in one pass over the graph."""
    layers, found = checkpoint.layers, dict.fromkeys(names, "")
    if checkpoint.connections is not UNKNOWN:
        for edge in reversed(checkpoint.connections):
            target = layers[edge.target]
            if edge.source in found and isinstance(target, Neuron):
                found[edge.source] = _type(target)
    else:
        last = None
        for layer in layers.values():
            if is_weighted(layer):
                last = layer.name
            elif isinstance(layer, Neuron) and last is not None:
                found[last], last = _type(layer), None
    types = list(found.values())
    return types if any(types) else []


def _type(neuron: Neuron) -> str:
    return neuron.origin.kind if neuron.origin else neuron.model.upper()
