"""The hdf5 format: lossless, browsable, mapped, and safe from files of strangers."""

import json
import zlib
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnbridge import (
    PER_STEP,
    UNKNOWN,
    CheckpointError,
    Connection,
    IntegrityError,
    Linear,
    Neuron,
    Opaque,
    OptionError,
    Parameter,
    Probe,
    Quantity,
    ReadError,
    Registry,
    SNNBridgeError,
    SNNCheckpoint,
    StateVariable,
    Subgraph,
    UnknownFormat,
    differences,
    read,
    write,
)
from snnbridge.storage.hdf5 import end_of
from snnbridge.testing.strategies import checkpoints, names
from snnbridge_plugins import hdf5
from snnbridge_plugins.hdf5 import seal

REGISTRY = Registry([hdf5])
MOST_AXES = 64 if int(np.__version__.split(".")[0]) > 1 else 32


def save(checkpoint, path, **options):
    return write(checkpoint, path, format="hdf5", options=options, registry=REGISTRY)


def load(path, **options):
    return read(path, format="hdf5", options=options, registry=REGISTRY)


def back(checkpoint, path, **options):
    """Write a checkpoint and read it again."""
    save(checkpoint, path, **options)
    return load(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.h5"


@pytest.fixture
def net():
    rng = np.random.default_rng(0)
    return SNNCheckpoint(
        [
            Linear("fc1", rng.random((20, 30), np.float32), np.arange(20.0)),
            Neuron("lif1", (20,), {"tau": Parameter(10.0, "ms", True), "threshold": 1.0}),
            Linear("fc0", rng.random((5, 20)).astype(ml_dtypes.bfloat16), UNKNOWN),
        ],
        connections=[Connection("fc1", "lif1"), Connection("lif1", "fc0", 2)],
        dt=Quantity(1.0, "ms"),
        state={("lif1", "v"): StateVariable(np.zeros((8, 20), np.float16), 0)},
        step=7,
        training={"epoch": 3, "adam": {"mu": [np.ones(4), np.arange(6).reshape(2, 3)]}},
        metadata={"note": "héllo"},
        frozen_layers=["fc0"],
        ties=[{("fc1", "weight"), ("fc0", "bias")}],
        extras={"npz": {"raw": b"\0\1", "table": np.array([True, False])}},
        provenance=[{"by": "a test"}],
    )


# Everything comes back.


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(checkpoints(), st.sampled_from(["none", "gzip"]))
def test_everything_that_a_checkpoint_holds_comes_back(tmp_path_factory, checkpoint, compression):
    path = tmp_path_factory.mktemp("h5") / "net.h5"
    assert differences(checkpoint, back(checkpoint, path, compression=compression)) == []


@settings(deadline=None, max_examples=60)
@given(st.lists(names, unique=True, max_size=8), st.lists(names, unique=True, max_size=8))
def test_any_names_survive_in_their_order(tmp_path_factory, layers, keys):
    path = tmp_path_factory.mktemp("h5") / "net.h5"
    checkpoint = SNNCheckpoint(
        [
            Opaque(name, dict.fromkeys(keys, np.zeros(2)), {"settings": np.ones(1)})
            for name in layers
        ],
        training=dict.fromkeys(keys, np.ones(3)),
        extras={key: {key: np.zeros(1), "": np.zeros(1)} for key in keys},
    )
    assert differences(checkpoint, back(checkpoint, path)) == []


@pytest.mark.parametrize(
    "name",
    [
        "document",
        "layers",
        "",
        ".",
        "..",
        "/",
        "a/b",
        "%",
        "%2F",
        "$array",
        "\n",
        "\u202e",
        "x" * 70_000,
    ],
)
def test_a_layer_may_have_any_name(name, path):
    checkpoint = SNNCheckpoint(
        [Linear(name, np.eye(2)), Linear("b", np.eye(3))],
        state={(name, name): StateVariable(np.ones(2))},
    )
    assert differences(checkpoint, back(checkpoint, path)) == []


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_thousands_of_arrays_of_any_dtype_come_back(path, compression):
    rng = np.random.default_rng(1)
    dtypes = ["<f4", ">f4", "i8", "?", "U3", "S2", "M8[ms]", "c8", "g", "V3", ml_dtypes.int4]
    arrays = [np.ones((i % 5, 3), dtypes[i % len(dtypes)]) for i in range(3000)]
    large = {f"large{i}": rng.random((200, 200)) for i in range(3)}
    layers = [Linear(f"l{i}", np.full((i % 4 + 1, 3), i, np.float32)) for i in range(2000)]
    checkpoint = SNNCheckpoint([*layers, Opaque("o", large)], training={"a": arrays})
    assert differences(checkpoint, back(checkpoint, path, compression=compression)) == []


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(3_000_000, dtype=np.float32).reshape(2000, 1500).T,
        np.arange(1_200_000, dtype=">f8").reshape(300, 4000),
        np.arange(3_000_000, dtype=np.int16).reshape(3, 1000, 1000)[:, ::2, ::-1],
        np.ones((3, 700_001), np.complex64),
        np.ones((70, 3, 5001), ml_dtypes.bfloat16),
    ],
    ids=["Fortran", "big-endian", "strided", "complex", "bfloat16"],
)
def test_large_arrays_in_any_order_of_memory_come_back(array, path, compression):
    array.flags.writeable = False
    checkpoint = SNNCheckpoint([Opaque("a", {"x": array})])
    assert differences(checkpoint, back(checkpoint, path, compression=compression)) == []


