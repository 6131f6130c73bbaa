"""The onnx format: which layers and connections the operators of other tools' graphs become."""

from __future__ import annotations

import numpy as np
import onnx.helper as oh
import pytest
from onnx import TensorProto, numpy_helper

from onnx_graphs import read_model
from snnbridge import UNKNOWN, ReadError, simulate
from snnbridge.model import AvgPool, Flatten, Linear, Neuron, Opaque, Output, Scale, SumPool


def node(kind, inputs, outputs, **settings):
    return oh.make_node(kind, inputs.split(), outputs.split(), **settings)


def numbers(*shape):
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


def graph(nodes, held, shape, *, outputs=("y",), **inputs):
    """Return a model whose inputs have any shape; a length may be a name."""
    shapes = {"x": shape, **inputs}
    infos = [oh.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in shapes.items()]
    ends = [oh.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in held.items()]
    made = oh.make_graph(nodes, "g", infos, ends, tensors)
    return oh.make_model(made, ir_version=10, opset_imports=[oh.make_opsetid("", 21)])


def kinds(found):
    return [x.origin.kind if isinstance(x, Opaque) else x.kind for x in found.layers.values()]


def edges(found):
    return [(c.source, c.target) for c in found.connections]


def ran(found, x):
    """Return what the network gives for one step of samples."""
    (name,) = (n for n, layer in found.layers.items() if type(layer) is Output)
    return simulate(found, x[None], record=[name]).traces[name, "output"][0]


# Sums


def test_layers_that_are_added_are_connected_to_what_reads_the_sum(tmp_path):
    nodes = [
        node("MatMul", "x u", "a"), node("MatMul", "x v", "b"), node("Add", "a b", "c"),
        node("MatMul", "c w", "d"), node("Add", "d c", "y"),
    ]  # fmt: skip
    held = {"u": numbers(4, 3), "v": numbers(4, 3) + 1, "w": numbers(3, 3)}
    found = read_model(tmp_path, graph(nodes, held, (1, 4)))
    assert kinds(found) == ["Input", "Linear", "Linear", "Linear", "Output"]
    assert edges(found) == [
        ("x", "MatMul"), ("x", "MatMul_2"), ("MatMul", "MatMul_3"), ("MatMul_2", "MatMul_3"),
        ("MatMul", "y.output"), ("MatMul_2", "y.output"), ("MatMul_3", "y.output"),
    ]  # fmt: skip
    x = np.float32([[1, 0, 2, -1]])
    c = x @ held["u"] + x @ held["v"]
    np.testing.assert_allclose(ran(found, x), c @ held["w"] + c, rtol=1e-5)


def test_sums_are_rounded_in_the_order_of_the_graph(tmp_path):
    nodes = [node("Add", "x z", "a"), node("Add", "q a", "y")]
    model = graph(nodes, {}, (1, 1), z=(1, 1), q=(1, 1))
    found = read_model(tmp_path, model)
    assert edges(found) == [("x", "y.output"), ("z", "y.output"), ("q", "y.output")]
    big = {"x": [[[1.0]]], "z": [[[1e8]]], "q": [[[-1e8]]]}
    given = {k: np.asarray(v, np.float32) for k, v in big.items()}
    made = simulate(found, given, record=["y.output"]).traces["y.output", "output"]
    assert made.item() == (given["x"] + given["z"] + given["q"]).item() == 0.0


@pytest.mark.parametrize(
    ("nodes", "shapes", "reason"),
    [
        ([node("Add", "x x", "y")], {}, "adds the same layer twice"),
        ([node("Add", "x z", "y")], {"z": (1, 1)}, "differs in shape"),
        ([node("Add", "x z", "y")], {"z": None}, "are not known"),
        ([node("Add", "x z", "a"), node("Add", "p q", "b"), node("Add", "a b", "y")],
         {"z": (1, 4), "p": (1, 4), "q": (1, 4)}, "no order of connections"),
    ],
)  # fmt: skip
def test_a_sum_that_connections_do_not_give_stays_an_operator(tmp_path, nodes, shapes, reason):
    found = read_model(tmp_path, graph(nodes, {}, (1, 4), **shapes))
    assert "Add" in kinds(found)
    assert any(reason in note and "'y'" in note for note in found.source.notes)


