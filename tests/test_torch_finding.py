"""Which part of a file of torch.save is the net, and what is said where none is."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from snnbridge import UNKNOWN, CheckpointError, Input, ReadError, Registry, read
from snnbridge_plugins import torch
from test_format_torch import save_tree

REGISTRY = Registry([torch])
FIXTURES = Path(__file__).parents[1] / "fixtures"


def opened(path, **more):
    return read(path, registry=REGISTRY, **more)


def test_a_program_whose_tensors_come_first_is_refused_by_name_too(tmp_path):
    path = tmp_path / "script.pt"
    with zipfile.ZipFile(FIXTURES / "torch-2.13.0/script.pt") as held:
        members = {name: held.read(name) for name in held.namelist()}
    first = next(name for name in members if "/data/" in name)
    with zipfile.ZipFile(path, "w") as archive:
        for name in (first, *(x for x in members if x != first)):
            archive.writestr(name, members[name])
    with pytest.raises(ReadError, match=r"TorchScript.*state_dict"):
        opened(path)


STATE = {"fc.weight": np.zeros((2, 3), np.float32)}


def test_a_note_names_further_nets_of_the_file(tmp_path):
    save_tree(
        tmp_path / "both.pt", {"model": STATE, "model_ema": STATE, "history": {"loss": [1.0]}}
    )
    notes = opened(tmp_path / "both.pt").source.notes
    assert "the net is read from 'model'; net=KEY (--net KEY) takes another: 'model_ema'" in notes
    chosen = opened(tmp_path / "both.pt", options={"net": "model_ema"})
    assert list(chosen.layers) == ["fc"]
    assert not [note for note in chosen.source.notes if "takes another" in note]


def test_a_file_without_a_net_is_told_so(tmp_path):
    save_tree(tmp_path / "none.pt", {"epoch": 3, "losses": {"train": [1.0]}})
    with pytest.raises(ReadError, match=r"'epoch', 'losses' at its top, and neither .* state dict"):
        opened(tmp_path / "none.pt")


@pytest.mark.parametrize(("value", "said"), [(7, "is 7"), ([0, 1], r"is an array of shape \(2,\)")])
def test_a_reset_that_snntorch_does_not_have_is_shown(value, said, tmp_path):
    leaky = {"threshold": 1.0, "beta": 0.5, "graded_spikes_factor": 1.0}
    state = {f"lif.{key}": np.float32(held) for key, held in leaky.items()}
    state["lif.reset_mechanism_val"] = np.array(value)
    save_tree(tmp_path / "net.pt", state)
    found = opened(tmp_path / "net.pt")
    assert found.layers["lif"].rule.reset is UNKNOWN
    assert any(re.search(rf"reset_mechanism_val {said}", x) for x in found.source.notes)


def test_a_length_beyond_every_array_is_refused_with_the_bound():
    with pytest.raises(CheckpointError, match=r"of at least 0 and below 2\*\*62, found \(4611686"):
        Input("in", (1 << 62,))
