"""The interface of sc_neurocore.transfer works after changing the import, and freezing acts."""

import copy
import json
from collections import OrderedDict, namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import snnbridge
from snnbridge import (
    CheckpointError,
    Connection,
    Linear,
    Neuron,
    Opaque,
    ReadError,
    SNNBridgeError,
    differences,
)
from snnbridge.transfer import (
    SNNCheckpoint,
    TransferConfig,
    apply_transfer_config,
    freeze_layers,
    label_tree,
    learning_rates,
    load_checkpoint,
    parameter_groups,
    save_checkpoint,
    unfreeze_layers,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "sc-neurocore-3.16.0"
NAMES = ["conv1", "conv2", "fc"]


def model(**fields):
    weights = [np.ones((4, 9)), np.full((5, 4), 2.0), np.zeros((2, 5))]
    return SNNCheckpoint(weights, list(NAMES), [(9, 4), (4, 5), (5, 2)], **fields)


def test_the_first_example_of_the_original_page_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint(model(), "model_v1")
    loaded = load_checkpoint("model_v1")
    freeze_layers(loaded, layers=["conv1", "conv2"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model_v1.json", "model_v1.npz"]
    assert loaded.frozen_layers == ["conv1", "conv2"]


def test_the_second_example_with_the_fields_by_name_runs_as_it_stands():
    checkpoint = SNNCheckpoint(
        weights=[np.ones((2, 3))],
        layer_names=["fc"],
        layer_sizes=[(3, 2)],
        neuron_types=["LIF"],
        metadata={"epoch": 3},
        frozen_layers=["fc"],
    )
    assert checkpoint.n_layers == 1
    assert checkpoint.total_params == 6
    assert checkpoint.layer_names == ["fc"]
    assert checkpoint.layer_sizes == [(3, 2)]
    assert checkpoint.neuron_types == ["LIF"]
    assert checkpoint.metadata == {"epoch": 3}
    assert checkpoint.frozen_layers == ["fc"]


def test_weights_are_the_arrays_that_were_handed_in_and_can_be_replaced():
    weight = np.ones((2, 3), np.float32)
    checkpoint = SNNCheckpoint([weight], ["fc"], [(3, 2)])
    assert checkpoint.weights[0] is weight
    checkpoint.weights[0] = np.zeros((2, 3), np.float32)
    assert checkpoint.layers["fc"].weight.value.sum() == 0


def test_a_matrix_stored_in_out_is_held_as_its_transpose_with_a_warning():
    with pytest.warns(UserWarning, match=r"'hidden'.*\(in, out\)") as caught:
        checkpoint = SNNCheckpoint([np.zeros((7, 4))], ["hidden"], [(7, 4)])
    assert caught[0].filename == __file__
    assert checkpoint.weights[0].shape == (4, 7)


def test_arrays_with_other_numbers_of_axes_are_kept_with_their_sizes(tmp_path):
    arrays = [np.zeros((4, 2, 3, 3)), np.zeros(4), np.zeros((3, 36))]
    checkpoint = SNNCheckpoint(arrays, ["conv", "bias", "fc"], [(18, 4), (1, 4), (36, 3)])
    assert isinstance(checkpoint.layers["conv"], Opaque)
    assert [w.ndim for w in checkpoint.weights] == [4, 1, 2]
    save_checkpoint(checkpoint, tmp_path / "net")
    assert differences(checkpoint, load_checkpoint(tmp_path / "net")) == []
    snnbridge.write(checkpoint, tmp_path / "old.npz", options={"dialect": "permissive"})
    found = json.loads((tmp_path / "old.json").read_text())
    assert found["layer_sizes"] == [[18, 4], [1, 4], [36, 3]]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"layer_names": ["a"]}, "layer_names"),
        ({"layer_names": ["a", "a"]}, "two layers are named 'a'"),
        ({"layer_sizes": [(3, 2)]}, "layer_sizes"),
        ({"layer_sizes": [(3, 2), (9, 9)]}, "'b'.*asks? for"),
        ({"neuron_types": ["LIF"]}, "neuron_types"),
        ({"frozen_layers": ["c"]}, "'c'"),
        ({"frozen_layers": "ab"}, "must be a list"),
        ({"layer_names": "ab"}, "must be a list"),
        ({"weights": None}, "needs weights"),
    ],
)
def test_fields_that_do_not_fit_each_other_are_refused(fields, reason):
    good = {
        "weights": [np.zeros((2, 3)), np.zeros((1, 2))],
        "layer_names": ["a", "b"],
        "layer_sizes": [(3, 2), (2, 1)],
    }
    with pytest.raises(CheckpointError, match=reason):
        SNNCheckpoint(**{**good, **fields})