@pytest.mark.parametrize(
    "array",
    [
        np.float32(np.nan).reshape(()),
        np.zeros((0, 2**40, 3)),
        np.zeros((1,) * MOST_AXES, np.int8),
        np.zeros((1,) * (MOST_AXES - 2) + (2,), "U4"),
        np.ndarray((2, 3), np.dtype("S0")),
        np.ndarray((0, 3), np.dtype("U0")),
        np.array([b"a\0b", b"\0"]),
        np.array(["\ud800", "é\0x"]),
        np.array([b"\x01\x02\x03"], "V3"),
        np.array(["NaT", "2020-01-01"], "M8[25s]"),
        np.array([0x7FF0000000000001, 0xFFF8DEADBEEF0000], np.uint64).view(np.float64),
    ],
    ids=lambda a: f"{a.dtype}{a.shape[-3:]}",
)
def test_unusual_arrays_come_back(array, path):
    checkpoint = SNNCheckpoint([Opaque("a", {"x": array}, {"s": [array]})], extras={"x": array})
    assert differences(checkpoint, back(checkpoint, path)) == []


def test_trees_and_subgraphs_may_be_as_deep_as_the_model_allows(path):
    tree = np.arange(3)
    for _ in range(190):
        tree = {"a": tree}
    inner = Linear("l", np.eye(2))
    for _ in range(30):
        inner = Subgraph("s", [inner])
    checkpoint = SNNCheckpoint([inner], training=tree)
    assert differences(checkpoint, back(checkpoint, path)) == []


def test_more_large_arrays_than_a_group_should_have_come_back(path, monkeypatch):
    monkeypatch.setattr("snnbridge_plugins.hdf5.elements.FEW", 1)
    monkeypatch.setattr("snnbridge_plugins.hdf5.elements.MANY", 2)
    large = [np.full((700, 700 + i), i, np.float32) for i in range(4)]
    checkpoint = SNNCheckpoint([], training={"a": [large[0], np.ones(3, "f4"), *large[1:]]})
    for compression in ("none", "gzip"):
        assert differences(checkpoint, back(checkpoint, path, compression=compression)) == []


def test_the_arrays_of_two_layers_may_be_one(path):
    array = np.ones((2, 2))
    checkpoint = SNNCheckpoint([Linear("a", array), Linear("b", array)])
    assert differences(checkpoint, back(checkpoint, path)) == []


def test_equal_checkpoints_give_equal_bytes(net, tmp_path):
    for options in ({}, {"compression": "gzip"}):
        save(net, tmp_path / "a.h5", **options)
        save(net, tmp_path / "b.h5", **options)
        assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_what_was_read_can_be_written_to_the_same_path(net, path):
    save(net, path)
    first = path.read_bytes()
    save(load(path), path)
    assert path.read_bytes() == first


def test_arrays_are_read_only_views_of_the_file(net, path):
    save(net, path)
    weight = load(path).layers["fc1"].weight.value
    assert not weight.flags.writeable
    assert not weight.flags.owndata
    data = path.read_bytes()
    with path.open("r+b") as file:  # what another program writes in place is seen
        file.seek(data.index(weight.tobytes()))
        file.write(b"\0\0\0\0")
    assert weight[0, 0] == 0


def test_gzip_makes_the_file_smaller(path):
    checkpoint = SNNCheckpoint([Linear("a", np.arange(250_000.0).reshape(500, 500))])
    save(checkpoint, path)
    plain = path.stat().st_size
    save(checkpoint, path, compression="gzip")
    assert path.stat().st_size < plain / 2


def test_what_compresses_too_well_can_be_read_again(path):
    zeros = np.broadcast_to(np.float32(0), (4200, 4200))
    checkpoint = SNNCheckpoint([Linear("a", zeros)])
    save(checkpoint, path, compression="gzip")
    assert not load(path).layers["a"].weight.value.any()


