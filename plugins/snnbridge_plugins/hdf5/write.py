"""Writing: the arrays and the structure that describes them, then the seal."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from snnbridge import Options
from snnbridge.model import SNNCheckpoint
from snnbridge.storage import Target
from snnbridge.storage.hdf5 import write_file
from snnbridge_plugins.hdf5 import seal
from snnbridge_plugins.hdf5.checksum import Checksum
from snnbridge_plugins.hdf5.elements import elements
from snnbridge_plugins.hdf5.schema import LAYOUT, TYPE

_WORDS = f"{TYPE}, layout {LAYOUT}: an HDF5 file; its root group says what is in it\n".encode()
_AHEAD = 8
_WORTH_A_THREAD = 64 << 10


def write(checkpoint: SNNCheckpoint, target: Target, options: Options) -> None:
    """Write a checkpoint as one HDF5 file.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    target : Target
    options : mapping
        ``compression``: ``"gzip"`` or ``"none"``.

    Raises
    ------
    WriteError
        For an array of objects or records; if the disk is full.
    """
    root = elements(checkpoint)
    gzip = options.get("compression") == "gzip"
    with target.open() as file, ThreadPoolExecutor(1, "snnbridge-checksum") as beside:
        sums = _Sums(beside)
        words = _WORDS.ljust(seal.HEAD_SIZE - seal.SUPERBLOCK_SIZE, b"\0")
        head, structure, start = write_file(file, root, gzip=gzip, words=words, watch=sums)
        file.write(seal.make(head, structure, start, sums.values()))


class _Sums:
    """The checksums of arrays, computed by another thread while the bytes are written.

    Parameters
    ----------
    beside : ThreadPoolExecutor
        Of one thread.
    """

    def __init__(self, beside: ThreadPoolExecutor) -> None:
        self._beside = beside
        self._arrays: list[tuple[int, Checksum]] = []
        self._pending: deque[Future[None]] = deque()

    def begin(self, offset: int) -> None:
        """Start the checksum of the array at an offset."""
        self._arrays.append((offset, Checksum()))

    def add(self, piece: bytes | memoryview) -> None:
        """Have more bytes of the array summed; they must stay as they are until :meth:`wait`."""
        checksum = self._arrays[-1][1]
        if len(piece) < _WORTH_A_THREAD and not self._pending:
            checksum.add(piece)
            return
        self._pending.append(self._beside.submit(checksum.add, piece))
        if len(self._pending) > _AHEAD:
            self._pending.popleft().result()

    def wait(self) -> None:
        """Wait until everything so far is summed."""
        while self._pending:
            self._pending.popleft().result()

    def values(self) -> list[tuple[int, int, int]]:
        """Return the offset, the bytes and the checksum of every array."""
        self.wait()
        return [(offset, found.size, found.value()) for offset, found in self._arrays]
