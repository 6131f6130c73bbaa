"""A graph under construction: its inputs and outputs, initializers, states and clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from snnbridge.model import Array, Delay, Neuron, Shape
from snnbridge.simulator import coefficients
from snnbridge.simulator.network import Key, Network, Node
from snnbridge_plugins.onnx.functions import Library
from snnbridge_plugins.onnx.layers import recipe_of
from snnbridge_plugins.onnx.recipes import Setting, State
from snnbridge_plugins.onnx.schema import Message
from snnbridge_plugins.onnx.terms import Scope, Term, value_info


@dataclass(frozen=True, slots=True)
class Style:
    """How a graph is written.

    Attributes
    ----------
    width : str
        The dtype in which the network computes.
    sums : str
        The dtype in which inputs are summed.
    opset : int
    stepwise : bool
        Whether one run of the graph is one step.
    """

    width: str
    sums: str
    opset: int
    stepwise: bool


@dataclass
class Graph:
    """A graph under construction, and what a caller may want to know of it.

    Attributes
    ----------
    initial : dict of (layer, variable) to numpy.ndarray
        States to start from; what is not in it starts at rest.
    first_step : int
        The index of the first step.
    inputs, outputs, values : list of Message
        Their types.
    initializers : dict of str to numpy.ndarray
    defaults : dict of str to numpy.ndarray
        Initializers that a caller may replace.
    stimuli : dict of str to str
        From input layers to values.
    traces : dict of str to dict
        From layers and variables to values.
    results : dict of str to str
        From output layers to values.
    states : list of (start, end)
        Names of the values.
    """

    network: Network
    style: Style
    initial: Mapping[tuple[str, str], Array] = field(default_factory=dict)
    first_step: int = 0
    scope: Scope = field(default_factory=Scope)
    inputs: list[Message] = field(default_factory=list)
    outputs: list[Message] = field(default_factory=list)
    values: list[Message] = field(default_factory=list)
    initializers: dict[str, Array] = field(default_factory=dict)
    defaults: dict[str, Array] = field(default_factory=dict)
    stimuli: dict[str, str] = field(default_factory=dict)
    traces: dict[str, dict[str, str]] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    states: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.library = Library(self.style.opset)
        self.lead: list[str | int | None] = ["batch"] if self.style.stepwise else ["steps", "batch"]
        self.nodes = {node.key: node for node in self.network.nodes}
        self.history = self._histories()
        self.recipes = {
            node.key: recipe_of(node.layer, self._setting(node))
            for node in self.network.nodes
            if node.what == "layer" and not isinstance(node.layer, Delay)
        }
        self._gains: dict[Key, Term | None] = {}
        self._parameters: dict[tuple[str, str], Term] = {}
        self._clock: Term | None = None

    def _setting(self, node: Node) -> Setting:
        name, style = node.key[0], self.style
        shape_in, shape_out = self.network.shapes_in[name], self.network.shapes_out[name]
        return Setting(style.width, style.sums, self.network.steps[name], shape_in, shape_out)

    def _histories(self) -> dict[Key, int]:
        """Return how far back each signal is looked at, by a delayed delivery too."""
        found = {k: max(node.history, self.delivery(k)) for k, node in self.nodes.items()}
        for key, delay in map(self.network.signal, self.network.outputs):
            found[key] = max(found[key], delay)
        return found

    def delivery(self, key: Key) -> int:
        """Return how many steps after it was written a signal is delivered."""
        node = self.nodes[key]
        if node.what != "layer" or not isinstance(node.layer, Neuron):
            return 0
        return int(node.layer.rule.output_delay)  # type: ignore[arg-type]

    def add_stimulus(self, node: Node) -> None:
        """Add an input for the stimulus of a layer."""
        term = self.scope.term(node.key[0], self.style.width)
        doc = "spikes or currents"
        self.inputs.append(value_info(term.name, term.dtype, [*self.lead, *node.shape], doc))
        self.stimuli[node.key[0]] = term.name
        self.stimulus = term

    def parameter(self, layer: str, name: str, array: Array) -> Term:
        """Return an initializer, made once."""
        if (layer, name) not in self._parameters:
            term = self.scope.term(f"{layer}.{name}", array.dtype.name)
            self.initializers[term.name] = array
            self._parameters[layer, name] = term
        return self._parameters[layer, name]

    def start(self, layer: str, state: State, steps: int = 0) -> Term:
        """Return an input for a state, with its default; `steps` of them for a past."""
        name = f"{layer}.{state.variable}"
        value = self.initial.get((layer, state.variable))
        if value is None:
            value = _as_state(state, steps)
        term = self.scope.term(f"{name}.start", value.dtype.name)
        self.defaults[term.name] = value
        doc = f"state {state.variable!r} of {layer!r}; the batch, or 1 for all"
        self.inputs.append(value_info(term.name, term.dtype, [None] * value.ndim, doc))
        return term

    def expanded(self, term: Term, shape: Shape, steps: int = 0) -> Term:
        """Return a state for the whole batch."""
        axis = len(self.lead) - 1
        dims = [self.scope.sizes(self.stimulus, axis, axis + 1)]
        if steps:
            dims.insert(0, self.scope.constant([steps], "int64"))
        if shape:
            dims.append(self.scope.constant(list(shape), "int64"))
        whole = self.scope.op("Concat", *dims, axis=0)
        return self.scope.op("Expand", term, whole)

    def end(self, start: str, term: Term) -> None:
        """Make a value the last state of the one that starts so."""
        name = start.removesuffix(".start") + ".end"
        made = term if term.name == name else self.scope.op("Identity", term, hint=name)
        dims = [None] * len(self.defaults[start].shape)
        self.outputs.append(value_info(made.name, made.dtype, dims))
        self.states.append((start, made.name))

    def time(self) -> Term:
        """Return the indices of the steps in float32, or the index of the step."""
        if self._clock is None:
            first = self.scope.term("step.start", "int64")
            self.defaults[first.name] = np.asarray(self.first_step, np.int64)
            self.inputs.append(value_info(first.name, "int64", [], "index of the first step"))
            self._first = first
            self._clock = (first if self.style.stepwise else self._indices(first)).cast("float32")
        return self._clock

    def _indices(self, first: Term) -> Term:
        return self.scope.op("Range", first, self._after(first), self.scope.constant(1, "int64"))

    def _after(self, first: Term) -> Term:
        if self.style.stepwise:
            return first + 1
        count = self.scope.sizes(self.stimulus, 0, 1)
        return first + self.scope.op("Squeeze", count, self.scope.constant([0], "int64"))

    def end_clock(self) -> None:
        """Hand on the index of the next step."""
        if self._clock is not None:
            self.end(self._first.name, self._after(self._first))

    def gain(self, key: Key) -> Term | None:
        """Return the factor on what a neuron hands on, if there is one."""
        if key not in self._gains:
            node, self._gains[key] = self.nodes[key], None
            if isinstance(node.layer, Neuron) and node.what == "layer":
                held = _output_gain(node.layer, self.network, key[0])
                if held is not None:
                    self._gains[key] = self.parameter(key[0], "output_gain", held)
        return self._gains[key]

    def state_type(self, term: Term, shape: Shape) -> None:
        """State the type of a value, for tools that show it."""
        self.values.append(value_info(term.name, term.dtype, [*self.lead, *shape]))


def _as_state(state: State, steps: int) -> Array:
    """Return a state's default with axes for the batch, and for its steps if it is a past."""
    axes = len(state.shape)
    value = state.default
    value = value if value.ndim == axes and axes else value.reshape(-1)
    if (value == value.flat[0]).all():
        value = value.reshape(-1)[:1].reshape((1,) * axes)
    return value[None, None] if steps else value[None]


def _output_gain(layer: Neuron, network: Network, name: str) -> Array | None:
    if "output_gain" not in layer.parameters:
        return None
    found = coefficients(layer, network.steps[name])["output_gain"]
    if (found == 1).all():
        return None
    return found.reshape(-1)[0] if (found == found.flat[0]).all() else found
