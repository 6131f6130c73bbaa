"""A checkpoint as the tree that BrainPy would save, and where each array went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbridge import rules
from snnbridge.document import AS_IT_IS, ArrayForm
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
from snnbridge.node_trees.classes import FAMILY, class_of
from snnbridge.node_trees.forms import (
    ARRAYS,
    parse_role,
    role,
    state_form,
    states_of,
)
from snnbridge.node_trees.layout import Layout, layout_of

#: The key of what this package adds to a file; never a user's.
RESERVED = "snnbridge"
_WRAPPERS = ("net", "model", "network")
_CURRENT = {"g": "i"}
#: A layer's array that BrainPy keeps: its attribute there, the array, and its form there.
_Slot = tuple[str, Array, ArrayForm]


@dataclass(frozen=True, slots=True)
class StateDict:
    """A tree for BrainPy, and the way back from its arrays.

    Parameters
    ----------
    tree : dict
        Views of the checkpoint's arrays, numbers, text and dicts.
    net : tuple of str
        The path of the net in it.
    places : dict of path to (path, ArrayForm)
        For each array of the checkpoint that stands in the tree: under the path that
        :func:`snnbridge.differences` gives it, its path in the tree and its form there.
    """

    tree: dict[str, Tree]
    net: Path
    places: dict[Path, tuple[Path, ArrayForm]]


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
    entries = arranger.arrange(beside if isinstance(beside, dict) else {})
    tree = _nested(entries, layout, net, training)
    places: dict[Path, tuple[Path, ArrayForm]] = {
        ("training", *path): (path, AS_IT_IS)
        for path in _arrays(training, ())
        if _at(tree, path) is _at(training, path)
    }
    places |= arranger.places
    if RESERVED in tree:
        del tree[RESERVED]
        places = {path: place for path, place in places.items() if place[0][0] != RESERVED}
    return StateDict(tree, net, places)


def _net_path(layout: Layout, checkpoint: SNNCheckpoint, training: dict[str, Tree]) -> Path:
    if layout.net is not None and isinstance(_at(training, layout.net), dict | None):
        return layout.net
    if not checkpoint.layers or not training:
        return ()
    number = len(training)
    free = (k for k in (*_WRAPPERS, *(f"net_{i}" for i in range(number))) if k not in training)
    return (next(free),)


def _at(tree: Tree, path: Path) -> Tree:
    """Return what stands at a path, or ``None``."""
    for key in path:
        if not isinstance(tree, dict):
            return tree
        tree = tree.get(key)
    return tree


def _nested(
    entries: dict[str, Tree], layout: Layout, net: Path, training: dict[str, Tree]
) -> dict[str, Tree]:
    """Put the net's entries at their path, among what stands beside it on the way down."""
    if not net:
        return entries
    node = entries
    for depth in reversed(range(len(net))):
        found = {**(_at(training, net[:depth]) or {}), net[depth]: node}
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
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _arrays(value, (*path, key))


