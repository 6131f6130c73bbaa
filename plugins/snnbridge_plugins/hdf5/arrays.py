"""Fetching what the documents refer to: arrays over the mapped file, and the documents."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnbridge import IntegrityError, ReadError
from snnbridge.document import dtype_of
from snnbridge.model import Array, Shape
from snnbridge.storage import Limits, parse_json
from snnbridge.storage.hdf5 import Dataset
from snnbridge_plugins.hdf5.checksum import Checksum
from snnbridge_plugins.hdf5.datatypes import encoding_of
from snnbridge_plugins.hdf5.schema import CHECKPOINT, SECTIONS
from snnbridge_plugins.hdf5.seal import Seal

_NOTHING: list[Any] = [None, None, None, None]
_MANY = 1 << 48


class Arrays:
    """The datasets of a file, each read when it is first asked for.

    Parameters
    ----------
    data : memoryview
        The whole file.
    datasets : dict of str to Dataset
        By path.
    sealed : Seal or None
    limits : Limits
        For the documents.
    check : bool
        Whether arrays are compared with their checksums.

    Raises
    ------
    ReadError
        If they are to be compared and there are none.
    """

    def __init__(
        self,
        data: memoryview,
        datasets: dict[str, Dataset],
        sealed: Seal | None,
        limits: Limits,
        *,
        check: bool,
    ) -> None:
        if check and sealed is None:
            raise ReadError(
                "the file has no checksums, because another program wrote or changed it; read it "
                "without the option 'check'"
            )
        self._data = data
        self._datasets = datasets
        self._checksums = sealed.arrays if check and sealed is not None else None
        self._limits = limits
        self._used = {CHECKPOINT, *SECTIONS.values()}
        self._flat: dict[tuple[str | None, str | None], tuple[Array, Shape]] = {}

    def unused(self) -> list[str]:
        """Return the paths of the datasets that nobody asked for."""
        return sorted(self._datasets.keys() - self._used)

    def json(self, path: str) -> Any:
        """Return a document.

        Raises
        ------
        ReadError
            If it is not there, or not JSON.
        """
        stored = self._stored(path)
        if stored.dtype.kind != "S" or stored.shape:
            raise ReadError(f"{path!r} must be one text, found {stored.dtype} {stored.shape}")
        text = stored.read().tobytes().rstrip(b"\0")
        return parse_json(text, where=f"document {path!r}", limits=self._limits)

    def fetch(self, reference: Any) -> Array:
        """Return the array that a reference leads to, read-only.

        Parameters
        ----------
        reference : list
            Up to four: the path of a dataset; the first element and the shape of an array that
            is a part of it; the name of the dtype as which its elements are seen.

        Raises
        ------
        ReadError
            If there is no such dataset, or the reference does not fit it.
        """
        if not isinstance(reference, list) or not 1 <= len(reference) <= 4:
            raise ReadError(f"{reference!r} does not refer to an array")
        path, start, lengths, name = reference + _NOTHING[len(reference) :]
        try:
            flat, shape = self._flat.get((path, name)) or self._open(path, name)
            if lengths is None:
                return flat.reshape(shape)
            return _part(flat, start, lengths, path)
        except ReadError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise ReadError(f"{reference!r} does not refer to an array: {error}") from error

    def _stored(self, path: str) -> Dataset:
        if path not in self._datasets:
            raise ReadError(f"there is no dataset {path!r}; the file is damaged or of another kind")
        return self._datasets[path]

    def _open(self, path: str | None, name: str | None) -> tuple[Array, Shape]:
        """Return all elements of a dataset along one axis, and their shape."""
        if path is None:
            return _without_bytes(name)
        stored = self._stored(path)
        self._check(stored)
        flat, shape = stored.read().reshape(-1), stored.shape
        if name is not None:
            dtype, tail = _seen_as(stored, name)
            shape = shape[: len(shape) - len(tail)]
            flat = flat.astype(flat.dtype.newbyteorder("<"), copy=False).view(dtype)
        self._used.add(path)
        self._flat[path, name] = flat, shape
        return flat, shape

    def _check(self, stored: Dataset) -> None:
        """Compare an array's bytes with their checksum; documents belong to the structure."""
        if self._checksums is None or not stored.nbytes:
            return
        offset = min(offset for offset, _ in stored.extents())
        if offset in self._checksums:
            size, stated = self._checksums[offset]
            found = Checksum()
            found.add(self._data[offset : offset + size])
            if found.value() != stated:
                raise IntegrityError(
                    f"dataset {stored.path!r} has another checksum than the seal states; it was "
                    "damaged"
                )


def _without_bytes(name: object) -> tuple[Array, Shape]:
    """Stand for any number of elements of no bytes, such as empty text."""
    dtype = dtype_of(name) if isinstance(name, str) else None
    if dtype is None or dtype.itemsize:
        raise ReadError(f"an array of dtype {name!r} has no dataset")
    return np.ndarray((_MANY,), dtype), (_MANY,)


def _seen_as(stored: Dataset, name: object) -> tuple[np.dtype[Any], Shape]:
    """Return the dtype of that name and the axes that one element fills."""
    if not isinstance(name, str):
        raise ReadError(f"a reference to {stored.path!r} has the dtype {name!r}; expected a name")
    dtype = dtype_of(name)
    found = stored.dtype.newbyteorder("<")
    if dtype.itemsize:
        expected = encoding_of(dtype)
        tail = stored.shape[len(stored.shape) - len(expected.tail) :]
        if expected.dtype == found and tail == expected.tail:
            return dtype.newbyteorder("<"), expected.tail
    raise ReadError(f"dataset {stored.path!r} of {found} {stored.shape} cannot be seen as {name!r}")


def _part(flat: Array, start: int, lengths: list[int], path: str) -> Array:
    count = 1
    for length in lengths:
        if type(length) is not int or length < 0:
            raise ReadError(f"{lengths!r} is no shape; expected whole numbers of at least 0")
        count *= length
    stop = start + count
    if type(start) is not int or not 0 <= start <= stop <= len(flat):
        raise ReadError(f"an array lies at {start!r} of {path!r}, which has {len(flat)} elements")
    return flat[start:stop].reshape(lengths)
