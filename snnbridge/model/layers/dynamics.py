"""Neurons and synapses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from snnbridge.model.checks import name_problem, whole
from snnbridge.model.layers.base import Layer
from snnbridge.model.rules import NEURON_PARAMETERS, SYNAPSE_PARAMETERS, NeuronRule, SynapseRule
from snnbridge.model.values import UNKNOWN, Parameter, Shape, Unknown, describe

_UNSTATED, _UNSTATED_SYNAPSE = NeuronRule(), SynapseRule()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Dynamic(Layer):
    """A layer with a state: its shape, its rule and named parameters."""

    known: ClassVar[Mapping[str, str]]

    shape: Shape | Unknown = UNKNOWN
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Layer.__post_init__(self)
        self._set("shape", self._shape("shape"))
        self._wrap_all()
        self._check_parameters()

    def _check_parameters(self) -> None:
        for name, held in self.parameters.items():
            if self.known and name not in self.known:
                self._refuse(f"no parameter {name!r}; expected some of {', '.join(self.known)}")
            if held.value is UNKNOWN or self.shape is UNKNOWN:
                continue
            if not broadcasts(held.value.shape, self.shape):
                self._refuse(
                    f"{name} of shape {held.value.shape} does not broadcast to the layer's shape "
                    f"{self.shape}"
                )

    def _unknown(self, rule: NeuronRule | SynapseRule) -> tuple[str, ...]:
        return (*Layer.unknown(self), *(f"rule.{name}" for name in rule.unknown()))


def broadcasts(shape: Shape, to: Shape) -> bool:
    """Whether an array of one shape broadcasts to another; axes of length 1 may lead."""
    if len(shape) > len(to):
        return all(n == 1 for n in shape[: len(shape) - len(to)]) and broadcasts(
            shape[len(shape) - len(to) :], to
        )
    return all(n in (1, m) for n, m in zip(reversed(shape), reversed(to), strict=False))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Neuron(_Dynamic):
    """Neurons with a membrane potential, threshold and reset, or a leaky readout.

    Parameters
    ----------
    shape : tuple of int or UNKNOWN
    parameters : mapping of str to Parameter, array or number
        As the source states them; the names are those of
        ``snnbridge.model.NEURON_PARAMETERS``, each of any shape that broadcasts to `shape`.
    rule : NeuronRule
        The discrete rule.
    model : str
        ``"lif"`` for the family of :class:`NeuronRule`; any other name is a kind that a plugin
        defines, whose parameters are named by the plugin.

    Raises
    ------
    CheckpointError
        For a parameter that the family does not know, or whose shape does not broadcast.

    Examples
    --------
    >>> Neuron("lif1", (10,), {"tau": Parameter(10.0, "ms"), "threshold": 1.0})
    Neuron('lif1', shape=(10,), tau=10.0 ms, threshold=1.0)
    """

    known: ClassVar[Mapping[str, str]] = NEURON_PARAMETERS

    rule: NeuronRule = _UNSTATED
    model: str = "lif"

    def __post_init__(self) -> None:
        if problem := name_problem(self.model):
            self._refuse(f"model {problem}")
        if not isinstance(self.rule, NeuronRule):
            self._refuse(f"rule must be a NeuronRule, not {self.rule!r}")
        _Dynamic.__post_init__(self)

    def _check_parameters(self) -> None:
        if self.model == "lif":
            _Dynamic._check_parameters(self)

    def unknown(self) -> tuple[str, ...]:
        """Return what the source does not state of this layer, as dotted names."""
        return self._unknown(self.rule) if self.model == "lif" else Layer.unknown(self)

    def __repr__(self) -> str:
        return _dynamic_repr(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Synapse(_Dynamic):
    """Linear filters between what arrives and the membrane.

    Parameters
    ----------
    shape : tuple of int or UNKNOWN
        Of the output; a parameter with one more axis than the shape states several synapses
        per neuron along its last axis, and so does the input.
    parameters : mapping of str to Parameter, array or number
        The names are those of ``snnbridge.model.SYNAPSE_PARAMETERS``.
    rule : SynapseRule
    receptors : int
        Synapses per neuron.

    Raises
    ------
    CheckpointError
        For a parameter that a synapse does not have, or whose shape does not broadcast.

    Examples
    --------
    >>> Synapse("syn", (10,), {"tau": Parameter(5.0, "ms")})
    Synapse('syn', shape=(10,), tau=5.0 ms)
    """

    known: ClassVar[Mapping[str, str]] = SYNAPSE_PARAMETERS

    rule: SynapseRule = _UNSTATED_SYNAPSE
    receptors: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.rule, SynapseRule):
            self._refuse(f"rule must be a SynapseRule, not {self.rule!r}")
        receptors = whole(self.receptors)
        if receptors is None or receptors < 1:
            self._refuse(f"receptors must be a number of at least 1, found {self.receptors!r}")
        self._set("receptors", receptors)
        _Dynamic.__post_init__(self)

    def _check_parameters(self) -> None:
        if self.receptors == 1:
            _Dynamic._check_parameters(self)

    def unknown(self) -> tuple[str, ...]:
        """Return what the source does not state of this layer, as dotted names."""
        return self._unknown(self.rule)

    def __repr__(self) -> str:
        return _dynamic_repr(self)


def _dynamic_repr(layer: Neuron | Synapse) -> str:
    shown = [f"shape={describe(layer.shape)}"]
    for name, held in layer.parameters.items():
        shown.append(f"{name}={describe(held.value)}{f' {held.unit}' if held.unit else ''}")
    if layer.rule.unknown() != type(layer.rule)().unknown():
        shown.append(f"rule={layer.rule!r}")
    return f"{layer.kind}({', '.join([repr(layer.name), *shown])})"
