"""State dicts: every framework's keys as layers, and back with the same keys."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import load_file, save_file

from snnbridge import (
    UNKNOWN,
    BatchNorm,
    Connection,
    Conv2d,
    Linear,
    LossyWrite,
    Neuron,
    Origin,
    ReadError,
    Registry,
    SNNCheckpoint,
    WriteError,
    convert,
    differences,
    read,
    rules,
    write,
)
from snnbridge.model import PER_STEP, Reset, Scheme
from snnbridge.storage import Limits, Source
from snnbridge.testing.strategies import checkpoints
from snnbridge_plugins import torch
from snnbridge_plugins.torch.container import read_contents
from snnbridge_plugins.torch.finding import find

REGISTRY = Registry([torch])
FIXTURES = Path(__file__).parents[1] / "fixtures"
NO_NETS = (
    "whole_module", "script", "sparse", "sparse_rows", "quantised", "nested", "meta", "complex32",
    "float4", "named_tuple",
)  # fmt: skip
NO_STATE_DICTS = ("values", "parameter", "buffer", "sequence")
NETS = sorted(
    path
    for path in FIXTURES.glob("*/*.pt")
    if path.stem not in NO_NETS and not path.stem.startswith(NO_STATE_DICTS)
)


def opened(path, **more):
    return read(path, registry=REGISTRY, **more)


def tensors(path):
    """Give the tensors of a file whose tree is a state dict."""
    with Source(path) as source:
        contents = read_contents(source.data, verify=True, limits=Limits())
        return {key: value.array for key, value in contents.tree.items()}


def named(path):
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", NETS, ids=named)
@pytest.mark.parametrize("bare", [False, True])
def test_what_is_read_is_written_back_with_its_keys_in_their_order(path, bare, tmp_path):
    checkpoint = opened(path)
    again = tmp_path / "again.pt"
    write(checkpoint, again, registry=REGISTRY, bare=bare)
    assert differences(checkpoint, opened(again)) == []
    with Source(path) as old, Source(again) as new:
        trees = [read_contents(x.data, verify=True, limits=Limits()).tree for x in (old, new)]
    assert list(trees[0]) == list(trees[1])


@pytest.mark.parametrize("path", NETS, ids=named)
def test_every_net_travels_through_safetensors(path, tmp_path):
    checkpoint = opened(path)
    write(checkpoint, tmp_path / "net.safetensors", registry=REGISTRY)
    assert differences(checkpoint, opened(tmp_path / "net.safetensors")) == []


@settings(max_examples=60)
@given(checkpoint=checkpoints())
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_every_checkpoint_comes_back_bit_for_bit(checkpoint, suffix, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / f"net{suffix}"
    write(checkpoint, path, registry=REGISTRY)
    assert differences(checkpoint, opened(path)) == []


# What the keys of each framework tell


def neuron(path, name):
    return opened(FIXTURES / path).layers[name]


def test_a_leaky_neuron_of_snntorch_is_known_by_its_keys():
    layer = neuron("snntorch-1.0.0/mlp_random.pt", "lif1")
    assert layer.origin == Origin("snntorch", "Leaky")
    assert {"decay", "threshold", "output_gain"} <= set(layer.parameters)
    assert layer.rule.reset is Reset.SUBTRACT
    assert layer.rule.reset_timing is UNKNOWN  # reset_delay stands in no file


def test_the_stored_reset_mode_of_snntorch_is_reported_as_what_it_is():
    notes = opened(FIXTURES / "snntorch-1.0.0/mlp_random.pt").source.notes
    assert any("goes on with its own" in note for note in notes)


def test_a_time_constant_of_sinabs_is_counted_in_steps_and_its_switches_are_unknown():
    layer = neuron("sinabs-3.1.3/mlp_random.pt", "1")
    assert layer.origin.kind == "LIF"
    assert layer.parameters["tau"].unit == "step"
    assert layer.rule.input_gain is UNKNOWN  # norm_input
    assert layer.rule.max_spikes is UNKNOWN  # spike_fn


def test_the_state_that_sinabs_saves_is_state_and_does_not_stand_in_a_template():
    ran = opened(FIXTURES / "sinabs-3.1.3/mlp_random_after_run.pt")
    assert any(variable == "v" for _, variable in ran.state)
    assert not opened(FIXTURES / "sinabs-3.1.3/mlp_random.pt").state


def test_rockpool_calls_the_membrane_alpha_and_the_synapse_beta(tmp_path):
    path = tmp_path / "net.pt"
    decays = {"alpha": 0.5, "beta": 0.25, "threshold": 1.0, "bias": 0.0}
    save_state_dict(path, {f"0_LIFTorch.{k}": np.float32([v]) for k, v in decays.items()})
    layers = opened(path).layers
    assert layers["0_LIFTorch"].parameters["decay"].value == 0.5
    assert layers["0_LIFTorch"].rule.scheme is Scheme.STATED
    assert layers["0_LIFTorch.synapse"].parameters["decay"].value == 0.25


def test_rockpool_keeps_weights_as_in_out():
    path = FIXTURES / "rockpool-3.1.0/recurrent_random.pt"
    stored, layers = tensors(path), opened(path).layers
    name = next(name for name in layers if name.endswith("LinearTorch"))
    assert np.array_equal(layers[name].weight.value, stored[f"{name}.weight"].T)
    recurrent = next(name for name in layers if name.endswith(".recurrent"))
    owner = recurrent.removesuffix(".recurrent")
    assert np.array_equal(layers[recurrent].weight.value, stored[f"{owner}.w_rec"].T)


def test_a_recurrent_cell_of_norse_is_two_linear_layers_and_a_neuron():
    layers = opened(FIXTURES / "norse-1.1.0/recurrent_random.pt").layers
    assert isinstance(layers["0.input"], Linear)
    assert isinstance(layers["0.recurrent"], Linear)
    assert layers["0"].origin.kind == "LIFRecurrentCell"


def test_a_parametric_neuron_of_spikingjelly_keeps_its_logit():
    assert "logit" in neuron("spikingjelly-2.0.0/mlp_random.pt", "lif2").parameters


def container(**more):
    """Make the state dict of a LinearRecurrentContainer between two dense layers."""
    weight = np.arange(18, dtype=np.float32).reshape(3, 6)
    return {
        "0.weight": np.ones((3, 2), np.float32), "1.rc.weight": weight,
        "1.rc.bias": np.ones(3, np.float32), **more, "2.weight": np.ones((1, 3), np.float32),
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_one_weight_of_a_recurrent_container_is_two_layers(suffix, tmp_path):
    save_state_dict(tmp_path / "net.pt", container())
    checkpoint = opened(tmp_path / "net.pt")
    assert list(checkpoint.layers) == ["0", "1.rc", "1.recurrent", "2"]
    weight, (first, back) = container()["1.rc.weight"], list(checkpoint.layers.values())[1:3]
    assert np.array_equal(first.weight.value, weight[:, :3])
    assert np.array_equal(back.weight.value, weight[:, 3:])
    assert first.bias is not None
    assert checkpoint.source.framework == "spikingjelly"
    assert any("3 columns for the input and 3 for what 1.sub_module" in note
               for note in checkpoint.source.notes)  # fmt: skip
    write(checkpoint, tmp_path / f"again{suffix}", registry=REGISTRY)
    assert differences(checkpoint, opened(tmp_path / f"again{suffix}")) == []
    write(checkpoint, tmp_path / "bare.pt", registry=REGISTRY, bare=True)
    assert list(tensors(tmp_path / "bare.pt")) == list(container())
    assert np.array_equal(tensors(tmp_path / "bare.pt")["1.rc.weight"], weight)


def test_keys_in_another_order_keep_it_around_a_container(tmp_path):
    state = dict(reversed(container().items()))
    save_state_dict(tmp_path / "net.pt", state)
    write(opened(tmp_path / "net.pt"), tmp_path / "again.pt", registry=REGISTRY)
    assert list(tensors(tmp_path / "again.pt")) == list(state)


def test_a_container_around_more_than_a_neuron_is_known_by_what_stands_inside(tmp_path):
    wide = {"rc.weight": np.zeros((3, 8), np.float32)}
    inside = {"net.sub_module.0.weight": np.zeros((5, 3), np.float32)}
    save_state_dict(tmp_path / "net.pt", {f"net.{k}": v for k, v in wide.items()} | inside)
    layers = opened(tmp_path / "net.pt").layers
    assert layers["net.recurrent"].weight.value.shape == (3, 5)


@pytest.mark.parametrize(
    "state",
    [
        {"1.rc.weight": np.zeros((3, 5), np.float32)},
        {"1.rc.weight": np.zeros((3, 2), np.float32)},
        {"1.rb.weight": np.zeros((3, 6), np.float32)},
        {"rc.weight": np.zeros((3, 6), np.float32)},
        {"1.rc.weight": np.zeros((3, 6), np.float32), "1.recurrent.weight": np.zeros((3, 3), "f4")},
    ],
)
def test_other_weights_are_no_containers(state, tmp_path):
    save_state_dict(tmp_path / "net.pt", state)
    assert len(opened(tmp_path / "net.pt").layers) == len(state)


def recurrent_leaky(again=0.25):
    state = {"threshold": np.float32(1), "beta": np.float32(0.5), "V": np.float32(0.25)}
    return {f"lif.{k}": np.array(v) for k, v in state.items()} | {
        "lif.recurrent.V": np.array(again, np.float32)
    }


def test_a_recurrent_factor_that_snntorch_stores_twice_is_one(tmp_path):
    save_state_dict(tmp_path / "net.pt", recurrent_leaky())
    checkpoint = opened(tmp_path / "net.pt")
    assert [x.kind for x in checkpoint.layers.values()] == ["Neuron", "Scale"]
    write(checkpoint, tmp_path / "again.pt", registry=REGISTRY)
    held = tensors(tmp_path / "again.pt")
    assert held["lif.V"] == held["lif.recurrent.V"] == 0.25


def test_two_recurrent_factors_that_differ_are_both_kept(tmp_path):
    save_state_dict(tmp_path / "net.pt", recurrent_leaky(0.5))
    write(opened(tmp_path / "net.pt"), tmp_path / "again.pt", registry=REGISTRY)
    held = tensors(tmp_path / "again.pt")
    assert (held["lif.V"], held["lif.recurrent.V"]) == (0.25, 0.5)


def test_an_archive_without_checksums_is_read_and_said_to_hold_none():
    source = opened(FIXTURES / "torch-2.13.0/no_checksums.pt").source
    assert source.integrity == ""
    assert opened(FIXTURES / "torch-2.13.0/tied.pt").source.integrity == "intact"


@pytest.mark.parametrize(("name", "what"), [("parameter", "one tensor"), ("sequence", "a list")])
def test_what_is_no_state_dict_is_named(name, what, tmp_path):
    with pytest.raises(ReadError, match=f"holds {what}; expected a state dict"):
        opened(FIXTURES / f"torch-2.13.0/{name}.pt")


def test_tensors_at_the_top_beside_something_else_are_found_when_asked_for():
    tree = {"fc.weight": np.eye(2), "history": {"loss": [1.0]}}
    with pytest.raises(ReadError, match=r"'fc\.weight' stand at the top beside 'history'.*net=\."):
        find(tree, None)
    assert find(tree, ".") == ()


def test_shared_parameters_are_tied_and_stay_shared(tmp_path):
    checkpoint = opened(FIXTURES / "torch-2.13.0/tied.pt")
    assert checkpoint.ties == (frozenset({("0", "weight"), ("1", "weight")}),)
    write(checkpoint, tmp_path / "net.pt", registry=REGISTRY)
    held = tensors(tmp_path / "net.pt")
    assert np.shares_memory(held["0.weight"], held["1.weight"])


def test_a_training_dictionary_keeps_what_stands_beside_the_net():
    checkpoint = opened(FIXTURES / "torch-2.13.0/training.pt")
    assert list(checkpoint.layers) == ["0", "1", "2"]
    assert isinstance(checkpoint.layers["1"], BatchNorm)
    assert checkpoint.training["epoch"] == 7
    assert checkpoint.training["optimizer_state_dict"]["state"]["0"]["exp_avg"].shape == (4, 3)


def test_the_net_is_named_where_it_is_not_told(tmp_path):
    path = tmp_path / "two.pt"
    state = {"fc.weight": np.zeros((2, 3), np.float32)}
    save_tree(path, {"student": state, "teacher": state})
    with pytest.raises(ReadError, match=r"2 parts .* 'student', 'teacher' .* net=KEY"):
        opened(path)
    assert list(opened(path, options={"net": "teacher"}).layers) == ["fc"]


def test_an_integer_beta_stays_an_integer(tmp_path):
    state = {"lif.threshold": np.array(1), "lif.beta": np.array(1)}
    save_state_dict(tmp_path / "net.pt", state)
    assert opened(tmp_path / "net.pt").layers["lif"].parameters["decay"].value.dtype == np.int64


def test_arrays_of_modules_outside_the_family_are_kept_as_they_are(tmp_path):
    state = {
        "rnn.weight_ih_l0": np.zeros((8, 2), np.float32),
        "scale": np.ones(3, np.float32),
        "deconv.weight": np.zeros((2, 3, 3, 3), np.float32),
        "deconv.bias": np.zeros(3, np.float32),
    }
    save_state_dict(tmp_path / "net.pt", state)
    layers = opened(tmp_path / "net.pt").layers
    assert [layer.kind for layer in layers.values()] == ["Opaque"] * 3


# Writing


def snn():
    """Make a net of snnTorch's neurons with everything stated."""
    lif = rules.get("snntorch", "Leaky").build("lif", shape=(2,), beta=np.float32(0.9))
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    return SNNCheckpoint(
        [Linear("fc", weight), lif], connections=[Connection("fc", "lif")], dt=PER_STEP
    )


