"""A checkpoint as the tree that BrainPy would save, and where each array went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnbridge import rules
from snnbridge.model import (
    UNKNOWN,
    Array,
    Layer,
    Neuron,
    Opaque,
    Path,
    SNNCheckpoint,
    Synapse,
    Tree,
)
from snnbridge.statedict.classes import FAMILY, class_of
from snnbridge.statedict.forms import ARRAYS, PLAIN, Form, form_of, states_of
from snnbridge.statedict.layout import Entry, Layout, layout_of

#: The key of what this package adds to a file; never a user's.
RESERVED = "snnbridge"
_WRAPPERS = ("net", "model", "network")


@dataclass(frozen=True, slots=True)
class StateDict:
    """A tree for BrainPy, and the way back from its arrays.

    Parameters
    ----------
    tree : dict
        Views of the checkpoint's arrays, numbers, text and dicts.
    net : tuple of str
        The path of the net in it.
    places : dict of path to (path, Form)
        For each array of the checkpoint that stands in the tree: under the path that
        :func:`snnbridge.differences` gives it, its path in the tree and its form there.
    """

    tree: dict[str, Tree]
    net: Path
    places: dict[Path, tuple[Path, Form]] = field(default_factory=dict)


def to_tree(checkpoint: SNNCheckpoint) -> StateDict:
    """Arrange a checkpoint as BrainPy would save it.

    A checkpoint that was read from a tree gets that tree's nodes, keys and order. Layers from
    elsewhere become nodes of their own name: ``fc1.W`` (in, out) and ``fc1.b``, ``lif1.V``. The
    net stands at the top, or under ``net`` where there is something beside it.

    Parameters
    ----------
    checkpoint : SNNCheckpoint

    Returns
    -------
    StateDict
        Nothing is copied; weights are transposed views. What BrainPy has no place for
        (parameters of neurons, rules, connections) is not in it.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Linear, SNNCheckpoint
    >>> tree = to_tree(SNNCheckpoint([Linear("fc1", np.zeros((2, 3)))])).tree
    >>> tree["fc1"]["fc1.W"].shape
    (3, 2)
    """
    layout = layout_of(checkpoint)
    training = _native(checkpoint.training)
    net = _net_path(layout, checkpoint, training)
    beside = _at(training, net)
    arranger = _Arranger(checkpoint, layout, net)
    entries = arranger.arrange(beside)
    places = {("training", *path): (path, PLAIN) for path in _arrays(training, ())}
    tree = _nested(entries, layout, net, training)
    return StateDict(tree, net, places | arranger.places)


def _net_path(layout: Layout, checkpoint: SNNCheckpoint, training: Mapping[str, Tree]) -> Path:
    if layout.net is not None and isinstance(_at(training, layout.net, {}), Mapping):
        return layout.net
    if not checkpoint.layers or (not training and RESERVED not in checkpoint.layers):
        return ()
    free = (key for key in (*_WRAPPERS, *_numbered("net")) if key not in training)
    return (next(free),)


def _numbered(name: str) -> Iterator[str]:
    number = 1
    while True:
        yield f"{name}_{number}"
        number += 1


def _at(tree: Mapping[str, Tree], path: Path, absent: Any = None) -> Any:
    node: Any = tree
    for key in path:
        if not isinstance(node, Mapping):
            return node
        node = node.get(key, absent)
        if node is absent:
            return absent
    return node


def _nested(
    entries: dict[str, Tree], layout: Layout, net: Path, training: Mapping[str, Tree]
) -> dict[str, Tree]:
    """Put the net's entries at their path, among what stands beside it on the way down."""
    levels: list[Mapping[str, Tree]] = [training]
    for key in net:
        levels.append(_at(levels[-1], (key,), {}))
    node = entries
    for depth in reversed(range(len(net))):
        found: dict[str, Tree] = {**levels[depth], net[depth]: node}
        order = layout.order[depth] if depth < len(layout.order) else (net[depth],)
        node = {key: found[key] for key in order if key in found}
        node.update({key: value for key, value in found.items() if key not in node})
    return node


def _native(tree: Mapping[str, Tree]) -> dict[str, Tree]:
    """Return a training tree as the wire format holds it, without what it cannot."""
    found: dict[str, Tree] = {}
    for key, value in tree.items():
        if isinstance(value, list | tuple):
            found[key] = _native({str(i): item for i, item in enumerate(value)})
        elif isinstance(value, Mapping):
            found[key] = _native(value)
        elif not isinstance(value, int) or -(1 << 63) <= value < 1 << 64:
            found[key] = value
    return found


def _arrays(tree: Tree, path: Path) -> Iterator[Path]:
    """Give the path of each array in a tree."""
    if isinstance(tree, np.ndarray):
        yield path
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _arrays(value, (*path, key))


