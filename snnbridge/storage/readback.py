"""Checksums of a file while it is being written, by a thread that reads behind the writer.

The thread takes the bytes from the file (that is, from the page cache) and not from the writer's
buffers: so the writer may reuse them, nothing waits in a queue but positions, and what is summed
is what the kernel has taken.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from snnbridge.errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    _Job = tuple[int, int, Callable[[memoryview], object], Callable[[], None] | None]

_BUFFER = 512 << 10
_WORTH_A_THREAD = 4 << 20


class ReadBack:
    """Feeds ranges of a growing file to consumers, in order, beside the writer.

    Parameters
    ----------
    path
        The file; it must exist.

    Examples
    --------
    >>> behind = ReadBack(path)  # doctest: +SKIP
    >>> behind.submit(0, 4096, digest.update)  # doctest: +SKIP
    >>> behind.finish()  # doctest: +SKIP
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("r+b", buffering=0)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._backlog = 0
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None
        self._cancelled = False

    def submit(
        self,
        start: int,
        stop: int,
        feed: Callable[[memoryview], object],
        done: Callable[[], None] | None = None,
    ) -> None:
        """Have ``feed`` called with the bytes from ``start`` to ``stop``, then ``done``.

        The bytes must be in the file already. ``feed`` must not keep what it is given.
        """
        self._jobs.put((start, stop, feed, done))
        self._backlog += stop - start
        if self._thread is None and self._backlog >= _WORTH_A_THREAD:
            self._thread = threading.Thread(target=self._run, name="snnbridge-readback")
            self._thread.start()

    def after(self, done: Callable[[], None]) -> None:
        """Have ``done`` called when everything submitted so far is; at once if nothing was."""
        if self._backlog:
            self._jobs.put((0, 0, bytes, done))
        else:
            done()

    def patch(self, offset: int, data: bytes) -> None:
        """Overwrite bytes of the file; only from within ``done``."""
        self._file.seek(offset)
        self._file.write(data)

    def finish(self) -> None:
        """Wait until everything is done, and close.

        Raises
        ------
        WriteError
            The file could not be read back.
        """
        self._end()
        if self._error is not None:
            raise WriteError(
                f"{str(self._path)!r} could not be read back while it was written: {self._error}"
            ) from self._error

    def cancel(self) -> None:
        """Drop what is not done, and close."""
        self._cancelled = True
        self._end()

    def _end(self) -> None:
        if self._file.closed:
            return
        self._jobs.put(None)
        if self._thread is None:
            self._run()
        else:
            self._thread.join()
        self._file.close()

    def _run(self) -> None:
        buffer = memoryview(bytearray(_BUFFER))
        while (job := self._jobs.get()) is not None:
            if self._error is None and not self._cancelled:
                try:
                    self._work(job, buffer)
                except OSError as error:
                    self._error = error

    def _work(self, job: _Job, buffer: memoryview) -> None:
        position, stop, feed, done = job
        self._file.seek(position)
        while position < stop and not self._cancelled:
            count = self._file.readinto(buffer[: stop - position])
            if not count:
                raise OSError(f"the file ends at byte {position}, expected {stop}")
            feed(buffer[:count])
            position += count
        if done is not None and not self._cancelled:
            done()
