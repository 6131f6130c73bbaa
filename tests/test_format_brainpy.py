"""BrainPy's checkpoints are read without BrainPy, say no more than they hold, and come back."""

import hashlib
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnbridge import (
    UNKNOWN,
    BatchNorm,
    Connection,
    Conv2d,
    Flatten,
    IntegrityError,
    Linear,
    LossyWrite,
    Neuron,
    Opaque,
    OptionError,
    Origin,
    Quantity,
    ReadError,
    Registry,
    SNNCheckpoint,
    StateVariable,
    Synapse,
    UnknownFormat,
    UnknownValue,
    WriteError,
    convert,
    differences,
    read,
    write,
)
from snnbridge.document import from_document, to_document
from snnbridge.formats import Probe
from snnbridge.node_trees import class_of, to_tree
from snnbridge.testing.strategies import checkpoints
from snnbridge.wire import pack, unpack
from snnbridge_plugins import brainpy

REGISTRY = Registry([brainpy])
FIXTURES = Path(__file__).parents[1] / "fixtures"
NEW, OLD, FIRST = (FIXTURES / f"brainpy-{v}" for v in ("2.8.2", "2.4.2", "2.3.4.1"))
BESIDE = (".json", ".npz", ".h5", ".hdf5")

#: Networks that were built in default mode: their files hold no weights.
WEIGHTLESS = {"a", "lif_default_exp", "lifref_default_dt01"} | {
    f"lif_default_{method}_{kind}" for method in ("euler", "exp") for kind in ("dyadic", "random")
}


def tree_files():
    found = [p for f in (NEW, OLD, FIRST) for p in sorted(f.rglob("*")) if p.is_file()]
    return [p for p in found if p.suffix not in BESIDE and p.stem != "codec_top_level_array"]


def is_weightless(path):
    return path.parent in (NEW, OLD) and path.stem in WEIGHTLESS


READABLE = tree_files()
WITH_WEIGHTS = [p for p in READABLE if not is_weightless(p)]
WITHOUT_WEIGHTS = [p for p in READABLE if is_weightless(p)]


def named(path):
    return str(path.relative_to(FIXTURES))


def opened(path, **options):
    return read(path, registry=REGISTRY, options=options)


def through_another_format(checkpoint):
    """Take a checkpoint through a document in JSON, as any other format does."""
    arrays = []

    def place(path, array):
        arrays.append(np.array(array))
        return len(arrays) - 1

    return from_document(json.loads(json.dumps(to_document(checkpoint, place))), arrays.__getitem__)


# Every file of the framework


@pytest.mark.parametrize("path", READABLE, ids=named)
def test_a_file_of_the_framework_is_recognised_by_its_content(path):
    assert brainpy.FORMAT.sniff(Probe(path))


@pytest.mark.parametrize("path", READABLE, ids=named)
def test_written_bare_a_file_comes_back_byte_for_byte(path, tmp_path):
    checkpoint = opened(path)
    write(checkpoint, tmp_path / "again.bp", bare=True, registry=REGISTRY)
    assert (tmp_path / "again.bp").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", READABLE, ids=named)
def test_byte_for_byte_also_after_a_stay_in_another_format(path, tmp_path):
    checkpoint = through_another_format(opened(path))
    write(checkpoint, tmp_path / "again.bp", bare=True, registry=REGISTRY)
    assert (tmp_path / "again.bp").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", READABLE, ids=named)
def test_nothing_is_added_where_there_is_nothing_to_add(path, tmp_path):
    ledger = write(opened(path), tmp_path / "again.bp", registry=REGISTRY)
    assert ledger.losses == ()
    assert (tmp_path / "again.bp").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", WITH_WEIGHTS, ids=named)
def test_a_conversion_keeps_the_tree_and_can_be_undone(path, tmp_path):
    done = convert(path, tmp_path / "with.bp", from_="brainpy", registry=REGISTRY)
    assert done.verdict == "identical"
    again = opened(tmp_path / "with.bp")
    assert differences(opened(path), again) == []
    assert again.provenance[-1]["source"]["name"] == path.name
    tree = unpack((tmp_path / "with.bp").read_bytes())
    assert list(tree)[-1] == "snnbridge"
    convert(tmp_path / "with.bp", tmp_path / "bare.bp", bare=True, registry=REGISTRY)
    assert (tmp_path / "bare.bp").read_bytes() == path.read_bytes()


def truths():
    """Pair each file, or folder of files, with what its live network said."""
    for folder in (NEW, OLD, FIRST):
        for truth in sorted(folder.glob("*.truth.json")):
            told = json.loads(truth.read_text(encoding="utf-8"))
            stem = truth.name.removesuffix(".truth.json")
            path = next((p for p in (folder / stem, folder / f"{stem}.bp") if p.exists()), None)
            if "nodes" in told and path is not None:
                yield pytest.param(path, told, id=named(path))


