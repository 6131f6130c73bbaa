"""The names under which the wire format stores array types, in both directions."""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np

from snnbridge.errors import ReadError, WriteError

_NUMBERS = frozenset(
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ]
)
# Extended precision: only where this platform's numpy has a type of that size.
_EXTENDED = frozenset(["float96", "float128", "complex192", "complex256"])
_SIZED = re.compile(r"(str|bytes|void)([1-9][0-9]{0,10})")
_CODE_AND_BITS = {"str": ("U", 32), "bytes": ("S", 8), "void": ("V", 8)}
_TIME = re.compile(r"(datetime|timedelta)64(\[[0-9]{0,10}[A-Za-z]{1,2}\])?")


@functools.lru_cache(maxsize=256)
def dtype_of(name: str) -> np.dtype[Any]:
    """Return the little-endian dtype that `name` stands for.

    Parameters
    ----------
    name : str
        What ``numpy.dtype.name`` gave where the array was written: "float32", "bfloat16",
        "datetime64[ns]", "str96" (three characters of 32 bits), ...

    Raises
    ------
    ReadError
        If no fixed-size dtype has that name here.

    Examples
    --------
    >>> dtype_of("str96")
    dtype('<U3')
    """
    found = _find(name)
    if found is None or found.name != name or found.itemsize == 0:
        raise ReadError(f"the array type {name[:64]!r} is unknown")
    return found.newbyteorder("<")


def stored_as(dtype: np.dtype[Any]) -> tuple[str, np.dtype[Any]]:
    """Return the name under which arrays of `dtype` are stored, and the dtype of their bytes.

    Raises
    ------
    WriteError
        If the name alone would not bring the dtype back: objects, structures, ...

    Examples
    --------
    >>> stored_as(np.dtype(">f4"))
    ('float32', dtype('<f4'))
    """
    try:
        stored = dtype_of(dtype.name)
    except ReadError:
        stored = None
    if stored is None or dtype not in (stored, stored.newbyteorder(">")):
        raise WriteError(f"arrays of type {str(dtype)[:64]!r} cannot be stored in this format")
    return dtype.name, stored


def _find(name: str) -> np.dtype[Any] | None:
    if name in _NUMBERS:
        return np.dtype(name)
    if name in _EXTENDED:
        return _scalar_dtype(np, name)
    if sized := _SIZED.fullmatch(name):
        return _sized(sized[1], int(sized[2]))
    if _TIME.fullmatch(name):
        return _numpy_dtype(name)
    import ml_dtypes  # slow to import, and rarely needed

    return _scalar_dtype(ml_dtypes, name)


def _scalar_dtype(module: object, name: str) -> np.dtype[Any] | None:
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, np.generic):
        return np.dtype(found)
    return None


def _sized(kind: str, bits: int) -> np.dtype[Any] | None:
    code, bits_of_item = _CODE_AND_BITS[kind]
    items, rest = divmod(bits, bits_of_item)
    return None if rest else _numpy_dtype(f"{code}{items}")


def _numpy_dtype(text: str) -> np.dtype[Any] | None:
    try:
        return np.dtype(text)
    except (TypeError, ValueError):
        return None
