"""The nodes of a checkpoint as ``brainpy.save_state`` gives them, and the way back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import Array, Path, SNNCheckpoint, StateVariable, with_parameter
from snnbridge.node_trees.writing import StateDict, to_tree


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
        If an array has another shape than the one that it replaces, or a dtype of another kind;
        nothing is changed then.

    Warns
    -----
    UserWarning
        If values are rounded to the dtype that the checkpoint holds.
    """
    native = to_tree(checkpoint)
    changes: dict[Path, Array] = {}
    for path, (at, form) in native.places.items():
        depth = len(at) - len(native.net)
        if path[0] == "training" or len(path) > 3 or depth > 2:
            continue
        node = at[-2] if depth == 2 else path[1]
        if at[-1] in given.get(node, {}):
            array = _as_array(given[node][at[-1]])
            held = form.stored(_held(checkpoint, path))
            if array.shape != held.shape:
                raise CheckpointError(
                    f"{at[-1]!r} must have the shape {held.shape}, found {array.shape}; nothing "
                    "was loaded"
                )
            changes[path] = form.held(_cast(array, held.dtype, at[-1]))
    for path, array in changes.items():
        _put(checkpoint, path, array)


def _as_array(value: Any) -> Array:
    """Take an array out of BrainPy's wrapper; one of JAX becomes a view."""
    return np.asarray(value if isinstance(value, np.ndarray) else getattr(value, "value", value))


def _cast(array: Array, dtype: np.dtype[Any], key: str) -> Array:
    """Give an array the dtype of the one that it replaces: a network's is not changed by a load."""
    if array.dtype == dtype:
        return array
    known = {array.dtype.isbuiltin, dtype.isbuiltin} <= {0, 1}  # to numpy; not those of ml_dtypes
    if known and not np.can_cast(array.dtype, dtype, "same_kind"):
        raise CheckpointError(
            f"{key!r} must have the dtype {dtype}, found {array.dtype}; nothing was loaded"
        )
    cast = array.astype(dtype)
    if not np.array_equal(cast.astype(array.dtype), array, equal_nan=array.dtype.kind in "fc"):
        warnings.warn(
            f"{key!r}: {array.dtype} was rounded to {dtype}, the dtype that the checkpoint holds",
            stacklevel=4,
        )
    return cast


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
