"""The names that a framework gives its modules, from which the keys of a state dict follow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from snnbridge.express.classes import Classes
from snnbridge.express.containers import contained, renamed, with_inputs
from snnbridge.express.graph import Loop, loops_of, own_synapses
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Input,
    Layer,
    Linear,
    Neuron,
    Origin,
    Output,
    SNNCheckpoint,
)


def named(checkpoint: SNNCheckpoint, target: Classes) -> tuple[SNNCheckpoint, dict[str, str]]:
    """Name layers as a framework's own modules are, and what those hold below them.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        In the classes of the framework, its connections known.
    target : Classes

    Returns
    -------
    SNNCheckpoint
    dict of str to str
        The new names, by the old ones. Nothing changes where two layers would have one name.
    """
    first: dict[str, str] = {}
    if target.contained:
        checkpoint, first = contained(checkpoint)
    if target.with_input:
        checkpoint = with_inputs(checkpoint, target.with_input)
    loops = _loops(checkpoint)
    names = _names(checkpoint, target, loops)
    inner = {loop.layer.name for loop in loops.values()} if target.biased_loops else set()
    layers = [
        _as_module(_biased(layer) if layer.name in inner else layer, target)
        for layer in checkpoint.layers.values()
    ]
    if len({names.get(layer.name, layer.name) for layer in layers}) < len(layers):
        return checkpoint, first
    changed = renamed(replace(checkpoint, layers={x.name: x for x in layers}), names)
    both = names | {old: names.get(new, new) for old, new in first.items()}
    return changed, both


def _edges(checkpoint: SNNCheckpoint) -> tuple[Connection, ...]:
    found: tuple[Connection, ...] = checkpoint.connections  # type: ignore[assignment]
    return found


def _as_module(layer: Layer, target: Classes) -> Layer:
    kind = target.kinds.get(type(layer))
    if kind is None or layer.origin is not None:
        return layer
    return replace(layer, origin=Origin(target.name, kind))


def _loops(checkpoint: SNNCheckpoint) -> dict[str, Loop]:
    edges = _edges(checkpoint)
    return loops_of(checkpoint.layers, edges, own_synapses(checkpoint.layers, edges))


def _biased(layer: Layer) -> Layer:
    """Give weights without a bias one of zeros, where the framework's module always has one."""
    if not isinstance(layer, Linear) or "bias" in layer.parameters:
        return layer
    weight = layer.parameters["weight"].value
    if weight is UNKNOWN:
        return layer
    return replace(layer, bias=np.zeros(len(weight), weight.dtype))


def _names(checkpoint: SNNCheckpoint, target: Classes, loops: Mapping[str, Loop]) -> dict[str, str]:
    synapses = own_synapses(checkpoint.layers, _edges(checkpoint))
    inner = {synapse: (neuron, "synapse") for neuron, synapse in synapses.items()}
    for neuron, loop in loops.items():
        if not (target.contained and isinstance(loop.layer, Linear)):
            inner[loop.layer.name] = neuron, target.loop_names.get(type(loop.layer), "recurrent")
    if target.with_input:
        inner |= dict(_inputs(checkpoint, target, synapses, inner))
    own = dict(_beside(checkpoint, inner)) | dict(_numbered(checkpoint, target, inner))
    found = own | {n: f"{own.get(of, of)}.{name}" for n, (of, name) in inner.items()}
    if target.identifiers:
        found = _identifiers({name: found.get(name, name) for name in checkpoint.layers})
    return {old: new for old, new in found.items() if old != new}


def _identifiers(names: Mapping[str, str]) -> dict[str, str]:
    """Replace what no name in Python may hold; what is the same then gets a number."""
    found: dict[str, str] = {}
    for old, name in names.items():
        text = re.sub(r"\W", "_", name)
        text = base = text if text.isidentifier() else f"layer{text}"
        count = 2
        while text in found.values():
            text, count = f"{base}_{count}", count + 1
        found[old] = text
    return found


def _inputs(
    checkpoint: SNNCheckpoint,
    target: Classes,
    synapses: Mapping[str, str],
    inner: Mapping[str, tuple[str, str]],
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Give the weights into neurons whose class holds those too."""
    entries = {synapses.get(name, name): name for name in checkpoint.layers}
    for c in _edges(checkpoint):
        neuron = checkpoint.layers.get(entries.get(c.target, ""))
        weights = isinstance(checkpoint.layers[c.source], Linear) and c.source not in inner
        kind = neuron.origin.kind if isinstance(neuron, Neuron) and neuron.origin else ""
        if neuron is not None and weights and kind in target.with_input:
            yield c.source, (neuron.name, "input")


def _beside(
    checkpoint: SNNCheckpoint, inner: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Name what the source's class held and the target's does not beside the neuron."""
    for name in checkpoint.layers:
        above, _, own = name.rpartition(".")
        if name not in inner and isinstance(checkpoint.layers.get(above), Neuron):
            yield name, f"{above}_{own}"


def _numbered(
    checkpoint: SNNCheckpoint, target: Classes, inner: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Give the modules of a chain their place in it, where the framework names them by it."""
    if target.numbered is None:
        return
    for place, layer in enumerate(_in_order(checkpoint, inner)):
        kind = target.kinds.get(type(layer), layer.origin.kind if layer.origin else "")
        yield layer.name, target.numbered.format(place=place, kind=kind)


def _in_order(checkpoint: SNNCheckpoint, inner: Mapping[str, tuple[str, str]]) -> Iterator[Layer]:
    """Give the modules as they feed each other; none where they are no chain."""
    whole = {name: inner[name][0] if name in inner else name for name in checkpoint.layers}
    between = {(whole[c.source], whole[c.target]) for c in _edges(checkpoint)}
    onward = [(source, target) for source, target in between if source != target]
    follows = dict(onward)
    modules = [name for name in checkpoint.layers if name not in inner]
    ends = [name for name in modules if name not in follows.values()]
    chain = ends[:1]
    while chain and chain[-1] in follows and len(chain) < len(modules):
        chain.append(follows[chain[-1]])
    is_chain = set(chain) == set(modules) and len(onward) == len(chain) - 1
    for name in chain if is_chain else ():
        layer = checkpoint.layers[name]
        if not isinstance(layer, Input | Output):
            yield layer