def test_a_net_has_the_keys_that_its_framework_has(tmp_path):
    write(snn(), tmp_path / "net.pt", registry=REGISTRY)
    held = tensors(tmp_path / "net.pt")
    assert list(held) == [
        "fc.weight", "lif.threshold", "lif.graded_spikes_factor", "lif.reset_mechanism_val",
        "lif.beta",
    ]  # fmt: skip
    assert held["lif.reset_mechanism_val"].dtype == np.int64


@pytest.mark.parametrize(
    ("padding", "stride", "told"),
    [("same", 2, True), ("same", 1, False), (((0, 1), (1, 0)), 1, True), (1, 2, False)],
)
def test_a_convolution_that_pytorch_has_not_is_told(padding, stride, told, tmp_path):
    settings = {"stride": stride, "padding": padding, "dilation": 1, "groups": 1}
    conv = Conv2d("conv", np.ones((2, 1, 3, 3), np.float32), **settings)
    ledger = write(SNNCheckpoint([conv]), tmp_path / "net.pt", registry=REGISTRY)
    lines = [x.reason for x in ledger.told if x.path == ("layers", "conv", "padding")]
    assert len(lines) == told
    assert all("no nn.Conv2d does" in x and "build makes a PaddedConv2d" in x for x in lines)


def test_a_bare_file_says_what_it_would_lose(tmp_path):
    with pytest.raises(LossyWrite, match="connections"):
        write(snn(), tmp_path / "net.pt", registry=REGISTRY, bare=True)


