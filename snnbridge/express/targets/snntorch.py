"""snnTorch 1.0: an immediate reset to 0, or a subtraction one step later, after the leak."""

from __future__ import annotations

from typing import Any

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
    threshold_for,
)
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step
from snnbridge.model import Array, Compare, Conv2d, Linear, Reset, Scale


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need(step.rule.spiking is True, "always spikes, and shows its potential only beside the spikes")
    need_plain(step)
    need_unbounded(step)
    step = step.scaled()
    need_zero(step, "constant", "initial")
    need((step.beta >= 0) & (step.beta <= 1), "has a decay from 0 to 1")
    kind = "Leaky" if step.current is None else "Synaptic"
    given = {"beta": step.beta, **_fire(step, kind, loop)}
    if step.current is not None:
        given["alpha"] = step.current.alpha
    if loop is not None:
        waits = loop.waits and loop.biased
        need(not waits, "whose feedback has a bias gets it from the first step on")
        kind = f"R{kind}"
    return kind, given


def _fire(step: Step, kind: str, loop: Loop | None) -> dict[str, Any]:
    if step.rule.reset is Reset.NONE:
        need(step.rule.max_spikes == 1, "spikes at most once in a step")
        return {
            "threshold": threshold_for(step, Compare.GREATER),
            "reset_mechanism": "none",
            "reset_delay": False,
        }
    if step.rule.reset is Reset.SET:
        threshold = need_hard(step, Compare.GREATER)
        need_zero(step, "reset")
        late = kind == "Synaptic" and loop is not None
        need(not late, "with a synapse and recurrent weights is reset one step late")
        return {"threshold": threshold, "reset_mechanism": "zero", "reset_delay": False}
    threshold = need_soft(step, Compare.GREATER, 1)
    # The threshold is subtracted one step later, when the potential has leaked already.
    late = same(step.amount * step.beta, step.threshold)
    need(late, "is lowered by exactly its threshold after the leak of the next step")
    return {"threshold": threshold, "reset_mechanism": "subtract"}


def _feedback(step: Step) -> Array:
    """Have the spikes of a neuron without a reset inhibit it in the next step."""
    need_single_subtraction(step)
    given: Array = -step.beta * step.amount / step.gain
    return given


TARGET = Classes(
    name="snntorch",
    label="snnTorch",
    neurons=_neuron,
    loops=frozenset({Linear, Conv2d, Scale}),
    loop_names={Scale: "V"},
    biased_loops=True,
    feedback=_feedback,
)
