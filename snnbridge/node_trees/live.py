"""Networks of a running BrainPy, known by their attributes: nothing of it is imported."""

from __future__ import annotations

from typing import Any

_SYSTEM = "DynamicalSystem"
_VIEWS = ("DynView", "DSView", "NeuGroupView")


def is_net(target: object) -> bool:
    """Whether an object is a network of BrainPy, or at least behaves as one."""
    return callable(getattr(target, "nodes", None)) and _is_system(target)


def nodes_of(net: Any) -> dict[str, Any]:
    """Return the nodes of a network that have a state, each once, in BrainPy's order.

    Examples
    --------
    >>> list(nodes_of(net))  # doctest: +SKIP
    ['SNN0', 'Dense0', 'Lif0']
    """
    found: dict[int, tuple[str, Any]] = {}
    for name, node in net.nodes().items():
        if _is_system(node) and not _is_view(node):
            found.setdefault(id(node), (name, node))
    return dict(found.values())


def state_of(node: Any) -> dict[str, Any]:
    """Return what a node saves of itself; releases before 2.4.5 name the method otherwise."""
    save = getattr(node, "save_state", None) or node.__save_state__
    state: dict[str, Any] = save()
    return state


def put_state(node: Any, state: dict[str, Any]) -> None:
    """Hand a node what it saved."""
    load = getattr(node, "load_state", None) or node.__load_state__
    load(state)


def _is_system(node: object) -> bool:
    return any(kind.__name__ == _SYSTEM for kind in type(node).__mro__)


def _is_view(node: object) -> bool:
    return any(kind.__name__ in _VIEWS for kind in type(node).__mro__)


__all__ = ["is_net", "nodes_of", "put_state", "state_of"]
