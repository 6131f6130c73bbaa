"""A piece of a graph that may be a neuron, and the axes along which its constants differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from snnbridge.model import Array
from snnbridge_plugins.onnx.file.schema import Message


@dataclass(frozen=True)
class Cut:
    """Arithmetic that depends on the same few values, and may be a neuron.

    Attributes
    ----------
    nodes : tuple of Message
        In order.
    free : tuple of str
        What it takes, states included; inputs of the graph first.
    states : tuple of str
        Those of them that are inputs of the graph.
    ends : tuple of str
        What of it is read elsewhere, or handed on by the graph.
    """

    nodes: tuple[Message, ...]
    free: tuple[str, ...]
    states: tuple[str, ...]
    ends: tuple[str, ...]


def shape_along(constants: Iterable[Array]) -> tuple[int, ...] | None:
    """Return along which axes of a layer constants differ; None where they do not fit."""
    try:
        shape = np.broadcast_shapes(*(x.shape for x in constants))
    except ValueError:
        return None
    while shape[:1] == (1,):  # the batch, or an axis along which all are alike
        shape = shape[1:]
    return shape


def fits(own: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether constants of one shape are those of a layer of another."""
    try:
        return np.broadcast_shapes(own, shape) == shape
    except ValueError:
        return False


def apart(x: Array, shape: tuple[int, ...]) -> Array:
    """Drop the leading axes of one that a shape does without."""
    return x.reshape(x.shape[x.ndim - len(shape) :]) if x.ndim > len(shape) else x
