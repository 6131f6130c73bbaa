"""A progress bar for work of more than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import rich.progress

_PATIENCE = 1.0


class Progress:
    """Shows how far a job is, once it has taken a second; nothing where nobody looks.

    Parameters
    ----------
    title : str
        What the job is.
    counted : bool
        Whether things are counted instead of bytes.
    """

    def __init__(self, title: str, *, counted: bool = False) -> None:
        self._title, self._counted = title, counted
        self._start = time.monotonic()
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def update(self, phase: str, done: int, total: int) -> None:
        """Say that a phase has done so many of all bytes, or things.

        Parameters
        ----------
        phase : str
            What is being done, in a word.
        done, total : int
        """
        if not self._shown or time.monotonic() - self._start < _PATIENCE:
            return
        if self._bar is None:
            self._open()
        assert self._bar is not None
        assert self._task is not None
        self._bar.update(self._task, description=phase, completed=done, total=total)

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn() if self._counted else DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(self._title)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
