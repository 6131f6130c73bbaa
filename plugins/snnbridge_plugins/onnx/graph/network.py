"""From a network to a graph of standard operators and model-local functions."""

from __future__ import annotations

from snnbridge import CheckpointError
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.graph.construction import Graph
from snnbridge_plugins.onnx.graph.cycles import Cycle
from snnbridge_plugins.onnx.graph.signals import OverTime, Signals
from snnbridge_plugins.onnx.graph.steps import OneStep
from snnbridge_plugins.onnx.recipes.terms import value_info


def fill(graph: Graph) -> None:
    """Add all nodes of a network to its graph, and name what a caller may want to see.

    Raises
    ------
    CheckpointError
        For a network without input, or values that no step can be made of.
    """
    if graph.network.nodes and not graph.network.inputs:
        raise CheckpointError("the network has no input; a graph needs one to know its steps")
    for node in graph.network.nodes:
        if node.what == "stimulus":
            graph.add_stimulus(node)
    signals = _step(graph) if graph.style.stepwise else _over_time(graph)
    _name_traces(graph, signals)
    _name_results(graph, signals)
    graph.end_clock()


def _over_time(graph: Graph) -> Signals:
    signals = OverTime(graph)
    for first, last, cycle in graph.network.parts:
        nodes = graph.network.nodes[first : last + 1]
        if cycle:
            Cycle(signals, nodes).add()
        else:
            signals.add(nodes[0])
    return signals


def _step(graph: Graph) -> Signals:
    signals = OneStep(graph, graph.scope)
    for node in graph.network.nodes:
        signals.begin(node)
    for node in graph.network.nodes:
        signals.add(node)
    signals.end_all()
    return signals


def _name_traces(graph: Graph, signals: Signals) -> None:
    """Note which values show what neurons and synapses do."""
    for key, found in signals.traces.items():
        held = graph.traces.setdefault(key[0], {})
        delay = graph.delivery(key)
        for variable, (term, shape) in found.items():
            if variable == "spikes" and delay:
                term = signals.raw(key, delay)
            elif variable == "output":
                term = signals.read((key, delay, shape))
            graph.state_type(term, shape)
            held[variable] = term.name


def _name_results(graph: Graph, signals: Signals) -> None:
    """Make what the output layers hand on outputs of the graph, before the states."""
    found: list[Message] = []
    for name in graph.network.outputs:
        key, delay = graph.network.signal(name)
        shape = graph.network.shapes_out[name]
        term = signals.read((key, delay, shape))
        own = term.name == name or (name == key[0] and term.name == signals.now[key].name)
        if not own or term.name in graph.stimuli.values():
            hint = f"{name}.output" if name == key[0] else name
            term = graph.scope.op("Identity", term, hint=hint, name=graph.node_name(hint))
        graph.results[name] = term.name
        shown = graph.traces.get(name, {})
        if "output" in shown and shown["output"] != term.name:  # the same, under its own name
            graph.values = [x for x in graph.values if x["name"] != shown["output"]]
            shown["output"] = term.name
        found.append(value_info(term.name, term.dtype, [*graph.lead, *shape]))
    if graph.style.shows_all:
        named = {value["name"] for value in (*found, *graph.outputs)}
        found += [value for value in graph.values if value["name"] not in named]
    graph.outputs[:0] = found
    named = {value["name"] for value in graph.outputs}
    graph.values = [value for value in graph.values if value["name"] not in named]
