"""Rules for what a checkpoint keeps beside its graph: states, ties, frozen layers, the step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.model.checks import check_name, whole
from snnbridge.model.layers import Layer, Neuron, Synapse
from snnbridge.model.layers.dynamics import broadcasts
from snnbridge.model.values import UNKNOWN, Array, Path, StateVariable

#: The states that have one value for each element of the layer; others are the framework's own.
_ELEMENTWISE = ("v", "i", "spike")


def as_mapping(value: Mapping[Any, Any] | None, what: str) -> dict[Any, Any]:
    """Return a mapping as a dict, ``None`` as an empty one.

    Raises
    ------
    CheckpointError
        If it is no mapping.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{what} must be a mapping, not {_brief(value)}")
    return dict(value)


def as_items(value: Iterable[Any], what: str) -> list[Any]:
    """Return several things as a list; a text is one thing, not its letters.

    Raises
    ------
    CheckpointError
        If they are not several things.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise CheckpointError(f"{what} must be a list, not {_brief(value)}")
    return list(value)


def as_ties(ties: Iterable[Iterable[Iterable[str]]]) -> tuple[frozenset[Path], ...]:
    """Return sets of paths of parameters.

    Raises
    ------
    CheckpointError
        If a path is no (layer, parameter).
    """
    found = []
    for tie in as_items(ties, "ties"):
        paths = [tuple(as_items(path, "a path of ties")) for path in as_items(tie, "a tie")]
        for path in paths:
            if len(path) != 2 or not all(isinstance(name, str) for name in path):
                raise CheckpointError(f"a tie names {path!r}; expected (layer, parameter)")
        found.append(frozenset(paths))
    return tuple(found)


def check_step(step: object) -> None:
    """Refuse a step that is neither a whole number of at least 0 nor None nor UNKNOWN."""
    if step is None or step is UNKNOWN:
        return
    number = whole(step)
    if number is None or number < 0:
        raise CheckpointError(
            f"step must be a whole number of at least 0, None or UNKNOWN, not {_brief(step)}"
        )


def check_frozen(frozen: object, layers: Mapping[str, Layer]) -> None:
    """Refuse names of no layer, and names that stand twice."""
    seen: set[str] = set()
    for name in as_items(frozen, "frozen_layers"):  # type: ignore[arg-type]  # that is the question
        if not isinstance(name, str) or name not in layers:
            some = ", ".join(map(repr, islice(layers, 8))) + (", ..." if len(layers) > 8 else "")
            raise CheckpointError(
                f"frozen_layers names {name!r}, which is no layer; expected some of {some}"
            )
        if name in seen:
            raise CheckpointError(f"frozen_layers names {name!r} twice; remove one")
        seen.add(name)


def check_state(state: object, layers: Mapping[str, Layer]) -> None:
    """Refuse states of no layer, and those whose shape cannot be their layer's."""
    for path, variable in as_mapping(state, "state").items():  # type: ignore[arg-type]
        if not isinstance(path, tuple) or len(path) != 2:
            raise CheckpointError(f"a state's path is (layer, variable), not {path!r}")
        name, what = path
        if not isinstance(name, str) or name not in layers:
            raise CheckpointError(f"state {path!r} belongs to no layer")
        check_name(what, f"a state of layer {name!r}")
        if not isinstance(variable, StateVariable):
            raise CheckpointError(f"state {path!r} must be a StateVariable, not {_brief(variable)}")
        if what in _ELEMENTWISE and not _fits(variable, layers[name]):
            raise CheckpointError(
                f"state {what!r} of layer {name!r} has shape {variable.value.shape} and "
                f"batch_axis {variable.batch_axis}, which does not fit the layer's shape "
                f"{layers[name].shape}"  # type: ignore[attr-defined]  # it has one: it misfits
            )


def _fits(variable: StateVariable, layer: Layer) -> bool:
    if not isinstance(layer, Neuron | Synapse) or layer.shape is UNKNOWN:
        return True
    if isinstance(layer, Synapse) and layer.receptors != 1:
        return True
    shape, axis = variable.value.shape, variable.batch_axis
    if axis is UNKNOWN:  # it may even have several axes of the source's own
        places = math.prod(layer.shape)
        return variable.value.size == 1 or not places or variable.value.size % places == 0
    rest = shape if axis is None else shape[:axis] + shape[axis + 1 :]
    return broadcasts(rest, layer.shape)


def check_ties(ties: object, layers: Mapping[str, Layer]) -> None:
    """Refuse ties of parameters that are not there, or that cannot be one array."""
    for tie in as_ties(ties):  # type: ignore[arg-type]  # that is the question
        arrays = {path: _tied(path, layers) for path in sorted(tie)}
        kinds = {(a.shape, a.dtype.newbyteorder("=")) for a in arrays.values() if a is not None}
        if len(kinds) > 1:
            shown = ", ".join(
                f"{'/'.join(path)} {a.dtype}{list(a.shape)}"
                for path, a in arrays.items()
                if a is not None
            )
            raise CheckpointError(f"tied parameters must be one array, but differ: {shown}")


def _tied(path: Path, layers: Mapping[str, Layer]) -> Array | None:
    layer = layers.get(path[0])
    if layer is None:
        raise CheckpointError(f"a tie names {path!r}, but there is no such layer")
    if path[1] not in layer.parameters:
        raise CheckpointError(f"a tie names {path!r}, but the layer has no such parameter")
    value = layer.parameters[path[1]].value
    return None if value is UNKNOWN else value


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) < 60 else f"{type(value).__name__} {shown[:50]}..."
