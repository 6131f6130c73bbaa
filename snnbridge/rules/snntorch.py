"""snnTorch's neurons, measured on 1.0.0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import (
    UNKNOWN,
    InputGain,
    Inputs,
    Quantity,
    Reset,
    ResetTiming,
    Scheme,
    SynapseOrder,
    Trace,
)
from snnbridge.rules.arguments import Argument
from snnbridge.rules.common import SPIKING, Table, joint, stated
from snnbridge.rules.releases import named
from snnbridge.rules.table import Derived

_TABLE = Table("snntorch", "snntorch._neurons; snnTorch 1.0")
_BETA = stated("decay", help="decay of the membrane potential; clamped to 0 to 1")
_FIRE = {
    "threshold": stated("threshold", 1.0, "threshold"),
    "graded_spikes_factor": stated("output_gain", 1.0, "factor on the spikes"),
    "reset_mechanism": joint(
        "subtract", "subtract, zero or none", words=("subtract", "zero", "none")
    ),
    "reset_delay": joint(True, "whether the reset acts at the next step"),
}
_UNTIMED = replace(SPIKING, reset_timing=UNKNOWN, trace=UNKNOWN)  # as reset_delay says
_LEAKY = replace(_UNTIMED, scheme=Scheme.CLAMPED)
_STEP = (
    "h = (beta*mem + x) - [mem > threshold]*threshold; spk = [h > threshold]; mem = h (subtract); "
)


def _resets(zero: ResetTiming) -> Callable[[Mapping[str, Any]], Derived]:
    """State what the two arguments of the reset say; `zero` is when a delayed zero acts."""

    def derive(arguments: Mapping[str, Any]) -> Derived:
        if "reset_mechanism" not in arguments:
            return {}, {}
        how = arguments["reset_mechanism"]
        kind = {"subtract": Reset.SUBTRACT, "zero": Reset.SET, "none": Reset.NONE}[how]
        value = {"v_reset": 0.0} if kind is Reset.SET else {}
        if "reset_delay" not in arguments and how != "none":
            return value, {"reset": kind}
        late = bool(arguments.get("reset_delay", True))
        trace = Trace.RAW if late or how == "none" else Trace.RESET
        timing = {
            "subtract": ResetTiming.NEXT_AFTER_LEAK if late else ResetTiming.RESIDUAL,
            "zero": zero if late else ResetTiming.NOW,
            "none": ResetTiming.NOW,
        }[how]
        return value, {"reset": kind, "reset_timing": timing, "trace": trace}

    return derive


_BEFORE = _resets(ResetTiming.NEXT_BEFORE_LEAK)
_AFTER = _resets(ResetTiming.NEXT_AFTER_LEAK)


def _lapicque(arguments: Mapping[str, Any]) -> Derived:
    """Complete R and C from beta as the constructor does."""
    # The constructor's own defaults are False.
    beta, r, c = (arguments.get(name) or None for name in ("beta", "R", "C"))
    dt = arguments.get("time_step", 1)
    found: dict[str, Any] = {}
    if beta is None:
        if r is not None and c is not None:
            found = {"resistance": r, "capacitance": c}
    else:
        product = dt / math.log(1 / beta)  # R*C
        if r is None:
            r = 1.0 if c is None else product / c
        found = {"resistance": r, "capacitance": product / r if c is None else c}
    more, switches = _AFTER(arguments)
    return {**found, **more}, switches


_TABLE.neuron(
    "Leaky",
    _LEAKY,
    _STEP + "zero: h = beta*(0 if mem > threshold else mem) + x; reset_delay=False: the reset acts "
    "on the same h, and a mem that stays above the threshold doubles it for one step",
    {"beta": _BETA, **_FIRE},
    derive=_BEFORE,
)
_SYNAPSE = _TABLE.synapse(
    "Synaptic.synapse",
    SynapseOrder.DECAY_ADD_USE,
    "syn = alpha*syn + x",
    {"alpha": stated("decay", help="decay of the synaptic current; clamped to 0 to 1")},
    scheme=Scheme.CLAMPED,
)
_TABLE.neuron(
    "Synaptic",
    _LEAKY,
    _STEP.replace("+ x", "+ syn") + "zero: h = 0 where mem > threshold, the input too",
    {"beta": _BETA, **_FIRE},
    derive=_AFTER,
    synapse=_SYNAPSE,
)
_RECURRENT_SYNAPSE = _TABLE.synapse(
    "RSynaptic.synapse",
    SynapseOrder.DECAY_ADD_USE,
    "syn = (alpha*syn + x) + recurrent(spk)",
    {"alpha": stated("decay", help="decay of the synaptic current; clamped to 0 to 1")},
    scheme=Scheme.CLAMPED,
    inputs=Inputs.IN_TURN,
)
for _kind, _inner in (("RLeaky", None), ("RSynaptic", _RECURRENT_SYNAPSE)):
    _TABLE.neuron(
        _kind,
        replace(_LEAKY, inputs=Inputs.IN_TURN),
        _STEP + "zero: h = 0 where mem > threshold; its recurrent layer is a layer of its own, "
        "fed by the spikes of the step before, its bias acting from the first step",
        {"beta": _BETA, **_FIRE},
        derive=_AFTER,
        synapse=_inner,
    )
_TABLE.neuron(
    "Lapicque",
    replace(_UNTIMED, scheme=Scheme.RC, input_gain=InputGain.COMPLEMENT),
    "h = (x*R*(1/(R*C)))*time_step + (1 - time_step/(R*C))*mem - [mem > threshold]*threshold; "
    "given beta, C = time_step/(R*ln(1/beta))",
    {
        "beta": joint(None, "decay that R and C are made of"),
        "R": joint(None, "resistance"),
        "C": joint(None, "capacitance"),
        "time_step": Argument(
            setting="dt",
            default=1,
            help="time step, in the unit of R*C",
            convert=lambda value: Quantity(float(value), "s"),
        ),
        **_FIRE,
    },
    derive=_lapicque,
)

CLASSES = tuple(_TABLE.classes)
__getattr__ = named(CLASSES)
