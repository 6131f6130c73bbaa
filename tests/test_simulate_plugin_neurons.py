"""Neurons whose step a plugin defines, in the middle of any network."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from snnbridge import (
    PER_STEP,
    CheckpointError,
    Connection,
    Linear,
    Neuron,
    NeuronKind,
    PluginError,
    Registry,
    SNNCheckpoint,
    UnknownValue,
    hookimpl,
    registry,
    rules,
    simulate,
    verify,
    write,
)
from snnbridge.cli import cli

BETA, THRESHOLD = np.float32(0.875), np.float32(1.0)


def step(x, state, parameters):
    """One step of snnTorch's Leaky with an immediate hard reset, in float32."""
    v = parameters["beta"] * state["v"] + x
    spikes = v > parameters["threshold"]
    return spikes, {"v": np.where(spikes, np.float32(0), v)}


TWIN = NeuronKind(
    name="twin",
    summary="The native rule, in Python",
    step=step,
    parameters={"beta": "decay", "threshold": "where it spikes"},
)
KINDS = {"twin": TWIN}


def native(name):
    rule = rules.get("snntorch", "Leaky")
    return rule.build(
        name, shape=(4,), beta=float(BETA), threshold=1.0, reset_mechanism="zero",
        reset_delay=False,
    )  # fmt: skip


def custom(name):
    return Neuron(name, (4,), {"beta": BETA, "threshold": THRESHOLD}, model="twin")


def weights(seed, *shape):
    return (np.random.default_rng(seed).integers(-64, 128, shape) / 64).astype(np.float32)


def network(make, edges):
    linear = [Linear(f"fc{i}", weights(i, 4, 4)) for i in range(3)]
    neurons = [make(i)(f"lif{i}") for i in range(3)]
    return SNNCheckpoint([*linear, *neurons], [Connection(*edge) for edge in edges], dt=PER_STEP)


CHAIN = [("fc0", "lif0", 0), ("lif0", "fc1", 0), ("fc1", "lif1", 0), ("lif1", "fc2", 0),
         ("fc2", "lif2", 0)]  # fmt: skip
RECURRENT = [*CHAIN[:1], ("lif0", "fc1", 1), ("fc1", "lif0", 0), ("lif0", "lif1", 0),
             ("lif1", "fc2", 2), ("fc2", "lif1", 0), ("lif1", "lif2", 3)]  # fmt: skip
BACK = [*CHAIN, ("lif2", "lif0", 1), ("fc2", "lif1", 2), ("lif1", "lif1", 1)]
GRAPHS = {"a chain": CHAIN, "recurrent": RECURRENT, "ways back": BACK}


def spikes_in(steps, batch=3):
    return (np.random.default_rng(9).random((steps, batch, 4)) < 0.4).astype(np.float32)


RECORD = {f"lif{i}": ("spikes", "v") for i in range(3)}


@pytest.mark.parametrize("edges", GRAPHS.values(), ids=GRAPHS)
@given(mixed=st.lists(st.booleans(), min_size=3, max_size=3))
@settings(max_examples=10, deadline=None)
def test_a_plugin_s_neuron_does_what_the_same_native_neuron_does(edges, mixed):
    inputs = spikes_in(20)
    expected = simulate(network(lambda i: native, edges), inputs, record=RECORD)
    made = network(lambda i: custom if mixed[i] else native, edges)
    found = simulate(made, inputs, record=RECORD, neurons=KINDS)
    for key, trace in expected.traces.items():
        np.testing.assert_array_equal(trace, found.traces[key], err_msg=str(key))
    for name, count in expected.counts.items():
        np.testing.assert_array_equal(count, found.counts[name])


@pytest.mark.parametrize("edges", GRAPHS.values(), ids=GRAPHS)
def test_half_the_steps_and_the_other_half_are_all_steps(edges):
    net = network(lambda i: custom if i != 1 else native, edges)
    inputs = spikes_in(20)
    whole = simulate(net, inputs, record=RECORD, neurons=KINDS)
    first = simulate(net, inputs[:9], record=RECORD, neurons=KINDS)
    second = simulate(net, inputs[9:], record=RECORD, neurons=KINDS, initial=first.state)
    for key, trace in whole.traces.items():
        both = np.concatenate([first.traces[key], second.traces[key]])
        np.testing.assert_array_equal(both, trace)


def test_recordings_are_streamed_in_blocks():
    net = network(lambda i: custom, CHAIN)
    inputs = spikes_in(600)
    whole = simulate(net, inputs, record="lif2", neurons=KINDS)
    blocks = []
    done = simulate(net, inputs, record="lif2", neurons=KINDS, on_block=blocks.append)
    assert not done.traces
    streamed = np.concatenate([b.traces["lif2", "spikes"] for b in blocks])
    np.testing.assert_array_equal(streamed, whole.spikes["lif2"])


def test_input_may_go_straight_to_a_plugin_s_neuron_as_a_list_of_spikes():
    net = SNNCheckpoint([custom("lif")], [])
    times, indices = np.array([0, 1, 1]), np.array([2, 2, 3])
    found = simulate(net, (times, indices), steps=3, neurons=KINDS)
    assert found.spikes["lif"].sum(0).tolist() == [[0, 0, 1, 0]]