def test_an_array_of_records_is_refused_and_the_old_file_stays(net, path):
    save(net, path)
    before = path.read_bytes()
    changed = SNNCheckpoint()
    changed.training["x"] = np.zeros(2, [("a", "f4"), ("b", "i2")])
    with pytest.raises(CheckpointError, match="holds objects or fields"):
        save(changed, path)
    assert path.read_bytes() == before


# Any HDF5 tool can look at it.


def test_h5py_finds_arrays_by_the_names_of_the_checkpoint(net, path):
    save(net, path)
    with h5py.File(path) as file:
        assert sorted(file) == [
            "checkpoint", "connections", "extras", "layers", "metadata", "provenance", "state",
            "training",
        ]  # fmt: skip
        np.testing.assert_array_equal(file["layers/fc1/weight"], net.layers["fc1"].weight.value)
        assert file["layers/fc1/weight"].chunks is None
        assert file["layers/fc1/weight"].id.get_offset() % 64 == 0
        assert file["layers/lif1/tau"][()] == 10.0
        assert file["layers/lif1/tau"].attrs["unit"] == "ms"
        assert file["layers/lif1/tau"].attrs["trainable"]
        assert file["state/lif1/v"].attrs["batch_axis"] == 0
        assert file["training/adam/mu/1"].shape == (2, 3)
        assert file["extras/npz/table"].dtype == bool
        assert json.loads(file["metadata"][()]) == {"note": "héllo"}
        assert json.loads(file["connections"].asstr()[()])[1] == ["lif1", "fc0", 2, None, None]


def test_every_element_says_its_type_and_version(net, path):
    save(net, path)
    with h5py.File(path) as file:
        found = {"": file}
        file.visititems(found.__setitem__)
        assert len(found) > 25
        for name, element in found.items():
            assert isinstance(element.attrs["type"], str), name
            assert element.attrs["version"] == 1, name
        assert file.attrs["type"] == "snnbridge.checkpoint"
        assert file["layers/lif1"].attrs["type"] == "Neuron"


def test_layers_stand_in_the_order_of_the_network(net, path):
    save(net, path)
    with h5py.File(path) as file:
        assert list(file["layers"])[1:] == ["fc1", "lif1", "fc0"]
        assert file["layers/fc0"].attrs["index"] == 2


def test_a_name_that_is_no_link_stands_in_an_attribute(path):
    save(SNNCheckpoint([Linear("a/b%", np.eye(2)), Linear("", np.eye(2))]), path)
    with h5py.File(path) as file:
        assert file["layers/a%2Fb%25"].attrs["name"] == "a/b%"
        assert file["layers/%"].attrs["name"] == ""


def test_dtypes_that_hdf5_lacks_are_labelled(net, path):
    save(net, path)
    with h5py.File(path) as file:
        weight = file["layers/fc0/weight"]
        seen = weight[()].view(getattr(ml_dtypes, weight.attrs["dtype"]))
    np.testing.assert_array_equal(seen, net.layers["fc0"].weight.value)


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", "f8", "g", "F", "D", "G", "S7"])
def test_h5py_gives_numpys_own_dtypes_back(dtype, path):
    array = np.ones((4, 3), dtype)
    save(SNNCheckpoint([Opaque("a", {"x": array})]), path)
    with h5py.File(path) as file:
        assert file["layers/a/x"].dtype == array.dtype
        np.testing.assert_array_equal(file["layers/a/x"], array)


def test_h5py_reads_compressed_datasets(path):
    array = np.arange(1_500_000.0).reshape(500, 3000)
    save(SNNCheckpoint([Linear("a", array)]), path, compression="gzip")
    with h5py.File(path) as file:
        dataset = file["layers/a/weight"]
        assert (dataset.compression, dataset.shuffle) == ("gzip", True)
        np.testing.assert_array_equal(dataset, array)


@pytest.mark.parametrize(
    "shape", [(1,), (17,), (300, 40), (3, 5, 7), (1, 1, 999), (70, 1, 3), (2, 2, 2, 2, 5)], ids=str
)
@pytest.mark.parametrize("dtype", ["u1", "f8", "D", "S3"])
def test_arrays_of_many_chunks_are_read_by_h5py_and_here(shape, dtype, path, monkeypatch):
    monkeypatch.setattr("snnbridge.storage.hdf5.chunking._CHUNK", 32)
    monkeypatch.setattr("snnbridge.storage.hdf5.writing._WORTH_CHUNKS", 1)
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    checkpoint = SNNCheckpoint([Opaque("a", {"x": array})])
    assert differences(checkpoint, back(checkpoint, path, compression="gzip")) == []
    with h5py.File(path) as file:
        assert file["layers/a/x"].id.get_num_chunks() >= array.nbytes // 64
        np.testing.assert_array_equal(file["layers/a/x"], array)


