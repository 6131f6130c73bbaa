"""The onnx format: neurons of any width and number, states side by side, spikes fed back."""

from __future__ import annotations

import numpy as np
import onnx.helper as oh
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from onnx_graphs import read_model
from snnbridge import SNNCheckpoint, simulate
from snnbridge.model import Connection, Neuron, StateVariable, Synapse

TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE,
         "float16": TensorProto.FLOAT16}  # fmt: skip


def node(kind, inputs, output, **settings):
    return oh.make_node(kind, inputs.split(), [output], **settings)


def lif(of="", drive="x", v="v", cast="float32"):
    """Return the nodes of a neuron with the constants `b` and `t`, spikes `s` and state `n`."""
    return [
        node("Mul", f"{v} b{of}", f"leaked{of}"), node("Add", f"leaked{of} {drive}", f"h{of}"),
        node("Greater", f"h{of} t{of}", f"over{of}"),
        node("Cast", f"over{of}", f"s{of}", to=TYPES[cast]),
        node("Mul", f"s{of} t{of}", f"a{of}"), node("Sub", f"h{of} a{of}", f"n{of}"),
    ]  # fmt: skip


def model(nodes, inputs, outputs, dtype="float32", **constants):
    """Return a model; inputs and outputs by their shapes."""
    infos, ends = (
        [oh.make_tensor_value_info(name, TYPES[dtype], shape) for name, shape in x.items()]
        for x in (inputs, outputs)
    )
    held = [numpy_helper.from_array(np.asarray(x, dtype), k) for k, x in constants.items()]
    graph = oh.make_graph(nodes, "g", infos, ends, held)
    return oh.make_model(graph, ir_version=10, opset_imports=[oh.make_opsetid("", 21)])


def layer_model(n, nodes, dtype="float32", **constants):
    """Return a model of neurons behind the output of an operator that is no arithmetic."""
    shape = ["batch", n]
    first = node("Softsign", "given", "x")
    names = ("given", "v"), ("s", "n")
    inputs, outputs = (dict.fromkeys(x, shape) for x in names)
    return model([first, *nodes], inputs, outputs, dtype, **constants)


def neurons(found):
    return [x for x in found.layers.values() if isinstance(x, Neuron)]


def notes(found, words):
    return [note for note in found.source.notes if words in note]


# Width of the arithmetic


def test_a_neuron_of_a_float64_graph_is_told_and_steps_in_float64(tmp_path):
    nodes = [node("MatMul", "x w", "i"), *lif(drive="i", cast="float64")]
    rng = np.random.default_rng(0)
    made = model(
        nodes, {"x": ["batch", 5], "v": ["batch", 3]}, {"s": ["batch", 3], "n": ["batch", 3]},
        "float64", w=rng.normal(0, 1, (5, 3)), b=0.9, t=0.3,
    )  # fmt: skip
    found = read_model(tmp_path, made)
    (neuron,) = neurons(found)
    assert neuron.rule.width.value == "float64"
    assert neuron.parameters["decay"].value == 0.9
    session = onnxruntime.InferenceSession(made.SerializeToString())
    steps, v, spikes = rng.normal(0, 1, (50, 2, 5)), np.zeros((2, 3)), []
    for x in steps:
        s, v = session.run(None, {"x": x, "v": v})
        spikes.append(s)
    assert (simulate(found, steps).spikes[neuron.name] == np.stack(spikes)).all()
    assert 0 < np.mean(spikes) < 1


def test_a_neuron_of_a_float16_graph_is_none_and_the_reason_is_said(tmp_path):
    made = layer_model(3, lif(cast="float16"), "float16", b=0.9, t=0.5)
    found = read_model(tmp_path, made)
    assert not neurons(found)
    assert notes(found, "computes in float16")


def test_how_large_the_numbers_may_be_is_said(tmp_path):
    """Whole numbers of 64 bits end at 9e18, and engines differ in what is beyond."""
    counts = [
        node("Mul", "v b", "leaked"), node("Add", "leaked x", "h"), node("Div", "h t", "q"),
        node("Floor", "q", "f"), node("Cast", "f", "k", to=TensorProto.INT64),
        node("Cast", "k", "j", to=TensorProto.FLOAT), node("Relu", "j", "s"),
        node("Mul", "s t", "a"), node("Sub", "h a", "n"),
    ]  # fmt: skip
    found = read_model(tmp_path, layer_model(3, counts, b=0.5, t=1))
    assert neurons(found)[0].rule.max_spikes is None
    assert notes(found, "for inputs and states of up to 5e+18")
    found = read_model(tmp_path, layer_model(3, lif(), b=0.5, t=1))
    assert notes(found, "for inputs and states of up to 8e+28")


