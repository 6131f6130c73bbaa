"""The places that a window has along the axes that it runs over."""

from __future__ import annotations

from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.model.values import Shape

Sides = tuple[tuple[int, int], ...]


def sides_of(layer: Any, sizes: Shape, kernel: Shape, dilation: Shape) -> Sides:
    """Return the zeros before and after each axis of a layer with a window."""
    if layer.padding != "same":
        return layer.padding  # type: ignore[no-any-return]
    sides = []
    for size, k, d, stride in zip(sizes, kernel, dilation, layer.stride, strict=True):
        total = max((-(-size // stride) - 1) * stride + d * (k - 1) + 1 - size, 0)
        sides.append((total // 2, total - total // 2))
    return tuple(sides)


def placed(layer: Any, sizes: Shape, kernel: Shape, dilation: Shape) -> Shape:
    """Return how many places a layer's window has along each axis.

    Raises
    ------
    CheckpointError
        If the window is larger than what it runs over.
    """
    sides = sides_of(layer, sizes, kernel, dilation)
    axes = zip(sizes, sides, kernel, dilation, layer.stride, strict=True)
    places = tuple((n + a + b - d * (k - 1) - 1) // s + 1 for n, (a, b), k, d, s in axes)
    if min(places) < 1:
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}): a window of {kernel} does not fit into {sizes}"
        )
    return places
