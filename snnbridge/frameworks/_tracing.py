"""Seeing which module of a net feeds which, by running it once."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from snnbridge.model import UNKNOWN, Flatten, Input, Layer
from snnbridge.model.values import Shape, Unknown

_Edge = tuple[str, str, int]
_AXES = {"Linear": 1, "1d": 2, "2d": 3}


class _Watch:
    """Remembers whose memory a tensor is.

    A module's output is known again by its memory, so that a view of it (``flatten``, ``view``)
    is too. Every tensor seen is kept until the end: memory that is freed is used again.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self.edges: dict[_Edge, None] = {}
        self.layers: dict[str, Layer] = {}
        self.complete = True
        self._made: dict[tuple[int, Any], tuple[str, int, Any]] = {}
        self._calls: dict[str, int] = {}
        self._kept: list[Any] = []

    def start(self, sample: Any) -> None:
        self._remember(sample, ("", 0, sample))
        self._kept.append(sample)

    def __call__(self, module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        name = self.names[id(module)]
        call = self._calls[name] = self._calls.get(name, -1) + 1
        tensor = output[0] if isinstance(output, tuple) else output
        self._kept += [inputs, output]
        self._feed(module, call, inputs[0])
        self._remember(tensor, (name, call, tensor))

    def _feed(self, module: Any, call: int, tensor: Any) -> None:
        name = self.names[id(module)]
        found = self._made.get((_memory(tensor), tensor.shape)) or self._made.get(
            (_memory(tensor), None)
        )
        if found is None:
            self.complete = False
            return
        source, made_in, whole = found
        if not source:
            self.layers.setdefault("input", Input("input", _own_shape(module, tensor)))
            source = "input"
        elif tensor.ndim < whole.ndim and tensor.numel() == whole.numel():
            source = self._flatten(source, name)
        self.edges.setdefault((source, name, call - made_in if source != "input" else 0))

    def _remember(self, tensor: Any, made: tuple[str, int, Any]) -> None:
        """Note who made a tensor; a module that gives a view of its input made that shape."""
        self._made[_memory(tensor), tensor.shape] = made
        self._made.setdefault((_memory(tensor), None), made)

    def _flatten(self, source: str, target: str) -> str:
        """Put a layer where the net takes a flat view of a module's output."""
        name = f"{target}.flatten"
        self.layers[name] = Flatten(name, order="channels first")
        self.edges.setdefault((source, name, 0))
        return name


def _own_shape(module: Any, tensor: Any) -> Shape | Unknown:
    """Return the shape of a module's input without batch and time, where its class tells it."""
    kind = type(module).__name__
    axes = next((n for text, n in _AXES.items() if text in kind), 0)
    return tuple(tensor.shape[-axes:]) if axes else UNKNOWN


def _memory(tensor: Any) -> int:
    pointer: int = tensor.untyped_storage().data_ptr()
    return pointer


def traced(
    net: Any, modules: Mapping[str, Any], sample: Any
) -> tuple[list[_Edge] | None, dict[str, Layer]]:
    """Run a net once and return the edges between its modules.

    Parameters
    ----------
    net : torch.nn.Module
    modules : mapping of str to torch.nn.Module
        Those that are looked at.
    sample : tensor
        What ``net(sample)`` takes.

    Returns
    -------
    list of (source, target, delay), or None
        None where something between two modules is no module: a sum, a function.
    dict of str to Layer
        The input, and a Flatten for each flat view on the way.
    """
    torch = import_module("torch")
    watch = _Watch({id(module): name for name, module in modules.items()})
    watch.start(sample)
    hooks = [module.register_forward_hook(watch) for module in modules.values()]
    try:
        with torch.no_grad():
            net(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return (list(watch.edges) if watch.complete else None), watch.layers
