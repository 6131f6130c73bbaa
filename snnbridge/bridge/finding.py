"""Which file a path means, and of which format it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from snnbridge import registry as registries
from snnbridge.errors import AmbiguousFormat, UnknownFormat
from snnbridge.formats import Format, Probe
from snnbridge.registry import Registry
from snnbridge.storage.journal import journal_path, lock_path
from snnbridge.storage.system import is_locked

T = TypeVar("T")

_TRIES = 100
_PAUSE = 0.01


def find(
    path: str | Path, *, format: str | None = None, registry: Registry | None = None
) -> tuple[Path, Format]:
    """Find the file that a path means, and its format.

    Parameters
    ----------
    path : str or Path
        A file, a folder, or a path without its suffix.
    format : str, optional
        The format's name; never overruled.
    registry : Registry, optional

    Returns
    -------
    pathlib.Path
        Of the file itself, with its suffix.
    Format

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnknownFormat, AmbiguousFormat
        If no single file or format is meant.

    Examples
    --------
    >>> from snnbridge.bridge import find
    >>> path, format = find("fixtures/brainpy-2.8.2/snn")
    >>> path.name, format.name
    ('snn.bp', 'brainpy')
    """
    registry, path = registry or registries.default(), Path(path)
    return patiently(path, lambda: _find(path, format, registry))


def patiently(path: Path, action: Callable[[], T]) -> T:
    """Do something with a file; again, for as long as somebody replaces the set it belongs to.

    The file that names the others is missing for a moment then.
    """
    for _ in range(_TRIES):
        try:
            return action()
        except (FileNotFoundError, UnknownFormat):
            if not _is_being_replaced(path):
                break
        time.sleep(_PAUSE)
    return action()


def _find(path: Path, name: str | None, registry: Registry) -> tuple[Path, Format]:
    format = registry.get(name) if name else None
    if Probe(path).exists:
        return path, format or registry.detect(path)
    suffixes = [s for f in ([format] if format else registry) for s in f.suffixes]
    there = [p for s in suffixes if (p := path.with_name(path.name + s)).exists()]
    found = {p: format or registry.detect(p) for p in there}
    if not found:
        raise FileNotFoundError(f"{path}: no such file")
    if len({f.name for f in found.values()}) > 1:
        names = ", ".join(p.name for p in found)
        raise AmbiguousFormat(f"{path}: {names} are all there; name one with its suffix")
    return next(iter(found.items()))


def _is_being_replaced(path: Path) -> bool:
    """Whether a set of files is being replaced whose head has this name."""
    head = Path(os.path.realpath(path))
    return os.path.lexists(journal_path(head)) or is_locked(lock_path(head))
