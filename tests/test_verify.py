"""A verification finds every difference in behaviour, and says where it begins."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    CheckpointError,
    Connection,
    Input,
    Linear,
    Parameter,
    Quantity,
    SNNCheckpoint,
    Subgraph,
    UnknownValue,
    read,
    rewrites,
    rules,
    simulate,
    verify,
)
from snnbridge.cli import main
from snnbridge.model import Compare
from snnbridge.verifier import VERDICTS, Comparison

SNN, SPEC = "fixtures/brainpy-2.8.2/snn.bp", "fixtures/specs/snn.toml"


def net(names=("fc1", "lif1", "fc2", "lif2"), **second):
    rng = np.random.default_rng(2)
    first, last = (
        (rng.integers(-16, 32, shape) / 32).astype(np.float32) for shape in ((8, 10), (4, 8))
    )
    leaky = rules.get("snntorch", "Leaky")
    given = {"beta": 0.75, "threshold": 1.0}
    fc1, lif1, fc2, lif2 = names
    parts = [
        Linear(fc1, first),
        leaky.build(lif1, shape=(8,), **given),
        Linear(fc2, last),
        leaky.build(lif2, shape=(4,), **{**given, **second}),
    ]
    return SNNCheckpoint(parts, [Connection(a, b) for a, b in pairwise(names)])


def changed(checkpoint, name, **changes):
    layer = checkpoint.layers[name]
    new = replace(layer, **changes)
    return replace(checkpoint, layers={**checkpoint.layers, name: new})


def test_equal_networks_are_identical_and_nothing_is_simulated():
    found = verify(net(), net())
    assert (found.verdict, found.layers) == ("identical", ())


def test_what_does_not_bear_on_behaviour_does_not_count():
    other = net()
    other.metadata["note"] = "x"
    other.frozen_layers.append("fc1")
    assert verify(net(), other).verdict == "identical"


def test_the_first_divergence_is_named_with_layer_neuron_step_and_values():
    found = verify(net(), net(threshold=1.25))
    assert found.verdict == "different"
    layer, first = found.first
    assert layer.left == "lif2"
    assert found.layers[0].differing == 0
    assert (first.left > 1.0, first.right <= 1.25) == (True, True)
    assert 0 <= first.step < found.steps


def test_a_hit_of_the_threshold_tells_greater_from_greater_or_equal():
    source = net()
    rule = replace(source.layers["lif1"].rule, compare=Compare.GREATER_EQUAL)
    found = verify(source, changed(source, "lif1", rule=rule))
    assert found.verdict == "different"
    assert found.layers[0].first.left == 1.0


def test_a_last_bit_of_a_weight_is_never_called_equivalent_near_the_threshold():
    source = net()
    weight = source.layers["fc1"].weight.value * np.float32(1.0000002)
    other = changed(source, "fc1", weight=Parameter(weight))
    assert verify(source, other).verdict in ("different", "indeterminate")


def test_a_difference_below_every_margin_is_equivalent():
    source = net()
    drive = np.zeros((20, 1, 10), np.float32)
    drive[::4] = 1
    weight = source.layers["fc1"].weight.value.copy()
    weight[0, 0] += np.float32(1e-6)
    found = verify(source, changed(source, "fc1", weight=Parameter(weight)), inputs=drive)
    assert found.verdict == "equivalent"
    assert 0 < found.layers[0].largest_difference < 1e-5
    assert found.layers[0].smallest_margin > 0


def test_a_tolerance_settles_what_is_indeterminate():
    source = net()
    weight = source.layers["fc1"].weight.value * np.float32(1.0000002)
    other = changed(source, "fc1", weight=Parameter(weight))
    drive = np.full((30, 1, 10), 0.25, np.float32)
    strict = verify(source, other, inputs=drive)
    loose = verify(source, other, inputs=drive, tolerance=1e-4)
    assert loose.verdict == ("equivalent" if not strict.layers[0].differing else "different")
    assert loose.layers[0].close <= strict.layers[0].close


def test_layers_are_matched_by_structure_where_names_differ():
    found = verify(net(), net(names=("a", "b", "c", "d")))
    assert (found.verdict, found.matched_by) == ("equivalent", "structure")
    assert [(x.left, x.right) for x in found.layers] == [("lif1", "b"), ("lif2", "d")]


def test_networks_of_other_sizes_cannot_be_matched():
    leaky = rules.get("snntorch", "Leaky").build("lif", shape=(3,), beta=0.5, threshold=1.0)
    other = SNNCheckpoint([Linear("fc", np.ones((3, 10))), leaky], [Connection("fc", "lif")])
    with pytest.raises(CheckpointError, match="cannot be matched"):
        verify(net(), other)


def test_unknown_parameters_are_listed_and_nothing_is_simulated():
    source = net()
    decay = source.layers["lif1"].parameters["decay"]
    unknown = changed(source, "lif1", parameters={"decay": decay})
    with pytest.raises(UnknownValue, match="lif1"):
        verify(source, unknown)


def test_the_stimulus_is_seeded_and_reaches_every_threshold():
    comparison = Comparison(net(), net(threshold=2.0), 0.0)
    a, b, c = (comparison.stimulus(None, 20, seed, 0.1)["fc1"] for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert a.dtype == np.float32
    found = verify(net(), net(threshold=2.0))
    assert found.layers[0].smallest_margin == np.inf
    assert found.samples == a.shape[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"steps": "many"},
        {"seed": -1},
        {"rate": 2.0},
        {"rate": np.nan},
        {"tolerance": -1.0},
        {"tolerance": np.nan},
    ],
    ids=str,
)
def test_a_stimulus_that_is_none_is_refused(wrong):
    with pytest.raises(CheckpointError, match=f"{next(iter(wrong))} must be|and tolerance|, toler"):
        verify(net(), net(), **wrong)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (3, "must have shape"),
        (np.zeros((5, 1, 7)), "must have shape"),
        (np.zeros((0, 1, 10)), "at least 1 step"),
        ({}, "takes input at 'fc1'"),
        ({"nobody": np.zeros((5, 1, 10))}, "takes input at 'fc1'"),
        (np.full((5, 1, 10), np.nan), "'fc1' holds nan at step 0, sample 0, element"),
        (([0], [10]), "index 10"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_by_name(inputs, message):
    with pytest.raises(CheckpointError, match=message):
        verify(net(), net(threshold=2.0), inputs=inputs)


def test_a_list_of_spikes_is_a_stimulus_too():
    events = (np.arange(40) % 20, np.arange(40) % 10)
    dense = np.zeros((20, 1, 10), np.float32)
    np.add.at(dense, (events[0], 0, events[1]), 1)
    listed, laid_out = (verify(net(), net(threshold=2.0), inputs=x) for x in (events, dense))
    assert listed.as_json() == laid_out.as_json()


def test_a_stimulus_that_does_not_fit_into_memory_is_refused_before_it_is_made():
    with pytest.raises(CheckpointError, match=r"needs about .* MiB.*take fewer steps"):
        verify(net(), net(threshold=2.0), steps=10**15)


def engine_of(checkpoint, *variables, change=lambda x: x):
    """Stand in for an engine: the simulator, its answers changed."""

    def execute(inputs):
        layers = dict.fromkeys(("lif1", "lif2"), variables)
        traces = simulate(checkpoint, inputs, record=layers).traces
        return {key: change(value) for key, value in traces.items()}

    return execute


@pytest.mark.parametrize("variables", [("spikes",), ("spikes", "v")], ids="+".join)
def test_an_engine_that_does_the_same_is_equivalent(variables):
    found = verify(net(), engine_of(net(), *variables))
    assert found.verdict == "equivalent"
    assert [x.left for x in found.layers] == ["lif1", "lif2"]
    assert found.layers[0].largest_difference == (0.0 if "v" in variables else None)
    assert found.layers[0].spikes_left == found.layers[0].spikes_right > 0


def test_layers_of_a_subgraph_are_judged_too_by_an_engine_and_by_the_simulator():
    def nested(threshold):
        lif = rules.snntorch.Leaky("lif", shape=(4,), beta=0.5, threshold=threshold)
        block = Subgraph(
            "block", [Input("a", (4,)), lif], [Connection("a", "lif")], {"x": "a"}, {"y": "lif"}
        )
        drive = [Input("in", (4,)), block]
        return SNNCheckpoint(drive, [Connection("in", "block", target_port="x")])

    def execute(inputs):
        return simulate(nested(1.0), inputs, record={"block/lif": ("spikes", "v")}).traces

    by_engine = verify(nested(1.0), execute)
    assert [x.left for x in by_engine.layers] == ["block/lif"]
    assert by_engine.verdict == "equivalent"
    layer, first = verify(nested(1.0), nested(1.5)).first
    assert layer.left == "block/lif"
    assert first.left > 1.0


def test_an_engine_that_spikes_otherwise_is_different_and_says_where():
    found = verify(net(), engine_of(net(threshold=1.25), "spikes", "v"))
    assert (found.verdict, found.first[0].left) == ("different", "lif2")
    assert found.first[1].threshold == 1.0


def test_an_engine_whose_membranes_leave_the_margin_cannot_be_judged():
    def off(array):
        return array if array.dtype.kind in "ui" else array + np.float32(0.01)

    assert verify(net(), engine_of(net(), "spikes", "v", change=off)).verdict == "indeterminate"
    allowed = verify(net(), engine_of(net(), "spikes", "v", change=off), tolerance=0.02)
    assert allowed.verdict == "equivalent"


def test_an_engine_that_returns_no_number_is_never_equivalent():
    def broken(array):
        return array if array.dtype.kind in "ui" else array * np.float32(np.nan)

    found = verify(net(), engine_of(net(), "spikes", "v", change=broken))
    assert found.verdict == "indeterminate"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda inputs: {}, "the engine returns nothing; the left network has spikes of 'lif1'"),
        (lambda inputs: {("lif1", "spikes"): np.zeros((1, 1, 8))}, "of shape"),
    ],
    ids=["nothing", "shape"],
)
def test_an_engine_that_answers_something_else_is_refused(answer, message):
    with pytest.raises(CheckpointError, match=message):
        verify(net(), answer)


def test_blocks_of_steps_give_the_same_verdict(monkeypatch):
    whole = verify(net(), net(threshold=1.25)).as_json()
    monkeypatch.setattr("snnbridge.verifier.comparison._BLOCK_BYTES", 1)
    assert verify(net(), net(threshold=1.25)).as_json() == whole


def test_a_real_network_is_equivalent_to_its_conversion_and_not_to_another(tmp_path):
    source = read(SNN, spec=SPEC)
    assert verify(source, source).verdict == "identical"
    tau = Parameter(10.5, "ms")
    lif = source.layers["Lif0"]
    other = changed(source, "Lif0", parameters={**lif.parameters, "tau": tau})
    found = verify(source, other)
    assert found.verdict == "different"
    assert {x.left: x.spiking for x in found.layers} == {"Lif0": True, "Integrator0": False}


def test_the_command_reports_and_leaves_with_the_verdict_s_code(tmp_path, capsys):
    other = tmp_path / "other.toml"
    other.write_text(Path(SPEC).read_text().replace("V_th = 1.0", "V_th = 1.5"))
    page = tmp_path / "report.html"
    arguments = ["verify", SNN, SNN, "--spec", SPEC, "--spec-b", str(other), "--report", str(page)]
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 1
    out = capsys.readouterr().out
    assert "first divergence: layer Lif0" in out
    assert "verdict: different" in out
    text = page.read_text()
    assert "<svg" in text
    assert not re.search(r'(src|href)="https?:|<script|<link|url\(http', text)


def test_the_command_refuses_unknown_networks_with_2(capsys):
    with pytest.raises(SystemExit) as left:
        main(["verify", SNN, "fixtures/brainpy-2.8.2/a_training.bp"])
    assert left.value.code == 2
    assert "spec" in capsys.readouterr().err


def test_simulate_writes_spikes_and_a_picture(tmp_path, capsys):
    out, plot = tmp_path / "out.npz", tmp_path / "raster.png"
    with pytest.raises(SystemExit) as left:
        main(["simulate", SNN, "--spec", SPEC, "--out", str(out), "--plot", str(plot)])
    assert left.value.code == 0
    with np.load(out) as held:
        spikes = held["Lif0.spikes"]
    assert spikes.shape == (100, 1, 10)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert str(int(spikes.sum())) in capsys.readouterr().out


def test_simulate_takes_a_stimulus_of_one_s_own(tmp_path, capsys):
    drive = tmp_path / "drive.npy"
    np.save(drive, np.ones((7, 2, 100), np.float32))
    with pytest.raises(SystemExit) as left:
        main(["simulate", SNN, "--spec", SPEC, "--input", str(drive)])
    assert left.value.code == 0
    assert "2 samples of 7 steps" in capsys.readouterr().out


def test_every_verdict_has_a_meaning():
    assert list(VERDICTS) == ["identical", "equivalent", "indeterminate", "different"]


def delayed_pair():
    """Return a net that tells its spikes a step late, and one that tells them at once."""
    rng = np.random.default_rng(1)
    layers = [
        Input("in", (5,)),
        Linear("fc1", rng.normal(0.2, 0.5, (8, 5)).astype(np.float32)),
        rules.spyx.LIF("lif1", shape=(8,), beta=0.5),
        Linear("fc2", rng.normal(0.2, 0.5, (3, 8)).astype(np.float32)),
        rules.spyx.LIF("lif2", shape=(3,), beta=0.75),
    ]
    edges = [Connection(a.name, b.name) for a, b in pairwise(layers)]
    late = SNNCheckpoint(layers, connections=edges, dt=PER_STEP)
    return late, rewrites.with_output_delay(late, 0)[0]


@pytest.mark.parametrize("turned", [False, True])
def test_networks_whose_delays_differ_are_equivalent_if_a_latency_is_no_difference(turned):
    nets = delayed_pair()
    left, right = reversed(nets) if turned else nets
    assert verify(left, right).verdict == "different"
    found = verify(left, right, latency=True)
    assert found.verdict == "equivalent"
    assert [x.latency for x in found.layers] == ([1, 2] if turned else [-1, -2])
    assert all(sum(x.spikes) for x in found.layers)
    assert len({x.spikes for x in found.layers}) == 2


def test_a_latency_hides_no_other_difference():
    late, early = delayed_pair()
    held = early.layers["fc2"]
    other = replace(held, weight=-held.weight.value)
    early = replace(early, layers={**early.layers, "fc2": other})
    assert verify(late, early, latency=True).verdict == "different"


def test_potentials_that_are_counted_from_elsewhere_are_compared_in_one_unit():
    rng = np.random.default_rng(2)

    def net(base):
        lif = rules.norse.LIFBoxCell(
            "lif", shape=(6,), v_th=1 + base, v_leak=base, v_reset=base, tau_mem_inv=100.0
        )
        fc = Linear("fc", rng.normal(0.5, 1.0, (6, 4)).astype(np.float32))
        return SNNCheckpoint([fc, lif], [Connection("fc", "lif")], dt=Quantity(1e-3, "s"))

    left = net(0.0)
    right = net(0.5)
    right = replace(right, layers={**right.layers, "fc": left.layers["fc"]})
    found = verify(left, right, steps=40)
    (layer,) = found.layers
    assert found.verdict in ("equivalent", "indeterminate")
    assert layer.largest_difference < 1e-5
