"""How each kind of layer computes: its parameters, its states and its step.

A recipe does not know whether it will run over all steps at once or one by one; the module
`functions` makes a model-local function of it for either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snnbridge.model import (
    UNKNOWN,
    Array,
    AvgPool,
    BatchNorm,
    Clock,
    Conv1d,
    Conv2d,
    Flatten,
    Form,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Refractory,
    Scale,
    Shape,
    SumPool,
    Synapse,
    SynapseKind,
    TimeStep,
)
from snnbridge.simulator import coefficients
from snnbridge.simulator.coefficients import clock_step
from snnbridge.simulator.lower import refuse_odd
from snnbridge_plugins.onnx.neurons import neuron_step
from snnbridge_plugins.onnx.synapses import synapse_step
from snnbridge_plugins.onnx.terms import Scope, Term
from snnbridge_plugins.onnx.windows import counts, pads, taps

_AT_ONCE = 4 << 20
Terms = Mapping[str, Term]


@dataclass(frozen=True)
class State:
    """A variable that stays from step to step.

    Attributes
    ----------
    variable : str
        Its name in the model's state: ``"v"``.
    shape : tuple of int
        Without the batch.
    default : numpy.ndarray
        At rest; broadcasts to the shape.
    """

    variable: str
    shape: Shape
    default: Array


@dataclass(frozen=True)
class Inside:
    """What a step works with.

    Attributes
    ----------
    scope : Scope
    p : mapping of str to Term
        The parameters, prepared.
    inputs, states : sequence of Term
    time : Term or None
        The index of the step in float32.
    lead : int
        How many axes stand before the layer's: 1 for the batch, 2 for steps and batch.
    """

    scope: Scope
    p: Terms
    inputs: Sequence[Term]
    states: Sequence[Term]
    time: Term | None
    lead: int


@dataclass(frozen=True)
class Recipe:
    """How a layer computes.

    Attributes
    ----------
    title : str
        What its function is called.
    step : function of Inside, returning outputs and new states
    outputs : tuple of (name, shape)
        Of each output; the first is what the layer hands on.
    parameters : dict of str to numpy.ndarray
        Those that change nothing are left out.
    prepare : function of (Scope, parameters), optional
        What is computed of the parameters once, before the first step.
    states : tuple of State
    pointwise : bool
        Whether the step works on all steps at once.
    timed : bool
        Whether it reads the index of the step.
    doc : str
    """

    title: str
    step: Callable[[Inside], tuple[Sequence[Term], Sequence[Term]]]
    outputs: tuple[tuple[str, Shape], ...]
    parameters: Mapping[str, Array] = field(default_factory=dict)
    prepare: Callable[[Scope, Terms], Mapping[str, Term]] | None = None
    states: tuple[State, ...] = ()
    pointwise: bool = False
    timed: bool = False
    doc: str = ""


@dataclass(frozen=True)
class Setting:
    """What a recipe depends on beside its layer.

    Attributes
    ----------
    width : str
        The network's dtype.
    sums : str
        The dtype in which inputs are summed.
    dt : Quantity or PER_STEP or UNKNOWN
    shape_in, shape_out : tuple of int
    """

    width: str
    sums: str
    dt: TimeStep
    shape_in: Shape
    shape_out: Shape


def recipe_of(layer: Layer, setting: Setting) -> Recipe:
    """Return the recipe of a layer.

    Parameters
    ----------
    layer : Layer
        Of a kind that computes something: not Input, Output, Delay or Subgraph.
    setting : Setting

    Raises
    ------
    CheckpointError
        For an array with a number that is not finite, or values that no step can be made of.
    """
    return _RECIPES[type(layer)](layer, setting)


def _array(layer: Layer, name: str) -> Array:
    value = layer.parameters[name].value
    assert value is not UNKNOWN
    rows = max(1, _AT_ONCE * len(value) // max(1, value.nbytes)) if value.ndim else 1
    for start in range(0, len(value) if value.ndim else 1, rows):
        refuse_odd(layer, name, value[start : start + rows] if value.ndim else value)
    return value


#: What every runtime converts to float64.
_NUMBERS = {
    f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)
} | {"bool"}  # fmt: skip


def _arrays(layer: Layer, *names: str) -> dict[str, Array]:
    held = {name: _array(layer, name) for name in names if name in layer.parameters}
    return {
        name: value if value.dtype.name in _NUMBERS else value.astype(np.float64)
        for name, value in held.items()
    }


def _linear(layer: Linear, to: Setting) -> Recipe:
    def prepare(scope: Scope, p: Terms) -> dict[str, Term]:
        wide = scope.op("Transpose", p["weight"].cast(to.sums), hint="columns", perm=(1, 0))
        return {"weight": wide, **({"bias": p["bias"].cast(to.sums)} if "bias" in p else {})}

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        x = _apart(at.inputs[0], to.sums)
        y = at.scope.op("MatMul", x, at.p["weight"])
        return [_apart(_finished(at, y, to.sums), to.width)], []

    arrays = _arrays(layer, "weight", "bias")
    title = "LinearBias" if "bias" in arrays else "Linear"
    doc = f"weight @ x, summed in {to.sums}, rounded once"
    outputs = (("y", to.shape_out),)
    return Recipe(title, step, outputs, arrays, prepare, pointwise=True, doc=doc)


def _apart(x: Term, dtype: str) -> Term:
    """Convert; where nothing is to be converted, keep runtimes from joining what stands around.

    onnxruntime takes a factor beside a product into the product, as a float32 whatever the
    product's own dtype. The largest of one value is that value.
    """
    return x.scope.op("Max", x) if x.dtype == dtype else x.cast(dtype)


def _finished(at: Inside, y: Term, width: str) -> Term:
    """Add the bias last, and round once."""
    return (y + at.p["bias"] if "bias" in at.p else y).cast(width)


def _conv(layer: Conv1d | Conv2d, to: Setting) -> Recipe:
    weight = _array(layer, "weight")
    outputs, inputs, *kernel = weight.shape
    groups, area = int(layer.groups), math.prod(kernel)  # type: ignore[arg-type]
    places = math.prod(to.shape_out[1:])

    def prepare(scope: Scope, p: Terms) -> dict[str, Term]:
        rows = scope.reshape(p["weight"].cast(to.sums), (groups, outputs // groups, inputs * area))
        found = {"weight": scope.op("Transpose", rows, hint="columns", perm=(0, 2, 1))}
        if "bias" in p:
            ones = (1,) * len(kernel)
            found["bias"] = scope.reshape(p["bias"].cast(to.sums), (-1, *ones))
        return {**found, "taps": p["taps"]}

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        s = at.scope
        seen = _windows(at, to.shape_in[0], math.prod(to.shape_in[1:]))
        seen = s.reshape(seen, (0, groups, inputs, places, area))
        rows = s.op("Transpose", seen, perm=(0, 1, 3, 2, 4))
        rows = s.reshape(rows, (0, groups, places, inputs * area)).cast(to.sums)
        y = s.op("Transpose", s.op("MatMul", rows, at.p["weight"]), perm=(0, 1, 3, 2))
        return [_finished(at, s.reshape(y, (0, *to.shape_out)), to.width)], []

    parameters = {**_arrays(layer, "weight", "bias"), "taps": taps(layer, to.shape_in, kernel)}
    doc = f"a sum over the window, in {to.sums}, rounded once"
    return Recipe(layer.kind, step, (("y", to.shape_out),), parameters, prepare, doc=doc)


def _windows(at: Inside, channels: int, area: int) -> Term:
    """Gather the elements of each window, zeros where it reaches beyond: (batch, channels, ...)."""
    s, x = at.scope, at.inputs[0]
    flat = s.reshape(x, (0, channels, area))
    zero = s.constant(0, x.dtype)
    padded = s.op("Pad", flat, s.constant([0, 0, 0, 0, 0, 1], "int64"), zero)
    return s.op("Gather", padded, at.p["taps"], axis=2)


def _pool(layer: SumPool | AvgPool, to: Setting) -> Recipe:
    axes = len(layer.window)  # type: ignore[arg-type]
    channels, area = math.prod(to.shape_in[:-axes]), math.prod(to.shape_in[-axes:])
    places, window = math.prod(to.shape_out[-axes:]), math.prod(layer.window)  # type: ignore[arg-type]
    parameters = {"taps": taps(layer, to.shape_in, layer.window)}  # type: ignore[arg-type]
    if isinstance(layer, AvgPool):
        parameters["counts"] = counts(layer, parameters["taps"].reshape(places, window), area)

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        s = at.scope
        seen = s.reshape(_windows(at, channels, area), (0, channels, places, window))
        total = s.op("ReduceSum", seen.cast("float64"), s.constant([3], "int64"), keepdims=0)
        if "counts" in at.p:
            total = total / at.p["counts"]
        return [s.reshape(total.cast(to.width), (0, *to.shape_out))], []

    return Recipe(layer.kind, step, (("y", to.shape_out),), parameters)


def _max_pool(layer: MaxPool, to: Setting) -> Recipe:
    axes = len(layer.window)  # type: ignore[arg-type]
    channels = math.prod(to.shape_in[:-axes])
    windows = {
        "kernel_shape": list(layer.window),  # type: ignore[arg-type]
        "strides": list(layer.stride),  # type: ignore[arg-type]
        "pads": pads(layer, to.shape_in[-axes:]),
    }

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        flat = at.scope.reshape(at.inputs[0], (0, channels, *to.shape_in[-axes:]))
        most = at.scope.op("MaxPool", flat, **windows)
        return [at.scope.reshape(most, (0, *to.shape_out))], []

    return Recipe(layer.kind, step, (("y", to.shape_out),))


def _flatten(layer: Flatten, to: Setting) -> Recipe:
    start, count = int(layer.start), len(to.shape_in)  # type: ignore[arg-type]
    order = list(range(count))
    order.insert(int(layer.end) % count, order.pop(start % count))  # type: ignore[arg-type]

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        perm = [*range(at.lead), *(n + at.lead for n in order)]
        moved = at.scope.op("Transpose", at.inputs[0], perm=perm)
        return [at.scope.reshape(moved, (*(0,) * at.lead, *to.shape_out))], []

    return Recipe("FlattenChannelsLast", step, (("y", to.shape_out),), pointwise=True)


def _scale(layer: Scale, to: Setting) -> Recipe:
    def prepare(scope: Scope, p: Terms) -> dict[str, Term]:
        return {"factor": p["factor"].cast("float64")}

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        return [(at.inputs[0].cast("float64") * at.p["factor"]).cast(to.width)], []

    parameters = _arrays(layer, "factor")
    outputs = (("y", to.shape_out),)
    return Recipe("Scale", step, outputs, parameters, prepare, pointwise=True)


def _norm(layer: BatchNorm, to: Setting) -> Recipe:
    columns = (-1, *(1,) * (len(to.shape_in) - 1))

    def prepare(scope: Scope, p: Terms) -> dict[str, Term]:
        wide = {name: p[name].cast("float64") for name in parameters}
        wide["deviation"] = scope.op("Sqrt", wide.pop("variance") + wide.pop("epsilon"))
        return {name: scope.reshape(value, columns) for name, value in wide.items()}

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        y = (at.inputs[0].cast("float64") - at.p["mean"]) / at.p["deviation"]
        y = y * at.p["weight"] if "weight" in at.p else y
        return [_finished(at, y, to.width)], []

    parameters = _arrays(layer, "mean", "variance", "weight", "bias", "epsilon")
    outputs = (("y", to.shape_out),)
    return Recipe("BatchNorm", step, outputs, parameters, prepare, pointwise=True)


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


def _neuron(layer: Neuron, to: Setting) -> Recipe:
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
        states.append(State("t_last_spike", to.shape_out, np.float32([-1e7])))
    elif clocked:
        states.append(State("refractory_steps", to.shape_out, np.int64([0])))

    def step(at: Inside) -> tuple[list[Term], list[Term]]:
        v, *clock = at.states
        made = neuron_step(rule, at.p, v, at.inputs, *(clock or [None]), at.time)
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


def _synapse(layer: Synapse, to: Setting) -> Recipe:
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
        x = [at.scope.reshape(one, (*(0,) * at.lead, *shape)) for one in at.inputs]
        x = x if receptors != 1 else list(at.inputs)
        i, *second = at.states
        i, rise, out = synapse_step(rule, at.p, i, *(second or [None]), x)
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


_RECIPES: Mapping[type[Layer], Callable[[Any, Setting], Recipe]] = {
    Linear: _linear,
    Conv1d: _conv,
    Conv2d: _conv,
    SumPool: _pool,
    AvgPool: _pool,
    MaxPool: _max_pool,
    Flatten: _flatten,
    Scale: _scale,
    BatchNorm: _norm,
    Neuron: _neuron,
    Synapse: _synapse,
}
