"""The npz format: every dialect of SC-NeuroCore is read, and what is written loses nothing."""

import io
import json
import os
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import snnbridge
from npz_samples import everything, plain
from snnbridge import (
    UNKNOWN,
    CheckpointError,
    Conv1d,
    Conv2d,
    IntegrityError,
    Linear,
    LossyWrite,
    Neuron,
    Opaque,
    OptionError,
    Origin,
    ReadError,
    Registry,
    SNNCheckpoint,
    UnknownFormat,
    WriteError,
    differences,
)
from snnbridge.testing.strategies import checkpoints
from snnbridge_plugins import brainpy, npz

REGISTRY = Registry([npz])
FIXTURES = Path(__file__).parents[1] / "fixtures"
PAIRS = sorted(
    file.with_suffix("")
    for file in FIXTURES.glob("sc-neurocore-*/*.json")
    if file.with_suffix(".npz").exists()
)
NEW = FIXTURES / "sc-neurocore-3.16.0"
OLD = FIXTURES / "sc-neurocore-3.15.35"

drawn = settings(
    max_examples=40, deadline=None, suppress_health_check=[*HealthCheck], derandomize=True
)
for_pair = pytest.mark.parametrize("base", PAIRS, ids=lambda p: f"{p.parent.name[13:]}-{p.name}")


def read(path, **options):
    return snnbridge.read(path, registry=REGISTRY, options=options)


def write(checkpoint, path, *, bare=False, allow_loss=False, **options):
    return snnbridge.write(
        checkpoint, path, format="npz", registry=REGISTRY, bare=bare, allow_loss=allow_loss,
        options=options,
    )  # fmt: skip


def beside(base, suffix):
    return base.with_name(base.name + suffix)


def metadata(base):
    return json.loads(beside(base, ".json").read_text(encoding="utf-8"))


def save(base, arrays, sizes, *, savez=np.savez, **keys):
    """Write a pair by hand, as 3.15 would."""
    savez(beside(base, ".npz"), **{f"layer_{i}": a for i, a in enumerate(arrays)})
    tree = {"layer_names": [f"l{i}" for i in range(len(arrays))], "layer_sizes": sizes, **keys}
    tree.setdefault("total_params", sum(a.size for a in arrays))
    beside(base, ".json").write_text(json.dumps(tree, indent=2), encoding="utf-8")
    return base


def save_again(base):
    """Do what loading and saving with SC-NeuroCore 3.16 does, with its checks."""
    found = metadata(base)
    with np.load(beside(base, ".npz"), allow_pickle=False) as archive:
        arrays = [archive[f"layer_{i}"] for i in range(found["n_layers"])]
        assert len(archive.files) == len(arrays) == len(set(found["layer_names"]))
    for array, size in zip(arrays, found["layer_sizes"], strict=True):
        assert array.dtype.kind in "fiu"
        assert [*array.shape] == size[::-1]
        assert np.isfinite(array.astype(np.float64)).all()
    assert found["total_params"] == sum(array.size for array in arrays)
    assert len(found["neuron_types"]) in (0, len(arrays))
    assert set(found["frozen_layers"]) <= set(found["layer_names"])
    wide = {f"layer_{i}": array.astype(np.float64) for i, array in enumerate(arrays)}
    np.savez_compressed(beside(base, ".npz"), **wide)
    text = json.dumps(found, indent=2, allow_nan=False) + "\n"
    beside(base, ".json").write_text(text, encoding="utf-8")


# Reading what the framework wrote


@for_pair
def test_every_array_of_a_real_pair_is_read_bit_for_bit_in_order(base):
    checkpoint = read(beside(base, ".npz"))
    with np.load(beside(base, ".npz")) as archive:
        arrays = [archive[name] for name in archive.files]
    assert checkpoint.n_layers == len(arrays)
    turned = checkpoint.extras.get("npz", {}).get("in-out", [])
    for name, found, stored in zip(checkpoint.layer_names, checkpoint.weights, arrays, strict=True):
        expected = stored.T if name in turned else stored
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()


@for_pair
def test_a_real_pair_written_bare_is_the_same_pair_again(base, tmp_path):
    checkpoint = read(beside(base, ".npz"))
    dialect = "3.16" if base.parent == NEW else "permissive"
    ledger = write(checkpoint, tmp_path / "again.npz", bare=True, dialect=dialect)
    assert ledger.losses == ()
    assert (tmp_path / "again.json").read_bytes() == beside(base, ".json").read_bytes()
    with np.load(beside(base, ".npz")) as a, np.load(tmp_path / "again.npz") as b:
        assert a.files == b.files
        for name in a.files:
            assert a[name].dtype.newbyteorder("=") == b[name].dtype
            assert a[name].shape == b[name].shape
            assert (a[name].astype(b[name].dtype)).tobytes() == b[name].tobytes()


@for_pair
@pytest.mark.parametrize("dialect", ["3.16", "permissive"])
def test_a_real_pair_survives_a_round_trip_in_either_dialect(base, dialect, tmp_path):
    checkpoint = read(beside(base, ".npz"))
    write(checkpoint, tmp_path / "net.npz", dialect=dialect)
    assert differences(checkpoint, read(tmp_path / "net.npz", check="yes")) == []


