"""HDF5 without the HDF5 library: what h5py writes is read, what is written h5py reads."""

import io
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnbridge import IntegrityError, ReadError, WriteError
from snnbridge.storage import Limits, Source, Target
from snnbridge.storage.hdf5 import (
    Dataset,
    Group,
    NewDataset,
    NewGroup,
    end_of,
    has_datatype,
    open_file,
    write_file,
)

SETTINGS = [
    {"libver": libver, "track_order": ordered, "userblock_size": block}
    for libver in ("earliest", ("v108", "v108"), ("v110", "v110"), "latest")
    for ordered in (False, True)
    for block in (0, 1024)
]
DTYPES = [
    "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", "<u8", "?", "<f2", ">f4", "<f8", "g", "<c8",
    ">c16", "S1", "S7",
]  # fmt: skip


def made(build, **how):
    """Give the bytes of a file that h5py writes."""
    memory = io.BytesIO()
    with h5py.File(memory, "w", **how) as file:
        build(file)
    return memory.getvalue()


def opened(data, **limits):
    return open_file(memoryview(data), limits=Limits(**limits))


def everything(root):
    """Read all values of a file, by path."""
    found = {}
    pending = [root]
    while pending:
        group = pending.pop()
        for name in group:
            item = group[name]
            found[item.path] = dict(item.attributes)
            if isinstance(item, Group):
                pending.append(item)
            else:
                found[item.path, "value"] = item.read()
                found[item.path, "places"] = item.extents()
    return found


def assert_same(ours, theirs):
    """Compare a group of a file with what h5py finds."""
    assert list(ours) == list(theirs)
    assert_attributes(ours, theirs)
    for name, item in theirs.items():
        found = ours[name]
        assert found.path == item.name
        if isinstance(item, h5py.Group):
            assert_same(found, item)
            continue
        expected = item.asstr()[()] if item.dtype.kind == "O" else item[()]
        value = found.read()
        assert (found.dtype, found.shape) == (item.dtype, item.shape)
        assert (value.dtype, value.shape) == (item.dtype, item.shape)
        np.testing.assert_array_equal(value, expected)
        assert not value.flags.writeable
        assert_attributes(found, item)


def assert_attributes(ours, theirs):
    assert set(ours.attributes) == set(theirs.attrs)
    for name, value in theirs.attrs.items():
        text = value.decode() if isinstance(value, bytes) else value
        np.testing.assert_array_equal(ours.attributes[name], text)


# Reading what h5py writes.

names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0."), min_size=1, max_size=9
)
shapes = st.lists(st.integers(0, 9), max_size=3).map(tuple)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@st.composite
def arrays(draw):
    shape, dtype = draw(shapes), np.dtype(draw(st.sampled_from(DTYPES)))
    count = int(np.prod(shape))
    if dtype.kind == "S":
        return np.array([b"%d" % i for i in range(count)], dtype).reshape(shape)
    return (np.arange(count) * 37 % 101).astype(dtype).reshape(shape)


@st.composite
def chunking(draw, shape):
    if not shape or 0 in shape or draw(st.booleans()):
        return {}
    grows = st.sampled_from([False, True])
    return {
        "chunks": tuple(draw(st.integers(1, n)) for n in shape),
        "maxshape": tuple(None if draw(grows) else n for n in shape),
        "compression": draw(st.sampled_from([None, "gzip", "lzf"])),
        "shuffle": draw(st.booleans()),
        "fletcher32": draw(st.booleans()),
    }


@st.composite
def datasets(draw):
    if draw(st.booleans()):
        shape = draw(shapes)
        count = int(np.prod(shape))
        values = draw(st.lists(texts, min_size=count, max_size=count))
        text = np.array(values, object).reshape(shape)
        return {"data": text, "dtype": h5py.string_dtype(), "shape": shape}
    array = draw(arrays())
    return {"data": array, **draw(chunking(array.shape))}


