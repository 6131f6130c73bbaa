"""Archives that numpy and zipfile read, and that are read only where all readers would agree."""

import io
import struct
import tracemalloc
import zipfile
import zlib

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnbridge.errors import IntegrityError, ReadError, WriteError
from snnbridge.storage import Limits, Source, StoredZip, Target, ZipReader

ARRAYS = {
    "large.npy": np.arange(3_000_000, dtype=np.float32).reshape(1500, 2000),
    "fortran.npy": np.asfortranarray(np.arange(30_000.0).reshape(100, 300)),
    "turned.npy": np.arange(600_000, dtype=np.int16).reshape(10, 20, 3000).transpose(2, 0, 1),
    "big-endian.npy": np.arange(5, dtype=">f8"),
    "scalar.npy": np.array(3.5),
    "empty.npy": np.zeros((0, 4), np.float32),
    "name of µ.npy": np.array([True, False]),
    "a/../b": np.arange(3),
}


def write(path, arrays=ARRAYS, *, sha256=False, comment=b"", extra=None):
    with (
        Target(path) as target,
        target.open(sha256=sha256) as file,
        StoredZip(file, comment=comment) as archive,
    ):
        for name, array in arrays.items():
            archive.add_array(name, array)
        for name, data in (extra or {}).items():
            archive.add(name, data)
    return file, archive


def test_numpy_and_zipfile_read_what_is_written(tmp_path):
    path = tmp_path / "a.npz"
    write(path, extra={"note.txt": b"hello", "blob": bytes(100_000)})
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*ARRAYS, "note.txt", "blob"]
        assert archive.read("blob") == bytes(100_000)
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    with np.load(path) as loaded:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(loaded[name], array)


def test_arrays_come_back_as_aligned_read_only_views_of_the_file(tmp_path):
    path = tmp_path / "a.npz"
    write(path)
    archive = ZipReader(Source(path).data)
    assert archive.names == list(ARRAYS)
    for name, array in ARRAYS.items():
        got = archive.array(name, verify=True)
        np.testing.assert_array_equal(got, array)
        assert got.dtype == array.dtype.newbyteorder("<")
        assert not got.flags.owndata
        assert not got.flags.writeable
        assert got.size == 0 or got.ctypes.data % 64 == 0


def test_the_same_arrays_give_the_same_bytes_and_the_digests_are_right(tmp_path):
    one, archive = write(tmp_path / "a.npz", sha256=True)
    write(tmp_path / "b.npz", {name: array.copy("K") for name, array in ARRAYS.items()})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    source = Source(tmp_path / "a.npz")
    assert one.sha256 == source.digest()
    assert archive.fingerprint == ZipReader(source.data).fingerprint


def test_the_fingerprint_tells_other_contents(tmp_path):
    prints = set()
    for value in (1.0, 2.0):
        _, archive = write(tmp_path / "a.npz", {"a": np.array([value])})
        prints.add(archive.fingerprint)
    assert len(prints) == 2


def test_small_members_by_the_thousand_keep_their_digest(tmp_path):
    arrays = {f"{i}.npy": np.full((32, 32), i, np.float32) for i in range(5000)}
    file, _ = write(tmp_path / "a.npz", arrays, sha256=True)
    source = Source(tmp_path / "a.npz")
    assert file.sha256 == source.digest()
    archive = ZipReader(source.data)
    assert all(archive.array(name)[3, 4] == i for i, name in enumerate(arrays))


def test_more_members_than_16_bits_count_are_written_and_read(tmp_path):
    write(tmp_path / "a.npz", {}, extra=dict.fromkeys(map(str, range(66_000)), b""))
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert len(archive.namelist()) == 66_000
    assert len(ZipReader(Source(tmp_path / "a.npz").data)) == 66_000


def test_small_floats_are_written_as_numpy_writes_them(tmp_path):
    array = np.arange(-4, 4).astype(ml_dtypes.bfloat16)
    write(tmp_path / "a.npz", {"w.npy": array})
    expected = np.load(tmp_path / "a.npz")["w.npy"]
    assert expected.dtype == np.dtype("V2")
    assert expected.view(ml_dtypes.bfloat16).tolist() == array.tolist()


