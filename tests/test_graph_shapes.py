"""Shapes follow from the edges of a graph, in whatever order its layers stand."""

import json
from itertools import pairwise, permutations

import numpy as np
import pytest

from snnbridge import (
    PER_STEP,
    UNKNOWN,
    CheckpointError,
    Connection,
    Conv2d,
    Flatten,
    Input,
    MaxPool,
    Opaque,
    SNNCheckpoint,
    rules,
    spec,
    write,
)
from snnbridge.cli import main
from snnbridge.simulator.graph_shapes import shapes_of

PLAIN = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def layers(size=9):
    kernel = np.ones((2, 1, 3, 3), np.float32)
    return [
        Input("in", (1, size, size)),
        Conv2d("conv", kernel, **PLAIN),
        MaxPool("pool", window=(2, 2), stride=2, padding=0),
        rules.snntorch.Leaky("lif", beta=0.5, threshold=1.0),
        Conv2d("last", np.ones((4, 2, 2, 2), np.float32), **PLAIN),
        Flatten("flat", order="channels first"),
    ]


def edges(parts):
    return [Connection(a.name, b.name) for a, b in pairwise(parts)]


TAKEN = {
    "in": (1, 9, 9), "conv": (1, 9, 9), "pool": (2, 7, 7), "lif": (2, 3, 3), "last": (2, 3, 3),
    "flat": (4, 2, 2),
}  # fmt: skip


def test_the_order_of_layers_and_edges_decides_nothing():
    for order in permutations(layers()):
        named = {layer.name: layer for layer in order}
        taken, given = shapes_of(named, reversed(edges(layers())))
        assert (taken, given["flat"]) == (TAKEN, (16,))


def test_what_arrives_counts_before_what_a_layer_states_itself():
    parts = [*layers()[:-1], Flatten("flat", order="channels first", input_shape=(4, 1, 4))]
    for order in permutations(parts):
        _, given = shapes_of({layer.name: layer for layer in order}, edges(parts))
        assert given["flat"] == (16,)
    behind = SNNCheckpoint([Opaque("what"), parts[-1]], [Connection("what", "flat")])
    assert shapes_of(behind.layers, behind.connections)[1]["flat"] == (16,)


def test_a_branch_that_meets_itself_is_followed_once():
    parts = layers()[:4]
    more = Conv2d("loop", np.ones((2, 2, 1, 1), np.float32), **PLAIN)
    ring = [*edges(parts), Connection("lif", "loop"), Connection("loop", "lif", 1)]
    for order in permutations([*parts, more]):
        taken, _ = shapes_of({layer.name: layer for layer in order}, ring)
        assert taken["loop"] == (2, 3, 3)


def test_a_window_that_does_not_fit_is_an_error_only_if_it_is_strict():
    named = {layer.name: layer for layer in layers(2)}
    with pytest.raises(CheckpointError, match=r"'conv'.*does not fit"):
        shapes_of(named, edges(layers(2)), strict=True)
    assert "pool" not in shapes_of(named, edges(layers(2)))[0]


def info(tmp_path, capsys, parts):
    write(SNNCheckpoint(parts, edges(parts), dt=PER_STEP), tmp_path / "net.h5")
    with pytest.raises(SystemExit):
        main(["info", str(tmp_path / "net.h5"), "--json"])
    return json.loads(capsys.readouterr().out)


def test_info_and_the_form_do_not_ask_for_shapes_that_follow(tmp_path, capsys):
    parts = [*reversed(layers())]
    held = SNNCheckpoint(parts, edges(layers()), dt=PER_STEP)
    assert held.layers["lif"].shape is UNKNOWN
    assert "[layers" not in spec.skeleton(held)
    found = info(tmp_path, capsys, layers())
    assert (found["unknown"], found["unfit"]) == ([], "")


def test_info_asks_for_shapes_that_do_not_follow(tmp_path, capsys):
    parts = layers()[1:]
    assert "layers.lif.shape" in info(tmp_path, capsys, parts)["unknown"]
    hidden = [layers()[0], Opaque("what"), *parts]
    assert "layers.lif.shape" in info(tmp_path, capsys, hidden)["unknown"]


def test_info_says_which_layer_does_not_take_what_it_gets(tmp_path, capsys):
    assert "'conv'" in info(tmp_path, capsys, layers(2))["unfit"]
    with pytest.raises(SystemExit) as left:
        main(["info", str(tmp_path / "net.h5")])
    assert left.value.code in (0, None)
    assert "The network cannot run: layer 'conv'" in capsys.readouterr().out