def test_many_small_arrays_share_a_dataset_for_each_dtype(path):
    layers = [Linear(f"l{i}", np.full((2, 3), i, np.float32)) for i in range(2000)]
    save(SNNCheckpoint([*layers, Linear("large", np.eye(200))]), path)
    with h5py.File(path) as file:
        assert list(file["packed"]) == ["float32"]
        record = json.loads(file["layers/document"][()])[1234]
        where, start, shape = record["weight"]["$parameter"]["value"]["$array"]
        part = file[where][start : start + np.prod(shape)].reshape(shape)
        assert (part == 1234).all()
        assert file["layers/large/weight"].shape == (200, 200)


def test_h5py_may_change_add_and_remove_things(net, path):
    save(net, path)
    with h5py.File(path, "r+") as file:
        file["layers/fc1/weight"][0, 0] = 7
        file["layers/fc1"].attrs["note"] = "mine"
        file["layers/fc1/extra"] = np.zeros(3)
        del file["layers/fc1/bias"]
        file["layers/fc1/bias"] = np.full(20, 3, ">f2")
    found = load(path)
    assert found.layers["fc1"].weight.value[0, 0] == 7
    assert (found.layers["fc1"].bias.value == np.full(20, 3, np.float16)).all()
    assert any("/layers/fc1/extra" in note for note in found.source.notes)


# Parts.


def test_one_layer_can_be_read_without_the_others(net, path):
    save(net, path)
    found = load(path, layers="lif1")
    assert list(found.layers) == ["lif1"]
    assert found.connections == ()
    assert list(found.state) == [("lif1", "v")]
    assert (found.training, found.extras, found.frozen_layers, found.ties) == ({}, {}, [], ())
    assert (found.dt, found.step, found.metadata) == (net.dt, 7, net.metadata)
    assert found.source.notes == (
        "only 1 of 3 layers were read",
        "2 of 2 connections were left out",
        "1 of 1 frozen_layers were left out",
        "1 of 1 ties were left out",
        "training was left out",
        "extras was left out",
    )


def test_layers_can_be_a_list_and_keep_the_order_of_the_file(net, path):
    save(net, path)
    found = load(path, layers=["fc0", "fc1"])
    assert list(found.layers) == ["fc1", "fc0"]
    assert found.ties == net.ties
    assert (
        differences(
            SNNCheckpoint(found.layers), SNNCheckpoint([net.layers["fc1"], net.layers["fc0"]])
        )
        == []
    )


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_part_is_read_without_touching_other_arrays(path, compression):
    layers = [Linear(name, np.full((50, 50), i)) for i, name in enumerate("abc")]
    save(SNNCheckpoint(layers), path, compression=compression)
    damage(path, "/layers/b/weight")
    assert load(path, layers="a,c", check="yes").n_layers == 2
    with pytest.raises(IntegrityError, match="/layers/b/weight"):
        load(path, layers="b", check="yes")


def test_a_layer_that_is_not_there_is_named(net, path):
    save(net, path)
    with pytest.raises(OptionError, match=r"no layer .fc2.*.fc1., .lif1., .fc0."):
        load(path, layers="fc1,fc2")


def test_options_for_reading_are_refused_when_writing_and_the_other_way(net, path):
    for options in ({"layers": "fc1"}, {"check": "yes"}):
        with pytest.raises(OptionError, match="is for reading"):
            save(net, path, **options)
    assert not path.exists()
    save(net, path)
    with pytest.raises(OptionError, match="is for writing"):
        load(path, compression="gzip")


@given(st.lists(names, unique=True))
def test_links_are_legal_and_unique(given_names):
    from snnbridge_plugins.hdf5.names import link_name

    links = [link_name(name) for name in given_names]
    assert len(set(links)) == len(links)
    for link in links:
        assert link not in ("", ".", "..")
        assert "/" not in link
        assert link.isprintable()
        assert len(link) <= 120
        assert link_name(link, {link}) != link


# What other programs rewrote.


def damage(path, name, byte=0):
    """Change one bit of a dataset."""
    with h5py.File(path) as file:
        dataset = file[name].id
        chunked = dataset.get_create_plist().get_layout() == h5py.h5d.CHUNKED
        offset = dataset.get_chunk_info(0).byte_offset if chunked else dataset.get_offset()
    change(path, offset + byte, 1)


