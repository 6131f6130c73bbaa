"""Reading and writing the wire format are inverse, on drawn trees and on the frameworks' files."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import ml_dtypes
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnbridge.errors import ReadError
from snnbridge.wire import pack, packed_size, unpack, unpack_value

CODES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
CODES += [">i2", ">f4", ">f8", ">c8", "M8[D]", "M8[25s]", "m8[ns]", ">M8[D]", "S3", "V5"]
LOW_PRECISION = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4]
DTYPES = [np.dtype(code) for code in CODES + LOW_PRECISION]


def reorder(array: np.ndarray, order: str) -> np.ndarray:
    """The same values in another place: C order, Fortran order, or with gaps."""
    if order == "gaps" and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    return np.array(array, order="F" if order == "F" else "C")


@st.composite
def arrays(draw, max_rank=3):
    kind = draw(st.sampled_from(["number", "bool", "text"]))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=max_rank)))
    size = int(np.prod(shape))
    if kind == "text":
        texts = draw(st.lists(st.text(max_size=3), min_size=size, max_size=size))
        array = np.array(texts, dtype=draw(st.sampled_from(["<U3", ">U3"])))
    elif kind == "bool":
        array = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
    else:
        dtype = draw(st.sampled_from(DTYPES))
        count = size * dtype.itemsize
        array = np.frombuffer(draw(st.binary(min_size=count, max_size=count)), dtype)
    return reorder(array.reshape(shape), draw(st.sampled_from(["C", "F", "gaps"])))


def scalars():
    return arrays(max_rank=0).map(lambda array: array[()])


def leaves():
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.complex_numbers(),
        st.text(),
        st.binary(),
        scalars(),
        arrays(),
    )


def trees():
    return st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            leaves(), lambda inner: st.dictionaries(st.text(max_size=3), inner), max_leaves=8
        ),
        max_size=5,
    )


def bits(value) -> object:
    """What must survive: the type, the order of keys, and every bit."""
    if isinstance(value, dict):
        return [(key, bits(item)) for key, item in value.items()]
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        kind = np.ndarray if isinstance(value, np.ndarray) else type(value)
        return kind, array.shape, little.dtype, little.tobytes()
    if isinstance(value, complex):
        return complex, struct.pack("dd", value.real, value.imag)
    if isinstance(value, float):
        return float, struct.pack("d", value)
    return type(value), value


def canonical(tree) -> bytes:
    """The bytes of msgpack itself, with the extensions of the frameworks."""

    def extension(value):
        if isinstance(value, complex) and not isinstance(value, np.generic):
            return msgpack.ExtType(2, msgpack.packb((value.real, value.imag)))
        array = np.asarray(value)
        little = array.astype(array.dtype.newbyteorder("<"))
        body = msgpack.packb((little.shape, little.dtype.name, little.tobytes()))
        return msgpack.ExtType(1 if isinstance(value, np.ndarray) else 3, body)

    return msgpack.packb(tree, default=extension, strict_types=True)


@given(trees())
def test_a_tree_comes_back_with_its_types_and_bits(tree):
    data = pack(tree)
    assert bits(unpack(data)) == bits(tree)
    assert data == canonical(tree)
    assert packed_size(tree) == len(data)


@given(trees())
def test_the_bytes_of_a_file_come_back(tree):
    data = canonical(tree)
    assert pack(unpack(data)) == data


@given(arrays(), st.integers(1, 200))
def test_an_array_comes_back_from_chunks_of_any_size(array, chunk_bytes):
    tree = {"W": array}
    data = pack(tree, chunk_bytes=chunk_bytes)
    assert bits(unpack(data)) == bits(tree)
    assert packed_size(tree, chunk_bytes=chunk_bytes) == len(data)
    assert pack(unpack(data), chunk_bytes=chunk_bytes) == data


@given(trees(), st.data())
def test_a_damaged_file_is_read_or_refused(tree, data):
    damaged = bytearray(pack(tree, chunk_bytes=16))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position : position + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2)
        )
        if not damaged:
            break
    try:
        found = unpack_value(bytes(damaged))
    except ReadError:
        return
    pack(found)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    try:
        found = unpack(b"\x81\xa1x" + data)
    except ReadError:
        return
    assert list(found) == ["x"]


FIXTURES = Path(__file__).parents[1] / "fixtures"
# The files of msgpack among the fixtures; each case's truth is what the framework itself read.
FILES = sorted(
    path
    for path in FIXTURES.glob("brainpy-*/**/*")
    if path.suffix in {".bp", ".msgpack"} or path.name.startswith(("checkpoint_", "best_"))
)
CHUNK_BYTES = {"chunked.bp": 100}  # what the framework was told to use


def described(value) -> object:
    """The JSON form in which the truth of a fixture states a tree."""
    if isinstance(value, dict):
        return {"map": [[key, described(item)] for key, item in value.items()]}
    if isinstance(value, (np.ndarray, np.generic)):
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return {
            kind: value.dtype.name,
            "shape": list(value.shape),
            "data": digest(value.tobytes()),
        }
    if isinstance(value, bytes):
        return {"bytes": digest(value)}
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, str) and len(value) > 64:
        return {"str": digest(value.encode())}
    return value


def digest(raw: bytes) -> str:
    return raw.hex() if len(raw) <= 64 else f"sha256:{hashlib.sha256(raw).hexdigest()}"


@pytest.mark.skipif(not FILES, reason="no fixtures of BrainPy are here")
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FIXTURES)))
def test_a_file_of_the_framework_is_read_as_it_reads_it_and_written_with_its_bytes(path):
    data = path.read_bytes()
    tree = unpack_value(data)
    assert pack(tree, chunk_bytes=CHUNK_BYTES.get(path.name, 2**30)) == data
    truth_path = path.with_suffix(".truth.json")
    truth = json.loads(truth_path.read_text("utf-8")) if truth_path.exists() else {}
    if truth.keys() & {"map", "array"}:
        assert described(tree) == truth
