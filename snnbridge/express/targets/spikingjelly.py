"""SpikingJelly 2.0: one number for all neurons of a layer, which start where a spike sets them."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnbridge.express.classes import Classes
from snnbridge.express.demands import (
    need,
    need_hard,
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
from snnbridge.model import Array, Compare, Linear, Reset, Scale


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need_plain(step)
    need_unbounded(step)
    if step.rule.spiking is not True:
        return _readout(step)
    waits = loop is not None and loop.waits and loop.biased
    need(not waits, "feeds the bias of its spikes back from the start")
    step = step.scaled()
    need_zero(step, "constant")
    fire = _fire(step)
    if step.current is None and np.all(step.beta == 1):
        return "IFNode", fire
    # A synapse that forgets at once passes on what arrives.
    alpha = 0.0 if step.current is None else uniform(step.current.alpha, "the synapse's decay")
    return "CUBALIFNode", {"v_decay": uniform(step.beta, "the decay"), "c_decay": alpha, **fire}


def _fire(step: Step) -> dict[str, Any]:
    if step.rule.reset is Reset.SUBTRACT:
        threshold = need_soft(step, Compare.GREATER_EQUAL, 1)
        need(same(step.amount, step.threshold), "loses the threshold by a spike, no other amount")
        need_zero(step, "initial")
        return {"v_threshold": uniform(threshold, "the threshold"), "v_reset": None}
    threshold = need_hard(step, Compare.GREATER_EQUAL)
    need(step.initial == step.reset, "starts from the potential that a spike sets")
    reset = uniform(step.reset, "the potential after a spike")
    return {"v_threshold": uniform(threshold, "the threshold"), "v_reset": reset}


def _readout(step: Step) -> tuple[str, dict[str, Any]]:
    need(step.current is None, "that does not spike has no synapse")
    need_zero(step, "constant", "initial")
    if np.all(step.beta == 1):
        need(step.gain == 1, "without a leak counts its input once")
        return "NonSpikingIFNode", {}
    need(step.gain == step.leak, "that does not spike counts its input 1 - decay times")
    return "NonSpikingLIFNode", {"tau": 1.0 / uniform(step.leak, "the decay")}


def _feedback(step: Step) -> Array:
    """Give back what the threshold, subtracted at once, is more than it should be."""
    need_single_subtraction(step)
    given: Array = step.beta * (step.threshold - step.amount) / step.gain
    return given


TARGET = Classes(
    name="spikingjelly",
    label="SpikingJelly",
    neurons=_neuron,
    loops=frozenset({Linear, Scale}),
    loop_names={Scale: "element_wise_function"},
    contained=True,
    feedback=_feedback,
)
