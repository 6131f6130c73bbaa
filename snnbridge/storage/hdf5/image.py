"""The bytes of a file, and how many of them may be looked at."""

from __future__ import annotations

import struct
import zlib

from snnbridge.errors import IntegrityError, ReadError
from snnbridge.storage.hdf5.checksum import lookup3
from snnbridge.storage.limits import Limits

_SLACK = 64 << 10
_DAMAGE = (struct.error, zlib.error, IndexError, ValueError, OverflowError, MemoryError)


class Image:
    """The bytes of an HDF5 file from its superblock on.

    The structures of an honest file do not overlap, so all of them together are no larger than
    the file. What is parsed is counted: a file whose structures refer to each other in circles,
    or again and again to the same bytes, comes to an end.

    Parameters
    ----------
    data : memoryview
        From the superblock to the end of the file.
    start : int
        Where the superblock stands: behind what another program put before it.
    limits : Limits
    """

    def __init__(self, data: memoryview, start: int, limits: Limits) -> None:
        self.data = data
        self.start = start
        self.limits = limits
        self._left = 4 * len(data) + _SLACK
        self._stored_left = len(data)
        self._packed = self._expanded = 0

    def spend(self, count: int) -> None:
        """Count bytes that are parsed, or made of parsed ones.

        Raises
        ------
        ReadError
            If it is more than an honest file of that size has.
        """
        self._left -= count
        if self._left < 0:
            raise ReadError("its structures share bytes or lead in a circle")

    def take(self, address: int, size: int) -> bytes:
        """Return a piece of structure.

        Raises
        ------
        ReadError
            If it reaches beyond the file.
        """
        if address < 0 or size < 0 or size > len(self.data) - address:
            raise ReadError(
                f"a structure of {size} bytes at byte {address} reaches beyond the "
                f"{len(self.data)} bytes of the file"
            )
        self.spend(size)
        return bytes(self.data[address : address + size])

    def take_checked(self, address: int, size: int, signature: bytes) -> bytes:
        """Return a piece of structure that starts with a signature and ends with a checksum.

        Raises
        ------
        ReadError
            If the signature is another one.
        IntegrityError
            If the checksum is another one.
        """
        piece = self.take(address, size)
        self.expect(piece, signature, address)
        if lookup3(piece[:-4]) != int.from_bytes(piece[-4:], "little"):
            raise IntegrityError(
                f"the checksum of {signature.decode()!r} at byte {address} differs; it was damaged"
            )
        return piece

    def expect(self, piece: bytes, signature: bytes, address: int) -> None:
        """Refuse a piece that does not start with a signature."""
        if not piece.startswith(signature):
            raise ReadError(
                f"{signature.decode()!r} was expected at byte {address}, "
                f"found {piece[: len(signature)]!r}"
            )

    def check(self, address: int, size: int) -> None:
        """Refuse elements that reach beyond the file."""
        if address < 0 or size > len(self.data) - address:
            raise ReadError(
                f"it needs {size} bytes at byte {address}, but the file has only "
                f"{len(self.data)}; it was cut off or damaged"
            )

    def claim(self, address: int, size: int) -> memoryview:
        """Return elements as they are stored; all that is given is no more than the file has.

        Raises
        ------
        ReadError
            If they reach beyond the file, or so many were given that some were given twice.
        """
        self.check(address, size)
        self._stored_left -= size
        if self._stored_left < 0:
            raise ReadError("datasets share bytes; expected each its own")
        return self.data[address : address + size]

    def expand(self, packed: int, expanded: int) -> None:
        """Count what compressed or missing elements become in memory.

        Raises
        ------
        ReadError
            If it is far more than what is stored.
        """
        self._packed += packed
        self._expanded += expanded
        allowed = self.limits.expanded(self._packed)
        if self._expanded > allowed:
            raise ReadError(
                f"{self._packed} stored bytes would expand to {self._expanded}, more than the "
                f"{allowed} allowed"
            )


class About:
    """Names an element in every error that a damaged file causes in the block.

    Parameters
    ----------
    path : str
    """

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ReadError):
            raise type(error)(f"{self._path!r}: {error}") from error
        if isinstance(error, _DAMAGE):
            raise ReadError(f"{self._path!r} is damaged: {error}") from error
