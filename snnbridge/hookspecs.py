"""The hooks that a plugin may implement."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from snnbridge.formats import Format

#: The name of the entry-point group and of the hooks' project.
PROJECT = "snnbridge"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def snnbridge_formats() -> Iterable[Format]:  # type: ignore[empty-body]
    """Return the formats that the plugin brings.

    Returns
    -------
    iterable of Format

    Examples
    --------
    In a module that the entry point ``mine`` of the group ``snnbridge`` names::

        from snnbridge import Format, hookimpl

        @hookimpl
        def snnbridge_formats():
            return [Format(name="mine", summary="My files", suffixes=(".mine",),
                           sniff=lambda probe: probe.head.startswith(b"MINE"), read=read)]
    """