def test_a_neuron_behind_a_layer_gets_a_name_that_no_layer_has():
    checkpoint = SNNCheckpoint(
        [np.zeros((2, 3)), np.zeros((2, 2))], ["a", "a.neuron"], [(3, 2), (2, 2)], ["LIF", "LIF"]
    )
    assert list(checkpoint.layers) == ["a", "a.neuron.2", "a.neuron", "a.neuron.neuron"]


def test_types_of_neurons_can_be_set_and_those_that_stay_keep_what_they_state():
    checkpoint = model(neuron_types=["LIF", "", "Izhikevich"])
    kept = checkpoint.layers["fc.neuron"]
    checkpoint.neuron_types = ["IF", "LIF", "Izhikevich"]
    assert checkpoint.neuron_types == ["IF", "LIF", "Izhikevich"]
    assert checkpoint.layers["fc.neuron"] is kept
    assert list(checkpoint.layers)[:4] == ["conv1", "conv1.neuron", "conv2", "conv2.neuron"]
    checkpoint.neuron_types = []
    assert (checkpoint.neuron_types, list(checkpoint.layers)) == ([], NAMES)


@pytest.mark.parametrize("types", [["LIF"], "LIF", ["LIF"] * 4, ["LIF", "LIF", 3]])
def test_types_that_do_not_fit_are_refused_and_nothing_is_changed(types):
    checkpoint = model(neuron_types=["LIF", "LIF", "LIF"])
    with pytest.raises(CheckpointError):
        checkpoint.neuron_types = types
    assert checkpoint.neuron_types == ["LIF", "LIF", "LIF"]


def test_types_cannot_be_set_where_the_connections_are_known():
    checkpoint = model(connections=[Connection("conv1", "conv2")])
    with pytest.raises(CheckpointError, match="connections are known"):
        checkpoint.neuron_types = ["LIF"] * 3


@pytest.mark.parametrize("view", ["layer_names", "layer_sizes", "neuron_types"])
def test_a_change_of_a_computed_list_is_refused_instead_of_lost(view):
    values = getattr(model(neuron_types=["LIF"] * 3), view)
    for change in (
        lambda: values.__setitem__(0, "x"), lambda: values.append("x"), values.clear,
        lambda: values.__delitem__(0), values.sort, lambda: values.extend(["x"]),
    ):  # fmt: skip
        with pytest.raises(CheckpointError, match=f"{view} is computed from the layers"):
            change()
    assert len(values) == 3
    assert json.loads(json.dumps(values)) == [list(x) if type(x) is tuple else x for x in values]
    assert type(copy.deepcopy(values)) is list


def test_the_parts_of_a_checkpoint_can_be_replaced():
    changed = replace(model(), metadata={"epoch": 1})
    assert isinstance(changed, SNNCheckpoint)
    assert changed.metadata == {"epoch": 1}
    assert changed.layer_names == NAMES


# Saving and loading


def test_what_is_loaded_is_equal_and_can_be_changed_in_place(tmp_path):
    checkpoint = model(neuron_types=["LIF", "", "Izhikevich"], metadata={"a": [1, None]})
    checkpoint.weights[2] = np.full((2, 5), np.nan, np.float32)
    save_checkpoint(checkpoint, tmp_path / "deep" / "model.v1")
    loaded = load_checkpoint(tmp_path / "deep" / "model.v1")
    assert isinstance(loaded, SNNCheckpoint)
    assert differences(checkpoint, loaded) == []
    loaded.weights[0][0, 0] = 7
    assert loaded.weights[0][0, 0] == 7


def test_nothing_is_cut_off_the_path(tmp_path):
    save_checkpoint(model(), tmp_path / "model.npz")
    assert (tmp_path / "model.npz.npz").exists()
    assert load_checkpoint(tmp_path / "model.npz").layer_names == NAMES


def test_a_missing_half_is_a_missing_file(tmp_path):
    save_checkpoint(model(), tmp_path / "net")
    (tmp_path / "net.json").rename(tmp_path / "other.json")
    for name in ("net", "other", "none"):
        with pytest.raises(FileNotFoundError, match=name):
            load_checkpoint(tmp_path / name)


def test_a_damaged_half_is_a_read_error(tmp_path):
    save_checkpoint(model(), tmp_path / "net")
    (tmp_path / "net.npz").write_bytes(b"PK")
    with pytest.raises(ReadError):
        load_checkpoint(tmp_path / "net")


