"""Pools whose numbers stand for all axes, as frameworks write them: how many axes there are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from snnbridge import rules
from snnbridge.errors import SpecError
from snnbridge.model import KINDS, UNKNOWN, Connection, Input, Layer, Neuron, SNNCheckpoint
from snnbridge.model.checks import whole
from snnbridge.model.layers import Conv, Flatten, Linear, Opaque, Pool, Subgraph
from snnbridge.spec import nesting, network
from snnbridge.spec.classes import with_class
from snnbridge.spec.values import short
from snnbridge.spec.words import by_model_name

_Tables = dict[str, dict[str, Any]]
#: What has one number for each axis.
_WINDOW = ("window", "stride", "padding")
#: What gives another number of axes than it takes, or may.
_ENDS = (Flatten, Linear, Opaque, Subgraph)


def with_axes(
    tables: _Tables,
    layers: Mapping[str, Layer],
    spec: Mapping[str, Any],
    checkpoint: SNNCheckpoint,
) -> _Tables:
    """Return the tables with a number for each axis of the pools that state one for all.

    Parameters
    ----------
    tables : dict of str to dict
        What a spec states, by layer.
    layers : mapping of str to Layer
        Of the checkpoint, by their names from outside.
    spec : mapping of str to object
    checkpoint : SNNCheckpoint

    Raises
    ------
    SpecError
        If neither what feeds a pool nor what it feeds tells how many axes there are.
    """
    everything = {**layers, **_added(tables, layers)}
    names = {name: _number_for_all(tables[name], everything[name]) for name in tables}
    if not any(names.values()):
        return tables
    edges = _edges(spec, checkpoint)
    found = dict(tables)
    for name, word in names.items():
        if word:
            axes = _axes(name, everything, tables, edges)
            held = tables[name][word]
            if axes is None:
                raise SpecError(
                    f"layer {name!r}: {word} must be one number for each axis, like "
                    f"[{held}, {held}], found {short(held)}, and no layer that a chain leads to "
                    "it or from it says how many axes there are"
                )
            found[name] = {**tables[name], word: [held] * axes}
    return found


def _added(tables: _Tables, layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """Return what a spec adds, or tells the kind of, as layers that say nothing yet."""
    found = {}
    for name, table in tables.items():
        if name not in layers:
            kind = table.get("kind")
            found[name] = (KINDS.get(kind, Neuron) if isinstance(kind, str) else Neuron)(name)
        elif isinstance(layers[name], Opaque):
            found[name] = with_class(layers[name], table, f"layer {name!r}")
    return found


def _number_for_all(table: Mapping[str, Any], layer: Layer) -> str:
    """Return the word of a pool's table that has to tell the axes; nothing if one does."""
    if not isinstance(layer, Pool) or any(isinstance(getattr(layer, n), tuple) for n in _WINDOW):
        return ""
    own = by_model_name(rules.of(layer, table))
    words = [word for name in _WINDOW for word in (name, own.get(name, name)) if word in table]
    if any(isinstance(table[word], list | tuple) for word in words):
        return ""
    return next((word for word in words if whole(table[word]) is not None), "")


def _edges(spec: Mapping[str, Any], checkpoint: SNNCheckpoint) -> tuple[Connection, ...]:
    held: Any = checkpoint.connections
    if held is not UNKNOWN:
        held = tuple(nesting.inner_edges(checkpoint.layers, held))
    edges: Any = network.connections(spec, held)
    return () if edges is UNKNOWN else edges


def _axes(
    name: str, layers: Mapping[str, Layer], tables: _Tables, edges: Iterable[Connection]
) -> int | None:
    """Return how many axes images have at a layer, by the layers that it shares them with."""
    beside: dict[str, list[str]] = {}
    for edge in edges:
        beside.setdefault(edge.target, []).append(edge.source)
    before = _nearest(name, layers, tables, beside)
    if before is not None:
        return before
    behind: dict[str, list[str]] = {}
    for target, sources in beside.items():
        for source in sources:
            behind.setdefault(source, []).append(target)
    return _nearest(name, layers, tables, behind)


def _nearest(
    name: str, layers: Mapping[str, Layer], tables: _Tables, beside: Mapping[str, list[str]]
) -> int | None:
    """Return the axes of the nearest layer in one direction that tells them."""
    pending, seen = deque(beside.get(name, ())), {name}
    while pending:
        at = pending.popleft()
        layer = layers.get(at)
        if layer is None or at in seen or isinstance(layer, _ENDS):
            continue
        seen.add(at)
        found = _told(layer, tables.get(at, {}))
        if found is not None:
            return found
        pending += beside.get(at, ())
    return None


def _told(layer: Layer, table: Mapping[str, Any]) -> int | None:
    """Return the axes that a layer tells by itself, or by its own table."""
    if isinstance(layer, Conv):
        return layer.axes
    if isinstance(layer, Pool):
        held = next((x for n in _WINDOW if isinstance(x := getattr(layer, n), tuple)), None)
        stated = next((x for n in _WINDOW if isinstance(x := table.get(n), list | tuple)), held)
        return None if stated is None else len(stated)
    if isinstance(layer, Input | Neuron):
        shape: Any = table.get("shape", layer.shape)
        return len(shape) - 1 if isinstance(shape, list | tuple) and len(shape) > 1 else None
    return None
