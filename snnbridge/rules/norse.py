"""Norse's cells, measured on 1.1.0.

The arguments are those of the parameter tuples, ``p.tau_mem_inv`` as ``tau_mem_inv``; the time step
is the checkpoint's, 0.001 s in Norse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import (
    UNKNOWN,
    Form,
    InputGain,
    Inputs,
    Refractory,
    Reset,
    Scheme,
    SynapseOrder,
)
from snnbridge.rules.arguments import Argument
from snnbridge.rules.common import READOUT, SPIKING, Table, joint, stated
from snnbridge.rules.releases import named
from snnbridge.rules.table import Derived

_TABLE = Table("norse", "norse.torch.module; Norse 1.1")
_TAU_MEM = stated("tau_inv", 100.0, "inverse of the membrane time constant", unit="1/s")
_V_LEAK = joint(0.0, "potential that the membrane leaks to and starts from")
_V_TH = stated("threshold", 1.0, "threshold")
_V_RESET = stated("v_reset", 0.0, "potential after a spike")
_EULER: dict[str, Any] = {"scheme": Scheme.EULER_INVERSE, "input_gain": InputGain.COMPLEMENT}
_LIF = replace(SPIKING, **_EULER, form=Form.DIFFERENCE, reset=Reset.SET)
_MEMBRANE = "h = v + dt*tau_mem_inv*((v_leak - v) + i)"
_FIRE = "spike = [h > v_th]; v = v_reset where it spikes"


def _rest(arguments: Mapping[str, Any]) -> Derived:
    if "v_leak" not in arguments:
        return {}, {}
    return {"v_rest": arguments["v_leak"], "v_init": arguments["v_leak"]}, {}


def _box(arguments: Mapping[str, Any]) -> Derived:
    found, switches = dict(_rest(arguments)[0]), dict[str, Any]()
    if "reset_method" in arguments:
        name = str(arguments["reset_method"]).rpartition(".")[2]
        switches["reset"] = {"reset_value": Reset.SET, "reset_subtract": Reset.SUBTRACT}[name]
    if "v_th" in arguments:
        found["reset_amount"] = arguments["v_th"]
    return found, switches


_SYNAPSE = _TABLE.synapse(
    "LIFCell.synapse",
    SynapseOrder.ADD_USE_DECAY,
    "i = i + x; the membrane sees i; i = i - dt*tau_syn_inv*i",
    {"tau_syn_inv": stated("tau_inv", 200.0, "inverse of the synaptic one", unit="1/s")},
    scheme=Scheme.EULER_INVERSE,
    form=Form.DIFFERENCE,
    inputs=Inputs.IN_TURN,
)
_LIF_ARGUMENTS = {
    "tau_mem_inv": _TAU_MEM,
    "v_leak": _V_LEAK,
    "v_th": _V_TH,
    "v_reset": _V_RESET,
}
for _kind in ("LIF", "LIFCell"):
    _TABLE.neuron(
        _kind, _LIF, f"{_MEMBRANE}; {_FIRE}", _LIF_ARGUMENTS, derive=_rest, synapse=_SYNAPSE
    )
_TABLE.neuron(
    "LIFRecurrentCell",
    _LIF,
    f"{_MEMBRANE}; {_FIRE}; input_weights and recurrent_weights are layers of their own",
    _LIF_ARGUMENTS,
    derive=_rest,
    synapse=_SYNAPSE,
)
_TABLE.neuron(
    "LIFRefracCell",
    replace(_LIF, refractory=Refractory.HOLD),
    f"{_MEMBRANE}; {_FIRE}; v is held and silent for rho_reset steps after a spike, i goes on",
    {
        **_LIF_ARGUMENTS,
        "rho_reset": stated("tau_ref", 5.0, "refractory period in steps", unit="step"),
    },
    derive=_rest,
    synapse=_SYNAPSE,
)
_TABLE.neuron(
    "LIFBoxCell",
    replace(_LIF, form=Form.BOX, reset=UNKNOWN),  # as reset_method says
    f"h = v + dt*tau_mem_inv*((x + v_leak) - v); {_FIRE}, or h - v_th by reset_subtract",
    {**_LIF_ARGUMENTS, "reset_method": joint("reset_value", "reset_value or reset_subtract")},
    derive=_box,
)
_TABLE.neuron(
    "IAFCell",
    replace(SPIKING, scheme=Scheme.INTEGRATE, reset=Reset.SET),
    f"h = v + x; {_FIRE}; v starts at v_reset",
    {"v_th": _V_TH, "v_reset": Argument(joint=True, default=0.0, help="potential after a spike")},
    derive=lambda given: (
        {"v_reset": given["v_reset"], "v_init": given["v_reset"]} if "v_reset" in given else {},
        {},
    ),
)
_TABLE.neuron(
    "LICell",
    replace(READOUT, **_EULER, form=Form.DIFFERENCE),
    "v = v + dt*tau_mem_inv*((v_leak - v) + i); returns v",
    {"tau_mem_inv": _TAU_MEM, "v_leak": _V_LEAK},
    derive=_rest,
    synapse=_SYNAPSE,
)
_TABLE.neuron(
    "LIBoxCell",
    replace(READOUT, **_EULER, form=Form.DIFFERENCE),
    "v = v + dt*tau_mem_inv*((v_leak - v) + x); returns v",
    {"tau_mem_inv": _TAU_MEM, "v_leak": _V_LEAK},
    derive=_rest,
)

CLASSES = tuple(_TABLE.classes)
__getattr__ = named(CLASSES)
