"""The hooks that a plugin may implement."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from snnbridge.formats import Format
from snnbridge.neurons import NeuronKind

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


@hookspec
def snnbridge_neurons() -> Iterable[NeuronKind]:  # type: ignore[empty-body]
    """Return the neuron kinds that the plugin brings.

    Returns
    -------
    iterable of NeuronKind

    Examples
    --------
    ::

        from snnbridge import NeuronKind, hookimpl

        @hookimpl
        def snnbridge_neurons():
            return [NeuronKind(name="izhikevich", summary="Two variables", step=step,
                               parameters={"a": "recovery rate"}, state={"v": -65.0, "u": -13.0})]
    """