def template(tmp_path, names=("a", "b")):
    state = {f"{names[0]}.weight": np.zeros((2, 3), np.float32)}
    for key, dtype in [
        ("threshold", "f4"), ("graded_spikes_factor", "f4"), ("reset_mechanism_val", "i8"),
        ("beta", "f4"),
    ]:  # fmt: skip
        state[f"{names[1]}.{key}"] = np.zeros((), dtype)
    save_state_dict(tmp_path / "fresh.pt", state)
    return str(tmp_path / "fresh.pt")


def small(checkpoint):
    """Give a checkpoint's parameters as float32, as the template has them."""
    lif = checkpoint.layers["lif"]
    held = {k: np.float32(p.value) * np.ones((), np.float32) for k, p in lif.parameters.items()}
    layer = Neuron("lif", (2,), held, rule=lif.rule, origin=lif.origin)
    return SNNCheckpoint([checkpoint.layers["fc"], layer])


def test_a_template_gives_the_keys_and_the_checkpoint_the_values(tmp_path):
    like = template(tmp_path)
    write(small(snn()), tmp_path / "net.pt", registry=REGISTRY, options={"like": like})
    held = tensors(tmp_path / "net.pt")
    assert list(held) == list(tensors(like))
    assert np.array_equal(held["a.weight"], snn().layers["fc"].weight.value)


