"""What the reader of the wire format gives: views of the file, and clear refusals."""

from __future__ import annotations

import itertools
import mmap
import struct
import tracemalloc

import ml_dtypes
import msgpack
import numpy as np
import pytest

from snnbridge.errors import ReadError
from snnbridge.wire import MAX_DEPTH, pack, unpack, unpack_value

CHUNKED = "__msgpack_chunked_array__"


def stored(shape, name, raw, code=1) -> bytes:
    """The bytes of an array as msgpack itself writes them, whatever they claim."""
    return msgpack.packb(msgpack.ExtType(code, msgpack.packb((shape, name, raw))))


def under_x(value: bytes) -> bytes:
    return b"\x81\xa1x" + value


def test_arrays_are_read_only_views_of_the_buffer():
    data = bytearray(pack({"a": {"W": np.arange(6.0).reshape(2, 3), "b": np.array(7)}}))
    tree = unpack(data)
    for array in tree["a"].values():
        assert np.shares_memory(array, np.frombuffer(data, np.uint8))
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    np.testing.assert_array_equal(tree["a"]["W"], [[0, 1, 2], [3, 4, 5]])
    assert tree["a"]["b"].shape == ()


def test_arrays_keep_a_mapped_file_open(tmp_path):
    path = tmp_path / "net.bp"
    path.write_bytes(pack({"W": np.ones(1000)}))
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    weights = unpack(mapping)["W"]
    with pytest.raises(BufferError):
        mapping.close()
    assert weights.sum() == 1000
    del weights
    mapping.close()


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, lambda b: memoryview(b).cast("b")])
def test_any_contiguous_buffer_is_read(form):
    assert unpack(form(pack({"a": 1}))) == {"a": 1}


def test_scalars_and_arrays_without_axes_stay_distinct():
    tree = unpack(pack({"scalar": np.float32(2), "array": np.array(2, np.float32), "float": 2.0}))
    assert type(tree["scalar"]) is np.float32
    assert type(tree["array"]) is np.ndarray
    assert type(tree["float"]) is float


def test_keys_keep_their_order():
    assert list(unpack(pack({"b": 1, "a": 2, "é": 3, "": 4}))) == ["b", "a", "é", ""]


def test_text_types_are_read_though_the_frameworks_cannot():
    tree = {
        "array": np.array(["ab", "日本語"]),
        "bytes": np.array([b"a", b"bcd"]),
        "void": np.array([b"abcd"], "V5"),
        "scalars": [np.str_("a\0"), np.str_(""), np.bytes_(b"a\0"), np.bytes_(b""), np.void(b"ab")],
        "times": np.array(["2024-01-01", "NaT"], "M8[D]"),
    }
    found = unpack(pack(tree))
    for name in ("array", "bytes", "void", "times"):
        assert found[name].dtype == tree[name].dtype
        assert found[name].tobytes() == tree[name].tobytes()
    for given, read in zip(tree["scalars"], found["scalars"].values(), strict=True):
        assert type(read) is type(given)
        assert read == given
    assert len(found["scalars"]["2"]) == 2


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"])
def test_low_precision_types_are_those_of_ml_dtypes(name):
    dtype = np.dtype(getattr(ml_dtypes, name))
    array = np.array([0, 1, 2, 3]).astype(dtype)
    tree = unpack(pack({"array": array, "scalar": array[1]}))
    assert tree["array"].dtype == dtype
    assert tree["array"].tobytes() == array.tobytes()
    assert type(tree["scalar"]) is dtype.type


def test_extended_precision_is_read_where_the_platform_has_it():
    name = np.dtype(np.longdouble).name
    assert unpack(pack({"x": np.longdouble(1) / 3}))["x"] == np.longdouble(1) / 3
    missing = {"float96", "float128"} - {name}
    for absent in missing:
        with pytest.raises(ReadError, match="unknown"):
            unpack(under_x(stored((1,), absent, bytes(16))))


def test_longer_forms_than_necessary_are_read():
    data = b"\xde\x00\x02\xd9\x01a\xcd\x00\x05\xdb\x00\x00\x00\x01b\xca" + struct.pack(">f", 0.5)
    assert unpack(data) == {"a": 5, "b": 0.5}


