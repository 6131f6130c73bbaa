"""SpikingJelly's neurons, measured on 2.0.0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import (
    UNKNOWN,
    Compare,
    Form,
    InputGain,
    Reset,
    Scheme,
    SynapseOrder,
    parameter,
)
from snnbridge.rules.arguments import Argument
from snnbridge.rules.common import READOUT, SPIKING, Table, joint, stated
from snnbridge.rules.releases import named
from snnbridge.rules.table import Derived

_TABLE = Table(
    "spikingjelly", "spikingjelly.activation_based.neuron; SpikingJelly 2.0, step modes s and m"
)
_V_RESET = joint(0.0, "potential after a spike and at rest; none for a soft reset", optional=True)
_V_THRESHOLD = stated("threshold", 1.0, "threshold")
_TAU = stated("tau", 2.0, "membrane time constant in steps", unit="step")
_DECAY_INPUT = Argument(
    choices={
        True: {"input_gain": InputGain.COMPLEMENT},
        False: {"input_gain": InputGain.ONE},
    },
    default=True,
    help="whether the input is divided by tau too",
)
_FIRE = "spike = [h >= v_threshold]; v = h - spike*v_threshold if v_reset is None else v_reset"
_LIF = replace(SPIKING, compare=Compare.GREATER_EQUAL)
_LEAKY = replace(_LIF, input_gain=UNKNOWN)  # as decay_input says


def _resets(arguments: Mapping[str, Any]) -> Derived:
    """State the reset, and the rest that the membrane leaks to and starts from."""
    if "v_reset" not in arguments:
        return {}, {}
    value = arguments["v_reset"]
    if value is None:
        return {"v_rest": 0.0, "v_init": 0.0}, {"reset": Reset.SUBTRACT}
    return {"v_rest": value, "v_init": value, "v_reset": value}, {"reset": Reset.SET}


def _parametric(arguments: Mapping[str, Any]) -> Derived:
    found, switches = _resets(arguments)
    found = dict(found)
    if arguments.get("w") is not None:
        found["logit"] = arguments["w"]
    elif arguments.get("init_tau") is not None:
        found["logit"] = -math.log(arguments["init_tau"] - 1.0)
    return found, switches


def _half(arguments: Mapping[str, Any]) -> Derived:
    if "v_threshold" not in arguments:
        return {}, {}
    threshold: Any = parameter(arguments["v_threshold"]).value
    return {"v_init": threshold / 2}, {}


for _kind in ("LIFNode", "SimpleLIFNode"):
    _TABLE.neuron(
        _kind,
        replace(_LEAKY, scheme=Scheme.EULER, form=Form.QUOTIENT),
        f"h = v + (x - (v - v_rest))/tau, or v - (v - v_rest)/tau + x without decay_input; "
        f"v_rest = v_reset, or 0; {_FIRE}",
        {
            "tau": _TAU,
            "decay_input": _DECAY_INPUT,
            "v_threshold": _V_THRESHOLD,
            "v_reset": _V_RESET,
        },
        derive=_resets,
    )
_TABLE.neuron(
    "ParametricLIFNode",
    replace(_LEAKY, scheme=Scheme.EULER_LOGIT, form=Form.DIFFERENCE),
    f"h = v + (x - (v - v_rest))*sigmoid(w), or v - (v - v_rest)*sigmoid(w) + x; {_FIRE}",
    {
        "init_tau": joint(2.0, "time constant that w starts from", unit="step"),
        "w": joint(None, "log-odds of 1/tau, as the checkpoint holds it"),
        "decay_input": _DECAY_INPUT,
        "v_threshold": _V_THRESHOLD,
        "v_reset": _V_RESET,
    },
    derive=_parametric,
)
_TABLE.neuron(
    "IFNode",
    replace(_LIF, scheme=Scheme.INTEGRATE),
    f"h = v + x; {_FIRE}",
    {"v_threshold": _V_THRESHOLD, "v_reset": _V_RESET},
    derive=_resets,
)
_TABLE.neuron(
    "HalfThresholdIFNode",
    replace(_LIF, scheme=Scheme.INTEGRATE, reset=Reset.SUBTRACT),
    "v starts at v_threshold/2; h = v + x; spike = [h >= v_threshold]; v = h - spike*v_threshold",
    {"v_threshold": _V_THRESHOLD},
    derive=_half,
)
_TABLE.neuron(
    "CUBALIFNode",
    replace(_LIF, scheme=Scheme.STATED),
    f"h = v*v_decay + c; {_FIRE}",
    {
        "v_decay": stated("decay", 0.75, "decay of the membrane potential"),
        "v_threshold": stated("threshold", 0.5, "threshold"),
        "v_reset": _V_RESET,
    },
    derive=lambda arguments: _without_rest(_resets(arguments)),
    synapse=_TABLE.synapse(
        "CUBALIFNode.synapse",
        SynapseOrder.DECAY_ADD_USE,
        "c = c*c_decay + x",
        {"c_decay": stated("decay", 0.5, "decay of the synaptic current")},
        scheme=Scheme.STATED,
    ),
)
_TABLE.neuron(
    "NonSpikingLIFNode",
    replace(READOUT, scheme=Scheme.EULER, form=Form.QUOTIENT, input_gain=InputGain.COMPLEMENT),
    "v = v + (x - v)/tau; returns v",
    {"tau": _TAU},
)
_TABLE.neuron(
    "NonSpikingIFNode", replace(READOUT, scheme=Scheme.INTEGRATE), "v = v + x; returns v", {}
)


def _without_rest(found: Derived) -> Derived:
    """Leave out the rest: the potential decays to 0, whatever it is reset to."""
    return {k: v for k, v in found[0].items() if k != "v_rest"}, found[1]


CLASSES = tuple(_TABLE.classes)
__getattr__ = named(CLASSES)