@pytest.mark.parametrize("base", [NEW / "model_v1", NEW / "model.v1", NEW / "model.npz"])
def test_the_base_path_and_both_files_lead_to_the_pair(base):
    found = [read(path) for path in (base, beside(base, ".npz"), beside(base, ".json"))]
    assert found[0].layer_names == metadata(base)["layer_names"]
    assert all(differences(found[0], other) == [] for other in found[1:])


def test_neurons_follow_their_layer_with_a_generated_name_and_nothing_known_but_the_type():
    checkpoint = read(NEW / "mixed_types.npz")
    assert list(checkpoint.layers) == ["a", "a.neuron", "b", "b.neuron", "c"]
    assert checkpoint.neuron_types == ["StochasticLIFNeuron", "Izhikevich", ""]
    neuron = checkpoint.layers["b.neuron"]
    assert neuron.origin == Origin("sc-neurocore", "Izhikevich", UNKNOWN)
    assert neuron.model == "Izhikevich"
    assert neuron.parameters == {}
    assert checkpoint.connections is UNKNOWN
    assert checkpoint.dt is UNKNOWN


def test_no_neuron_types_give_no_neurons():
    assert list(read(NEW / "mlp2.npz").layers) == ["hidden", "out"]


def test_the_dialect_and_the_framework_are_told():
    assert read(NEW / "mlp.npz").source.dialect == "3.16"
    assert read(OLD / "mlp.npz").source.dialect == "permissive"
    assert read(OLD / "mlp.npz").source.framework == "sc-neurocore"


# Orientation


def test_matrices_that_are_in_out_by_their_sizes_are_given_as_transposed_views():
    checkpoint = read(OLD / "tutorial_in_out.npz")
    assert [w.shape for w in checkpoint.weights] == [(4, 784), (10, 4)]
    assert checkpoint.layer_sizes == [(784, 4), (4, 10)]
    assert not any(w.flags.owndata for w in checkpoint.weights)
    assert "stored as (in, out)" in checkpoint.source.notes[0]


def test_a_square_matrix_is_taken_as_out_in_and_the_doubt_is_reported(tmp_path):
    square, other = np.arange(9.0).reshape(3, 3), np.zeros((3, 4))
    save(tmp_path / "net", [square, other], [[3, 3], [3, 4]])
    checkpoint = read(tmp_path / "net.npz")
    np.testing.assert_array_equal(checkpoint.weights[0], square)
    doubt = next(note for note in checkpoint.source.notes if "does not tell" in note)
    assert "'l0'" in doubt
    assert "'l1'" not in doubt
    assert "these may be too" in doubt


def test_the_option_settles_what_the_sizes_leave_open_and_only_that(tmp_path):
    square, other = np.arange(9.0).reshape(3, 3), np.zeros((4, 3))
    save(tmp_path / "net", [square, other], [[3, 3], [3, 4]])
    checkpoint = read(tmp_path / "net.npz", orientation="in-out")
    np.testing.assert_array_equal(checkpoint.weights[0], square.T)
    assert checkpoint.weights[1].shape == (4, 3)
    with pytest.raises(OptionError, match="orientation"):
        read(tmp_path / "net.npz", orientation="sideways")


def test_sizes_that_contradict_the_shape_are_reported_and_kept(tmp_path):
    checkpoint = read(OLD / "sizes_do_not_fit.npz")
    assert checkpoint.weights[0].shape == (2, 3)
    assert "contradicts layer_sizes" in checkpoint.source.notes[0]
    assert checkpoint.extras["npz"]["layer_sizes"] == [[30, 20]]
    assert read(OLD / "sizes_do_not_fit.npz", orientation="in-out").weights[0].shape == (3, 2)


def test_a_kernel_is_a_convolution_only_where_the_sizes_prove_its_axes(tmp_path):
    arrays = [np.zeros(s) for s in ((4, 2, 3, 3), (16, 3, 3, 3), (8, 8, 3, 3), (4, 2, 5), (4, 2))]
    sizes = [[2, 4], [3, 16], [8, 8], [2, 4], [2, 4]]
    save(tmp_path / "net", arrays, sizes)
    kinds = [type(layer) for layer in read(tmp_path / "net.npz").layers.values()]
    assert kinds == [Conv2d, Opaque, Opaque, Conv1d, Linear]
    checkpoint = read(tmp_path / "net.npz", orientation="out-in")
    assert [type(x) for x in checkpoint.layers.values()] == [Conv2d, Conv2d, Conv2d, Conv1d, Linear]
    conv = checkpoint.layers["l1"]
    assert conv.stride is conv.padding is conv.dilation is UNKNOWN


def test_arrays_of_no_known_meaning_stay_in_the_list_of_weights():
    checkpoint = read(OLD / "conv_and_bias.npz")
    assert [type(x).__name__ for x in checkpoint.layers.values()] == [
        "Conv2d", "Neuron", "Opaque", "Linear", "Neuron", "Opaque",
    ]  # fmt: skip
    assert [w.ndim for w in checkpoint.weights] == [4, 1, 2, 0]
    assert checkpoint.layer_names == ["conv1", "conv1.bias", "fc", "threshold"]


