"""Nets over images keep their spikes between files of frameworks with other orders of axes."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    UNKNOWN,
    Connection,
    Conv2d,
    Flatten,
    Input,
    Linear,
    LossyWrite,
    Neuron,
    Registry,
    SNNCheckpoint,
    StateVariable,
    Status,
    WriteError,
    convert,
    differences,
    read,
    rewrites,
    rules,
    write,
)
from snnbridge.express import express
from snnbridge.pytree import load_pytree
from snnbridge.wire import pack, unpack
from snnbridge_plugins import brainpy, hdf5, spyx, torch

REGISTRY = Registry([brainpy, hdf5, spyx, torch])
SPYX = Path(__file__).parents[1] / "fixtures" / "spyx-1.0.0" / "conv_random.msgpack"
TARGETS = {
    "net.pt": "torch",
    "net.safetensors": "safetensors",
    "n.bp": "brainpy",
    "n.msgpack": "spyx",
}
ORDERS = {"torch": "channels first", "safetensors": "channels first"}


def net(order, *, shape=UNKNOWN, tie=False):
    """Make images of two channels, and a dense layer that takes them."""
    weight = np.arange(3 * 2 * 4, dtype=np.float32).reshape(3, 8)
    layers = [
        Input("in", (1, 3, 3)),
        Conv2d(
            "conv", np.ones((2, 1, 2, 2), np.float32), stride=1, padding=0, dilation=1, groups=1
        ),
        Flatten("flat", order=order, input_shape=shape),
        Linear("fc", weight),
    ]
    edges = [Connection(a.name, b.name) for a, b in pairwise(layers)]
    ties = [[("fc", "weight"), ("other", "weight")]] if tie else []
    other = [Linear("other", weight)] if tie else []
    return SNNCheckpoint([*layers, *other], connections=edges, ties=ties)


def written(checkpoint, folder, format, **more):
    path = folder / next(name for name, kind in TARGETS.items() if kind == format)
    return path, write(checkpoint, path, format=format, registry=REGISTRY, **more)


def lines(ledger, status):
    return [entry for entry in ledger.told if entry.status is status and entry.path[0] == "layers"]


@pytest.mark.parametrize("format", TARGETS.values())
@pytest.mark.parametrize("order", ["channels first", "channels last"])
def test_weights_behind_a_flatten_are_permuted_where_the_order_is_another(format, order, tmp_path):
    path, ledger = written(net(order), tmp_path, format)
    found = read(path, format=format, registry=REGISTRY)
    own = ORDERS.get(format, "channels last")
    assert found.layers["flat"].order == own
    assert len(lines(ledger, Status.REWRITTEN)) == (order != own)
    expected = net(order) if order == own else rewrites.with_image_order(net(order), own)[0]
    assert differences(expected, found) == []


def test_what_was_turned_comes_back(tmp_path):
    write(net("channels last"), tmp_path / "a.h5", registry=REGISTRY)
    for source, target, to in (("a.h5", "b.pt", "torch"), ("b.pt", "c.bp", "brainpy")):
        done = convert(tmp_path / source, tmp_path / target, to=to, registry=REGISTRY)
        assert done.verdict == "equivalent"
    found = read(tmp_path / "c.bp", registry=REGISTRY)
    weight = net("channels last").layers["fc"].weight.value
    assert np.array_equal(found.layers["fc"].weight.value, weight)


def unturnable():
    checkpoint = net("channels last")
    layers = {**checkpoint.layers, "fc": Neuron("fc", (8,))}
    return {
        "no connections": replace(checkpoint, connections=UNKNOWN),
        "a neuron behind": replace(checkpoint, layers=layers),
        "shared weights": net("channels last", tie=True),
    }


@pytest.mark.parametrize("case", unturnable())
def test_what_cannot_be_turned_is_told_and_refused_for_a_file_of_another_order(case, tmp_path):
    checkpoint = unturnable()[case]
    path, ledger = written(checkpoint, tmp_path, "torch")
    told = next(entry for entry in ledger.told if entry.path == ("layers", "flat"))
    assert told.status is Status.EXACT
    assert "runs channels last, and a net of PyTorch channels first" in told.reason
    assert read(path, registry=REGISTRY).layers["flat"].order == "channels last"
    write(checkpoint, tmp_path / "n.bp", registry=REGISTRY)
    with pytest.raises(LossyWrite, match="layer 'flat' would be approximated"):
        convert(tmp_path / "n.bp", tmp_path / "other.pt", registry=REGISTRY)


def test_an_unknown_order_is_refused_where_it_matters(tmp_path):
    write(net(UNKNOWN), tmp_path / "n.bp", registry=REGISTRY)
    with pytest.raises(LossyWrite, match=r"its order is not known; state it in a spec, order ="):
        convert(tmp_path / "n.bp", tmp_path / "net.pt", registry=REGISTRY)
    spec = {"layers": {"flat": {"order": "channels last"}}}
    convert(tmp_path / "n.bp", tmp_path / "net.pt", spec=spec, registry=REGISTRY)
    assert read(tmp_path / "net.pt", registry=REGISTRY).layers["flat"].order == "channels first"
    write(net(UNKNOWN), tmp_path / "same.pt", registry=REGISTRY)  # of no framework's order
    convert(tmp_path / "same.pt", tmp_path / "same.safetensors", registry=REGISTRY)


def test_an_order_that_changes_nothing_is_not_asked_for(tmp_path):
    checkpoint = net(UNKNOWN)
    conv = Conv2d(
        "conv", np.ones((2, 1, 3, 3), np.float32), stride=1, padding=0, dilation=1, groups=1
    )
    fc = Linear("fc", np.ones((3, 2), np.float32))  # one place for each channel
    checkpoint = replace(checkpoint, layers={**checkpoint.layers, "conv": conv, "fc": fc})
    write(checkpoint, tmp_path / "n.bp", registry=REGISTRY)
    done = convert(tmp_path / "n.bp", tmp_path / "net.pt", registry=REGISTRY)
    assert done.ledger.losses == ()


@pytest.mark.parametrize("through", [False, True])
def test_dense_weights_of_a_file_that_says_nothing_are_not_guessed(through, tmp_path):
    source = SPYX
    if through:
        source = tmp_path / "copy.h5"
        convert(SPYX, source, registry=REGISTRY)
    with pytest.raises(LossyWrite, match=r"layer '4'.*state the connections, and the Flatten"):
        convert(source, tmp_path / "net.pt", registry=REGISTRY)
    convert(source, tmp_path / "net.pt", allow_loss=True, registry=REGISTRY)
    convert(SPYX, tmp_path / "net.bp", registry=REGISTRY)  # the same order


def test_moments_of_permuted_weights_are_told(tmp_path):
    moments = {"optimizer": {"state": [{"exp_avg": np.zeros((3, 8), np.float32)}]}, "epoch": 1}
    checkpoint = replace(net("channels last"), training=moments)
    ledger = written(checkpoint, tmp_path, "torch")[1]
    line = next(entry for entry in ledger.told if entry.path == ("training",))
    assert "moments of the permuted weights do not fit" in line.reason
    assert not any(e.path == ("training",) for e in written(checkpoint, tmp_path, "spyx")[1].told)


# What stands for each neuron of images

MAPS = [(4, 5, 6), (5, 5, 5)]


def with_neurons(maps, state=False, **arguments):
    """Make a convolution, neurons on its images with arrays of their own, and a dense layer."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(maps[0], 2, 3, 3)).astype(np.float32)
    given = {"beta": decays(maps), "threshold": np.float32(0.5), "shape": maps, **arguments}
    given = {key: value for key, value in given.items() if value is not None}
    layers = [
        Input("in", (2, maps[1] + 2, maps[2] + 2)),
        Conv2d("conv", kernel, stride=1, padding=0, dilation=1, groups=1),
        rules.snntorch.Leaky("lif", **given),
        Flatten("flat", order="channels first"),
        Linear("fc", rng.normal(size=(3, math.prod(maps))).astype(np.float32)),
        rules.snntorch.Leaky("out", shape=(3,), beta=np.float32(0.5), threshold=np.float32(0.5)),
    ]
    edges = [Connection(a.name, b.name) for a, b in pairwise(layers)]
    held = StateVariable(rng.random((2, *maps)).astype(np.float32), 0)
    kept = {("lif", "v"): held} if state else {}
    return SNNCheckpoint(layers, connections=edges, dt=PER_STEP, state=kept)


