"""Checkpoints that use every rule of every framework, and every switch of a rule."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge import rules
from snnbridge.document import switches
from snnbridge.model import (
    Array,
    Connection,
    Input,
    Layer,
    Linear,
    Neuron,
    NeuronRule,
    Quantity,
    SNNCheckpoint,
    Synapse,
    SynapseRule,
)
from snnbridge.rules import REQUIRED, FrameworkClass

#: Values for arguments that a framework demands and no default names.
_VALUES: Mapping[str, Any] = {
    "alpha": 0.75, "beta": 0.875, "threshold": 1.0, "v_threshold": 1.0, "tau": 20e-3,
    "tau_mem": 20e-3, "tau_syn": 10e-3, "iDecay": 1024, "vDecay": 512, "leak_k": 32, "gain_k": 224,
    "R": 1.0, "C": 5.0, "method": "euler",
}  # fmt: skip
#: Multiples of 1/64, so that sums of them are exact in any order.
_WEIGHT: Array = (np.arange(-32, 160, 16).reshape(4, 3) / 64).astype(np.float32)


#: Arguments that a framework leaves open, but no step can be made without.
_OPEN = ("tau_mem", "tau_syn", "R", "C")


@functools.lru_cache(maxsize=1)
def _chains() -> Mapping[str, tuple[Layer, ...]]:
    return {
        f"{framework} {kind}": known.chain("n", shape=(4,), **_demanded(known))
        for (framework, kind), known in rules.classes.items()
        if issubclass(known.layer, Neuron | Synapse)
    }


def _demanded(known: FrameworkClass) -> dict[str, Any]:
    """Return values for the arguments that a class and its synapse do not have defaults for."""
    parts = [known, *([known.synapse] if known.synapse else [])]
    return {
        name: _VALUES[name]
        for part in parts
        for name, argument in part.arguments.items()
        if argument.default is REQUIRED or (argument.default is None and name in _OPEN)
    }


def of_rules() -> dict[str, SNNCheckpoint]:
    """Return a linear layer and one neuron for each rule of each framework."""
    made = {}
    for name, layers in _chains().items():
        found = [Input("in", (3,)), Linear("fc", _WEIGHT), *layers]
        edges = [Connection(a.name, b.name) for a, b in itertools.pairwise(found)]
        made[f"the rule of {name}"] = SNNCheckpoint(found, edges, dt=Quantity(1.0, "ms"))
    return made


def of_switches() -> dict[str, SNNCheckpoint]:
    """Return layers that state one switch each: every value of every switch."""
    neurons = [Neuron(f"n{i}", rule=rule) for i, rule in enumerate(_each_value(NeuronRule))]
    synapses = [Synapse(f"s{i}", rule=rule) for i, rule in enumerate(_each_value(SynapseRule))]
    return {
        "every switch of a neuron's rule": SNNCheckpoint(neurons),
        "every switch of a synapse's rule": SNNCheckpoint(synapses),
    }


def _each_value(kind: type[Any]) -> list[Any]:
    """Return rules that state one switch each: each value of an enumeration, else some number."""
    plain: dict[str, list[Any]] = {
        "spiking": [True, False],
        "max_spikes": [None, 3],
        "output_delay": [0, 2],
    }
    return [
        kind(**{name: value})
        for name, values in switches(kind).items()
        for value in (list(values) if values is not None else plain.get(name, []))
    ]
