"""Saving in the background."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self


class AsyncManager:
    """Saves in the background, one file at a time.

    A failure is raised by the next :meth:`wait_previous_save`, :meth:`save_async` or
    :meth:`close`. As a context manager it closes itself.

    Parameters
    ----------
    max_workers : int
        For likeness with BrainPy's; one save is in flight at most.

    Examples
    --------
    >>> from snnbridge.pytree import load_pytree, save_pytree
    >>> with AsyncManager() as manager:
    ...     _ = save_pytree("a.bp", {"epoch": 3}, async_manager=manager, verbose=False)
    >>> load_pytree("a.bp")
    {'epoch': 3}
    """

    def __init__(self, max_workers: int = 1) -> None:
        self.executor = ThreadPoolExecutor(max_workers, thread_name_prefix="snnbridge-save")
        self.save_future: Future[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_previous_save(self) -> None:
        """Wait until the file that is being saved is on the disk; raise what went wrong."""
        future, self.save_future = self.save_future, None
        if future is not None:
            future.result()

    def save_async(self, task: Callable[[], Any]) -> None:
        """Wait for the save in flight, then begin another.

        Raises
        ------
        RuntimeError
            If the manager is closed.
        """
        self.wait_previous_save()
        self.save_future = self.executor.submit(task)

    def close(self) -> None:
        """Wait for the save in flight and end the thread."""
        try:
            self.wait_previous_save()
        finally:
            self.executor.shutdown()