def test_missing_and_unexpected_keys_are_named(tmp_path):
    like = template(tmp_path, ("a", "other.b"))
    checkpoint = small(snn())
    del checkpoint.layers["lif"]
    checkpoint.layers["head"] = Linear("head", np.zeros((1, 2), np.float32))
    with pytest.raises(WriteError, match=r"missing .*'other\.b\.beta'; unexpected 'head\.weight'"):
        write(checkpoint, tmp_path / "net.pt", registry=REGISTRY, options={"like": like})


def test_layers_that_could_go_to_several_places_are_named_by_the_user(tmp_path):
    state = {f"{name}.weight": np.zeros((2, 2), np.float32) for name in "ab"}
    save_state_dict(tmp_path / "fresh.pt", state)
    net = SNNCheckpoint([Linear(n, np.full((2, 2), i, "f4")) for i, n in enumerate("xy")])
    like = {"like": str(tmp_path / "fresh.pt")}
    with pytest.raises(WriteError, match=r"'a' .* any of 'x', 'y'.*map=x=a"):
        write(net, tmp_path / "net.pt", registry=REGISTRY, options=like)
    write(net, tmp_path / "net.pt", registry=REGISTRY, options={**like, "map": "y=a,x=b"})
    assert tensors(tmp_path / "net.pt")["a.weight"][0, 0] == 1


# safetensors


def test_the_safetensors_package_reads_what_is_written(tmp_path):
    write(snn(), tmp_path / "net.safetensors", registry=REGISTRY)
    held = load_file(tmp_path / "net.safetensors")
    assert np.array_equal(held["fc.weight"], snn().layers["fc"].weight.value)