def test_writing_takes_little_memory(tmp_path):
    array = np.zeros((4000, 4000), np.float32).T[::2]
    tracemalloc.start()
    write(tmp_path / "a.npz", {"a": array, "b": array.T}, sha256=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "n" * 70_000, "twice"])
def test_impossible_names_are_refused_when_written(tmp_path, name):
    with pytest.raises(WriteError, match="member"):
        write(tmp_path / "a.npz", {"twice": np.zeros(3)}, extra={name: b""})
    assert list(tmp_path.iterdir()) == []


def test_an_archive_without_members_is_read_and_written(tmp_path):
    write(tmp_path / "a.npz", {})
    assert ZipReader(Source(tmp_path / "a.npz").data).names == []
    assert zipfile.ZipFile(tmp_path / "a.npz").namelist() == []


def test_the_comment_is_kept(tmp_path):
    write(tmp_path / "a.npz", {"a": np.zeros(1)}, comment=b"made by a test")
    assert ZipReader(Source(tmp_path / "a.npz").data).comment == b"made by a test"
    assert zipfile.ZipFile(tmp_path / "a.npz").comment == b"made by a test"


def saved(save=np.savez, **arrays):
    stream = io.BytesIO()
    save(stream, **(arrays or {"a": np.arange(100), "b": np.ones((50, 50))}))
    return stream.getvalue()


