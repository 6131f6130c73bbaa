"""What each node of NIR is as layers, by what NIR itself says of it.

NIR states equations in continuous time. Which discrete rule runs them stands in no node, so the
switches of a rule that depend on it are unknown here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    AvgPool,
    CheckpointError,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Layer,
    Linear,
    Opaque,
    Origin,
    Output,
    Parameter,
    ReadError,
    Scale,
    SumPool,
)
from snnbridge.model import Unknown
from snnbridge_plugins.nir.fields import Fields
from snnbridge_plugins.nir.graph import Node
from snnbridge_plugins.nir.neurons import NEURONS, neurons, threshold

#: The ways in which an equation is made discrete; see :mod:`snnbridge.rules`.
METHODS = ("euler", "exact")

_Maker = Callable[[str, Fields], tuple[Layer, ...]]


def to_layers(name: str, node: Node, version: str | Unknown, *, soft: bool) -> tuple[Layer, ...]:
    """Return the layers that a node stands for, the one that takes its input first.

    Parameters
    ----------
    name : str
        Of the last layer; a synapse before it is named ``<name>.synapse``.
    node : Node
    version : str or UNKNOWN
        Of NIR.
    soft : bool
        Whether a spike subtracts the threshold where no ``v_reset`` is stated.

    Raises
    ------
    ReadError
        If a field is missing or of the wrong type or shape.
    """
    fields = Fields(name, node)
    maker = _MAKERS.get(node.kind)
    try:
        if node.kind in NEURONS:
            return neurons(name, fields, soft=soft, version=version)
        if maker is None or _is_odd(node):
            return (_opaque(name, node, version),)
        made = maker(name, fields)
        return tuple(replace(layer, origin=Origin("nir", node.kind, version)) for layer in made)
    except CheckpointError as error:
        raise ReadError(str(error)) from error


def left_over(node: Node) -> dict[str, Any]:
    """Return the fields that NIR does not define for a node."""
    known = FIELDS.get(node.kind)
    if known is None or _is_odd(node):
        return {}
    return {key: value for key, value in node.fields.items() if key not in known}


def _is_odd(node: Node) -> bool:
    """Whether a matrix has more axes than the model's: one for each of several groups."""
    weight = node.fields.get("weight")
    if node.kind not in ("Affine", "Linear") or not isinstance(weight, np.ndarray):
        return False
    return weight.ndim > 2 and any(n != 1 for n in weight.shape[:-2])


def _opaque(name: str, node: Node, version: str | Unknown) -> Opaque:
    arrays = {k: v for k, v in node.fields.items() if not isinstance(v, str)}
    numbers = {k: Parameter(v) for k, v in arrays.items() if v.dtype.kind in "biufcV"}
    others = {k: v for k, v in node.fields.items() if k not in numbers}
    return Opaque(
        name, parameters=numbers, settings=others, origin=Origin("nir", node.kind, version)
    )


def _ports(kind: type[Input]) -> _Maker:
    def make(name: str, fields: Fields) -> tuple[Layer, ...]:
        return (kind(name, fields.shape("shape")),)

    return make


def _linear(name: str, fields: Fields) -> tuple[Layer, ...]:
    weight = fields.array("weight")
    if weight.ndim < 2:
        raise ReadError(f"node {name!r}: weight must have at least 2 axes, found {weight.shape}")
    bias = fields.array("bias").reshape(-1) if "bias" in fields else None
    return (Linear(name, weight.reshape(weight.shape[-2:]), bias),)


def _conv(kind: type[Conv1d] | type[Conv2d]) -> _Maker:
    def make(name: str, fields: Fields) -> tuple[Layer, ...]:
        axes = kind.axes
        layer = kind(
            name,
            fields.array("weight"),
            fields.array("bias") if "bias" in fields else None,
            stride=fields.window("stride", axes),
            dilation=fields.window("dilation", axes),
            padding=fields.padding(axes),
            groups=fields.number("groups"),
            input_shape=fields.window("input_shape", axes) if "input_shape" in fields else UNKNOWN,
        )
        return (layer,)

    return make


def _pool(kind: type[SumPool] | type[AvgPool]) -> _Maker:
    def make(name: str, fields: Fields) -> tuple[Layer, ...]:
        stated: dict[str, Any] = {
            "window": fields.window("kernel_size", 2),
            "stride": fields.window("stride", 2),
            "padding": fields.padding(2),
        }
        if kind is AvgPool:  # without zeros there is nothing to count
            empty = stated["padding"] == ((0, 0), (0, 0))
            stated["count_padding"] = True if empty else UNKNOWN
        return (kind(name, **stated),)

    return make


def _flatten(name: str, fields: Fields) -> tuple[Layer, ...]:
    start = fields.number("start_dim") if "start_dim" in fields else 1
    end = fields.number("end_dim") if "end_dim" in fields else -1
    shape = fields.shape("input_type")
    return (Flatten(name, start, end, order="channels first", input_shape=shape),)


def _scale(name: str, fields: Fields) -> tuple[Layer, ...]:
    return (Scale(name, fields.array("scale")),)


def _delay(name: str, fields: Fields) -> tuple[Layer, ...]:
    return (Delay(name, Parameter(fields.array("delay"), "s")),)


_MAKERS: dict[str, _Maker] = {
    "Input": _ports(Input),
    "Output": _ports(Output),
    "Affine": _linear,
    "Linear": _linear,
    "Scale": _scale,
    "Conv1d": _conv(Conv1d),
    "Conv2d": _conv(Conv2d),
    "SumPool2d": _pool(SumPool),
    "AvgPool2d": _pool(AvgPool),
    "Flatten": _flatten,
    "Delay": _delay,
    "Threshold": threshold,
}
_CONV = ("weight", "bias", "stride", "padding", "dilation", "groups", "input_shape")
_POOL = ("kernel_size", "stride", "padding")
#: The fields of each kind of node.
FIELDS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": _CONV,
    "Conv2d": _CONV,
    "SumPool2d": _POOL,
    "AvgPool2d": _POOL,
    "Flatten": ("start_dim", "end_dim", "input_type"),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
    **NEURONS,
}
