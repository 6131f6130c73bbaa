"""How many axes of a tensor are features, behind those of time and batch."""

from __future__ import annotations

from typing import Any

#: How many axes the features have that a class gives, by a part of its name.
_AXES = {"Linear": 1, "Flatten": 1, "1d": 2, "2d": 3}


def joined_axes(tensor: Any, whole: Any) -> int:
    """Return how many of the last axes became one, where those before them stayed."""
    before = tensor.ndim - 1
    same = 0 < before < whole.ndim and tensor.shape[:before] == whole.shape[:before]
    return whole.ndim - before if same else 0


def given_axes(module: Any, before: int, taken: Any, given: Any) -> int:
    """Return how many axes the features have that a module gave, which took `before` of them."""
    if before and type(module).__name__ == "Flatten":
        joined: int = taken.ndim - given.ndim
        return max(1, before - joined)
    return _axes(module) or before


def _axes(module: Any) -> int:
    """Return how many axes the features have that a module gives, where its class tells it."""
    kind = type(module).__name__
    return next((n for text, n in _AXES.items() if text in kind), 0)


def features(module: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of a module's input without batch and time, where its class tells it."""
    axes = 0 if "Flatten" in type(module).__name__ else _axes(module)
    return shape[-axes:] if axes and len(shape) >= axes else None
