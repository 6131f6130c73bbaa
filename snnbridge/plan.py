"""What a target can hold of a checkpoint: the ledger of a conversion."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from snnbridge.formats import EVERYTHING, Feature, Format, Options
from snnbridge.ledger import Entry, Ledger, Status
from snnbridge.model import UNKNOWN, Layer, Path, SNNCheckpoint
from snnbridge.usage import features


def plan(
    checkpoint: SNNCheckpoint, format: Format, options: Options
) -> tuple[SNNCheckpoint, Ledger]:
    """Say what becomes of a checkpoint in a file of a format.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    format : Format
    options : mapping
        Those of the writing; ``bare`` decides what the format holds.

    Returns
    -------
    SNNCheckpoint
        What will be written: the checkpoint itself, or another form of it.
    Ledger
        One entry for each layer and each other thing that the checkpoint uses, and one for each
        thing that is rewritten or lost.
    """
    changed: list[Entry] = []
    if format.prepare is not None:
        checkpoint, entries = format.prepare(checkpoint, options)
        changed = list(entries)
    held = format.holds_bare if options.get("bare") else format.holds
    lost: list[Entry] = []
    if held != EVERYTHING:
        lost = list(_dropped(features(checkpoint), format, held, bare=bool(options.get("bare"))))
    if format.losses is not None:
        lost += [
            Entry(Status.DROPPED, path, _words(path), reason)
            for path, reason in format.losses(checkpoint, options)
        ]
    told = [*_outermost(lost), *changed]
    gone = {entry.path for entry in told}
    snapshot = copy.copy(checkpoint)
    snapshot.layers = dict(checkpoint.layers)

    def kept() -> list[Entry]:
        things = ((path, what) for path, what in _things(snapshot) if path not in gone)
        return [Entry(Status.EXACT, path, what) for path, what in things]

    return checkpoint, Ledger(tuple(told), kept)


def _dropped(
    used: dict[Feature, list[Path]], format: Format, held: frozenset[Feature], *, bare: bool
) -> Iterator[Entry]:
    where = f"a bare {format.name} file" if bare else f"the {format.name} format"
    for feature, paths in used.items():
        if feature not in held:
            reason = f"{where} has no place for {feature.value}"
            for path in paths:
                yield Entry(Status.DROPPED, path, _words(path), reason)


def _outermost(entries: Iterable[Entry]) -> list[Entry]:
    """Keep one entry for each path, and none below the path of another."""
    first: dict[Path, Entry] = {}
    for entry in entries:
        first.setdefault(entry.path, entry)
    return [
        entry
        for path, entry in first.items()
        if not any(path[:n] in first for n in range(1, len(path)))
    ]


def _things(checkpoint: SNNCheckpoint) -> Iterator[tuple[Path, str]]:
    for layer in checkpoint.layers.values():
        yield ("layers", layer.name), _layer_words(layer)
    if checkpoint.connections is not UNKNOWN:
        yield ("connections",), f"{len(checkpoint.connections)} connections"
    if checkpoint.dt is not UNKNOWN:
        yield ("dt",), f"time step {checkpoint.dt}"
    if checkpoint.state:
        yield ("state",), f"{len(checkpoint.state)} state variables"
    for name in ("training", "metadata", "frozen_layers", "ties", "extras"):
        value = getattr(checkpoint, name)
        if value:
            yield (name,), f"{name.replace('_', ' ')}: {_listed(value)}"


def _layer_words(layer: Layer) -> str:
    names = ", ".join(n for n, p in layer.parameters.items() if p.value is not UNKNOWN)
    return f"{layer.kind} {layer.name!r}" + (f": {names}" if names else "")


def _listed(value: Any, most: int = 4) -> str:
    names = [str(x) for x in value if isinstance(x, str)]
    if not names:
        return f"{len(value)}"
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _words(path: Path) -> str:
    if path[0] == "layers" and len(path) > 1:
        return f"{'.'.join(path[2:]) or 'layer'} of {path[1]!r}"
    return "/".join(path).replace("_", " ")
