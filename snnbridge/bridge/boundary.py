"""Where the core meets a format's functions: options, errors, progress."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from snnbridge.errors import CheckpointError, OptionError, SNNBridgeError
from snnbridge.formats import Format, Option, Options
from snnbridge.model import SNNCheckpoint

#: Told of a phase, of the bytes done and of all bytes.
Progress = Callable[[str, int, int], None]


def check_options(
    format: Format, options: Options, direction: Literal["reading", "writing"]
) -> Options:
    """Refuse an option that the format does not have, or not in this direction.

    Returns
    -------
    mapping
        The options with the values of choices as the format spells them: ``17`` is ``"17"``, and
        ``True`` is ``"yes"`` where that is a choice.

    Raises
    ------
    OptionError
        With what the format has instead.
    """
    known = {option.name: option for option in format.options}
    found = dict(options)
    for name, value in options.items():
        if name == "bare" and format.holds_bare:
            continue
        if name not in known:
            expected = ", ".join(n for n, o in known.items() if o.applies(direction)) or "none"
            raise OptionError(
                f"format {format.name!r} has no option {name!r}; for {direction} it has: {expected}"
            )
        option = known[name]
        if not option.applies(direction):
            raise OptionError(
                f"option {name!r} of format {format.name!r} is for {option.direction}, not for "
                f"{direction}"
            )
        found[name] = _spelled(value, option)
        if option.choices and found[name] not in option.choices:
            raise OptionError(
                f"option {name!r} of format {format.name!r} must be one of "
                f"{', '.join(option.choices)}, not {value!r}. {option.help}"
            )
    return found


def _spelled(value: Any, option: Option) -> Any:
    """Return a value as one of the choices, if it means one."""
    if not option.choices or isinstance(value, str):
        return value
    if isinstance(value, bool) and {"yes", "no"} <= set(option.choices):
        return "yes" if value else "no"
    return str(value)


@contextlib.contextmanager
def errors_of(format: Format, path: Path, kind: type[SNNBridgeError], verb: str) -> Iterator[None]:
    """Map whatever a plugin raises to the family, with the path in front.

    A checkpoint may hold NaN and infinity: what a plugin computes with them is no warning.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except (FileNotFoundError, PermissionError, OptionError):
        raise
    except kind as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error
    except CheckpointError as error:
        raise kind(f"{path}: {error}") from error
    except SNNBridgeError:
        raise
    except (Exception, SystemExit) as error:  # none of a plugin's functions may end the host
        raise kind(
            f"{path}: cannot be {verb} as {format.name}: {type(error).__name__}: {error}"
        ) from error


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Keep the garbage collector from walking a growing checkpoint again and again.

    A checkpoint of many thousands of layers is made of objects that all stay; looking for
    garbage among them took a third of the time.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@contextlib.contextmanager
def ticking(
    progress: Progress | None, phase: str, done: Callable[[], int], checkpoint: SNNCheckpoint
) -> Iterator[None]:
    """Tell the progress of a phase while the block runs, and its end."""
    if progress is None:
        yield
        return
    total = checkpoint.nbytes
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.2):
            progress(phase, min(done(), total), total)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    progress(phase, total, total)