def decays(shape):
    return np.random.default_rng(1).random(shape).astype(np.float32) / 2 + np.float32(0.25)


def for_spyx(checkpoint, path):
    """Write a net in the neurons of Spyx; return the tree of its file."""
    options = {"for": "spyx"}
    write(checkpoint, path, format="spyx", options=options, allow_loss=True, registry=REGISTRY)
    return unpack(path.read_bytes())["layers"]


@pytest.mark.parametrize("maps", MAPS)
def test_a_decay_for_each_neuron_lies_in_a_file_of_spyx_as_its_images_do(maps, tmp_path):
    path = tmp_path / "net.msgpack"
    tree = for_spyx(with_neurons(maps), path)
    assert np.array_equal(tree["1"]["beta"], np.moveaxis(decays(maps), 0, -1))
    held = read(path, registry=REGISTRY).layers["1"].parameters["decay"].value
    assert np.array_equal(held, decays(maps))


@pytest.mark.parametrize("shape", [(4, 1, 1), (5, 6), (6,), (1, 5, 6)])
def test_a_decay_that_several_neurons_share_is_shared_there(shape, tmp_path):
    path = tmp_path / "net.msgpack"
    checkpoint = with_neurons((4, 5, 6), beta=decays(shape))
    spyx_own = for_spyx(checkpoint, path)["1"]["beta"]
    everyone = np.moveaxis(np.broadcast_to(decays(shape), (4, 5, 6)), 0, -1)
    assert np.array_equal(np.broadcast_to(spyx_own, (5, 6, 4)), everyone)
    planned, _ = spyx.FORMAT.prepare(checkpoint, {"for": "spyx"})
    assert differences(planned, read(path, registry=REGISTRY)) == []
    lif = rules.spyx.LIF("0", shape=(4, 5, 6), beta=decays(shape))
    own = SNNCheckpoint([lif], connections=(), dt=PER_STEP)
    write(own, tmp_path / "own.msgpack", format="spyx", registry=REGISTRY)
    assert differences(own, read(tmp_path / "own.msgpack", registry=REGISTRY)) == []
    tree = unpack((tmp_path / "own.msgpack").read_bytes())["layers"]
    assert np.array_equal(np.broadcast_to(tree["0"]["beta"], (5, 6, 4)), everyone)


