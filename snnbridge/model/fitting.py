"""Whether what one layer gives is what the next one takes, as far as the two alone say it.

A shape holds ``None`` for an axis whose length is not known. The simulator, which knows the
shape of the stimulus, checks the rest.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from snnbridge.errors import CheckpointError
from snnbridge.model.layers import Conv, Flatten, Input, Layer, Linear, Neuron, Output, Synapse
from snnbridge.model.layers.dynamics import broadcasts
from snnbridge.model.places import placed
from snnbridge.model.values import UNKNOWN, Shape

Partial: TypeAlias = tuple[int | None, ...]


def check_fit(source: Layer, target: Layer) -> None:
    """Refuse a connection between two layers whose shapes differ.

    Raises
    ------
    CheckpointError
        Naming both layers and both shapes.
    """
    given = _gives(source)
    if given is None:
        return
    taken = _takes(target)
    if taken is None:
        _check_parameters(source, target, given)
    elif not _agree(given, taken):
        hint = "is a Flatten missing?" if len(given) > len(taken) else "mend one of them"
        raise CheckpointError(
            f"layer {source.name!r} ({source.kind}) gives shape {_shown(given)}, but layer "
            f"{target.name!r} ({target.kind}) takes {_shown(taken)}; {hint}"
        )


def _agree(given: Partial, taken: Partial) -> bool:
    return len(given) == len(taken) and all(
        a is None or b is None or a == b for a, b in zip(given, taken, strict=True)
    )


def _check_parameters(source: Layer, target: Layer, given: Partial) -> None:
    """Hold the parameters of neurons that do not state their shape against what arrives."""
    if not isinstance(target, Neuron) or target.model != "lif" or None in given:
        return
    for name, held in target.parameters.items():
        if held.value is not UNKNOWN and not broadcasts(held.value.shape, given):  # type: ignore[arg-type]
            raise CheckpointError(
                f"layer {source.name!r} ({source.kind}) gives shape {given}, to which {name} of "
                f"layer {target.name!r} ({target.kind}), of shape {held.value.shape}, does not "
                "broadcast; mend one of them"
            )


def _gives(layer: Layer) -> Partial | None:
    if isinstance(layer, Linear):
        return None if layer.size[1] is None else (layer.size[1],)
    if isinstance(layer, Input | Neuron | Synapse):
        return None if layer.shape is UNKNOWN else layer.shape
    if isinstance(layer, Conv):
        return layer.size[1], *_places(layer)
    return _flattened(layer) if isinstance(layer, Flatten) else None


def _takes(layer: Layer) -> Partial | None:
    if isinstance(layer, Linear):
        return None if layer.size[0] is None else (layer.size[0],)
    if isinstance(layer, Output | Neuron) or (isinstance(layer, Synapse) and layer.receptors == 1):
        return None if layer.shape is UNKNOWN else layer.shape
    if isinstance(layer, Conv):
        sizes = (None,) * layer.axes if layer.input_shape is UNKNOWN else layer.input_shape
        return layer.size[0], *sizes
    if isinstance(layer, Flatten) and layer.input_shape is not UNKNOWN:
        return layer.input_shape
    return None


def _places(layer: Conv) -> Partial:
    weight = layer.parameters["weight"].value
    stated = (weight, layer.stride, layer.padding, layer.dilation, layer.input_shape)
    if any(part is UNKNOWN for part in stated):
        return (None,) * layer.axes
    return placed(layer, layer.input_shape, weight.shape[2:], layer.dilation)  # type: ignore[arg-type, union-attr]


def _flattened(layer: Flatten) -> Shape | None:
    shape, start, end = layer.input_shape, layer.start, layer.end
    if shape is UNKNOWN or start is UNKNOWN or end is UNKNOWN:
        return None
    first, last = (n + len(shape) if n < 0 else n for n in (start, end))
    return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


def _shown(shape: Partial) -> str:
    """Return a shape as text, with ``?`` for what is not known."""
    return str(shape).replace("None", "?")
