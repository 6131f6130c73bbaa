"""Classes that hold a synapse and a neuron: one table of a spec states both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from snnbridge import rules
from snnbridge.errors import SpecError
from snnbridge.model import UNKNOWN, Connection, Layer, Neuron, Opaque, SNNCheckpoint, Synapse
from snnbridge.model.values import Unknown
from snnbridge.rules import FrameworkClass
from snnbridge.spec.classes import class_named

#: What a neuron and its synapse have alike.
_COMMON = ("shape", "dt", "defaults")


def parted(
    tables: Mapping[str, dict[str, Any]],
    layers: Mapping[str, Layer],
    shared: Mapping[str, Any],
    checkpoint: SNNCheckpoint,
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Part the tables of neurons whose class holds a synapse too.

    Parameters
    ----------
    tables : mapping of str to dict
        What a spec states, by layer.
    layers : mapping of str to Layer
        Of the checkpoint, by their names from outside.
    shared : mapping of str to object
        What the spec states at the top.
    checkpoint : SNNCheckpoint

    Returns
    -------
    dict of str to dict
        The tables by layer, with one for each synapse that a class brings along.
    dict of str to str
        The synapses that the checkpoint does not hold, by their neurons.

    Raises
    ------
    SpecError
        For a class that has a synapse or none, where the spec does not say which.
    """
    found: dict[str, dict[str, Any]] = {}
    added: dict[str, str] = {}
    for name, table in tables.items():
        known, inner = _class_of(name, table, layers), f"{name}.synapse"
        own = dict(table)
        if known is not None and known.synapse is not None:
            own, its = _divided(known, table)
            if inner not in layers and inner not in tables:
                its = {}
                if _brings(name, known, table, shared, checkpoint):
                    its, added[name] = _table_of(known, known.synapse, table), inner
            if its:
                found[inner] = {**its, **found.get(inner, {})}
        found[name] = {**found.get(name, {}), **own}
    return found, added


def _class_of(
    name: str, table: Mapping[str, Any], layers: Mapping[str, Layer]
) -> FrameworkClass | None:
    """Return the class of a neuron, by the spec or by the file."""
    layer = layers.get(name)
    if layer is not None and not isinstance(layer, Neuron | Opaque):
        return None
    held = rules.of(layer) if layer is not None else None
    if held is not None or "class" not in table:
        return held
    found = class_named(layer, table["class"], f"layer {name!r}")
    return found if found.layer is Neuron else None


def _brings(
    name: str,
    known: FrameworkClass,
    table: Mapping[str, Any],
    shared: Mapping[str, Any],
    checkpoint: SNNCheckpoint,
) -> bool:
    """Whether a class, which the spec states, adds a synapse to what the checkpoint holds."""
    held = checkpoint.layers.get(name)
    if "class" not in table or (held is not None and rules.of(held) is not None):
        return False
    edges = () if checkpoint.connections is UNKNOWN else checkpoint.connections
    before = (checkpoint.layers[edge.source] for edge in edges if edge.target == name)
    if any(isinstance(layer, Synapse) for layer in before):
        return False
    if not _has_synapse(name, known, table, shared):
        return False
    if held is None and "/" in name and name.partition("/")[0] in checkpoint.layers:
        raise SpecError(
            f"layer {name!r}: {known.framework}.{known.kind} holds a synapse, which a spec cannot "
            "add inside a graph; state another class, or build the network in Python"
        )
    return True


def _table_of(
    known: FrameworkClass, synapse: FrameworkClass, table: Mapping[str, Any]
) -> dict[str, Any]:
    common = {key: table[key] for key in _COMMON if key in table}
    stated = _divided(known, table)[1]
    return {"kind": "Synapse", "class": f"{known.framework}.{synapse.kind}", **common, **stated}


def _divided(
    known: FrameworkClass, table: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give a synapse the words that are its own, and those that both have."""
    assert known.synapse is not None
    alone = {*known.synapse.arguments, "receptors"} - set(known.arguments)
    both = set(known.synapse.arguments) & set(known.arguments)
    its = {key: value for key, value in table.items() if key in alone | both}
    return {key: value for key, value in table.items() if key not in alone}, its


def _has_synapse(
    name: str, known: FrameworkClass, table: Mapping[str, Any], shared: Mapping[str, Any]
) -> bool:
    """Whether the class of a neuron has its synapse, which an argument may say."""
    if known.synapse_if is None:
        return True
    assert known.synapse is not None
    stated = {**shared, **table}
    given = [stated[key] for key in known.synapse.arguments if key in stated]
    if given:
        return any(value not in (None, "none") for value in given)
    if stated.get("defaults") is True:
        return False
    raise SpecError(
        f"layer {name!r}: {known.framework}.{known.kind} has a synapse or none; state "
        f'{known.synapse_if}, or {known.synapse_if} = "none" where there is none'
    )


def of_classes(layers: Mapping[str, Layer]) -> dict[str, str]:
    """Return the synapses that belong to the class of a neuron, by that."""
    found = {}
    for name, layer in layers.items():
        known = rules.of(layer) if isinstance(layer, Neuron) else None
        inner = layers.get(f"{name}.synapse")
        if known is not None and known.synapse is not None and inner is not None:
            origin = inner.origin
            if origin is not None and origin.kind == known.synapse.kind:
                found[name] = inner.name
    return found


def wired(
    edges: tuple[Connection, ...] | Unknown, synapses: Mapping[str, str]
) -> tuple[Connection, ...] | Unknown:
    """Lead what feeds a neuron into its synapse, where the edges do not name that themselves.

    Parameters
    ----------
    edges : tuple of Connection, or UNKNOWN
    synapses : mapping of str to str
        By their neurons.
    """
    if edges is UNKNOWN:
        return edges
    named = {name for edge in edges for name in (edge.source, edge.target)}
    entered = {n: synapse for n, synapse in synapses.items() if n in named and synapse not in named}
    return (
        *(replace(edge, target=entered.get(edge.target, edge.target)) for edge in edges),
        *(Connection(synapse, neuron) for neuron, synapse in entered.items()),
    )


def told(added: Mapping[str, str], layers: Mapping[str, Layer], name: str) -> Iterator[str]:
    """Say in the notes which synapses came with a class."""
    for neuron, synapse in added.items():
        layer = layers[synapse]
        if isinstance(layer, Synapse) and layer.origin is not None:
            kind = layer.origin.kind.removesuffix(".synapse")
            yield f"{name} adds {synapse!r}: {layer.origin.framework} {kind} {neuron!r} has one"
