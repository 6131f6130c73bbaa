"""A tree of flax as a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    BatchNorm,
    Layer,
    Linear,
    Neuron,
    Opaque,
    OptionError,
    Origin,
    Parameter,
    ReadError,
    SNNCheckpoint,
    SourceInfo,
    rules,
)
from snnbridge.document import AS_IT_IS, ArrayForm
from snnbridge.model import Array, Path
from snnbridge_plugins.flax_trees import THRESHOLD, class_of
from snnbridge_plugins.spyx.keys import KERNELS, NORM, PLACES, neuron_form

NAME = "spyx"
#: Where training scripts keep the parameters.
NETS = ("params", "model", "net", "state")


@dataclass(slots=True)
class Found:
    """What a tree holds: layers, the key of each array, and what is no layer's array."""

    layers: dict[str, Layer] = field(default_factory=dict)
    places: dict[Path, tuple[Path, ArrayForm]] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, layer: Layer, at: Path, keys: Mapping[str, tuple[str, ArrayForm]]) -> None:
        """Add a layer; `keys` has the parameter that each key of a module is, and its form."""
        self.layers[layer.name] = layer
        for key, (parameter, form) in keys.items():
            self.places["layers", layer.name, parameter] = ((*at, key), form)


def checkpoint_of(tree: dict[str, Any], net: str | None = None) -> SNNCheckpoint:
    """Read a tree of flax as a checkpoint.

    Parameters
    ----------
    tree : dict
        Of arrays, numbers and text.
    net : str, optional
        The keys under which the net stands, joined by ``/``; ``.`` for the top.

    Raises
    ------
    CheckpointError
        If arrays do not fit each other.
    OptionError
        If nothing stands at `net`.
    """
    at = _net(tree, net)
    found = Found()
    for path, module in _modules(_below(tree, at)):
        _add(found, path, module, at)
    training = _without(tree, {place[0] for place in found.places.values()})
    layout: dict[str, Any] = {} if at == ("layers",) else {"net": list(at)}
    names = {name: list(path) for name, path in found.rest.items()}
    if names:
        layout["keys"] = names
    return SNNCheckpoint(
        found.layers,
        training=training,
        extras={NAME: layout} if layout else {},
        source=SourceInfo(framework=NAME, notes=tuple(found.notes)),
    )


def _net(tree: dict[str, Any], net: str | None) -> Path:
    """Find the net: below one of the usual keys, and below keys that stand alone."""
    if net is not None:
        path = () if net == "." else tuple(net.split("/"))
        if not isinstance(_below(tree, path), dict):
            raise OptionError(f"net={net!r}: the file has {', '.join(map(repr, tree))} at its top")
        return path
    at: Path = next(((key,) for key in NETS if _holds_modules(tree.get(key))), ())
    while _is_wrapper(_below(tree, at)):
        at = (*at, *_below(tree, at))
    return at