@pytest.mark.parametrize("maps", MAPS)
def test_a_tree_of_flax_is_read_with_the_channel_first_and_written_as_it_was(maps, tmp_path):
    keys = ("alpha", "beta", "threshold")
    last = {key: np.moveaxis(decays(maps), 0, -1).copy() for key in keys}
    one = {"beta": last["beta"], "threshold": last["threshold"]}
    tree = {"layers": {"0": one, "1": last, "2": {"threshold": last["threshold"]}}}
    (tmp_path / "a.msgpack").write_bytes(pack(tree))
    found = read(tmp_path / "a.msgpack", registry=REGISTRY)
    for name in ("0", "1", "1.synapse"):
        assert np.array_equal(found.layers[name].parameters["decay"].value, decays(maps))
    for name in ("0", "1", "2"):
        assert np.array_equal(found.layers[name].parameters["threshold"].value, decays(maps))
    assert found.layers["2"].origin.kind == "IF"
    for bare in (True, False):
        path = tmp_path / f"{bare}.msgpack"
        write(found, path, format="spyx", bare=bare, registry=REGISTRY)
        assert path.read_bytes() == (tmp_path / "a.msgpack").read_bytes()
        assert differences(found, read(path, registry=REGISTRY)) == []


@pytest.mark.parametrize("maps", MAPS)
def test_a_state_lies_in_a_file_of_brainpy_as_its_images_do(maps, tmp_path):
    checkpoint, path = with_neurons(maps, state=True), tmp_path / "n.bp"
    write(checkpoint, path, options={"for": "brainpy"}, registry=REGISTRY)
    before = checkpoint.state["lif", "v"].value
    stored = load_pytree(path)["lif"]["lif.V"]
    assert np.array_equal(stored, np.moveaxis(before, 1, -1))
    assert np.array_equal(read(path, registry=REGISTRY).state["lif", "v"].value, before)
    for_spyx(checkpoint, tmp_path / "net.msgpack")  # which has no place for it: kept beside
    kept = read(tmp_path / "net.msgpack", registry=REGISTRY).state["1", "v"]
    assert kept.value.shape == before.shape


# A shape that the graph, or an array, says


def runs_there(checkpoint, framework):
    """Whether a framework takes a net, and the shape that its first neurons have there then."""
    try:
        planned, _ = express(checkpoint, framework)
    except WriteError as error:
        return str(error)
    return next(x.shape for x in planned.layers.values() if isinstance(x, Neuron))


@pytest.mark.parametrize("framework", ["brainpy", "sinabs", "spyx"])
def test_neurons_have_the_shape_of_what_feeds_them_whatever_axes_their_parameters_have(framework):
    maps = (4, 5, 6)
    for beta in (decays(maps), decays((4, 1, 1)), np.float32(0.5)):
        assert runs_there(with_neurons(maps, beta=beta, shape=None), framework) == maps


def test_an_array_for_each_neuron_says_the_shape_behind_a_convolution():
    maps = (4, 5, 6)
    for beta, told in ((decays(maps), maps), (decays((4, 1, 1)), "is not known")):
        checkpoint = with_neurons(maps, beta=beta, shape=None)
        layers = {name: x for name, x in checkpoint.layers.items() if name != "in"}
        edges = [c for c in checkpoint.connections if c.source != "in"]
        checkpoint = replace(checkpoint, layers=layers, connections=edges)
        found = runs_there(checkpoint, "brainpy")
        assert found == told or (isinstance(found, str) and told in found)
