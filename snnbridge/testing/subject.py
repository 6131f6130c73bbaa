"""The format that is looked at, and the places where its files go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snnbridge import bridge
from snnbridge.errors import SNNBridgeError
from snnbridge.formats import Format, Options
from snnbridge.hookspecs import hookimpl
from snnbridge.ledger import Ledger
from snnbridge.model import SNNCheckpoint
from snnbridge.plan import plan
from snnbridge.registry import Registry
from snnbridge.testing.samples import samples
from snnbridge.usage import features


class ConformanceFailure(AssertionError):
    """A format that breaks a promise of the contract; the message says which and how."""


class Subject:
    """A format under test.

    Parameters
    ----------
    format : Format
    folder : pathlib.Path
        An empty folder; every file goes below it.
    write_options, read_options : mapping
        Options of the format for every write and every read.
    checks_integrity : bool
        Whether the format finds every changed bit when it reads with `read_options`.
    """

    def __init__(
        self,
        format: Format,
        folder: Path,
        *,
        write_options: Options | None = None,
        read_options: Options | None = None,
        checks_integrity: bool = False,
    ) -> None:
        self.format, self.folder = format, folder
        self.write_options: Options = write_options or {}
        self.read_options: Options = read_options or {}
        self.checks_integrity = checks_integrity
        self.registry = Registry([_plugin([format])])
        self._places = 0

    def place(self, name: str = "checkpoint") -> Path:
        """Return a path in a folder of its own, with the format's usual suffix."""
        self._places += 1
        folder = self.folder / str(self._places)
        folder.mkdir()
        return folder / f"{name}{(*self.format.suffixes, '')[0]}"

    def write(self, checkpoint: SNNCheckpoint, path: Path, *, allow_loss: bool = False) -> Ledger:
        """Write through the bridge, as users do."""
        return bridge.write(
            checkpoint,
            path,
            format=self.format.name,
            allow_loss=allow_loss,
            options=self.write_options,
            registry=self.registry,
        )

    def written(self, checkpoint: SNNCheckpoint) -> Path:
        """Write to a place of its own, and return a file that is there."""
        path = self.place()
        self.write(checkpoint, path)
        return next(p for p in [path, *files_beside(path)] if p.is_file())

    def read(self, path: Path) -> SNNCheckpoint:
        """Read through the bridge, as users do."""
        return bridge.read(
            path, format=self.format.name, options=self.read_options, registry=self.registry
        )

    def planned(self, checkpoint: SNNCheckpoint) -> tuple[SNNCheckpoint, Ledger]:
        """Return what would be written of a checkpoint, and the ledger."""
        return plan(checkpoint, self.format, self.write_options)

    def holds(self, checkpoint: SNNCheckpoint) -> bool:
        """Whether the format claims to hold everything that a checkpoint uses."""
        if not set(features(checkpoint)) <= self.format.holds:
            return False
        try:
            return not self.planned(checkpoint)[1].losses
        except SNNBridgeError:
            return False

    def held(self, most: int | None = None) -> Mapping[str, SNNCheckpoint]:
        """Return the samples that the format holds, those that use most features first."""
        found = [(name, x) for name, x in samples().items() if self.holds(x)]
        found.sort(key=lambda item: -len(features(item[1])))
        return dict(found[:most])


def files_beside(path: Path) -> list[Path]:
    """Return everything in a path's folder, sorted."""
    return sorted(path.parent.rglob("*"))


def expect(condition: object, message: str) -> None:
    """Fail unless something holds."""
    if not condition:
        raise ConformanceFailure(message)


def _plugin(formats: Iterable[Format]) -> Any:
    @hookimpl
    def snnbridge_formats() -> Iterable[Format]:
        return formats

    return SimpleNamespace(__name__="the format under test", snnbridge_formats=snnbridge_formats)
