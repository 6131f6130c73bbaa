"""Spyx' layers, measured on 1.0.0.

A spike leaves at the step after its potential came to stand above the threshold; the rule says
this as an output delay of one step, so that recurrent weights need no delay of their own.
"""

from __future__ import annotations

from dataclasses import replace

from snnbridge.model import Inputs, Reset, ResetTiming, Scheme, SynapseOrder
from snnbridge.rules.common import READOUT, SPIKING, Table, stated
from snnbridge.rules.releases import named

_TABLE = Table("spyx", "spyx.nn; Spyx 1.0, operation by operation (not fused by the compiler)")
_BETA = stated("decay", help="decay of the membrane potential; clipped to 0 to 1")
_THRESHOLD = stated("threshold", 1.0, "threshold")
_LIF = replace(
    SPIKING,
    scheme=Scheme.CLAMPED,
    reset=Reset.SUBTRACT,
    reset_timing=ResetTiming.NEXT_AFTER_LEAK,
    output_delay=1,
)
_BEFORE = replace(_LIF, reset_timing=ResetTiming.NEXT_BEFORE_LEAK)
_RECURRENT = "; recurrent_w is a layer of its own, without delay"

for _kind in ("LIF", "RLIF"):
    _TABLE.neuron(
        _kind,
        replace(_LIF, inputs=Inputs.IN_TURN),
        "spikes = [V > threshold]; V = (beta*V + x) - spikes*threshold"
        + _RECURRENT * (_kind[0] == "R"),
        {"beta": _BETA, "threshold": _THRESHOLD},
    )
for _kind in ("IF", "RIF"):
    _TABLE.neuron(
        _kind,
        replace(_LIF, scheme=Scheme.INTEGRATE, inputs=Inputs.IN_TURN),
        "spikes = [V > threshold]; V = (V + x) - spikes*threshold" + _RECURRENT * (_kind[0] == "R"),
        {"threshold": _THRESHOLD},
    )
_SYNAPSE = _TABLE.synapse(
    "CuBaLIF.synapse",
    SynapseOrder.DECAY_ADD_USE,
    "I = alpha*I + x",
    {"alpha": stated("decay", help="decay of the current; clipped to 0 to 1")},
    scheme=Scheme.CLAMPED,
    inputs=Inputs.IN_TURN,
)
for _kind in ("CuBaLIF", "RCuBaLIF"):
    _TABLE.neuron(
        _kind,
        _BEFORE,
        "spikes = [V > threshold]; V = V - spikes*threshold; V = beta*V + I"
        + _RECURRENT * (_kind[0] == "R"),
        {"beta": _BETA, "threshold": _THRESHOLD},
        synapse=_SYNAPSE,
    )
_TABLE.neuron(
    "LI", replace(READOUT, scheme=Scheme.CLAMPED), "V = beta*V + x; returns V", {"beta": _BETA}
)
_TABLE.neuron(
    "PSU_LIF",
    replace(SPIKING, scheme=Scheme.CLAMPED, reset=Reset.NONE),
    "V = beta*V + x; spikes = [V > threshold]; no reset",
    {"beta": _BETA, "threshold": _THRESHOLD},
)

CLASSES = tuple(_TABLE.classes)
__getattr__ = named(CLASSES)
