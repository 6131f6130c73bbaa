"""A checkpoint as text for a console and as a table for a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from snnbridge.model.layers import Layer
from snnbridge.model.values import UNKNOWN, describe

if TYPE_CHECKING:
    from snnbridge.model.checkpoint import SNNCheckpoint

_LINES = 20
_ROWS = 200


def as_text(checkpoint: SNNCheckpoint) -> str:
    """Return a few lines that tell what a checkpoint holds."""
    layers = list(checkpoint.layers.values())
    lines = [f"SNNCheckpoint: {len(layers)} layers, {checkpoint.total_params} weights"]
    lines += [f"  {layer!r}" for layer in layers[:_LINES]]
    if len(layers) > _LINES:
        lines.append(f"  ... and {len(layers) - _LINES} more")
    lines.append(f"  connections: {_edges(checkpoint)}, dt: {describe(checkpoint.dt)}")
    if checkpoint.training:
        lines.append(f"  training: {', '.join(checkpoint.training)}")
    if checkpoint.frozen_layers:
        lines.append(f"  frozen: {', '.join(checkpoint.frozen_layers)}")
    return "\n".join(lines)


def as_html(checkpoint: SNNCheckpoint) -> str:
    """Return a table of the layers in HTML."""
    head = "<tr><th>layer</th><th>kind</th><th>parameters</th><th>frozen</th></tr>"
    layers = list(checkpoint.layers.values())
    frozen = set(checkpoint.frozen_layers)
    rows = "".join(_row(layer, layer.name in frozen) for layer in layers[:_ROWS])
    caption = (
        f"{len(layers)} layers, connections: {_edges(checkpoint)}, dt: {describe(checkpoint.dt)}"
    )
    return f"<table><caption>{escape(caption)}</caption>{head}{rows}</table>"


def _row(layer: Layer, is_frozen: bool) -> str:
    held = ", ".join(f"{name}: {describe(p.value)}" for name, p in layer.parameters.items())
    cells = (layer.name, layer.kind, held, "yes" if is_frozen else "")
    return f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in cells)}</tr>"


def _edges(checkpoint: SNNCheckpoint) -> str:
    return "UNKNOWN" if checkpoint.connections is UNKNOWN else str(len(checkpoint.connections))
