"""What is written for a framework loads, every key, into a new net of its classes."""

from itertools import pairwise

import numpy as np
import pytest

import beside
from snnbridge import PER_STEP, Connection, Linear, Quantity, SNNCheckpoint, rules, write

pytestmark = pytest.mark.live


def net(first, second, dt):
    rng = np.random.default_rng(0)
    layers = [
        Linear("fc1", rng.random((6, 4), np.float32), rng.random(6, np.float32)),
        *first,
        Linear("fc2", rng.random((3, 6), np.float32)),
        *second,
    ]
    edges = [Connection(a.name, b.name) for a, b in pairwise(layers)]
    return SNNCheckpoint(layers, connections=edges, dt=dt)


def soft():
    """Neurons that subtract, as often as it fits."""
    first = rules.sinabs.LIF.chain(
        "lif1", shape=(6,), tau_mem=10.0, tau_syn=5.0, norm_input=False, spike_threshold=0.5
    )
    second = rules.sinabs.LIF.chain("lif2", shape=(3,), tau_mem=20.0, norm_input=False)
    return net(first, second, PER_STEP)


def hard():
    """Neurons that are set to zero."""
    first = rules.norse.LIFCell.chain("lif1", shape=(6,))
    second = rules.norse.LIFBoxCell.chain("lif2", shape=(3,))
    return net(first, second, Quantity(1.0, "ms"))


def test_a_file_for_a_framework_loads_into_a_net_built_by_hand(tmp_path):
    targets = {"rockpool": soft(), **dict.fromkeys(("sinabs", "snntorch", "spikingjelly"), hard())}
    files = []
    for framework, source in {**targets, "norse": cuba()}.items():
        files.append(str(tmp_path / f"{framework}-net.pt"))
        write(source, files[-1], options={"for": framework})
    assert beside.ask("torch", "judge_fresh.py", "load", *files, folder=tmp_path) == {}


def cuba():
    first = rules.spikingjelly.CUBALIFNode.chain("lif1", shape=(6,), v_decay=0.5, c_decay=0.25)
    second = rules.spikingjelly.LIFNode.chain("lif2", shape=(3,), tau=4.0, decay_input=False)
    return net(first, second, PER_STEP)


def test_a_diagonal_that_was_loaded_into_a_cell_of_norse_runs(tmp_path):
    path = str(tmp_path / "net.pt")
    told = beside.ask("torch", "judge_fresh.py", "diagonal", path, folder=tmp_path)
    assert told["spikes"] > 0
    assert told["differing"] == 0


def test_a_net_of_spyx_may_be_a_class_of_one_s_own(tmp_path):
    path = str(tmp_path / "net.msgpack")
    told = beside.ask("spyx", "judge_fresh.py", "spyx", path, folder=tmp_path)
    assert told["same"]
    assert told["unknown"] == []
    assert told["edges"] == [
        ["input", "fc1"], ["lif1.synapse", "lif1"], ["fc1", "lif1.synapse"], ["lif1", "fc2"],
        ["fc2", "li"],
    ]  # fmt: skip
    assert ["state connections=" in text for text in told["warned"]] == [True]
