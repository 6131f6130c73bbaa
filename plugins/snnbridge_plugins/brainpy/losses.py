"""What a checkpoint says and BrainPy's tree does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from snnbridge import (
    ORDER,
    UNKNOWN,
    CheckpointError,
    Layer,
    Opaque,
    Origin,
    Parameter,
    ReadError,
    SNNCheckpoint,
    StateVariable,
)
from snnbridge.model import same_scalar
from snnbridge.node_trees import StateDict, class_of, from_tree

#: Arrays of at most so many bytes are compared as soon as looked at.
_SHORT = 64
_Path = tuple[str, ...]
_Record = Parameter | StateVariable
_STATES = "a state dict of BrainPy holds variables only"
_ORDER = "a state dict of BrainPy keeps the order of its nodes only"
_REST = "BrainPy saves it in no file of its own"
_VERSION = "a state dict of BrainPy does not name its version"
_LAYOUT = "a file of BrainPy has its own layout, and nothing of another format's"
_TEMPLATE = "the template's own stands there"
_TREES = "BrainPy's trees hold maps with text keys, numbers of 64 bits and arrays, nothing else"


def lost(
    checkpoint: SNNCheckpoint, native: StateDict, *, into_template: bool = False
) -> Iterator[tuple[_Path, str]]:
    """Compare a checkpoint with what its tree alone would be read as.

    No array's content is looked at: those of the tree are the checkpoint's own memory.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    native : StateDict
        Made of it.
    into_template : bool
        Whether what stands beside the network is another file's.

    Yields
    ------
    path, reason
        Paths are those of :func:`snnbridge.differences`.
    """
    try:
        back = from_tree(native.tree)
    except (ReadError, CheckpointError) as error:
        yield ("layers",), f"BrainPy's own tree of it cannot be read: {error}"
        return
    for name, layer in checkpoint.layers.items():
        yield from _lost_of_layer(name, layer, back.layers.get(name))
    yield from ((("layers", name), _TREES) for name in back.layers if name not in checkpoint.layers)
    yield from _order(("layers",), checkpoint.layers, back.layers)
    for key in {**checkpoint.state, **back.state}:
        sides = checkpoint.state.get(key), back.state.get(key)
        yield from _lost_of_record(("state", *key), *sides)
    yield from _order(("state",), checkpoint.state, back.state)
    for name in ("connections", "dt", "step", "metadata", "frozen_layers", "ties"):
        if not _same(getattr(checkpoint, name), getattr(back, name)):
            yield (name,), _REST
    beside = _TEMPLATE if into_template else _TREES
    yield from _lost_of_tree(("training",), checkpoint.training, back.training, beside)
    yield from _lost_of_tree(("extras",), _extras(checkpoint), back.extras, _LAYOUT)


def _order(
    path: _Path, left: Mapping[Any, Any], right: Mapping[Any, Any]
) -> Iterator[tuple[_Path, str]]:
    """Say so where what both sides hold stands in another order."""
    if [key for key in left if key in right] != [key for key in right if key in left]:
        yield (*path, ORDER), _ORDER


def _extras(checkpoint: SNNCheckpoint) -> dict[str, Any]:
    """Return the extras without the limit of chunks, which the file's bytes show."""
    layout = checkpoint.extras.get("brainpy")
    if not isinstance(layout, Mapping) or "chunk_bytes" not in layout:
        return checkpoint.extras
    rest = {key: value for key, value in layout.items() if key != "chunk_bytes"}
    extras = {key: value for key, value in checkpoint.extras.items() if key != "brainpy"}
    return {**extras, "brainpy": rest} if rest else extras


def _lost_of_layer(name: str, layer: Layer, back: Layer | None) -> Iterator[tuple[_Path, str]]:
    path = ("layers", name)
    if back is None:
        yield path, "BrainPy keeps no node for a layer without arrays"
    elif type(layer) is not type(back):
        yield path, _told_by_name(name, layer)
    else:
        for field in _names(layer):
            left, right = getattr(layer, field), getattr(back, field)
            if field == "parameters":
                for key in {**left, **right}:
                    yield from _lost_of_record((*path, key), left.get(key), right.get(key))
                yield from _order(path, left, right)
            elif field == "origin":
                yield from _lost_of_origin(name, layer, right)
            elif not _same(left, right):
                yield (*path, field), _STATES