def stored_arrays(checkpoint):
    """Give each array of a net as the file stores it, by key, with its batch axis."""
    for where, (at, form) in to_tree(checkpoint).places.items():
        if where[0] == "state":
            held = checkpoint.state[where[1:]]
            yield at[-1], form.stored(held.value), held.batch_axis
        elif where[0] == "layers" and len(where) == 3:
            held = checkpoint.layers[where[1]].parameters[where[2]]
            yield at[-1], form.stored(held.value), UNKNOWN


@pytest.mark.parametrize(("path", "told"), list(truths()))
def test_what_is_read_is_what_the_live_network_said(path, told):
    checkpoint = opened(path)
    nodes = told["nodes"]
    for name, layer in checkpoint.layers.items():
        if layer.origin is not None:
            assert layer.origin.kind == nodes[name]["class"]
    said = {key: v for node in nodes.values() for key, v in node.get("variables", {}).items()}
    for key, array, batch_axis in stored_arrays(checkpoint):
        if key not in said:
            assert path.stem in ("custom", "path_keys")
            continue
        assert list(array.shape) == said[key]["shape"]
        assert array.dtype.name == said[key]["dtype"]
        assert batch_axis in (UNKNOWN, said[key]["batch_axis"])
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        assert digest == said[key]["sha256"]


# What is read


def test_the_tutorials_network_is_read_as_far_as_its_file_goes():
    checkpoint = opened(NEW / "snn.bp")
    kinds = {name: type(layer) for name, layer in checkpoint.layers.items()}
    assert kinds == {
        "Lif0": Neuron, "Integrator0": Neuron, "Dense0": Linear,
        "Expon0": Synapse, "Dense1": Linear, "Expon1": Synapse,
    }  # fmt: skip
    lif = checkpoint.layers["Lif0"]
    assert lif.origin == Origin("brainpy", "Lif")
    assert lif.shape == (10,)
    assert {p.value for p in lif.parameters.values()} == {UNKNOWN}
    assert set(lif.parameters) == {"tau", "v_rest", "resistance", "v_reset", "threshold"}
    assert set(lif.rule.unknown()) == set(type(lif.rule)().unknown())
    assert checkpoint.connections is UNKNOWN
    assert checkpoint.dt is UNKNOWN
    assert checkpoint.step is UNKNOWN
    assert checkpoint.training["epoch_i"] == 9
    assert checkpoint.training["train_loss"].shape == ()
    assert checkpoint.state["Lif0", "v"].batch_axis == 0
    assert checkpoint.state["Expon0", "i"].batch_axis is UNKNOWN


def test_weights_are_views_of_the_mapped_file():
    path = NEW / "snn.bp"
    weight = opened(path).layers["Dense0"].weight.value
    stored = unpack(path.read_bytes())["net"]["Dense0"]["Dense0.W"]
    assert weight.shape == (10, 100)
    assert np.array_equal(weight.T, stored)
    assert not weight.flags.owndata
    assert not weight.flags.writeable


def test_images_are_read_with_their_channels_first():
    path = NEW / "conv2d_options.bp"
    checkpoint = opened(path)
    tree = unpack(path.read_bytes())
    kernel, bias = (tree["Conv2d0"][f"Conv2d0.{key}"] for key in "wb")
    conv = checkpoint.layers["Conv2d0"]
    assert isinstance(conv, Conv2d)
    assert conv.weight.value.shape == (4, 1, 3, 2)
    assert np.array_equal(conv.weight.value, np.transpose(kernel, (3, 2, 0, 1)))
    assert np.array_equal(conv.bias.value, bias[0, 0])
    assert conv.stride is UNKNOWN
    assert checkpoint.layers["Lif0"].shape == (4, 6, 5)
    held = checkpoint.state["Lif0", "v"]
    assert np.array_equal(held.value, np.moveaxis(tree["Lif0"]["Lif0.V"], -1, 1))
    assert checkpoint.layers["Flatten0"].unknown() == ("start", "end", "order", "input_shape")


def test_batch_normalisation_is_read():
    norm = opened(NEW / "conv2d.bp").layers["BatchNorm2d0"]
    assert isinstance(norm, BatchNorm)
    assert norm.mean.value.shape == norm.weight.value.shape == (4,)
    assert norm.epsilon.value is UNKNOWN


def test_classes_outside_the_family_are_kept_as_they_are():
    checkpoint = opened(NEW / "neurons.bp")
    adex = checkpoint.layers["AdExIF0"]
    assert isinstance(adex, Opaque)
    assert adex.origin == Origin("brainpy", "AdExIF")
    assert {path[1] for path in checkpoint.state if path[0] == "AdExIF0"} == {"v", "w", "spike"}
    cell = opened(NEW / "rnn_cells.bp").layers["LSTMCell0"]
    assert set(cell.parameters) == {"Wi", "Wh", "b"}


