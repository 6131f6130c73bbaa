"""A digest of the whole file, behind the end of what HDF5 knows of it.

An HDF5 library does not look there, and cuts it off when it has written to the file: a file with
a digest is as this package wrote it. Layout: ``snnbridge-sha256``, then the 32 bytes of the
SHA-256 of everything before.
"""

from __future__ import annotations

from snnbridge import IntegrityError
from snnbridge.model import Integrity
from snnbridge.storage import StagedFile, digest_of, digest_so_far
from snnbridge.storage.hdf5 import end_of

_MAGIC = b"snnbridge-sha256"
_SIZE = len(_MAGIC) + 32


def add(file: StagedFile) -> None:
    """Add the digest of what was written."""
    file.write(_MAGIC + bytes.fromhex(digest_so_far(file)))


def check(data: memoryview, *, wanted: bool) -> Integrity:
    """Compare a file with its digest.

    Parameters
    ----------
    data : memoryview
        The whole file.
    wanted : bool
        Whether to; a digest that is damaged itself is found in any case.

    Raises
    ------
    ReadError
        If it is no HDF5 file.
    IntegrityError
        If the digest is another.
    """
    body, seal = data[:-_SIZE], bytes(data[-_SIZE:])
    if not seal.startswith(_MAGIC):
        rest = bytes(data[end_of(data) :][:_SIZE])
        if len(data) - end_of(data) == _SIZE or (rest and _MAGIC.startswith(rest[: len(_MAGIC)])):
            raise IntegrityError("the digest behind its end is damaged")
        return ""
    if not wanted:
        return "unchecked"
    if digest_of(body) != seal[len(_MAGIC) :].hex():
        raise IntegrityError("its SHA-256 is not the one behind its end; the file was damaged")
    return "intact"
