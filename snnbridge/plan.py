"""What a target can hold of a checkpoint: the ledger of a conversion."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from snnbridge.compare import Difference
from snnbridge.formats import Feature, Format, Options, features
from snnbridge.model import UNKNOWN, Layer, Path, SNNCheckpoint


class Status(enum.Enum):
    """What becomes of one thing in a conversion."""

    EXACT = "exact"
    REWRITTEN = "rewritten"
    ROUNDED = "rounded"
    APPROXIMATED = "approximated"
    DROPPED = "dropped"

    @property
    def is_loss(self) -> bool:
        """Whether it needs the user's permission."""
        return self in (Status.APPROXIMATED, Status.DROPPED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a ledger.

    Parameters
    ----------
    status : Status
    path : tuple of str
        As in :func:`snnbridge.differences`; stands for everything below it.
    what : str
        The thing in words.
    reason : str
        Why it is not exact; empty if it is.
    """

    status: Status
    path: Path
    what: str
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {
            "status": self.status.value,
            "path": list(self.path),
            "what": self.what,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that a checkpoint uses, and what becomes of it in a target.

    Parameters
    ----------
    entries : tuple of Entry
    """

    entries: tuple[Entry, ...] = ()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def losses(self) -> tuple[Entry, ...]:
        """The entries that need the user's permission."""
        return tuple(entry for entry in self.entries if entry.status.is_loss)

    def explains(self, difference: Difference) -> bool:
        """Whether an entry other than an exact one covers a difference."""
        return any(
            entry.status is not Status.EXACT and difference.path[: len(entry.path)] == entry.path
            for entry in self.entries
        )

    def as_json(self) -> list[dict[str, Any]]:
        """Return the ledger as JSON values."""
        return [entry.as_json() for entry in self.entries]


def plan(checkpoint: SNNCheckpoint, format: Format, options: Options) -> Ledger:
    """Say what becomes of a checkpoint in a file of a format.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    format : Format
    options : mapping
        Those of the writing; ``bare`` decides what the format holds.

    Returns
    -------
    Ledger
        One entry for each layer and each other thing that the checkpoint uses, and one for each
        thing that is lost.
    """
    held = format.holds_bare if options.get("bare") else format.holds
    lost = list(_dropped(features(checkpoint), format, held, bare=bool(options.get("bare"))))
    if format.losses is not None:
        lost += [
            Entry(Status.DROPPED, path, _words(path), reason)
            for path, reason in format.losses(checkpoint, options)
        ]
    lost = _outermost(lost)
    gone = {entry.path for entry in lost}
    kept = (Entry(Status.EXACT, path, what) for path, what in _things(checkpoint))
    return Ledger((*(entry for entry in kept if entry.path not in gone), *lost))


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
