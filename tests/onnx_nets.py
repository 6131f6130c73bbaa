"""Networks for the onnx format, and models of them beside the simulator."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
from hypothesis import HealthCheck, settings

import snnbridge
from snnbridge import (
    Registry,
    rules,
    simulate,
)
from snnbridge.model import (
    Connection,
    Input,
    Linear,
    Neuron,
    SNNCheckpoint,
    Synapse,
)
from snnbridge_plugins import onnx as plugin
from snnbridge_plugins.onnx import FORMAT

REGISTRY = Registry([plugin])
read = partial(snnbridge.read, registry=REGISTRY)
write = partial(snnbridge.write, registry=REGISTRY)
FIXTURES = Path(__file__).parent.parent / "fixtures" / "torch-onnx-2.13.0"
FAST = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def dyadic(rng, *shape):
    return (rng.integers(-8, 16, shape) / 16).astype(np.float32)


def leaky(name, shape, **more):
    arguments = {"beta": 0.5, "threshold": 1.0, **more}
    return rules.get("snntorch", "Leaky").build(name, shape=shape, **arguments)


def chain(*layers, delays=(), more=(), **options):
    edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(layers)]
    return SNNCheckpoint([*layers, *delays], connections=[*edges, *more], **options)


def plain():
    """Return two layers of leaky neurons; every sum is exact."""
    rng = np.random.default_rng(0)
    return chain(
        Input("in", (6,)),
        Linear("fc1", dyadic(rng, 5, 6), dyadic(rng, 5)),
        leaky("lif1", (5,)),
        Linear("fc2", dyadic(rng, 3, 5)),
        leaky("lif2", (3,)),
    )


def spikes(*shape, seed=1):
    return (np.random.default_rng(seed).random(shape) < 0.4).astype(np.float32)


def exported(path, net, **options):
    """Write a model that the checker and strict shape inference take."""
    write(net, path, options=options)
    onnx.checker.check_model(str(path), full_check=True)
    onnx.shape_inference.infer_shapes_path(
        str(path), str(path.with_suffix(".inferred")), strict_mode=True, data_prop=True
    )
    return path


def compared(path, net, stimulus, initial=None, **options):
    """Yield each trace of the simulator beside what onnxruntime makes of the model."""
    exported(path, net, **options)
    inputs = stimulus if isinstance(stimulus, dict) else {"in": stimulus}
    found = FORMAT.run(path, inputs, {})
    names = [n for n, x in net.layers.items() if isinstance(x, Neuron | Synapse)]
    expected = simulate(net, inputs, record=names, initial=initial).traces
    for (layer, variable), trace in expected.items():
        if variable == "output" and (layer, variable) not in found:
            continue  # given in other words: the spikes
        yield layer, variable, found[layer, variable], trace


def assert_same(path, net, stimulus, initial=None, **options):
    """Hold every spike and potential against the simulator, without tolerance."""
    seen = 0
    for layer, variable, ours, trace in compared(path, net, stimulus, initial, **options):
        assert ours.shape == trace.shape, (layer, variable)
        assert (ours == trace).all(), f"{variable} of {layer!r}: {int((ours != trace).sum())}"
        seen += 1
    assert seen
