"""The recipes of layers with a state: neurons and synapses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snnbridge.model import (
    UNKNOWN,
    Array,
    Clock,
    Form,
    Neuron,
    Refractory,
    Shape,
    Synapse,
    SynapseKind,
)
from snnbridge.simulator import coefficients
from snnbridge.simulator.engines import CLOCK, NEVER, clock_step
from snnbridge_plugins.onnx.recipes.neurons import neuron_step
from snnbridge_plugins.onnx.recipes.recipe import Inside, Recipe, Setting, State
from snnbridge_plugins.onnx.recipes.synapses import synapse_step
from snnbridge_plugins.onnx.recipes.terms import Scope, Term

#: Coefficients that change nothing, by name.
_NEUTRAL = {"gain": 1.0, "constant": 0.0, "output_gain": 1.0, "floor": -math.inf, "amount": 1.0}


def _told(numbers: Mapping[str, Array], neutral: Mapping[str, float]) -> dict[str, Array]:
    """Leave out what changes nothing; state once what is the same for all."""
    return {
        name: value.reshape(-1)[0] if (value == value.flat[0]).all() else value
        for name, value in numbers.items()
        if not (name in neutral and (value == neutral[name]).all())
    }


def _numbers(layer: Neuron | Synapse, to: Setting, shape: Shape) -> dict[str, Array]:
    if layer.shape is UNKNOWN:
        layer = replace(layer, shape=shape)
    return coefficients(layer, to.dt)


def neuron(layer: Neuron, to: Setting) -> Recipe:
    """Return the recipe of neurons: spikes, or a readout's output, and the potential."""
    rule = layer.rule
    numbers = _numbers(layer, to, to.shape_out)
    initial = numbers.pop("initial")
    numbers.pop("output_gain")  # acts on the way to what reads the spikes
    unit = {"leak": 1.0} if rule.form is Form.AFFINE else {}
    parameters = _told(numbers, {**_NEUTRAL, **unit})
    states = [State("v", to.shape_out, initial)]
    clocked = rule.spiking is True and rule.refractory is not Refractory.NONE
    timed = clocked and rule.clock is Clock.FLOAT32_TIME
    if timed:
        parameters["tick"] = np.asarray(clock_step(layer, to.dt))
        states.append(State(CLOCK, to.shape_out, np.full(1, NEVER, np.float32)))
    elif clocked:
        states.append(State("refractory_steps", to.shape_out, np.zeros(1, np.int64)))

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        v, *more = at.states
        clock = more[0] if more else None
        made = neuron_step(rule, at.p, v, at.inputs, clock, at.time)
        ends = [made.v] if made.clock is None else [made.v, made.clock]
        if made.spikes is None:
            return [made.v, made.shown], ends
        return [made.spikes, made.shown], ends

    first = "spikes" if rule.spiking is True else "output"
    outputs = ((first, to.shape_out), ("v", to.shape_out))
    title, doc = _title(layer), repr(rule)
    return Recipe(title, step, outputs, parameters, None, tuple(states), timed=timed, doc=doc)


def _title(layer: Neuron | Synapse) -> str:
    if layer.origin is not None and layer.origin.kind.isidentifier():
        kind = layer.origin.kind
        return kind if isinstance(layer, Neuron) or "Syn" in kind else f"{kind}Synapse"
    if isinstance(layer, Synapse):
        return "Synapse"
    return "Neuron" if layer.rule.spiking is True else "Readout"


def synapse(layer: Synapse, to: Setting) -> Recipe:
    """Return the recipe of a synapse: its output and its current."""
    rule, receptors = layer.rule, layer.receptors
    shape = to.shape_out if receptors == 1 else (*to.shape_out, receptors)
    real = rule.form in (Form.DERIVATIVE, Form.EXPONENTIAL_EULER)
    neutral = {**_NEUTRAL, **({} if real else {"tau": 1.0, "tau_rise": 1.0})}
    parameters = _told(_numbers(layer, to, to.shape_out), neutral)
    states = [State("i", shape, np.zeros(1, to.width))]
    if rule.kind is not SynapseKind.EXPONENTIAL:
        name = "i_rise" if rule.kind is SynapseKind.EXPONENTIAL_DIFFERENCE else "h"
        states.append(State(name, shape, np.zeros(1, to.width)))

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        x = list(at.inputs)
        if receptors != 1:
            x = [at.scope.reshape(one, (*(0,) * at.lead, *shape)) for one in x]
        i, *more = at.states
        i, rise, out = synapse_step(rule, at.p, i, more[0] if more else None, x)
        if receptors != 1:
            out = _over_receptors(at.scope, out, receptors)
        return [out, i], [i] if rise is None else [i, rise]

    outputs = (("output", to.shape_out), ("i", shape))
    title, doc = _title(layer), repr(rule)
    return Recipe(title, step, outputs, parameters, None, tuple(states), doc=doc)


def _over_receptors(scope: Scope, out: Term, receptors: int) -> Term:
    """Add the receptors of each neuron in their order."""
    parts = [scope.op("Gather", out, scope.constant(n, "int64"), axis=-1) for n in range(receptors)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
