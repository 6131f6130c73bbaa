"""Nets over images keep their spikes between files of frameworks with other orders of axes."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from snnbridge import (
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
    Status,
    convert,
    differences,
    read,
    rewrites,
    write,
)
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
