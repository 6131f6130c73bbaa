"""The state of a run: made from rest or from an earlier one, and handed back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snnbridge.model import (
    Array,
    Clock,
    Neuron,
    Path,
    Refractory,
    StateVariable,
    Synapse,
    SynapseKind,
)
from snnbridge.simulator._kernel import Program
from snnbridge.simulator.lower import Lowering
from snnbridge.simulator.network import Key
from snnbridge.simulator.result import CLOCK, NEVER, State, initial_value


class States:
    """The arrays that stay from block to block, made from `initial` or from rest."""

    def __init__(
        self,
        lowering: Lowering,
        program: Program,
        history: Sequence[int],
        batch: int,
        initial: Mapping[Path, Any],
    ) -> None:
        self.lowering, self.program, self.network = lowering, program, lowering.network
        self.batch, self.initial = batch, initial
        self.held: dict[Path, Array] = {}
        for node, steps in zip(self.network.nodes, history, strict=True):
            if node.what == "layer" and isinstance(node.layer, Neuron):
                self._neuron(node.key, node.layer)
            elif node.what == "layer" and isinstance(node.layer, Synapse):
                self._synapse(node.key, node.layer)
            if steps:
                self._past(node.key, steps)

    def _make(self, key: Key, variable: str, shape: Any, default: Any, dtype: Any = None) -> Array:
        path = (key[0], variable)
        dtype = self.lowering.width if dtype is None else np.dtype(dtype)
        self.held[path] = initial_value(self.initial, path, (self.batch, *shape), dtype, default)
        return self.held[path]

    def _neuron(self, key: Key, layer: Neuron) -> None:
        shape, rule = self.network.shapes_out[key[0]], layer.rule
        v = self._make(key, "v", shape, self.lowering.numbers[key[0]]["initial"])
        clock = None
        if rule.spiking is True and rule.refractory is not Refractory.NONE:
            if rule.clock is Clock.FLOAT32_TIME:
                clock = self._make(key, CLOCK, shape, NEVER, np.float32)
            else:
                clock = self._make(key, "refractory_steps", shape, 0, np.int64)
        self.program.bind(self.lowering.index[key], v, clock)

    def _synapse(self, key: Key, layer: Synapse) -> None:
        shape = self.network.shapes_out[key[0]]
        shape = shape if layer.receptors == 1 else (*shape, layer.receptors)
        current = self._make(key, "i", shape, 0.0)
        second = None
        if layer.rule.kind is SynapseKind.EXPONENTIAL_DIFFERENCE:
            second = self._make(key, "i_rise", shape, 0.0)
        elif layer.rule.kind is not SynapseKind.EXPONENTIAL:
            second = self._make(key, "h", shape, 0.0)
        self.program.bind(self.lowering.index[key], current, second)

    def _past(self, key: Key, history: int) -> None:
        shape = (history, *self.network.nodes[self.lowering.index[key]].shape)
        name = "past" if key[1] == "out" else "past input"
        past = self._make(key, name, shape, 0.0)
        self.program.bind_past(self.lowering.index[key], past)

    def variables(self, step: int) -> State:
        """Return all of them as state variables, the batch first."""
        return State({path: StateVariable(x, batch_axis=0) for path, x in self.held.items()}, step)
