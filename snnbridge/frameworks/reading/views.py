"""What a tensor shows of another one whose memory it shares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_Axis = tuple[int, int]  # its size and its stride


@dataclass(frozen=True, slots=True)
class View:
    """One tensor as a view of another.

    Parameters
    ----------
    step : int, optional
        Which place of one axis it is, where it is one; the axes of a sample are kept whole.
    """

    step: int | None = None


def view_of(tensor: Any, whole: Any) -> View | None:
    """Return which part of `whole` a tensor is; None if it is no plain view of it.

    A plain view has whole axes, in any order, joined or split; at most one axis is left out, of
    which it is one place. Every other place of an axis, or its first half, is no plain view.
    """
    axes = _sorted(whole)
    used: set[int] = set()
    for block in _joined(_sorted(tensor)):
        run = next((r for r in _runs(axes) if _size(axes, r) == block), None)
        if run is None or not used.isdisjoint(run):
            return None
        used |= set(run)
    left = [axis for n, axis in enumerate(axes) if n not in used]
    start = tensor.storage_offset() - whole.storage_offset()
    if not left:
        return View() if start == 0 else None
    (size, stride), *more = left
    if more or start % stride or not 0 <= start // stride < size:
        return None
    return View(start // stride)


def _sorted(tensor: Any) -> list[_Axis]:
    """Return the axes, the slowest first; those of one place, and repeats, are none."""
    axes = zip(tensor.shape, tensor.stride(), strict=True)
    return sorted(((n, s) for n, s in axes if n > 1 and s > 0), key=lambda a: a[1], reverse=True)


def _joined(axes: list[_Axis]) -> list[_Axis]:
    """Join the axes that run through memory without a gap."""
    found: list[_Axis] = []
    for size, stride in axes:
        if found and found[-1][1] == size * stride:
            found[-1] = (found[-1][0] * size, stride)
        else:
            found.append((size, stride))
    return found


def _runs(axes: list[_Axis]) -> Iterator[range]:
    """Yield the neighbouring axes that can be joined, one alone included."""
    for first in range(len(axes)):
        for last in range(first, len(axes)):
            if len(_joined(axes[first : last + 1])) == 1:
                yield range(first, last + 1)


def _size(axes: list[_Axis], run: range) -> _Axis:
    return math.prod(axes[n][0] for n in run), axes[run[-1]][1]


def keeps(tensor: Any, whole: Any, axes: int) -> bool:
    """Whether the last axes are the same ones, of the same memory."""
    return axes == 0 or _last(tensor, axes) == _last(whole, axes)


def flattens(tensor: Any, whole: Any, axes: int) -> bool:
    """Whether the last axis is the last axes of `whole` as one, in their order."""
    if axes < 2 or tensor.ndim == 0 or tensor.shape[-1] != math.prod(whole.shape[-axes:]):
        return False
    last = [(n, s) for n, s in _last(whole, axes) if n > 1]
    return len(_joined(last)) <= 1 and (not last or tensor.stride()[-1] == last[-1][1])


def _last(tensor: Any, axes: int) -> list[_Axis]:
    sizes, strides = tensor.shape[-axes:], tensor.stride()[-axes:]
    return [(n, s if n > 1 else 0) for n, s in zip(sizes, strides, strict=True)]
