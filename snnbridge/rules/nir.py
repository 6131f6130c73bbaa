"""NIR's nodes, which are continuous: the two discretisations that platforms run them by.

``method`` is ``"euler"`` or ``"exact"``; the time step is the checkpoint's. A ``v_reset`` of None
is the subtracting reset that the documentation stated up to nir 1.0.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snnbridge.model import Form, InputGain, Reset, Scheme, SynapseOrder
from snnbridge.rules.arguments import Argument
from snnbridge.rules.common import READOUT, SPIKING, Table, joint, stated
from snnbridge.rules.releases import named
from snnbridge.rules.table import Derived

_TABLE = Table("nir", "the nodes of nir 1.0.8")
_COMPLEMENT: dict[str, Any] = {"input_gain": InputGain.COMPLEMENT}
_METHOD = Argument(
    choices={
        "euler": {"scheme": Scheme.EULER, "form": Form.DIFFERENCE},
        "exact": {"scheme": Scheme.EXACT, "form": Form.DIFFERENCE},
    },
    help="how the equation is made discrete, which NIR does not say",
)
_R = stated("resistance", 1.0, "resistance")
_V_LEAK = stated("v_rest", 0.0, "leak potential")
_FIRE = {
    "v_threshold": stated("threshold", help="threshold"),
    "v_reset": joint(
        0.0,
        'potential after a spike, or "none": it loses the threshold',
        optional=True,
        switches=("reset",),
    ),
}
_SPIKES = "z = [v > v_threshold]; v = v_reset"
_MEMBRANE = "tau dv/dt = (v_leak - v) + r*x"


def _resets(given: Mapping[str, Any]) -> Derived:
    if "v_reset" not in given:
        return {}, {}
    if given["v_reset"] is None:
        return {}, {"reset": Reset.SUBTRACT}
    return {"v_reset": given["v_reset"]}, {"reset": Reset.SET}


def _tau(name: str) -> Argument:
    return stated(name, help="time constant in seconds", unit="s")


_LIF = replace(SPIKING, **_COMPLEMENT)
_LEAK = {"tau": _tau("tau"), "r": _R, "v_leak": _V_LEAK, "method": _METHOD}
_TABLE.neuron("LIF", _LIF, f"{_MEMBRANE}; {_SPIKES}", {**_LEAK, **_FIRE}, derive=_resets)
_TABLE.neuron("LI", replace(READOUT, **_COMPLEMENT), _MEMBRANE, _LEAK)
_RAMP: dict[str, Any] = {"scheme": Scheme.INTEGRATE, "input_gain": InputGain.TIME_STEP}
_TABLE.neuron(
    "IF", replace(SPIKING, **_RAMP), f"dv/dt = r*x; {_SPIKES}", {"r": _R, **_FIRE}, derive=_resets
)
_TABLE.neuron("I", replace(READOUT, **_RAMP), "dv/dt = r*x", {"r": _R})
_CUBA = {"tau_mem": _tau("tau"), "r": _R, "v_leak": _V_LEAK, "method": _METHOD}
_SYNAPSE = _TABLE.synapse(
    "CubaLIF.synapse",
    SynapseOrder.DECAY_ADD_USE,
    "tau_syn di/dt = -i + w_in*x",
    {
        "tau_syn": _tau("tau"),
        "w_in": stated("input_gain", 1.0, "factor on the input"),
        "method": _METHOD,
    },
    **_COMPLEMENT,
)
_TABLE.neuron(
    "CubaLIF",
    _LIF,
    f"{_MEMBRANE.replace('x', 'i')}; {_SPIKES}",
    {**_CUBA, **_FIRE},
    derive=_resets,
    synapse=_SYNAPSE,
)
_TABLE.neuron(
    "CubaLI", replace(READOUT, **_COMPLEMENT), _MEMBRANE.replace("x", "i"), _CUBA, synapse=_SYNAPSE
)

CLASSES = tuple(_TABLE.classes)
__getattr__ = named(CLASSES)
