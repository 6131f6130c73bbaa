"""Where the tensors of a live net stand in a checkpoint that shares their memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from snnbridge.frameworks.reading.pieces import as_array
from snnbridge.model import UNKNOWN, Array, Layer, Neuron, Opaque, Path, SNNCheckpoint, Synapse

_Place = tuple[Any, ...]


def place_of(array: Array) -> _Place:
    """Return which memory an array shows, and how."""
    return array.__array_interface__["data"][0], array.shape, array.strides


def _arrays(layers: Mapping[str, Layer]) -> Iterator[tuple[Path, Array]]:
    for layer in layers.values():
        for name, held in layer.parameters.items():
            if held.value is not UNKNOWN and held.value.size:
                yield (layer.name, name), held.value


def ties_of(net: Any, layers: Mapping[str, Layer]) -> list[list[Path]]:
    """Return the parameters that are one parameter of the net."""
    state = net.state_dict(keep_vars=True).values()
    own = {place_of(as_array(x)) for x in state if _is_tensor(x)}
    found: dict[_Place, list[Path]] = {}
    for path, array in _arrays(layers):
        if place_of(array) in own:
            found.setdefault(place_of(array), []).append(path)
    return [paths for paths in found.values() if len(paths) > 1]


def with_trained(net: Any, layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """Say of every parameter that is a tensor of the net whether it is trained."""
    trained: dict[_Place, bool] = {}
    for tensor in filter(_is_tensor, net.state_dict(keep_vars=True).values()):
        array, told = as_array(tensor), bool(tensor.requires_grad)
        trained |= {place_of(array.T): told, place_of(array): told}
    return {name: _told(layer, trained) for name, layer in layers.items()}


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "requires_grad")


def _told(layer: Any, trained: Mapping[_Place, bool]) -> Layer:
    changes: dict[str, Any] = {
        name: replace(held, trainable=trained[place_of(held.value)])
        for name, held in layer.parameters.items()
        if held.value is not UNKNOWN and place_of(held.value) in trained
    }
    if isinstance(layer, Neuron | Synapse | Opaque):
        changes = {"parameters": {**layer.parameters, **changes}} if changes else {}
    found: Layer = replace(layer, **changes)
    return found


def keys_of(net: Any, checkpoint: SNNCheckpoint) -> dict[str, Any]:
    """Say where each entry of the state dict is: in the parameter that is the same memory."""
    paths: dict[_Place, list[Path]] = {}
    for path, array in _arrays(checkpoint.layers):
        paths.setdefault(place_of(array), []).append(path)
    keys: list[list[Any]] = []
    others: dict[str, Array] = {}
    for key, tensor in net.state_dict().items():
        if not _is_tensor(tensor):
            continue
        array = as_array(tensor)
        found, how = next(_found_in(paths, array), ([], {}))
        if not found:
            others[key] = array.copy()
        # Of tied parameters that of the key's own module.
        own = [path for path in found if key.startswith(f"{path[0]}.")]
        keys.append([key, ["layers", *(own or found)[0]] if found else [], how])
    return {"keys": keys, "others": others}


def _found_in(
    paths: Mapping[_Place, list[Path]], array: Array
) -> Iterator[tuple[list[Path], dict[str, Any]]]:
    """Find the parameters that are a tensor's memory: as it is, turned, or without an axis."""
    if array.size and place_of(array) in paths:
        yield paths[place_of(array)], {}
    if array.ndim == 2 and place_of(array.T) in paths:
        yield paths[place_of(array.T)], {"axes": [1, 0]}
    if array.ndim and array.shape[-1] == 1 and place_of(array[..., 0]) in paths:
        yield paths[place_of(array[..., 0])], {"tail": True}
