"""A spec for a net with images: pools, flattens, and numbers that stand for every axis."""

import tomllib

import numpy as np
import pytest

from snnbridge import (
    UNKNOWN,
    CheckpointError,
    Connection,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Linear,
    MaxPool,
    Neuron,
    SNNCheckpoint,
    SpecError,
    differences,
    rules,
    simulate,
    spec,
)

POOL = {"kind": "MaxPool", "window": 2, "stride": 2, "padding": 0}


def bare(kind=Conv2d, axes=2):
    """Arrays of convolutions alone, as a state dict of PyTorch has them."""
    return SNNCheckpoint(
        [
            kind("conv", np.ones((2, 1, *(3,) * axes), np.float32)),
            kind("conv2", np.ones((2, 2, *(3,) * axes), np.float32)),
            Neuron("lif"),
            Linear("fc", np.ones((3, 8), np.float32)),
        ]
    )


def pool(held=None, **stated):
    stated = {"layers": {"pool": POOL}} | stated
    return spec.apply(held or bare(), stated).layers["pool"]


@pytest.mark.parametrize(
    "chain",
    [["conv", "pool"], ["conv", "lif", "pool"], ["pool", "conv2"], ["pool", "lif", "conv2"]],
)
def test_one_number_of_a_pool_stands_for_the_axes_of_the_images_around_it(chain):
    found = pool(chains=[chain])
    assert (found.window, found.stride, found.padding) == ((2, 2), (2, 2), ((0, 0), (0, 0)))


def test_one_number_of_a_pool_beside_a_convolution_of_one_axis_is_one():
    assert pool(bare(Conv1d, 1), chains=[["conv", "pool"]]).window == (2,)


@pytest.mark.parametrize(
    ("layers", "chain"),
    [
        ({"input": {"kind": "Input", "shape": [1, 8, 8]}}, ["input", "pool"]),
        ({"lif": {"shape": [2, 4, 4]}}, ["lif", "pool"]),
        ({"first": {**POOL, "window": [2, 2]}}, ["first", "pool"]),
        ({"first": POOL}, ["conv", "first", "pool"]),
    ],
)
def test_a_shape_or_another_pool_tells_the_axes_too(layers, chain):
    assert pool(layers={"pool": POOL, **layers}, chains=[chain]).window == (2, 2)


@pytest.mark.parametrize("chain", [[["fc", "pool"]], [["pool", "fc"]], []])
def test_one_number_of_a_pool_is_not_guessed_where_nothing_tells_the_axes(chain):
    with pytest.raises(SpecError, match=r"'pool': window must be one number for each .*\[2, 2\]"):
        pool(chains=chain)


def test_a_pool_made_in_python_says_its_axes():
    with pytest.raises(CheckpointError, match=r"'p' .*one number for each axis, like \(2, 2\)"):
        MaxPool("p", window=2, stride=2, padding=0)
    assert MaxPool("p", window=(2, 2), stride=2, padding=0).stride == (2, 2)


def test_a_window_of_too_few_axes_does_not_pool_the_last_axis_alone():
    pooled = SNNCheckpoint(
        [
            Input("in", (1, 4, 4)),
            MaxPool("pool", window=(2,), stride=2, padding=0),
            rules.snntorch.Leaky("lif", shape=(1, 4, 2), beta=0.5, threshold=1.0),
        ],
        [Connection("in", "pool"), Connection("pool", "lif")],
    )
    with pytest.raises(CheckpointError, match=r"'pool' .*window \(2,\).*shape \(1, 4, 4\)"):
        simulate(pooled, np.zeros((1, 1, 1, 4, 4), np.float32))


def test_settings_of_all_convolutions_may_stand_at_the_top():
    given = {"stride": 1, "padding": 0, "layers": {"conv2": {"stride": 2}}}
    found = spec.apply(bare(), given).layers
    assert (found["conv"].stride, found["conv2"].stride) == ((1, 1), (2, 2))
    assert found["conv2"].padding == ((0, 0), (0, 0))
    with pytest.raises(SpecError, match="neither a key of a spec nor an argument"):
        spec.apply(SNNCheckpoint([Linear("fc", np.ones((1, 1)))]), {"stride": 1})


def test_a_setting_at_the_top_does_not_overrule_the_file():
    held = SNNCheckpoint([Conv2d("conv", np.ones((1, 1, 3, 3)), stride=2)])
    with pytest.raises(SpecError, match="stride"):
        spec.apply(held, {"stride": 1})


def test_the_form_of_a_net_with_convolutions_shows_the_layers_without_arrays():
    form = spec.skeleton(bare())
    assert differences(bare(), spec.apply(bare(), tomllib.loads(form))) == []
    shown = form[form.index("#   [layers.input]") :].splitlines()
    example = tomllib.loads("\n".join(x[4:] for x in shown if x.startswith("#   ")))
    chain = ["input", "conv", "pool1", "flatten", "fc"]
    found = spec.apply(bare(), {**example, "chains": [chain], "stride": 1}).layers
    assert found["pool1"].window == (2, 2)
    assert isinstance(found["flatten"], Flatten)
    assert found["input"].shape == (1, 28, 28)
    assert found["pool1"].padding is not UNKNOWN


def test_the_form_of_a_net_whose_connections_are_known_shows_no_layers_to_add():
    assert "[layers.pool1]" not in spec.skeleton(SNNCheckpoint([bare().layers["conv"]], []))
