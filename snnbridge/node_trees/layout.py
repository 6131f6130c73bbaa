"""The layout of a file's tree, as :func:`from_tree` notes it in ``extras["brainpy"]``.

=========  ==========================================================================
``net``    the path of the net in the tree
``order``  for each level above the net, its keys in order
``nodes``  the net's entries in order: a node's keys and their roles, nested where the keys
           are; ``True`` for a node
           with the usual keys; ``None`` for what stands in ``training``;
           ``[layer, role]`` for a variable of a flat state dict, the role empty where
           the key is the usual one
``apart``  optional, pairs of layer and parameter: arrays that are no variables of the
           network that they belong to, and so do not stand in its tree
=========  ==========================================================================

It comes from files, so nothing in it is taken for granted: a part that does not fit the
checkpoint is passed over, and what it does not mention is put at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from snnbridge.model import Path, SNNCheckpoint
from snnbridge.node_trees.finding import DEPTH

#: What an entry of the net is: keys and roles, True, None, or (layer, role).
NodeEntry = Mapping[str, "str | Mapping[str, str]"] | Literal[True] | tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Layout:
    """What of a layout is well formed; see the module's text.

    Parameters
    ----------
    net : tuple of str or None
        ``None`` where no layout was noted.
    order : tuple of tuples of str
    nodes : mapping of str to entry
    apart : frozenset of (layer, parameter)
    """

    net: Path | None = None
    order: tuple[tuple[str, ...], ...] = ()
    nodes: Mapping[str, NodeEntry] = field(default_factory=dict)
    apart: frozenset[Path] = frozenset()

    @property
    def is_flat(self) -> bool:
        """Whether the net is a flat state dict."""
        return any(isinstance(entry, tuple) for entry in self.nodes.values())


def layout_of(checkpoint: SNNCheckpoint) -> Layout:
    """Return the layout that a checkpoint's extras note."""
    noted = checkpoint.extras.get("brainpy")
    if not isinstance(noted, Mapping) or not _texts(noted.get("net")) or len(noted["net"]) > DEPTH:
        return Layout()
    nodes = noted.get("nodes")
    return Layout(
        net=tuple(noted["net"]),
        order=_lists(noted.get("order")),
        nodes={k: _entry(v) for k, v in nodes.items()} if isinstance(nodes, Mapping) else {},
        apart=frozenset(_lists(noted.get("apart"))),
    )


def _lists(value: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(x) for x in value if _texts(x)) if isinstance(value, list) else ()


def _texts_of(value: Mapping[str, Any]) -> dict[str, str]:
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(x, str) for x in value)


def _entry(value: Any) -> NodeEntry:
    if value is True:
        return True
    if isinstance(value, Mapping):
        return {
            key: _texts_of(role) if isinstance(role, Mapping) else role
            for key, role in value.items()
            if isinstance(role, str | Mapping)
        }
    if _texts(value) and len(value) == 2:
        return (value[0], value[1])
    return None
