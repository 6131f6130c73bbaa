"""A file's own SHA-256: behind its end, or in the file itself, in a place that counts as blank."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snnbridge.storage.staged import StagedFile

BLANK = "0" * 64
"""What stands for a digest that is not known yet, and is digested in its place."""

_BLOCK = 1 << 20


def digest_so_far(file: StagedFile, *, into: int | None = None) -> str:
    """Compute the SHA-256 of what was written to a file.

    Parameters
    ----------
    file
        Still open.
    into
        Where in the file :data:`BLANK` was written, to be replaced by the digest.

    Returns
    -------
    str
        Hexadecimal.
    """
    digest = hashlib.sha256()
    behind = file.read_behind()
    file.flush()

    def fill_in() -> None:
        if into is not None:
            behind.patch(into, digest.hexdigest().encode("ascii"))

    behind.submit(0, file.tell(), digest.update, fill_in)
    behind.finish()
    return digest.hexdigest()


def digest_of(data: memoryview, *, without: int | None = None) -> str:
    """Compute the SHA-256 of bytes.

    Parameters
    ----------
    data
        Bytes.
    without
        Where a digest stands that counts as :data:`BLANK`.

    Returns
    -------
    str
        Hexadecimal.

    Examples
    --------
    >>> digest_of(memoryview(b"abc"))[:16]
    'ba7816bf8f01cfea'
    """
    digest = hashlib.sha256()
    start = 0
    if without is not None:
        start = without + len(BLANK)
        digest.update(data[:without])
        digest.update(BLANK.encode("ascii"))
    for at in range(start, len(data), _BLOCK):
        digest.update(data[at : at + _BLOCK])
    return digest.hexdigest()
