"""In which order each importer runs the nodes of a graph, and so when an edge delivers.

Three programs run all graphs: the ``GraphExecutor`` of NIRTorch, behind ``nirtorch.load``; its
``nir_to_torch``, which builds a module of torch.fx; and Spyx's own. An edge takes no step if its
source runs before its target. Otherwise the target sees what the source gave in the call before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from snnbridge.express.demands import Refused
from snnbridge.simulator.engines import components
from snnbridge_plugins.nir.graph import Graph, Node, in_order

Edge: TypeAlias = tuple[str, str]
#: From a graph to the steps that each of its edges takes; refuses what comes out otherwise.
Runs: TypeAlias = Callable[[Graph], dict[Edge, int]]

_DENSE = ("Affine", "Linear")


def stepwise(graph: Graph) -> dict[Edge, int]:
    """Return the steps of a graph that NIRTorch's executor runs step by step.

    Raises
    ------
    Refused
        If it would leave a node out, or return what is no output.
    """
    ends = _ends(graph)
    order = _depth_first(ends)
    if not _is_end(ends, order[-1], "Output"):
        raise Refused(
            f"comes to {order[-1]!r} last, behind the output, and returns what that gives"
        )
    return _in_steps(ends.edges, order)


def at_once(graph: Graph) -> dict[Edge, int]:
    """Return the steps of a graph that NIRTorch's executor runs over a whole sequence.

    Raises
    ------
    Refused
        Beside what :func:`stepwise` refuses: an edge into a node that runs before its source. The
        sequence is one call, so that nothing passes along the edge.
    """
    found = stepwise(graph)
    for (source, target), steps in found.items():
        if steps:
            raise Refused(
                f"runs {target!r} before {source!r}, which feeds it, and so leaves that edge out"
            )
    return found


def traced(graph: Graph) -> dict[Edge, int]:
    """Return the steps of a graph that NIRTorch turns into a module of torch.fx.

    Raises
    ------
    Refused
        If it finds no order.
    """
    ends = _ends(graph)
    inner = dict(_cycles(ends))
    sources: dict[str, list[str]] = {name: [] for name in ends.nodes}
    for source, target in ends.edges:
        sources[target].append(source)
    for name, fed in sources.items():
        if _is_end(ends, name, "Output") and len(fed) > 1:
            raise Refused(f"does not add what reaches {name!r}, but returns {len(fed)} results")
    waiting = deque(ends.nodes)
    order: dict[str, None] = {}
    idle = 0
    while waiting:
        name = waiting.popleft()
        is_output = _is_end(ends, name, "Output")
        early = not order and not _is_end(ends, name, "Input")
        missing = early or _lacks(name, sources[name], order, inner) or (is_output and waiting)
        if not missing:
            order[name] = None
            idle = 0
            continue
        if isinstance(ends.nodes[name], Graph) and not early:
            raise Refused(f"stumbles over the graph {name!r}, whose name it meets too early")
        waiting.append(name)
        idle += 1
        if idle > len(waiting):
            raise Refused(f"finds no order in which to run {name!r}")
    return _in_steps(ends.edges, list(order))


def _lacks(
    name: str, sources: list[str], order: Mapping[str, None], inner: Mapping[str, int]
) -> bool:
    """Whether a node has to wait: a source that lies on a cycle with it may come later."""
    late = [source for source in sources if source not in order]
    if len(sources) == 1:
        return bool(late)
    return any(inner[source] != inner[name] for source in late)


def _cycles(graph: Graph) -> Iterable[tuple[str, int]]:
    sources: dict[str, list[tuple[str, int]]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append((source, 0))
    for number, component in enumerate(components(sources)):
        yield from ((name, number) for name in component)


def traced_after_search(graph: Graph) -> dict[Edge, int]:
    """Return the steps of a graph in which snnTorch looks for recurrent layers beforehand.

    Raises
    ------
    Refused
        If it finds one: what it makes of it cannot be run.
    """
    refuse_pairs(graph)
    return traced(graph)


def refuse_pairs(graph: Graph) -> None:
    """Refuse a neuron and a matrix that feed each other and, but for the neuron, nothing else.

    Raises
    ------
    Refused
    """
    edges = set(graph.edges)
    for a, b in graph.edges:
        pair = _kind(graph, a) in ("LIF", "CubaLIF") and _kind(graph, b) in _DENSE
        alone = sum(b in edge for edge in edges) == 2
        if pair and alone and (b, a) in edges:
            raise Refused(
                f"takes {a!r} and {b!r} for a recurrent layer of its own, which runs otherwise or "
                "not at all"
            )


def in_a_row(graph: Graph) -> dict[Edge, int]:
    """Return the steps of a graph of which Spyx follows one edge from each node.

    Raises
    ------
    Refused
        If that leaves a node or an edge out.
    """
    follows = dict(reversed(graph.edges))
    name, passed = "input", ["input"]
    while name in follows and name != "output" and len(passed) <= len(graph.nodes):
        name = follows[name]
        passed.append(name)
    for wanted, kind in (("input", "Input"), ("output", "Output")):
        if _kind(graph, wanted) != kind:
            raise Refused(f"looks for a node {wanted!r} of the type {kind}, which is not there")
    if any(isinstance(node, Graph) for node in graph.nodes.values()):
        raise Refused("runs no such graphs inside graphs")
    if name != "output" or len(passed) != len(graph.nodes) or len(graph.edges) != len(passed) - 1:
        fed = [source for source, _ in graph.edges]
        branch = next((source for source in fed if fed.count(source) > 1), None)
        where = f"{branch!r} feeds several" if branch else "other nodes lie beside it"
        raise Refused(f"runs a single row of nodes, and {where}")
    return dict.fromkeys(graph.edges, 0)


def without_graphs(runs: Runs) -> Runs:
    """Return how a program runs graphs if it takes none inside them."""

    def run(graph: Graph) -> dict[Edge, int]:
        for name, node in graph.nodes.items():
            if isinstance(node, Graph):
                raise Refused(f"runs no such graphs inside graphs as {name!r}")
        return runs(graph)

    return run


def arranged(graph: Graph) -> list[Edge]:
    """Return the edges in an order in which NIRTorch's executor meets sources first, if it can.

    It goes down along the first edge of each node: what leads back or nowhere comes first, then
    what is nearest.
    """
    place = {name: i for i, name in enumerate(in_order(graph.nodes, graph.edges))}
    leads = {name for name in graph.nodes if _is_end(graph, name, "Output")}
    onward = [edge for edge in graph.edges if place[edge[0]] < place[edge[1]]]
    for source, target in sorted(onward, key=lambda edge: -place[edge[0]]):
        if target in leads:
            leads.add(source)

    def rank(edge: Edge) -> tuple[int, bool, int]:
        source, target = edge
        ahead = place[source] < place[target] and target in leads
        return place[source], ahead, place[target]

    return sorted(graph.edges, key=rank)


def _ends(graph: Graph) -> Graph:
    """Return a graph with the ends that NIR's package adds, its nodes as a file keeps them.

    Raises
    ------
    Refused
        If it has several inputs or outputs, or an edge to a port.
    """
    nodes = {name: graph.nodes[name] for name in sorted(graph.nodes)}
    edges = list(graph.edges)
    for edge in edges:
        for name in edge:
            if name not in nodes:
                raise Refused(f"knows no edge to a port such as {name!r}")
    if len({name.replace(".", "_") for name in nodes}) < len(nodes):
        raise Refused("takes a dot in a name for '_', by which two nodes get one name")
    fed, feeding = {b for _, b in edges}, {a for a, _ in edges}
    for kind, others in (("Input", fed), ("Output", feeding)):
        bare = [name for name in graph.nodes if name not in others]
        held = [name for name in bare if _kind(graph, name) == kind]
        more = [name for name in graph.nodes if _kind(graph, name) == kind and name in others]
        verb = "begins" if kind == "Input" else "ends"
        if len(bare) > 1 or more:
            shown = ", ".join([*bare, *more][:4])
            raise Refused(f"runs one input and one output, and the graph {verb} at {shown}")
        if not bare:
            raise Refused(f"needs a node at which the graph {verb}: it runs in a circle")
        if not held:
            port = f"{kind.lower()}_{bare[0]}"
            nodes[port] = Node(kind)
            edges.append((port, bare[0]) if kind == "Input" else (bare[0], port))
    return Graph(nodes, edges)


def _depth_first(graph: Graph) -> list[str]:
    following: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        following[source].append(target)
    start = next(name for name in graph.nodes if _is_end(graph, name, "Input"))
    order, pending = {start: None}, [iter(following[start])]
    while pending:
        name = next(pending[-1], None)
        if name is None:
            pending.pop()
        elif name not in order:
            order[name] = None
            pending.append(iter(following[name]))
    for name in graph.nodes:
        if name not in order:
            raise Refused(f"leaves {name!r} out, to which no edge leads")
    return list(order)


def _in_steps(edges: Iterable[Edge], order: list[str]) -> dict[Edge, int]:
    place = {name: i for i, name in enumerate(order)}
    return {(a, b): int(place[a] >= place[b]) for a, b in edges}


def _kind(graph: Graph, name: str) -> str:
    node = graph.nodes.get(name)
    return "" if node is None else node.kind


def _is_end(graph: Graph, name: str, kind: str) -> bool:
    return _kind(graph, name) == kind
