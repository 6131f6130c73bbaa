"""Bytes to a descriptor at the disk's speed: large pieces as they are, small ones gathered.

A gathered block is written by another thread while the next one fills, and the kernel is asked
to begin writing to the disk long before the end, so that the final sync has little left to do.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from snnbridge.storage.system import start_writeback

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

    from _typeshed import ReadableBuffer

SMALL = 64 << 10
"""Pieces below this size are gathered."""

BLOCK = 1 << 20
"""Size of a gathered block."""

_ONE_CALL = 8 << 20
_WRITEBACK = 16 << 20


class Output:
    """Appends to a file.

    Parameters
    ----------
    descriptor
        Open for writing, at its start.
    progress
        Called with the number of bytes that the kernel has taken, after each piece; from one
        thread at a time.
    """

    def __init__(self, descriptor: int, progress: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._progress = progress
        self._written = self._sent_out = self._filled = 0
        self._gathered = bytearray(BLOCK + SMALL)
        self._spare: bytearray | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._busy: Future[None] | None = None
        self.position = 0

    def write(self, buffer: ReadableBuffer) -> int:
        """Append a C-contiguous buffer, which may be reused afterwards; give its size."""
        size = len(buffer) if isinstance(buffer, bytes) else memoryview(buffer).nbytes
        if size >= SMALL:
            self.flush()
            self._write_out(memoryview(buffer).cast("B"))
        elif size:
            self._gathered[self._filled : self._filled + size] = memoryview(buffer)
            self._filled += size
            if self._filled >= BLOCK:
                self._hand_over()
        self.position += size
        return size

    def flush(self) -> None:
        """Have everything taken by the kernel."""
        if self._busy is not None:
            busy, self._busy = self._busy, None
            busy.result()
        if self._filled:
            filled, self._filled = self._filled, 0
            self._write_out(memoryview(self._gathered)[:filled])

    def stop(self) -> None:
        """End the other thread; what is gathered is dropped."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _hand_over(self) -> None:
        """Let the other thread write the full block, and go on with the other buffer."""
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor

            self._thread = ThreadPoolExecutor(1, "snnbridge-output")
            self._spare = bytearray(BLOCK + SMALL)
        if self._busy is not None:
            self._busy.result()
        full = memoryview(self._gathered)[: self._filled]
        assert self._spare is not None
        self._gathered, self._spare, self._filled = self._spare, self._gathered, 0
        self._busy = self._thread.submit(self._write_out, full)

    def _write_out(self, view: memoryview) -> None:
        start, size = 0, len(view)
        while start < size:
            count = os.write(self._descriptor, view[start : start + _ONE_CALL])
            start += count
            self._written += count
            self._send_out()
            self._progress(self._written)

    def _send_out(self) -> None:
        done = self._written - BLOCK  # the kernel makes us wait for a page that is on its way out
        if done - self._sent_out >= _WRITEBACK:
            start_writeback(self._descriptor, self._sent_out, done - self._sent_out)
            self._sent_out = done
