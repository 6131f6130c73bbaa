"""The onnx format: neurons in graphs of other tools, told by what their arithmetic does."""

from __future__ import annotations

import itertools
import json

import numpy as np
import onnx.helper as oh
import pytest
from onnx import TensorProto

from onnx_graphs import model_of, read_model
from onnx_nets import FIXTURES, chain, leaky, read
from snnbridge import rules, simulate
from snnbridge.model import (
    Connection,
    Input,
    Linear,
    Neuron,
    Parameter,
    SNNCheckpoint,
    StateVariable,
    Synapse,
)

#: Steps of nets with their states outside, whose neurons are of the family.
STEPS = sorted(
    path for path in FIXTURES.glob("*_step_*.onnx")
    if not any(word in path.name for word in ("alpha", "readout", "refractory", "recurrent"))
)  # fmt: skip


def neurons(found):
    return [x for x in found.layers.values() if isinstance(x, Neuron)]


def recorded(path):
    with np.load(path.with_name(path.name.split(".")[0] + ".record.npz")) as held:
        return {key: held[key] for key in held.files}


def states(made):
    """Return the potentials and currents of all steps, by the bytes of each."""
    return [x for (_, variable), x in made.traces.items() if variable in ("v", "i")]


@pytest.mark.parametrize("path", STEPS, ids=lambda p: p.name)
def test_a_framework_s_step_gives_the_framework_s_spikes_and_states(path):
    found, truth = read(path), recorded(path)
    inner = [x for x in found.layers.values() if isinstance(x, Neuron | Synapse)]
    starts = [truth.pop(key) for key in sorted(truth) if key.startswith("start")]
    initial = {
        (x.name, "v"): StateVariable(start, 0) for x, start in zip(inner, starts, strict=True)
        if isinstance(x, Neuron)
    }  # fmt: skip
    made = simulate(found, truth.pop("input"), record=[x.name for x in inner], initial=initial)
    output = next(e.source for e in found.connections if found.layers[e.target].kind == "Output")
    assert (made.spikes[output] == truth.pop("output")).all()
    assert made.spikes[output].any()
    # The exporter computes sinabs' exponentials otherwise than torch does as it runs.
    atol = 1e-4 if path.name.startswith("sinabs") else 0
    for key, expected in truth.items():
        ours = [x for x in states(made) if x.shape == expected.shape]
        assert any(np.allclose(x, expected, rtol=0, atol=atol) for x in ours), key
    assert not any(layer.kind == "Opaque" for layer in found.layers.values())


@pytest.mark.parametrize("exporter", ["dynamo", "script"])
def test_neurons_are_told_by_what_their_arithmetic_does(exporter):
    """The exporter's net was Leaky(0.9, 0.75, subtract) and Leaky(0.5, 1.0, zero) of snnTorch."""
    found = read(FIXTURES / f"snntorch_step.{exporter}.onnx")
    ends = ["Input", "Linear", "Neuron", "Linear", "Neuron", "Output"]
    assert [x.kind for x in found.layers.values()] == ends
    first, second = (x for x in found.layers.values() if isinstance(x, Neuron))
    assert (first.name, second.name) == ("lif1", "lif2")
    assert first.parameters["decay"].value == np.float32(0.9)
    assert first.parameters["threshold"].value == np.float32(0.75)
    assert (first.shape, second.shape) == ((5,), (3,))
    with np.load(FIXTURES / "snntorch_step.weights.npz") as weights:
        net = SNNCheckpoint(
            [
                Input("x", (6,)),
                Linear("fc1", weights["fc1.weight"], weights["fc1.bias"]),
                leaky("lif1", (5,), beta=0.9, threshold=0.75),
                Linear("fc2", weights["fc2.weight"]),
                leaky("lif2", (3,), beta=0.5, reset_mechanism="zero"),
            ],
            connections=[
                Connection(a, b) for a, b in itertools.pairwise(("x", "fc1", "lif1", "fc2", "lif2"))
            ],
        )
    stimulus = np.random.default_rng(0).normal(0, 2, (200, 4, 6)).astype(np.float32)
    expected = simulate(net, stimulus).spikes["lif2"]
    assert (simulate(found, stimulus).spikes[second.name] == expected).all()
    assert 0 < expected.mean() < 1


