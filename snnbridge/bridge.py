"""Reading, writing and converting checkpoints."""

from __future__ import annotations

import contextlib
import gc
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snnbridge import plan as planner
from snnbridge import spec as specs
from snnbridge.compare import Difference, differences
from snnbridge.errors import (
    CheckpointError,
    LossyWrite,
    OptionError,
    ReadError,
    SNNBridgeError,
    UnknownFormat,
    UnknownValue,
    WriteError,
)
from snnbridge.formats import Format, Options
from snnbridge.ledger import Ledger
from snnbridge.model import SNNCheckpoint, SourceInfo
from snnbridge.registry import Registry, default
from snnbridge.storage import Source, Target
from snnbridge.version import __version__

_Spec = str | Path | Mapping[str, Any] | None
Progress = Callable[[str, int, int], None]


def read(
    path: str | Path,
    *,
    format: str | None = None,
    spec: _Spec = None,
    options: Options | None = None,
    registry: Registry | None = None,
) -> SNNCheckpoint:
    """Read a checkpoint of any format.

    Parameters
    ----------
    path : str or Path
        A file, a folder of checkpoints where the framework writes one, or a path without its
        suffix.
    format : str, optional
        The format's name; found by the content if it is not given.
    spec : path or mapping, optional
        What the file does not say; see :mod:`snnbridge.spec`.
    options : mapping, optional
        Options of the format, by name.
    registry : Registry, optional
        Where formats are looked up; everything that is installed by default.

    Returns
    -------
    SNNCheckpoint
        Its arrays may be read-only views of the file. ``source`` says where it came from.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnknownFormat, AmbiguousFormat, FormatUnavailable
        If no single format can read it.
    ReadError
        If the file is damaged.
    SpecError, OptionError
        If the spec or an option does not fit.

    Examples
    --------
    >>> from snnbridge import read
    >>> checkpoint = read("fixtures/brainpy-2.8.2/snn.bp")
    >>> checkpoint.source.format
    'brainpy'
    """
    registry = registry or default()
    path = _locate(Path(path), registry)
    chosen = registry.get(format) if format else registry.detect(path)
    checkpoint = _read_as(chosen, Source(path), options or {}, registry)
    return _with_spec(checkpoint, spec)


