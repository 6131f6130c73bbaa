"""The onnx format: models that run with the simulator's spikes, and hold everything."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import onnx.inliner
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

import recorded
import recorded_brainpy
import snnbridge
import test_simulate_twin as twin
from snnbridge import (
    UNKNOWN,
    CheckpointError,
    IntegrityError,
    LossyWrite,
    ReadError,
    Registry,
    SNNBridgeError,
    UnknownValue,
    WriteError,
    differences,
    rules,
    simulate,
)
from snnbridge.model import (
    AvgPool,
    BatchNorm,
    Connection,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
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
    Synapse,
    Width,
)
from snnbridge.testing import strategies
from snnbridge_plugins import onnx as plugin
from snnbridge_plugins.onnx import FORMAT

REGISTRY = Registry([plugin])
read = partial(snnbridge.read, registry=REGISTRY)
write = partial(snnbridge.write, registry=REGISTRY)
FIXTURES = Path(__file__).parent.parent / "fixtures" / "torch-onnx-2.13.0"
RECORDED = list(recorded.cases())
BRAINPY = list(recorded_brainpy.cases())
FAST = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def dyadic(rng, *shape):
    return (rng.integers(-8, 16, shape) / 16).astype(np.float32)


def leaky(name, shape, **more):
    arguments = {"beta": 0.5, "threshold": 1.0, **more}
    return rules.get("snntorch", "Leaky").build(name, shape=shape, **arguments)


def chain(*layers, delays=(), more=(), **options):
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    return SNNCheckpoint([*layers, *delays], connections=[*edges, *more], **options)


@pytest.fixture
def net():
    rng = np.random.default_rng(0)
    return chain(
        Input("in", (6,)),
        Linear("fc1", dyadic(rng, 5, 6), dyadic(rng, 5)),
        leaky("lif1", (5,)),
        Linear("fc2", dyadic(rng, 3, 5)),
        leaky("lif2", (3,)),
    )


def spikes(*shape, seed=1):
    return (np.random.default_rng(seed).random(shape) < 0.4).astype(np.float32)


def exported(path, net, **options):
    """Write a model that the checker and strict shape inference take."""
    write(net, path, options=options)
    onnx.checker.check_model(str(path), full_check=True)
    onnx.shape_inference.infer_shapes_path(
        str(path), str(path.with_suffix(".inferred")), strict_mode=True, data_prop=True
    )
    return path


def compared(path, net, stimulus, initial=None, **options):
    """Yield each trace of the simulator beside what onnxruntime makes of the model."""
    exported(path, net, **options)
    inputs = stimulus if isinstance(stimulus, dict) else {"in": stimulus}
    found = FORMAT.run(path, inputs, {})
    names = [n for n, x in net.layers.items() if isinstance(x, Neuron | Synapse)]
    expected = simulate(net, inputs, record=names, initial=initial).traces
    for (layer, variable), trace in expected.items():
        if variable == "output" and (layer, variable) not in found:
            continue  # given in other words: the spikes
        yield layer, variable, found[layer, variable], trace


def assert_same(path, net, stimulus, initial=None, **options):
    """Hold every spike and potential against the simulator, without tolerance."""
    seen = 0
    for layer, variable, ours, trace in compared(path, net, stimulus, initial, **options):
        assert ours.shape == trace.shape, (layer, variable)
        assert (ours == trace).all(), f"{variable} of {layer!r}: {int((ours != trace).sum())}"
        seen += 1
    assert seen


# Running


@pytest.mark.parametrize("step", ["no", "yes"])
@pytest.mark.parametrize("case", RECORDED, ids=["/".join(c) for c in RECORDED])
def test_a_recorded_network_runs_with_the_simulators_spikes_and_potentials(tmp_path, case, step):
    case = recorded.Recorded(*case)
    initial = {
        path: StateVariable(v, None if v.ndim == len(case.layers[path[0]].shape) else 0)
        for path, v in case.initial().items()
    }
    net = replace(case.net, state=initial)
    stimulus = {"input": np.asarray(case.seen("input"), np.float32)}
    kept = {"state": "kept"} if initial else {}
    assert_same(tmp_path / "net.onnx", net, stimulus, initial, step=step, **kept)


@pytest.mark.parametrize("case", BRAINPY, ids=["/".join(c) for c in BRAINPY])
def test_a_network_of_brainpy_runs_with_the_spikes_that_brainpy_recorded(tmp_path, case):
    case = recorded_brainpy.RecordedBrainPy(*case)
    if case.state:
        case.net = replace(case.net, state=case.state)
    write(case.net, tmp_path / "net.onnx", options={"state": "kept"} if case.state else {})
    names = {n for n, x in case.net.layers.items() if isinstance(x, Input)} or {"input"}
    stimulus = np.asarray(case.seen("input"), np.float32)
    found = FORMAT.run(tmp_path / "net.onnx", dict.fromkeys(names, stimulus), {})
    expected = simulate(case.net, stimulus, record=list(case.layers), initial=case.initial()).traces
    late = case.truth_of.get("first_step", 0)
    for layer, variable, _ in case.truth():
        key = (layer, "spikes" if variable == "output" else variable)
        if key in found and not late:
            assert (found[key] == expected[key]).all(), key


def sample(argument):
    if argument.parameter is None and argument.help.startswith(
        ("decay word", "leak, in", "factor")
    ):
        return 64
    return 0.5 if argument.parameter in (None, "decay") else 2.0


def rule_of(framework, kind):
    """Build a layer of a class as a user would: with plain numbers where it demands some."""
    found = rules.get(framework, kind)
    required = {
        name: sample(argument)
        for name, argument in found.arguments.items()
        if name not in found.defaults() and not argument.choices
    }
    return found.build("it", shape=(4,), **required)


CLASSES = sorted(key for key, found in rules.classes.items() if found.layer in (Neuron, Synapse))


@pytest.mark.parametrize(("framework", "kind"), CLASSES, ids=[".".join(c) for c in CLASSES])
def test_every_named_rule_runs(tmp_path, framework, kind):
    layer = rule_of(framework, kind)
    rng = np.random.default_rng(3)
    net = chain(
        Input("in", (6,)),
        Linear("fc", dyadic(rng, 4, 6)),
        layer,
        dt=Quantity(0.5, "ms"),
    )
    try:
        simulate(net, spikes(1, 1, 6))
    except UnknownValue:
        with pytest.raises(UnknownValue, match="does not state"):
            write(net, tmp_path / "net.onnx")
        return
    assert_same(tmp_path / "net.onnx", net, spikes(20, 2, 6))


@FAST
@given(twin.stacks(), st.sampled_from(["no", "yes"]), st.sampled_from(["21", "17"]))
def test_every_switch_gives_the_simulators_spikes(tmp_path, case, step, opset):
    net, stimulus = case
    wide = net.layers["syn"].rule.width is Width.FLOAT64
    stimulus = stimulus.astype(np.float64 if wide else np.float32)
    path = tmp_path / "net.onnx"
    for layer, variable, ours, trace in compared(path, net, stimulus, step=step, opset=opset):
        if not wide:
            assert (ours == trace).all(), (layer, variable)
        elif variable != "spikes":  # sums of float64 weights are rounded in each engine's order
            assert np.allclose(ours, trace, rtol=1e-10, atol=1e-10), (layer, variable)


@FAST
@given(twin.integer_nets())
def test_integer_rules_run_with_the_simulators_words(tmp_path, case):
    net, stimulus = case
    assert_same(tmp_path / "net.onnx", net, stimulus)


def images(rng):
    return chain(
        Input("in", (2, 9, 8)),
        Conv2d("conv", dyadic(rng, 4, 1, 3, 2), dyadic(rng, 4), stride=(2, 1),
               padding=((1, 0), (1, 1)), dilation=(1, 2), groups=2),
        BatchNorm("norm", dyadic(rng, 4), np.abs(dyadic(rng, 4)) + 1, dyadic(rng, 4),
                  dyadic(rng, 4), epsilon=1e-5),
        leaky("lif1", (4, 4, 8)),
        AvgPool("avg", window=(2, 2), stride=(1, 2), padding=((1, 0), (0, 1)), count_padding=False),
        SumPool("sum", window=(2, 1), stride=(1, 1), padding=0),
        MaxPool("max", window=(2, 2), stride=(1, 1), padding="same"),
        Scale("scale", np.float32([0.5, 1, 2, 3]).reshape(4, 1, 1)),
        Flatten("flat", order="channels last"),
        Linear("fc", dyadic(rng, 3, 48)),
        leaky("lif2", (3,)),
    )  # fmt: skip


@pytest.mark.parametrize("step", ["no", "yes"])
def test_convolutions_pools_and_norms_run(tmp_path, step):
    net = images(np.random.default_rng(5))
    assert_same(tmp_path / "net.onnx", net, spikes(12, 2, 2, 9, 8), step=step)


def test_one_axis_is_enough_for_windows(tmp_path):
    rng = np.random.default_rng(6)
    net = chain(
        Input("in", (3, 10)),
        Conv1d("conv", dyadic(rng, 2, 3, 3), None, stride=1, padding="same", dilation=1, groups=1),
        leaky("lif", (2, 10)),
        MaxPool("max", window=(2,), stride=(2,), padding=0),
        Flatten("flat", order="channels first"),
        Linear("fc", dyadic(rng, 3, 10)),
        leaky("last", (3,)),
    )
    assert_same(tmp_path / "net.onnx", net, spikes(12, 2, 3, 10))


@pytest.mark.parametrize("step", ["no", "yes"])
def test_a_cycle_across_layers_runs(tmp_path, step):
    rng = np.random.default_rng(7)
    layers = [
        Input("in", (6,)),
        Linear("fc1", dyadic(rng, 5, 6)),
        leaky("lif1", (5,)),
        Linear("fc2", dyadic(rng, 4, 5), dyadic(rng, 4)),
        rules.get("brainpy", "LifRef").build(
            "lif2", shape=(4,), tau=2.0, tau_ref=1.5, V_th=0.5, V_reset=0.0, V_rest=0.0
        ),
        Linear("back", dyadic(rng, 5, 4), dyadic(rng, 5)),
        Delay("late", Parameter(np.array([1, 2, 3, 2, 1]), "step")),
        Linear("own", dyadic(rng, 4, 4)),
        Linear("out", dyadic(rng, 2, 4)),
        rules.get("snntorch", "Leaky").build(
            "readout", shape=(2,), beta=0.5, reset_mechanism="none"
        ),
    ]
    edges = [
        *("in fc1 0", "fc1 lif1 0", "lif1 fc2 0", "fc2 lif2 0", "lif2 back 0", "back late 0"),
        *("late lif1 0", "lif2 own 1", "own lif2 0", "lif2 out 2", "out readout 0"),
    ]
    connections = [Connection(a, b, int(n)) for a, b, n in map(str.split, edges)]
    net = SNNCheckpoint(layers, connections=connections, dt=Quantity(1.0, "ms"))
    assert_same(tmp_path / "net.onnx", net, spikes(20, 3, 6), step=step)


@pytest.mark.parametrize("step", ["no", "yes"])
@pytest.mark.parametrize("delays", [[0, 1, 3, 2], [1, 2, 3, 2]])
def test_elements_with_their_own_delays_run(tmp_path, step, delays):
    rng = np.random.default_rng(8)
    net = chain(
        Input("in", (6,)),
        Linear("fc", dyadic(rng, 4, 6)),
        leaky("lif", (4,), graded_spikes_factor=0.75),
        Delay("late", Parameter(np.array(delays), "step")),
        Linear("out", dyadic(rng, 2, 4)),
        leaky("last", (2,)),
    )
    assert_same(tmp_path / "net.onnx", net, spikes(20, 3, 6), step=step)


def test_subgraphs_and_several_inputs_and_outputs_run(tmp_path):
    rng = np.random.default_rng(9)
    inner = Subgraph(
        "block",
        [Linear("fc", dyadic(rng, 4, 6)), leaky("lif", (4,))],
        (Connection("fc", "lif"),),
        inputs={"x": "fc"},
        outputs={"y": "lif"},
    )
    layers = [Input("a", (6,)), Input("b", (4,)), inner, leaky("sum", (4,)), Output("left", (4,)),
              Output("right", (4,))]  # fmt: skip
    edges = [
        Connection("a", "block", 0, None, "x"),
        Connection("block", "sum", 0, "y", None),
        Connection("b", "sum"),
        Connection("sum", "left", 1),
        Connection("block", "right", 0, "y", None),
    ]
    net = SNNCheckpoint(layers, connections=edges)
    inputs = {"a": spikes(10, 2, 6), "b": spikes(10, 2, 4)}
    found = FORMAT.run(exported(tmp_path / "net.onnx", net), inputs, {})
    expected = simulate(net, inputs)
    for key in (("left", "output"), ("right", "output")):
        assert (found[key] == expected.traces[key]).all()


def test_a_run_goes_on_from_the_states_of_the_last(tmp_path, net):
    path, stimulus = exported(tmp_path / "net.onnx", net), spikes(20, 2, 6)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_outputs()]
    whole = dict(zip(names, session.run(names, {"in": stimulus}), strict=True))
    first = dict(zip(names, session.run(names, {"in": stimulus[:7]}), strict=True))
    states = {f"{n}.v.start": first[f"{n}.v.end"] for n in ("lif1", "lif2")}
    rest = session.run(["lif2.spikes"], {"in": stimulus[7:], **states})[0]
    assert (np.concatenate([first["lif2.spikes"], rest]) == whole["lif2.spikes"]).all()


def test_a_run_starts_from_the_checkpoints_state_if_asked(tmp_path, net):
    state = {("lif1", "v"): StateVariable(np.float32([0.5, 0, 0.25, -1, 2]), None)}
    net = replace(net, state=state)
    assert_same(tmp_path / "kept.onnx", net, spikes(9, 2, 6), state, state="kept")
    assert_same(tmp_path / "rest.onnx", net, spikes(9, 2, 6))


def test_float32_sums_are_named_as_a_risk(tmp_path, net):
    ledger = write(net, tmp_path / "net.onnx", options={"sums": "float32"})
    assert [(e.status.value, e.path) for e in ledger.told] == [
        ("rounded", ("layers", "fc1")),
        ("rounded", ("layers", "fc2")),
    ]
    assert "threshold" in ledger.told[0].reason
    assert_same(tmp_path / "net.onnx", net, spikes(20, 2, 6), sums="float32")  # dyadic: exact


def test_what_a_step_lacks_is_refused_with_the_list(tmp_path, net):
    layers = {**net.layers, "lif1": Neuron("lif1", (5,), {"threshold": 1.0})}
    with pytest.raises(UnknownValue, match="'lif1'") as caught:
        write(replace(net, layers=layers), tmp_path / "net.onnx")
    assert ("lif1", "rule.form") in caught.value.missing
    with pytest.raises(UnknownValue, match="connections"):
        write(replace(net, connections=UNKNOWN), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_what_no_operator_computes_is_refused_with_the_reason(tmp_path, net):
    layers = [Input("in", (2,)), Opaque("what")]
    odd = SNNCheckpoint(layers, connections=[Connection("in", "what")])
    with pytest.raises(LossyWrite, match="unknown kinds"):
        write(odd, tmp_path / "net.onnx")
    with pytest.raises(SNNBridgeError, match="no word for"):
        write(odd, tmp_path / "net.onnx", allow_loss=True)
    kind = Neuron("lif", (2,), model="izhikevich")
    other = SNNCheckpoint([layers[0], kind], connections=[Connection("in", "lif")])
    with pytest.raises(LossyWrite, match="izhikevich"):
        write(other, tmp_path / "net.onnx")
    loop = SNNCheckpoint([leaky("lif", (2,))], connections=[Connection("lif", "lif", 1)])
    with pytest.raises((WriteError, CheckpointError), match="no input"):
        write(loop, tmp_path / "net.onnx")


def test_a_checkpoint_without_layers_is_a_model_without_nodes(tmp_path):
    write(SNNCheckpoint([], metadata={"a": 1}), tmp_path / "net.onnx")
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    assert read(tmp_path / "net.onnx").metadata == {"a": 1}


def test_functions_of_one_rule_are_shared(tmp_path, net):
    model = onnx.load(exported(tmp_path / "net.onnx", net))
    assert [f.name for f in model.functions] == ["LinearBias", "Leaky", "Linear"]
    assert [n.op_type for n in model.graph.node[:4]] == ["LinearBias", "Leaky", "Linear", "Leaky"]
    assert {n.name for n in model.graph.node[:4]} == {"fc1", "lif1", "fc2", "lif2"}
    assert (model.ir_version, model.opset_import[0].version) == (10, 21)
    assert "reset='subtract'" in model.functions[1].doc_string


def test_the_reference_evaluator_of_onnx_runs_it_too(tmp_path, net):
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(exported(tmp_path / "net.onnx", net)))
    zero = np.zeros((1, 1), np.float32)
    feeds = {"in": spikes(9, 2, 6), "lif1.v.start": zero, "lif2.v.start": zero}
    found = evaluator.run(["lif2.spikes"], feeds)[0]
    assert (found == simulate(net, spikes(9, 2, 6)).spikes["lif2"]).all()


def test_names_of_any_text_run(tmp_path):
    rng = np.random.default_rng(2)
    odd = ["", "a/b.c", "🧠", "a b"]
    net = chain(
        Input(odd[0], (3,)),
        Linear(odd[1], dyadic(rng, 4, 3)),
        leaky(odd[2], (4,)),
        Output(odd[3], (4,)),
    )
    assert_same(tmp_path / "net.onnx", net, {"": spikes(9, 2, 3)})
    assert not list(differences(net, read(tmp_path / "net.onnx")))


# Reading back


@pytest.mark.parametrize("external", ["no", "yes", "safetensors"])
def test_everything_comes_back(tmp_path, external):
    net = images(np.random.default_rng(5))
    net = replace(net, training={"adam": {"m": np.arange(3000.0), "step": 3}}, frozen_layers=["fc"])
    path = exported(tmp_path / "net.onnx", net, external=external)
    back = read(path)
    assert not list(differences(net, back))
    assert back.source.dialect == "snnbridge"
    assert back.source.notes == ()
    assert len(list(tmp_path.glob("net.onnx*"))) == (1 if external == "no" else 2)
    assert_same(path, net, spikes(4, 2, 2, 9, 8), external=external)


@FAST
@given(strategies.checkpoints())
def test_whatever_stands_beside_a_network_comes_back(tmp_path, other):
    rng = np.random.default_rng(0)
    net = chain(Input("in", (3,)), Linear("fc", dyadic(rng, 2, 3)), leaky("lif", (2,)))
    net = replace(
        net,
        training=other.training,
        metadata=other.metadata,
        extras=other.extras,
        step=other.step,
        provenance=other.provenance,
    )
    write(net, tmp_path / "net.onnx")
    back = read(tmp_path / "net.onnx")
    assert not list(differences(net, back))
    assert back.provenance == net.provenance


@pytest.mark.parametrize(
    "dtype", ["float16", "float64", "int8", "uint16", "bool", "bfloat16", "int4"]
)
def test_weights_of_any_dtype_run_and_come_back(tmp_path, dtype):
    from snnbridge.document import dtype_of

    weight = np.array([[1, 0, 1], [0, 1, 1]], np.float32).astype(dtype_of(dtype))
    net = chain(Input("in", (3,)), Linear("fc", weight), leaky("lif", (2,)))
    assert_same(tmp_path / "net.onnx", net, spikes(9, 2, 3))
    assert read(tmp_path / "net.onnx").layers["fc"].weight.value.dtype == weight.dtype


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path, net):
    for name in ("a", "b"):
        write(net, tmp_path / f"{name}.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_data_file_is_one_of_safetensors(tmp_path):
    weight = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    net = chain(Input("in", (64,)), Linear("fc", weight), leaky("lif", (64,)))
    write(net, tmp_path / "net.onnx", options={"external": "safetensors"})
    raw = (tmp_path / "net.onnx.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    table = json.loads(raw[8 : 8 + size])
    start, end = table["fc.weight"]["data_offsets"]
    assert raw[8 + size + start : 8 + size + end] == weight.tobytes()
    assert table["fc.weight"] == {"dtype": "F32", "shape": [64, 64], "data_offsets": [start, end]}
    assert len(raw) == 8 + size + end


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


def test_what_a_tool_took_or_changed_is_named_and_the_rest_is_read(tmp_path, net):
    path = exported(tmp_path / "net.onnx", net)
    model = onnx.load(path)
    held = {t.name: t for t in model.graph.initializer}
    held["fc1.weight"].CopyFrom(numpy_helper.from_array(np.ones((5, 6), np.float32), "fc1.weight"))
    model.graph.initializer.remove(held["fc2.weight"])
    onnx.save(model, path)
    back = read(path)
    assert back.layers["fc2"].weight.value is UNKNOWN
    assert (back.layers["fc1"].weight.value == 1).all()
    assert (back.layers["fc1"].bias.value == net.layers["fc1"].bias.value).all()
    assert len(back.source.notes) == 2
    assert any("fc1.weight" in n and "changed" in n for n in back.source.notes)
    assert any("fc2.weight" in n and "missing" in n for n in back.source.notes)


def test_a_changed_document_is_refused(tmp_path, net):
    path = exported(tmp_path / "net.onnx", net)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'"form":"affine"', b'"form":"broken"'))
    with pytest.raises(IntegrityError, match="differs"):
        read(path)


@pytest.mark.skipif(sys.platform == "win32", reason="measured by the resource module")
@pytest.mark.parametrize("external", ["no", "yes"])
def test_a_large_model_is_written_in_little_memory(tmp_path, external):
    import psutil

    rows = np.broadcast_to(np.arange(8192, dtype=np.float32), (8192, 8192))
    net = chain(Input("in", (8192,)), Linear("fc", rows), leaky("lif", (8192,)))
    before = psutil.Process().memory_info().rss
    write(net, tmp_path / "net.onnx", options={"external": external})
    assert psutil.Process().memory_info().rss - before < 64 << 20
    model = onnx.load(tmp_path / "net.onnx", load_external_data=False)
    assert [t.dims for t in model.graph.initializer if t.name == "fc.weight"] == [[8192, 8192]]


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
    for key, value in weights.items():
        layer, _, parameter = key.rpartition(".")
        if value.ndim and not (folded and layer == "conv") and parameter in ("weight", "bias"):
            held = found.layers[layer].parameters[parameter].value
            assert (held == value).all(), key
    assert found.source.dialect == "foreign"
    assert found.source.framework == "pytorch"


@pytest.mark.parametrize("name", ["snntorch_loop", "norse_baked", "spikingjelly_baked"])
def test_a_state_that_was_baked_in_is_reported(name):
    for path in FIXTURES.glob(f"{name}.*.onnx"):
        found = read(path)
        assert not any(isinstance(x, Neuron) for x in found.layers.values())
        assert any("baked in" in note for note in found.source.notes)


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
    assert any("states" in note and "spec" in note for note in found.source.notes)


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


def test_ordinary_layers_are_recognised():
    kinds = [x.kind for x in read(FIXTURES / "images.script.onnx").layers.values()]
    assert kinds == ["Input", "Conv2d", "Opaque", "AvgPool", "Flatten", "Linear", "Output"]


def model_of(nodes, initializers=(), inputs=("x",), outputs=("y",), shape=(1, 4), **more):
    infos = [oh.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in inputs]
    ends = [oh.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    held = [numpy_helper.from_array(v, k) for k, v in dict(initializers).items()]
    graph = oh.make_graph(nodes, "g", infos, ends, held)
    return oh.make_model(graph, ir_version=10, opset_imports=[oh.make_opsetid("", 21)], **more)


def read_model(tmp_path, model):
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    return read(tmp_path / "m.onnx")


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
