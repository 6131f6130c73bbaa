"""The tree of a file, and the state dict in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge import OptionError, ReadError
from snnbridge.model import Array
from snnbridge.storage import Limits, Source
from snnbridge_plugins.torch.container import Contents, read_contents
from snnbridge_plugins.torch.sharding import read_shards
from snnbridge_plugins.torch.tensors import read_tensors
from snnbridge_plugins.torch.trees import Notes, Plain

#: Keys under which training scripts keep the state dict, the usual one first.
NETS = (
    "state_dict", "model_state_dict", "net_state_dict", "model", "net", "network", "model_state",
    "module", "params", "weights",
)  # fmt: skip


def read_tree(source: Source, *, verify: bool) -> tuple[Contents, Any, Notes]:
    """Read a file of ``torch.save``; return it, its tree in plain form and the notes on that."""
    contents = read_contents(source.data, verify=verify, limits=Limits())
    plain = Plain(source.size)
    return contents, plain.tree(contents.tree), plain.notes


def read_state_dict(source: Source) -> dict[str, Array]:
    """Read the tensors of a state dict, whatever else the file holds and of whatever kind it is.

    Raises
    ------
    ReadError
        If there is no state dict.
    """
    if source.read(0, 1) == b"{":
        return read_shards(source).tensors
    if source.read(8, 1) == b"{":
        return read_tensors(source.data)[0]
    tree = read_tree(source, verify=False)[1]
    at = find(tree, None)
    state = tree[at[0]] if at else tree
    return {key: value for key, value in state.items() if isinstance(value, np.ndarray)}


def find(tree: Any, net: str | None) -> tuple[str, ...]:
    """Return where a state dict stands in a tree: at the top, or one key below it.

    Parameters
    ----------
    tree
        Plain.
    net : str, optional
        The key, if the user names it; ``.`` for the top.

    Raises
    ------
    ReadError
        If there is none, or no single one.
    OptionError
        If there is none under the key.
    """
    if not isinstance(tree, Mapping):
        what = "one tensor" if isinstance(tree, np.ndarray) else f"a {type(tree).__name__}"
        raise ReadError(
            f"the file holds {what}; expected a state dict: torch.save(net.state_dict(), path)"
        )
    if net is not None:
        if net != "." and not isinstance(tree.get(net), Mapping):
            raise OptionError(f"net={net!r}: the file has {_keys(tree)} at its top")
        return () if net == "." else (net,)
    if _is_state_dict(tree):
        return ()
    usual = [key for key in NETS if isinstance(tree.get(key), Mapping)]
    found = usual[:1] or [k for k, v in tree.items() if _is_state_dict(v) and k != "optimizer"]
    at_top = [key for key, value in tree.items() if isinstance(value, np.ndarray)]
    if not found and at_top:
        others = ", ".join(repr(key) for key in tree if key not in at_top)
        raise ReadError(
            f"the tensors {', '.join(map(repr, at_top[:3]))}{', ...' * (len(at_top) > 3)} stand at "
            f"the top beside {others:.200}, which no state dict has; read it with net=. or save "
            "the state dict alone"
        )
    if not found:
        raise ReadError(
            f"the file has {_keys(tree)} at its top, and neither it nor what stands there is a "
            "state dict, names with tensors; save net.state_dict()"
        )
    if len(found) > 1:
        raise ReadError(
            f"{len(found)} parts of the file look like a state dict; it has {_keys(tree)} at its "
            "top, say with net=KEY which it is"
        )
    return (found[0],)


def beside(tree: Any, at: tuple[str, ...]) -> list[str]:
    """Return the keys of further state dicts beside the one that is read."""
    if not at:
        return []
    return [key for key, value in tree.items() if value and key not in at and _is_state_dict(value)]


def _keys(tree: Mapping[str, Any]) -> str:
    shown = ", ".join(repr(key) for key in list(tree)[:8])
    return f"the keys {shown}{', ...' if len(tree) > 8 else ''}" if tree else "nothing"


def _is_state_dict(tree: Any) -> bool:
    return isinstance(tree, Mapping) and all(
        isinstance(value, np.ndarray) or key.endswith("_extra_state") for key, value in tree.items()
    )
