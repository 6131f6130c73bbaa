"""BrainPy's layer classes (``brainpy.dyn``, ``brainpy.dnn``), measured on 2.3.4, 2.4.2 and 2.8.2.

What changed between them was looked up in the releases' sources: the soft reset came with 2.4.3,
the amplitude of the double exponentials and another alpha function after 2.4.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import (
    UNKNOWN,
    Clock,
    Compare,
    Floor,
    Form,
    InputGain,
    Inputs,
    Neuron,
    NeuronRule,
    Parameter,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    StateVariable,
    Synapse,
    SynapseKind,
    SynapseOrder,
    SynapseRule,
    Trace,
    Width,
    parameter,
)
from snnbridge.model.values import SECONDS
from snnbridge.rules.brainpy_layers import LAYERS
from snnbridge.rules.releases import named
from snnbridge.rules.table import Argument, Derived, Evidence, FrameworkClass

_DYN = "brainpy.dyn and brainpy.neurons; BrainPy 2.3.4 to 2.9.0"
_EXPONENTIAL = {"scheme": Scheme.EXACT, "form": Form.EXPONENTIAL_EULER}
_METHOD = Argument(
    choices={
        "exp_auto": _EXPONENTIAL,
        "exp_euler_auto": _EXPONENTIAL,
        "euler": {"scheme": Scheme.EULER, "form": Form.DERIVATIVE},
        "rk4": {"scheme": Scheme.RUNGE_KUTTA_4, "form": Form.DERIVATIVE},
    },
    default="exp_auto",
    help="integration method",
)
_V_REST = Argument(parameter="v_rest", default=0.0, help="resting potential")
_R = Argument(parameter="resistance", default=1.0, help="membrane resistance")


def _tau(default: float, parameter: str = "tau", help: str = "time constant") -> Argument:
    return Argument(parameter=parameter, unit="ms", default=default, help=help)


_TAU_REF = _tau(0.0, "tau_ref", "refractory period")
_LEAK = {"tau": _tau(10.0, help="membrane time constant"), "V_rest": _V_REST, "R": _R}
_LEVELS = {
    "V_reset": Argument(parameter="v_reset", default=-5.0, help="reset potential"),
    "V_th": Argument(parameter="threshold", default=20.0, help="threshold"),
}
# Outside training mode the reset is hard whatever spk_reset says: the rule needs both, so the
# mode is one of the choices.
_HARD = {"hard": {"reset": Reset.SET}, "nontraining": {"reset": Reset.SET}}
_SPK_RESET = Argument(
    choices={"soft": {"reset": Reset.SUBTRACT}, **_HARD},
    default="soft",
    help="reset in training mode, or that the net runs outside it",
)
_ALWAYS_HARD = Argument(choices=_HARD, default="hard", help="hard in every mode before 2.4.3")
_LIF = NeuronRule(
    input_gain=InputGain.COMPLEMENT,
    inputs=Inputs.SUMMED,
    compare=Compare.GREATER_EQUAL,
    reset_timing=ResetTiming.NOW,
    spike_from=SpikeSource.NEW,
    floor=Floor.MAXIMUM,
    refractory=Refractory.NONE,
    clock=Clock.COUNTER,
    spiking=True,
    max_spikes=1,
    output_delay=0,
    width=Width.FLOAT32,
    trace=Trace.RESET,
)
_LIF_REF = replace(_LIF, refractory=Refractory.HOLD_TESTED, clock=Clock.FLOAT32_TIME)
_READOUT = replace(_LIF, spiking=False, reset=Reset.NONE, trace=Trace.RAW)
_RESET = "V = V_reset"
_LIF_STEP = "V += (dt*phi)*((-V + V_rest + R*I)/tau), phi = exprel(-dt/tau); spike = V >= V_th"


def _neuron(
    kind: str, rule: NeuronRule, equation: str, arguments: Mapping[str, Argument], **more: Any
) -> FrameworkClass:
    return FrameworkClass(
        framework="brainpy",
        kind=kind,
        layer=Neuron,
        arguments={**arguments, "method": _METHOD},
        rule=rule,
        equation=equation,
        source=_DYN,
        **more,
    )


def _mode(state: Mapping[str, StateVariable]) -> Evidence | None:
    """Tell the mode by the spikes, which are floats in training mode, for their gradient."""
    spike = state.get("spike")
    if spike is None or spike.value.dtype != bool:
        return None
    return Evidence("spk_reset", "nontraining", "its spikes are booleans")


def _spiking(
    kind: str,
    rule: NeuronRule,
    equation: str,
    arguments: Mapping[str, Argument],
    before: Mapping[str, Argument],
    **more: Any,
) -> tuple[FrameworkClass, FrameworkClass]:
    """Make a spiking neuron as it was before there was a soft reset, and as it is."""
    own = {**arguments, **_LEVELS}
    hard = {**own, **before, "spk_reset": _ALWAYS_HARD}
    always = replace(rule, reset=Reset.SET)
    more["evidence"] = _mode
    return (
        _neuron(kind, always, f"{equation}; {_RESET}", hard, until="2.4.3", **more),
        _neuron(
            kind,
            rule,
            f"{equation}; V -= V_th - V_reset (soft) or {_RESET} (hard)",
            {**own, "spk_reset": _SPK_RESET},
            since="2.4.3",
            **more,
        ),
    )


def _refractory(given: Mapping[str, Any]) -> Derived:
    """Take a refractory period of None as none."""
    if "tau_ref" not in given:
        return {}, {}
    none = given["tau_ref"] is None
    return {}, {"refractory": Refractory.NONE if none else Refractory.HOLD_TESTED}


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
        arguments={**arguments, "method": _METHOD},
        rule=SynapseRule(
            kind=kind, order=order, input_gain=input_gain, inputs=Inputs.SUMMED, width=Width.FLOAT32
        ),
        equation=equation,
        source=_DYN,
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


_RISE = {"tau_decay": _tau(10.0), "tau_rise": _tau(1.0, "tau_rise", "time constant of the rise")}
# The last posts of 2.4.6 have double exponentials of their own.
_LAST: dict[str, Any] = {"until": "2.4.6.post5"}
_NEXT: dict[str, Any] = {"since": "2.5"}
_HELD = f"{_LIF_STEP}; V keeps its value while t - t_last_spike <= tau_ref"
_AMPLITUDE = "amplitude; normalised if none"
_READ = "V += (dt*phi)*((-V + V_rest + R*I)/tau)"
_DUAL = "g += (dt*phi_d)*(-g/tau_decay + h); h decays with tau_rise; h += {}x; returns g"
_DIFFERENCE = "g_rise, g_decay decay, += x; returns {}*(g_decay - g_rise)"

CLASSES = (
    *_spiking("Lif", _LIF, _LIF_STEP, _LEAK, {}),
    *_spiking("LifLTC", _LIF, _LIF_STEP, _LEAK, {}),
    *_spiking("LifRef", _LIF_REF, _HELD, {**_LEAK, "tau_ref": _TAU_REF}, {}),
    *_spiking("LifRefLTC", _LIF_REF, _HELD, {**_LEAK, "tau_ref": _TAU_REF}, {}),
    *_spiking(
        "LIF",
        replace(_LIF_REF, refractory=UNKNOWN),
        f"input += x; I = input, which the caller clears; {_LIF_STEP}; refractory as LifRef",
        {**_LEAK, "tau_ref": replace(_TAU_REF, optional=True)},
        {"tau_ref": replace(_TAU_REF, default=None)},
        derive=_refractory,
    ),
    _neuron("IF", _READOUT, _READ, _LEAK),
    _neuron("IFLTC", _READOUT, _READ, _LEAK),
    _neuron("Integrator", _READOUT, "x += (dt*phi)*((-x + I)/tau); returns x", {"tau": _tau(10.0)}),
    _neuron(
        "Leaky",
        replace(_READOUT, input_gain=InputGain.ONE),
        "x += (dt*phi)*(-x/tau); x += I; returns x",
        {"tau": _tau(10.0)},
    ),
    _synapse(
        "Expon",
        SynapseKind.EXPONENTIAL,
        SynapseOrder.DECAY_ADD_USE,
        "g += (dt*phi)*(-g/tau); g += x; returns g",
        {"tau": _tau(8.0)},
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
        {"tau_decay": _tau(10.0)},
        InputGain.STATED,
        derive=_alpha,
        **_LAST,
    ),
    _synapse(
        "Alpha",
        SynapseKind.ALPHA,
        SynapseOrder.DECAY_USE_ADD,
        "g += dt*phi*(-g/tau_decay + h/tau_decay); h decays, += x; returns g",
        {"tau_decay": _tau(10.0)},
        since="2.4.6.post5",
    ),
    *LAYERS,
)
__getattr__ = named(CLASSES)
