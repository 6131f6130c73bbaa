"""The bytes of a ``.safetensors`` file.

A file is the length of its header (8 bytes, little-endian), the header, and the tensors' elements
without a gap. The header is JSON: for each tensor ``dtype``, ``shape`` and ``data_offsets``, and
``__metadata__``, texts by name.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snnbridge import ReadError, WriteError
from snnbridge.model import Array
from snnbridge.storage import Limits, blocks, dump_json, nbytes, parse_json, view
from snnbridge_plugins.torch.values import dtype_of

#: Dtypes by their name in a header; those behind the mark are read, not written.
WRITTEN = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
    "int32": "I32", "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32",
    "uint16": "U16", "uint8": "U8", "bool": "BOOL", "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}  # fmt: skip
_READ = {code: name for name, code in WRITTEN.items()} | {
    "F8_E8M0": "float8_e8m0fnu", "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "C64": "complex64",
}  # fmt: skip
_LENGTH = struct.Struct("<Q")
_HEADER_BYTES = 100_000_000
_ALIGNMENT = 64
#: So many tensors any file may have; more, if it has this many bytes for each.
_TENSORS, _TENSOR_BYTES = 100_000, 256
#: As many values its header.
_ITEMS, _ITEM_BYTES = 1_000_000, 16
_METADATA = "__metadata__"


def read_tensors(data: memoryview) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return a file's tensors, in the order of its header, and its metadata."""
    if len(data) < _LENGTH.size:
        raise ReadError(f"a safetensors file has at least 8 bytes, this one {len(data)}")
    (length,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size + length
    if length > _HEADER_BYTES or start > len(data):
        raise ReadError(f"the header states {length} bytes; {len(data) - 8} are there")
    items = max(_ITEMS, len(data) // _ITEM_BYTES)
    limits = Limits(json_bytes=_HEADER_BYTES, json_items=items)
    header = parse_json(data[_LENGTH.size : start], where="the header", limits=limits)
    if not isinstance(header, dict):
        raise ReadError("the header is no JSON object")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict):
        raise ReadError(f"{_METADATA} is no JSON object")
    if len(header) > max(_TENSORS, len(data) // _TENSOR_BYTES):
        raise ReadError(
            f"the header names {len(header)} tensors, more than a net of {len(data)} bytes has"
        )
    _check_cover(header, len(data) - start)
    return {key: _tensor(data[start:], key, entry) for key, entry in header.items()}, metadata


def _check_cover(header: Mapping[str, Any], size: int) -> None:
    """Refuse tensors that overlap, gaps between them, and bytes behind them."""
    ranges = sorted(_offsets(key, entry) for key, entry in header.items())
    position = 0
    for start, stop in ranges:
        if start != position or stop < start:
            raise ReadError(f"the tensors overlap, or leave a gap, at byte {position}")
        position = stop
    if position != size:
        raise ReadError(f"the tensors end at byte {position}, the file at {size}")


def _offsets(key: str, entry: Any) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or [type(n) for n in offsets] != [int, int]:
        raise ReadError(f"tensor {key!r} has no two data_offsets")
    return offsets[0], offsets[1]


def _tensor(data: memoryview, key: str, entry: dict[str, Any]) -> Array:
    (start, stop), code, shape = _offsets(key, entry), entry.get("dtype"), entry.get("shape")
    if not isinstance(code, str) or code not in _READ:
        raise ReadError(f"tensor {key!r} has the dtype {code!r}, which is not read")
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise ReadError(f"tensor {key!r} has the shape {shape!r}")
    dtype = dtype_of(_READ[code])
    if math.prod(shape) * dtype.itemsize != stop - start:
        raise ReadError(f"tensor {key!r} of shape {shape} does not have {stop - start} bytes")
    array = view(data, dtype, tuple(shape), start, where=f"tensor {key!r}")
    if code == "BOOL" and array.size and array.view(np.uint8).max() > 1:
        raise ReadError(f"tensor {key!r} is of type BOOL but has bytes other than 0 and 1")
    return array


def write_tensors(
    tensors: Mapping[str, Array], metadata: Mapping[str, str], write: Callable[[Any], object]
) -> bytes:
    """Write a file: tensors in their own order in the header, large elements first behind it.

    Returns
    -------
    bytes
        What it begins with, up to the elements.

    Raises
    ------
    WriteError
        If the header would become larger than readers take.
    """
    order = sorted(tensors, key=lambda key: -tensors[key].dtype.itemsize)
    text = _header(tensors, order, metadata)
    header = _LENGTH.pack(len(text)) + text
    write(header)
    for key in order:
        for block in blocks(tensors[key]):
            write(block)
    return header


def _header(tensors: Mapping[str, Array], order: list[str], metadata: Mapping[str, str]) -> bytes:
    starts, position = {}, 0
    for key in order:
        starts[key] = position
        position += nbytes(tensors[key])
    header: dict[str, Any] = {_METADATA: metadata}
    for key, array in tensors.items():
        header[key] = {
            "dtype": WRITTEN[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [starts[key], starts[key] + nbytes(array)],
        }
    text = dump_json(header)
    text += b" " * (-(len(text) + _LENGTH.size) % _ALIGNMENT)
    if len(text) > _HEADER_BYTES:
        raise WriteError(
            f"a safetensors header of {len(text)} bytes is not read by other programs; write a "
            ".pt file, or only what the framework itself would (bare)"
        )
    return text
