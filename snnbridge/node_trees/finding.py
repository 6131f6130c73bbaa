"""Where in a tree the network is."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

import numpy as np

from snnbridge.errors import OptionError
from snnbridge.model import Path, Tree
from snnbridge.node_trees.classes import CONSTANT, FAMILY, OPTIMIZERS, class_of

#: Keys under which people keep the net, where its own keys do not tell which one it is.
WRAPPERS = ("net", "model", "network", "model_state_dict", "state_dict", "states", "params")
#: How far below the top a net is looked for.
DEPTH = 3
#: The name of a variable in an archive: ``Dense0.W``.
_VARIABLE = re.compile(r"[A-Z]\w*[0-9]\.\w+")
_UNIT = {"mantissa", "scale", "base", "dim"}


def find_net(tree: dict[str, Tree], net: str | None = None) -> Path | None:
    """Return the path of the net in a tree.

    The first of these that there is:

    1. the subtree under the key `net`; ``.`` stands for the whole tree;
    2. the first subtree, the nearest to the top and then in the order of the file, whose keys
       are those of a state dict: a node ``Lif0`` with ``Lif0.V``, or flat;
    3. the first of :data:`WRAPPERS` at the top that holds arrays;
    4. the whole tree, if all its entries are dicts and one of them holds an array.

    Returns
    -------
    tuple of str, or None
        ``None`` where none of them is.

    Raises
    ------
    OptionError
        If there is no subtree under `net`.

    Examples
    --------
    >>> import numpy as np
    >>> find_net({"epoch": 3, "best": {"Lif0": {"Lif0.V": np.zeros(2)}}})
    ('best',)
    """
    if net is not None:
        return _stated(tree, net)
    pending: deque[tuple[Path, dict[str, Tree]]] = deque([((), tree)])
    while pending:
        path, level = pending.popleft()
        if _is_state_dict(level, flat=len(path) < 2):
            return path
        if len(path) < DEPTH:
            pending += [((*path, k), v) for k, v in level.items() if isinstance(v, dict)]
    for key in WRAPPERS:
        if isinstance(tree.get(key), dict) and holds_array(tree[key]):
            return (key,)
    if all(isinstance(x, dict) and not is_quantity(x) for x in tree.values()):
        return () if any(holds_array(x) for x in tree.values()) else None
    return None


def _stated(tree: dict[str, Tree], net: str) -> Path:
    if isinstance(tree.get(net), dict):
        return (net,)
    if net == ".":
        return ()
    keys = ", ".join(repr(key) for key in list(tree)[:8])
    raise OptionError(f"there is no tree under net={net!r}; there are {keys or 'no keys'}")


def other_nets(tree: dict[str, Tree], place: Path) -> list[str]:
    """Name further subtrees at the top that are state dicts as well."""
    if not place:
        return []
    return [
        key
        for key, value in tree.items()
        if key != place[0] and isinstance(value, dict) and _is_state_dict(value, flat=True)
    ]


def is_quantity(value: dict[str, Tree]) -> bool:
    """Whether a dict is a number with a unit, as brainunit is stored."""
    return "mantissa" in value and value.keys() >= _UNIT


def _is_state_dict(level: dict[str, Tree], *, flat: bool) -> bool:
    """Whether one of the entries looks like a node, or like a variable of a flat state dict.

    A flat one is looked for near the top only: further down it is a node that was renamed.
    """
    return any(
        _is_node(key, value)
        if isinstance(value, dict)
        else flat and is_flat(key, value) and class_of(key.partition(".")[0]) in FAMILY
        for key, value in level.items()
    )


def _is_node(key: str, value: dict[str, Tree]) -> bool:
    kind = class_of(key)
    if not value:
        return kind in FAMILY or kind in CONSTANT
    prefix = key + "."
    return kind not in OPTIMIZERS and any(
        k.startswith(prefix) and isinstance(v, np.ndarray) for k, v in value.items()
    )


def is_flat(key: str, value: Tree) -> bool:
    """Whether an entry may be a variable of a flat state dict."""
    owner, dot, _ = key.partition(".")
    return bool(dot) and isinstance(value, np.ndarray) and class_of(owner) not in OPTIMIZERS


def is_flat_archive(members: Iterable[str]) -> bool:
    """Whether the members of an archive are those of BrainPy's ``save_states``.

    Examples
    --------
    >>> is_flat_archive(["Dense0.W.npy"]), is_flat_archive(["layer_0.npy"])
    (True, False)
    """
    names = (name.removesuffix(".npy") for name in members)
    return any(name == "duplicate_keys" or _VARIABLE.fullmatch(name) for name in names)


def holds_array(tree: dict[str, Tree]) -> bool:
    """Whether there is an array anywhere in a tree."""
    if isinstance(next(iter(tree.values()), None), np.ndarray):
        return True
    pending: list[Tree] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, np.ndarray):
            return True
        if isinstance(node, dict):
            pending.extend(node.values())
    return False
