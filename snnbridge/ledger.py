"""What becomes of each thing in a conversion."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from snnbridge.compare import Difference
from snnbridge.model import Path

#: The last name of a path that stands for the order of a mapping's keys, and for nothing else.
ORDER = "(order)"
#: The path of a line on outputs that come in another step.
LATENCY: Path = ("latency",)
#: Where the path of a line begins on what a file's engine computes otherwise than the simulator.
ENGINE: Path = ("engine",)


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
        As in :func:`snnbridge.differences`; stands for everything below it. With :data:`ORDER`
        as its last name it stands for the order of a mapping alone.
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


@dataclass(frozen=True, slots=True, repr=False)
class Ledger:
    """Everything that a checkpoint uses, and what becomes of it in a target.

    Parameters
    ----------
    told : tuple of Entry
        What is not exact.
    kept : function returning entries
        What is exact; asked only when somebody looks, since there may be one for each of many
        thousands of layers.
    """

    told: tuple[Entry, ...] = ()
    kept: Callable[[], Iterable[Entry]] = tuple

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries: first what is exact, then the rest."""
        return (*self.kept(), *self.told)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __repr__(self) -> str:
        return f"Ledger({len(self)} entries, {len(self.losses)} losses)"

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def losses(self) -> tuple[Entry, ...]:
        """The entries that need the user's permission."""
        return tuple(entry for entry in self.told if entry.status.is_loss)

    def unexplained(self, differences: Iterable[Difference]) -> list[Difference]:
        """Return the differences between the plan and what was read back that are no known loss."""
        lost = {entry.path for entry in self.losses}
        return [
            difference
            for difference in differences
            if not any(path in lost for path in _upwards(difference))
        ]

    def as_json(self) -> list[dict[str, Any]]:
        """Return the ledger as JSON values."""
        return [entry.as_json() for entry in self.entries]


def _upwards(difference: Difference) -> Iterator[Path]:
    """Yield the paths that stand for a difference."""
    path = (*difference.path, ORDER) if difference.kind == "order" else difference.path
    yield from (path[:n] for n in range(1, len(path) + 1))
