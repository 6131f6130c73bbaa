"""BrainPy's synapses (``brainpy.dyn``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnbridge.model import (
    UNKNOWN,
    InputGain,
    Inputs,
    Parameter,
    Synapse,
    SynapseKind,
    SynapseOrder,
    SynapseRule,
    Width,
    parameter,
)
from snnbridge.model.values import SECONDS
from snnbridge.rules.arguments import Argument
from snnbridge.rules.brainpy_arguments import METHOD, SOURCE, time_constant
from snnbridge.rules.table import Derived, FrameworkClass


def _synapse(
    name: str,
    kind: SynapseKind,
    order: SynapseOrder,
    equation: str,
    arguments: Mapping[str, Argument],
    input_gain: InputGain = InputGain.ONE,
    **more: Any,
) -> FrameworkClass:
    return FrameworkClass(
        framework="brainpy",
        kind=name,
        layer=Synapse,
        arguments={**arguments, "method": METHOD},
        rule=SynapseRule(
            kind=kind, order=order, input_gain=input_gain, inputs=Inputs.SUMMED, width=Width.FLOAT32
        ),
        equation=equation,
        source=SOURCE,
        **more,
    )


def _as_it_is(given: Mapping[str, Any]) -> Derived:
    """Raise h by the input as it is."""
    return {"input_gain": 1.0}, {}


def _alpha(given: Mapping[str, Any]) -> Derived:
    """Say the alpha function of old as a double exponential with one time constant."""
    if "tau_decay" not in given:
        return {"input_gain": 1.0}, {}
    tau = parameter(given["tau_decay"])
    return {"input_gain": 1.0, "tau_rise": Parameter(tau.value, tau.unit or "ms")}, {}


def _area(given: Mapping[str, Any]) -> Derived:
    """Scale the difference of two exponentials as the releases up to 2.4.6 do."""
    if not {"tau_decay", "tau_rise"} <= given.keys():
        return {"gain": UNKNOWN}, {}
    decay, rise = (_milliseconds(given[key]) for key in ("tau_decay", "tau_rise"))
    if not (decay != rise).all():
        raise ValueError("tau_decay and tau_rise must differ")
    return {"gain": rise * decay / (decay - rise)}, {}


def _milliseconds(value: Any) -> Any:
    held = parameter(value)
    if held.value is UNKNOWN or held.unit in (None, "ms"):
        return held.value
    return held.value * (SECONDS[str(held.unit)] / SECONDS["ms"])


_RISE = {
    "tau_decay": time_constant(10.0),
    "tau_rise": time_constant(1.0, "tau_rise", "time constant of the rise"),
}
# The last posts of 2.4.6 have double exponentials of their own.
_LAST: dict[str, Any] = {"until": "2.4.6.post5"}
_NEXT: dict[str, Any] = {"since": "2.5"}
_AMPLITUDE = "amplitude; normalised if none"
_DUAL = "g += (dt*phi_d)*(-g/tau_decay + h); h decays with tau_rise; h += {}x; returns g"
_DIFFERENCE = "g_rise, g_decay decay, += x; returns {}*(g_decay - g_rise)"


SYNAPSES = (
    _synapse(
        "Expon",
        SynapseKind.EXPONENTIAL,
        SynapseOrder.DECAY_ADD_USE,
        "g += (dt*phi)*(-g/tau); g += x; returns g",
        {"tau": time_constant(8.0)},
    ),
    _synapse(
        "DualExpon",
        SynapseKind.DUAL_EXPONENTIAL,
        SynapseOrder.DECAY_USE_ADD,
        _DUAL.format(""),
        _RISE,
        InputGain.STATED,
        derive=_as_it_is,
        **_LAST,
    ),
    _synapse(
        "DualExpon",
        SynapseKind.DUAL_EXPONENTIAL,
        SynapseOrder.DECAY_USE_ADD,
        _DUAL.format("a*"),
        {**_RISE, "A": Argument(parameter="input_gain", default=None, help=_AMPLITUDE)},
        **_NEXT,
    ),
    _synapse(
        "DualExponV2",
        SynapseKind.EXPONENTIAL_DIFFERENCE,
        SynapseOrder.DECAY_ADD_USE,
        _DIFFERENCE.format("tau_rise*tau_decay/(tau_decay - tau_rise)"),
        _RISE,
        derive=_area,
        since="2.4.3",
        **_LAST,
    ),
    _synapse(
        "DualExponV2",
        SynapseKind.EXPONENTIAL_DIFFERENCE,
        SynapseOrder.DECAY_ADD_USE,
        _DIFFERENCE.format("a"),
        {**_RISE, "A": Argument(parameter="gain", default=None, help=_AMPLITUDE)},
        **_NEXT,
    ),
    _synapse(
        "Alpha",
        SynapseKind.DUAL_EXPONENTIAL,
        SynapseOrder.DECAY_USE_ADD,
        "g += dt*phi*(-g/tau_decay + h); h decays, += x; returns g",
        {"tau_decay": time_constant(10.0)},
        InputGain.STATED,
        derive=_alpha,
        **_LAST,
    ),
    _synapse(
        "Alpha",
        SynapseKind.ALPHA,
        SynapseOrder.DECAY_USE_ADD,
        "g += dt*phi*(-g/tau_decay + h/tau_decay); h decays, += x; returns g",
        {"tau_decay": time_constant(10.0)},
        since="2.4.6.post5",
    ),
)
