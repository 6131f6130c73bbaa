"""Reading a zip archive from mapped bytes, with every claim held against them.

What readers of zip files disagree about is refused: names twice, members that overlap, headers
that contradict the directory, an archive behind other bytes or before them. The directory is
checked when the archive is opened, a member's own header when the member is asked for.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from snnbridge.errors import IntegrityError, ReadError
from snnbridge.storage.expand import METHODS, STORED, expand
from snnbridge.storage.limits import Limits
from snnbridge.storage.npy import npy_array
from snnbridge.storage.zipwrite import (
    CENTRAL,
    DESCRIPTOR,
    END,
    END64,
    LIMIT16,
    LIMIT32,
    LOCAL,
    LOCATOR,
    UTF8,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEFAULT = Limits()
_REFUSED_FLAGS = {0: "is encrypted", 5: "is a patch", 6: "is encrypted", 13: "is encrypted"}
_CENTRAL_DTYPE = np.dtype(
    {
        "names": ["signature", "flags", "method", "crc", "packed", "size", "name", "disk", "offset"],
        "formats": ["<u4", "<u2", "<u2", "<u4", "<u4", "<u4", "<u2", "<u2", "<u4"],
        "offsets": [0, 8, 10, 16, 20, 24, 28, 34, 42],
        "itemsize": CENTRAL.size,
    }
)


class Member(NamedTuple):
    """One member: what the directory says, and where its data starts."""

    name: str
    method: int
    offset: int
    packed: int
    size: int
    crc: int


class ZipReader:
    """A zip archive in memory or in a mapped file.

    Parameters
    ----------
    data
        The whole file, ``Source.data`` for example.
    where
        What to call it in messages.
    limits
        ``members``, ``name_bytes`` and the ratio of expansion apply.

    Attributes
    ----------
    names : list of str
        The members, in the order of the directory.
    comment : bytes
        The archive's comment.

    Raises
    ------
    ReadError
        No zip archive, a damaged or an ambiguous one.

    Examples
    --------
    >>> with Source("trained.npz") as source:  # doctest: +SKIP
    ...     weight = ZipReader(source.data).array("layer_0.npy")
    """

    def __init__(
        self, data: memoryview | bytes, *, where: str = "the archive", limits: Limits = _DEFAULT
    ) -> None:
        self._data = memoryview(data)
        self._where = where
        self._limits = limits
        count, start, self._end, self.comment = _find_directory(self._data, where)
        self._start = start
        if count > limits.members:
            raise ReadError(f"{where} has {count} members, more than the {limits.members} allowed")
        directory = bytes(self._data[start : self._end])
        positions = _positions(directory, count, where)
        self._read_columns(directory, positions)
        self.names = self._read_names(directory, positions)
        self._index = {name: index for index, name in enumerate(self.names)}
        if len(self._index) != count:
            twice = next(n for i, n in enumerate(self.names) if self._index[n] != i)
            raise ReadError(f"{where} has the member {twice!r} twice")

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the directory: of every name, size and CRC-32; in hexadecimal.

        Equal to ``StoredZip.fingerprint`` of the archive as it was written. It says what the
        members should be; ``data(name, verify=True)`` says whether they are.
        """
        return hashlib.sha256(self._data[self._start :]).hexdigest()
