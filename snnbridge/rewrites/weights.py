"""Factors and orders moved into the weights beside a layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.ledger import Status
from snnbridge.model import (
    UNKNOWN,
    Array,
    Conv1d,
    Conv2d,
    Flatten,
    InputGain,
    Layer,
    Linear,
    Parameter,
    Shape,
    SNNCheckpoint,
    with_parameter,
)
from snnbridge.rewrites.parts import (
    Rewritten,
    edges_of,
    entry,
    neuron_of,
    replaced,
    value_of,
    with_membrane,
)
from snnbridge.simulator.coefficients import coefficients

#: Parameters of a neuron that are membrane potentials.
_POTENTIALS = ("v_rest", "v_reset", "threshold", "reset_amount", "v_min", "v_init", "bias")


def with_gain_in_weights(checkpoint: SNNCheckpoint, name: str) -> Rewritten:
    """Fold a neuron's factor on its input into the weights that feed it.

    Raises
    ------
    CheckpointError
        If something but a `Linear` or convolution feeds the neuron, or feeds others too, or if the
        form of the update has no separate factor.
    """
    layer = neuron_of(checkpoint, name)
    gain = np.asarray(coefficients(layer, checkpoint.dt)["gain"], np.float64)
    feeding = _feeding(checkpoint, name)
    changed: list[Layer] = [_scaled(source, gain) for source in feeding]
    parameters = {k: p for k, p in layer.parameters.items() if k not in ("resistance", "gain")}
    one = replace(layer.rule, input_gain=InputGain.ONE)
    changed.append(replace(layer, parameters=parameters, rule=one))
    reason = "the factor on the input is folded into the weights"
    exact = bool(np.all(np.frexp(gain)[0] == 0.5))
    return replaced(checkpoint, changed), entry(
        Status.REWRITTEN if exact else Status.ROUNDED, name, reason
    )


def scaled(checkpoint: SNNCheckpoint, name: str, exponent: int) -> Rewritten:
    """Scale a neuron's potentials, and the weights that feed it, by a power of two.

    A power of two changes no mantissa: every spike and every rounding stays, as long as nothing
    overflows or becomes subnormal.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    name : str
    exponent : int
        Potentials become ``2 ** exponent`` times what they were.

    Raises
    ------
    CheckpointError
        If the neuron shares its source, or if a number would leave the normal range.
    """
    layer = neuron_of(checkpoint, name)
    factor = np.float64(2.0) ** exponent
    parameters = dict(layer.parameters)
    # What is not stated is zero, which scales to itself; the threshold always is.
    for key in _POTENTIALS:
        if key in parameters:
            parameters[key] = _times(layer, key, parameters[key], factor)
    changed: list[Layer] = [_scaled(x, np.asarray(factor)) for x in _feeding(checkpoint, name)]
    changed.append(replace(layer, parameters=parameters))
    state = with_membrane(checkpoint, name, lambda v: v * v.dtype.type(factor))
    reason = f"potentials and weights are scaled by 2**{exponent}"
    return replaced(checkpoint, changed, state), entry(Status.REWRITTEN, name, reason)


def with_flatten_order(checkpoint: SNNCheckpoint, name: str, order: str) -> Rewritten:
    """Run over the elements of a `Flatten` in the other order, with the next weights permuted.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    name : str
        A `Flatten` of three axes (channels, height, width) whose input shape is known.
    order : ``"channels first"`` or ``"channels last"``

    Raises
    ------
    CheckpointError
        If something but a `Linear` follows, or the shape or the order is not known.
    """
    layer = checkpoint.layers[name]
    if not isinstance(layer, Flatten) or layer.order is UNKNOWN or layer.input_shape is UNKNOWN:
        raise CheckpointError(f"layer {name!r} is no Flatten of known order and input shape")
    if layer.order == order:
        raise CheckpointError(f"layer {name!r} runs {order} already")
    shape = layer.input_shape
    first = np.arange(int(np.prod(shape))).reshape(shape)
    last = np.moveaxis(first, 0, -1).ravel()
    columns = np.argsort(last) if order == "channels first" else last
    changed: list[Layer] = [_permuted(x, columns) for x in _following(checkpoint, name)]
    changed.append(replace(layer, order=order))  # type: ignore[arg-type]
    reason = f"runs {order}; the columns of the next weights are permuted"
    return replaced(checkpoint, changed), entry(Status.REWRITTEN, name, reason)


def _feeding(checkpoint: SNNCheckpoint, name: str) -> list[Layer]:
    """Return the weighted layers that feed a neuron, and nothing else."""
    found: list[Layer] = []
    for edge in edges_of(checkpoint):
        if edge.target != name:
            continue
        source = checkpoint.layers[edge.source]
        if not isinstance(source, Linear | Conv1d | Conv2d):
            raise CheckpointError(
                f"{source.kind} {source.name!r} feeds {name!r}; it has no weights"
            )
        if any(x.source == source.name and x.target != name for x in edges_of(checkpoint)):
            raise CheckpointError(f"layer {source.name!r} feeds others beside {name!r}")
        found.append(source)
    if not found:
        raise CheckpointError(f"nothing feeds layer {name!r}")
    return found


def _following(checkpoint: SNNCheckpoint, name: str) -> list[Linear]:
    found = []
    for edge in edges_of(checkpoint):
        if edge.source == name:
            target = checkpoint.layers[edge.target]
            if not isinstance(target, Linear):
                raise CheckpointError(f"{target.kind} {target.name!r} follows, not a Linear")
            found.append(target)
    return found


def _scaled(layer: Layer, factor: Array) -> Layer:
    weight = layer.parameters["weight"]
    by_output = factor.reshape(-1) if factor.ndim else factor
    if by_output.ndim and len(by_output) == 1:
        by_output = by_output.reshape(())
    shape: Shape = (-1, *(1,) * (value_of(layer, weight).ndim - 1))
    new = with_parameter(
        layer, "weight", _product(layer, "weight", value_of(layer, weight), by_output, shape)
    )
    bias = layer.parameters.get("bias")
    if bias is None:
        return new
    return with_parameter(
        new, "bias", _product(layer, "bias", value_of(layer, bias), by_output, (-1,))
    )


def _product(layer: Layer, name: str, value: Array, factor: Array, shape: Shape) -> Array:
    spread = factor.reshape(shape) if factor.ndim else factor
    if factor.ndim and len(factor) != value.shape[0]:
        raise CheckpointError(f"layer {layer.name!r}: the factor differs within a channel")
    return _normal(layer, name, value, (value.astype(np.float64) * spread).astype(value.dtype))


def _times(layer: Layer, name: str, held: Parameter, factor: Any) -> Parameter:
    value = value_of(layer, held)
    return replace(held, value=_normal(layer, name, value, (value * factor).astype(value.dtype)))


def _normal(layer: Layer, name: str, old: Array, new: Array) -> Array:
    """Refuse numbers that left the normal range, where roundings change."""
    tiny = np.finfo(new.dtype).tiny
    lost = (old != 0) & ((np.abs(new) < tiny) | ~np.isfinite(new)) & np.isfinite(old)
    if np.any(lost):
        raise CheckpointError(f"layer {layer.name!r}: {name} would leave the normal range")
    return new


def _permuted(layer: Linear, columns: Array) -> Layer:
    weight = value_of(layer, layer.parameters["weight"])
    return with_parameter(layer, "weight", weight[:, columns])