trees = st.recursive(
    datasets(), lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=12
)
attributes = st.dictionaries(
    names, st.one_of(texts, st.booleans(), st.integers(-99, 99), st.floats(-9, 9), arrays())
)


def build(group, tree):
    for name, item in tree.items():
        if "data" in item and not isinstance(item["data"], dict):
            group.create_dataset(name, **item)
        else:
            build(group.create_group(name), item)


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(names, trees, max_size=5), attributes, st.sampled_from(SETTINGS))
def test_any_tree_that_h5py_writes_is_read_as_h5py_reads_it(tree, labels, how):
    def fill(file):
        build(file, {name: item for name, item in tree.items() if name != "data"})
        file.attrs.update(labels)

    data = made(fill, **how)
    with h5py.File(io.BytesIO(data)) as file:
        assert_same(opened(data), file)


@pytest.mark.parametrize("how", SETTINGS, ids=str)
def test_large_attributes_and_long_names_are_read(how):
    """A heap keeps what is longer than 4 KiB outside of its blocks."""

    def fill(file):
        for i in range(13):
            file.attrs[f"a{i}"] = np.arange(600 * i)
            file["n" * 1000 * i + "!"] = i
        if how["libver"] != "earliest":
            file.attrs["more than 64 KiB"] = np.arange(100_000)

    data = made(fill, **how)
    with h5py.File(io.BytesIO(data)) as file:
        assert_same(opened(data), file)


@pytest.mark.parametrize("how", SETTINGS, ids=str)
def test_large_groups_and_many_attributes_are_read(how):
    def fill(file):
        for i in range(700):
            file.create_group(f"{i}-{'é' * (i % 40)}").attrs["i"] = i
        for i in range(60):
            file.attrs[f"a{i}"] = "x" * i * 20 if i % 2 else np.arange(i)
        for i in range(40):
            file["5-ééééé"].create_dataset(f"d{99 - i}", data=i)

    data = made(fill, **how)
    with h5py.File(io.BytesIO(data)) as file:
        assert_same(opened(data), file)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize(
    ("shape", "chunks", "maxshape"),
    [
        ((10,), (10,), (10,)),
        ((7, 9), (7, 9), (7, 9)),
        ((7, 9), (2, 4), (7, 9)),
        ((7, 9), (2, 4), (8, 30)),
        ((9000,), (2,), (9000,)),
        ((90_001,), (2,), (None,)),
        ((3, 5000), (2, 3), (9, None)),
        ((5000, 3), (3, 2), (None, 9)),
        ((40, 50), (3, 2), (None, None)),
    ],
    ids=str,
)
def test_every_index_of_chunks_is_read(libver, compression, shape, chunks, maxshape):
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)

    def fill(file):
        how = {"chunks": chunks, "maxshape": maxshape, "compression": compression}
        file.create_dataset("whole", data=array, **how)
        part = file.create_dataset("part", shape, "i4", fillvalue=7, **how)
        part[..., shape[-1] // 3 : shape[-1] // 2] = 5

    data = made(fill, libver=libver)
    with h5py.File(io.BytesIO(data)) as file:
        assert_same(opened(data), file)


def test_chunks_without_an_index_are_read():
    def fill(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((2, 3))
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple((5, 7), (5, 9))
        found = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_INT32, space, plist)
        found.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(35, dtype="i4").reshape(5, 7))

    np.testing.assert_array_equal(
        opened(made(fill, libver="latest"))["x"].read(), np.arange(35).reshape(5, 7)
    )


def test_elements_that_were_never_written_are_the_fill_value():
    def fill(file):
        file.create_dataset("zeros", (3, 2), "f4")
        file.create_dataset("sevens", (3,), "i2", fillvalue=7)
        file.create_dataset("text", (2,), h5py.string_dtype())

    root = opened(made(fill))
    assert root["zeros"].read().tolist() == [[0, 0]] * 3
    assert root["sevens"].read().tolist() == [7, 7, 7]
    assert root["text"].read().tolist() == ["", ""]
    assert root["zeros"].extents() == []