@pytest.mark.parametrize("exporter", ["dynamo", "script"])
def test_a_step_of_norse_is_told_with_its_own_order_of_operations(exporter):
    """The exporter's net was LIFBoxCell at dt = 0.002 and tau_mem_inv = 200."""
    found = read(FIXTURES / f"norse_step.{exporter}.onnx")
    ends = ["Input", "Linear", "Neuron", "Output"]
    assert [x.kind for x in found.layers.values()] == ends
    (neuron,) = (x for x in found.layers.values() if isinstance(x, Neuron))
    with np.load(FIXTURES / "norse_step.weights.npz") as weights:
        arguments = {"tau_mem_inv": Parameter(np.float32(0.4), "1/step")}
        net = chain(
            Input("x", (6,)),
            Linear("fc", weights["fc.weight"], weights["fc.bias"]),
            rules.get("norse", "LIFBoxCell").build("lif", shape=(4,), **arguments),
        )
    stimulus = np.random.default_rng(0).normal(0, 4, (200, 4, 6)).astype(np.float32)
    ours, expected = (
        simulate(x, stimulus, record=[n]) for x, n in ((found, neuron.name), (net, "lif"))
    )
    assert (ours.traces[neuron.name, "v"] == expected.traces["lif", "v"]).all()
    assert (ours.spikes[neuron.name] == expected.spikes["lif"]).all()
    assert 0 < expected.spikes["lif"].mean() < 1


def step_model(nodes, **more):
    return model_of(nodes, more, inputs=("x", "v"), outputs=("s", "n"))


def test_arithmetic_that_no_rule_does_is_kept_as_it_is(tmp_path):
    nodes = [
        oh.make_node("Mul", ["v", "v"], ["leaked"]),
        oh.make_node("Add", ["leaked", "x"], ["n"]),
        oh.make_node("Greater", ["n", "one"], ["over"]),
        oh.make_node("Cast", ["over"], ["s"], to=TensorProto.FLOAT),
    ]
    found = read_model(tmp_path, step_model(nodes, one=np.float32(1)))
    assert not any(isinstance(x, Neuron) for x in found.layers.values())
    assert any("not told as a neuron" in note for note in found.source.notes)


@pytest.mark.parametrize("compare", ["Greater", "GreaterOrEqual"])
@pytest.mark.parametrize("reset", ["subtract", "set", "none"])
def test_a_neuron_of_any_exporter_is_told_from_arithmetic(tmp_path, compare, reset):
    ends = {
        "subtract": [
            oh.make_node("Mul", ["s", "t"], ["a"]),
            oh.make_node("Sub", ["h", "a"], ["n"]),
        ],
        "set": [oh.make_node("Where", ["over", "zero", "h"], ["n"])],
        "none": [oh.make_node("Identity", ["h"], ["n"])],
    }[reset]
    nodes = [
        oh.make_node("Mul", ["v", "b"], ["leaked"]),
        oh.make_node("Add", ["x", "leaked"], ["h"]),
        oh.make_node(compare, ["h", "t"], ["over"]),
        oh.make_node("Cast", ["over"], ["s"], to=TensorProto.FLOAT),
        *ends,
    ]
    constants = {
        "b": np.float32([0.5, 0.25, 0.9, 1]),
        "t": np.float32([1, 0.5, 0.7, 1.5]),
        "zero": np.float32(0),
    }
    found = read_model(tmp_path, step_model(nodes, **constants))
    (neuron,) = (x for x in found.layers.values() if isinstance(x, Neuron))
    assert (neuron.parameters["decay"].value == constants["b"]).all()
    assert (neuron.parameters["threshold"].value == constants["t"]).all()
    assert neuron.rule.compare.value == {"Greater": ">", "GreaterOrEqual": ">="}[compare]
    assert neuron.rule.reset.value == reset


