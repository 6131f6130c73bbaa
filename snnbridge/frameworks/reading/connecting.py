"""What feeds what in a live net: as it is told, as the net shows it, or as a chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.frameworks.reading.axes import features
from snnbridge.frameworks.reading.call_graph import (
    Edge,
    Graph,
    Steps,
    flatten_before,
    with_flattens,
)
from snnbridge.frameworks.reading.pieces import Piece
from snnbridge.frameworks.reading.torch_layers import adapted
from snnbridge.frameworks.reading.tracing import Watch
from snnbridge.frameworks.reading.walking import Walk
from snnbridge.ledger import Entry, Status
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Flatten,
    Input,
    Layer,
    Linear,
    Neuron,
    Opaque,
    Synapse,
)

_HOW = "state connections=[(source, target), (source, target, delay), ...] between modules"


@dataclass(slots=True)
class Wiring:
    """The connections of a net.

    Parameters
    ----------
    edges : list of (source, target, delay), or None
        Between modules, and `views`; None where they are not known.
    views : list of Layer
        The input, and the layers that stand for flat views.
    notes : list of Entry
    """

    edges: list[Edge] | None = None
    views: list[Layer] = field(default_factory=list)
    notes: list[Entry] = field(default_factory=list)


def wired(
    net: Any, walk: Walk, chain: list[str] | None, sample: Any, given: Iterable[Any] | None
) -> Wiring:
    """Find what feeds what, and leave out the modules that the net does not run.

    Parameters
    ----------
    net : torch.nn.Module
    walk : Walk
        Its modules; those that take no part are taken out of it.
    chain : list of str, optional
        The modules in their order, where the net is a chain.
    sample : tensor, optional
    given : iterable of (source, target) or (source, target, delay), optional
    """
    if given is not None:
        return _stated([stated_edge(edge, walk.modules) for edge in given], net, walk, sample)
    if sample is not None:
        return _traced(net, walk, chain, sample)
    if chain is None:
        reason = (
            f"not known, since {type(net).__name__} is no nn.Sequential: pass sample=, an input of "
            f"the net, to see them, or {_HOW}"
        )
        return Wiring(notes=[Entry(Status.DROPPED, ("connections",), "connections", reason)])
    return _chained(walk, chain)


def stated_edge(edge: Any, modules: Iterable[str]) -> Edge:
    """Check an edge that the user states.

    Raises
    ------
    CheckpointError
        If it is none, or not one between modules.
    """
    if isinstance(edge, Connection):
        edge = (edge.source, edge.target, edge.delay)
    if not isinstance(edge, tuple | list) or len(edge) not in (2, 3):
        raise CheckpointError(
            f"a connection is (source, target) or (source, target, delay), not {edge!r}"
        )
    source, target, *delay = edge
    known = list(modules)
    for name in (source, target):
        if name not in known:
            hint = (
                "leave it out: what nothing feeds takes the input"
                if name in ("input", "output")
                else f"the modules are {', '.join(map(repr, known[:12]))}"
            )
            raise CheckpointError(
                f"the connection {source!r} to {target!r} names {name!r}, which is no module of "
                f"the net; {hint}"
            )
    return source, target, delay[0] if delay else 0


def _stated(edges: list[Edge], net: Any, walk: Walk, sample: Any) -> Wiring:
    """Take the edges as they are told; what nothing feeds takes the input, as the sample shows."""
    if sample is None:
        return Wiring(edges)
    names = walk.names()
    watch = Watch({id(walk.modules[name]): name for name in names}, walk.holding(Neuron, Synapse))
    watch.run(net, walk.modules, sample)
    _adapt(walk, {name: shape for name, shape in watch.shapes.items() if name in walk.modules})
    targets = {target for _, target, _ in edges}
    firsts = [s for s in dict.fromkeys(s for s, _, _ in edges) if s not in targets]
    graph = Graph([*(("", name, 0) for name in firsts), *edges])
    return replace(_with_views(graph, walk, watch.shapes), notes=list(_changed(watch)))


def _chained(walk: Walk, chain: list[str]) -> Wiring:
    for name in chain:
        uses = chain.count(name)
        if uses > 1:
            raise CheckpointError(f"module {name!r} stands {uses} times in a row")
    twice = [names for names in walk.names().values() if len(names) > 1]
    stateful = walk.holding(Neuron, Synapse)
    for names in twice:
        if names[0] in stateful:
            places = " and ".join(map(repr, names))
            raise CheckpointError(
                f"one module stands at {places}, two layers that share its state; give each layer "
                "a module of its own"
            )
    notes = _left_out(walk, [name for name in walk.modules if name not in chain])
    return Wiring([(a, b, 0) for a, b in pairwise(chain)], notes=notes)


def _traced(net: Any, walk: Walk, chain: list[str] | None, sample: Any) -> Wiring:
    """Run the net once and look."""
    names = walk.names()
    watch = Watch({id(walk.modules[name]): name for name in names}, walk.holding(Neuron, Synapse))
    watch.run(net, walk.modules, sample)
    for name, module in watch.functions.items():
        walk.into(module, name)
        names[name] = [name]
    graph = Steps(watch, names, walk.holding(Neuron, Synapse), walk.holding(Opaque)).found()
    for use, name in graph.again.items():
        piece = walk.piece(use, walk.modules[name])
        assert piece is not None
        walk.modules[use], walk.pieces[use] = walk.modules[name], piece
    _adapt(walk, graph.shapes)
    changed = list(_changed(watch))
    if graph.lost and chain and not changed:
        wiring = _chained(walk, chain)
        seen = Graph([("", chain[0], 0), *(wiring.edges or [])])
        return replace(_with_views(seen, walk, graph.shapes), notes=wiring.notes)
    if graph.lost or changed:
        return Wiring(notes=[*_lost(graph), *changed])
    notes = [*_before(graph), *_begun(sorted(watch.states.begun)), *_left_out(walk, graph.missed)]
    return replace(_with_views(graph, walk, graph.shapes), notes=notes)


def _adapt(walk: Walk, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Make layers of modules that depend on the shape that they are given."""
    for name, shape in shapes.items():
        piece = adapted(name, walk.modules[name], shape)
        if piece is not None:
            walk.pieces[name] = piece


