"""Norse 1.1: the input counts ``1 - decay`` times, the decay being ``1 - dt*tau_inv``."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnbridge.express.classes import Classes
from snnbridge.express.demands import (
    need,
    need_hard,
    need_plain,
    need_soft,
    need_unbounded,
    same,
    solved,
)
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step
from snnbridge.model import Array, Compare, Reset


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need_plain(step)
    need_unbounded(step)
    if step.rule.spiking is not True:
        return _readout(step, dt)
    if loop is not None:
        need(step.current is not None, "with weights of its own has a synapse")
        need(not loop.biased, "has no bias in the weights that feed its spikes back")
    elif step.current is None and np.all(step.beta == 1):
        return _integrator(step.scaled())
    inverse = _inverse(step.leak, dt)
    step = step.scaled(step.leak)
    leak = {"tau_mem_inv": inverse, **_rest(step)}
    if step.current is None:
        return "LIFBoxCell", {**leak, **_box(step)}
    leak["tau_syn_inv"] = _inverse(1.0 - step.current.alpha, dt)
    return ("LIFCell" if loop is None else "LIFRecurrentCell"), {**leak, **_hard(step)}


def _readout(step: Step, dt: float) -> tuple[str, dict[str, Any]]:
    single = step.current is None or step.current.gain == 1
    need((step.gain == step.leak) & single, "counts its input 1 - decay times")
    found = {"tau_mem_inv": _inverse(step.leak, dt), **_rest(step)}
    if step.current is None:
        return "LIBoxCell", found
    return "LICell", {**found, "tau_syn_inv": _inverse(1.0 - step.current.alpha, dt)}


def _integrator(step: Step) -> tuple[str, dict[str, Any]]:
    need(step.constant == 0, "without a leak has no constant input")
    need(step.initial == step.reset, "without a leak starts from the potential that a spike sets")
    return "IAFCell", _hard(step)


def _hard(step: Step) -> dict[str, Any]:
    return {"v_th": need_hard(step, Compare.GREATER), "v_reset": step.reset}


def _box(step: Step) -> dict[str, Any]:
    if step.rule.reset is not Reset.SUBTRACT:
        return {**_hard(step), "reset_method": "reset_value"}
    threshold = need_soft(step, Compare.GREATER, 1)
    need(same(step.amount, step.threshold), "loses the threshold by a spike, no other amount")
    return {"v_th": threshold, "reset_method": "reset_subtract"}


def _rest(step: Step) -> dict[str, Array]:
    v_leak = step.constant / step.leak
    need(step.initial == v_leak, "starts from the potential that it leaks to")
    return {"v_leak": v_leak}


def _inverse(leak: Array, dt: float) -> Array:
    need((leak > 0) & (leak <= 1), "has a decay from 0 to below 1, unless all its decays are 1")
    return solved(lambda inverse: np.float32(dt) * inverse, leak / dt, leak)


TARGET = Classes(
    name="norse",
    label="Norse",
    neurons=_neuron,
    in_seconds=True,
    with_input=frozenset({"LIFRecurrentCell"}),
    numbered="{place}",
)
