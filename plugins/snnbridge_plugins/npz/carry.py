"""How an array travels in a member, and what of it SC-NeuroCore 3.16 gives back.

Loading and saving there turns every array into a matrix of finite float64. What survives that
bit for bit travels as a matrix of its own dtype; everything else as the bytes of its elements,
whole numbers from 0 to 255, row by row.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from snnbridge import ReadError
from snnbridge.document import dtype_name as _dtype_name
from snnbridge.document import dtype_of, from_inline, inline
from snnbridge.model import Array

dtype_name = cache(_dtype_name)  # numpy takes microseconds to make up a name

_BLOCK = 1 << 16
_EXACT = 1 << 53
#: Arrays of at most this many bytes stand in the document itself.
INLINE = 1024


def is_portable(array: Array) -> bool:
    """Whether float64 holds every element of an array, so that 3.16 takes and keeps it."""
    dtype = array.dtype
    if not is_numpy(dtype) or dtype.itemsize > 8 or dtype.kind not in "fiu":
        return False
    if dtype.kind != "f" and dtype.itemsize < 8:
        return True
    is_held = _is_finite if dtype.kind == "f" else _is_exact
    if array.size <= _BLOCK:
        return array.size == 0 or is_held(array)
    return all(map(is_held, _blocks(array)))


def _is_finite(block: Array) -> bool:
    return bool(np.isfinite(block).all())


def _is_exact(block: Array) -> bool:
    return int(block.min()) >= -_EXACT and int(block.max()) <= _EXACT


def is_numpy(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is one of numpy's own, in any byte order."""
    return dtype.type.__module__ == "numpy"