def test_compact_elements_are_read():
    def fill(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((20,))
        found = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, space, plist)
        found.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(20.0))

    assert opened(made(fill))["x"].read().tolist() == list(range(20))


@pytest.mark.parametrize("padding", ["STR_NULLTERM", "STR_NULLPAD", "STR_SPACEPAD"])
def test_text_of_a_fixed_length_ends_where_its_padding_says(padding):
    def fill(file):
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(9)
        kind.set_strpad(getattr(h5py.h5t, padding))
        made = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create(h5py.h5s.SCALAR))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(b"LIF", "S9"))

    assert opened(made(fill))["x"].text() == "LIF"


def test_enumerations_are_their_integers():
    kind = h5py.enum_dtype({"IF": 1, "LIF": 300}, basetype=">i2")
    data = made(lambda file: file.create_dataset("x", data=[300, 1], dtype=kind))
    assert opened(data)["x"].read().tolist() == [300, 1]


def test_bfloat16_is_read():
    import ml_dtypes

    def fill(file):
        kind = h5py.h5t.IEEE_F16LE.copy()
        kind.set_fields(15, 7, 8, 0, 7)
        kind.set_ebias(127)
        space = h5py.h5s.create_simple((2,))
        found = h5py.h5d.create(file.id, b"x", kind, space)
        found.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1.5, -3], ml_dtypes.bfloat16).view("u2"),
                    mtype=kind)  # fmt: skip

    value = opened(made(fill))["x"].read()
    assert value.dtype == ml_dtypes.bfloat16
    assert value.astype(float).tolist() == [1.5, -3]


def test_contiguous_elements_are_views_of_the_file(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(1000.0)
        offset = file["x"].id.get_offset()
    dataset = open_file(Source(path).data)["x"]
    assert dataset.extents() == [(offset, 8000)]
    assert not dataset.read().flags.owndata
    assert dataset.read() is dataset.read()


def test_extents_count_from_the_start_of_the_data():
    data = made(lambda file: file.create_dataset("x", data=np.arange(9.0)), userblock_size=2048)
    ((offset, size),) = opened(data)["x"].extents()
    assert np.frombuffer(data[offset : offset + size]).tolist() == list(range(9))


def test_a_file_behind_a_foreign_head_is_read():
    data = made(lambda file: file.create_dataset("x", data=3))
    assert opened(bytes(512) + data)["x"].read() == 3


def test_a_group_is_a_mapping():
    data = made(lambda file: file.create_group("a"))
    root = opened(data)
    assert (list(root), len(root), "a" in root, "b" in root) == (["a"], 1, True, False)
    assert root.get("b") is None
    assert root["a"] is root["a"]
    assert (root.path, root["a"].path, repr(root["a"])) == ("/", "/a", "Group('/a')")
    with pytest.raises(KeyError):
        root["b"]


# Writing.


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.h5"


def save(root, path, **how):
    with Target(path) as target, target.open() as file:
        return write_file(file, root, **how)


new_values = st.one_of(
    arrays(),
    texts,
    st.lists(texts, max_size=6).map(lambda values: np.array(values, object)),
    st.binary(min_size=1, max_size=9).filter(lambda raw: raw.isascii() and b"\0" not in raw),
)
new_attributes = st.dictionaries(
    st.sampled_from(["unit", "index", "type"]),
    st.one_of(texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)),
)
new_trees = st.recursive(
    st.builds(NewDataset, new_values, new_attributes),
    lambda inner: st.builds(
        NewGroup, st.dictionaries(names, inner, max_size=4), new_attributes
    ),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(names, new_trees, max_size=5), st.booleans())
