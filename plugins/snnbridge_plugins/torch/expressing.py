"""A network in the classes of the framework that a file is written for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from snnbridge import Entry, SNNCheckpoint, Status
from snnbridge.express import express
from snnbridge_plugins.torch.native import NAME


def prepare(
    checkpoint: SNNCheckpoint, options: Mapping[str, Any]
) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    """Express a network in the classes of a framework, if one is asked for; its keys follow.

    Raises
    ------
    WriteError
        Naming the first layer that the framework has no class for.
    UnknownValue
        If a rule is not known.
    """
    framework = options.get("for")
    if not framework:
        return checkpoint, ()
    planned, entries = express(checkpoint, framework)
    if planned is checkpoint or NAME not in planned.extras:
        return planned, entries
    extras = {name: value for name, value in planned.extras.items() if name != NAME}
    reason = f"the keys are those of {framework}, no longer the source's"
    told = Entry(Status.REWRITTEN, ("extras", NAME), "the layout of the keys", reason)
    return replace(planned, extras=extras), [*entries, told]