def change(path, offset, bits):
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ bits]))


def copied(
    source, target, *, options=lambda dataset: {}, dtype=lambda dataset: dataset.dtype, **how
):
    """Copy a file by h5py, dataset by dataset."""
    with h5py.File(source) as a, h5py.File(target, "w", **how) as b:
        b.attrs.update(a.attrs)

        def visit(name, item):
            if isinstance(item, h5py.Group):
                made = b.require_group(name)
            elif item.dtype.kind == "S" and not item.shape:
                made = b.create_dataset(name, data=item[()], dtype=item.dtype)
            else:
                made = b.create_dataset(name, data=item[()], dtype=dtype(item), **options(item))
            made.attrs.update(item.attrs)

        a.visititems(visit)


def sized(**options):
    return lambda dataset: options if dataset.size else {}


def deep_chunks(dataset):
    if not dataset.size or not dataset.shape:
        return {}
    chunks = tuple(max(1, n // 3) for n in dataset.shape)
    return {"chunks": chunks, "compression": "gzip", "shuffle": True, "fletcher32": True}


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"libver": "latest"},
        {"track_order": True},
        {"userblock_size": 512},
        {"options": deep_chunks},
        {"options": deep_chunks, "libver": "latest"},
        {"dtype": lambda d: d.dtype.newbyteorder(">")},
    ],
    ids=["plain", "latest", "ordered", "user block", "chunks", "latest chunks", "big-endian"],
)
def test_a_copy_by_h5py_is_recognised_and_equal(net, tmp_path, how):
    save(net, tmp_path / "a.h5")
    copied(tmp_path / "a.h5", tmp_path / "b.h5", **how)
    found = read(tmp_path / "b.h5", registry=REGISTRY)
    assert differences(net, found) == []
    assert "another program" in found.source.notes[0]


def test_a_copy_of_packed_arrays_is_equal(tmp_path):
    arrays = [np.full(i % 7, i, "U2" if i % 2 else "f4") for i in range(1500)]
    checkpoint = SNNCheckpoint([], training={"a": arrays})
    save(checkpoint, tmp_path / "a.h5", compression="gzip")
    copied(tmp_path / "a.h5", tmp_path / "b.h5", dtype=lambda d: d.dtype.newbyteorder(">"))
    assert differences(checkpoint, load(tmp_path / "b.h5")) == []


