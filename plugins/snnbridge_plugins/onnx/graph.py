"""From the nodes of a network to a graph of standard operators and model-local functions.

Layers outside cycles run over all steps at once, each as the call of one function; layers on a
cycle, and all layers of a step-wise graph, run one step at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from snnbridge import CheckpointError
from snnbridge.model import Array, Delay, Neuron, Shape, Synapse
from snnbridge.simulator import coefficients
from snnbridge.simulator.network import Key, Network, Node, delay_steps
from snnbridge_plugins.onnx.functions import Library, Parameters, loop_graph, scan
from snnbridge_plugins.onnx.recipes import Recipe, Setting, State, Terms, recipe_of
from snnbridge_plugins.onnx.schema import DOMAIN, Message
from snnbridge_plugins.onnx.terms import Scope, Term, value_info

_END = 1 << 62
#: What a signal is read as: which, how many steps ago, in which shape.
Reading: TypeAlias = tuple[Key, int, Shape]


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
        found = {k: max(node.history, self._delivery(k)) for k, node in self.nodes.items()}
        for key, delay in map(self.network.signal, self.network.outputs):
            found[key] = max(found[key], delay)
        return found

    def _delivery(self, key: Key) -> int:
        """Return how many steps after it was written a signal is delivered."""
        node = self.nodes[key]
        if node.what != "layer" or not isinstance(node.layer, Neuron):
            return 0
        return int(node.layer.rule.output_delay)  # type: ignore[arg-type]

    def build(self) -> None:
        """Add everything."""
        if not self.network.inputs:
            raise CheckpointError("the network has no input; a graph needs one to know its steps")
        for node in self.network.nodes:
            if node.what == "stimulus":
                self._add_stimulus(node)
        signals: OverTime | OneStep
        signals = self._steps() if self.style.stepwise else self._over_time()
        self._name_traces(signals)
        self._name_results(signals)
        self.end_clock()

    def _add_stimulus(self, node: Node) -> None:
        term = self.scope.term(node.key[0], self.style.width)
        doc = "spikes or currents"
        self.inputs.append(value_info(term.name, term.dtype, [*self.lead, *node.shape], doc))
        self.stimuli[node.key[0]] = term.name
        self.stimulus = term

    def _over_time(self) -> OverTime:
        signals = OverTime(self)
        for first, last, cycle in self.network.parts:
            nodes = self.network.nodes[first : last + 1]
            if cycle:
                Cycle(signals, nodes).add()
            else:
                signals.add(nodes[0])
        return signals

    def _steps(self) -> OneStep:
        signals = OneStep(self, self.scope)
        for node in self.network.nodes:
            signals.begin(node, top=True)
        for node in self.network.nodes:
            signals.add(node)
        signals.end_all()
        return signals

    # Values

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
            self.defaults[first.name] = np.zeros((), np.int64)
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

    # Results

    def state_value(self, term: Term, shape: Shape) -> None:
        """State the type of a value, for tools that show it."""
        self.values.append(value_info(term.name, term.dtype, [*self.lead, *shape]))

    def _name_traces(self, signals: OverTime | OneStep) -> None:
        for key, found in signals.traces.items():
            held = self.traces.setdefault(key[0], {})
            for variable, (term, shape) in found.items():
                delay = self._delivery(key)
                if variable == "spikes" and delay:
                    term = signals.raw(key, delay)
                elif variable == "output":
                    term = signals.read((key, delay, shape))
                self.state_value(term, shape)
                held[variable] = term.name

    def _name_results(self, signals: OverTime | OneStep) -> None:
        """Make what the output layers hand on outputs of the graph."""
        found = []
        for name in self.network.outputs:
            key, delay = self.network.signal(name)
            shape = self.network.shapes_out[name]
            term = signals.read((key, delay, shape))
            taken = any(term.name == value["name"] for value in (*self.inputs, *found))
            if taken or name != key[0]:
                term = self.scope.op("Identity", term, hint=name)
            self.results[name] = term.name
            found.append(value_info(term.name, term.dtype, [*self.lead, *shape]))
        self.outputs[:0] = found
        named = {value["name"] for value in self.outputs}
        self.values = [value for value in self.values if value["name"] not in named]


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


class Signals:
    """The values that nodes write, in one scope, and the ways of reading them.

    Attributes
    ----------
    lead : int
        How many axes stand before a layer's own.
    traces : dict
        By node and variable: the value and its shape.
    """

    lead: int
    #: Of the names of values; those in a loop's body leave the plain ones to what leaves it.
    suffix = ""

    def __init__(self, graph: Graph, scope: Scope) -> None:
        self.graph, self.scope = graph, scope
        self.network = graph.network
        self.now: dict[Key, Term] = {}
        self.traces: dict[Key, dict[str, tuple[Term, Shape]]] = {}
        self._read: dict[Reading, Term] = {}

    def raw(self, key: Key, delay: int) -> Term:
        """Return a signal some steps ago, as its node wrote it."""
        raise NotImplementedError

    def read(self, reading: Reading) -> Term:
        """Return a signal as a reader gets it: delayed, scaled, in its shape."""
        key, delay, shape = reading
        if reading not in self._read:
            term = self.scaled(key, self.raw(key, delay).within(self.scope))
            if shape != self.graph.nodes[key].shape:
                term = self.scope.reshape(term, (*(0,) * self.lead, *shape))
            self._read[reading] = term
        return self._read[reading]

    def scaled(self, key: Key, term: Term) -> Term:
        """Apply the factor on what a neuron hands on."""
        gain = self.graph.gain(key)
        return term if gain is None else gain.within(self.scope) * term

    def readings(self, node: Node) -> list[Reading]:
        """Return what a node reads."""
        name, what = node.key
        shape = node.shape
        if node.what == "layer":
            shape = self.network.shapes_in[name]
        return [(key, delay, shape) for key, delay in node.sources]

    def add_sum(self, node: Node) -> None:
        """Add several signals in the order of their connections."""
        found = [self.read(reading) for reading in self.readings(node)]
        total = found[0] if found else self._zeros(node.shape)
        for term in found[1:]:
            total = total + term
        self.now[node.key] = total

    def _zeros(self, shape: Shape) -> Term:
        lead = self.scope.sizes(self.graph.stimulus.within(self.scope), 0, len(self.graph.lead))
        own = self.scope.constant(list(shape), "int64")
        whole = self.scope.op("Concat", lead, own, axis=0) if shape else lead
        zero = self.scope.constant(0, self.graph.style.width)
        return self.scope.op("Expand", zero, whole)

    def call(
        self, node: Node, function: str, arguments: Sequence[Term], recipe: Recipe
    ) -> list[Term]:
        """Add the call of a function; return its last states."""
        name, width, now = node.key[0], self.graph.style.width, self.suffix
        outputs = [(_value_name(name, out) + now, width) for out, _ in recipe.outputs]
        ends = [(f"{name}.{s.variable}.end{now}", s.default.dtype.name) for s in recipe.states]
        made = self.scope.add(
            function, arguments, [*outputs, *ends], domain=DOMAIN, name=name, doc_string=recipe.doc
        )
        self.now[node.key] = made[0]
        if isinstance(node.layer, Neuron | Synapse):
            self.traces[node.key] = {
                variable: (term, shape)
                for (variable, shape), term in zip(recipe.outputs, made, strict=False)
            }
        return made[len(outputs) :]


def _value_name(layer: str, output: str) -> str:
    return layer if output in ("y", "output") else f"{layer}.{output}"


class OverTime(Signals):
    """Signals of all steps at once, shape (steps, batch, ...)."""

    lead = 2

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph, graph.scope)
        self._joined: dict[Key, Term] = {}
        self._pasts: dict[Key, Term] = {}

    def add(self, node: Node) -> None:
        """Add a node that lies on no cycle."""
        if node.what == "stimulus":
            self.now[node.key] = Term(self.scope, self.graph.stimuli[node.key[0]], self.width)
        elif node.what == "sum":
            self.add_sum(node)
        elif isinstance(node.layer, Delay):
            self._add_delay(node, node.layer)
        else:
            self._add_layer(node)
        if self.graph.history[node.key]:
            start, whole = self.past(node)
            self._pasts[node.key] = whole
            joined = self.joined(node.key)
            self.graph.end(start, self.scope.slice(joined, -self.graph.history[node.key], _END))

    @property
    def width(self) -> str:
        """The network's dtype."""
        return self.graph.style.width

    def past(self, node: Node) -> tuple[str, Term]:
        """Return an input for the steps before the first, and the same for the whole batch."""
        steps = self.graph.history[node.key]
        start = self.graph.start(node.key[0], _past(node, self.width), steps)
        return start.name, self.graph.expanded(start, node.shape, steps)

    def joined(self, key: Key) -> Term:
        """Return a signal with its past before it."""
        if key not in self._joined:
            parts = (self._pasts[key], self.now[key])
            self._joined[key] = self.scope.op("Concat", *parts, hint=f"{key[0]}.joined", axis=0)
        return self._joined[key]

    def raw(self, key: Key, delay: int) -> Term:
        """Return a signal some steps ago, as its node wrote it."""
        if not delay:
            return self.now[key]
        return self.scope.slice(self.joined(key), self.graph.history[key] - delay, -delay)

    def adopt(self, key: Key, signal: Term, past: Term | None) -> None:
        """Take over what a cycle wrote."""
        self.now[key] = signal
        if past is not None:
            self._pasts[key] = past

    def _add_layer(self, node: Node) -> None:
        graph, recipe = self.graph, self.graph.recipes[node.key]
        inputs = [self.read(reading) for reading in self.readings(node)]
        function, names = graph.library.over_time(recipe, [x.dtype for x in inputs])
        time = [graph.time()] if recipe.timed else []
        states = [graph.start(node.key[0], state) for state in recipe.states]
        held = [graph.parameter(node.key[0], n, recipe.parameters[n]) for n in names]
        ends = self.call(node, function, [*inputs, *time, *states, *held], recipe)
        for start, last in zip(states, ends, strict=True):
            graph.end(start.name, last)

    def _add_delay(self, node: Node, layer: Delay) -> None:
        """Gather each element from its own number of steps ago."""
        (key, delay, shape), scope = self.readings(node)[0], self.scope
        whole = self.joined(key) if self.graph.history[key] else self.now[key]
        back = self.graph.history[key] - delay - _delays(self.network, node, layer)
        places = self.graph.parameter(node.key[0], "places", back)
        count = scope.op("Squeeze", scope.sizes(self.now[key], 0, 1), scope.constant([0], "int64"))
        zero, one = scope.constant(0, "int64"), scope.constant(1, "int64")
        steps = scope.op("Range", zero, count, one)
        column = scope.reshape(steps, (-1, 1, *(1,) * len(shape)))
        whole = scope.reshape(whole, (0, 0, *shape))
        lead, own = scope.sizes(self.now[key], 0, 2), scope.constant(list(shape), "int64")
        indices = scope.op("Expand", column + places, scope.op("Concat", lead, own, axis=0))
        made = scope.op("GatherElements", whole, indices, hint=node.key[0], axis=0)
        self.now[node.key] = self.scaled(key, made)


