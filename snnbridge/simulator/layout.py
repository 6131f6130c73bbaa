"""From a checkpoint to the nodes of its simulation: shapes, sums, and their order."""

from __future__ import annotations

import math
from collections import deque

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Delay,
    Flatten,
    Input,
    Inputs,
    Layer,
    Neuron,
    Output,
    Shape,
    SNNCheckpoint,
    Synapse,
)
from snnbridge.simulator.network import Key, Network, Node, delay_steps, reorders
from snnbridge.simulator.ordering import components, order
from snnbridge.simulator.shapes import check_shape, shape_in, shape_out
from snnbridge.simulator.subgraphs import Flattener
from snnbridge.simulator.unknowns import refuse_unknown


def network_of(checkpoint: SNNCheckpoint) -> Network:
    """Lay out a checkpoint for simulation.

    Raises
    ------
    CheckpointError
        For shapes that do not fit, cycles without delay, and parameters that are no real numbers.
    UnknownValue
        For shapes that cannot be told.
    """
    network = Network({}, {}, {})
    flattener = Flattener(network)
    flattener.add(checkpoint.layers, checkpoint.connections, "", checkpoint.dt)
    _refuse_other_numbers(network)
    network.inputs, network.outputs = _ends(network, checkpoint)
    _infer_shapes(network)
    nodes = _make_nodes(network)
    order(network, nodes)
    return network


def _refuse_other_numbers(network: Network) -> None:
    """Refuse complex numbers, texts and dates: a step is arithmetic of real numbers."""
    for layer in network.layers.values():
        for name, held in layer.parameters.items():
            if held.value is not UNKNOWN and held.value.dtype.kind in "cSUmM":
                raise CheckpointError(
                    f"layer {layer.name!r} ({layer.kind}): {name} is of type {held.value.dtype}; "
                    "expected real numbers"
                )


def _ends(network: Network, checkpoint: SNNCheckpoint) -> tuple[list[str], list[str]]:
    """Name the layers that take a stimulus, and those that give a result."""
    outer = set(checkpoint.layers)
    fed = {name for name, sources in network.incoming.items() if sources}
    inputs = [n for n, x in network.layers.items() if type(x) is Input and n in outer - fed]
    if not inputs:
        inputs = [name for name in network.layers if name not in fed]
    outputs = [n for n, x in network.layers.items() if type(x) is Output and n in outer]
    return inputs, outputs or _last(network)


def _last(network: Network) -> list[str]:
    """Name the layers that nobody reads, and the neurons of cycles that nobody else reads."""
    parts = list(components(network.incoming))
    place = {name: at for at, part in enumerate(parts) for name in part}
    read = {
        place[source]
        for name, sources in network.incoming.items()
        for source, _ in sources
        if place[source] != place[name]
    }
    found: set[str] = set()
    for at, part in enumerate(parts):
        if at not in read:
            neurons = {name for name in part if isinstance(network.layers[name], Neuron)}
            found |= neurons or set(part)
    return [name for name in network.layers if name in found]


def _infer_shapes(network: Network) -> None:
    """Hand shapes on from layer to layer until nothing is new."""
    targets: dict[str, list[str]] = {name: [] for name in network.layers}
    for target, sources in network.incoming.items():
        for source, _ in sources:
            targets[source].append(target)
    pending = deque(network.layers)
    while pending:
        name = pending.popleft()
        layer = network.layers[name]
        known = network.shapes_in.get(name) or _shape_arriving(network, name)
        if known is not None:
            check_shape(layer, known)
            network.shapes_in[name] = known
        made = shape_out(layer, known)
        if made is not None and name not in network.shapes_out:
            network.shapes_out[name] = made
            pending.extend(targets[name])
    refuse_unknown((name, "its shape") for name in network.layers if name not in network.shapes_out)
    for name, sources in network.incoming.items():
        network.shapes_in.setdefault(name, network.shapes_out[name])
        for source, _ in sources:
            _check_arriving(network, source, name)


def _shape_arriving(network: Network, name: str) -> Shape | None:
    for source, _ in network.incoming[name]:
        if source in network.shapes_out:
            return network.shapes_out[source]
    return shape_in(network.layers[name])


def _check_arriving(network: Network, source: str, name: str) -> None:
    given, taken = network.shapes_out[source], network.shapes_in[name]
    check_shape(network.layers[name], given)
    if given != taken and math.prod(given) != math.prod(taken):
        raise CheckpointError(
            f"layer {name!r} gets shapes {taken} and {given}; expected one shape from all"
        )
    if math.prod(given) == 0:
        raise CheckpointError(f"layer {source!r} gives shape {given}, in which there is nothing")


def _make_nodes(network: Network) -> dict[Key, Node]:
    nodes: dict[Key, Node] = {}
    for name, layer in network.layers.items():
        if network.through(name) is not None:
            network.signal(name)  # refuses a cycle of such layers
            continue
        sources = [network.signal(source) for source, _ in network.incoming[name]]
        sources = [
            (key, delay + steps)
            for (key, delay), (_, steps) in zip(sources, network.incoming[name], strict=True)
        ]
        stimulated = name in network.inputs
        if isinstance(layer, Input | Flatten | Delay) and not _computes(network, name, layer):
            what = "stimulus" if stimulated else "sum"
            shape = network.shapes_out[name]
            nodes[name, "out"] = Node((name, "out"), layer, what, shape, sources)
            continue
        if not _takes_all(layer, sources, stimulated):
            what = "stimulus" if stimulated else "sum"
            shape = network.shapes_in[name]
            nodes[name, "in"] = Node((name, "in"), layer, what, shape, sources)
            sources = [((name, "in"), 0)]
        nodes[name, "out"] = Node((name, "out"), layer, "layer", network.shapes_out[name], sources)
    return nodes


def _takes_all(layer: Layer, sources: list[tuple[Key, int]], stimulated: bool) -> bool:
    """Whether a layer's step reads its sources itself, and not their sum."""
    if stimulated or not sources:
        return False
    if len(sources) == 1:
        return True
    if not isinstance(layer, Neuron | Synapse):
        return False
    if layer.rule.inputs is UNKNOWN:
        refuse_unknown([(layer.name, "rule.inputs")])
    return layer.rule.inputs is Inputs.IN_TURN


def _computes(network: Network, name: str, layer: Layer) -> bool:
    """Whether a layer does anything to the sum of what arrives."""
    if isinstance(layer, Flatten):
        return reorders(layer, network.shapes_in[name])
    if isinstance(layer, Delay):
        return bool((delay_steps(layer, network.steps[name]) != 0).any())
    return False
