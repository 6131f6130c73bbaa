"""The axes that importers join where NIR has a Flatten."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from snnbridge import UNKNOWN, Flatten, Layer
from snnbridge.express.demands import Refused
from snnbridge.model import Shape
from snnbridge.simulator.graph_shapes import flattened

#: What an importer counts as axes of a Flatten.
Joins: TypeAlias = Literal["sample", "batch", "all"]


def joining(layer: Layer, joins: Joins, order: str) -> Layer:
    """Return a Flatten of a node as the importer runs it; any other layer as it is."""
    if not isinstance(layer, Flatten):
        return layer
    start, end = layer.start, layer.end
    assert start is not UNKNOWN
    assert end is not UNKNOWN
    if joins == "all":
        start, end = 0, -1
    elif joins == "batch":
        if 0 in (start, end):
            raise Refused("it counts the batch as axis 0, and would join the samples")
        start, end = (n - 1 if n > 0 else n for n in (start, end))
    return replace(layer, start=start, end=end, order=order)  # type: ignore[arg-type]


def from_behind(layer: Flatten, shape: Shape | None, joins: Joins, order: str) -> Flatten:
    """State the axes from the last one: importers differ in whether the batch counts."""
    known = layer.input_shape if layer.input_shape is not UNKNOWN else shape
    if known is None or layer.start is UNKNOWN or layer.end is UNKNOWN:
        raise Refused("the shape of its input is not known")
    if layer.order not in (order, UNKNOWN) and len(known) > 1:
        raise Refused(f"the importer runs {order}")
    if joins == "all" and flattened(layer, known) != (0, len(known) - 1):
        raise Refused("the importer joins all axes, and this one some")
    start, end = (n - len(known) if n >= 0 else n for n in (layer.start, layer.end))
    return replace(layer, start=start, end=end, order="channels first")
