"""The fields of a node, taken with the type that each must have."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnbridge import UNKNOWN, ReadError
from snnbridge.model import Array, Padding, Shape, Unknown
from snnbridge_plugins.nir.graph import Node, Value


class Fields:
    """Takes fields out of a node; what nobody takes is left over.

    Parameters
    ----------
    name : str
        The node's, for messages.
    node : Node
    """

    def __init__(self, name: str, node: Node) -> None:
        self.name, self.kind = name, node.kind
        self.left: dict[str, Value] = dict(node.fields)

    def __contains__(self, name: str) -> bool:
        return name in self.left

    def _refuse(self, reason: str) -> ReadError:
        return ReadError(f"node {self.name!r} ({self.kind}): {reason}")

    def take(self, name: str) -> Value:
        """Return a field that must be there."""
        if name not in self.left:
            raise self._refuse(f"it has no {name!r}")
        return self.left.pop(name)

    def array(self, name: str) -> Array:
        """Return a field of numbers."""
        value = self.take(name)
        if isinstance(value, str) or value.dtype.kind not in "biufc":
            raise self._refuse(f"{name!r} must hold numbers, found {_described(value)}")
        return value

    def parameters(self, *names: str) -> dict[str, Array]:
        """Return fields of numbers whose shapes broadcast to each other."""
        found = {name: self.array(name) for name in names}
        try:
            np.broadcast_shapes(*(value.shape for value in found.values()))
        except ValueError:
            shapes = ", ".join(f"{k} {v.shape}" for k, v in found.items())
            raise self._refuse(f"its parameters have shapes that do not fit: {shapes}") from None
        return found

    def shape(self, name: str) -> Shape | Unknown:
        """Return a field that states a shape; UNKNOWN where it is absent."""
        if name not in self.left:
            return UNKNOWN
        return self.whole(name)

    def whole(self, name: str) -> Shape:
        """Return a field of whole numbers, as a tuple."""
        value = self.array(name)
        flat = value.reshape(-1)
        if value.ndim > 1 or value.size > 32 or value.dtype.kind not in "iuf":
            raise self._refuse(f"{name!r} must be a few whole numbers, found {_described(value)}")
        if not (np.isfinite(flat).all() and (flat == np.rint(flat)).all()):
            raise self._refuse(f"{name!r} must be whole numbers, found {flat.tolist()}")
        return tuple(int(n) for n in flat)

    def number(self, name: str) -> int:
        """Return a field of one whole number."""
        found = self.whole(name)
        if len(found) != 1:
            raise self._refuse(f"{name!r} must be one whole number, found {list(found)}")
        return found[0]

    def window(self, name: str, axes: int) -> Shape:
        """Return one number for each axis; a single one stands for all."""
        found = self.whole(name)
        if len(found) == 1:
            found *= axes
        if len(found) != axes:
            raise self._refuse(f"{name!r} must be 1 or {axes} numbers, found {list(found)}")
        return found

    def padding(self, axes: int) -> Padding:
        """Return the padding; ``valid`` is none."""
        if isinstance(self.left.get("padding"), str):
            stated = self.take("padding")
            if stated == "same":
                return "same"
            if stated != "valid":
                raise self._refuse(f"padding must be 'same', 'valid' or numbers, not {stated!r}")
            return ((0, 0),) * axes
        return tuple((n, n) for n in self.window("padding", axes))


def _described(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return f"{value.dtype} of shape {value.shape}"
