"""Folders of checkpoints, one file for each step or epoch that was kept.

BrainPy calls them ``checkpoint_<step>``, braintools' trainer ``checkpoint-epoch=<epoch>.ckpt``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from snnbridge.errors import OptionError, ReadError

STEP_FILE = re.compile(
    r"checkpoint_([-+]?(?:[0-9]*\.)?[0-9]+)|checkpoint-epoch=([0-9]+)\b.*\.ckpt", re.DOTALL
)


def choose(names: Iterable[str], step: str | float | None = None) -> str:
    """Return the file of a step or an epoch, the newest if none is named.

    Parameters
    ----------
    names : iterable of str
        What stands in the folder.
    step : number or its text, optional

    Raises
    ------
    ReadError
        If there is no checkpoint.
    OptionError
        If there is none of that step.

    Examples
    --------
    >>> choose(["checkpoint_9", "checkpoint_10", "best_0.5"])
    'checkpoint_10'
    """
    steps = {name: m[1] or m[2] for name in names if (m := STEP_FILE.fullmatch(name))}
    if not steps:
        raise ReadError(
            "the folder holds no file checkpoint_<step> or checkpoint-epoch=<epoch>.ckpt"
        )
    if step is None:
        return max(steps, key=lambda name: float(steps[name]))
    wanted = _number(str(step))
    found = next((name for name, text in steps.items() if float(text) == wanted), None)
    if found is None:
        known = ", ".join(sorted(steps.values(), key=float))
        raise OptionError(f"there is no checkpoint of step={step!r}; there are {known}")
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