def test_signed_integers_of_every_width_are_read():
    data = b"\x84\xa11\xd0\x80\xa12\xd1\x00\x05\xa13\xd2\xff\xff\xff\xff\xa14\xd3" + b"\xff" * 8
    assert unpack(data) == {"1": -128, "2": 5, "3": -1, "4": -1}


def test_a_bare_leaf_is_read_only_on_request():
    for value in (3, "a", None, np.float32(1)):
        assert unpack_value(pack(value)) == value
    np.testing.assert_array_equal(unpack_value(pack(np.arange(9), chunk_bytes=16)), range(9))
    for value in (3, np.arange(9), None):
        with pytest.raises(ReadError, match="a map was expected at the top"):
            unpack(pack(value, chunk_bytes=16))


FLOATS = stored((2,), "float32", bytes(8))
HOSTILE = {
    "nothing": (b"", "empty"),
    "trailing bytes": (b"\x80\x80", "1 bytes follow"),
    "ten megabytes of empty maps": (b"\x80" * 10**7, "bytes follow"),
    "a cut map": (b"\x82\xa1a\x01", "does not fit"),
    "a cut key": (b"\x81\xa5ab", "cut"),
    "a cut key head": (b"\x81\xd9", "does not fit|cut"),
    "a cut value": (b"\x82\xa1a\xcd\x00", "cut"),
    "no value": (b"\x81\xa1a", "cut"),
    "a map of four thousand million": (b"\xdf\xff\xff\xff\xff\xa1a\x01", "does not fit"),
    "a text of four gigabytes": (under_x(b"\xdb\xff\xff\xff\xff"), "cut"),
    "bytes of four gigabytes": (under_x(b"\xc6\xff\xff\xff\xff"), "cut"),
    "an extension of four gigabytes": (under_x(b"\xc9\xff\xff\xff\xff\x01"), "cut"),
    "a key twice": (b"\x82\xa1x\x01\xa1x\x02", "twice"),
    "a key twice in two forms": (b"\x82\xa1x\x01\xd9\x01x\x02", "twice"),
    "an integer key": (b"\x81\x01\x01", "key must be text"),
    "a bytes key": (b"\x81\xc4\x01a\x01", "key must be text"),
    "a map as key": (b"\x81\x80\x01", "key must be text"),
    "invalid UTF-8": (under_x(b"\xa1\xff"), "UTF-8"),
    "invalid UTF-8 in a key": (b"\x81\xa1\xff\x01", "UTF-8"),
    "a surrogate": (under_x(b"\xa3\xed\xa0\x80"), "UTF-8"),
    "an overlong form": (under_x(b"\xa2\xc0\x80"), "UTF-8"),
    "an unused code": (under_x(b"\xc1"), "unused"),
    "a msgpack array": (under_x(b"\x92\x01\x02"), "msgpack array"),
    "a long msgpack array": (under_x(b"\xdd\xff\xff\xff\xff"), "msgpack array"),
    "a timestamp": (under_x(b"\xd6\xff\x00\x00\x00\x00"), "extension type -1"),
    "an extension of others": (under_x(b"\xd4\x04\x00"), "extension type 4"),
    "an empty extension": (under_x(b"\xc7\x00\x01"), "cut|stored as"),
    "a complex of integers": (under_x(b"\xc7\x03\x02\x92\x01\x02"), "two 64-bit floats"),
    "an array that is no list": (under_x(b"\xd4\x01\x80"), "stored as"),
    "an array of two parts": (under_x(b"\xd5\x01\x92\x90"), "stored as"),
    "a payload with a tail": (under_x(b"\xc7\x16" + FLOATS[2:] + b"\0"), "disagrees"),
    "a payload that is too short": (under_x(b"\xc7\x14" + FLOATS[2:]), "disagrees"),
    "a shape that is a number": (under_x(stored(2, "float32", bytes(8))), "array of lengths"),
    "a negative shape": (under_x(stored((-1,), "float32", bytes(4))), "at least 0"),
    "a shape of text": (under_x(stored(("2",), "float32", bytes(8))), "at least 0"),
    "a shape of floats": (under_x(stored((2.0,), "float32", bytes(8))), "at least 0"),
    "a wrong shape": (under_x(stored((3,), "float32", bytes(8))), "takes 12 bytes, 8 are there"),
    "too many dimensions": (under_x(stored((1,) * 65, "int8", b"a")), "65 dimensions"),
    "a product that wraps": (under_x(stored((2**32, 2**32), "int8", b"")), "larger than"),
    "a product that wraps later": (under_x(stored((2**62, 4, 0), "int8", b"")), "larger than"),
    "an axis beyond 2**63": (under_x(stored((2**64 - 1, 0), "int8", b"")), "larger than"),
    "an empty type": (under_x(stored((1,), "", b"a")), "unknown"),
    "a type of objects": (under_x(stored((1,), "object", bytes(8))), "unknown"),
    "a structured type": (under_x(stored((1,), "i4,i4", bytes(8))), "unknown"),
    "a big-endian type": (under_x(stored((1,), ">f4", bytes(4))), "unknown"),
    "an abbreviated type": (under_x(stored((1,), "f4", bytes(4))), "unknown"),
    "a module's attribute": (under_x(stored((1,), "finfo", bytes(4))), "unknown"),
    "a type with a NUL": (under_x(stored((1,), "float32\0", bytes(4))), "unknown"),
    "a type that is no ASCII": (under_x(stored((1,), "flöat", bytes(4))), "unknown"),
    "a type of bytes": (under_x(stored((1,), b"float32", bytes(4))), "short text"),
    "a text of no width": (under_x(stored((2**40,), "str", b"")), "unknown"),
    "a text of part of a character": (under_x(stored((1,), "str33", b"")), "unknown"),
    "a text of any width": (under_x(stored((0,), "str" + "9" * 20, b"")), "unknown"),
    "a time of no unit": (under_x(stored((1,), "datetime64[xy]", bytes(8))), "unknown"),
    "content that is text": (under_x(stored((2,), "int8", "ab")), "must be bytes"),
    "a scalar with a shape": (under_x(stored((1,), "int8", b"a", code=3)), "cannot have the shape"),
    "a truth value of 2": (under_x(stored((2,), "bool", b"\x01\x02")), "bool"),
    "a scalar truth value of 2": (under_x(stored((), "bool", b"\x02", code=3)), "bool"),
    "an impossible character": (under_x(stored((1,), "str32", b"\xff" * 4)), "str32"),
    "an impossible scalar": (under_x(stored((), "str32", b"\xff" * 4, code=3)), "str32"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_is_no_tree_is_refused(case):
    data, reason = HOSTILE[case]
    with pytest.raises(ReadError, match=reason):
        unpack(data)


def test_every_cut_of_a_file_is_refused():
    data = pack({"a": {"W": np.ones(3), "b": [1, 2.0, "c", 1j]}, "s": np.str_("x")})
    for end in range(len(data)):
        with pytest.raises(ReadError):
            unpack(data[:end])


def test_the_message_names_the_byte_and_the_path():
    data = pack({"Dense0": {"Dense0.b": 1, "Dense0.W": np.ones(2, np.float32)}})
    start = data.index(b"Dense0.W") + 8
    damaged = data.replace(b"\x91\x02", b"\x91\x03")
    with pytest.raises(ReadError) as caught:
        unpack(damaged)
    assert f"byte {start} of {len(data)}" in str(caught.value)
    assert "('Dense0', 'Dense0.W')" in str(caught.value)


def test_a_message_stays_short_whatever_the_names():
    data = b"\x81\xdb" + struct.pack(">I", 10**6) + b"n" * 10**6 + b"\xc1"
    with pytest.raises(ReadError) as caught:
        unpack(data)
    assert len(str(caught.value)) < 500


def test_maps_nest_to_a_limit_without_exhausting_the_stack():
    assert unpack(b"\x81\xa1a" * (MAX_DEPTH - 1) + b"\x80")
    for depth in (MAX_DEPTH, 10**6):
        with pytest.raises(ReadError, match="nested more than 512"):
            unpack(b"\x81\xa1a" * depth + b"\x80")


def tiny_maps(count: int) -> bytes:
    names = itertools.product(range(33, 127), repeat=4)
    entries = b"".join(b"\xa4" + bytes(name) + b"\x80" for name in itertools.islice(names, count))
    return b"\xdf" + struct.pack(">I", count) + entries


def test_objects_take_a_bounded_multiple_of_the_size_of_the_file():
    data = tiny_maps(600_000)
    tracemalloc.start()
    try:
        with pytest.raises(ReadError, match="far more objects"):
            unpack(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 * 2**20 + 32 * len(data)


def test_a_trusted_file_may_have_any_number_of_objects_and_any_content():
    assert len(unpack(tiny_maps(600_000), trusted=True)) == 600_000
    odd = under_x(stored((2,), "bool", b"\x01\x02"))
    assert unpack(odd, trusted=True)["x"].tobytes() == b"\x01\x02"


def test_a_long_list_of_numbers_is_an_honest_file():
    assert len(unpack(pack({"losses": list(range(300_000))}))["losses"]) == 300_000


@pytest.mark.parametrize("chunk_bytes", [1, 8, 12, 47, 48, 95])
def test_chunks_of_any_length_are_joined(chunk_bytes):
    array = np.arange(12.0).reshape(3, 4)
    data = pack({"n": {"a": array, "b": 1}}, chunk_bytes=chunk_bytes)
    found = unpack(data)["n"]["a"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert not found.flags.writeable


def test_chunks_are_joined_by_number_whatever_their_order_in_the_file():
    chunks = {str(i): np.array([i]) for i in (10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9)}
    data = pack({"a": {"chunks": chunks, CHUNKED: True, "shape": [11]}})
    np.testing.assert_array_equal(unpack(data)["a"], range(11))


def test_a_single_chunk_stays_a_view():
    data = pack({"a": {CHUNKED: True, "shape": [2, 2], "chunks": [np.arange(4)]}})
    found = unpack(data)["a"]
    assert np.shares_memory(found, np.frombuffer(data, np.uint8))
    assert found.shape == (2, 2)


def test_a_large_joined_array_takes_no_memory_of_the_process():
    array = np.arange(9 * 2**20, dtype=np.float64)
    assert array.nbytes > 64 * 2**20
    data = pack({"a": array}, chunk_bytes=2**25)
    tracemalloc.start()
    try:
        found = unpack(data)["a"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    assert not found.flags.writeable
    assert np.array_equal(found, array)


GOOD = {CHUNKED: True, "shape": {"0": 2}, "chunks": {"0": np.zeros(1), "1": np.zeros(1)}}
BAD_CHUNKS = {
    "no shape": {CHUNKED: True, "chunks": GOOD["chunks"]},
    "another key": GOOD | {"other": 1},
    "not true": GOOD | {CHUNKED: 1},
    "shape is no map": GOOD | {"shape": 2},
    "shape is not numbered": GOOD | {"shape": {"1": 2}},
    "shape has a float": GOOD | {"shape": {"0": 2.0}},
    "shape has a truth value": GOOD | {"shape": {"0": 2, "1": True}},
    "shape is negative": GOOD | {"shape": {"0": -2, "1": -1}},
    "shape is too long": GOOD | {"shape": [2] + [1] * 64},
    "shape is beyond memory": GOOD | {"shape": [0, 2**63], "chunks": [np.zeros(0), np.zeros(0)]},
    "shape does not fit": GOOD | {"shape": {"0": 3}},
    "no chunks": GOOD | {"chunks": {}},
    "a chunk is missing": GOOD | {"chunks": {"0": np.zeros(1), "2": np.zeros(1)}},
    "a chunk is no array": GOOD | {"chunks": {"0": np.zeros(1), "1": 0.0}},
    "a chunk has two axes": GOOD | {"chunks": {"0": np.zeros(1), "1": np.zeros((1, 1))}},
    "chunks of two types": GOOD | {"chunks": {"0": np.zeros(1), "1": np.zeros(1, int)}},
    "a chunk in chunks": GOOD | {"chunks": {"0": np.zeros(1), "1": GOOD}, "shape": {"0": 3}},
}


@pytest.mark.parametrize("case", BAD_CHUNKS)
def test_chunks_that_are_no_array_are_refused_by_path(case):
    with pytest.raises(ReadError, match=r"path \('net', 'W'"):
        unpack(pack({"net": {"W": BAD_CHUNKS[case]}}))
    assert unpack(pack({"W": GOOD}))["W"].shape == (2,)
