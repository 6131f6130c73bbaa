"""Attributes: small values that belong to a group or a dataset."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snnbridge.errors import ReadError
from snnbridge.storage.arrays import shape_problem, view
from snnbridge.storage.hdf5.constants import ATTRIBUTE, ATTRIBUTE_INFO, UNDEFINED
from snnbridge.storage.hdf5.datatypes import TEXT, parse_datatype
from snnbridge.storage.hdf5.dense import dense_messages
from snnbridge.storage.hdf5.headers import read_header
from snnbridge.storage.hdf5.heaps import GlobalHeap
from snnbridge.storage.hdf5.image import About, Image
from snnbridge.storage.hdf5.messages import parse_space

_HEAD = struct.Struct("<BBHHH")


class Attributes(Mapping[str, Any]):
    """The attributes of one element; a value is read when it is asked for.

    Values are ``bool``, ``int``, ``float``, ``complex`` and ``str``, or arrays of them; None
    stands for a value without a shape.

    Parameters
    ----------
    image : Image
    heap : GlobalHeap
    path : str
        Of the element.
    address : int
        Of the element's header.
    """

    def __init__(self, image: Image, heap: GlobalHeap, path: str, address: int) -> None:
        self._image = image
        self._heap = heap
        self._path = path
        self._address = address
        self._parts: dict[str, tuple[bytes, bytes, bytes]] | None = None

    def __repr__(self) -> str:
        return f"<attributes of {self._path!r}>"

    def __getitem__(self, name: str) -> Any:
        datatype, space, data = self._found()[name]
        with About(f"{self._path}@{name}"):
            return self._value(datatype, space, data)

    def __contains__(self, name: object) -> bool:
        return name in self._found()

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def _found(self) -> dict[str, tuple[bytes, bytes, bytes]]:
        if self._parts is None:
            with About(self._path):
                self._parts = dict(map(_divided, self._messages()))
        return self._parts

    def _messages(self) -> Iterator[bytes]:
        header = read_header(self._image, self._address, ATTRIBUTE)
        yield from header.several
        if info := header.single.get(ATTRIBUTE_INFO):
            heap, names = struct.unpack_from("<QQ", info, 4 if info[1] & 1 else 2)
            if heap != UNDEFINED:
                yield from dense_messages(self._image, heap, names, attributes=True)

    def _value(self, datatype: bytes, space: bytes, data: bytes) -> Any:
        kind, shape = parse_datatype(datatype), parse_space(space)
        if shape is None:
            return None
        limits = self._image.limits
        if problem := shape_problem(shape.shape, limits.rank, limits.dimension):
            raise ReadError(f"it {problem}")
        if kind.dtype == TEXT:
            texts = list(self._heap.texts(data[: math.prod(shape.shape) * kind.size]))
            array = np.array(texts, TEXT).reshape(shape.shape)
        else:
            array = view(data, kind.dtype, shape.shape, where="it", limits=limits)
        if shape.shape:
            return array
        value = array[()]
        if isinstance(value, bytes):
            return kind.decoded(value)
        return value.item() if isinstance(value, np.generic) else value


def _divided(message: bytes) -> tuple[str, tuple[bytes, bytes, bytes]]:
    """Cut an attribute message into name, datatype, dataspace and data."""
    version, flags, *lengths = _HEAD.unpack_from(message)
    if version not in (1, 2, 3) or (version > 1 and flags & 3):
        raise ReadError(f"an attribute has version {version}, flags {flags}, which is not read")
    parts = []
    at = _HEAD.size + (version == 3)
    for length in lengths:
        parts.append(message[at : at + length])
        at += length + (-length % 8 if version == 1 else 0)
    name, datatype, space = parts
    try:
        return name.rstrip(b"\0").decode(), (datatype, space, message[at:])
    except UnicodeDecodeError as error:
        raise ReadError(f"the attribute {name[:80]!r} is no UTF-8") from error
