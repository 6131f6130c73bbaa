"""State dicts in several safetensors files with an index, as huggingface saves them."""

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from snnbridge import (
    IntegrityError,
    Linear,
    OptionError,
    ReadError,
    Registry,
    SNNCheckpoint,
    WriteError,
    check_file,
    convert,
    differences,
    read,
    write,
)
from snnbridge.testing import FormatConformance
from snnbridge_plugins import torch
from snnbridge_plugins.torch import sharding

REGISTRY = Registry([torch])
INDEX = "net.safetensors.index.json"


class TestShards(FormatConformance):
    format = replace(torch.SAFETENSORS, suffixes=(".safetensors.index.json",))
    write_options = MappingProxyType({"shard": "20B"})
    read_options = MappingProxyType({"check": "yes"})


def net(seed=0, count=5):
    """Make layers of 440 bytes each."""
    numbers = np.random.default_rng(seed)
    layers = [
        Linear(f"l{i}", numbers.random((10, 10), np.float32), np.full(10, i, np.float32))
        for i in range(count)
    ]
    return SNNCheckpoint(layers, metadata={"author": "me", "runs": 3}, training={"epoch": 7})


def saved(folder, checkpoint=None, *, name=INDEX, shard="1KB", **more):
    write(checkpoint or net(), folder / name, registry=REGISTRY, options={"shard": shard}, **more)
    return folder / INDEX