def test_compact_datasets_are_read(net, tmp_path):
    save(net, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["layers/fc1/bias"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((20,))
        made = h5py.h5d.create(file["layers/fc1"].id, b"bias", h5py.h5t.IEEE_F64LE, space, plist)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(20.0))
    assert differences(net, load(tmp_path / "a.h5")) == []


def test_elements_that_were_never_written_are_the_fill_value(net, path):
    save(net, path)
    with h5py.File(path, "r+") as file:
        del file["layers/fc1/bias"]
        file["layers/fc1"].create_dataset("bias", (20,), "f8", fillvalue=0.5)
    assert load(path).layers["fc1"].bias.value.tolist() == [0.5] * 20


# Damaged files.


def test_a_file_cut_off_anywhere_is_refused_or_whole(net, path):
    save(net, path)
    data = path.read_bytes()
    for size in [*range(0, 400, 13), *range(400, len(data), 331), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(ReadError, match=r"net\.h5"):
            load(path)


def test_no_flipped_bit_changes_a_checked_checkpoint_in_silence(net, path):
    save(net, path)
    size = path.stat().st_size
    rng = np.random.default_rng(0)
    refused = 0
    for offset in [*range(96), *rng.integers(96, size, 400).tolist()]:
        bits = 1 << int(rng.integers(8))
        change(path, offset, bits)
        try:
            assert differences(net, load(path, check="yes")) == []
        except SNNBridgeError:
            refused += 1
        change(path, offset, bits)
    assert refused > 300


def test_bytes_behind_the_end_are_refused(net, path):
    save(net, path)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(IntegrityError, match="seal"):
        load(path)


def test_checking_a_file_without_checksums_is_refused(net, path):
    save(net, path)
    h5py.File(path, "r+").close()
    assert differences(net, load(path)) == []
    with pytest.raises(ReadError, match="no checksums"):
        load(path, check="yes")


def edited(path, name, value):
    """Replace a document by another text."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, data=np.bytes_(text), dtype=f"S{len(text)}")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("checkpoint", {"schema": 1}, "version of the layout"),
        ("checkpoint", {"layout": 99}, "another layout"),
        ("checkpoint", [], "version of the layout"),
        ("layers/document", b"[{", "/layers/document"),
        ("layers/document", b"[" * 2000, "/layers/document"),
        ("layers/document", [{"kind": "Nothing", "name": "a"}], "no known kind"),
        ("layers/document", {"a": 1}, "layers"),
        ("connections", [1], "connection"),
        ("state/document", [{"path": ["lif1"]}], "state"),
        ("training/document", {"a": {"$array": ["/nowhere"]}}, "/nowhere"),
        ("training/document", {"a": {"$array": "/layers/fc1/bias"}}, "does not refer"),
        ("training/document", {"a": {"$array": []}}, "does not refer"),
        ("training/document", {"a": {"$array": [["/layers"]]}}, "does not refer"),
        ("training/document", {"a": {"$array": ["/layers/fc1/bias", 0, [21]]}}, "20 elements"),
        ("training/document", {"a": {"$array": ["/layers/fc1/bias", -1, [1]]}}, "20 elements"),
        ("training/document", {"a": {"$array": ["/layers/fc1/bias", 0, [-1]]}}, "no shape"),
        ("training/document", {"a": {"$array": ["/layers/fc1/bias", 0, [True]]}}, "no shape"),
        ("training/document", {"a": {"$array": ["/layers/fc1/bias", 0, [0, 2**63]]}}, "refer"),
        ("training/document", {"a": {"$array": ["/layers/fc1/bias", None, None, "U2"]}}, "seen as"),
        ("training/document", {"a": {"$array": ["/layers/fc1/bias", None, None, "O"]}}, "objects"),
        ("training/document", {"a": {"$array": ["/layers/fc1/bias", None, None, 5]}}, "dtype"),
        ("training/document", {"a": {"$array": [None, 0, [2], "f4"]}}, "no dataset"),
        ("training/document", {"a": {"$array": [None, 0, [2**60], "S0"]}}, "elements"),
    ],
)  # fmt: skip
def test_documents_that_do_not_fit_are_refused(net, path, name, value, message):
    save(net, path)
    edited(path, name, value)
    with pytest.raises(ReadError, match=message) as raised:
        load(path)
    assert str(path) in str(raised.value)


def test_a_missing_document_is_named(net, path):
    save(net, path)
    with h5py.File(path, "r+") as file:
        del file["metadata"]
    with pytest.raises(ReadError, match="'/metadata'"):
        load(path)


# Files of strangers.


def hostile(change):
    """Mark a function that makes one change to an open file for which it must be refused."""
    HOSTILE.append(pytest.param(change, id=change.__name__.replace("_", " ")))
    return change


HOSTILE: list = []


@hostile
def soft_link(file, folder):
    file["layers/fc1/more"] = h5py.SoftLink("/layers/fc0")


@hostile
def dangling_soft_link(file, folder):
    file["layers/fc1/more"] = h5py.SoftLink("/nowhere")


@hostile
def external_link(file, folder):
    file["layers/fc1/more"] = h5py.ExternalLink(str(folder / "secret.h5"), "/secret")


@hostile
def external_link_in_place_of_a_document(file, folder):
    del file["metadata"]
    file["metadata"] = h5py.ExternalLink(str(folder / "secret.h5"), "/secret")


@hostile
def hard_link_to_the_root(file, folder):
    file["layers/fc1/more"] = file["/"]


@hostile
def one_dataset_under_two_names(file, folder):
    file["layers/fc1/more"] = file["layers/fc1/weight"]


@hostile
def external_storage(file, folder):
    (folder / "secret").write_bytes(b"x" * 160)
    del file["layers/fc1/bias"]
    file["layers/fc1"].create_dataset(
        "bias", (20,), "f8", external=[(str(folder / "secret"), 0, 160)]
    )


@hostile
def virtual_dataset(file, folder):
    layout = h5py.VirtualLayout((20,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "secret", (20,))
    del file["layers/fc1/bias"]
    file["layers/fc1"].create_virtual_dataset("bias", layout)


@hostile
def references(file, folder):
    file["layers/more"] = np.array([file["layers"].ref], h5py.ref_dtype)


@hostile
def region_references(file, folder):
    file["layers/more"] = np.array([file["layers/fc1/weight"].regionref[:1]], h5py.regionref_dtype)


@hostile
def text_of_variable_length(file, folder):
    del file["metadata"]
    file["metadata"] = "{}"


@hostile
def arrays_of_variable_length(file, folder):
    file.create_dataset("more", (2,), h5py.vlen_dtype("f4"))


@hostile
def named_datatype(file, folder):
    file["more"] = np.dtype("f4")


@hostile
def dataset_of_a_named_datatype(file, folder):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.commit(file.id, b"kind")
    h5py.h5d.create(file.id, b"more", kind, h5py.h5s.create_simple((2,)))
    del file["kind"]


@hostile
def opaque_elements(file, folder):
    file["more"] = np.zeros(2, "V5")


@hostile
def records(file, folder):
    file["more"] = np.zeros(2, [("a", "f4"), ("b", "i2")])


@hostile
def float_of_an_odd_layout(file, folder):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(31, 20, 11, 0, 20)
    made = h5py.h5d.create(file.id, b"more", kind, h5py.h5s.create_simple((2,)))
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ones(2, "f4"))


@hostile
def dataset_without_a_shape(file, folder):
    file["more"] = h5py.Empty("f4")


@hostile
def dataset_that_was_never_written(file, folder):
    del file["layers/fc1/bias"]
    file["layers/fc1"].create_dataset("bias", (1 << 28,), "f8")


@hostile
def chunks_that_were_never_written(file, folder):
    file.create_dataset("more", (1 << 40,), "f8", chunks=(1 << 16,))[0] = 1


@hostile
def deep_groups(file, folder):
    file.create_group("/".join("a" * 100))


@hostile
def expansion(file, folder):
    made = file.create_dataset("more", (1536 << 20,), "u1", chunks=(64 << 20,), compression=9)
    packed = zlib.compress(bytes(64 << 20), 9)
    for i in range(24):
        made.id.write_direct_chunk((i * (64 << 20),), packed)


@hostile
def expansion_inside_a_chunk(file, folder):
    bias = file["layers/fc1/bias"][()]
    del file["layers/fc1/bias"]
    made = file.create_dataset("layers/fc1/bias", data=bias, chunks=(20,), compression=9)
    made.id.write_direct_chunk((0,), zlib.compress(bytes(32 << 20), 9))


@hostile
def chunk_of_too_few_bytes(file, folder):
    del file["layers/fc1/bias"]
    made = file.create_dataset("layers/fc1/bias", data=np.ones(20), chunks=(20,), compression=9)
    made.id.write_direct_chunk((0,), zlib.compress(bytes(8), 9))


@hostile
def chunk_that_is_no_deflate(file, folder):
    del file["layers/fc1/bias"]
    made = file.create_dataset("layers/fc1/bias", data=np.ones(20), chunks=(20,), compression=9)
    made.id.write_direct_chunk((0,), b"nonsense")


@hostile
def chunk_with_a_wrong_checksum(file, folder):
    del file["layers/fc1/bias"]
    made = file.create_dataset("layers/fc1/bias", data=np.ones(20), chunks=(20,), fletcher32=True)
    made.id.write_direct_chunk((0,), np.ones(20).tobytes() + b"\0\1\2\3")


@hostile
def chunk_larger_than_the_array(file, folder):
    made = file.create_dataset(
        "more", (2,), "u1", chunks=(16 << 20,), maxshape=(None,), compression=9
    )
    made[:] = 1


@hostile
def filter_that_is_not_known(file, folder):
    del file["layers/fc1/bias"]
    file.create_dataset("layers/fc1/bias", data=np.ones(20), chunks=(20,), scaleoffset=2)


@pytest.mark.parametrize("change", HOSTILE)
def test_a_file_with_something_that_could_harm_is_refused(net, path, tmp_path, change):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["secret"] = np.arange(20.0)
    save(net, path)
    with h5py.File(path, "r+") as file:
        change(file, tmp_path)
    with pytest.raises(ReadError) as raised:
        load(path)
    assert str(path) in str(raised.value)


def test_a_filter_that_a_plugin_would_bring_is_refused_before_any_plugin_is_loaded(
    path, monkeypatch
):
    """A number that no filter has: the library would look for a plugin when it reads."""
    save(SNNCheckpoint([Linear("a", np.ones((40, 40)))]), path, compression="gzip")
    h5py.File(path, "r+").close()  # the seal goes
    data = path.read_bytes()
    deflate = bytes.fromhex("0100 0000 0100 0100 04000000")
    assert data.count(deflate) == 1
    path.write_bytes(data.replace(deflate, bytes.fromhex("0f7d 0000 0100 0100 04000000")))
    monkeypatch.setenv("HDF5_PLUGIN_PATH", str(path.parent))
    with pytest.raises(ReadError, match="filter 32015"):
        load(path)


def reseal(path):
    """Seal a file again after its structure was changed, as a stranger could."""
    data = path.read_bytes()
    end = end_of(memoryview(data))
    start = int.from_bytes(data[end + 16 : end + 24], "little")
    path.write_bytes(data[:end] + seal.make(data[:256], data[start:end], start, []))


def patched(path, old, new, *, which=0):
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(which + 1):
        at = data.index(old, at + 1)
    data[at : at + len(new)] = new
    path.write_bytes(data)
    reseal(path)


def offset_of(path, name):
    with h5py.File(path) as file:
        return file[name].id.get_offset()


def test_forged_structures_are_refused_though_their_seal_fits(net, path):
    save(net, path)
    original = path.read_bytes()
    bias = offset_of(path, "/layers/fc1/bias")
    layout = b"\3\1" + offset_of(path, "/layers/fc1/weight").to_bytes(8, "little")
    for at in (bias, len(original), 2**63, 2**64 - 2):
        path.write_bytes(original)
        patched(path, layout, b"\3\1" + at.to_bytes(8, "little"))
        with pytest.raises(ReadError):
            load(path)
    path.write_bytes(original)
    patched(path, layout + (2400).to_bytes(8, "little"), layout + (2401).to_bytes(8, "little"))
    with pytest.raises(ReadError):
        load(path)


def test_no_forged_structure_gets_past_the_readers_own_errors(net, path):
    net.training["large"] = np.arange(3e4).reshape(10, -1)
    save(net, path, compression="gzip")
    original = path.read_bytes()
    end = end_of(memoryview(original))
    start = int.from_bytes(original[end + 16 : end + 24], "little")
    rng = np.random.default_rng(0)
    refused = []
    for _ in range(300):
        data = bytearray(original)
        for at in rng.integers(start, end, rng.integers(1, 4)):
            data[at] = rng.choice([0, 255, data[at] ^ 1 << rng.integers(8)])
        path.write_bytes(data)
        reseal(path)
        try:
            load(path)
        except SNNBridgeError as error:
            refused.append(str(error))
    assert len(refused) > 50
    assert not [text for text in refused if "cannot be read as" in text]  # other errors, mapped


def test_a_group_that_contains_itself_is_refused(net, path):
    save(net, path)
    with h5py.File(path) as file:
        inner = h5py.h5o.get_info(file["layers/fc1"].id).addr.to_bytes(8, "little")
        outer = h5py.h5o.get_info(file["layers"].id).addr.to_bytes(8, "little")
    patched(path, b"\3fc1" + inner, b"\3fc1" + outer)
    with pytest.raises(ReadError, match="another name"):
        load(path)


# Which files are of this format.


def test_the_format_is_found_by_content_whatever_the_name(net, tmp_path):
    path = tmp_path / "net.bin"
    save(net, path)
    assert read(path, registry=REGISTRY).source.format == "hdf5"


def test_a_file_is_recognised_where_another_program_put_its_type_at_the_end(net, tmp_path):
    save(net, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as a, h5py.File(tmp_path / "b.h5", "w") as b:
        b["first"] = np.zeros(3 << 20, "u1")
        for name in a:
            a.copy(name, b)
        b.attrs["type"] = a.attrs["type"]
    assert differences(net, read(tmp_path / "b.h5", registry=REGISTRY)) == []


def test_other_hdf5_files_are_not_claimed(tmp_path):
    nir, legacy, plain = (tmp_path / name for name in ("net.nir", "net.h5", "data.h5"))
    with h5py.File(nir, "w") as file:
        file["version"] = "1.0.8"
        file["node/type"] = "NIRGraph"
        file["node/metadata/by"] = "snnbridge 0.1.0"
        file["node/nodes/a/weight"] = np.zeros((1000, 1000))
    with h5py.File(legacy, "w") as file:
        file["Dense0"] = np.zeros(3)
    with h5py.File(plain, "w"):
        pass
    for path in (nir, legacy, plain):
        assert not hdf5.FORMAT.sniff(Probe(path))
        with pytest.raises(UnknownFormat):
            read(path, registry=REGISTRY)
        with pytest.raises(ReadError, match=r"/checkpoint|variable length"):
            load(path)


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", b"PK\3\4" * 100, bytes(5000)])
def test_what_is_no_hdf5_file_is_refused(data, path):
    path.write_bytes(data)
    with pytest.raises(ReadError, match=r"net\.h5"):
        load(path)


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "net.h5").mkdir()
    with pytest.raises(ReadError, match="folder"):
        load(tmp_path / "net.h5")


def test_the_empty_checkpoint_is_small(path):
    checkpoint = SNNCheckpoint(dt=PER_STEP, connections=UNKNOWN)
    assert differences(checkpoint, back(checkpoint, path)) == []
    assert path.stat().st_size < 10_000


def test_nothing_is_left_beside_the_file(net, path):
    save(net, path)
    assert [p.name for p in Path(path.parent).iterdir()] == ["net.h5"]