# Freezing


def test_freezing_acts_in_place_and_sorts():
    checkpoint = model(frozen_layers=["fc"])
    assert freeze_layers(checkpoint, ["conv2"]) is checkpoint
    assert checkpoint.frozen_layers == ["conv2", "fc"]
    assert freeze_layers(checkpoint, until_index=0).frozen_layers == NAMES
    assert freeze_layers(checkpoint).frozen_layers == NAMES


def test_both_keywords_for_names_mean_the_same_and_add_up():
    assert freeze_layers(model(), layer_names=["fc"], layers=["conv1"]).frozen_layers == [
        "conv1",
        "fc",
    ]
    assert freeze_layers(model(), None, 1).frozen_layers == ["conv1", "conv2"]


def test_unfreezing_acts_in_place():
    checkpoint = model(frozen_layers=["conv1", "fc"])
    assert unfreeze_layers(checkpoint, ["fc"]) is checkpoint
    assert checkpoint.frozen_layers == ["conv1"]
    assert unfreeze_layers(checkpoint).frozen_layers == ["conv1"]
    assert unfreeze_layers(checkpoint, ["zz"], all_layers=True).frozen_layers == []


@pytest.mark.parametrize(
    "act",
    [
        lambda c: freeze_layers(c, ["fc", "zz"]),
        lambda c: freeze_layers(c, layers=["zz"]),
        lambda c: freeze_layers(c, "fc"),
        lambda c: freeze_layers(c, until_index=-1),
        lambda c: freeze_layers(c, until_index=3),
        lambda c: freeze_layers(c, until_index=True),
        lambda c: freeze_layers(c, until_index=1.0),
        lambda c: unfreeze_layers(c, ["zz"]),
        lambda c: apply_transfer_config(c, TransferConfig("zz")),
        lambda c: apply_transfer_config(c, TransferConfig(-2)),
        lambda c: apply_transfer_config(c, TransferConfig(3)),
        lambda c: apply_transfer_config(c, TransferConfig(True)),
        lambda c: apply_transfer_config(c, TransferConfig(None)),
        lambda c: apply_transfer_config(c, TransferConfig(0, lr_head=-1.0)),
        lambda c: apply_transfer_config(c, TransferConfig(0, lr_backbone=float("nan"))),
        lambda c: apply_transfer_config(c, TransferConfig(0, lr_head="0.1")),
        lambda c: apply_transfer_config(c, TransferConfig(0, lr_head=True)),
    ],
)
def test_what_names_no_layer_or_no_rate_is_refused_and_changes_nothing(act):
    checkpoint = model(frozen_layers=["fc"])
    with pytest.raises(SNNBridgeError):
        act(checkpoint)
    assert checkpoint.frozen_layers == ["fc"]


@pytest.mark.parametrize(
    ("until", "frozen", "rates"),
    [
        (-1, ["fc"], [0.1, 0.1, 0.0]),
        (0, ["conv1", "fc"], [0.0, 0.1, 0.0]),
        ("conv2", NAMES, [0.0, 0.0, 0.0]),
        (np.int64(1), NAMES, [0.0, 0.0, 0.0]),
    ],
)
def test_a_configuration_freezes_up_to_a_layer_and_gives_each_its_rate(until, frozen, rates):
    checkpoint = model(frozen_layers=["fc"])
    same, found = apply_transfer_config(checkpoint, TransferConfig(until, lr_head=0.1))
    assert same is checkpoint
    assert checkpoint.frozen_layers == frozen
    assert found == rates


def test_the_defaults_are_those_of_the_original():
    assert TransferConfig() == TransferConfig(freeze_until=-1, lr_backbone=0.0, lr_head=0.01)


def test_everything_works_on_a_checkpoint_that_was_read():
    checkpoint = snnbridge.read(FIXTURES / "mlp.npz")
    freeze_layers(checkpoint, until_index=0)
    assert apply_transfer_config(checkpoint, TransferConfig("fc2"))[1] == [0.0, 0.0, 0.01]


# Rates that optimizers take


class Module:
    """What a torch module shows of itself."""

    def __init__(self, *names):
        self._names = names

    def named_parameters(self):
        return ((name, f"<{name}>") for name in self._names)


CONFIG = TransferConfig("conv2", 0.001, 0.1)