def zipped(method=zipfile.ZIP_STORED, members=(("a", b"A" * 50), ("b", b"B" * 5000)), comment=b""):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
        archive.comment = comment
    return stream.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves_is_read(save):
    arrays = {"a": np.random.default_rng(0).normal(size=(300, 400)), "b": np.arange(5)}
    archive = ZipReader(saved(save, **arrays))
    assert archive.names == ["a.npy", "b.npy"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(archive.array(f"{name}.npy"), array)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@given(data=st.binary(max_size=3000), times=st.sampled_from([1, 300]))
@settings(max_examples=15)
def test_every_method_of_compression_is_read(method, data, times):
    archive = ZipReader(zipped(method, [("x", data * times)]))
    assert archive.data("x") == data * times


class Unseekable(io.RawIOBase):
    """A stream on which zipfile writes data descriptors."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_with_data_descriptors_are_read(method):
    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a", b"A" * 500)
        with archive.open("b", "w", force_zip64=True) as file:
            file.write(b"B" * 700)
    assert ZipReader(bytes(stream.data)).data("a") == b"A" * 500
    assert ZipReader(bytes(stream.data)).data("b") == b"B" * 700
    place = bytes(stream.data).index(b"PK\x07\x08") + 5
    stream.data[place] ^= 1
    with pytest.raises(ReadError, match="contradicts"):
        ZipReader(bytes(stream.data)).data("a")


def test_names_in_other_alphabets_are_read():
    data = zipped(members=[("gewicht_ü", b"1"), ("重み", b"2"), ("plain", b"3")])
    assert ZipReader(data).names == ["gewicht_ü", "重み", "plain"]


def at(data, signature, offset, layout, value, which=0):
    """Change a number in the ``which``-th record with that signature."""
    place = -1
    for _ in range(which + 1):
        place = data.index(signature, place + 1)
    result = bytearray(data)
    struct.pack_into(layout, result, place + offset, value)
    return bytes(result)


LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
PLAIN = zipped()
HOSTILE = {
    "empty": (b"", "no zip archive"),
    "no zip": (b"\x93NUMPY" * 10, "no zip archive"),
    "cut": (PLAIN[:-30], "cut"),
    "cut in the end record": (PLAIN[:-5], "cut"),
    "bytes after": (PLAIN + b"x", "1 bytes after its directory"),
    "bytes before": (b"PK" + PLAIN, "follows other bytes"),
    "two archives": (PLAIN + zipped(members=[("c", b"C")]), "follows other bytes"),
    "comment with an end record": (zipped(comment=PLAIN[-22:]), "should end at"),
    "count too small": (at(at(PLAIN, END, 8, "<H", 1), END, 10, "<H", 1), "its members need"),
    "count too large": (at(at(PLAIN, END, 8, "<H", 9), END, 10, "<H", 9), "damaged"),
    "directory elsewhere": (at(PLAIN, END, 16, "<L", 3), "should end at"),
    "divided": (at(PLAIN, END, 4, "<H", 1), "divided"),
    "encrypted": (at(PLAIN, CENTRAL, 8, "<H", 1), "'a' is encrypted"),
    "unknown method": (at(PLAIN, CENTRAL, 10, "<H", 93), "'a' is compressed by an unknown method"),
    "two sizes": (at(PLAIN, CENTRAL, 24, "<L", 51), "'a' is stored but states two sizes"),
    "overlap": (at(PLAIN, CENTRAL, 42, "<L", 0, 1), "overlaps"),
    "beyond the end": (at(PLAIN, CENTRAL, 42, "<L", 1 << 20, 1), "overlaps"),
    "second disk": (at(PLAIN, CENTRAL, 34, "<H", 7), "another part"),
    "no record": (at(PLAIN, CENTRAL, 0, "<B", 7), "damaged record"),
    "zero name": (at(PLAIN, CENTRAL, 46, "<B", 0), "impossible name"),
    "zip64 sizes that are not there": (at(PLAIN, CENTRAL, 20, "<L", 0xFFFFFFFF), "two sizes"),
}
CONTRADICTIONS = {
    "local name": at(PLAIN, LOCAL, 30, "<B", ord("z")),
    "local signature": at(PLAIN, LOCAL, 2, "<B", 0),
    "local method": at(PLAIN, LOCAL, 8, "<H", 8),
    "local size": at(PLAIN, LOCAL, 22, "<L", 51),
    "local CRC": at(PLAIN, LOCAL, 14, "<L", 51),
    "local flags": at(PLAIN, LOCAL, 6, "<H", 1),
    "local name length": at(PLAIN, LOCAL, 26, "<H", 2),
    "local extra length": at(PLAIN, LOCAL, 28, "<H", 60_000),
    "local extra shifts the data": at(PLAIN, LOCAL, 28, "<H", 1),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_damaged_or_ambiguous_archive_is_refused(case):
    data, message = HOSTILE[case]
    with pytest.raises(ReadError, match=message):
        ZipReader(data)


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_header_that_contradicts_the_directory_is_refused(case):
    archive = ZipReader(CONTRADICTIONS[case])
    with pytest.raises(ReadError, match="'a' contradicts"):
        archive.data("a")
    assert archive.data("b") == b"B" * 5000


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused():
    with pytest.raises(ReadError, match="'a' twice"):
        ZipReader(zipped(members=[("a", b"1"), ("b", b"2"), ("a", b"3")]))


def test_a_missing_member_is_named():
    with pytest.raises(ReadError, match="no member 'c'"):
        ZipReader(PLAIN, where="the test archive").data("c")


def test_a_name_that_is_no_utf8_or_too_long_is_refused():
    data = zipped(members=[("é", b"1")])
    with pytest.raises(ReadError, match="not UTF-8"):
        ZipReader(data.replace("é".encode(), b"\xc3\x28"))
    with pytest.raises(ReadError, match="impossible name"):
        ZipReader(zipped(members=[("n" * 5000, b"1")]))


def test_a_second_name_in_an_extra_field_is_refused():
    info = zipfile.ZipInfo("a")
    info.extra = struct.pack("<HHBL", 0x7075, 6, 1, zlib.crc32(b"a")) + b"b"
    with pytest.raises(ReadError, match="second name"):
        ZipReader(zipped(members=[(info, b"1")]))


def test_a_changed_byte_of_a_stored_member_is_found_on_request():
    data = PLAIN.replace(b"A" * 50, b"A" * 49 + b"B")
    assert len(ZipReader(data).data("a")) == 50
    with pytest.raises(IntegrityError, match=r"'a'.*CRC-32"):
        ZipReader(data).data("a", verify=True)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_compressed_data_is_refused(method):
    original = bytes(range(256)) * 40
    data = zipped(method, [("x", original)])
    start, stop = 31, data.index(CENTRAL)
    for position in range(start, stop, 7):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        try:
            assert ZipReader(bytes(damaged)).data("x") == original  # a bit that means nothing
        except ReadError:
            continue


@pytest.mark.parametrize("delta", [-1, 1])
def test_more_or_less_than_the_stated_size_is_refused(delta):
    data = zipped(zipfile.ZIP_DEFLATED, [("x", b"x" * 9000)])
    data = at(at(data, CENTRAL, 24, "<L", 9000 + delta), LOCAL, 22, "<L", 9000 + delta)
    with pytest.raises(ReadError, match="expand"):
        ZipReader(data).data("x")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_is_refused_before_memory_is_taken(method):
    data = zipped(method, [("x", bytes(8 << 20))])
    limits = Limits(expansion_floor=4 << 20, expansion_whole=4 << 20)
    tracemalloc.start()
    with pytest.raises(ReadError, match="trusted"):
        ZipReader(data, limits=limits).data("x")
    lie = at(at(data, CENTRAL, 24, "<L", 1000), LOCAL, 22, "<L", 1000)
    with pytest.raises(ReadError, match="more than the 1000 bytes"):
        ZipReader(lie).data("x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    assert ZipReader(data, limits=limits.trusted()).data("x") == bytes(8 << 20)


@pytest.mark.parametrize("weight", [np.zeros, np.eye])
def test_weights_that_are_mostly_zeros_are_read(weight):
    array = weight(3000) if weight is np.eye else weight((3000, 3000))
    data = saved(np.savez_compressed, w=array)
    assert array.nbytes > Limits().expansion_ratio * len(data)
    assert np.array_equal(ZipReader(data).array("w.npy"), array)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_expansion_beyond_what_deflate_can_do_is_allowed_unless_trusted(method):
    data = zipped(method, [("x", bytes(80 << 20))])
    with pytest.raises(ReadError, match=r"trusted=True or --trusted"):
        ZipReader(data)
    assert len(ZipReader(data, limits=Limits().trusted()).data("x")) == 80 << 20


def test_overlapping_members_are_refused():
    """The archive that expands because many names share the same bytes."""
    data = zipped(members=[("a", b"A" * 50), ("b", b"A" * 50)])
    second = struct.unpack_from("<L", data, data.rindex(CENTRAL) + 42)[0]
    for offset in (second - 1, second - 30, 0):
        with pytest.raises(ReadError, match="overlaps"):
            ZipReader(at(data, CENTRAL, 42, "<L", offset, 1))


BASE = saved(np.savez_compressed, a=np.arange(40), b=np.ones((3, 3), np.float32))


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, len(BASE) - 1), st.integers(0, 255)), max_size=4), st.data()
)
def test_any_change_is_read_or_refused_but_never_crashes(changes, data):
    damaged = bytearray(BASE)
    for position, value in changes:
        damaged[position] = value
    damaged = damaged[: data.draw(st.sampled_from([len(damaged), len(damaged) // 2, 30]))]
    try:
        archive = ZipReader(bytes(damaged))
        for name in archive.names:
            archive.array(name)
    except ReadError:
        return


@settings(max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=60)), max_size=5))
def test_what_zipfile_accepts_of_honest_archives_is_read_alike(members):
    members = [(name, data) for name, data in dict(members).items() if name and "\0" not in name]
    members = [(name, data) for name, data in members if name.isprintable()]
    data = zipped(members=members)
    archive, judge = ZipReader(data), zipfile.ZipFile(io.BytesIO(data))
    assert archive.names == judge.namelist()
    for name in archive.names:
        assert archive.data(name, verify=True) == judge.read(name)


@pytest.mark.slow
def test_members_beyond_four_gigabytes_are_written_and_read(tmp_path):
    path, large = tmp_path / "a.npz", np.zeros((1 << 30) + 5, np.float32)
    write(path, {"large.npy": large, "after.npy": np.arange(7)})
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("large.npy").file_size == large.nbytes + 128
        with archive.open("after.npy") as file:
            assert np.lib.format.read_array(file).tolist() == list(range(7))
    archive = ZipReader(Source(path).data)
    assert archive.array("large.npy").shape == large.shape
    assert archive.array("after.npy", verify=True).tolist() == list(range(7))
    path.unlink()
