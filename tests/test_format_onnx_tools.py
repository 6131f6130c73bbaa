"""What is left of a checkpoint in the onnx format when tools of ONNX have worked on its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnx.inliner
import onnx.version_converter
import onnxruntime
import pytest
from onnx import numpy_helper

from onnx_nets import chain, dyadic, exported, leaky, plain, read, spikes, write
from snnbridge import UNKNOWN, differences, simulate
from snnbridge.document import dtype_of
from snnbridge.model import Conv2d, Flatten, Input, Linear
from snnbridge_plugins.onnx import FORMAT

NUMBERED = np.arange(3000.0)


@pytest.fixture
def net():
    return replace(plain(), training={"adam": NUMBERED}, metadata={"made": "by hand"})


@pytest.fixture
def path(tmp_path, net):
    return exported(tmp_path / "net.onnx", net)


def names_noted(checkpoint):
    """Return the arrays that a reader was told of, with what happened to each."""
    notes = (note.partition(" (tensor ") for note in checkpoint.source.notes)
    return {name: rest.partition(") ")[2] for name, _, rest in notes}


# Nothing is lost


@pytest.mark.parametrize("tool", ["save", "textproto", "json", "inferred", "inlined", "external"])
def test_a_model_survives_tools(tmp_path, net, tool):
    path = exported(tmp_path / "net.onnx", net)
    model, other = onnx.load(path), tmp_path / "other.onnx"
    if tool in ("textproto", "json"):
        onnx.save(model, tmp_path / f"net.{tool}", format=tool)
        model = onnx.load(tmp_path / f"net.{tool}", format=tool)
    elif tool == "inferred":
        model = onnx.shape_inference.infer_shapes(model)
    elif tool == "inlined":
        model = onnx.inliner.inline_local_functions(model)
    moved = {"save_as_external_data": True, "size_threshold": 0, "location": "moved.bin"}
    onnx.save(model, other, **(moved if tool == "external" else {}))
    back = read(other)
    assert not list(differences(net, back))
    assert back.source.notes == ()


@pytest.mark.parametrize("name", ["other.onnx", "other.textproto", "other.onnxjson"])
def test_a_model_survives_onnx_ir(tmp_path, net, name):
    onnx_ir = pytest.importorskip("onnx_ir")
    path = exported(tmp_path / "net.onnx", net)
    onnx_ir.save(onnx_ir.load(path), tmp_path / name)
    onnx.save(onnx.load(tmp_path / name), tmp_path / "back.onnx")
    back = read(tmp_path / "back.onnx")
    assert not list(differences(net, back))
    assert back.source.notes == ()


@pytest.mark.parametrize("external", ["yes", "safetensors"])
def test_data_may_move_into_the_model_and_out_again(tmp_path, net, external):
    write(net, tmp_path / "net.onnx", options={"external": external})
    whole = onnx.load(tmp_path / "net.onnx")
    onnx.save(whole, tmp_path / "inside.onnx")
    onnx.save(whole, tmp_path / "out.onnx", save_as_external_data=True, size_threshold=0,
              all_tensors_to_one_file=False)  # fmt: skip
    for name in ("inside", "out"):
        back = read(tmp_path / f"{name}.onnx")
        assert not list(differences(net, back))
        assert back.source.notes == ()


def test_data_may_move_to_safetensors_by_onnx_ir(tmp_path, path, net):
    onnx_ir = pytest.importorskip("onnx_ir")
    pytest.importorskip("safetensors")
    onnx_ir.save_safetensors(onnx_ir.load(path), tmp_path / "other.onnx")
    back = read(tmp_path / "other.onnx")
    assert not list(differences(net, back))
    assert back.source.notes == ()


# What is lost or changed has a name


@pytest.mark.parametrize("level", ["ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"])
def test_onnxruntimes_optimizer_renames_weights_and_drops_what_the_graph_does_not_use(
    tmp_path, path, net, level
):
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    back = read(tmp_path / "optimized.onnx")
    found = names_noted(back)
    assert found.pop("training.adam") == "is missing since it was written"
    assert set(found) == {"layers.fc1.weight", "layers.fc1.bias", "layers.fc2.weight"}
    assert all("is now called" in what for what in found.values())
    assert [d.path for d in differences(net, back)] == [("training", "adam")]
    assert back.source.integrity == "changed"
    x = spikes(20, 2, 6)
    assert (simulate(back, x).spikes["lif2"] == simulate(net, x).spikes["lif2"]).all()


def test_weights_that_were_turned_and_widened_are_found_by_their_digest(tmp_path, path, net):
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name == "fc1.weight":
            turned = numpy_helper.to_array(tensor).T.astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(turned), "folded_7"))
        elif tensor.name == "adam":
            tensor.name = "renamed"
    onnx.save(model, path)
    back = read(path)
    assert not list(differences(net, back))
    assert names_noted(back) == {
        "layers.fc1.weight": "is now called 'folded_7'",
        "training.adam": "is now called 'renamed'",
    }


def test_rounded_weights_under_another_name_are_not_taken_for_the_old_ones(path):
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name == "fc1.weight":
            halved = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(halved, "quantized"))
    onnx.save(model, path)
    back = read(path)
    assert back.layers["fc1"].weight.value is UNKNOWN
    assert names_noted(back) == {"layers.fc1.weight": "is missing since it was written"}


def test_a_changed_tensor_is_named_and_read_as_it_is(path, net):
    model = onnx.load(path)
    held = {t.name: t for t in model.graph.initializer}
    held["fc1.weight"].CopyFrom(numpy_helper.from_array(np.ones((5, 6), np.float32), "fc1.weight"))
    onnx.save(model, path)
    back = read(path)
    assert names_noted(back) == {"layers.fc1.weight": "has changed since it was written"}
    assert (back.layers["fc1"].weight.value == 1).all()
    assert {d.path[:3] for d in differences(net, back)} == {("layers", "fc1", "weight")}


def test_a_removed_tensor_is_named_and_unknown(path, net):
    model = onnx.load(path)
    held = {t.name: t for t in model.graph.initializer}
    model.graph.initializer.remove(held["fc2.weight"])
    model.graph.initializer.remove(held["adam"])
    onnx.save(model, path)
    back = read(path)
    assert names_noted(back) == {
        "layers.fc2.weight": "is missing since it was written",
        "training.adam": "is missing since it was written",
    }
    assert back.layers["fc2"].weight.value is UNKNOWN
    assert back.training == {}
    found = [d.path for d in differences(net, back)]
    assert found == [("layers", "fc2", "weight"), ("training", "adam")]


def without_metadata(path):
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    return read(path)


@pytest.mark.parametrize("options", [{}, {"stepwise": "yes"}, {"opset": "17"}])
def test_without_its_metadata_a_model_says_what_its_functions_say(tmp_path, options):
    net = plain()
    write(net, tmp_path / "net.onnx", options=options)
    back = without_metadata(tmp_path / "net.onnx")
    assert back.source.dialect == "foreign"
    assert back.source.integrity == "changed"
    assert any("took its description away" in note for note in back.source.notes)
    assert [layer.kind for layer in back.layers.values()][:5] == [
        x.kind for x in net.layers.values()
    ]
    for name in ("fc1", "fc2"):
        for key, held in net.layers[name].parameters.items():
            assert (back.layers[name].parameters[key].value == held.value).all()
    stimulus = spikes(40, 3, 6)
    record = ["lif1", "lif2"]
    ours, theirs = (simulate(x, stimulus, record=record).spikes for x in (net, back))
    assert (ours["lif1"] == theirs["lif1"]).all()
    assert (ours["lif2"] == theirs["lif2"]).all()
    assert ours["lif2"].any()


def test_without_its_metadata_the_settings_of_windows_are_unknown(tmp_path):
    conv = Conv2d(
        "c", dyadic(np.random.default_rng(0), 2, 1, 3, 3), stride=2, padding=1, dilation=1, groups=1
    )
    net = chain(
        Input("in", (1, 6, 6)), conv, leaky("l", (2, 3, 3)),
        Flatten("f", order="channels first"), Linear("fc", np.ones((2, 18), np.float32)),
    )  # fmt: skip
    write(net, tmp_path / "net.onnx")
    back = without_metadata(tmp_path / "net.onnx")
    found = back.layers["c"]
    assert (found.weight.value == conv.weight.value).all()
    assert (found.stride, found.padding) == (UNKNOWN, UNKNOWN)
    assert [x.kind for x in back.layers.values()][:5] == [x.kind for x in net.layers.values()]


def test_metadata_of_other_tools_stands_beside_ours(path, net):
    model = onnx.load(path)
    model.metadata_props.add(key="model_author", value="somebody")
    onnx.save(model, path)
    assert not list(differences(net, read(path)))


# The types of ONNX's tensors, and those that it lacks

STORED = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
          "uint32", "uint64", "bool", "complex64", "complex128", "bfloat16", "float8_e4m3fn",
          "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "int4", "uint4"]  # fmt: skip
AS_BYTES = ["float8_e8m0fnu", "float4_e2m1fn", "int2", "uint2", "float8_e3m4", "float8_e4m3",
            "float8_e4m3b11fnuz", "float6_e2m3fn", "float6_e3m2fn", "longdouble", "<U5", "S3",
            "M8[us]", "m8[ns]"]  # fmt: skip


def sample(dtype, shape=(3, 601)):
    """Return an array of every bit pattern that the type has, or many."""
    rng = np.random.default_rng(0)
    bits = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}.get(dtype)
    size = int(np.prod(shape))
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype == "longdouble":
        return rng.normal(size=shape).astype(np.longdouble) / 3
    if dtype in ("<U5", "S3"):
        return np.array([chr(97 + n % 26) for n in range(size)], dtype).reshape(shape)
    kind = dtype_of(dtype) if dtype[0] not in "Mm" else np.dtype(dtype)
    if bits or dtype.startswith("float6_"):
        raw = rng.integers(0, 1 << (bits or 6), size).astype(np.uint8)
        if dtype.startswith("int"):  # kept with their sign in whole bytes
            raw = ((raw.astype(np.int8) ^ (1 << bits - 1)) - (1 << bits - 1)).astype(np.int8)
            return raw.astype(kind).reshape(shape)
        return raw.view(kind).reshape(shape)
    return np.frombuffer(rng.bytes(size * kind.itemsize), kind).reshape(shape)


@pytest.mark.parametrize("dtype", STORED + AS_BYTES)
def test_arrays_of_every_type_keep_every_bit(tmp_path, dtype):
    array = sample(dtype)
    turned = np.asfortranarray(array)
    held = {"whole": array, "turned": turned, "empty": array[:0], "strided": array[:, ::2]}
    write(replace(plain(), training=held), tmp_path / "net.onnx")
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    back = read(tmp_path / "net.onnx").training
    for name, expected in held.items():
        assert back[name].dtype == expected.dtype
        assert back[name].shape == expected.shape
        assert back[name].tobytes() == expected.tobytes()
    kinds = {t.name: t.data_type for t in onnx.load(tmp_path / "net.onnx").graph.initializer}
    assert (kinds["whole"] == onnx.TensorProto.UINT8) == (dtype in [*AS_BYTES, "uint8"])


@pytest.mark.parametrize("dtype", [x for x in STORED if x not in ("complex64", "complex128")])
def test_onnx_reads_the_same_bits_from_our_tensors(tmp_path, dtype):
    array = sample(dtype)
    write(replace(plain(), training={"whole": array}), tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    (tensor,) = (t for t in model.graph.initializer if t.name == "whole")
    assert numpy_helper.to_array(tensor).tobytes() == array.tobytes()


# Streams


def test_a_model_of_single_steps_gives_a_streams_spikes(tmp_path):
    rng = np.random.default_rng(3)
    net = chain(Input("in", (6,)), Linear("fc1", dyadic(rng, 5, 6)), leaky("lif1", (5,)),
                Linear("fc2", dyadic(rng, 3, 5)), leaky("lif2", (3,)))  # fmt: skip
    path = exported(tmp_path / "step.onnx", net, stepwise="yes")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    stream, states, found = spikes(40, 2, 6), {}, []
    ends = ["lif1.v.end", "lif2.v.end"]
    for now in stream:
        out, *states_now = session.run(["lif2.spikes", *ends], {"in": now, **states})
        found.append(out)
        states = {end.replace(".end", ".start"): x for end, x in zip(ends, states_now, strict=True)}
    whole = FORMAT.run(exported(tmp_path / "whole.onnx", net), {"in": stream}, {})
    assert (np.stack(found) == whole["lif2", "spikes"]).all()
    assert (np.stack(found) == simulate(net, stream).spikes["lif2"]).all()
