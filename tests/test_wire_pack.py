"""What the writer of the wire format writes: the bytes of the frameworks, in bounded memory."""

from __future__ import annotations

import collections
import enum
import functools
import pathlib
import tracemalloc

import ml_dtypes
import msgpack
import numpy as np
import pytest

from snnbridge.errors import WriteError
from snnbridge.wire import MAX_DEPTH, pack, pack_into, packed_size, unpack

Point = collections.namedtuple("Point", ["x", "y"])


def payload(array: np.ndarray) -> bytes:
    return msgpack.packb((array.shape, array.dtype.name, array.tobytes()))


def extension(value):
    """The hook of the frameworks, as their documentation of the format describes it."""
    if isinstance(value, np.ndarray):
        return msgpack.ExtType(1, payload(value))
    if isinstance(value, np.generic):
        return msgpack.ExtType(3, payload(np.asarray(value)))
    if isinstance(value, complex):
        return msgpack.ExtType(2, msgpack.packb((value.real, value.imag)))
    raise TypeError(type(value))


def reference(tree) -> bytes:
    return msgpack.packb(tree, default=extension, strict_types=True)


LEAVES = [
    (None, "c0"),
    (False, "c2"),
    (True, "c3"),
    (0, "00"),
    (127, "7f"),
    (128, "cc80"),
    (255, "ccff"),
    (256, "cd0100"),
    (65536, "ce00010000"),
    (2**32, "cf0000000100000000"),
    (2**64 - 1, "cfffffffffffffffff"),
    (-1, "ff"),
    (-32, "e0"),
    (-33, "d0df"),
    (-128, "d080"),
    (-129, "d1ff7f"),
    (-32769, "d2ffff7fff"),
    (-(2**31) - 1, "d3ffffffff7fffffff"),
    (-(2**63), "d38000000000000000"),
    (1.5, "cb3ff8000000000000"),
    (-0.0, "cb8000000000000000"),
    ("", "a0"),
    ("V", "a156"),
    ("x" * 32, "d920" + "78" * 32),
    (b"", "c400"),
    (b"\x00\xff", "c40200ff"),
    (bytearray(b"a"), "c40161"),
    (memoryview(b"ab"), "c4026162"),
    (memoryview(np.ones(2, ">i2")), "c40400010001"),
    (1 - 2j, "c7130292cb3ff0000000000000cbc000000000000000"),
    ({}, "80"),
    ([], "80"),
    ((), "80"),
    ([True], "81a130c3"),
    (Point(1, 2), "82a17801a17902"),
    ({3: None}, "81a133c0"),
    ({(1, 2): 0}, "81a628312c20322900"),
    (np.ones(2, np.float32), "c71501939102a7666c6f61743332c4080000803f0000803f"),
    (np.array(1, np.float32), "d8019390a7666c6f61743332c4040000803f"),
    (np.float32(1), "d8039390a7666c6f61743332c4040000803f"),
    (np.float64(1), "c714039390a7666c6f61743634c408000000000000f03f"),
    (np.bool_(True), "c70a039390a4626f6f6cc40101"),
    (np.zeros((0, 3), np.int8), "c70b0193920003a4696e7438c400"),
    (np.array(["ab"]), "c71301939101a57374723634c4086100000062000000"),
    (np.array([1], ml_dtypes.bfloat16), "d801939101a862666c6f61743136c402803f"),
    (np.array([3], ml_dtypes.int4), "c70b01939101a4696e7434c40103"),
]


@pytest.mark.parametrize(
    ("value", "expected"), LEAVES, ids=[f"{type(v).__name__}-{h[:40]}" for v, h in LEAVES]
)
def test_each_kind_of_value_has_the_bytes_of_the_framework(value, expected):
    assert pack({"k": value}).hex() == "81a16b" + expected
    assert pack(value).hex() == expected


@pytest.mark.parametrize("size", [0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536, 70000])
def test_heads_of_every_width_agree_with_msgpack(size):
    tree = {
        "text": "x" * size,
        "accents": "é" * size,
        "bytes": b"y" * size,
        "map": {str(i): i for i in range(size)},
        "array": np.arange(size, dtype=np.uint8),
    }
    assert pack(tree) == reference(tree)
    assert packed_size(tree) == len(reference(tree))


@pytest.mark.parametrize("length", range(1, 40))
def test_extensions_of_every_small_length_agree_with_msgpack(length):
    tree = {"a": np.zeros(length, np.int8), "b": np.bytes_(b"z" * length)}
    assert pack(tree) == reference(tree)


def test_arrays_of_many_dimensions_agree_with_msgpack():
    tree = {str(n): np.zeros((1,) * n + (300, 0), np.int16) for n in (13, 14, 20, 30)}
    assert pack(tree) == reference(tree)


