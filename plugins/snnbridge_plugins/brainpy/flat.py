"""The flat files of ``save_states`` up to BrainPy 2.4.5: one array for each variable.

Variables that are one object stand once; ``duplicate_keys`` names the others, and
``duplicate_targets`` for each of them the one that is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge import ReadError, SNNCheckpoint
from snnbridge.model import Array
from snnbridge.node_trees import from_tree, to_tree
from snnbridge.storage import Limits, ZipReader
from snnbridge.storage.hdf5 import Dataset, Group, open_file
from snnbridge_plugins.brainpy.head import DUPLICATES


def read_archive(data: memoryview, options: Mapping[str, Any], limits: Limits) -> SNNCheckpoint:
    """Read an ``.npz`` file of ``save_states``."""
    archive = ZipReader(data, limits=limits)
    names = [name for name in archive.names if name.endswith(".npy")]
    arrays = {name.removesuffix(".npy"): archive.array(name) for name in names}
    keys, targets = ([str(x) for x in arrays.pop(name, ())] for name in DUPLICATES)
    return _from_flat(arrays, keys, targets, options)


def read_hdf5(data: memoryview, options: Mapping[str, Any], limits: Limits) -> SNNCheckpoint:
    """Read an ``.h5`` file of ``save_states``: datasets at its root, as views."""
    root = open_file(data, limits=limits)
    keys, targets = (_joined(root, name) for name in DUPLICATES)
    arrays = {name: _array(root, name) for name in root if name not in DUPLICATES}
    return _from_flat(arrays, keys, targets, options)


def _from_flat(
    arrays: dict[str, Any], keys: list[str], targets: list[str], options: Mapping[str, Any]
) -> SNNCheckpoint:
    missing = [target for target in targets if target not in arrays]
    if missing or len(keys) != len(targets):
        raise ReadError(
            f"{DUPLICATES[1]} names {missing[0] if missing else targets!r}, which is no variable"
        )
    found = {**arrays, **{key: arrays[target] for key, target in zip(keys, targets, strict=True)}}
    checkpoint = from_tree(found, **{"net": ".", **options})
    native = to_tree(checkpoint)
    paths = {at[-1]: path for path, (at, _) in native.places.items() if path[0] == "layers"}
    groups: dict[str, set[tuple[str, ...]]] = {}
    for key, target in zip((*keys, *targets), (*targets, *targets), strict=True):
        if key in paths:
            groups.setdefault(target, set()).add(paths[key][1:])
    ties = tuple(frozenset(tie) for tie in groups.values() if len(tie) > 1)
    # The tree of the newer releases is nested, and so is what this checkpoint becomes there.
    return replace(checkpoint, extras={}, ties=ties)


def _joined(root: Group, name: str) -> list[str]:
    """Read names that are joined by ``+`` in one text."""
    dataset = root.get(name)
    if not isinstance(dataset, Dataset) or dataset.shape != ():
        return []
    text = dataset.text()
    return text.split("+") if text else []


def _array(root: Group, name: str) -> Array:
    dataset = root[name]
    if not isinstance(dataset, Dataset) or dataset.dtype.hasobject:
        raise ReadError(f"{name!r} is no array; expected one for each variable")
    return dataset.read()
