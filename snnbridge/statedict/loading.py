"""The nodes of a checkpoint as ``brainpy.save_state`` gives them, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import Array, Path, SNNCheckpoint, StateVariable
from snnbridge.model.checkpoint import with_parameter
from snnbridge.statedict.writing import StateDict, to_tree


def nodes_in(checkpoint: SNNCheckpoint) -> dict[str, dict[str, Any]]:
    """Return a checkpoint's arrays node by node, also where its file was flat.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Linear
    >>> list(nodes_in(SNNCheckpoint([Linear("fc", np.zeros((2, 3)))])))
    ['fc']
    """
    return _nodes(to_tree(checkpoint))


def _nodes(native: StateDict) -> dict[str, dict[str, Any]]:
    net: Any = native.tree
    for key in native.net:
        net = net[key]
    found: dict[str, dict[str, Any]] = {}
    for key, value in net.items():
        if isinstance(value, dict):
            found[key] = value
        elif isinstance(value, np.ndarray):
            found.setdefault(key.partition(".")[0], {})[key] = value
    return found


def put_nodes(checkpoint: SNNCheckpoint, given: Mapping[str, Mapping[str, Any]]) -> None:
    """Put arrays, node by node, in the place of a checkpoint's; what is not given stays.

    Raises
    ------
    CheckpointError
        If an array has another shape than the one that it replaces; nothing is changed then.
    """
    native = to_tree(checkpoint)
    changes: dict[Path, Array] = {}
    for path, (at, form) in native.places.items():
        if path[0] == "training" or len(path) > 3:
            continue
        node = at[-2] if len(at) > len(native.net) + 1 else path[1]
        if at[-1] in given.get(node, {}):
            array = _as_array(given[node][at[-1]])
            expected = form.stored(_held(checkpoint, path)).shape
            if array.shape != expected:
                raise CheckpointError(
                    f"{at[-1]!r} must have the shape {expected}, found {array.shape}; nothing "
                    "was loaded"
                )
            changes[path] = form.held(array)
    for path, array in changes.items():
        _put(checkpoint, path, array)


def _as_array(value: Any) -> Array:
    """Take an array out of BrainPy's wrapper; one of JAX becomes a view."""
    return np.asarray(value if isinstance(value, np.ndarray) else getattr(value, "value", value))


def _held(checkpoint: SNNCheckpoint, path: Path) -> Any:
    kind, name, key = path
    if kind == "state":
        return checkpoint.state[name, key].value
    return checkpoint.layers[name].parameters[key].value


def _put(checkpoint: SNNCheckpoint, path: Path, array: Array) -> None:
    kind, name, key = path
    if kind == "state":
        axis = checkpoint.state[name, key].batch_axis
        checkpoint.state[name, key] = StateVariable(array, axis)
    else:
        checkpoint.layers[name] = with_parameter(checkpoint.layers[name], key, array)
