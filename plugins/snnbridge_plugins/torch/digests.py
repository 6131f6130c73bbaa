"""The digests in the metadata of a safetensors file.

The entry ``snnbridge.sha256`` holds two, of 64 digits each with a space between them: that of the
document, and that of the whole file with zeros for the digits of the second. Of a net in several
files it stands in their index; each file has its own digest alone, under ``snnbridge.file.sha256``,
and the index has them all, under ``snnbridge.files``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from snnbridge import IntegrityError, ReadError
from snnbridge.model import Integrity
from snnbridge.storage import BLANK, StagedFile, digest_of, digest_so_far

DOCUMENT, DIGESTS = "snnbridge", "snnbridge.sha256"
FILE, FILES = "snnbridge.file.sha256", "snnbridge.files"
RESERVED = (DOCUMENT, DIGESTS, FILE, FILES)
_DIGITS = len(BLANK)
#: What stands before the digits of the whole file.
_LAST_DIGITS = re.compile(
    rf'(?<!\\)"(?:{re.escape(DIGESTS)}": ?"[0-9a-f]{{{_DIGITS}}} |{re.escape(FILE)}": ?")'.encode()
)


def blank(document: str) -> str:
    """Return the entry of a file that is not written yet."""
    return f"{_digest_of(document)} {BLANK}"


def blank_file() -> dict[str, str]:
    """Return the entry of one file of several that is not written yet."""
    return {FILE: BLANK}


def stated_of(metadata: Mapping[str, Any]) -> str:
    """Return the digest that one file of several states of itself; empty if it states none."""
    return str(metadata.get(FILE, ""))


def fill_in(file: StagedFile, header: bytes) -> str:
    """Put the digest of a file that is written into its header, which it begins with."""
    return digest_so_far(file, into=_place_in(header))


def compare(data: memoryview, metadata: Mapping[str, Any], *, whole: bool) -> Integrity:
    """Compare a file or an index, or only its document, with the digests.

    Returns
    -------
    str
        ``"changed"`` if the document is right and the file is not: then another program wrote it.

    Raises
    ------
    IntegrityError
        If the document was damaged.
    """
    stated, document = metadata.get(DIGESTS), metadata.get(DOCUMENT)
    if stated is None and document is None:
        return _compare_one(data, stated_of(metadata), whole=whole)
    if not isinstance(stated, str) or not isinstance(document, str):
        raise IntegrityError(f"of the metadata {DOCUMENT!r} and {DIGESTS!r} one is missing")
    if stated[:_DIGITS] != _digest_of(document):
        raise IntegrityError(f"the metadata {DOCUMENT!r} differs from what was written")
    if not whole:
        return "unchecked"
    return "intact" if _digest_of_file(data) == stated[_DIGITS + 1 :] else "changed"


def _compare_one(data: memoryview, stated: str, *, whole: bool) -> Integrity:
    """Compare one file of several with the digest that it has of itself."""
    if not stated:
        return ""
    if not whole:
        return "unchecked"
    return "intact" if _digest_of_file(data) == stated else "changed"


def are_intact(files: Iterable[tuple[str, memoryview]], metadata: Mapping[str, Any]) -> bool:
    """Whether every file, given by name, is as its index states.

    A file without a digest of its own was saved by another program.
    """
    stated = metadata.get(FILES)
    known: Mapping[str, Any] = stated if isinstance(stated, Mapping) else {}
    return all(
        FILE.encode() in _header(data) and _digest_of_file(data) == known.get(name)
        for name, data in files
    )


def _digest_of(document: str) -> str:
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


def _header(data: memoryview) -> bytes:
    """Return the JSON text that a file begins with, or that is all of an index."""
    if bytes(data[:1]) == b"{":
        return bytes(data)
    return bytes(data[: 8 + int.from_bytes(data[:8], "little")])


def _place_in(header: bytes) -> int:
    """Find the digits that are blank: no text in a text looks like this, for its quotes do not."""
    found = _LAST_DIGITS.search(header)
    if found is None:
        raise ReadError(f"the metadata {DIGESTS!r} is written in a form that nobody uses")
    return found.end()


def _digest_of_file(data: memoryview) -> str:
    return digest_of(data, without=_place_in(_header(data)))
