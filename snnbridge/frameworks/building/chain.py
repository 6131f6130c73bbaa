"""A checkpoint as a live net of modules in a chain, in a framework's own classes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from snnbridge import rules
from snnbridge.errors import CheckpointError, LossyWrite
from snnbridge.express import express
from snnbridge.express.graph import WEIGHTED
from snnbridge.frameworks.building.torch_layers import BUILT, no_module, placed
from snnbridge.ledger import Ledger
from snnbridge.model import (
    UNKNOWN,
    BatchNorm,
    Connection,
    Input,
    Layer,
    Linear,
    Neuron,
    Output,
    SNNCheckpoint,
    Synapse,
)

_WITH_INPUT = ("LIFRecurrentCell",)
#: What SpikingJelly's containers call the neuron inside.
_INSIDE = ".sub_module"


@dataclass(slots=True)
class Group:
    """A neuron, and the layers that its framework's class holds with it.

    Parameters
    ----------
    neuron : Neuron or Synapse
    synapse : Synapse, optional
        It feeds the neuron alone.
    recurrent : Layer, optional
        Weights from the neuron back to itself.
    input : Linear, optional
        Weights that lead into it, where the class holds those too.
    waits : bool
        Whether the delay stands behind the recurrent weights, so that their bias waits too.
    """

    neuron: Any
    synapse: Any = None
    recurrent: Any = None
    input: Any = None
    waits: bool = False
    checkpoint: SNNCheckpoint = field(default_factory=SNNCheckpoint)

    @property
    def kind(self) -> str:
        """The framework's class."""
        return self.neuron.origin.kind if self.neuron.origin else ""

    @property
    def is_contained(self) -> bool:
        """Whether the neuron stands in a container, which holds the weights into it."""
        own = self.neuron.origin is not None and self.neuron.origin.framework == "spikingjelly"
        return own and self.neuron.name.endswith(_INSIDE) and isinstance(self.recurrent, Linear)

    def arguments(self) -> dict[str, Any]:
        """Return what parameters and switches say, by the framework's own arguments."""
        found: dict[str, Any] = {}
        for layer in (self.neuron, self.synapse):
            known = rules.of(layer) if layer is not None else None
            if known is not None:
                found |= dict(_arguments(known, layer))
        return found

    def value(self, name: str, *, of: str = "neuron", default: Any = None) -> Any:
        """Return a parameter's value as an array."""
        layer = getattr(self, of)
        held = None if layer is None else layer.parameters.get(name)
        return default if held is None or held.value is UNKNOWN else held.value

    def refuse(self, reason: str) -> CheckpointError:
        """Make the error that names the layer."""
        return CheckpointError(f"layer {self.neuron.name!r} ({self.kind}): {reason}")


def _arguments(known: Any, layer: Any) -> Iterator[tuple[str, Any]]:
    for key, argument in known.arguments.items():
        held = layer.parameters.get(argument.parameter)
        if held is not None and held.value is not UNKNOWN:
            yield key, held.value
        for value, switches in argument.choices.items():
            if all(getattr(layer.rule, name) is switch for name, switch in switches.items()):
                yield key, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """How the modules of one framework are made.

    Parameters
    ----------
    name : str
    neuron : function of a Group, returning a module
    sequential : function of an ordered dictionary of modules, returning a module
    plain : mapping of type of Layer to function of a layer
        Modules that the framework has of its own; that of a BatchNorm is also given how many axes
        stand behind the channels.
    standard : mapping of type of Layer to function of a layer
        The modules of what it is built on: PyTorch's.
    """

    name: str
    neuron: Callable[[Group], Any]
    sequential: Callable[[Any], Any] | None = None
    plain: Mapping[type[Layer], Callable[..., Any]] = field(default_factory=dict)
    standard: Mapping[type[Layer], Callable[..., Any]] = field(default_factory=lambda: BUILT)

    def build(self, checkpoint: SNNCheckpoint, *, allow_loss: bool = False) -> Any:
        """Return a live net of the framework's classes with the checkpoint's values.

        Parameters
        ----------
        checkpoint : SNNCheckpoint
            A chain of layers, recurrent weights within a neuron's class beside it. Neurons of
            another framework become those of this one, by :func:`snnbridge.express.express`.
        allow_loss : bool
            Build also what does not quite do the same: spikes at most once in a step, or gives its
            outputs some steps earlier or, in Spyx, later.

        Returns
        -------
        torch.nn.Module, or spyx.nn.Sequential
            The framework's ``Sequential``, its modules under the layers' names.

        Raises
        ------
        CheckpointError
            Naming the layer for which the framework has no module.
        WriteError
            Naming the neuron that none of its classes computes, and why.
        LossyWrite
            If the net would not quite do the same and `allow_loss` is not given.
        UnknownValue
            If the rule of such a neuron is not known.
        """
        checkpoint = expressed_for(checkpoint, self.name, allow_loss=allow_loss)
        groups = _groups(checkpoint)
        chain = _chain(checkpoint, groups)
        modules = OrderedDict(
            (_module_name(layer, groups), self._module(layer, groups, axes))
            for layer, axes in placed(chain, checkpoint.frozen_layers)
        )
        make = self.sequential or import_module("torch").nn.Sequential
        return make(modules)

    def _module(self, layer: Layer, groups: Mapping[str, Group], axes: int) -> Any:
        if layer.name in groups:
            return self.neuron(groups[layer.name])
        make = self.plain.get(type(layer)) or self.standard.get(type(layer))
        if make is None:
            raise no_module(layer)
        return make(layer, axes) if isinstance(layer, BatchNorm) else make(layer)


