"""Bytes to a descriptor at the disk's speed: large pieces as they are, small ones gathered.

The kernel is asked to begin writing to the disk long before the end, so that the final sync has
little left to do.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from snnbridge.storage.system import start_writeback

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

SMALL = 1 << 20
"""Pieces below this size are gathered."""

BLOCK = 4 << 20
"""Size of a gathered block, and what the ends of writes are aligned to: the page cache takes
its memory in large pieces then, which makes a write several times faster."""

_WRITEBACK = 16 << 20


class Output:
    """Appends to a file.

    Parameters
    ----------
    descriptor
        Open for writing, at its start.
    progress
        Called with the number of bytes that the kernel has taken, after each piece.
    """

    def __init__(self, descriptor: int, progress: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._progress = progress
        self._written = self._sent_out = self._filled = 0
        self._gathered = memoryview(bytearray(BLOCK))
        self._room = BLOCK
        self.position = 0

    def write(self, buffer: ReadableBuffer) -> int:
        """Append a C-contiguous buffer, which may be reused afterwards; give its size."""
        data = buffer if isinstance(buffer, bytes) else _as_bytes(buffer)
        size = len(data)
        filled = self._filled + size
        if filled < self._room and size < SMALL:
            self._gathered[self._filled : filled] = data
            self._filled = filled
        elif size < SMALL:
            first = self._room - self._filled
            self._gathered[self._filled : self._room] = data[:first]
            self._filled = self._room
            self.flush()
            self._filled = size - first
            self._gathered[: self._filled] = data[first:]
        else:
            self.flush()
            self._write_out(memoryview(data))
        self.position += size
        return size

    def flush(self) -> None:
        """Have everything taken by the kernel."""
        if self._filled:
            filled, self._filled = self._filled, 0
            self._write_out(self._gathered[:filled])

    def _write_out(self, view: memoryview) -> None:
        start, size = 0, len(view)
        while start < size:
            stop = start + BLOCK - self._written % BLOCK
            stop += BLOCK if size - stop >= BLOCK else 0
            count = os.write(self._descriptor, view[start:stop])
            start += count
            self._written += count
            self._send_out()
            self._progress(self._written)
        self._room = BLOCK - self._written % BLOCK

    def _send_out(self) -> None:
        done = self._written - BLOCK  # the kernel makes us wait for a page that is on its way out
        if done - self._sent_out >= _WRITEBACK:
            start_writeback(self._descriptor, self._sent_out, done - self._sent_out)
            self._sent_out = done


def _as_bytes(buffer: ReadableBuffer) -> memoryview:
    view = memoryview(buffer)
    return view.cast("B") if view.nbytes else memoryview(b"")
