"""How elements are stored whose dtype HDF5 lacks."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from snnbridge import WriteError
from snnbridge.document import dtype_name
from snnbridge.storage.hdf5 import has_datatype

#: Bytes of one text: numpy has no longer ones.
LONGEST_TEXT = (1 << 31) - 1


class Encoding(NamedTuple):
    """How the elements of a dtype are stored.

    Parameters
    ----------
    dtype : numpy.dtype
        The dtype of the dataset.
    tail : tuple of int
        Axes that one element fills, behind those of the array.
    name : str or None
        The name of the array's own dtype, where it is another one.
    """

    dtype: np.dtype[Any]
    tail: tuple[int, ...] = ()
    name: str | None = None


@cache
def encoding_of(dtype: np.dtype[Any]) -> Encoding:
    """Choose how elements are stored: as they are, or as integers of their bits.

    Parameters
    ----------
    dtype : numpy.dtype
        Any with elements of at least one byte.

    Raises
    ------
    WriteError
        Python objects and records.

    Examples
    --------
    >>> encoding_of(np.dtype("U3"))
    Encoding(dtype=dtype('uint32'), tail=(3,), name='U3')
    """
    if dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None:
        raise WriteError(
            f"an array of dtype {dtype} cannot be stored; expected numbers, booleans or strings"
        )
    if has_datatype(dtype):
        return Encoding(dtype.newbyteorder("<"))
    if dtype.kind == "U":
        return Encoding(np.dtype("<u4"), (dtype.itemsize // 4,), dtype_name(dtype))
    if dtype.kind in "mM":
        return Encoding(np.dtype("<i8"), (), dtype_name(dtype))
    if dtype.type is np.void:
        return Encoding(np.dtype("u1"), (dtype.itemsize,), f"V{dtype.itemsize}")
    if dtype.itemsize in (1, 2, 4, 8):
        return Encoding(np.dtype(f"<u{dtype.itemsize}"), (), dtype_name(dtype))
    return Encoding(np.dtype("u1"), (dtype.itemsize,), dtype_name(dtype))