def test_an_operator_of_which_nothing_is_known_reads_one_sum_and_not_its_parts(tmp_path):
    nodes = [node("Add", "x z", "a"), node("Sin", "a", "b"), node("Cos", "a", "y")]
    found = read_model(tmp_path, graph(nodes, {}, (1, 4), z=(1, 4)))
    assert kinds(found) == ["Input", "Input", "Add", "Sin", "Cos", "Output"]
    assert edges(found) == [
        ("x", "Add"), ("z", "Add"), ("Add", "Sin"), ("Add", "Cos"), ("Cos", "y.output"),
    ]  # fmt: skip


# Shapes


@pytest.mark.parametrize("shape", [(2, 7, 4), ("b", 7, 4), ("b", "t", 4)])
def test_axes_before_the_last_leave_the_shape_open_with_a_word(tmp_path, shape):
    nodes = [node("MatMul", "x u", "a"), node("Tanh", "a", "b"), node("MatMul", "b w", "y")]
    found = read_model(tmp_path, graph(nodes, {"u": numbers(4, 3), "w": numbers(3, 3)}, shape))
    assert found.layers["x"].shape is UNKNOWN
    assert found.layers["y.output"].shape is UNKNOWN
    assert any("'x', 'y'" in note and "stays open" in note for note in found.source.notes)


def test_a_step_without_a_batch_is_read(tmp_path):
    nodes = [
        node("MatMul", "x w", "i"), node("Mul", "v b", "l"), node("Add", "l i", "h"),
        node("Greater", "h t", "o"), node("Cast", "o", "s", to=TensorProto.FLOAT),
        node("Mul", "s t", "r"), node("Sub", "h r", "n"),
    ]  # fmt: skip
    held = {"w": numbers(6, 4), "b": np.float32([0.5, 0.75, 0.9, 1]), "t": np.float32(0.5)}
    found = read_model(tmp_path, graph(nodes, held, (6,), v=(4,), outputs=("s", "n")))
    (neuron,) = (x for x in found.layers.values() if isinstance(x, Neuron))
    assert (found.layers["x"].shape, neuron.shape) == ((6,), (4,))
    assert (neuron.parameters["decay"].value == held["b"]).all()


def test_the_shapes_that_a_graph_states_are_those_of_its_layers(tmp_path):
    nodes = [node("Conv", "x k", "a", pads=[1, 1, 1, 1]), node("Flatten", "a", "y")]
    found = read_model(tmp_path, graph(nodes, {"k": numbers(2, 1, 3, 3)}, ("b", 1, 5, 6)))
    conv, flat = found.layers["Conv"], found.layers["Flatten"]
    assert (conv.input_shape, flat.input_shape) == ((5, 6), (2, 5, 6))
    assert found.layers["y.output"].shape == (60,)


# What joins axes


@pytest.mark.parametrize(
    ("shape", "target"),
    [((4, 2, 3, 3), [4, 18]), ((4, 2, 3, 3), [-1, 18]), ((4, 2, 3, 3), [4, -1]),
     (("b", 2, 3, 3), [-1, 18]), (("b", 2, 3, 3), [0, -1]), (("b", 2, "h", 3), [0, -1])],
)  # fmt: skip
def test_a_reshape_that_keeps_the_batch_joins_the_rest(tmp_path, shape, target):
    model = graph([node("Reshape", "x s", "y")], {"s": np.int64(target)}, shape)
    flat = read_model(tmp_path, model).layers["Reshape"]
    assert isinstance(flat, Flatten)
    assert (flat.start, flat.end, flat.order) == (0, -1, "channels first")


@pytest.mark.parametrize(
    ("shape", "target"),
    [((4, 2, 3, 3), [8, 9]), ((4, 2, 3, 3), [-1, 9]), ((1, 2, 3, 3), [2, 9]),
     (("b", 2, 3, 3), [-1, 9]), (None, [-1, 18]), (None, [1, -1]), ((4, 2, 3), [4, 3, 2])],
)  # fmt: skip
def test_a_reshape_that_takes_the_batch_apart_is_no_layer(tmp_path, shape, target):
    model = graph([node("Reshape", "x s", "y")], {"s": np.int64(target)}, shape)
    found = read_model(tmp_path, model)
    assert kinds(found) == ["Input", "Reshape", "Output"]
    assert any("Reshape in a form" in note for note in found.source.notes)


