"""Checkpoints for the tests of the npz format."""

import ml_dtypes
import numpy as np

from snnbridge import (
    Connection,
    Conv2d,
    Flatten,
    Linear,
    Neuron,
    Opaque,
    Origin,
    Parameter,
    Quantity,
    SNNCheckpoint,
    StateVariable,
)


def plain(dtype=np.float32):
    """Two linear layers with neurons, as SC-NeuroCore itself could have saved them."""
    rng = np.random.default_rng(1)
    layers = []
    for name, shape in (("fc1", (5, 4)), ("fc2", (3, 5))):
        layers.append(Linear(name, rng.normal(size=shape).astype(dtype)))
        layers.append(Neuron(f"{name}.neuron", origin=Origin("sc-neurocore", "LIF")))
    return SNNCheckpoint(layers, metadata={"author": "Zoë", "loss": [0.5, 0.25]})


def everything():
    """A net that SC-NeuroCore has no words for: what it would refuse, change or lose."""
    rng = np.random.default_rng(2)
    kernel = rng.normal(size=(4, 2, 3, 3)).astype(np.float32)
    return SNNCheckpoint(
        [
            Conv2d("conv", kernel, np.full(4, 0.1, np.float32), stride=1, padding="same"),
            Neuron(
                "lif",
                (4, 6, 6),
                {"tau": Parameter(10.0, "ms"), "threshold": np.ones(4 * 36).reshape(4, 6, 6)},
                origin=Origin("brainpy", "Lif", "2.8"),
            ),
            Flatten("flat"),
            Linear("half", rng.normal(size=(3, 144)).astype(ml_dtypes.bfloat16)),
            Linear("nan", np.array([[np.nan, np.inf, -0.0]])),
            Linear("big", np.array([[2**53 + 1, -(2**62)]])),
            Linear("mask", np.array([[True, False]])),
            Linear("wave", np.array([[1 + 2j, complex(np.nan, -0.0)]], np.complex64)),
            Opaque("scalar", {"weight": np.float16(0.1) * np.ones(())}),
            Opaque("words", {"weight": np.array(["α", "βγ"]), "more": np.arange(600.0)}),
        ],
        [Connection("conv", "lif"), Connection("lif", "flat"), Connection("flat", "half")],
        dt=Quantity(0.1, "ms"),
        state={("lif", "v"): StateVariable(rng.normal(size=(2, 4, 6, 6)), 0)},
        step=12,
        training={"epoch": 3, "adam": {"m": rng.normal(size=(3, 144)), "rate": np.float32(0.1)}},
        metadata={"loss": float("nan"), "name": "net", "snnbridge": "mine", "deep": {"x": [1]}},
        frozen_layers=["conv", "lif"],
    )