# What is told of each framework


def numbers(neuron):
    """Return a neuron's parameters as Python's numbers, and the words of its rule."""
    rule = neuron.rule
    words = (rule.form.value, rule.input_gain.value, rule.compare.value, rule.reset.value)
    return {k: float(p.value) for k, p in neuron.parameters.items()}, words


def f32(x):
    return float(np.float32(x))


@pytest.mark.parametrize("decayed", [True, False])
def test_spikingjelly_s_quotients_keep_their_time_constants(decayed):
    """LIFNode(tau) with a hard reset to 0, a soft one, and a hard one to -0.25."""
    name = "lif" if decayed else "undecayed"
    gain = "complement" if decayed else "one"
    found = neurons(read(FIXTURES / f"spikingjelly_step_{name}.dynamo.onnx"))
    threshold = f32(0.2 if decayed else 0.5)
    hard, soft = ("quotient", gain, ">=", "set"), ("quotient", gain, ">=", "subtract")
    rest = {"v_rest": -0.25, "v_reset": -0.25}
    assert [numbers(x) for x in found] == [
        ({"tau": 3.0, "threshold": threshold, "v_reset": 0.0}, hard),
        ({"tau": 2.5, "threshold": threshold}, soft),
        ({"tau": 1.75, "threshold": f32(0.3), **rest}, hard),
    ]
    assert all(x.parameters["tau"].unit == "step" for x in found)


@pytest.mark.parametrize(
    ("name", "order", "decays"),
    [
        ("snntorch_step_synaptic", "decay, add, use", [0.6, 0.5]),
        ("spikingjelly_step_cuba", "decay, add, use", [0.6, 0.5]),
        ("norse_step_lif", "add, use, decay", [0.4, 0.4]),
        ("sinabs_step_synapse", "add, decay, use", [np.exp(-0.25)]),
    ],
)
@pytest.mark.parametrize("exporter", ["dynamo", "script"])
def test_a_neuron_s_synapse_is_a_layer_before_it(name, order, decays, exporter):
    found = read(FIXTURES / f"{name}.{exporter}.onnx")
    synapses = [x for x in found.layers.values() if isinstance(x, Synapse)]
    assert [x.rule.order.value for x in synapses] == [order] * len(decays)
    for synapse, decay in zip(synapses, decays, strict=True):
        (held,) = synapse.parameters.values()
        assert abs(float(held.value) - decay) < 1e-6
        assert Connection(synapse.name, synapse.name.removesuffix(".synapse")) in found.connections


@pytest.mark.parametrize("exporter", ["dynamo", "script"])
def test_sinabs_bounds_and_counts_are_told(exporter):
    many, single = neurons(read(FIXTURES / f"sinabs_step_lif.{exporter}.onnx"))
    assert (many.rule.max_spikes, single.rule.max_spikes) == (None, 1)
    assert single.parameters["v_min"].value == -0.5
    assert single.rule.floor.value == "shifted"
    reset, two = neurons(read(FIXTURES / f"sinabs_step_reset.{exporter}.onnx"))
    assert (reset.rule.reset.value, two.rule.max_spikes) == ("set", 2)


def test_spikes_that_come_back_are_an_input_that_meets_the_neuron_in_turn():
    path = FIXTURES / "snntorch_step_recurrent.dynamo.onnx"
    found, truth = read(path), recorded(path)
    (neuron,) = neurons(found)
    assert neuron.rule.inputs.value == "in turn"
    before = np.concatenate([truth["start_0"][None], truth["output"][:-1]])
    made = simulate(found, {"x": truth["input"], "spk": before}, record=[neuron.name])
    assert (made.spikes[neuron.name] == truth["output"]).all()
    assert (made.traces[neuron.name, "v"] == truth["state_1"]).all()


