"""A checkpoint made of weight matrices, and its two files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from snnbridge import bridge
from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Array,
    Layer,
    Linear,
    Names,
    Neuron,
    Opaque,
    is_weighted,
    parameter,
    typed_neuron,
    with_parameter,
)
from snnbridge.model import SNNCheckpoint as Checkpoint
from snnbridge.model.layers.structure import by_name
from snnbridge.model.stack import neurons_behind, type_name

_FRAMEWORK = "sc-neurocore"
#: What the npz format says of an archive that has its other half.
_DIALECTS = ("3.16", "permissive")


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
            layers = _with_types(_layers(weights, layer_names, layer_sizes), neuron_types)
        parts["metadata"] = {} if metadata is None else metadata
        super().__init__(layers=layers, frozen_layers=frozen_layers, **parts)
        if layer_sizes is not None and [tuple(size) for size in layer_sizes] != self.layer_sizes:
            self.extras = {"npz": {"layer_sizes": [list(size) for size in layer_sizes]}}

    @property
    def neuron_types(self) -> list[str]:
        """What the neurons behind each layer with weights are called; empty if there are none.

        A list that cannot be changed; assigning another one replaces the neurons whose type
        changes, keeps the others as they are, and takes those away whose type is empty.
        """
        return super().neuron_types

    @neuron_types.setter
    def neuron_types(self, types: Sequence[str]) -> None:
        if self.connections is not UNKNOWN:
            raise CheckpointError(
                "neuron_types cannot be set where the connections are known; change layers and "
                "connections"
            )
        if isinstance(types, str) or len(types) not in (0, self.n_layers):
            raise CheckpointError(
                f"neuron_types must be one text for each of {self.n_layers} layers, or nothing; "
                f"found {types!r}"
            )
        held = self.layers
        self.layers = by_name(_with_types(held.values(), types))
        try:
            self.validate()
        except CheckpointError:
            self.layers = held
            raise


def _check_lengths(weights: Sequence[Any], *others: Sequence[Any]) -> None:
    for name, values in zip(("layer_names", "layer_sizes", "neuron_types"), others, strict=True):
        if isinstance(values, str):
            raise CheckpointError(f"{name} must be a list; found the text {values!r}")
        if len(values) != len(weights) and (len(values) or name != "neuron_types"):
            raise CheckpointError(
                f"{name} speaks of {len(values)} layers, but there are {len(weights)} weights"
            )


def _layers(
    weights: Sequence[Any], names: Sequence[str], sizes: Sequence[tuple[int, int]]
) -> list[Layer]:
    layers: list[Layer] = []
    for name, weight, size in zip(names, weights, sizes, strict=True):
        layers.append(_layer(name, np.asarray(weight), size))
    return layers


def _with_types(layers: Iterable[Layer], types: Sequence[str]) -> Iterator[Layer]:
    """Give layers with neurons of these types behind those that have weights, in order."""
    for kind in types:
        if not isinstance(kind, str):
            raise CheckpointError(f"neuron_types must be text, not {kind!r}")
    held = by_name(layers)
    weighted = [name for name, layer in held.items() if is_weighted(layer)]
    wanted = dict(zip(weighted, types or [""] * len(weighted), strict=True))
    behind = neurons_behind(held, UNKNOWN)
    owners = {neuron.name: name for name, neuron in behind.items()}
    names = Names(held)
    for layer in held.values():
        if isinstance(layer, Neuron) and layer.name in owners:
            yield from _of_type(layer, wanted[owners[layer.name]])
            continue
        yield layer
        if wanted.get(layer.name) and layer.name not in behind:
            name = names.unique(f"{layer.name}.neuron")
            yield typed_neuron(name, _FRAMEWORK, wanted[layer.name])


def _of_type(neuron: Neuron, kind: str) -> Iterator[Neuron]:
    if type_name(neuron) == kind:
        yield neuron
    elif kind:
        yield typed_neuron(neuron.name, _FRAMEWORK, kind)


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
    base = Path(path)
    found = bridge.read(f"{base}.npz", format="npz")
    if found.source is None or found.source.dialect not in _DIALECTS:
        raise FileNotFoundError(f"{base}.json: no such file, or it is of something else")
    parts = {f.name: getattr(found, f.name) for f in fields(found)}
    parts["layers"] = {name: _writable(layer) for name, layer in found.layers.items()}
    return SNNCheckpoint(**parts)


def _writable(layer: Layer) -> Layer:
    for name, held in layer.parameters.items():
        if isinstance(held.value, np.ndarray):
            native = held.value.dtype.newbyteorder("=")
            layer = with_parameter(layer, name, np.array(held.value, native))
    return layer
