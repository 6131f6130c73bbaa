"""Digests: of the files that are read, and whether formats compare their own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from snnbridge.formats import Format, Options
from snnbridge.storage import Source


@dataclass(frozen=True, slots=True)
class HeldFile:
    """One file as it was when it was read.

    Parameters
    ----------
    name : str
    size : int
        In bytes.
    sha256 : str
        Hexadecimal.
    """

    name: str
    size: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"name": self.name, "size": self.size, "sha256": self.sha256}


def with_check(format: Format, options: Options | None) -> Options:
    """Return the options for reading a file with every digest compared, unless they say no."""
    for option in format.options:
        if option.name == "check" and "yes" in option.choices and option.applies("reading"):
            return {"check": "yes", **(options or {})}
    return options or {}


@contextmanager
def digested(source: Source, *, wanted: bool = True) -> Iterator[list[HeldFile]]:
    """Hash what the block reads, beside it; the list is filled when the block ends, if wanted.

    The bytes are taken through the descriptors and mappings of the reader, so the digests are of
    what was read also if somebody replaces the files meanwhile.
    """
    files: list[HeldFile] = []
    if not wanted:
        yield files
        return
    with ThreadPoolExecutor(1) as thread:
        first = None if source.is_dir else thread.submit(source.digest)
        yield files
        for each in source.opened():
            same = first is not None and each.identity == source.identity
            digest = first.result() if first and same else each.digest()
            files.append(HeldFile(each.path.name, each.size, digest))
