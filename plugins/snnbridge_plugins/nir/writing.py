"""Writing a file: the graph, and the whole checkpoint in its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from snnbridge import UNKNOWN, Layer, Neuron, SNNCheckpoint, Subgraph
from snnbridge.model import Path, Reset
from snnbridge.storage import Target
from snnbridge_plugins import read_back
from snnbridge_plugins.nir.carry import describe
from snnbridge_plugins.nir.from_graph import Reading, to_checkpoint
from snnbridge_plugins.nir.graph import by_name
from snnbridge_plugins.nir.importers import IMPORTERS
from snnbridge_plugins.nir.releases import is_soft
from snnbridge_plugins.nir.to_graph import to_graph
from snnbridge_plugins.nir.tree import write_file

#: What a file says of itself: without v_reset a spike sets the potential to zero, ...
_VERSION = "1.0.8"
#: ... or subtracts the threshold, as the documentation of this version has it.
_SOFT_VERSION = "1.0.4"


def write(checkpoint: SNNCheckpoint, target: Target, options: Mapping[str, Any]) -> None:
    """Write one file.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    target : Target
    options : mapping
        ``bare`` and ``for``; the format's declaration has their meaning.
    """
    name = options.get("for")
    graph = to_graph(checkpoint, IMPORTERS[name] if name else None)
    if not options.get("bare"):
        describe(checkpoint, graph, name)
    write_file(target, _version(checkpoint), graph, sealed=not options.get("bare"))


def losses(checkpoint: SNNCheckpoint, options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Say what a file would lose: nothing, unless it is bare."""
    if not options.get("bare"):
        return
    name = options.get("for")
    graph = to_graph(checkpoint, IMPORTERS[name] if name else None)
    version = _version(checkpoint)
    stated = UNKNOWN if version is None else version

    def read() -> SNNCheckpoint:
        return to_checkpoint(by_name(graph), Reading(stated, soft=is_soft(stated)))

    yield from read_back.losses(checkpoint, read, "its graph", "a NIR graph has no place for it")


def _version(checkpoint: SNNCheckpoint) -> str | None:
    """Return the version whose documentation describes the resets of a checkpoint.

    Of several that do, the one that the nodes were read from; None where that stated none.
    """
    layers = list(_all(checkpoint.layers.values()))
    resets = {x.rule.reset for x in layers if isinstance(x, Neuron)} & {Reset.SET, Reset.SUBTRACT}
    soft = resets == {Reset.SUBTRACT}
    origins = {x.origin.version for x in layers if x.origin and x.origin.framework == "nir"}
    if len(origins) == 1:
        (stated,) = origins
        if not resets or soft is is_soft(stated):
            return None if stated is UNKNOWN else stated
    return _SOFT_VERSION if soft else _VERSION


def _all(layers: Iterable[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield layer
        if isinstance(layer, Subgraph):
            yield from _all(layer.layers.values())