# What old releases let through


def test_duplicate_and_unknown_names_are_made_legal_and_come_back(tmp_path):
    checkpoint = read(OLD / "duplicate_names.npz")
    assert checkpoint.layer_names == ["fc", "fc.2"]
    assert checkpoint.frozen_layers == ["fc", "fc.2"]
    assert checkpoint.extras["npz"] == {
        "layer_names": ["fc", "fc"],
        "frozen_layers": ["fc", "no_such_layer"],
    }
    assert any("'fc' to 'fc.2'" in note for note in checkpoint.source.notes)
    assert any("'no_such_layer'" in note for note in checkpoint.source.notes)
    write(checkpoint, tmp_path / "net.npz")
    assert metadata(tmp_path / "net")["layer_names"] == ["fc", "fc.2"]
    assert differences(checkpoint, read(tmp_path / "net.npz")) == []


def test_a_name_with_nul_is_made_legal_and_comes_back(tmp_path):
    base = save(tmp_path / "net", [np.zeros((2, 3))], [[3, 2]], layer_names=["a\0b"])
    checkpoint = read(base)
    assert checkpoint.layer_names == ["a\ufffdb"]
    write(checkpoint, tmp_path / "again.npz", bare=True, dialect="permissive")
    assert metadata(tmp_path / "again")["layer_names"] == ["a\0b"]


def test_nan_in_the_metadata_is_read_and_written_in_either_dialect(tmp_path):
    checkpoint = read(OLD / "nan_metadata.npz")
    assert np.isnan(checkpoint.metadata["loss"])
    write(checkpoint, tmp_path / "net.npz")
    assert "NaN" not in (tmp_path / "net.json").read_text()
    assert differences(checkpoint, read(tmp_path / "net.npz")) == []


def test_unknown_keys_at_the_top_are_kept_and_written_again(tmp_path):
    base = save(tmp_path / "net", [np.zeros((2, 3))], [[3, 2]], format_version=9)
    checkpoint = read(base)
    assert checkpoint.extras["npz"] == {"other": {"format_version": 9}}
    write(checkpoint, tmp_path / "again.npz", bare=True, dialect="permissive")
    assert metadata(tmp_path / "again")["format_version"] == 9


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">i8", "?", "<f2", "<c16", "g", "u1"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_way_to_store_an_array_reads_the_same(tmp_path, method, version, dtype, fortran):
    array = np.arange(6).reshape(2, 3).astype(dtype, order="F" if fortran else "C")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    save(tmp_path / "net", [array], [[3, 2]])
    with zipfile.ZipFile(tmp_path / "net.npz", "w", method) as archive:
        archive.writestr("layer_0.npy", buffer.getvalue())
    weight = read(tmp_path / "net.npz").weights[0]
    assert weight.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(weight, array)


# Archives without their JSON half


def test_the_model_zoo_is_read_as_fan_in_by_fan_out():
    checkpoint = read(NEW / "zoo_recurrent.npz")
    assert checkpoint.layer_names == ["W0", "W_rec", "W1"]
    assert checkpoint.layer_sizes == [(14, 8), (8, 8), (8, 3)]
    assert checkpoint.source.dialect == "model zoo"
    assert read(NEW / "zoo_recurrent.npz", orientation="out-in").layer_sizes[0] == (8, 14)


def test_the_framework_s_archive_without_its_json_half_is_read_with_a_warning_note(tmp_path):
    shutil.copy(NEW / "mlp.npz", tmp_path / "net.npz")
    checkpoint = read(tmp_path / "net.npz")
    assert checkpoint.layer_names == ["layer_0", "layer_1", "layer_2"]
    assert checkpoint.layer_sizes == [(8, 6), (6, 5), (5, 3)]
    assert any("JSON file is missing" in note for note in checkpoint.source.notes)


def test_any_archive_is_read_array_by_array_and_nothing_is_guessed(tmp_path):
    words = np.array(["a", "β"])
    np.savez(tmp_path / "net.npz", **{"a/b": np.zeros((2, 3), "f4"), "words": words})
    checkpoint = read(tmp_path / "net.npz")
    assert [type(x) for x in checkpoint.layers.values()] == [Opaque, Opaque]
    assert list(checkpoint.layers) == ["a/b", "words"]
    np.testing.assert_array_equal(checkpoint.weights[1], words)
    settled = read(tmp_path / "net.npz", orientation="in-out")
    assert settled.layers["a/b"].weight.value.shape == (3, 2)


def test_a_json_file_of_something_else_is_not_taken_for_the_other_half(tmp_path):
    np.savez(tmp_path / "net.npz", a=np.zeros(3))
    (tmp_path / "net.json").write_text('{"epoch": 3}')
    assert list(read(tmp_path / "net.npz").layers) == ["a"]
    with pytest.raises(ReadError, match="lacks 'layer_names'"):
        snnbridge.read(tmp_path / "net.json", format="npz", registry=REGISTRY)