@pytest.mark.parametrize("size", [24, 20_000, 600_000])
def test_memory_and_byte_order_of_an_array_do_not_show(size):
    values = np.arange(size, dtype=np.float64).reshape(4, -1, 2)
    expected = pack({"a": values})
    others = [
        np.asfortranarray(values),
        values.astype(">f8"),
        np.asfortranarray(values.astype(">f8")),
        np.repeat(values, 2, axis=1)[:, ::2],
        values[::-1, ::-1].copy()[::-1, ::-1],
        values.transpose(2, 0, 1).copy().transpose(1, 2, 0),
    ]
    for other in others:
        assert pack({"a": other}) == expected


def test_large_elements_and_repeated_rows_are_written_whole():
    wide = np.array(["x" * 700_000, "y" * 700_000, "z" * 700_000])[::2]
    same = np.broadcast_to(np.arange(3.0), (200_000, 3))
    tree = unpack(pack({"wide": wide, "same": same}))
    np.testing.assert_array_equal(tree["wide"], wide)
    np.testing.assert_array_equal(tree["same"], same)


def test_subclasses_of_arrays_and_dicts_are_stored_as_their_base():
    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    assert pack({"d": ordered}) == pack({"d": {"b": 2, "a": 1}})
    assert pack({"m": np.ones((1, 2)).view(np.recarray)}) == pack({"m": np.ones((1, 2))})


def test_a_complex_can_be_stored_as_the_scalar_of_earlier_releases():
    assert pack({"z": 1j}, complex_as_scalar=True) == pack({"z": np.complex128(1j)})
    assert packed_size({"z": 1j}, complex_as_scalar=True) == len(pack({"z": np.complex128(1j)}))


# Stand-ins for the objects of the frameworks, which are recognised by their attributes.


class DeviceArray:
    """As a jax.Array."""

    def __init__(self, values):
        self._values = np.asarray(values)
        self.dtype = self._values.dtype
        self.shape = self._values.shape

    def __array__(self, dtype=None, copy=None):
        return self._values


class Deleted(DeviceArray):
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Array has been deleted")


class Wrapper:
    """As a brainpy.math.Array."""

    def __init__(self, value):
        self.value = value


class State(Wrapper):
    """As a brainstate.State, which holds any tree."""

    def restore_value(self, value):
        self.value = value


class Dimension:
    _dims = np.array([2, 1, -3, -1, 0, 0, 0])


class OldUnit:
    scale, base, dim = -3, 10.0, Dimension()


class Unit(OldUnit):
    factor = 1.0


class Quantity:
    """As a brainunit.Quantity, which is array-like too."""

    shape, dtype = (2,), np.dtype("f4")

    def __init__(self, unit):
        self.mantissa = DeviceArray(np.ones(2, np.float32))
        self.unit = unit


class KeyType:
    name = "key<fry>"

    def __str__(self):
        return self.name


class Implementation:
    name = "threefry2x32"


class RandomKey:
    """As what jax.random.key returns."""

    dtype, shape, _impl = KeyType(), (), Implementation()
    _base_array = DeviceArray(np.array([0, 42], np.uint32))

    def __array__(self, dtype=None, copy=None):
        raise TypeError("no array of keys")


class Partial(functools.partial):
    """As jax.tree_util.Partial."""


class FlatDict(dict):
    """As brainstate.util.FlattedDict."""

    def to_nest(self):
        return {"a": {"b": 1}}


VOLT = {"mantissa": np.ones(2, np.float32), "scale": -3, "base": 10.0, "dim": Dimension._dims}
FRAMEWORK_VALUES = [
    (DeviceArray(np.ones(3)), np.ones(3)),
    (DeviceArray(np.float32(3)), np.array(3, np.float32)),
    (Wrapper(DeviceArray([1, 2])), np.array([1, 2])),
    (Wrapper(np.ones((2, 2))), np.ones((2, 2))),
    (State(DeviceArray([1, 2])), np.array([1, 2])),
    (State({"a": [1, State(2.0)]}), {"a": {"0": 1, "1": 2.0}}),
    (Quantity(Unit()), VOLT | {"factor": 1.0}),
    (Quantity(OldUnit()), VOLT),
    (State(Quantity(Unit())), VOLT | {"factor": 1.0}),
    (
        RandomKey(),
        {"__prng_key_impl__": "threefry2x32", "key_data": np.array([0, 42], np.uint32)},
    ),
    (Partial(max, 1, key=None), {"args": {"0": 1}, "keywords": {"key": None}}),
    (FlatDict({("a", "b"): 1}), {"a": {"b": 1}}),
]


