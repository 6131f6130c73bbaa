"""Transfer learning: the interface of ``sc_neurocore.transfer``, and rates that optimizers take.

``SNNCheckpoint``, ``save_checkpoint``, ``load_checkpoint``, ``freeze_layers``,
``unfreeze_layers``, ``TransferConfig`` and ``apply_transfer_config`` take the arguments that they
take in SC-NeuroCore, so a program needs a changed import only. All but the first two work on
whatever :func:`snnbridge.read` returns. :func:`parameter_groups` (torch), :func:`label_tree` and
:func:`learning_rates` (optax) turn frozen layers into something that training obeys; neither
torch nor jax is imported.

Source of the interface: ``sc_neurocore.transfer``, versions 3.14 to 3.16.
"""

from __future__ import annotations

import itertools
import math
import operator
import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from snnbridge import bridge
from snnbridge.errors import CheckpointError
from snnbridge.model import Array, Layer, Linear, Neuron, Opaque, Origin, parameter, with_parameter
from snnbridge.model import SNNCheckpoint as Checkpoint

_Checkpoint = TypeVar("_Checkpoint", bound=Checkpoint)

_FRAMEWORK = "sc-neurocore"
_FAMILY = frozenset(("LIF", "IF", "LI"))


class SNNCheckpoint(Checkpoint):
    """A checkpoint made of weight matrices, as SC-NeuroCore makes it.

    Parameters
    ----------
    weights : sequence of arrays
        Matrices (out, in) of any dtype; an array with another number of axes is kept as it is,
        in a layer of an unknown kind.
    layer_names : sequence of str
        One for each weight, all different.
    layer_sizes : sequence of (int, int)
        Inputs and outputs of each layer.
    neuron_types : sequence of str
        What the neurons behind each layer are called; or nothing.
    metadata : mapping
        A JSON tree.
    frozen_layers : iterable of str
    layers, **parts
        Instead of all these: the parts of :class:`snnbridge.SNNCheckpoint`.

    Raises
    ------
    CheckpointError
        For sequences of different lengths, names that are not unique, or a matrix that fits
        `layer_sizes` neither as (out, in) nor as (in, out).

    Warns
    -----
    UserWarning
        For a matrix stored as (in, out): it is held as its transpose.

    Examples
    --------
    >>> import numpy as np
    >>> model = SNNCheckpoint([np.zeros((2, 3))], ["fc"], [(3, 2)], ["LIF"])
    >>> model.layer_sizes, model.neuron_types, model.total_params
    ([(3, 2)], ['LIF'], 6)
    """

    def __init__(
        self,
        weights: Sequence[Any] | None = None,
        layer_names: Sequence[str] | None = None,
        layer_sizes: Sequence[tuple[int, int]] | None = None,
        neuron_types: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        frozen_layers: Iterable[str] = (),
        *,
        layers: Any = None,
        **parts: Any,
    ) -> None:
        if layers is None:
            if weights is None or layer_names is None or layer_sizes is None:
                raise CheckpointError("a checkpoint needs weights, layer_names and layer_sizes")
            _check_lengths(weights, layer_names, layer_sizes, neuron_types)
            layers = _layers(weights, layer_names, layer_sizes, neuron_types)
        parts["metadata"] = {} if metadata is None else metadata
        super().__init__(layers=layers, frozen_layers=list(frozen_layers), **parts)
        if layer_sizes is not None and [tuple(size) for size in layer_sizes] != self.layer_sizes:
            self.extras = {"npz": {"layer_sizes": [list(size) for size in layer_sizes]}}


def _check_lengths(
    weights: Sequence[Any],
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    types: Sequence[str],
) -> None:
    found = {"layer_names": len(names), "layer_sizes": len(sizes)}
    if len(types):
        found["neuron_types"] = len(types)
    for key, length in found.items():
        if length != len(weights):
            raise CheckpointError(
                f"{key} speaks of {length} layers, but there are {len(weights)} weights"
            )


def _layers(
    weights: Sequence[Any],
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    types: Sequence[str],
) -> list[Layer]:
    layers: list[Layer] = []
    taken = set(names)
    for i, (name, weight, size) in enumerate(zip(names, weights, sizes, strict=True)):
        layers.append(_layer(name, np.asarray(weight), size))
        if len(types) and types[i]:
            model = "lif" if types[i].upper() in _FAMILY else types[i]
            behind = _unused(f"{name}.neuron", taken)
            layers.append(Neuron(behind, origin=Origin(_FRAMEWORK, types[i]), model=model))
            taken.add(behind)
    return layers


