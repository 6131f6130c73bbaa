"""Networks of other frameworks in BrainPy's neurons, and the file of the net that is built."""

import itertools

import numpy as np
import pytest

import pairs
from snnbridge import (
    PER_STEP,
    Connection,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Neuron,
    Quantity,
    Registry,
    SNNBridgeError,
    SNNCheckpoint,
    StateVariable,
    WriteError,
    convert,
    differences,
    read,
    rules,
    simulate,
    write,
)
from snnbridge.express import express, step_of
from snnbridge.model import AvgPool, Form, Reset
from snnbridge.pytree import load_pytree
from snnbridge_plugins import brainpy

REGISTRY = Registry([brainpy])
FOR = {"for": "brainpy"}


def chained(*layers, dt=PER_STEP):
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    return SNNCheckpoint(layers, connections=edges, dt=dt)


def net(*neurons, dt=PER_STEP):
    weight = np.array([[0.5, 0.25, 0.5], [0.25, 0.5, 0.75]], np.float32)
    return chained(Input("in", (3,)), Linear("fc", weight), *neurons, dt=dt)


def leaky(**arguments):
    given = {"beta": 0.75, "reset_mechanism": "zero", "reset_delay": False, **arguments}
    return rules.get("snntorch", "Leaky").build("lif", shape=(2,), **given)


def spikes(checkpoint):
    name = pairs.last(checkpoint).name
    x = (np.random.default_rng(0).random((40, 3, 3)) < 0.5).astype(np.float32)
    return simulate(checkpoint, x, record={name: "output"}).traces[name, "output"]


def planned(*neurons, dt=PER_STEP):
    made, ledger = express(net(*neurons, dt=dt), "brainpy")
    return made, pairs.last(made), ledger


def test_every_recorded_net_that_is_taken_spikes_as_it_did():
    taken = 0
    for case in pairs.cases():
        try:
            made, ledger = express(case.net, "brainpy")
        except SNNBridgeError:
            continue
        if any(entry.status.value == "approximated" for entry in ledger):
            continue
        layer = pairs.last(made)
        variable = "output" if layer.rule.spiking else "v"
        found = simulate(made, case.x, record={layer.name: variable}).traces
        wrong = (abs(found[layer.name, variable] - case.out) > 1e-4).mean()
        assert wrong == 0.0, f"{case.framework} {case.name}"
        taken += 1
    assert taken > 150


def test_a_leaky_neuron_keeps_its_threshold_and_its_units():
    made, layer, ledger = planned(leaky())
    assert layer.origin.kind == "Lif"
    held = {name: float(p.value) for name, p in layer.parameters.items()}
    assert held == {
        "tau": 4.0, "resistance": 4.0, "v_rest": 0.0, "v_reset": 0.0,
        "threshold": float(np.nextafter(np.float32(1), np.float32(2))),
    }  # fmt: skip
    assert (layer.parameters["tau"].unit, layer.rule.form) == ("ms", Form.DERIVATIVE)
    assert {entry.status.value for entry in ledger if entry.path[0] == "layers"} == {"rounded"}
    assert spikes(net(leaky())).any()
    assert (spikes(made) == spikes(net(leaky()))).all()


def test_a_spike_may_take_any_amount_or_nothing():
    delayed = leaky(reset_mechanism="subtract", reset_delay=True)
    made, layer, _ = planned(delayed)
    assert step_of(layer, None, made.dt).amount == pytest.approx(1 / 0.75)
    assert (spikes(made) == spikes(net(delayed))).all()
    silent = leaky(reset_mechanism="none")
    made, layer, _ = planned(silent)
    assert layer.rule.reset is Reset.SUBTRACT
    assert layer.parameters["v_reset"].value == layer.parameters["threshold"].value
    assert (spikes(made) == spikes(net(silent))).all()


def test_a_neuron_without_a_leak_adds_its_input_without_rounding():
    counting = rules.get("spikingjelly", "IFNode").build("if", shape=(2,), v_reset=None)
    made, layer, _ = planned(counting)
    step = step_of(layer, None, made.dt)
    assert (step.beta.tolist(), step.gain.tolist()) == ([1.0, 1.0], [1.0, 1.0])
    ours, theirs = (
        simulate(x, np.full((50, 1, 3), 0.1, np.float32), record={"if": "v"}).traces["if", "v"]
        for x in (made, net(counting))
    )
    assert (ours == theirs).all()


