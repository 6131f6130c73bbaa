"""Other forms of a threshold and of a reset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.ledger import Status
from snnbridge.model import (
    Array,
    Compare,
    Layer,
    Neuron,
    NeuronRule,
    Parameter,
    Path,
    Reset,
    ResetTiming,
    Scheme,
    SNNCheckpoint,
    StateVariable,
    Width,
)
from snnbridge.rewrites.parts import (
    Rewritten,
    entry,
    neuron_of,
    replaced,
    stated,
    with_membrane,
)


def with_compare(checkpoint: SNNCheckpoint, name: str, compare: Compare) -> Rewritten:
    """State a neuron's comparison as the other one, with the neighbouring float as threshold.

    ``h > theta`` and ``h >= nextafter(theta)`` are the same for every float ``h``. What a spike
    subtracts stays that of the old threshold.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    name : str
        A neuron whose rule, threshold and width are known.
    compare : Compare
        The comparison that the target has.

    Raises
    ------
    CheckpointError
        If the neuron's rule is not known, or its spikes are counted by division.
    """
    layer = neuron_of(checkpoint, name)
    rule = layer.rule
    if rule.compare is compare:
        raise CheckpointError(f"layer {name!r} compares with {compare.value} already")
    if rule.max_spikes != 1:
        raise CheckpointError(f"layer {name!r} may spike several times in a step")
    theta = _width(layer).type(1) * np.asarray(stated(layer, "threshold"), _width(layer))
    towards = np.inf if compare is Compare.GREATER_EQUAL else -np.inf
    parameters = dict(layer.parameters)
    if rule.reset is Reset.SUBTRACT and "reset_amount" not in parameters:
        base = parameters.get("v_reset", Parameter(0.0)).value
        amount = theta - np.asarray(base, _width(layer))
        parameters["reset_amount"] = replace(parameters["threshold"], value=amount)
    moved = np.nextafter(theta, theta.dtype.type(towards))
    parameters["threshold"] = replace(parameters["threshold"], value=moved)
    new = replace(layer, parameters=parameters, rule=replace(rule, compare=compare))
    reason = f"{rule.compare.value} theta as {compare.value} the neighbouring float"
    return replaced(checkpoint, [new]), entry(Status.REWRITTEN, name, reason)


def with_immediate_reset(checkpoint: SNNCheckpoint, name: str) -> Rewritten:
    """State a delayed reset as one in the step of the spike.

    A reset before the next leak is the same operation, only later: rewritten. A subtraction after
    the next leak takes ``amount / beta`` when it acts before it: rounded. A reset to 0 after the
    leak drops the input of that step: it has no immediate form.

    Raises
    ------
    CheckpointError
        If the rule is not known, the decay is 0, or there is no such form.
    """
    layer = neuron_of(checkpoint, name)
    timing = layer.rule.reset_timing
    now = replace(layer.rule, reset_timing=ResetTiming.NOW)
    if timing is ResetTiming.NEXT_BEFORE_LEAK:
        new: Layer = replace(layer, rule=now)
        state = _after_reset(checkpoint, layer, _amount(layer))
        reason = "a reset before the next leak acts in the step of the spike"
        return replaced(checkpoint, [new], state), entry(Status.REWRITTEN, name, reason)
    if timing is not ResetTiming.NEXT_AFTER_LEAK or layer.rule.reset is not Reset.SUBTRACT:
        raise CheckpointError(f"the reset of layer {name!r} has no immediate form")
    amount = _amount(layer) / _decay(layer)
    parameters = {**layer.parameters, "reset_amount": Parameter(amount.astype(_width(layer)))}
    new = replace(layer, parameters=parameters, rule=now)
    state = _after_reset(checkpoint, layer, amount)
    reason = "subtract amount after the leak, as amount / beta before it"
    return replaced(checkpoint, [new], state), entry(Status.ROUNDED, name, reason)


def _width(layer: Neuron) -> np.dtype[Any]:
    if layer.rule.width not in (Width.FLOAT32, Width.FLOAT64):
        raise CheckpointError(f"layer {layer.name!r} computes with whole numbers")
    return np.dtype(np.float32 if layer.rule.width is Width.FLOAT32 else np.float64)


def _amount(layer: Neuron) -> Array:
    if "reset_amount" in layer.parameters:
        return np.asarray(stated(layer, "reset_amount"), np.float64)
    base = stated(layer, "v_reset") if "v_reset" in layer.parameters else np.zeros(())
    return np.asarray(stated(layer, "threshold"), np.float64) - np.asarray(base, np.float64)


def _decay(layer: Neuron) -> Array:
    rule: NeuronRule = layer.rule
    if rule.scheme not in (Scheme.STATED, Scheme.CLAMPED):
        raise CheckpointError(f"layer {layer.name!r} does not state its decay")
    decay = np.asarray(stated(layer, "decay"), np.float64)
    decay = np.clip(decay, 0, 1) if rule.scheme is Scheme.CLAMPED else decay
    if not np.all(decay > 0):
        raise CheckpointError(f"layer {layer.name!r}: a decay of 0 forgets the reset")
    return decay


def _after_reset(
    checkpoint: SNNCheckpoint, layer: Neuron, amount: Array
) -> dict[Path, StateVariable]:
    """Return the state in which the reset of the last spike has acted already."""
    theta = np.asarray(stated(layer, "threshold"))
    strict = layer.rule.compare is Compare.GREATER
    base = stated(layer, "v_reset") if "v_reset" in layer.parameters else np.zeros(())

    def change(v: Array) -> Array:
        spiked = v > theta if strict else v >= theta
        after = base if layer.rule.reset is Reset.SET else v - amount
        return np.where(spiked, after, v)

    return with_membrane(checkpoint, layer.name, change)