# Many neurons


@pytest.mark.parametrize("n", [65, 1000, 100_000])
def test_layers_of_any_width_are_told_with_numbers_of_their_own(tmp_path, n):
    rng = np.random.default_rng(0)
    b, t = rng.uniform(0.3, 0.99, n), rng.uniform(0.1, 2, n)
    found = read_model(tmp_path, layer_model(n, lif(), b=b, t=t))
    (neuron,) = neurons(found)
    assert (neuron.parameters["decay"].value == b.astype(np.float32)).all()
    assert (neuron.parameters["threshold"].value == t.astype(np.float32)).all()


@pytest.mark.parametrize(("name", "odd"), [("t", -0.5), ("t", np.inf), ("b", 1.75), ("b", -0.5),
                                           ("top", 3.0)])  # fmt: skip
def test_one_neuron_of_many_that_does_something_else_is_not_overlooked(tmp_path, name, odd):
    """The sums are cut off at `top`, which is out of reach for all but one of them."""
    rng, n = np.random.default_rng(0), 5000
    constants = {
        "b": rng.uniform(0.3, 0.99, n), "t": rng.uniform(0.1, 2, n), "top": np.full(n, np.inf),
    }  # fmt: skip
    constants[name][1234] = odd
    nodes = lif()
    nodes[1:2] = [node("Add", "leaked x", "g"), node("Min", "g top", "h")]
    found = read_model(tmp_path, layer_model(n, nodes, **constants))
    assert not neurons(found)


def test_layers_that_are_alike_are_told_each(tmp_path):
    rng, n = np.random.default_rng(0), 300
    nodes, inputs, outputs = [], {}, {}
    for at in range(20):
        inner = lif(f".{at}", f"x{at}", f"v{at}")
        for item in inner:
            item.input[:] = [{f"b.{at}": "b", f"t.{at}": "t"}.get(k, k) for k in item.input]
        nodes += [node("Softsign", f"given{at}", f"x{at}"), *inner]
        inputs |= {f"given{at}": ["batch", n], f"v{at}": ["batch", n]}
        outputs |= {f"s.{at}": ["batch", n], f"n.{at}": ["batch", n]}
    b = rng.uniform(0.3, 0.99, n)
    made = model(nodes, inputs, outputs, b=b, t=rng.uniform(0.1, 2, n))
    found = neurons(read_model(tmp_path, made))
    assert [x.name for x in found] == [f"v{at}" for at in range(20)]
    assert all((x.parameters["decay"].value == b.astype(np.float32)).all() for x in found)


def test_neurons_that_share_numbers_in_part_are_told(tmp_path):
    """A decay for each channel, a threshold for each place of an image."""
    rng = np.random.default_rng(0)
    b, t = rng.uniform(0.3, 0.9, (40, 1, 1)), rng.uniform(0.1, 2, (6, 6))
    shape = ["batch", 40, 6, 6]
    made = model(
        [node("Softsign", "given", "x"), *lif()], {"given": shape, "v": shape},
        {"s": shape, "n": shape}, b=b, t=t,
    )  # fmt: skip
    (neuron,) = neurons(read_model(tmp_path, made))
    decay, theta = (neuron.parameters[k].value for k in ("decay", "threshold"))
    assert (np.broadcast_to(decay, (40, 6, 6)) == b.astype(np.float32)).all()
    assert (np.broadcast_to(theta, (40, 6, 6)) == t.astype(np.float32)).all()


# States and spikes from outside