def test_a_class_with_its_own_save_state_is_kept_as_it_is():
    layer = opened(NEW / "custom.bp").layers["YourClass0"]
    assert layer.origin is None
    assert set(layer.parameters) == {"b", "c", "d0", "d1"}
    assert layer.settings == {"a": 1}


def test_a_node_that_belies_its_name_is_not_taken_for_it():
    checkpoint = opened(NEW / "named.bp")
    assert isinstance(checkpoint.layers["Lif0"], Opaque)
    assert any("Lif0" in note for note in checkpoint.source.notes)


def test_classes_of_nodes_that_the_user_named_can_be_stated():
    stated = "entrée_1=Dense,Слой2=Lif,Lif0=Dense,出力=Lif"
    checkpoint = opened(NEW / "named.bp", classes=stated)
    kinds = [layer.kind for layer in checkpoint.layers.values()]
    assert kinds == ["Linear", "Neuron", "Linear", "Neuron"]
    with pytest.raises(OptionError, match="no node"):
        opened(NEW / "named.bp", classes="Dense7=Dense")
    with pytest.raises(OptionError, match="NODE=CLASS"):
        opened(NEW / "named.bp", classes="Dense7")


def test_layers_of_brainstate_are_read_as_the_classes_that_the_user_states(tmp_path):
    stated = {"classes": "fc1=Linear,fc2=Linear"}
    paths = NEW / "brainstate_lif_soft.msgpack", NEW / "trainer" / "checkpoint-epoch=0001.ckpt"
    for path in paths:
        assert not any(isinstance(x, Linear) for x in opened(path).layers.values())
        checkpoint = opened(path, **stated)
        first = next(x for x in checkpoint.layers.values() if isinstance(x, Linear))
        assert first.weight.value.shape == (8, 12)
        assert first.bias.value.shape == (8,)
        again = through_another_format(checkpoint)
        write(again, tmp_path / "x.bp", bare=True, allow_loss=True, registry=REGISTRY)
        assert (tmp_path / "x.bp").read_bytes() == path.read_bytes()
    with pytest.raises(OptionError, match="'fc9', which is no node; there are 'fc1', 'fc2'"):
        opened(paths[1], classes="fc9=Linear")


def test_the_newest_epoch_of_a_trainers_folder_is_read_or_the_one_that_is_named():
    assert opened(NEW / "trainer").training["epoch"] == 2
    assert opened(NEW / "trainer", step="1").training["epoch"] == 1
    assert read(NEW / "trainer", registry=REGISTRY).source.format == "brainpy"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DualExponV20", "DualExponV2"),
        ("RK40", "RK4"),
        ("Conv2d12", "Conv2d"),
        ("BatchNorm2d0", "BatchNorm2d"),
        ("Lif01", ""),
        ("SNN0", ""),
        ("Lif", ""),
    ],
)
def test_a_nodes_name_tells_the_longest_class_that_leaves_a_counter(name, kind):
    assert class_of(name) == kind


def test_trained_parameters_of_neurons_are_read_with_their_unit(tmp_path):
    node = {"Lif0.tau": np.full(3, 5, np.float32), "Lif0.V": np.zeros((1, 3), np.float32)}
    (tmp_path / "x.bp").write_bytes(pack({"Lif0": node}))
    held = opened(tmp_path / "x.bp").layers["Lif0"].parameters["tau"]
    assert held.unit == "ms"
    assert held.value.tolist() == [5, 5, 5]
    write(opened(tmp_path / "x.bp"), tmp_path / "y.bp", bare=True, registry=REGISTRY)
    assert (tmp_path / "y.bp").read_bytes() == (tmp_path / "x.bp").read_bytes()


def test_optimizers_are_training_wherever_they_stand(tmp_path):
    path = NEW / "train_adam.bp"
    assert set(opened(path).training["optimizer"]) == {"Adam0", "Constant0"}
    tree = unpack(path.read_bytes())
    (tmp_path / "x.bp").write_bytes(pack({"net": {**tree["net"], **tree["optimizer"]}}))
    checkpoint = opened(tmp_path / "x.bp")
    assert set(checkpoint.training["net"]) == {"Adam0", "Constant0"}
    assert not set(checkpoint.layers) & {"Adam0", "Constant0"}


def test_the_network_is_found_under_any_key_and_can_be_named(tmp_path):
    nets = {"ema": {"Dense0": {"Dense0.W": np.zeros((2, 3))}}, "epoch": 1}
    nets["last"] = {"Dense0": {"Dense0.W": np.ones((2, 3))}}
    (tmp_path / "x.bp").write_bytes(pack(nets))
    first, second = opened(tmp_path / "x.bp"), opened(tmp_path / "x.bp", net="last")
    assert first.layers["Dense0"].weight.value.sum() == 0
    assert second.layers["Dense0"].weight.value.sum() == 6
    assert list(first.training) == ["epoch", "last"]
    assert any("'last'" in note for note in first.source.notes)
    with pytest.raises(OptionError, match="'ema'"):
        opened(tmp_path / "x.bp", net="best")


