"""The signals of a network: of all steps at once, or of one step.

Layers outside cycles run over all steps at once, each as the call of one function; layers on a
cycle, and all layers of a step-wise graph, run one step at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from snnbridge.model import Array, Delay, Layer, Neuron, Shape, Synapse
from snnbridge.simulator.engines import Key, Network, Node, delay_steps
from snnbridge_plugins.onnx.file.schema import DOMAIN, FIRST_WITH_ENTRIES
from snnbridge_plugins.onnx.graph import boxes
from snnbridge_plugins.onnx.graph.construction import Graph
from snnbridge_plugins.onnx.graph.states import dims_of
from snnbridge_plugins.onnx.recipes.recipe import Recipe, State
from snnbridge_plugins.onnx.recipes.terms import Scope, Term

#: What a signal is read as: which, how many steps ago, in which shape.
Reading: TypeAlias = tuple[Key, int, Shape]
#: The variable of a node's state that holds what it wrote in earlier steps.
PAST = {"out": "past", "in": "past input"}


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
                term = self._shaped(reading, term)
            self._read[reading] = term
        return self._read[reading]

    def _shaped(self, reading: Reading, term: Term) -> Term:
        """Give a signal another shape, as the layer that does so."""
        name, build = self.graph.flattening.get(reading, ""), boxes.shaped(reading[2], self.lead)
        title, hint = ("FlattenChannelsFirst", name) if name else ("Shaped", reading[0][0])
        known = bool(name) and name not in self.graph.drawn
        self.graph.drawn.add(name)
        return self.graph.box(
            self.scope, title, hint, {"x": term}, build, [hint + self.suffix], is_layer=known
        )[0]

    def scaled(self, key: Key, term: Term) -> Term:
        """Apply the factor on what a neuron hands on."""
        gain = self.graph.gain(key)
        if gain is None:
            return term
        name, hint = self.graph.node_name(f"{key[0]}.gain"), f"{key[0]}.scaled{self.suffix}"
        return self.scope.op("Mul", gain.within(self.scope), term, name=name, hint=hint)

    def readings(self, node: Node) -> list[Reading]:
        """Return what a node reads."""
        shape = self.network.shapes_in[node.key[0]] if node.what == "layer" else node.shape
        return [(key, delay, shape) for key, delay in node.sources]

    def add_sum(self, node: Node) -> None:
        """Add several signals in the order of their connections."""
        found = [self.read(reading) for reading in self.readings(node)]
        total = found[0] if found else self._zeros(node)
        for term in found[1:]:
            name, hint = f"{node.key[0]}.sum", f"{node.key[0]}.sum{self.suffix}"
            total = self.scope.op("Add", total, term, hint=hint, name=self.graph.node_name(name))
        self.now[node.key] = total

    def _zeros(self, node: Node) -> Term:
        name, graph = f"{node.key[0]}.zeros", self.graph
        build = boxes.zeros(node.shape, len(graph.lead), graph.style.width)
        like = {"like": graph.stimulus.within(self.scope)}
        return graph.box(self.scope, "Zeros", name, like, build, [name + self.suffix])[0]

    def call(
        self, node: Node, function: str, arguments: Sequence[Term], recipe: Recipe
    ) -> list[Term]:
        """Add the call of a function; return its last states."""
        name, width, now = node.key[0], self.graph.style.width, self.suffix
        outputs = [(value_name(name, out) + now, width) for out, _ in recipe.outputs]
        ends = [(f"{name}.{s.variable}.end{now}", s.default.dtype.name) for s in recipe.states]
        texts: dict[str, Any] = {"name": name, "doc_string": recipe.doc, **self._origin(node.layer)}
        made = self.scope.add(function, arguments, [*outputs, *ends], domain=DOMAIN, **texts)
        self.now[node.key] = made[0]
        if isinstance(node.layer, Neuron | Synapse):
            self.traces[node.key] = {
                variable: (term, shape)
                for (variable, shape), term in zip(recipe.outputs, made, strict=False)
            }
        return made[len(outputs) :]

    def _origin(self, layer: Layer) -> dict[str, list[dict[str, str]]]:
        """Return a node's entry with the source's own class, where the IR has a place for it."""
        if layer.origin is None or self.graph.style.opset < FIRST_WITH_ENTRIES:
            return {}
        held = f"{layer.origin.framework} {layer.origin.kind}"
        return {"metadata_props": [{"key": f"{DOMAIN}.class", "value": held}]}


def value_name(layer: str, output: str) -> str:
    """Name the value of a layer's output."""
    return layer if output in ("y", "output") else f"{layer}.{output}"


