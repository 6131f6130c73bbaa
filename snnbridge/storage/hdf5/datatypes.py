"""numpy's dtypes and HDF5's datatypes."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from snnbridge.errors import ReadError

_INTEGER, _FLOAT, _STRING, _COMPOUND, _ENUM, _VARIABLE, _COMPLEX = 0, 1, 3, 6, 8, 9, 11
_NAMES = {
    2: "times", 4: "bit fields", 5: "opaque bytes", 7: "references", 10: "arrays of a fixed length",
}  # fmt: skip
_HEAD = struct.Struct("<4BI")
_FLOAT_FIELDS = struct.Struct("<HHBBBBI")
_LONGEST_TEXT = (1 << 31) - 1
_DEPTH = 3
#: numpy gives higher numbers to the dtypes of other packages.
_FIRST_FOREIGN = 256

#: Text of variable length: a reference to the global heap is stored for each.
TEXT = np.dtype("O")
_REFERENCE_SIZE = 16


class _Float(NamedTuple):
    """Where the fields of a float lie, in bits."""

    precision: int
    exponent_at: int
    exponent: int
    mantissa: int
    implied: bool


#: By the bits of the mantissa that numpy's finfo states.
_FLOATS = {
    10: _Float(16, 10, 5, 10, True),
    23: _Float(32, 23, 8, 23, True),
    52: _Float(64, 52, 11, 52, True),
    63: _Float(80, 64, 15, 64, False),  # x86 extended precision
    112: _Float(128, 112, 15, 112, True),  # IEEE binary128
}
_BFLOAT16 = _Float(16, 7, 8, 7, True)


class Datatype(NamedTuple):
    """A datatype of a file.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the elements in memory: the stored ones, but ``object`` for text of variable length.
    size : int
        Bytes of a stored element.
    padding : str
        What fills text of a fixed length: a NUL ends it (``"end"``), NULs or spaces (these).
    """

    dtype: np.dtype[Any]
    size: int
    padding: str = "\0"

    def decoded(self, raw: bytes) -> str:
        """Decode one text of a fixed length.

        Raises
        ------
        ReadError
            If it is no UTF-8.
        """
        raw = raw.split(b"\0", 1)[0] if self.padding == "end" else raw.rstrip(self.padding.encode())
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise ReadError(f"the text {raw[:80]!r} is no UTF-8") from error


def text_message(size: int) -> bytes:
    """Make the datatype message of UTF-8 text of `size` bytes."""
    return struct.pack("<4BI", 0x13, 0x11, 0, 0, size)


def variable_text_message() -> bytes:
    """Make the datatype message of UTF-8 text of variable length."""
    return struct.pack("<4BI", 0x19, 0x01, 0x01, 0, _REFERENCE_SIZE) + _integer(np.dtype("u1"))


def has_datatype(dtype: np.dtype[Any]) -> bool:
    """Whether arrays of a dtype can be written as they are.

    Examples
    --------
    >>> has_datatype(np.dtype("f2")), has_datatype(np.dtype("M8[s]"))
    (True, False)
    """
    return message(dtype.newbyteorder("<")) is not None


def message(dtype: np.dtype[Any]) -> bytes | None:
    """Make the datatype message of a little-endian dtype; None if HDF5 has no such datatype.

    Booleans and complex numbers are stored as h5py does.

    Examples
    --------
    >>> message(np.dtype("<i2")).hex()
    '100800000200000000001000'
    """
    if dtype.num >= _FIRST_FOREIGN:
        return None
    if dtype.kind == "b":
        names = b"FALSE\0\0\0TRUE\0\0\0\0"
        return _HEAD.pack(0x18, 2, 0, 0, 1) + _integer(np.dtype("i1")) + names + b"\0\1"
    if dtype.kind in "iu":
        return _integer(dtype)
    if dtype.kind == "f":
        return _float(dtype)
    if dtype.kind == "c":
        return _complex(dtype)
    if dtype.kind == "S":
        return _HEAD.pack(0x13, 0x01, 0, 0, dtype.itemsize)
    return None


def _integer(dtype: np.dtype[Any]) -> bytes:
    signed = 8 if dtype.kind == "i" else 0
    return _HEAD.pack(0x10, signed, 0, 0, dtype.itemsize) + struct.pack(
        "<HH", 0, 8 * dtype.itemsize
    )


def _float(dtype: np.dtype[Any]) -> bytes | None:
    found = _FLOATS.get(np.finfo(dtype).nmant)
    if found is None:
        return None
    normalised = 2 << 4 if found.implied else 0
    sign = found.exponent_at + found.exponent
    return _HEAD.pack(0x11, normalised, sign, 0, dtype.itemsize) + _FLOAT_FIELDS.pack(
        0, found.precision, found.exponent_at, found.exponent, 0, found.mantissa,
        (1 << found.exponent - 1) - 1,
    )  # fmt: skip


def _complex(dtype: np.dtype[Any]) -> bytes | None:
    """Make the compound of two floats that h5py knows as complex."""
    part = np.dtype(f"f{dtype.itemsize // 2}")
    half = _float(part)
    if half is None:
        return None
    real, imaginary = (
        struct.pack("<8sI28x", name, offset) + half
        for name, offset in ((b"r", 0), (b"i", part.itemsize))
    )
    return _HEAD.pack(0x16, 2, 0, 0, dtype.itemsize) + real + imaginary


@lru_cache(maxsize=256)
def parse_datatype(raw: bytes) -> Datatype:
    """Read a datatype message: numbers, booleans, complex numbers, text.

    Enumerations but booleans count as their integers.

    Raises
    ------
    ReadError
        For any other.
    """
    return _parse(raw, 0)[0]


def _parse(raw: bytes, depth: int) -> tuple[Datatype, int]:
    """Read a datatype; return it and its bytes, where it may stand inside another one."""
    first, *bits, size = _HEAD.unpack_from(raw)
    kind, version = first & 15, first >> 4
    if depth > _DEPTH or not 1 <= version <= 5:
        raise ReadError("its datatype is damaged, or newer than what is known")
    if kind == _INTEGER:
        return _parse_integer(raw, bits[0], size), 12
    if kind == _FLOAT:
        return _parse_float(raw, bits, size), 20
    if kind == _STRING:
        return _parse_string(bits[0], size), 8
    if kind in (_ENUM, _COMPOUND, _COMPLEX):
        return _NESTED[kind](raw, version, size, depth), len(raw)
    if kind == _VARIABLE and bits[0] & 15 == 1 and size == _REFERENCE_SIZE:
        return Datatype(TEXT, size), len(raw)
    what = "lists of variable length" if kind == _VARIABLE else _NAMES.get(kind, f"class {kind}")
    raise ReadError(f"its datatype ({what}) is not read here; expected numbers, booleans or text")


def _parse_integer(raw: bytes, bits: int, size: int) -> Datatype:
    offset, precision = struct.unpack_from("<HH", raw, 8)
    if size not in (1, 2, 4, 8) or offset or precision != 8 * size:
        raise ReadError(f"its integers have {precision} bits in {size} bytes, which is not read")
    order, signed = "<>"[bits & 1], "ui"[bits >> 3 & 1]
    return Datatype(np.dtype(f"{order}{signed}{size}"), size)


def _parse_float(raw: bytes, bits: list[int], size: int) -> Datatype:
    offset, precision, exponent_at, exponent, mantissa_at, mantissa, bias = (
        _FLOAT_FIELDS.unpack_from(raw, 8)
    )
    fields = _Float(precision, exponent_at, exponent, mantissa, bits[0] >> 4 & 3 == 2)
    regular = (offset, mantissa_at, bias) == (0, 0, (1 << exponent - 1) - 1 if exponent else 0)
    dtype = _float_dtype(fields, size)
    if dtype is None or not regular or bits[1] != exponent_at + exponent or bits[0] & 0x40:
        raise ReadError(f"its floats of {precision} bits in {size} bytes are laid out unusually")
    if bits[0] & 1 and fields == _BFLOAT16:
        raise ReadError("its bfloat16 are big-endian, which numpy cannot read")
    return Datatype(dtype.newbyteorder(">") if bits[0] & 1 else dtype, size)


def _float_dtype(fields: _Float, size: int) -> np.dtype[Any] | None:
    """Return the little-endian dtype of such floats, if this machine has one."""
    if fields == _BFLOAT16:
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    for code in "efdg":
        dtype = np.dtype(code)
        if dtype.itemsize == size and _FLOATS.get(np.finfo(dtype).nmant) == fields:
            little: np.dtype[Any] = dtype.newbyteorder("<")
            return little
    return None


def _parse_string(bits: int, size: int) -> Datatype:
    if not 0 < size <= _LONGEST_TEXT or bits & 15 > 2:
        raise ReadError(f"its text of {size} bytes cannot exist")
    return Datatype(np.dtype(f"S{size}"), size, ("end", "\0", " ")[bits & 15])


def _parse_enum(raw: bytes, version: int, size: int, depth: int) -> Datatype:
    base, length = _parse(raw[8:], depth + 1)
    if base.dtype.kind not in "iu" or base.size != size:
        raise ReadError("its enumeration has no integers")
    count = int.from_bytes(raw[1:3], "little")
    names, at = [], 8 + length
    for _ in range(count):
        name, at = _name(raw, at, version)
        names.append(name)
    members = dict(zip(names, raw[at : at + count * size : size], strict=False))
    return Datatype(np.dtype("?"), 1) if size == 1 and members == _BOOLEAN else base


_BOOLEAN = {b"FALSE": 0, b"TRUE": 1}


def _parse_compound(raw: bytes, version: int, size: int, depth: int) -> Datatype:
    """Read a compound: two equal floats, named as h5py names the parts of a complex number."""
    names, offsets, parts, at = [], [], [], 8
    if int.from_bytes(raw[1:3], "little") == 2:
        for _ in range(2):
            name, at = _name(raw, at, version)
            width = (size.bit_length() + 7) // 8 if version >= 3 else 4
            offsets.append(int.from_bytes(raw[at : at + width], "little"))
            part, length = _parse(raw[at + width + (28 if version == 1 else 0) :], depth + 1)
            names.append(name)
            parts.append(part)
            at += width + (28 if version == 1 else 0) + length
    if names != [b"r", b"i"] or parts[0] != parts[1] or offsets != [0, parts[0].size]:
        raise ReadError("its records are not read here; expected numbers, booleans or text")
    return _of_two(parts[0], size)


def _parse_complex(raw: bytes, version: int, size: int, depth: int) -> Datatype:
    return _of_two(_parse(raw[8:], depth + 1)[0], size)


def _of_two(part: Datatype, size: int) -> Datatype:
    if part.dtype.kind != "f" or part.dtype.char not in "fdg" or size != 2 * part.size:
        raise ReadError(f"its complex numbers of two {part.dtype} are not read here")
    order = part.dtype.byteorder
    return Datatype(np.dtype(f"c{size}").newbyteorder(order), size)


def _name(raw: bytes, at: int, version: int) -> tuple[bytes, int]:
    """Return a member's name, and where it ends: padded with NULs up to version 2."""
    end = raw.index(b"\0", at)
    length = end + 1 - at
    return raw[at:end], at + (length if version >= 3 else length + -length % 8)


_NESTED = {_ENUM: _parse_enum, _COMPOUND: _parse_compound, _COMPLEX: _parse_complex}
