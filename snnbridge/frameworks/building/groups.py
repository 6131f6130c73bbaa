"""The neurons of a network, each with the layers that its framework's class holds with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from snnbridge import rules
from snnbridge.errors import CheckpointError
from snnbridge.express.graph import loops_of, own_synapses
from snnbridge.model import (
    UNKNOWN,
    Layer,
    Linear,
    Neuron,
    Parameter,
    SNNCheckpoint,
    Synapse,
    some_of,
)
from snnbridge.rewrites.parts import edges_of, only_source
from snnbridge.rules import FrameworkClass

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
                found |= stated_arguments(known, layer, lambda held, _: held.value)
        return found

    def value(self, name: str, *, of: str = "neuron", default: Any = None) -> Any:
        """Return a parameter's value as an array."""
        layer = getattr(self, of)
        held = None if layer is None else layer.parameters.get(name)
        return default if held is None or held.value is UNKNOWN else held.value

    def refuse(self, reason: str) -> CheckpointError:
        """Make the error that names the layer."""
        return CheckpointError(f"layer {self.neuron.name!r} ({self.kind}): {reason}")


def stated_arguments(
    known: FrameworkClass, layer: Any, value: Callable[[Parameter, str | None], Any]
) -> dict[str, Any]:
    """Return what a layer's parameters and switches say, by its class' own arguments.

    Parameters
    ----------
    known : FrameworkClass
    layer : Neuron or Synapse
    value : function of a Parameter and of the argument's unit
        Gives the argument.

    Raises
    ------
    CheckpointError
        Naming an argument of which no choice computes as the layer does.
    """
    found: dict[str, Any] = {}
    for key, argument in known.arguments.items():
        held = layer.parameters.get(argument.parameter)
        if held is not None and held.value is not UNKNOWN:
            found[key] = value(held, argument.unit)
        if argument.choices:
            found[key] = _chosen(known, layer, key, argument.choices)
    return found


def _chosen(known: FrameworkClass, layer: Any, key: str, choices: Mapping[Any, Any]) -> Any:
    """Return the first choice that states a rule; several may compute the same."""
    for choice, switches in choices.items():
        if all(getattr(layer.rule, name) is switch for name, switch in switches.items()):
            return choice
    raise CheckpointError(
        f"layer {layer.name!r} ({known.framework} {known.kind}): none of the choices of {key}, "
        f"{some_of(list(choices))}, computes as its rule says"
    )


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
            group.input = _input_of(group)
    alone = set(layers) - set(synapses.values())
    for name, layer in layers.items():
        if isinstance(layer, Synapse) and name in alone:
            groups[name] = Group(layer, checkpoint=checkpoint)
    return groups


def _input_of(group: Group) -> Layer | None:
    """Return the weights that alone lead into a neuron in the same step, and into nothing else."""
    back = None if group.recurrent is None else group.recurrent.name
    layer = only_source(group.checkpoint, group.entry, but=back)
    if not isinstance(layer, Linear):
        return None
    (edge,) = (c for c in edges_of(group.checkpoint) if c.source == layer.name)
    return layer if edge.delay == 0 else None
