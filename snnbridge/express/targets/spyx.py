"""Spyx 1.0: a spike leaves one step after it crossed the threshold, which it subtracts."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnbridge.express.classes import Classes
from snnbridge.express.demands import (
    need,
    need_plain,
    need_single_subtraction,
    need_soft,
    need_unbounded,
    need_zero,
    same,
    uniform,
)
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step
from snnbridge.model import Array, Compare, Conv1d, Conv2d, Flatten, Linear, SumPool


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need_unbounded(step)
    if step.rule.spiking is not True:
        return "LI", _readout(step)
    need_plain(step, delay=1)
    need(loop is None or not loop.biased, "feeds its spikes back through weights without a bias")
    step = step.scaled()
    need_zero(step, "constant", "initial")
    need((step.beta >= 0) & (step.beta <= 1), "has a decay from 0 to 1")
    threshold = need_soft(step, Compare.GREATER, 1)
    fire = {"threshold": uniform(threshold, "the threshold")}
    recurrent = "" if loop is None else "R"
    late = same(step.amount * step.beta, threshold)
    if step.current is None and np.all(step.beta == 1) and late:
        return f"{recurrent}IF", fire
    if step.current is None and late:
        return f"{recurrent}LIF", {"beta": step.beta, **fire}
    need(same(step.amount, threshold), "is lowered by exactly its threshold at a spike")
    # A synapse that forgets at once passes on what arrives.
    alpha = np.zeros_like(step.beta) if step.current is None else step.current.alpha
    return f"{recurrent}CuBaLIF", {"alpha": alpha, "beta": step.beta, **fire}


def _readout(step: Step) -> dict[str, Any]:
    need(step.rule.output_delay == 0, "that does not spike shows the potential of the same step")
    need(step.current is None, "that does not spike has no synapse")
    need_zero(step, "constant", "initial")
    need(step.gain == 1, "that does not spike takes its input as it is")
    return {"beta": step.beta}


def _feedback(step: Step) -> Array:
    """Give back what the threshold, subtracted after the leak, is more than it should be."""
    need_single_subtraction(step)
    given: Array = (step.threshold - step.beta * step.amount) / step.gain
    return given


TARGET = Classes(
    name="spyx",
    label="Spyx",
    neurons=_neuron,
    plain=frozenset({Linear, Conv1d, Conv2d, SumPool, Flatten}),
    order="channels last",
    numbered="{place}",
    output_delay=1,
    flat=frozenset({"CuBaLIF", "RLIF", "RIF", "RCuBaLIF"}),  # they double or join every axis
    feedback=_feedback,
)