def _lost_of_record(
    path: _Path, left: _Record | None, right: _Record | None
) -> Iterator[tuple[_Path, str]]:
    """Compare what is held of one array; if only what is said of it is lost, name that alone."""
    if left is None or right is None or not _same(left.value, right.value):
        yield path, _STATES
        return
    for field in _names(left):
        if not _same(getattr(left, field), getattr(right, field)):
            yield (*path, field), _STATES


def _lost_of_origin(name: str, layer: Layer, right: Origin | None) -> Iterator[tuple[_Path, str]]:
    left, path = layer.origin, ("layers", name, "origin")
    if left is None or right is None or (left.framework, left.kind) != (
        right.framework, right.kind
    ):  # fmt: skip
        if not _same(left, right):
            yield path, _told_by_name(name, layer)
    elif not _same(left.version, right.version):
        yield (*path, "version"), _VERSION


_NAMES: dict[type, tuple[str, ...]] = {}


def _names(value: Any) -> tuple[str, ...]:
    """Return the fields of a dataclass's instance."""
    found = _NAMES.get(type(value))
    if found is None:
        found = _NAMES[type(value)] = tuple(field.name for field in fields(value))
    return found


def says_more(checkpoint: SNNCheckpoint) -> bool:
    """Whether a checkpoint surely says more than its tree does; a quick look, no proof.

    Layers of another framework, and what BrainPy keeps in no file at all, are found at once.
    """
    more = (
        checkpoint.provenance, checkpoint.metadata, checkpoint.frozen_layers, checkpoint.ties,
        checkpoint.connections is not UNKNOWN, checkpoint.dt is not UNKNOWN,
    )  # fmt: skip
    return any(more) or any(
        layer.origin is None or layer.origin.version is not UNKNOWN
        for layer in checkpoint.layers.values()
        if not isinstance(layer, Opaque)
    )


def _told_by_name(name: str, layer: Layer) -> str:
    told = f"BrainPy's {class_of(name)}" if class_of(name) else "no class"
    meant = f"{layer.origin.framework}'s {layer.origin.kind}" if layer.origin else f"a {layer.kind}"
    return f"BrainPy tells a layer's class by its node's name: {name!r} tells {told}, not {meant}"


def _lost_of_tree(
    path: _Path, left: Mapping[str, Any], right: Mapping[str, Any], reason: str
) -> Iterator[tuple[_Path, str]]:
    for key, value in left.items():
        if key not in right or not _same(value, right[key]):
            yield (*path, key), reason
    yield from (((*path, key), reason) for key in right if key not in left)
    yield from _order(path, left, right)


def _same(a: Any, b: Any) -> bool:
    """Whether two values are the same, and two arrays the same memory or short and equal."""
    if a is b:
        return True
    if type(a) is not type(b) and not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        return False
    if isinstance(a, np.ndarray):
        return _is_same_memory(a, b) or (a.nbytes <= _SHORT and _is_equal(a, b))
    if isinstance(a, Parameter):
        return a.unit == b.unit and a.trainable is b.trainable and _same(a.value, b.value)
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.generic):
        return _is_equal(a, b)
    if is_dataclass(a):
        return all(_same(getattr(a, name), getattr(b, name)) for name in _names(a))
    return same_scalar(a, b)


def _is_equal(a: Any, b: Any) -> bool:
    return bool(a.dtype == b.dtype) and a.shape == b.shape and a.tobytes() == b.tobytes()


def _is_same_memory(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.size == 0:
        return True
    steps = zip(a.shape, a.strides, b.strides, strict=True)
    starts = (x.__array_interface__["data"][0] for x in (a, b))
    return all(n == 1 or i == j for n, i, j in steps) and bool(next(starts) == next(starts))