def test_any_tree_that_is_written_is_read_by_h5py_and_here(tmp_path_factory, children, gzip):
    path = tmp_path_factory.mktemp("h5") / "x.h5"
    save(NewGroup(children), path, gzip=gzip)
    root = open_file(Source(path).data)
    with h5py.File(path) as file:
        assert_same(root, file)
    pending = [(NewGroup(children), root)]
    while pending:
        given_group, found = pending.pop()
        assert list(found) == list(given_group.children)
        assert dict(found.attributes) == given_group.attributes
        for name, child in given_group.children.items():
            if isinstance(child, NewGroup):
                pending.append((child, found[name]))
                continue
            value = found[name].read()
            assert dict(found[name].attributes) == child.attributes
            if isinstance(child.value, bytes):
                assert found[name].text().encode() == child.value
            else:
                np.testing.assert_array_equal(value, child.value)


def test_text_is_what_h5py_writes_for_str(path):
    edges = np.array([["input", "1"], ["1", "äöü"]], object)
    save(NewGroup({"version": NewDataset("1.0.4"), "edges": NewDataset(edges)}), path)
    with h5py.File(path) as file:
        assert file["version"][()] == b"1.0.4"
        assert h5py.check_string_dtype(file["version"].dtype) == ("utf-8", None)
        assert file["edges"].asstr()[()].tolist() == edges.tolist()
        assert file["edges"].chunks is None


def test_arrays_are_aligned_and_uncompressed(path):
    large = np.zeros((300, 300))
    root = NewGroup(
        {"a": NewDataset(np.ones(3, "i1")), "b": NewDataset(large), "c": NewDataset(large)}
    )
    save(root, path)
    with h5py.File(path) as file:
        assert [file[name].id.get_offset() % 64 for name in "abc"] == [0, 0, 0]
        assert file["c"].id.get_offset() % 4096 == 0
        assert file["b"].compression is None


def test_several_arrays_make_one_dataset_of_another_dtype(path):
    parts = [np.ones(2, "f4"), np.zeros((2, 2), "f4")]
    save(NewGroup({"x": NewDataset(parts, {}, np.dtype("u4"), (6,))}), path)
    with h5py.File(path) as file:
        assert file["x"][()].view("f4").tolist() == [1, 1, 0, 0, 0, 0]


