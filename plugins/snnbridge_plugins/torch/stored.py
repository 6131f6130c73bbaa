"""A checkpoint's layers as the keys of a state dict, each framework's in its own way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from snnbridge import (
    UNKNOWN,
    BatchNorm,
    Conv1d,
    Conv2d,
    Layer,
    Linear,
    Neuron,
    Opaque,
    Scale,
    SNNCheckpoint,
    StateVariable,
    Synapse,
)
from snnbridge.document import AS_IT_IS, TRANSPOSED, WITH_TAIL, ArrayForm
from snnbridge.model import Array, Path
from snnbridge_plugins.module_keys import RESET_KEY, ModuleKeys, keys_of, reset_code
from snnbridge_plugins.torch.containers import is_joined, joined
from snnbridge_plugins.torch.modules import state_form

_NORM = {"weight": "weight", "bias": "bias", "mean": "running_mean", "variance": "running_var"}
#: Weights that a recurrent class keeps as its own: class, name below it, key and form.
_INNER = {
    ("LIFRecurrentCell", "input"): ("input_weights", AS_IT_IS),
    ("LIFRecurrentCell", "recurrent"): ("recurrent_weights", AS_IT_IS),
    ("LIFTorch", "recurrent"): ("w_rec", TRANSPOSED),
}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a state dict.

    Parameters
    ----------
    key : str
    array : array
        As it is stored.
    path : path or None
        Of the array in the checkpoint, as :func:`snnbridge.differences` names it; ``None`` where
        the framework wants a tensor that says nothing more.
    form : ArrayForm
    others : tuple of (path, ArrayForm)
        Further arrays of the checkpoint that stand in the same tensor.
    """

    key: str
    array: Array
    path: Path | None = None
    form: ArrayForm = AS_IT_IS
    others: tuple[tuple[Path, ArrayForm], ...] = ()


def stored_tensors(checkpoint: SNNCheckpoint) -> Iterator[StoredTensor]:
    """Give the tensors of a checkpoint in the order of its layers.

    Yields
    ------
    StoredTensor
        Keys are unique; a parameter that no key is known for is left out.
    """
    used: set[str] = set()
    for layer in checkpoint.layers.values():
        for entry in _of_layer(checkpoint, layer):
            if entry.key not in used:
                used.add(entry.key)
                yield entry


def stored_tensor(
    key: str, layer: Layer, parameter: str, form: ArrayForm = AS_IT_IS
) -> Iterator[StoredTensor]:
    """Give the entry of one parameter, if the layer states it."""
    held = layer.parameters.get(parameter)
    if held is not None and held.value is not UNKNOWN:
        yield StoredTensor(key, form.stored(held.value), ("layers", layer.name, parameter), form)


def _of_layer(checkpoint: SNNCheckpoint, layer: Layer) -> Iterator[StoredTensor]:
    if isinstance(layer, Linear | Conv1d | Conv2d):
        yield from _weighted(checkpoint, layer)
    elif isinstance(layer, BatchNorm):
        yield from _norm(layer)
    elif isinstance(layer, Scale):
        yield from _scale(layer)
    elif isinstance(layer, Opaque):
        for name in layer.parameters:
            yield from stored_tensor(f"{layer.name}.{name}", layer, name)
    elif isinstance(layer, Neuron | Synapse) and layer.origin is not None:
        row = keys_of(layer.origin.framework, layer.origin.kind)
        if row is not None:
            yield from _dynamic(checkpoint, layer, row)


def _weighted(checkpoint: SNNCheckpoint, layer: Layer) -> Iterator[StoredTensor]:
    owner, _, own = layer.name.rpartition(".")
    found = checkpoint.layers.get(owner)
    kind = found.origin.kind if found is not None and found.origin else ""
    if (kind, own) in _INNER:
        key, form = _INNER[kind, own]
        yield from stored_tensor(f"{owner}.{key}", layer, "weight", form)
        return
    if isinstance(layer, Linear) and is_joined(checkpoint.layers, layer):
        return
    whole = joined(checkpoint.layers, layer) if isinstance(layer, Linear) else None
    if whole is not None and whole[1]:
        array, ((path, form), *others) = whole
        yield StoredTensor(f"{layer.name}.weight", array, path, form, tuple(others))
    else:
        form = TRANSPOSED if is_turned(layer) else AS_IT_IS
        yield from stored_tensor(f"{layer.name}.weight", layer, "weight", form)
    yield from stored_tensor(f"{layer.name}.bias", layer, "bias")


