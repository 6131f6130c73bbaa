"""What a user of the simulator may rely on."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate_twin import Twin
from snnbridge import rules
from snnbridge.errors import CheckpointError, UnknownValue
from snnbridge.model import (
    PER_STEP,
    UNKNOWN,
    AvgPool,
    BatchNorm,
    Connection,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Floor,
    Input,
    Linear,
    MaxPool,
    Neuron,
    Opaque,
    Output,
    Parameter,
    Quantity,
    Scale,
    SNNCheckpoint,
    StateVariable,
    Subgraph,
    SumPool,
)
from snnbridge.simulator import Block, Simulator, State, coefficients, simulate
from snnbridge.simulator._kernel import instruction_sets

RNG = np.random.default_rng(7)


def weights(*shape, scale=0.6):
    return RNG.normal(0.1, scale, shape).astype(np.float32)


def leaky(name, n, **more):
    shape = n if isinstance(n, tuple) else (n,)
    return rules.get("snntorch", "Leaky").build(name, shape=shape, beta=0.9, **more)


def spikes(*shape, rate=0.3, seed=3):
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.float32)


def recurrent_net(n_in=12, n=20, n_out=5):
    return SNNCheckpoint(
        [
            Input("in", (n_in,)),
            Linear("fc1", weights(n, n_in), weights(n, scale=0.1)),
            leaky("lif1", n),
            Linear("rec", weights(n, n, scale=0.1)),
            Linear("fc2", weights(n_out, n)),
            leaky("lif2", n_out),
            Output("out", (n_out,)),
        ],
        connections=[
            Connection("in", "fc1"),
            Connection("fc1", "lif1"),
            Connection("lif1", "rec", 2),
            Connection("rec", "lif1"),
            Connection("lif1", "fc2"),
            Connection("fc2", "lif2"),
            Connection("lif2", "out"),
        ],
    )


NET = recurrent_net()
X = spikes(60, 7, 12)
EVERYTHING = ["lif1", "lif2", "fc1", "rec", "out"]


def same(a, b):
    assert a.traces.keys() == b.traces.keys()
    for key in a.traces:
        assert a.traces[key].tobytes() == b.traces[key].tobytes(), key
    for name in a.counts:
        assert (a.counts[name] == b.counts[name]).all()


# One result, whatever it is computed with


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_the_number_of_threads_does_not_change_a_bit(threads):
    same(
        simulate(NET, X, record=EVERYTHING, threads=1),
        simulate(NET, X, record=EVERYTHING, threads=threads),
    )


@pytest.mark.parametrize("lanes", range(len(instruction_sets())))
def test_the_instruction_set_does_not_change_a_bit(lanes):
    for x in (X, RNG.normal(0.2, 0.4, X.shape).astype(np.float32)):
        same(
            simulate(NET, x, record=EVERYTHING, lanes=0),
            simulate(NET, x, record=EVERYTHING, lanes=lanes),
        )


def test_a_sample_does_the_same_alone_and_in_a_batch():
    whole = simulate(NET, X, record=EVERYTHING)
    for sample in range(X.shape[1]):
        alone = simulate(NET, X[:, sample : sample + 1], record=EVERYTHING)
        for key, trace in alone.traces.items():
            assert trace.tobytes() == whole.traces[key][:, sample : sample + 1].tobytes()


def test_spikes_of_any_type_and_as_a_list_are_one_input():
    expected = simulate(NET, X, record=EVERYTHING)
    for dtype in (bool, np.uint8, np.int64, np.float16, np.float64):
        same(expected, simulate(NET, X.astype(dtype), record=EVERYTHING))
    same(expected, simulate(NET, np.asfortranarray(X), record=EVERYTHING))
    times, samples, indices = np.nonzero(X)
    shuffled = np.random.default_rng(0).permutation(times.size)
    events = (times[shuffled], indices[shuffled], samples[shuffled])
    same(expected, simulate(NET, events, steps=60, record=EVERYTHING))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 59), st.sampled_from(["snntorch", "lifref", "synaptic"]))
def test_two_halves_are_the_whole_bit_for_bit(cut, kind):
    net = {"snntorch": NET, "lifref": lifref_net(), "synaptic": delayed_net()}[kind]
    x = X[:, :3]
    whole = simulate(net, x)
    first = simulate(net, x[:cut])
    second = simulate(net, x[cut:], initial=first.state)
    for key, trace in whole.traces.items():
        joined = np.concatenate([first.traces[key], second.traces[key]])
        assert joined.tobytes() == trace.tobytes()
    for path, variable in whole.state.items():
        assert variable.value.tobytes() == second.state[path].value.tobytes()
    assert second.state.step == whole.state.step == 60


def lifref_net():
    lifref = rules.get("brainpy", "LifRef").build(
        "lif", shape=(9,), tau=0.5, tau_ref=0.3, V_th=1.0, V_reset=0.0
    )
    layers = [Linear("fc", weights(9, 12, scale=2)), lifref]
    return SNNCheckpoint(layers, connections=[Connection("fc", "lif")], dt=Quantity(0.1, "ms"))


def delayed_net():
    synapse, lif = rules.get("snntorch", "Synaptic").chain("lif", shape=(9,), alpha=0.7, beta=0.8)
    layers = [
        Linear("fc", weights(9, 12)),
        Delay("late", Parameter(np.arange(9) % 4, "step")),
        synapse,
        lif,
    ]
    edges = [Connection("fc", "late"), Connection("late", synapse.name, 2)]
    return SNNCheckpoint(layers, connections=[*edges, Connection(synapse.name, "lif")])


def test_blocks_handed_to_a_function_are_the_whole_and_nothing_is_kept():
    whole = simulate(NET, X, record=EVERYTHING)
    blocks: list[Block] = []
    steps: list[tuple[int, int]] = []
    streamed = simulate(
        NET, X, record=EVERYTHING, on_block=blocks.append, progress=lambda *x: steps.append(x)
    )
    assert not streamed.traces
    assert next(b.start for b in blocks) == 0
    assert blocks[-1].stop == steps[-1][0] == steps[-1][1] == 60
    for key, trace in whole.traces.items():
        assert np.concatenate([b.traces[key] for b in blocks]).tobytes() == trace.tobytes()


def test_an_interrupt_stops_between_blocks_and_leaves_no_thread(monkeypatch):
    from snnbridge.simulator import sizes

    monkeypatch.setattr(sizes, "_PATIENCE", 1.0)

    def stop(done, _):
        if done > 3:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        simulate(NET, X, progress=stop)
    assert threading.active_count() == before


def test_small_blocks_give_the_bits_of_one_large_block(monkeypatch):
    from snnbridge.simulator import sizes

    expected = simulate(NET, X, record=EVERYTHING)
    monkeypatch.setattr(sizes, "_PATIENCE", 1.0)
    monkeypatch.setattr(sizes, "_SMALL", 1)
    same(expected, simulate(NET, X, record=EVERYTHING))


# A network made ready once


def test_a_simulator_gives_the_bits_of_single_runs_again_and_again():
    simulator = Simulator(NET, threads=2)
    for x in (X, X[:20, :3], X, X[:, :1]):
        same(simulate(NET, x, record=EVERYTHING), simulator.run(x, record=EVERYTHING))
    same(simulate(NET, X), simulator.run(X))


def test_a_run_leaves_nothing_behind_for_the_next():
    simulator = Simulator(lifref_net())
    first = simulator.run(X)
    simulator.run(1 - X, record={"lif": ("v", "spikes")}, initial=first.state)
    same(first, simulator.run(X))


def test_a_simulator_goes_on_where_a_run_ended():
    simulator = Simulator(delayed_net())
    whole = simulator.run(X)
    first = simulator.run(X[:23])
    kept = {path: variable.value.copy() for path, variable in first.state.items()}
    second = simulator.run(X[23:], initial=first.state)
    assert all((first.state[path].value == value).all() for path, value in kept.items())
    for key, trace in whole.traces.items():
        joined = np.concatenate([first.traces[key], second.traces[key]])
        assert joined.tobytes() == trace.tobytes()


def test_runs_of_one_simulator_at_once_do_not_mix():
    simulator = Simulator(NET, threads=1)
    inputs = [spikes(40, 3, 12, seed=seed) for seed in range(6)]
    found = {}

    def work(i):
        for _ in range(5):
            found[i] = simulator.run(inputs[i], record=EVERYTHING)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, x in enumerate(inputs):
        same(simulate(NET, x, record=EVERYTHING), found[i])


def test_a_run_may_be_started_while_another_hands_out_its_blocks():
    simulator = Simulator(NET)
    inner = []
    outer = simulator.run(X, progress=lambda *_: inner.append(simulator.run(X)))
    same(outer, simulate(NET, X))
    same(inner[0], outer)


def test_a_simulator_refuses_a_network_before_it_is_run():
    with pytest.raises(CheckpointError, match="nan"):
        Simulator(
            SNNCheckpoint(
                [Linear("fc", np.full((3, 2), np.nan, np.float32)), leaky("lif", 3)],
                connections=[Connection("fc", "lif")],
            )
        )
    with pytest.raises(CheckpointError, match="threads"):
        Simulator(NET, threads=0)


@pytest.mark.parametrize("layout", ["transposed", "every second", "float64", "int8", "float16"])
def test_weights_in_any_layout_give_the_bits_of_a_plain_array(layout):
    weight = np.random.default_rng(5).integers(-40, 40, (37, 50))
    plain = weight.astype(np.float64 if layout == "float64" else np.float32)
    held = {
        "transposed": np.asfortranarray(plain),
        "every second": np.repeat(np.repeat(plain, 2, 0), 2, 1)[::2, ::2],
        "float64": np.asfortranarray(plain),
        "int8": weight.astype(np.int8),
        "float16": weight.astype(np.float16),
    }[layout]
    x = spikes(5, 2, 50)
    one, other = (
        simulate(
            SNNCheckpoint(
                [Input("in", (50,)), Linear("fc", w), leaky("lif", 37)],
                connections=[Connection("in", "fc"), Connection("fc", "lif")],
            ),
            x,
            record=["fc"],
        )
        for w in (np.ascontiguousarray(plain), held)
    )
    same(one, other)


def test_sums_over_many_events_are_those_of_single_ones():
    net = SNNCheckpoint(
        [Input("in", (90,)), Linear("fc", weights(150, 90), weights(150)), leaky("lif", 150)],
        connections=[Connection("in", "fc"), Connection("fc", "lif")],
    )
    x = spikes(80, 5, 90, rate=0.2)  # so many that tiles of weights are widened
    whole = simulate(net, x, record=["fc"], threads=1)
    state = State({}, 0)
    for step in range(80):
        one = simulate(net, x[step : step + 1, :1], record=["fc"], initial=state)
        assert one.outputs["fc"].tobytes() == whole.outputs["fc"][step, :1].tobytes()
        state = one.state


# Every kind of layer, against the definition


def conv_net(conv, pool, shape, order, norm=True):
    lif_shape = (
        Twin(
            SNNCheckpoint([Input("in", shape), conv], connections=[Connection("in", conv.name)]),
            {"in": np.zeros((1, *shape), np.float32)},
        )
        .output(conv.name, 0)
        .shape
    )
    channels = lif_shape[0]
    layers = [Input("in", shape), conv]
    if norm:
        layers.append(
            BatchNorm(
                "bn", weights(channels), np.abs(weights(channels)) + 0.1, weights(channels),
                weights(channels), 1e-5,
            )
        )  # fmt: skip
    layers += [
        leaky("lif", lif_shape),
        pool,
        Scale("scale", weights(*lif_shape[:1], *(1,) * (len(lif_shape) - 1))),
    ]
    layers += [Flatten("flat", order=order)]
    names = [layer.name for layer in layers]
    edges = [Connection(a, b) for a, b in itertools.pairwise(names)]
    return SNNCheckpoint(layers, connections=edges)


def conv2d(w, bias, stride=1, padding=0, dilation=1, groups=1):
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return Conv2d("conv", w, bias, **options)


CONVS = {
    "plain": conv2d(weights(4, 2, 3, 3), weights(4)),
    "strided": conv2d(weights(6, 2, 3, 2), None, stride=(2, 1), padding=((1, 2), (0, 1))),
    "dilated groups": conv2d(weights(4, 1, 2, 3), weights(4), 1, 1, (2, 1), groups=2),
    "same": conv2d(weights(9, 2, 3, 3), weights(9), stride=2, padding="same"),
    "float64": conv2d(weights(3, 2, 3, 3).astype(float), None, padding=1),
}
POOLS = {
    "sum": SumPool("pool", (2, 2), (2, 2), 0),
    "mean": AvgPool("pool", (2, 2), (1, 2), 1, count_padding=True),
    "mean of what is there": AvgPool("pool", (3, 2), (2, 2), ((1, 1), (0, 1)), count_padding=False),
    "max": MaxPool("pool", (2, 3), (2, 1), ((0, 1), (1, 1))),
}


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
@pytest.mark.parametrize("conv", CONVS.values(), ids=CONVS)
@pytest.mark.parametrize("real", [False, True], ids=["spikes", "currents"])
def test_convolutions_and_pools_give_the_bits_of_the_definition(conv, pool, real):
    net = conv_net(conv, pool, (2, 6, 5), "channels last" if real else "channels first")
    x = RNG.normal(0, 1, (3, 2, 2, 6, 5)).astype(np.float32) if real else spikes(3, 2, 2, 6, 5)
    _hold_against_the_twin(net, x)


def test_one_axis_is_convolved_and_pooled_too():
    conv = Conv1d("conv", weights(4, 3, 3), weights(4), stride=2, padding=1, dilation=1, groups=1)
    net = conv_net(conv, MaxPool("pool", (2,), (1,), 0), (3, 9), "channels last")
    _hold_against_the_twin(net, spikes(4, 2, 3, 9))


def _hold_against_the_twin(net, x):
    names = [name for name in net.layers if name != "in"]
    for lanes in range(len(instruction_sets())):
        found = simulate(net, x, record=names, lanes=lanes)
        for sample in range(x.shape[1]):
            twin = Twin(net, {"in": x[:, sample]}).run(len(x))
            for (name, variable), trace in found.traces.items():
                if variable != "spikes":
                    expected = np.array(twin[name, variable])
                    assert np.ascontiguousarray(trace[:, sample]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("outputs", [1, 7, 8, 20, 63, 64, 65, 130])
@pytest.mark.parametrize("kind", ["few", "many", "counts", "currents"])
def test_sums_of_any_width_are_taken_in_ascending_order(outputs, kind):
    x = {
        "few": spikes(6, 2, 33, rate=0.1),
        "many": spikes(6, 2, 33, rate=0.9),
        "counts": np.random.default_rng(1).integers(0, 4, (6, 2, 33)).astype(np.float32),
        "currents": RNG.normal(0, 1, (6, 2, 33)).astype(np.float32),
    }[kind]
    x[4] = x[3]  # a row that repeats
    net = SNNCheckpoint(
        [Input("in", (33,)), Linear("fc", weights(outputs, 33), weights(outputs))],
        connections=[Connection("in", "fc")],
    )
    _hold_against_the_twin(net, x)


def test_a_subgraph_does_what_its_layers_do():
    inner = Subgraph(
        "block",
        layers=[Input("a", (12,)), NET.layers["fc1"], leaky("lif", 20), Output("b", (20,))],
        connections=(Connection("a", "fc1"), Connection("fc1", "lif"), Connection("lif", "b")),
        inputs={"x": "a"},
        outputs={"y": "b"},
    )
    nested = SNNCheckpoint(
        [Input("in", (12,)), inner, Output("out", (20,))],
        connections=[
            Connection("in", "block", target_port="x"),
            Connection("block", "out", 1, source_port="y"),
        ],
    )
    flat = SNNCheckpoint(
        [Input("in", (12,)), NET.layers["fc1"], leaky("lif", 20)],
        connections=[Connection("in", "fc1"), Connection("fc1", "lif")],
    )
    inside = simulate(nested, X, record=["block/lif", "out"])
    outside = simulate(flat, X, record=["lif"])
    assert (inside.spikes["block/lif"] == outside.spikes["lif"]).all()
    assert (inside.outputs["out"][1:] == outside.outputs["lif"][:-1]).all()
    assert not inside.outputs["out"][0].any()


def test_several_inputs_and_outputs_go_by_name():
    net = SNNCheckpoint(
        [
            Input("left", (3,)),
            Input("right", (2,)),
            Linear("a", weights(4, 3)),
            Linear("b", weights(4, 2)),
            Output("sum", (4,)),
            Output("raw", (2,)),
        ],
        connections=[
            Connection("left", "a"),
            Connection("right", "b"),
            Connection("a", "sum"),
            Connection("b", "sum"),
            Connection("right", "raw", 1),
        ],
    )
    x = {"left": spikes(5, 2, 3), "right": spikes(5, 2, 2, seed=4)}
    found = simulate(net, x).outputs
    assert set(found) == {"sum", "raw"}
    assert (found["raw"][1:] == x["right"][:-1]).all()
    with pytest.raises(CheckpointError, match="'left', 'right'"):
        simulate(net, x["left"])
    with pytest.raises(CheckpointError, match="'left'"):
        simulate(net, {"left": x["left"]})


def edges(*lines):
    return [Connection(a, b, int(n)) for a, b, n in map(str.split, lines)]


@pytest.mark.parametrize(
    ("connections", "outputs"),
    [
        (edges("in a 0", "a one 0", "one back 0", "back one 1"), ["one"]),
        (edges("in a 0", "a one 0", "one b 0", "b two 0", "two back 0", "back one 1"),
         ["one", "two"]),
        (edges("in a 0", "a one 0", "one back 0", "back one 1", "one b 0", "b two 0"), ["two"]),
        (edges("in a 0", "a back 0", "back back 1"), ["back"]),
    ],
    ids=["recurrent", "a long way back", "read by another", "no neuron"],
)  # fmt: skip
def test_neurons_of_a_cycle_that_nobody_else_reads_are_outputs(connections, outputs):
    used = {name for c in connections for name in (c.source, c.target)}
    layers = [
        Input("in", (3,)),
        Linear("a", weights(4, 3)),
        leaky("one", 4),
        Linear("b", weights(4, 4)),
        leaky("two", 4),
        Linear("back", weights(4, 4)),
    ]
    net = SNNCheckpoint([x for x in layers if x.name in used], connections=connections)
    found = simulate(net, spikes(9, 2, 3))
    assert list(found.outputs) == outputs
    assert set(found.spikes) == {"one", "two"} & set(outputs)
    named = [*net.layers.values(), *(Output(f"out {name}", (4,)) for name in outputs)]
    more = [Connection(name, f"out {name}") for name in outputs]
    stated = simulate(SNNCheckpoint(named, connections=[*connections, *more]), spikes(9, 2, 3))
    assert list(stated.outputs) == [f"out {name}" for name in outputs]
    for name in outputs:
        assert (stated.outputs[f"out {name}"] == found.outputs[name]).all()


def test_counts_are_the_sums_of_the_spikes_and_rates_their_means():
    found = simulate(NET, X, record={"lif1": "spikes", "lif2": "spikes"})
    for name, trace in found.spikes.items():
        assert (trace.sum(axis=0) == found.counts[name]).all()
        assert found.rates()[name] == pytest.approx(trace.mean())


def test_a_stored_state_is_where_the_simulation_starts():
    v = np.linspace(0, 0.9, 20).astype(np.float32)
    stored = {("lif1", "v"): StateVariable(v[None], batch_axis=0)}
    first = simulate(NET, X[:1], record={"lif1": "v"}, initial=stored)
    expected = simulate(NET, X[:1], record={"lif1": "v", "fc1": "output"})
    current = expected.traces["fc1", "output"]
    assert (first.traces["lif1", "v"] == np.float32(0.9) * v + current).all()
    assert isinstance(first.state, State)
    with pytest.raises(CheckpointError, match="lif1"):
        simulate(NET, X, initial={("lif1", "v"): np.zeros((7, 3))})
    with pytest.raises(CheckpointError, match="'lif9', 'v'"):
        simulate(NET, X, initial={("lif9", "v"): np.zeros(20)})


def test_a_checkpoints_own_state_goes_on_at_its_step():
    rule = rules.get("brainpy", "LifRef")
    neurons = rule.build("lif", shape=(3,), tau=10.0, V_th=1.0, V_reset=0.0, tau_ref=5.0)
    net = SNNCheckpoint(
        [Input("in", (3,)), neurons],
        connections=[Connection("in", "lif")],
        dt=Quantity(0.1, "ms"),
    )
    drive = np.full((200, 1, 3), 15.0, np.float32)
    whole, first = simulate(net, drive).spikes["lif"], simulate(net, drive[:77])
    resumed = replace(net, state=dict(first.state), step=77)
    second = simulate(resumed, drive[77:], initial=resumed.state)
    assert (second.spikes["lif"] == whole[77:]).all()
    assert second.state.step == 200
    for step in (UNKNOWN, None):
        lost = replace(resumed, step=step)
        with pytest.raises(UnknownValue, match="step") as caught:
            simulate(lost, drive, initial=lost.state)
        assert caught.value.missing == (("", "step"),)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("lif1", "v"), np.ones((1, 20), np.complex64), "complex"),
        (("lif", "refractory_steps"), np.full((1, 3), 1.5), "whole numbers"),
    ],
)
def test_a_state_that_no_step_goes_on_from_is_refused(path, value, message):
    slow = SNNCheckpoint(
        [Input("in", (3,)), rules.get("norse", "LIFRefracCell").build("lif", shape=(3,))],
        connections=[Connection("in", "lif")],
        dt=Quantity(1e-3, "s"),
    )
    net, x = (NET, X) if path[0] == "lif1" else (slow, spikes(3, 1, 3))
    with pytest.raises(CheckpointError, match=message):
        simulate(net, x, initial={path: StateVariable(value, 0)})


def test_parameters_that_are_no_real_numbers_are_refused():
    complex_weight = Linear("fc1", np.full(NET.layers["fc1"].weight.value.shape, 1 + 2j))
    with pytest.raises(CheckpointError, match=r"'fc1'.*complex128"):
        simulate(replaced("fc1", complex_weight), X)


# What is refused before the first step


def replaced(name, layer):
    layers = dict(NET.layers)
    layers[name] = layer
    return SNNCheckpoint(layers, connections=NET.connections)


def test_everything_unknown_is_named_at_once():
    net = SNNCheckpoint(
        [
            Linear("fc"),
            Neuron("lif", (2,), {"tau": UNKNOWN}),
            Conv2d("conv", weights(1, 1, 2, 2)),
        ],
        connections=[Connection("fc", "lif", UNKNOWN)],
    )
    with pytest.raises(UnknownValue) as raised:
        simulate(net, X)
    text = str(raised.value)
    for expected in ("layer 'fc': weight", "its rule", "threshold", "tau", "stride", "delay"):
        assert expected in text
    assert {("fc", "weight"), ("lif", "rule.scheme")} <= set(raised.value.missing)
    with pytest.raises(UnknownValue, match="connections"):
        simulate(SNNCheckpoint([Linear("fc", weights(2, 2))]), X)


def test_what_a_frameworks_class_has_and_the_file_does_not_state_is_unknown():
    lif = rules.get("brainpy", "Lif").build("lif", shape=(2,), tau=1.0)
    stated = {k: v for k, v in lif.parameters.items() if k != "v_rest"}
    net = SNNCheckpoint(
        [Neuron("lif", (2,), stated, lif.rule, origin=lif.origin)],
        connections=(),
        dt=Quantity(1.0, "ms"),
    )
    with pytest.raises(UnknownValue, match="layer 'lif': v_rest"):
        simulate(net, np.zeros((1, 1, 2)))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (replaced("fc2", Opaque("fc2")), "'fc2'"),
        (replaced("lif2", Neuron("lif2", (5,), model="izhikevich")), "izhikevich"),
        (replaced("fc2", Linear("fc2", np.full((5, 20), np.nan))), "'fc2'.*nan"),
        (replaced("fc2", Linear("fc2", weights(5, 20), np.array([np.inf] * 5))), "bias.*inf"),
        (replaced("lif2", leaky("lif2", 5, threshold=np.nan)), "'lif2'.*threshold.*nan"),
    ],
)
def test_what_cannot_be_simulated_is_named(net, message):
    with pytest.raises(CheckpointError, match=message):
        simulate(net, X)


@pytest.mark.parametrize("tau", [0.0, -1.0, np.inf])
def test_a_time_constant_that_is_none_is_refused(tau):
    lif = rules.nir.LIF("lif", shape=(1,), tau=tau, v_threshold=1.0, method="euler")
    net = SNNCheckpoint([lif], connections=(), dt=Quantity(1e-3, "s"))
    with pytest.raises(CheckpointError, match="tau"):
        simulate(net, np.zeros((2, 1, 1)))


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((4, 2, 11)), {}, "steps, batch, 12"),
        (np.zeros((0, 2, 12)), {}, "at least 1 step"),
        (np.zeros((4, 0, 12)), {}, "at least 1 sample"),
        (np.zeros((4, 2, 12)), {"steps": 5}, "steps"),
        (np.zeros((4, 2, 12), complex), {}, "numbers"),
        (np.full((4, 2, 12), np.nan), {}, r"'in' holds nan at step 0, sample 0, element \[0\]"),
        (np.full((4, 2, 12), 1e300), {}, "finite in float32"),
        ([[[0] * 12], [0]], {}, "differ in length"),
        (np.zeros((4, 2, 12)), {"steps": 4.0}, "whole number"),
        (np.zeros((4, 2, 12)), {"threads": 0}, "threads"),
        (np.zeros((4, 2, 12)), {"record": ["nobody"]}, "nobody"),
        (np.zeros((4, 2, 12)), {"record": {"fc1": "spikes"}}, "fc1"),
        (([0, 9], [0, 1]), {"steps": 5}, "time 9"),
        (([0], [12]), {}, "index 12"),
        (([0], [1, 2]), {}, "length"),
        (([0.5], [1]), {}, "integers"),
        (([], []), {"steps": 1 << 50}, "steps"),
    ],
)
def test_input_that_does_not_fit_is_refused(x, options, message):
    with pytest.raises(CheckpointError, match=message):
        simulate(NET, x, **options)


def test_a_number_that_is_none_in_a_late_block_is_refused_before_the_first(monkeypatch):
    from snnbridge.simulator import sizes

    monkeypatch.setattr(sizes, "_PATIENCE", 1.0)
    monkeypatch.setattr(sizes, "_SMALL", 1)
    x = X.astype(np.float64)
    x[50, 2, 7] = np.inf
    blocks = []
    with pytest.raises(CheckpointError, match=r"holds inf at step 50, sample 2, element \[7\]"):
        simulate(NET, x, on_block=blocks.append)
    assert blocks == []


def test_a_run_that_hands_out_its_blocks_needs_the_memory_of_one(monkeypatch):
    from snnbridge.simulator import sizes

    monkeypatch.setattr(sizes, "_PATIENCE", 1.0)
    monkeypatch.setattr(sizes, "_SMALL", 1)
    monkeypatch.setattr(sizes, "_UNASKED", 0)
    monkeypatch.setattr(sizes, "available_memory", lambda: 1 << 20)
    events, blocks = ([0, 9_999], [1, 2]), []
    with pytest.raises(CheckpointError, match="MiB"):
        simulate(NET, events, record=EVERYTHING)

    class Enough(Exception):
        pass

    def two(block):
        blocks.append(block)
        if len(blocks) == 2:
            raise Enough

    with pytest.raises(Enough):
        simulate(NET, events, record=EVERYTHING, on_block=two)


def test_a_long_list_of_spikes_is_laid_out_in_parts_with_the_same_bits(monkeypatch):
    from snnbridge.simulator import sizes

    times, indices = np.arange(200) * 2, np.arange(200) % 12
    whole = simulate(NET, (times, indices), record=EVERYTHING)
    monkeypatch.setattr(sizes, "_LAID_OUT", 12 * 50)
    monkeypatch.setattr(sizes, "_SMALL", 1)
    done = []
    parts = simulate(
        NET, (times, indices), record=EVERYTHING, progress=lambda step, steps: done.append(step)
    )
    assert len(done) > 5
    same(whole, parts)


def test_too_little_memory_is_told_beforehand(monkeypatch):
    from snnbridge.simulator import sizes

    monkeypatch.setattr(sizes, "_UNASKED", 0)
    monkeypatch.setattr(sizes, "available_memory", lambda: 1 << 10)
    with pytest.raises(CheckpointError, match="MiB"):
        simulate(NET, X)


def test_a_cycle_without_delay_inside_a_subgraph_is_refused():
    a, b = Scale("a", np.float32(1)), Scale("b", np.float32(1))
    loop = [Connection("a", "b"), Connection("b", "a")]
    with pytest.raises(CheckpointError, match="cycle"):
        SNNCheckpoint([a, b], connections=loop)
    one = Subgraph("g", [a], (), {"x": "a"}, {"y": "a"})
    with pytest.raises(CheckpointError, match="cycle"):
        simulate(
            SNNCheckpoint(
                [one, b],
                connections=[
                    Connection("g", "b", source_port="y"),
                    Connection("b", "g", target_port="x"),
                ],
            ),
            np.zeros((1, 1, 1)),
        )


def test_neurons_of_two_widths_are_refused():
    wide = rules.get("sc-neurocore", "StochasticLIFNeuron").build("lif2", shape=(5,))
    net = replaced("lif2", wide)
    net.dt = Quantity(1.0, "ms")
    with pytest.raises(CheckpointError, match="one width"):
        simulate(net, X)


# Coefficients


def test_coefficients_are_rounded_once_from_the_standard_librarys_exponential():
    import math

    lif = rules.get("nir", "LIF").build(
        "lif", shape=(2,), tau=0.0131, v_threshold=1.0, method="exact"
    )
    found = coefficients(lif, Quantity(1e-3, "s"))
    assert found["leak"].dtype == np.float32
    beta = float(np.float32(math.exp(-1e-3 / 0.0131)))
    assert (found["leak"] == np.float32(1 - beta)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tau": 1e-320}, "too large for float32"),
        ({"tau": 1.0, "r": 1e39}, "too large for float32"),
        ({"tau": 1.0, "v_leak": np.nan}, "v_rest holds nan"),
    ],
    ids=["a quotient", "a factor", "no number"],
)
def test_a_coefficient_outside_the_networks_width_is_refused(arguments, message):
    lif = rules.nir.LIF("lif", shape=(1,), v_threshold=1.0, method="euler", **arguments)
    with pytest.raises(CheckpointError, match=message):
        coefficients(lif, Quantity(1e-3, "s"))


@pytest.mark.parametrize("kind", ["counted in steps", "in float32 time"])
def test_a_refractory_period_that_no_clock_holds_is_refused(kind):
    if kind == "counted in steps":
        lif = rules.nengo.LIF("lif", shape=(1,), tau_rc=0.02, tau_ref=1e300)
    else:
        lif = rules.brainpy.LifRef("lif", shape=(1,), tau=10.0, tau_ref=1e300)
    with pytest.raises(CheckpointError, match=r"tau_ref of .* is too long"):
        coefficients(lif, Quantity(1.0, "ms"))


@pytest.mark.parametrize("bound", [np.nan, np.inf])
def test_a_floor_that_is_none_is_refused_and_minus_infinity_is_no_floor(bound):
    lif = leaky("lif", 2)

    def with_floor(value):
        rule = replace(lif.rule, floor=Floor.MAXIMUM)
        return replace(lif, parameters={**lif.parameters, "v_min": Parameter(value)}, rule=rule)

    with pytest.raises(CheckpointError, match="v_min holds"):
        coefficients(with_floor(np.float64(bound)), PER_STEP)
    assert np.isneginf(coefficients(with_floor(np.float64(-np.inf)), PER_STEP)["floor"]).all()


def test_units_do_not_change_a_number_that_needs_no_scaling():
    tau = np.array([0.3])
    one = rules.get("brainpy", "Lif").build("lif", shape=(1,), tau=tau)
    in_ms = coefficients(one, Quantity(0.1, "ms"))
    in_s = coefficients(one, Quantity(0.0001, "s"))
    assert in_ms["leak"] == pytest.approx(in_s["leak"])


# Rules that no recording judges: by their equations


def test_fixed_point_neurons_floor_their_shifts_and_wrap():
    lif = rules.get("sc-neurocore", "FixedPointLIFNeuron").build(
        "lif", shape=(1,), leak_k=13, gain_k=256, v_threshold=32767, refractory_period=0
    )
    net = SNNCheckpoint([lif], connections=())

    def words(*x):
        found = simulate(net, np.array(x)[:, None, None] / 256, record={"lif": "v"})
        return (found.traces["lif", "v"].ravel() * 256).astype(int).tolist()

    assert words(1, 0) == [1, 0]  # +1 decays to 0
    assert words(-100, *[0] * 200)[-1] == -19  # a negative potential stops at -19
    assert words(255, 32767)[-1] == -32514 - 13


def test_integer_neurons_round_towards_zero_and_need_more_than_the_threshold():
    synapse, lif = rules.get("lava", "CUBA").chain(
        "lif", shape=(1,), iDecay=4096, vDecay=1024, threshold=1.0
    )
    net = SNNCheckpoint([synapse, lif], connections=[Connection(synapse.name, "lif")])
    x = np.array([1.0, 0.25, 1025 / 4096, 0.0, -3 / 4096])[:, None, None]
    found = simulate(net, x, record={"lif": ("v", "spikes")})
    assert found.spikes["lif"].ravel().tolist() == [0, 0, 1, 0, 0]
    assert (found.traces["lif", "v"].ravel() * 4096).tolist() == [4096, 4096, 0, 0, -3]


def test_a_clamped_neuron_rests_and_takes_no_input():
    lif = rules.get("sc-neurocore", "StochasticLIFNeuron").build(
        "lif", shape=(1,), v_rest=0.25, v_reset=-0.5, tau_mem=10.0, refractory_period=2
    )
    net = SNNCheckpoint([lif], connections=(), dt=Quantity(1.0, "ms"))
    v = simulate(net, np.full((5, 1, 1), 2.0), record={"lif": "v"}).traces["lif", "v"].ravel()
    assert v[:4].tolist() == [-0.5, 0.25, 0.25, -0.5]


def test_the_page_on_the_dynamics_holds_the_rules_of_today():
    root = Path(__file__).parents[1] / "docs"
    found = spec_from_file_location("make_rules_table", root / "make_rules_table.py")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    text = (root / "dynamics.md").read_text(encoding="utf-8")
    assert text == module.page(text), "run python docs/make_rules_table.py"
    assert all(f"`{kind}`" in text for _, kind in rules.classes if rules.get(_, kind).equation)
