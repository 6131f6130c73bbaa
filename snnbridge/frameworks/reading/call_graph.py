"""The graph that the calls of a net's modules make: who feeds whom, in which step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.reading.tracing import Fed, Part, Watch

#: Source, target and the steps between them; the source is empty for the net's input.
Edge = tuple[str, str, int]


@dataclass(slots=True)
class Graph:
    """What a run of a net tells.

    Parameters
    ----------
    edges : list of (source, target, delay)
    flat : set of (source, target)
        Where a target takes a flat view of what feeds it.
    lost : dict of str to str
        Targets of which it is not known what feeds them, and why.
    again : dict of str to str
        Names for the further uses of modules that are used more than once in a step, and whose.
    before : list of str
        Modules that run once, before the steps.
    missed : list of str
        Modules that were not called.
    shapes : dict of str to shape
        Of what each use took first.
    """

    edges: list[Edge] = field(default_factory=list)
    flat: set[tuple[str, str]] = field(default_factory=set)
    lost: dict[str, str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)


class Steps:
    """Sorts the calls of modules into steps, and their uses within a step.

    Parameters
    ----------
    watch : Watch
        After a run.
    names : mapping of str to sequence of str
        By the name by which a module was watched all names under which it stands.
    stateful, unknown : set of str
        The modules that keep a state from call to call, and those that may.
    """

    def __init__(
        self,
        watch: Watch,
        names: Mapping[str, Sequence[str]],
        stateful: set[str],
        unknown: set[str],
    ) -> None:
        self.watch = watch
        self.unknown = unknown
        self.names = names
        self.stateful = stateful
        self.counts = {name: last + 1 for name, last in watch.calls.items()}
        self.steps = self._count()
        self.graph = Graph()

    def _count(self) -> int:
        """Return the steps of the run; 1 where all of them are in one call."""
        counts = self.counts.items()
        states = [n for name, n in counts if name in self.stateful]
        states = states or [n for name, n in counts if name in self.unknown]
        if not states:
            return math.gcd(*self.counts.values()) or 1
        return 1 if set(states) == {1} else math.gcd(*(n for _, n in counts if n > 1))

    def found(self) -> Graph:
        """Return the graph.

        Raises
        ------
        CheckpointError
            If a module that keeps a state is used more than once in a step.
        """
        self._check_uses()
        by_use: dict[str, list[Fed]] = {}
        for fed in self.watch.fed:
            by_use.setdefault(self._use(fed.target, fed.call), []).append(fed)
        every = (name for own in self.names.values() for name in own)
        self.graph.missed = [name for name in every if name not in by_use]
        static = self._static()
        self.graph.shapes = {use: calls[0].shape for use, calls in by_use.items()}
        for use, calls in by_use.items():
            self._join(use, calls, static)
        self.graph.before = sorted(static, key=list(self.counts).index)
        return self.graph

    def _check_uses(self) -> None:
        for name, count in self.counts.items():
            uses, rest = divmod(count, self.steps)
            if name in self.stateful and uses > 1 and not rest:
                raise CheckpointError(
                    f"module {name!r} is used {uses} times in every step, for several layers, "
                    "which share its state then; give each layer a module of its own"
                    f"{self._rarer()}"
                )

    def _rarer(self) -> str:
        """Tell of a neuron that sets the step because it runs less often than others."""
        rare = [n for n in self.stateful if self.counts.get(n) == self.steps]
        often = [n for n in self.stateful if self.counts.get(n, 0) > self.steps]
        if not rare or not often or self.steps == 1:
            return ""
        return f". If {rare[0]!r} does not run in every step, no layer does that"

    def _use(self, name: str, call: int) -> str:
        """Return the name of the layer that one call of a module stands for."""
        count = self.counts[name]
        uses = count // self.steps if count % self.steps == 0 else 1
        place = call % uses
        names = self.names[name]
        if place < len(names):
            return names[place]
        use = f"{name}_{place + 1}"
        while use in self.names:
            use += "_"
        self.graph.again[use] = name
        return use

    def _step(self, name: str, call: int) -> int | None:
        """Return the step of a call; None where the module has one call for all steps."""
        count = self.counts[name]
        if count == 1 and self.steps > 1:
            return None
        return call // max(1, count // self.steps)

    def _join(self, use: str, calls: list[Fed], static: set[str]) -> None:
        """Find the edges that all calls of a use agree on; a late one is silent at first."""
        found: list[tuple[int | None, set[Edge]]] = []
        for fed in calls:
            edges, why = self._edges(use, fed, static)
            if why:
                self.graph.lost.setdefault(use, why)
                return
            found.append((self._step(fed.target, fed.call), edges))
        every = {edge: None for _, edges in found for edge in sorted(edges)}
        if any(edges != _started(every, step) for step, edges in found):
            told = [f"{s!r} of {d} steps ago" if s else "the net's input" for s, _, d in every]
            self.graph.lost[use] = f"what it takes differs from step to step: {_some(told)}"
        elif self.steps == 1 and any(fed.silent for fed in calls):
            self.graph.lost[use] = (
                "it takes zeros, and whether spikes come in their place later is not seen in one "
                "step; pass a sample of several steps"
            )
        elif not every:
            self.graph.lost[use] = "it takes nothing but zeros"
        else:
            self.graph.edges += every

    def _edges(self, use: str, fed: Fed, static: set[str]) -> tuple[set[Edge], str]:
        """Return the edges that one call shows, or why they cannot be told."""
        if fed.lost:
            return set(), fed.lost
        edges: set[Edge] = set()
        for part in fed.parts:
            source = self._use(part.source, part.call) if part.source else ""
            delay = self._delay(fed, part, static)
            if delay is None or delay < 0:
                return set(), self._why(fed, part)
            if (source, use, delay) in edges:
                return set(), f"it takes the output of {source!r} twice"
            edges.add((source, use, delay))
            if part.flat and source:
                self.graph.flat.add((source, use))
        return edges, ""

    def _delay(self, fed: Fed, part: Part, static: set[str]) -> int | None:
        """Return the steps between a call and what it was given; None if they cannot be told."""
        taken = self._step(fed.target, fed.call)
        if not part.source or part.source in static:
            one = taken is None or part.step is None or self.steps == 1
            return 0 if one else taken - part.step  # type: ignore[operator]
        given = self._step(part.source, part.call)
        if given is None and part.step is None:
            return 0 if taken is None else None
        if given is not None and part.step is not None:
            return None
        given = part.step if given is None else given
        return None if taken is None or given is None else taken - given

    def _why(self, fed: Fed, part: Part) -> str:
        if not part.source:
            return "it takes the steps of the net's input in another order"
        if part.step is not None:
            return f"it takes a part of the output of {part.source!r}"
        source, target = self.counts[part.source], self.counts[fed.target]
        if source == target:
            return f"it takes the output of {part.source!r} of a later step"
        return (
            f"{part.source!r} runs {_times(source)} and {fed.target!r}, which takes its output, "
            f"{_times(target)}"
        )

    def _static(self) -> set[str]:
        """Return the modules without a state that run once, before the steps, on a whole input."""
        found: set[str] = set()
        for fed in self.watch.fed:  # in the order of the calls
            once = self._step(fed.target, fed.call) is None and fed.target not in self.stateful
            whole = all(p.step is None and (not p.source or p.source in found) for p in fed.parts)
            if once and fed.parts and whole:
                found.add(fed.target)
        return self._used_whole(found)

    def _used_whole(self, found: set[str]) -> set[str]:
        """Leave out those of whose output each step takes another part: they run over time."""
        fed = [(part, fed.target) for fed in self.watch.fed for part in fed.parts]
        parts = {part.source for part, _ in fed if part.step is not None}
        while parts & found:
            found -= parts
            parts = {part.source for part, target in fed if target in parts}
        return found


def _started(edges: Iterable[Edge], step: int | None) -> set[Edge]:
    """Return the edges over which something has come by a step."""
    return {edge for edge in edges if step is None or edge[2] <= step}


def _some(told: list[str]) -> str:
    return ", ".join(told[:3]) + (", ..." if len(told) > 3 else "")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def with_flattens(graph: Graph) -> Iterator[Edge]:
    """Yield the edges, with a layer of its own for each flat view."""
    joined: set[str] = set()
    for source, target, delay in graph.edges:
        if (source, target) not in graph.flat:
            yield source, target, delay
            continue
        yield source, flatten_before(target), delay
        if target not in joined:
            yield flatten_before(target), target, 0
        joined.add(target)


def flatten_before(target: str) -> str:
    """Return the name of the layer that stands for a flat view before a module."""
    return f"{target}.flatten"
