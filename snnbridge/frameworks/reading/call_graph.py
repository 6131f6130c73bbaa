"""The graph that the calls of a net's modules make: who feeds whom, in which step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.reading.tracing import Fed, Watch

#: Source, target and the steps between them; the source is empty for the net's input.
Edge = tuple[str, str, int]


@dataclass(slots=True)
class Graph:
    """What a run of a net tells.

    Parameters
    ----------
    edges : list of (source, target, delay)
    flat : set of str
        Targets that take a flat view of what feeds them.
    lost : dict of str to str
        Targets of which it is not known what feeds them, and why.
    again : dict of str to str
        Names for the further uses of modules that are used more than once in a step, and whose.
    before : list of str
        Modules that run once, before the steps.
    missed : list of str
        Modules that were not called.
    """

    edges: list[Edge] = field(default_factory=list)
    flat: set[str] = field(default_factory=set)
    lost: dict[str, str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


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
                )

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
        """Find the one edge that all calls of a use agree on."""
        edges: dict[Edge, None] = {}
        for fed in calls:
            if fed.lost:
                self.graph.lost.setdefault(use, fed.lost)
                return
            source = self._use(fed.source, fed.source_call) if fed.source else ""
            delay = self._delay(fed, static)
            if delay is None or delay < 0:
                self.graph.lost.setdefault(use, self._why(fed))
                return
            edges[source, use, delay] = None
            if fed.flat and source:
                self.graph.flat.add(use)
        if len(edges) > 1:
            told = [f"{s!r} of {d} steps ago" if s else "the net's input" for s, _, d in edges]
            self.graph.lost[use] = f"what it takes differs from step to step: {_some(told)}"
        else:
            self.graph.edges += edges

    def _delay(self, fed: Fed, static: set[str]) -> int | None:
        """Return the steps between a call and what it was given; None if they cannot be told."""
        taken = self._step(fed.target, fed.call)
        if not fed.source or fed.source in static:
            one = taken is None or fed.step is None or self.steps == 1
            return 0 if one else taken - fed.step  # type: ignore[operator]
        given = self._step(fed.source, fed.source_call)
        if given is None and fed.step is None:
            return 0 if taken is None else None
        if given is not None and fed.step is not None:
            return None
        given = fed.step if given is None else given
        return None if taken is None or given is None else taken - given

    def _why(self, fed: Fed) -> str:
        if not fed.source:
            return "it takes the steps of the net's input in another order"
        if fed.step is not None:
            return f"it takes a part of the output of {fed.source!r}"
        source, target = self.counts[fed.source], self.counts[fed.target]
        if source == target:
            return f"it takes the output of {fed.source!r} of a later step"
        return (
            f"{fed.source!r} runs {_times(source)} and {fed.target!r}, which takes its output, "
            f"{_times(target)}"
        )

    def _static(self) -> set[str]:
        """Return the modules without a state that run once, before the steps, on a whole input."""
        found: set[str] = set()
        for fed in self.watch.fed:  # in the order of the calls
            once = self._step(fed.target, fed.call) is None and fed.target not in self.stateful
            known = not fed.lost and fed.step is None and (not fed.source or fed.source in found)
            if once and known:
                found.add(fed.target)
        return self._used_whole(found)

    def _used_whole(self, found: set[str]) -> set[str]:
        """Leave out those of whose output each step takes another part: they run over time."""
        parts = {fed.source for fed in self.watch.fed if fed.step is not None}
        while parts & found:
            found -= parts
            parts = {fed.source for fed in self.watch.fed if fed.target in parts}
        return found


def _some(told: list[str]) -> str:
    return ", ".join(told[:3]) + (", ..." if len(told) > 3 else "")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def with_flattens(graph: Graph) -> Iterator[Edge]:
    """Yield the edges, with a layer of its own for each flat view."""
    for source, target, delay in graph.edges:
        if target in graph.flat:
            yield source, flatten_before(target), delay
            yield flatten_before(target), target, 0
        else:
            yield source, target, delay


def flatten_before(target: str) -> str:
    """Return the name of the layer that stands for a flat view before a module."""
    return f"{target}.flatten"
