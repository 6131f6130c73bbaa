"""A network in the form in which a framework's importer will run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snnbridge import UNKNOWN, Entry, SNNCheckpoint, WriteError
from snnbridge.express import expressed
from snnbridge_plugins.nir.importers import IMPORTERS, Importer


def prepare(
    checkpoint: SNNCheckpoint, options: Mapping[str, Any]
) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    """Put a network into the form that an importer runs, if one is asked for.

    Raises
    ------
    WriteError
        Naming the first layer that the importer would leave out, refuse or run otherwise.
    UnknownValue
        If a rule is not known.
    """
    name = options.get("for")
    if not name:
        return checkpoint, ()
    importer = IMPORTERS[name]
    _check_graph(checkpoint, importer)
    return expressed(checkpoint, importer)


def _check_graph(checkpoint: SNNCheckpoint, importer: Importer) -> None:
    """Refuse graphs that an importer runs otherwise."""
    if checkpoint.connections is UNKNOWN:
        return
    for c in checkpoint.connections:
        if c.delay != 0:
            raise WriteError(
                f"the connection {c.source!r} to {c.target!r} takes {c.delay} steps; the importer "
                f"of {importer.name} {importer.version} has no such connection"
            )
    fed = {c.target for c in checkpoint.connections}
    feeding = {c.source for c in checkpoint.connections}
    for what, others in (("begins", fed), ("ends", feeding)):
        names = [name for name in checkpoint.layers if name not in others]
        if not names:
            raise WriteError(f"no layer {what} the network: it runs in a circle")
        if len(names) > 1:
            raise WriteError(
                f"the network {what} at {len(names)} layers ({', '.join(names[:4])}); importers "
                "run one input and one output"
            )
