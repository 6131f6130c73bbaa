"""A graph under construction: its inputs and outputs, initializers, states and clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snnbridge.model import Array, Delay, Flatten, Neuron, Shape
from snnbridge.simulator import coefficients
from snnbridge.simulator.engines import Key, Network, Node
from snnbridge_plugins.onnx.file.schema import DOMAIN, Message
from snnbridge_plugins.onnx.graph import boxes
from snnbridge_plugins.onnx.graph.functions import Build, Library
from snnbridge_plugins.onnx.graph.states import Kept, at_rest, brief, dims_of, stated_dims
from snnbridge_plugins.onnx.graph.telling import meaning
from snnbridge_plugins.onnx.recipes.recipe import Recipe, Setting, State
from snnbridge_plugins.onnx.recipes.table import recipe_of
from snnbridge_plugins.onnx.recipes.terms import Names, Scope, Term, value_info


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
    shows_all : bool
        Whether what every layer does is an output of the graph.
    """

    width: str
    sums: str
    opset: int
    stepwise: bool
    shows_all: bool = False


@dataclass
class Graph:
    """A graph under construction, and what a caller may want to know of it.

    Attributes
    ----------
    kept : Kept
        States to start from; what is not in it starts at rest.
    tied : mapping of int to numpy.ndarray
        By the id of an array the one that stands for it.
    inputs, outputs, values : list of Message
        Their types.
    initializers : dict of str to numpy.ndarray
    defaults : dict of str to numpy.ndarray
        Initializers that a caller may replace.
    rest : dict of str to numpy.ndarray
        What starts at rest would be, of those that do not.
    notes : dict of str to str
        What an initializer that the graph alone uses is.
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
    kept: Kept = field(default_factory=Kept)
    tied: Mapping[int, Array] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    inputs: list[Message] = field(default_factory=list)
    outputs: list[Message] = field(default_factory=list)
    values: list[Message] = field(default_factory=list)
    initializers: dict[str, Array] = field(default_factory=dict)
    defaults: dict[str, Array] = field(default_factory=dict)
    rest: dict[str, Array] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
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
        self._node_names = Names()
        for name in self.network.layers:
            self._node_names.unique(name)
        self.flattening = self._flattening()
        self.drawn: set[str] = set()
        self._gains: dict[Key, Term | None] = {}
        self._parameters: dict[tuple[str, str], Term] = {}
        self._shared: dict[int, Term] = {}
        self._clock: tuple[Term, Term, Term] | None = None

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
        """Return an initializer, made once; layers that share an array share it."""
        if (layer, name) not in self._parameters:
            array = self.tied.get(id(array), array)
            term = self._shared.get(id(array))
            if term is None:
                term = self.scope.term(f"{layer}.{name}", array.dtype.name)
                self.initializers[term.name] = array  # which keeps the array's id its own
                self._shared[id(array)] = term
                self.notes[term.name] = meaning(layer, name)
            self._parameters[layer, name] = term
        return self._parameters[layer, name]

    def start(self, layer: str, state: State, steps: int = 0) -> Term:
        """Return an input for a state, with its default; `steps` of them for a past."""
        name, value = f"{layer}.{state.variable}", self.kept.value(layer, state, steps)
        term = self.scope.term(f"{name}.start", state.default.dtype.name)
        resting = at_rest(state, steps)
        if value is not None:
            self.rest[term.name] = brief(resting)
        self.defaults[term.name] = resting if value is None else value
        doc = f"state {state.variable!r} of {layer!r}; the batch, or 1 for all"
        dims = stated_dims(self.defaults[term.name], dims_of(state, None, steps))
        self.inputs.append(value_info(term.name, term.dtype, dims, doc))
        return term

    def end(self, start: str, term: Term, dims: Sequence[int | str | None]) -> None:
        """Make a value the last state of the one that starts so."""
        name = start.removesuffix(".start") + ".end"
        if term.name != name:
            term = self.scope.op("Identity", term, hint=name, name=self.node_name(name))
        self.outputs.append(value_info(term.name, term.dtype, dims))
        self.states.append((start, term.name))

    def time(self) -> Term:
        """Return the indices of the steps in float32, or the index of the step."""
        if self._clock is None:
            first = self.scope.term("step.start", "int64")
            self.defaults[first.name] = np.asarray(self.kept.step, np.int64)
            if self.kept.step:
                self.rest[first.name] = np.asarray(0, np.int64)
            self.inputs.append(value_info(first.name, "int64", [], "index of the first step"))
            inputs = {"first": first}
            if not self.style.stepwise:
                inputs = {"x": self.stimulus, **inputs}
            build = boxes.clock_step if self.style.stepwise else boxes.clock
            time, after = self.box(self.scope, "Clock", "step", inputs, build,
                                   ["step.now", "step.end"])  # fmt: skip
            self._clock = (first, time, after)
        return self._clock[1]

    def end_clock(self) -> None:
        """Hand on the index of the next step."""
        if self._clock is not None:
            first, _, after = self._clock
            self.end(first.name, after, [])

    def node_name(self, hint: str) -> str:
        """Return a name for a node that is no layer's own; no two may be equal."""
        return self._node_names.unique(hint)

    def box(
        self,
        scope: Scope,
        title: str,
        name: str,
        inputs: Mapping[str, Term],
        build: Build,
        hints: Sequence[str],
        *,
        is_layer: bool = False,
    ) -> list[Term]:
        """Call a function of a few operators.

        Parameters
        ----------
        scope : Scope
            Where.
        title, name : str
            Of the function and of the node.
        inputs : mapping of str to Term
            By the names that they have inside.
        build : function of (Scope, inputs), returning outputs by name
        hints : sequence of str
            Names for the outputs.
        is_layer : bool
            Whether the node is a layer's own.
        """
        types = {key: term.dtype for key, term in inputs.items()}
        function, made = self.library.box(title, types, build, boxes.DOCS[title])
        outputs = list(zip(hints, made.values(), strict=True))
        name = name if is_layer else self.node_name(name)
        return scope.add(function, list(inputs.values()), outputs, domain=DOMAIN, name=name)

    def whole(self, layer: str, state: State, start: Term, steps: int = 0) -> Term:
        """Return a state for the whole batch, for a loop to start from."""
        build = boxes.started(state.shape, len(self.lead) - 1, steps)
        name = f"{layer}.{state.variable}"
        inputs = {"like": self.stimulus, "start": start}
        return self.box(self.scope, "Start", f"{name}.start", inputs, build, [f"{name}.first"])[0]

    def constants(self, layer: str, recipe: Recipe) -> dict[str, Term]:
        """Return prepared parameters, for a loop that takes them from outside."""
        function, names, made = self.library.constants(recipe)
        taken = [self.parameter(layer, n, recipe.parameters[n]) for n in names]
        outputs = [(f"{layer}.{key}.ready", dtype) for key, dtype in made.items()]
        name = self.node_name(f"{layer}.constants")
        found = self.scope.add(function, taken, outputs, domain=DOMAIN, name=name)
        return dict(zip(made, found, strict=True))

    def _flattening(self) -> dict[tuple[Key, int, Shape], str]:
        """Name the layers that do nothing but give a signal another shape, by how it is read."""
        found: dict[tuple[Key, int, Shape], str] = {}
        for name, sources in self.network.incoming.items():
            for source, steps in sources:
                flatten = self._flatten_before(source)
                if flatten:
                    key, delay = self.network.signal(source)
                    found.setdefault((key, delay + steps, self.network.shapes_in[name]), flatten)
        for name in self.network.outputs:
            flatten = self._flatten_before(name)
            if flatten:
                reading = (*self.network.signal(name), self.network.shapes_out[name])
                found.setdefault(reading, flatten)
        return found

    def _flatten_before(self, name: str) -> str:
        """Name the first such layer on the way from where a layer's output is written."""
        found = ""
        while (through := self.network.through(name)) is not None:
            if isinstance(self.network.layers[name], Flatten):
                found = name
            name = through[0]
        return found

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


def _output_gain(layer: Neuron, network: Network, name: str) -> Array | None:
    if "output_gain" not in layer.parameters:
        return None
    found = coefficients(layer, network.steps[name])["output_gain"]
    if (found == 1).all():
        return None
    return found.reshape(-1)[0] if (found == found.flat[0]).all() else found
