"""The words of a layer's table: a framework's arguments, and the model's own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from snnbridge.errors import SpecError
from snnbridge.model import (
    NEURON_PARAMETERS,
    SYNAPSE_PARAMETERS,
    Layer,
    Neuron,
    Opaque,
    Parameter,
    Synapse,
)
from snnbridge.model.rules import switches
from snnbridge.rules import FrameworkClass
from snnbridge.spec.values import (
    argument_value,
    parameter_value,
    setting_value,
    short,
    table,
    time_step,
)

_ARRAYS = ("weight", "bias", "factor", "delay", "mean", "variance", "epsilon")


@dataclass
class Words:
    """What a spec states of a layer, by what it is.

    Attributes
    ----------
    arguments
        Of the framework's class, by its own names.
    settings, parameters, switches
        By the model's names.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    switches: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((self.arguments, self.settings, self.parameters, self.switches))

    def put_into(self, layer: Layer, found: FrameworkClass | None) -> Layer:
        """Return a layer with all of them, whatever it held before."""
        changes = dict(self.settings)
        if self.parameters:
            changes["parameters"] = {**layer.parameters, **self.parameters}
        if self.switches:
            changes["rule"] = replace(layer.rule, **self.switches)  # type: ignore[attr-defined]
        made = replace(layer, **changes)
        return made if found is None else found.state(made, self.arguments)


def by_model_name(found: FrameworkClass | None) -> dict[str, str]:
    """Return a class's arguments by the parameters, settings and switches that they state."""
    names: dict[str, str] = {}
    for key, argument in (found.arguments if found else {}).items():
        name = argument.parameter or argument.setting
        stated = [name] if name else [s for choice in argument.choices.values() for s in choice]
        names |= dict.fromkeys(stated, key)
    return names


def sorted_out(
    layer: Layer, found: FrameworkClass | None, stated: Mapping[str, Any], where: str
) -> Words:
    """Tell what each word of a table is, and read its value.

    Raises
    ------
    SpecError
        For a word that neither the class nor the model knows there, or a value that it does not
        take.
    """
    words = Words()
    arguments = found.arguments if found else {}
    also = {name: key for name, key in by_model_name(found).items() if not arguments[key].choices}
    settings = {f.name for f in fields(layer)} - {"name", "origin", "parameters", "rule"}
    for word, held in stated.items():
        here = f"{where}: {word}"
        key = word if word in arguments else also.get(word, word)
        if key in words.arguments:
            raise SpecError(f"{here} and {key} are the same; state one of them")
        if key in arguments:
            words.arguments[key] = argument_value(arguments[key], held, here)
        elif word == "rule" and found is None:
            words.switches = _switches(layer, held, where)
        elif word in settings:
            words.settings[word] = _setting(word, held, here)
        elif found is None and _has_parameter(layer, word):
            words.parameters[word] = parameter_value(word, held, here)
        else:
            raise SpecError(_unknown_word(layer, found, word, where, settings))
    return words


def _setting(word: str, held: Any, here: str) -> Any:
    if word == "dt":
        return time_step(held)
    return parameter_value(word, held, here) if word in _ARRAYS else setting_value(held, here)


def vocabulary(layer: Layer) -> Mapping[str, str]:
    """Return the parameters that the model knows of a layer, and what each means."""
    if isinstance(layer, Neuron) and layer.model == "lif":
        return NEURON_PARAMETERS
    return SYNAPSE_PARAMETERS if isinstance(layer, Synapse) else {}


def _has_parameter(layer: Layer, word: str) -> bool:
    if isinstance(layer, Opaque) or (isinstance(layer, Neuron) and layer.model != "lif"):
        return True
    return word in vocabulary(layer)


def _unknown_word(
    layer: Layer, found: FrameworkClass | None, word: str, where: str, settings: set[str]
) -> str:
    if found is not None:
        expected = ", ".join([*found.arguments, *sorted(settings)])
        kind = f"{found.framework} {found.release}"
        return f"{where}: {kind} has no argument {word!r}; expected some of {expected}"
    expected = ", ".join([*sorted(settings), *vocabulary(layer)])
    return f"{where} ({layer.kind}) has no {word!r}; expected some of {expected}"


def _switches(layer: Layer, stated: Any, where: str) -> dict[str, Any]:
    if not isinstance(layer, Neuron | Synapse):
        raise SpecError(f"{where} ({layer.kind}) has no rule")
    choices = switches(type(layer.rule))
    found: dict[str, Any] = {}
    for key, value in table(stated, f"{where}: rule").items():
        if key not in choices:
            raise SpecError(f"{where}: no switch {key!r}; one of {', '.join(choices)}")
        enumeration = choices[key]
        here = f"{where}: rule.{key}"
        if enumeration is None:
            found[key] = _number_or_flag(key, value, here)
        elif value not in [choice.value for choice in enumeration]:
            expected = ", ".join(repr(choice.value) for choice in enumeration)
            raise SpecError(f"{here} must be one of {expected}, not {short(value)}")
        else:
            found[key] = enumeration(value)
    return found


def _number_or_flag(key: str, value: Any, here: str) -> Any:
    if key == "spiking":
        if not isinstance(value, bool):
            raise SpecError(f"{here} must be true or false, not {short(value)}")
        return value
    if key == "max_spikes" and value in ("none", None):
        return None
    least = 1 if key == "max_spikes" else 0
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 31:
        raise SpecError(f"{here} must be a whole number of at least {least}, not {short(value)}")
    return value
