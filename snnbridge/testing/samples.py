"""Checkpoints that use every feature of the model, each small and always the same.

>>> from snnbridge.testing.samples import samples
>>> samples()["no layers"].n_layers
0
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from snnbridge.model import (
    PER_STEP,
    UNKNOWN,
    AvgPool,
    BatchNorm,
    Connection,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Opaque,
    Origin,
    Output,
    Parameter,
    Quantity,
    Scale,
    SNNCheckpoint,
    StateVariable,
    Subgraph,
    SumPool,
    Synapse,
)
from snnbridge.testing.array_samples import alone, floats, held, of_bits, of_dtypes, of_layouts
from snnbridge.testing.rule_samples import of_rules, of_switches

#: Names as strangers give them.
ODD_NAMES = ("", "/", "a/b", "..", "conv.0", "$array", "ヒ", "🧠", " ", "x" * 300, "a\nb", "0")


def samples() -> Mapping[str, SNNCheckpoint]:
    """Return the samples of the conformance kit, by what each of them is about.

    Returns
    -------
    mapping of str to SNNCheckpoint
        Made anew at each call; the same bits on every machine.
    """
    made: dict[str, SNNCheckpoint] = {}
    for part in (
        _sizes,
        _kinds,
        of_dtypes,
        of_bits,
        of_layouts,
        _names,
        _around,
        _graphs,
        of_switches,
        of_rules,
    ):
        made.update(part())
    return made


def runnable() -> Mapping[str, SNNCheckpoint]:
    """Return the samples that the simulator runs: one for each rule of each framework."""
    return of_rules()


def small(name: str = "fc", seed: int = 0) -> SNNCheckpoint:
    """Return one linear layer of three inputs and two outputs, with weights of the seed."""
    return SNNCheckpoint([Linear(name, floats(seed, 2, 3))])


def _sizes() -> dict[str, SNNCheckpoint]:
    many = [Linear(f"layer{i}", floats(i, 2, 2)) for i in range(300)]
    edges = [Connection(f"layer{i}", f"layer{i + 1}") for i in range(299)]
    return {
        "no layers": SNNCheckpoint([]),
        "one linear layer": small(),
        "linear layers with biases": SNNCheckpoint(
            [Linear(f"fc{i}", floats(i, 3, 3), bias=floats(9, 3)) for i in range(2)]
        ),
        "hundreds of layers": SNNCheckpoint(many, edges),
        "layers in an order that no alphabet has": SNNCheckpoint(
            [Linear(n, floats(1, 1, 1)) for n in ("10", "9", "b", "a", "2", "B")]
        ),
    }


def _kinds() -> dict[str, SNNCheckpoint]:
    kinds: list[Layer] = [
        Conv1d("layer", floats(0, 4, 1, 3), bias=floats(1, 4), stride=(2,), padding=((1, 0),),
               dilation=(2,), groups=2),
        Conv2d("layer", floats(0, 2, 3, 3, 5), padding="same"),
        SumPool("layer", window=(2, 2), stride=(2, 2)),
        AvgPool("layer", window=(3,), stride=(2,), count_padding=True),
        MaxPool("layer", window=(2, 3)),
        Flatten("layer", order="channels last"),
        Scale("layer", floats(0, 3)),
        BatchNorm("layer", mean=floats(0, 3), variance=abs(floats(1, 3)), weight=floats(2, 3),
                  bias=floats(3, 3), epsilon=1e-5),
        Delay("layer", Parameter(np.array([1, 2, 3]), "step")),
        Input("layer", (2, 34, 34)),
        Output("layer", (10,)),
        Synapse("layer", parameters=held(tau=Parameter(5.0, "ms")), shape=(3,)),
        Neuron("layer", parameters=held(tau=Parameter(floats(4, 3), "ms")), shape=(3,)),
        Neuron("layer", model="izhikevich", parameters=held(a=0.02, b=floats(5, 3))),
        Opaque("layer", held(kernel=floats(0, 2, 2), γ=np.array(1.0)),
               settings={"heads": 4, "deep": [{"a": None}], "mask": np.array([True, False])}),
        Subgraph("layer", _by_name(Linear("fc", floats(0, 2, 2)),
                                   Subgraph("deeper", _by_name(Linear("fc")))),
                 inputs={"in": "fc"}, outputs={"out": "fc"}),
    ]  # fmt: skip
    made = {f"a layer of the kind {_kind_of(x)}": alone(x) for x in kinds}
    made["layers of which nothing is known"] = SNNCheckpoint(
        [Linear("fc"), Conv2d("conv"), Neuron("lif"), Synapse("syn"), BatchNorm("bn")]
    )
    return made


def _by_name(*layers: Layer) -> dict[str, Layer]:
    return {layer.name: layer for layer in layers}


def _kind_of(layer: Layer) -> str:
    custom = isinstance(layer, Neuron) and isinstance(layer.model, str)
    return f"{layer.kind} of a plugin" if custom else layer.kind


def _names() -> dict[str, SNNCheckpoint]:
    array = floats(2, 2, 2)
    return {
        "odd names": SNNCheckpoint(
            [Linear(name, array) for name in ODD_NAMES],
            [Connection(a, b) for a, b in itertools.pairwise(ODD_NAMES)],
            frozen_layers=ODD_NAMES[:3],
        ),
        "names that differ only in case": SNNCheckpoint([Linear("FC", array), Linear("fc", array)]),
        "names inside other names": SNNCheckpoint(
            [Linear("a", array), Linear("a/weight", array), Linear("a.weight", array)]
        ),
    }


def _around() -> dict[str, SNNCheckpoint]:
    """Everything that a training run keeps beside its network."""
    net = SNNCheckpoint(
        [Linear("fc", floats(0, 3, 3)), Neuron("lif", shape=(3,))], [Connection("fc", "lif")]
    )
    deep: dict[str, Any] = {"leaf": 1}
    for level in range(30):
        deep = {f"level{level}": deep}
    array = net.layers["fc"].parameters["weight"].value
    return {
        "frozen layers": replace(net, frozen_layers=["fc"]),
        "metadata": replace(
            net, metadata={"task": "N-MNIST", "nested": {"ü": [1, 2.5, None, True, "a/b"]}}
        ),
        "a deep training tree": replace(net, training={"optimizer": deep}),
        "a training tree of every value": replace(net, training=_training()),
        "state with a batch axis": replace(
            net,
            state={("lif", "v"): StateVariable(floats(5, 8, 3), 0)},
            step=17,
        ),
        "state without a batch axis": replace(
            net, state={("lif", "v"): StateVariable(floats(5, 3), None)}
        ),
        "state of which the batch axis is not known": replace(
            net, state={("lif", "v"): StateVariable(floats(5, 3, 3), UNKNOWN)}, step=UNKNOWN
        ),
        "a time step with a unit": replace(net, dt=Quantity(0.1, "ms")),
        "parameters per step": replace(net, dt=PER_STEP),
        "a layer with a time step of its own": alone(Neuron("lif", dt=Quantity(1e-3, "s"))),
        "the source's class names": alone(
            Linear("fc", array, origin=Origin("brainpy", "Dense", "2.8.2"))
        ),
        "what is trained": alone(Linear("fc", Parameter(array, trainable=False), bias=None)),
        "shared arrays": SNNCheckpoint(
            [Linear("a", array), Linear("b", array)],
            ties=[frozenset({("a", "weight"), ("b", "weight")})],
        ),
        "extras of another format": replace(
            net, extras={"elsewhere": {"order": ["b", "a"], "raw": b"\0\1", "x": array}}
        ),
    }


def _training() -> dict[str, Any]:
    return {
        "epoch": 3,
        "loss": [0.5, float("inf"), float("nan"), -0.0],
        "big": 2**64 - 1,
        "done": True,
        "nothing": None,
        "bytes": b"\x00\xff",
        "complex": 1 + 2j,
        "moments": {"fc": {"m": floats(7, 3, 3), "count": np.int32(3)}},
        "bfloat16": np.arange(3).astype(ml_dtypes.bfloat16),
        "rng": np.array([0, 42], np.uint32),
        "": {"empty": {}, "list": []},
    }


def _graphs() -> dict[str, SNNCheckpoint]:
    def linear(name: str) -> Linear:
        return Linear(name, floats(len(name), 3, 3))

    def chain(*edges: tuple[str, str, int]) -> list[Connection]:
        return [Connection(a, b, delay) for a, b, delay in edges]

    lif = Neuron("lif", shape=(3,))
    return {
        "connections that are not known": SNNCheckpoint([linear("fc")], UNKNOWN),
        "no connections": SNNCheckpoint([linear("fc"), linear("fc2")], []),
        "a recurrent network": SNNCheckpoint(
            [linear("fc"), lif, linear("rec")],
            chain(("fc", "lif", 0), ("lif", "rec", 1), ("rec", "lif", 0)),
        ),
        "several inputs and outputs": SNNCheckpoint(
            [Input("a", (3,)), Input("b", (3,)), lif, Output("x", (3,)), Output("y", (3,))],
            chain(("a", "lif", 0), ("b", "lif", 2), ("lif", "x", 0), ("lif", "y", 1)),
        ),
        "a layer that feeds itself": SNNCheckpoint([lif], chain(("lif", "lif", 1))),
        "connections to a subgraph": SNNCheckpoint(
            [
                linear("fc"),
                Subgraph(
                    "block",
                    _by_name(linear("inner"), lif),
                    tuple(chain(("inner", "lif", 0))),
                    inputs={"in": "inner"},
                    outputs={"out": "lif"},
                ),
            ],
            [Connection("fc", "block", 0, target_port="in")],
        ),
    }