def _module_name(layer: Layer, groups: Mapping[str, Group]) -> str:
    """Return the name of a module in a Sequential; that of a neuron in a container is its own."""
    group = groups.get(layer.name)
    inside = group is not None and group.is_contained
    return (layer.name.removesuffix(_INSIDE) if inside else layer.name).replace(".", "_")


def expressed_for(checkpoint: SNNCheckpoint, framework: str, *, allow_loss: bool) -> SNNCheckpoint:
    """Return a network in the classes of a framework.

    Raises
    ------
    LossyWrite
        If it does not quite do the same and `allow_loss` is not given.
    """
    planned, entries = express(checkpoint, framework)
    ledger = Ledger(tuple(entries))
    if ledger.losses and not allow_loss:
        reasons = "; ".join(f"{entry.what}: {entry.reason}" for entry in ledger.losses[:4])
        raise LossyWrite(
            f"the net would not quite do the same: {reasons}; allow it with allow_loss=True", ledger
        )
    return planned


def _groups(checkpoint: SNNCheckpoint) -> dict[str, Group]:
    """Return the neurons, each with what its class holds, by its name."""
    if checkpoint.connections is UNKNOWN:
        raise CheckpointError("the connections are unknown; state them in a spec")
    groups = {
        name: Group(layer, checkpoint=checkpoint)
        for name, layer in checkpoint.layers.items()
        if isinstance(layer, Neuron)
    }
    for edge in checkpoint.connections:
        source = checkpoint.layers[edge.source]
        if isinstance(source, Synapse) and edge.target in groups:
            groups[edge.target].synapse = source
    for name, group in groups.items():
        _find_recurrent(checkpoint, name, group)
        if group.kind in _WITH_INPUT or group.is_contained:
            _find_input(checkpoint, name, group)
    held = {g.synapse.name for g in groups.values() if g.synapse is not None}
    for name, layer in checkpoint.layers.items():
        if isinstance(layer, Synapse) and name not in held:
            groups[name] = Group(layer, checkpoint=checkpoint)
    return groups


def _find_recurrent(checkpoint: SNNCheckpoint, name: str, group: Group) -> None:
    """Find the weights that lead from a neuron straight back to it."""
    entry = {name, group.synapse.name if group.synapse is not None else name}
    back = {edge.source: edge for edge in _edges(checkpoint) if edge.target in entry}
    for edge in _edges(checkpoint):
        if edge.source == name and edge.target in back:
            layer = checkpoint.layers[edge.target]
            if not isinstance(layer, WEIGHTED):
                raise group.refuse(f"feeds itself through {edge.target!r}, a {layer.kind}")
            group.recurrent, group.waits = layer, back[edge.target].delay == 1


def _find_input(checkpoint: SNNCheckpoint, name: str, group: Group) -> None:
    """Find the weights that lead into a neuron and are none of the recurrent ones."""
    entry = name if group.synapse is None else group.synapse.name
    for edge in _edges(checkpoint):
        source = checkpoint.layers[edge.source]
        if edge.target == entry and isinstance(source, Linear) and source is not group.recurrent:
            group.input = source


def _edges(checkpoint: SNNCheckpoint) -> tuple[Connection, ...]:
    assert checkpoint.connections is not UNKNOWN
    return checkpoint.connections


def _chain(checkpoint: SNNCheckpoint, groups: Mapping[str, Group]) -> Iterator[Layer]:
    """Give the layers that become modules, in the order in which they feed each other."""
    inside = {
        layer.name: name
        for name, group in groups.items()
        for layer in (group.synapse, group.input)
        if layer is not None
    }
    recurrent = {g.recurrent.name for g in groups.values() if g.recurrent is not None}
    follows: dict[str, str] = {}
    for edge in _edges(checkpoint):
        source, target = (inside.get(x, x) for x in (edge.source, edge.target))
        if source == target or recurrent & {source, target}:
            continue
        if follows.setdefault(source, target) != target or edge.delay:
            raise CheckpointError(f"layer {source!r} feeds more than one layer, or a later step")
    ends = [x for x in follows if x not in follows.values()] or list(groups)[:1]
    if len(ends) != 1 or len(set(follows.values())) != len(follows):
        raise CheckpointError("the layers are no chain, which a Sequential needs")
    name: str | None = ends[0]
    while name is not None:
        layer = checkpoint.layers[name]
        if not isinstance(layer, Input | Output):
            yield layer
        name = follows.get(name)