def test_a_tree_without_a_network_is_all_training(tmp_path):
    (tmp_path / "x.bp").write_bytes(pack({"loss": np.zeros(3), "epoch": 2}))
    checkpoint = opened(tmp_path / "x.bp")
    assert checkpoint.layers == {}
    assert list(checkpoint.training) == ["loss", "epoch"]
    assert "net=KEY" in checkpoint.source.notes[0]


@pytest.mark.parametrize("path", WITHOUT_WEIGHTS, ids=named)
def test_a_network_without_its_weights_is_shown_with_the_remedy_and_not_converted(path, tmp_path):
    remedy = r"training_environment.*frameworks\.brainpy\.export"
    checkpoint = opened(path)
    weights = [x.weight.value for x in checkpoint.layers.values() if isinstance(x, Linear)]
    assert set(weights) == {UNKNOWN}
    assert re.search(remedy, checkpoint.source.notes[0])
    with pytest.raises(UnknownValue, match=remedy):
        convert(path, tmp_path / "x.bp", registry=REGISTRY)
    assert not (tmp_path / "x.bp").exists()
    done = convert(path, tmp_path / "x.bp", allow_loss=True, registry=REGISTRY)
    assert differences(checkpoint, opened(tmp_path / "x.bp")) == []
    assert done.verdict == "identical"


def test_a_weight_that_a_flat_file_names_elsewhere_is_unknown():
    layer = opened(FIRST / "shared" / "checkpoint_7").layers["Dense1"]
    assert layer.weight.value is UNKNOWN
    assert layer.bias.value.shape == (3,)


# Folders and files of old releases


def test_the_newest_checkpoint_of_a_folder_is_read_or_the_one_that_is_named():
    newest = opened(OLD / "directory")
    assert newest.training["step"] == 100
    assert "checkpoint_100" in newest.source.notes[0]
    assert opened(OLD / "directory", step="10").training["step"] == 10
    with pytest.raises(OptionError, match="10, 100"):
        opened(OLD / "directory", step="7")
    with pytest.raises(OptionError, match="folder"):
        opened(NEW / "snn.bp", step="1")


def test_a_folder_without_checkpoints_is_none(tmp_path):
    (tmp_path / "checkpoint_tmp").write_bytes(b"")
    with pytest.raises(UnknownFormat):
        opened(tmp_path)
    with pytest.raises(ReadError, match="checkpoint_<step>"):
        read(tmp_path, format="brainpy", registry=REGISTRY)


@pytest.mark.parametrize("name", ["flat_mlp.h5", "flat_mlp.hdf5", "flat_mlp.npz"])
def test_flat_files_hold_the_network_that_the_program_had(name):
    checkpoint = opened(OLD / name)
    told = json.loads((OLD / "flat_mlp.truth.json").read_text())["nodes"]["Dense0"]
    weight = checkpoint.layers["Dense0"].weight.value
    digest = hashlib.sha256(np.ascontiguousarray(weight.T).tobytes()).hexdigest()
    assert digest == told["variables"]["Dense0.W"]["sha256"]
    assert checkpoint.state["LifRef0", "t_last_spike"].batch_axis == 0


@pytest.mark.parametrize("suffix", [".h5", ".npz", "_compressed.npz"])
def test_shared_variables_of_flat_files_are_tied(suffix):
    checkpoint = opened(OLD / f"flat_shared{suffix}")
    shared = {("Dense0", "weight"), ("Dense1", "weight"), ("Shared0", "shared")}
    assert checkpoint.ties == (frozenset(shared),)


def test_a_flat_file_becomes_a_nested_state_dict(tmp_path):
    write(opened(OLD / "flat_mlp.h5"), tmp_path / "x.bp", registry=REGISTRY)
    tree = unpack((tmp_path / "x.bp").read_bytes())
    assert list(tree["Dense0"]) == ["Dense0.W", "Dense0.b"]


def test_other_archives_are_left_to_other_formats(tmp_path):
    np.savez(tmp_path / "x.npz", layer_0=np.zeros(2))
    assert not brainpy.FORMAT.sniff(Probe(tmp_path / "x.npz"))
    for path in sorted((FIXTURES / "spyx-1.0.0").glob("*.msgpack")):
        assert not brainpy.FORMAT.sniff(Probe(path))


def test_a_pickle_is_refused_with_the_reason(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04}.")
    with pytest.raises(ReadError, match=r"runs while it is read.*save_pytree"):
        opened(tmp_path / "x.pkl")


