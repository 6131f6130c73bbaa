"""Values and the layers that hand them on: one, or several whose outputs are added.

A layer that several connections lead to adds what they bring, in their order. So an addition of
layers is no layer of its own, where what it adds is certain to have one shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from snnbridge_plugins.onnx.foreign.graph.operators import Node
from snnbridge_plugins.onnx.foreign.shapes.inference import Shapes

_NO_SHAPE = "the shapes of what it adds are not known"
_OTHER_SHAPE = "what it adds differs in shape"
_TWICE = "it adds the same layer twice"
_LONG = "it adds more layers than are connected to one"
_ORDER = "it adds two sums, and no order of connections rounds as it does"

#: More would make each reader of a long chain of sums one of all.
_MOST = 64


class Sums:
    """From values to layers.

    Parameters
    ----------
    shapes : Shapes
    keep : callable
        Adds an addition as a layer of its own, and returns its name.

    Attributes
    ----------
    kept : dict of str to list of str
        The additions that stay operators, by the reason.
    """

    def __init__(self, shapes: Shapes, keep: Callable[[Node], str]) -> None:
        self._shapes, self._keep = shapes, keep
        self._layers: dict[str, tuple[str, ...]] = {}
        self._additions: dict[str, Node] = {}
        self._kept: dict[int, str] = {}
        self.kept: dict[str, list[str]] = {}

    def __contains__(self, value: str) -> bool:
        return value in self._layers

    def __setitem__(self, value: str, layer: str) -> None:
        self._layers[value] = (layer,)

    def layers(self, value: str) -> tuple[str, ...]:
        """Return the layers whose outputs, added in this order, are a value."""
        return self._layers[value]

    def alias(self, value: str, other: str) -> None:
        """Note that a value is another one."""
        self._layers[value] = self._layers[other]
        if other in self._additions:
            self._additions[value] = self._additions[other]

    def single(self, value: str) -> str:
        """Return the one layer that hands a value on: the addition itself where it is one."""
        if len(self._layers[value]) > 1:
            node = self._additions[value]
            if id(node) not in self._kept:
                self._kept[id(node)] = self._keep(node)
            self._layers[value] = (self._kept[id(node)],)
        return self._layers[value][0]

    def added(self, values: Sequence[str]) -> tuple[str, ...] | None:
        """Return the layers that give a sum of values, rounded after each as it is.

        None where no order of them does: ``(a + b) + (c + d)``, or where one stands twice.
        """
        parts = [self._layers[value] for value in values]
        if len(parts) > 1 and len(parts[1]) > 1:
            parts[:2] = parts[1::-1]  # a + b is b + a
        found = tuple(layer for part in parts for layer in part)
        if any(len(part) > 1 for part in parts[1:]) or len(set(found)) < len(found):
            return None
        return found

    def add(self, node: Node, value: str) -> bool:
        """Take an addition of layers as connections; return whether it is one."""
        if node.kind not in ("Add", "Sum") or node.message.get("domain"):
            return False
        if node.constants or len(node.signals) < 2:
            return False
        found = self.added(node.signals)
        if found is None or len(found) > _MOST or not self._shapes.alike(node.signals):
            self.kept.setdefault(self._reason(node, found), []).append(value)
            return False
        self._layers[value], self._additions[value] = found, node
        return True

    def _reason(self, node: Node, found: tuple[str, ...] | None) -> str:
        if found is None:
            layers = [layer for value in node.signals for layer in self._layers[value]]
            return _TWICE if len(set(layers)) < len(layers) else _ORDER
        if len(found) > _MOST:
            return _LONG
        known = all(self._shapes.own(value) is not None for value in node.signals)
        return _OTHER_SHAPE if known else _NO_SHAPE
