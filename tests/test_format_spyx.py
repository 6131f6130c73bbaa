"""Parameters of Spyx nets as flax writes them, and images whose channel is the last axis."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from recorded import Recorded, book
from snnbridge import (
    UNKNOWN,
    AmbiguousFormat,
    IntegrityError,
    Linear,
    LossyWrite,
    Opaque,
    OptionError,
    Origin,
    Probe,
    ReadError,
    Registry,
    SNNCheckpoint,
    convert,
    differences,
    read,
    rewrites,
    rules,
    simulate,
    verify,
    write,
)
from snnbridge.testing.strategies import checkpoints
from snnbridge.wire import pack, unpack
from snnbridge_plugins import brainpy, spyx, torch

REGISTRY = Registry([spyx, brainpy, torch])
FOLDER = Path(__file__).parents[1] / "fixtures" / "spyx-1.0.0"
NETS = sorted(FOLDER.glob("*.msgpack"))
WINDOW = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
POOL = {"kind": "SumPool", "window": [2, 2], "stride": [2, 2], "padding": 0}
MLP_SPEC = {
    "dt": "per step",
    "chains": [["input", "0", "1", "2", "3.synapse", "3"]],
    "layers": {
        "input": {"kind": "Input", "shape": [24]},
        "1": {"class": "spyx.LIF", "threshold": 1.0},
        "3": {"threshold": 1.0},
    },
}
CONV_SPEC = {
    "dt": "per step",
    "chains": [["input", "0", "1", "2", "3", "4", "5"]],
    "layers": {
        "input": {"kind": "Input", "shape": [2, 8, 8]},
        "0": WINDOW,
        "1": {"kind": "Neuron", "class": "spyx.IF", "threshold": 1.0},
        "2": POOL,
        "3": {"kind": "Flatten", "order": "channels last"},
        "5": {"class": "spyx.LI"},
    },
}


def opened(path, **more):
    return read(path, registry=REGISTRY, **more)


def saved(checkpoint, path, **more):
    write(checkpoint, path, registry=REGISTRY, format="spyx", **more)
    return path


def net(name):
    """Return a recorded net of a plain file and a spec, with its recording."""
    spec = MLP_SPEC if name.startswith("mlp") else CONV_SPEC
    case = Recorded("spyx-1.0.0", "networks", name)
    return opened(FOLDER / case.case["checkpoint"]["file"], spec=spec), case


def packed(path, tree):
    path.write_bytes(pack(tree))
    return path


@pytest.mark.parametrize("name", book("spyx-1.0.0", "networks")[0]["cases"])
def test_a_plain_file_and_a_spec_do_what_the_net_did(name):
    checkpoint, case = net(name)
    end = case.case["layers"][-1]["name"]
    if f"{end}.spikes" in case.arrays:
        found = simulate(checkpoint, case.seen("input"), record={"3": "spikes"}).spikes["3"]
        assert np.array_equal(found, case.seen(f"{end}.spikes"))
    else:
        found = simulate(checkpoint, case.seen("input"), record={"5": "v"}).traces["5", "v"]
        assert np.allclose(found, case.seen(f"{end}.v"), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("path", NETS, ids=lambda path: path.stem)
@pytest.mark.parametrize("bare", [True, False])
def test_a_file_is_written_with_its_own_bytes(path, bare, tmp_path):
    again = saved(opened(path), tmp_path / "net.msgpack", bare=bare)
    assert again.read_bytes() == path.read_bytes()
    assert differences(opened(path), opened(again)) == []


@settings(max_examples=60)
@given(checkpoint=checkpoints())
def test_every_checkpoint_comes_back_bit_for_bit(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "net.msgpack"
    saved(checkpoint, path)
    planned, _ = spyx.FORMAT.prepare(checkpoint, {})
    assert differences(planned, opened(path)) == []


def test_what_the_keys_tell_and_what_they_do_not():
    layers = opened(FOLDER / "mlp_random.msgpack").layers
    assert layers["3"].origin == Origin("spyx", "CuBaLIF")
    assert layers["3.synapse"].parameters["decay"].value == np.float32(0.61)
    assert "threshold" not in layers["3"].parameters
    assert layers["1"].origin is None
    assert layers["1"].rule.reset is UNKNOWN
    notes = opened(FOLDER / "mlp_random.msgpack").source.notes
    assert any("LIF, LI and PSU_LIF" in note for note in notes)


def test_recurrent_weights_are_a_layer_of_their_own(tmp_path):
    weight = np.arange(4, dtype=np.float32).reshape(2, 2)
    cell = {"recurrent_w": weight, "beta": np.float32([0.5, 0.25]), "alpha": np.float32([1, 0])}
    path = packed(tmp_path / "net.msgpack", {"layers": {"0": cell}})
    layers = opened(path).layers
    assert layers["0"].origin.kind == "RCuBaLIF"
    assert np.array_equal(layers["0.recurrent"].weight.value, weight.T)
    again = saved(opened(path), tmp_path / "again.msgpack", bare=True)
    assert unpack(again.read_bytes())["layers"]["0"].keys() == cell.keys()


def test_a_training_dictionary_keeps_what_stands_beside_the_net(tmp_path):
    fc = {"bias": np.zeros(2, np.float32), "kernel": np.ones((3, 2), np.float32)}
    other = {"adapt": {"beta": np.zeros((), np.float32), "gamma": np.ones(2)}}
    tree = {"epoch": 7, "opt": {"mu": np.ones(3)}, "params": {**other, "fc1": fc}}
    path = packed(tmp_path / "net.msgpack", tree)
    checkpoint = opened(path, format="spyx")
    assert list(checkpoint.layers) == ["adapt", "fc1"]
    assert isinstance(checkpoint.layers["adapt"], Opaque)
    assert checkpoint.training["epoch"] == 7
    again = saved(checkpoint, tmp_path / "again.msgpack", bare=True)
    assert again.read_bytes() == path.read_bytes()


def test_the_net_is_named_where_it_is_not_found(tmp_path):
    fc = {"kernel": np.ones((3, 2), np.float32)}
    path = packed(tmp_path / "net.msgpack", {"a": {"fc": fc}, "b": {"fc": fc}})
    assert list(opened(path, format="spyx").layers) == ["a.fc", "b.fc"]
    one = opened(path, format="spyx", options={"net": "b"})
    assert list(one.layers) == ["fc"]
    with pytest.raises(OptionError, match="'a', 'b'"):
        opened(path, format="spyx", options={"net": "c"})


def test_another_tree_of_the_same_wire_format_is_not_guessed(tmp_path):
    fc = {"kernel": np.ones((3, 2), np.float32)}
    path = packed(tmp_path / "net.msgpack", {"fc1": fc, "fc2": fc})
    with pytest.raises(AmbiguousFormat, match="spyx"):
        opened(path)
    assert len(opened(path, format="spyx").layers) == 2


def test_a_brainpy_file_is_none_of_spyx():
    folder = FOLDER.parent / "brainpy-2.8.2"
    assert not any(spyx.FORMAT.sniff(Probe(path)) for path in folder.glob("*.bp"))
    assert all(spyx.FORMAT.sniff(Probe(path)) for path in NETS)


def test_a_threshold_stands_in_the_second_file_only(tmp_path):
    checkpoint, _ = net("mlp.random")
    path = saved(checkpoint, tmp_path / "net.msgpack")
    assert path.read_bytes() == (FOLDER / "mlp_random.msgpack").read_bytes()
    assert opened(path).layers["3"].parameters["threshold"].value == 1.0
    with pytest.raises(LossyWrite, match="bare"):
        saved(checkpoint, tmp_path / "bare.msgpack", bare=True)


def test_parameters_that_were_saved_anew_are_not_read_with_the_old_description(tmp_path):
    checkpoint, _ = net("mlp.random")
    path = saved(checkpoint, tmp_path / "net.msgpack")
    path.write_bytes((FOLDER / "mlp_dyadic.msgpack").read_bytes())
    with pytest.raises(IntegrityError, match="description=no"):
        opened(path)
    assert opened(path, options={"description": "no"}).layers


# Channels first and last


@pytest.mark.parametrize("name", ["conv.dyadic", "conv.random"])
def test_a_net_of_images_does_the_same_with_the_channel_first(name, tmp_path):
    checkpoint, case = net(name)
    first, entries = rewrites.with_image_order(checkpoint, "channels first")
    assert [entry.path for entry in entries] == [("layers", "3")]
    found = [
        simulate(x, case.seen("input"), record={"5": "v"}).traces["5", "v"]
        for x in (checkpoint, first)
    ]
    if name.endswith("dyadic"):
        assert np.array_equal(*found)
    assert np.allclose(*found, rtol=1e-6, atol=1e-6)
    back, _ = rewrites.with_image_order(first, "channels last")
    assert np.array_equal(back.layers["4"].weight.value, checkpoint.layers["4"].weight.value)


def test_a_net_with_the_channel_first_gets_the_arrays_of_spyx(tmp_path):
    checkpoint, _ = net("conv.random")
    first, _ = rewrites.with_image_order(checkpoint, "channels first")
    write(first, tmp_path / "net.pt", registry=REGISTRY)
    done = convert(tmp_path / "net.pt", tmp_path / "net.msgpack", to="spyx", registry=REGISTRY)
    assert (tmp_path / "net.msgpack").read_bytes() == (FOLDER / "conv_random.msgpack").read_bytes()
    found = opened(tmp_path / "net.msgpack")
    assert found.layers["3"].order == "channels last"
    assert verify(checkpoint, found).verdict != "different"
    assert done.ledger.losses == ()


def test_what_cannot_be_put_into_the_other_order_is_refused():
    checkpoint, _ = net("conv.random")
    unknown = replace(checkpoint, connections=UNKNOWN)
    with pytest.raises(Exception, match="connections are unknown"):
        rewrites.with_image_order(unknown, "channels first")
    small = replace(checkpoint.layers["3"], start=1)
    part = replace(checkpoint, layers={**checkpoint.layers, "3": small})
    with pytest.raises(Exception, match="whole images"):
        rewrites.with_image_order(part, "channels first")


@pytest.mark.parametrize(
    "data", [b"\x81\xa6layers\x81\xa10\x81\xa6kernel\xc7\x05\x01\x93", b"\x05"]
)
def test_a_bad_file_is_refused(data, tmp_path):
    (tmp_path / "net.msgpack").write_bytes(data)
    with pytest.raises(ReadError):
        opened(tmp_path / "net.msgpack", format="spyx")


def user_tree():
    """A net of a class of one's own: its modules stand at the top."""
    fc = {"bias": np.zeros(2, np.float32), "kernel": np.ones((3, 2), np.float32)}
    return {"fc1": fc, "lif1": {"beta": np.full(2, 0.5, np.float32)}}


def test_a_net_of_a_class_is_known_by_its_neurons_keys(tmp_path):
    path = packed(tmp_path / "net.msgpack", user_tree())
    assert list(opened(path).layers) == ["fc1", "lif1"]


def test_a_net_is_known_by_keys_that_stand_behind_its_large_arrays(tmp_path):
    large = {"bias": np.zeros(4096, np.float32), "kernel": np.ones((3, 4096), np.float32)}
    path = packed(tmp_path / "net.msgpack", {"a": large, **user_tree()})
    assert opened(path).source.format == "spyx"


def test_neurons_that_spyx_does_not_see_are_told(tmp_path):
    leaky = rules.snntorch.Leaky("lif", shape=(2,), beta=0.5, reset_mechanism="zero")
    net = SNNCheckpoint([Linear("fc", np.eye(2, dtype=np.float32)), leaky], connections=())
    ledger = write(net, tmp_path / "net.msgpack", format="spyx", registry=REGISTRY)
    told = [entry for entry in ledger.told if "--for spyx" in entry.reason]
    assert [entry.path for entry in told] == [("layers", "lif")]
    assert not ledger.losses
