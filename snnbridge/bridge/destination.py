"""Where a checkpoint goes: planned, written beside the old file, read back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from snnbridge import plan as planner
from snnbridge import registry as registries
from snnbridge.bridge.boundary import (
    Progress,
    check_options,
    errors_of,
    ticking,
    without_collector,
)
from snnbridge.bridge.digests import with_check
from snnbridge.bridge.reading import read_as
from snnbridge.bridge.replacing import refuse_replacing
from snnbridge.errors import LossyWrite, UnknownFormat, WriteError
from snnbridge.formats import Format, Options
from snnbridge.ledger import Ledger
from snnbridge.model import SNNCheckpoint, SourceInfo
from snnbridge.registry import Registry
from snnbridge.storage import Target


@dataclass(frozen=True, slots=True)
class Destination:
    """A path, and the format and options that a checkpoint is written there with.

    Parameters
    ----------
    path : Path
    format : Format
    options : mapping
    registry : Registry
    """

    path: Path
    format: Format
    options: Options
    registry: Registry

    @classmethod
    def of(
        cls,
        path: str | Path,
        format: str | None,
        options: Options | None,
        registry: Registry | None,
        *,
        bare: bool,
    ) -> Destination:
        """Find the format by its name, or by the path's suffix, and check the options.

        Raises
        ------
        UnknownFormat, AmbiguousFormat, OptionError
        """
        registry = registry or registries.default()
        chosen = registry.get(format) if format else registry.for_target(path)
        if chosen.write is None:
            raise UnknownFormat(f"format {chosen.name!r} reads files, but does not write them")
        asked = {**(options or {}), **({"bare": True} if bare else {})}
        return cls(Path(path), chosen, check_options(chosen, asked, "writing"), registry)

    def plan(self, checkpoint: SNNCheckpoint, *, allow_loss: bool) -> tuple[SNNCheckpoint, Ledger]:
        """Plan what will be written.

        Raises
        ------
        LossyWrite
            If something would be lost and that is not allowed.
        """
        checkpoint.validate()
        planned, ledger = planner.plan(checkpoint, self.format, self.options)
        if ledger.losses and not allow_loss:
            first = ledger.losses[0]
            more = f", and {len(ledger.losses) - 1} more" if len(ledger.losses) > 1 else ""
            raise LossyWrite(
                f"nothing was written: {first.what} would be {first.status.value}, because "
                f"{first.reason}{more}; allow it with allow_loss=True or --allow-loss",
                ledger,
            )
        return planned, ledger

    def refuse_replacing(
        self, target: Target | None = None, source: SourceInfo | None = None
    ) -> None:
        """Refuse to replace a source, or a stranger's file; see :mod:`snnbridge.bridge.replacing`.

        Parameters
        ----------
        target : Target, optional
            What was written beside the old files; before that, only the path itself is known.
        source : SourceInfo, optional
            Of what is converted.
        """
        paths = target.paths if target is not None else (self.path,)
        refuse_replacing(paths, self.path, self.format, self.registry, source)

    @contextlib.contextmanager
    def staged(
        self, checkpoint: SNNCheckpoint, progress: Progress | None = None
    ) -> Iterator[Target]:
        """Write beside the target; what the block raises, or any error, leaves the old file."""
        self.registry.require(self.format)
        assert self.format.write is not None
        with Target(self.path) as target:
            with (
                errors_of(self.format, self.path, WriteError, "written"),
                ticking(progress, "writing", lambda: target.written, checkpoint),
                without_collector(),
            ):
                self.format.write(checkpoint, target, self.options)
            yield target

    def read_back(self, target: Target) -> SNNCheckpoint:
        """Read what was written, before it takes its place."""
        return read_as(self.format, target.preview(), with_check(self.format, {}), self.registry)
