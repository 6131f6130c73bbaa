"""Trying a function on many damaged files, with bounds on time and memory.

Where the system can fork, the work runs in a child: a reader that hangs is ended, one that takes
too much memory or crashes is told apart. Elsewhere it runs here, without bounds.
"""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Item = TypeVar("Item")
#: Seconds for one file, and bytes beside what the process has already.
SECONDS, BYTES = 10.0, 512 << 20


def outcomes(
    function: Callable[[Item], str],
    items: Iterable[Item],
    *,
    seconds: float = SECONDS,
    memory: int = BYTES,
) -> Iterator[tuple[Item, str]]:
    """Call a function with each item and yield what it returned.

    Parameters
    ----------
    function : function returning str
    items : iterable
    seconds : float
        For one item.
    memory : int
        Bytes beside what this process has already.

    Yields
    ------
    item, outcome
        What the function returned; or ``"took over 10 seconds"``, ``"crashed ..."``.
    """
    waiting = list(items)
    if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        yield from ((item, function(item)) for item in waiting)
        return
    while waiting:
        done = 0
        for outcome in _in_child(function, waiting, seconds, memory):
            yield waiting[done], outcome
            done += 1
        waiting = waiting[done:]


def _in_child(
    function: Callable[[Any], str], items: list[Any], seconds: float, memory: int
) -> Iterator[str]:
    """Yield outcomes; after a hang or a crash there are no more, and the rest is to be tried."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(function, items, theirs, memory), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads
        child.start()
    theirs.close()
    try:
        for _ in items:
            if not ours.poll(seconds):
                yield f"took over {seconds:.0f} seconds"
                return
            try:
                yield ours.recv()
            except EOFError:
                child.join()
                yield f"crashed with exit code {child.exitcode}"
                return
    finally:
        child.kill()
        child.join()
        ours.close()


def _work(
    function: Callable[[Any], str], items: list[Any], results: Connection, memory: int
) -> None:
    with suppress(ImportError, OSError, ValueError):
        _limit_memory(memory)
    for item in items:
        results.send(function(item))


def _limit_memory(memory: int) -> None:
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  # no user's file
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
