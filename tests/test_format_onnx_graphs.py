"""The onnx format: ordinary graphs of other tools, and how neurons are cut out of them."""

from __future__ import annotations

import numpy as np
import onnx.helper as oh
import pytest
from onnx import TensorProto

from onnx_graphs import model_of, read_model
from snnbridge import simulate
from snnbridge.model import Connection, Neuron, Opaque


def node(kind, inputs, outputs, **settings):
    inputs = ["" if name == "-" else name for name in inputs.split()]
    return oh.make_node(kind, inputs, outputs.split(), **settings)


def kinds(found):
    return [x.origin.kind if isinstance(x, Opaque) else x.kind for x in found.layers.values()]


def numbers(*shape):
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


# Ordinary layers


def test_functions_of_a_model_are_put_in_where_they_are_called(tmp_path):
    inner = oh.make_function(
        "f", "Affine", ["a", "w"], ["b"], [node("MatMul", "a w", "b")], [oh.make_opsetid("", 21)]
    )
    slope = node("LeakyRelu", "h", "z")
    reference = slope.attribute.add(name="alpha", type=1)
    reference.ref_attr_name = "slope"
    body = [oh.make_node("Affine", ["x", "w"], ["h"], domain="f"), slope]
    outer = oh.make_function("f", "Block", ["x", "w"], ["z"], body,
                             [oh.make_opsetid("", 21), oh.make_opsetid("f", 1)],
                             ["slope"])  # fmt: skip
    calls = [
        oh.make_node("Block", ["x", "w1"], ["m"], domain="f", slope=0.25, name="first"),
        oh.make_node("Block", ["m", "w2"], ["y"], domain="f", slope=0.5),
    ]
    weights = {"w1": numbers(4, 5), "w2": numbers(5, 3)}
    found = read_model(tmp_path, model_of(calls, weights, functions=[inner, outer]))
    assert kinds(found) == ["Input", "Linear", "LeakyRelu", "Linear", "LeakyRelu", "Output"]
    held = [x.weight.value for x in found.layers.values() if x.kind == "Linear"]
    assert all((a == w.T).all() for a, w in zip(held, weights.values(), strict=True))
    slopes = [x.settings["alpha"] for x in found.layers.values() if isinstance(x, Opaque)]
    assert slopes == [0.25, 0.5]


@pytest.mark.parametrize("inside", [False, True])
def test_what_an_inner_graph_reads_from_outside_is_connected(tmp_path, inside):
    """In a function, the inner graph reads what the call hands in."""
    branch = oh.make_graph(
        [node("Mul", "h h", "q")], "b", [],
        [oh.make_tensor_value_info("q", TensorProto.FLOAT, None)],
    )  # fmt: skip
    choice = oh.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    nodes, functions = [node("Relu", "x", "h"), choice], []
    if inside:
        functions = [oh.make_function("f", "Choose", ["h", "c"], ["y"], [choice],
                                      [oh.make_opsetid("", 21)])]  # fmt: skip
        nodes = [node("Relu", "x", "other"), oh.make_node("Choose", ["other", "c"], ["y"],
                                                          domain="f")]  # fmt: skip
    model = model_of(nodes, {}, inputs=("x", "c"), functions=functions)
    found = read_model(tmp_path, model)
    assert kinds(found)[-2:] == ["If", "Output"]
    name = next(n for n, x in found.layers.items() if getattr(x.origin, "kind", "") == "If")
    assert Connection("Relu", name) in found.connections
    assert isinstance(found.layers[name].settings["then_branch"], bytes)


def test_weights_that_are_computed_of_constants_are_computed(tmp_path):
    weight, mask = numbers(4, 3), np.float32(numbers(4, 3) > 0)
    nodes = [node("Mul", "w mask", "pruned"), node("MatMul", "x pruned", "y")]
    found = read_model(tmp_path, model_of(nodes, {"w": weight, "mask": mask}))
    assert (found.layers["MatMul"].weight.value == (weight * mask).T).all()
    assert set(found.extras["onnx"]["tensors"]) == {"w", "mask"}  # what it was computed of


