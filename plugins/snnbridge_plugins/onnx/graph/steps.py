"""The signals of one step, and the states on their way to the next."""

from __future__ import annotations

from collections.abc import Mapping

from snnbridge.model import Delay
from snnbridge.simulator.engines import Key, Node
from snnbridge_plugins.onnx.graph import boxes
from snnbridge_plugins.onnx.graph.construction import Graph
from snnbridge_plugins.onnx.graph.signals import PAST, Signals, delays_of, past_of
from snnbridge_plugins.onnx.graph.states import dims_of
from snnbridge_plugins.onnx.recipes.recipe import State
from snnbridge_plugins.onnx.recipes.terms import Scope, Term


class OneStep(Signals):
    """Signals of one step, shape (batch, ...), and the states on their way to the next."""

    lead = 1
    #: Whether states and parameters are made ready outside, once, and not by each layer's function.
    ready = False

    def __init__(self, graph: Graph, scope: Scope) -> None:
        super().__init__(graph, scope)
        self.recipes = graph.recipes
        self.states: dict[tuple[Key, str], Term] = {}
        self.ends: dict[tuple[Key, str], Term] = {}
        self.starts: dict[tuple[Key, str], str] = {}
        self.held: dict[tuple[Key, str], State] = {}
        self.prepared: dict[Key, Mapping[str, Term]] = {}
        self.time: Term | None = None
        self._earlier: dict[tuple[Key, int], Term] = {}

    def begin(self, node: Node) -> None:
        """Make inputs for the states of a node, and prepare its parameters."""
        graph, name = self.graph, node.key[0]
        if node.what == "stimulus":
            self.now[node.key] = Term(self.scope, graph.stimuli[name], graph.style.width)
        recipe = self.recipes.get(node.key)
        for state in () if recipe is None else recipe.states:
            start = graph.start(name, state)
            whole = graph.whole(name, state, start) if self.ready else start
            self._begin(node, state, start, whole)
        if graph.history[node.key]:
            state, steps = past_of(node, graph.style.width), graph.history[node.key]
            start = graph.start(name, state, steps)
            self._begin(node, state, start, graph.whole(name, state, start, steps))
        if recipe is not None and recipe.timed:
            self.time = graph.time()
        if recipe is not None and recipe.prepare is not None and self.ready:
            self.prepared[node.key] = graph.constants(name, recipe)

    def _begin(self, node: Node, state: State, start: Term, whole: Term) -> None:
        place = (node.key, state.variable)
        self.starts[place], self.held[place], self.states[place] = start.name, state, whole

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
        if (key, delay) not in self._earlier:
            build = boxes.earlier(self.graph.history[key] - delay)
            name = f"{key[0]}.delayed"
            inputs = {"past": self.states[key, PAST[key[1]]]}
            (made,) = self.graph.box(
                self.scope, "Delayed", name, inputs, build, [name + self.suffix]
            )
            self._earlier[key, delay] = made
        return self._earlier[key, delay]

    def _add_layer(self, node: Node) -> None:
        graph, recipe, name = self.graph, self.recipes[node.key], node.key[0]
        inputs = [self.read(reading) for reading in self.readings(node)]
        prepared = self.prepared.get(node.key)
        dtypes = None if prepared is None else {key: x.dtype for key, x in prepared.items()}
        function, names = graph.library.one_step(
            recipe, [x.dtype for x in inputs], dtypes, whole=self.ready
        )
        states = [self.states[node.key, s.variable] for s in recipe.states]
        time = [self.time] if recipe.timed and self.time is not None else []
        held = [
            graph.parameter(name, n, recipe.parameters[n]) if prepared is None else prepared[n]
            for n in names
        ]
        held = [x.within(self.scope) for x in held]
        ends = self.call(node, function, [*inputs, *time, *states, *held], recipe)
        for state, last in zip(recipe.states, ends, strict=True):
            self.ends[node.key, state.variable] = last

    def _add_delay(self, node: Node, layer: Delay) -> None:
        """Gather each element from its own number of steps ago."""
        (key, delay, shape), name = self.readings(node)[0], node.key[0]
        back = self.graph.history[key] - delay - delays_of(self.network, node, layer)
        places = self.graph.parameter(name, "places", back[None, None]).within(self.scope)
        inputs = {"places": places, "past": self.states[key, PAST[key[1]]]}
        if (back == self.graph.history[key]).any():  # some elements are not delayed at all
            inputs["x"] = self.now[key]
        build = boxes.delays_of_step(shape)
        (made,) = self.graph.box(
            self.scope, "Delay", name, inputs, build, [name + self.suffix], is_layer=True
        )
        self.now[node.key] = self.scaled(key, made)

    def end_pasts(self) -> None:
        """Move each past on by one step."""
        for (key, variable), past in self.states.items():
            if variable in PAST.values():
                name = f"{key[0]}.{variable}.end"
                inputs = {"past": past, "x": self.now[key]}
                (self.ends[key, variable],) = self.graph.box(
                    self.scope, "Later", name, inputs, boxes.later, [name + self.suffix]
                )

    def end_all(self) -> None:
        """Make the last states outputs of the graph."""
        self.end_pasts()
        for place, start in self.starts.items():
            steps = self.graph.history[place[0]] if place[1] in PAST.values() else 0
            self.graph.end(start, self.ends[place], dims_of(self.held[place], "batch", steps))
