"""Groups and datasets that will be written."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnbridge.errors import WriteError
from snnbridge.storage.hdf5.datatypes import TEXT, message
from snnbridge.storage.hdf5.encode import AttributeValue
from snnbridge.storage.limits import Limits

_MOST_AXES = 32
_LONGEST_NAME = 4096
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(slots=True, eq=False)
class NewDataset:
    """A dataset that will be written.

    Parameters
    ----------
    value : numpy.ndarray, str, bytes, or list of numpy.ndarray
        The elements. ``str``, or an array of them (dtype object), becomes text of variable length;
        ``bytes`` one text of fixed length, in UTF-8. The elements of several arrays stand one
        behind the other: for them `dtype` and `shape` are needed.
    attributes : dict of str to str, bool, int or float
    stored_dtype, stored_shape : optional
        What the file says about the elements of arrays, where it is not their own.
    """

    value: NDArray[Any] | str | bytes | list[NDArray[Any]]
    attributes: dict[str, AttributeValue] = field(default_factory=dict)
    stored_dtype: np.dtype[Any] | None = None
    stored_shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.value, np.generic):
            self.value = np.asarray(self.value)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the elements in the file, little-endian."""
        if self.stored_dtype is not None:
            return self.stored_dtype.newbyteorder("<")
        if isinstance(self.value, bytes):
            return np.dtype(f"S{len(self.value)}")
        return self.value.dtype.newbyteorder("<") if isinstance(self.value, np.ndarray) else TEXT

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the elements in the file."""
        if self.stored_shape is not None:
            return self.stored_shape
        return self.value.shape if isinstance(self.value, np.ndarray) else ()

    @property
    def nbytes(self) -> int:
        """The bytes of the elements, before any compression."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def parts(self) -> list[NDArray[Any]]:
        """The arrays whose elements are written; none for text."""
        if isinstance(self.value, np.ndarray):
            return [] if self.value.dtype == TEXT else [self.value]
        return self.value if isinstance(self.value, list) else []

    @property
    def texts(self) -> list[str] | None:
        """The text of variable length that is written; None for anything else."""
        if isinstance(self.value, np.ndarray) and self.value.dtype == TEXT:
            return list(self.value.reshape(-1))
        return [self.value] if isinstance(self.value, str) else None

    def problem(self) -> str | None:
        """Say why it cannot be written, if so."""
        if len(self.shape) > _MOST_AXES:
            return f"has {len(self.shape)} axes; HDF5 knows {_MOST_AXES}"
        if isinstance(self.value, bytes):
            return None if self.value else "is text of no bytes; expected at least one"
        if (texts := self.texts) is not None:
            wrong = [text for text in texts if not _is_text(text) or "\0" in text]
            return f"holds {wrong[0]!r}; expected text without NUL" if wrong else None
        if not self.dtype.itemsize or message(self.dtype) is None:
            return f"has dtype {self.dtype}, which HDF5 lacks; expected numbers, booleans or bytes"
        return None


@dataclass(slots=True, eq=False)
class NewGroup:
    """A group that will be written.

    Parameters
    ----------
    children : dict of str to NewGroup or NewDataset
        In this order.
    attributes : dict of str to str, bool, int or float
    """

    children: dict[str, NewGroup | NewDataset] = field(default_factory=dict)
    attributes: dict[str, AttributeValue] = field(default_factory=dict)


def check_tree(root: NewGroup) -> list[NewDataset]:
    """List the datasets of a tree in its order, after checking that it can be written.

    Raises
    ------
    WriteError
        For a name that no link can have, groups that are too deep, elements that HDF5 lacks.
    """
    found: list[NewDataset] = []
    pending: list[tuple[str, NewGroup | NewDataset, int]] = [("", root, 0)]
    while pending:
        path, item, depth = pending.pop()
        if depth > Limits().depth:
            raise WriteError(f"{path!r} lies more than {Limits().depth} groups deep")
        for name, value in item.attributes.items():
            if not _is_attribute(name, value):
                raise WriteError(f"{path or '/'!r} cannot have the attribute {name!r}: {value!r}")
        if isinstance(item, NewDataset):
            if problem := item.problem():
                raise WriteError(f"{path!r} {problem}")
            found.append(item)
            continue
        for name, child in reversed(item.children.items()):
            if not is_link_name(name):
                raise WriteError(f"{name!r} in {path or '/'!r} cannot be the name of a link")
            pending.append((f"{path}/{name}", child, depth + 1))
    return found


def is_link_name(name: str) -> bool:
    """Whether HDF5 allows a name within a group."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return False
    return _is_text(name) and len(name.encode()) <= _LONGEST_NAME


def _is_attribute(name: str, value: AttributeValue) -> bool:
    if not (0 < len(name) <= _LONGEST_NAME and name.isascii() and "\0" not in name):
        return False
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    return isinstance(value, float) or _is_text(value)


def _is_text(value: object) -> bool:
    """Whether a value is text that UTF-8 can express: without lone surrogates."""
    return isinstance(value, str) and _SURROGATES.search(value) is None