def test_more_steps_than_memory_holds_are_refused_before_the_first():
    net = network(lambda i: custom, CHAIN)
    with pytest.raises(CheckpointError, match="MiB"):
        simulate(net, ([0], [1]), steps=10**11, neurons=KINDS)


def test_a_number_that_is_none_is_refused_before_the_first_step():
    x = spikes_in(600)
    x[599, 1, 2] = np.nan
    with pytest.raises(CheckpointError, match=r"holds nan at step 599, sample 1, element \[2\]"):
        simulate(network(lambda i: custom, CHAIN), x, neurons=KINDS, on_block=pytest.fail)


def test_a_parameter_that_the_kind_needs_is_asked_for():
    net = SNNCheckpoint([Neuron("lif", (4,), {"beta": BETA}, model="twin")], [])
    with pytest.raises(UnknownValue, match="layer 'lif': threshold"):
        simulate(net, spikes_in(2), neurons=KINDS)


def test_a_kind_that_no_plugin_brings_is_refused_by_name():
    with pytest.raises(CheckpointError, match="kind 'twin', whose step is not known"):
        simulate(SNNCheckpoint([custom("lif")], []), spikes_in(2), neurons={})


def test_a_step_that_changes_the_shape_is_a_fault_of_the_plugin():
    wrong = replace(TWIN, step=lambda x, state, parameters: (x[0] > 1, state))
    with pytest.raises(PluginError, match="'twin' gave its spikes another shape"):
        simulate(SNNCheckpoint([custom("lif")], []), spikes_in(2), neurons={"twin": wrong})


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda x, state, parameters: 1 / 0, "ZeroDivisionError"),
        (lambda x, state, parameters: None, "TypeError"),
        (lambda x, state, parameters: (x, {}), "KeyError: 'v'"),
        (lambda x, state, parameters: sys.exit(3), "SystemExit: 3"),
    ],
)
def test_a_step_that_fails_is_an_error_that_names_its_kind(step, message):
    with pytest.raises(PluginError, match=f"'twin' failed: {message}"):
        simulate(
            SNNCheckpoint([custom("lif")], []),
            spikes_in(2),
            neurons={"twin": replace(TWIN, step=step)},
        )


def test_a_registry_finds_the_kinds_of_its_plugins():
    @hookimpl
    def snnbridge_neurons():
        return [TWIN]

    plugin = SimpleNamespace(__name__="mine", snnbridge_neurons=snnbridge_neurons)
    assert dict(Registry([plugin]).neurons) == {"twin": TWIN}
    with pytest.raises(PluginError, match="neuron kind 'twin' is there already"):
        Registry([plugin, SimpleNamespace(snnbridge_neurons=snnbridge_neurons)])


# The verbs


@pytest.fixture
def installed(monkeypatch):
    """A registry that has the shipped formats and the kind beside them."""
    shipped = registry.default()
    both = SimpleNamespace(**{
        name: getattr(shipped, name)
        for name in dir(shipped)
        if not name.startswith("_") and name != "neurons"
    }, neurons=KINDS)  # fmt: skip
    monkeypatch.setattr("snnbridge.simulator.simulator.default", lambda: both)


def test_a_plugin_s_neuron_is_verified_by_its_spikes_against_another_kind(installed):
    mixed = network(lambda i: custom if i == 1 else native, CHAIN)
    found = verify(mixed, network(lambda i: native, CHAIN))
    assert found.verdict == "equivalent"
    assert found.layers[1].spikes_left == found.layers[1].spikes_right > 0
    assert found.layers[1].largest_difference is None
    assert "slower" in found.notes[0]
    assert "'twin'" in found.notes[0]


@pytest.mark.parametrize(
    ("beta", "verdict"),
    [(np.float32(0.25), "different"), (np.nextafter(BETA, np.float32(1)), "indeterminate")],
    ids=["another decay", "a decay that differs in its last bit"],
)
def test_two_layers_of_a_plugin_s_kind_are_judged_by_spikes_and_states(installed, beta, verdict):
    """Where the threshold is not known, a state that differs may be about to spike."""
    one = network(lambda i: custom, CHAIN)
    last = replace(one.layers["lif2"], parameters={"beta": beta, "threshold": THRESHOLD})
    other = replace(one, layers={**one.layers, "lif2": last})
    assert verify(one, other).verdict == verdict


def test_the_commands_say_that_a_plugin_s_neuron_is_slower(installed, tmp_path):
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    write(network(lambda i: custom, CHAIN), a)
    write(network(lambda i: native, CHAIN), b)
    simulated = CliRunner().invoke(
        cli, ["simulate", str(a), "--out", str(tmp_path / "out.npz")], standalone_mode=False
    )
    assert "'twin'" in simulated.output
    assert "slower" in simulated.output
    with np.load(tmp_path / "out.npz") as held:
        assert {"lif0.v", "lif0.spikes"} <= set(held.files)
    verified = CliRunner().invoke(
        cli, ["verify", str(a), str(b), "--report", str(tmp_path / "r.html")], standalone_mode=False
    )
    assert verified.return_value == 0
    assert "slower" in verified.output
    assert "lif1" in (tmp_path / "r.html").read_text(encoding="utf-8")
