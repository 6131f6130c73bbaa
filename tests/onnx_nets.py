"""Networks for the onnx format, and models of them beside the simulator."""

from __future__ import annotations

import itertools
import json
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
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


#: What every engine computes to the same bits: no exponential, and no sum but of MatMul in float64.
EXACT = {
    *("Add", "And", "Cast", "Concat", "Constant", "Div", "Equal", "Expand", "Floor", "Gather"),
    *("GatherElements", "Greater", "GreaterOrEqual", "Identity", "LessOrEqual", "MatMul", "Max"),
    *("MaxPool", "Min", "Mul", "Neg", "Or", "Pad", "Range", "ReduceSum", "Reshape", "Scan"),
    *("Shape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"),
}


def operators(nodes):
    """Yield the standard operators of nodes, and of the bodies inside of them."""
    for node in nodes:
        if not node.domain:
            yield node.op_type
        for held in node.attribute:
            yield from operators(held.g.node)


def read_in(nodes):
    """Yield the names that nodes, and the bodies inside of them, take values by."""
    for node in nodes:
        yield from node.input
        for held in node.attribute:
            yield from read_in(held.g.node)
            yield from (value.name for value in held.g.output)


def dead(body, outputs):
    """Yield the nodes of which nobody reads an output, in the bodies inside of them too."""
    used = {*read_in(body.node), *outputs}
    for node in body.node:
        if used.isdisjoint(node.output):
            yield node
        for held in node.attribute:
            yield from dead(held.g, [value.name for value in held.g.output])


def held(model):
    """Return what the model says of itself: its document, and which values are whose."""
    entries = {entry.key: entry.value for entry in model.metadata_props}
    return json.loads(entries["org.snnbridge.checkpoint"])


def assert_nothing_is_idle(model):
    """Every node, every input of a function and every tensor has its use."""
    graph, said = model.graph, held(model)
    named = json.dumps(said["document"])
    shown = {name for each in said["graph"]["traces"].values() for name in each.values()}
    assert not list(dead(graph, {*shown, *(value.name for value in graph.output)}))
    idle = {x.name for x in graph.initializer} - set(read_in(graph.node))
    assert all(json.dumps(name) in named for name in idle), idle
    for function in model.functions:
        assert not list(dead(function, function.output)), function.name
        assert set(function.input) <= set(read_in(function.node)), function.name
    names = [node.name for node in graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def exported(path, net, **options):
    """Write a model that the checker and strict shape inference take."""
    write(net, path, options=options)
    model = onnx.load(path, load_external_data=False)
    for body in (model.graph, *model.functions):
        assert set(operators(body.node)) <= EXACT
    assert_nothing_is_idle(model)
    onnx.checker.check_model(str(path), full_check=True)
    onnx.shape_inference.infer_shapes_path(
        str(path), str(path.with_suffix(".inferred")), strict_mode=True, data_prop=True
    )
    return path


def session_of(path):
    """Open a model in stock onnxruntime, without its warnings."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


def ran(path, inputs):
    """Return what stock onnxruntime makes of a model, by (layer, variable)."""
    session, graph = session_of(path), held(onnx.load(path, load_external_data=False))["graph"]
    names = [x.name for x in session.get_outputs()]
    types = {x.name: x.type for x in session.get_inputs()}
    given = {
        name: np.asarray(inputs[layer], "float32" if types[name] == "tensor(float)" else "float64")
        for layer, name in graph["stimuli"].items()
    }
    if graph["stepwise"]:
        found, states = [], {}
        for t in range(len(next(iter(given.values())))):
            now = {name: value[t] for name, value in given.items()}
            found.append(dict(zip(names, session.run(names, now | states), strict=True)))
            states = {start: found[-1][end] for start, end in graph["states"]}
        values = {name: np.stack([step[name] for step in found]) for name in names}
    else:
        values = dict(zip(names, session.run(names, given), strict=True))
    shown = {(layer, "output"): name for layer, name in graph["results"].items()}
    for layer, variables in graph["traces"].items():
        shown |= {(layer, variable): name for variable, name in variables.items()}
    return {place: values[name] for place, name in shown.items() if name in values}


def compared(path, net, stimulus, initial=None, **options):
    """Yield each trace of the simulator beside what onnxruntime makes of the model."""
    inputs = stimulus if isinstance(stimulus, dict) else {"in": stimulus}
    found = ran(exported(path.with_suffix(".all.onnx"), net, outputs="all", **options), inputs)
    shown = ran(exported(path, net, **options), inputs)
    assert shown
    for place, values in shown.items():  # the other outputs change no bit
        assert (values == found[place]).all(), place
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