def opened(path, **options):
    return read(path, registry=REGISTRY, options=options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_safetensors_package_reads_each_file_of_the_index(tmp_path):
    index = json.loads(saved(tmp_path).read_text(encoding="utf-8"))
    assert names(tmp_path) == [
        "net-00001-of-00003.safetensors", "net-00002-of-00003.safetensors",
        "net-00003-of-00003.safetensors", INDEX,
    ]  # fmt: skip
    held = {name: load_file(tmp_path / name) for name in names(tmp_path)[:-1]}
    assert index["metadata"]["total_size"] == 5 * 440
    assert index["weight_map"] == {key: name for name, own in held.items() for key in own}
    for own in held.values():
        assert sum(array.nbytes for array in own.values()) <= 1000
    for name, layer in net().layers.items():
        array = held[index["weight_map"][f"{name}.weight"]][f"{name}.weight"]
        assert np.array_equal(array, layer.weight.value)


def test_a_bare_index_holds_what_huggingface_writes(tmp_path):
    path = saved(tmp_path, bare=True, allow_loss=True)
    index = json.loads(path.read_text(encoding="utf-8"))
    assert index["metadata"] == {"total_size": 5 * 440, "author": "me"}
    assert list(index["weight_map"])[:2] == ["l0.weight", "l0.bias"]
    assert opened(path).metadata == {"author": "me"}


def test_everything_comes_back(tmp_path):
    checkpoint = opened(saved(tmp_path))
    assert differences(net(), checkpoint) == []
    assert checkpoint.source.integrity == "intact"


def test_what_fits_stays_one_file(tmp_path):
    write(net(), tmp_path / "net.safetensors", registry=REGISTRY, options={"shard": "2200"})
    assert names(tmp_path) == ["net.safetensors"]
    write(net(), tmp_path / "more.safetensors", registry=REGISTRY, options={"shard": "2199 B"})
    assert len(names(tmp_path)) == 4


def test_the_name_without_index_finds_the_net(tmp_path):
    saved(tmp_path, name="net.safetensors")
    for name in ("net", "net.safetensors", INDEX):
        assert differences(net(), opened(tmp_path / name)) == []


def test_a_tensor_larger_than_a_file_has_one_of_its_own(tmp_path):
    saved(tmp_path, shard="1B")
    assert len(names(tmp_path)) == 11
    assert differences(net(), opened(tmp_path / INDEX)) == []


def test_an_index_is_written_without_a_size_too(tmp_path):
    write(net(), tmp_path / INDEX, registry=REGISTRY)
    assert names(tmp_path) == ["net-00001-of-00001.safetensors", INDEX]


@pytest.mark.parametrize("size", ["", "0", "-1", "2XB", "GB", "1e9", "0.2B", "1 2"])
def test_a_size_that_is_none_is_refused(size, tmp_path):
    with pytest.raises(OptionError, match="like 2GB, 500MB or 1GiB"):
        saved(tmp_path, shard=size)
    assert names(tmp_path) == []


def test_an_old_file_is_not_left_to_be_read_as_the_new_net(tmp_path):
    path = tmp_path / "net.safetensors"
    write(net(1), path, registry=REGISTRY)
    with pytest.raises(WriteError, match=r"old net\.safetensors would still be read"):
        saved(tmp_path, name="net.safetensors")
    assert differences(net(1), opened(path)) == []


def test_a_writing_that_fails_leaves_the_old_set(tmp_path, monkeypatch):
    path = saved(tmp_path, net(1))
    before, written = names(tmp_path), []

    def fail(tensors, metadata, write):
        written.append(tensors)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        return honest(tensors, metadata, write)

    honest = sharding.write_tensors
    monkeypatch.setattr(sharding, "write_tensors", fail)
    with pytest.raises(WriteError):
        saved(tmp_path, net(2))
    assert len(written) == 3
    assert names(tmp_path) == before
    assert differences(net(1), opened(path)) == []


def test_a_file_of_another_writing_is_refused(tmp_path):
    saved(tmp_path, net(1))
    old = Path(tmp_path, "net-00002-of-00003.safetensors").read_bytes()
    path = saved(tmp_path, net(2))
    Path(tmp_path, "net-00002-of-00003.safetensors").write_bytes(old)
    with pytest.raises(IntegrityError, match="do not belong together"):
        opened(path)


def test_a_file_that_another_program_saved_is_reported(tmp_path):
    path = saved(tmp_path)
    one = tmp_path / "net-00001-of-00003.safetensors"
    arrays = load_file(one)
    save_file({key: array + 1 for key, array in arrays.items()}, one)
    checkpoint = opened(path)
    assert checkpoint.layers["l0"].bias.value[0] == 1
    assert checkpoint.source.integrity == "changed"
    assert check_file(path, registry=REGISTRY).finding == "changed"


def test_a_changed_index_is_reported(tmp_path):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"author": "me"', b'"author": "it"'))
    assert opened(path).source.integrity == "changed"
    assert opened(path, check="no").source.integrity == "unchecked"


def test_a_missing_file_is_named(tmp_path):
    path = saved(tmp_path)
    Path(tmp_path, "net-00002-of-00003.safetensors").unlink()
    with pytest.raises(ReadError, match=r"net-00002-of-00003\.safetensors.*not beside it"):
        opened(path)


@pytest.mark.parametrize("place", ["../net-00002-of-00003.safetensors", "..", "a/b", "\0"])
def test_a_described_index_that_leads_elsewhere_is_refused(place, tmp_path):
    path = saved(tmp_path)
    index = json.loads(path.read_text(encoding="utf-8"))
    name = "net-00002-of-00003.safetensors"
    index["weight_map"] = {k: place if v == name else v for k, v in index["weight_map"].items()}
    index["metadata"]["snnbridge.files"][place] = index["metadata"]["snnbridge.files"][name]
    path.write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ReadError, match="names"):
        opened(path)


def test_one_file_alone_says_that_it_is_a_part(tmp_path):
    saved(tmp_path)
    part = opened(tmp_path / "net-00001-of-00003.safetensors")
    assert list(part.layers) == ["l0", "l1"]
    assert any("one of several files" in note for note in part.source.notes)
    assert part.metadata == {}
    assert part.source.integrity == "intact"


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sharding, "_SHARDS", 9)
    with pytest.raises(WriteError, match="makes 10 files; at most 9"):
        saved(tmp_path, shard="1B")


def test_a_set_is_converted_like_one_file(tmp_path):
    done = convert(saved(tmp_path), tmp_path / "one.pt", registry=REGISTRY)
    assert done.verdict == "identical"
    again = tmp_path / "again.safetensors.index.json"
    convert(tmp_path / "one.pt", again, registry=REGISTRY, write_options={"shard": "600B"})
    assert (
        differences(
            net(),
            opened(again),
        )
        == []
    )


def test_a_set_is_a_template(tmp_path):
    like = saved(tmp_path, net(1))
    write(net(2), tmp_path / "new.pt", registry=REGISTRY, options={"like": str(like)})
    assert differences(net(2), opened(tmp_path / "new.pt")) == []
