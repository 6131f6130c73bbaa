"""What somebody finds in a model who opens it, changes it, or runs it with other states."""

import importlib.util
import itertools
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import defs

import recorded_brainpy
from onnx_nets import (
    REGISTRY,
    assert_same,
    chain,
    dyadic,
    exported,
    held,
    leaky,
    plain,
    ran,
    read,
    session_of,
    spikes,
    write,
)
from snnbridge import (
    UNKNOWN,
    CheckpointError,
    SNNCheckpoint,
    StateVariable,
    UnknownValue,
    WriteError,
    convert,
    rules,
    simulate,
    verify,
)
from snnbridge.bridge import engine
from snnbridge.model import (
    Connection,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    MaxPool,
    Neuron,
    Opaque,
    Origin,
    Parameter,
    Quantity,
    Scale,
    Subgraph,
    Width,
)
from snnbridge_plugins.onnx import FORMAT


def recurrent():
    rng = np.random.default_rng(4)
    back = [Linear("rec", dyadic(rng, 5, 5))]
    more = [Connection("lif", "rec"), Connection("rec", "lif", 1)]
    layers = [Input("in", (6,)), Linear("fc", dyadic(rng, 5, 6)), leaky("lif", (5,))]
    return chain(*layers, delays=back, more=more)


def images():
    rng = np.random.default_rng(5)
    return chain(
        Input("in", (2, 6, 6)),
        Conv2d("conv", dyadic(rng, 3, 2, 3, 3), stride=1, padding=0, dilation=1, groups=1),
        MaxPool("pool", window=(2, 2), stride=(2, 2), padding=0),
        Flatten("flat", order="channels first"),
        Linear("fc", dyadic(rng, 4, 12)),
        Delay("late", Parameter(np.array([1, 2, 1, 3]), "step")),
        leaky("lif", (4,)),
        dt=Quantity(1.0, "ms"),
    )


def refractory(step, last=25.0):
    """Return neurons that count from the time of their last spike, and what drives them."""
    rule = rules.get("brainpy", "LifRef")
    neurons = rule.build("lif", shape=(3,), tau=10.0, V_th=1.0, V_reset=0.0, tau_ref=5.0)
    clock = StateVariable(np.full((1, 3), last, np.float32), 0)
    state = {("lif", "t_last_spike"): clock}
    net = chain(Input("in", (3,)), neurons, state=state, step=step, dt=Quantity(1.0, "ms"))
    return net, np.full((20, 1, 3), 15.0, np.float32)


def model_of(path):
    return onnx.load(path, load_external_data=False)


# Outputs


def test_a_recurrent_networks_spikes_are_an_output(tmp_path):
    net = recurrent()
    path = exported(tmp_path / "net.onnx", net)
    shown = [x.name for x in session_of(path).get_outputs()]
    assert shown == ["lif.spikes", "lif.v.end", "rec.past.end"]
    assert_same(path, net, spikes(20, 2, 6))


@pytest.mark.parametrize("stepwise", ["no", "yes"])
def test_a_run_gives_every_layers_spikes_and_membranes_if_asked(tmp_path, stepwise):
    path = exported(tmp_path / "net.onnx", plain(), outputs="all", stepwise=stepwise)
    names = ["lif2.spikes", "lif1.spikes", "lif1.v", "lif2.v", "lif1.v.end", "lif2.v.end"]
    assert [x.name for x in session_of(path).get_outputs()] == names
    stimulus = spikes(20, 2, 6)
    found, expected = ran(path, {"in": stimulus}), simulate(plain(), stimulus, record=["lif1"])
    assert (found["lif1", "v"] == expected.traces["lif1", "v"]).all()
    assert (found["lif1", "spikes"] == expected.spikes["lif1"]).all()


