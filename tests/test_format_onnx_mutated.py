"""The onnx format: neurons with one more operator on an edge are told as what they are, or not."""

from __future__ import annotations

import itertools
import zlib

import numpy as np
import onnx.helper as oh
import onnxruntime
import pytest
from onnx import TensorProto

from onnx_graphs import model_of, read_model
from snnbridge import simulate
from snnbridge.model import Neuron, StateVariable, Synapse

WIDTH = 4


def node(kind, inputs, output, **settings):
    return oh.make_node(kind, inputs.split(), [output], **settings)


LEAK = (node("Mul", "v b", "leaked"), node("Add", "leaked x", "h"))
FIRE = (node("Greater", "h t", "over"), node("Cast", "over", "s", to=TensorProto.FLOAT))
SOFT = (node("Mul", "s t", "a"), node("Sub", "h a", "n"))
HARD = (node("Where", "over zero h", "n"),)
#: Neurons of the family: their nodes, and the states before and after a step.
FAMILIES = {
    "subtract": ((*LEAK, *FIRE, *SOFT), {"v": "n"}),
    "set": ((*LEAK, *FIRE, *HARD), {"v": "n"}),
    "floor": (
        (*LEAK[:1], node("Add", "leaked x", "g"), node("Max", "g low", "h"), *FIRE, *SOFT),
        {"v": "n"},
    ),
    "next step": (
        (node("Greater", "v t", "was"), node("Cast", "was", "r", to=TensorProto.FLOAT),
         node("Mul", "r t", "a"), *LEAK[:1], node("Add", "leaked x", "g"), node("Sub", "g a", "h"),
         *FIRE, node("Identity", "h", "n")),
        {"v": "n"},
    ),
    "quotient": (
        (node("Sub", "x v", "d"), node("Div", "d tau", "q"), node("Add", "v q", "h"), *FIRE, *HARD),
        {"v": "n"},
    ),
    "synapse": (
        (node("Mul", "i k", "fading"), node("Add", "fading x", "j"), node("Mul", "v b", "leaked"),
         node("Add", "leaked j", "h"), *FIRE, *SOFT),
        {"v": "n", "i": "j"},
    ),
    "counts": (
        (*LEAK, node("Div", "h t", "q"), node("Floor", "q", "f"), node("Max", "f zero", "s"),
         *SOFT),
        {"v": "n"},
    ),
}  # fmt: skip
CONSTANTS = {"b": 0.9, "t": 0.5, "zero": 0.0, "low": -2.0, "tau": 2.5, "k": 0.7}
#: One more operator on an edge: from the value `e`, with a bound `c`.
MUTATIONS = {
    "clip": [node("Clip", "e minus c", "f")],
    "least": [node("Max", "e minus", "f")],
    "most": [node("Min", "e c", "f")],
    "size": [node("Sub", "e c", "d1"), node("Abs", "d1", "d2"), node("Add", "d2 c", "f")],
    "slope": [node("Greater", "e c", "c1"), node("Mul", "e half", "c2"),
              node("Where", "c1 c2 e", "f")],
    "window": [node("Abs", "e", "w1"), node("Less", "w1 c", "w2"),
               node("Where", "w2 nought e", "f")],
    "both far": [node("Greater", "v c", "b1"), node("Less", "x minus", "b2"),
                 node("And", "b1 b2", "b3"), node("Where", "b3 nought e", "f")],
    "one input": [node("Equal", "x c", "o1"), node("Add", "e c", "o2"),
                  node("Where", "o1 o2 e", "f")],
    "one state": [node("Equal", "v c", "o1"), node("Add", "e c", "o2"),
                  node("Where", "o1 o2 e", "f")],
    "more": [node("Add", "e c", "f")],
    "little": [node("Mul", "e little", "l1"), node("Add", "e l1", "f")],
}  # fmt: skip
BOUNDS = (1e-3, 0.3, 2.0, 50.0, 3e3, 1e6)


def edges(nodes):
    """Yield the node and the place of each number that goes from one node to another."""
    for at, item in enumerate(nodes):
        for place, name in enumerate(item.input):
            if name not in CONSTANTS and name not in ("over", "was"):
                yield at, place


