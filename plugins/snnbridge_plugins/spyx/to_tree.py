"""A checkpoint as the tree that Spyx' users save, sorted by its keys as flax does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from snnbridge import (
    UNKNOWN,
    BatchNorm,
    Conv1d,
    Conv2d,
    Input,
    Layer,
    Linear,
    Neuron,
    Opaque,
    Output,
    SNNCheckpoint,
    Synapse,
)
from snnbridge.document import AS_IT_IS, ArrayForm, over_images
from snnbridge.model import Array, Path
from snnbridge_plugins.flax_trees import NEURONS, THRESHOLD
from snnbridge_plugins.spyx.keys import FORMS, NORM, PLACES, neuron_form
from snnbridge_plugins.spyx.reading import NAME

_KEYS = {"weight": "kernel", "bias": "bias"}


@dataclass(slots=True)
class Native:
    """A file's tree, and where each array of the checkpoint stands in it."""

    tree: dict[str, Any] = field(default_factory=dict)
    places: dict[Path, tuple[Path, ArrayForm]] = field(default_factory=dict)


def native_of(checkpoint: SNNCheckpoint) -> Native:
    """Return the tree of a checkpoint; what no key stands for is left out.

    The tree of a net that was read has its keys, and beside them what the training script kept. Any
    other is that of a ``spyx.nn.Sequential`` of the layers in their order.
    """
    held = checkpoint.extras.get(NAME)
    layout: Mapping[str, Any] = held if isinstance(held, Mapping) else {}
    net = tuple(layout.get("net", ("layers",)))
    native = Native(_merged({}, checkpoint.training) if "net" in layout else {})
    for key, layer in _keyed(checkpoint, layout):
        for own, path, array, form in _arrays(checkpoint, layer):
            at = (*net, *key, own)
            held = array if form is None else form.stored(array)
            if _put(native.tree, at, held) and form is not None:
                native.places[path] = (at, form)
    native.tree = _sorted(native.tree)
    return native


def _merged(into: dict[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in tree.items():
        into[key] = _merged({}, value) if isinstance(value, Mapping) else value
    return into


def _put(tree: dict[str, Any], at: Path, value: Any) -> bool:
    for key in at[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            return False  # a value of the training script has that name
    return tree.setdefault(at[-1], value) is value


def _sorted(tree: dict[str, Any]) -> dict[str, Any]:
    return {k: _sorted(v) if isinstance(v, dict) else v for k, v in sorted(tree.items())}


def _keyed(checkpoint: SNNCheckpoint, layout: Mapping[str, Any]) -> Iterator[tuple[Path, Layer]]:
    """Give the layers that are modules, and the keys above their arrays."""
    units = [x for x in checkpoint.layers.values() if not isinstance(x, Input | Output)]
    units = [x for x in units if not _is_inside(checkpoint, x)]
    named = "net" in layout or all(x.name.isdecimal() for x in units)
    stated = layout.get("keys", {})
    for number, layer in enumerate(units):
        usual = layer.name.split(".") if named else (str(number),)
        yield tuple(stated.get(layer.name, usual)), layer


def is_seen(layer: Layer) -> bool:
    """Whether a net of Spyx has a module for a layer, or a part of one."""
    foreign = layer.origin is not None and layer.origin.framework != NAME
    return not (foreign and isinstance(layer, Neuron | Synapse))


def _is_inside(checkpoint: SNNCheckpoint, layer: Layer) -> bool:
    """Whether a layer belongs to a neuron: its synapse, its recurrent weights."""
    name, _, own = layer.name.rpartition(".")
    keys = NEURONS.get(_kind(checkpoint.layers.get(name)), ())
    return any(PLACES[key][0] == f".{own}" for key in keys)


def _kind(layer: Layer | None) -> str:
    known = isinstance(layer, Neuron) and layer.origin and layer.origin.framework == NAME
    return layer.origin.kind if known and layer and layer.origin else ""


def _arrays(
    checkpoint: SNNCheckpoint, layer: Layer
) -> Iterator[tuple[str, Path, Array, ArrayForm | None]]:
    """Give the arrays of a module: key, path in the checkpoint, value, form.

    Where no form leads back from what stands under the key, the value is that.
    """
    for key, (name, parameter) in _slots(checkpoint, layer).items():
        owner = checkpoint.layers.get(name)
        held = owner.parameters.get(parameter) if owner is not None else None
        if held is None or held.value is UNKNOWN:
            continue
        value: Array = held.value
        form: ArrayForm | None = _form(layer, key, value.ndim)
        if isinstance(owner, Neuron | Synapse) and owner.shape is not UNKNOWN:
            spread = over_images(value, len(owner.shape))
            if spread is not value:
                value, form = _form(layer, key, spread.ndim).stored(spread), None
        yield key, ("layers", name, parameter), value, form


def _form(layer: Layer, key: str, axes: int) -> ArrayForm:
    if isinstance(layer, Neuron):
        return neuron_form(key, axes)
    return FORMS.get(type(layer), AS_IT_IS) if key == "kernel" else AS_IT_IS


def _slots(checkpoint: SNNCheckpoint, layer: Layer) -> dict[str, tuple[str, str]]:
    """Return for each key of a module the layer and its parameter."""
    if isinstance(layer, Linear | Conv1d | Conv2d):
        return {key: (layer.name, parameter) for parameter, key in _KEYS.items()}
    if isinstance(layer, BatchNorm):
        return {key: (layer.name, parameter) for key, parameter in NORM.items()}
    if isinstance(layer, Opaque):
        return {key: (layer.name, key) for key in layer.parameters}
    if isinstance(layer, Neuron):
        keys = NEURONS.get(_kind(layer), () if layer.origin else ("beta",))
        if _has_thresholds(checkpoint, layer):
            keys = (*keys, THRESHOLD)
        return {key: (layer.name + own, name) for key in keys for own, name in [PLACES[key]]}
    return {}


def _has_thresholds(checkpoint: SNNCheckpoint, layer: Neuron) -> bool:
    """Whether a neuron of Spyx has an array of thresholds, which flax keeps."""
    source, held = checkpoint.source, layer.parameters.get(THRESHOLD)
    told = source is not None and source.framework == NAME
    own = bool(_kind(layer)) or (layer.origin is None and told)
    return own and held is not None and held.value is not UNKNOWN and held.value.ndim > 0
