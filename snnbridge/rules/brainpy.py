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
    InputGain,
    Neuron,
    NeuronRule,
    Refractory,
    Reset,
    StateVariable,
    Trace,
)
from snnbridge.rules.arguments import Argument
from snnbridge.rules.brainpy_arguments import METHOD, SOURCE, time_constant
from snnbridge.rules.brainpy_layers import LAYERS
from snnbridge.rules.brainpy_synapses import SYNAPSES
from snnbridge.rules.common import SPIKING
from snnbridge.rules.releases import named
from snnbridge.rules.table import Derived, Evidence, FrameworkClass

_V_REST = Argument(parameter="v_rest", default=0.0, help="resting potential")
_R = Argument(parameter="resistance", default=1.0, help="membrane resistance")


_TAU_REF = time_constant(0.0, "tau_ref", "refractory period")
_LEAK = {"tau": time_constant(10.0, help="membrane time constant"), "V_rest": _V_REST, "R": _R}
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
_LIF = replace(  # the method of integration says the form
    SPIKING, form=UNKNOWN, input_gain=InputGain.COMPLEMENT, compare=Compare.GREATER_EQUAL
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
        arguments={**arguments, "method": METHOD},
        rule=rule,
        equation=equation,
        source=SOURCE,
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


_HELD = f"{_LIF_STEP}; V keeps its value while t - t_last_spike <= tau_ref"
_READ = "V += (dt*phi)*((-V + V_rest + R*I)/tau)"

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
    _neuron(
        "Integrator",
        _READOUT,
        "x += (dt*phi)*((-x + I)/tau); returns x",
        {"tau": time_constant(10.0)},
    ),
    _neuron(
        "Leaky",
        replace(_READOUT, input_gain=InputGain.ONE),
        "x += (dt*phi)*(-x/tau); x += I; returns x",
        {"tau": time_constant(10.0)},
    ),
    *SYNAPSES,
    *LAYERS,
)
__getattr__ = named(CLASSES)