def mutated(family, edge, kind, bound):
    """Return a model with an operator put into an edge, its states and what follows them."""
    nodes, states = FAMILIES[family]
    at, place = edge
    changed = oh.make_node("Identity", [""], [""])
    changed.CopyFrom(nodes[at])
    source, changed.input[place] = changed.input[place], "put.f"
    inner = [
        oh.make_node(
            m.op_type, [source if n == "e" else n if n in ("v", "x") else f"put.{n}"
                        for n in m.input], [f"put.{n}" for n in m.output],
        )
        for m in MUTATIONS[kind]
    ]  # fmt: skip
    held = {**CONSTANTS, "put.c": bound, "put.minus": -bound, "put.half": 0.5, "put.nought": 0.0,
            "put.little": bound * 1e-9}  # fmt: skip
    inner_of = [name for item in (*nodes, *inner) for name in item.input]
    arrays = {k: np.float32(x) for k, x in held.items() if k in inner_of}
    product, w = node("MatMul", "given w", "x"), np.eye(WIDTH, dtype=np.float32)
    return model_of(
        [product, *nodes[:at], *inner, changed, *nodes[at + 1 :]], {**arrays, "w": w},
        inputs=("given", *states), outputs=("s", *states.values()), shape=(None, WIDTH),
    ), states  # fmt: skip


def probes(bound, rng):
    """Return inputs of some steps, and states before the first: near the bound and beyond."""
    scales = np.array([0, 1, bound / 2, bound * 2, bound * 30])
    shape = (6, 60, WIDTH)
    drawn = rng.normal(0, 1, shape) * rng.choice(scales, shape)
    return np.where(rng.random(shape) < 0.2, bound * rng.choice([-1, 1], shape), drawn)


def differs(found, model, states, bound):
    """Whether the simulator's spikes or states are others than the graph's own."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    rng = np.random.default_rng(0)
    steps = probes(bound, rng).astype(np.float32)
    now = {name: x.astype(np.float32) for name, x in zip(states, probes(bound, rng), strict=False)}
    (neuron,) = (x.name for x in found.layers.values() if isinstance(x, Neuron))
    synapse = [x.name for x in found.layers.values() if isinstance(x, Synapse)]
    if any("up to the threshold" in note for note in found.source.notes):
        now["v"] = np.minimum(now["v"], found.layers[neuron].parameters["threshold"].value)
    initial = {(neuron, "v"): StateVariable(now["v"], 0)}
    initial |= {(name, "i"): StateVariable(now["i"], 0) for name in synapse}
    made = simulate(found, steps, record=[neuron], initial=initial)
    for at, x in enumerate(steps):
        spikes, *ends = session.run(None, {"given": x, **now})
        now = dict(zip(states, ends, strict=True))
        if (spikes != made.traces[neuron, "output"][at]).any():
            return True
    return bool((made.state[neuron, "v"].value != now["v"]).any())


CASES = [
    (family, edge, kind) for family, (nodes, _) in FAMILIES.items()
    for edge, kind in itertools.product(edges(nodes), MUTATIONS)
]  # fmt: skip


def chosen(family, part, bounds):
    """Yield a part of the cases of a family with some of the bounds, others for each."""
    for case in CASES:
        number = zlib.crc32(repr(case).encode())
        if case[0] == family and number % part == 0:
            for at in range(bounds):
                yield *case, BOUNDS[(number // part + at) % len(BOUNDS)]


def check(tmp_path, family, edge, kind, bound):
    """Return whether a mutant was told, after a look at what was told."""
    model, states = mutated(family, edge, kind, bound)
    found = read_model(tmp_path, model)
    told = {"Neuron", "Linear", "Synapse"} >= {
        x.kind for x in found.layers.values() if x.kind not in ("Input", "Output")
    }
    if told:
        assert not differs(found, model, states, bound), (family, edge, kind, bound)
    return told


@pytest.mark.parametrize(("part", "bounds"), [(4, 1), pytest.param(1, 1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_neuron_that_does_more_than_a_rule_is_none(tmp_path, family, part, bounds):
    """The graph's own spikes and states, or no neuron: on both sides of whatever was put in."""
    told = [check(tmp_path, *case) for case in chosen(family, part, bounds)]
    assert 0 < sum(told) < len(told)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_neurons_that_mutants_are_made_of_are_told(tmp_path, family):
    nodes, states = FAMILIES[family]
    product, w = node("MatMul", "given w", "x"), np.eye(WIDTH, dtype=np.float32)
    arrays = {k: np.float32(x) for k, x in CONSTANTS.items() if any(k in n.input for n in nodes)}
    model = model_of([product, *nodes], {**arrays, "w": w}, inputs=("given", *states),
                     outputs=("s", *states.values()), shape=(None, WIDTH))  # fmt: skip
    found = read_model(tmp_path, model)
    assert any(isinstance(x, Neuron) for x in found.layers.values())
    assert not differs(found, model, states, 1.0)
