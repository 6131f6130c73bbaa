"""From the nodes of a network to the kernel's program."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Array,
    AvgPool,
    BatchNorm,
    Compare,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Scale,
    SumPool,
    Synapse,
    Width,
)
from snnbridge.simulator._kernel import Program
from snnbridge.simulator.coefficients import clock_step, coefficients
from snnbridge.simulator.network import Network, Node, delay_steps
from snnbridge.simulator.packing import (
    counts_of,
    held_as,
    pack_tiles,
    refuse_odd,
    spread,
    window_of,
)
from snnbridge.simulator.shapes import as_plane
from snnbridge.simulator.switches import has_time_clock, neuron_switches, synapse_switches

#: A node's size, the node that it reads and how many steps ago.
Place: TypeAlias = tuple[int, int, int]


def width_of(network: Network) -> np.dtype[Any]:
    """Return the one width that a network computes in: float32 or float64.

    Raises
    ------
    CheckpointError
        If its neurons and synapses have different widths.
    """
    found: dict[bool, Neuron | Synapse] = {}
    for layer in network.layers.values():
        if isinstance(layer, Neuron | Synapse):
            found.setdefault(layer.rule.width is Width.FLOAT32, layer)
    if len(found) == 2:
        wide = found[False].rule.width.value
        raise CheckpointError(
            f"layer {found[True].name!r} computes in float32 and layer {found[False].name!r} in "
            f"{wide}; a network has one width"
        )
    if found:
        return np.dtype(np.float32 if True in found else np.float64)
    arrays = (p.value for x in network.layers.values() for p in x.parameters.values())
    wide = any(value is not UNKNOWN and value.dtype == np.float64 for value in arrays)
    return np.dtype(np.float64 if wide else np.float32)


class Lowering:
    """Builds a program of a network.

    Parameters
    ----------
    network : Network
    lanes : int
        The instruction set, as the kernel counts them; -1 for the best.
    width : dtype, optional
        Of a network that is a part of another; its own if it is not given.

    Attributes
    ----------
    program : Program
    index : dict
        From a node's key to its number in the program.
    numbers : dict
        By layer, the coefficients of neurons and synapses, as the kernel holds them.
    weight_bytes : int
        What the packed weights take.
    """

    def __init__(
        self, network: Network, lanes: int = -1, width: np.dtype[Any] | None = None
    ) -> None:
        self.network = network
        self.width = width_of(network) if width is None else width
        self.numbers: dict[str, dict[str, Array]] = {}
        self.weight_bytes = 0
        self.index = {node.key: i for i, node in enumerate(network.nodes)}
        self.program = Program(self.width == np.float64, len(network.nodes), lanes)
        self._declare()
        for node in network.nodes:
            self._add(node)
        self.program.parts_are(network.parts)

    def _declare(self) -> None:
        """Tell the program of all nodes, since cycles name later ones."""
        readers: dict[Any, list[Node]] = {node.key: [] for node in self.network.nodes}
        for node in self.network.nodes:
            for key, _ in node.sources:
                readers[key].append(node)
        self.readers = readers
        for i, node in enumerate(self.network.nodes):
            self.declare(self.program, i, node.history)

    def declare(self, program: Program, index: int, history: int, *, read: bool = False) -> None:
        """Tell a program how far back a node is looked at, and whether it is recorded too."""
        node = self.network.nodes[index]
        by_event = [_reads_events(reader) for reader in self.readers[node.key]]
        numbers = read or not all(by_event)
        program.declare(index, node.size, history, any(by_event), numbers)

    def _add(self, node: Node) -> None:
        if node.what == "stimulus":
            self.program.add_input(node.size)
            return
        places = [(self.index[key], delay) for key, delay in node.sources]
        if node.what == "sum":
            sources = np.array([p for p, _ in places] or [0], np.int32)
            delays = np.array([d for _, d in places] or [0], np.int32)
            self.program.add_sum(node.size, len(places), sources, delays)
            return
        add: Callable[..., None] = _ADDERS[type(node.layer)]
        shape = self.network.shapes_in[node.key[0]]
        add(self, node.layer, node, (node.size, *places[0]), shape)
        if len(places) > 1:
            sources = np.array([p for p, _ in places], np.int32)
            delays = np.array([d for _, d in places], np.int32)
            self.program.also_reads(self.index[node.key], len(places), sources, delays)

    def _array(self, layer: Layer, name: str) -> Array:
        value = layer.parameters[name].value
        assert value is not UNKNOWN
        refuse_odd(layer, name, value)
        return value

    def _bias(self, layer: Layer, outputs: int) -> Array | None:
        if "bias" not in layer.parameters:
            return None
        bias = self._array(layer, "bias").astype(np.float64)
        return np.ascontiguousarray(np.broadcast_to(bias, (outputs,)))

    def _linear(self, layer: Linear, node: Node, place: Place, _: Any) -> None:
        weight = layer.parameters["weight"].value
        assert weight is not UNKNOWN
        outputs = weight.shape[0]
        packed = pack_tiles(layer, weight)
        self.weight_bytes += packed.nbytes
        bias = self._bias(layer, outputs)
        if bias is not None:
            bias = np.concatenate([bias, np.zeros(-outputs % 8)])
        self.program.add_linear(*place, packed, packed.dtype == np.float64, bias)

    def _conv(self, layer: Conv1d | Conv2d, node: Node, place: Place, shape: Any) -> None:
        weight = self._array(layer, "weight")
        held = held_as(weight.dtype)
        kernel = as_plane(weight.shape[2:], 1)
        window = window_of(layer, shape[1:], weight.shape[2:], layer.dilation)
        groups = int(layer.groups)  # type: ignore[arg-type]
        flat = weight.reshape(groups, -1, weight.shape[1], *kernel)
        # (channel, tap row, tap column, output within its group)
        packed = np.ascontiguousarray(flat.transpose(0, 2, 3, 4, 1).astype(held))
        self.weight_bytes += packed.nbytes
        outputs = weight.shape[0]
        self.program.add_conv(
            *place, window, shape[0], outputs, groups, packed, held == np.float64,
            self._bias(layer, outputs),
        )  # fmt: skip

    def _pool(self, layer: Any, node: Node, place: Place, shape: Any) -> None:
        axes = len(layer.window)
        window = window_of(layer, shape[-axes:], layer.window, (1,) * axes)
        channels = math.prod(shape[:-axes])
        counts = None
        if isinstance(layer, AvgPool):
            counts = counts_of(layer, window, math.prod(layer.window))  # type: ignore[arg-type]
            counts = np.ascontiguousarray(np.broadcast_to(counts, (channels, *counts.shape)))
        self.program.add_pool(*place, window, channels, counts, isinstance(layer, MaxPool))

    def _flatten(self, layer: Flatten, node: Node, place: Place, shape: Any) -> None:
        start = int(layer.start)  # type: ignore[arg-type]
        end = int(layer.end) % len(shape)  # type: ignore[arg-type]
        places = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
        moved = np.moveaxis(places, start, end)
        self.program.add_permute(*place, np.ascontiguousarray(moved).reshape(-1))

    def _delay(self, layer: Delay, node: Node, place: Place, shape: Any) -> None:
        steps = delay_steps(layer, self.network.steps[node.key[0]])
        self.program.add_delays(*place, np.ascontiguousarray(np.broadcast_to(steps, shape)))

    def _scale(self, layer: Scale, node: Node, place: Place, shape: Any) -> None:
        factor = self._array(layer, "factor").astype(np.float64)
        self.program.add_scale(*place, spread(layer, "factor", factor, shape))

    def _norm(self, layer: BatchNorm, node: Node, place: Place, shape: Any) -> None:
        numbers = {name: self._array(layer, name).astype(np.float64) for name in layer.parameters}
        variance = numbers["variance"] + numbers["epsilon"]
        if not (variance > 0).all():
            raise CheckpointError(
                f"layer {layer.name!r} (BatchNorm): variance + epsilon must be above 0"
            )
        one = np.ones_like(numbers["mean"])
        arrays = (
            numbers["mean"],
            np.sqrt(variance),
            numbers.get("weight", one),
            numbers.get("bias", one * 0),
        )
        columns = (-1,) + (1,) * (len(shape) - 1)
        self.program.add_norm(
            *place, *(spread(layer, "mean", a.reshape(columns), shape) for a in arrays)
        )

    def _neuron(self, layer: Neuron, node: Node, place: Place, shape: Any) -> None:
        rule, dt = layer.rule, self.network.steps[node.key[0]]
        numbers = self._numbers(layer, node, dt)
        if rule.spiking is True:
            numbers["least"] = numbers["threshold"]
            if rule.max_spikes == 1 and rule.compare is Compare.GREATER:
                above = np.nextafter(numbers["threshold"], self.width.type(np.inf))
                numbers["least"] = np.ascontiguousarray(above)
        most = math.inf if rule.max_spikes is None else float(rule.max_spikes or 1)  # type: ignore[arg-type]
        tick = float(clock_step(layer, dt)) if has_time_clock(rule) else 0.0
        self.program.add_neuron(
            *place, neuron_switches(layer), most if rule.spiking is True else 1.0, numbers, tick
        )

    def _synapse(self, layer: Synapse, node: Node, place: Place, shape: Any) -> None:
        numbers = self._numbers(layer, node, self.network.steps[node.key[0]])
        numbers.setdefault("leak_rise", numbers["leak"])
        numbers.setdefault("tau_rise", numbers["tau"])
        self.program.add_synapse(*place, synapse_switches(layer), numbers)

    def _numbers(self, layer: Neuron | Synapse, node: Node, dt: Any) -> dict[str, Array]:
        found = coefficients(_with_shape(layer, node.shape), dt)
        self.numbers[node.key[0]] = found
        return found


def _with_shape(layer: Any, shape: Any) -> Any:
    return layer if layer.shape is not UNKNOWN else replace(layer, shape=shape)


def _reads_events(node: Node) -> bool:
    pools = isinstance(node.layer, SumPool | AvgPool)
    return node.what == "layer" and (isinstance(node.layer, Linear | Conv1d | Conv2d) or pools)


_ADDERS: dict[type[Layer], Callable[..., None]] = {
    Linear: Lowering._linear,
    Conv1d: Lowering._conv,
    Conv2d: Lowering._conv,
    SumPool: Lowering._pool,
    AvgPool: Lowering._pool,
    MaxPool: Lowering._pool,
    Flatten: Lowering._flatten,
    Delay: Lowering._delay,
    Scale: Lowering._scale,
    BatchNorm: Lowering._norm,
    Neuron: Lowering._neuron,
    Synapse: Lowering._synapse,
}
