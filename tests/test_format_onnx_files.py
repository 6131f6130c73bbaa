"""The onnx format's files of data: one version with the model, whoever replaces what, and run."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace

import numpy as np
import onnx
import pytest

from crashes.scenarios import Scenario
from crashes.trials import cuts, kills_at_every_call
from onnx_nets import assert_same, chain, dyadic, leaky, read, spikes, write
from snnbridge import ReadError, SNNBridgeError, differences
from snnbridge.document import dtype_of
from snnbridge.model import Input, Linear, StateVariable
from snnbridge.storage import Source
from snnbridge_plugins.onnx import FORMAT

KINDS = ["yes", "safetensors"]


def wide(value):
    """Return a network of which each array, of 4 KiB and more, holds one number."""
    first, second = (np.full((32, 64), value, np.float32) for _ in range(2))
    return chain(
        Input("in", (64,)),
        Linear("fc1", first, np.full(1024, value, np.float32)[:32]),
        leaky("lif1", (32,)),
        Linear("fc2", np.full((64, 32), value, np.float32)),
        leaky("lif2", (64,)),
        metadata={"version": value},
        training={"adam": second},
    )


def version_of(checkpoint):
    """Return the number that a whole version holds everywhere."""
    layers = checkpoint.layers
    arrays = [layers["fc1"].weight.value, layers["fc2"].weight.value, checkpoint.training["adam"]]
    (found,) = {float(x) for array in arrays for x in np.unique(array)}
    assert checkpoint.metadata == {"version": found}
    assert checkpoint.source.notes == ()
    return found


def data_of(path):
    names = (f"{path.name}.data", f"{path.name}.safetensors")
    (found,) = (beside for name in names if (beside := path.with_name(name)).exists())
    return found


# Replaced while they are read


@pytest.mark.parametrize("check", ["yes", "no"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_replaced_after_the_model_was_opened_is_read_anew(tmp_path, kind, check):
    path = tmp_path / "net.onnx"
    write(wide(0.25), path, options={"external": kind})
    with Source(path) as source:
        write(wide(0.5), path, options={"external": kind})
        assert version_of(FORMAT.read(source, {"check": check})) == 0.5


@pytest.mark.parametrize("kinds", [KINDS, KINDS[::-1], ["yes", "no"], ["no", "yes"]])
def test_data_may_move_to_another_file_meanwhile(tmp_path, kinds):
    path = tmp_path / "net.onnx"
    write(wide(0.25), path, options={"external": kinds[0]})
    with Source(path) as source:
        if kinds[0] != "no":
            data_of(path).unlink()
        write(wide(0.5), path, options={"external": kinds[1]})
        found = version_of(FORMAT.read(source, {}))
    assert found == (0.25 if kinds[0] == "no" else 0.5)  # a model alone is whole as it was opened


def test_a_writer_that_replaces_one_file_after_the_other_is_waited_for(tmp_path, monkeypatch):
    path, other = tmp_path / "net.onnx", tmp_path / "other" / "net.onnx"
    other.parent.mkdir()
    write(wide(0.25), path, options={"external": "yes"})
    write(wide(0.5), other, options={"external": "yes"})
    data_of(other).replace(data_of(path))

    def finish(_):
        if other.exists():
            other.replace(path)

    monkeypatch.setattr(time, "sleep", finish)
    assert version_of(read(path)) == 0.5


def test_data_that_stays_another_is_named_and_never_taken_for_the_models(tmp_path):
    path, other = tmp_path / "net.onnx", tmp_path / "other" / "net.onnx"
    other.parent.mkdir()
    write(wide(0.25), path, options={"external": "yes"})
    write(wide(0.5), other, options={"external": "yes"})
    data_of(other).replace(data_of(path))
    back = read(path)
    assert back.source.integrity == "changed"
    assert len(back.source.notes) == 3
    assert all("has changed" in note for note in back.source.notes)


def test_files_that_are_replaced_all_the_time_are_refused_in_the_end(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    versions = [tmp_path / name for name in ("a.data", "b.data")]
    for value, kept in zip((0.5, 0.75), versions, strict=True):
        write(wide(value), path, options={"external": "yes"})
        kept.write_bytes(data_of(path).read_bytes())
    write(wide(0.25), path, options={"external": "yes"})
    turn = []

    def swap(_=0):
        turn.append(None)
        (tmp_path / "next").write_bytes(versions[len(turn) % 2].read_bytes())
        (tmp_path / "next").replace(data_of(path))

    swap()
    monkeypatch.setattr(time, "sleep", swap)
    with pytest.raises(ReadError, match="all the time"):
        read(path)


def test_missing_data_is_named_with_the_model_that_needs_it(tmp_path):
    path = tmp_path / "net.onnx"
    write(wide(0.25), path, options={"external": "yes"})
    data_of(path).unlink()
    with pytest.raises(FileNotFoundError, match=r"net\.onnx\.data: .*'net\.onnx' keeps arrays"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("check", ["yes", "no"])
def test_a_reader_beside_a_writer_finds_whole_versions_only(tmp_path, check):
    path = tmp_path / "net.onnx"
    write(wide(0.25), path, options={"external": "yes"})
    child = os.fork()
    if child == 0:
        for i in range(30):
            write(wide((0.5, 0.25)[i % 2]), path, options={"external": "yes"})
        os._exit(0)
    found = set()
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        found.add(version_of(read(path, options={"check": check})))
    assert found <= {0.25, 0.5}
    assert version_of(read(path)) == 0.25


class Outside(Scenario):
    """A model with data beside it that replaces another one."""

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        write(wide(0.25), self.path, options={"external": "yes"})

    def act(self):
        write(wide(0.5), self.path, options={"external": "yes"})

    def found(self, folder=None):
        versions = {0.25: "old", 0.5: "new"}
        try:
            return versions[version_of(read((folder or self.folder) / self.path.name))]
        except (SNNBridgeError, OSError) as error:
            return f"unreadable: {error}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_writer_that_is_stopped_anywhere_leaves_one_whole_version(tmp_path):
    scenario = Outside("onnx", tmp_path / "here")
    for counts in (kills_at_every_call(scenario), cuts(scenario, tmp_path)):
        assert {key.split(",")[0] for key in counts} == {"old", "new"}


# What only the graph computes with


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_coefficient_in_the_data_is_seen(tmp_path, kind):
    betas = np.linspace(0.25, 0.75, 1500, dtype=np.float32)
    rng = np.random.default_rng(0)
    net = chain(Input("in", (4,)), Linear("fc", dyadic(rng, 1500, 4)),
                leaky("lif", (1500,), threshold=betas * 2))  # fmt: skip
    state = {("lif", "v"): StateVariable(betas, None)}
    path = tmp_path / "net.onnx"
    write(replace(net, state=state), path, options={"external": kind, "state": "kept"})
    assert read(path).source.integrity == "intact"
    tensors = {t.name: t for t in onnx.load(path, load_external_data=False).graph.initializer}
    named = {e.key: e.value for e in tensors["lif.v.start"].external_data}
    raw = bytearray(data_of(path).read_bytes())
    raw[int(named["offset"])] ^= 1
    data_of(path).write_bytes(raw)
    back = read(path)
    assert back.source.integrity == "changed"
    assert ["'lif.v.start'" in note for note in back.source.notes] == [True]


def test_weights_that_layers_share_are_stored_once(tmp_path):
    weight = dyadic(np.random.default_rng(0), 64, 64)
    net = chain(
        Input("in", (64,)),
        Linear("fc1", weight),
        leaky("lif1", (64,)),
        Linear("fc2", weight),
        leaky("lif2", (64,)),
        ties=[{("fc1", "weight"), ("fc2", "weight")}],
    )
    path = tmp_path / "net.onnx"
    assert_same(path, net, spikes(9, 2, 64), external="yes")
    assert data_of(path).stat().st_size == weight.nbytes
    assert not differences(net, read(path))


# Running with data beside the model


@pytest.mark.parametrize("opset", ["17", "21"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_runs_with_its_data_from_any_folder(tmp_path, monkeypatch, kind, opset):
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    net = chain(
        Input("in", (64,)),
        Linear("fc", dyadic(np.random.default_rng(0), 32, 64)),
        leaky("lif", (32,)),
    )
    monkeypatch.chdir(tmp_path / "here")
    path = tmp_path / "there" / "net.onnx"
    write(wide(0.5), tmp_path / "here" / "net.onnx", options={"external": kind})
    assert_same(path, net, spikes(20, 2, 64), external=kind, opset=opset)


@pytest.mark.parametrize("dtype", ["bfloat16", "int4", "float16", "int8", "float64", "bool"])
def test_weights_of_any_dtype_run_from_the_data_file(tmp_path, dtype):
    weight = (np.random.default_rng(0).random((128, 100)) < 0.1).astype(np.float32)
    net = chain(Input("in", (100,)), Linear("fc", weight.astype(dtype_of(dtype))),
                leaky("lif", (128,)))  # fmt: skip
    assert_same(tmp_path / "net.onnx", net, spikes(9, 2, 100), external="yes")
    assert (tmp_path / "net.onnx.data").is_file()


def test_what_only_the_document_names_is_not_handed_to_the_engine(tmp_path):
    net = replace(wide(0.5), training={"moments": np.array(["not", "a number"] * 600)})
    assert_same(tmp_path / "net.onnx", net, spikes(5, 2, 64), external="yes")
    assert not differences(net, read(tmp_path / "net.onnx"))


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_model_whose_data_is_a_link_is_not_run(tmp_path, kind):
    path = tmp_path / "net.onnx"
    write(wide(0.5), path, options={"external": "yes"})
    secret = tmp_path / "secret"
    data_of(path).replace(secret)
    link = path.with_name("net.onnx.data")
    link.symlink_to(secret) if kind == "symbolic" else os.link(secret, link)
    with pytest.raises(ReadError, match="link"):
        FORMAT.run(path, {"in": spikes(5, 2, 64)}, {})


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "*/_ORT_MEM_ADDR_/*"])
def test_a_model_whose_data_lies_elsewhere_is_not_run(tmp_path, location):
    path = tmp_path / "inner" / "net.onnx"
    path.parent.mkdir()
    write(wide(0.5), path, options={"external": "yes"})
    (tmp_path / "secret").write_bytes(data_of(path).read_bytes())
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ReadError, match="beside the model"):
        FORMAT.run(path, {"in": spikes(5, 2, 64)}, {})
