"""Layers without a state that become part of the weights beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.ledger import Entry, Status
from snnbridge.model import (
    UNKNOWN,
    Array,
    AvgPool,
    BatchNorm,
    Connection,
    Conv1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    SNNCheckpoint,
    SumPool,
)
from snnbridge.rewrites.parts import edges_of, entry, is_tied, known, only_source, replaced


def with_folded_norm(
    checkpoint: SNNCheckpoint, name: str
) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Fold a batch normalisation, with its running statistics, into the weights before it.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    name : str
        A `BatchNorm` whose values are known, behind weights that feed nothing else.

    Returns
    -------
    SNNCheckpoint
        Without that layer.
    tuple of Entry
        Rounded: the layer, and the weights that hold it now.

    Raises
    ------
    CheckpointError
        If something but weights feeds it, or feeds others too, or a value is not known.
    """
    layer = checkpoint.layers[name]
    if not isinstance(layer, BatchNorm):
        raise CheckpointError(f"layer {name!r} is no BatchNorm")
    before = only_source(checkpoint, name)
    mean, variance, epsilon = (_value(layer, key) for key in ("mean", "variance", "epsilon"))
    weight, bias = (
        _value(layer, key) if key in layer.parameters else default
        for key, default in (("weight", np.ones(())), ("bias", np.zeros(())))
    )
    scale = weight / np.sqrt(variance + epsilon)
    held = None if before is None else with_output(before, scale, bias - mean * scale)
    if held is None or before is None:
        raise CheckpointError(f"layer {name!r}: no weights before it alone can take it")
    reason = f"is part of the weights of {before.name!r}"
    entries = (
        entry(Status.ROUNDED, name, reason),
        entry(Status.ROUNDED, before.name, f"holds the normalisation of {name!r}"),
    )
    return _without(replaced(checkpoint, [held]), name), entries


def with_sum_pool(checkpoint: SNNCheckpoint, name: str) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Sum where a pool averages, with the share of each element in the weights beside it.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    name : str
        An `AvgPool` without padding; weights feed it, or follow it, behind a `Flatten` or not.

    Returns
    -------
    SNNCheckpoint
    tuple of Entry
        Rewritten where the window has a power of two of elements, else rounded.

    Raises
    ------
    CheckpointError
        If it pads, or no weights can take the factor.
    """
    layer = checkpoint.layers[name]
    if not isinstance(layer, AvgPool) or layer.window is UNKNOWN:
        raise CheckpointError(f"layer {name!r} is no AvgPool of a known window")
    if layer.padding is UNKNOWN or layer.padding == "same" or any(map(any, layer.padding)):
        raise CheckpointError(f"layer {name!r} averages over padding, too")
    share = np.asarray(1.0 / np.prod(layer.window))
    beside = only_source(checkpoint, name)
    held = None if beside is None else with_output(beside, share, None)
    if held is None:
        beside = _only_target(checkpoint, name)
        held = None if beside is None else _with_input(beside, share)
    if held is None or beside is None:
        raise CheckpointError(f"layer {name!r}: no weights beside it can take the factor")
    pool = SumPool(name, layer.window, layer.stride, layer.padding)
    exact = np.frexp(share)[0] == 0.5
    how = Status.REWRITTEN if exact else Status.ROUNDED
    entries = (
        entry(how, name, f"sums; the weights of {beside.name!r} have the factor {float(share):g}"),
        entry(how, beside.name, f"holds the factor of the average of {name!r}"),
    )
    return replaced(checkpoint, [pool, held]), entries


def with_output(layer: Layer, scale: Array | None, bias: Array | None) -> Layer | None:
    """Return weights that give `scale` times as much, and a bias; None if they cannot.

    Parameters
    ----------
    layer : Layer
    scale, bias : numpy.ndarray, optional
        One number, or one for each output channel.
    """
    weight = known(layer, "weight") if isinstance(layer, Linear | Conv1d | Conv2d) else None
    if weight is None or ("bias" in layer.parameters and known(layer, "bias") is None):
        return None
    by_channel = np.ones(len(weight)) if scale is None else np.squeeze(scale)
    if by_channel.ndim > 1 or by_channel.size not in (1, len(weight)):
        return None
    by_weight = by_channel.reshape(-1, *(1,) * (weight.ndim - 1))
    changed = with_values(layer, weight=(weight * by_weight).astype(weight.dtype))
    own = known(layer, "bias")
    if own is None and bias is None:
        return changed
    total = np.zeros(len(weight)) if own is None else own * by_channel
    total = total if bias is None else total + bias
    return with_values(changed, bias=total.astype(weight.dtype if own is None else own.dtype))


def _with_input(layer: Layer, factor: Array) -> Layer | None:
    """Return weights that count their input `factor` times; None if they cannot."""
    weight = known(layer, "weight") if isinstance(layer, Linear | Conv1d | Conv2d) else None
    if weight is None:
        return None
    return with_values(layer, weight=(weight * factor).astype(weight.dtype))


def with_values(layer: Layer, **values: Array) -> Layer:
    """Return a layer with other values, what else its parameters state kept."""
    held = layer.parameters
    changed = {k: replace(held[k], value=v) if k in held else v for k, v in values.items()}
    return replace(layer, **changed)  # type: ignore[arg-type]


def _value(layer: Layer, name: str) -> Array:
    found = known(layer, name)
    if found is None:
        raise CheckpointError(f"layer {layer.name!r}: {name} is unknown")
    return found.astype(np.float64)


def _only_target(checkpoint: SNNCheckpoint, name: str) -> Layer | None:
    """Return the layer that alone follows another, and shares no weights; a Flatten left out."""
    edges = edges_of(checkpoint)
    after = [c.target for c in edges if c.source == name]
    alone = len(after) == 1 and [c.target for c in edges].count(after[0]) == 1
    alone = alone and not is_tied(checkpoint, after[0])
    found = checkpoint.layers[after[0]] if alone else None
    return _only_target(checkpoint, found.name) if isinstance(found, Flatten) else found


def _without(checkpoint: SNNCheckpoint, name: str) -> SNNCheckpoint:
    """Take a layer out; what fed it feeds what followed."""
    edges = edges_of(checkpoint)
    (into,) = (c for c in edges if c.target == name)
    if any(c.delay is UNKNOWN for c in edges if name in (c.source, c.target)):
        raise CheckpointError(f"layer {name!r}: a delay beside it is unknown")
    joined: list[Connection] = []
    for c in edges:
        if c.source == name:
            delay = c.delay + into.delay  # type: ignore[operator]  # refused above
            joined.append(replace(c, source=into.source, delay=delay))
        elif c.target != name:
            joined.append(c)
    return replace(
        checkpoint,
        layers={key: layer for key, layer in checkpoint.layers.items() if key != name},
        connections=tuple(joined),
        frozen_layers=[key for key in checkpoint.frozen_layers if key != name],
        ties=tuple(tie for tie in checkpoint.ties if not any(path[0] == name for path in tie)),
    )