def test_a_view_by_the_size_of_the_batch_joins_the_rest(tmp_path):
    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Shape", "p", "a"),
        node("Gather", "a zero", "b", axis=0), node("Unsqueeze", "b axis", "c"),
        node("Concat", "c rest", "d", axis=0), node("Reshape", "p d", "y"),
    ]  # fmt: skip
    held = {"zero": np.int64(0), "axis": np.int64([0]), "rest": np.int64([-1])}
    found = read_model(tmp_path, graph(nodes, held, ("b", 2, 6, 6)))
    assert kinds(found) == ["Input", "MaxPool", "Flatten", "Output"]
    assert found.layers["Reshape"].input_shape == (2, 3, 3)
    wrong = read_model(tmp_path, graph(nodes, {**held, "zero": np.int64(1)}, ("b", 2, 6, 6)))
    assert kinds(wrong)[-2:] == ["Reshape", "Output"]


def test_only_some_axes_may_be_joined(tmp_path):
    model = graph([node("Reshape", "x s", "y")], {"s": np.int64([0, 2, -1])}, ("b", 2, 3, 5))
    flat = read_model(tmp_path, model).layers["Reshape"]
    assert (flat.start, flat.end) == (1, -1)
    turned = graph([node("Flatten", "x", "y", axis=-3)], {}, (1, 2, 3, 5))
    assert isinstance(read_model(tmp_path, turned).layers["Flatten"], Flatten)


# Pools and factors


@pytest.mark.parametrize(
    ("kind", "settings", "more"),
    [("GlobalAveragePool", {}, 0), ("ReduceMean", {"keepdims": 1}, 0),
     ("ReduceMean", {"keepdims": 0}, 1)],
)  # fmt: skip
def test_a_mean_over_the_image_is_a_pool(tmp_path, kind, settings, more):
    names, held = ("x axes", {"axes": np.int64([-1, 2])}) if settings else ("x", {})
    found = read_model(tmp_path, graph([node(kind, names, "y", **settings)], held, (1, 2, 3, 4)))
    assert kinds(found) == ["Input", "AvgPool", *["Flatten"] * more, "Output"]
    x = numbers(1, 2, 3, 4)
    expected = x.mean(axis=(2, 3), keepdims=not more)
    np.testing.assert_allclose(ran(found, x), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [("b", 2, "h", 4), None])
def test_a_mean_over_an_image_of_unknown_size_is_no_layer(tmp_path, shape):
    found = read_model(tmp_path, graph([node("GlobalAveragePool", "x", "y")], {}, shape))
    assert kinds(found) == ["Input", "GlobalAveragePool", "Output"]
    assert any("GlobalAveragePool in a form" in note for note in found.source.notes)


