"""What a module of PyTorch stands for: layers, and the connections between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from typing import Any

from snnbridge.ledger import Status
from snnbridge.model import Array, Connection, Layer


@dataclass(slots=True)
class Piece:
    """The layers that one module stands for.

    Parameters
    ----------
    layers : list of Layer
        None for a module that passes its input on.
    edges : list of Connection
        Between them.
    entry, exit : str
        The layers that take the module's input and give its output.
    notes : list of (Status, str)
        What became of the module, where that is not all of it.
    """

    layers: list[Layer] = field(default_factory=list)
    edges: list[Connection] = field(default_factory=list)
    entry: str = ""
    exit: str = ""
    notes: list[tuple[Status, str]] = field(default_factory=list)

    @classmethod
    def of(cls, *chain: Layer) -> Piece:
        """Make a piece of layers that feed each other in turn."""
        edges = [Connection(a.name, b.name) for a, b in pairwise(chain)]
        return cls(list(chain), edges, chain[0].name, chain[-1].name)

    def feed_back(self, layer: Layer, *, before: bool = True) -> None:
        """Add a layer from the exit to the entry; its bias waits if the delay stands behind it."""
        self.layers.append(layer)
        self.edges.append(Connection(self.exit, layer.name, 1 if before else 0))
        self.edges.append(Connection(layer.name, self.entry, 0 if before else 1))


def plain(value: Any) -> Any:
    """Return a tensor as an array that shares its memory, and anything else as it is."""
    return as_array(value) if hasattr(value, "detach") else value


def as_array(tensor: Any) -> Array:
    """Return a tensor as an array; on the CPU it shares the tensor's memory."""
    held = tensor.detach().cpu()
    name = str(held.dtype).removeprefix("torch.")
    if name == "bfloat16" or name.startswith("float8"):
        import ml_dtypes

        torch = import_module("torch")
        raw = held.view(torch.uint16 if held.element_size() == 2 else torch.uint8).numpy()
        small: Array = raw.view(getattr(ml_dtypes, name))
        return small
    array: Array = held.numpy()
    return array