def test_arrays_in_another_folder_are_refused_with_the_reason(tmp_path):
    tree = {"Lif0": {"Lif0.V": np.zeros(2), "Lif0.w": "//GDAPlaceholder:Lif0/w"}}
    (tmp_path / "x.bp").write_bytes(pack(tree))
    with pytest.raises(ReadError, match="several processes"):
        opened(tmp_path / "x.bp")


# What is added to a file


def trained():
    """Make a checkpoint as another framework's file gives it."""
    rng = np.random.default_rng(0)
    return SNNCheckpoint(
        [
            Linear("fc1", rng.normal(size=(3, 4)).astype(np.float32), np.ones(3, np.float32)),
            Neuron("lif1", (3,), {"tau": 5.0}, origin=Origin("snntorch", "Leaky", "0.9")),
            Flatten("flat"),
        ],
        [Connection("fc1", "lif1")],
        dt=Quantity(1.0, "ms"),
        state={("lif1", "v"): StateVariable(np.zeros((2, 3), np.float32), 0)},
        training={"epoch": 3, "losses": [0.5, 0.25], "adam": {"mu": np.ones(2)}},
        metadata={"author": "me"},
        frozen_layers=["fc1"],
    )


def test_a_checkpoint_from_elsewhere_comes_back_and_stands_under_natural_keys(tmp_path):
    checkpoint = trained()
    ledger = write(checkpoint, tmp_path / "x.bp", registry=REGISTRY)
    assert ledger.losses == ()
    assert differences(checkpoint, opened(tmp_path / "x.bp")) == []
    tree = unpack((tmp_path / "x.bp").read_bytes())
    assert list(tree) == ["net", "epoch", "losses", "adam", "snnbridge"]
    assert tree["net"]["fc1"]["fc1.W"].shape == (4, 3)
    assert list(tree["net"]["lif1"]) == ["lif1.V"]


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
@given(checkpoint=checkpoints())
def test_every_checkpoint_comes_back(checkpoint, tmp_path):
    write(checkpoint, tmp_path / "x.bp", registry=REGISTRY)
    back = read(tmp_path / "x.bp", format="brainpy", registry=REGISTRY)
    assert differences(checkpoint, back) == []


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
@given(checkpoint=checkpoints())
def test_a_bare_file_loses_nothing_but_what_the_ledger_says(checkpoint, tmp_path):
    ledger = write(checkpoint, tmp_path / "x.bp", bare=True, allow_loss=True, registry=REGISTRY)
    back = read(tmp_path / "x.bp", format="brainpy", registry=REGISTRY)
    assert ledger.unexplained(differences(checkpoint, back)) == []


def edits():
    """Make changes that a user makes to a checkpoint that was read from a file."""
    weight = st.sampled_from([np.ones((2, 3), np.float32), np.zeros((1, 1), ">f8")])
    name = st.sampled_from(["Dense7", "Lif0", "head", "snnbridge", "net", "SNN0", "Adam0"])
    return st.lists(
        st.one_of(
            st.tuples(st.just("add"), name, weight),
            st.tuples(st.just("remove"), st.integers(0, 9), st.none()),
            st.tuples(st.just("forget"), st.integers(0, 9), st.none()),
            st.tuples(st.just("train"), name, st.sampled_from([1, {"x": np.ones(2)}, [1]])),
        ),
        max_size=4,
    )


def edited(checkpoint, changes):
    layers, state = dict(checkpoint.layers), dict(checkpoint.state)
    training = dict(checkpoint.training)
    for action, what, value in changes:
        if action == "add":
            layers[what] = Linear(what, value)
        elif action == "remove" and layers:
            layers.pop(list(layers)[what % len(layers)])
        elif action == "forget" and state:
            state.pop(list(state)[what % len(state)])
        elif action == "train":
            training[what] = value
    state = {path: held for path, held in state.items() if path[0] in layers}
    return replace(checkpoint, layers=layers, state=state, training=training)


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
@given(
    source=st.sampled_from(["snn.bp", "settings.bp", "conv2d.bp", "train_vars.bp", "custom.bp"]),
    changes=edits(),
)
def test_a_file_that_was_read_may_be_changed_and_written(source, changes, tmp_path):
    checkpoint = edited(opened(NEW / source), changes)
    write(checkpoint, tmp_path / "x.bp", registry=REGISTRY)
    back = read(tmp_path / "x.bp", format="brainpy", registry=REGISTRY)
    assert differences(checkpoint, back) == []
    ledger = write(checkpoint, tmp_path / "y.bp", bare=True, allow_loss=True, registry=REGISTRY)
    back = read(tmp_path / "y.bp", format="brainpy", registry=REGISTRY)
    assert ledger.unexplained(differences(checkpoint, back)) == []


