"""What a target can hold of a checkpoint: the ledger of a conversion."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from snnbridge.errors import SNNBridgeError, WriteError
from snnbridge.formats import EVERYTHING, Feature, Format, Options
from snnbridge.ledger import ORDER, Entry, Ledger, Status
from snnbridge.model import PER_STEP, UNKNOWN, Layer, Path, SNNCheckpoint
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
        thing that is rewritten or lost. What is partly lost stands in both, each time with its
        own part.
    """
    changed: list[Entry] = []
    if format.prepare is not None:
        with _errors_of(format, "prepare"):
            checkpoint, entries = format.prepare(checkpoint, options)
            changed = list(entries)
    held = format.holds_bare if options.get("bare") else format.holds
    lost: list[Entry] = []
    if held != EVERYTHING:
        lost = list(_dropped(features(checkpoint), format, held, bare=bool(options.get("bare"))))
    if format.losses is not None:
        with _errors_of(format, "losses"):
            lost += [
                Entry(Status.DROPPED, path, _words(path), reason)
                for path, reason in format.losses(checkpoint, options)
            ]
    told = [*_outermost(lost), *changed]
    snapshot = copy.copy(checkpoint)
    snapshot.layers = dict(checkpoint.layers)
    return checkpoint, Ledger(tuple(told), lambda: _kept(snapshot, told))


@contextlib.contextmanager
def _errors_of(format: Format, function: str) -> Iterator[None]:
    """Map whatever a plugin's function raises to the family; NaN and infinity are no warning."""
    try:
        with np.errstate(all="ignore"):
            yield
    except SNNBridgeError:
        raise
    except (Exception, SystemExit) as error:
        raise WriteError(
            f"{function} of the format {format.name!r} failed: {type(error).__name__}: {error}"
        ) from error


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


class _Told:
    """The paths that are told of, asked for what they leave of a thing."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._below: dict[Path, list[Path]] = {}
        for entry in entries:
            for n in range(len(entry.path) + 1):
                self._below.setdefault(entry.path[:n], []).append(entry.path)

    def covers(self, path: Path) -> bool:
        """Whether all of it is told of elsewhere, by its own path or by one above."""
        return any(path[:n] in self._below.get(path[:n], ()) for n in range(1, len(path) + 1))

    def left(self, path: Path, names: Iterable[str]) -> list[str]:
        """Return the names below a path of which something is left, with what is not."""
        found = []
        for name in names:
            here = (*path, name)
            if not self.covers(here):
                parts = [".".join(x[len(here) :]) for x in self._below.get(here, ())]
                found.append(f"{name} (but for {', '.join(parts)})" if parts else name)
        return found


def _kept(checkpoint: SNNCheckpoint, told: Iterable[Entry]) -> list[Entry]:
    paths = _Told(told)
    return [
        Entry(Status.EXACT, path, what)
        for path, what in _things(checkpoint, paths)
        if not paths.covers(path)
    ]


def _things(checkpoint: SNNCheckpoint, told: _Told) -> Iterator[tuple[Path, str]]:
    for layer in checkpoint.layers.values():
        path = ("layers", layer.name)
        yield path, _layer_words(layer, told.left(path, _stated(layer)))
    if checkpoint.connections is not UNKNOWN:
        count = len(told.left(("connections",), map(str, range(len(checkpoint.connections)))))
        if count or not checkpoint.connections:
            yield ("connections",), _count(count, "connection")
    if checkpoint.dt is not UNKNOWN:
        counted = checkpoint.dt is PER_STEP
        yield ("dt",), "time in steps" if counted else f"time step {checkpoint.dt}"
    kept = [path for path in checkpoint.state if not told.covers(("state", *path))]
    if kept:
        yield ("state",), _count(len(kept), "state variable")
    if checkpoint.step not in (None, UNKNOWN):
        yield ("step",), f"step {checkpoint.step}"
    for name in ("training", "metadata", "frozen_layers", "ties", "extras"):
        yield from _listed((name,), getattr(checkpoint, name), told)


def _stated(layer: Layer) -> list[str]:
    return [name for name, p in layer.parameters.items() if p.value is not UNKNOWN]


def _layer_words(layer: Layer, names: list[str]) -> str:
    return f"{layer.kind} {layer.name!r}" + (f": {', '.join(names)}" if names else "")


def _listed(path: Path, value: Any, told: _Told, most: int = 4) -> Iterator[tuple[Path, str]]:
    """Yield the line of a collection, unless nothing is in it or nothing is left of it."""
    title = path[0].replace("_", " ")
    keys = [key for key in value if isinstance(key, str)]
    names = told.left(path, keys)
    if names:
        more = ", ..." if len(names) > most else ""
        yield path, f"{title}: {', '.join(names[:most])}{more}"
    elif value and not keys:
        yield path, f"{title}: {len(value)}"


def _count(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _words(path: Path) -> str:
    if path[-1] == ORDER:
        return f"order of {_words(path[:-1])}"
    top, *rest = path
    if top == "layers" and rest:
        return f"{'.'.join(rest[1:])} of {rest[0]!r}" if rest[1:] else f"layer {rest[0]!r}"
    if top == "state" and len(rest) > 1:
        part = f"{'.'.join(rest[2:])} of " if rest[2:] else ""
        return f"{part}state {rest[1]!r} of {rest[0]!r}"
    title = {"dt": "time step"}.get(top, top.replace("_", " "))
    return f"{title}: {'/'.join(rest)}" if rest else title
