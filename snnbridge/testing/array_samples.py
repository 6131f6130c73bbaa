"""Checkpoints that hold arrays of every dtype, of odd bits and odd layouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from snnbridge.model import Array, Layer, Linear, Opaque, Parameter, SNNCheckpoint, parameter

#: Every dtype that an array of a checkpoint may have, by name.
DTYPES: Mapping[str, np.dtype[Any]] = {
    **{
        name: np.dtype(name)
        for name in (
            "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
            "float16", "float32", "float64", "longdouble", "complex64", "complex128", "U3", "S5",
            "datetime64[D]", "V4",
        )
    },
    **{
        name: np.dtype(getattr(ml_dtypes, name))
        for name in (
            "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
            "int4", "uint4",
        )
    },
}  # fmt: skip


def floats(seed: int, *shape: int) -> Array:
    """Return multiples of 1/64 between -2 and 2, so that sums of them are exact."""
    numbers = np.random.default_rng(seed).integers(-128, 128, shape)
    made: Array = (numbers / 64).astype(np.float32)
    return made


def held(**values: Parameter | Array | float) -> dict[str, Parameter]:
    """Return values as parameters by name."""
    return {name: parameter(value) for name, value in values.items()}


def alone(layer: Layer, **more: Any) -> SNNCheckpoint:
    """Return a checkpoint of one layer."""
    return SNNCheckpoint([layer], **more)


def of_dtypes() -> dict[str, SNNCheckpoint]:
    """Return a checkpoint for each dtype that an array may have."""
    return {
        f"an array of {name}": alone(Opaque("layer", held(x=_array_of(dtype))))
        for name, dtype in DTYPES.items()
    }


def _array_of(dtype: np.dtype[Any]) -> Array:
    if dtype.kind in "US":
        return np.array([["a", "", "bcd"], ["ab", "c", ""]], dtype)
    if dtype.kind == "M":
        return np.arange(6).astype("datetime64[D]").reshape(2, 3)
    if dtype.kind == "V" and dtype.name == "void32":
        return np.frombuffer(bytes(range(24)), dtype).reshape(2, 3)
    made: Array = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    return made


def of_bits() -> dict[str, SNNCheckpoint]:
    """Return checkpoints of arrays whose bits or sizes are easily lost."""
    nans = np.array([0x7FC00000, 0x7F800001, 0xFFC12345, 0x80000000, 0x7F800000], np.uint32)
    doubles = np.array([0x7FF0000000000001, 0xFFF8000000000ABC, 1 << 63], np.uint64)
    numbers: dict[str, Array] = {
        "float32": np.broadcast_to(nans.view(np.float32), (3, 5)).copy(),
        "float64": np.broadcast_to(doubles.view(np.float64), (2, 3)).copy(),
        "float16": np.array([[0x7E01, 0x8000, 0x0001]], np.uint16).view(np.float16),
    }
    shapes = {"empty": (0, 3), "of no rows and columns": (0, 0), "large": (64, 1000)}
    return {
        **{
            f"NaN payloads, infinities and -0 in {name}": alone(Linear("fc", array))
            for name, array in numbers.items()
        },
        **{
            f"an array that is {name}": alone(Linear("fc", floats(1, *shape)))
            for name, shape in shapes.items()
        },
        "an array of no axes": alone(Opaque("layer", held(x=np.array(1.5, np.float32)))),
        "an array of seven axes": alone(Opaque("layer", held(x=floats(1, 1, 2, 1, 2, 1, 3, 2)))),
    }


def of_layouts() -> dict[str, SNNCheckpoint]:
    """Return checkpoints of arrays that lie in memory in every way."""
    array = floats(3, 4, 6)
    frozen = array.copy()
    frozen.flags.writeable = False
    layouts = {
        "in Fortran order": np.asfortranarray(array),
        "strided": floats(3, 8, 12)[::2, ::-2],
        "of broadcast rows": np.broadcast_to(array[0], (4, 6)),
        "big-endian": array.astype(">f4"),
        "read-only": frozen,
        "transposed": floats(3, 6, 4).T,
    }
    return {f"an array {name}": alone(Linear("fc", x)) for name, x in layouts.items()}
