"""Live nets of Spyx: what is saved, read, simulated, turned and built is theirs."""

import json
from pathlib import Path

import numpy as np
import pytest

import beside
from snnbridge import convert, read, rewrites, simulate, write

ROOT = Path(__file__).parents[2]
#: Each net of judge_spyx.py, and the layer whose output it returns.
NETS = {"mlp": "3", "recurrent": "3", "conv": "5", "image": "4", "cube": "4"}

pytestmark = pytest.mark.live


def judge(action, **arguments):
    """Ask the real framework."""
    told = json.dumps(arguments)
    return beside.ask("spyx", "judge_spyx.py", action, told, folder=arguments["folder"])


@pytest.fixture(scope="module", params=NETS)
def saved(request, tmp_path_factory):
    """Export a net inside Spyx; give its name and its folder."""
    folder = tmp_path_factory.mktemp(request.param)
    assert judge("export", name=request.param, folder=str(folder)) == {"same_bytes": True}
    return request.param, folder


def recorded(folder):
    """Return input, channels first, and output."""
    with np.load(folder / "run.npz") as held:
        x = held["input"]
        return (np.moveaxis(x, -1, 2) if x.ndim == 5 else x), held["output"]


def test_the_simulator_gives_the_spikes_of_the_live_net(saved):
    name, folder = saved
    inputs, spikes = recorded(folder)
    end = NETS[name]
    found = simulate(read(folder / "net.msgpack"), inputs, record={end: "output"})
    assert spikes.any()
    assert np.array_equal(found.traces[end, "output"], spikes)


def test_a_net_that_is_built_from_the_file_gives_the_same_spikes(saved):
    _, folder = saved
    assert judge("rebuild", folder=str(folder)) == 0


def test_a_file_that_went_through_another_format_loads_into_a_fresh_net(saved):
    name, folder = saved
    convert(folder / "net.msgpack", folder / "net.h5")
    convert(folder / "net.h5", folder / "back.msgpack", to="spyx")
    assert (folder / "net.msgpack").read_bytes() == (folder / "back.msgpack").read_bytes()
    assert judge("load", name=name, folder=str(folder), file="back.msgpack") == 0


@pytest.mark.parametrize("saved", ["conv", "image", "cube"], indirect=True)
def test_a_net_whose_images_have_the_channel_first_is_turned_for_spyx(saved):
    _, folder = saved
    first, _ = rewrites.with_image_order(read(folder / "net.msgpack"), "channels first")
    write(first, folder / "first.h5")
    convert(folder / "first.h5", folder / "turned.msgpack", to="spyx")
    assert (folder / "turned.msgpack").read_bytes() == (folder / "net.msgpack").read_bytes()
