"""BrainPy 2.4.3 and later: one spike a step, a resting potential, any amount that a spike takes.

Every class integrates by Euler's method: ``V + dt*((-V + V_rest + R*I)/tau)`` has the decay
``1 - dt/tau``, and a resistance of `tau/dt` lets the input count once. Potentials keep their units.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import rules
from snnbridge.errors import WriteError
from snnbridge.express.adapting import Adapted, Made, Place
from snnbridge.express.classes import Classes
from snnbridge.express.demands import (
    need,
    need_plain,
    need_unbounded,
    once,
    threshold_for,
)
from snnbridge.express.graph import Loop
from snnbridge.express.step import Step
from snnbridge.model import (
    UNKNOWN,
    Array,
    AvgPool,
    BatchNorm,
    Compare,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Layer,
    Linear,
    MaxPool,
    Output,
    Quantity,
    Reset,
    Shape,
    SumPool,
    Synapse,
    TimeStep,
    parameter,
)

#: The time step of a network that counts in steps.
_STEP = Quantity(1.0, "ms")
#: The leak of a step that has none: less than a float32 tells from 0 beside 1, and a power of two,
#: by which nothing is rounded.
_NO_LEAK = 2.0**-64
#: What releases before 2.4.6 call an alpha function, which no class of today's computes.
_OLD_ALPHA = rules.get("brainpy", "Alpha", "2.4.2")


class _BrainPy(Classes):
    """BrainPy's synapses are modules of their own; its time step is in milliseconds."""

    __slots__ = ()

    def time_step(self, dt: TimeStep) -> TimeStep:
        return dt if isinstance(dt, Quantity) else _STEP

    def check(self, layer: Layer, shape: Shape | None, dt: TimeStep) -> None:
        synapse = isinstance(layer, Synapse) and self.has(layer)
        if not synapse and type(layer) not in self.plain | {Input, Output}:
            raise WriteError(f"layer {layer.name!r}: {self.label} has no module for a {layer.kind}")
        if isinstance(layer, BatchNorm) and shape is not None and len(shape) < 2:
            raise WriteError(
                f"layer {layer.name!r}: {self.label} normalises images and sequences alone"
            )
        if isinstance(layer, AvgPool) and layer.count_padding is not False and _pads(layer):
            raise WriteError(
                f"layer {layer.name!r}: {self.label} counts no zeros around an image in its average"
            )

    def has(self, layer: Layer) -> bool:
        if not super().has(layer):
            return False
        return not isinstance(layer, Synapse) or rules.of(layer) is not _OLD_ALPHA

    def _of(self, form: Adapted, place: Place, dt: float) -> Made:
        made = super()._of(form, place, dt)
        neuron = _started(made.layers[-1], form.step.initial)
        if form.step.current is None:
            return replace(made, layers=(neuron,))
        expon = _expon(form.step.current.alpha, place, dt)
        return replace(made, layers=(expon, neuron), called=f"Expon and {made.called}")


def _started(neuron: Layer, initial: Array) -> Layer:
    """State the potential that a neuron starts from, which is 0 where BrainPy is not told."""
    if not initial.any():
        return neuron
    parameters = {**neuron.parameters, "v_init": parameter(once(initial))}
    return replace(neuron, parameters=parameters)  # type: ignore[call-arg]


def _pads(layer: AvgPool) -> bool:
    held = layer.padding
    return held is UNKNOWN or held == "same" or any(map(any, held))


def _expon(alpha: Array, place: Place, dt: float) -> Layer:
    need((alpha >= 0) & (alpha <= 1), "has a synapse with a decay from 0 to 1")
    tau = once(1e3 * dt / _leak(1.0 - alpha))
    known = rules.get("brainpy", "Expon")
    return known.build(f"{place.name}.synapse", shape=place.shape, tau=tau, method="euler")


def _leak(leak: Array) -> Array:
    return np.where(leak == 0, _NO_LEAK, leak)


def _neuron(step: Step, dt: float, loop: Loop | None) -> tuple[str, dict[str, Any]]:
    need_plain(step)
    need_unbounded(step)
    need((step.beta >= 0) & (step.beta <= 1), "has a decay from 0 to 1")
    waits = loop is not None and loop.waits and loop.biased
    need(not waits, "whose feedback has a bias gets it from the first step on")
    if step.rule.spiking is not True:
        return _readout(step, dt)
    return "Lif", {**_membrane(step, dt), **_fire(step)}


def _readout(step: Step, dt: float) -> tuple[str, dict[str, Any]]:
    """Choose the class whose arithmetic is nearest; the potential is what the network shows."""
    given = _membrane(step, dt)
    if not step.constant.any():
        leaky = {"tau": given["tau"], "method": given["method"]}
        gain = step.gain if step.current is None else step.gain * step.current.gain
        if np.all(gain == 1) and not step.initial.any():  # it starts from 0
            return "Leaky", leaky
        if np.all(gain == step.leak):
            return "Integrator", leaky
    return "IF", given


def _membrane(step: Step, dt: float) -> dict[str, Any]:
    leak = _leak(step.leak)
    gain = step.gain if step.current is None else step.gain * step.current.gain
    given = {"tau": 1e3 * dt / leak, "R": gain / leak, "method": "euler"}
    return {**given, "V_rest": step.constant / leak}


def _fire(step: Step) -> dict[str, Any]:
    rule = step.rule
    need(rule.max_spikes == 1, "spikes at most once in a step")
    threshold = threshold_for(step, Compare.GREATER_EQUAL).astype(np.float32)
    if rule.reset is Reset.SET:
        return {"V_th": threshold, "V_reset": step.reset, "spk_reset": "hard"}
    # A spike takes V_th - V_reset, a difference in float32.
    amount = step.amount if rule.reset is Reset.SUBTRACT else 0.0
    return {"V_th": threshold, "V_reset": threshold - amount, "spk_reset": "soft"}


TARGET = _BrainPy(
    name="brainpy",
    label="BrainPy",
    neurons=_neuron,
    loops=frozenset({Linear, Conv1d, Conv2d}),
    order="channels last",
    plain=frozenset({Linear, Conv1d, Conv2d, AvgPool, MaxPool, SumPool, BatchNorm, Flatten}),
    identifiers=True,
)
