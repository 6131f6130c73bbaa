"""Rockpool 3.1: spikes subtract the threshold, as often as it fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnbridge.express.classes import Classes
from snnbridge.express.demands import (
    ALWAYS_SPIKES,
    exponential_tau,
    fed_back,
    need,
    need_plain,
    need_soft,
    need_unbounded,
    need_zero,
    same,
)
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step
from snnbridge.model import Compare, Linear

#: Stands for no limit of the spikes in a step.
_ENDLESS = (1 << 31) - 1
#: The decay of a synapse that keeps nothing of what arrived a step before but a rounding.
_UNKEPT = 2.0**-30


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need(step.rule.spiking is True, ALWAYS_SPIKES)
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
    need(alpha > 0, "has a synapse with a decay above 0")
    need(loop is None or not loop.biased, "feeds its spikes back through weights without a bias")
    return "LIFTorch", {**given, "leak_mode": "decays", "alpha": step.beta, "beta": alpha}


def _fire(step: Step) -> dict[str, Any]:
    threshold = need_soft(step, Compare.GREATER_EQUAL, step.rule.max_spikes)  # type: ignore[arg-type]
    need(same(step.amount, step.threshold), "is lowered by exactly its threshold at a spike")
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
    feedback=fed_back,
)