@pytest.mark.parametrize("names", [["Dense0.W", "Dense0.b"], ["duplicate_keys", "x"]])
def test_archives_of_brainpy_are_left_to_its_own_format(tmp_path, names):
    np.savez(tmp_path / "net.npz", **{name: np.zeros(2) for name in names})
    with pytest.raises(UnknownFormat):
        read(tmp_path / "net.npz")
    found = snnbridge.read(tmp_path / "net.npz", format="npz", registry=REGISTRY)
    assert list(found.layers) == names


def test_an_archive_of_brainpy_is_its_own_also_beside_a_json_file_of_that_name(tmp_path):
    shutil.copy(FIXTURES / "brainpy-2.4.2" / "flat_mlp.npz", tmp_path / "m.npz")
    (tmp_path / "m.json").write_text('{"epoch": 3}')
    found = snnbridge.read(tmp_path / "m.npz", registry=Registry([npz, brainpy]))
    assert found.source.format == "brainpy"
    assert "Dense0" in found.layers


def test_a_limit_that_guards_memory_is_lifted_for_a_trusted_file(tmp_path):
    (tmp_path / "net.npz").write_bytes(zipped([("layer_0.npy", BOMB)], zipfile.ZIP_BZIP2))
    with pytest.raises(ReadError, match="--trusted"):
        read(tmp_path / "net.npz")
    found = snnbridge.read(tmp_path / "net.npz", trusted=True, registry=REGISTRY)
    assert found.weights[0].nbytes > 64 << 20


def test_other_zip_archives_and_json_files_are_not_claimed(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"")
    (tmp_path / "net.json").write_text('{"layers": []}')
    for name in ("net.pt", "net.json"):
        with pytest.raises(UnknownFormat):
            read(tmp_path / name)


# Writing


@drawn
@given(checkpoint=checkpoints())
@pytest.mark.parametrize("dialect", ["3.16", "permissive"])
def test_whatever_the_model_can_hold_is_read_back(tmp_path, dialect, checkpoint):
    write(checkpoint, tmp_path / "net.npz", dialect=dialect)
    assert differences(checkpoint, read(tmp_path / "net.npz", check="yes")) == []


@drawn
@given(checkpoint=checkpoints())
def test_whatever_the_model_can_hold_survives_the_framework_s_own_load_and_save(
    tmp_path, checkpoint
):
    write(checkpoint, tmp_path / "net.npz")
    save_again(tmp_path / "net")
    assert differences(checkpoint, read(tmp_path / "net.npz")) == []


@drawn
@given(checkpoint=checkpoints())
@pytest.mark.parametrize("dialect", ["3.16", "permissive"])
def test_a_bare_pair_loses_what_the_ledger_says_and_no_more(tmp_path, dialect, checkpoint):
    path = tmp_path / "net.npz"
    ledger = write(checkpoint, path, bare=True, allow_loss=True, dialect=dialect)
    assert "snnbridge" not in metadata(tmp_path / "net")["metadata"]
    found = differences(checkpoint, read(path))
    assert ledger.unexplained(found) == []
    if dialect == "3.16":
        save_again(tmp_path / "net")


def test_a_json_file_that_is_of_something_else_is_named(tmp_path):
    np.savez(tmp_path / "net.npz", layer_0=np.ones((2, 3)))
    (tmp_path / "net.json").write_text("[1]")
    notes = read(tmp_path / "net.npz").source.notes
    assert "'net.json' lacks 'layer_names': names, sizes and metadata are unknown" in notes


@pytest.mark.parametrize(
    ("array", "end"),
    [(np.array([["a", "b"]]), ""), (np.array([["2026-01-01"]], "M8[D]"), ""), ([[1j]], "\n")],
    ids=["text", "dates", "complex numbers, which 3.16 refuses"],
)
def test_weights_that_are_no_real_numbers_are_refused(tmp_path, array, end):
    array = np.asarray(array)
    record = {"layer_names": ["fc"], "layer_sizes": [array.shape[::-1]], "n_layers": 1}
    np.savez(tmp_path / "net.npz", layer_0=array)
    (tmp_path / "net.json").write_text(json.dumps(record) + end)
    with pytest.raises(ReadError, match=r"net\.npz.*layer_0 is of type .* real numbers"):
        read(tmp_path / "net.npz")


MATRICES = {
    "float32": np.array([[1.5, -0.0]], np.float32),
    "NaN": np.array([[np.nan, np.inf]]),
    "float16": np.array([[65504.0, 6e-8]], np.float16),
    "bfloat16": np.array([[1.0, 2.0]]).astype(ml_dtypes.bfloat16),
    "int64": np.array([[2**53 + 1, -1]]),
    "small int64": np.array([[2**53, -1]]),
    "uint8": np.array([[0, 255]], np.uint8),
    "bool": np.array([[True, False]]),
    "complex64": np.array([[1 + 2j, 0]], np.complex64),
    "longdouble": np.array([[1, 2]], np.longdouble) / 3,
    "big-endian": np.array([[1.5, 2.5]], ">f4"),
    "large": np.arange(70000.0).reshape(2, 35000),
    "empty": np.zeros((0, 4), np.float32),
}


