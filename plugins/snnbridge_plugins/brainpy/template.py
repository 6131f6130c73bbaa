"""Writing into the names and shapes of a network that is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    BatchNorm,
    CheckpointError,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Layer,
    Linear,
    Neuron,
    Opaque,
    ReadError,
    SNNCheckpoint,
    Synapse,
    WriteError,
)
from snnbridge.statedict import Form, StateDict, from_tree, to_tree
from snnbridge.storage import Source
from snnbridge.wire import unpack
from snnbridge_plugins.brainpy.extra import entry_of

_Path = tuple[str, ...]
_WITH_ARRAYS = (Linear, Conv1d, Conv2d, BatchNorm, Opaque)
_WITH_STATE = (Neuron, Synapse)
_POOLS = ("SumPool", "AvgPool", "MaxPool")


def fill(like: str, checkpoint: SNNCheckpoint) -> StateDict:
    """Put a checkpoint's arrays in the place of a template's.

    Layers are matched with the template's nodes by name, then by kind, order and shape. The
    template's nodes, keys, dtypes and shapes stay; a state variable takes the checkpoint's value
    where shape and dtype are the same, and keeps the template's elsewhere. What stands beside
    the template's net stays.

    Parameters
    ----------
    like : str
        A checkpoint of BrainPy.
    checkpoint : SNNCheckpoint

    Raises
    ------
    WriteError
        If something on either side has no counterpart, naming both sides.
    """
    template = _template(like)
    pairs = _matched(template, checkpoint)
    native = to_tree(template)
    problems = list(_unmatched(template, checkpoint, pairs))
    found: dict[_Path, Any] = {}
    places: dict[_Path, tuple[_Path, Form]] = {}
    tried: set[_Path] = set()
    for path, (at, form) in native.places.items():
        if path[0] == "training" or path[1] not in pairs:
            continue
        source = (path[0], pairs[path[1]], *path[2:])
        tried.add(source)
        array = _array(checkpoint, source)
        reason = _misfit(array, _array(template, path))
        if not reason:
            found[at], places[source] = form.stored(array), (at, form)
        elif path[0] == "layers":
            problems.append(f"{'.'.join(at[-1:])} of the template {reason}")
    problems += _left_over(checkpoint, pairs, tried)
    if problems:
        more = f", and {len(problems) - 12} more" if len(problems) > 12 else ""
        raise WriteError(
            f"the checkpoint does not fit the template {like!r}: {'; '.join(problems[:12])}{more}"
        )
    return StateDict(_replaced(native.tree, (), found), native.net, places)


def _template(like: str) -> SNNCheckpoint:
    try:
        with Source(like) as source:
            tree = unpack(source.data)
        entry_of(tree)
        return from_tree(tree)
    except (ReadError, CheckpointError) as error:
        raise WriteError(f"the template {like!r} cannot be used: {error}") from error


def _counting(checkpoint: SNNCheckpoint) -> dict[str, Layer]:
    """Return the layers that need a counterpart: all but those without anything to store."""
    return {
        name: layer
        for name, layer in checkpoint.layers.items()
        if not isinstance(layer, Input | Flatten) and layer.kind not in _POOLS
    }


def _matched(template: SNNCheckpoint, checkpoint: SNNCheckpoint) -> dict[str, str]:
    """Return for each node of the template the layer that goes there."""
    nodes, layers = _counting(template), _counting(checkpoint)
    pairs = {
        name: name
        for name, node in nodes.items()
        if name in layers and _fits(template, node, layers[name])
    }
    free = [layer for name, layer in layers.items() if name not in pairs]
    for name, node in nodes.items():
        if name in pairs:
            continue
        found = next((layer for layer in free if _fits(template, node, layer)), None)
        if found is not None:
            pairs[name] = found.name
            free.remove(found)
    return pairs


def _fits(template: SNNCheckpoint, node: Layer, layer: Layer) -> bool:
    if type(node) is not type(layer):
        return False
    if isinstance(layer, _WITH_STATE):
        return _fits_state(template, node, layer)
    shapes = (_shapes(x) for x in (node, layer))
    return next(shapes) == next(shapes)


def _shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    names = set(layer.parameters) - {"epsilon"}
    if not isinstance(layer, Opaque):
        names &= {"weight", "mean"}
    held = ((name, layer.parameters[name].value) for name in sorted(names))
    return {name: value.shape for name, value in held if value is not UNKNOWN}


def _fits_state(template: SNNCheckpoint, node: Any, layer: Any) -> bool:
    if UNKNOWN in (layer.shape, node.shape) or layer.shape == node.shape:
        shapes = [v.value.shape for path, v in template.state.items() if path[0] == node.name]
        known = layer.shape if layer.shape is not UNKNOWN else ()
        return not shapes or any(s[len(s) - len(known) :] == known for s in shapes)
    return False


def _unmatched(
    template: SNNCheckpoint, checkpoint: SNNCheckpoint, pairs: Mapping[str, str]
) -> Iterator[str]:
    for name, node in _counting(template).items():
        if name not in pairs:
            yield f"node {_described(node)} of the template has no layer"
    used = set(pairs.values())
    for name, layer in _counting(checkpoint).items():
        if name not in used:
            yield f"layer {_described(layer)} has no node in the template"


def _described(layer: Layer) -> str:
    shape = getattr(layer, "shape", UNKNOWN)
    if shape is UNKNOWN:
        shape = next(iter(_shapes(layer).values()), UNKNOWN)
    return f"{layer.name!r} ({layer.kind}{'' if shape is UNKNOWN else f' {shape}'})"


def _array(checkpoint: SNNCheckpoint, path: _Path) -> Any:
    """Return the array at a path of :func:`snnbridge.differences`, or ``None``."""
    if path[0] == "state":
        variable = checkpoint.state.get((path[1], path[2]))
        return None if variable is None else variable.value
    layer = checkpoint.layers[path[1]]
    if path[2] == "settings" and len(path) > 3 and isinstance(layer, Opaque):
        value: Any = layer.settings
        for key in path[3:]:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value
    held = layer.parameters.get(path[2])
    return None if held is None or held.value is UNKNOWN else held.value


def _misfit(array: Any, place: Any) -> str:
    if not isinstance(array, np.ndarray):
        return "has no counterpart"
    if array.shape != place.shape:
        return f"has the shape {place.shape}, the checkpoint's {array.shape}"
    if array.dtype.newbyteorder("=") != place.dtype.newbyteorder("="):
        return f"is {place.dtype}, the checkpoint's {array.dtype}; convert it first"
    return ""


def _left_over(
    checkpoint: SNNCheckpoint, pairs: Mapping[str, str], tried: set[_Path]
) -> Iterator[str]:
    """Name the weights of matched layers for which the template has no place."""
    for name in pairs.values():
        layer = checkpoint.layers[name]
        if isinstance(layer, _WITH_ARRAYS):
            for parameter, held in layer.parameters.items():
                stands = ("layers", name, parameter) in tried or parameter == "epsilon"
                if held.value is not UNKNOWN and not stands:
                    yield f"{parameter} of layer {name!r} has no place in the template"


def _replaced(tree: Any, path: _Path, found: Mapping[_Path, Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _replaced(value, (*path, key), found) for key, value in tree.items()}
    return found.get(path, tree)