@pytest.mark.parametrize(("size", "kind"), [(9, "AvgPool"), (8, "AveragePool")])
def test_windows_are_rounded_up_only_where_they_do_not_fill_the_image(tmp_path, size, kind):
    pool = node("AveragePool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    found = read_model(tmp_path, graph([pool], {}, (1, 2, size, size)))
    assert kinds(found) == ["Input", kind, "Output"]


def norm_pool(window):
    """Return what torch writes for a pool of norms 1, with negative numbers for once."""
    return [
        node("Pow", "x one", "a"),
        node("AveragePool", "a", "b", kernel_shape=[window] * 2, strides=[window] * 2),
        node("Sign", "b", "c"), node("Abs", "b", "d"), node("Relu", "d", "e"),
        node("Mul", "c e", "f"), node("Mul", "f count", "g"), node("Pow", "g one", "y"),
    ]  # fmt: skip


@pytest.mark.parametrize(("window", "kind"), [(2, SumPool), (3, SumPool), (5, AvgPool)])
def test_torchs_pool_of_norms_is_a_pool_of_sums_where_that_is_exact(tmp_path, window, kind):
    held = {"one": np.float32(1), "count": np.float32(window**2)}
    found = read_model(tmp_path, graph(norm_pool(window), held, (1, 2, 30, 30)))
    assert type(found.layers["AveragePool"]) is kind
    x = np.random.default_rng(0).integers(-3, 4, (1, 2, 30, 30)).astype(np.float32)
    blocks = x.reshape(1, 2, 30 // window, window, 30 // window, window)
    np.testing.assert_allclose(ran(found, x), blocks.sum(axis=(3, 5)), rtol=1e-6)


def test_a_factor_is_a_layer_where_it_leaves_the_shape(tmp_path):
    for factor in (np.float32(0.5), numbers(2, 1, 1), numbers(1, 2, 1, 1)):
        model = graph([node("Mul", "f x", "y")], {"f": factor}, ("b", 2, 3, 3))
        found = read_model(tmp_path, model)
        assert isinstance(found.layers["Mul"], Scale)
        x = numbers(1, 2, 3, 3)
        assert (ran(found, x) == x * factor).all()
    for shape, factor in (((1, 1, 3, 3), numbers(2, 1, 1)), (None, numbers(2, 1, 1))):
        wide = graph([node("Mul", "f x", "y")], {"f": factor}, shape)
        assert kinds(read_model(tmp_path, wide)) == ["Input", "Mul", "Output"]


def test_outputs_side_by_side_are_kept_with_what_to_do(tmp_path):
    nodes = [node("MatMul", "x w", "a"), node("Concat", "x a", "y", axis=-1)]
    found = read_model(tmp_path, graph(nodes, {"w": numbers(4, 3)}, (1, 4)))
    assert any("side by side" in note and "split the matrix" in note for note in found.source.notes)


# Ties


def test_layers_of_one_tensor_are_tied(tmp_path):
    nodes = [
        node("Gemm", "x w c", "a", transB=1), node("Relu", "a", "b"),
        node("Gemm", "b w c", "d", transB=1), node("MatMul", "d w", "y"),
    ]  # fmt: skip
    model = graph(nodes, {"w": numbers(4, 4), "c": numbers(4)}, (1, 4))
    found = read_model(tmp_path, model)
    first, second, turned = (n for n, x in found.layers.items() if isinstance(x, Linear))
    assert set(found.ties) == {
        frozenset({(first, "weight"), (second, "weight")}),
        frozenset({(first, "bias"), (second, "bias")}),
    }
    assert (found.layers[turned].weight.value == numbers(4, 4).T).all()


def test_equal_biases_that_an_exporter_stores_once_are_not_tied(tmp_path):
    nodes = [node("Gemm", "x v c", "a"), node("Gemm", "a w c", "y")]
    held = {"v": numbers(4, 4), "w": numbers(4, 4) + 1, "c": np.zeros(4, np.float32)}
    assert read_model(tmp_path, graph(nodes, held, (1, 4))).ties == ()


# Constants


def test_quantized_weights_are_computed(tmp_path):
    nodes = [node("DequantizeLinear", "q s z", "w", axis=1), node("MatMul", "x w", "y")]
    q = np.random.default_rng(0).integers(-128, 128, (6, 4)).astype(np.int8)
    held = {"q": q, "s": np.float32([0.1, 0.2, 0.3, 0.7]), "z": np.int8([1, -2, 0, 127])}
    found = read_model(tmp_path, graph(nodes, held, (1, 6)))
    expected = (q.astype(np.int32) - held["z"]).astype(np.float32) * held["s"]
    (linear,) = (x for x in found.layers.values() if isinstance(x, Linear))
    assert (linear.weight.value == expected.T).all()
    assert (found.extras["onnx"]["tensors"]["q"] == q).all()


def test_a_transpose_that_no_array_has_is_refused(tmp_path):
    nodes = [node("Transpose", "w", "v", perm=[0, 0, 0]), node("MatMul", "x v", "y")]
    with pytest.raises(ReadError, match="a Transpose of 2 axes"):
        read_model(tmp_path, graph(nodes, {"w": numbers(4, 3)}, (1, 4)))
