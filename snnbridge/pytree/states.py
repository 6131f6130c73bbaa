"""The state of a network, node by node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from snnbridge.model import SNNCheckpoint
from snnbridge.node_trees import (
    RESERVED,
    is_net,
    nodes_in,
    nodes_of,
    put_nodes,
    put_state,
    state_of,
)


class StateLoadResult(NamedTuple):
    """What did not fit while a state was loaded.

    Attributes
    ----------
    missing_keys : list of str
        What the target has and the state dict has not: ``Dense0``, or ``Dense0.Dense0.b``.
    unexpected_keys : list of str
        What the state dict has and the target has not.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


def save_state(target: Any) -> dict[str, dict[str, Any]]:
    """Return the whole state of a network, node by node.

    Parameters
    ----------
    target : SNNCheckpoint or a network of BrainPy

    Returns
    -------
    dict of str to dict of str to array
        Of BrainPy what ``brainpy.save_state`` returns. Of a checkpoint ``{"fc": {"fc.W": ...,
        "fc.b": ...}, "lif": {"lif.V": ...}}`` with the weights as (in, out) views.

    Raises
    ------
    TypeError
        If it is neither.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Linear
    >>> save_state(SNNCheckpoint([Linear("fc", np.zeros((1, 2)))]))
    {'fc': {'fc.W': array([[0.],
           [0.]])}}
    """
    if isinstance(target, SNNCheckpoint):
        return nodes_in(target)
    if not is_net(target):
        raise TypeError(
            f"expected a network of BrainPy or an SNNCheckpoint, found {type(target).__name__!r}"
        )
    return {name: state_of(node) for name, node in nodes_of(target).items()}


def load_state(target: Any, state_dict: Mapping[str, Mapping[str, Any]]) -> StateLoadResult:
    """Put a state into a network, in place.

    Parameters
    ----------
    target : SNNCheckpoint or a network of BrainPy
    state_dict : mapping
        As :func:`save_state` returns it, or :func:`load_pytree` loads it.

    Returns
    -------
    StateLoadResult
        Nodes of the state dict that the target does not have are unexpected, unless they are
        empty, as integrators are.

    Raises
    ------
    CheckpointError
        If an array has another shape than the checkpoint's, or a dtype of another kind; nothing
        is changed then.
    TypeError
        If `target` is neither a network nor a checkpoint.

    Warns
    -----
    UserWarning
        If values are rounded to the dtype that the checkpoint holds, which stays.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Linear
    >>> checkpoint = SNNCheckpoint([Linear("fc", np.zeros((1, 2), np.float32))])
    >>> load_state(checkpoint, {"fc": {"fc.W": np.ones((2, 1))}})
    StateLoadResult(missing_keys=[], unexpected_keys=[])
    >>> checkpoint.weights[0]
    array([[1., 1.]], dtype=float32)
    """
    result = _compared(save_state(target), state_dict)
    if isinstance(target, SNNCheckpoint):
        put_nodes(target, state_dict)
        return result
    for name, node in nodes_of(target).items():
        if name in state_dict:
            put_state(node, dict(state_dict[name]))
    return result


def _compared(
    own: Mapping[str, Mapping[str, Any]], given: Mapping[str, Mapping[str, Any]]
) -> StateLoadResult:
    missing: list[str] = []
    unexpected: list[str] = []
    for name, entries in own.items():
        if name not in given:
            missing.append(name)
            continue
        missing += [f"{name}.{key}" for key in entries if key not in given[name]]
        unexpected += [f"{name}.{key}" for key in given[name] if key not in entries]
    unexpected += [name for name, x in given.items() if name not in own and _counts(name, x)]
    return StateLoadResult(missing, unexpected)


def _counts(name: str, entries: object) -> bool:
    return name != RESERVED and not (isinstance(entries, Mapping) and not entries)
