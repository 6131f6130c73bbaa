"""A rewritten network does the same: both sides are run, at the threshold above all."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    AvgPool,
    BatchNorm,
    CheckpointError,
    Connection,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Neuron,
    Output,
    Parameter,
    SNNCheckpoint,
    StateVariable,
    Status,
    Subgraph,
    SumPool,
    differences,
    rewrites,
    rules,
    verify,
)
from snnbridge.model import Compare, InputGain, Reset, ResetTiming
from snnbridge.simulator import simulate


def net(lif, dyadic=True, bias=False):
    rng = np.random.default_rng(3)
    weight = rng.integers(-64, 96, (6, 9)) / 64 if dyadic else rng.normal(0.1, 0.4, (6, 9))
    own = (rng.integers(-8, 8, 6) / 64).astype(np.float32) if bias else None
    fc = Linear("fc", weight.astype(np.float32), own)
    return SNNCheckpoint([fc, lif], [Connection("fc", "lif")])


def leaky(**more):
    given = {"beta": 0.5, "threshold": 1.0, **more}
    return rules.get("snntorch", "Leaky").build("lif", shape=(6,), **given)


def spikes(checkpoint, steps=60):
    rng = np.random.default_rng(1)
    drive = (rng.random((steps, 3, 9)) < 0.4).astype(np.float32)
    return simulate(checkpoint, drive, record={"lif": "spikes"}).spikes["lif"]


def same_spikes(a, b):
    left = spikes(a)
    assert left.any()
    return np.array_equal(left, spikes(b))


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("dyadic", [True, False])
def test_greater_becomes_greater_or_equal_without_a_different_spike(reset, dyadic):
    source = net(leaky(reset_mechanism=reset), dyadic)
    new, entry = rewrites.with_compare(source, "lif", Compare.GREATER_EQUAL)
    assert entry.status is Status.REWRITTEN
    assert new.layers["lif"].rule.compare is Compare.GREATER_EQUAL
    assert same_spikes(source, new)
    assert verify(source, new).layers[0].differing == 0


def test_without_the_neighbouring_float_the_comparison_would_differ():
    source = net(leaky(reset_mechanism="zero"))
    lif = source.layers["lif"]
    naive = replace(lif, rule=replace(lif.rule, compare=Compare.GREATER_EQUAL))
    wrong = replace(source, layers={**source.layers, "lif": naive})
    assert verify(source, wrong).verdict == "different"


def test_what_a_spike_subtracts_stays_when_the_threshold_moves():
    source = net(leaky(reset_mechanism="subtract"))
    new, _ = rewrites.with_compare(source, "lif", Compare.GREATER_EQUAL)
    assert new.layers["lif"].parameters["reset_amount"].value == 1.0


def test_a_comparison_there_and_back_is_the_same_network():
    source = net(leaky(reset_mechanism="zero"))
    there, _ = rewrites.with_compare(source, "lif", Compare.GREATER_EQUAL)
    back, _ = rewrites.with_compare(there, "lif", Compare.GREATER)
    assert back.layers["lif"].parameters["threshold"].value == 1.0


def test_a_reset_before_the_next_leak_acts_at_once_without_a_different_spike():
    source = net(leaky(reset_mechanism="zero"))
    assert source.layers["lif"].rule.reset_timing is ResetTiming.NEXT_BEFORE_LEAK
    new, entry = rewrites.with_immediate_reset(source, "lif")
    assert entry.status is Status.REWRITTEN
    assert same_spikes(source, new)


@pytest.mark.parametrize("dyadic", [True, False])
def test_a_delayed_subtraction_acts_at_once_with_the_amount_over_beta(dyadic):
    source = net(leaky(reset_mechanism="subtract"), dyadic)
    new, entry = rewrites.with_immediate_reset(source, "lif")
    assert entry.status is Status.ROUNDED
    assert new.layers["lif"].parameters["reset_amount"].value == 2.0
    assert same_spikes(source, new)


def test_a_state_of_a_delayed_rule_is_reset_when_the_rule_becomes_immediate():
    source = net(leaky(reset_mechanism="subtract"))
    source.state["lif", "v"] = StateVariable(np.full((1, 6), 1.5, np.float32), 0)
    new, _ = rewrites.with_immediate_reset(source, "lif")
    assert np.array_equal(new.state["lif", "v"].value, np.full((1, 6), -0.5, np.float32))
    drive = np.full((20, 1, 9), 0.25, np.float32)
    ran = [
        simulate(c, drive, record={"lif": "spikes"}, initial=c.state).spikes["lif"]
        for c in (source, new)
    ]
    assert np.array_equal(*ran)


@pytest.mark.parametrize("exponent", [-3, 1, 7])
@pytest.mark.parametrize("dyadic", [True, False])
def test_a_power_of_two_scales_a_layer_without_a_different_bit(exponent, dyadic):
    source = net(leaky(reset_mechanism="subtract"), dyadic, bias=True)
    new, entry = rewrites.scaled(source, "lif", exponent)
    assert entry.status is Status.REWRITTEN
    assert same_spikes(source, new)
    rng = np.random.default_rng(5)
    drive = (rng.random((40, 2, 9)) < 0.3).astype(np.float32)
    a, b = (simulate(c, drive, record={"lif": "v"}).traces["lif", "v"] for c in (source, new))
    assert np.array_equal(a * np.float32(2.0**exponent), b)
    assert verify(source, new).verdict == "equivalent"


def test_scaling_out_of_the_normal_range_is_refused():
    with pytest.raises(CheckpointError, match="normal range"):
        rewrites.scaled(net(leaky()), "lif", -140)


def test_a_gain_is_folded_into_the_weights():
    lif = rules.get("sinabs", "LIF").build("lif", shape=(6,), tau_mem=4.0, spike_threshold=1.0)
    source = net(lif, dyadic=False, bias=True)
    new, entry = rewrites.with_gain_in_weights(source, "lif")
    assert entry.status is Status.ROUNDED
    assert same_spikes(source, new)


def test_a_gain_that_is_a_power_of_two_is_folded_without_a_different_bit():
    lif = leaky()
    stated = replace(
        lif,
        parameters={**lif.parameters, "gain": Parameter(np.float32(2))},
        rule=replace(lif.rule, input_gain=InputGain.STATED),
    )
    source = net(stated, dyadic=False, bias=True)
    new, entry = rewrites.with_gain_in_weights(source, "lif")
    assert entry.status is Status.REWRITTEN
    assert same_spikes(source, new)
    assert [x.largest_difference for x in verify(source, new).layers] == [0.0]


def conv_end(order):
    rng = np.random.default_rng(0)
    weight = (rng.integers(-32, 48, (6, 2 * 3 * 4)) / 32).astype(np.float32)
    flat = Flatten("flat", order=order, input_shape=(2, 3, 4))
    parts = [Input("in", (2, 3, 4)), flat, Linear("fc", weight), leaky()]
    return SNNCheckpoint(
        parts, [Connection("in", "flat"), Connection("flat", "fc"), Connection("fc", "lif")]
    )


@pytest.mark.parametrize(
    ("order", "other"),
    [("channels last", "channels first"), ("channels first", "channels last")],
)
def test_the_order_of_a_flatten_moves_into_the_next_weights(order, other):
    source = conv_end(order)
    new, entry = rewrites.with_flatten_order(source, "flat", other)
    assert entry.status is Status.REWRITTEN
    assert not np.array_equal(source.weights[0], new.weights[0])
    found = verify(source, new)
    assert found.verdict == "equivalent"
    assert found.layers[0].spikes_left > 0
    back, _ = rewrites.with_flatten_order(new, "flat", order)
    assert np.array_equal(source.weights[0], back.weights[0])


def test_the_source_stays_as_it_is():
    source = net(leaky())
    before = source.layers["fc"].weight.value.copy()
    rewrites.scaled(source, "lif", 2)
    rewrites.with_compare(source, "lif", Compare.GREATER_EQUAL)
    assert np.array_equal(source.layers["fc"].weight.value, before)
    assert source.layers["lif"].rule.compare is Compare.GREATER


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda c: rewrites.with_compare(c, "fc", Compare.GREATER), "no neuron"),
        (lambda c: rewrites.with_compare(c, "lif", Compare.GREATER), "already"),
        (lambda c: rewrites.with_compare(c, "unknown", Compare.GREATER_EQUAL), "is unknown"),
        (lambda c: rewrites.with_immediate_reset(c, "unknown"), "is unknown"),
        (lambda c: rewrites.with_flatten_order(c, "fc", "channels first"), "no Flatten"),
    ],
)
def test_what_has_no_other_form_is_refused(act, message):
    source = net(leaky())
    source.layers["unknown"] = Neuron("unknown", (6,), {"threshold": Parameter(1.0)})
    with pytest.raises(CheckpointError, match=message):
        act(source)


def test_a_dropped_input_has_no_immediate_form():
    synaptic = leaky(reset_mechanism="subtract")
    rule = replace(synaptic.rule, reset=Reset.SET)
    source = net(replace(synaptic, rule=rule))
    with pytest.raises(CheckpointError, match="no immediate form"):
        rewrites.with_immediate_reset(source, "lif")


def spyx_net(*, recurrent=False, bias=None):
    weight = np.random.default_rng(3).integers(-2, 5, (4, 4)).astype(np.float32) / 4
    layers = [
        Input("in", (4,)),
        Linear("fc1", weight),
        rules.spyx.LIF("lif1", shape=(4,), beta=0.5),
        Linear("fc2", weight.T.copy(), bias),
        rules.spyx.LIF("lif2", shape=(4,), beta=0.75),
    ]
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    if recurrent:
        layers.append(Linear("back", weight / 4))
        edges += [Connection("lif1", "back"), Connection("back", "lif1")]
    return SNNCheckpoint(layers, connections=edges, dt=PER_STEP)


def told(net, name="lif2"):
    x = (np.random.default_rng(4).random((30, 2, 4)) < 0.4).astype(np.float32)
    return simulate(net, x, record={name: "output"}).traces[name, "output"]


@pytest.mark.parametrize("recurrent", [False, True])
def test_spikes_that_are_told_at_once_come_earlier_by_a_step_for_each_layer(recurrent):
    net = spyx_net(recurrent=recurrent)
    changed, (entry,) = rewrites.with_output_delay(net, 0)
    assert entry.status is Status.APPROXIMATED
    assert entry.reason == "the outputs come 2 steps earlier"
    assert told(net).any()
    assert np.array_equal(told(changed)[:-2], told(net)[2:])
    back, (entry,) = rewrites.with_output_delay(changed, 1)
    assert entry.reason == "the outputs come 2 steps later"
    assert differences(back, net) == []


def test_a_bias_behind_a_delay_acts_too_early_and_the_ledger_says_so():
    net = spyx_net(bias=np.full(4, 0.25, np.float32))
    _, (entry,) = rewrites.with_output_delay(net, 0)
    assert "the bias of 'fc2' acts from the first step all the same" in entry.reason


def test_a_skip_over_a_neuron_gets_the_delay_that_the_neuron_loses():
    net = spyx_net()
    net.connections = (*net.connections, Connection("in", "fc2"))
    changed, _ = rewrites.with_output_delay(net, 0)
    delays = {(c.source, c.target): c.delay for c in changed.connections}
    assert delays["in", "fc2"] == 0
    assert delays["lif1", "fc2"] == 1
    assert np.array_equal(told(changed)[:-1], told(net)[1:])


def test_a_way_back_of_one_step_cannot_lose_two():
    net, _ = rewrites.with_output_delay(spyx_net(recurrent=True), 0)
    with pytest.raises(CheckpointError, match="takes no step that the neuron could take"):
        rewrites.with_output_delay(net, 2)


def images(*middle, bias=True):
    """Return a net over images: a convolution, layers between, a flatten, weights and neurons."""
    rng = np.random.default_rng(6)
    weight = rng.normal(0.1, 0.5, (3, 2, 3, 3)).astype(np.float32)
    own = np.full(3, 0.25, np.float32) if bias else None
    size = 3 * (4 if any(isinstance(x, AvgPool) for x in middle) else 16)
    last = rng.normal(0.1, 0.4, (4, size)).astype(np.float32)
    how = {"reset_mechanism": "zero", "reset_delay": False}
    layers = [
        Input("in", (2, 6, 6)),
        Conv2d("conv", weight, own, stride=1, padding=0, dilation=1, groups=1),
        *middle,
        Flatten("flat", 0, -1, order="channels first"),
        Linear("fc", last),
        rules.snntorch.Leaky("lif", shape=(4,), beta=0.5, **how),
    ]
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    return SNNCheckpoint(layers, connections=edges, dt=PER_STEP)


def membranes(net):
    x = (np.random.default_rng(7).random((20, 2, 2, 6, 6)) < 0.4).astype(np.float32)
    return simulate(net, x, record={"lif": "v"}).traces["lif", "v"]


def norm():
    mean, weight, bias = np.random.default_rng(8).normal(0, 1, (3, 3)).astype(np.float32)
    return BatchNorm("bn", mean, np.float32([0.5, 1.5, 2.5]), weight, bias, epsilon=1e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_a_normalisation_becomes_part_of_the_weights_before_it(bias):
    net = images(norm(), bias=bias)
    changed, entries = rewrites.with_folded_norm(net, "bn")
    assert "bn" not in changed.layers
    assert [entry.path for entry in entries] == [("layers", "bn"), ("layers", "conv")]
    assert np.allclose(membranes(changed), membranes(net), atol=1e-5)
    assert np.abs(membranes(net)).max() > 0.5


def test_an_average_becomes_a_sum_with_its_factor_in_the_weights():
    net = images(AvgPool("pool", (2, 2), (2, 2), 0, count_padding=False))
    changed, entries = rewrites.with_sum_pool(net, "pool")
    assert type(changed.layers["pool"]) is SumPool
    assert {entry.status for entry in entries} == {Status.REWRITTEN}
    assert np.array_equal(membranes(changed), membranes(net))


def test_the_factor_of_an_average_behind_spikes_goes_to_the_weights_after_it():
    lif = rules.snntorch.Leaky("spikes", shape=(3, 4, 4), beta=0.5, threshold=0.5)
    net = images(lif, AvgPool("pool", (2, 2), (2, 2), 0, count_padding=False))
    changed, _ = rewrites.with_sum_pool(net, "pool")
    assert np.array_equal(changed.layers["fc"].weight.value * 4, net.layers["fc"].weight.value)
    assert np.array_equal(membranes(changed), membranes(net))


def test_what_no_weights_can_take_is_refused():
    net = images(norm())
    net.connections = (*net.connections, Connection("conv", "flat"))
    with pytest.raises(CheckpointError, match="no weights before it alone can take it"):
        rewrites.with_folded_norm(net, "bn")
    with pytest.raises(CheckpointError, match="averages over padding"):
        rewrites.with_sum_pool(images(AvgPool("pool", (2, 2), (2, 2), 1)), "pool")


def within(name, lif, *, delay=0):
    """Put a neuron into a graph that has an input and an output."""
    edges = [Connection("in", "lif", delay), Connection("lif", "out")]
    layers = [Input("in", (6,)), lif, Output("out", (6,))]
    return Subgraph(name, layers, tuple(edges), {"in": "in"}, {"out": "out"})


def test_layers_of_graphs_inside_stand_beside_all_others():
    inner = within("b", leaky(), delay=1)
    outer = Subgraph(
        "a", [Input("in", (6,)), inner, Output("out", (6,))],
        (Connection("in", "b", 1), Connection("b", "out", 2)), {"in": "in"}, {"out": "out"},
    )  # fmt: skip
    fc = net(leaky()).layers["fc"]
    source = SNNCheckpoint(
        [fc, outer, Output("out", (6,))], [Connection("fc", "a"), Connection("a", "out")],
        frozen_layers=["a"],
    )  # fmt: skip
    new, (entry,) = rewrites.without_subgraphs(source)
    assert entry.status is Status.REWRITTEN
    assert list(new.layers) == ["fc", "a/b/lif", "out"]
    assert {(c.source, c.target, c.delay) for c in new.connections} == {
        ("fc", "a/b/lif", 2), ("a/b/lif", "out", 2),
    }  # fmt: skip
    assert new.frozen_layers == ["a/b/lif"]
    assert verify(source, new, steps=40).verdict in ("identical", "equivalent")


def test_a_network_without_graphs_inside_stays_as_it_is():
    source = net(leaky())
    assert rewrites.without_subgraphs(source) == (source, ())


def test_two_ways_through_a_port_that_would_become_one_are_refused():
    both = [Connection("in", "lif"), Connection("also", "lif"), Connection("lif", "out")]
    layers = [Input("in", (6,)), Input("also", (6,)), leaky(), Output("out", (6,))]
    ports = {"in": "in", "also": "also"}
    block = Subgraph("a", layers, tuple(both), ports, {"out": "out"})
    fc = net(leaky()).layers["fc"]
    edges = [Connection("fc", "a", target_port=port) for port in ports]
    with pytest.raises(CheckpointError, match="would become one"):
        rewrites.without_subgraphs(SNNCheckpoint([fc, block], edges))


def test_weights_that_another_layer_shares_are_not_changed_for_one():
    net = images(norm())
    twin = replace(net.layers["conv"], name="twin")
    layers = {**net.layers, "twin": twin}
    tie = [("conv", "weight"), ("twin", "weight")]
    shared = replace(net, layers=layers, ties=(frozenset(tie),))
    with pytest.raises(CheckpointError, match="no weights before it alone can take it"):
        rewrites.with_folded_norm(shared, "bn")
