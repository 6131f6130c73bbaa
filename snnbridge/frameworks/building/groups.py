"""The neurons of a network, each with the layers that its framework's class holds with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from snnbridge import rules
from snnbridge.errors import CheckpointError
from snnbridge.express.graph import loops_of, own_synapses
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Layer,
    Linear,
    Neuron,
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
        return self._is_inside and isinstance(self.recurrent, Linear)

    @property
    def _is_inside(self) -> bool:
        own = self.neuron.origin is not None and self.neuron.origin.framework == "spikingjelly"
        return own and self.recurrent is not None and self.neuron.name.endswith(_INSIDE)

    @property
    def name(self) -> str:
        """The module's name; that of a neuron in a container is the container's."""
        name: str = self.neuron.name
        return name.removesuffix(_INSIDE) if self._is_inside else name

    @property
    def held(self) -> list[Layer]:
        """The layers beside the neuron."""
        return [x for x in (self.synapse, self.recurrent, self.input) if x is not None]

    @property
    def entry(self) -> str:
        """The layer that takes what enters the neuron."""
        name: str = self.neuron.name if self.synapse is None else self.synapse.name
        return name

    @property
    def inner(self) -> set[tuple[str, str]]:
        """The connections that the class holds, as (source, target)."""
        found = {(self.entry, self.neuron.name)} if self.synapse is not None else set()
        if self.recurrent is not None:
            back = self.recurrent.name
            found |= {(self.neuron.name, back), (back, self.entry)}
        return found if self.input is None else found | {(self.input.name, self.entry)}

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


def groups_of(checkpoint: SNNCheckpoint) -> dict[str, Group]:
    """Return the neurons, each with what its class holds, by its name; synapses alone too.

    Raises
    ------
    CheckpointError
        If the connections are unknown.
    """
    edges = edges_of(checkpoint)
    layers, synapses = checkpoint.layers, own_synapses(checkpoint.layers, edges)
    groups = {
        name: Group(layer, layers.get(synapses.get(name, "")), checkpoint=checkpoint)
        for name, layer in layers.items()
        if isinstance(layer, Neuron)
    }
    for name, loop in loops_of(layers, edges, synapses).items():
        around = [c for c in edges if loop.layer.name in (c.source, c.target)]
        if len(around) == 2:  # weights that lead elsewhere too stand beside the neuron
            groups[name].recurrent, groups[name].waits = loop.layer, loop.waits
    for group in groups.values():
        if group.kind in _WITH_INPUT or group.is_contained:
            group.input = _input_of(group, edges)
    alone = set(layers) - set(synapses.values())
    for name, layer in layers.items():
        if isinstance(layer, Synapse) and name in alone:
            groups[name] = Group(layer, checkpoint=checkpoint)
    return groups


def _input_of(group: Group, edges: tuple[Connection, ...]) -> Layer | None:
    """Return the weights that lead into a neuron, if nothing else does, and into nothing else."""
    into = [c for c in edges if c.target == group.entry and (c.source, c.target) not in group.inner]
    layer = group.checkpoint.layers[into[0].source] if len(into) == 1 else None
    if not isinstance(layer, Linear) or into[0].delay != 0:
        return None
    return layer if [c.source for c in edges].count(layer.name) == 1 else None


def edges_of(checkpoint: SNNCheckpoint) -> tuple[Connection, ...]:
    """Return the connections; CheckpointError if they are unknown."""
    if checkpoint.connections is UNKNOWN:
        raise CheckpointError("the connections are unknown; state them in a spec")
    return checkpoint.connections