def test_a_neuron_starts_where_it_did():
    node = rules.get("spikingjelly", "LIFNode").build("lif", shape=(2,), v_reset=-0.25)
    made, layer, _ = planned(node)
    assert layer.parameters["v_init"].value == -0.25
    assert (spikes(made) == spikes(net(node))).all()


@pytest.mark.parametrize(
    ("framework", "kind", "given", "expected"),
    [
        ("sinabs", "ExpLeak", {"tau_mem": 5.0, "norm_input": False}, "Leaky"),
        ("sinabs", "ExpLeak", {"tau_mem": 5.0, "norm_input": True}, "Integrator"),
        ("norse", "LIBoxCell", {"v_leak": 0.5, "tau_mem_inv": 100.0}, "IF"),
    ],
)
def test_a_readout_becomes_the_class_whose_arithmetic_is_nearest(framework, kind, given, expected):
    readout = rules.get(framework, kind).build("out", shape=(2,), **given)
    source = net(readout, dt=Quantity(1e-3, "s"))
    made, _ = express(source, "brainpy")
    assert pairs.last(made).origin.kind == expected
    x = np.random.default_rng(1).random((30, 2, 3), np.float32)
    ours, theirs = (simulate(n, x, record={"out": "v"}).traces["out", "v"] for n in (made, source))
    assert np.abs(ours - theirs).max() < 1e-5


def test_steps_become_milliseconds_and_a_time_step_stays():
    assert planned(leaky())[0].dt == Quantity(1.0, "ms")
    made, layer, _ = planned(leaky(), dt=Quantity(1e-4, "s"))
    assert made.dt == Quantity(1e-4, "s")
    assert float(layer.parameters["tau"].value) == pytest.approx(0.4)


def test_a_synapse_is_a_module_of_its_own():
    chain = rules.get("snntorch", "Synaptic").chain(
        "lif", shape=(2,), alpha=0.5, beta=0.75, reset_mechanism="zero", reset_delay=False
    )
    made, _ = express(net(*chain), "brainpy")
    assert made.layers["lif_synapse"].origin.kind == "Expon"
    assert float(made.layers["lif_synapse"].parameters["tau"].value) == 2.0
    assert (spikes(made) == spikes(net(*chain))).all()


def test_names_are_identifiers():
    names = ["0", "net.lif", "net_lif", "class-1"]
    layers = [rules.get("spikingjelly", "IFNode").build(x, shape=(2,)) for x in names]
    made, _ = express(chained(*layers), "brainpy")
    assert list(made.layers) == ["layer0", "net_lif", "net_lif_2", "class_1"]


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (rules.get("sinabs", "IAF").build("x", shape=(2,)), "at most once in a step"),
        (Delay("x", 2), "no module for a Delay"),
        (leaky(graded_spikes_factor=2.0), "spikes of size 1"),
        (AvgPool("x", (2, 2), padding=((1, 1), (1, 1)), count_padding=True), "counts no zeros"),
    ],
)
def test_what_no_class_computes_is_refused_with_the_reason(layer, reason, tmp_path):
    last = rules.get("spikingjelly", "IFNode").build("last", shape=(2,))
    with pytest.raises(WriteError, match=reason):
        write(chained(Input("in"), layer, last), tmp_path / "x.bp", options=FOR, registry=REGISTRY)


def image_net():
    rng = np.random.default_rng(2)
    kernel = rng.integers(-2, 5, (2, 1, 3, 3)).astype(np.float32) / 8
    weight = rng.integers(-2, 5, (4, 2 * 5 * 5)).astype(np.float32) / 8
    node = rules.get("spikingjelly", "IFNode")
    return chained(
        Input("in", (1, 5, 5)),
        Conv2d("conv", kernel, padding=1, stride=1, dilation=1, groups=1),
        node.build("if1", shape=(2, 5, 5), v_reset=None),
        Flatten("flat", order="channels first"),
        Linear("fc", weight),
        node.build("if2", shape=(4,), v_reset=None),
    )


