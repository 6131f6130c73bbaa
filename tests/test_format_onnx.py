"""The onnx format: models that run with the simulator's spikes, and hold everything."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

import recorded
import recorded_brainpy
import snnbridge
import test_simulate_twin as twin
from onnx_nets import (
    FAST,
    FIXTURES,
    assert_same,
    chain,
    compared,
    dyadic,
    exported,
    leaky,
    plain,
    ran,
    read,
    spikes,
    write,
)
from snnbridge import (
    UNKNOWN,
    CheckpointError,
    IntegrityError,
    Registry,
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
from snnbridge_plugins import brainpy
from snnbridge_plugins.onnx import FORMAT

RECORDED = list(recorded.cases())
BRAINPY = list(recorded_brainpy.cases())


@pytest.fixture
def net():
    return plain()


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
    assert_same(tmp_path / "net.onnx", net, stimulus, initial, stepwise=step, **kept)


@pytest.mark.parametrize("case", BRAINPY, ids=["/".join(c) for c in BRAINPY])
def test_a_network_of_brainpy_runs_with_the_spikes_that_brainpy_recorded(tmp_path, case):
    case = recorded_brainpy.RecordedBrainPy(*case)
    first, kept = case.truth_of.get("first_step", 0), {"state": "kept"} if case.state else {}
    net = replace(case.net, state=case.state, step=first) if case.state else case.net
    path = exported(tmp_path / "net.onnx", net, outputs="all", **kept)
    names = {n for n, x in net.layers.items() if isinstance(x, Input)} or {"input"}
    stimulus = np.asarray(case.seen("input"), np.float32)
    found = ran(path, dict.fromkeys(names, stimulus))
    expected = simulate(net, stimulus, record=list(case.layers), initial=case.initial()).traces
    seen = 0
    for layer, variable, _ in case.truth():
        key = (layer, "spikes" if variable == "output" else variable)
        if key in found:
            assert (found[key] == expected[key]).all(), key
            seen += 1
    assert seen or not list(case.truth())


def test_a_network_trained_in_brainpy_spikes_in_onnxruntime_as_it_did_there(tmp_path):
    folder = FIXTURES.parent / "brainpy-2.8.2"
    spec = FIXTURES.parent / "specs" / "snn.toml"
    trained = snnbridge.read(folder / "snn.bp", spec=spec, registry=Registry([brainpy]))
    write(trained, tmp_path / "snn.onnx")
    with np.load(folder / "snn.record.npz") as record:
        found = FORMAT.run(tmp_path / "snn.onnx", {"Dense0": record["input"]}, {})
        assert (found["Lif0", "spikes"] == record["Lif0.spike"]).all()
        assert found["Lif0", "spikes"].any()


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
    if framework == "nir" and "method" in found.arguments:  # its files do not state it
        required["method"] = "euler"
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
    for layer, variable, ours, trace in compared(path, net, stimulus, stepwise=step, opset=opset):
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
    assert_same(tmp_path / "net.onnx", net, spikes(12, 2, 2, 9, 8), stepwise=step)


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
    assert_same(tmp_path / "net.onnx", net, spikes(20, 3, 6), stepwise=step)


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
    assert_same(tmp_path / "net.onnx", net, spikes(20, 3, 6), stepwise=step)


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
        ("rounded", ("engine", "fc1")),
        ("rounded", ("engine", "fc2")),
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
    for allowed in (False, True):
        with pytest.raises(WriteError, match="'what' is one of unknown kinds") as caught:
            write(odd, tmp_path / "net.onnx", allow_loss=allowed)
        assert "allow" not in str(caught.value)  # it would not help
    kind = Neuron("lif", (2,), model="izhikevich")
    other = SNNCheckpoint([layers[0], kind], connections=[Connection("in", "lif")])
    with pytest.raises(WriteError, match="izhikevich"):
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
    assert [(p.key, p.value) for p in model.graph.node[1].metadata_props] == [
        ("org.snnbridge.class", "snntorch Leaky")
    ]
    held = {t.name: t for t in model.graph.initializer}
    assert held["fc1.weight"].doc_string == "layers/fc1/weight"
    assert [(p.key, p.value) for p in held["fc1.weight"].metadata_props] == [
        ("org.snnbridge.path", '["layers","fc1","weight"]')
    ]


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


@pytest.mark.parametrize("external", ["no", "yes", "safetensors"])
def test_the_same_checkpoint_gives_the_same_bytes(tmp_path, net, external):
    net = replace(net, training={"adam": np.arange(3000.0)})
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(net, tmp_path / name / "net.onnx", options={"external": external})
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == (1 if external == "no" else 2)
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


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
