"""sinabs' layers, measured on 3.1.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import (
    UNKNOWN,
    Compare,
    Floor,
    InputGain,
    Parameter,
    Reset,
    Scheme,
    SynapseOrder,
    parameter,
)
from snnbridge.rules.arguments import Argument
from snnbridge.rules.common import READOUT, SPIKING, Table, joint, stated
from snnbridge.rules.releases import named
from snnbridge.rules.table import Derived

_TABLE = Table("sinabs", "sinabs.layers; sinabs 3.1")
_SPIKING = replace(
    SPIKING, compare=Compare.GREATER_EQUAL, floor=Floor.SHIFTED, max_spikes=UNKNOWN
)  # as spike_fn says
_MIN = stated("v_min", None, "lower bound of the membrane potential")
_FIRE = {
    "spike_threshold": stated("threshold", 1.0, "threshold"),
    "spike_fn": joint("MultiSpike", "MultiSpike, SingleSpike, or how many spikes a step may have"),
    "reset_fn": joint("MembraneSubtract", "MembraneSubtract or MembraneReset, or (it, value)"),
    "min_v_mem": _MIN,
}
_DECAYS = {
    "tau_mem": joint(None, "membrane time constant in steps", unit="step"),
    "alpha_mem": joint(None, "decay, where train_alphas is set"),
}
_LEAKS = {
    True: {"input_gain": InputGain.COMPLEMENT},
    False: {"input_gain": InputGain.ONE},
}
_STEP = (
    "spikes = trunc(h/threshold) where h > 0; v = h - spikes*threshold; "
    "v = max(v - min_v_mem, 0) + min_v_mem"
)


def _decay(name: str) -> Any:
    def derive(given: Mapping[str, Any]) -> Derived:
        if given.get(f"alpha_{name}") is not None:
            return {"decay": given[f"alpha_{name}"]}, {"scheme": Scheme.STATED}
        if given.get(f"tau_{name}") is not None:
            return {"tau": _steps(given[f"tau_{name}"])}, {"scheme": Scheme.EXACT}
        return {}, {}

    return derive


def _steps(value: Any) -> Any:
    return Parameter(parameter(value).value, "step")


def _fire(given: Mapping[str, Any]) -> Derived:
    found: dict[str, Any] = {}
    switches: dict[str, Any] = {}
    if "spike_fn" in given:
        counts = {"MultiSpike": None, "SingleSpike": 1}
        name = given["spike_fn"]
        switches["max_spikes"] = name if isinstance(name, int) else counts[name]
    if "reset_fn" in given:
        name, value = given["reset_fn"], None
        if not isinstance(name, str):
            name, value = name
        switches["reset"] = {"MembraneSubtract": Reset.SUBTRACT, "MembraneReset": Reset.SET}[name]
        if name == "MembraneReset":
            if value:
                raise ValueError("MembraneReset adds a value other than 0 at every step")
            found["v_reset"] = 0.0
        elif value is not None:
            found["reset_amount"] = value
    return found, switches


def _lif(given: Mapping[str, Any]) -> Derived:
    (a, b), (c, d) = _decay("mem")(given), _fire(given)
    return {**a, **c}, {**b, **d}


_SYNAPSE = _TABLE.synapse(
    "LIF.synapse",
    SynapseOrder.ADD_DECAY_USE,
    "i = alpha_syn*(i + x)",
    {
        "tau_syn": joint(None, "synaptic time constant in steps; none for no synapse", unit="step"),
        "alpha_syn": joint(None, "decay, where train_alphas is set"),
    },
    derive=_decay("syn"),
)
for _kind in ("LIF", "LIFSqueeze", "LIFRecurrent", "LIFRecurrentSqueeze"):
    _TABLE.neuron(
        _kind,
        replace(_SPIKING, input_gain=UNKNOWN),  # as norm_input says
        f"h = alpha*v + (1 - alpha)*x, or alpha*v + x without norm_input; {_STEP}"
        + ("; rec_connect is a layer of its own, silent at the first step" * ("Rec" in _kind)),
        {
            **_DECAYS,
            "norm_input": Argument(choices=_LEAKS, default=True, help="whether x is scaled"),
            **_FIRE,
        },
        derive=_lif,
        synapse=_SYNAPSE,
        synapse_if="tau_syn",
    )
for _kind in ("IAF", "IAFSqueeze", "IAFRecurrent", "IAFRecurrentSqueeze"):
    _TABLE.neuron(
        _kind,
        replace(_SPIKING, scheme=Scheme.INTEGRATE),
        f"h = v + x; {_STEP}",
        _FIRE,
        derive=_fire,
        synapse=_SYNAPSE,
        synapse_if="tau_syn",
    )
for _kind in ("ExpLeak", "ExpLeakSqueeze"):
    _TABLE.neuron(
        _kind,
        replace(READOUT, floor=Floor.SHIFTED, input_gain=UNKNOWN),
        "v = alpha*v + x, or alpha*v + (1 - alpha)*x with norm_input; returns v",
        {
            **_DECAYS,
            "norm_input": Argument(choices=_LEAKS, default=False, help="whether x is scaled"),
            "min_v_mem": _MIN,
        },
        derive=_decay("mem"),
    )

CLASSES = tuple(_TABLE.classes)
__getattr__ = named(CLASSES)
