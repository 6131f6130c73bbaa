"""SpikingJelly 2.0: one number for all neurons of a layer, which start where a spike sets them."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnbridge.express.classes import Classes
from snnbridge.express.demands import (
    fed_back,
    need,
    need_hard,
    need_plain,
    need_soft,
    need_unbounded,
    need_zero,
    same,
    uniform,
)
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step
from snnbridge.model import Compare, Linear, Reset, Scale


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need_plain(step)
    need_unbounded(step)
    if step.rule.spiking is not True:
        return _readout(step)
    waits = loop is not None and loop.waits and loop.biased
    need(not waits, "whose feedback has a bias gets it from the first step on")
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
        need(same(step.amount, step.threshold), "is lowered by exactly its threshold at a spike")
        need_zero(step, "initial")
        return {"v_threshold": uniform(threshold, "the threshold"), "v_reset": None}
    threshold = need_hard(step, Compare.GREATER_EQUAL)
    need(step.initial == step.reset, "starts from its reset potential")
    reset = uniform(step.reset, "the potential after a spike")
    return {"v_threshold": uniform(threshold, "the threshold"), "v_reset": reset}


def _readout(step: Step) -> tuple[str, dict[str, Any]]:
    need(step.current is None, "that does not spike has no synapse")
    need_zero(step, "constant", "initial")
    if np.all(step.beta == 1):
        need(step.gain == 1, "without a leak takes its input as it is")
        return "NonSpikingIFNode", {}
    need(step.gain == step.leak, "that does not spike multiplies its input by 1 - decay")
    return "NonSpikingLIFNode", {"tau": 1.0 / uniform(step.leak, "the decay")}


TARGET = Classes(
    name="spikingjelly",
    label="SpikingJelly",
    neurons=_neuron,
    loops=frozenset({Linear, Scale}),
    loop_names={Scale: "element_wise_function"},
    contained=True,
    feedback=fed_back,
)
