"""Looking at the structure of any other file, with the HDF5 library.

The library sees the mapped bytes, never a path: no other file can be reached through it. Every
link is looked at before what it leads to is opened, and nothing that could reach out of the
file, or run a plugin, is opened at all: soft and external links, external and virtual storage,
references, variable-length and named datatypes. No element and no label is read here but the
few bytes that a compact dataset keeps in its header.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from snnbridge.errors import ReadError
from snnbridge_plugins.hdf5.description import Chunks, Description, Stored
from snnbridge_plugins.hdf5.schema import DEPTH

_OBJECT_BYTES = 40
_CHUNK_BYTES = 8
_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)


def structure(data: memoryview) -> Description:
    """Look at every group and dataset of a file.

    Parameters
    ----------
    data : memoryview
        The whole file.

    Returns
    -------
    dict of str to Stored
        The datasets by path; not yet checked against the bytes that are there.

    Raises
    ------
    ReadError
        For a file that HDF5 cannot read, or one of the things above.
    """
    import h5py

    try:
        with h5py.File(_Bytes(data), "r") as file:
            return dict(_datasets(file.id, len(data)))
    except ReadError:
        raise
    except _ERRORS as error:
        raise ReadError(f"the HDF5 library cannot read its structure: {error}") from error


class _Bytes(io.RawIOBase):
    """Mapped bytes as a file that can be read."""

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


def _datasets(root: Any, size: int) -> Iterator[tuple[str, Stored]]:
    from h5py import h5d, h5g, h5o

    seen: set[int] = set()
    pending = [("", root)]
    while pending:
        path, group = pending.pop()
        if path.count("/") > DEPTH:
            raise ReadError(f"group {path[:80]!r}... lies more than {DEPTH} groups deep")
        for name in _hard_links(group, path, size // _OBJECT_BYTES):
            here = f"{path}/{name.decode()}"
            info = h5o.get_info(group, name)
            if info.rc != 1 or info.addr in seen:
                raise ReadError(f"{here!r} has several hard links; expected one")
            seen.add(info.addr)
            if len(seen) * _OBJECT_BYTES > size:
                raise ReadError(f"it has more than {len(seen)} objects, too many for {size} bytes")
            if info.type == h5o.TYPE_GROUP:
                pending.append((here, h5g.open(group, name)))
            elif info.type == h5o.TYPE_DATASET:
                yield here, _stored(h5d.open(group, name), here, size)
            else:
                raise ReadError(f"{here!r} is a named datatype; expected a group or a dataset")


def _hard_links(group: Any, path: str, most: int) -> list[bytes]:
    """List the links of a group, one more than `most` at most; all must be hard."""
    from h5py import h5l

    found: list[tuple[bytes, int]] = []

    def visit(name: bytes, info: Any) -> bool | None:  # must not raise: it is called from C
        found.append((name, info.type))
        return True if len(found) > most else None

    group.links.iterate(visit, info=True)
    for name, kind in found:
        if kind != h5l.TYPE_HARD:
            raise ReadError(
                f"{path + '/' + name.decode(errors='replace')!r} is a soft or external link; "
                "expected groups and datasets only"
            )
    return [name for name, _ in found]


def _stored(dataset: Any, path: str, size: int) -> Stored:
    from h5py import h5d, h5s

    settings = dataset.get_create_plist()
    layout = settings.get_layout()
    if settings.get_external_count() or layout not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED):
        raise ReadError(f"dataset {path!r} has external or virtual storage; expected its own")
    space = dataset.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        raise ReadError(f"dataset {path!r} has no dataspace; expected a shape")
    dtype = _dtype(dataset.get_type(), path)
    stored = Stored(dtype.str, tuple(space.get_simple_extent_dims()))
    if layout == h5d.CHUNKED:
        return stored._replace(chunks=_chunks(dataset, settings, size))
    if layout == h5d.COMPACT:
        return stored._replace(data=_compact(dataset, stored))
    offset = dataset.get_offset()
    if stored.nbytes and (offset is None or dataset.get_storage_size() != stored.nbytes):
        raise ReadError(
            f"dataset {path!r} of shape {stored.shape} has {dataset.get_storage_size()} bytes of "
            f"storage; expected {stored.nbytes}"
        )
    return stored._replace(offset=offset or 0)


def _dtype(datatype: Any, path: str) -> np.dtype[Any]:
    """Tell the dtype of numbers, booleans, complex numbers and text of a fixed length."""
    from h5py import h5t

    plain = (
        h5t.INTEGER,
        h5t.FLOAT,
        h5t.ENUM,
        h5t.COMPOUND,
        h5t.STRING,
        getattr(h5t, "COMPLEX", -1),
    )
    if datatype.get_class() not in plain or datatype.committed():
        raise ReadError(
            f"dataset {path!r} has a datatype that is not read here; expected numbers, booleans "
            "or text of a fixed length"
        )
    if datatype.get_class() == h5t.STRING:
        if datatype.is_variable_str():
            raise ReadError(f"dataset {path!r} has text of variable length; expected a fixed one")
        return np.dtype(f"S{datatype.get_size()}")
    dtype: np.dtype[Any] = datatype.dtype
    if dtype.kind not in "iufcb" or h5t.py_create(dtype, logical=True) != datatype:
        raise ReadError(f"dataset {path!r} has the datatype {dtype}, which is not read here")
    return dtype


def _compact(dataset: Any, stored: Stored) -> bytes:
    from h5py import h5s

    data = np.empty(stored.shape, stored.dtype)
    dataset.read(h5s.ALL, h5s.ALL, data, dataset.get_type())
    return data.tobytes()


def _chunks(dataset: Any, settings: Any, size: int) -> Chunks:
    filters = tuple(settings.get_filter(i)[0] for i in range(settings.get_nfilters()))
    found: list[tuple[tuple[int, ...], int, int, int]] = []
    most = size // _CHUNK_BYTES

    def visit(info: Any) -> bool | None:
        found.append((info.chunk_offset, info.byte_offset, info.size, info.filter_mask))
        return True if len(found) > most else None

    dataset.chunk_iter(visit)
    return Chunks(tuple(settings.get_chunk()), filters, found)
