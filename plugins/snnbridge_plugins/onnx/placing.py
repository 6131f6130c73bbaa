"""Which tensor of a model holds which array, each array once."""

from __future__ import annotations

from typing import Any

from snnbridge.document import inline
from snnbridge.model import Array, Path
from snnbridge_plugins.onnx.file.tensors import Stored, stored
from snnbridge_plugins.onnx.graph.construction import Graph

#: Arrays of so many bytes stand in the document, if the graph does not use them.
_SMALL = 512


class Placing:
    """The arrays of a model: those that its graph uses, and those that only the document names.

    Parameters
    ----------
    graph : Graph
        Filled.

    Attributes
    ----------
    held : dict of str to Stored
        By the tensor's name.
    references : dict of str to dict
        What the document says of a tensor, by its name; digests are added as it is written.
    """

    def __init__(self, graph: Graph) -> None:
        used = {**graph.defaults, **graph.initializers}
        self.held = {name: stored(name, array) for name, array in used.items()}
        self._names = graph.scope.names
        self._tied = graph.tied
        self._known = {id(array): name for name, array in graph.initializers.items()}
        self._alive = list(graph.initializers.values())
        self.references: dict[str, dict[str, Any]] = {}

    @property
    def all(self) -> list[Stored]:
        """Every tensor, those of the graph first."""
        return list(self.held.values())

    def place(self, path: Path, array: Array) -> dict[str, Any]:
        """Return a reference to an array: to its tensor, or the array itself if it is small."""
        array = self._tied.get(id(array), array)
        name = self._known.get(id(array))
        if name is None and array.nbytes <= _SMALL:
            return inline(array)
        if name is None:
            name = self._names.unique(".".join(path[1:]) or path[0])
            self.held[name] = stored(name, array)
            self._known[id(array)] = name
            self._alive.append(array)
        if name not in self.references:
            held = self.held[name]
            form = {"type": held.array.dtype.name, "dims": list(held.array.shape)}
            self.references[name] = {
                "initializer": name, **held.reference, **form, "path": list(path)
            }  # fmt: skip
        return self.references[name]
