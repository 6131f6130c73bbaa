"""What importers of NIR make of a graph's edges: refused, or written so that they run it."""

import itertools

import h5py
import numpy as np
import pytest

import nir_graphs
from snnbridge import (
    Connection,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Output,
    Quantity,
    ReadError,
    Registry,
    SNNCheckpoint,
    UnknownFormat,
    WriteError,
    read,
    rules,
    simulate,
    verify,
    write,
)
from snnbridge.model import SumPool
from snnbridge_plugins import hdf5, nir
from snnbridge_plugins.nir.importers import IMPORTERS

REGISTRY = Registry([nir])
SHAPES = [(importer, name) for importer in IMPORTERS for name in nir_graphs.SHAPES]


def of_shape(importer, name):
    return dict(nir_graphs.nets(importer))[name]


def put(net, path, **options):
    return write(net, path, registry=REGISTRY, options=options)


def load(path, **options):
    return read(path, registry=REGISTRY, options=options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.nir"


@pytest.mark.parametrize(("importer", "name"), SHAPES)
def test_a_shape_that_an_importer_does_not_run_is_refused(importer, name, path):
    net = of_shape(importer, name)
    if name in nir_graphs.REFUSED[importer]:
        with pytest.raises(WriteError, match=f"the importer of {importer}"):
            put(net, path, **{"for": importer})
        assert not path.exists()
        return
    put(net, path, **{"for": importer})
    assert verify(net, load(path), steps=30, seed=1).verdict in ("identical", "equivalent")


@pytest.mark.parametrize("importer", ["norse", "spikingjelly"])
def test_the_step_of_a_way_back_stands_where_the_importer_takes_it(importer, path):
    net = of_shape(importer, "recurrent matrix, the step before it")
    ledger = put(net, path, **{"for": importer})
    assert any("way back" in entry.reason for entry in ledger.told)
    delays = {(c.source, c.target): c.delay for c in load(path).connections}
    assert (delays["lif", "rec"], delays["rec", "lif"]) == (0, 1)


def test_a_bias_that_would_act_one_step_early_is_refused(path):
    make = nir_graphs.Maker("norse")
    make.ends()
    make.weights("a")
    make.weights("rec")
    make.connect("input", "a", make.neuron("lif"))
    make.connect("lif", "rec", delay=1)
    make.connect("rec", "lif")
    make.connect("lif", "output")
    with pytest.raises(WriteError, match="its bias acts in all of them"):
        put(make.net(), path, **{"for": "norse"})


def test_a_connection_of_two_steps_is_refused(path):
    make = nir_graphs.Maker("spikingjelly")
    make.ends()
    make.weights("a")
    make.connect("input", "a", make.neuron("lif"))
    make.connect("lif", "output", delay=2)
    with pytest.raises(WriteError, match="takes 2 steps; the importer of spikingjelly"):
        put(make.net(), path, **{"for": "spikingjelly"})


def test_a_graph_inside_is_taken_apart_under_the_names_of_a_simulation(path):
    net = of_shape("snntorch", "a graph inside")
    ledger = put(net, path, **{"for": "snntorch"})
    found = load(path)
    assert [n for n in found.layers if "/" in n] == ["block/a", "block/lif"]
    assert any(entry.what == "subgraph 'block'" for entry in ledger.told)
    x = np.random.default_rng(2).random((20, 2, 4)).astype(np.float32)
    a, b = (simulate(n, x, record={"block/lif": "spikes"}).spikes for n in (net, found))
    assert (a["block/lif"] == b["block/lif"]).all()


@pytest.mark.parametrize(
    ("importer", "name", "reason"),
    [
        ("norse", "two matrices into one layer", "comes to 'b' last"),
        ("sinabs", "neurons to themselves", "runs 'lif' before 'lif'"),
        ("spyx", "past a layer", "a single row of nodes"),
        ("spyx", "recurrent matrix", "a single row of nodes"),
        ("snntorch", "recurrent matrix", "a recurrent layer of its own"),
        ("spikingjelly", "two rows", "does not add what reaches 'output'"),
        ("rockpool", "a graph inside", "no such graphs inside graphs as 'block'"),
    ],
)
def test_a_plain_file_that_an_importer_runs_otherwise_is_refused(importer, name, reason, path):
    put(of_shape(importer, name), path)
    with pytest.raises(ReadError, match=rf"importer of {importer} [0-9.]+ {reason}|{reason}"):
        load(path, scheme=importer)


def test_spyx_begins_at_a_node_of_one_name(path):
    make = nir_graphs.Maker("spyx")
    make.layers += [Input("x", (4,)), Output("output", (4,))]
    make.connect("x", make.neuron("lif"))
    make.connect("lif", "output")
    put(make.net(), path)
    with pytest.raises(ReadError, match="looks for a node 'input'"):
        load(path, scheme="spyx")


def chain(path, *layers, **options):
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    net = SNNCheckpoint(layers, connections=edges, dt=Quantity(1e-3, "s"))
    return put(net, path, **options)


def flattened(start, path):
    chain(
        path, Input("input", (2, 3, 4)), Flatten("flat", start, -1, order="channels first"),
        Output("output", (24,) if start == 0 else (2, 12)),
    )  # fmt: skip


def test_importers_that_count_the_batch_join_one_axis_less(path):
    """What NIR says of (2, 3, 4) from axis 1 on, Norse does from axis 1 of (batch, 2, 3, 4)."""
    flattened(1, path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/output/shape"]
        file["node/nodes/output"]["shape"] = np.array([24])
    layer = load(path, scheme="norse").layers["flat"]
    assert (layer.start, layer.end) == (0, -1)
    assert load(path, scheme="spyx").layers["flat"].start == 0


@pytest.mark.parametrize("importer", ["norse", "snntorch"])
def test_a_flatten_that_would_join_the_samples_is_refused(importer, path):
    flattened(0, path)
    with pytest.raises(ReadError, match="would join the samples"):
        load(path, scheme=importer)


@pytest.mark.parametrize("importer", ["norse", "snntorch", "spikingjelly", "spyx", "sinabs"])
def test_the_padding_of_a_pool_that_importers_leave_out_is_refused(importer, path):
    pool = SumPool("pool", (2, 2), (2, 2), ((1, 1), (1, 1)))
    chain(path, Input("input", (2, 6, 6)), pool, Output("output", (2, 4, 4)))
    with pytest.raises(ReadError, match="padding of a SumPool2d"):
        load(path, scheme=importer)


def test_a_field_that_an_importer_s_nir_refuses_is_refused(path):
    lif = rules.nir.LIF("lif", shape=(2,), tau=0.1, v_threshold=1.0, v_reset=-1.0, method="euler")
    chain(path, Input("input", (2,)), lif, Output("output", (2,)))
    with pytest.raises(ReadError, match=r"needs NIR 1\.0\.4, which refuses the field v_reset"):
        load(path, scheme="sinabs")


def conv(groups, kernel):
    return Conv2d(
        "it", np.ones((2, 2 // groups, *kernel), np.float32), stride=1, padding=0, dilation=1,
        groups=groups, input_shape=(6, 6),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (conv(2, (3, 3)), "type_check=False"),
        (conv(1, (3, 5)), "type_check=False"),
        (conv(1, (3, 3)), None),
        (SumPool("it", (2, 2), (2, 2), 0), "before 1.0 has no SumPool2d"),
        (Linear("it", np.ones((2, 2), np.float32)), None),
        (
            rules.nir.LIF("it", shape=(2,), tau=1.0, v_threshold=1.0, v_reset=-1.0, method="euler"),
            "before 1.0.6 refuses its field v_reset",
        ),
    ],
    ids=["groups", "no square", "square", "sum", "matrix", "reset"],
)
def test_the_ledger_says_which_releases_refuse_a_node(layer, reason, path):
    image = (2, 6, 6) if isinstance(layer, Conv2d | SumPool) else (2,)
    told = chain(path, Input("input", image), layer).told
    assert [entry.status.value for entry in told] == ["exact"] * (reason is not None)
    if reason is not None:
        assert reason in told[0].reason


def test_the_call_that_is_noted_names_the_file(path):
    put(of_shape("norse", "a row"), path, **{"for": "norse"})
    assert "nir.read('net.nir')" in load(path).source.notes[0]
    other = path.rename(path.with_name("other.nir"))
    assert "nir.read('other.nir')" in load(other).source.notes[0]


def test_a_refusal_says_whose_neuron_it_speaks_of(path):
    lif = rules.nir.LIF("lif", shape=(2,), tau=0.1, v_threshold=1.0, v_reset=None, method="euler")
    with pytest.raises(WriteError, match="there a neuron is set to a fixed potential by a spike"):
        chain(path, Input("input", (2,)), lif, **{"for": "norse"})


# What is wrong with a file


def damaged(path, kind):
    if kind == "cut off":
        put(of_shape("norse", "a row"), path)
        path.write_bytes(path.read_bytes()[:2000])
        return
    with h5py.File(path, "w") as file:
        if kind == "recorded data":
            file.attrs["__type__"] = "NIRGraphData"
            file.create_group("nodes")
        elif kind == "never finished":
            file.create_group("node/nodes")
        elif kind == "a link":
            file["node"] = h5py.ExternalLink("other.nir", "/node")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("cut off", "it was cut off"),
        ("recorded data", "recorded data"),
        ("never finished", "cannot write a graph to its end"),
        ("a link", "external link"),
    ],
)
def test_a_damaged_file_is_taken_by_its_name_and_says_what_is_wrong(path, kind, reason):
    damaged(path, kind)
    registry = Registry([nir, hdf5])
    with pytest.raises(ReadError, match=reason):
        read(path, registry=registry)
    other = path.rename(path.with_suffix(".bin"))
    with pytest.raises(UnknownFormat):
        read(other, registry=registry)


def test_a_block_of_the_user_s_before_the_file_is_passed_over(path):
    put(of_shape("norse", "a row"), path)
    with h5py.File(path) as file, h5py.File(path.with_name("b.nir"), "w", userblock_size=512) as b:
        for key in file:
            file.copy(key, b)
    assert list(read(path.with_name("b.nir"), registry=REGISTRY).layers)
