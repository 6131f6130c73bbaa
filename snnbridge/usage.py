"""What a checkpoint uses of all that formats may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from snnbridge.formats import Feature
from snnbridge.model import (
    UNKNOWN,
    Array,
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Opaque,
    Output,
    Path,
    Scale,
    SNNCheckpoint,
    Subgraph,
    SumPool,
    Synapse,
    Tree,
)

_LAYER_FEATURES: Mapping[type[Layer], Feature] = {
    Linear: Feature.LINEAR,
    Conv1d: Feature.CONV,
    Conv2d: Feature.CONV,
    SumPool: Feature.POOL,
    AvgPool: Feature.POOL,
    MaxPool: Feature.POOL,
    Flatten: Feature.FLATTEN,
    Scale: Feature.SCALE,
    BatchNorm: Feature.BATCH_NORM,
    Delay: Feature.DELAY,
    Synapse: Feature.SYNAPSE,
    Neuron: Feature.NEURON,
    Input: Feature.PORTS,
    Output: Feature.PORTS,
    Subgraph: Feature.SUBGRAPH,
    Opaque: Feature.OPAQUE,
}

_SETTINGS = (
    "stride", "padding", "dilation", "groups", "input_shape", "window", "count_padding",
    "order", "shape",
)  # fmt: skip


_SETTINGS_OF: dict[type, tuple[str, ...]] = {}


def _settings(kind: type) -> tuple[str, ...]:
    """Return the fields of a kind that state a window or a shape."""
    if kind not in _SETTINGS_OF:
        _SETTINGS_OF[kind] = tuple(f.name for f in fields(kind) if f.name in _SETTINGS)
    return _SETTINGS_OF[kind]


class _Uses(dict[Feature, list[Path]]):
    def note(self, feature: Feature, *path: str) -> None:
        self.setdefault(feature, []).append(path)


def features(checkpoint: SNNCheckpoint) -> dict[Feature, list[Path]]:
    """List what a checkpoint uses, and where.

    Parameters
    ----------
    checkpoint : SNNCheckpoint

    Returns
    -------
    dict of Feature to list of paths
        The paths are those of :func:`snnbridge.differences`.

    Examples
    --------
    >>> from snnbridge import Neuron, SNNCheckpoint, features
    >>> sorted(feature.name for feature in features(SNNCheckpoint([Neuron("lif")])))
    ['NEURON']
    """
    uses = _Uses()
    for layer in checkpoint.layers.values():
        _layer_features(layer, ("layers", layer.name), uses)
    if checkpoint.connections is not UNKNOWN:
        uses.note(Feature.CONNECTIONS, "connections")
    if checkpoint.dt is not UNKNOWN:
        uses.note(Feature.DT, "dt")
    for path, variable in checkpoint.state.items():
        uses.note(Feature.STATE, "state", *path)
        _array_features(variable.value, ("state", *path), uses)
    if checkpoint.step is not None and (checkpoint.state or checkpoint.step is not UNKNOWN):
        uses.note(Feature.STATE, "step")
    for name, feature in (
        ("training", Feature.TRAINING),
        ("metadata", Feature.METADATA),
        ("frozen_layers", Feature.FROZEN),
        ("ties", Feature.TIES),
        ("extras", Feature.EXTRAS),
    ):
        for key in getattr(checkpoint, name):
            uses.note(feature, name, *([key] if isinstance(key, str) else []))
    _tree_features(checkpoint.training, ("training",), uses)
    return dict(uses)


def _layer_features(layer: Layer, path: Path, uses: _Uses) -> None:
    uses.note(_LAYER_FEATURES.get(type(layer), Feature.OPAQUE), *path)
    if not layer.name.isidentifier() and _is_odd(layer.name):
        uses.note(Feature.NAMES, *path)
    if layer.origin is not None:
        uses.note(Feature.ORIGIN, *path, "origin")
    if layer.dt is not None:
        uses.note(Feature.LAYER_DT, *path, "dt")
    if isinstance(layer, Neuron | Synapse) and layer.rule != type(layer.rule)():
        uses.note(Feature.RULES, *path, "rule")
    for name in _settings(type(layer)):
        if getattr(layer, name) is not UNKNOWN:
            uses.note(Feature.PARAMETERS, *path, name)
    if isinstance(layer, Neuron) and layer.model != "lif":
        uses.note(Feature.PLUGIN_NEURON, *path)
    if isinstance(layer, Opaque):
        _tree_features(layer.settings, (*path, "settings"), uses)
    if isinstance(layer, Subgraph):
        for inner in layer.layers.values():
            _layer_features(inner, (*path, "layers", inner.name), uses)
    _parameter_features(layer, path, uses)


def _is_odd(name: str) -> bool:
    return not name or not name.isprintable() or not set("/.$").isdisjoint(name)


def _parameter_features(layer: Layer, path: Path, uses: _Uses) -> None:
    hyper = isinstance(layer, Neuron | Synapse | Scale | Delay)
    for name, held in layer.parameters.items():
        here = (*path, name)
        if held.value is not UNKNOWN:
            if hyper or name == "epsilon":
                uses.note(Feature.PARAMETERS, *here)
            if name == "bias":
                uses.note(Feature.BIAS, *here)
            _array_features(held.value, here, uses)
        if held.unit is not None:
            uses.note(Feature.UNITS, *here, "unit")
        if held.trainable is not UNKNOWN:
            uses.note(Feature.TRAINABLE, *here, "trainable")


def _tree_features(tree: Tree, path: Path, uses: _Uses) -> None:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            _tree_features(value, (*path, key), uses)
    elif isinstance(tree, list | tuple):
        for i, value in enumerate(tree):
            _tree_features(value, (*path, str(i)), uses)
    elif isinstance(tree, np.ndarray | np.generic):
        _array_features(np.asarray(tree), path, uses)


def _array_features(array: Array, path: Path, uses: _Uses) -> None:
    uses.note(dtype_feature(array.dtype), *path)


def dtype_feature(dtype: np.dtype[Any]) -> Feature:
    """Return the feature that arrays of a dtype use."""
    if dtype.name in ("float16", "float32", "float64"):
        return Feature.FLOATS
    if dtype.kind == "f" and dtype.itemsize > 8:
        return Feature.EXTENDED_FLOATS
    if dtype.kind in "SUmM" or dtype.type is np.void:
        return Feature.TEXT_ARRAYS
    if dtype.kind == "c":
        return Feature.COMPLEX
    if dtype.kind in "iub":
        return Feature.INTEGERS
    return Feature.SMALL_INTEGERS if "int" in dtype.name else Feature.SMALL_FLOATS