# States


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32])
def test_a_state_of_another_type_starts_a_run_in_the_networks(tmp_path, dtype):
    state = {("lif1", "v"): StateVariable(np.array([[1, 0, 2, -1, 0]], dtype), 0)}
    net = replace(plain(), state=state)
    assert_same(tmp_path / "net.onnx", net, spikes(9, 2, 6), state, state="kept")
    assert_same(tmp_path / "steps.onnx", net, spikes(9, 2, 6), state, state="kept", stepwise="yes")
    assert read(tmp_path / "net.onnx").state["lif1", "v"].value.dtype == np.asarray(
        state["lif1", "v"].value).dtype  # fmt: skip


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"lif1": np.full((1, 5), np.nan)}, "holds nan"),
        ({"lif1": np.full((1, 5), 1e39)}, "holds inf"),
        ({"lif1": np.zeros((4, 5)), "lif2": np.zeros((3, 3))}, "of 4 samples"),
        ({"lif1": np.ones((1, 5), np.complex64)}, "complex"),
    ],
)
def test_a_state_that_no_run_starts_from_is_refused_as_by_the_simulator(tmp_path, state, match):
    kept = {(name, "v"): StateVariable(value, 0) for name, value in state.items()}
    with pytest.raises(WriteError, match=match):
        write(replace(plain(), state=kept), tmp_path / "net.onnx", options={"state": "kept"})
    with pytest.raises(CheckpointError):
        simulate(plain(), spikes(5, 4, 6), initial=kept)
    write(replace(plain(), state=kept), tmp_path / "rest.onnx")  # where it is kept, and not used


@pytest.mark.parametrize("step", [UNKNOWN, None])
def test_a_clock_that_runs_needs_the_step(tmp_path, step):
    net, drive = refractory(step)
    with pytest.raises(UnknownValue, match="step") as caught:
        write(net, tmp_path / "net.onnx", options={"state": "kept"})
    assert caught.value.missing == (("", "step"),)
    with pytest.raises(UnknownValue, match="step"):
        simulate(net, drive, initial=net.state)
    never, _ = refractory(step, last=-1e7)
    assert_same(tmp_path / "net.onnx", never, drive, never.state, state="kept")


def test_a_clock_goes_on_at_the_checkpoints_step(tmp_path):
    net, drive = refractory(27)
    assert_same(tmp_path / "net.onnx", net, drive, net.state, state="kept")
    first = simulate(net, drive, initial=net.state).spikes["lif"]
    assert first[:4].sum() == 0  # until 30 ms
    assert first[4].all()


def test_the_types_of_states_are_stated(tmp_path):
    session = session_of(exported(tmp_path / "net.onnx", recurrent()))
    starts = {x.name: x.shape for x in session.get_overridable_initializers()}
    assert starts == {"lif.v.start": [None, 5], "rec.past.start": [1, None, 5]}
    ends = {x.name: x.shape for x in session.get_outputs()}
    assert ends["lif.v.end"] == ["batch", 5]
    assert ends["rec.past.end"] == [1, "batch", 5]
    defaults = {x.name: list(x.dims) for x in model_of(tmp_path / "net.onnx").graph.initializer}
    assert defaults["lif.v.start"] == [1, 5]


@pytest.mark.parametrize("stepwise", ["no", "yes"])
@pytest.mark.parametrize("net", [plain(), recurrent()], ids=["plain", "recurrent"])
def test_a_state_of_another_batch_than_the_input_is_refused(tmp_path, net, stepwise):
    session = session_of(exported(tmp_path / "net.onnx", net, stepwise=stepwise))
    stimulus = spikes(3, 1, 6) if stepwise == "no" else spikes(1, 6)
    for start in session.get_overridable_initializers():
        shape = [4 if n is None else n for n in start.shape]
        with pytest.raises(Exception, match="reshaped"):
            session.run(None, {"in": stimulus, start.name: np.ones(shape, np.float32)})


