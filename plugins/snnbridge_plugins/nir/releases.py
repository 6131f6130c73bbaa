"""What the releases of NIR's package differ in: the reset of a spike, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from snnbridge import (
    UNKNOWN,
    AvgPool,
    Conv1d,
    Conv2d,
    Entry,
    Layer,
    Neuron,
    SNNCheckpoint,
    Status,
    Subgraph,
    SumPool,
    Synapse,
)
from snnbridge.model import Reset, Unknown

#: The first version with v_reset; before it a spike subtracts the threshold.
_HARD = (1, 0, 6)

_CHECKED = (
    "NIR from 1.0.6 on computes other shapes for it, and reads it with type_check=False alone"
)


def is_soft(version: str | Unknown) -> bool:
    """Whether a spike subtracts the threshold, by the documentation of a version of NIR."""
    if version is UNKNOWN:
        return True
    return tuple(int(n) for n in re.findall(r"[0-9]{1,6}", version)[:3]) < _HARD


def refused_by(checkpoint: SNNCheckpoint) -> tuple[Entry, ...]:
    """Return a line of the ledger for each thing that some release refuses.

    The file holds it exactly; releases from 1.0 to 1.0.8 and their own rules are what differs.
    """
    found: dict[str, list[str]] = {}
    for name, reason in _reasons(checkpoint.layers, ""):
        found.setdefault(reason, []).append(name)
    return tuple(_line(names, reason) for reason, names in found.items())


def _line(names: list[str], reason: str) -> Entry:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return Entry(Status.EXACT, ("file", names[0]), f"node of {names[0]!r}{more}", reason)


def _reasons(layers: Mapping[str, Layer], prefix: str) -> Iterator[tuple[str, str]]:
    for layer in layers.values():
        name = prefix + layer.name
        if isinstance(layer, Subgraph):
            yield from _reasons(layer.layers, f"{name}/")
        elif (reason := _reason(layer, layers)) is not None:
            yield name, reason


def _reason(layer: Layer, layers: Mapping[str, Layer]) -> str | None:
    if isinstance(layer, Neuron):
        return _of_neuron(layer, layers)
    if isinstance(layer, SumPool):
        return "NIR before 1.0 has no SumPool2d"
    if isinstance(layer, AvgPool):
        return "NIR before 1.0.2 has no AvgPool2d"
    if isinstance(layer, Conv1d | Conv2d):
        return _CHECKED if is_misjudged(layer) else None
    return None


def _of_neuron(layer: Neuron, layers: Mapping[str, Layer]) -> str | None:
    held = layer.parameters.get("v_reset")
    stated = held is not None and held.value is not UNKNOWN and bool(held.value.any())
    if stated and layer.rule.reset is Reset.SET and layer.rule.spiking is not False:
        return "NIR before 1.0.6 refuses its field v_reset"
    before = layers.get(f"{layer.name}.synapse")
    if layer.rule.spiking is False and isinstance(before, Synapse):
        return "NIR before 1.0.5 has no CubaLI"
    return None


def is_misjudged(layer: Conv1d | Conv2d) -> bool:
    """Whether NIR's package computes another shape than the convolution's."""
    held = layer.parameters["weight"].value
    kernel = () if held is UNKNOWN else held.shape[2:]
    return layer.groups not in (1, UNKNOWN) or len(set(kernel)) > 1
