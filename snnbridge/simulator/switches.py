"""A rule's switches as the kernel's numbers."""

from __future__ import annotations

from snnbridge.model import (
    UNKNOWN,
    Clock,
    Floor,
    Form,
    InputGain,
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
    Trace,
)

_RESETS = {Reset.NONE: 0, Reset.SUBTRACT: 1, Reset.SET: 2}
_TIMINGS = {
    ResetTiming.NOW: 0,
    ResetTiming.NEXT_BEFORE_LEAK: 1,
    ResetTiming.NEXT_AFTER_LEAK: 2,
    ResetTiming.RESIDUAL: 3,
    UNKNOWN: 0,  # without a reset
}
_REFRACTORY = {
    Refractory.NONE: 0,
    Refractory.HOLD: 1,
    Refractory.CLAMP: 2,
    Refractory.HOLD_TESTED: 3,
}
_KINDS = {kind: i for i, kind in enumerate(SynapseKind)}
_ORDERS = {
    SynapseOrder.DECAY_ADD_USE: 0,
    SynapseOrder.ADD_DECAY_USE: 1,
    SynapseOrder.ADD_USE_DECAY: 2,
    SynapseOrder.DECAY_USE_ADD: 3,
}
_DECAYS = {
    Form.AFFINE: 0,
    Form.DIFFERENCE: 1,
    Form.BOX: 1,
    Form.QUOTIENT: 2,
    Form.DERIVATIVE: 3,
    Form.EXPONENTIAL_EULER: 5,
    Form.INTEGER_SHIFT_12: 4,
}


def neuron_switches(layer: Neuron) -> tuple[int | bool, ...]:
    """Return a neuron's switches in the order in which the kernel takes them."""
    rule = layer.rule
    return (
        form_code(rule),
        rule.spiking is True,
        _RESETS.get(rule.reset, 0),  # type: ignore[arg-type]
        0 if rule.reset is Reset.NONE else _TIMINGS[rule.reset_timing],
        rule.spike_from is SpikeSource.OLD,
        _REFRACTORY.get(rule.refractory, 0),  # type: ignore[arg-type]
        has_time_clock(rule),
        rule.trace is Trace.RAW,
        "v_min" in layer.parameters and rule.floor is Floor.SHIFTED,
    )


def synapse_switches(layer: Synapse) -> tuple[int, ...]:
    """Return a synapse's switches in the order in which the kernel takes them."""
    rule = layer.rule
    return (
        layer.receptors,
        _KINDS[rule.kind],  # type: ignore[index]
        _ORDERS[rule.order],  # type: ignore[index]
        _DECAYS[rule.form],  # type: ignore[index]
    )


def has_time_clock(rule: NeuronRule) -> bool:
    """Whether a refractory period is measured in float32 time, and not in steps."""
    refractory = rule.refractory not in (Refractory.NONE, UNKNOWN)
    return refractory and rule.clock is Clock.FLOAT32_TIME


def form_code(rule: NeuronRule) -> int:
    """Return the kernel's number of a neuron's update; see the enumeration in `_kernel.h`."""
    inside = rule.input_gain is InputGain.COMPLEMENT
    if rule.form is Form.DERIVATIVE and rule.scheme is Scheme.RUNGE_KUTTA_4:
        return 9
    if rule.form is Form.DERIVATIVE and rule.input_gain is InputGain.TIME_STEP:
        return 8
    codes = {
        Form.AFFINE: (0, 0),
        Form.DIFFERENCE: (1, 2),
        Form.BOX: (3, 2),
        Form.QUOTIENT: (4, 5),
        Form.DERIVATIVE: (6, 7),
        Form.EXPONENTIAL_EULER: (12, 13),
        Form.INTEGER_SHIFT_12: (10, 10),
        Form.FIXED_Q8_8: (11, 11),
    }
    return codes[rule.form][not inside]  # type: ignore[index]
