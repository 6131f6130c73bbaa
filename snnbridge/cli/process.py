"""What a program owes the system that runs it: streams that never fail, signals that clean up."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any


class _Patient:
    """A text stream that goes on in silence once nobody reads it any more.

    Parameters
    ----------
    stream : text file
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except BrokenPipeError:
            self._silence()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._silence()

    def _silence(self) -> None:
        """Lead what is still in the buffers to nowhere: the interpreter flushes them at its end."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def streams() -> Iterator[None]:
    """Have output and errors take any character, a closed stream and a reader that left."""
    kept = sys.stdout, sys.stderr
    with ExitStack() as opened:
        sys.stdout, sys.stderr = (_patient(stream, opened) for stream in kept)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = kept


def _patient(stream: Any, opened: ExitStack) -> Any:
    if stream is None:  # closed; left alone, the next file would get its number
        return opened.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return _Patient(stream)


@contextmanager
def signals() -> Iterator[None]:
    """Turn a polite signal to end into an exit that removes what is half written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    asked = [s for name in names if signal.getsignal(s := getattr(signal, name)) == signal.SIG_DFL]
    for number in asked:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in asked:
            signal.signal(number, signal.SIG_DFL)


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)
