"""Writing into the names and shapes of a network that is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    BatchNorm,
    CheckpointError,
    Connection,
    Conv1d,
    Conv2d,
    Entry,
    Layer,
    Linear,
    Opaque,
    ReadError,
    SNNCheckpoint,
    Status,
    WriteError,
)
from snnbridge.document import ArrayForm
from snnbridge.model import Path
from snnbridge.node_trees import StateDict, from_tree, to_tree
from snnbridge.storage import Source
from snnbridge.wire import unpack
from snnbridge_plugins.brainpy.extra import entry_of, read_document
from snnbridge_plugins.brainpy.matching import Match, counting, match, neighbours, shapes_of
from snnbridge_plugins.option_pairs import MAP, pairs_of

_WITH_ARRAYS = (Linear, Conv1d, Conv2d, BatchNorm, Opaque)


def fill(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> StateDict:
    """Put a checkpoint's arrays in the place of a template's.

    The template's nodes, keys, dtypes and shapes stay; a state variable takes the checkpoint's
    value where shape and dtype are the same, and keeps the template's elsewhere. What stands
    beside the template's net stays.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    options : mapping
        ``like`` and ``map``; the format's declaration has their meaning.

    Raises
    ------
    OptionError
        If ``map`` names what is not there.
    WriteError
        If something on either side has no counterpart, naming both sides, or has several.
    """
    template = _Template(options["like"])
    pairs = template.matched(checkpoint, options)
    problems = list(_unmatched(template.net, checkpoint, pairs))
    found: dict[Path, Any] = {}
    places: dict[Path, tuple[Path, ArrayForm]] = {}
    tried: set[Path] = set()
    for node, pair in pairs.items():
        for path in template.paths.get(node, ()):
            at, form = template.native.places[path]
            source = (path[0], pair.layer, *path[2:])
            tried.add(source)
            array = _array(checkpoint, source)
            reason = _misfit(array, _array(template.net, path))
            if not reason:
                found[at], places[source] = form.stored(array), (at, form)
            elif path[0] == "layers":
                problems.append(f"{at[-1]} of the template {reason}")
    problems += _left_over(checkpoint, pairs, tried)
    if problems:
        more = f", and {len(problems) - 12} more" if len(problems) > 12 else ""
        raise WriteError(
            f"the checkpoint does not fit the template {template.name!r}: "
            f"{'; '.join(problems[:12])}{more}"
        )
    return StateDict(_replaced(template.native.tree, (), found), template.native.net, places)


def told(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[Entry]:
    """Say of each layer to which node of the template it goes, and why."""
    pairs = _Template(options["like"]).matched(checkpoint, options)
    nodes = {pair.layer: (node, pair.told_by) for node, pair in pairs.items()}
    for name, layer in checkpoint.layers.items():
        if name in nodes:
            reason = "stored as node {!r} of the template, told by {}".format(*nodes[name])
            yield Entry(Status.EXACT, ("layers", name), f"{layer.kind} {name!r}", reason)


class _Template:
    """A file of BrainPy's, and where its arrays stand."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            with Source(name) as source:
                tree = unpack(source.data)
            entry = entry_of(tree)
            self.net = _with_classes_by_keys(tree)
        except (ReadError, CheckpointError) as error:
            raise WriteError(f"the template {name!r} cannot be used: {error}") from error
        if entry is not None:
            self.net.connections = _connections(entry, tree, self.net)
        self.native = to_tree(self.net)
        self.paths: dict[str, list[Path]] = {}
        for path in self.native.places:
            if path[0] != "training":
                self.paths.setdefault(path[1], []).append(path)

    def matched(self, checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> dict[str, Match]:
        stated = pairs_of("map", options.get("map", ""), MAP)

        def takes(node: str, layer: str) -> bool:
            sources = ((path, (path[0], layer, *path[2:])) for path in self.paths.get(node, ()))
            return any(
                not _misfit(_array(checkpoint, source), _array(self.net, path))
                for path, source in sources
            )

        return match(self.net, checkpoint, stated, takes)


def _with_classes_by_keys(tree: dict[str, Any]) -> SNNCheckpoint:
    """Read a tree; nodes that the user named are of the class whose keys they have."""
    checkpoint = from_tree(tree)
    classes = {
        name: kind
        for name, layer in checkpoint.layers.items()
        if isinstance(layer, Opaque) and layer.origin is None and (kind := _class_by_keys(layer))
    }
    return from_tree(tree, classes=classes) if classes else checkpoint


#: Classes by the keys that a node must have, and those that it may have.
_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "Dense": ({"W"}, {"b"}),
    "Conv1d": ({"w"}, {"b"}),
    "Conv2d": ({"w"}, {"b"}),
    "BatchNorm1d": ({"running_mean", "running_var"}, {"bias", "scale"}),
    "LifRef": ({"V", "t_last_spike"}, {"spike", "refractory"}),
    "Lif": ({"V"}, {"spike", "input"}),
    "Leaky": ({"x"}, set()),
    "Expon": ({"g"}, set()),
    "DualExpon": ({"g", "h"}, set()),
    "DualExponV2": ({"g_rise", "g_decay"}, set()),
}
_AXES = {"Dense": 2, "Conv1d": 3, "Conv2d": 4}