def test_verify_starts_both_at_rest_whatever_the_model_starts_from(tmp_path):
    for net in (plain(), recurrent()):
        state = simulate(net, spikes(9, 256, 6)).state
        for stepwise in ("no", "yes"):
            path = tmp_path / f"{stepwise}.onnx"
            kept = {"state": "kept", "stepwise": stepwise}
            write(replace(net, state=state, step=9), path, options=kept)
            assert verify(net, engine(path, registry=REGISTRY)).verdict == "equivalent"


# What is told


def test_a_default_of_several_samples_is_told_of(tmp_path):
    state = simulate(plain(), spikes(5, 3, 6)).state
    net = replace(plain(), state=state, step=5)
    ledger = write(net, tmp_path / "net.onnx", options={"state": "kept"})
    assert [(x.status.value, x.what) for x in ledger.told] == [("exact", "states of 3 samples")]
    session = session_of(exported(tmp_path / "net.onnx", net, state="kept"))
    found = session.run(["lif2.spikes"], {"in": spikes(9, 3, 6)})[0]
    assert (found == simulate(net, spikes(9, 3, 6), initial=state).spikes["lif2"]).all()
    with pytest.raises(Exception, match="reshaped"):
        session.run(None, {"in": spikes(9, 1, 6)})
    write(net, tmp_path / "a.onnx")
    options = {"write_options": {"state": "kept"}, "registry": REGISTRY}
    assert convert(tmp_path / "a.onnx", tmp_path / "b.onnx", **options).verdict == "identical"


def test_float32_sums_are_run_for_the_verdict(tmp_path, monkeypatch):
    rng = np.random.default_rng(6)
    grid = (rng.integers(-10, 20, (300, 200)) * 0.1).astype(np.float32)
    net = chain(Input("in", (200,)), Linear("fc", grid), leaky("lif", (300,), beta=1.0))
    write(net, tmp_path / "a.onnx")
    options = {"write_options": {"sums": "float32"}, "registry": REGISTRY, "force": True}
    found = convert(tmp_path / "a.onnx", tmp_path / "b.onnx", **options)
    truth = verify(net, engine(tmp_path / "b.onnx", registry=REGISTRY)).verdict
    assert found.verdict == truth != "identical"
    assert read(tmp_path / "b.onnx").provenance[-1]["verdict"] == truth
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    found = convert(tmp_path / "a.onnx", tmp_path / "b.onnx", **options)
    assert found.verdict == "indeterminate"


def test_sums_in_float32_are_told_of_where_they_are(tmp_path):
    inner = [Linear("fc", np.ones((4, 6), np.float32)), leaky("lif", (4,))]
    block = Subgraph("block", inner, (Connection("fc", "lif"),), {"x": "fc"}, {"y": "lif"})
    net = SNNCheckpoint(
        [Input("in", (6,)), block], connections=[Connection("in", "block", 0, None, "x")]
    )
    told = write(net, tmp_path / "net.onnx", options={"sums": "float32"}).told
    assert [(x.status.value, x.path) for x in told] == [("rounded", ("engine", "block/fc"))]
    wide = plain()
    layers = [
        replace(x, rule=replace(x.rule, width=Width.FLOAT64)) if isinstance(x, Neuron) else x
        for x in wide.layers.values()
    ]
    net = replace(wide, layers=layers)
    told = write(net, tmp_path / "net.onnx", options={"sums": "float32"}).told
    assert [(x.status.value, x.what) for x in told] == [("exact", "weighted sums")]
    assert convert(tmp_path / "net.onnx", tmp_path / "b.onnx", registry=REGISTRY,
                   write_options={"sums": "float32"}).verdict == "identical"  # fmt: skip


def test_a_layer_of_an_unknown_kind_in_a_subgraph_is_named(tmp_path):
    inner = [Opaque("what", origin=Origin("lava", "Resonator"))]
    block = Subgraph("block", inner, (), {"x": "what"}, {"y": "what"})
    net = SNNCheckpoint([Input("in", (6,)), block, Opaque("other")], connections=[])
    with pytest.raises(WriteError, match=r"'block/what' \(Resonator\) .* \(and 1 more\)"):
        write(net, tmp_path / "net.onnx")


