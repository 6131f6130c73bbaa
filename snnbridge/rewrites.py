"""Other forms of a network that does the same: what a planner uses where a target is narrower.

Each function returns a new checkpoint and the ledger's entry for it. ``rewritten`` keeps every bit
of behaviour in the network's own arithmetic; ``rounded`` is the same in real arithmetic only, and
stands when the verdict of the simulator is ``equivalent``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.ledger import Entry, Status
from snnbridge.model import (
    UNKNOWN,
    Array,
    Compare,
    Conv1d,
    Conv2d,
    Flatten,
    InputGain,
    Layer,
    Linear,
    Neuron,
    NeuronRule,
    Parameter,
    Path,
    Reset,
    ResetTiming,
    Scheme,
    Shape,
    SNNCheckpoint,
    StateVariable,
    Width,
    with_parameter,
)
from snnbridge.simulator.coefficients import coefficients

Rewritten: TypeAlias = tuple[SNNCheckpoint, Entry]

#: Parameters of a neuron that are membrane potentials.
_POTENTIALS = ("v_rest", "v_reset", "threshold", "reset_amount", "v_min", "v_init", "bias")


def with_compare(checkpoint: SNNCheckpoint, name: str, compare: Compare) -> Rewritten:
    """State a neuron's comparison as the other one, with the neighbouring float as threshold.

    ``h > theta`` and ``h >= nextafter(theta)`` are the same for every float ``h``. What a spike
    subtracts stays that of the old threshold.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    name : str
        A neuron whose rule, threshold and width are known.
    compare : Compare
        The comparison that the target has.

    Raises
    ------
    CheckpointError
        If the neuron's rule is not known, or its spikes are counted by division.
    """
    layer = _neuron(checkpoint, name)
    rule = layer.rule
    if rule.compare is compare:
        raise CheckpointError(f"layer {name!r} compares with {compare.value} already")
    if rule.max_spikes != 1:
        raise CheckpointError(f"layer {name!r} may spike several times in a step")
    theta = _width(layer).type(1) * np.asarray(_stated(layer, "threshold"), _width(layer))
    towards = np.inf if compare is Compare.GREATER_EQUAL else -np.inf
    parameters = dict(layer.parameters)
    if rule.reset is Reset.SUBTRACT and "reset_amount" not in parameters:
        base = parameters.get("v_reset", Parameter(0.0)).value
        amount = theta - np.asarray(base, _width(layer))
        parameters["reset_amount"] = replace(parameters["threshold"], value=amount)
    moved = np.nextafter(theta, theta.dtype.type(towards))
    parameters["threshold"] = replace(parameters["threshold"], value=moved)
    new = replace(layer, parameters=parameters, rule=replace(rule, compare=compare))
    reason = f"{rule.compare.value} theta as {compare.value} the neighbouring float"
    return _replaced(checkpoint, [new]), _entry(Status.REWRITTEN, name, reason)


def with_immediate_reset(checkpoint: SNNCheckpoint, name: str) -> Rewritten:
    """State a delayed reset as one in the step of the spike.

    A reset before the next leak is the same operation, only later: rewritten. A subtraction after
    the next leak takes ``amount / beta`` when it acts before it: rounded. A reset to 0 after the
    leak drops the input of that step: it has no immediate form.

    Raises
    ------
    CheckpointError
        If the rule is not known, the decay is 0, or there is no such form.
    """
    layer = _neuron(checkpoint, name)
    timing = layer.rule.reset_timing
    now = replace(layer.rule, reset_timing=ResetTiming.NOW)
    if timing is ResetTiming.NEXT_BEFORE_LEAK:
        new: Layer = replace(layer, rule=now)
        state = _after_reset(checkpoint, layer, _amount(layer))
        reason = "a reset before the next leak acts in the step of the spike"
        return _replaced(checkpoint, [new], state), _entry(Status.REWRITTEN, name, reason)
    if timing is not ResetTiming.NEXT_AFTER_LEAK or layer.rule.reset is not Reset.SUBTRACT:
        raise CheckpointError(f"the reset of layer {name!r} has no immediate form")
    amount = _amount(layer) / _decay(layer, checkpoint)
    parameters = {**layer.parameters, "reset_amount": Parameter(amount.astype(_width(layer)))}
    new = replace(layer, parameters=parameters, rule=now)
    state = _after_reset(checkpoint, layer, amount)
    reason = "subtract amount after the leak, as amount / beta before it"
    return _replaced(checkpoint, [new], state), _entry(Status.ROUNDED, name, reason)


def with_gain_in_weights(checkpoint: SNNCheckpoint, name: str) -> Rewritten:
    """Fold a neuron's factor on its input into the weights that feed it.

    Raises
    ------
    CheckpointError
        If something but a `Linear` or convolution feeds the neuron, or feeds others too, or if the
        form of the update has no separate factor.
    """
    layer = _neuron(checkpoint, name)
    gain = np.asarray(coefficients(layer, checkpoint.dt)["gain"], np.float64)
    feeding = _feeding(checkpoint, name)
    changed: list[Layer] = [_scaled(source, gain) for source in feeding]
    parameters = {k: p for k, p in layer.parameters.items() if k not in ("resistance", "gain")}
    one = replace(layer.rule, input_gain=InputGain.ONE)
    changed.append(replace(layer, parameters=parameters, rule=one))
    reason = "the factor on the input is folded into the weights"
    exact = bool(np.all(np.frexp(gain)[0] == 0.5))
    return _replaced(checkpoint, changed), _entry(
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
    layer = _neuron(checkpoint, name)
    factor = np.float64(2.0) ** exponent
    parameters = dict(layer.parameters)
    # What is not stated is zero, which scales to itself; the threshold always is.
    for key in _POTENTIALS:
        if key in parameters:
            parameters[key] = _times(layer, key, parameters[key], factor)
    changed: list[Layer] = [_scaled(x, np.asarray(factor)) for x in _feeding(checkpoint, name)]
    changed.append(replace(layer, parameters=parameters))
    state = _membrane(checkpoint, name, lambda v: v * v.dtype.type(factor))
    reason = f"potentials and weights are scaled by 2**{exponent}"
    return _replaced(checkpoint, changed, state), _entry(Status.REWRITTEN, name, reason)


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
    return _replaced(checkpoint, changed), _entry(Status.REWRITTEN, name, reason)


def _neuron(checkpoint: SNNCheckpoint, name: str) -> Neuron:
    layer = checkpoint.layers.get(name)
    if not isinstance(layer, Neuron) or layer.model != "lif":
        raise CheckpointError(f"layer {name!r} is no neuron of the family")
    needed = ("compare", "reset", "reset_timing", "max_spikes", "width")
    absent = [switch for switch in needed if getattr(layer.rule, switch) is UNKNOWN]
    if absent:
        raise CheckpointError(f"layer {name!r}: {absent[0]} is unknown")
    return layer


def _width(layer: Neuron) -> np.dtype[Any]:
    if layer.rule.width not in (Width.FLOAT32, Width.FLOAT64):
        raise CheckpointError(f"layer {layer.name!r} computes with whole numbers")
    return np.dtype(np.float32 if layer.rule.width is Width.FLOAT32 else np.float64)


def _stated(layer: Neuron, name: str) -> Array:
    held = layer.parameters.get(name)
    if held is None or held.value is UNKNOWN:
        raise CheckpointError(f"layer {layer.name!r}: {name} is unknown")
    return held.value


def _amount(layer: Neuron) -> Array:
    if "reset_amount" in layer.parameters:
        return np.asarray(_stated(layer, "reset_amount"), np.float64)
    base = _stated(layer, "v_reset") if "v_reset" in layer.parameters else np.zeros(())
    return np.asarray(_stated(layer, "threshold"), np.float64) - np.asarray(base, np.float64)


def _decay(layer: Neuron, checkpoint: SNNCheckpoint) -> Array:
    rule: NeuronRule = layer.rule
    if rule.scheme not in (Scheme.STATED, Scheme.CLAMPED):
        raise CheckpointError(f"layer {layer.name!r} does not state its decay")
    decay = np.asarray(_stated(layer, "decay"), np.float64)
    decay = np.clip(decay, 0, 1) if rule.scheme is Scheme.CLAMPED else decay
    if not np.all(decay > 0):
        raise CheckpointError(f"layer {layer.name!r}: a decay of 0 forgets the reset")
    return decay


def _feeding(checkpoint: SNNCheckpoint, name: str) -> list[Layer]:
    """Return the weighted layers that feed a neuron, and nothing else."""
    found: list[Layer] = []
    for edge in _edges(checkpoint):
        if edge.target != name:
            continue
        source = checkpoint.layers[edge.source]
        if not isinstance(source, Linear | Conv1d | Conv2d):
            raise CheckpointError(
                f"{source.kind} {source.name!r} feeds {name!r}; it has no weights"
            )
        if any(x.source == source.name and x.target != name for x in _edges(checkpoint)):
            raise CheckpointError(f"layer {source.name!r} feeds others beside {name!r}")
        found.append(source)
    if not found:
        raise CheckpointError(f"nothing feeds layer {name!r}")
    return found


def _following(checkpoint: SNNCheckpoint, name: str) -> list[Linear]:
    found = []
    for edge in _edges(checkpoint):
        if edge.source == name:
            target = checkpoint.layers[edge.target]
            if not isinstance(target, Linear):
                raise CheckpointError(f"{target.kind} {target.name!r} follows, not a Linear")
            found.append(target)
    return found


def _edges(checkpoint: SNNCheckpoint) -> Iterable[Any]:
    if checkpoint.connections is UNKNOWN:
        raise CheckpointError("the connections are unknown")
    return checkpoint.connections


def _scaled(layer: Layer, factor: Array) -> Layer:
    weight = layer.parameters["weight"]
    by_output = factor.reshape(-1) if factor.ndim else factor
    if by_output.ndim and len(by_output) == 1:
        by_output = by_output.reshape(())
    shape: Shape = (-1, *(1,) * (_value(layer, weight).ndim - 1))
    new = with_parameter(
        layer, "weight", _product(layer, "weight", _value(layer, weight), by_output, shape)
    )
    bias = layer.parameters.get("bias")
    if bias is None:
        return new
    return with_parameter(
        new, "bias", _product(layer, "bias", _value(layer, bias), by_output, (-1,))
    )


def _product(layer: Layer, name: str, value: Array, factor: Array, shape: Shape) -> Array:
    spread = factor.reshape(shape) if factor.ndim else factor
    if factor.ndim and len(factor) != value.shape[0]:
        raise CheckpointError(f"layer {layer.name!r}: the factor differs within a channel")
    return _normal(layer, name, value, (value.astype(np.float64) * spread).astype(value.dtype))


def _times(layer: Layer, name: str, held: Parameter, factor: Any) -> Parameter:
    value = _value(layer, held)
    return replace(held, value=_normal(layer, name, value, (value * factor).astype(value.dtype)))


def _normal(layer: Layer, name: str, old: Array, new: Array) -> Array:
    """Refuse numbers that left the normal range, where roundings change."""
    tiny = np.finfo(new.dtype).tiny
    lost = (old != 0) & ((np.abs(new) < tiny) | ~np.isfinite(new)) & np.isfinite(old)
    if np.any(lost):
        raise CheckpointError(f"layer {layer.name!r}: {name} would leave the normal range")
    return new


def _value(layer: Layer, held: Parameter) -> Array:
    if held.value is UNKNOWN:
        raise CheckpointError(f"layer {layer.name!r}: a weight is unknown")
    return held.value


def _permuted(layer: Linear, columns: Array) -> Layer:
    weight = _value(layer, layer.parameters["weight"])
    return with_parameter(layer, "weight", weight[:, columns])


def _membrane(
    checkpoint: SNNCheckpoint, name: str, change: Callable[[Array], Array]
) -> dict[Path, StateVariable]:
    """Return the state with a neuron's membrane potential changed, where there is one."""
    state = dict(checkpoint.state)
    held = state.get((name, "v"))
    if held is not None:
        state[name, "v"] = replace(held, value=change(held.value).astype(held.value.dtype))
    return state


def _after_reset(
    checkpoint: SNNCheckpoint, layer: Neuron, amount: Array
) -> dict[Path, StateVariable]:
    """Return the state in which the reset of the last spike has acted already."""
    theta = np.asarray(_stated(layer, "threshold"))
    strict = layer.rule.compare is Compare.GREATER
    base = _stated(layer, "v_reset") if "v_reset" in layer.parameters else np.zeros(())

    def change(v: Array) -> Array:
        spiked = v > theta if strict else v >= theta
        after = base if layer.rule.reset is Reset.SET else v - amount
        return np.where(spiked, after, v)

    return _membrane(checkpoint, layer.name, change)


def _replaced(
    checkpoint: SNNCheckpoint,
    changed: Iterable[Layer],
    state: Mapping[Path, StateVariable] | None = None,
) -> SNNCheckpoint:
    new: Mapping[str, Layer] = {layer.name: layer for layer in changed}
    layers = {name: new.get(name, layer) for name, layer in checkpoint.layers.items()}
    return replace(
        checkpoint, layers=layers, state=dict(checkpoint.state if state is None else state)
    )


def _entry(status: Status, name: str, reason: str) -> Entry:
    return Entry(status, ("layers", name), f"layer {name!r}", reason)
