"""Arrays and their dtypes as JSON values."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError, ReadError
from snnbridge.model import Array
from snnbridge.model.checks import array_problem, element_problem, sizes
from snnbridge.storage import Limits, array_bytes, view
from snnbridge.storage.arrays import little

_LIMITS = Limits(rank=64, dimension=1 << 62)  # numpy's own


def inline(array: Array) -> dict[str, Any]:
    """Write an array as a JSON value: dtype, shape and base64 of its bytes in C order.

    Parameters
    ----------
    array : numpy.ndarray
        Any shape, memory order and byte order; any dtype without objects and fields. It grows
        by a third, so this is for small ones.

    Returns
    -------
    dict
        ``dtype`` (text), ``shape`` (list of int) and ``data`` (base64 of little-endian bytes).

    Raises
    ------
    CheckpointError
        For an array that :func:`from_inline` would refuse.

    Examples
    --------
    >>> inline(np.array([1, 2], np.uint8))
    {'dtype': 'uint8', 'shape': [2], 'data': 'AQI='}
    """
    if problem := array_problem(array):
        raise CheckpointError(f"an array to be written in line {problem}")
    return {
        **dtype_and_shape(array),
        "data": base64.b64encode(array_bytes(array)).decode("ascii"),
    }


def from_inline(value: Any) -> Array:
    """Read what :func:`inline` wrote.

    Parameters
    ----------
    value : JSON value
        May come from a stranger.

    Returns
    -------
    numpy.ndarray
        Read-only, little-endian, in C order.

    Raises
    ------
    ReadError
        If dtype, shape and bytes do not fit each other, a truth value is neither 0 nor 1, or
        text holds what is no code point.

    Examples
    --------
    >>> from_inline({"dtype": "uint8", "shape": [2], "data": "AQI="})
    array([1, 2], dtype=uint8)
    """
    try:
        dtype, shape = dtype_of(value["dtype"]), sizes(value["shape"])
        data = base64.b64decode(value["data"], validate=True)
    except ReadError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"an inline array is damaged: {error}") from error
    if shape is None:
        raise ReadError(f"an inline array has the shape {str(value['shape'])[:80]}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ReadError(
            f"an inline array of dtype {dtype} and shape {shape} holds {len(data)} bytes; expected "
            f"{math.prod(shape) * dtype.itemsize}"
        )
    return checked(view(data, little(dtype), shape, limits=_LIMITS), "an inline array")


def dtype_and_shape(array: Array) -> dict[str, Any]:
    """Return what a document says of an array whose elements stand elsewhere.

    Returns
    -------
    dict
        ``dtype`` (text) and ``shape`` (list of int), for :func:`from_elements`.
    """
    return {"dtype": dtype_name(array.dtype), "shape": list(array.shape)}


def from_elements(stated: Mapping[str, Any], data: memoryview, where: str) -> Array:
    """Return an array over its elements, as :func:`dtype_and_shape` stated it.

    Parameters
    ----------
    stated : mapping
        May come from a stranger.
    data : memoryview
        The elements in C order, little-endian, and perhaps more behind them.
    where : str
        What to call it in messages.

    Returns
    -------
    numpy.ndarray
        A read-only view.

    Raises
    ------
    ReadError
        If dtype, shape and bytes do not fit each other, or an element is no value of the dtype.
    """
    dtype, shape = dtype_of(str(stated.get("dtype"))), sizes(stated.get("shape"))
    if shape is None:
        raise ReadError(f"the document gives {where} the shape {str(stated.get('shape'))[:80]}")
    return checked(view(data, little(dtype), shape, where=where), where)


def checked(array: Array, where: str) -> Array:
    """Pass an array on whose elements are values of its dtype."""
    if problem := element_problem(array):
        raise ReadError(f"{where} {problem}")
    return array


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Name a dtype so that :func:`dtype_of` gives it back; byte order is not part of it.

    Parameters
    ----------
    dtype : numpy.dtype
        Without objects and fields.

    Examples
    --------
    >>> import numpy as np
    >>> dtype_name(np.dtype(">f4")), dtype_name(np.dtype("U3"))
    ('float32', 'U3')
    """
    if dtype.kind in "US":
        return f"{dtype.kind}{dtype.itemsize // (4 if dtype.kind == 'U' else 1)}"
    return f"V{dtype.itemsize}" if dtype.type is np.void else dtype.name


@cache
def dtype_of(name: str) -> np.dtype[Any]:
    """Return the dtype of a name that :func:`dtype_name` gave.

    Parameters
    ----------
    name : str
        May come from a stranger.

    Raises
    ------
    ReadError
        If there is none, or if it holds objects or fields.

    Examples
    --------
    >>> dtype_of("bfloat16").itemsize
    2
    """
    import ml_dtypes

    if not isinstance(name, str):
        raise ReadError(f"a dtype is named by text, not by {name!r}")
    try:
        extension = getattr(ml_dtypes, name, None)
        dtype = np.dtype(extension if isinstance(extension, type) else name)
    except (TypeError, ValueError, SyntaxError, AttributeError) as error:
        raise ReadError(f"there is no dtype {name!r}") from error
    if dtype.hasobject or dtype.names or dtype.subdtype:
        raise ReadError(f"dtype {name!r} holds objects or fields")
    return dtype