def test_a_bare_file_that_would_lose_something_is_refused_by_name(tmp_path):
    with pytest.raises(LossyWrite, match="bare brainpy file"):
        write(trained(), tmp_path / "x.bp", bare=True, registry=REGISTRY)
    assert not (tmp_path / "x.bp").exists()
    ledger = write(trained(), tmp_path / "x.bp", bare=True, allow_loss=True, registry=REGISTRY)
    reasons = {entry.path: entry.reason for entry in ledger.losses}
    assert "'fc1' tells no class" in reasons["layers", "fc1"]
    assert "without arrays" in reasons["layers", "flat"]
    assert ("training", "losses") in reasons


def test_a_layer_that_is_told_by_its_name_survives_a_bare_file(tmp_path):
    weight = np.ones((2, 3), np.float32)
    checkpoint = SNNCheckpoint([Linear("Dense0", weight, origin=Origin("brainpy", "Dense"))])
    write(checkpoint, tmp_path / "x.bp", bare=True, registry=REGISTRY)
    assert differences(checkpoint, opened(tmp_path / "x.bp")) == []


def rewritten(path, change):
    """Change a file as another tool does that loads and saves the whole tree."""
    tree = unpack(path.read_bytes())
    change(tree)
    path.write_bytes(pack(tree))


def test_arrays_that_another_tool_changed_are_seen_and_noted(tmp_path):
    path = tmp_path / "x.bp"
    write(trained(), path, registry=REGISTRY)
    assert opened(path).source.notes == ()

    def change(tree):
        tree["net"]["fc1"]["fc1.W"] = np.full((4, 3), 7, np.float32)

    rewritten(path, change)
    checkpoint = opened(path)
    assert checkpoint.layers["fc1"].weight.value.tolist() == [[7] * 4] * 3
    assert checkpoint.layers["lif1"].parameters["tau"].value == 5.0
    assert "another tool changed the file" in checkpoint.source.notes[0]


def test_a_description_that_no_longer_fits_is_passed_over_and_noted(tmp_path):
    path = tmp_path / "x.bp"
    write(trained(), path, registry=REGISTRY)
    rewritten(path, lambda tree: tree["net"].pop("fc1"))
    checkpoint = opened(path)
    assert list(checkpoint.layers) == ["lif1"]
    assert "passed over" in checkpoint.source.notes[0]


@pytest.mark.parametrize("key", ["document", "arrays", "native_sha256", "sha256"])
def test_a_changed_description_is_an_error_and_can_be_left_out(tmp_path, key):
    path = tmp_path / "x.bp"
    write(trained(), path, registry=REGISTRY)

    def change(tree):
        entry = tree["snnbridge"]
        if key == "arrays":
            entry[key]["0"] = entry[key]["0"] + 1
        elif key == "document":
            entry[key] = entry[key].replace('"epoch":3', '"epoch":4')
        else:
            entry[key] = entry[key][::-1]

    rewritten(path, change)
    with pytest.raises(IntegrityError, match="net=KEY"):
        opened(path)
    assert list(opened(path, net="net").layers) == ["fc1", "lif1"]


def test_a_tool_that_sorts_the_keys_changes_no_description(tmp_path):
    path = tmp_path / "x.bp"
    write(trained(), path, registry=REGISTRY)

    def ordered(tree):
        if not isinstance(tree, dict):
            return tree
        return {key: ordered(tree[key]) for key in sorted(tree)}

    path.write_bytes(pack(ordered(unpack(path.read_bytes()))))
    assert differences(trained(), opened(path)) == []


def test_a_file_that_holds_a_users_entry_of_our_name_is_read(tmp_path):
    (tmp_path / "x.bp").write_bytes(pack({"snnbridge": 3, "Lif0": {"Lif0.V": np.zeros(2)}}))
    assert opened(tmp_path / "x.bp").training == {"snnbridge": 3}


# Templates


def template(tmp_path, **changes):
    tree = {
        "Net0": {},
        "Lif0": {"Lif0.V": np.full((1, 3), 9, np.float32)},
        "Dense0": {
            "Dense0.W": np.zeros((4, 3), np.float32),
            "Dense0.b": np.zeros(3, np.float32),
        },
        "ExponentialEuler0": {},
    } | changes
    path = tmp_path / "template.bp"
    path.write_bytes(pack({"net": tree, "epoch": 0}))
    return str(path)


def test_a_checkpoint_is_written_into_a_templates_names(tmp_path):
    like, checkpoint = template(tmp_path), trained()
    write(checkpoint, tmp_path / "x.bp", options={"like": like}, registry=REGISTRY)
    tree = unpack((tmp_path / "x.bp").read_bytes())
    assert list(tree) == ["net", "epoch", "snnbridge"]
    assert list(tree["net"]) == ["Net0", "Lif0", "Dense0", "ExponentialEuler0"]
    weight = checkpoint.layers["fc1"].weight.value
    assert np.array_equal(tree["net"]["Dense0"]["Dense0.W"], weight.T)
    # The batch of the template is another: its state stays.
    assert tree["net"]["Lif0"]["Lif0.V"].tolist() == [[9, 9, 9]]
    assert differences(checkpoint, opened(tmp_path / "x.bp")) == []


