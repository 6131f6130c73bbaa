"""Cycles: what lies on one becomes the body of one loop over all steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snnbridge.model import Neuron, Shape
from snnbridge.simulator.engines import Key, Node
from snnbridge_plugins.onnx.graph.loops import loop_graph, scan
from snnbridge_plugins.onnx.graph.signals import PAST, OverTime, Reading, value_name
from snnbridge_plugins.onnx.graph.states import dims_of
from snnbridge_plugins.onnx.graph.steps import OneStep
from snnbridge_plugins.onnx.recipes.terms import Term

#: How many layers a loop is named after.
_NAMED = 4


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
            inner.begin(node)
        places = list(inner.states)
        starts = [inner.states[place] for place in places]
        for place, start in zip(places, starts, strict=True):
            inner.states[place] = self.body.term(f"{place[0][0]}.{place[1]}.before", start.dtype)
        loops = [inner.states[place] for place in places]
        clock = self._clock()
        for node in self.nodes:
            inner.add(node)
        inner.end_pasts()
        self._scan(places, starts, loops, clock)
        for place in places:
            steps = graph.history[place[0]] if place[1] in PAST.values() else 0
            dims = dims_of(inner.held[place], "batch", steps)
            graph.end(inner.starts[place], self.lasts[place], dims)

    def _clock(self) -> list[tuple[Term, Term]]:
        """Hand the index of the step in, if a rule reads it: (outside, inside)."""
        outside = self.inner.time
        if outside is None:
            return []
        self.inner.time = self.body.term("step.now", outside.dtype)
        return [(outside, self.inner.time)]

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
            [*loops, *(now for _, now in taken)],
            [*ends, *(term for _, _, term, _ in wanted)],
            [*shapes, *(shape for _, _, _, shape in wanted)],
        )
        names = [f"{key[0]}.{variable}.end" for key, variable in places]
        names += [value_name(key[0], variable or "y") for key, variable, _, _ in wanted]
        dtypes = [term.dtype for term in (*ends, *(w[2] for w in wanted))]
        made = scan(self.outer.scope, graph, starts, [x for x, _ in taken], names, dtypes,
                    name=self._name())  # fmt: skip
        self.lasts = dict(zip(places, made, strict=False))
        self._hand_on(wanted, made[len(places) :], dict(zip(places, starts, strict=True)))

    def _name(self) -> str:
        layers = [n for n in self.nodes if n.what == "layer"]
        neurons = [n.key[0] for n in layers if isinstance(n.layer, Neuron)]
        named = neurons or [n.key[0] for n in layers]
        more = ", ..." if len(named) > _NAMED else ""
        return self.graph.node_name(f"loop of {', '.join(named[:_NAMED])}{more}")

    def _state_shape(self, place: tuple[Key, str]) -> Shape:
        shape = self.inner.held[place].shape
        return (1, *shape) if place[1] in PAST.values() else shape

    def _wanted(self) -> list[tuple[Key, str, Term, Shape]]:
        """List what leaves the loop: traces, and the signals that others read."""
        own = {node.key for node in self.nodes}
        others = (node for node in self.graph.network.nodes if node.key not in own)
        read = {key for node in others for key, _ in node.sources}
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
                self.outer.adopt(key, term, starts.get((key, PAST[key[1]])))


class _Inner(OneStep):
    """Signals inside a cycle, which reads those outside as inputs of its loop."""

    suffix = ".now"
    ready = True

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