def test_a_reset_that_is_right_only_below_the_threshold_is_told_with_a_word():
    """Without its delay, snnTorch resets no potential that begins above the threshold."""
    found = read(FIXTURES / "snntorch_step_undelayed.script.onnx")
    first, second = neurons(found)
    assert (first.rule.reset.value, first.rule.reset_timing.value) == ("set", "now")
    assert second.rule.reset_timing.value == "residual"
    assert any("up to the threshold" in note for note in found.source.notes)


def test_what_an_exporter_does_not_take_is_written_down():
    refused = json.loads((FIXTURES / "refused.json").read_text(encoding="utf-8"))
    assert all(not (FIXTURES / f"{name}.onnx").exists() for name in refused)
    assert "spikingjelly_step_lif.script" in refused


def test_exponentials_that_the_graph_computes_are_pointed_at():
    notes = read(FIXTURES / "sinabs_step_lif.script.onnx").source.notes
    assert sum("exponentials" in note for note in notes) == 2
    assert not any(
        "exponentials" in n for n in read(FIXTURES / "sinabs_step_lif.dynamo.onnx").source.notes
    )


# What is not told


@pytest.mark.parametrize("exporter", ["dynamo", "script"])
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("snntorch_step_alpha", "at most one synapse"),
        ("norse_step_refractory", "at most one synapse"),
        ("norse_step_readout", "readout"),
    ],
)
def test_states_that_no_rule_explains_are_named_with_the_reason(name, word, exporter):
    found = read(FIXTURES / f"{name}.{exporter}.onnx")
    assert not neurons(found)
    assert any(word in note and "takes" in note for note in found.source.notes)


@pytest.mark.parametrize("exporter", ["dynamo", "script"])
def test_an_unrolled_loop_says_how_many_steps_it_is(exporter):
    notes = read(FIXTURES / f"snntorch_loop.{exporter}.onnx").source.notes
    assert any("3 steps are unrolled" in note and "baked in" in note for note in notes)


def test_a_spec_gives_a_class_to_arithmetic_whose_state_was_baked_in(tmp_path):
    path = FIXTURES / "spikingjelly_baked.dynamo.onnx"
    layer = read(path).layers["lif"]
    assert layer.kind == "Opaque"
    assert layer.settings["operators"] == "Sub, Div, Add, GreaterOrEqual, Cast"
    (tmp_path / "net.toml").write_text(
        'dt = "per step"\n[layers.lif]\nclass = "spikingjelly.LIFNode"\nshape = [4]\n'
        "tau = 2.0\ndefaults = true\n"
    )
    found = read(path, spec=tmp_path / "net.toml")
    assert isinstance(found.layers["lif"], Neuron)
    assert simulate(found, np.full((20, 1, 6), 4, np.float32)).spikes["lif"].shape == (20, 1, 4)


def neuron_model(*nodes, **constants):
    """Return a model of a matrix, the nodes, and spikes `s` and state `n` as outputs."""
    product = oh.make_node("MatMul", ["x", "w"], ["i"])
    weight = np.eye(4, dtype=np.float32)
    held = {k: np.asarray(v, np.float32) for k, v in constants.items()}
    return step_model([product, *nodes], w=weight, **held)


def node(kind, inputs, output, **settings):
    return oh.make_node(kind, inputs.split(), [output], **settings)


LEAK = (node("Mul", "v b", "leaked"), node("Add", "leaked i", "h"))
FIRE = (node("Greater", "h t", "over"), node("Cast", "over", "s", to=TensorProto.FLOAT))
SOFT = (node("Mul", "s t", "a"), node("Sub", "h a", "n"))


