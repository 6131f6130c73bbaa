"""Beside snnbridge, the neuron of the plugin runs, is kept, and is refused where it must be."""

import numpy as np
import pytest

from snnbridge import Connection, Linear, LossyWrite, Neuron, SNNCheckpoint, read, simulate, write

REGULAR = {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0}


@pytest.fixture
def network():
    fc = Linear("fc", np.full((2, 1), 10, np.float32))
    cells = Neuron("cells", (2,), REGULAR, model="izhikevich")
    return SNNCheckpoint([fc, cells], [Connection("fc", "cells")])


def test_a_regular_spiking_cell_adapts(network):
    found = simulate(network, np.ones((400, 1, 1), np.float32), record="cells")
    times = np.flatnonzero(found.spikes["cells"][:, 0, 0])
    gaps = np.diff(times)
    assert len(times) > 5
    assert gaps[0] < gaps[-1]
    np.testing.assert_array_equal(found.spikes["cells"][..., 0], found.spikes["cells"][..., 1])


def test_a_format_that_carries_every_neuron_keeps_it(network, tmp_path):
    write(network, tmp_path / "a.h5")
    back = read(tmp_path / "a.h5").layers["cells"]
    assert back.model == "izhikevich"
    assert back.parameters["d"].value == 8.0


def test_a_format_that_cannot_say_its_step_refuses_it(network, tmp_path):
    with pytest.raises(LossyWrite):
        write(network, tmp_path / "a.bp", bare=True)
