"""What the helpers of all frameworks on PyTorch share: a live net as a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from typing import Any

from snnbridge import bridge, rules
from snnbridge.frameworks._pieces import Piece, as_array, plain
from snnbridge.frameworks._standard import READ
from snnbridge.frameworks._tracing import traced
from snnbridge.ledger import Ledger
from snnbridge.model import (
    PER_STEP,
    UNKNOWN,
    Array,
    Connection,
    Layer,
    Neuron,
    Opaque,
    Origin,
    Quantity,
    SNNCheckpoint,
    Synapse,
    TimeStep,
)
from snnbridge.spec.network import infer_shapes

Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """How the modules of one framework are read.

    Parameters
    ----------
    name : str
        The package, and the name in :mod:`snnbridge.rules`.
    neurons : mapping of str to function of a module
        By class; gives the arguments of the rule's class, as the module has them now.
    finish : function of (name, module, piece), optional
        Adds the recurrent weights that a class holds itself.
    special : mapping of str to function of (name, module), returning Piece
        Other classes.
    time_step : function of a module, optional
        The time step that a neuron has; without it time is counted in steps.
    """

    name: str
    neurons: Mapping[str, Callable[[Any], Arguments]]
    finish: Callable[[str, Any, Piece], None] | None = None
    special: Mapping[str, Callable[[str, Any], Piece]] = field(default_factory=dict)
    time_step: Callable[[Any], float] | None = None

    def checkpoint_of(
        self, net: Any, *, sample: Any = None, connections: Iterable[Any] | None = None
    ) -> SNNCheckpoint:
        """Return a live net as a checkpoint.

        Parameters
        ----------
        net : torch.nn.Module
        sample : tensor, optional
            An input of the net; with it the net is run once to see which module feeds which.
        connections : iterable of (source, target) or (source, target, delay), optional
            Between modules. They are known without being given where the whole net is a chain.

        Raises
        ------
        TypeError
            If `net` is no module of PyTorch.
        CheckpointError
            If a module does what no rule says, or a connection names none.
        """
        if not isinstance(net, import_module("torch").nn.Module):
            raise TypeError(f"expected a torch.nn.Module, found {type(net).__name__!r}")
        modules = dict(_found(self, net, "net"))
        return _assembled(
            net, modules, _between(net, modules, sample, connections), self._dt(modules)
        )

    def export(
        self,
        net: Any,
        path: str | os.PathLike[str],
        *,
        sample: Any = None,
        connections: Iterable[Any] | None = None,
    ) -> Ledger:
        """Save a live net so that every other format can take it; see :meth:`checkpoint_of`.

        The file is a state dict that ``torch.load`` reads as any other; what it leaves out stands
        beside it in the archive.

        Raises
        ------
        WriteError
            If the file cannot be written; the old one is still there.
        """
        checkpoint = self.checkpoint_of(net, sample=sample, connections=connections)
        return bridge.write(checkpoint, os.fspath(path), format="torch")

    def _dt(self, modules: Mapping[str, tuple[Any, Piece]]) -> TimeStep:
        if self.time_step is None:
            return PER_STEP
        found = {
            float(self.time_step(module))
            for module, piece in modules.values()
            if any(isinstance(layer, Neuron | Synapse) for layer in piece.layers)
        }
        return Quantity(found.pop(), "s") if len(found) == 1 else UNKNOWN

    def piece(self, name: str, module: Any) -> Piece | None:
        """Return what a module stands for; None for a container."""
        kind = type(module).__name__
        if kind in self.special:
            return self.special[kind](name, module)
        if kind in self.neurons:
            return self._neuron(name, kind, module)
        if kind in READ:
            return READ[kind](name, module)
        if next(module.children(), None) is not None:
            return None
        held = {key: as_array(value) for key, value in module.state_dict().items()}
        return Piece.of(Opaque(name, dict[str, Any](held), origin=Origin(self.name, kind)))

    def _neuron(self, name: str, kind: str, module: Any) -> Piece:
        known = rules.get(self.name, kind)
        arguments = {k: plain(v) for k, v in self.neurons[kind](module).items()}
        piece = Piece.of(*known.chain(name, version(self.name), **arguments))
        if self.finish is not None:
            self.finish(name, module, piece)
        return piece


def _assembled(
    net: Any,
    modules: Mapping[str, tuple[Any, Piece]],
    between: tuple[list[tuple[str, str, int]] | None, dict[str, Layer]],
    dt: TimeStep,
) -> SNNCheckpoint:
    edges, views = between
    pieces = {name: piece for name, (_, piece) in modules.items()}
    layers = {x.name: x for p in pieces.values() for x in p.layers} | views
    inner = [edge for piece in pieces.values() for edge in piece.edges]
    known: Any = UNKNOWN if edges is None else (*inner, *_edges(edges, pieces))
    if known is not UNKNOWN:
        layers = infer_shapes(layers, known)
    checkpoint = SNNCheckpoint(layers, connections=known, dt=dt)
    checkpoint.extras = {"torch": _keys(net, checkpoint)}
    return checkpoint


def _found(
    framework: Framework, module: Any, name: str, prefix: str = ""
) -> Iterator[tuple[str, tuple[Any, Piece]]]:
    """Give the modules that stand for layers, and their pieces."""
    piece = framework.piece(name, module)
    if piece is not None:
        yield name, (module, piece)
        return
    for own, child in module.named_children():
        below = f"{prefix}{own}"
        yield from _found(framework, child, below, f"{below}.")


def _between(
    net: Any, modules: Mapping[str, tuple[Any, Piece]], sample: Any, given: Iterable[Any] | None
) -> tuple[list[tuple[str, str, int]] | None, dict[str, Layer]]:
    """Return the edges between modules, and the layers that stand for views on the way."""
    if given is not None:
        return [(edge[0], edge[1], edge[2] if len(edge) > 2 else 0) for edge in given], {}
    if sample is not None:
        return traced(net, {name: module for name, (module, _) in modules.items()}, sample)
    chain = _chain(net, {id(module): name for name, (module, _) in modules.items()})
    return (None if chain is None else [(a, b, 0) for a, b in pairwise(chain)]), {}


def _chain(module: Any, names: Mapping[int, str]) -> list[str] | None:
    """Return the modules that a Sequential runs through, or None where it is none."""
    if id(module) in names:
        return [names[id(module)]]
    torch = import_module("torch")
    if not isinstance(module, torch.nn.Sequential) and type(module).__name__ != "TorchSequential":
        return None
    found: list[str] = []
    for child in module.children():
        inner = _chain(child, names)
        if inner is None:
            return None
        found += inner
    return found


def _edges(
    edges: Iterable[tuple[str, str, int]], pieces: Mapping[str, Piece]
) -> Iterator[Connection]:
    """Turn edges between modules into edges between layers; modules without layers vanish."""
    passed = {name for name, piece in pieces.items() if not piece.layers}
    sources = {target: source for source, target, _ in edges if target in passed}
    for source, target, delay in edges:
        while source in passed:
            source = sources.get(source, "")
        if source and target not in passed:
            start = pieces[source].exit if source in pieces else source
            stop = pieces[target].entry if target in pieces else target
            yield Connection(start, stop, delay)


def _keys(net: Any, checkpoint: SNNCheckpoint) -> dict[str, Any]:
    """Say where each entry of the state dict is: in the parameter that is the same memory."""
    paths = {
        _place(held.value): ["layers", layer.name, name]
        for layer in checkpoint.layers.values()
        for name, held in layer.parameters.items()
        if held.value is not UNKNOWN and held.value.size
    }
    keys: list[list[Any]] = []
    others: dict[str, Array] = {}
    for key, tensor in net.state_dict().items():
        array = as_array(tensor)
        path, how = next(_found_in(paths, array), ([], {}))
        if not path:
            others[key] = array.copy()
        keys.append([key, path, how])
    return {"keys": keys, "others": others}


def _found_in(
    paths: Mapping[Any, list[str]], array: Array
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Find the parameter that is a tensor's memory: as it is, turned, or without its last axis."""
    if array.size and _place(array) in paths:
        yield paths[_place(array)], {}
    if array.ndim == 2 and _place(array.T) in paths:
        yield paths[_place(array.T)], {"axes": [1, 0]}
    if array.ndim and array.shape[-1] == 1 and _place(array[..., 0]) in paths:
        yield paths[_place(array[..., 0])], {"tail": True}


def _place(array: Array) -> tuple[Any, ...]:
    return array.__array_interface__["data"][0], array.shape, array.strides