class _Arranger:
    """The entries of the net: first as the layout has them, then what it does not mention."""

    def __init__(self, checkpoint: SNNCheckpoint, layout: Layout, net: Path) -> None:
        self.layers = checkpoint.layers
        self.layout = layout
        self.net = net
        self.places: dict[Path, tuple[Path, ArrayForm]] = {}
        self.pending = {name: _slots(layer) for name, layer in self.layers.items()}
        for (name, variable), held in checkpoint.state.items():
            attribute = _attribute(self.layers[name], variable)
            dynamic = isinstance(self.layers[name], Neuron | Synapse)
            form = state_form(held.value.ndim, held.batch_axis) if dynamic else AS_IT_IS
            self.pending[name][role("s", variable)] = (attribute, held.value, form)
        for name, parameter in layout.apart:
            self.pending.get(name, {}).pop(role("p", parameter), None)

    def arrange(self, beside: dict[str, Tree]) -> dict[str, Tree]:
        """Return the net's entries, those that stand in ``training`` included."""
        entries: dict[str, Tree] = {}
        for key, entry in self.layout.nodes.items():
            if entry is None:
                if key in beside:
                    entries[key] = beside[key]
            elif isinstance(entry, tuple):
                self._put(entries, (key,), *entry)
            elif entry is True:
                if self.pending.get(key):
                    entries[key] = {}
                    self._append(entries[key], key, self.pending[key])
            elif key in self.layers or (not entry and class_of(key) not in FAMILY):
                entries[key] = {}
                self._put_all(entries[key], (key,), key, entry)
        self._append_rest(entries, beside)
        return entries | {key: value for key, value in beside.items() if key not in entries}

    def _append_rest(self, entries: dict[str, Tree], beside: dict[str, Tree]) -> None:
        """Add what the layout does not mention, under the usual keys."""
        flat = self.layout.is_flat
        for name, slots in self.pending.items():
            if name in entries and entries[name] is beside.get(name):
                continue  # a key of the training run stands there
            if slots and flat and name not in entries:
                self._append(entries, name, slots, flat=True)
            elif slots:
                self._append(entries.setdefault(name, {}), name, slots)
            elif not flat and name not in self.layout.nodes and _is_told_by_name(self.layers[name]):
                entries.setdefault(name, {})

    def _append(
        self, into: dict[str, Tree], name: str, slots: dict[str, _Slot], *, flat: bool = False
    ) -> None:
        above = self.net if flat else (*self.net, name)
        for text, (attribute, held, form) in slots.items():
            key = f"{name}.{attribute}"
            if key not in into:
                into[key] = form.stored(held)
                self.places[_model_path(name, text)] = ((*above, key), form)
        slots.clear()

    def _put_all(
        self, into: dict[str, Tree], path: Path, name: str, roles: Mapping[str, Any]
    ) -> None:
        for key, text in roles.items():
            if isinstance(text, Mapping):
                into[key] = {}
                self._put_all(into[key], (*path, key), name, text)
            else:
                self._put(into, (*path, key), name, text)

    def _put(self, into: dict[str, Tree], path: Path, name: str, text: str) -> None:
        """Add one entry that the layout mentions; without a role, the one of that key."""
        layer = self.layers.get(name)
        if layer is None:
            return
        usual = (t for t, slot in self.pending[name].items() if f"{name}.{slot[0]}" == path[-1])
        letter, stated, key = parse_role(text or next(usual, ""))
        if letter == "o" and isinstance(layer, Opaque):
            self._put_setting(into, path, layer, key)
        elif slot := self.pending[name].pop(role(letter, key), None) or _asked(layer, letter, key):
            _, held, form = slot
            form = stated if len(stated.axes) == held.ndim else form
            into[path[-1]] = form.stored(held)
            self.places[_model_path(name, role(letter, key))] = ((*self.net, *path), form)

    def _put_setting(self, into: dict[str, Tree], path: Path, layer: Opaque, name: str) -> None:
        held = _native({path[-1]: layer.settings[name]}) if name in layer.settings else {}
        into.update(held)
        for below in _arrays(held.get(path[-1]), ()):
            model = ("layers", layer.name, "settings", name, *below)
            self.places[model] = ((*self.net, *path, *below), AS_IT_IS)


def _asked(layer: Layer, letter: str, name: str) -> _Slot | None:
    """Let the layout ask for parameters that no file holds by itself."""
    if letter != "p" or not isinstance(layer, Neuron | Synapse):
        return None
    held = layer.parameters.get(name)
    return None if held is None or held.value is UNKNOWN else ("", held.value, AS_IT_IS)


def _slots(layer: Layer) -> dict[str, _Slot]:
    """Return the parameters of a layer that BrainPy keeps as variables, by role."""
    found: dict[str, _Slot] = {}
    if isinstance(layer, Opaque):
        for name, held in layer.parameters.items():
            if held.value is not UNKNOWN:
                found[role("p", name)] = (name, held.value, AS_IT_IS)
        return found
    for attribute, (name, form) in ARRAYS.get(type(layer), {}).items():
        value = getattr(layer, name)
        if value is not None and value.value is not UNKNOWN:
            found[role("p", name)] = (attribute, value.value, form)
    return found


def _model_path(name: str, text: str) -> Path:
    return ("state" if text.startswith("s:") else "layers", name, text[2:])


def _attribute(layer: Layer, variable: str) -> str:
    """Return BrainPy's name of a state variable."""
    kind = layer.origin.kind if layer.origin and layer.origin.framework == "brainpy" else ""
    names = _CURRENT if isinstance(layer, Synapse) and kind not in FAMILY else states_of(kind)
    return next((key for key, name in names.items() if name == variable), variable)


def _is_told_by_name(layer: Layer) -> bool:
    """Whether a layer without arrays is told by its node's name alone."""
    kind: Any = class_of(layer.name)
    return kind in FAMILY and rules.get("brainpy", kind).layer is type(layer)