def test_training_that_a_bare_file_takes_from_its_template_is_lost_unless_equal(tmp_path):
    like = template(tmp_path)
    checkpoint = replace(
        read(like, registry=REGISTRY), training={"epoch": 0, "loss": np.float32(0.5)}
    )
    options = {"like": like}
    ledger = write(
        checkpoint, tmp_path / "x.bp", bare=True, allow_loss=True, options=options,
        registry=REGISTRY,
    )  # fmt: skip
    assert {entry.path: entry.reason for entry in ledger.losses} == {
        ("training", "loss"): "the template's own stands there"
    }


def test_a_template_that_does_not_fit_is_refused_with_both_sides(tmp_path):
    more = {"Dense1": {"Dense1.W": np.zeros((5, 5), np.float32)}}
    like = template(tmp_path, **more)
    with pytest.raises(WriteError, match=r"'Dense1' \(Linear \(5, 5\)\) of the template has no"):
        write(trained(), tmp_path / "x.bp", options={"like": like}, registry=REGISTRY)
    small = template(tmp_path, Dense0={"Dense0.W": np.zeros((4, 3))})
    with pytest.raises(WriteError, match="is float64, the checkpoint's float32") as caught:
        write(trained(), tmp_path / "x.bp", options={"like": small}, registry=REGISTRY)
    assert "bias of layer 'fc1' has no place" in str(caught.value)
    assert not (tmp_path / "x.bp").exists()


def three_matrices(tmp_path):
    """Make a template of three matrices, two of one shape, and a checkpoint that fits it."""
    nodes = {
        f"Dense{i}": {f"Dense{i}.W": np.zeros(shape, np.float32)}
        for i, shape in enumerate([(2, 2), (4, 3), (2, 2)])
    }
    path = tmp_path / "template.bp"
    path.write_bytes(pack(nodes))
    arrays = [np.full(shape, i, np.float32) for i, shape in enumerate([(3, 4), (2, 2), (2, 2)])]
    return str(path), SNNCheckpoint([Linear(f"fc{i}", a) for i, a in enumerate(arrays)])


def first_elements(path, nodes):
    tree = unpack(path.read_bytes())
    return [tree[node][f"{node}.W"].flat[0] for node in nodes]


def test_two_layers_that_fit_one_node_are_never_told_apart_by_their_order(tmp_path):
    like, checkpoint = three_matrices(tmp_path)
    with pytest.raises(WriteError, match=r"'fc1', 'fc2' for node 'Dense0'.*map=fc1=Dense0,fc2="):
        write(checkpoint, tmp_path / "x.bp", options={"like": like}, registry=REGISTRY)
    assert not (tmp_path / "x.bp").exists()


@pytest.mark.parametrize("stated", ["fc1=Dense2", "fc1=Dense2, fc2=Dense0", {"fc2": "Dense0"}])
def test_the_user_says_which_layer_goes_where_and_the_ledger_repeats_it(tmp_path, stated):
    like, checkpoint = three_matrices(tmp_path)
    options = {"like": like, "map": stated}
    ledger = write(checkpoint, tmp_path / "x.bp", options=options, registry=REGISTRY)
    assert first_elements(tmp_path / "x.bp", ["Dense0", "Dense1", "Dense2"]) == [2, 0, 1]
    told = {entry.path[1]: entry.reason for entry in ledger if entry.reason}
    assert told["fc0"] == "stored as node 'Dense1' of the template, told by kind and shape"
    assert "'Dense2' of the template, told by" in told["fc1"]
    assert ledger.losses == ()


def test_a_map_of_what_is_not_there_is_refused(tmp_path):
    like, checkpoint = three_matrices(tmp_path)
    for stated, reason in (
        ("fc9=Dense0", "'fc9', which is no layer"),
        ("fc1=Dense9", "'Dense9', which is no node"),
        ("fc1=Dense0,fc2=Dense0", "two layers"),
        ("fc1", "LAYER=NAME"),
    ):
        with pytest.raises(OptionError, match=reason):
            write(checkpoint, tmp_path / "x.bp", registry=REGISTRY,
                  options={"like": like, "map": stated})  # fmt: skip
    with pytest.raises(OptionError, match="like"):
        write(checkpoint, tmp_path / "x.bp", options={"map": "fc1=Dense0"}, registry=REGISTRY)
    with pytest.raises(WriteError, match=r"W of the template has the shape \(3, 4\)"):
        write(checkpoint, tmp_path / "x.bp", registry=REGISTRY,
              options={"like": like, "map": "fc1=Dense1,fc0=Dense0,fc2=Dense2"})  # fmt: skip