class OneStep(Signals):
    """Signals of one step, shape (batch, ...), and the states on their way to the next."""

    lead = 1

    def __init__(self, graph: Graph, scope: Scope) -> None:
        super().__init__(graph, scope)
        self.recipes = graph.recipes
        self.states: dict[tuple[Key, str], Term] = {}
        self.ends: dict[tuple[Key, str], Term] = {}
        self.starts: dict[tuple[Key, str], str] = {}
        self.held: dict[tuple[Key, str], State] = {}
        self.prepared: dict[Key, Terms] = {}
        self.time: Term | None = None

    def begin(self, node: Node, *, top: bool) -> None:
        """Make inputs for the states of a node; `top` where this is the graph itself."""
        graph = self.graph
        if node.what == "stimulus":
            name = graph.stimuli[node.key[0]]
            self.now[node.key] = Term(self.scope, name, graph.style.width)
        recipe = self.recipes.get(node.key)
        for state in () if recipe is None else recipe.states:
            start = graph.start(node.key[0], state)
            self._begin(node, state, start, graph.expanded(start, state.shape))
        steps = graph.history[node.key]
        if steps:
            state = _past(node, graph.style.width)
            start = graph.start(node.key[0], state, steps)
            self._begin(node, state, start, graph.expanded(start, node.shape, steps))
        if recipe is not None:
            self._prepare(node, recipe)
            if recipe.timed and top:
                self.time = graph.time()

    def _begin(self, node: Node, state: State, start: Term, whole: Term) -> None:
        place = (node.key, state.variable)
        self.starts[place], self.held[place], self.states[place] = start.name, state, whole

    def _prepare(self, node: Node, recipe: Recipe) -> None:
        """Compute once what a step needs of the parameters."""
        graph, name = self.graph, node.key[0]
        p = _Initializers(graph, name, recipe)
        self.prepared[node.key] = p if recipe.prepare is None else recipe.prepare(graph.scope, p)

    def add(self, node: Node) -> None:
        """Add one step of a node."""
        if node.what == "sum":
            self.add_sum(node)
        elif node.what == "stimulus":
            return
        elif isinstance(node.layer, Delay):
            self._add_delay(node, node.layer)
        else:
            self._add_layer(node)

    def raw(self, key: Key, delay: int) -> Term:
        """Return a signal some steps ago, as its node wrote it."""
        if not delay:
            return self.now[key]
        index = self.scope.constant(self.graph.history[key] - delay, "int64")
        return self.scope.op("Gather", self.states[key, _PAST[key[1]]], index, axis=0)

    def _add_layer(self, node: Node) -> None:
        graph, recipe = self.graph, self.recipes[node.key]
        prepared = self.prepared[node.key]
        inputs = [self.read(reading) for reading in self.readings(node)]
        dtypes = {name: prepared[name].dtype for name in prepared}
        function, names = graph.library.one_step(recipe, [x.dtype for x in inputs], dtypes)
        states = [self.states[node.key, s.variable] for s in recipe.states]
        time = [self.time] if recipe.timed and self.time is not None else []
        held = [prepared[name].within(self.scope) for name in names]
        ends = self.call(node, function, [*inputs, *time, *states, *held], recipe)
        for state, last in zip(recipe.states, ends, strict=True):
            self.ends[node.key, state.variable] = last

    def _add_delay(self, node: Node, layer: Delay) -> None:
        """Gather each element from its own number of steps ago."""
        (key, delay, shape), scope = self.readings(node)[0], self.scope
        back = self.graph.history[key] - delay - _delays(self.network, node, layer)
        places = self.graph.parameter(node.key[0], "places", back[None, None]).within(scope)
        past = self.states[key, _PAST[key[1]]]
        whole = scope.reshape(past, (0, 0, *shape))
        if (back == self.graph.history[key]).any():  # some elements are not delayed at all
            now = scope.reshape(self.now[key], (1, -1, *shape))
            whole = scope.op("Concat", whole, now, axis=0)
        one = scope.constant([1], "int64")
        indices = scope.op("Expand", places, scope.op("Concat", one, scope.sizes(whole, 1), axis=0))
        made = scope.op("GatherElements", whole, indices, axis=0)
        gone = scope.constant([0], "int64")
        self.now[node.key] = self.scaled(key, scope.op("Squeeze", made, gone, hint=node.key[0]))

    def end_pasts(self) -> None:
        """Move each past on by one step."""
        scope = self.scope
        for (key, variable), past in self.states.items():
            if variable in _PAST.values():
                now = scope.op("Unsqueeze", self.now[key], scope.constant([0], "int64"))
                rest = scope.slice(past, 1, _END)
                self.ends[key, variable] = scope.op("Concat", rest, now, axis=0)

    def end_all(self) -> None:
        """Make the last states outputs of the graph."""
        self.end_pasts()
        for place, start in self.starts.items():
            self.graph.end(start, self.ends[place])


