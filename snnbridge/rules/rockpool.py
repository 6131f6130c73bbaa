"""Rockpool's modules, measured on 3.1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import (
    UNKNOWN,
    Compare,
    Inputs,
    Linear,
    Parameter,
    Reset,
    Scheme,
    SynapseOrder,
    parameter,
)
from snnbridge.rules.arguments import Argument
from snnbridge.rules.common import SPIKING, Table, joint, stated
from snnbridge.rules.releases import named
from snnbridge.rules.table import Derived, FrameworkClass

_TABLE = Table("rockpool", "rockpool.nn.modules.torch; Rockpool 3.1")
_SPIKING = replace(
    SPIKING, compare=Compare.GREATER_EQUAL, reset=Reset.SUBTRACT, max_spikes=UNKNOWN
)  # as max_spikes_per_dt says
_FIRE = {
    "bias": stated("bias", 0.0, "constant input"),
    "threshold": stated("threshold", 1.0, "threshold"),
    "max_spikes_per_dt": joint(65536, "most spikes in one step"),
}
_MODES = {"taus": Scheme.EXACT, "decays": Scheme.STATED, "bitshifts": Scheme.BIT_SHIFT}
_STEP = "n = min(floor(h/threshold)*[h >= threshold], max_spikes_per_dt); v = h - n*threshold"


def _leak(tau: str, decay: str, dash: str) -> Any:
    """State the parameter that the leak mode starts from."""
    names = {"taus": (tau, "tau"), "decays": (decay, "decay"), "bitshifts": (dash, "dash")}

    def derive(given: Mapping[str, Any]) -> Derived:
        mode = given.get("leak_mode")
        switches: dict[str, Any] = {}
        if "max_spikes_per_dt" in given:
            switches["max_spikes"] = int(given["max_spikes_per_dt"])
        if mode is None:
            return {}, switches
        name, held = names[mode]
        switches["scheme"] = _MODES[mode]
        if given.get(name) is None:
            return {}, switches
        value = parameter(given[name])
        return {held: Parameter(value.value, "s" if held == "tau" else None)}, switches

    return derive


def _arguments(tau: str, decay: str, dash: str) -> dict[str, Argument]:
    return {
        tau: joint(None, "time constant", unit="s"),
        decay: joint(None, "decay of one step"),
        dash: joint(None, "bit shift of the decay"),
        "leak_mode": joint("taus", "taus, decays or bitshifts", words=tuple(_MODES)),
    }


_MEMBRANE, _CURRENT = ("tau_mem", "alpha", "dash_mem"), ("tau_syn", "beta", "dash_syn")
_TABLE.neuron(
    "LIFTorch",
    _SPIKING,
    f"h = (alpha*v + (isyn of all synapses)) + bias; {_STEP}; w_rec is a layer of its own",
    {**_arguments(*_MEMBRANE), **_FIRE},
    derive=_leak(*_MEMBRANE),
    synapse=_TABLE.synapse(
        "LIFTorch.synapse",
        SynapseOrder.ADD_DECAY_USE,
        "isyn = beta*(isyn + x)",
        _arguments(*_CURRENT),
        inputs=Inputs.IN_TURN,
        derive=_leak(*_CURRENT),
    ),
)
_TABLE.neuron(
    "LIFNeuronTorch",
    _SPIKING,
    f"h = (alpha*v + x) + bias; {_STEP}",
    {**_arguments(*_MEMBRANE), **_FIRE},
    derive=_leak(*_MEMBRANE),
)
_TABLE.synapse(
    "ExpSynTorch",
    SynapseOrder.ADD_DECAY_USE,
    "isyn = beta*(isyn + x); returns isyn",
    {"tau": stated("tau", help="time constant in seconds", unit="s")},
    scheme=Scheme.EXACT,
)

_LINEAR = FrameworkClass(
    framework="rockpool",
    kind="LinearTorch",
    layer=Linear,
    source="rockpool.nn.modules.torch; Rockpool 3.1",
    turned=frozenset({"weight"}),
)

CLASSES = (*_TABLE.classes, _LINEAR)
__getattr__ = named(CLASSES)
