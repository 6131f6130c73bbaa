"""Arrays as ``TensorProto`` and back, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbridge import ReadError
from snnbridge.document import dtype_name, dtype_of
from snnbridge.model import Array
from snnbridge.storage import blocks, nbytes, view
from snnbridge_plugins.onnx.file.schema import BITS, DATA_TYPES, DTYPES, STRING, Message

#: Types that came after IR 10; they are kept as bytes.
_LATER = {"float4_e2m1fn", "float8_e8m0fnu", "uint2", "int2"}
#: The fields of numbers and texts, one of which a tensor has in the place of raw data.
NUMBERS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
#: The field of each type's numbers in a tensor without raw data, and their dtype there.
_NUMBERS = {
    **dict.fromkeys(
        ("int32", "int16", "int8", "uint16", "uint8", "bool", "float16", "bfloat16",
         "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
         "uint4", "int4", "float4_e2m1fn", "uint2", "int2"), "int32_data"),
    "int64": "int64_data", "uint64": "uint64_data", "uint32": "uint64_data",
}  # fmt: skip
_FLOATS = {
    "float32": "float_data", "complex64": "float_data",
    "float64": "double_data", "complex128": "double_data",
}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """An array as a tensor holds it.

    Attributes
    ----------
    name : str
    array : numpy.ndarray
        Of a type that a tensor has.
    reference : dict
        What a document needs beside the name: empty, or dtype and shape of a view.
    """

    name: str
    array: Array
    reference: dict[str, Any]

    @property
    def head(self) -> Message:
        """The tensor without its bytes."""
        dtype = self.array.dtype.name
        held = {"dims": list(self.array.shape), "data_type": DATA_TYPES[dtype]}
        return {**held, "name": self.name}

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        bits = BITS.get(self.array.dtype.name)
        return nbytes(self.array) if bits is None else -(-self.array.size * bits // 8)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Give its bytes, little-endian, in C order."""
        if self.array.dtype.name in BITS:
            yield _packed(self.array)
        else:
            yield from blocks(self.array)


def stored(name: str, array: Array) -> Stored:
    """Choose how a tensor holds an array: as it is, or as its bytes where no type fits."""
    dtype = array.dtype
    if dtype.name in DATA_TYPES and dtype.name not in _LATER:
        return Stored(name, array, {})
    raw = np.frombuffer(b"".join(blocks(array)), np.uint8)
    return Stored(name, raw, {"dtype": dtype_name(dtype), "shape": list(array.shape)})


def seen(array: Array, dtype: Any, shape: Any, where: str) -> Array:
    """Return bytes as the array that they are a view of."""
    if array.dtype != np.uint8 or array.ndim != 1 or not isinstance(dtype, str):
        raise ReadError(f"{where} is no run of bytes, which the document says it is")
    if not isinstance(shape, list) or not all(type(n) is int for n in shape):
        raise ReadError(f"{where} has the shape {shape!r} in the document; expected whole numbers")
    return view(array.data, dtype_of(dtype).newbyteorder("<"), tuple(shape), where=where)


def _packed(array: Array) -> bytes:
    """Pack numbers of 4 bits, the first into the lower half of a byte."""
    flat = array.reshape(-1).view(np.uint8) & 15
    flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
    return (flat[::2] | flat[1::2] << 4).tobytes()


def _unpacked(raw: Array, name: str, count: int) -> Array:
    bits = BITS[name]
    parts = [(raw >> shift) & ((1 << bits) - 1) for shift in range(0, 8, bits)]
    flat = np.stack(parts, axis=-1).reshape(-1)[:count]
    if name.startswith("int"):
        flat = (flat.astype(np.int8) ^ (1 << bits - 1)) - (1 << bits - 1)
    elif name.startswith("float"):
        return flat.view(dtype_of(name))
    return flat.astype(dtype_of(name))


def array_of(message: Message, data: memoryview | None = None) -> Array:
    """Return a tensor's array, read-only, where it lies if that is possible.

    Parameters
    ----------
    message : Message
        A tensor; may come from a stranger.
    data : memoryview, optional
        Its bytes, where another file holds them.

    Raises
    ------
    ReadError
        For a shape that is negative or does not fit the bytes, several kinds of data in one
        tensor, or a type that is not known.
    """
    name = message.get("name", "")
    where = f"tensor {name!r}"
    shape = tuple(message.get("dims", ()))
    if "segment" in message:
        raise ReadError(f"{where} is a segment of another one, which no tool writes; it is refused")
    if any(n < 0 for n in shape):
        raise ReadError(f"{where} has the shape {shape}; expected lengths of at least 0")
    given = [key for key in (*NUMBERS, "raw_data") if message.get(key)]
    if len(given) > 1:
        raise ReadError(f"{where} holds both {given[0]!r} and {given[1]!r}; which is meant?")
    if message.get("data_type") == STRING:
        return _text(message, shape, where)
    dtype = DTYPES.get(message.get("data_type", 0))
    if dtype is None:
        raise ReadError(f"{where} has the type {message.get('data_type')!r}, which is not known")
    raw = message.get("raw_data", memoryview(b"")) if data is None else data
    if data is None and given and given[0] != "raw_data":
        return _of_numbers(message, dtype, shape, where)
    return _of_bytes(raw, dtype, shape, where)


def size_of(message: Message) -> int:
    """Return how many bytes a tensor's type and shape ask for."""
    dtype = DTYPES.get(message.get("data_type", 0), "uint8")
    bits = BITS.get(dtype) or dtype_of(dtype).itemsize * 8
    return -(-math.prod(message.get("dims", ())) * bits // 8)


def _of_bytes(raw: memoryview, dtype: str, shape: tuple[int, ...], where: str) -> Array:
    count = math.prod(shape)
    expected = size_of({"data_type": DATA_TYPES[dtype], "dims": shape})
    if len(raw) != expected:
        raise ReadError(
            f"{where} of shape {shape} and type {dtype} needs {expected} bytes, but {len(raw)} "
            "are there"
        )
    if dtype not in BITS:
        return view(raw, dtype_of(dtype).newbyteorder("<"), shape, where=where)
    return _frozen(_unpacked(np.frombuffer(raw, np.uint8), dtype, count).reshape(shape))


def _of_numbers(message: Message, dtype: str, shape: tuple[int, ...], where: str) -> Array:
    """Return an array of which the numbers stand in a field of their own."""
    kind = dtype_of(dtype)
    field = _FLOATS.get(dtype) or _NUMBERS.get(dtype)
    if field is None or not message.get(field):
        raise ReadError(f"{where} holds its {dtype} numbers in a field for others")
    if dtype in _FLOATS:
        return _of_bytes(memoryview(b"".join(message[field])), dtype, shape, where)
    bits = BITS.get(dtype)
    width = kind.itemsize * 8 if bits is None else 8
    mask = (1 << width) - 1
    numbers = np.array([n & mask for n in message[field]], np.uint64)
    raw = numbers.astype("<u8").astype(f"<u{width // 8}").tobytes()
    return _of_bytes(memoryview(raw), dtype, shape, where)


def _text(message: Message, shape: tuple[int, ...], where: str) -> Array:
    held: Iterable[bytes] = message.get("string_data", [])
    texts = list(held)
    if len(texts) != math.prod(shape):
        raise ReadError(f"{where} of shape {shape} holds {len(texts)} texts")
    try:
        return _frozen(np.array([x.decode() for x in texts], dtype=np.str_).reshape(shape))
    except UnicodeDecodeError:
        return _frozen(np.array(texts, dtype=np.bytes_).reshape(shape))


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