def test_a_file_has_the_nodes_and_variables_of_the_net_that_is_built(tmp_path):
    write(image_net(), tmp_path / "net.bp", options=FOR, registry=REGISTRY)
    tree = load_pytree(tmp_path / "net.bp")
    del tree["snnbridge"]
    shapes = {node: {k: v.shape for k, v in held.items()} for node, held in tree.items()}
    assert shapes == {
        "net": {},
        "conv": {"conv.w": (3, 3, 1, 2)},
        "if1": {"if1.V": (1, 5, 5, 2), "if1.spike": (1, 5, 5, 2)},
        "flat": {},
        "fc": {"fc.W": (50, 4)},
        "if2": {"if2.V": (1, 4), "if2.spike": (1, 4)},
    }
    source = image_net().layers["fc"].weight.value.reshape(4, 2, 5, 5)
    assert (tree["fc"]["fc.W"].T.reshape(4, 5, 5, 2) == np.moveaxis(source, 1, -1)).all()


def test_a_file_for_brainpy_does_what_its_source_did(tmp_path):
    source, target = tmp_path / "source.bp", tmp_path / "target.bp"
    write(image_net(), source, registry=REGISTRY)
    done = convert(source, target, write_options=FOR, registry=REGISTRY)
    assert done.verdict == "equivalent"
    x = (np.random.default_rng(3).random((20, 2, 1, 5, 5)) < 0.3).astype(np.float32)
    ours, theirs = (
        simulate(n, x, record={"if2": "output"}).traces["if2", "output"]
        for n in (read(target, registry=REGISTRY), image_net())
    )
    assert theirs.any()
    assert (ours == theirs).all()


def test_a_state_is_kept_and_a_strange_one_is_told(tmp_path):
    checkpoint = net(leaky())
    checkpoint.state = {
        ("lif", "v"): StateVariable(np.float32([0.5, 0.25]), None),
        ("lif", "trace"): StateVariable(np.zeros(2, np.float32), None),
    }
    with pytest.raises(WriteError, match="no such variable"):
        write(checkpoint, tmp_path / "x.bp", options=FOR, registry=REGISTRY)
    write(checkpoint, tmp_path / "x.bp", options=FOR, allow_loss=True, registry=REGISTRY)
    tree = load_pytree(tmp_path / "x.bp")
    assert tree["lif"]["lif.V"].tolist() == [[0.5, 0.25]]
    assert set(tree["lif"]) == {"lif.V", "lif.spike"}


def test_the_nodes_of_a_network_of_brainpy_become_those_of_the_net_that_is_built(tmp_path):
    lif = rules.get("brainpy", "LifRef").build("Lif0", shape=(2,), tau_ref=2.0)
    checkpoint = net(lif, dt=Quantity(1.0, "ms"))
    checkpoint.extras = {"brainpy": {"net": [], "nodes": {"SNN0": {}, "fc": True, "Lif0": True}}}
    ledger = write(checkpoint, tmp_path / "x.bp", options=FOR, registry=REGISTRY)
    assert ("extras", "brainpy") in {entry.path for entry in ledger.told}
    tree = load_pytree(tmp_path / "x.bp")
    assert list(tree) == ["net", "fc", "Lif0", "snnbridge"]
    assert tree["Lif0"]["Lif0.t_last_spike"].tolist() == [[-1e7, -1e7]]
    again = read(tmp_path / "x.bp", registry=REGISTRY)
    assert not [x for x in differences(checkpoint, again) if x.path[0] == "layers"]


def test_what_is_there_already_is_written_again_alike(tmp_path):
    first, second = tmp_path / "1.bp", tmp_path / "2.bp"
    write(image_net(), first, options=FOR, registry=REGISTRY)
    write(read(first, registry=REGISTRY), second, options=FOR, registry=REGISTRY)
    found = [read(path, registry=REGISTRY) for path in (first, second)]
    assert differences(*found) == []
    assert all(x.origin for x in found[0].layers.values() if isinstance(x, Neuron))