class _Initializers(Parameters):
    """The parameters of a layer as initializers of the graph, each made when it is asked for."""

    def __init__(self, graph: Graph, name: str, recipe: Recipe) -> None:
        super().__init__(graph.scope, {k: v.dtype.name for k, v in recipe.parameters.items()})
        self._graph, self._layer, self._recipe = graph, name, recipe

    def __getitem__(self, name: str) -> Term:
        return self._graph.parameter(self._layer, name, self._recipe.parameters[name])


_PAST = {"out": "past", "in": "past input"}


def _past(node: Node, width: str) -> State:
    return State(_PAST[node.key[1]], node.shape, np.zeros(1, width))


def _delays(network: Network, node: Node, layer: Delay) -> Array:
    steps = delay_steps(layer, network.steps[node.key[0]]).astype(np.int64)
    return np.broadcast_to(steps.reshape(steps.shape or (1,)), network.shapes_in[node.key[0]])


class Cycle:
    """The nodes of a cycle as one Scan, of which the body is one step.

    Parameters
    ----------
    outer : OverTime
    nodes : sequence of Node
        In the order of their computing.
    """

    def __init__(self, outer: OverTime, nodes: Sequence[Node]) -> None:
        self.outer, self.nodes = outer, nodes
        self.graph = outer.graph
        self.body = outer.scope.inner()
        self.scanned: dict[Reading, tuple[Term, Term]] = {}
        self.inner = _Inner(self)

    def add(self) -> None:
        """Add the Scan, and hand its signals to the graph."""
        inner, graph = self.inner, self.graph
        for node in self.nodes:
            inner.begin(node, top=False)
        places = list(inner.states)
        starts = [inner.states[place] for place in places]
        for place, start in zip(places, starts, strict=True):
            inner.states[place] = self.body.term(f"{place[0][0]}.{place[1]}", start.dtype)
        loops = [inner.states[place] for place in places]
        clock = self._clock()
        for node in self.nodes:
            inner.add(node)
        inner.end_pasts()
        self._scan(places, starts, loops, clock)
        for place in places:
            graph.end(inner.starts[place], self.lasts[place])

    def _clock(self) -> list[tuple[Term, Term]]:
        if not any(
            self.graph.recipes[n.key].timed for n in self.nodes if n.key in self.inner.recipes
        ):
            return []
        self.inner.time = self.body.term("time_now", "float32")
        return [(self.graph.time(), self.inner.time)]

    def _scan(
        self,
        places: Sequence[tuple[Key, str]],
        starts: Sequence[Term],
        loops: Sequence[Term],
        clock: Sequence[tuple[Term, Term]],
    ) -> None:
        inner = self.inner
        taken = [*self.scanned.values(), *clock]
        wanted = self._wanted()
        ends = [inner.ends[place] for place in places]
        shapes = [self._state_shape(place) for place in places]
        graph = loop_graph(
            self.body,
            [(loop, None) for loop in loops],
            [now for _, now in taken],
            [*ends, *(term for _, _, term, _ in wanted)],
            [*shapes, *(shape for _, _, _, shape in wanted)],
        )
        names = [f"{key[0]}.{variable}.end" for key, variable in places]
        names += [_value_name(key[0], variable or "y") for key, variable, _, _ in wanted]
        dtypes = [term.dtype for term in (*ends, *(w[2] for w in wanted))]
        made = scan(self.outer.scope, graph, starts, [x for x, _ in taken], names, dtypes,
                    name=self._name())  # fmt: skip
        self.lasts = dict(zip(places, made, strict=False))
        self._hand_on(wanted, made[len(places) :], dict(zip(places, starts, strict=True)))

    def _name(self) -> str:
        neurons = [n.key[0] for n in self.nodes if isinstance(n.layer, Neuron)]
        return f"loop of {', '.join(neurons[:4]) or self.nodes[0].key[0]}"

    def _state_shape(self, place: tuple[Key, str]) -> Shape:
        key, variable = place
        past = variable in _PAST.values()
        return (1, *self.inner.held[place].shape) if past else self.inner.held[place].shape

    def _wanted(self) -> list[tuple[Key, str, Term, Shape]]:
        """List what leaves the loop: traces, and the signals that others read."""
        read = {key for node in self.graph.network.nodes for key, _ in node.sources}
        read |= {self.graph.network.signal(name)[0] for name in self.graph.network.outputs}
        found = []
        for node in self.nodes:
            traces = self.inner.traces.get(node.key, {})
            found += [(node.key, variable, *value) for variable, value in traces.items()]
            if not traces and node.key in read:
                found.append((node.key, "", self.inner.now[node.key], node.shape))
        return found

    def _hand_on(
        self,
        wanted: Sequence[tuple[Key, str, Term, Shape]],
        made: Sequence[Term],
        starts: Mapping[tuple[Key, str], Term],
    ) -> None:
        for (key, variable, _, shape), term in zip(wanted, made, strict=True):
            if variable:
                self.outer.traces.setdefault(key, {})[variable] = (term, shape)
            if variable in ("", "spikes", "output"):
                self.outer.adopt(key, term, starts.get((key, _PAST[key[1]])))


class _Inner(OneStep):
    """Signals inside a cycle, which reads those outside as inputs of its loop."""

    suffix = ".now"

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(cycle.graph, cycle.body)
        self._cycle = cycle
        self._own = {node.key for node in cycle.nodes}

    def read(self, reading: Reading) -> Term:
        """Return a signal as a reader gets it."""
        if reading[0] in self._own:
            return super().read(reading)
        scanned = self._cycle.scanned
        if reading not in scanned:
            outside = self._cycle.outer.read(reading)
            scanned[reading] = outside, self.scope.term(f"{reading[0][0]}.now", outside.dtype)
        return scanned[reading][1]