class OverTime(Signals):
    """Signals of all steps at once, shape (steps, batch, ...)."""

    lead = 2

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph, graph.scope)
        self._joined: dict[Key, Term] = {}
        self._pasts: dict[Key, Term] = {}
        self._delayed: dict[tuple[Key, int], Term] = {}

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
            self._add_past(node)

    def _add_past(self, node: Node) -> None:
        """Put the steps before the first in front of a signal, for those who look back."""
        graph, steps, state = self.graph, self.graph.history[node.key], past_of(node, self.width)
        start = graph.start(node.key[0], state, steps)
        name = f"{node.key[0]}.{state.variable}"
        self._joined[node.key], end = graph.box(
            self.scope, "Past", name, {"x": self.now[node.key], "start": start},
            boxes.past(node.shape, steps), [f"{node.key[0]}.joined", f"{name}.end"],
        )  # fmt: skip
        graph.end(start.name, end, dims_of(state, "batch", steps))

    @property
    def width(self) -> str:
        """The network's dtype."""
        return self.graph.style.width

    def joined(self, key: Key) -> Term:
        """Return a signal with its past before it."""
        if key not in self._joined:
            parts, hint = (self._pasts[key], self.now[key]), f"{key[0]}.joined"
            name = self.graph.node_name(hint)
            self._joined[key] = self.scope.op("Concat", *parts, hint=hint, name=name, axis=0)
        return self._joined[key]

    def raw(self, key: Key, delay: int) -> Term:
        """Return a signal some steps ago, as its node wrote it."""
        if not delay:
            return self.now[key]
        if (key, delay) not in self._delayed:
            build = boxes.delayed(self.graph.history[key] - delay, delay)
            name = f"{key[0]}.delayed"
            inputs = {"joined": self.joined(key)}
            (made,) = self.graph.box(self.scope, "Delayed", name, inputs, build, [name])
            self._delayed[key, delay] = made
        return self._delayed[key, delay]

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
        for start, last, state in zip(states, ends, recipe.states, strict=True):
            graph.end(start.name, last, dims_of(state, "batch"))

    def _add_delay(self, node: Node, layer: Delay) -> None:
        """Gather each element from its own number of steps ago."""
        key, delay, shape = self.readings(node)[0]
        whole = self.joined(key) if self.graph.history[key] else self.now[key]
        back = self.graph.history[key] - delay - delays_of(self.network, node, layer)
        places = self.graph.parameter(node.key[0], "places", back)
        inputs = {"x": self.now[key], "joined": whole, "places": places}
        (made,) = self.graph.box(
            self.scope, "Delay", node.key[0], inputs, boxes.delays(shape), [node.key[0]],
            is_layer=True,
        )  # fmt: skip
        self.now[node.key] = self.scaled(key, made)


def past_of(node: Node, width: str) -> State:
    """Return what a node wrote in earlier steps, as a state."""
    return State(PAST[node.key[1]], node.shape, np.zeros(1, width))


def delays_of(network: Network, node: Node, layer: Delay) -> Array:
    """Return the delay of each element in steps, int64."""
    steps = delay_steps(layer, network.steps[node.key[0]]).astype(np.int64)
    return np.broadcast_to(steps.reshape(steps.shape or (1,)), network.shapes_in[node.key[0]])