def _blocks(array: Array) -> list[Array]:
    """Cut a large array along its slowest axis into parts that fit the cache."""
    steps = zip(array.strides, array.shape, strict=True)
    axis = int(np.argmax([abs(step) if n > 1 else -1 for step, n in steps]))
    parts = min(array.shape[axis], -(-array.size // _BLOCK))
    return np.array_split(array, parts, axis)


def as_matrix(array: Array) -> Array:
    """Return an array with two axes, the first one as it is: ``(out, in * height * width)``."""
    if array.ndim == 2:
        return array
    rows = array.shape[0] if array.ndim else 1
    columns = math.prod(array.shape[1:])
    return array.reshape(rows, columns)


def as_bytes(array: Array) -> Array:
    """Return the bytes of an array's elements, little-endian in C order, as rows of uint8."""
    matrix = np.ascontiguousarray(as_matrix(array), dtype=array.dtype.newbyteorder("<"))
    rows, columns = matrix.shape
    return matrix.reshape(-1).view(np.uint8).reshape(rows, columns * array.dtype.itemsize)


@dataclass(slots=True)
class Carried:
    """One array and the member in which it travels.

    Parameters
    ----------
    array : array
        As the checkpoint holds it.
    strict : bool
        Whether 3.16 must take the member.
    reference : dict
        What the document says of it; complete after :meth:`stored`.
    """

    array: Array
    strict: bool
    reference: dict[str, Any] = field(default_factory=dict)
    _as_numbers: bool | None = None

    def stored(self) -> Array:
        """Return the array that is written."""
        self.reference["dtype"] = dtype_name(self.array.dtype)
        if not self.travels_as_numbers():
            self.reference["bytes"] = True
            member = as_bytes(self.array)
        elif self.strict:
            member = as_matrix(self.array)
        else:
            member = self.array
        if member.shape != self.array.shape:
            self.reference["shape"] = list(self.array.shape)
        return member

    def travels_as_numbers(self) -> bool:
        """Whether the member has the array's own dtype."""
        if self._as_numbers is None:
            dtype = self.array.dtype
            native = is_numpy(dtype) and dtype.kind in "biufc"
            self._as_numbers = is_portable(self.array) if self.strict else native
        return self._as_numbers


def is_inline(array: Array) -> bool:
    """Whether an array stands in the document instead of a member."""
    return array.nbytes <= INLINE


def inlined(array: Array) -> dict[str, Any]:
    """Return the reference of an array that stands in the document."""
    return {"inline": inline(array)}


@dataclass(slots=True)
class Members:
    """The arrays of an archive as they are stored, and what reading them showed.

    Parameters
    ----------
    arrays : list of arrays
        Those of the members ``layer_0`` ...
    changed : list of int
        The index of every member whose numbers do not fit the dtype any more, because another
        tool changed them; they are given as they are.
    as_bytes : list of int
        The index of every member that holds the bytes of an array's elements.
    """

    arrays: list[Array]
    changed: list[int] = field(default_factory=list)
    as_bytes: list[int] = field(default_factory=list)

    def are_as_stated(self, reference: dict[str, Any]) -> bool:
        """Whether a reference that stands for every array says of each what it is anyway."""
        if reference.keys() != {"dtype"} or not isinstance(reference["dtype"], str):
            return False
        dtype = dtype_of(reference["dtype"])
        return all(array.dtype == dtype for array in self.arrays)

    def restore(self, reference: Any) -> Array:
        """Return the array that a reference of the document means.

        Parameters
        ----------
        reference : JSON value

        Raises
        ------
        ReadError
            If there is no such member, or it cannot be of this array.
        """
        if not isinstance(reference, dict):
            raise ReadError(f"the document refers to an array by {reference!r}")
        if "inline" in reference:
            return from_inline(reference["inline"])
        index, dtype, shape = _described(reference, self.arrays)
        member = self.arrays[index]
        if reference.get("bytes"):
            self.as_bytes.append(index)
            return _from_bytes(member, dtype, shape, index)
        if math.prod(shape) != member.size:
            raise ReadError(
                f"layer_{index} has shape {member.shape}; the document expects {shape} there"
            )
        member = member.reshape(shape)
        if member.dtype.newbyteorder("=") == dtype.newbyteorder("="):
            return member
        return _narrowed(member, dtype, index, self.changed)


def _described(
    reference: dict[str, Any], arrays: Sequence[Array]
) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
    index, name = reference.get("layer"), reference.get("dtype")
    if type(index) is not int or not 0 <= index < len(arrays) or not isinstance(name, str):
        raise ReadError(f"the document refers to an array by {str(reference)[:120]}")
    if "shape" not in reference:
        return index, dtype_of(name), arrays[index].shape
    shape = reference["shape"]
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise ReadError(f"the document gives layer_{index} the shape {str(shape)[:120]}")
    return index, dtype_of(name), tuple(shape)


def _from_bytes(member: Array, dtype: np.dtype[Any], shape: tuple[int, ...], index: int) -> Array:
    if math.prod(shape) * dtype.itemsize != member.size:
        raise ReadError(
            f"layer_{index} holds {member.size} bytes; the document expects {shape} of {dtype}"
        )
    raw = member if member.dtype == np.uint8 else _whole(member, index)
    flat = np.ascontiguousarray(raw).reshape(-1)
    array: Array = flat.view(dtype.newbyteorder("<")).reshape(shape)
    check_content(array, f"layer_{index}")
    return array


def _whole(member: Array, index: int) -> Array:
    with np.errstate(all="ignore"):
        raw = member.astype(np.uint8)
        exact = bool((raw == member).all())
    if not exact:
        raise ReadError(f"layer_{index} must hold bytes, but has numbers other than 0 to 255")
    return raw


def _narrowed(member: Array, dtype: np.dtype[Any], index: int, changed: list[int]) -> Array:
    """Turn float64 back into the dtype that it was made of, if that changes no value."""
    if not is_numpy(dtype) or dtype.kind not in "fiu" or member.dtype.kind not in "fiu":
        raise ReadError(f"layer_{index} has dtype {member.dtype}; the document expects {dtype}")
    with np.errstate(all="ignore"):
        narrow = member.astype(dtype)
        exact = bool((narrow.astype(member.dtype) == member).all())
    if exact:
        return narrow
    changed.append(index)
    return member


def check_numeric(array: Array, where: str, *, real: bool) -> None:
    """Refuse text and dates as weights; with `real`, complex numbers as well.

    Raises
    ------
    ReadError
    """
    if array.dtype.kind in ("SUMmc" if real else "SUMm"):
        raise ReadError(
            f"{where} is of type {array.dtype}; the weights of a network are real numbers"
        )


def check_content(array: Array, where: str) -> None:
    """Refuse bytes that numpy would misread: truth values above 1, impossible characters.

    Raises
    ------
    ReadError
    """
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ReadError(f"{where} is of type bool but has bytes other than 0 and 1")
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).reshape(-1).view(array.dtype.str[0] + "u4")
        if codes.max() > sys.maxunicode or bool((codes >> 11 == 0xD800 >> 11).any()):
            raise ReadError(f"{where} is text but has values that are no characters")