@pytest.mark.parametrize(("value", "stored"), FRAMEWORK_VALUES, ids=lambda v: type(v).__name__)
def test_values_of_the_frameworks_are_stored_as_what_they_hold(value, stored):
    assert pack({"v": value}) == pack({"v": stored})


class Colour(enum.Enum):
    RED = np.ones(2)


class Text(str):
    pass


class Endless:
    shape, dtype = (), np.dtype("f4")

    def __array__(self, dtype=None, copy=None):
        return np.zeros(())

    @property
    def value(self):
        return Endless()


HIMSELF: dict = {}
HIMSELF["again"] = HIMSELF

REFUSED = [
    {1, 2},
    Colour.RED,
    Text("a"),
    object(),
    Wrapper(3),
    Endless(),
    pathlib.PurePath("a"),
    functools.partial(max, 1),
    np.float32,
    range(3),
    2**64,
    -(2**63) - 1,
    "\ud800",
    {"\udfff": 1},
    {1: "a", "1": "b"},
    np.array([None]),
    np.zeros(2, [("a", "i4")]),
    np.zeros(2, [("a", "i4")])[0],
    np.ma.masked_array([1.0, 2.0], [False, True]),
    memoryview(b"abcd")[::2],
    Deleted([1.0]),
    np.array(["a"], dtype=np.dtypes.StringDType()) if hasattr(np.dtypes, "StringDType") else object,
    HIMSELF,
]


@pytest.mark.parametrize("value", REFUSED, ids=lambda v: type(v).__name__)
def test_a_value_without_a_form_in_the_format_is_refused_by_path(value):
    with pytest.raises(WriteError, match=r"path \('layers', '1', 'here'"):
        pack({"layers": [0, {"here": value}]})


def test_dicts_may_nest_as_deep_as_the_reader_allows_and_no_deeper():
    tree: dict = {}
    for _ in range(MAX_DEPTH - 1):
        tree = {"a": tree}
    assert pack(unpack(pack(tree))) == pack(tree)
    with pytest.raises(WriteError, match="nested more than 512"):
        pack({"a": tree})
    deep: dict = {"a": np.arange(9)}
    for _ in range(MAX_DEPTH - 2):
        deep = {"a": deep}
    with pytest.raises(WriteError, match="nested more than 512"):
        pack(deep, chunk_bytes=8)


def test_a_dict_that_changes_while_it_is_written_is_noticed():
    tree = {"a": np.zeros(10**5), "b": np.zeros(10**5)}
    with pytest.raises(WriteError, match="changed"):
        pack_into(tree, lambda piece: tree.pop("b", None))


def test_a_chunk_size_below_one_byte_is_refused():
    with pytest.raises(ValueError, match="chunk_bytes"):
        pack({}, chunk_bytes=0)


def test_a_large_array_is_handed_over_as_it_lies_in_memory():
    array = np.zeros(10**5)
    pieces = []
    count = pack_into({"a": array, "b": 1}, pieces.append)
    assert any(np.shares_memory(np.frombuffer(piece, np.uint8), array) for piece in pieces)
    assert b"".join(pieces) == reference({"a": array, "b": 1})
    assert count == len(b"".join(pieces))


def test_small_values_are_joined_into_few_pieces_which_stay_as_they_are():
    tree = {str(i): {"W": np.full(256, i, np.int32)} for i in range(4000)}
    pieces = []
    pack_into(tree, pieces.append)
    assert len(pieces) < 30
    assert b"".join(pieces) == reference(tree)


def test_an_array_in_another_memory_order_is_written_through_small_blocks():
    array = np.zeros((2048, 8192), np.float32, order="F")
    assert array.nbytes == 64 * 2**20
    for tree in ({"a": array}, {"a": array.view(">f4")}):
        tracemalloc.start()
        try:
            count = pack_into(tree, len, chunk_bytes=2**24)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert count > array.nbytes
        assert peak < 16 * 2**20


def test_the_size_is_known_without_reading_the_arrays():
    array = np.broadcast_to(np.float64(1), (2**30, 1000))
    assert packed_size({"a": array}) > array.nbytes


def test_an_array_above_the_chunk_size_becomes_a_map_of_flat_chunks():
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    expected = {
        "__msgpack_chunked_array__": True,
        "shape": {"0": 2, "1": 3},
        "chunks": {"0": np.arange(2, dtype=np.int32), "1": np.array([2, 3], np.int32)},
    }
    expected["chunks"]["2"] = np.array([4, 5], np.int32)
    for order in "CF":
        tree = {"a": np.array(array, order=order)}
        assert pack(tree, chunk_bytes=11) == reference({"a": expected})
        assert packed_size(tree, chunk_bytes=11) == len(reference({"a": expected}))
        assert pack(tree, chunk_bytes=24) == reference(tree)
