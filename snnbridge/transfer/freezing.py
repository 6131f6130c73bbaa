"""Which layers training leaves alone."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import SNNCheckpoint

_Checkpoint = TypeVar("_Checkpoint", bound=SNNCheckpoint)


def freeze_layers(
    checkpoint: _Checkpoint,
    layer_names: Iterable[str] | None = None,
    until_index: int | None = None,
    *,
    layers: Iterable[str] | None = None,
) -> _Checkpoint:
    """Mark layers as not trained, in place.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    layer_names, layers : iterable of str, optional
        Names of layers; both mean the same.
    until_index : int, optional
        Freeze the layers with weights up to this one, which is included.

    Returns
    -------
    SNNCheckpoint
        The same object; its ``frozen_layers`` are sorted.

    Raises
    ------
    CheckpointError
        For a name or an index of no layer; nothing is changed.

    Examples
    --------
    >>> from snnbridge.transfer import load_checkpoint
    >>> model = load_checkpoint("fixtures/sc-neurocore-3.16.0/mlp")
    >>> freeze_layers(model, layers=["fc2"], until_index=0).frozen_layers
    ['fc1', 'fc2']
    """
    frozen = set(checkpoint.frozen_layers)
    frozen |= _known(checkpoint, layer_names, "layer_names")
    frozen |= _known(checkpoint, layers, "layers")
    if until_index is not None:
        frozen |= _until(checkpoint, until_index, "until_index")
    checkpoint.frozen_layers = sorted(frozen)
    return checkpoint


def unfreeze_layers(
    checkpoint: _Checkpoint,
    layer_names: Iterable[str] | None = None,
    all_layers: bool = False,
) -> _Checkpoint:
    """Mark layers as trained, in place.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    layer_names : iterable of str, optional
    all_layers : bool
        Every layer, whatever `layer_names` says.

    Returns
    -------
    SNNCheckpoint
        The same object.

    Raises
    ------
    CheckpointError
        For a name of no layer; nothing is changed.
    """
    if all_layers:
        checkpoint.frozen_layers = []
        return checkpoint
    thawed = _known(checkpoint, layer_names, "layer_names")
    checkpoint.frozen_layers = [name for name in checkpoint.frozen_layers if name not in thawed]
    return checkpoint


def _known(checkpoint: SNNCheckpoint, names: Iterable[str] | None, what: str) -> set[str]:
    if names is None:
        return set()
    if isinstance(names, str):
        raise CheckpointError(f"{what} must be a list of names; found the text {names!r}")
    found = list(names)
    unknown = [name for name in found if name not in checkpoint.layers]
    if unknown:
        raise CheckpointError(
            f"{what} has {unknown[0]!r}, which is no layer; expected some of "
            f"{', '.join(map(repr, checkpoint.layer_names[:20]))}"
        )
    return set(found)


def _until(checkpoint: SNNCheckpoint, index: Any, what: str) -> set[str]:
    names = checkpoint.layer_names
    try:
        last = -1 if isinstance(index, bool) else operator.index(index)
    except TypeError:
        last = -1
    if not 0 <= last < len(names):
        raise CheckpointError(
            f"{what} must be the index of one of {len(names)} layers, counted from 0; "
            f"found {index!r}"
        )
    return set(names[: last + 1])


@dataclass
class TransferConfig:
    """How to train a network that was trained before.

    Parameters
    ----------
    freeze_until : str or int
        Freeze all layers up to this name or index, which is included; -1 freezes none.
    lr_backbone : float
        Learning rate of frozen layers.
    lr_head : float
        Learning rate of all others.
    """

    freeze_until: str | int = -1
    lr_backbone: float = 0.0
    lr_head: float = 0.01


def apply_transfer_config(
    checkpoint: _Checkpoint, config: TransferConfig
) -> tuple[_Checkpoint, list[float]]:
    """Freeze what a configuration says, in place, and give the learning rate of each layer.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
    config : TransferConfig

    Returns
    -------
    SNNCheckpoint
        The same object.
    list of float
        For each of its ``layer_names``: ``lr_backbone`` for every frozen layer, also those that
        were frozen before; else ``lr_head``.

    Raises
    ------
    CheckpointError
        For a layer that is not there, or a rate that is negative or not finite.

    Examples
    --------
    >>> from snnbridge.transfer import load_checkpoint
    >>> model = load_checkpoint("fixtures/sc-neurocore-3.16.0/mlp")
    >>> _, rates = apply_transfer_config(model, TransferConfig("fc2", 0.0, 0.01))
    >>> rates
    [0.0, 0.0, 0.01]
    """
    backbone, head = rates_of(config)
    frozen = frozen_by(checkpoint, config)
    checkpoint.frozen_layers = sorted(frozen)
    return checkpoint, [backbone if n in frozen else head for n in checkpoint.layer_names]


def frozen_by(checkpoint: SNNCheckpoint, config: TransferConfig) -> set[str]:
    """Return the names of the layers that are frozen, and of those that `config` freezes.

    Raises
    ------
    CheckpointError
        For a name or an index of no layer.
    """
    until = config.freeze_until
    frozen = set(checkpoint.frozen_layers)
    if isinstance(until, str):
        if until not in checkpoint.layer_names:
            _known(checkpoint, [until], "freeze_until")
            raise CheckpointError(f"freeze_until: layer {until!r} has no weight to count from")
        return frozen | _until(checkpoint, checkpoint.layer_names.index(until), "freeze_until")
    if type(until) is int and until == -1:
        return frozen
    return frozen | _until(checkpoint, until, "freeze_until (-1 for none)")


def rates_of(config: TransferConfig) -> tuple[float, float]:
    """Return ``lr_backbone`` and ``lr_head``.

    Raises
    ------
    CheckpointError
        For a rate that is no number, negative, or not finite.
    """
    return _rate(config, "lr_backbone"), _rate(config, "lr_head")


def _rate(config: TransferConfig, name: str) -> float:
    rate = getattr(config, name)
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number):
        raise CheckpointError(f"{name} must be a number; found {rate!r}")
    if not (math.isfinite(rate) and rate >= 0):
        raise CheckpointError(f"{name} must be finite and not negative; found {rate!r}")
    return float(rate)