def chain(names, shuffled=None):
    """Make a chain of matrices of one shape, each filled with its position."""
    layers = [Linear(x, np.full((2, 2), i, np.float32)) for i, x in enumerate(names)]
    layers.insert(1, Flatten("flat"))
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    ordered = sorted(layers, key=lambda x: shuffled.index(x.name)) if shuffled else layers
    return SNNCheckpoint(ordered, edges)


def test_layers_of_one_shape_are_told_apart_by_the_connections_where_both_sides_know_them(
    tmp_path,
):
    nodes = ["Dense0", "Dense1", "Dense2"]
    template = chain(nodes, ["Dense2", "Dense0", "flat", "Dense1"])
    write(template, tmp_path / "template.bp", registry=REGISTRY)
    options = {"like": str(tmp_path / "template.bp")}
    ledger = write(chain("abc"), tmp_path / "x.bp", options=options, registry=REGISTRY)
    assert first_elements(tmp_path / "x.bp", nodes) == [0, 1, 2]
    assert "told by connections" in next(x.reason for x in ledger if x.path == ("layers", "b"))
    ring = replace(chain("abc"), connections=UNKNOWN)
    with pytest.raises(WriteError, match="several layers fit"):
        write(ring, tmp_path / "y.bp", options=options, registry=REGISTRY)


def test_nodes_that_the_user_named_are_known_by_their_keys(tmp_path):
    nodes = {
        "head": {"head.W": np.zeros((4, 3), np.float32), "head.b": np.zeros(3, np.float32)},
        "cells": {"cells.V": np.zeros((1, 3), np.float32)},
    }
    path = tmp_path / "template.bp"
    path.write_bytes(pack(nodes))
    checkpoint = trained()
    write(checkpoint, tmp_path / "x.bp", options={"like": str(path)}, registry=REGISTRY)
    tree = unpack((tmp_path / "x.bp").read_bytes())["head"]
    assert np.array_equal(tree["head.W"], checkpoint.layers["fc1"].weight.value.T)
    assert np.array_equal(tree["head.b"], np.ones(3))
    assert differences(checkpoint, opened(tmp_path / "x.bp")) == []


def test_neurons_of_which_nothing_is_stored_need_not_be_told_apart(tmp_path):
    nodes = {f"Lif{i}": {f"Lif{i}.V": np.full((1, 3), i, np.float32)} for i in range(2)}
    (tmp_path / "template.bp").write_bytes(pack(nodes))
    options = {"like": str(tmp_path / "template.bp")}
    checkpoint = SNNCheckpoint([Neuron("a"), Neuron("b")])
    write(checkpoint, tmp_path / "x.bp", options=options, registry=REGISTRY)
    held = replace(checkpoint, state={("a", "v"): StateVariable(np.ones((1, 3), np.float32), 0)})
    with pytest.raises(WriteError, match="'a', 'b' for node 'Lif0'"):
        write(held, tmp_path / "y.bp", options=options, registry=REGISTRY)


# Bad files


@pytest.mark.parametrize(
    "path",
    [NEW / "settings.bp", NEW / "chunked.bp", OLD / "flat_shared.npz", OLD / "flat_mlp.h5"],
    ids=named,
)
def test_a_truncated_file_is_a_read_error_with_its_path(path, tmp_path):
    data = path.read_bytes()
    bad = tmp_path / path.name
    for size in range(0, len(data), max(1, len(data) // 40)):
        bad.write_bytes(data[:size])
        try:
            read(bad, format="brainpy", registry=REGISTRY)
        except ReadError as error:
            assert str(bad) in str(error)  # noqa: PT017
        else:
            assert path.suffix == ".h5"  # what is cut off belongs to no array


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=100)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(data, tmp_path):
    path = data.draw(st.sampled_from([NEW / "settings.bp", NEW / "codec_containers.bp"]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    bad = tmp_path / "x.bp"
    bad.write_bytes(content)
    brainpy.FORMAT.sniff(Probe(bad))
    try:
        read(bad, format="brainpy", registry=REGISTRY)
    except ReadError as error:
        assert str(bad) in str(error)  # noqa: PT017


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x93\x01\x02\x03", b"no tree at all", b"\xc1"])
def test_other_content_is_not_claimed(content, tmp_path):
    (tmp_path / "x.dat").write_bytes(content)
    assert not brainpy.FORMAT.sniff(Probe(tmp_path / "x.dat"))


def test_an_array_at_the_top_is_no_checkpoint():
    with pytest.raises(ReadError, match="a map was expected"):
        read(NEW / "codec_top_level_array.bp", format="brainpy", registry=REGISTRY)
