"""Rockpool 3.1: spikes subtract the threshold, as often as it fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnbridge.express.classes import Classes
from snnbridge.express.demands import (
    exponential_tau,
    need,
    need_plain,
    need_single_subtraction,
    need_soft,
    need_unbounded,
    need_zero,
    same,
)
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step
from snnbridge.model import Array, Compare, Linear

#: Stands for no limit of the spikes in a step.
_ENDLESS = (1 << 31) - 1
#: The decay of a synapse that keeps nothing of what arrived a step before but a rounding.
_UNKEPT = 2.0**-30


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need(step.rule.spiking is True, "spikes")
    need_plain(step)
    need_unbounded(step)
    current = step.current
    forgets = _UNKEPT if loop is not None else 1.0
    alpha = np.full_like(step.beta, forgets) if current is None else current.alpha
    step = step.scaled(alpha)
    need_zero(step, "initial")
    given = _fire(step)
    if current is None and loop is None:
        return "LIFNeuronTorch", {**given, "tau_mem": exponential_tau(step.beta, dt)}
    need(alpha > 0, "has a synapse that keeps some of what arrives")
    need(loop is None or not loop.biased, "has no bias in the weights that feed its spikes back")
    return "LIFTorch", {**given, "leak_mode": "decays", "alpha": step.beta, "beta": alpha}


def _feedback(step: Step) -> Array:
    """Give back what the threshold, subtracted at once, is more than it should be."""
    need_single_subtraction(step)
    given: Array = step.beta * (step.threshold - step.amount) / step.gain
    return given


def _fire(step: Step) -> dict[str, Any]:
    threshold = need_soft(step, Compare.GREATER_EQUAL, step.rule.max_spikes)  # type: ignore[arg-type]
    need(same(step.amount, step.threshold), "loses the threshold by a spike, no other amount")
    most = step.rule.max_spikes
    most = _ENDLESS if most is None else most
    return {"threshold": threshold, "max_spikes_per_dt": most, "bias": step.constant}


TARGET = Classes(
    name="rockpool",
    label="Rockpool",
    neurons=_neuron,
    plain=frozenset({Linear}),
    in_seconds=True,
    kinds={Linear: "LinearTorch"},
    numbered="{place}_{kind}",
    per_neuron={
        "LIFTorch": frozenset({"alpha", "beta", "threshold", "bias"}),
        "LIFNeuronTorch": frozenset({"tau_mem", "threshold"}),
    },
    feedback=_feedback,
)
