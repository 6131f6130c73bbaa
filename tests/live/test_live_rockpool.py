"""Rockpool's own save and load: the files are read, simulated and written as it does."""

import json
from pathlib import Path

import numpy as np
import pytest

import beside
from snnbridge import convert, read, simulate

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.live


def judge(action, **arguments):
    """Ask the real framework."""
    told = json.dumps(arguments)
    return beside.ask("torch", "judge_rockpool.py", action, told, folder=arguments["folder"])


@pytest.fixture(scope="module", params=["mlp", "recurrent", "readout"])
def saved(request, tmp_path_factory):
    """Save a net by Rockpool itself; give its name, its folder and its last module."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, judge("save", name=request.param, folder=str(folder))[-1]


def test_the_simulator_gives_what_the_live_net_gave(saved):
    name, folder, last = saved
    with np.load(folder / "run.npz") as held:
        inputs, output = held["input"], held["output"]
    assert output.any()
    checkpoint = read(folder / "net.json")
    if name == "readout":
        found = simulate(checkpoint, inputs, record={last: "i"}).traces[last, "i"]
        assert np.allclose(found, output, rtol=1e-6, atol=1e-6)
    else:
        assert np.array_equal(
            simulate(checkpoint, inputs, record={last: "spikes"}).spikes[last], output
        )


def test_a_file_that_went_through_another_format_loads_into_a_fresh_net(saved):
    name, folder, _ = saved
    convert(folder / "net.json", folder / "net.h5")
    convert(folder / "net.h5", folder / "back.json", to="rockpool")
    assert judge("load", name=name, folder=str(folder), file="net.json") == 0
    assert judge("load", name=name, folder=str(folder), file="back.json") == 0


def test_a_file_is_written_as_rockpool_saved_it(saved):
    _, folder, _ = saved
    convert(folder / "net.json", folder / "again.json", to="rockpool", bare=True)
    assert json.loads((folder / "again.json").read_text()) == json.loads(
        (folder / "net.json").read_text()
    )
