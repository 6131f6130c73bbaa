"""sinabs 3.1: any number of spikes a step, a synapse that decays what arrives at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnbridge.express.classes import Classes
from snnbridge.express.demands import (
    need,
    need_plain,
    need_unbounded,
    need_zero,
    same,
    threshold_for,
)
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step
from snnbridge.model import Compare, Linear, Reset


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need_plain(step)
    if step.rule.spiking is not True:
        return "ExpLeak", _readout(step)
    waits = loop is None or loop.waits or not loop.biased
    need(waits, "whose feedback has a bias gets none of it at the first step")
    current = step.current
    step = step.scaled(1.0 if current is None else current.alpha)
    need_zero(step, "constant", "initial")
    after = "" if loop is None else "Recurrent"
    given = {**_fire(step), **_floor(step)}
    if current is None and np.all(step.beta == 1):
        return f"IAF{after}", given
    given |= {"tau_mem": 1.0, "alpha_mem": step.beta, "norm_input": False}
    if current is not None:
        need(current.alpha > 0, "has a synapse with a decay above 0")
        given |= {"tau_syn": 1.0, "alpha_syn": current.alpha}
    return f"LIF{after}", given


def _readout(step: Step) -> dict[str, Any]:
    need(step.current is None, "that does not spike has no synapse")
    need_zero(step, "constant", "initial")
    need_unbounded(step)
    normal = bool(np.all(step.gain == step.leak))
    need(normal | (step.gain == 1), "that does not spike multiplies its input by 1 or by 1 - decay")
    return {"tau_mem": 1.0, "alpha_mem": step.beta, "norm_input": normal}


def _fire(step: Step) -> dict[str, Any]:
    most = step.rule.max_spikes
    spikes = {None: "MultiSpike", 1: "SingleSpike"}.get(most, most)  # type: ignore[arg-type]
    single = most == 1
    threshold = threshold_for(step, Compare.GREATER_EQUAL) if single else step.threshold
    fire = {"spike_threshold": threshold, "spike_fn": spikes}
    if step.rule.reset is Reset.SET:
        need_zero(step, "reset")
        return {**fire, "reset_fn": "MembraneReset"}
    need(step.rule.reset is Reset.SUBTRACT, "is reset by a spike")
    if same(step.amount, threshold):
        return fire
    return {**fire, "reset_fn": ("MembraneSubtract", step.amount.astype(np.float32))}


def _floor(step: Step) -> dict[str, Any]:
    if np.isneginf(step.floor).all():
        return {}
    need(np.isfinite(step.floor), "has a lower bound of its potential if all of its layer have one")
    return {"min_v_mem": step.floor}


TARGET = Classes(name="sinabs", label="sinabs", neurons=_neuron, loop_names={Linear: "rec_connect"})