def test_what_the_safetensors_package_writes_is_read(tmp_path):
    arrays = {
        "fc.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fc.bias": np.ones(2, np.float32),
        "flags.mask": np.array([True, False]),
        "empty.weight": np.zeros((0, 3), np.float16),
        "conv.weight": np.zeros((2, 1, 3, 3), np.float64),
    }
    save_file(arrays, tmp_path / "net.safetensors", metadata={"author": "me"})
    checkpoint = opened(tmp_path / "net.safetensors")
    assert checkpoint.metadata == {"author": "me"}
    assert isinstance(checkpoint.layers["conv"], Conv2d)
    write(checkpoint, tmp_path / "again.safetensors", registry=REGISTRY)
    again = load_file(tmp_path / "again.safetensors")
    assert {k: a.tobytes() for k, a in again.items()} == {k: a.tobytes() for k, a in arrays.items()}


def sharded(folder, **changes):
    save_file({"a.weight": np.zeros((2, 2), np.float32)}, folder / "m-1.safetensors")
    save_file({"b.weight": np.ones((2, 2), np.float32)}, folder / "m-2.safetensors")
    places = {"a.weight": "m-1.safetensors", "b.weight": "m-2.safetensors", **changes}
    path = folder / "m.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": places}), encoding="utf-8")
    return path


def test_an_index_brings_its_files_together(tmp_path):
    checkpoint = opened(sharded(tmp_path))
    assert [layer.weight.value[0, 0] for layer in checkpoint.layers.values()] == [0, 1]


@pytest.mark.parametrize(
    "place", ["../m-1.safetensors", "/etc/passwd", "absent", "m-1.safetensors"]
)
def test_an_index_that_leads_elsewhere_is_refused(place, tmp_path):
    with pytest.raises(ReadError):
        opened(sharded(tmp_path, **{"b.weight": place}))


def header(entries, data=b"", **more):
    text = json.dumps({**entries, **more}).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "data",
    [
        header({"a": entry()}, bytes(3)),
        header({"a": entry()}, bytes(5)),
        header({"a": entry(offsets=(4, 8))}, bytes(8)),
        header({"a": entry(), "b": entry()}, bytes(4)),
        header({"a": entry(offsets=(4, 0))}, bytes(4)),
        header({"a": entry(shape=(2,))}, bytes(4)),
        header({"a": entry(shape=(2**62, 4))}, bytes(4)),
        header({"a": entry(shape=(-1,))}, bytes(4)),
        header({"a": entry(shape=(1.5,))}, bytes(4)),
        header({"a": entry(dtype="F4")}, bytes(4)),
        header({"a": entry("BOOL", (4,))}, b"\0\1\2\0"),
        header({"a": {}}, bytes(4)),
        header({"a": 5}),
        header({}, __metadata__=[]),
        header({}, __metadata__={"snnbridge": "{}"}),
        (2**63).to_bytes(8, "little") + b"{}",
        b"\x02" + bytes(7) + b"{]",
    ],
)
def test_a_damaged_safetensors_file_is_refused(data, tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(data)
    with pytest.raises(ReadError):
        opened(path, format="safetensors")


# Files that are not what they seem


def test_a_pickle_of_another_program_is_refused_with_a_reason(tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(pickle.dumps({"a": np.zeros(3)}))
    with pytest.raises(ReadError, match="neither an archive nor a stream"):
        opened(path, format="torch")


def test_converting_between_the_two_formats_loses_nothing(tmp_path):
    write(snn(), tmp_path / "net.pt", registry=REGISTRY)
    convert(tmp_path / "net.pt", tmp_path / "net.safetensors", registry=REGISTRY)
    assert differences(snn(), opened(tmp_path / "net.safetensors")) == []


def save_state_dict(path, state):
    """Write the tensors of a state dict and nothing more, as torch.save does."""
    save_tree(path, state)


def save_tree(path, tree):
    from snnbridge.storage import StoredZip, Target
    from snnbridge_plugins.torch.pickling import Written, pickled
    from snnbridge_plugins.torch.trees import restored

    storages = []

    def store(_, array, flags):
        storages.append(array)
        return Written(array, str(len(storages) - 1))

    with Target(path) as target, target.open() as file, StoredZip(file) as archive:
        archive.add("archive/data.pkl", pickled(restored(tree, {(): {"is": "OrderedDict"}}, store)))
        for number, array in enumerate(storages):
            archive.add_elements(f"archive/data/{number}", array)
        archive.add("archive/version", b"3\n")
