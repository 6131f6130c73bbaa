"""The named rules do what the real frameworks were recorded to do."""

from __future__ import annotations

import numpy as np
import pytest

import recorded
import recorded_brainpy
from snnbridge.model import Neuron, SNNCheckpoint
from snnbridge.simulator import simulate

CASES = list(recorded.cases())


def scale_of(layer):
    held = layer.parameters.get("threshold") if isinstance(layer, Neuron) else None
    return 1.0 if held is None else float(np.min(np.abs(held.value)))


@pytest.mark.parametrize(("folder", "stem", "name"), CASES, ids=["/".join(c) for c in CASES])
def test_a_recorded_network_is_reproduced(folder, stem, name):
    case = recorded.Recorded(folder, stem, name)
    wanted = {}
    for layer, variable, _ in case.truth():
        wanted.setdefault(layer, []).append(variable)
    found = simulate(case.net, case.seen("input"), record=wanted, initial=case.initial())
    for layer, variable, truth in case.truth():
        ours = found.traces[layer, variable].reshape(truth.shape)
        if variable == "output":
            assert (ours == truth).all(), f"{int((ours != truth).sum())} spikes of {layer!r} differ"
        elif case.dyadic or case.framework == "sc-neurocore":  # which computes in float64
            assert (ours == truth).all(), f"{variable} of {layer!r} differs in its bits"
        else:
            error = np.abs(ours - truth).max() / scale_of(case.layers[layer])
            assert error < 1e-4, f"{variable} of {layer!r} is off by {error:.2g} of the threshold"


def test_every_framework_is_recorded():
    frameworks = {folder.rpartition("-")[0] for folder, _, _ in CASES}
    torch = {"snntorch", "spikingjelly", "norse", "sinabs", "rockpool"}
    assert torch | {"spyx", "sc-neurocore"} <= frameworks


BRAINPY = list(recorded_brainpy.cases())


@pytest.mark.parametrize(("version", "name"), BRAINPY, ids=["/".join(c) for c in BRAINPY])
def test_a_recorded_brainpy_network_is_reproduced(version, name):
    case = recorded_brainpy.RecordedBrainPy(version, name)
    wanted = {}
    for layer, variable, _ in case.truth():
        wanted.setdefault(layer, []).append(variable)
    found = simulate(case.net, case.seen("input"), record=wanted, initial=case.initial())
    for layer, variable, truth in case.truth():
        ours = found.traces[layer, variable].reshape(truth.shape)
        if variable == "output":
            assert (ours == truth).all(), f"{int((ours != truth).sum())} spikes of {layer!r} differ"
        elif name.startswith("lif_") and name.endswith("euler_dyadic"):
            assert (ours == truth).all(), f"{variable} of {layer!r} differs in its bits"
        else:
            error = np.abs(ours - truth).max() / scale_of(case.layers[layer])
            assert error < 1e-4, f"{variable} of {layer!r} is off by {error:.2g} of the threshold"


def test_a_potential_that_reaches_the_threshold_to_the_last_bit_spikes():
    """The framework rounds its sum before the bias too, so the neuron is fed with its currents."""
    case = recorded_brainpy.RecordedBrainPy("2.8.2", "lif_exact_threshold")
    exact = case.truth_of["exact_threshold"]
    weight, bias = case.array("Dense0.W").astype(np.float64), case.array("Dense0.b")
    current = (case.seen("input").astype(np.float64) @ weight).astype(np.float32) + bias
    alone = SNNCheckpoint([case.layers["Lif0"]], connections=(), dt=case.net.dt)
    found = simulate(alone, current, record={"Lif0": ("spikes", "v")})
    row, step = exact["row"], exact["step"]
    assert (found.spikes["Lif0"][:, row] == case.seen("Lif0.spike")[:, row]).all()
    same = found.traces["Lif0", "v"][: step + 1, row] == case.seen("Lif0.V")[: step + 1, row]
    assert same[:, exact["neuron"]].all()