def test_what_is_not_stated_is_refused_with_what_to_do(tmp_path):
    net = replace(plain(), connections=UNKNOWN)
    net.source = replace(read_source(tmp_path), path="trained.bp")
    told = r"trained\.bp: an \.onnx file runs, so it needs .*`snnbridge spec trained\.bp`"
    with pytest.raises(UnknownValue, match=told):
        write(net, tmp_path / "net.onnx")


def test_one_refusal_lists_all_that_is_not_stated(tmp_path):
    net = SNNCheckpoint(
        [Input("x", (2, 4, 4)), MaxPool("p", window=(2, 2)), Flatten("f"), leaky("l", (8,))],
        connections=[Connection("x", "p"), Connection("p", "f"), Connection("f", "l")],
    )
    with pytest.raises(UnknownValue, match=r"'p': stride, padding; layer 'f': order"):
        write(net, tmp_path / "net.onnx")
    stated = {**net.layers, "p": MaxPool("p", window=(2, 2), stride=2, padding=0)}
    with pytest.raises(UnknownValue, match=r"an \.onnx file runs, so it needs .* 'f': order"):
        write(replace(net, layers=stated), tmp_path / "net.onnx")


@pytest.mark.parametrize("stepwise", ["no", "yes"])
def test_the_last_layer_gives_the_output_its_name(tmp_path, stepwise):
    flat = chain(Input("x", (2, 4)), leaky("l", (2, 4)), Flatten("f", order="channels first"))
    alone = SNNCheckpoint([leaky("l", (4,))], connections=[])
    for net, name in ((flat, "f"), (alone, "l.spikes")):
        write(net, tmp_path / "net.onnx", options={"stepwise": stepwise})
        graph = model_of(tmp_path / "net.onnx").graph
        assert [value.name for value in graph.output] == [name, "l.v.end"]
        assert not any(node.op_type == "Identity" for node in graph.node)


def test_a_time_step_of_a_whole_number_is_written(tmp_path):
    net = replace(plain(), dt=Quantity(1, "ms"))
    write(net, tmp_path / "net.onnx")
    assert read(tmp_path / "net.onnx").dt == Quantity(1.0, "ms")


def read_source(folder):
    write(plain(), folder / "source.onnx")
    return read(folder / "source.onnx").source


@pytest.mark.parametrize(
    "options", [{"opset": 17, "stepwise": True}, {"opset": "17", "stepwise": "yes"}]
)
def test_options_are_numbers_and_truths_too(tmp_path, options):
    write(plain(), tmp_path / "net.onnx", options=options)
    assert model_of(tmp_path / "net.onnx").opset_import[0].version == 17
    assert held(model_of(tmp_path / "net.onnx"))["graph"]["stepwise"]


# The graph


@pytest.mark.parametrize("stepwise", ["no", "yes"])
def test_every_box_is_named_after_its_layer(tmp_path, stepwise):
    model = model_of(exported(tmp_path / "net.onnx", images(), stepwise=stepwise))
    names = {node.name: node.op_type for node in model.graph.node}
    step = {"no": "", "yes": "Step"}[stepwise]
    for name, title in {
        "conv": f"Conv2d{step}", "pool": f"MaxPool2d{step}", "flat": "FlattenChannelsFirst",
        "fc": f"Linear{step}", "late": "Delay", "lif": f"Leaky{step}",
    }.items():  # fmt: skip
        assert names[name] == title
    assert {node.domain for node in model.graph.node} == {"org.snnbridge"}
    assert_same(tmp_path / "net.onnx", images(), spikes(12, 2, 2, 6, 6), stepwise=stepwise)