def _unused(wanted: str, taken: Container[str]) -> str:
    names = chain([wanted], (f"{wanted}.{count}" for count in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _layer(name: str, weight: Array, size: tuple[int, int]) -> Layer:
    if weight.ndim != 2:
        return Opaque(name, {"weight": parameter(weight)})
    shape, stated = weight.shape, tuple(size)
    if shape == stated[::-1]:
        return Linear(name, weight)
    if shape != stated:
        raise CheckpointError(
            f"the weight of layer {name!r} has shape {shape}; its layer_sizes {stated} (in, out) "
            f"ask for {stated[::-1]}"
        )
    warnings.warn(
        f"the weight of layer {name!r} has shape {shape}, which its layer_sizes show to be "
        "(in, out); it is held as its transpose (out, in)",
        stacklevel=4,
    )
    return Linear(name, weight.T)


def save_checkpoint(checkpoint: Checkpoint, path: str | Path) -> None:
    """Save a checkpoint as ``path.npz`` and ``path.json``; SC-NeuroCore 3.16 loads them.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Of this module or of :mod:`snnbridge`.
    path : str or Path
        Without suffix: nothing is cut off, ``model.npz`` gives ``model.npz.npz``. Missing folders
        are made.

    Raises
    ------
    WriteError
        If the files cannot be written; the old ones are still there.

    Examples
    --------
    >>> save_checkpoint(model, "model_v1")  # doctest: +SKIP
    """
    base = Path(path)
    base.parent.mkdir(parents=True, exist_ok=True)
    bridge.write(checkpoint, f"{base}.npz", format="npz")


def load_checkpoint(path: str | Path) -> SNNCheckpoint:
    """Load ``path.npz`` and ``path.json``, as any version of SC-NeuroCore wrote them.

    Parameters
    ----------
    path : str or Path
        Without suffix.

    Returns
    -------
    SNNCheckpoint
        Its arrays are writable copies with the dtype that the file states.

    Raises
    ------
    FileNotFoundError
        If one of the files is missing.
    ReadError
        If one is damaged, or if they do not belong together.

    Examples
    --------
    >>> model = load_checkpoint("fixtures/sc-neurocore-3.16.0/mlp")
    >>> model.layer_names
    ['fc1', 'fc2', 'out']
    """
    found = bridge.read(f"{Path(path)}.json", format="npz")
    parts = {f.name: getattr(found, f.name) for f in fields(found)}
    parts["layers"] = {name: _writable(layer) for name, layer in found.layers.items()}
    return SNNCheckpoint(**parts)


def _writable(layer: Layer) -> Layer:
    for name, held in layer.parameters.items():
        if isinstance(held.value, np.ndarray):
            native = held.value.dtype.newbyteorder("=")
            layer = with_parameter(layer, name, np.array(held.value, native))
    return layer


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


def _known(checkpoint: Checkpoint, names: Iterable[str] | None, what: str) -> set[str]:
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


def _until(checkpoint: Checkpoint, index: Any, what: str) -> set[str]:
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
    >>> model = load_checkpoint("fixtures/sc-neurocore-3.16.0/mlp")
    >>> _, rates = apply_transfer_config(model, TransferConfig("fc2", 0.0, 0.01))
    >>> rates
    [0.0, 0.0, 0.01]
    """
    rates = learning_rates(checkpoint, config)
    checkpoint.frozen_layers = sorted(_frozen(checkpoint, config))
    return checkpoint, [rates[name] for name in checkpoint.layer_names]


def _frozen(checkpoint: Checkpoint, config: TransferConfig) -> set[str]:
    until = config.freeze_until
    frozen = set(checkpoint.frozen_layers)
    if isinstance(until, str):
        if until not in checkpoint.layer_names:
            _known(checkpoint, [until], "freeze_until")
            raise CheckpointError(f"freeze_until: layer {until!r} has no weight to count from")
        return frozen | _until(checkpoint, checkpoint.layer_names.index(until), "freeze_until")
    if type(until) is int and until == -1:
        return frozen
    return frozen | _until(checkpoint, until, "freeze_until")


def _rate(config: TransferConfig, name: str) -> float:
    rate = getattr(config, name)
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number):
        raise CheckpointError(f"{name} must be a number; found {rate!r}")
    if not (math.isfinite(rate) and rate >= 0):
        raise CheckpointError(f"{name} must be finite and not negative; found {rate!r}")
    return float(rate)


#: The label, and the group, of parameters that belong to no layer of the checkpoint.
NEW = "new"


def learning_rates(checkpoint: Checkpoint, config: TransferConfig) -> dict[str, float]:
    """Return the learning rate of each layer by name, and that of new parameters.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Is not changed.
    config : TransferConfig

    Returns
    -------
    dict of str to float
        For every layer of the checkpoint, and for :func:`new_label`.

    Raises
    ------
    CheckpointError
        As :func:`apply_transfer_config`.
    """
    backbone, head = _rate(config, "lr_backbone"), _rate(config, "lr_head")
    frozen = _frozen(checkpoint, config)
    rates = {name: backbone if name in frozen else head for name in checkpoint.layers}
    return {**rates, new_label(checkpoint): head}


def new_label(checkpoint: Checkpoint) -> str:
    """Return the label of parameters of no layer: ``"new"``, unless a layer bears that name."""
    return _unused(NEW, checkpoint.layers)
