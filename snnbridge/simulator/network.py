"""The nodes that a simulation computes, and what layers do to delays and orders."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Delay,
    Flatten,
    Input,
    Layer,
    Neuron,
    PerStep,
    Quantity,
    Shape,
    TimeStep,
)
from snnbridge.simulator.coefficients import refuse_durations
from snnbridge.simulator.shapes import flattened
from snnbridge.simulator.unknowns import refuse_unknown

#: What a node is: the output of a layer ("out"), or what arrives at it ("in").
Key: TypeAlias = tuple[str, str]


@dataclass
class Node:
    """One signal: the numbers that an operation writes at each step.

    Attributes
    ----------
    layer
        The layer that it belongs to.
    what
        ``"stimulus"``, ``"sum"`` or ``"layer"``.
    shape
        Without batch and time.
    sources
        The nodes that it reads and the steps that it looks back, in connection order.
    history
        How many steps back others look at it.
    """

    key: Key
    layer: Layer
    what: str
    shape: Shape
    sources: list[tuple[Key, int]] = field(default_factory=list)
    history: int = 0

    @property
    def size(self) -> int:
        """How many numbers it has at each step."""
        return math.prod(self.shape)


@dataclass
class Network:
    """A checkpoint's graph without subgraphs, and the nodes of its simulation in order.

    Attributes
    ----------
    layers, steps
        By name, ``outer/inner`` inside subgraphs: the layers and their time steps.
    inputs, outputs
        Names of the layers that take a stimulus and that give a result.
    nodes
        In the order of computing.
    parts
        Each a run of nodes and whether they lie on a cycle: (first, last, cycle).
    """

    layers: dict[str, Layer]
    steps: dict[str, TimeStep]
    incoming: dict[str, list[tuple[str, int]]]
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    shapes_in: dict[str, Shape] = field(default_factory=dict)
    shapes_out: dict[str, Shape] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    parts: list[tuple[int, int, bool]] = field(default_factory=list)

    def signal(self, name: str) -> tuple[Key, int]:
        """Return the node that holds a layer's output, and how many steps ago it was written.

        Layers that hand on what they get share the node of their source.
        """
        delay, seen = 0, set()
        while (through := self.through(name)) is not None:
            if name in seen:
                raise CheckpointError(f"layer {name!r} lies on a cycle that holds no neuron")
            seen.add(name)
            source, steps = through
            name, delay = source, delay + steps
        layer = self.layers[name]
        if isinstance(layer, Neuron):
            delay += int(layer.rule.output_delay)  # type: ignore[arg-type]
        return (name, "out"), delay

    def through(self, name: str) -> tuple[str, int] | None:
        """Return the source and the steps of a layer that only hands on what it gets."""
        if len(self.incoming[name]) != 1:
            return None
        source, steps = self.incoming[name][0]
        layer = self.layers[name]
        if isinstance(layer, Input):
            return source, steps
        if isinstance(layer, Flatten) and not reorders(layer, self.shapes_in[name]):
            return source, steps
        if isinstance(layer, Delay):
            own = delay_steps(layer, self.steps[name])
            if own.size == 1:
                return source, steps + int(own.flat[0])
        return None


def reorders(layer: Flatten, shape: Shape) -> bool:
    """Whether a layer changes the order of the elements.

    Raises
    ------
    UnknownValue
        If it may, and its source does not state the order.
    """
    start, end = flattened(layer, shape)
    channels, others = shape[start], math.prod(shape[start + 1 : end + 1])
    if start == end or channels == 1 or others == 1:
        return False
    if layer.order is UNKNOWN:
        refuse_unknown([(layer.name, "order")])
    return layer.order == "channels last"


def delay_steps(layer: Delay, dt: TimeStep) -> np.ndarray:
    """Return a layer's delays in whole steps, int32.

    Raises
    ------
    CheckpointError
        For a negative delay, one that is no whole number of steps, or one in seconds beside a time
        step without a duration.
    """
    refuse_durations(layer, dt)
    held = layer.parameters["delay"]
    steps = np.asarray(held.value).astype(np.float64)
    if held.unit not in (None, "step") and not isinstance(dt, PerStep):
        assert isinstance(dt, Quantity)
        one = dt.value if dt.unit == held.unit else dt.seconds
        scale = 1.0 if dt.unit == held.unit else Quantity(1.0, str(held.unit)).seconds
        steps = steps * scale / one
    whole = np.rint(steps)
    if not np.isfinite(steps).all() or (np.abs(steps - whole) > 1e-6).any() or (whole < 0).any():
        raise CheckpointError(
            f"layer {layer.name!r} (Delay): {steps.flat[0]} steps; expected whole steps of at "
            "least 0"
        )
    if whole.size and whole.max() > 1 << 24:
        raise CheckpointError(f"layer {layer.name!r} (Delay): {whole.max():.0f} steps are too many")
    whole = whole.astype(np.int32)
    return whole.reshape(-1)[:1] if (whole == whole.flat[0]).all() else whole
