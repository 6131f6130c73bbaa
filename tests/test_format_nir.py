"""The nir format: every file of NIR, and graphs that importers run as they should."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import recorded
from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Connection,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    LossyWrite,
    MaxPool,
    Neuron,
    Opaque,
    OptionError,
    Output,
    Parameter,
    Quantity,
    ReadError,
    Registry,
    Scale,
    SNNBridgeError,
    SNNCheckpoint,
    StateVariable,
    Subgraph,
    Synapse,
    UnknownValue,
    WriteError,
    convert,
    differences,
    read,
    rules,
    simulate,
    write,
)
from snnbridge.model import Reset, Scheme
from snnbridge.testing.strategies import checkpoints
from snnbridge_plugins import nir

REGISTRY = Registry([nir])
FIXTURES = Path(__file__).parent.parent / "fixtures"
PAPER = FIXTURES / "nir-paper"
FILES = sorted(FIXTURES.glob("nir-[01]*/*.nir"))
IMPORTERS = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "spyx")


def save(checkpoint, path, *, bare=False, allow_loss=False, **options):
    return write(
        checkpoint, path, format="nir", bare=bare, allow_loss=allow_loss, options=options,
        registry=REGISTRY,
    )  # fmt: skip


def load(path, **options):
    return read(path, format="nir", options=options, registry=REGISTRY)


def back(checkpoint, path, **options):
    """Write a checkpoint and read it again."""
    save(checkpoint, path, **options)
    return load(path)


def build(path, nodes, edges, version="1.0.8"):
    """Write a file as NIR's package lays it out."""
    with h5py.File(path, "w") as file:
        if version is not None:
            file["version"] = version
        graph(file.create_group("node"), nodes, edges)
    return path


def graph(group, nodes, edges):
    group["type"] = "NIRGraph"
    pairs = np.empty((len(edges), 2), object)
    pairs[:] = edges or pairs
    group.create_dataset("edges", data=pairs, dtype=h5py.string_dtype())
    inside = group.create_group("nodes")
    for name, fields in nodes.items():
        node = inside.create_group(name)
        if fields["type"] == "NIRGraph":
            graph(node, fields["nodes"], fields["edges"])
            continue
        for key, value in fields.items():
            node[key] = value


def chained(*names):
    return list(itertools.pairwise(names))


def lif(n=2, **more):
    one = np.ones(n)
    return {"type": "LIF", "tau": one / 50, "r": one, "v_leak": 0 * one, "v_threshold": one, **more}


