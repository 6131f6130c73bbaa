"""A spec to fill in: everything that a checkpoint does not state, with a word of help."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from snnbridge import rules
from snnbridge.document import switches
from snnbridge.model import (
    NEURON_PARAMETERS,
    SYNAPSE_PARAMETERS,
    UNKNOWN,
    Layer,
    Opaque,
    Parameter,
    SNNCheckpoint,
)
from snnbridge.rules import FrameworkClass


def skeleton(checkpoint: SNNCheckpoint) -> str:
    """Write a spec for a checkpoint, in which everything that it does not state is ``"?"``.

    Parameters
    ----------
    checkpoint : SNNCheckpoint

    Returns
    -------
    str
        TOML; a valid spec as it stands.
    """
    lines = ['# What the file does not say. Replace each "?"; what stays "?" stays unknown.']
    if checkpoint.dt is UNKNOWN:
        lines.append('dt = "?"  # time step, like "0.1 ms", or "per step"')
    if checkpoint.connections is UNKNOWN:
        names = ", ".join(_toml(name) for name in checkpoint.layers)
        lines.append(f"# Each name of a chain feeds the next. The layers are: {names}")
        lines.append('chains = [["?"]]')
        lines.append('connections = [["?"]]  # further edges: [source, target, delay in steps]')
    lines.append('# defaults = true  # take the framework\'s defaults for what stays "?"')
    for layer in checkpoint.layers.values():
        lines += _skeleton_layer(layer)
    return "\n".join(lines) + "\n"


def _skeleton_layer(layer: Layer) -> list[str]:
    found = rules.of(layer)
    asked = _asked(layer, found) if found else _asked_fields(layer)
    if isinstance(layer, Opaque):
        asked = [('# class = "?"', "the framework's class, if snnbridge knows it")]
    if not asked:
        return []
    head = f"[layers.{_toml(layer.name)}]"
    origin = f"  # {layer.origin.framework} {layer.origin.kind}" if layer.origin else ""
    return ["", head + origin, *(f"{line}  # {help}" for line, help in asked)]


def _asked(layer: Layer, found: FrameworkClass) -> list[tuple[str, str]]:
    asked = []
    for key, argument in found.arguments.items():
        if _stated(layer, argument.parameter or argument.setting, argument.choices):
            continue
        help = argument.help + (f", {argument.unit}" if argument.unit else "")
        if argument.choices:
            help += ": " + ", ".join(str(x) for x in argument.choices)
        if argument.default is not rules.REQUIRED:
            help += f"; {found.framework}'s default is {argument.default}"
        asked.append((f'{key} = "?"', help))
    if getattr(layer, "shape", ()) is UNKNOWN:
        asked.append(('shape = "?"', "without the batch, like [10]; follows from the connections"))
    return asked


def _stated(layer: Layer, name: str | None, choices: Mapping[Any, Mapping[str, Any]]) -> bool:
    if choices:
        switches = {switch for choice in choices.values() for switch in choice}
        return all(getattr(layer.rule, s) is not UNKNOWN for s in switches)  # type: ignore[attr-defined]
    held: Any = layer.parameters.get(name or "", getattr(layer, name or "", UNKNOWN))
    return (held.value if isinstance(held, Parameter) else held) is not UNKNOWN


def _asked_fields(layer: Layer) -> list[tuple[str, str]]:
    return [(f'{name} = "?"', _help(layer, name)) for name in layer.unknown()]


def _help(layer: Layer, name: str) -> str:
    known = {**NEURON_PARAMETERS, **SYNAPSE_PARAMETERS}
    if name in known:
        return known[name]
    if not name.startswith("rule."):
        return f"{name.replace('_', ' ')} of the {layer.kind}"
    enumeration = switches(type(layer.rule))[name.removeprefix("rule.")]  # type: ignore[attr-defined]
    if enumeration is None:
        return name.removeprefix("rule.").replace("_", " ")
    return "one of " + ", ".join(json.dumps(x.value) for x in enumeration)


def _toml(name: str) -> str:
    plain = name and all(c.isascii() and (c.isalnum() or c in "_-") for c in name)
    return name if plain else json.dumps(name)