@pytest.mark.parametrize("dialect", ["3.16", "permissive"])
@pytest.mark.parametrize("names", [*([name] for name in MATRICES), [*MATRICES]], ids=" ".join)
def test_matrices_of_any_dtype_come_back_without_a_document(tmp_path, names, dialect):
    checkpoint = SNNCheckpoint([Linear(name, MATRICES[name]) for name in names])
    write(checkpoint, tmp_path / "net.npz", dialect=dialect)
    assert "document" not in metadata(tmp_path / "net")["metadata"].get("snnbridge", {})
    back = read(tmp_path / "net.npz", check="yes")
    assert differences(checkpoint, back) == []
    if dialect == "3.16":
        save_again(tmp_path / "net")
        assert differences(checkpoint, read(tmp_path / "net.npz")) == []


def test_what_a_bare_pair_would_lose_is_refused_unless_it_is_allowed(tmp_path):
    renamed = SNNCheckpoint([Linear("fc", np.zeros((2, 3))), Neuron("lif", model="lif")])
    with pytest.raises(LossyWrite, match="lif"):
        write(renamed, tmp_path / "net.npz", bare=True)
    assert list(tmp_path.iterdir()) == []
    nan = SNNCheckpoint([Linear("fc", np.array([[np.nan]])), Linear("out", np.ones((1, 1)))])
    ledger = write(nan, tmp_path / "net.npz", bare=True, allow_loss=True)
    assert [entry.path for entry in ledger.losses] == [("layers", "fc")]
    assert metadata(tmp_path / "net")["layer_names"] == ["out"]


def test_a_document_is_added_only_where_the_pair_alone_does_not_hold_everything(tmp_path):
    binding = {"version", "dialect", "names", "archive", "digest"}

    def added(checkpoint, **options):
        write(checkpoint, tmp_path / "net.npz", **options)
        return set(metadata(tmp_path / "net")["metadata"]["snnbridge"]) - binding

    assert added(plain(np.float64)) == set()
    assert added(plain(np.float32)) == {"arrays"}
    assert added(plain(np.float32), dialect="permissive") == set()
    assert added(everything()) == {"document"}
    write(plain(np.float64), tmp_path / "bare.npz", bare=True)
    assert "snnbridge" not in metadata(tmp_path / "bare")["metadata"]


def reasons(ledger):
    return {entry.path: f"{entry.what}: {entry.reason}" for entry in ledger if entry.reason}


def test_the_ledger_says_what_the_framework_will_see_otherwise(tmp_path):
    told = reasons(write(everything(), tmp_path / "net.npz"))
    line = told["metadata", "snnbridge"]
    assert "arrays beside the weights: 'conv.bias'" in line
    assert "a layer of its own" in line
    unstated = SNNCheckpoint(
        [Opaque("fc", {"weight": np.ones((4, 3))}), Linear("b", np.ones((2, 4)))]
    )
    told = reasons(write(unstated, tmp_path / "net.npz"))
    assert list(told) == [("layers", "fc")]
    assert "which axis is the output is not known" in told["layers", "fc"]
    assert differences(unstated, read(tmp_path / "net.npz")) == []
    assert reasons(write(plain(), tmp_path / "net.npz")) == {}


def test_weights_that_the_framework_sees_as_bytes_are_noted(tmp_path):
    write(everything(), tmp_path / "net.npz")
    (note,) = read(tmp_path / "net.npz").source.notes
    assert "'nan'" in note
    assert "numbers from 0 to 255" in note
    write(plain(), tmp_path / "net.npz")
    assert read(tmp_path / "net.npz").source.notes == ()


def test_members_are_stored_and_keep_their_dtype(tmp_path):
    write(plain(np.float32), tmp_path / "net.npz")
    with zipfile.ZipFile(tmp_path / "net.npz") as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    with np.load(tmp_path / "net.npz") as archive:
        assert archive["layer_0"].dtype == np.float32


def test_a_convolution_and_a_bias_are_matrices_that_the_framework_can_show(tmp_path):
    write(everything(), tmp_path / "net.npz")
    found = metadata(tmp_path / "net")
    names = found["layer_names"]
    assert names[: len(everything().weights)] == everything().layer_names
    assert found["layer_sizes"][names.index("conv")] == [18, 4]
    assert found["layer_sizes"][names.index("conv.bias")] == [1, 4]
    assert found["neuron_types"][0] == "Lif"
    assert found["frozen_layers"] == ["conv"]
    assert found["metadata"]["name"] == "net"