@pytest.mark.parametrize("stepwise", ["no", "yes"])
def test_what_flattens_last_or_has_no_layer_of_its_own_is_a_box_too(tmp_path, stepwise):
    layers = [
        Input("in", (2, 2)),
        Input("row", (4,)),
        Scale("sum", np.float32(0.5)),  # takes both
        leaky("lif", (2, 2)),
        Flatten("flat", order="channels first"),
    ]
    edges = [Connection(a, b) for a, b in itertools.pairwise(["in", "sum", "lif", "flat"])]
    net = SNNCheckpoint(layers, connections=[*edges, Connection("row", "sum")])
    model = model_of(exported(tmp_path / "net.onnx", net, stepwise=stepwise))
    names = {node.name: node.op_type for node in model.graph.node}
    assert names["flat"] == "FlattenChannelsFirst"
    assert "Shaped" in names.values()
    stimulus = {"in": spikes(9, 2, 2, 2), "row": spikes(9, 2, 4, seed=2)}
    assert_same(tmp_path / "net.onnx", net, stimulus, stepwise=stepwise)


@pytest.mark.parametrize("stepwise", ["no", "yes"])
def test_a_neuron_that_nothing_leads_to_runs(tmp_path, stepwise):
    lonely = leaky("lonely", (3,), beta=0.9)
    net = chain(Input("in", (5,)), leaky("lif", (5,)), delays=[lonely])
    assert_same(tmp_path / "net.onnx", net, spikes(9, 2, 5), stepwise=stepwise)


def test_a_loop_is_named_after_its_neurons(tmp_path):
    rng = np.random.default_rng(9)
    layers = [Input("in", (4,))]
    for n in range(5):
        layers += [Linear(f"fc{n}", dyadic(rng, 4, 4)), leaky(f"lif{n}", (4,))]
    net = chain(*layers, more=[Connection("lif4", "fc0", 1)])
    model = model_of(exported(tmp_path / "net.onnx", net))
    (loop,) = (node for node in model.graph.node if node.op_type == "Scan")
    assert loop.name == "loop of lif0, lif1, lif2, lif3, ..."
    assert_same(tmp_path / "net.onnx", net, spikes(9, 2, 4))


@pytest.mark.parametrize("kept", ["rest", "kept"])
def test_a_large_default_is_one_number(tmp_path, monkeypatch, kept):
    monkeypatch.setattr("snnbridge_plugins.onnx.graph.states._LARGE", 8)
    net = recurrent()
    state = simulate(net, spikes(9, 2, 6)).state if kept == "kept" else {}
    net = replace(net, state=dict(state), step=9)
    path = exported(tmp_path / "net.onnx", net, state=kept)
    starts = {x.name: x.shape for x in session_of(path).get_overridable_initializers()}
    rest = {"lif.v.start": [None, None], "rec.past.start": [None, None, None]}
    whole = {"lif.v.start": [None, 5], "rec.past.start": [1, None, 5]}
    assert starts == (whole if kept == "kept" else rest)
    assert_same(path, net, spikes(9, 2, 6), state, state=kept)
    assert verify(net, engine(path, registry=REGISTRY)).verdict == "equivalent"


def test_no_function_bears_the_name_of_a_standard_operator(tmp_path):
    for number, net in enumerate((plain(), recurrent(), images())):
        for function in model_of(exported(tmp_path / f"{number}.onnx", net)).functions:
            assert not defs.has(function.name), function.name


def test_layers_that_differ_in_their_numbers_alone_share_a_function(tmp_path):
    net = chain(
        Input("in", (6,)),
        Linear("a", np.ones((5, 6), np.float32)),
        leaky("x", (5,), beta=0.5, threshold=2.0),
        Linear("b", np.ones((3, 5), np.float32)),
        leaky("y", (3,), beta=0.25, threshold=3.0),
    )
    model = model_of(exported(tmp_path / "net.onnx", net))
    assert [function.name for function in model.functions] == ["Linear", "Leaky"]


