"""Converting: read, plan, write beside the target, read back, replace."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnbridge import registry as registries
from snnbridge import spec as specs
from snnbridge.bridge.boundary import Progress, ticking
from snnbridge.bridge.destination import Destination
from snnbridge.bridge.digests import HeldFile, digested, with_check
from snnbridge.bridge.reading import Spec, opened, read_as
from snnbridge.bridge.running import engine
from snnbridge.compare import differences
from snnbridge.errors import CheckpointError, FormatUnavailable, UnknownValue, WriteError
from snnbridge.formats import Options
from snnbridge.ledger import ENGINE, LATENCY, Ledger, Status
from snnbridge.model import UNKNOWN, Conv1d, Conv2d, Linear, SNNCheckpoint, SourceInfo
from snnbridge.registry import Registry
from snnbridge.storage import Target
from snnbridge.version import __version__

if TYPE_CHECKING:
    from snnbridge.verifier import Verification


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did, or, of a dry run, would do.

    Parameters
    ----------
    source, target : SourceInfo
        Where it came from and where it went.
    ledger : Ledger
    verdict : str
        One of ``snnbridge.verifier.VERDICTS``; empty if nothing was verified.
    files : tuple of str
        What was written; nothing by a dry run.
    verification : Verification, optional
        What the verdict rests on, where both networks were run.
    """

    source: SourceInfo
    target: SourceInfo
    ledger: Ledger
    verdict: str
    files: tuple[str, ...] = ()
    verification: Verification | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the conversion as JSON values."""
        return {
            "source": _info_json(self.source),
            "target": _info_json(self.target),
            "files": list(self.files),
            "ledger": self.ledger.as_json(),
            "verdict": self.verdict,
            "verification": self.verification.as_json() if self.verification else None,
        }


def convert(
    source: str | Path,
    target: str | Path,
    *,
    from_: str | None = None,
    to: str | None = None,
    spec: Spec = None,
    bare: bool = False,
    allow_loss: bool = False,
    force: bool = False,
    dry_run: bool = False,
    verify: bool = True,
    trusted: bool = False,
    read_options: Options | None = None,
    write_options: Options | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Read a file, write it in another format, read that back and compare.

    Parameters
    ----------
    source, target : str or Path
    from_, to : str, optional
        Formats by name; found by content and by suffix if they are not given.
    spec, trusted, bare, allow_loss, registry
        As for :func:`read` and :func:`write`.
    force : bool
        Replace also the source itself by a file of another format, and files that belong to
        something else.
    dry_run : bool
        Plan and compare, and write nothing.
    verify : bool
        Read the new file back, before it takes its place, and compare it bit for bit; where
        something that bears on behaviour changes, simulate both networks.
    read_options, write_options : mapping, optional
        Options of the two formats.
    progress : function of (phase, done, total), optional
        As for :func:`write`.

    Returns
    -------
    Conversion

    Raises
    ------
    LossyWrite
        If something would be lost and `allow_loss` is not given; nothing is written. It holds
        the ledger.
    UnknownValue
        If the source holds no weights of a layer and `allow_loss` is not given.
    WriteError
        If the new file does not hold what was planned, or would replace what it must not;
        nothing is replaced.

    Examples
    --------
    >>> from snnbridge import convert
    >>> convert("fixtures/brainpy-2.8.2/snn.bp", "snn.h5").verdict
    'identical'
    """
    registry = registry or registries.default()
    origin, opened_source = opened(source, from_, registry, trusted=trusted)
    with digested(opened_source, wanted=not (bare or dry_run)) as files:
        checkpoint = read_as(origin, opened_source, with_check(origin, read_options), registry)
    if spec is not None:
        checkpoint = specs.apply(checkpoint, spec)
    info = checkpoint.source or SourceInfo()
    goal = Destination.of(target, to, write_options, registry, bare=bare)
    if not allow_loss:
        _check_weights(checkpoint, info)
    planned, ledger = goal.plan(checkpoint, allow_loss=allow_loss)
    if not force:
        goal.refuse_replacing(source=info)
    verdict, found = _verdict(checkpoint, planned, ledger, goal) if verify else ("", None)
    result = SourceInfo(format=goal.format.name, path=str(target))
    done = Conversion(info, result, ledger, verdict, verification=found)
    if dry_run:
        return done
    if not bare:
        planned = _with_provenance(planned, files, ledger, verdict)
    written = _written(goal, planned, ledger, None if force else info, progress, check=verify)
    return replace(done, files=tuple(map(str, written.paths)))


def _written(
    goal: Destination,
    planned: SNNCheckpoint,
    ledger: Ledger,
    source: SourceInfo | None,
    progress: Progress | None,
    *,
    check: bool,
) -> Target:
    """Write beside the destination, read that back if it is to be checked, and replace.

    Where the source is given, files that it or something else stands in are not replaced.
    """
    with goal.staged(planned, progress) as written:
        if source is not None:
            goal.refuse_replacing(written, source)
        if check and goal.format.read is not None:
            with ticking(progress, "reading back", lambda: 0, planned):
                _check_read_back(goal, written, planned, ledger)
    return written