def write(
    checkpoint: SNNCheckpoint,
    path: str | Path,
    *,
    format: str | None = None,
    bare: bool = False,
    allow_loss: bool = False,
    options: Options | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Ledger:
    """Write a checkpoint; the old file stays until the new one is complete.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    path : str or Path
    format : str, optional
        The format's name; found by the suffix if it is not given.
    bare : bool
        Write nothing but what the framework itself would.
    allow_loss : bool
        Write also if something is lost; the ledger says what.
    options, registry
        As for :func:`read`.
    progress : function of (phase, done, total), optional
        Called a few times a second, from another thread, with the bytes done of all.

    Returns
    -------
    Ledger
        What became of everything.

    Raises
    ------
    LossyWrite
        If something would be lost; nothing is written.
    WriteError
        If the file cannot be written; the old one is still there.

    Examples
    --------
    >>> from snnbridge import read, write
    >>> ledger = write(read("fixtures/brainpy-2.8.2/snn.bp"), "snn.h5")
    >>> ledger.losses
    ()
    """
    registry = registry or default()
    chosen = registry.get(format) if format else registry.for_target(path)
    options = _write_options(options, bare)
    planned, ledger = _permitted(checkpoint, chosen, options, allow_loss=allow_loss)
    with _staged(chosen, planned, Path(path), options, registry, progress):
        pass
    return ledger


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did.

    Parameters
    ----------
    source, target : SourceInfo
        Where it came from and where it went.
    ledger : Ledger
    verdict : str
        One of :data:`snnbridge.verifier.VERDICTS`; empty if nothing was verified.
    """

    source: SourceInfo
    target: SourceInfo
    ledger: Ledger
    verdict: str

    def as_json(self) -> dict[str, Any]:
        """Return the conversion as JSON values."""
        return {
            "source": _info_json(self.source),
            "target": _info_json(self.target),
            "ledger": self.ledger.as_json(),
            "verdict": self.verdict,
        }


def convert(
    source: str | Path,
    target: str | Path,
    *,
    from_: str | None = None,
    to: str | None = None,
    spec: _Spec = None,
    bare: bool = False,
    allow_loss: bool = False,
    verify: bool = True,
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
    spec, bare, allow_loss, registry
        As for :func:`read` and :func:`write`.
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
        If something would be lost and `allow_loss` is not given; nothing is written.
    WriteError
        If the new file does not hold what was planned; nothing is replaced.

    Examples
    --------
    >>> from snnbridge import convert
    >>> convert("fixtures/brainpy-2.8.2/snn.bp", "snn.h5").verdict
    'identical'
    """
    registry = registry or default()
    checkpoint = read(source, format=from_, spec=spec, options=read_options, registry=registry)
    chosen = registry.get(to) if to else registry.for_target(target)
    options = _write_options(write_options, bare)
    planned, ledger = _permitted(checkpoint, chosen, options, allow_loss=allow_loss)
    verdict = _verdict(checkpoint, planned, chosen, ledger, options, registry) if verify else ""
    if not bare:
        planned = _with_provenance(planned, ledger, verdict)
    with _staged(chosen, planned, Path(target), options, registry, progress) as staged:
        if verify and chosen.read is not None:
            with _ticking(progress, "reading back", lambda: 0, planned):
                _check_read_back(chosen, planned, staged, ledger, registry)
    info = checkpoint.source or SourceInfo()
    written = SourceInfo(format=chosen.name, path=str(target))
    return Conversion(info, written, ledger, verdict)


def _locate(path: Path, registry: Registry) -> Path:
    """Find the file that a path without its suffix means."""
    if path.exists():
        return path
    found = [
        candidate
        for format in registry
        for suffix in format.suffixes
        if (candidate := path.with_name(path.name + suffix)).exists()
    ]
    if not found:
        raise FileNotFoundError(f"{path}: no such file")
    return found[0]


def _read_as(format: Format, source: Source, options: Options, registry: Registry) -> SNNCheckpoint:
    if format.read is None:
        raise UnknownFormat(f"format {format.name!r} writes files, but does not read them")
    registry.require(format)
    _check_options(format, options)
    with _errors_of(format, source.path, ReadError, "read"), _without_collector():
        checkpoint = format.read(source, options)
    info = checkpoint.source or SourceInfo()
    checkpoint.source = replace(info, format=format.name, path=str(source.path))
    return checkpoint


def _with_spec(checkpoint: SNNCheckpoint, spec: _Spec) -> SNNCheckpoint:
    if spec is None:
        return checkpoint
    return specs.apply(checkpoint, spec if isinstance(spec, Mapping) else specs.load(spec))


def _write_options(options: Options | None, bare: bool) -> dict[str, Any]:
    return {**(options or {}), **({"bare": True} if bare else {})}


def _check_options(format: Format, options: Options) -> None:
    known = {option.name: option for option in format.options}
    for name, value in options.items():
        if name == "bare" and format.holds_bare:
            continue
        if name not in known:
            expected = ", ".join(known) or "none"
            raise OptionError(f"format {format.name!r} has no option {name!r}; it has: {expected}")
        choices = known[name].choices
        if choices and value not in choices:
            raise OptionError(
                f"option {name!r} of format {format.name!r} must be one of "
                f"{', '.join(choices)}, not {value!r}"
            )


def _permitted(
    checkpoint: SNNCheckpoint, format: Format, options: Options, *, allow_loss: bool
) -> tuple[SNNCheckpoint, Ledger]:
    """Plan, and refuse losses that are not allowed."""
    if format.write is None:
        raise UnknownFormat(f"format {format.name!r} reads files, but does not write them")
    _check_options(format, options)
    checkpoint.validate()
    planned, ledger = planner.plan(checkpoint, format, options)
    if ledger.losses and not allow_loss:
        first = ledger.losses[0]
        more = f", and {len(ledger.losses) - 1} more" if len(ledger.losses) > 1 else ""
        raise LossyWrite(
            f"nothing was written: {first.what} would be {first.status.value}, because "
            f"{first.reason}{more}; allow it with allow_loss=True or --allow-loss"
        )
    return planned, ledger


@contextlib.contextmanager
def _staged(
    format: Format,
    checkpoint: SNNCheckpoint,
    path: Path,
    options: Options,
    registry: Registry,
    progress: Progress | None,
) -> Iterator[Source]:
    """Write beside the target; what the block raises, or any error, leaves the old file."""
    registry.require(format)
    assert format.write is not None
    with Target(path) as target:
        with (
            _errors_of(format, path, WriteError, "written"),
            _ticking(progress, "writing", lambda: target.written, checkpoint),
            _without_collector(),
        ):
            format.write(checkpoint, target, options)
        yield target.preview()


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the garbage collector from walking a growing checkpoint again and again.

    A checkpoint of many thousands of layers is made of objects that all stay; looking for
    garbage among them took a third of the time.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@contextlib.contextmanager
def _ticking(
    progress: Progress | None, phase: str, done: Callable[[], int], checkpoint: SNNCheckpoint
) -> Iterator[None]:
    """Tell the progress of a phase while the block runs, and its end."""
    if progress is None:
        yield
        return
    total = checkpoint.nbytes
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.2):
            progress(phase, min(done(), total), total)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    progress(phase, total, total)


