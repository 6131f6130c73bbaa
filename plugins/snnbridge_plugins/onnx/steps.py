"""The signals of one step, and the states on their way to the next."""

from __future__ import annotations

from snnbridge.model import Delay
from snnbridge.simulator.network import Key, Node
from snnbridge_plugins.onnx.functions import Parameters
from snnbridge_plugins.onnx.graph import Graph
from snnbridge_plugins.onnx.recipes import Recipe, State, Terms
from snnbridge_plugins.onnx.signals import PAST, Signals, delays_of, past_of
from snnbridge_plugins.onnx.terms import Scope, Term

_END = 1 << 62


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

    def begin(self, node: Node) -> None:
        """Make inputs for the states of a node, and prepare its parameters."""
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
            state = past_of(node, graph.style.width)
            start = graph.start(node.key[0], state, steps)
            self._begin(node, state, start, graph.expanded(start, node.shape, steps))
        if recipe is not None:
            self._prepare(node, recipe)
            if recipe.timed:
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
        return self.scope.op("Gather", self.states[key, PAST[key[1]]], index, axis=0)

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
        back = self.graph.history[key] - delay - delays_of(self.network, node, layer)
        places = self.graph.parameter(node.key[0], "places", back[None, None]).within(scope)
        past = self.states[key, PAST[key[1]]]
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
            if variable in PAST.values():
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
