"""Which layers have a step, and which switches go together; all else is refused beforehand."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    Compare,
    Form,
    InputGain,
    Inputs,
    Layer,
    Neuron,
    NeuronRule,
    Opaque,
    Refractory,
    Reset,
    ResetTiming,
    Scheme,
    SpikeSource,
    Subgraph,
    Synapse,
    SynapseRule,
    Width,
)
from snnbridge.simulator.network import Network

#: The schemes that a form can start from; a form that is not here takes any.
_SCHEMES = {
    Form.EXPONENTIAL_EULER: (Scheme.EXACT,),
    Form.DERIVATIVE: (Scheme.EULER, Scheme.RUNGE_KUTTA_4),
    Form.QUOTIENT: (Scheme.EULER,),
}
_INTEGER = (Form.INTEGER_SHIFT_12, Form.FIXED_Q8_8)


def refuse_kinds(layers: Mapping[str, Layer], known: Collection[str] = ()) -> None:
    """Refuse layers that have no step here, in subgraphs too.

    `known` names the kinds of neurons that plugins define, which may stand outside subgraphs.

    Raises
    ------
    CheckpointError
        For an opaque layer, or a neuron of a kind that a plugin defines.
    """
    for name, layer in layers.items():
        if isinstance(layer, Subgraph):
            refuse_kinds(layer.layers)
        elif isinstance(layer, Opaque):
            kind = f" ({layer.origin.kind})" if layer.origin else ""
            raise CheckpointError(
                f"layer {name!r}{kind} is of a kind that the model has no word for; it cannot be "
                "simulated"
            )
        elif isinstance(layer, Neuron) and layer.model != "lif" and layer.model not in known:
            raise CheckpointError(
                f"layer {name!r} is a neuron of the kind {layer.model!r}, whose step is not known "
                "here; install the plugin that defines it, and place it outside subgraphs"
            )


def refuse_rules(network: Network) -> None:
    """Refuse switches that do not go together.

    Raises
    ------
    CheckpointError
        Naming the layer, the switches and their values.
    """
    for name, layer in network.layers.items():
        if isinstance(layer, Neuron):
            _refuse_clash(name, layer.rule)
        if isinstance(layer, Neuron | Synapse):
            _refuse_form(name, layer)


def _refuse_clash(name: str, rule: NeuronRule) -> None:
    clash = _clash(rule) if rule.spiking is True else None
    if clash is not None:
        told = " and ".join(f"{switch}={_told(rule, switch)}" for switch in clash)
        raise CheckpointError(
            f"layer {name!r}: {told} do not go together; no framework's rule has both"
        )


def _clash(rule: NeuronRule) -> tuple[str, str] | None:
    """Return two switches whose values have no meaning together."""
    refractory = rule.refractory is not Refractory.NONE
    resets = rule.reset is not Reset.NONE
    residual = resets and rule.reset_timing is ResetTiming.RESIDUAL
    old = rule.spike_from is SpikeSource.OLD
    clashes = {
        ("refractory", "reset_timing"): (
            refractory and resets and rule.reset_timing is not ResetTiming.NOW
        ),
        ("refractory", "spike_from"): refractory and old,
        ("reset_timing", "reset"): residual and rule.reset is Reset.SET,
        ("reset_timing", "spike_from"): residual and old,
        ("max_spikes", "compare"): rule.max_spikes != 1 and rule.compare is Compare.GREATER,
    }
    return next((switches for switches, clash in clashes.items() if clash), None)


def _told(rule: NeuronRule | SynapseRule, switch: str) -> str:
    value = getattr(rule, switch)
    return repr(value.value if isinstance(value, enum.Enum) else value)


def _refuse_form(name: str, layer: Neuron | Synapse) -> None:
    rule = layer.rule
    reason = None
    expected = _SCHEMES.get(rule.form)  # type: ignore[arg-type]
    inside = rule.input_gain is InputGain.COMPLEMENT and rule.form is not Form.AFFINE
    in_turn = isinstance(layer, Neuron) and rule.inputs is Inputs.IN_TURN
    if expected is not None and rule.scheme not in expected:
        schemes = " or ".join(repr(scheme.value) for scheme in expected)
        reason = f"is made of the scheme {schemes}, not {_told(rule, 'scheme')}"
    elif in_turn and (inside or rule.form in _INTEGER):
        reason = f"does not add its inputs in turn, as inputs={_told(rule, 'inputs')} asks for"
    elif isinstance(layer, Synapse) and rule.form is Form.FIXED_Q8_8:
        reason = "is that of neurons only"
    elif rule.form in _INTEGER and rule.width is Width.FLOAT32:
        reason = f"needs the width 'int16', 'int64' or 'float64', not {_told(rule, 'width')}"
    if reason:
        raise CheckpointError(f"layer {name!r}: the form {_told(rule, 'form')} {reason}")