def _check_weights(checkpoint: SNNCheckpoint, info: SourceInfo) -> None:
    """Refuse a network whose file holds no weights: to convert that is hardly meant."""
    empty = [
        name
        for name, layer in checkpoint.layers.items()
        if isinstance(layer, Linear | Conv1d | Conv2d)
        and all(held.value is UNKNOWN for held in layer.parameters.values())
    ]
    if empty:
        names = ", ".join(map(repr, empty[:8]))
        notes = [note for note in info.notes if repr(empty[0]) in note]
        reason = "; ".join(notes) or f"the file holds no weights of {names}"
        raise UnknownValue(
            f"{info.path}: nothing was written: {reason}; allow it with allow_loss=True or "
            "--allow-loss",
            tuple((name, "weight") for name in empty),
        )


def _check_read_back(
    goal: Destination, written: Target, planned: SNNCheckpoint, ledger: Ledger
) -> None:
    unexplained = ledger.unexplained(differences(planned, goal.read_back(written)))
    if unexplained:
        count = len(unexplained)
        raise WriteError(
            f"nothing was replaced: the new {goal.format.name} file does not hold what was planned "
            f"({count} difference{'s' * (count > 1)}, first {unexplained[0]}); this is a defect "
            "of the format, please report it"
        )


#: What does not bear on what the network computes.
_BESIDE_BEHAVIOUR = ("training", "metadata", "frozen_layers", "ties", "extras")


def _verdict(
    source: SNNCheckpoint, planned: SNNCheckpoint, ledger: Ledger, goal: Destination
) -> tuple[str, Verification | None]:
    """Say whether the target will do the same: run both where its form or arithmetic is another."""
    changed = (entry for entry in ledger.told if entry.status is not Status.EXACT)
    bearing = [entry for entry in changed if entry.path[0] not in _BESIDE_BEHAVIOUR]
    if not bearing:
        return "identical", None
    from snnbridge.verifier import verify  # the simulator is not needed to read and write

    try:
        if any(entry.path[:1] == ENGINE for entry in bearing):
            found = _verified_by_engine(source, planned, goal)
        else:
            if any(entry.status.is_loss for entry in bearing):
                planned = _what_is_left(planned, goal)
            rounding = any(entry.status is Status.ROUNDED for entry in bearing)
            found = verify(source, planned, latency=_is_later(ledger), rounding=rounding)
    except (UnknownValue, CheckpointError, FormatUnavailable):
        return "indeterminate", None
    return found.verdict, found


def _verified_by_engine(
    source: SNNCheckpoint, planned: SNNCheckpoint, goal: Destination
) -> Verification:
    """Write elsewhere, and run that in the engine that it is made for.

    Raises
    ------
    FormatUnavailable
        If the engine is not installed.
    """
    from snnbridge.verifier import verify

    with _elsewhere(goal) as elsewhere:
        with elsewhere.staged(planned):
            pass
        runs = engine(elsewhere.path, format=goal.format.name, registry=goal.registry)
        return verify(source, runs)


def _is_later(ledger: Ledger) -> bool:
    """Whether the ledger says that outputs come in another step."""
    return any(entry.path == LATENCY for entry in ledger.losses)


def _what_is_left(planned: SNNCheckpoint, goal: Destination) -> SNNCheckpoint:
    """Write elsewhere, and return what a reader finds: that is what a lossy target holds."""
    with _elsewhere(goal) as elsewhere, elsewhere.staged(planned) as written:
        return elsewhere.read_back(written)


@contextlib.contextmanager
def _elsewhere(goal: Destination) -> Iterator[Destination]:
    """Yield the same destination in a folder of its own, which goes at the end."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"planned{(*goal.format.suffixes, '')[0]}"
        yield replace(goal, path=path)


def _with_provenance(
    checkpoint: SNNCheckpoint, files: Iterable[HeldFile], ledger: Ledger, verdict: str
) -> SNNCheckpoint:
    info = checkpoint.source or SourceInfo()
    record: dict[str, Any] = {
        "by": f"snnbridge {__version__}",
        "source": {**_info_json(info), "sha256": {file.name: file.sha256 for file in files}},
        **({"notes": list(info.notes)} if info.notes else {}),
        "ledger": [entry.as_json() for entry in ledger.told],
        "verdict": verdict,
    }
    return replace(checkpoint, provenance=[*checkpoint.provenance, record])


def _info_json(info: SourceInfo) -> dict[str, Any]:
    known = {
        "name": Path(info.path).name,
        "format": info.format,
        "dialect": info.dialect,
        "framework": info.framework,
        "framework_version": info.framework_version,
    }
    return {key: value for key, value in known.items() if isinstance(value, str) and value}