def _lost(graph: Graph) -> Iterable[Entry]:
    for name, why in graph.lost.items():
        reason = f"not known: {why}; have a module that is known do what is done there, or {_HOW}"
        yield Entry(Status.DROPPED, ("connections",), f"what feeds module {name!r}", reason)


def _before(graph: Graph) -> Iterable[Entry]:
    for name in graph.before:
        reason = "ran once, before the steps; it is run in every step, on the same input"
        yield Entry(Status.REWRITTEN, ("layers", name), f"module {name!r}", reason)


def _begun(names: Iterable[str]) -> Iterable[Entry]:
    for name in names:
        reason = (
            "it is given a state other than 0 in the first step, and here it starts at rest; put "
            "that into the checkpoint's state"
        )
        yield Entry(Status.DROPPED, ("state", name), f"the first state of module {name!r}", reason)


def _changed(watch: Watch) -> Iterable[Entry]:
    for name, how in watch.states.changed.items():
        reason = (
            f"not the one that it gave in the step before: {how}, which no rule says; have the "
            "neuron's own class do it, as a reset or a lower bound"
        )
        yield Entry(Status.DROPPED, ("layers", name), f"the state of module {name!r}", reason)


def _left_out(walk: Walk, names: list[str]) -> list[Entry]:
    """Take modules out that the net does not run; their weights stay in the state dict."""
    for name in names:
        walk.modules.pop(name), walk.pieces.pop(name)
    if not names:
        return []
    told = ", ".join(map(repr, names[:4])) + (", ..." if len(names) > 4 else "")
    reason = "left out, for the net does not call them; their arrays are kept beside the layers"
    return [Entry(Status.REWRITTEN, ("layers",), f"modules {told}", reason)]


def _with_views(graph: Graph, walk: Walk, shapes: Mapping[str, tuple[int, ...]]) -> Wiring:
    """Add the input and a Flatten for each flat view."""
    views: list[Layer] = [
        Flatten(flatten_before(use), order="channels first")
        for use in sorted({target for _, target in graph.flat})
    ]
    firsts = [target for source, target, _ in graph.edges if not source]
    seen = {_taken(walk, name, shapes[name]) for name in firsts if name in shapes} - {None}
    if firsts:
        shape = seen.pop() if len(seen) == 1 else None
        views.insert(0, Input("input", UNKNOWN if shape is None else shape))
    edges = [(source or "input", target, delay) for source, target, delay in with_flattens(graph)]
    return Wiring(edges, views)


def _taken(walk: Walk, name: str, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of a module's input without batch and time, if it can be told."""
    layers = walk.pieces[name].layers
    if layers and isinstance(layers[0], Linear):
        return shape[-1:]
    return features(walk.modules[name], shape)


def between_layers(edges: Iterable[Edge], pieces: Mapping[str, Piece]) -> Iterator[Connection]:
    """Turn edges between modules into edges between layers; modules without layers vanish."""
    passed = {name for name, piece in pieces.items() if not piece.layers}
    held = list(edges)
    for source, target, delay in held:
        if target not in passed:
            for name, more in _through(source, delay, held, passed):
                start = pieces[name].exit if name in pieces else name
                stop = pieces[target].entry if target in pieces else target
                yield Connection(start, stop, more)


def _through(
    source: str, delay: int, edges: list[Edge], passed: set[str]
) -> Iterator[tuple[str, int]]:
    """Yield what feeds a target through modules without layers, and the steps on the way."""
    if source not in passed:
        yield source, delay
        return
    for name, target, more in edges:
        if target == source:
            yield from _through(name, delay + more, edges, passed)