def test_the_name_of_the_target_may_have_either_suffix_or_none(tmp_path):
    for name in ("model.v1", "model.v1.npz", "model.v1.json"):
        write(plain(), tmp_path / name)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["model.v1.json", "model.v1.npz"]
    write(plain(), tmp_path / "model.npz.npz")
    assert (tmp_path / "model.npz.json").exists()


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write(everything(), tmp_path / f"{name}.npz")
    for suffix in (".npz", ".json"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_arrays_are_written_and_read_without_a_copy(tmp_path):
    matrix = np.ones((4096, 2048), np.float32)
    checkpoint = SNNCheckpoint([Linear("a", matrix), Linear("b", matrix.T)])
    write(checkpoint, tmp_path / "warm.npz")
    tracemalloc.start()
    write(checkpoint, tmp_path / "net.npz")
    found = read(tmp_path / "net.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < matrix.nbytes / 2 == 16 << 20
    assert not any(w.flags.owndata or w.flags.writeable for w in found.weights)


def test_provenance_stays_with_the_pair(tmp_path):
    snnbridge.convert(NEW / "mlp.npz", tmp_path / "net.npz", registry=REGISTRY)
    assert read(tmp_path / "net.npz").provenance[0]["source"]["name"] == "mlp.npz"


def test_text_that_no_json_file_can_hold_is_refused_before_anything_is_replaced(tmp_path):
    write(plain(), tmp_path / "net.npz")
    before = (tmp_path / "net.json").read_bytes()
    checkpoint = plain()
    checkpoint.metadata["half"] = "\ud800"
    for dialect in ("3.16", "permissive"):
        with pytest.raises(WriteError, match="surrogate"):
            write(checkpoint, tmp_path / "net.npz", dialect=dialect)
    assert (tmp_path / "net.json").read_bytes() == before


@pytest.mark.parametrize(
    "kept",
    [
        {"in-out": 5},
        {"layer_names": [1]},
        {"other": 3},
        {"layer_names": ["a", "b", "c"], "layer_sizes": [[1, 1]] * 3, "neuron_types": []},
        ["x"],
    ],
)
def test_extras_that_fit_no_more_are_kept_but_not_followed(tmp_path, kept):
    checkpoint = plain()
    checkpoint.extras["npz"] = kept
    write(checkpoint, tmp_path / "net.npz", dialect="permissive")
    assert metadata(tmp_path / "net")["layer_names"] == checkpoint.layer_names
    assert differences(checkpoint, read(tmp_path / "net.npz")) == []


# Files that another tool changed


def test_a_pair_that_another_tool_saved_again_says_so(tmp_path):
    for checkpoint in (everything(), plain(), plain(np.float64)):
        write(checkpoint, tmp_path / "net.npz")
        noted = read(tmp_path / "net.npz").source.notes
        assert not any("re-saved" in note for note in noted)
        save_again(tmp_path / "net")
        again = read(tmp_path / "net.npz")
        assert any("re-saved by another tool" in note for note in again.source.notes)
        assert differences(checkpoint, again) == []


def test_values_that_another_tool_trained_in_float64_are_not_rounded(tmp_path):
    base = tmp_path / "net"
    write(plain(), beside(base, ".npz"))
    save_again(base)
    with np.load(beside(base, ".npz")) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["layer_0"] = arrays["layer_0"] + 1e-9
    np.savez(beside(base, ".npz"), **arrays)
    checkpoint = read(base)
    np.testing.assert_array_equal(checkpoint.weights[0], arrays["layer_0"])
    assert checkpoint.weights[1].dtype == np.float32
    assert any("'fc1'" in note and "float64" in note for note in checkpoint.source.notes)


def change(base, **keys):
    save_again(base)
    tree = {**metadata(base), **keys}
    beside(base, ".json").write_text(json.dumps(tree), encoding="utf-8")


def test_metadata_that_another_tool_changed_counts(tmp_path):
    base = tmp_path / "net"
    write(everything(), beside(base, ".npz"))
    seen = metadata(base)["metadata"]
    change(base, metadata={"new": 1, "name": "other", "snnbridge": seen["snnbridge"]})
    found = read(base).metadata
    assert found["name"] == "other"
    assert found["new"] == 1
    assert "deep" not in found
    assert np.isnan(found["loss"])
    assert found["snnbridge"] == "mine"


def test_a_changed_list_of_layers_leaves_the_document_out_and_says_so(tmp_path):
    base = tmp_path / "net"
    write(plain(), beside(base, ".npz"))
    change(base, layer_names=["fc1", "head"])
    checkpoint = read(base)
    assert checkpoint.layer_names == ["fc1", "head"]
    assert "snnbridge" not in checkpoint.metadata
    assert any("list of layers" in note for note in checkpoint.source.notes)


def test_changed_types_and_frozen_arrays_are_reported(tmp_path):
    base = tmp_path / "net"
    write(everything(), beside(base, ".npz"))
    found = metadata(base)
    change(base, frozen_layers=["conv.bias"], neuron_types=["X"] * len(found["layer_names"]))
    notes = read(base).source.notes
    assert any("neuron_types" in note for note in notes)
    assert any("'conv.bias'" in note for note in notes)


def test_arrays_that_do_not_fit_the_document_any_more_are_refused_with_advice(tmp_path):
    base = tmp_path / "net"
    write(everything(), beside(base, ".npz"))
    with np.load(beside(base, ".npz")) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["layer_0"] = arrays["layer_0"][:2]
    np.savez(beside(base, ".npz"), **arrays)
    found = metadata(base)
    total = sum(array.size for array in arrays.values())
    beside(base, ".json").write_text(json.dumps({**found, "total_params": total}))
    with pytest.raises(ReadError, match="layer_0"):
        read(base)


# Wrong and damaged files


def test_halves_of_two_checkpoints_are_refused(tmp_path):
    shutil.copy(NEW / "mlp.npz", tmp_path / "net.npz")
    shutil.copy(NEW / "mlp2.json", tmp_path / "net.json")
    with pytest.raises(ReadError, match="belong together"):
        read(tmp_path / "net.npz")
    shutil.copy(NEW / "frozen.json", tmp_path / "net.json")  # as many layers, other sizes
    with pytest.raises(ReadError, match="do not belong together"):
        read(tmp_path / "net.npz")


@pytest.mark.parametrize(
    ("dtype", "dialect"), [("f4", "3.16"), ("f8", "3.16"), ("f4", "permissive")]
)
def test_halves_of_two_checkpoints_of_ours_are_told_apart_even_if_all_shapes_agree(
    tmp_path, dtype, dialect
):
    for name, scale in (("a", 1), ("b", 2)):
        checkpoint = plain(dtype)
        checkpoint.weights[0] = scale * checkpoint.weights[0]
        write(checkpoint, tmp_path / f"{name}.npz", dialect=dialect)
    (tmp_path / "a.json").write_bytes((tmp_path / "b.json").read_bytes())
    with pytest.raises(IntegrityError, match="do not belong together"):
        read(tmp_path / "a.npz")


def test_our_archive_alone_asks_for_its_other_half(tmp_path):
    write(plain(), tmp_path / "net.npz")
    (tmp_path / "net.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"net\.json"):
        read(tmp_path / "net.npz")


def test_a_record_changed_by_hand_is_noticed_and_can_be_confirmed(tmp_path):
    write(plain(), tmp_path / "net.npz")
    found = metadata(tmp_path / "net")
    found["metadata"]["author"] = "Eve"
    (tmp_path / "net.json").write_text(json.dumps(found))
    with pytest.raises(IntegrityError, match="digest"):
        read(tmp_path / "net.npz")
    del found["metadata"]["snnbridge"]["digest"]
    (tmp_path / "net.json").write_text(json.dumps(found))
    assert read(tmp_path / "net.npz").metadata["author"] == "Eve"


def test_a_missing_archive_is_a_missing_file(tmp_path):
    shutil.copy(NEW / "mlp.json", tmp_path / "net.json")
    with pytest.raises(FileNotFoundError, match=r"net\.npz"):
        read(tmp_path / "net.json")


def test_no_flipped_bit_of_a_documented_pair_goes_unnoticed(tmp_path):
    base = tmp_path / "net"
    checkpoint = plain()
    write(checkpoint, beside(base, ".npz"))
    for suffix in (".npz", ".json"):
        file = beside(base, suffix)
        data = file.read_bytes()
        for position in range(7, len(data), 131):
            damaged = bytearray(data)
            damaged[position] ^= 1 << position % 8
            file.write_bytes(damaged)
            try:
                found = snnbridge.read(
                    file, format="npz", registry=REGISTRY, options={"check": "yes"}
                )
            except (ReadError, CheckpointError):
                continue
            assert differences(checkpoint, found) == [], position
        file.write_bytes(data)


@pytest.mark.parametrize(
    "arrays", [7, [], [{}], "[]", "{", '[{"dtype": "float32"}]', {"dtype": "x"}, {"dtype": 1},
               {"dtype": "float32", "shape": [-1]}, {"dtype": "float32", "bytes": True}],
)  # fmt: skip
def test_a_damaged_note_on_the_arrays_is_refused(tmp_path, arrays):
    write(plain(), tmp_path / "net.npz")
    found = metadata(tmp_path / "net")
    del found["metadata"]["snnbridge"]["digest"]
    found["metadata"]["snnbridge"]["arrays"] = arrays
    (tmp_path / "net.json").write_text(json.dumps(found))
    with pytest.raises(ReadError, match=r"net\.(json|npz)"):
        read(tmp_path / "net.npz")


def test_a_later_version_of_the_document_asks_for_an_update(tmp_path):
    write(plain(), tmp_path / "net.npz")
    found = metadata(tmp_path / "net")
    del found["metadata"]["snnbridge"]["digest"]
    found["metadata"]["snnbridge"]["version"] = 2
    (tmp_path / "net.json").write_text(json.dumps(found))
    with pytest.raises(ReadError, match="update snnbridge"):
        read(tmp_path / "net.npz")


def record(**keys):
    tree = {"layer_names": ["fc"], "layer_sizes": [[3, 2]], "n_layers": 1, **keys}
    return json.dumps(tree).encode()


BAD_TEXTS = {
    "no text": (b"", "JSON"),
    "cut": (record()[:-9], "JSON"),
    "not UTF-8": (record()[:-1] + b', "x": "\xff"}', "UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + record(), "byte order mark"),
    "a key twice": (record()[:-1] + b', "n_layers": 1}', "n_layers"),
    "deep": (record()[:-1] + b', "x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "deep"),
    "half a surrogate pair": (record(layer_names=["\ud800"]), "surrogate"),
    "a number of 5000 digits": (record()[:-1] + b', "x": ' + b"9" * 5000 + b"}", "digits"),
    "names that are no list": (record(layer_names="fc"), "layer_names"),
    "names that are no text": (record(layer_names=[1]), "layer_names"),
    "frozen that is no list": (record(frozen_layers={"fc": 1}), "frozen_layers"),
    "no sizes": (b'{"layer_names": ["fc"]}', "layer_sizes"),
    "sizes that are no pairs": (record(layer_sizes=[3, 2]), "layer_sizes"),
    "negative sizes": (record(layer_sizes=[[-3, 2]]), "layer_sizes"),
    "sizes that are bools": (record(layer_sizes=[[True, 2]]), "layer_sizes"),
    "too few sizes": (record(layer_sizes=[]), "layer_sizes"),
    "too many types": (record(neuron_types=["a", "b"]), "neuron_types"),
    "another n_layers": (record(n_layers=2), "n_layers"),
    "n_layers that is a bool": (record(n_layers=True), "n_layers"),
    "another total": (record(total_params=7), "7 parameters"),
    "metadata that is a list": (record(metadata=[]), "metadata"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_a_bad_json_half_is_refused_with_its_name_and_the_reason(tmp_path, case):
    text, reason = BAD_TEXTS[case]
    np.savez(tmp_path / "net.npz", layer_0=np.zeros((2, 3)))
    (tmp_path / "net.json").write_bytes(text)
    with pytest.raises(ReadError, match=reason) as caught:
        read(tmp_path / "net.npz")
    assert "net.json" in str(caught.value) or "net.npz" in str(caught.value)


def npy(header, data=b""):
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def zipped(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


GOOD = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", bytes(48))
PICKLE = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n.")
HUGE = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 3), }", bytes(48))
EMPTY = npy("{'descr': '|S0', 'fortran_order': False, 'shape': (1099511627776,), }")
BOMB = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (268435456,), }", bytes(1 << 28))

BAD_ARCHIVES = {
    "no bytes": (lambda: b"", "net.npz"),
    "no zip": (lambda: b"PK\x03\x04" + bytes(26) + b"layer_0.npy" + bytes(99), "net.npz"),
    "cut": (lambda: zipped([("layer_0.npy", GOOD)])[:-30], "net.npz"),
    "a pickle": (lambda: zipped([("layer_0.npy", PICKLE)]), "layer_0.npy.*pickle"),
    "a member that is no array": (lambda: zipped([("layer_0.npy", b"hello")]), "layer_0.npy"),
    "an array that claims more": (lambda: zipped([("layer_0.npy", HUGE)]), "layer_0.npy"),
    "elements of no bytes": (lambda: zipped([("layer_0.npy", EMPTY)]), "layer_0.npy"),
    "a bomb": (lambda: zipped([("layer_0.npy", BOMB)], zipfile.ZIP_BZIP2), "net.npz.*expand"),
    "a foreign member": (
        lambda: zipped([("layer_0.npy", GOOD), ("evil.npy", GOOD)]),
        "found 'evil'",
    ),
    "a missing member": (lambda: zipped([("layer_1.npy", GOOD)]), "found 'layer_1'"),
    "no members": (lambda: zipped([]), "found 0 members"),
    "one name with and without .npy": (
        lambda: zipped([("layer_0.npy", GOOD), ("layer_0", GOOD)]),
        "layer_0",
    ),
    "bytes behind the array": (lambda: zipped([("layer_0.npy", GOOD + bytes(9))]), "layer_0.npy"),
    "two archives": (lambda: zipped([("layer_0.npy", GOOD)]) * 2, "net.npz"),
    "truth values above 1": (
        lambda: zipped([("layer_0.npy", GOOD.replace(b"'<f8'", b"'|b1'")[:-48] + b"\2" * 6)]),
        "bool",
    ),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_a_bad_archive_is_refused_with_its_name_and_the_member(tmp_path, case):
    make, reason = BAD_ARCHIVES[case]
    (tmp_path / "net.npz").write_bytes(make())
    (tmp_path / "net.json").write_bytes(record())
    with pytest.raises(ReadError, match=reason) as caught:
        read(tmp_path / "net.json")
    assert "net.npz" in str(caught.value) or "net.json" in str(caught.value)


def test_a_member_that_was_changed_is_found_on_request(tmp_path):
    write(plain(np.float64), tmp_path / "net.npz")
    data = bytearray((tmp_path / "net.npz").read_bytes())
    weight = plain(np.float64).weights[0].tobytes()
    data[data.index(weight) + 3] ^= 1
    (tmp_path / "net.npz").write_bytes(data)
    with pytest.raises(IntegrityError, match="layer_0"):
        read(tmp_path / "net.npz", check="yes")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_the_place_of_the_json_half_is_refused(tmp_path):
    np.savez(tmp_path / "net.npz", layer_0=np.zeros((2, 3)))
    os.mkfifo(tmp_path / "net.json")
    with pytest.raises(ReadError, match="pipe"):
        read(tmp_path / "net.npz")
