"""The constants of a graph: tensors, and what is computed of nothing but them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from snnbridge import ReadError
from snnbridge.model import Array
from snnbridge_plugins.onnx.file.arrays import Tensors
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.evaluation import FOLDED, TRANSCENDENT, computed
from snnbridge_plugins.onnx.foreign.graph.operators import attributes

#: Elements that are computed of constants in one graph; what is beyond stays an operator.
_MOST = 1 << 26


class Constants:
    """The constants of a graph by name.

    Parameters
    ----------
    tensors : Tensors
        Read when they are asked for.
    nodes : iterable of Message
        In order; what depends on constants alone is computed, but for long chains of large ones.
    defaults : collection of str
        Tensors that are no constants, but what an input is if it is left out.
    """

    def __init__(
        self, tensors: Tensors, nodes: Iterable[Message], defaults: Collection[str] = ()
    ) -> None:
        self._tensors, self._defaults = tensors, defaults
        self._held: dict[str, Array] = {}
        self._sources: dict[int, str] = {}
        self._makers: dict[str, Message] = {}
        self._left = _MOST
        self._odd: set[str] = set()
        for node in nodes:
            self._note(node)

    def __contains__(self, name: str) -> bool:
        return self._is_tensor(name) or name in self._makers

    def _is_tensor(self, name: str) -> bool:
        return name in self._tensors and name not in self._defaults

    def get(self, name: str) -> Array | None:
        """Return a constant, None for a value that is none."""
        if name in self._held:
            return self._held[name]
        if self._is_tensor(name):
            self._held[name] = self._tensors.array(name)
            self._sources[id(self._held[name])] = name
        elif name in self._makers:
            self._fold(name)
        return self._held.get(name)

    def source(self, array: Array | None) -> str:
        """Return the name of the tensor that a constant holds, turned or as it is, or ""."""
        return self._sources.get(id(array), "")

    def is_rounded_here(self, name: str) -> bool:
        """Whether a constant comes from an exponential or the like, whose last bit differs."""
        return name in self._odd

    def folds(self, node: Message) -> bool:
        """Whether nothing is left of a node but a constant."""
        outputs = node.get("output", [])
        return bool(outputs) and self._makers.get(outputs[0]) is node

    def _note(self, node: Message) -> None:
        outputs, inputs = node.get("output", []), node.get("input", [])
        if len(outputs) != 1 or node.get("domain") or not outputs[0] or outputs[0] in self:
            return
        kind = node.get("op_type")
        if kind == "Constant" and _literal(node) is not None:
            self._makers[outputs[0]] = node
        elif kind in {*FOLDED, "Transpose"} and self._are_constants(inputs):
            self._makers[outputs[0]] = node
            if kind in TRANSCENDENT or any(name in self._odd for name in inputs):
                self._odd.add(outputs[0])
            if kind not in ("Identity", "Transpose") and not self._affordable(node):
                del self._makers[outputs[0]]

    def _are_constants(self, names: Sequence[str]) -> bool:
        return bool(names) and bool(names[0]) and all(not n or n in self for n in names)

    def _affordable(self, node: Message) -> bool:
        """Compute a constant while there is room for it."""
        name = node["output"][0]
        given = [self.get(n) for n in node["input"] if n]
        size = sum(x.size for x in given if x is not None)
        if size > self._left or any(x is None for x in given):
            return False
        try:
            grown = np.broadcast_shapes(*(x.shape for x in given if x is not None))
        except ValueError:
            grown = ()
        if np.prod(grown, dtype=float) > max(size, 1):
            return False
        self._left -= size
        return self.get(name) is not None

    def _fold(self, name: str) -> None:
        node = self._makers[name]
        kind = node["op_type"]
        if kind == "Constant":
            self._held[name] = _literal(node)
            return
        arguments = [self.get(n) if n else None for n in node["input"]]
        first = arguments[0]
        if first is None:
            return
        if kind == "Identity":
            self._held[name] = first
        elif kind == "Transpose":
            axes = attributes(node).get("perm", range(first.ndim)[::-1])
            if sorted(axes) != list(range(first.ndim)):
                raise ReadError(f"a Transpose of {first.ndim} axes has the order {list(axes)[:9]}")
            self._held[name] = first.transpose(axes)
            self._sources[id(self._held[name])] = self.source(first)
        else:
            try:
                self._held[name] = computed(node, arguments)
            except (TypeError, ValueError, KeyError, IndexError, OverflowError):
                return


def _literal(node: Message) -> Any:
    """Return what a node "Constant" holds, None for text and sparse tensors."""
    held = attributes(node)
    if isinstance(held.get("value"), np.ndarray):
        return held["value"]
    for key, value in held.items():
        if key in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if key in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    return None