def _class_by_keys(layer: Opaque) -> str:
    if layer.settings:
        return ""
    axes = {name: len(shape) for name, shape in shapes_of(layer).items()}
    for kind, (needed, allowed) in _KEYS.items():
        if needed <= axes.keys() <= needed | allowed:
            weight = next(iter(needed))
            if axes[weight] == _AXES.get(kind, axes[weight]):
                return kind
    return ""


def _connections(entry: Mapping[str, Any], tree: Mapping[str, Any], net: SNNCheckpoint) -> Any:
    """Return which of a template's nodes feeds which, where its description states that."""
    try:
        found = read_document(entry, tree)
    except (ReadError, CheckpointError):  # it describes another state of the file
        return UNKNOWN
    if found.connections is UNKNOWN or counting(found).keys() != counting(net).keys():
        return UNKNOWN
    sides = neighbours(found)
    return tuple(Connection(name, x) for name in sides for x in sorted(sides[name][1]))


def _unmatched(
    template: SNNCheckpoint, checkpoint: SNNCheckpoint, pairs: Mapping[str, Match]
) -> Iterator[str]:
    for name, node in counting(template).items():
        if name not in pairs:
            yield f"node {_described(node)} of the template has no layer"
    used = {pair.layer for pair in pairs.values()}
    for name, layer in counting(checkpoint).items():
        if name not in used:
            yield f"layer {_described(layer)} has no node in the template"


def _described(layer: Layer) -> str:
    shape = getattr(layer, "shape", UNKNOWN)
    if shape is UNKNOWN:
        shape = next(iter(shapes_of(layer).values()), UNKNOWN)
    return f"{layer.name!r} ({layer.kind}{'' if shape is UNKNOWN else f' {shape}'})"


def _array(checkpoint: SNNCheckpoint, path: Path) -> Any:
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
    checkpoint: SNNCheckpoint, pairs: Mapping[str, Match], tried: set[Path]
) -> Iterator[str]:
    """Name the weights of matched layers for which the template has no place."""
    for name in (pair.layer for pair in pairs.values()):
        layer = checkpoint.layers[name]
        if isinstance(layer, _WITH_ARRAYS):
            for parameter, held in layer.parameters.items():
                stands = ("layers", name, parameter) in tried or parameter == "epsilon"
                if held.value is not UNKNOWN and not stands:
                    yield f"{parameter} of layer {name!r} has no place in the template"


def _replaced(tree: Any, path: Path, found: Mapping[Path, Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _replaced(value, (*path, key), found) for key, value in tree.items()}
    return found.get(path, tree)
