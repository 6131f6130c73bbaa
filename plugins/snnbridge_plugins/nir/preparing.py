"""A network in the form in which a framework's importer will run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snnbridge import CheckpointError, Entry, SNNCheckpoint, WriteError
from snnbridge.express import expressed
from snnbridge.rewrites import without_subgraphs
from snnbridge.simulator import missing_values, refuse_unknown
from snnbridge_plugins.nir.importers import IMPORTERS, Importer
from snnbridge_plugins.nir.importers.timing import in_time
from snnbridge_plugins.nir.releases import refused_by


def prepare(
    checkpoint: SNNCheckpoint, options: Mapping[str, Any]
) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    """Put a network into the form that an importer runs, if one is asked for.

    Raises
    ------
    WriteError
        Naming the first layer or connection that the importer would leave out, refuse or run
        otherwise.
    UnknownValue
        Naming all rules and delays that are not known.
    """
    name = options.get("for")
    if not name:
        return checkpoint, refused_by(checkpoint)
    importer = IMPORTERS[name]
    refuse_unknown(_unknown(checkpoint))
    flat, apart = _taken_apart(checkpoint, importer)
    planned, entries = expressed(flat, importer)
    timed, moved = in_time(planned, importer)
    return timed, [*apart, *entries, *moved, *refused_by(timed)]


def _unknown(checkpoint: SNNCheckpoint) -> list[tuple[str, str]]:
    """Return the rules and delays that nobody stated; importers have a time step of their own."""
    return [
        (layer, name)
        for layer, name in missing_values(checkpoint)
        if name.startswith(("rule.", "the delay"))
    ]


def _taken_apart(
    checkpoint: SNNCheckpoint, importer: Importer
) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    try:
        return without_subgraphs(checkpoint)
    except CheckpointError as error:
        raise WriteError(f"{importer.label} runs no such graphs inside graphs: {error}") from error
