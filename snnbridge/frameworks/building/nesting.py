"""Modules in containers under their own names: a dot in a name is a container more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from snnbridge.errors import CheckpointError

#: Modules, and what stands for a container of them, by name.
Tree: TypeAlias = dict[str, Any]


def tree_of(modules: Mapping[str, Any]) -> Tree | None:
    """Return a chain of modules as containers inside containers.

    Parameters
    ----------
    modules : mapping of str to module
        In the order in which they run.

    Returns
    -------
    dict, optional
        None where containers that run what they hold in turn would run it in another order, or
        where a module stands inside another one's name.

    Examples
    --------
    >>> tree_of({"features.0": "conv", "features.1": "lif", "fc": "linear"})
    {'features': {'0': 'conv', '1': 'lif'}, 'fc': 'linear'}
    >>> tree_of({"a.0": "conv", "b": "lif", "a.1": "linear"})
    """
    tree: Tree = {}
    for name, module in modules.items():
        *folders, own = name.split(".")
        place = tree
        for folder in folders:
            if place.setdefault(folder, {}) is not place[next(reversed(place))]:
                return None
            place = place[folder]
            if not isinstance(place, dict):
                return None
        if own in place:
            return None
        place[own] = module
    return tree


def nested(tree: Tree, make: Callable[[Any], Any]) -> Any:
    """Make containers of a tree; `make` is given an ordered dictionary of modules."""
    held = {k: nested(x, make) if isinstance(x, dict) else x for k, x in tree.items()}
    return make(OrderedDict(held))


def check_names(names: Iterable[str], container: Any) -> None:
    """Refuse a name that a module cannot have in a container.

    Raises
    ------
    CheckpointError
        Naming the layer.
    """
    for name in names:
        for part in name.split("."):
            if not part or hasattr(container, part):
                raise CheckpointError(
                    f"layer {name!r}: a {type(container).__name__} of PyTorch holds no module "
                    f"called {part!r}, a name of its own; give the layer another name"
                )
