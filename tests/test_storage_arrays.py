"""Arrays become the same bytes whatever their memory looks like, and come back as views."""

import io
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from snnbridge.errors import ReadError, WriteError
from snnbridge.storage import (
    Limits,
    array_bytes,
    blocks,
    nbytes,
    npy_array,
    npy_header,
    parse_npy,
    view,
)

NUMBERS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.unicode_string_dtypes(endianness="?", min_len=1, max_len=4),
)
SMALL_FLOATS = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, ml_dtypes.uint4]


@st.composite
def arrays(draw):
    """Arrays of any dtype, order, stride and byte order, of 0 to 4 axes."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    array = draw(hnp.arrays(draw(NUMBERS), shape))
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    steps = [draw(st.sampled_from([None, -1, 2])) for _ in range(array.ndim)]
    return array[(..., *(slice(None, None, step) for step in steps))]


def judge(array):
    """What numpy itself takes for the C-order, little-endian bytes."""
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


@given(arrays(), st.integers(1, 200))
def test_blocks_are_the_elements_in_c_order_little_endian(array, size):
    assert b"".join(map(bytes, blocks(array, size))) == judge(array) == array_bytes(array)
    assert nbytes(array) == len(judge(array))


@pytest.mark.parametrize("dtype", SMALL_FLOATS)
def test_blocks_keep_the_bits_of_small_floats_and_integers(dtype):
    array = np.arange(-8, 8).astype(dtype).reshape(4, 4)
    assert b"".join(map(bytes, blocks(array.T, 4))) == array.T.copy().view(np.uint8).tobytes()
    assert array_bytes(array) == array.view(np.uint8).tobytes()


def test_a_contiguous_array_is_not_copied():
    array = np.arange(12.0).reshape(3, 4)
    (block,) = blocks(array, 8)
    array[0, 0] = 7.0
    assert np.frombuffer(block)[0] == 7.0


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((700, 1000), (1, 0)),
        ((3, 3, 200, 150), (3, 2, 0, 1)),
        ((200_000, 3), (1, 0)),
        ((1, 700_000), (1, 0)),
        ((256, 256, 8), (2, 0, 1)),
    ],
)
def test_large_transposed_arrays_are_turned_in_bounded_memory(shape, axes):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape).transpose(axes)
    expected = np.ascontiguousarray(array).tobytes()
    tracemalloc.start()
    position = 0
    for block in blocks(array, 1 << 20):
        assert bytes(block) == expected[position : position + len(block)]
        position += len(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert position == len(expected)
    assert peak < 4 << 20


@pytest.mark.parametrize("dtype", [object, [("a", "f4")], [("a", "O")]])
def test_objects_and_records_are_refused(dtype):
    array = np.zeros(2, dtype)
    with pytest.raises(WriteError, match="cannot be stored"):
        list(blocks(array))
    with pytest.raises(WriteError, match="cannot be stored"):
        array_bytes(array)


def test_a_view_is_read_only_and_shares_the_bytes():
    buffer = bytearray(range(32))
    array = view(buffer, "<u2", (2, 3), 4, order="F")
    assert array.tolist() == [[0x0504, 0x0908, 0x0D0C], [0x0706, 0x0B0A, 0x0F0E]]
    buffer[4] = 0
    assert array[0, 0] == 0x0500
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


@pytest.mark.parametrize("dtype", SMALL_FLOATS)
def test_a_view_has_the_dtype_that_is_asked_for(dtype):
    array = np.arange(-4, 4).astype(dtype)
    got = view(b"-" + array_bytes(array), dtype, (8,), 1)
    assert got.dtype == array.dtype
    assert got.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("shape", "offset", "message"),
    [
        ((3, 3), 0, "needs 36 bytes"),
        ((1, 1), 29, "only 3 are there"),
        ((1,), -4, "needs 4 bytes"),
        ((1,), 1 << 70, "only 0 are there"),
        ((1 << 40, 1 << 40), 0, "too large to exist"),
        ((0, 1 << 48, 1 << 48), 0, "too large to exist"),
        ((-1,), 0, "lengths"),
        ((0, 1 << 60), 0, "lengths"),
        ((1,) * 33, 0, "33 axes"),
    ],
)
def test_a_view_beyond_the_bytes_present_is_refused(shape, offset, message):
    with pytest.raises(ReadError, match=message):
        view(bytes(32), "<f4", shape, offset)


def test_an_empty_view_needs_no_bytes():
    assert view(b"", "<f8", (0, 5)).shape == (0, 5)
    assert view(b"", "<f8", (0,), 0).flags.writeable is False


def test_a_view_of_objects_is_refused():
    with pytest.raises(ReadError, match="Python objects"):
        view(bytes(8), object, (1,))


@given(arrays())
def test_npy_headers_are_those_of_numpy(array):
    array = array.astype(array.dtype.newbyteorder("<"), order="K")
    stream = io.BytesIO()
    np.save(stream, array)
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    header = npy_header(array.dtype, array.shape, fortran=fortran)
    assert stream.getvalue().startswith(header)
    assert len(header) % 64 == 0


@pytest.mark.parametrize("dtype", SMALL_FLOATS)
def test_npy_headers_of_small_floats_are_those_of_numpy(dtype):
    stream = io.BytesIO()
    np.save(stream, np.zeros((2, 3), dtype))
    assert stream.getvalue()[:-6].removesuffix(bytes(6)) == npy_header(np.dtype(dtype), (2, 3))


@given(arrays(), st.sampled_from([(1, 0), (2, 0), (3, 0)]))
def test_what_numpy_saves_is_read_as_numpy_reads_it(array, version):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    got = npy_array(stream.getvalue())
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    assert got.tobytes() == array.tobytes()
    assert not got.flags.writeable


def npy(text, data=b"", version=b"\x01\x00"):
    text = text.encode("latin-1")
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def test_old_and_foreign_headers_are_read():
    old = npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2L, 1L)}  \n", bytes(4))
    assert npy_array(old).shape == (2, 1)
    other = npy("{'shape': (), 'fortran_order': True, 'descr': '>f8'}", bytes(8))
    assert parse_npy(other).dtype == np.dtype(">f8")
    assert parse_npy(other).data_offset == len(other) - 8


FINE = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no .npy"),
        (b"\x93NUMPY", "no .npy"),
        (b"\x93NUMPY\x01\x00", "malformed"),
        (b"\x93NUMPX" + npy(FINE, bytes(8))[6:], "no .npy"),
        (npy(FINE, bytes(8), b"\x04\x00"), "no .npy"),
        (npy(FINE, bytes(8))[:40], "at most"),
        (npy(FINE + " " * 5000, bytes(8)), "at most 4096"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "at most 0"),
        (npy(FINE, bytes(7)), "has 7 bytes, expected 8"),
        (npy(FINE, bytes(9)), "has 9 bytes, expected 8"),
        (npy(FINE.replace("(2,)", "(1099511627776,)")), "has 0 bytes"),
        (npy(FINE.replace("(2,)", "(-2,)"), bytes(8)), "malformed"),
        (npy(FINE.replace("(2,)", "(2.0,)"), bytes(8)), "malformed"),
        (npy(FINE.replace("(2,)", "(2 2)"), bytes(8)), "malformed .npy shape"),
        (npy(FINE.replace("(2,)", "[2]"), bytes(8)), "malformed"),
        (npy(FINE.replace("(2,)", "(" + "1," * 33 + ")"), bytes(4)), "33 axes"),
        (npy(FINE.replace("(2,)", "(" + "9" * 2000 + ",)"), bytes(4)), "malformed .npy shape"),
        (npy(FINE.replace("(2,)", "(9999999999999999999,)"), bytes(4)), "lengths"),
        (npy(FINE.replace("False", "0"), bytes(8)), "malformed"),
        (npy(FINE.replace("'<f4'", "'|O'"), bytes(8)), "never loaded"),
        (npy(FINE.replace("'<f4'", "[('a', '<f4')]"), bytes(8)), "records"),
        (npy(FINE.replace("'<f4'", "'f4,f4'"), bytes(8)), "unknown"),
        (npy(FINE.replace("'<f4'", "'(2,)f4'"), bytes(8)), "unknown"),
        (npy(FINE.replace("'<f4'", "'<f3'"), bytes(8)), "unknown"),
        (npy(FINE.replace("'<f4'", "'|S0'")), "unknown"),
        (npy(FINE.replace("'<f4'", "__import__('os')"), bytes(8)), "malformed"),
        (npy(FINE + "#"), "malformed"),
        (npy(FINE.replace("}", "'shape': (2,)}"), bytes(8)), "malformed"),
        (npy("(" * 4000, bytes(8)), "malformed"),
    ],
)
def test_a_damaged_or_hostile_npy_is_refused(data, message):
    with pytest.raises(ReadError, match=message):
        npy_array(data)


def test_limits_of_npy_can_be_chosen():
    with pytest.raises(ReadError, match="2 axes"):
        parse_npy(npy_header(np.dtype("f4"), (2, 2)), limits=Limits(rank=1))


@settings(max_examples=300)
@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_of_an_npy_is_read_or_refused_but_never_crashes(position, value):
    data = bytearray(npy_header(np.dtype("f4"), (2, 9)) + bytes(72))
    data[position % len(data)] = value
    try:
        got = npy_array(data)
    except ReadError:
        return
    assert got.nbytes == 72