def test_a_tied_array_is_stored_once(tmp_path):
    weight = np.random.default_rng(7).normal(0, 1, (64, 64)).astype(np.float32)
    net = chain(
        Input("in", (64,)), Linear("a", weight), Linear("b", weight.copy()), leaky("lif", (64,)),
        ties=[[("a", "weight"), ("b", "weight")]],
    )  # fmt: skip
    path = exported(tmp_path / "net.onnx", net)
    assert path.stat().st_size < 2 * weight.nbytes
    write(read(path), tmp_path / "again.onnx")
    assert path.read_bytes() == (tmp_path / "again.onnx").read_bytes()


def test_tensors_say_what_they_are(tmp_path):
    rule = rules.get("snntorch", "Leaky")
    threshold = Parameter(np.linspace(1, 2, 200), "mV", trainable=True)
    neurons = rule.build("lif", shape=(200,), beta=0.5, threshold=threshold)
    weight = Parameter(np.ones((200, 3), np.float32), trainable=False)
    net = chain(Input("in", (3,)), Linear("fc", weight), neurons)
    model = model_of(exported(tmp_path / "net.onnx", net))
    tensors = {x.name: x for x in model.graph.initializer}
    said = {
        name: {entry.key.rpartition(".")[2]: entry.value for entry in x.metadata_props}
        for name, x in tensors.items()
    }
    assert said["fc.weight"] == {"path": '["layers","fc","weight"]', "trainable": "no"}
    path = '["layers","lif","threshold"]'
    assert {"path": path, "unit": "mV", "trainable": "yes"} in said.values()
    assert "spikes" in tensors["lif.threshold"].doc_string
    assert "decay" in tensors["lif.leak"].doc_string
    assert "'lif'" in tensors["lif.leak"].doc_string


def test_complex_numbers_are_refused(tmp_path):
    net = chain(Input("in", (6,)), Linear("fc", np.full((2, 6), 1 + 5j, np.complex64)))
    with pytest.raises(WriteError, match=r"'fc'.*complex64"):
        write(net, tmp_path / "net.onnx")
    with pytest.raises(CheckpointError, match=r"'fc'.*complex64"):
        simulate(net, spikes(2, 1, 6))


def test_no_file_of_data_without_data(tmp_path):
    for kind in ("yes", "safetensors"):
        write(plain(), tmp_path / "net.onnx", options={"external": kind})
        assert [x.name for x in tmp_path.iterdir()] == ["net.onnx"]


# Engines


def test_a_network_without_neurons_is_verified_by_its_outputs(tmp_path):
    net = chain(Input("in", (6,)), Linear("fc", np.ones((2, 6), np.float32)))
    write(net, tmp_path / "net.onnx")
    runs = engine(tmp_path / "net.onnx", registry=REGISTRY)
    assert verify(net, runs).verdict == "equivalent"
    other = replace(net, layers=[Input("in", (6,)), Linear("fc", np.eye(2, 6, dtype=np.float32))])
    assert verify(other, runs).verdict == "different"
    with pytest.raises(CheckpointError, match="neither neurons"):
        verify(net, lambda _: {})


@pytest.mark.parametrize("stepwise", ["no", "yes"])
@pytest.mark.parametrize("shape", [(0, 2, 6), (3, 0, 6)])
def test_a_run_takes_a_step_and_a_sample(tmp_path, stepwise, shape):
    write(plain(), tmp_path / "net.onnx", options={"stepwise": stepwise})
    with pytest.raises(CheckpointError, match="at least 1 step"):
        FORMAT.run(tmp_path / "net.onnx", {"in": np.zeros(shape)}, {})


def test_a_network_that_brainpy_resumed_starts_in_onnxruntime_where_it_did_there(tmp_path):
    case = recorded_brainpy.RecordedBrainPy("2.8.2", "lifref_resumed")
    net = replace(case.net, state=case.state, step=case.truth_of["first_step"])
    found = ran(
        exported(tmp_path / "net.onnx", net, outputs="all", state="kept"),
        {"input": np.asarray(case.seen("input"), np.float32)},
    )
    expected = [truth for truth in case.truth() if truth[1] == "output"]
    for layer, _, recorded in expected:
        assert (found[layer, "spikes"] == recorded).all()
    assert expected
