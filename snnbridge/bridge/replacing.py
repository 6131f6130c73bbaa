"""Which files a writing may replace: what the user named, and no neighbour by accident."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from snnbridge.errors import WriteError
from snnbridge.formats import Format
from snnbridge.model import SourceInfo
from snnbridge.registry import Registry

_REMEDY = "name another target, or replace it with force=True or --force"


def refuse_replacing(
    paths: Iterable[Path],
    named: Path,
    format: Format,
    registry: Registry,
    source: SourceInfo | None = None,
) -> None:
    """Refuse to replace a conversion's own source by another format, or a stranger's file.

    Parameters
    ----------
    paths : iterable of Path
        What would be written.
    named : Path
        What the user named: that may be anything.
    format : Format
        Of what would be written.
    registry : Registry
    source : SourceInfo, optional
        Of what is converted.

    Raises
    ------
    WriteError
        Naming the file and the remedy.
    """
    for path in paths:
        if not path.exists():
            continue
        if source is not None and source.format != format.name and _is_of(path, source, registry):
            raise WriteError(
                f"nothing was written: {path} belongs to the source {source.path}, which the "
                f"{format.name} file would take the place of; {_REMEDY}"
            )
        own = path == named or any(registry.claims(format, p) for p in (path, named))
        if not own:
            raise WriteError(
                f"nothing was written: {path} is there already and no part of a checkpoint of "
                f"format {format.name}; {_REMEDY}"
            )


def _is_of(path: Path, source: SourceInfo, registry: Registry) -> bool:
    """Whether a file is the source itself, under whatever name, or another file of its set."""
    origin = Path(source.path)
    if not source.path or not origin.exists():
        return False
    if path.samefile(origin):
        return True
    beside = path.parent.samefile(origin.parent) and path.stem == origin.stem
    return beside and registry.claims(registry.get(source.format), path)