def shape(*sizes):
    return np.array(sizes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.nir"


@pytest.fixture
def small(path):
    """Return a file with one neuron layer between its ends."""
    nodes = {
        "input": {"type": "Input", "shape": shape(2)},
        "lif": lif(),
        "output": {"type": "Output", "shape": shape(2)},
    }
    return build(path, nodes, chained("input", "lif", "output"))


@pytest.fixture
def net():
    """Return a net of snnTorch, whose reset is immediate."""
    rng = np.random.default_rng(5)
    leaky = rules.get("snntorch", "Leaky")
    (neuron,) = leaky.chain(
        "lif", shape=(4,), beta=np.float32([0.5, 0.75, 0.875, 0.96875]), threshold=0.75,
        reset_mechanism="zero", reset_delay=False,
    )  # fmt: skip
    weight = rng.normal(size=(4, 3)).astype(np.float32)
    return SNNCheckpoint(
        [
            Input("input", (3,)),
            Linear("fc", weight, np.zeros(4, np.float32)),
            neuron,
            Output("out", (4,)),
        ],
        connections=[
            Connection("input", "fc"),
            Connection("fc", "lif"),
            Connection("lif", "out"),
        ],
        dt=PER_STEP,
    )


# Files of NIR


@pytest.mark.parametrize("file", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_node_of_every_release_is_read_to_the_bit(file):
    truth = json.loads((file.parent / "truth.json").read_text())[file.stem]
    checkpoint = load(file)
    nodes = truth["nodes"] if truth["type"] == "NIRGraph" else {"node": truth}
    for name, stated in nodes.items():
        layer = checkpoint.layers[name]
        if isinstance(layer, Subgraph):
            continue
        assert layer.origin.kind == stated["type"]
        held = {key: p.value for key, p in layer.parameters.items()}
        if isinstance(layer, Neuron) and f"{name}.synapse" in checkpoint.layers:
            synapse = checkpoint.layers[f"{name}.synapse"].parameters
            assert synapse["tau"].value.tolist() == stated["tau_syn"]
        for theirs, ours in (
            ("weight", "weight"), ("bias", "bias"), ("tau", "tau"), ("tau_mem", "tau"),
            ("r", "resistance"), ("v_leak", "v_rest"), ("v_threshold", "threshold"),
            ("v_reset", "v_reset"), ("scale", "factor"), ("delay", "delay"),
        ):  # fmt: skip
            if theirs in stated:
                assert held[ours].tolist() == stated[theirs], theirs


@pytest.mark.parametrize("file", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_file_survives_being_written_bare(file, path):
    checkpoint = load(file)
    assert differences(checkpoint, back(checkpoint, path, bare=True)) == []


def test_nodes_are_in_the_order_of_the_edges():
    names = list(load(FIXTURES / "nir-1.0.8" / "long.nir").layers)
    assert names == ["input", *(f"fc{i}" for i in range(1, 13)), "output"]


def test_a_reset_that_is_not_stated_subtracts_where_the_documentation_said_so():
    checkpoint = load(FIXTURES / "nir-1.0.4" / "mlp.nir")
    assert checkpoint.layers["lif"].rule.reset is Reset.SUBTRACT
    assert "reset=zero" in checkpoint.source.notes[0]
    chosen = load(FIXTURES / "nir-1.0.4" / "mlp.nir", reset="zero").layers["lif"]
    assert chosen.rule.reset is Reset.SET
    assert chosen.parameters["v_reset"].value.tolist() == [0, 0, 0, 0]


def test_a_reset_that_is_not_stated_is_to_zero_since_then_with_a_note(small):
    checkpoint = load(small)
    assert checkpoint.layers["lif"].rule.reset is Reset.SET
    assert "(first 'lif') without v_reset, in a file of NIR 1.0.8" in checkpoint.source.notes[0]
    assert "sets the potential to 0" in checkpoint.source.notes[0]
    chosen = load(small, reset="subtract").layers["lif"]
    assert chosen.rule.reset is Reset.SUBTRACT


def test_a_stated_reset_is_no_assumption(path):
    nodes = {"lif": lif(v_reset=np.zeros(2))}
    checkpoint = load(build(path, nodes, []))
    assert not any("v_reset" in note for note in checkpoint.source.notes)
    assert checkpoint.source.assumed == frozenset()


@pytest.mark.parametrize("given", [{"reset": "zero"}, {"reset": "zero", "scheme": "norse"}])
def test_a_reset_that_would_change_nothing_is_refused(path, given):
    nodes = {
        "in": {"type": "Input", "shape": shape(2)},
        "lif": lif(v_reset=np.zeros(2)),
        "out": {"type": "Output", "shape": shape(2)},
    }
    with pytest.raises(OptionError, match="would change nothing"):
        load(build(path, nodes, chained("in", "lif", "out")), **given)


def test_a_reset_for_a_file_with_our_description_is_refused(net, path):
    save(net, path)
    with pytest.raises(OptionError, match="description in the file states"):
        load(path, reset="zero")


def test_the_assumed_reset_stands_in_what_is_written_on(tmp_path):
    source, target = FIXTURES / "nir-1.0.4" / "mlp.nir", tmp_path / "net.nir"
    convert(source, target, registry=REGISTRY)
    (record,) = load(target).provenance
    assert "subtracts the threshold" in record["notes"][0]


def test_a_version_that_is_none_is_told(path):
    build(path, {"a": lif()}, [], version="abc")
    checkpoint = load(path)
    assert checkpoint.layers["a"].rule.reset is Reset.SUBTRACT
    assert checkpoint.source.notes[0].startswith("'abc' is no version of NIR")


def test_a_type_in_other_letters_is_told(path):
    build(path, {"a": {"type": "lif", "tau": np.ones(2)}}, [])
    assert "was 'LIF' meant?" in load(path).source.notes[0]


def test_a_file_without_a_version_is_taken_as_an_old_one(path):
    build(path, {"a": lif()}, [], version=None)
    assert load(path).layers["a"].rule.reset is Reset.SUBTRACT


def test_a_root_that_is_one_neuron_is_read_and_written(path):
    checkpoint = load(FIXTURES / "nir-1.0.8" / "root.nir")
    assert [x.kind for x in checkpoint.layers.values()] == ["Neuron"]
    save(checkpoint, path)
    with h5py.File(path) as file:
        assert file["node/type"][()] == b"LIF"


def test_metadata_of_graph_and_nodes_is_kept(path):
    checkpoint = load(FIXTURES / "nir-1.0.8" / "metadata.nir")
    assert checkpoint.metadata == {"author": "somebody", "rate": 0.5, "trial": 3}
    save(checkpoint, path)
    with h5py.File(path) as file:
        assert file["node/metadata/author"][()] == b"somebody"
        assert file["node/nodes/lif/metadata/region"][()] == b"V1"


def test_a_kernel_that_is_no_square_is_read():
    checkpoint = load(FIXTURES / "nir-1.0.8" / "conv.nir")
    conv, flatten = checkpoint.layers["conv"], checkpoint.layers["flatten"]
    assert isinstance(conv, Conv2d)
    assert conv.parameters["weight"].value.shape == (2, 1, 3, 5)
    assert (conv.padding, conv.input_shape) == (((1, 1), (0, 0)), (6, 8))
    assert isinstance(flatten, Flatten)
    assert (flatten.order, flatten.input_shape) == ("channels first", (2, 3, 2))


def test_a_nested_graph_is_a_subgraph_with_ports():
    checkpoint = load(FIXTURES / "nir-1.0.8" / "nested.nir")
    inner = checkpoint.layers["sub.graph"]
    assert isinstance(inner, Subgraph)
    assert list(inner.layers) == ["input", "lif", "output"]
    assert inner.inputs == {"input": "input"}


def test_an_edge_may_name_a_port_of_a_graph_inside(path):
    inside = {
        "type": "NIRGraph",
        "nodes": {"a": {"type": "Input", "shape": shape(2)}, "b": lif()},
        "edges": [("a", "b")],
    }
    build(path, {"in": {"type": "Input", "shape": shape(2)}, "g": inside}, [("in", "g.a")])
    assert load(path).connections[0].target_port == "a"


def test_axes_of_one_element_do_not_stand_in_the_way(path):
    nodes = {
        "in": {"type": "Input", "shape": shape(1, 3)},
        "fc": {"type": "Linear", "weight": np.ones((1, 4, 3), np.float32)},
        "lif": lif((1, 4)),
    }
    checkpoint = load(build(path, nodes, chained("in", "fc", "lif")))
    assert checkpoint.layers["lif"].shape == (4,)
    assert checkpoint.layers["lif"].parameters["tau"].value.shape == (4,)
    assert checkpoint.layers["in"].shape == (3,)


def test_numbers_stand_for_all_neurons_behind_a_matrix(path):
    fc = {"type": "Linear", "weight": np.ones((4, 3), np.float32)}
    nodes = {"fc": fc, "a": lif(()), "b": lif(1)}
    checkpoint = load(build(path, nodes, chained("fc", "a", "b")))
    assert checkpoint.layers["a"].shape == checkpoint.layers["b"].shape == (4,)


def conv_net(path, **neuron):
    """Write a convolution between an input and neurons with some parameters."""
    conv = {
        "type": "Conv2d", "weight": np.ones((2, 1, 3, 3), np.float32), "bias": np.zeros(2),
        "stride": shape(1, 1), "padding": shape(0, 0), "dilation": shape(1, 1), "groups": 1,
        "input_shape": shape(6, 6),
    }  # fmt: skip
    nodes = {
        "input": {"type": "Input", "shape": shape(1, 6, 6)},
        "conv": conv,
        "lif": lif((2, 4, 4)) | neuron,
        "output": {"type": "Output", "shape": shape(2, 4, 4)},
    }
    return build(path, nodes, chained("input", "conv", "lif", "output"))


@pytest.mark.parametrize("sizes", [(), (1,), (2, 1, 1), (1, 1, 1, 1), (5, 2, 4, 4)], ids=str)
def test_parameters_hold_for_the_image_that_reaches_them(path, sizes):
    one = np.ones(sizes)
    fields = {"tau": one / 50, "r": one, "v_leak": 0 * one, "v_threshold": one}
    checkpoint = load(conv_net(path, **fields), dt="1e-3", scheme="euler")
    assert checkpoint.layers["lif"].shape == (2, 4, 4)
    simulate(checkpoint, np.ones((3, 1, 1, 6, 6), np.float32))


def test_a_vector_behind_a_convolution_does_not_fit(path):
    one = np.ones(4)
    with pytest.raises(ReadError, match="takes"):
        load(conv_net(path, tau=one, r=one, v_leak=one, v_threshold=one))


@pytest.mark.parametrize("extra", [(10,), (1, 10)], ids=str)
def test_axes_of_time_and_batch_at_the_ends_are_taken_off_with_a_note(path, extra):
    """Sinabs and Rockpool export them so."""
    nodes = {
        "input": {"type": "Input", "shape": shape(*extra, 3)},
        "fc": {"type": "Linear", "weight": np.ones((4, 3), np.float32)},
        "lif": lif(4),
        "output": {"type": "Output", "shape": shape(*extra, 4)},
    }
    checkpoint = load(build(path, nodes, chained("input", "fc", "lif", "output")))
    assert (checkpoint.layers["input"].shape, checkpoint.layers["output"].shape) == ((3,), (4,))
    noted = [note for note in checkpoint.source.notes if "time or batch" in note]
    assert len(noted) == 2


def test_other_axes_at_the_ends_are_an_error(path):
    nodes = {
        "input": {"type": "Input", "shape": shape(10, 5)},
        "fc": {"type": "Linear", "weight": np.ones((4, 3), np.float32)},
    }
    with pytest.raises(ReadError, match=r"gives shape \(10, 5\)"):
        load(build(path, nodes, chained("input", "fc")))


def test_a_flatten_that_counts_the_batch_joins_the_sample(path):
    flatten = {
        "type": "Flatten", "input_type": shape(1, 2, 3, 4), "start_dim": 1, "end_dim": -1,
    }  # fmt: skip
    nodes = {"input": {"type": "Input", "shape": shape(2, 3, 4)}, "flat": flatten}
    layer = load(build(path, nodes, chained("input", "flat"))).layers["flat"]
    assert (layer.start, layer.end, layer.input_shape) == (0, -1, (2, 3, 4))


def test_no_file_makes_a_write_allocate_what_it_only_claims(path, tmp_path):
    nodes = {
        "input": {"type": "Input", "shape": shape(1 << 40)},
        "t": {"type": "Threshold", "threshold": np.float64(1.0)},
    }
    checkpoint = load(build(path, nodes, chained("input", "t")))
    with pytest.raises(WriteError, match="1099511627776 numbers for 1"):
        save(checkpoint, tmp_path / "again.nir")


def test_a_type_that_nobody_knows_is_kept(path):
    new = {"type": "Astrocyte", "calcium": np.float64([1.5, 2.0]), "mode": "slow"}
    nodes = {"in": {"type": "Input", "shape": shape(2)}, "x": new}
    checkpoint = load(build(path, nodes, [("in", "x")]))
    layer = checkpoint.layers["x"]
    assert isinstance(layer, Opaque)
    assert layer.parameters["calcium"].value.tolist() == [1.5, 2.0]
    again = back(checkpoint, path, bare=True, allow_loss=True)
    assert again.layers["x"].settings == {"mode": "slow"}


def test_a_field_that_nobody_knows_is_kept(path):
    nodes = {"lif": lif(refractory=np.float32([1, 2]))}
    checkpoint = load(build(path, nodes, []))
    save(checkpoint, path)
    with h5py.File(path) as file:
        assert file["node/nodes/lif/refractory"][()].tolist() == [1, 2]


# What no file states


def test_time_step_and_rule_are_unknown_and_a_simulation_says_so(small):
    checkpoint = load(small)
    assert checkpoint.dt is UNKNOWN
    assert checkpoint.layers["lif"].rule.scheme is UNKNOWN
    with pytest.raises(UnknownValue, match="'lif': its rule"):
        simulate(checkpoint, np.zeros((3, 1, 2), np.float32))
    with pytest.raises(UnknownValue, match="dt"):
        simulate(load(small, scheme="euler"), np.zeros((3, 1, 2), np.float32))


@pytest.mark.parametrize("scheme", ["euler", "exact"])
def test_time_step_and_scheme_make_a_network_run(small, scheme):
    checkpoint = load(small, dt="1 ms", scheme=scheme)
    assert checkpoint.dt == Quantity(1.0, "ms")
    assert checkpoint.layers["lif"].rule.scheme is Scheme(scheme)
    simulate(checkpoint, np.ones((3, 1, 2), np.float32))


@pytest.mark.parametrize("text", ["0", "-1", "1 h", "soon", "inf", "1e", ""])
def test_a_time_step_that_is_none_is_refused(small, text):
    with pytest.raises(OptionError, match="dt must be a time"):
        load(small, dt=text)


def test_a_cycle_takes_one_step_once_a_scheme_is_chosen():
    file = FIXTURES / "nir-1.0.8" / "recurrent.nir"
    assert [c.delay for c in load(file).connections if c.delay != 0] == [UNKNOWN]
    discrete = load(file, scheme="euler", dt="1e-3").connections
    assert [c for c in discrete if c.delay] == [Connection("w_rec", "lif", 1)]


@pytest.mark.parametrize(("scheme", "column"), [("norse", 1), ("snntorch", 1)])
def test_a_framework_s_importer_is_followed_to_the_last_bit_of_its_published_trace(scheme, column):
    checkpoint = load(PAPER / "lif_norse.nir", scheme=scheme, dt="1e-4")
    trace = np.loadtxt(PAPER / f"lif_{scheme}.csv", delimiter=",")
    found = simulate(checkpoint, trace[:, :1, None], record={"1": ("v", "spikes")})
    assert (found.spikes["1"].ravel() == trace[:, 2]).all()
    assert (found.traces["1", "v"].ravel() == trace[:, column].astype(np.float32)).all()


@pytest.mark.parametrize(
    ("scheme", "stated", "runs"),
    [
        ("norse", {}, Quantity(1e-3, "s")),
        ("norse", {"dt": "2 ms"}, Quantity(2.0, "ms")),
        ("snntorch", {"dt": "2 ms"}, Quantity(1e-4, "s")),
        ("sinabs", {}, PER_STEP),
    ],
)
def test_an_importer_s_own_time_step_is_taken(small, scheme, stated, runs):
    checkpoint = load(small, scheme=scheme, **stated)
    assert checkpoint.dt == runs
    assert any("whatever is given" in note for note in checkpoint.source.notes) is (
        scheme == "snntorch"
    )


def test_what_an_importer_does_not_take_is_said(path):
    nodes = {
        "in": {"type": "Input", "shape": shape(2)},
        "d": {"type": "Delay", "delay": shape(1, 2)},
    }
    build(path, nodes, [("in", "d")])
    with pytest.raises(ReadError, match=r"importer of norse 1\.1 knows no Delay"):
        load(path, scheme="norse")


# Lossless


def test_a_signalling_nan_is_no_warning(tmp_path):
    tau = np.array([0x7C01, 0, 0x3C00], "<u2").view("<f2")
    checkpoint = SNNCheckpoint(
        [Synapse("synapse", shape=(3,), parameters={"tau": Parameter(tau, "ms")})]
    )
    found = back(checkpoint, tmp_path / "net.nir")
    assert differences(checkpoint, found) == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(checkpoints())
def test_every_checkpoint_comes_back_bit_for_bit(tmp_path, checkpoint):
    found = back(checkpoint, tmp_path / "net.nir")
    assert differences(checkpoint, found) == []
    assert found.source.dialect == "snnbridge"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(checkpoints())
def test_a_bare_file_loses_what_the_ledger_says_and_nothing_else(tmp_path, checkpoint):
    ledger = save(checkpoint, tmp_path / "net.nir", bare=True, allow_loss=True)
    lost = differences(checkpoint, load(tmp_path / "net.nir"))
    assert ledger.unexplained(lost) == []


def test_the_same_checkpoint_gives_the_same_bytes(net, tmp_path):
    for name in ("a.nir", "b.nir"):
        save(net, tmp_path / name)
    assert (tmp_path / "a.nir").read_bytes() == (tmp_path / "b.nir").read_bytes()


def test_weights_stand_once_uncompressed_and_mapped(net, path):
    save(net, path)
    with h5py.File(path) as file:
        stored = file["node/nodes/fc/weight"]
        assert stored.compression is None
        assert stored.id.get_offset() % 8 == 0
    raw = net.layers["fc"].parameters["weight"].value.tobytes()
    assert path.read_bytes().count(raw) == 1


def test_a_reset_to_zero_is_not_written(net, path):
    save(net, path)
    with h5py.File(path) as file:
        assert "v_reset" not in file["node/nodes/lif"]
        assert {d.shape for k, d in file["node/nodes/lif"].items() if k != "type"} == {(4,)}


def test_a_chain_without_ends_gets_an_input_and_an_output(path):
    rng = np.random.default_rng(0)
    net = SNNCheckpoint([Linear("fc", rng.random((2, 3)))], connections=())
    save(net, path)
    with h5py.File(path) as file:
        assert file["node/nodes/input/shape"][()].tolist() == [3]
        assert file["node/nodes/output/shape"][()].tolist() == [2]
    assert differences(net, load(path)) == []


def test_a_layer_that_nir_lacks_is_a_node_that_its_package_refuses(path):
    pool = MaxPool("pool", (2, 2), (2, 2), 0)
    net = SNNCheckpoint([Input("in", (1, 4, 4)), pool], connections=[Connection("in", "pool")])
    save(net, path)
    with h5py.File(path) as file:
        assert file["node/nodes/pool/type"][()] == b"snnbridge.MaxPool"
    assert differences(net, load(path)) == []


def test_state_training_and_frozen_layers_travel_in_the_metadata(net, path):
    net.state["lif", "v"] = StateVariable(np.float32([[1, 2, 3, 4]]), 0)
    net.training["optimizer"] = {"momentum": np.arange(2000.0)}
    net.frozen_layers.append("fc")
    assert differences(net, back(net, path)) == []


# What others change


def test_a_weight_that_another_tool_changed_is_seen(net, path):
    save(net, path)
    with h5py.File(path, "r+") as file:
        file["node/nodes/fc/weight"][0, 0] = 7.0
    found = load(path)
    assert found.layers["fc"].parameters["weight"].value[0, 0] == 7.0
    assert found.layers["lif"].rule == net.layers["lif"].rule


def test_what_another_program_saved_is_told(net, path):
    save(net, path)
    assert load(path).source.integrity == "intact"
    with h5py.File(path, "r+") as file:
        file["node/nodes/lif/v_threshold"][0] = 0.75
    found = load(path)
    assert found.source.integrity == "changed"
    assert any("another program saved this file" in note for note in found.source.notes)


def test_the_ends_that_the_package_adds_do_not_end_the_description(net, path):
    alone = Linear("alone", np.ones((2, 2), np.float32))
    save(SNNCheckpoint([*net.layers.values(), alone], connections=net.connections), path)
    with h5py.File(path, "r+") as file:
        for kind in ("Input", "Output"):
            added = file["node/nodes"].create_group(f"{kind.lower()}_alone")
            added["type"], added["shape"] = kind, shape(2)
        edges = [
            *file["node/edges"][()].tolist(),
            ("input_alone", "alone"),
            ("alone", "output_alone"),
        ]
        del file["node/edges"]
        file["node"].create_dataset("edges", data=edges, dtype=h5py.string_dtype())
    found = load(path)
    assert found.source.dialect == "snnbridge"
    assert list(found.layers) == [*net.layers, "alone"]


def test_a_node_that_another_tool_changed_ends_the_description(net, path):
    save(net, path)
    with h5py.File(path, "r+") as file:
        file["node/nodes/lif/v_threshold"][...] = 9.0
    found = load(path)
    assert found.layers["lif"].parameters["threshold"].value.tolist() == [9.0] * 4
    assert found.layers["lif"].rule.scheme is UNKNOWN
    assert any("changed after snnbridge wrote" in note for note in found.source.notes)


def test_an_edge_that_another_tool_removed_ends_the_description(net, path):
    save(net, path)
    with h5py.File(path, "r+") as file:
        edges = file["node/edges"][()][:-1]
        del file["node/edges"]
        file["node"].create_dataset("edges", data=edges, dtype=h5py.string_dtype())
    assert len(load(path).connections) == 2


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '{"schema": 99}'])
def test_a_damaged_description_is_noted_and_the_nodes_are_read(net, path, text):
    save(net, path)
    with h5py.File(path, "r+") as file:
        del file["node/metadata/snnbridge/document"]
        file["node/metadata/snnbridge"]["document"] = text
    found = load(path)
    assert list(found.layers) == list(net.layers)
    assert any("description in the metadata is not used" in note for note in found.source.notes)


# Importers


def planned(net, path, importer):
    save(net, path, **{"for": importer})
    return load(path)


def behaves(net, found):
    x = np.random.default_rng(3).random((40, 5, 3)).astype(np.float32) * 2
    a, b = (simulate(n, x, record={"lif": "spikes"}).spikes["lif"] for n in (net, found))
    assert a.any()
    return bool((a == b).all())


@pytest.mark.parametrize("importer", ["snntorch", "norse"])
def test_a_net_is_put_into_the_form_that_an_importer_runs(net, path, importer):
    found = planned(net, path, importer)
    assert found.layers["lif"].origin.framework == importer
    assert found.source.notes[0].startswith(f"written for {importer}: {importer}.")
    assert behaves(net, found)


@pytest.mark.parametrize("importer", ["snntorch", "norse"])
def test_the_nodes_alone_say_to_the_importer_what_was_planned(net, path, importer):
    written = planned(net, path, importer)
    dt = str(written.dt.value)
    alone = load(path, scheme=importer, dt=dt)
    assert behaves(written, alone)


def test_nodes_have_names_that_an_importer_can_use(net, path):
    """Importers make modules of torch, which have attributes already; Spyx starts at "input"."""
    made = [Input("in", (3,)), replace(net.layers["fc"], name="train"), net.layers["lif"]]
    edges = [Connection("in", "train"), Connection("train", "lif")]
    other = SNNCheckpoint(made, connections=edges, dt=PER_STEP)
    found = planned(other, path, "snntorch")
    assert list(found.layers) == ["in", "train", "lif"]
    with h5py.File(path) as file:
        assert set(file["node/nodes"]) == {"input", "train_", "lif", "output"}


@pytest.mark.parametrize("importer", ["snntorch", "norse", "sinabs", "rockpool", "spikingjelly"])
def test_what_an_importer_would_leave_out_is_refused(net, path, importer):
    net.layers = {**net.layers, "slow": Delay("slow", Parameter(1, "step"))}
    net.connections = (
        *net.connections[:-1], Connection("lif", "slow"), Connection("slow", "out"),
    )  # fmt: skip
    with pytest.raises(WriteError, match=r"'slow' \(Delay\) cannot be written|'lif'"):
        save(net, path, **{"for": importer})
    assert not path.exists()


@pytest.mark.parametrize(
    ("importer", "reason"),
    [
        ("sinabs", "is lowered by an amount at a spike"),
        ("rockpool", "has a synapse"),
        ("spikingjelly", "and must be one number"),
        ("spyx", "is lowered by an amount at a spike"),
    ],
)
def test_a_neuron_that_an_importer_does_not_have_is_refused_with_the_reason(
    net, path, importer, reason
):
    with pytest.raises(WriteError, match=reason):
        save(net, path, **{"for": importer})


def window(**stated):
    """Make a convolution along one axis and neurons behind it."""
    conv = Conv1d("conv", np.ones((4, 2, 5), np.float32), **stated)
    lif = rules.snntorch.Leaky("lif", beta=0.75, reset_mechanism="zero", reset_delay=False)
    edges = [Connection("in", "conv"), Connection("conv", "lif")]
    return SNNCheckpoint([Input("in", (2, 20)), conv, lif], connections=edges, dt=PER_STEP)


@pytest.mark.parametrize("importer", ["snntorch", "spikingjelly"])
def test_what_is_not_known_of_a_convolution_is_named(path, importer):
    with pytest.raises(WriteError, match="not known of it: dilation, groups; state that"):
        save(window(stride=2, padding=1), path, **{"for": importer})
    with pytest.raises(WriteError, match="to keep its size, whatever the stride"):
        save(window(stride=2, padding="same", dilation=1, groups=1), path, **{"for": importer})
    assert planned(window(stride=2, padding=1, dilation=1, groups=1), path, importer).layers
    with pytest.raises(WriteError, match="its importer knows no such Conv1d"):
        save(window(stride=2, padding=1), path, **{"for": "norse"})


def test_spyx_has_no_synapse_on_images(path):
    chain = rules.spyx.CuBaLIF.chain("lif", shape=(2, 3, 4), alpha=0.5, beta=0.5, threshold=1.0)
    layers = [Input("input", (2, 3, 4)), *chain]
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    checkpoint = SNNCheckpoint(layers, connections=edges, dt=PER_STEP)
    with pytest.raises(WriteError, match="with a synapse lies along one axis"):
        save(checkpoint, path, **{"for": "spyx"})
    save(checkpoint, path)
    with pytest.raises(ReadError, match="with a synapse lies along one axis"):
        load(path, scheme="spyx")


def test_an_unknown_rule_cannot_be_written_for_anybody(small, tmp_path):
    with pytest.raises(UnknownValue):
        save(load(small), tmp_path / "for.nir", **{"for": "norse"})


def test_a_conversion_for_an_importer_is_verified(net, tmp_path):
    write(net, tmp_path / "a.nir", registry=REGISTRY)
    done = convert(
        tmp_path / "a.nir", tmp_path / "b.nir", write_options={"for": "norse"}, registry=REGISTRY
    )
    assert done.verdict in ("equivalent", "indeterminate")
    assert [e.status.value for e in done.ledger.told if e.path == ("layers", "lif")] == ["rounded"]


@pytest.mark.parametrize("importer", IMPORTERS)
def test_every_recorded_net_that_an_importer_takes_keeps_its_spikes(importer, path):
    taken = 0
    for folder, stem, name in recorded.cases():
        case = recorded.Recorded(folder, stem, name)
        if case.dyadic or case.initial():
            continue
        try:
            found = planned(case.net, path, importer)
        except (WriteError, UnknownValue):
            continue
        taken += 1
        neurons = [
            n for n, x in case.net.layers.items() if isinstance(x, Neuron) and x.rule.spiking
        ]
        x = case.seen("input").astype(np.float32)
        a, b = (simulate(n, x, record=dict.fromkeys(neurons, "spikes")) for n in (case.net, found))
        assert all((a.spikes[n] == b.spikes[n]).all() for n in neurons), (folder, name)
    assert taken > 5


# Hostile files


def linked(file, kind):
    if kind == "external link":
        file["node/nodes/lif"]["tau"] = h5py.ExternalLink("other.h5", "/x")
    elif kind == "soft link":
        file["node/nodes/lif"]["tau"] = h5py.SoftLink("/version")
    elif kind == "cycle":
        file["node/nodes/lif"]["tau"] = file["node"]
    elif kind == "external storage":
        file["node/nodes/lif"].create_dataset("tau", (2,), "f8", external=[("/etc/passwd", 0, 16)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout((2,), "f8")
        layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
        file["node/nodes/lif"].create_virtual_dataset("tau", layout)
    elif kind == "huge and empty":
        file["node/nodes/lif"].create_dataset("tau", (1 << 40,), "f8", chunks=(1 << 20,))
    elif kind == "text":
        file["node/nodes/lif"]["tau"] = "slow"
    elif kind == "group":
        file["node/nodes/lif"].create_group("tau")
    elif kind == "other shape":
        file["node/nodes/lif"]["tau"] = np.ones(3)


@pytest.mark.parametrize(
    "kind",
    [
        "external link", "soft link", "cycle", "external storage", "virtual", "huge and empty",
        "text", "group", "other shape", "missing",
    ],
)  # fmt: skip
def test_a_hostile_field_is_refused(small, kind):
    with h5py.File(small, "r+") as file:
        del file["node/nodes/lif/tau"]
        linked(file, kind)
    with pytest.raises(ReadError, match=r"net\.nir"):
        load(small)


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        ([("input", "gone")], "'gone', which is no node"),
        ([("input", "lif"), ("input", "lif")], "stands twice"),
        ([("input", "lif.port")], "no port of a graph"),
    ],
)
def test_edges_that_make_no_sense_are_refused(path, edges, reason):
    nodes = {"input": {"type": "Input", "shape": shape(2)}, "lif": lif()}
    with pytest.raises(ReadError, match=reason):
        load(build(path, nodes, edges))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("stride", shape(0, 0), "at least 1"),
        ("stride", shape(1, 1, 1), "1 or 2 numbers"),
        ("stride", np.float64([0.5, 1]), "whole numbers"),
        ("groups", np.int64(3), "groups"),
        ("padding", "full", "'same', 'valid' or numbers"),
        ("padding", np.float64([np.nan, 1]), "whole numbers"),
        ("bias", np.ones(7), "shape"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(path, field, value, reason):
    conv = {
        "type": "Conv2d", "weight": np.ones((2, 1, 3, 3)), "bias": np.ones(2),
        "stride": shape(1, 1), "padding": shape(0, 0), "dilation": shape(1, 1), "groups": 1,
        "input_shape": shape(5, 5), field: value,
    }  # fmt: skip
    with pytest.raises(ReadError, match=reason):
        load(build(path, {"conv": conv}, []))


def test_a_type_is_needed(small):
    with h5py.File(small, "r+") as file:
        del file["node/nodes/lif/type"]
    with pytest.raises(ReadError, match="states no type"):
        load(small)


def test_graphs_inside_graphs_without_end_are_refused(path):
    with h5py.File(path, "w") as file:
        group = file.create_group("node")
        for _ in range(200):
            graph(group, {}, [])
            group = group["nodes"].create_group("g")
        graph(group, {}, [])
    with pytest.raises(ReadError):
        load(path)


def test_an_hdf5_file_of_another_kind_is_refused(path):
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(ReadError, match="no group 'node'"):
        load(path)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_is_an_error_or_a_value(tmp_path_factory, data):
    source = bytearray((FIXTURES / "nir-1.0.8" / "mlp.nir").read_bytes())
    if data.draw(st.booleans()):
        del source[data.draw(st.integers(1, len(source) - 1)) :]
    else:
        for place in data.draw(st.lists(st.integers(0, len(source) * 8 - 1), max_size=4)):
            source[place // 8] ^= 1 << place % 8
    path = tmp_path_factory.mktemp("damaged") / "net.nir"
    path.write_bytes(source)
    message = ""
    try:
        load(path)
    except SNNBridgeError as error:
        message = str(error)
    assert "cannot be read as" not in message  # an error that nobody expected


def test_a_scale_and_a_synapse_alone_are_nodes(path):
    synapse = rules.get("rockpool", "ExpSynTorch").build("syn", shape=(2,), tau=0.01)
    assert isinstance(synapse, Synapse)
    net = SNNCheckpoint(
        [Input("in", (2,)), Scale("s", np.float32([2.0])), synapse],
        connections=[Connection("in", "s"), Connection("s", "syn")],
        dt=Quantity(1e-3, "s"),
    )
    save(net, path)
    with h5py.File(path) as file:
        assert file["node/nodes/s/scale"][()].tolist() == [2.0, 2.0]
        assert file["node/nodes/syn/type"][()] == b"LI"


def test_a_bare_file_refuses_what_it_cannot_say(net, path):
    with pytest.raises(LossyWrite):
        save(net, path, bare=True)