def test_an_addition_behind_a_kernel_is_its_bias(tmp_path):
    held = {"w": numbers(2, 1, 3, 3), "b": numbers(1, 2, 1, 1)}
    nodes = [node("Conv", "x w", "h"), node("Add", "h b", "y")]
    found = read_model(tmp_path, model_of(nodes, held, shape=(1, 1, 5, 5)))
    assert kinds(found) == ["Input", "Conv2d", "Output"]
    assert (found.layers["Conv"].bias.value == held["b"].ravel()).all()


@pytest.mark.parametrize(
    ("nodes", "word"),
    [
        ([node("MatMul", "w x", "y")], "MatMul in a form that no layer has"),
        ([node("Gemm", "x w", "y", alpha=0.5)], "Gemm in a form"),
        ([node("Cast", "x", "y", to=TensorProto.INT32)], "1 Cast"),
        ([node("Unsqueeze", "x axis", "y")], "1 Unsqueeze"),
        ([node("Dropout", "x - on", "y")], "1 Dropout"),
    ],
)
def test_what_is_not_quite_a_layer_is_kept_and_named(tmp_path, nodes, word):
    held = {"w": numbers(4, 4), "axis": np.int64([1]), "on": np.bool_(True)}
    used = {name: held[name] for n in nodes for name in n.input if name in held}
    found = read_model(tmp_path, model_of(nodes, used))
    assert len(kinds(found)) == 3
    assert any(word in note for note in found.source.notes)


def test_an_axis_that_is_put_in_and_taken_away_leaves_nothing(tmp_path):
    nodes = [
        node("Unsqueeze", "x axis", "a"), node("Slice", "a zero axis zero", "b"),
        node("Squeeze", "b zero", "c"), node("Relu", "c", "d"),
        node("Unsqueeze", "d one", "e"), node("Concat", "e", "f", axis=1),
        node("Gather", "f first", "y", axis=1),
    ]  # fmt: skip
    nodes[1] = node("Slice", "a zero one zero", "b")
    held = {"axis": np.int64([0]), "zero": np.int64([0]), "one": np.int64([1]),
            "first": np.int64(0)}  # fmt: skip
    found = read_model(tmp_path, model_of(nodes, held))
    assert kinds(found) == ["Input", "Relu", "Output"]


def test_another_step_of_an_axis_is_no_alias(tmp_path):
    nodes = [node("Unsqueeze", "x axis", "a"), node("Gather", "a second", "y", axis=1)]
    held = {"axis": np.int64([0]), "second": np.int64(0)}
    assert kinds(read_model(tmp_path, model_of(nodes, held))) == [
        "Input", "Unsqueeze", "Gather", "Output"
    ]  # fmt: skip


# Neurons among other operators


def lif(at, drive, *, beta="b", threshold="t"):
    """Return a step of a neuron with the state v<at>, the spikes s<at>."""
    return [
        node("Mul", f"v{at} {beta}", f"l{at}"), node("Add", f"l{at} {drive}", f"h{at}"),
        node("Greater", f"h{at} {threshold}", f"o{at}"),
        node("Cast", f"o{at}", f"s{at}", to=TensorProto.FLOAT),
        node("Mul", f"s{at} {threshold}", f"a{at}"), node("Sub", f"h{at} a{at}", f"n{at}"),
    ]  # fmt: skip


CONSTANTS = {"w": np.eye(4, dtype=np.float32), "b": np.float32(0.75), "t": np.float32(0.5)}


def net(nodes, count, outputs=(), **more):
    return model_of(
        [node("MatMul", "x w", "i"), *nodes], {**CONSTANTS, **more},
        inputs=("x", *(f"v{n}" for n in range(count))),
        outputs=(*outputs, *(f"n{n}" for n in range(count))),
    )  # fmt: skip


def test_neurons_one_behind_the_other_are_told_without_a_matrix_between(tmp_path):
    nodes = [*lif(0, "i"), node("Mul", "s0 g", "d"), *lif(1, "d")]
    found = read_model(tmp_path, net(nodes, 2, ["s1"], g=np.float32(0.75)))
    first, second = (x for x in found.layers.values() if isinstance(x, Neuron))
    assert float(second.parameters["threshold"].value) == 0.5
    stimulus = numbers(50, 3, 4)
    spikes = simulate(found, stimulus, record=[first.name, second.name]).spikes
    v, u = np.zeros((2, 3, 4), np.float32)
    for t, x in enumerate(stimulus):
        v = np.float32(0.75) * v + x
        s = np.float32(v > 0.5)
        v = v - s * np.float32(0.5)
        u = np.float32(0.75) * u + np.float32(0.75) * s
        out = np.float32(u > 0.5)
        u = u - out * np.float32(0.5)
        assert (spikes[first.name][t] == s).all()
        assert (spikes[second.name][t] == out).all()


