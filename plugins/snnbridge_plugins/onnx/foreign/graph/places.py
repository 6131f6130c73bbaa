"""How many places a window has, by the attributes of an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def places(
    found: Mapping[str, Any], sizes: Sequence[int | str], kernel: Sequence[int | str]
) -> list[int | str | None]:
    """Return the number of places along each axis, None where it is not known."""
    axes = len(sizes)
    strides = found.get("strides") or [1] * axes
    dilations = found.get("dilations") or [1] * axes
    pads = found.get("pads") or [0] * (2 * axes)
    sides = zip(pads[:axes], pads[axes:], strict=True)
    held = zip(sizes, kernel, strides, dilations, sides, strict=True)
    auto = found.get("auto_pad", "NOTSET")
    return [_along(n, k, s, d, (a, b), auto, found) for n, k, s, d, (a, b) in held]


def _along(
    size: int | str, kernel: int | str, stride: int, dilation: int, pads: tuple[int, int],
    auto: str, found: Mapping[str, Any],
) -> int | None:  # fmt: skip
    if isinstance(size, str) or isinstance(kernel, str):
        return None
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return -(-size // stride)
    before, after = (0, 0) if auto == "VALID" else pads
    room = size + before + after - dilation * (kernel - 1) - 1
    if room < 0:
        return None
    count = -(-room // stride) if found.get("ceil_mode", 0) else room // stride
    # Engines differ in whether a window that starts beyond the end counts.
    return count + 1 if count * stride < size + before else None
