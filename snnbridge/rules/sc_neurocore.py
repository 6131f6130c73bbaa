"""SC-NeuroCore's neurons, by the equations of its releases 3.14 to 3.16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import (
    Compare,
    Form,
    InputGain,
    Parameter,
    Refractory,
    Reset,
    Scheme,
    SynapseOrder,
    Width,
)
from snnbridge.rules.common import SPIKING, Table, joint, stated
from snnbridge.rules.releases import named
from snnbridge.rules.table import Derived

_TABLE = Table("sc-neurocore", "sc_neurocore.neurons and .training; SC-NeuroCore 3.14 to 3.16")
_WIDE = replace(SPIKING, width=Width.FLOAT64, reset=Reset.SET)


def _rest(given: Mapping[str, Any]) -> Derived:
    if "v_rest" not in given:
        return {}, {}
    return {"v_rest": given["v_rest"], "v_init": given["v_rest"]}, {}


_TABLE.neuron(
    "StochasticLIFNeuron",
    replace(
        _WIDE,
        scheme=Scheme.EULER,
        form=Form.DERIVATIVE,
        input_gain=InputGain.TIME_STEP,
        compare=Compare.GREATER_EQUAL,
        refractory=Refractory.CLAMP,
    ),
    "v += -(v - v_rest)*(dt/tau_mem) + resistance*I*dt, noise left out; "
    "spike = [v >= v_threshold], v = v_reset; "
    "then v = v_rest and no input for refractory_period steps",
    {
        "v_rest": joint(0.0, "resting potential"),
        "v_reset": stated("v_reset", 0.0, "potential after a spike"),
        "v_threshold": stated("threshold", 1.0, "threshold"),
        "tau_mem": stated("tau", 20.0, "membrane time constant", unit="ms"),
        "resistance": stated("resistance", 1.0, "resistance"),
        "refractory_period": stated("tau_ref", 0, "refractory steps", unit="step"),
    },
    derive=_rest,
)


def _words(given: Mapping[str, Any]) -> Derived:
    """State words of 16 bits as the numbers that they stand for."""
    names = {"v_threshold": "threshold", "v_reset": "v_reset", "v_rest": "v_rest"}
    found: dict[str, Any] = {
        name: given[key] / 256 for key, name in names.items() if given.get(key) is not None
    }
    if "v_rest" in found:
        found["v_init"] = found["v_rest"]
    if given.get("leak_k") is not None:
        found["decay"] = 1 - given["leak_k"] / 256
    if given.get("gain_k") is not None:
        found["gain"] = given["gain_k"] / 256
    if given.get("refractory_period") is not None:
        found["tau_ref"] = Parameter(given["refractory_period"], "step")
    return found, {}


_TABLE.neuron(
    "FixedPointLIFNeuron",
    replace(
        _WIDE,
        scheme=Scheme.STATED,
        form=Form.FIXED_Q8_8,
        input_gain=InputGain.STATED,
        compare=Compare.GREATER_EQUAL,
        refractory=Refractory.CLAMP,
        width=Width.INT16,
    ),
    "v = wrap16(v + ((v_rest - v)*leak_k >> 8) + (I*gain_k >> 8)), words of 16 bits, 8 of them "
    "after the point, shifts rounding down; spike = [v >= v_threshold], v = v_reset",
    {
        "v_rest": joint(0, "resting potential, in words"),
        "v_reset": joint(0, "potential after a spike, in words"),
        "v_threshold": joint(256, "threshold, in words"),
        "leak_k": joint(help="leak, in words"),
        "gain_k": joint(help="factor on the input, in words"),
        "refractory_period": joint(2, "refractory steps"),
    },
    derive=_words,
)
_SOFT = replace(SPIKING, scheme=Scheme.STATED, reset=Reset.SUBTRACT)
_CELL = {
    "beta": stated("decay", help="decay of the membrane potential"),
    "threshold": stated("threshold", 1.0, "threshold"),
}
_EQUATION = "v = beta*v + I; spike = [v > threshold]; v -= spike*threshold"
_TABLE.neuron("LIFCell", _SOFT, _EQUATION, _CELL)
_TABLE.neuron(
    "SynapticCell",
    _SOFT,
    _EQUATION,
    _CELL,
    synapse=_TABLE.synapse(
        "SynapticCell.synapse",
        SynapseOrder.DECAY_ADD_USE,
        "i = alpha*i + I",
        {"alpha": stated("decay", help="decay of the current")},
        scheme=Scheme.STATED,
    ),
)

CLASSES = tuple(_TABLE.classes)
__getattr__ = named(CLASSES)
