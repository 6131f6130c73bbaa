"""BrainPy's layer classes (``brainpy.dyn``, ``brainpy.dnn``), measured on 2.8.2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import (
    AvgPool,
    BatchNorm,
    Clock,
    Compare,
    Conv1d,
    Conv2d,
    Flatten,
    Floor,
    Form,
    InputGain,
    Inputs,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    NeuronRule,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    Synapse,
    SynapseKind,
    SynapseOrder,
    SynapseRule,
    Trace,
    Width,
)
from snnbridge.rules.table import Argument, FrameworkClass

_DYN = "brainpy.dyn; BrainPy 2.4.3 to 2.9.0"
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


_LEAK = {"tau": _tau(10.0, help="membrane time constant"), "V_rest": _V_REST, "R": _R}
_SPIKE = {
    "V_reset": Argument(parameter="v_reset", default=-5.0, help="reset potential"),
    "V_th": Argument(parameter="threshold", default=20.0, help="threshold"),
    # Outside training mode the reset is hard whatever spk_reset says: the rule needs both, so
    # the mode is one of the choices.
    "spk_reset": Argument(
        choices={
            "soft": {"reset": Reset.SUBTRACT},
            "hard": {"reset": Reset.SET},
            "nontraining": {"reset": Reset.SET},
        },
        default="soft",
        help="reset in training mode; 'nontraining' for a net that runs outside it",
    ),
}
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
_LIF_STEP = "V += (dt*phi)*((-V + V_rest + R*I)/tau), phi = exprel(-dt/tau); spike = V >= V_th"


def _neuron(kind: str, rule: NeuronRule, equation: str, **arguments: Argument) -> FrameworkClass:
    return FrameworkClass(
        framework="brainpy",
        kind=kind,
        layer=Neuron,
        arguments={**arguments, "method": _METHOD},
        rule=rule,
        equation=equation,
        source=_DYN,
    )


def _synapse(
    kind: SynapseKind,
    order: SynapseOrder,
    name: str,
    equation: str,
    **arguments: Argument,
) -> FrameworkClass:
    return FrameworkClass(
        framework="brainpy",
        kind=name,
        layer=Synapse,
        arguments={**arguments, "method": _METHOD},
        rule=SynapseRule(
            kind=kind,
            order=order,
            input_gain=InputGain.ONE,
            inputs=Inputs.SUMMED,
            width=Width.FLOAT32,
        ),
        equation=equation,
        source=_DYN,
    )


def _static(kind: str, layer: type[Layer], **arguments: Argument) -> FrameworkClass:
    return FrameworkClass(
        framework="brainpy",
        kind=kind,
        layer=layer,
        arguments=arguments,
        source="brainpy.dnn; BrainPy 2.4.3 to 2.9.0",
    )


def _padding(value: Any) -> Any:
    """BrainPy names its paddings in capitals; "VALID" is none."""
    named = {"SAME": "same", "VALID": 0}
    return named.get(value.upper(), value) if isinstance(value, str) else value


def _window(**own: Argument) -> Mapping[str, Argument]:
    return {
        **own,
        "stride": Argument(setting="stride", default=1, help="stride"),
        "padding": Argument(
            setting="padding", default="SAME", help="zeros around it", convert=_padding
        ),
    }


_CONV = {
    **_window(),
    "rhs_dilation": Argument(setting="dilation", default=1, help="dilation of the kernel"),
    "groups": Argument(setting="groups", default=1, help="groups of channels"),
}
_POOL = _window(kernel_size=Argument(setting="window", help="window"))
_NORM = {"epsilon": Argument(setting="epsilon", default=1e-5, help="added to the variance")}
_RISE = {"tau_decay": _tau(10.0), "tau_rise": _tau(1.0, "tau_rise", "time constant of the rise")}

CLASSES = (
    _neuron("Lif", _LIF, _LIF_STEP, **_LEAK, **_SPIKE),
    _neuron("LifLTC", _LIF, _LIF_STEP, **_LEAK, **_SPIKE),
    *(
        _neuron(
            kind,
            _LIF_REF,
            f"{_LIF_STEP}; V keeps its value while t - t_last_spike <= tau_ref",
            **_LEAK,
            **_SPIKE,
            tau_ref=_tau(0.0, "tau_ref", "refractory period"),
        )
        for kind in ("LifRef", "LifRefLTC")
    ),
    replace(
        _neuron(
            "LIF",
            _LIF_REF,
            f"input += x; I = input, which the caller clears; {_LIF_STEP}; refractory as LifRef; "
            "up to 2.4.2 the reset is hard",
            **_LEAK,
            **_SPIKE,
            tau_ref=_tau(0.0, "tau_ref", "refractory period; none where it is 0"),
        ),
        source="brainpy.neurons; BrainPy 2.3.4 to 2.9.0",
    ),
    _neuron("IF", _READOUT, "V += (dt*phi)*((-V + V_rest + R*I)/tau)", **_LEAK),
    _neuron("IFLTC", _READOUT, "V += (dt*phi)*((-V + V_rest + R*I)/tau)", **_LEAK),
    _neuron("Integrator", _READOUT, "x += (dt*phi)*((-x + I)/tau); returns x", tau=_tau(10.0)),
    _neuron(
        "Leaky",
        replace(_READOUT, input_gain=InputGain.ONE),
        "x += (dt*phi)*(-x/tau); x += I; returns x",
        tau=_tau(10.0),
    ),
    _synapse(
        SynapseKind.EXPONENTIAL,
        SynapseOrder.DECAY_ADD_USE,
        "Expon",
        "g += (dt*phi)*(-g/tau); g += x; returns g",
        tau=_tau(8.0),
    ),
    _synapse(
        SynapseKind.DUAL_EXPONENTIAL,
        SynapseOrder.DECAY_USE_ADD,
        "DualExpon",
        "g += (dt*phi_d)*(-g/tau_decay + h); h decays with tau_rise; h += a*x; returns g",
        **_RISE,
        A=Argument(parameter="input_gain", default=None, help="amplitude; normalised if None"),
    ),
    _synapse(
        SynapseKind.EXPONENTIAL_DIFFERENCE,
        SynapseOrder.DECAY_ADD_USE,
        "DualExponV2",
        "g_rise, g_decay decay, += x; returns a*(g_decay - g_rise)",
        **_RISE,
        A=Argument(parameter="gain", default=None, help="amplitude; normalised if None"),
    ),
    _synapse(
        SynapseKind.ALPHA,
        SynapseOrder.DECAY_USE_ADD,
        "Alpha",
        "g += dt*phi*(-g/tau_decay + h/tau_decay); h decays, += x; returns g",
        tau_decay=_tau(10.0),
    ),
    _static("Dense", Linear),
    _static("Linear", Linear),
    _static("Conv1d", Conv1d, **_CONV),
    _static("Conv2d", Conv2d, **_CONV),
    _static("BatchNorm1d", BatchNorm, **_NORM),
    _static("BatchNorm2d", BatchNorm, **_NORM),
    _static("MaxPool", MaxPool, **_POOL),
    _static("MaxPool2d", MaxPool, **_POOL),
    _static("AvgPool", AvgPool, **_POOL),
    _static("AvgPool2d", AvgPool, **_POOL),
    _static(
        "Flatten",
        Flatten,
        order=Argument(setting="order", default="channels last", help="order of the elements"),
    ),
)