def _below(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _holds_modules(node: Any) -> bool:
    return isinstance(node, dict) and any(isinstance(value, dict) for value in node.values())


def _is_wrapper(node: dict[str, Any]) -> bool:
    """Whether a node is nothing but a name above modules."""
    inner = list(node.values())
    return len(inner) == 1 and isinstance(inner[0], dict) and _holds_modules(inner[0])


def _modules(node: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give the nodes that hold arrays; lists are in the order of their numbers."""
    if not isinstance(node, dict):
        raise ReadError("a msgpack file of flax is a tree; this is none")
    arrays = {key: value for key, value in node.items() if isinstance(value, np.ndarray)}
    if arrays:
        yield path, arrays
    for key in sorted(node, key=_place_in_a_list):
        if isinstance(node[key], dict):
            yield from _modules(node[key], (*path, key))


def _place_in_a_list(key: str) -> int:
    return int(key) if key.isdecimal() and len(key) < 10 else 0


def _add(found: Found, path: Path, arrays: dict[str, Array], net: Path) -> None:
    name = ".".join(path) or "net"
    while name in found.layers:
        name += "'"
    if name.split(".") != list(path):
        found.rest[name] = path
    at, keys = (*net, *path), frozenset(arrays)
    if _is_weighted(arrays):
        _add_weighted(found, name, at, arrays)
    elif {"mean", "var"} <= keys <= set(NORM) and len({a.shape for a in arrays.values()}) == 1:
        norm: dict[str, Any] = {NORM[key]: array for key, array in arrays.items()}
        found.add(BatchNorm(name, **norm), at, {key: (NORM[key], AS_IT_IS) for key in arrays})
    elif _is_neuron(arrays):
        _add_neuron(found, name, at, arrays)
    else:
        origin = Origin(NAME, "?")
        layer = Opaque(name, dict[str, Any](arrays), origin=origin)
        found.add(layer, at, {key: (key, AS_IT_IS) for key in arrays})


def _is_weighted(arrays: Mapping[str, Array]) -> bool:
    kernel, bias = arrays.get("kernel"), arrays.get("bias")
    if kernel is None or not set(arrays) <= {"kernel", "bias"} or kernel.ndim not in KERNELS:
        return False
    return bias is None or bias.shape == kernel.shape[-1:]


def _is_neuron(arrays: Mapping[str, Array]) -> bool:
    keys = frozenset(arrays)
    known = keys - {THRESHOLD} == {"beta"} or bool(class_of(keys))
    return known and keys <= set(PLACES) and _is_square(arrays.get("recurrent_w"))


def _is_square(weight: Array | None) -> bool:
    return weight is None or (weight.ndim == 2 and weight.shape[0] == weight.shape[1])


def _add_weighted(found: Found, name: str, at: Path, arrays: Mapping[str, Array]) -> None:
    kind, form = KERNELS[arrays["kernel"].ndim]
    layer: Layer = kind(name, form.held(arrays["kernel"]), arrays.get("bias"))
    keys = {"kernel": ("weight", form), "bias": ("bias", AS_IT_IS)}
    found.add(layer, at, {key: keys[key] for key in arrays})


def _add_neuron(found: Found, name: str, at: Path, arrays: Mapping[str, Array]) -> None:
    kind = class_of(frozenset(arrays))
    forms = {key: neuron_form(key, array.ndim) for key, array in arrays.items()}
    held = {key: forms[key].held(array) for key, array in arrays.items()}
    if not kind:
        names = {key: PLACES[key][1] for key in held}
        layer: Layer = Neuron(name, parameters={names[k]: Parameter(a) for k, a in held.items()})
        found.add(layer, at, {key: (names[key], forms[key]) for key in held})
        found.notes.append(
            f"{name}: spyx.nn.LIF, LI and PSU_LIF keep the same array; state which it is, as "
            'class = "spyx.LIF"'
        )
        return
    known = rules.get(NAME, kind)
    for own, table in ((".synapse", known.synapse), ("", known)):
        if table is not None:
            stated = {key: a for key, a in held.items() if key in table.arguments}
            layer = table.state(_empty(name + own, table), stated)
            found.add(layer, at, {key: (PLACES[key][1], forms[key]) for key in stated})
    if "recurrent_w" in held:
        own, parameter = PLACES["recurrent_w"]
        layer = Linear(name + own, held["recurrent_w"])
        found.add(layer, at, {"recurrent_w": (parameter, forms["recurrent_w"])})


def _empty(name: str, table: Any) -> Layer:
    layer: Layer = table.layer(name, origin=Origin(NAME, table.kind, UNKNOWN))
    return layer


def _without(node: Any, taken: set[Path], path: Path = ()) -> Any:
    """Return what is no layer's array: steps, optimizers, settings of modules."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        below = (*path, key)
        if below in taken:
            continue
        if isinstance(value, dict):
            rest = _without(value, taken, below)
            if rest or not value:
                found[key] = rest
        else:
            found[key] = value
    return found
