"""Nengo's rate-free LIF neuron, as far as whole steps can say it."""

from __future__ import annotations

from dataclasses import replace

from snnbridge.model import Form, InputGain, Refractory, Reset, Scheme
from snnbridge.rules.common import SPIKING, Table, stated
from snnbridge.rules.releases import named

_TABLE = Table("nengo", "nengo.neurons; the published trace of the NIR paper")
_TABLE.neuron(
    "LIF",
    replace(
        SPIKING,
        scheme=Scheme.EXACT,
        form=Form.DIFFERENCE,
        input_gain=InputGain.COMPLEMENT,
        reset=Reset.SET,
        refractory=Refractory.HOLD,
    ),
    "v = v - (J - v)*expm1(-dt/tau_rc); spike = [v > 1], v = min_voltage; the part of a step that "
    "is left after a spike, which Nengo takes from the next one, is not kept",
    {
        "tau_rc": stated("tau", 0.02, "membrane time constant", unit="s"),
        "tau_ref": stated("tau_ref", 0.002, "refractory period", unit="s"),
        "min_voltage": stated("v_reset", 0.0, "potential after a spike"),
        "gain": stated("resistance", 1.0, "factor on the input"),
        "threshold": stated("threshold", 1.0, "threshold; 1 in Nengo"),
    },
)

CLASSES = tuple(_TABLE.classes)
__getattr__ = named(CLASSES)
