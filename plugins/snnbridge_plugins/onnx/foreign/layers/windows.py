"""Kernels, pools, and what joins axes: operators of which the shapes matter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from snnbridge import UNKNOWN, AvgPool, Conv1d, Conv2d, Flatten, Layer, MaxPool, ReadError, SumPool
from snnbridge.model import Shape, Unknown
from snnbridge_plugins.onnx.foreign.graph.operators import Node


def _sides(found: Mapping[str, Any], axes: int) -> Any:
    if found.get("auto_pad", "NOTSET") == "SAME_UPPER":
        return "same"
    if found.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    pads = _numbers(found, "pads", 2 * axes, 0)
    return tuple(zip(pads[:axes], pads[axes:], strict=True))


def _numbers(found: Mapping[str, Any], name: str, count: int, default: int) -> Shape:
    """Return an attribute that holds one number for each axis, or for each side of each."""
    held = found.get(name, [default] * count)
    if not isinstance(held, list | tuple) or len(held) != count:
        raise ReadError(f"the attribute {name!r} of a node is {held!r}; expected {count} numbers")
    return tuple(held)


def conv(name: str, node: Node) -> Layer | None:
    """Return a kernel over one axis or two."""
    weight, found = node.constants.get(1), node.attributes
    kind = {3: Conv1d, 4: Conv2d}.get(0 if weight is None else weight.ndim)
    if kind is None or weight is None:
        return None
    axes = weight.ndim - 2
    padding = _sides(found, axes)
    if padding is None:
        return None
    return kind(
        name, weight, node.constants.get(2), stride=_numbers(found, "strides", axes, 1),
        padding=padding, dilation=_numbers(found, "dilations", axes, 1),
        groups=found.get("group", 1), input_shape=_spatial(node, axes),
    )  # fmt: skip


def _spatial(node: Node, axes: int) -> Shape | Unknown:
    """Return the lengths of the axes after the channels, where all are numbers."""
    lengths = (node.shape or ())[1:]
    numbers = tuple(n for n in lengths if isinstance(n, int))
    return numbers if len(numbers) == len(lengths) == axes else UNKNOWN


def pool(name: str, node: Node) -> Layer | None:
    """Return a pool with a window of its own."""
    found = node.attributes
    held = found.get("kernel_shape", ())
    window = _numbers(found, "kernel_shape", len(held) if isinstance(held, list | tuple) else 1, 0)
    padding = _sides(found, len(window))
    if not window or padding is None or len(node.message.get("output", [])) > 1:
        return None
    stride = _numbers(found, "strides", len(window), 1)
    odd = any(d != 1 for d in _numbers(found, "dilations", len(window), 1))
    if odd or (found.get("ceil_mode", 0) and not _even(node, window, stride, padding)):
        return None
    if node.kind == "MaxPool":
        return MaxPool(name, window=window, stride=stride, padding=padding)
    counted = bool(found.get("count_include_pad", 0))
    return AvgPool(name, window=window, stride=stride, padding=padding, count_padding=counted)


def _even(node: Node, window: Shape, stride: Shape, padding: Any) -> bool:
    """Whether windows fill their axes, so that there is nothing to round up."""
    sizes = _spatial(node, len(window))
    if sizes is UNKNOWN or padding == "same":
        return False
    axes = zip(sizes, window, stride, padding, strict=True)
    return all((n + a + b - k) % s == 0 for n, k, s, (a, b) in axes)


def whole_pool(name: str, node: Node) -> Layer | tuple[Layer, ...] | None:
    """Return a pool whose window is the whole image, and what joins its axes where they go."""
    axes = len(node.shape or ()) - 1
    window = _spatial(node, axes)
    if window is UNKNOWN or axes not in (1, 2) or 0 in window:
        return None
    kind = MaxPool if node.kind == "GlobalMaxPool" else AvgPool
    more: dict[str, Any] = {"count_padding": False} if kind is AvgPool else {}
    layer = kind(name, window=window, stride=window, padding=((0, 0),) * axes, **more)
    if node.kind != "ReduceMean" or node.attributes.get("keepdims", 1):
        return layer
    ones = (*(node.shape or ())[:1], *(1,) * axes)
    channels = tuple(n for n in ones if isinstance(n, int))
    known = channels if len(channels) == len(ones) else UNKNOWN
    return layer, Flatten(f"{name}.flat", order="channels first", input_shape=known)


def mean(name: str, node: Node) -> Layer | tuple[Layer, ...] | None:
    """Take a mean over all axes but the batch and the channels as a pool."""
    rank = len(node.shape or ()) + 1
    held: Any = node.attributes.get("axes")
    if held is None and 1 in node.constants:
        held = node.constants[1].ravel().tolist()
    if not isinstance(held, list | tuple) or node.batches != 1:
        return None
    axes = sorted(n + rank if n < 0 else n for n in held)
    return whole_pool(name, node) if axes == list(range(2, rank)) else None


def flatten(name: str, node: Node) -> Layer | None:
    """Return what joins some axes."""
    if node.joined is None:
        plain = node.kind == "Flatten" and node.attributes.get("axis", 1) == 1
        return Flatten(name, order="channels first") if plain or _keeps_first(node) else None
    start, end = node.joined
    shape = tuple(n for n in node.shape or () if isinstance(n, int))
    known = shape if node.shape is not None and len(shape) == len(node.shape) else UNKNOWN
    last = -1 if end + 1 == len(node.shape or ()) else end
    return Flatten(name, start, last, order="channels first", input_shape=known)


def _keeps_first(node: Node) -> bool:
    """Whether a shape says that the first axis stays and the others are joined, whatever it is."""
    shape = node.constants.get(1)
    if shape is None or node.attributes.get("allowzero", 0):
        return False
    return shape.ravel().tolist() == [0, -1]


def summed(layer: Layer, count: float) -> SumPool | None:
    """Return a pool of means times the size of its windows as one of sums, where that is exact.

    A quotient of a float and ``2**i`` or ``2**i + 2**j``, times that number, is the float.
    """
    if not isinstance(layer, AvgPool) or layer.window is UNKNOWN or layer.padding == "same":
        return None
    size = math.prod(layer.window)
    padded = any(n for pair in layer.padding for n in pair)  # type: ignore[union-attr]
    if size != count or size.bit_count() > 2 or (padded and layer.count_padding is not True):
        return None
    return SumPool(layer.name, window=layer.window, stride=layer.stride, padding=layer.padding)