def test_spikes_that_are_read_twice_are_those_of_one_neuron(tmp_path):
    nodes = [*lif(0, "i"), node("Add", "s0 i", "j"), node("MatMul", "j w", "k"), *lif(1, "k")]
    found = read_model(tmp_path, net(nodes, 2, ["s1"]))
    assert kinds(found) == ["Input", "Linear", "Neuron", "Linear", "Neuron", "Output"]
    assert {Connection("MatMul", "MatMul_2"), Connection("v0", "MatMul_2")} <= {*found.connections}


def test_a_state_that_others_read_is_no_neuron_s_own(tmp_path):
    nodes = [*lif(0, "i"), node("Softmax", "h0", "p")]
    found = read_model(tmp_path, net(nodes, 1, ["s0", "p"]))
    assert "Neuron" not in kinds(found)
    assert any("read by 'Softmax' too" in note for note in found.source.notes)


def test_channels_may_differ(tmp_path):
    held = {
        "w": np.ones((2, 1, 1, 1), np.float32),
        "b": np.float32([0.5, 0.75]).reshape(1, 2, 1, 1),
        "t": np.float32([1, 0.5]).reshape(2, 1, 1),
    }
    infos = [("x", (1, 1, 3, 3)), ("v0", (1, 2, 3, 3))]
    model = model_of([node("Conv", "x w", "i"), *lif(0, "i")], held, inputs=(),
                     outputs=("s0", "n0"))  # fmt: skip
    model.graph.input.extend(
        oh.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in infos
    )
    found = read_model(tmp_path, model)
    (neuron,) = (x for x in found.layers.values() if isinstance(x, Neuron))
    assert neuron.shape == (2, 3, 3)
    assert neuron.parameters["decay"].value.shape == (2, 1, 1)
    assert (neuron.parameters["threshold"].value.ravel() == [1, 0.5]).all()
    simulate(found, numbers(5, 2, 1, 3, 3))


def test_more_layers_of_neurons_than_a_network_has_are_not_looked_at(tmp_path):
    nodes = [part for n in range(300) for part in lif(n, "i", beta="i")]
    found = read_model(tmp_path, net(nodes, 300))
    assert "Neuron" not in kinds(found)
    assert any("was not looked at" in note for note in found.source.notes)


def test_a_potential_that_goes_on_beside_its_state_is_no_neuron_s_own(tmp_path):
    nodes = [*lif(0, "i"), node("MatMul", "n0 w", "p")]
    found = read_model(tmp_path, net(nodes, 1, ["s0", "p"]))
    assert "Neuron" not in kinds(found)
    assert any("read by 'MatMul' too" in note for note in found.source.notes)


def test_a_state_that_goes_elsewhere_too_is_no_neuron_s_own(tmp_path):
    nodes = [*lif(0, "i"), node("MatMul", "v0 w", "p")]
    found = read_model(tmp_path, net(nodes, 1, ["s0", "p"]))
    assert "Neuron" not in kinds(found)
    assert any("'v0' is read by 'MatMul' too" in note for note in found.source.notes)


def test_constants_that_do_not_fit_the_state_make_no_neuron(tmp_path):
    found = read_model(tmp_path, net(lif(0, "i", threshold="w"), 1, ["s0"]))
    assert "Neuron" not in kinds(found)


def test_an_input_that_comes_after_the_spikes_makes_no_neuron(tmp_path):
    nodes = [*lif(0, "i")[:-1], node("MatMul", "s0 w", "late"),
             node("Add", "a0 late", "m"), node("Sub", "h0 m", "n0")]  # fmt: skip
    assert "Neuron" not in kinds(read_model(tmp_path, net(nodes, 1, ["s0"])))
