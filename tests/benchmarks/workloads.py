"""The networks and inputs of the simulator's benchmark."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from snnbridge import Connection, Conv2d, Flatten, Input, Linear, SNNCheckpoint, SumPool, rules
from snnbridge.model import Reset, ResetTiming


def leaky(name, shape):
    return rules.get("snntorch", "Leaky").build(name, shape=shape, beta=0.9)


def integrating(name, shape):
    built = rules.get("spikingjelly", "IFNode").build(name, shape=shape, v_reset=None)
    return replace(
        built, rule=replace(built.rule, reset=Reset.SUBTRACT, reset_timing=ResetTiming.NOW)
    )


def dense(sizes, gains, recurrent=False):
    """Chain Linear and leaky layers; the gains are chosen for 5 to 15 % of activity."""
    rng = np.random.default_rng(0)
    layers, edges, last = [Input("in", (sizes[0],))], [], "in"
    for i, (n, m, gain) in enumerate(zip(sizes, sizes[1:], gains, strict=False)):
        weight = (rng.normal(0, 1, (m, n)) * gain / np.sqrt(n)).astype(np.float32)
        layers += [Linear(f"fc{i}", weight, np.zeros(m, np.float32)), leaky(f"lif{i}", (m,))]
        edges += [Connection(last, f"fc{i}"), Connection(f"fc{i}", f"lif{i}")]
        last = f"lif{i}"
        if recurrent and i == 0:
            back = (rng.normal(0, 1, (m, m)) * 0.3 / np.sqrt(m)).astype(np.float32)
            layers.append(Linear("rec", back))
            edges += [Connection(last, "rec", 1), Connection("rec", last)]
    return SNNCheckpoint(layers, connections=edges)


def image():
    """Two channels of 34 x 34 through three convolutions and two dense layers."""
    rng = np.random.default_rng(0)

    def weight(gain, *shape):
        return (rng.normal(0.02, gain, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    def conv(name, gain, *shape, stride=1):
        return Conv2d(name, weight(gain, *shape), None, stride, 1, 1, 1)

    layers = [
        Input("in", (2, 34, 34)),
        conv("c1", 3.4, 16, 2, 5, 5, stride=2),
        integrating("n1", (16, 16, 16)),
        conv("c2", 1.8, 16, 16, 3, 3),
        integrating("n2", (16, 16, 16)),
        SumPool("p1", (2, 2), (2, 2), 0),
        conv("c3", 0.6, 8, 16, 3, 3),
        integrating("n3", (8, 8, 8)),
        SumPool("p2", (2, 2), (2, 2), 0),
        Flatten("flat", order="channels first"),
        Linear("f1", weight(0.8, 256, 128)),
        integrating("n4", (256,)),
        Linear("f2", weight(1.0, 10, 256)),
        integrating("n5", (10,)),
    ]
    names = [layer.name for layer in layers]
    return SNNCheckpoint(
        layers, connections=[Connection(a, b) for a, b in itertools.pairwise(names)]
    )


def spikes(steps, batch, *shape, rate=0.03):
    rng = np.random.default_rng(1)
    return (rng.random((steps, batch, *shape)) < rate).astype(np.float32)


def currents(steps, batch, n):
    return np.random.default_rng(1).random((steps, batch, n)).astype(np.float32)


WORKLOADS = {
    "W1": (lambda: dense([700, 256, 20], [3.8, 3.0]), lambda: spikes(100, 64, 700)),
    "W2": (
        lambda: dense([2048, 2048, 2048, 10], [3.0, 2.4, 2.0]),
        lambda: spikes(100, 8, 2048, rate=0.05),
    ),
    "W3": (lambda: dense([700, 1024, 20], [3.8, 3.0], True), lambda: spikes(100, 16, 700)),
    "W4": (image, lambda: spikes(50, 16, 2, 34, 34)),
    "W5": (lambda: dense([100, 100, 10], [3.0, 3.0]), lambda: spikes(10000, 1, 100, rate=0.05)),
    "W6": (lambda: dense([784, 1000, 10], [0.8, 2.0]), lambda: currents(25, 128, 784)),
}