def is_turned(layer: Layer) -> bool:
    """Whether its framework keeps the weight as (in, out)."""
    origin = layer.origin if isinstance(layer, Linear) else None
    return origin is not None and (origin.framework, origin.kind) == ("rockpool", "LinearTorch")


def _norm(layer: BatchNorm) -> Iterator[StoredTensor]:
    for parameter, key in _NORM.items():
        yield from stored_tensor(f"{layer.name}.{key}", layer, parameter)
    yield StoredTensor(f"{layer.name}.num_batches_tracked", np.array(0))


def _scale(layer: Scale) -> Iterator[StoredTensor]:
    """Give the factor, twice where it is the recurrent one of an snnTorch neuron."""
    owner, _, own = layer.name.rpartition(".")
    yield from stored_tensor(
        f"{layer.name}" if own == "V" else f"{layer.name}.factor", layer, "factor"
    )
    if own == "V":
        yield from stored_tensor(f"{owner}.recurrent.V", layer, "factor")


def _dynamic(
    checkpoint: SNNCheckpoint, layer: Neuron | Synapse, row: ModuleKeys
) -> Iterator[StoredTensor]:
    for key, place in row.parameters.items():
        inner, _, parameter = place.rpartition(".")
        held: Any = checkpoint.layers.get(f"{layer.name}.{inner}") if inner else layer
        if held is not None:
            form = WITH_TAIL if _is_single(held, parameter) else AS_IT_IS
            yield from stored_tensor(f"{layer.name}.{key}", held, parameter, form)
        if key == "graded_spikes_factor" and isinstance(layer, Neuron):
            yield from _reset(layer)
    yield from _states(checkpoint, layer, row)


def _is_single(layer: Any, parameter: str) -> bool:
    """Whether Rockpool keeps an array with an axis for the one synapse of each neuron."""
    held = layer.parameters.get(parameter)
    vector = held is not None and held.value is not UNKNOWN and held.value.ndim == 1
    return vector and state_form(layer) is WITH_TAIL


def _reset(layer: Neuron) -> Iterator[StoredTensor]:
    if layer.rule.reset is not UNKNOWN:
        code = np.array(reset_code(layer.rule.reset))
        yield StoredTensor(f"{layer.name}.{RESET_KEY}", code)


def _states(
    checkpoint: SNNCheckpoint, layer: Neuron | Synapse, row: ModuleKeys
) -> Iterator[StoredTensor]:
    """Give the buffers that a fresh net of the framework has: a strict load asks for them."""
    if row.framework not in ("sinabs", "rockpool"):
        return
    for key, place in row.states.items():
        inner, _, variable = place.rpartition(".")
        owner = f"{layer.name}.{inner}" if inner else layer.name
        if owner in checkpoint.layers:
            yield from _state(checkpoint, f"{layer.name}.{key}", (owner, variable), row.framework)


def _state(
    checkpoint: SNNCheckpoint, key: str, path: Path, framework: str
) -> Iterator[StoredTensor]:
    if framework == "sinabs":  # empty until the first run; a filled one fits no fresh net
        yield StoredTensor(key, np.zeros(0, np.float32))
        return
    held, layer = checkpoint.state.get(path), cast("Any", checkpoint.layers[path[0]])
    if held is not None and _is_of_one_sample(held, layer):
        form = state_form(layer) if held.value.ndim == 1 else AS_IT_IS
        yield StoredTensor(key, form.stored(held.value), ("state", *path), form)
        return
    if layer.shape is not UNKNOWN:
        more = (layer.receptors,) if isinstance(layer, Synapse) else ()
        yield StoredTensor(key, np.zeros((*layer.shape, *more), np.float32))


def _is_of_one_sample(held: StateVariable, layer: Any) -> bool:
    """Whether a state goes into a fresh net of Rockpool, which has no batch."""
    if layer.shape is UNKNOWN:
        return held.batch_axis is None
    return held.value.shape in (layer.shape, (*layer.shape, getattr(layer, "receptors", 1)))


def array_at(checkpoint: SNNCheckpoint, path: Path) -> Array | None:
    """Return the array at a path of :func:`snnbridge.differences`, if it is there."""
    if path[0] == "state":
        variable = checkpoint.state.get((path[1], path[2]))
        return None if variable is None else variable.value
    layer = checkpoint.layers.get(path[1])
    held: Mapping[str, Any] = {} if layer is None else layer.parameters
    value = held[path[2]].value if path[2] in held else UNKNOWN
    return None if value is UNKNOWN else value
