"""Files that a verb writes beside its answer; checked before the work, replaced as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from snnbridge.errors import AmbiguousFormat, ReadError, UnknownFormat, WriteError


class OutputFile(click.Path):
    """A path to write to, with one of some suffixes.

    Parameters
    ----------
    suffixes : str
    """

    def __init__(self, *suffixes: str) -> None:
        super().__init__(dir_okay=False)
        self._suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path, or fail for its suffix."""
        path = str(super().convert(value, param, ctx))
        if Path(path).suffix.lower() not in self._suffixes:
            expected = " or ".join(self._suffixes)
            self.fail(f"{path!r} must end in {expected}", param, ctx)
        return path


def refuse_checkpoint(path: str | None) -> None:
    """Refuse to replace a checkpoint by something else.

    Raises
    ------
    WriteError
    """
    from snnbridge.registry import default

    if path is None or not Path(path).exists():
        return
    try:
        name = default().detect(path).name
    except AmbiguousFormat:
        name = "several formats"
    except (UnknownFormat, ReadError):
        return
    raise WriteError(f"{path} is a checkpoint ({name}) and is not replaced; name another file")


def write_file(path: str, content: bytes) -> None:
    """Write a file; an old one stays until the new one is whole."""
    from snnbridge.storage import Target

    with Target(path) as target, target.open() as file:
        file.write(content)