def stacked(*, spiking):
    """Return a net of two states in one tensor; of the first neurons spike, the second may not."""
    second = lif("2", "i2", "m1") if spiking else [
        node("Mul", "m1 b2", "leaked2"), node("Add", "leaked2 i2", "n2"),
    ]  # fmt: skip
    nodes = [
        node("MatMul", "x w", "i"), node("Gather", "m first", "m0", axis=0), *lif("", "i", "m0"),
        node("MatMul", "s w2", "i2"), node("Gather", "m last", "m1", axis=0), *second,
        node("Unsqueeze", "n at", "u0"), node("Unsqueeze", "n2 at", "u1"),
        node("Concat", "u0 u1", "end", axis=0),
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    made = model(
        nodes, {"x": ["batch", 5], "m": [2, "batch", 3]},
        {"s2" if spiking else "s": ["batch", 3], "end": [2, "batch", 3]},
        w=rng.normal(0, 1, (5, 3)), w2=rng.normal(0, 1, (3, 3)), b=0.9, t=0.3, b2=0.5, t2=0.4,
    )  # fmt: skip
    for key, index in (("first", 0), ("last", -1), ("at", [0])):
        made.graph.initializer.append(numpy_helper.from_array(np.int64(index), key))
    return made


def test_states_in_one_tensor_are_told_apart(tmp_path):
    made = stacked(spiking=True)
    found = read_model(tmp_path, made)
    assert [x.name for x in neurons(found)] == ["m[0]", "m[1]"]
    assert notes(found, "'m[0]', 'm[1]' come in and go out side by side in one tensor")
    session = onnxruntime.InferenceSession(made.SerializeToString())
    rng = np.random.default_rng(1)
    steps, m = rng.normal(0, 1, (50, 2, 5)).astype(np.float32), np.zeros((2, 2, 3), np.float32)
    spikes = simulate(found, steps).spikes["m[1]"]
    for x, ours in zip(steps, spikes, strict=True):
        s, m = session.run(None, {"x": x, "m": m})
        assert (s == ours).all()
    assert 0 < spikes.mean() < 1


def test_a_state_beside_another_that_makes_no_spikes_is_told(tmp_path):
    found = read_model(tmp_path, stacked(spiking=False))
    assert [x.name for x in neurons(found)] == ["m[0]"]
    assert notes(found, "takes 'm[1]', makes no spikes")


def test_a_tensor_that_is_taken_apart_and_holds_no_states_stays_whole(tmp_path):
    nodes = [node("Gather", "m first", "m0", axis=0), node("Softsign", "m0", "y")]
    made = model(nodes, {"m": [2, "batch", 3]}, {"y": ["batch", 3]})
    made.graph.initializer.append(numpy_helper.from_array(np.int64(0), "first"))
    found = read_model(tmp_path, made)
    assert [x.kind for x in found.layers.values()] == ["Input", "Opaque", "Opaque", "Output"]


def fed_back(*, factor):
    """Return a net whose own spikes come in again, by a matrix or by a factor each."""
    back = node("Mul", "z f", "j") if factor else node("MatMul", "z r", "j")
    nodes = [
        node("MatMul", "x w", "i"), back, node("Mul", "c k", "fading"),
        node("Add", "fading i", "e"), node("Add", "e j", "c2"), *lif("", "c2"),
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    shape = ["batch", 3]
    more = {"f": rng.uniform(0.2, 0.9, 3)} if factor else {"r": rng.normal(0, 1, (3, 3))}
    return model(
        nodes, {"x": ["batch", 5], **dict.fromkeys("zcv", shape)},
        dict.fromkeys(("s", "c2", "n"), shape),
        w=rng.normal(0, 1, (5, 3)), b=0.9, t=0.4, k=0.7, **more,
    )  # fmt: skip


@pytest.mark.parametrize("factor", [True, False])
def test_spikes_that_may_be_fed_back_are_pointed_at(tmp_path, factor):
    made = fed_back(factor=factor)
    found = read_model(tmp_path, made)
    (neuron,) = neurons(found)
    assert notes(found, "the input 'z' has the shape of the spikes")
    # As the note says: in place of the input, a connection with a delay of 1.
    (back,) = (e.target for e in found.connections if e.source == "z")
    edges = [e for e in found.connections if e.source != "z"]
    net = SNNCheckpoint(
        [x for name, x in found.layers.items() if name != "z"],
        connections=[*edges, Connection(neuron.name, back, 1)],
    )
    session = onnxruntime.InferenceSession(made.SerializeToString())
    steps = np.random.default_rng(1).normal(0, 1, (50, 2, 5)).astype(np.float32)
    z = c = v = np.zeros((2, 3), np.float32)
    spikes = simulate(net, steps).spikes[neuron.name]
    for x, ours in zip(steps, spikes, strict=True):
        z, c, v = session.run(None, {"x": x, "z": z, "c": c, "v": v})
        assert (z == ours).all()
    assert 0 < spikes.mean() < 1


def test_states_are_told_from_spikes_that_come_in_by_a_factor(tmp_path):
    found = read_model(tmp_path, fed_back(factor=True))
    (synapse,) = (x for x in found.layers.values() if isinstance(x, Synapse))
    assert synapse.parameters["decay"].value == np.float32(0.7)
    assert notes(found, "'c', 'v' were taken as the states")
    initial = {(synapse.name, "i"): StateVariable(np.ones((1, 3), np.float32), 0)}
    made = simulate(found, {"x": np.zeros((2, 1, 5)), "z": np.zeros((2, 1, 3))}, initial=initial)
    assert made.state[synapse.name, "i"].value == pytest.approx(0.49)


def test_two_inputs_of_a_net_are_no_spikes_that_are_fed_back(tmp_path):
    """An input of another shape than the spikes, and one that is alone."""
    found = read_model(tmp_path, layer_model(3, lif(), b=0.9, t=0.5))
    assert not notes(found, "fed back")
