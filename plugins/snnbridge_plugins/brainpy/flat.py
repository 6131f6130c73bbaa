"""The flat files of ``save_states`` up to BrainPy 2.4.5: one array for each variable.

Variables that are one object stand once; ``duplicate_keys`` names the others, and
``duplicate_targets`` for each of them the one that is there.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from snnbridge import ReadError, SNNCheckpoint
from snnbridge.statedict import from_tree, to_tree
from snnbridge.storage import ZipReader, view
from snnbridge_plugins.brainpy.head import DUPLICATES

_H5PY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


def read_archive(data: memoryview, options: Mapping[str, Any]) -> SNNCheckpoint:
    """Read an ``.npz`` file of ``save_states``."""
    archive = ZipReader(data)
    names = [name for name in archive.names if name.endswith(".npy")]
    arrays = {name.removesuffix(".npy"): archive.array(name) for name in names}
    keys, targets = ([str(x) for x in arrays.pop(name, ())] for name in DUPLICATES)
    return _from_flat(arrays, keys, targets, options)


def read_hdf5(data: memoryview, options: Mapping[str, Any]) -> SNNCheckpoint:
    """Read an ``.h5`` file of ``save_states``: contiguous datasets at its root, as views."""
    import h5py

    try:
        with h5py.File(_Bytes(data), "r") as file:
            keys, targets = (_joined(file, name) for name in DUPLICATES)
            arrays = dict(_datasets(file, data))
    except _H5PY_ERRORS as error:
        raise ReadError(f"the HDF5 library cannot read it: {error}") from error
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


def _joined(file: Any, name: str) -> list[str]:
    """Read names that are joined by ``+`` in one text."""
    dataset = _own(file, name) if name in file else None
    if dataset is None or dataset.shape != ():
        return []
    value = dataset[()]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.split("+") if text else []


def _datasets(file: Any, data: memoryview) -> Iterator[tuple[str, Any]]:
    for name in file:
        if name not in DUPLICATES:
            yield name, _array(name, _own(file, name), data)


def _own(file: Any, name: str) -> Any:
    """Return a dataset that lies in this file, without following a link out of it."""
    import h5py

    link = file.get(name, getlink=True)
    dataset = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ReadError(f"{name!r} is no dataset of this file")
    return dataset


def _array(name: str, dataset: Any, data: memoryview) -> Any:
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    offset = dataset.id.get_offset()
    if offset is None and size:
        raise ReadError(f"the dataset {name!r} is not stored in one piece")
    return view(data, dataset.dtype, dataset.shape, offset or 0, where=f"the dataset {name!r}")


class _Bytes(io.RawIOBase):
    """Mapped bytes as a file, so that the library reaches no other."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        piece = self._data[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
