"""The onnx format: tensors of every type, graphs of other tools, hostile files."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import onnx.inliner
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from onnx_graphs import model_of, read_model
from onnx_nets import (
    FAST,
    FIXTURES,
    chain,
    dyadic,
    exported,
    leaky,
    plain,
    read,
    spikes,
    write,
)
from snnbridge import (
    CheckpointError,
    ReadError,
)
from snnbridge.model import (
    Input,
    Linear,
    Neuron,
)
from snnbridge_plugins.onnx import FORMAT


@pytest.fixture
def net():
    return plain()


# Tensors


@pytest.mark.parametrize("name", [n for n in list(TensorProto.DataType.keys()) if n != "UNDEFINED"])
@pytest.mark.parametrize("raw", [True, False])
def test_a_tensor_of_every_type_is_read(tmp_path, name, raw):
    kind = TensorProto.DataType.Value(name)
    if name == "STRING":
        array = np.array(["a", "µ"], object)
        held = oh.make_tensor("t", kind, [2], [x.encode() for x in array])
    else:
        dtype = oh.tensor_dtype_to_np_dtype(kind)
        array = np.array([0, 1, 1, 0, 1]).astype(dtype)
        if raw:
            held = numpy_helper.from_array(array, "t")
        elif name in ("FLOAT6E2M3FN", "FLOAT6E3M2FN"):
            pytest.skip("has no other form")
        else:
            held = oh.make_tensor("t", kind, [5], array.astype(np.float32) if "FLOAT" in name
                                  else array)  # fmt: skip
    graph = oh.make_graph([], "g", [], [], [held])
    (tmp_path / "t.onnx").write_bytes(oh.make_model(graph).SerializeToString())
    if name.startswith("FLOAT6"):
        with pytest.raises(ReadError, match="type"):
            read(tmp_path / "t.onnx")
        return
    found = read(tmp_path / "t.onnx").extras["onnx"]["tensors"]["t"]
    assert found.tobytes() == array.tobytes() if name != "STRING" else list(found) == list(array)
    assert name == "STRING" or found.dtype == array.dtype


# Graphs of other tools


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.onnx")), ids=lambda p: p.name)
def test_exports_of_torch_give_their_weights_by_name(path):
    found = read(path)
    with np.load(path.with_name(path.name.split(".")[0] + ".weights.npz")) as held:
        weights = {k: held[k] for k in held.files if held[k].ndim and "norm" not in k}
    folded = "images" in path.name  # the exporters fold the normalisation into the convolution
    nameless = path.name == "sinabs_baked.dynamo.onnx"  # turned around by the exporter
    for key, value in weights.items():
        layer, _, parameter = key.rpartition(".")
        if value.ndim and not (folded and layer == "conv") and parameter in ("weight", "bias"):
            layer = "node_MatMul_1" if nameless else layer
            held = found.layers[layer].parameters[parameter].value
            assert (held == value).all(), key
    assert found.source.dialect == "foreign"
    assert found.source.framework == ("sc-neurocore" if "sc_" in path.name else "pytorch")


@pytest.mark.parametrize(
    "name", ["snntorch_loop", "norse_baked", "spikingjelly_baked", "sinabs_baked"]
)
def test_a_state_that_was_baked_in_is_reported(name):
    for path in FIXTURES.glob(f"{name}.*.onnx"):
        found = read(path)
        assert not any(isinstance(x, Neuron) for x in found.layers.values())
        assert any("baked in" in note for note in found.source.notes)


def test_ordinary_layers_are_recognised():
    kinds = [x.kind for x in read(FIXTURES / "images.script.onnx").layers.values()]
    assert kinds == ["Input", "Conv2d", "Opaque", "AvgPool", "Flatten", "Linear", "Output"]


def test_a_product_and_an_addition_are_one_layer(tmp_path):
    weight, bias = np.arange(12, dtype=np.float32).reshape(4, 3), np.ones(3, np.float32)
    nodes = [oh.make_node("MatMul", ["x", "w"], ["h"]), oh.make_node("Add", ["b", "h"], ["y"])]
    found = read_model(tmp_path, model_of(nodes, {"w": weight, "b": bias}))
    layer = found.layers["MatMul"]
    assert (layer.weight.value == weight.T).all()
    assert (layer.bias.value == bias).all()
    assert [x.kind for x in found.layers.values()] == ["Input", "Linear", "Output"]


def test_normalisation_and_pools_keep_what_they_state(tmp_path):
    arrays = {k: np.float32([i, i + 1]) for i, k in enumerate(("s", "b", "m", "v"))}
    nodes = [
        oh.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["h"], epsilon=0.5),
        oh.make_node(
            "MaxPool", ["h"], ["i"], kernel_shape=[2, 2], strides=[2, 1], pads=[0, 1, 0, 0]
        ),
        oh.make_node("AveragePool", ["i"], ["y"], kernel_shape=[2, 1], auto_pad="SAME_UPPER"),
    ]
    found = read_model(tmp_path, model_of(nodes, arrays, shape=(1, 2, 6, 6)))
    norm, most, mean = list(found.layers.values())[1:4]
    assert norm.epsilon.value == 0.5
    assert (norm.variance.value == arrays["v"]).all()
    assert (most.window, most.stride, most.padding) == ((2, 2), (2, 1), ((0, 0), (1, 0)))
    assert (mean.padding, mean.count_padding) == ("same", False)


def test_a_dense_layer_of_sc_neurocore_gives_its_weights(tmp_path):
    """Its exporter writes an output without a shape and no functions: invalid, but readable."""
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    node = oh.make_node("SC_Dense", ["x", "Layer_0_weights"], ["y"], domain="sc_neurocore",
                        n_neurons=3, length=256)  # fmt: skip
    graph = oh.make_graph(
        [node], "g", [oh.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [onnx.ValueInfoProto(name="y")], [numpy_helper.from_array(weight, "Layer_0_weights")],
    )  # fmt: skip
    imports = [oh.make_opsetid("", 17), oh.make_opsetid("sc_neurocore", 1)]
    found = read_model(tmp_path, oh.make_model(graph, ir_version=8, opset_imports=imports))
    assert (found.layers["SC_Dense"].weight.value == weight).all()


def test_unknown_operators_are_kept_and_named(tmp_path):
    nodes = [oh.make_node("Mystery", ["x", "c"], ["y"], domain="else", alpha=0.5, mode="fast")]
    model = model_of(nodes, {"c": np.float32([3]), "unused": np.int8([1])})
    found = read_model(tmp_path, model)
    layer = found.layers["Mystery"]
    assert (layer.origin.framework, layer.origin.kind) == ("else", "Mystery")
    assert layer.settings == {"alpha": 0.5, "mode": "fast"}
    assert layer.parameters["input_1"].value == 3
    assert found.extras["onnx"]["tensors"]["unused"] == 1
    assert found.source.notes == ("kept without knowing what they do: 1 Mystery",)


# Strangers' files


def test_only_models_are_taken_for_models(tmp_path, net):
    from snnbridge import Probe

    path = tmp_path / "a.bin"
    write(net, path, format="onnx")
    assert FORMAT.sniff(Probe(path))
    assert read(path).source.format == "onnx"
    for other in Path(__file__).parent.parent.glob("fixtures/*/*"):
        if other.is_file() and other.suffix != ".onnx":
            assert not FORMAT.sniff(Probe(other)), other


@pytest.mark.parametrize("form", ["json", "textproto", "onnxtxt"])
def test_text_and_json_are_refused_with_what_makes_them_a_model(tmp_path, net, form):
    write(net, tmp_path / "net.onnx")
    onnx.save(onnx.load(tmp_path / "net.onnx"), tmp_path / "net.txt", format=form)
    with pytest.raises(ReadError, match=r"a model as text or JSON.*onnx\.save"):
        read(tmp_path / "net.txt")


def linear_model(**changes):
    tensor = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    for key, value in changes.items():
        if isinstance(value, list):
            getattr(tensor, key)[:] = value
        else:
            setattr(tensor, key, value)
    model = model_of([oh.make_node("MatMul", ["x", "w"], ["y"])], {})
    model.graph.initializer.append(tensor)
    return model


def twice(model):
    model.graph.initializer.append(model.graph.initializer[0])
    return model


def both_data():
    model = linear_model()
    model.graph.initializer[0].float_data[:] = [1.0] * 12
    return model


def functions(*pairs):
    made = [
        oh.make_function("f", name, ["x"], ["y"], body, [oh.make_opsetid("", 21)])
        for name, body in pairs
    ]
    call = oh.make_node(pairs[-1][0], ["x"], ["y"], domain="f")
    return model_of([call], functions=made)


def calls(name, count):
    return [oh.make_node(name, ["x"], [f"y{i}" if i else "y"], domain="f") for i in range(count)]


def expanding():
    pairs = [("f0", [oh.make_node("Relu", ["x"], ["y"])])]
    pairs += [(f"f{i + 1}", calls(f"f{i}", 10)) for i in range(9)]
    return functions(*pairs)


def circular():
    return functions(("a", calls("b", 1)), ("b", calls("a", 1)))


def nested(depth):
    """Inner graphs in inner graphs, by hand: the library refuses to write so many."""
    body = b""
    for _ in range(depth):
        graph = b"\x0a" + varint(len(body)) + body if body else b""
        held = b"\x32" + varint(len(graph)) + graph
        body = b"\x2a" + varint(len(held)) + held
    graph = b"\x0a" + varint(len(body)) + body
    return b"\x08\x0a\x3a" + varint(len(graph)) + graph


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


HOSTILE = {
    "empty": (b"", "no graph|no format"),
    "garbage": (b"\x08\x0a\x3a\xff\xff\xff\x7f", "claims"),
    "wire type": (b"\x08\x0a\x3b\x00", "wire type"),
    "endless number": (b"\x08" + b"\xff" * 11, "number"),
    "deep": (nested(70), "deeper"),
    "two graphs": (b"\x08\x0a\x3a\x00\x3a\x00", "twice"),
    "negative dims": (linear_model(dims=[-1, 3]), "at least 0"),
    "huge dims": (linear_model(dims=[1 << 40, 1 << 40]), "bytes"),
    "short data": (linear_model(raw_data=b"\0" * 40), "48 bytes"),
    "long data": (linear_model(raw_data=b"\0" * 50), "48 bytes"),
    "unknown type": (linear_model(data_type=99), "type 99|bytes"),
    "two kinds of data": (both_data(), "both"),
    "two tensors of one name": (twice(linear_model()), "two tensors"),
    "expanding functions": (expanding(), "grow"),
    "circular functions": (circular(), "calls itself"),
    "undefined value": (model_of([oh.make_node("Relu", ["nothing"], ["y"])]), "nobody defines"),
    "value defined twice": (
        model_of([oh.make_node("Relu", ["x"], ["y"]), oh.make_node("Relu", ["x"], ["y"])]),
        "two nodes",
    ),
    "bad text": (b"\x08\x0a\x12\x02\xff\xfe\x3a\x00", "UTF-8"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_is_refused_in_words(tmp_path, name):
    content, words = HOSTILE[name]
    raw = content if isinstance(content, bytes) else content.SerializeToString()
    (tmp_path / "m.onnx").write_bytes(raw)
    with pytest.raises(ReadError, match=words):
        read(tmp_path / "m.onnx", format="onnx")


def test_every_cut_of_a_model_is_refused_in_words(tmp_path, net):
    path = exported(tmp_path / "net.onnx", net)
    raw = path.read_bytes()
    for end in range(0, len(raw), 97):
        (tmp_path / "cut.onnx").write_bytes(raw[:end])
        try:
            found = read(tmp_path / "cut.onnx", format="onnx")
        except ReadError:
            continue
        assert found.source.dialect == "foreign"  # cut behind the graph: another tool's, it seems


@pytest.mark.parametrize("foreign", [False, True])
@FAST
@given(st.data())
def test_no_flipped_byte_gets_past_the_error_family(tmp_path, foreign, data):
    rng = np.random.default_rng(0)
    net = chain(Input("in", (3,)), Linear("fc", dyadic(rng, 2, 3)), leaky("lif", (2,)))
    path = tmp_path / "net.onnx"
    write(net, path)
    other = FIXTURES / "snntorch_step.script.onnx"
    raw = bytearray((other if foreign else path).read_bytes())
    for _ in range(20):
        at = data.draw(st.integers(0, len(raw) - 1))
        changed = raw[:at] + bytes([data.draw(st.integers(0, 255))]) + raw[at + 1 :]
        path.write_bytes(changed)
        with contextlib.suppress(ReadError):
            read(path, format="onnx")


def outside(tmp_path, location="w.bin", **entries):
    model = linear_model(raw_data=b"")
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "m.onnx"


def test_data_beside_the_model_is_read(tmp_path):
    weight = np.arange(12, dtype=np.float32).reshape(4, 3)
    (tmp_path / "w.bin").write_bytes(b"\0" * 8 + weight.tobytes())
    found = read(outside(tmp_path, offset=8, length=48))
    assert (found.layers["MatMul"].weight.value == weight.T).all()


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/hostname", "", "a/../../w.bin", "..\\w.bin"]
)
def test_data_elsewhere_is_refused(tmp_path, location):
    (tmp_path / "w.bin").write_bytes(bytes(48))
    with pytest.raises(ReadError, match="beside"):
        read(outside(tmp_path, location))


@pytest.mark.parametrize(
    "entries",
    [{"offset": 8}, {"length": 1 << 60}, {"offset": -8}, {"offset": "1e3"}, {"length": 40}],
)
def test_a_range_outside_of_the_data_is_refused(tmp_path, entries):
    (tmp_path / "w.bin").write_bytes(bytes(48))
    with pytest.raises(ReadError):
        read(outside(tmp_path, **entries))


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
@pytest.mark.parametrize("kind", ["symlink", "hardlink", "fifo", "folder"])
def test_data_that_is_no_plain_file_is_refused(tmp_path, kind):
    (tmp_path / "secret").write_bytes(bytes(48))
    place = tmp_path / "w.bin"
    if kind == "symlink":
        place.symlink_to("secret")
    elif kind == "hardlink":
        os.link(tmp_path / "secret", place)
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()
    with pytest.raises((ReadError, PermissionError)):
        read(outside(tmp_path))


def test_data_of_an_inner_graph_in_another_file_is_refused(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(48))
    inner = onnx.load(outside(tmp_path), load_external_data=False).graph
    node = oh.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    with pytest.raises(ReadError, match="inner graph"):
        read_model(tmp_path, model_of([node]))


def test_only_own_models_are_run(tmp_path):
    (tmp_path / "m.onnx").write_bytes(linear_model().SerializeToString())
    with pytest.raises(ReadError, match="only models that snnbridge wrote"):
        FORMAT.run(tmp_path / "m.onnx", {"x": spikes(1, 1, 4)}, {})


def test_inputs_by_other_names_are_refused(tmp_path, net):
    path = exported(tmp_path / "net.onnx", net)
    with pytest.raises(CheckpointError, match="'in'"):
        FORMAT.run(path, {"other": spikes(1, 1, 6)}, {})
