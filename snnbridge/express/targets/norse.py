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

#: The leak of a neuron that has none: less than a float32 tells from 0 beside 1.
_NO_LEAK = 2.0**-30


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need_plain(step)
    need_unbounded(step)
    if step.rule.spiking is not True:
        return _readout(step, dt)
    if loop is not None:
        need(not loop.biased, "feeds its spikes back through weights without a bias")
    elif step.current is None and np.all(step.beta == 1) and step.rule.reset is Reset.SET:
        return _integrator(step.scaled())
    need((step.leak > 0) | (step.constant == 0), "without a leak has no constant input")
    share = np.where(step.leak == 0, _NO_LEAK, step.leak)
    step = _from_what_is_lost(step).scaled(share)
    leak = {"tau_mem_inv": _inverse(share, dt), **_rest(step)}
    if step.current is None and loop is None:
        return "LIFBoxCell", {**leak, **_box(step)}
    # A synapse that forgets at once passes on what arrives.
    forgets = 1.0 if step.current is None else 1.0 - step.current.alpha
    leak["tau_syn_inv"] = _inverse(np.broadcast_to(forgets, step.leak.shape), dt)
    return ("LIFCell" if loop is None else "LIFRecurrentCell"), {**leak, **_hard(step)}


def _readout(step: Step, dt: float) -> tuple[str, dict[str, Any]]:
    single = step.current is None or step.current.gain == 1
    need((step.gain == step.leak) & single, "that does not spike multiplies its input by 1 - decay")
    found = {"tau_mem_inv": _inverse(step.leak, dt), **_rest(step)}
    if step.current is None:
        return "LIBoxCell", found
    return "LICell", {**found, "tau_syn_inv": _inverse(1.0 - step.current.alpha, dt)}


def _integrator(step: Step) -> tuple[str, dict[str, Any]]:
    need(step.constant == 0, "without a leak has no constant input")
    need(step.initial == step.reset, "without a leak starts from its reset potential")
    return "IAFCell", _hard(step)


def _from_what_is_lost(step: Step) -> Step:
    """Count potentials so that the threshold is what a spike subtracts; v_leak takes the rest."""
    if step.rule.reset is not Reset.SUBTRACT:
        return step
    threshold = need_soft(step, Compare.GREATER, 1)
    if same(step.amount, threshold):
        return step
    return step.counted_from(threshold - step.amount)


def _hard(step: Step) -> dict[str, Any]:
    return {"v_th": need_hard(step, Compare.GREATER), "v_reset": step.reset}


def _box(step: Step) -> dict[str, Any]:
    if step.rule.reset is not Reset.SUBTRACT:
        return {**_hard(step), "reset_method": "reset_value"}
    threshold = need_soft(step, Compare.GREATER, 1)
    need(same(step.amount, step.threshold), "is lowered by exactly its threshold at a spike")
    return {"v_th": threshold, "reset_method": "reset_subtract"}


def _rest(step: Step) -> dict[str, Array]:
    v_leak = step.rest
    near = 1e-6 * np.abs(step.threshold) if step.rule.spiking is True else 0.0
    need(np.abs(step.initial - v_leak) <= near, "starts from the potential that it leaks to")
    return {"v_leak": v_leak}


def _inverse(leak: Array, dt: float) -> Array:
    need((leak > 0) & (leak <= 1), "has a decay from 0 to below 1, or all of its layer have 1")
    return solved(lambda inverse: np.float32(dt) * inverse, leak / dt, leak)


TARGET = Classes(
    name="norse",
    label="Norse",
    neurons=_neuron,
    in_seconds=True,
    with_input=frozenset({"LIFRecurrentCell"}),
    numbered="{place}",
)
