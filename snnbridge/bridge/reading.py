"""Reading a checkpoint of any format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from snnbridge import registry as registries
from snnbridge import spec as specs
from snnbridge.bridge.boundary import check_options, errors_of, without_collector
from snnbridge.bridge.finding import find, patiently
from snnbridge.errors import ReadError, UnknownFormat
from snnbridge.formats import Format, Options
from snnbridge.model import SNNCheckpoint, SourceInfo
from snnbridge.registry import Registry
from snnbridge.storage import Source

#: What a file does not say: the path of a side file, or its content.
Spec = str | Path | Mapping[str, Any] | None


def read(
    path: str | Path,
    *,
    format: str | None = None,
    spec: Spec = None,
    options: Options | None = None,
    trusted: bool = False,
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
    trusted : bool
        Whether the file's origin is known: lifts the limits that guard memory and time, and no
        other check.
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
    registry = registry or registries.default()
    chosen, source = opened(path, format, registry, trusted=trusted)
    checkpoint = read_as(chosen, source, options or {}, registry)
    if spec is None:
        return checkpoint
    return specs.apply(checkpoint, spec)


def opened(
    path: str | Path, format: str | None, registry: Registry, *, trusted: bool
) -> tuple[Format, Source]:
    """Find and open the file that a path means.

    Raises
    ------
    FileNotFoundError, UnknownFormat, AmbiguousFormat, ReadError
        As :func:`read`.
    """
    found, chosen = find(path, format=format, registry=registry)
    return chosen, patiently(found, lambda: Source(found, trusted=trusted))


def read_as(format: Format, source: Source, options: Options, registry: Registry) -> SNNCheckpoint:
    """Read a source as one format.

    Raises
    ------
    UnknownFormat, FormatUnavailable, OptionError, ReadError
        As :func:`read`.
    """
    if format.read is None:
        raise UnknownFormat(f"format {format.name!r} writes files, but does not read them")
    registry.require(format)
    options = check_options(format, options, "reading")
    with errors_of(format, source.path, ReadError, "read"), without_collector():
        checkpoint = format.read(source, options)
        if not isinstance(checkpoint, SNNCheckpoint):
            raise TypeError(f"its read returned {checkpoint!r}, not a checkpoint")
    info = checkpoint.source or SourceInfo()
    checkpoint.source = replace(info, format=format.name, path=str(source.path))
    return checkpoint
