"""A plain tree as a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    Conv1d,
    Conv2d,
    Linear,
    Neuron,
    SNNCheckpoint,
    SourceInfo,
    Synapse,
)
from snnbridge.document import AS_IT_IS
from snnbridge.model import Path
from snnbridge_plugins.torch.finding import beside, find
from snnbridge_plugins.torch.found import Found
from snnbridge_plugins.torch.modules import layers_of
from snnbridge_plugins.torch.to_tree import NAME, in_order, native_of
from snnbridge_plugins.torch.trees import Notes, as_json


def checkpoint_of(tree: Any, notes: Notes, net: str | None = None) -> SNNCheckpoint:
    """Read a plain tree as a checkpoint.

    Parameters
    ----------
    tree
        JSON values and arrays.
    notes : Notes
    net : str, optional
        The key under which the state dict stands; ``.`` for the whole tree.

    Raises
    ------
    ReadError
        If there is no state dict, or no single one.
    CheckpointError
        If its arrays do not fit each other.
    """
    at = find(tree, net)
    state: Any = tree[at[0]] if at else tree
    found = layers_of({k: v for k, v in state.items() if _is_of_a_module(k, v)})
    found.others.update((k, v) for k, v in state.items() if not _is_of_a_module(k, v))
    others = beside(tree, at) if net is None else []
    rest = {key: value for key, value in tree.items() if key not in at} if at else {}
    checkpoint = SNNCheckpoint(
        found.layers,
        state=found.state,
        step=UNKNOWN if found.state else None,
        training=rest,
        ties=_ties(found, state),
        source=SourceInfo(
            framework=found.framework, notes=(*found.notes, *_absent(found), *_beside(at, others))
        ),
    )
    layout = _layout(checkpoint, found, state, tree, at, notes)
    checkpoint.extras = {NAME: layout} if layout else {}
    return checkpoint


#: Frameworks whose neurons have no keys, but for those of some classes.
_KEYLESS = ("norse", "spikingjelly")


def _beside(at: tuple[str, ...], others: list[str]) -> Iterator[str]:
    """Say so where another state dict might have been meant."""
    if others:
        keys = ", ".join(map(repr, others[:8]))
        yield f"the net is read from {at[0]!r}; net=KEY (--net KEY) takes another: {keys}"


def _absent(found: Found) -> Iterator[str]:
    """Say so where a net may have neurons of which a state dict holds nothing."""
    neurons = any(isinstance(x, Neuron | Synapse) for x in found.layers.values())
    weighted = any(isinstance(x, Linear | Conv1d | Conv2d) for x in found.layers.values())
    if weighted and (not neurons or found.framework in _KEYLESS):
        yield (
            f"the keys are those of {'some' if neurons else 'no'} neurons: those of Norse and "
            "SpikingJelly keep none; a spec adds each by its name and class, as "
            '[layers.lif1] with class = "norse.LIFCell"'
        )


def _is_of_a_module(key: str, value: Any) -> bool:
    """Whether it is a module's array; no module of torch is called "" unless it is the root."""
    return isinstance(value, np.ndarray) and not key.startswith(".")


def _ties(found: Found, state: Mapping[str, Any]) -> list[list[Path]]:
    """Return the parameters that share their memory in the file."""
    together: dict[Any, list[Path]] = {}
    for key, (path, _) in found.places.items():
        array = state[key]
        if path[0] == "layers" and array.size:
            memory = array.__array_interface__["data"][0], array.shape, array.strides, array.dtype
            paths = together.setdefault(memory, [])
            paths += [path[1:]] if path[1:] not in paths else []
    return [paths for paths in together.values() if len(paths) > 1]


def _layout(
    checkpoint: SNNCheckpoint,
    found: Found,
    state: Mapping[str, Any],
    tree: Mapping[str, Any],
    at: tuple[str, ...],
    notes: Notes,
) -> dict[str, Any]:
    """Note what :func:`native_of` would not do by itself."""
    layout: dict[str, Any] = {"others": found.others} if found.others else {}
    if at != native_of(checkpoint).net:
        layout["net"] = list(at)
    if notes != {at: {"is": "OrderedDict"}}:
        layout["types"] = as_json(notes)
    checkpoint.extras = {NAME: layout}
    usual = {entry.key: (entry.path, entry.form) for entry in in_order(checkpoint, layout)}
    stands = {key: found.places.get(key, (None, AS_IT_IS)) for key in state}
    if list(usual) != list(state) or usual != stands:
        layout["keys"] = [
            [key, list(path), form.as_json]
            for key in state
            for path, form in [found.places.get(key, ((), AS_IT_IS))]
        ]
    if at and list(native_of(checkpoint).tree) != list(tree):
        layout["order"] = list(tree)
    return layout
