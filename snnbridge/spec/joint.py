"""Arguments that state something together: what of them a layer holds already.

A class's `derive` is the only one to know what such an argument states. So it is asked, with the
argument and without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnbridge import rules
from snnbridge.model import UNKNOWN, Layer
from snnbridge.rules import FrameworkClass
from snnbridge.spec.settling import same

#: A value for an argument that has no default.
_SAMPLE = 0.5
_RULE = "rule"


def held_words(layer: Layer, found: FrameworkClass) -> dict[str, Any]:
    """Return the joint arguments that are words, as far as the layer holds what they state.

    Parameters
    ----------
    layer : Layer
    found : FrameworkClass
        Its class.

    Examples
    --------
    >>> from snnbridge import rules
    >>> from snnbridge.model import Reset
    >>> from dataclasses import replace
    >>> leaky = rules.snntorch.Leaky
    >>> bare = leaky.layer("lif", origin=leaky("lif", beta=0.5).origin)
    >>> held_words(leaky.state(bare, {"reset_mechanism": "zero"}), leaky)
    {'reset_mechanism': 'zero'}
    """
    words = {}
    for key, argument in found.arguments.items():
        fits = [x for x in argument.words if _holds(layer, _derived(found, {key: x}))]
        if len(fits) == 1:
            words[key] = fits[0]
    return words


def is_held(layer: Layer, found: FrameworkClass, key: str) -> bool:
    """Whether it is sure that a layer holds what a joint argument states, or is otherwise."""
    words = held_words(layer, found)
    if key in words:
        return True
    default = found.arguments[key].default
    value = _SAMPLE if default in (None, rules.REQUIRED) else default
    with_it, without = _derived(found, {**words, key: value}), _derived(found, words)
    if with_it is None or without is None:
        return False
    own = {name: x for name, x in with_it.items() if name not in without}
    if not own:  # another argument stands in its place, if any has been chosen
        return bool(words)
    return _is_otherwise(layer, own) or _holds(layer, own, values=False)


def _is_otherwise(layer: Layer, stated: Mapping[tuple[str, str], Any]) -> bool:
    """Whether a layer has another rule than one with these switches."""
    held = (
        (_switch(layer, name), value) for (kind, name), value in stated.items() if kind == _RULE
    )
    return any(there is not UNKNOWN and not same(there, value) for there, value in held)


def _derived(found: FrameworkClass, given: Mapping[str, Any]) -> dict[tuple[str, str], Any] | None:
    """Return the parameters and switches that arguments state, by their kind and name."""
    if found.derive is None:
        return None
    try:
        parameters, switches = found.derive(given)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    return {
        **{("parameter", name): value for name, value in parameters.items()},
        **{(_RULE, name): value for name, value in switches.items()},
    }


def _holds(
    layer: Layer, stated: Mapping[tuple[str, str], Any] | None, *, values: bool = True
) -> bool:
    """Whether a layer holds the parameters and switches, and if asked with those values."""
    if not stated:
        return False
    for (kind, name), value in stated.items():
        held = _switch(layer, name) if kind == _RULE else _parameter(layer, name)
        if held is UNKNOWN or (values and kind == _RULE and not same(held, value)):
            return False
    return True


def _switch(layer: Layer, name: str) -> Any:
    return getattr(getattr(layer, "rule", None), name, UNKNOWN)


def _parameter(layer: Layer, name: str) -> Any:
    held = layer.parameters.get(name)
    return UNKNOWN if held is None else held.value
