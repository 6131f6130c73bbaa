"""The recipe of every kind of layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snnbridge.model import (
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Scale,
    SumPool,
    Synapse,
)
from snnbridge_plugins.onnx.recipes import dynamic, stateless
from snnbridge_plugins.onnx.recipes.recipe import Recipe, Setting


def recipe_of(layer: Layer, setting: Setting) -> Recipe:
    """Return the recipe of a layer.

    Parameters
    ----------
    layer : Layer
        Of a kind that computes something: not Input, Output, Delay or Subgraph.
    setting : Setting

    Raises
    ------
    CheckpointError
        For an array with a number that is not finite, or values that no step can be made of.
    """
    return _RECIPES[type(layer)](layer, setting)


_RECIPES: Mapping[type[Layer], Callable[[Any, Setting], Recipe]] = {
    Linear: stateless.linear,
    Conv1d: stateless.conv,
    Conv2d: stateless.conv,
    SumPool: stateless.pool,
    AvgPool: stateless.pool,
    MaxPool: stateless.max_pool,
    Flatten: stateless.flatten,
    Scale: stateless.scale,
    BatchNorm: stateless.norm,
    Neuron: dynamic.neuron,
    Synapse: dynamic.synapse,
}
