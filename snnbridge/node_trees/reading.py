"""A tree of arrays as a checkpoint: where the net is in it, and what stands beside the net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnbridge.errors import OptionError
from snnbridge.model import (
    UNKNOWN,
    Layer,
    Path,
    SNNCheckpoint,
    SourceInfo,
    StateVariable,
    Tree,
    some_of,
)
from snnbridge.node_trees.brainstate import owner_of
from snnbridge.node_trees.classes import (
    CONSTANT,
    FAMILY,
    INTEGRATORS,
    OPTIMIZERS,
    WEIGHTED,
    class_of,
)
from snnbridge.node_trees.finding import find_net, holds_array, is_flat, is_quantity, other_nets
from snnbridge.node_trees.nodes import Node, read_node


def from_tree(
    tree: dict[str, Tree],
    *,
    net: str | None = None,
    classes: Mapping[str, str] | None = None,
    batch_axes: Mapping[str, int | None] | None = None,
) -> SNNCheckpoint:
    """Read a tree as BrainPy, braintools or a user's training script saved it.

    The net is found by :func:`find_net`. Everything beside it, and optimizers among its nodes
    too, becomes ``training``, at the same path.

    Parameters
    ----------
    tree : dict
        Of arrays, numbers, text and dicts. Nothing is copied; weights become transposed views.
    net : str, optional
        The key at the top under which the net stands; ``.`` for the whole tree.
    classes : mapping of str to str, optional
        BrainPy's class of nodes whose names do not tell it; a node ``"('fc1', 'weight')"`` of
        braintools may be called ``fc1``.
    batch_axes : mapping of str to int or None, optional
        The batch axis of nodes whose arrays do not tell it.

    Returns
    -------
    SNNCheckpoint
        What the tree does not hold is UNKNOWN. ``extras["brainpy"]`` is the layout that
        :func:`to_tree` follows, where it would not find it by itself; ``source`` says what was
        found.

    Raises
    ------
    OptionError
        If there is nothing under `net`, or `classes` names no node.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge.node_trees import from_tree
    >>> checkpoint = from_tree({"Dense0": {"Dense0.W": np.zeros((3, 2), np.float32)}})
    >>> checkpoint.layers["Dense0"].size
    (3, 2)
    """
    place = find_net(tree, net)
    if place is None:
        note = "no network was found; if it stands under a key of its own, name it with net=KEY"
        return SNNCheckpoint(training=tree, source=_info("tree", [note]))
    reader = _Reader(classes or {}, batch_axes or {})
    levels: list[dict[str, Tree]] = [tree]
    for key in place:
        levels.append(levels[-1][key])
    reader.read(levels[-1])
    training = reader.training
    for key, level in zip(reversed(place), reversed(levels[:-1]), strict=True):
        beside = {k: v for k, v in level.items() if k != key}
        training = beside | ({key: training} if training else {})
    layout: dict[str, Tree] = {"net": list(place), "nodes": reader.layout}
    if place:
        layout["order"] = [list(level) for level in levels[:-1]]
    return SNNCheckpoint(
        layers=reader.layers,
        training=training,
        state=reader.state,
        step=UNKNOWN if reader.state else None,
        extras={} if _is_usual(layout, training) else {"brainpy": layout},
        source=_info("flat" if reader.is_flat else "nested", reader.all_notes(tree, place)),
    )


def _is_usual(layout: dict[str, Tree], training: dict[str, Tree]) -> bool:
    """Whether :func:`to_tree` would arrange it so without a layout."""
    if not all(entry is True for entry in layout["nodes"].values()):
        return False
    if not layout["net"]:
        return not training
    (first, *rest), *below = layout["order"]
    return layout["net"] == [first] == ["net"] and not below and rest == list(training) != []


def _info(dialect: str, notes: list[str]) -> SourceInfo:
    return SourceInfo(format="brainpy", dialect=dialect, framework="brainpy", notes=tuple(notes))


class _Reader:
    """The net of one tree."""

    def __init__(self, classes: Mapping[str, str], batch_axes: Mapping[str, int | None]) -> None:
        self.classes = classes
        self.batch_axes = batch_axes
        self.layers: dict[str, Layer] = {}
        self.state: dict[Path, StateVariable] = {}
        self.training: dict[str, Tree] = {}
        self.layout: dict[str, Tree] = {}
        self.misnamed: list[str] = []
        self.unnamed: list[str] = []
        self.constant: list[str] = []
        self.weightless: list[str] = []
        self.is_flat = False

    def read(self, net: dict[str, Tree]) -> None:
        flat: dict[str, dict[str, Any]] = {}
        for key, value in net.items():
            if isinstance(value, dict):
                self._entry(key, value)
            elif is_flat(key, value):
                flat.setdefault(key.partition(".")[0], {})[key] = value
                self.layout[key] = None
            else:
                self.training[key], self.layout[key] = value, None
        for name, content in flat.items():
            node = self._node(name, content, self.classes.get(name) or class_of(name))
            roles = node.roles or dict.fromkeys(content, "")
            self.layout.update({key: [name, role] for key, role in roles.items()})
        self.is_flat = bool(flat)
        known = {*net, *flat, *map(owner_of, net)}
        absent = [name for name in self.classes if name not in known]
        if absent:
            raise OptionError(
                f"classes names {absent[0]!r}, which is no node; there are "
                f"{some_of([owner_of(key) for key in net])}"
            )

    def _entry(self, key: str, value: dict[str, Any]) -> None:
        kind = self.classes.get(key) or self.classes.get(owner_of(key)) or class_of(key)
        if not value and kind not in FAMILY:
            self.layout[key] = {}
            if kind in CONSTANT:
                self.constant.append(key)
        elif value and (kind in OPTIMIZERS or is_quantity(value) or not holds_array(value)):
            self.training[key], self.layout[key] = value, None
        else:
            roles = self._node(key, value, kind).roles
            self.layout[key] = True if roles is None else dict(roles)

    def _node(self, name: str, content: dict[str, Any], kind: str) -> Node:
        node = read_node(name, content, kind, self.batch_axes.get(name, ...))
        self.layers[name] = node.layer
        for variable, held in node.states.items():
            self.state[name, variable] = held
        if node.misnamed:
            self.misnamed.append(name)
        elif not content and kind in WEIGHTED:
            self.weightless.append(name)
        elif kind in WEIGHTED and node.layer.parameters["weight"].value is UNKNOWN:
            self.constant.append(name)
        elif node.layer.origin is None:
            self.unnamed.append(name)
        return node

    def all_notes(self, tree: dict[str, Tree], place: Path) -> list[str]:
        """Say what was decided, and what could not be told."""
        notes = []
        if self.weightless:
            notes.append(_no_weights(self.weightless))
        if others := other_nets(tree, place):
            notes.append(f"networks stand under {some_of(others)} too; read one with net=KEY")
        kinds = dict.fromkeys(class_of(key) for key, value in self.layout.items() if value == {})
        if used := [kind for kind in kinds if kind in INTEGRATORS]:
            notes.append(
                f"the file names the integration methods {', '.join(used)}, "
                "but not which neurons use which"
            )
        if self.unnamed:
            notes.append(
                f"the classes of {some_of([owner_of(name) for name in self.unnamed])} are not told "
                "by their names; state them with classes=NODE=CLASS,..."
            )
        if self.misnamed:
            notes.append(
                f"the entries of {some_of(self.misnamed)} are not those of the classes that their "
                "names speak of"
            )
        if self.constant:
            notes.append(
                f"{some_of(self.constant)} hold no weights: they are another node's, or, outside "
                "training mode, constants"
            )
        return notes


def _no_weights(names: list[str]) -> str:
    return (
        f"no weights stand in the file for {some_of(names)}: the network was built outside "
        "training mode, where BrainPy's weights are no variables and are not saved; build it "
        "within bm.training_environment(), or save it with snnbridge.frameworks.brainpy.export"
    )
