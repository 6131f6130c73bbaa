"""numpy's dtypes as HDF5 datatypes, and how those that HDF5 lacks are stored."""

from __future__ import annotations

import struct
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from snnbridge.document import dtype_name
from snnbridge.errors import WriteError
from snnbridge_plugins.hdf5.encode import BOOLEAN

#: Fields of IEEE 754 and extended floats, by the bits of their stored mantissa: bits of
#: precision, where the exponent starts, its bits, bits of the mantissa, whether its first bit
#: is implied.
_FLOATS = {
    10: (16, 10, 5, 10, True),
    23: (32, 23, 8, 23, True),
    52: (64, 52, 11, 52, True),
    63: (80, 64, 15, 64, False),  # x86 extended precision
    112: (128, 112, 15, 112, True),  # IEEE binary128
}


_FIRST_FOREIGN = 256

#: Bytes of one text: numpy has no longer ones.
LONGEST_TEXT = (1 << 31) - 1


class Form(NamedTuple):
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
def form(dtype: np.dtype[Any]) -> Form:
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
    >>> form(np.dtype("U3"))
    Form(dtype=dtype('uint32'), tail=(3,), name='U3')
    """
    if dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None:
        raise WriteError(
            f"an array of dtype {dtype} cannot be stored; expected numbers, booleans or strings"
        )
    if dtype.kind == "S" or (_is_plain(dtype) and _message(dtype) is not None):
        return Form(dtype.newbyteorder("<"))
    if dtype.kind == "U":
        return Form(np.dtype("<u4"), (dtype.itemsize // 4,), dtype_name(dtype))
    if dtype.kind in "mM":
        return Form(np.dtype("<i8"), (), dtype_name(dtype))
    if dtype.type is np.void:
        return Form(np.dtype("u1"), (dtype.itemsize,), f"V{dtype.itemsize}")
    if dtype.itemsize in (1, 2, 4, 8):
        return Form(np.dtype(f"<u{dtype.itemsize}"), (), dtype_name(dtype))
    return Form(np.dtype("u1"), (dtype.itemsize,), dtype_name(dtype))


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Whether numpy itself has the dtype, in any byte order; others have higher numbers."""
    return dtype.num < _FIRST_FOREIGN


@cache
def datatype(dtype: np.dtype[Any]) -> bytes:
    """Make the datatype message of a dtype that :func:`form` chose."""
    message = _message(dtype)
    assert message is not None
    return message


def text(size: int) -> bytes:
    """Make the datatype message of UTF-8 text of `size` bytes."""
    return struct.pack("<4BI", 0x13, 0x11, 0, 0, size)


def _message(dtype: np.dtype[Any]) -> bytes | None:
    if dtype.kind == "b":
        return BOOLEAN
    if dtype.kind in "iu":
        signed = 8 if dtype.kind == "i" else 0
        return struct.pack("<4BIHH", 0x10, signed, 0, 0, dtype.itemsize, 0, 8 * dtype.itemsize)
    if dtype.kind == "f":
        return _float(dtype)
    if dtype.kind == "c":
        return _complex(dtype)
    if dtype.kind == "S":
        return struct.pack("<4BI", 0x13, 0x01, 0, 0, dtype.itemsize)
    return None


def _float(dtype: np.dtype[Any]) -> bytes | None:
    mantissa = np.finfo(dtype).nmant
    if mantissa not in _FLOATS:
        return None
    precision, at, bits, length, implied = _FLOATS[mantissa]
    normalised = 2 << 4 if implied else 0
    head = struct.pack("<4BI", 0x11, normalised, at + bits, 0, dtype.itemsize)
    return head + struct.pack("<HHBBBBI", 0, precision, at, bits, 0, length, (1 << bits - 1) - 1)


def _complex(dtype: np.dtype[Any]) -> bytes | None:
    """Make the compound of two floats that h5py knows as complex."""
    part = np.dtype(f"f{dtype.itemsize // 2}")
    half = _float(part)
    if half is None:
        return None
    head = struct.pack("<4BI", 0x16, 2, 0, 0, dtype.itemsize)
    real, imaginary = (
        struct.pack("<8sI28x", name, offset) + half
        for name, offset in ((b"r", 0), (b"i", part.itemsize))
    )
    return head + real + imaginary


@cache
def _known() -> dict[bytes, str]:
    names = ["?", *(f"{kind}{n}" for kind in "iu" for n in (1, 2, 4, 8)), *"efdgFDG"]
    dtypes = (np.dtype(name).newbyteorder("<") for name in names)
    found = ((_message(dtype), dtype.str) for dtype in dtypes)
    return {m + bytes(-len(m) % 8): name for m, name in found if m is not None}


def stored_dtype(message: bytes) -> str | None:
    """Tell the dtype of a datatype message that this package wrote; None for any other.

    Returns
    -------
    str
        As ``numpy.dtype.str``: ``"<f4"``, ``"|S5"``.
    """
    if message[0] == 0x13 and message[1:4] in (b"\1\0\0", b"\x11\0\0"):
        size = int.from_bytes(message[4:8], "little")
        return f"|S{size}" if 0 < size <= LONGEST_TEXT and len(message) == 8 else None
    return _known().get(message)
