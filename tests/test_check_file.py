"""Checking files against their own digests, and following a chain of conversions by them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from snnbridge import (
    FileCheck,
    IntegrityError,
    ReadError,
    check_file,
    convert,
    read,
    write,
)
from snnbridge.cli import main
from snnbridge.registry import default
from snnbridge.testing.samples import small

FIXTURES = Path(__file__).parents[1] / "fixtures"
SNN = FIXTURES / "brainpy-2.8.2/snn.bp"
WITH_DIGESTS = (".npz", ".bp", ".h5", ".nir", ".pt", ".safetensors")


def flipped(path, where):
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)


def place_of(path, array):
    data = path.read_bytes()
    return max(data.find(array.tobytes()), data.find(array.T.tobytes()))


@pytest.fixture(params=WITH_DIGESTS)
def written(request, tmp_path):
    path = tmp_path / f"net{request.param}"
    write(small(seed=3), path)
    return path


def test_a_file_as_it_was_written_is_intact(written):
    found = check_file(written)
    assert (found.finding, found.is_sound) == ("intact", True)
    assert found.path == str(written)


def test_every_file_of_a_set_is_named_with_its_digest(written):
    found = {file.name: (file.size, file.sha256) for file in check_file(written).files}
    assert found == {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in written.parent.iterdir()
    }


def test_a_changed_weight_is_found_without_converting(written):
    weight = small(seed=3).weights[0]
    flipped(written, place_of(written, weight))
    found = check_file(written)
    assert found.finding in ("damaged", "changed")
    assert not found.is_sound


def test_the_message_names_the_array_that_is_damaged(tmp_path):
    write(small(seed=3), tmp_path / "net.npz")
    weight = small(seed=3).weights[0]
    flipped(tmp_path / "net.npz", place_of(tmp_path / "net.npz", weight))
    assert "layer_0" in check_file(tmp_path / "net.npz").message


def test_convert_compares_digests_unasked(tmp_path):
    write(small(seed=3), tmp_path / "net.npz")
    weight = small(seed=3).weights[0]
    flipped(tmp_path / "net.npz", place_of(tmp_path / "net.npz", weight))
    read(tmp_path / "net.npz")
    with pytest.raises(IntegrityError, match="layer_0"):
        convert(tmp_path / "net.npz", tmp_path / "net.h5")
    convert(tmp_path / "net.npz", tmp_path / "net.h5", read_options={"check": "no"})


def test_the_option_to_check_means_the_same_in_every_format(written):
    found = [read(written, options={"check": asked}).source.integrity for asked in ("yes", "no")]
    assert found == ["intact", "unchecked"]


def test_the_option_to_check_says_what_a_reader_does_without_it(written):
    (help,) = (
        o.help for o in default().get(check_file(written).format).options if o.name == "check"
    )
    unasked = "unchecked" if help.endswith("by default never.") else "intact"
    assert read(written).source.integrity == unasked


def test_a_pair_that_another_program_saved_again_is_changed_and_not_damaged(tmp_path):
    write(small(seed=3), tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as archive:
        arrays = {name: archive[name] + 1 for name in archive.files}
    np.savez(tmp_path / "net.npz", **arrays)
    found = check_file(tmp_path / "net.npz")
    assert found.finding == "changed"
    assert "another program" in found.message
    assert any("re-saved" in note for note in found.notes)


def test_a_file_without_digests_says_so_and_is_no_failure():
    found = check_file(SNN)
    assert (found.finding, found.is_sound) == ("no digests", True)


def test_a_file_that_cannot_be_read_is_a_read_error(tmp_path):
    (tmp_path / "net.bp").write_bytes(SNN.read_bytes()[:1000])
    with pytest.raises(ReadError):
        check_file(tmp_path / "net.bp", format="brainpy")


@pytest.mark.parametrize(
    ("damage", "code"), [(None, 0), ("flip", 1), ("cut", 2)], ids=["intact", "flipped", "cut"]
)
def test_the_command_leaves_with_what_it_found(tmp_path, capsys, damage, code):
    path = tmp_path / "net.npz"
    write(small(seed=3), path)
    if damage == "flip":
        flipped(path, place_of(path, small(seed=3).weights[0]))
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SystemExit) as left:
        main(["check-file", str(path), "--json"])
    assert left.value.code == code
    if code < 2:
        found = json.loads(capsys.readouterr().out)
        assert set(found) == set(FileCheck.__slots__)


def test_the_command_shows_the_digest_of_each_file(tmp_path, capsys):
    write(small(), tmp_path / "net.npz")
    with pytest.raises(SystemExit):
        main(["check-file", str(tmp_path / "net.npz")])
    shown = capsys.readouterr().out
    for file in tmp_path.iterdir():
        assert hashlib.sha256(file.read_bytes()).hexdigest() in shown


def test_a_chain_of_conversions_can_be_followed_by_digests(tmp_path, capsys):
    convert(SNN, tmp_path / "a.npz")
    convert(tmp_path / "a.npz", tmp_path / "b.h5")
    steps = [step["source"]["sha256"] for step in read(tmp_path / "b.h5").provenance]
    chain = [SNN], [tmp_path / "a.npz", tmp_path / "a.json"]
    assert steps == [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        for files in chain
    ]
    with pytest.raises(SystemExit):
        main(["info", str(tmp_path / "b.h5")])
    shown = capsys.readouterr().out
    assert all(digest in shown for step in steps for digest in step.values())


def test_the_same_conversion_gives_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        convert(SNN, tmp_path / folder / "net.npz")
    for name in ("net.npz", "net.json"):
        assert len({(tmp_path / folder / name).read_bytes() for folder in ("one", "two")}) == 1


def test_a_nir_file_that_the_hdf5_library_wrote_to_is_changed(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "net.nir"
    write(small(seed=3), path)
    with h5py.File(path, "r+") as file:
        file["node"].attrs["seen"] = 1
    assert check_file(path).finding == "changed"


def test_a_safetensors_file_that_another_program_saved_again_is_changed(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    numpy_files = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "net.safetensors"
    write(small(seed=3), path)
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
    numpy_files.save_file(numpy_files.load_file(path), path, metadata)
    assert check_file(path).finding == "changed"


def test_an_onnx_model_whose_graph_another_program_changed_is_changed(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx_nets import plain

    path = tmp_path / "net.onnx"
    write(plain(), path)
    assert check_file(path).finding == "intact"
    model = onnx.load(path)
    model.graph.doc_string = "seen"
    onnx.save(model, path)
    assert check_file(path).finding == "changed"
    del model.metadata_props[:]
    onnx.save(model, path)
    assert check_file(path).finding == "changed"
