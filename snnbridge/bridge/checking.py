"""Checking a file: what the digests that it holds say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from snnbridge import registry as registries
from snnbridge.bridge.digests import HeldFile, digested, with_check
from snnbridge.bridge.reading import opened, read_as
from snnbridge.errors import IntegrityError
from snnbridge.formats import Options
from snnbridge.model import SourceInfo
from snnbridge.registry import Registry

#: What a check finds.
Finding = Literal["intact", "changed", "damaged", "unchecked", "no digests"]

_MEANINGS: Mapping[Finding, str] = {
    "intact": "every digest is right",
    "changed": (
        "its digests are of other bytes: another program saved it since snnbridge wrote it, or it "
        "was damaged"
    ),
    "unchecked": "it holds digests that its format does not compare",
    "no digests": "it was read, but holds nothing that would tell a changed value from the old one",
}


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What a check of a file found.

    Parameters
    ----------
    path, format : str
    finding : {"intact", "changed", "damaged", "unchecked", "no digests"}
    message : str
        What that means; of a damaged file, which part of it.
    files : tuple of HeldFile
        What was read, as it stands now.
    notes : tuple of str
        The reader's.
    """

    path: str
    format: str
    finding: Finding
    message: str
    files: tuple[HeldFile, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether no digest contradicts the file."""
        return self.finding in ("intact", "no digests")

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "path": self.path,
            "format": self.format,
            "finding": self.finding,
            "message": self.message,
            "files": [file.as_json() for file in self.files],
            "notes": list(self.notes),
        }


def check_file(
    path: str | Path,
    *,
    format: str | None = None,
    options: Options | None = None,
    trusted: bool = False,
    registry: Registry | None = None,
) -> FileCheck:
    """Compare a checkpoint with the digests that it holds of itself.

    All of it is read; nothing is converted.

    Parameters
    ----------
    path : str or Path
    format, options, trusted, registry
        As for :func:`snnbridge.read`.

    Returns
    -------
    FileCheck

    Raises
    ------
    FileNotFoundError, UnknownFormat, AmbiguousFormat, FormatUnavailable, OptionError
        As :func:`snnbridge.read`.
    ReadError
        If it cannot be read at all.

    Examples
    --------
    >>> from snnbridge import check_file, read, write
    >>> ledger = write(read("fixtures/brainpy-2.8.2/snn.bp"), "snn.h5")
    >>> check_file("snn.h5").finding
    'intact'
    """
    registry = registry or registries.default()
    chosen, source = opened(path, format, registry, trusted=trusted)
    asked = with_check(chosen, options)
    finding: Finding = "damaged"
    notes: tuple[str, ...] = ()
    with digested(source) as files:
        try:
            info = read_as(chosen, source, asked, registry).source or SourceInfo()
        except IntegrityError as error:
            message = str(error)
        else:
            finding = info.integrity or "no digests"
            message, notes = _MEANINGS[finding], info.notes
    return FileCheck(str(source.path), chosen.name, finding, message, tuple(files), notes)