class _Arranger:
    """The entries of the net: first as the layout has them, then what it does not mention."""

    def __init__(self, checkpoint: SNNCheckpoint, layout: Layout, net: Path) -> None:
        self.layers = checkpoint.layers
        self.layout = layout
        self.net = net
        self.places: dict[Path, tuple[Path, Form]] = {}
        self.pending = {name: _roles(layer) for name, layer in checkpoint.layers.items()}
        for (name, variable), held in checkpoint.state.items():
            self.pending[name][f"s:{variable}"] = held.value
        for name, parameter in layout.apart:
            self.pending.get(name, {}).pop(f"p:{parameter}", None)
        for name, role in _stated(layout):
            self._take_stated(name, role)

    def _take_stated(self, name: str, role: str) -> None:
        """Let the layout ask for parameters that do not stand in a file by themselves."""
        layer = self.layers.get(name)
        if layer is None or role in self.pending[name]:
            return
        if role.startswith("p:") and isinstance(layer, Neuron | Synapse):
            held = layer.parameters.get(role[2:])
            if held is not None and held.value is not UNKNOWN:
                self.pending[name][role] = held.value

    def arrange(self, beside: Mapping[str, Tree] | None) -> dict[str, Tree]:
        training = dict(beside or {})
        entries: dict[str, Tree] = {}
        for key, entry in self.layout.nodes.items():
            if entry is None:
                if key in training:
                    entries[key] = training.pop(key)
            elif isinstance(entry, tuple):
                self._put(entries, (key,), *entry)
            elif entry or key in self.layers or class_of(key) not in FAMILY:
                self._node(entries, key, entry)
        for name, roles in self.pending.items():
            self._append(entries, name, roles)
        return entries | training

    def _node(self, entries: dict[str, Tree], name: str, entry: Mapping[str, str]) -> None:
        if entry and name not in self.layers:
            return
        node: dict[str, Tree] = {}
        for key, role in entry.items():
            self._put(node, (name, key), name, role)
        entries[name] = node

    def _put(self, into: dict[str, Tree], path: Path, name: str, role: str) -> None:
        layer = self.layers.get(name)
        if layer is None:
            return
        if role.startswith("o:"):
            self._put_setting(into, path, layer, role[2:])
            return
        held = self.pending[name].pop(role, None)
        if held is None:
            return
        form = form_of(layer, role[2:]) if role.startswith("p:") else PLAIN
        into[path[-1]] = form.stored(held)
        self.places[_model_path(name, role)] = ((*self.net, *path), form)

    def _put_setting(self, into: dict[str, Tree], path: Path, layer: Layer, name: str) -> None:
        settings = layer.settings if isinstance(layer, Opaque) else {}
        held = _native({path[-1]: settings[name]}) if name in settings else {}
        into.update(held)
        for below in _arrays(held.get(path[-1]), ()):
            model = ("layers", layer.name, "settings", name, *below)
            self.places[model] = ((*self.net, *path, *below), PLAIN)

    def _append(self, entries: dict[str, Tree], name: str, roles: dict[str, Array]) -> None:
        """Add what the layout does not mention, under the usual keys."""
        layer = self.layers[name]
        if not roles:
            if name not in self.layout.nodes and not self.layout.is_flat and _is_empty_node(layer):
                entries.setdefault(name, {})
            return
        flat = self.layout.is_flat and name not in entries
        node = entries if flat else entries.setdefault(name, {})
        if not isinstance(node, dict):
            return
        for role in list(roles):
            key = f"{name}.{_attribute(layer, role)}"
            if key not in node:
                self._put(node, (key,) if flat else (name, key), name, role)


def _stated(layout: Layout) -> Iterator[tuple[str, str]]:
    """Give each (layer, role) that a layout mentions."""
    for key, entry in layout.nodes.items():
        if isinstance(entry, tuple):
            yield entry
        elif entry:
            yield from ((key, role) for role in entry.values())


def _roles(layer: Layer) -> dict[str, Array]:
    """Return the parameters of a layer that BrainPy keeps as variables, by role."""
    if isinstance(layer, Opaque):
        names = list(layer.parameters)
    else:
        names = [parameter for parameter, _ in ARRAYS.get(type(layer), {}).values()]
    held = ((name, layer.parameters.get(name)) for name in names)
    return {f"p:{n}": p.value for n, p in held if p is not None and p.value is not UNKNOWN}


def _model_path(name: str, role: str) -> Path:
    return ("state" if role.startswith("s:") else "layers", name, role[2:])


def _attribute(layer: Layer, role: str) -> str:
    """Return BrainPy's name of a parameter or a state variable."""
    if role.startswith("p:"):
        arrays = ARRAYS.get(type(layer), {})
        return next((key for key, (name, _) in arrays.items() if name == role[2:]), role[2:])
    kind = layer.origin.kind if layer.origin and layer.origin.framework == "brainpy" else ""
    names = _CURRENT if isinstance(layer, Synapse) and kind not in FAMILY else states_of(kind)
    return next((key for key, name in names.items() if name == role[2:]), role[2:])


_CURRENT = {"g": "i"}


def _is_empty_node(layer: Layer) -> bool:
    """Whether a layer without arrays is told by its name alone."""
    kind = class_of(layer.name)
    return kind in FAMILY and rules.get("brainpy", kind).layer is type(layer)


__all__ = ["RESERVED", "Entry", "StateDict", "to_tree"]
