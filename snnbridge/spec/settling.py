"""A layer as a file holds it and as a spec states it: the spec fills in, it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias

import numpy as np

from snnbridge.errors import SpecError
from snnbridge.model import UNKNOWN, Layer, Neuron, Parameter, Path, Quantity, Synapse
from snnbridge.model.values import SECONDS
from snnbridge.spec.values import short

#: What is done about a value that the file states and the spec states otherwise: the name of the
#: value, the file's, and the spec's.
Contradiction: TypeAlias = Callable[[str, Any, Any], None]


def keep(name: str, held: Any, stated: Any) -> None:
    """Say nothing: the file's value stays, as beside defaults."""


def refusal(where: str, keys: Mapping[str, str]) -> Contradiction:
    """Return what refuses a contradiction.

    Parameters
    ----------
    where : str
        The layer, for the message.
    keys : mapping of str to str
        From the model's names to those that the spec uses.
    """

    def refuse(name: str, held: Any, stated: Any) -> None:
        raise SpecError(
            f"{where}: {keys.get(name, name)} is {_told(held)} in the file and {_told(stated)} in "
            "the spec; a spec only adds what a file does not say: leave it out"
        )

    return refuse


def without_assumed(layer: Layer, name: str, assumed: Container[Path]) -> Layer:
    """Return a layer without what its reader assumed of it, since the file does not say it.

    Parameters
    ----------
    layer : Layer
    name : str
        From outside, ``outer/inner`` in a subgraph.
    assumed : collection of paths
        See `SourceInfo`.
    """
    if not isinstance(layer, Neuron | Synapse):
        return layer
    kept = {k: p for k, p in layer.parameters.items() if ("layers", name, k) not in assumed}
    open_ = {
        f.name: UNKNOWN for f in fields(layer.rule) if ("layers", name, "rule", f.name) in assumed
    }
    if not open_ and len(kept) == len(layer.parameters):
        return layer
    return replace(layer, parameters=kept, rule=replace(layer.rule, **open_))  # type: ignore[arg-type]


def settled(layer: Layer, stated: Layer, contradiction: Contradiction) -> Layer:
    """Return `stated`, but for all that `layer` states itself.

    Parameters
    ----------
    layer, stated : Layer
        Of one kind.
    contradiction : function
        Called for each value that both state, and not as the same.
    """
    changes: dict[str, Any] = {}
    for field in fields(layer):
        if field.name in ("name", "origin"):
            continue
        held, new = getattr(layer, field.name), getattr(stated, field.name)
        if new is held:
            continue
        if field.name == "rule":
            changes["rule"] = _switches(held, new, contradiction)
        elif field.name == "parameters":
            changes["parameters"] = _parameters(held, new, contradiction)
        else:
            changes[field.name] = _one(field.name, held, new, contradiction)
    return replace(stated, **changes)


def _switches(held: Any, new: Any, contradiction: Contradiction) -> Any:
    found = {
        f.name: _one(f.name, getattr(held, f.name), getattr(new, f.name), contradiction)
        for f in fields(held)
    }
    return type(held)(**found)


def _parameters(
    held: Mapping[str, Parameter], new: Mapping[str, Parameter], contradiction: Contradiction
) -> dict[str, Parameter]:
    found = dict(new)
    for name, parameter in held.items():
        if parameter.value is not UNKNOWN:
            found[name] = _one(name, parameter, new.get(name), contradiction)
    return found


def _one(name: str, held: Any, new: Any, contradiction: Contradiction) -> Any:
    """Return the file's value, or the spec's where the file has none."""
    if held is UNKNOWN or (isinstance(held, Parameter) and held.value is UNKNOWN):
        return new
    if held is None and name == "dt":  # the layer has no step of its own
        return new
    if new is UNKNOWN:
        return held
    if isinstance(held, Parameter) and isinstance(new, Parameter):
        if _same_numbers(held, new):
            return _with_unit(held, held.unit or new.unit)
    elif same(held, new):
        return held
    contradiction(name, held, new)
    return held


def _with_unit(held: Parameter, unit: str | None) -> Parameter:
    """Return a parameter with another unit, its array the same."""
    return held if unit == held.unit else Parameter(held.value, unit, held.trainable)


def same(held: Any, new: Any) -> bool:
    """Whether two settings, switches or times are one."""
    if isinstance(held, Quantity) and isinstance(new, Quantity):
        if held.unit == new.unit:
            return held.value == new.value
        return bool(np.isclose(held.seconds, new.seconds, rtol=1e-12, atol=0.0))
    return type(held) is type(new) and bool(held == new)


def _same_numbers(held: Parameter, new: Parameter) -> bool:
    """Whether two parameters say the same, one of them perhaps once for all neurons."""
    if held.value is UNKNOWN or new.value is UNKNOWN:
        return False
    try:
        left, right = np.broadcast_arrays(held.value, new.value)
    except ValueError:
        return False
    if held.unit == new.unit or held.unit is None or new.unit is None:
        return bool((left == right.astype(left.dtype)).all())
    if held.unit not in SECONDS or new.unit not in SECONDS:
        return False
    scaled = right.astype(np.float64) * (SECONDS[new.unit] / SECONDS[held.unit])
    return bool(np.allclose(left.astype(np.float64), scaled, rtol=1e-6, atol=0.0))


def _told(value: Any) -> str:
    if isinstance(value, Parameter):
        shown = repr(value)
        return shown[len("Parameter(") : -1]
    if value is None:
        return "none"
    return short(getattr(value, "value", value) if not isinstance(value, Quantity) else str(value))
