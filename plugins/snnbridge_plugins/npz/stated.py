"""From a checkpoint to the framework's own record, and whether that says everything."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import cast

from snnbridge import UNKNOWN, Layer, Linear, Neuron, Parameter, SNNCheckpoint
from snnbridge.model import (
    Array,
    is_weighted,
    neuron_names,
    neurons_behind,
    type_name,
    typed_neuron,
)
from snnbridge_plugins.npz.from_record import FRAMEWORK, size_of
from snnbridge_plugins.npz.record import Record

#: What a plain matrix and its weight say beside their name and their array.
_ABOUT_LINEAR = attrgetter(*(f.name for f in fields(Linear) if f.name not in ("name", "weight")))
_ABOUT_WEIGHT = attrgetter(*(f.name for f in fields(Parameter) if f.name != "value"))
_ABOUT_NEURON = attrgetter(*(f.name for f in fields(Neuron)))
_PLAIN_LINEAR = _ABOUT_LINEAR(Linear(""))
_PLAIN_WEIGHT = _ABOUT_WEIGHT(Parameter(UNKNOWN))


def weights_of(checkpoint: SNNCheckpoint) -> list[tuple[Layer, Array]]:
    """Return the layers that the framework knows, each with its weight."""
    layers = filter(is_weighted, checkpoint.layers.values())
    return [(x, _weight(x).value) for x in layers]  # type: ignore[misc]


def _weight(layer: Layer) -> Parameter:
    return cast("Parameter", layer.weight) if type(layer) is Linear else layer.parameters["weight"]


def record_of(
    checkpoint: SNNCheckpoint, weights: list[tuple[Layer, Array]], *, strict: bool
) -> Record:
    """Say of a checkpoint what the framework's record has words for.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    weights : list of pairs
        What :func:`weights_of` gives of it.
    strict : bool
        For the text of 3.16, where the sizes are those of the members, and are left out here.
    """
    names = [layer.name for layer, _ in weights]
    known = set(names)
    return Record(
        names=names,
        sizes=[] if strict else [size_of(x.shape, _groups(layer)) for layer, x in weights],
        types=_types(checkpoint, names),
        frozen=sorted(name for name in checkpoint.frozen_layers if name in known),
        metadata=dict(checkpoint.metadata),
        is_strict=strict,
    )


def _groups(layer: Layer) -> int:
    groups = getattr(layer, "groups", 1)
    return 1 if groups is UNKNOWN else groups


def _types(checkpoint: SNNCheckpoint, names: list[str]) -> list[str]:
    """Return what :attr:`SNNCheckpoint.neuron_types` does, of names that are at hand."""
    behind = neurons_behind(checkpoint.layers, checkpoint.connections)
    types = [type_name(behind[name]) if name in behind else "" for name in names]
    return types if any(types) else []


def is_stated(
    checkpoint: SNNCheckpoint, weights: list[tuple[Layer, Array]], record: Record
) -> bool:
    """Whether a record and matrices say all of a checkpoint but the dtypes, told fast.

    They do if it has matrices and, behind them, neurons of which the type alone is known.
    """
    others = [checkpoint.training, checkpoint.state, checkpoint.extras]
    return (
        checkpoint.connections is checkpoint.dt is UNKNOWN
        and checkpoint.step is None
        and not (any(others) or checkpoint.ties or checkpoint.provenance)
        and len(record.metadata) == len(checkpoint.metadata)
        and len(record.frozen) == len(checkpoint.frozen_layers)
        and all(map(_is_plain, (layer for layer, _ in weights)))
        and _neurons_follow(checkpoint, record)
    )


def _is_plain(layer: Layer) -> bool:
    return (
        type(layer) is Linear
        and _ABOUT_LINEAR(layer) == _PLAIN_LINEAR
        and _ABOUT_WEIGHT(layer.weight) == _PLAIN_WEIGHT
    )


def _neurons_follow(checkpoint: SNNCheckpoint, record: Record) -> bool:
    if not record.types:
        return list(checkpoint.layers) == record.names
    expected: list[Layer] = []
    behind = neuron_names(record.names)
    for name, kind, other in zip(record.names, record.types, behind, strict=True):
        expected.append(checkpoint.layers[name])
        if kind:
            expected.append(typed_neuron(other, FRAMEWORK, kind))
    layers = list(checkpoint.layers.values())
    return len(layers) == len(expected) and all(map(_is_same, layers, expected))


def _is_same(layer: Layer, expected: Layer) -> bool:
    return layer is expected or (
        type(layer) is type(expected) is Neuron and _ABOUT_NEURON(layer) == _ABOUT_NEURON(expected)
    )