def test_equal_trees_give_equal_bytes(tmp_path):
    def tree():
        values = {"a": np.arange(3.0), "b": "text", "c": b"fixed", "d": np.array(["x"], object)}
        return NewGroup({name: NewDataset(value) for name, value in values.items()}, {"n": 1})

    for name in "ab":
        save(tree(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_written_can_be_seen_while_it_is(path):
    class Seen(list):
        def begin(self, offset):
            self.append([offset, b""])

        def add(self, piece):
            self[-1][1] += bytes(piece)

        def wait(self):
            pass

    seen, array = Seen(), np.arange(600_000.0).reshape(600, -1).T
    written = save(NewGroup({"x": NewDataset(array)}), path, watch=seen, words=b"who made it")
    data = path.read_bytes()
    assert seen == [[4096, array.tobytes()]]
    assert data[written.start :] == written.structure
    assert data.startswith(written.head)
    assert b"who made it" in written.head


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (NewGroup({"a/b": NewGroup()}), "cannot be the name"),
        (NewGroup({"a": NewGroup({"": NewGroup()})}), "'' in '/a' cannot be the name"),
        (NewGroup({"..": NewGroup()}), "cannot be the name"),
        (NewGroup({"\ud800": NewGroup()}), "cannot be the name"),
        (NewGroup({"x": NewDataset(np.zeros(2, "M8[s]"))}), "'/x' has dtype"),
        (NewGroup({"x": NewDataset(np.zeros(2, [("a", "f4")]))}), "'/x' has dtype"),
        (NewGroup({"x": NewDataset(np.array([1, "a"], object))}), "expected text"),
        (NewGroup({"x": NewDataset("a\0b")}), "expected text"),
        (NewGroup({"x": NewDataset(b"")}), "no bytes"),
        (NewGroup({"x": NewDataset("\ud800")}), "expected text"),
        (NewGroup({"x": NewGroup({}, {"n": 1 << 63})}), "'/x' cannot have the attribute 'n'"),
        (NewGroup({}, {"n": "\udfff"}), "'/' cannot have the attribute 'n'"),
        (NewGroup({}, {"é": 1}), "cannot have the attribute 'é'"),
        (NewGroup({"x": NewDataset(np.zeros((1,) * 33))}), "33 axes"),
        (NewGroup({str(i): NewGroup() for i in range(70_000)}), "70002 members"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_hdf5_cannot_hold_is_refused_and_the_old_file_stays(path, root, message):
    path.write_bytes(b"old")
    with pytest.raises(WriteError, match=message):
        save(root, path)
    assert path.read_bytes() == b"old"


def test_groups_deeper_than_the_reader_allows_are_not_written(path):
    root = NewGroup()
    for _ in range(100):
        root = NewGroup({"a": root})
    with pytest.raises(WriteError, match="groups deep"):
        save(root, path)


def test_which_dtypes_can_be_written_is_known():
    assert all(has_datatype(np.dtype(name)) for name in DTYPES)
    assert not any(has_datatype(np.dtype(name)) for name in ["U3", "M8[s]", "V4", "O"])


# Damaged files.


def sample(**how):
    """A file with something of everything."""

    def fill(file):
        file["version"] = "1.0.8"
        file["node/edges"] = np.array([["a", "b"], ["cc", ""]], h5py.string_dtype())
        file["node/complex"] = np.complex64(1 + 2j)
        file["node/flags"] = np.array([True, False])
        array = np.arange(300.0).reshape(10, 30)
        node = file["node"]
        node.create_dataset("one", data=array, chunks=array.shape, compression="gzip")
        node.create_dataset("sum", data=array, chunks=(3, 4), shuffle=True, fletcher32=True)
        node.create_dataset("lzf", data=np.arange(300) % 37, compression="lzf")
        node.create_dataset("grows", data=np.arange(500), chunks=(2,), maxshape=(None,))
        node.create_dataset("grid", data=array, chunks=(3, 4), maxshape=(None, None))
        node.create_dataset("fixed", data=array, chunks=(3, 4))
        for i in range(20):
            file[f"many/{i}"] = i
            file.attrs[f"a{i}"] = f"x{i}" if i % 2 else i / 2

    return made(fill, **how)


def read_or_refuse(data):
    """Read everything of damaged bytes; no other error than a ReadError may come out."""
    try:
        everything(opened(data))
    except ReadError as error:
        assert str(error)  # noqa: PT017
        return False
    return True


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_no_flipped_bit_causes_any_other_error(libver):
    data = bytearray(sample(libver=libver, track_order=True))
    rng = np.random.default_rng(0)
    refused = 0
    for at, bit in zip(rng.integers(len(data), size=800), rng.integers(8, size=800), strict=True):
        data[at] ^= 1 << bit
        refused += not read_or_refuse(bytes(data))
        data[at] ^= 1 << bit
    assert refused > 150
    assert read_or_refuse(bytes(data))


FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.mark.parametrize("name", ["nir-paper/lif_norse.nir", "brainpy-2.4.2/flat_shared.h5"])
def test_no_flipped_bit_of_a_real_file_causes_any_other_error(name):
    data = bytearray((FIXTURES / name).read_bytes())
    rng = np.random.default_rng(0)
    ways = zip(rng.integers(len(data), size=1500), rng.integers(8, size=1500), strict=True)
    refused = 0
    for at, bit in ways:
        data[at] ^= 1 << bit
        refused += not read_or_refuse(bytes(data))
        data[at] ^= 1 << bit
    assert refused > 20
    assert read_or_refuse(bytes(data))
    assert not any(read_or_refuse(bytes(data[:size])) for size in range(0, len(data), 37))


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_no_nonsense_causes_any_other_error(libver):
    original = sample(libver=libver)
    rng = np.random.default_rng(1)
    for _ in range(600):
        data = bytearray(original)
        at = int(rng.integers(len(data) - 8))
        values = [0, 1, len(data), 2**32 - 1, 2**63, 2**64 - 1, int(rng.integers(9999))]
        struct.pack_into("<Q", data, at, values[int(rng.integers(len(values)))])
        read_or_refuse(bytes(data))


def test_a_file_cut_off_anywhere_is_refused():
    data = sample()
    for size in range(0, len(data), 97):
        assert not read_or_refuse(data[:size])


def test_damage_to_a_checked_structure_is_told_from_other_errors():
    data = bytearray(sample(libver="latest"))
    data[data.index(b"OHDR") + 8] ^= 1
    with pytest.raises(IntegrityError, match="checksum"):
        everything(opened(bytes(data)))


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", b"PK\3\4" * 100, bytes(5000)])
def test_what_is_no_hdf5_file_is_refused(data):
    with pytest.raises(ReadError):
        opened(data)
    with pytest.raises(ReadError):
        end_of(memoryview(data))


# Files of strangers.


def hostile(build):
    """Mark a function that builds a file which must be refused."""
    HOSTILE.append(pytest.param(build, id=build.__name__.replace("_", " ")))
    return build


HOSTILE: list = []


@hostile
def soft_link(file, folder):
    file["x"] = h5py.SoftLink("/y")


@hostile
def external_link(file, folder):
    file["x"] = h5py.ExternalLink(str(folder / "secret.h5"), "/secret")


@hostile
def link_to_the_root(file, folder):
    file["x"] = file["/"]


@hostile
def one_dataset_under_two_names(file, folder):
    file["x"] = np.arange(9)
    file["y"] = file["x"]


@hostile
def groups_with_more_paths_than_can_be_walked(file, folder):
    group = file
    for _ in range(40):
        inner = group.create_group("a")
        group["b"] = inner
        group = inner


@hostile
def external_storage(file, folder):
    (folder / "secret").write_bytes(b"x" * 160)
    file.create_dataset("x", (20,), "f8", external=[(str(folder / "secret"), 0, 160)])


@hostile
def virtual_dataset(file, folder):
    layout = h5py.VirtualLayout((20,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "secret", (20,))
    file.create_virtual_dataset("x", layout)


@hostile
def references(file, folder):
    file["x"] = np.array([file.ref], h5py.ref_dtype)


@hostile
def lists_of_variable_length(file, folder):
    file.create_dataset("x", (2,), h5py.vlen_dtype("f4"))


@hostile
def named_datatype(file, folder):
    file["x"] = np.dtype("f4")


@hostile
def dataset_of_a_named_datatype(file, folder):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.commit(file.id, b"kind")
    h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((2,)))
    del file["kind"]


@hostile
def opaque_elements(file, folder):
    file["x"] = np.zeros(2, "V5")


@hostile
def records(file, folder):
    file["x"] = np.zeros(2, [("a", "f4"), ("b", "i2")])


@hostile
def dataset_without_a_shape(file, folder):
    file["x"] = h5py.Empty("f4")


@hostile
def huge_dataset_without_elements(file, folder):
    file.create_dataset("x", (1 << 40,), "f8")


@hostile
def huge_dataset_with_one_chunk(file, folder):
    file.create_dataset("x", (1 << 40,), "f8", chunks=(1 << 16,))[0] = 1


@hostile
def deep_groups(file, folder):
    file.create_group("/".join("a" * 100))


@hostile
def expansion(file, folder):
    dataset = file.create_dataset("x", (1536 << 20,), "u1", chunks=(64 << 20,), compression=9)
    packed = zlib.compress(bytes(64 << 20), 9)
    for i in range(24):
        dataset.id.write_direct_chunk((i * (64 << 20),), packed)


@hostile
def expansion_inside_a_chunk(file, folder):
    dataset = file.create_dataset("x", (20,), "f4", chunks=(20,), compression=9)
    dataset.id.write_direct_chunk((0,), zlib.compress(bytes(32 << 20), 9))


@hostile
def chunk_larger_than_the_array(file, folder):
    dataset = file.create_dataset(
        "x", (2,), "u1", chunks=(16 << 20,), maxshape=(None,), compression=9
    )
    dataset[:] = 1


@hostile
def filter_that_is_not_known(file, folder):
    file.create_dataset("x", data=np.ones(20), chunks=(20,), scaleoffset=2)


@pytest.mark.parametrize("build", HOSTILE)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_what_could_harm_is_refused(build, libver, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["secret"] = np.arange(20.0)
    data = made(lambda file: build(file, tmp_path), libver=libver)
    with pytest.raises(ReadError, match=r"'/"):
        everything(opened(data))


def test_text_that_is_shared_by_many_references_is_decoded_once():
    """A million bytes under a thousand references would be a thousand million characters."""
    text = "x" * 1_000_000
    data = bytearray(
        made(lambda file: file.create_dataset("x", data=[text] * 2, dtype=h5py.string_dtype()))
    )
    ((offset, _),) = opened(bytes(data))["x"].extents()
    data[offset + 16 : offset + 32] = data[offset : offset + 16]
    first, second = opened(bytes(data))["x"].read()
    assert first is second


def test_datasets_that_share_all_their_bytes_are_refused_once_they_are_too_many():
    def fill(file):
        for i in range(40):
            file[f"x{i}"] = np.full(9000, i)

    data = bytearray(made(fill))
    places = [dataset.extents()[0][0] for dataset in opened(bytes(data)).values()]
    for place in places[1:]:
        at = data.index(struct.pack("<QQ", place, 72_000))
        struct.pack_into("<Q", data, at, places[0])
    end = data.index(struct.pack("<Q", len(data)))
    small = data[: places[0] + 72_000 + 200_000]
    struct.pack_into("<Q", small, end, len(small))
    with pytest.raises(ReadError, match=r"share bytes|beyond"):
        everything(opened(bytes(small)))


def test_a_heap_whose_free_space_has_no_size_is_read_to_its_end():
    """The HDF5 library never comes back from it."""
    data = bytearray(made(lambda file: file.create_dataset("x", data="text")))
    heap = data.index(b"GCOL")
    size = int.from_bytes(data[heap + 8 : heap + 16], "little")
    free = heap + 16 + 16 + 8
    assert data[free : free + 8] == bytes(8)
    struct.pack_into("<Q", data, free + 8, 0)
    assert size > 0
    assert opened(bytes(data))["x"].text() == "text"


def test_a_trusted_file_may_expand_more_and_nothing_else():
    data = made(lambda file: file.create_dataset("x", (1 << 28,), "u1"))
    with pytest.raises(ReadError, match="expand"):
        opened(data)["x"].read()
    root = open_file(memoryview(data), limits=Limits().trusted())
    assert root["x"].read().nbytes == 1 << 28


def test_an_element_that_is_not_asked_for_is_not_looked_at():
    def fill(file):
        file["x"] = 3
        file["bad"] = np.zeros(2, "V5")

    root = opened(made(fill))
    assert root["x"].read() == 3
    for _ in range(2):
        with pytest.raises(ReadError, match=r"'/bad'.*opaque"):
            root["bad"]


def test_text_is_asked_for_by_name_and_kind():
    def fill(file):
        file["a"] = "variable"
        file["b"] = np.bytes_(b"fixed")
        file["c"] = np.arange(3)
        file["d"] = np.bytes_(b"\xff")

    root = opened(made(fill))
    assert (root["a"].text(), root["b"].text()) == ("variable", "fixed")
    with pytest.raises(ReadError, match="'/c' must be one text"):
        root["c"].text()
    with pytest.raises(ReadError, match=r"'/d'.*UTF-8"):
        root["d"].text()
    assert isinstance(root["c"], Dataset)
