"""Connections that take the steps which an importer takes for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from snnbridge import (
    UNKNOWN,
    Connection,
    Delay,
    Entry,
    Input,
    Layer,
    Neuron,
    Output,
    ReadError,
    SNNCheckpoint,
    Status,
    Synapse,
    WriteError,
)
from snnbridge_plugins.nir.importers.base import Importer
from snnbridge_plugins.nir.to_graph import named_graph

_STATEFUL = (Input, Output, Neuron, Synapse, Delay)


def in_time(planned: SNNCheckpoint, importer: Importer) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Let each connection take the steps that the importer takes, where that changes nothing.

    The step of a way back may stand before or behind weights without a bias.

    Raises
    ------
    WriteError
        If the importer runs something in another step.
    """
    assert planned.connections is not UNKNOWN
    graph, names = named_graph(planned, importer)
    try:
        delays = importer.delays(graph)
    except ReadError as error:
        raise WriteError(str(error)) from error
    theirs = {
        c: 0 if names[c.source] == names[c.target] and c.delay == 0
        else delays[names[c.source], names[c.target]]
        for c in planned.connections
    }  # fmt: skip
    if all(c.delay == steps for c, steps in theirs.items()):
        return planned, ()
    _check(theirs, _moved(theirs, planned.layers), planned.layers, importer)
    edges = tuple(replace(c, delay=steps) for c, steps in theirs.items())
    reason = f"the step of a way back stands where {importer.label} takes it"
    told = Entry(Status.REWRITTEN, ("connections",), "connections", reason)
    return replace(planned, connections=edges), (told,)


def _moved(theirs: Mapping[Connection, int], layers: Mapping[str, Layer]) -> dict[str, int]:
    """Return by how many steps what each layer without a state gives comes later."""
    found = {name: 0 for name, layer in layers.items() if isinstance(layer, _STATEFUL)}
    pending = list(theirs)
    while pending:
        known = [c for c in pending if c.source in found]
        for c in known:
            found.setdefault(c.target, found[c.source] + theirs[c] - c.delay)  # type: ignore[operator]
        if not known:
            break
        pending = [c for c in pending if c.source not in found]
    return found


def _check(
    theirs: Mapping[Connection, int],
    moved: Mapping[str, int],
    layers: Mapping[str, Layer],
    importer: Importer,
) -> None:
    for c, steps in theirs.items():
        if steps - c.delay != moved.get(c.target, 0) - moved.get(c.source, 0):  # type: ignore[operator]
            _refuse(c, steps, importer)
    for name, steps in moved.items():
        held = layers[name].parameters.get("bias") if steps else None
        if held is not None and (held.value is UNKNOWN or held.value.any()):
            raise WriteError(
                f"layer {name!r}: {importer.label} {importer.version} runs it in another step, "
                "and its bias acts in all of them; add the bias to the weights before"
            )


def _refuse(c: Connection, steps: int, importer: Importer) -> NoReturn:
    who = f"{importer.label} {importer.version}"
    if c.delay == 0:
        raise WriteError(
            f"{who} runs {c.target!r} before {c.source!r}, which feeds it, so that what comes "
            "along this connection would come one step late"
        )
    raise WriteError(
        f"the connection {c.source!r} to {c.target!r} takes {c.delay} steps; {who} would run it "
        f"in {steps}"
    )