@pytest.mark.parametrize(
    "nodes",
    [
        (*LEAK, *FIRE, *SOFT),
        (*LEAK, *FIRE, node("Sub", "h t", "less"), node("Where", "over less h", "n")),
        (*LEAK, node("Sub", "h t", "d"), node("Greater", "d zero", "over"), FIRE[1], *SOFT),
        (*LEAK, node("Less", "t h", "over"), FIRE[1], *SOFT),
        (*LEAK, node("LessOrEqual", "h t", "under"), node("Not", "under", "over"), FIRE[1], *SOFT),
        (*LEAK, node("Sub", "h t", "d"), node("Sign", "d", "e"), node("Relu", "e", "s"), *SOFT),
        (*LEAK, *FIRE, node("Mul", "s t", "a"), node("Neg", "a", "m"), node("Sum", "m h", "n")),
        (node("Sub", "one k", "b2"), node("Mul", "b2 v", "leaked"), node("Add", "i leaked", "h"),
         *FIRE, *SOFT),
    ],
)  # fmt: skip
def test_a_neuron_is_told_however_its_arithmetic_is_written(tmp_path, nodes):
    model = neuron_model(*nodes, b=0.75, t=0.7, zero=0, one=1, k=0.25)
    (neuron,) = neurons(read_model(tmp_path, model))
    expected = {"decay": 0.75, "threshold": f32(0.7)}
    assert numbers(neuron) == (expected, ("affine", "one", ">", "subtract"))


def test_a_threshold_is_told_to_its_last_bit(tmp_path):
    for theta in (
        np.float32(0.7),
        np.nextafter(np.float32(0.7), np.float32(1)),
        1e-3,
        300.0,
        2**12,
    ):
        (neuron,) = neurons(read_model(tmp_path, neuron_model(*LEAK, *FIRE, *SOFT, b=0.9, t=theta)))
        assert numbers(neuron)[0]["threshold"] == f32(theta)
        assert neuron.rule.compare.value == ">"


def test_a_bias_and_a_factor_on_spikes_are_told(tmp_path):
    nodes = [
        node("Mul", "v b", "leaked"), node("Add", "leaked i", "j"), node("Add", "j c", "h"),
        *FIRE[:1], node("Cast", "over", "u", to=TensorProto.FLOAT), node("Mul", "u g", "s"),
        node("Mul", "u t", "a"), node("Sub", "h a", "n"),
    ]  # fmt: skip
    (neuron,) = neurons(read_model(tmp_path, neuron_model(*nodes, b=0.5, t=1, c=0.25, g=3)))
    assert numbers(neuron)[0] == {
        "decay": 0.5, "bias": 0.25, "threshold": 1.0, "output_gain": 3.0
    }  # fmt: skip


NO_RULE = {
    "a reset that depends on the input": (*LEAK, *FIRE, node("Mul", "s i", "a"), SOFT[1]),
    "a square": (node("Mul", "v v", "q"), node("Add", "q i", "h"), *FIRE, *SOFT),
    "an input that is cut off": (
        node("Min", "i top", "j"), node("Mul", "v b", "leaked"), node("Add", "leaked j", "h"),
        node("Max", "h low", "k"), node("Mul", "k k", "h2"), node("Greater", "h2 t", "over"),
        FIRE[1], node("Mul", "s t", "a"), node("Sub", "h2 a", "n")),
    "two thresholds": (*LEAK, node("Greater", "h t", "o1"), node("Less", "h top", "o2"),
                       node("And", "o1 o2", "over"), FIRE[1], *SOFT),
    "a second leak where it is far": (
        *LEAK[:1], node("Add", "leaked i", "g"), node("Greater", "g top", "far"),
        node("Where", "far top g", "h"), *FIRE, *SOFT),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_RULE)
def test_arithmetic_that_only_resembles_a_neuron_is_none(tmp_path, name):
    found = read_model(tmp_path, neuron_model(*NO_RULE[name], b=0.75, t=0.7, top=5, low=-5))
    assert not neurons(found)
    assert any("not told as a neuron" in note for note in found.source.notes)


def test_no_state_is_chosen_where_two_inputs_would_do(tmp_path):
    nodes = [node("Add", "x v", "h"), *FIRE, *SOFT]
    found = read_model(tmp_path, step_model(nodes, t=np.float32(1)))
    assert not neurons(found)
    assert any("any of its inputs may be the state" in note for note in found.source.notes)


def test_constants_that_a_neuron_was_told_from_stay_in_extras():
    held = read(FIXTURES / "snntorch_step.script.onnx").extras["onnx"]["tensors"]
    assert held["lif1.threshold"] == np.float32(0.75)
