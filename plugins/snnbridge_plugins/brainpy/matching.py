"""Which layer of a checkpoint goes to which node of a template."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from snnbridge import (
    UNKNOWN,
    Flatten,
    Input,
    Layer,
    Neuron,
    Opaque,
    OptionError,
    Output,
    SNNCheckpoint,
    Synapse,
    WriteError,
)
from snnbridge.model import Shape, some_of

#: The layers before a layer, and those behind it.
_Sides = tuple[set[str], set[str]]
_POOLS = ("SumPool", "AvgPool", "MaxPool")
_SHOWN = 4


class Match(NamedTuple):
    """A layer that goes to a node, and what told so."""

    layer: str
    told_by: str


def counting(checkpoint: SNNCheckpoint) -> dict[str, Layer]:
    """Return the layers that need a counterpart: all but those without anything to store."""
    return {
        name: layer
        for name, layer in checkpoint.layers.items()
        if not isinstance(layer, Input | Output | Flatten) and layer.kind not in _POOLS
    }


def match(
    template: SNNCheckpoint,
    checkpoint: SNNCheckpoint,
    stated: Mapping[str, str],
    takes: Callable[[str, str], bool],
) -> dict[str, Match]:
    """Find the counterparts: as stated, by name, by kind and shape, by the connections.

    Parameters
    ----------
    template, checkpoint : SNNCheckpoint
    stated : mapping of str to str
        For layers, the node that the user says.
    takes : function of (node, layer)
        Whether an array of the layer would be stored in the node. Where none would, it does not
        matter which of several layers it is, and the first is taken.

    Returns
    -------
    dict of str to Match
        By node; what has no counterpart is not in it.

    Raises
    ------
    OptionError
        If `stated` names what is not there.
    WriteError
        If several layers fit a node and nothing tells which is meant.
    """
    nodes, layers = counting(template), counting(checkpoint)
    states = _state_shapes(template)
    pairs = {node: Match(layer, "map") for node, layer in _stated(stated, nodes, layers)}
    used = {found.layer for found in pairs.values()}
    for name in (x for x in nodes if x in layers and x not in pairs and x not in used):
        if _fits(nodes[name], layers[name], states):
            pairs[name] = Match(name, "name")
    used = {found.layer for found in pairs.values()}
    free = [layer for name, layer in layers.items() if name not in used]
    options = {
        name: {layer.name for layer in free if _fits(node, layer, states)}
        for name, node in nodes.items()
        if name not in pairs
    }
    _settle(options, pairs, "kind and shape")
    options = _along_connections(options, pairs, template, checkpoint)
    _settle(options, pairs, "connections")
    _take_first(options, pairs, list(layers), takes)
    open_ = {name: found for name, found in options.items() if name not in pairs and found}
    if open_:
        raise WriteError(_ambiguous(open_, list(layers)))
    return pairs


def _stated(
    stated: Mapping[str, str], nodes: Mapping[str, Layer], layers: Mapping[str, Layer]
) -> Iterator[tuple[str, str]]:
    for layer, node in stated.items():
        for name, known, what in ((layer, layers, "layer"), (node, nodes, "node of the template")):
            if name not in known:
                there = some_of(list(known))
                raise OptionError(f"map names {name!r}, which is no {what}; there are {there}")
        yield node, layer
    if len(set(stated.values())) < len(stated):
        raise OptionError("map gives a node of the template two layers")


def _settle(options: dict[str, set[str]], pairs: dict[str, Match], told_by: str) -> None:
    """Pair nodes with the one layer that is left for each, until nothing changes."""
    pending = [name for name, found in options.items() if len(found) == 1]
    while pending:
        name = pending.pop()
        if name in pairs or len(options[name]) != 1:
            continue
        (layer,) = options[name]
        # Two nodes that one layer alone fits: the second will be reported as without a layer.
        pairs[name] = Match(layer, told_by)
        for other, found in options.items():
            if other not in pairs and layer in found:
                found.remove(layer)
                if len(found) == 1:
                    pending.append(other)


def _along_connections(
    options: dict[str, set[str]],
    pairs: Mapping[str, Match],
    template: SNNCheckpoint,
    checkpoint: SNNCheckpoint,
) -> dict[str, set[str]]:
    """Drop layers whose neighbours cannot be those of the node, where both sides know theirs."""
    found = {name: set(layers) for name, layers in options.items() if name not in pairs}
    if not found or template.connections is UNKNOWN or checkpoint.connections is UNKNOWN:
        return found
    ours, theirs = neighbours(template), neighbours(checkpoint)
    every = found | {name: {pair.layer} for name, pair in pairs.items()}
    left = -1
    while left != (left := sum(map(len, found.values()))):
        for name, layers in found.items():
            layers &= {x for x in layers if _agree(ours[name], theirs[x], every)}
    # Where the wirings contradict each other they tell nothing.
    return found if all(found.values()) else {x: options[x] for x in found}


def _agree(ours: _Sides, theirs: _Sides, options: Mapping[str, set[str]]) -> bool:
    """Whether the neighbours of a node may be those of a layer, on either side."""
    return all(
        len(nodes) == len(layers) and all(options[node] & layers for node in nodes)
        for nodes, layers in zip(ours, theirs, strict=True)
    )


def neighbours(checkpoint: SNNCheckpoint) -> dict[str, _Sides]:
    """Return before and behind each layer those that count, through those that do not."""
    assert checkpoint.connections is not UNKNOWN
    kept = counting(checkpoint)
    after: dict[str, set[str]] = {name: set() for name in checkpoint.layers}
    for edge in checkpoint.connections:
        after[edge.source].add(edge.target)
    for name in checkpoint.layers.keys() - kept.keys():
        beyond = after.pop(name) - {name}
        for found in after.values():
            if name in found:
                found.remove(name)
                found |= beyond
    before = {name: {x for x in kept if name in after[x]} for name in kept}
    return {name: (before[name], after[name]) for name in kept}


def _take_first(
    options: dict[str, set[str]],
    pairs: dict[str, Match],
    order: list[str],
    takes: Callable[[str, str], bool],
) -> None:
    """Pair nodes in which no layer would store anything with the first that fits."""
    used = {found.layer for found in pairs.values()}
    for name, found in options.items():
        if name not in pairs and not any(takes(name, layer) for layer in found):
            layer = next((x for x in order if x in found and x not in used), None)
            if layer is not None:
                pairs[name] = Match(layer, "order; nothing is stored")
                used.add(layer)


def _ambiguous(options: Mapping[str, set[str]], order: list[str]) -> str:
    """Name the candidates, and the option that would settle them in their order."""
    told = []
    for name, found in list(options.items())[:_SHOWN]:
        fitting = [repr(x) for x in order if x in found]
        more = f" and {len(fitting) - _SHOWN} more" if len(fitting) > _SHOWN else ""
        told.append(f"{', '.join(fitting[:_SHOWN])}{more} for node {name!r}")
    more = f", and for {len(options) - _SHOWN} more nodes" if len(options) > _SHOWN else ""
    layers = [x for x in order if any(x in found for found in options.values())]
    example = ",".join(f"{a}={b}" for a, b in list(zip(layers, options, strict=False))[:_SHOWN])
    return (
        f"several layers fit a node of the template: {'; '.join(told)}{more}; say which goes "
        f"where with the option map=LAYER=NAME,..., in their order map={example}"
        f"{',...' if len(options) > _SHOWN else ''}"
    )


def _state_shapes(checkpoint: SNNCheckpoint) -> dict[str, list[Shape]]:
    found: dict[str, list[Shape]] = {}
    for (name, *_), held in checkpoint.state.items():
        found.setdefault(name, []).append(held.value.shape)
    return found


def _fits(node: Layer, layer: Layer, states: Mapping[str, list[Shape]]) -> bool:
    """Whether a layer may go to a node: of the same kind, with arrays of the same shapes."""
    if type(node) is not type(layer):
        return False
    if not isinstance(node, Neuron | Synapse) or not isinstance(layer, Neuron | Synapse):
        return shapes_of(node) == shapes_of(layer)
    if UNKNOWN not in (layer.shape, node.shape) and layer.shape != node.shape:
        return False
    stored = states.get(node.name, [])
    known: Shape = () if layer.shape is UNKNOWN else layer.shape
    return not stored or any(shape[len(shape) - len(known) :] == known for shape in stored)


def shapes_of(layer: Layer) -> dict[str, Shape]:
    """Return the shapes by which a layer with weights is known."""
    names = set(layer.parameters) - {"epsilon"}
    if not isinstance(layer, Opaque):
        names &= {"weight", "mean"}
    held = ((name, layer.parameters[name].value) for name in sorted(names))
    return {name: value.shape for name, value in held if value is not UNKNOWN}
