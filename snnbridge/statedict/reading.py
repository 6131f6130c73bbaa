"""A tree of arrays as a checkpoint: where the net is in it, and what stands beside the net."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge.errors import OptionError, ReadError
from snnbridge.model import (
    Layer,
    Path,
    SNNCheckpoint,
    SourceInfo,
    StateVariable,
    Tree,
)
from snnbridge.model.layers import by_name
from snnbridge.model.values import UNKNOWN
from snnbridge.statedict.classes import (
    CONSTANT,
    FAMILY,
    INTEGRATORS,
    OPTIMIZERS,
    WEIGHTED,
    class_of,
)
from snnbridge.statedict.nodes import Node, read_node

#: Keys under which people keep the net, where its own keys do not tell which one it is.
WRAPPERS = ("net", "model", "network", "model_state_dict", "state_dict", "states", "params")
_DEPTH = 3
_UNIT = {"mantissa", "scale", "base", "dim"}


def from_tree(
    tree: Mapping[str, Tree], *, net: str | None = None, classes: Mapping[str, str] | None = None
) -> SNNCheckpoint:
    """Read a tree as BrainPy, braintools or a user's training script saved it.

    The net is looked for in this order: the subtree under the key `net` (``.`` is the whole
    tree); the first subtree, the nearest to the top and then in the order of the file, whose
    keys are those of a state dict (``Lif0.V`` in a node ``Lif0``, or flat); the first of
    :data:`WRAPPERS` at the top that holds arrays; the whole tree, if it is made of nodes that
    hold arrays. Everything else, optimizers
    among the nodes too, becomes ``training``, at the same path.

    Parameters
    ----------
    tree : mapping
        Of arrays, numbers, text and mappings. Nothing is copied; weights become transposed
        views.
    net : str, optional
        The key at the top under which the net stands.
    classes : mapping of str to str, optional
        BrainPy's class of nodes whose names do not tell it.

    Returns
    -------
    SNNCheckpoint
        What the tree does not hold is UNKNOWN. ``extras["brainpy"]`` is the layout that
        :func:`to_tree` follows; ``source`` says what was found.

    Raises
    ------
    ReadError
        If a node that must have weights has none, or an array stands in another file.
    OptionError
        If there is nothing under `net`, or `classes` names no node.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge.statedict import from_tree
    >>> checkpoint = from_tree({"Dense0": {"Dense0.W": np.zeros((3, 2), np.float32)}})
    >>> checkpoint.layers["Dense0"]
    Linear('Dense0', origin=Origin(framework='brainpy', kind='Dense', version=UNKNOWN), \
weight=float32 (2, 3))
    """
    place = find_net(tree, net)
    if place is None:
        note = "no network was found; if it stands under a key of its own, name it with net=KEY"
        return SNNCheckpoint(training=dict(tree), source=_info("tree", [note]))
    reader = _Reader(classes or {})
    levels = _levels(tree, place)
    reader.read(levels[-1])
    training: dict[str, Tree] = reader.training
    for key, level in zip(reversed(place), reversed(levels[:-1]), strict=True):
        beside = {k: v for k, v in level.items() if k != key}
        training = beside | ({key: training} if training else {})
    layout: dict[str, Tree] = {"net": list(place), "nodes": reader.layout}
    if place:
        layout["order"] = [list(level) for level in levels[:-1]]
    dialect = "flat" if reader.is_flat else "nested"
    return SNNCheckpoint(
        layers=by_name(reader.layers),
        training=training,
        state=reader.state,
        step=UNKNOWN if reader.state else None,
        extras={"brainpy": layout},
        source=_info(dialect, reader.all_notes(_others(tree, place))),
    )


def _info(dialect: str, notes: list[str]) -> SourceInfo:
    return SourceInfo(format="brainpy", dialect=dialect, framework="brainpy", notes=tuple(notes))


def find_net(tree: Mapping[str, Tree], net: str | None = None) -> Path | None:
    """Return the path of the net in a tree, or ``None``; :func:`from_tree` has the rules."""
    if net is not None:
        if net == "." and net not in tree:
            return ()
        if not isinstance(tree.get(net), Mapping):
            raise OptionError(f"there is no tree under net={net!r}; there are {_keys(tree)}")
        return (net,)
    pending: deque[tuple[Path, Mapping[str, Tree]]] = deque([((), tree)])
    while pending:
        path, level = pending.popleft()
        if _is_state_dict(level, flat=len(path) < 2):
            return path
        if len(path) < _DEPTH:
            pending += [((*path, k), v) for k, v in level.items() if isinstance(v, Mapping)]
    for key in WRAPPERS:
        if isinstance(tree.get(key), Mapping) and _holds_array(tree[key]):
            return (key,)
    nodes = list(tree.values())
    if all(isinstance(x, Mapping) and not is_quantity(x) for x in nodes):
        return () if any(_holds_array(x) for x in nodes) else None
    return None


def is_quantity(value: Tree) -> bool:
    """Whether a mapping is a number with a unit, as brainunit is stored."""
    return isinstance(value, Mapping) and value.keys() >= _UNIT


def _is_state_dict(level: Mapping[str, Tree], *, flat: bool) -> bool:
    """Whether one of the entries looks like a node, or like a variable of a flat state dict.

    A flat one is looked for near the top only: further down it is a node that was renamed.
    """
    return any(
        _is_node(key, value)
        if isinstance(value, Mapping)
        else flat and _is_flat(key, value) and class_of(key.partition(".")[0]) in FAMILY
        for key, value in level.items()
    )


def _is_node(key: str, value: Mapping[str, Tree]) -> bool:
    kind = class_of(key)
    if not value:
        return kind in FAMILY or kind in CONSTANT
    prefix = key + "."
    return kind not in OPTIMIZERS and any(
        k.startswith(prefix) and isinstance(v, np.ndarray) for k, v in value.items()
    )


def _is_flat(key: str, value: Tree) -> bool:
    owner, dot, _ = key.partition(".")
    return bool(dot) and isinstance(value, np.ndarray) and class_of(owner) not in OPTIMIZERS


def _holds_array(tree: Tree) -> bool:
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, np.ndarray):
            return True
        if isinstance(node, Mapping):
            pending.extend(node.values())
    return False


def _levels(tree: Mapping[str, Tree], place: Path) -> list[Mapping[str, Tree]]:
    levels = [tree]
    for key in place:
        levels.append(levels[-1][key])
    return levels


def _others(tree: Mapping[str, Tree], place: Path) -> list[str]:
    """Name other subtrees at the top that are state dicts as well."""
    subtrees = {k: v for k, v in tree.items() if isinstance(v, Mapping) and k not in place[:1]}
    return [key for key, value in subtrees.items() if place and _is_state_dict(value, flat=True)]


def _keys(tree: Mapping[str, Tree]) -> str:
    return _some(list(tree)) or "no keys"


class _Reader:
    """The net of one tree."""

    def __init__(self, classes: Mapping[str, str]) -> None:
        self.classes = classes
        self.layers: list[Layer] = []
        self.state: dict[Path, StateVariable] = {}
        self.training: dict[str, Tree] = {}
        self.layout: dict[str, Tree] = {}
        self.notes: list[str] = []
        self.unnamed: list[str] = []
        self.is_flat = False

    def read(self, net: Mapping[str, Tree]) -> None:
        flat: dict[str, dict[str, Any]] = {}
        for key, value in net.items():
            if isinstance(value, Mapping):
                self._entry(key, value)
            elif _is_flat(key, value):
                flat.setdefault(key.partition(".")[0], {})[key] = value
                self.layout[key] = None
            else:
                self.training[key], self.layout[key] = value, None
        for name, content in flat.items():
            node = self._node(name, content)
            self.layout.update({key: [name, role] for key, role in node.roles.items()})
        self.is_flat = bool(flat)
        absent = [name for name in self.classes if name not in net and name not in flat]
        if absent:
            raise OptionError(
                f"classes names {absent[0]!r}, which is no node; there are {_keys(net)}"
            )

    def _entry(self, key: str, value: Mapping[str, Any]) -> None:
        kind = self.classes.get(key) or class_of(key)
        if not value and kind not in FAMILY:
            self.layout[key] = {}
            self._note_empty(key, kind)
        elif value and (kind in OPTIMIZERS or is_quantity(value) or not _holds_array(value)):
            self.training[key], self.layout[key] = value, None
        else:
            self.layout[key] = dict(self._node(key, value).roles)

    def _node(self, name: str, content: Mapping[str, Any]) -> Node:
        kind = self.classes.get(name, "")
        if not content and (kind or class_of(name)) in WEIGHTED:
            raise ReadError(_no_weights(name))
        node = read_node(name, content, kind)
        self.layers.append(node.layer)
        self.state.update({(name, key): value for key, value in node.states.items()})
        if node.note:
            self.notes.append(node.note)
        elif node.layer.origin is None:
            self.unnamed.append(name)
        return node

    def _note_empty(self, name: str, kind: str) -> None:
        if kind in CONSTANT:
            self.notes.append(
                f"node {name!r} holds no weights: outside training mode they are no variables"
            )

    def all_notes(self, others: list[str]) -> list[str]:
        """Return the notes, with what concerns the whole file in front."""
        head = []
        if others:
            head.append(f"networks stand under {_some(others)} too; read one with net=KEY")
        kinds = dict.fromkeys(class_of(key) for key, value in self.layout.items() if value == {})
        used = [kind for kind in kinds if kind in INTEGRATORS]
        if used:
            head.append(
                f"the file names the integration methods {', '.join(used)}, "
                "but not which neurons use which"
            )
        if self.unnamed:
            head.append(
                f"the classes of {_some(self.unnamed)} are not told by their names; state them "
                "with classes=NODE=CLASS,..."
            )
        more = len(self.notes) - _MOST_NOTES
        return head + self.notes[:_MOST_NOTES] + ([f"and {more} more notes"] if more > 0 else [])


_MOST_NOTES = 20


def _some(names: list[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _no_weights(name: str) -> str:
    return (
        f"node {name!r} holds no weights: the network was built outside training mode, where "
        "BrainPy's weights are no variables and are not saved; build it within "
        "bm.training_environment(), or save it with snnbridge.frameworks.brainpy.export"
    )
