"""What is left to whoever runs a graph: to feed spikes back, to put states side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.neurons.recognising import Told
from snnbridge_plugins.onnx.foreign.prepared import Prepared

#: What may stand between an input and a neuron that it is weighted for.
_LINEAR = frozenset({"Gemm", "MatMul", "Conv", "Add", "Sum", "Mul", "Cast", "Identity"})
_MOST = 16


def notes_on_inputs(graph: Prepared) -> Iterator[str]:
    """Yield a sentence for each input that may be spikes of the step before.

    Parameters
    ----------
    graph : Prepared
    """
    makers = {name: node for node in graph.nodes for name in node.get("output", [])}
    said = 0
    for told in graph.told:
        sources = list(dict.fromkeys(_sources(told, graph, makers)))
        back = [n for n in sources if graph.shapes.alike((n, told.found.roles.v))]
        if len(sources) > len(back) == 1 and said < _MOST:
            said += 1
            yield (
                f"the input {back[0]!r} has the shape of the spikes of {told.name!r} and goes into "
                "it beside others: it may be these spikes of the step before, fed back by who runs "
                "the graph. If so, put a connection with a delay of 1 in place of the input"
            )
    if graph.stacked:
        names = ", ".join(map(repr, sorted(graph.stacked)[:_MOST]))
        yield f"the states {names} come in and go out side by side in one tensor"


def _sources(told: Told, graph: Prepared, makers: Mapping[str, Message]) -> Iterator[str]:
    """Yield the inputs, and the other values, of which a neuron's drives are weighted sums."""
    pending = [(name, 0) for name in told.found.roles.drives]
    while pending:
        name, depth = pending.pop()
        node = makers.get(name)
        if node is None or id(node) in graph.inside or node.get("op_type") not in _LINEAR:
            yield name
        elif depth < _MOST:
            signals = [n for n in node["input"] if n and n not in graph.constants]
            pending += [(n, depth + 1) for n in signals[:4]]
