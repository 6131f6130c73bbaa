"""How a framework's own arguments become the parameters and the rule of a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, TypeAlias

from snnbridge.errors import SpecError
from snnbridge.model import (
    UNKNOWN,
    Layer,
    NeuronRule,
    Origin,
    Parameter,
    StateVariable,
    SynapseRule,
    parameter,
)
from snnbridge.rules.arguments import REQUIRED, Argument

#: Parameters and switches that several arguments state together.
Derived: TypeAlias = tuple[Mapping[str, Any], Mapping[str, Any]]


class Evidence(NamedTuple):
    """What a layer's state in a file tells of an argument that no file holds."""

    argument: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkClass:
    """A framework's layer class: its arguments, its equation, and where it stands.

    Parameters
    ----------
    framework, kind : str
        ``"brainpy"``, ``"Lif"``.
    layer : type of Layer
        The model's kind.
    arguments : mapping of str to Argument
        By the framework's own names.
    rule : NeuronRule or SynapseRule, optional
        The switches that no argument changes.
    equation : str
        One step, in the framework's names.
    source : str
        The module that defines it, and the versions for which it was measured.
    derive : function, optional
        From the joint arguments that are given to the parameters and switches that they state.
    synapse : FrameworkClass, optional
        The synapse that the framework's class holds before its neuron: a layer of its own here.
    synapse_if : str, optional
        The argument that must not be None for the synapse to be there.
    since, until : str
        The first release that this is of, and the first later one that it is not of; empty where
        there is none.
    evidence : function, optional
        From the states of a layer, by variable, to what they tell of an argument.
    turned : set of str
        The arrays that the framework keeps with their axes in the other order.
    """

    framework: str
    kind: str
    layer: type[Layer]
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    rule: NeuronRule | SynapseRule | None = None
    equation: str = ""
    source: str = ""
    derive: Callable[[Mapping[str, Any]], Derived] | None = None
    synapse: FrameworkClass | None = None
    synapse_if: str | None = None
    since: str = ""
    until: str = ""
    evidence: Callable[[Mapping[str, StateVariable]], Evidence | None] | None = None
    turned: frozenset[str] = frozenset()

    def __call__(self, name: str, version: Any = UNKNOWN, /, **arguments: Any) -> Layer:
        """Make a layer; the same as :meth:`build`.

        Examples
        --------
        >>> from snnbridge import rules
        >>> rules.snntorch.Leaky("lif", shape=(2,), beta=0.9).parameters["decay"]
        Parameter(0.9)
        """
        return self.build(name, version, **arguments)

    def build(self, name: str, version: Any = UNKNOWN, /, **arguments: Any) -> Layer:
        """Make a layer as the framework's constructor would, its defaults included.

        Parameters
        ----------
        name : str
            The layer's name.
        version : str or UNKNOWN
            The framework's version.
        **arguments
            By the framework's names; ``shape`` is the layer's shape.

        Raises
        ------
        SpecError
            For an argument that the class does not have, or one that it demands.

        Examples
        --------
        >>> from snnbridge import rules
        >>> rules.get("brainpy", "Lif").build("lif1", shape=(10,), tau=5.0).parameters["tau"]
        Parameter(5.0 ms)
        """
        layer = self.layer(name, origin=Origin(self.framework, self.kind, version))
        absent = [
            key
            for key, argument in self.arguments.items()
            if argument.default is REQUIRED and key not in arguments
        ]
        if absent:
            raise SpecError(f"{self.framework} {self.kind} needs {absent[0]!r}")
        return self.state(layer, {**self.defaults(), **arguments})

    def chain(
        self, name: str, version: Any = UNKNOWN, /, *, receptors: int = 1, **arguments: Any
    ) -> tuple[Layer, ...]:
        """Make the layers that the framework's class stands for: its synapse, if any, and it.

        The synapse is named ``<name>.synapse`` and feeds the neuron; an argument goes to the one
        that has it, ``shape`` to both.

        Raises
        ------
        SpecError
            As :meth:`build`.

        Examples
        --------
        >>> from snnbridge import rules
        >>> synaptic = rules.get("snntorch", "Synaptic")
        >>> [x.name for x in synaptic.chain("lif", shape=(2,), alpha=0.5, beta=0.9)]
        ['lif.synapse', 'lif']
        """
        if self.synapse is None:
            return (self.build(name, version, **arguments),)
        inner = {k: v for k, v in arguments.items() if k in self.synapse.arguments}
        shared = {"shape": arguments["shape"]} if "shape" in arguments else {}
        outer = {
            k: v
            for k, v in arguments.items()
            if k not in inner or k in self.arguments or k in shared
        }
        neuron = self.build(name, version, **outer)
        if self.synapse_if is not None and inner.get(self.synapse_if) is None:
            return (neuron,)
        synapse = self.synapse.build(
            f"{name}.synapse", version, receptors=receptors, **inner, **shared
        )
        return synapse, neuron

    @property
    def release(self) -> str:
        """The class and the releases that have it so: ``"Lif before 2.4.3"``."""
        since = f" from {self.since}" if self.since else ""
        return f"{self.kind}{since}{f' before {self.until}' if self.until else ''}"

    def defaults(self) -> dict[str, Any]:
        """Return the framework's own defaults, by argument."""
        return {k: a.default for k, a in self.arguments.items() if a.default is not REQUIRED}

    def state(self, layer: Layer, arguments: Mapping[str, Any]) -> Layer:
        """Return the layer with what the arguments state; everything else stays as it is.

        Raises
        ------
        SpecError
            For an argument that the class does not have, or a value that it does not take.
        """
        changes: dict[str, Any] = {}
        parameters = dict(layer.parameters)
        switches: dict[str, Any] = {}
        for key, value in arguments.items():
            argument = self._argument(layer, key)
            if argument.choices:
                switches.update(self._choice(layer, key, argument, value))
            elif argument.joint:
                continue
            elif value is not None:
                self._note(argument, key, value, parameters, changes)
            elif argument.parameter is not None:  # the framework has no such parameter then
                parameters.pop(argument.parameter, None)
        if self.derive is not None:
            stated, switched = self._derived(layer, arguments)
            parameters.update({k: parameter(v) for k, v in stated.items()})
            switches.update(switched)
        if hasattr(layer, "rule"):
            changes["parameters"] = parameters
            changes["rule"] = self._rule(layer, switches)
        return replace(layer, **changes)

    def _derived(self, layer: Layer, arguments: Mapping[str, Any]) -> Derived:
        assert self.derive is not None
        try:
            return self.derive(arguments)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            joint = ", ".join(k for k, a in self.arguments.items() if a.joint)
            raise SpecError(
                f"layer {layer.name!r}: {self.framework} {self.kind} does not take these values of "
                f"{joint}: {error}"
            ) from None

    def _argument(self, layer: Layer, key: str) -> Argument:
        if key in self.arguments:
            return self.arguments[key]
        if key in {f.name for f in fields(layer)} - {"parameters", "rule", "origin", "name"}:
            return Argument(setting=key)
        raise SpecError(
            f"layer {layer.name!r}: {self.framework} {self.release} has no argument {key!r}; "
            f"expected some of {', '.join(self.arguments) or 'none'}"
        )

    def _choice(self, layer: Layer, key: str, argument: Argument, value: Any) -> Mapping[str, Any]:
        try:
            return argument.choices[value]
        except (KeyError, TypeError):
            expected = ", ".join(repr(x) for x in argument.choices)
            raise SpecError(
                f"layer {layer.name!r}: {key} must be one of {expected} in {self.framework} "
                f"{self.release}, not {value!r}"
            ) from None

    def _note(
        self,
        argument: Argument,
        key: str,
        value: Any,
        parameters: dict[str, Parameter],
        changes: dict[str, Any],
    ) -> None:
        converted = argument.convert(value) if argument.convert else value
        if argument.parameter is not None:
            held = parameter(converted)
            parameters[argument.parameter] = replace(held, unit=held.unit or argument.unit)
        else:
            changes[argument.setting or key] = converted

    def _rule(self, layer: Layer, switches: Mapping[str, Any]) -> NeuronRule | SynapseRule:
        held: NeuronRule | SynapseRule = layer.rule  # type: ignore[attr-defined]
        base = self.rule or held
        stated = {
            f.name: value
            for rule in (base, held)
            for f in fields(rule)
            if (value := getattr(rule, f.name)) is not UNKNOWN
        }
        return type(held)(**{**stated, **switches})