@contextlib.contextmanager
def _errors_of(format: Format, path: Path, kind: type[SNNBridgeError], verb: str) -> Iterator[None]:
    """Map whatever a plugin raises to the family, with the path in front."""
    try:
        yield
    except (FileNotFoundError, PermissionError, OptionError):
        raise
    except kind as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error
    except CheckpointError as error:
        raise kind(f"{path}: {error}") from error
    except SNNBridgeError:
        raise
    except Exception as error:
        raise kind(
            f"{path}: cannot be {verb} as {format.name}: {type(error).__name__}: {error}"
        ) from error


def _check_read_back(
    format: Format, planned: SNNCheckpoint, staged: Source, ledger: Ledger, registry: Registry
) -> None:
    back = _read_as(format, staged, {}, registry)
    unexplained = [d for d in differences(planned, back) if not ledger.explains(d)]
    if unexplained:
        raise WriteError(
            f"nothing was replaced: the new {format.name} file does not hold what was planned "
            f"({len(unexplained)} differences, first {unexplained[0]}); this is a defect of the "
            "format, please report it"
        )


#: What does not bear on what the network computes.
_BESIDE_BEHAVIOUR = ("training", "metadata", "frozen_layers", "ties", "extras")


def _verdict(
    source: SNNCheckpoint,
    planned: SNNCheckpoint,
    format: Format,
    ledger: Ledger,
    options: Options,
    registry: Registry,
) -> str:
    """Say whether the target will do the same; simulate both where its form is another."""
    bearing = [e for e in ledger.told if e.path[0] not in _BESIDE_BEHAVIOUR]
    if not bearing:
        return "identical"
    from snnbridge.verifier import verify  # the simulator is not needed to read and write

    try:
        if any(entry.status.is_loss for entry in bearing):
            planned = _what_is_left(planned, format, options, registry)
        return verify(source, planned).verdict
    except (UnknownValue, CheckpointError):
        return "indeterminate"


def _what_is_left(
    planned: SNNCheckpoint, format: Format, options: Options, registry: Registry
) -> SNNCheckpoint:
    """Write elsewhere, and return what a reader finds: that is what a lossy target holds."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"planned{(*format.suffixes, '')[0]}"
        with _staged(format, planned, path, options, registry, None) as staged:
            return _read_as(format, staged, {}, registry)


def _with_provenance(checkpoint: SNNCheckpoint, ledger: Ledger, verdict: str) -> SNNCheckpoint:
    info = checkpoint.source or SourceInfo()
    record = {
        "by": f"snnbridge {__version__}",
        "source": _info_json(info),
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


__all__ = ["Conversion", "Difference", "convert", "read", "write"]
