"""The neurons of NIR: equations in continuous time, whose discrete rule no node states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnbridge import (
    Layer,
    Neuron,
    NeuronRule,
    Origin,
    Parameter,
    Synapse,
    SynapseRule,
    rules,
)
from snnbridge.model import (
    Array,
    Compare,
    InputGain,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    SynapseKind,
    Unknown,
)
from snnbridge_plugins.nir.fields import Fields

_LEAK = ("tau", "r", "v_leak")
_CUBA = ("tau_mem", "r", "v_leak", "tau_syn", "w_in")
_FIRE = ("v_threshold", "v_reset")
#: The fields of each kind of neuron.
NEURONS: dict[str, tuple[str, ...]] = {
    "I": ("r",),
    "IF": ("r", *_FIRE),
    "LI": _LEAK,
    "LIF": (*_LEAK, *_FIRE),
    "CubaLI": _CUBA,
    "CubaLIF": (*_CUBA, *_FIRE),
}
#: By each field of a neuron, the model's parameter, and the unit.
_PARAMETERS = {
    "tau": ("tau", "s"),
    "tau_mem": ("tau", "s"),
    "r": ("resistance", None),
    "v_leak": ("v_rest", None),
    "v_threshold": ("threshold", None),
    "v_reset": ("v_reset", None),
}
#: What NIR says of every neuron that spikes.
_SPIKES = NeuronRule(
    compare=Compare.GREATER,
    refractory=Refractory.NONE,
    reset_timing=ResetTiming.NOW,
    spike_from=SpikeSource.NEW,
    spiking=True,
    max_spikes=1,
)
_READS = NeuronRule(reset=Reset.NONE, spiking=False)


def neurons(name: str, fields: Fields, *, soft: bool, version: str | Unknown) -> tuple[Layer, ...]:
    """Return a neuron, and the synapse before it where its node has one.

    Raises
    ------
    ReadError
        If a field is missing or does not fit the others.
    """
    kind = fields.kind
    synaptic = ("tau_syn", "w_in") if kind.startswith("Cuba") else ()
    if synaptic and "w_in" not in fields:
        fields.left["w_in"] = np.ones_like(fields.left.get("v_leak", 1.0))
    names = [n for n in NEURONS[kind] if n not in synaptic and (n != "v_reset" or n in fields)]
    stated = fields.parameters(*names, *synaptic)
    shape = np.broadcast_shapes(*(value.shape for value in stated.values()))
    held = {
        _PARAMETERS[key][0]: Parameter(stated[key], _PARAMETERS[key][1])
        for key in names
        if key in stated
    }
    rule = _READS
    if "threshold" in held:
        rule, reset = _reset(held, soft=soft)
        held |= reset
    if kind in ("I", "IF"):
        rule = replace(rule, scheme=Scheme.INTEGRATE)
    origin = Origin("nir", kind, version)
    neuron = Neuron(name, shape, held, rule, origin=origin)
    if not synaptic:
        return (neuron,)
    return _synapse(f"{name}.synapse", shape, stated, version), neuron


def _reset(held: dict[str, Parameter], *, soft: bool) -> tuple[NeuronRule, dict[str, Parameter]]:
    if "v_reset" in held:
        return replace(_SPIKES, reset=Reset.SET), {}
    if soft:
        return replace(_SPIKES, reset=Reset.SUBTRACT), {}
    zeros = np.zeros_like(held["threshold"].value)  # as NIR's package fills it in
    return replace(_SPIKES, reset=Reset.SET), {"v_reset": Parameter(zeros)}


def _synapse(
    name: str, shape: tuple[int, ...], stated: dict[str, Array], version: str | Unknown
) -> Synapse:
    return Synapse(
        name,
        shape,
        {"tau": Parameter(stated["tau_syn"], "s"), "input_gain": Parameter(stated["w_in"])},
        SynapseRule(kind=SynapseKind.EXPONENTIAL),
        origin=Origin("nir", "CubaLIF.synapse", version),
    )


def threshold(name: str, fields: Fields) -> tuple[Layer, ...]:
    """Return a neuron that keeps nothing: h = 0*v + x."""
    spiking = rules.get("nir", "IF").rule
    assert isinstance(spiking, NeuronRule)
    rule = replace(spiking, scheme=Scheme.STATED, input_gain=InputGain.ONE, reset=Reset.NONE)
    theta = fields.array("threshold")
    held = {"decay": Parameter(0.0), "threshold": Parameter(theta)}
    return (Neuron(name, theta.shape, held, rule),)