def test_groups_hold_every_parameter_once_with_the_rate_of_its_layer():
    net = Module("conv1.weight", "conv1.bias", "conv2.weight", "fc.weight", "extra.scale")
    assert parameter_groups(net, model(), CONFIG) == [
        {"params": ["<conv1.weight>", "<conv1.bias>"], "lr": 0.001, "name": "conv1"},
        {"params": ["<conv2.weight>"], "lr": 0.001, "name": "conv2"},
        {"params": ["<fc.weight>"], "lr": 0.1, "name": "fc"},
        {"params": ["<extra.scale>"], "lr": 0.1, "name": "new"},
    ]


def test_names_and_parameters_may_come_as_pairs_or_as_a_mapping():
    pairs = [("conv1.weight", 1), ("conv2.weight", 2)]
    assert parameter_groups(pairs, model(), CONFIG) == parameter_groups(
        dict(pairs), model(), CONFIG
    )


def test_what_all_parameters_start_with_may_stand_before_the_layer():
    net = Module("module.net.conv1.weight", "module.net.conv2.weight", "module.net.head.weight")
    names = [group["name"] for group in parameter_groups(net, model(), CONFIG)]
    assert names == ["conv1", "conv2", "new"]


def test_the_longest_name_of_a_layer_wins():
    checkpoint = SNNCheckpoint(
        [np.zeros((2, 3)), np.zeros((2, 2))], ["encoder", "encoder.0"], [(3, 2), (2, 2)]
    )
    net = Module("encoder.0.weight", "encoder.weight", "encoder.01.weight")
    groups = parameter_groups(net, checkpoint, TransferConfig())
    assert {group["name"]: group["params"] for group in groups} == {
        "encoder.0": ["<encoder.0.weight>"],
        "encoder": ["<encoder.weight>", "<encoder.01.weight>"],
    }


def test_a_frozen_layer_that_the_model_does_not_show_is_refused():
    with pytest.raises(CheckpointError, match=r"'conv2'.*unnoticed"):
        parameter_groups(Module("conv1.weight", "fc.weight"), model(), CONFIG)
    with pytest.raises(CheckpointError, match="none at all"):
        parameter_groups(Module(), model(), CONFIG)


def test_a_model_without_any_layer_of_the_checkpoint_is_new_if_nothing_is_frozen():
    groups = parameter_groups(Module("a.weight"), model(), TransferConfig())
    assert [group["name"] for group in groups] == ["new"]
    assert parameter_groups(Module(), model(), TransferConfig()) == []


def test_neurons_have_the_rate_of_the_layer_before_them():
    weight = np.zeros((2, 2))
    checkpoint = snnbridge.SNNCheckpoint(
        [Linear("a", weight), Neuron("lif1"), Linear("b", weight), Neuron("lif2")],
        [Connection("a", "lif1"), Connection("lif1", "b"), Connection("b", "lif2")],
        frozen_layers=["lif2"],
    )
    rates = learning_rates(checkpoint, TransferConfig("a", 0.0, 1.0))
    assert rates == {"a": 0.0, "lif1": 0.0, "b": 1.0, "lif2": 0.0, "new": 1.0}
    assert checkpoint.frozen_layers == ["lif2"]


def test_a_label_stands_for_every_leaf_of_a_tree_of_the_same_structure():
    Pair = namedtuple("Pair", "kernel bias")
    params = {
        "params": OrderedDict(
            conv1={"kernel": 1, "bias": None}, conv2=[2, (3, 4)], fc=Pair(5, 6), head={"w": 7}
        )
    }
    labels = label_tree(params, model(), CONFIG)
    assert labels == {
        "params": OrderedDict(
            conv1={"kernel": "conv1", "bias": None},
            conv2=["conv2", ("conv2", "conv2")],
            fc=Pair("fc", "fc"),
            head={"w": "new"},
        )
    }
    assert isinstance(labels["params"], OrderedDict)
    assert isinstance(labels["params"]["fc"], Pair)


def test_every_label_has_a_rate_also_where_a_layer_is_called_new():
    checkpoint = SNNCheckpoint([np.zeros((1, 1))], ["new"], [(1, 1)], frozen_layers=["new"])
    labels = label_tree({"new": 1, "head": 2}, checkpoint, TransferConfig())
    assert labels == {"new": "new", "head": "new.2"}
    assert learning_rates(checkpoint, TransferConfig()) == {"new": 0.0, "new.2": 0.01}


def test_a_frozen_layer_that_the_tree_does_not_show_is_refused():
    with pytest.raises(CheckpointError, match="'conv1'"):
        label_tree({"conv2": 1}, model(), CONFIG)
