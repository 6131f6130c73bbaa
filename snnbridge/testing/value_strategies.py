"""Hypothesis strategies for names, arrays, and trees of values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from snnbridge.model import Array
from snnbridge.testing.array_samples import DTYPES

_TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
#: Names as strangers give them: empty, with separators, of any script.
names: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["fc1", "conv.0", "a/b", "", "..", "/", "ヒ", "🧠", "$array", "x" * 300, "0"]),
    st.text(_TEXT, max_size=8),
)
_shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: tuple[int, ...] | None = None,
    dtypes: tuple[str, ...] | None = None,
) -> Array:
    """Draw an array of any dtype, shape, memory order and byte order, with any bits.

    Parameters
    ----------
    shape : tuple of int, optional
        Any small shape if it is not given.
    dtypes : tuple of str, optional
        Names of :data:`DTYPES`.
    """
    dtype = DTYPES[draw(st.sampled_from(dtypes or tuple(DTYPES)))]
    shape = draw(_shapes) if shape is None else shape
    array = _filled(draw, dtype, shape)
    order = draw(st.sampled_from(["C", "F", "strided", "big", "read-only"]))
    if order == "F":
        return np.asfortranarray(array)
    if order == "strided" and array.ndim:
        return np.repeat(array, 2, axis=0)[::2]
    if order == "big" and dtype.kind in "iufc" and dtype.isnative and dtype.itemsize in (2, 4, 8):
        return array.astype(dtype.newbyteorder(">"))
    if order == "read-only":
        array.flags.writeable = False
    return array


def _filled(draw: st.DrawFn, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    count = int(np.prod(shape))
    if dtype.kind in "US":
        text = np.array([["", "a", "bcd"][i % 3] for i in range(count)], dtype)
        return text.reshape(shape)
    if dtype.name == "longdouble" or (dtype.itemsize > 8 and dtype.kind == "f"):
        return (np.arange(count, dtype=np.float64) / 3 - 1).astype(dtype).reshape(shape)
    raw = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    bits: Array = np.frombuffer(raw, np.uint8).copy()
    if dtype.kind == "b":
        bits &= 1
    elif dtype.name in ("int4", "uint4"):
        bits = bits & 7
    return bits.view(dtype).reshape(shape)


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(_TEXT, max_size=5),
)


def trees(*, json_only: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Draw trees of JSON values; of bytes, complex numbers, numpy scalars and arrays, too."""
    more = st.one_of(
        st.binary(max_size=4),
        st.complex_numbers(),
        arrays(),
        arrays(shape=(), dtypes=("float32", "int64", "bool")).map(lambda a: a[()]),
    )
    finite = st.floats(allow_nan=False, allow_infinity=False)
    leaf = (
        st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), finite, names)
        if json_only
        else st.one_of(_scalars, more)
    )
    inner = st.recursive(
        leaf,
        lambda x: st.one_of(st.lists(x, max_size=3), st.dictionaries(names, x, max_size=3)),
        max_leaves=6,
    )
    return st.dictionaries(names, inner, max_size=3)
