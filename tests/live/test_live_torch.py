"""Live nets of the frameworks on PyTorch: what is saved, read, simulated and built is theirs."""

import json
from pathlib import Path

import numpy as np
import pytest

import beside
from snnbridge import Linear, SNNCheckpoint, differences, read, simulate, write

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
#: Each net of judge_torch.py, and the layer whose spikes it returns.
NETS = {
    "snntorch_leaky": "3",
    "snntorch_recurrent": "3",
    "snntorch_traced": "lif2",
    "norse_cells": "3",
    "norse_recurrent": "2",
    "sinabs_layers": "3",
    "sinabs_recurrent": "3",
    "spikingjelly_neurons": "5",
    "spikingjelly_conv": "5",
    "spikingjelly_recurrent": "3",
    "rockpool_modules": "3_LIFNeuronTorch",
    "rockpool_recurrent": "3_LIFTorch",
}

pytestmark = pytest.mark.live


def judge(action, **arguments):
    """Ask the real frameworks."""
    told, folder = json.dumps(arguments), arguments.get("folder")
    return beside.ask("torch", "judge_torch.py", action, told, folder=folder)


@pytest.fixture(scope="module", params=NETS)
def saved(request, tmp_path_factory):
    """Export a net inside its framework; give its name, its folder and the judge's words."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, judge("export", name=request.param, folder=str(folder))


def test_an_exported_file_is_the_state_dict_to_its_framework(saved):
    _, _, words = saved
    assert words == {"same_order": True, "changed": [], "more": []}


def test_the_simulator_gives_the_spikes_of_the_live_net(saved):
    name, folder, _ = saved
    checkpoint = read(folder / "net.pt")
    with np.load(folder / "run.npz") as held:
        inputs, spikes = held["input"], held["output"]
    found = simulate(checkpoint, inputs, record={NETS[name]: "spikes"}).spikes[NETS[name]]
    assert spikes.any()
    assert np.array_equal(found, spikes)


def test_a_net_that_is_built_from_the_file_gives_the_same_spikes(saved):
    name, folder, _ = saved
    assert judge("rebuild", name=name, folder=str(folder))["differing"] == 0


def test_the_bare_state_dict_is_read_as_the_same_weights(saved):
    _, folder, _ = saved
    exported, bare = read(folder / "net.pt"), read(folder / "fresh.pt")
    told = {x.path[1] for x in differences(exported, bare) if x.path[-1:] == ("weight",)}
    assert not told


def test_a_fresh_net_takes_every_key_of_what_is_written_into_its_state_dict(saved):
    name, folder, _ = saved
    like = {"like": str(folder / "other.pt")}
    sources = {"net.pt": "exported", "fresh.pt": "bare"}
    if not name.startswith("rockpool"):  # Rockpool's nets go on from the state that is loaded
        sources["ran.pt"] = "whole"
    for source, target in sources.items():
        write(read(folder / source), folder / f"{target}.h5")
        write(read(folder / f"{target}.h5"), folder / f"{target}.pt", options=like)
    files = [f"{target}.pt" for target in sources.values()]
    told = judge("strict", name=name, folder=str(folder), files=files)
    assert told == dict.fromkeys(files, 0)


CONTAINER = {
    "dt": "per step",
    "chains": [["0", "1.rc", "1.sub_module", "2", "3"], ["1.recurrent", "1.sub_module"]],
    "connections": [["1.sub_module", "1.recurrent", 1]],
    "layers": {
        "1.sub_module": {
            "kind": "Neuron", "class": "spikingjelly.LIFNode", "shape": [5], "tau": 2.0,
            "v_threshold": 0.25, "v_reset": 0.0, "decay_input": True,
        },
        "3": {
            "kind": "Neuron", "class": "spikingjelly.IFNode", "shape": [3], "v_threshold": 1.0,
            "v_reset": 0.0,
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("saved", ["spikingjelly_recurrent"], indirect=True)
def test_a_plain_state_dict_of_a_container_needs_its_neurons_only(saved):
    _, folder, _ = saved
    with np.load(folder / "run.npz") as held:
        inputs, spikes = held["input"], held["output"]
    checkpoint = read(folder / "fresh.pt", spec=CONTAINER)
    assert np.array_equal(simulate(checkpoint, inputs, record={"3": "spikes"}).spikes["3"], spikes)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool", "complex64", "uint16"])
def test_a_safe_load_reads_what_is_written(dtype, tmp_path):
    weight = np.arange(6).reshape(2, 3).astype(dtype)
    write(SNNCheckpoint([Linear("fc", weight)]), tmp_path / "net.pt")
    if dtype == "complex64":
        assert judge("load", path=str(tmp_path / "net.pt"))["fc.weight"][:2] == [dtype, [2, 3]]
        return
    expected = [dtype, [2, 3], weight.astype(float).tolist()]
    assert judge("load", path=str(tmp_path / "net.pt")) == {"fc.weight": expected}


@pytest.mark.parametrize("name", ["training", "tied", "strided", "untyped", "on_a_gpu"])
def test_a_safe_load_reads_the_fixtures_as_they_are_written_back(name, tmp_path):
    write(read(FIXTURES / "torch-2.13.0" / f"{name}.pt"), tmp_path / "again.pt")
    again, truth = judge("described", path=str(tmp_path / "again.pt")), FIXTURES / "torch-2.13.0"
    assert again == json.loads((truth / f"{name}.truth.json").read_text(encoding="utf-8"))
