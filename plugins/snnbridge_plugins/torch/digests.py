"""The digests in the metadata of a safetensors file.

The entry ``snnbridge.sha256`` holds two, of 64 digits each with a space between them: that of the
document, and that of the whole file with zeros for the digits of the second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from snnbridge import IntegrityError, ReadError
from snnbridge.model import Integrity
from snnbridge.storage import BLANK, StagedFile, digest_of, digest_so_far

DOCUMENT, DIGESTS = "snnbridge", "snnbridge.sha256"
_MARK = f'"{DIGESTS}":"'.encode()
_DIGITS = len(BLANK)


def blank(document: str) -> str:
    """Return the entry of a file that is not written yet."""
    return f"{_digest_of(document)} {BLANK}"


def fill_in(file: StagedFile, header: bytes) -> None:
    """Put the digest of a file that is written into its header, which it begins with."""
    digest_so_far(file, into=_place_in(header))


def compare(data: memoryview, metadata: Mapping[str, Any], *, whole: bool) -> Integrity:
    """Compare a file, or only its document, with the digests.

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
        return ""
    if not isinstance(stated, str) or not isinstance(document, str):
        raise IntegrityError(f"of the metadata {DOCUMENT!r} and {DIGESTS!r} one is missing")
    if stated[:_DIGITS] != _digest_of(document):
        raise IntegrityError(f"the metadata {DOCUMENT!r} differs from what was written")
    if not whole:
        return "unchecked"
    return "intact" if _digest_of_file(data) == stated[_DIGITS + 1 :] else "changed"


def _digest_of(document: str) -> str:
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


def _place_in(header: bytes) -> int:
    at = header.find(_MARK)
    if at < 0:
        raise ReadError(f"the metadata {DIGESTS!r} is written in a form that nobody uses")
    return at + len(_MARK) + _DIGITS + 1


def _digest_of_file(data: memoryview) -> str:
    header = bytes(data[: 8 + int.from_bytes(data[:8], "little")])
    return digest_of(data, without=_place_in(header))
