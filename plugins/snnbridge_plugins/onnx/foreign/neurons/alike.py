"""Parts of a graph that are alike but for the names of their values: looked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge.model import Array
from snnbridge_plugins.onnx.file.schema import Message
from snnbridge_plugins.onnx.foreign.graph.operators import attributes
from snnbridge_plugins.onnx.foreign.neurons.bench import Roles
from snnbridge_plugins.onnx.foreign.neurons.computing import Part
from snnbridge_plugins.onnx.foreign.neurons.probing import Found

#: Constants of so many elements are compared by what they hold, larger ones by what they are.
_SMALL = 1 << 10


class Alike:
    """What was found of parts, by what they compute.

    Parameters
    ----------
    look : callable
        Takes a part and the graph's outputs, returns the neuron that it is or how far it came.
    """

    def __init__(self, look: Callable[[Part, Sequence[str]], Found | int]) -> None:
        self._look = look
        self._found: dict[object, Found | int] = {}
        self._pinned: list[Part] = []

    def __call__(self, part: Part, nexts: Sequence[str]) -> Found | int:
        """Return what is found of a part, or was of one like it."""
        numbers = _numbered(part)
        key = _key(part, numbers, nexts)
        if key not in self._found:
            found = self._look(part, nexts)
            self._found[key] = _renamed(found, numbers)
            self._pinned.append(part)  # large constants go by their places in memory
        return _renamed(self._found[key], {str(n): name for name, n in numbers.items()})


def _numbered(part: Part) -> dict[str, str]:
    """Return a number for each name in a part."""
    names = dict.fromkeys((*part.states, *part.drives))
    for node in part.nodes:
        names |= dict.fromkeys((*node.get("input", []), *node["output"]))
    return {name: str(at) for at, name in enumerate(names)}


def _key(part: Part, numbers: dict[str, str], nexts: Sequence[str]) -> object:
    nodes = tuple(
        (node["op_type"], *_settings(node), *(numbers[n] for n in node.get("input", [])),
         "", *(numbers[n] for n in node["output"]))
        for node in part.nodes
    )  # fmt: skip
    held = tuple((numbers[name], *_content(x)) for name, x in part.constants.items())
    ends = tuple((numbers[name], name in nexts) for name in part.ends)
    return nodes, held, ends, len(part.states), part.shape, part.dtype


def _settings(node: Message) -> Iterator[tuple[Any, ...]]:
    for name, value in sorted(attributes(node).items()):
        yield name, *(_content(value) if isinstance(value, np.ndarray) else (repr(value),))


def _content(x: Array) -> tuple[Any, ...]:
    small = x.size <= _SMALL
    return x.dtype, x.shape, x.tobytes() if small else (x.ctypes.data, x.strides)


def _renamed(found: Found | int, names: dict[str, str]) -> Found | int:
    if not isinstance(found, Found):
        return found
    old = found.roles
    roles = Roles(
        tuple(names[n] for n in old.drives), names[old.v], names[old.v_end],
        tuple(names[n] for n in old.spikes), old.gain,
        names.get(old.i, ""), names.get(old.i_end, ""),
    )  # fmt: skip
    return replace(found, roles=roles)
