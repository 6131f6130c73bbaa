"""From the nodes of a network to the kernel's program."""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Array,
    AvgPool,
    BatchNorm,
    Clock,
    Compare,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Floor,
    Form,
    InputGain,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    NeuronRule,
    Opaque,
    Refractory,
    Reset,
    ResetTiming,
    Scale,
    Scheme,
    SpikeSource,
    Subgraph,
    SumPool,
    Synapse,
    SynapseKind,
    SynapseOrder,
    Trace,
    Width,
)
from snnbridge.model.places import placed, sides_of
from snnbridge.simulator._kernel import Program, pack
from snnbridge.simulator.coefficients import clock_step, coefficients
from snnbridge.simulator.network import Network, Node, delay_steps
from snnbridge.simulator.shapes import as_plane, taps

_MANY = 1 << 22
#: A node's size, the node that it reads and how many steps ago.
Place: TypeAlias = tuple[int, int, int]
_RESETS = {Reset.NONE: 0, Reset.SUBTRACT: 1, Reset.SET: 2}
_TIMINGS = {
    ResetTiming.NOW: 0,
    ResetTiming.NEXT_BEFORE_LEAK: 1,
    ResetTiming.NEXT_AFTER_LEAK: 2,
    ResetTiming.RESIDUAL: 3,
    UNKNOWN: 0,  # without a reset
}
_REFRACTORY = {
    Refractory.NONE: 0,
    Refractory.HOLD: 1,
    Refractory.CLAMP: 2,
    Refractory.HOLD_TESTED: 3,
}
_KINDS = {kind: i for i, kind in enumerate(SynapseKind)}
_ORDERS = {
    SynapseOrder.DECAY_ADD_USE: 0,
    SynapseOrder.ADD_DECAY_USE: 1,
    SynapseOrder.ADD_USE_DECAY: 2,
    SynapseOrder.DECAY_USE_ADD: 3,
}
_DECAYS = {
    Form.AFFINE: 0,
    Form.DIFFERENCE: 1,
    Form.BOX: 1,
    Form.QUOTIENT: 2,
    Form.DERIVATIVE: 3,
    Form.EXPONENTIAL_EULER: 5,
    Form.INTEGER_SHIFT_12: 4,
}


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


def refuse_kinds(layers: Mapping[str, Layer], known: Collection[str] = ()) -> None:
    """Refuse layers that have no step here, in subgraphs too.

    `known` names the kinds of neurons that plugins define, which may stand outside subgraphs.

    Raises
    ------
    CheckpointError
        For an opaque layer, or a neuron of a kind that a plugin defines.
    """
    for name, layer in layers.items():
        if isinstance(layer, Subgraph):
            refuse_kinds(layer.layers)
        elif isinstance(layer, Opaque):
            kind = f" ({layer.origin.kind})" if layer.origin else ""
            raise CheckpointError(
                f"layer {name!r}{kind} is of a kind that the model has no word for; it cannot be "
                "simulated"
            )
        elif isinstance(layer, Neuron) and layer.model != "lif" and layer.model not in known:
            raise CheckpointError(
                f"layer {name!r} is a neuron of the kind {layer.model!r}, whose step is not known "
                "here; install the plugin that defines it, and place it outside subgraphs"
            )


def form_code(rule: NeuronRule) -> int:
    """Return the kernel's number of a neuron's update; see the enumeration in `_kernel.h`."""
    inside = rule.input_gain is InputGain.COMPLEMENT
    if rule.form is Form.DERIVATIVE and rule.scheme is Scheme.RUNGE_KUTTA_4:
        return 9
    if rule.form is Form.DERIVATIVE and rule.input_gain is InputGain.TIME_STEP:
        return 8
    codes = {
        Form.AFFINE: (0, 0),
        Form.DIFFERENCE: (1, 2),
        Form.BOX: (3, 2),
        Form.QUOTIENT: (4, 5),
        Form.DERIVATIVE: (6, 7),
        Form.EXPONENTIAL_EULER: (12, 13),
        Form.INTEGER_SHIFT_12: (10, 10),
        Form.FIXED_Q8_8: (11, 11),
    }
    return codes[rule.form][not inside]  # type: ignore[index]


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
        held = _held(weight.dtype)
        kernel = as_plane(weight.shape[2:], 1)
        window = _window(layer, shape[1:], weight.shape[2:], layer.dilation)
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
        window = _window(layer, shape[-axes:], layer.window, (1,) * axes)
        channels = math.prod(shape[:-axes])
        counts = None
        if isinstance(layer, AvgPool):
            counts = _counts(layer, window, math.prod(layer.window))  # type: ignore[arg-type]
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
        self.program.add_scale(*place, _spread(layer, "factor", factor, shape))

    def _norm(self, layer: BatchNorm, node: Node, place: Place, shape: Any) -> None:
        numbers = {name: self._array(layer, name).astype(np.float64) for name in layer.parameters}
        spread = numbers["variance"] + numbers["epsilon"]
        if not (spread > 0).all():
            raise CheckpointError(
                f"layer {layer.name!r} (BatchNorm): variance + epsilon must be above 0"
            )
        one = np.ones_like(numbers["mean"])
        arrays = (
            numbers["mean"],
            np.sqrt(spread),
            numbers.get("weight", one),
            numbers.get("bias", one * 0),
        )
        columns = (-1,) + (1,) * (len(shape) - 1)
        self.program.add_norm(
            *place, *(_spread(layer, "mean", a.reshape(columns), shape) for a in arrays)
        )

    def _neuron(self, layer: Neuron, node: Node, place: Place, shape: Any) -> None:
        rule, dt = layer.rule, self.network.steps[node.key[0]]
        numbers = self._numbers(layer, node, dt)
        floating = rule.refractory not in (Refractory.NONE, UNKNOWN)
        floating = floating and rule.clock is Clock.FLOAT32_TIME
        if rule.spiking is True:
            numbers["least"] = numbers["threshold"]
            if rule.max_spikes == 1 and rule.compare is Compare.GREATER:
                above = np.nextafter(numbers["threshold"], self.width.type(np.inf))
                numbers["least"] = np.ascontiguousarray(above)
        switches = (
            form_code(rule),
            rule.spiking is True,
            _RESETS.get(rule.reset, 0),  # type: ignore[arg-type]
            0 if rule.reset is Reset.NONE else _TIMINGS[rule.reset_timing],
            rule.spike_from is SpikeSource.OLD,
            _REFRACTORY.get(rule.refractory, 0),  # type: ignore[arg-type]
            floating,
            rule.trace is Trace.RAW,
            "v_min" in layer.parameters and rule.floor is Floor.SHIFTED,
        )
        most = math.inf if rule.max_spikes is None else float(rule.max_spikes or 1)  # type: ignore[arg-type]
        tick = float(clock_step(layer, dt)) if floating else 0.0
        self.program.add_neuron(
            *place, switches, most if rule.spiking is True else 1.0, numbers, tick
        )

    def _synapse(self, layer: Synapse, node: Node, place: Place, shape: Any) -> None:
        numbers = self._numbers(layer, node, self.network.steps[node.key[0]])
        numbers.setdefault("leak_rise", numbers["leak"])
        numbers.setdefault("tau_rise", numbers["tau"])
        rule = layer.rule
        switches = (
            layer.receptors,
            _KINDS[rule.kind],  # type: ignore[index]
            _ORDERS[rule.order],  # type: ignore[index]
            _DECAYS[rule.form],  # type: ignore[index]
        )
        self.program.add_synapse(*place, switches, numbers)

    def _numbers(self, layer: Neuron | Synapse, node: Node, dt: Any) -> dict[str, Array]:
        found = coefficients(_with_shape(layer, node.shape), dt)
        self.numbers[node.key[0]] = found
        return found


def _with_shape(layer: Any, shape: Any) -> Any:
    return layer if layer.shape is not UNKNOWN else replace(layer, shape=shape)


def _reads_events(node: Node) -> bool:
    pools = isinstance(node.layer, SumPool | AvgPool)
    return node.what == "layer" and (isinstance(node.layer, Linear | Conv1d | Conv2d) or pools)


def refuse_odd(layer: Layer, name: str, value: Array) -> None:
    """Refuse an array with a number that is not finite.

    Raises
    ------
    CheckpointError
        Naming the layer, the array and the number.
    """
    if value.dtype.kind in "iub":
        return
    finite = np.isfinite(value)
    if not finite.all():
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}): {name} holds {value[~finite].flat[0]}; expected "
            "finite numbers"
        )


def _held(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 where it holds every number of a type exactly, and float64 elsewhere."""
    exact = dtype.itemsize <= 2 or dtype == np.float32
    return np.dtype(np.float32 if exact else np.float64)


def pack_tiles(layer: Layer, weight: Array) -> Array:
    """Copy weights (out, in) into tiles of at most 64 outputs, (in, tile) each.

    The last tile is filled with zeros to a multiple of 8 outputs.

    Raises
    ------
    CheckpointError
        For a weight that is not finite.
    """
    outputs, inputs = weight.shape
    held = _held(weight.dtype)
    packed = _zeros(-(-outputs // 8) * 8 * inputs, held)
    ready = weight if weight.dtype == held and weight.flags.aligned else weight.astype(held)
    if not pack(ready, packed):
        refuse_odd(layer, "weight", weight)
    return packed


def _zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Return zeros, on large pages where there are many: rows of weights are read at random."""
    pages = getattr(mmap, "MADV_HUGEPAGE", None)
    if pages is None or size * dtype.itemsize < _MANY:
        return np.zeros(size, dtype)
    memory = mmap.mmap(-1, size * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):
        memory.madvise(pages)
    return np.frombuffer(memory, dtype)


def _window(layer: Any, sizes: Any, kernel: Any, dilation: Any) -> tuple[Any, ...]:
    """Describe the places of a window; one axis is a plane of one row."""
    places = placed(layer, sizes, kernel, dilation)
    sides = sides_of(layer, sizes, kernel, dilation)
    plane = [as_plane(x, 1) for x in (sizes, places, kernel, layer.stride, dilation)]
    (height, width), (out_height, out_width), (rows, columns), strides, spread = plane
    before = as_plane([a for a, _ in sides], 0)
    down = taps(height, out_height, rows, strides[0], before[0], spread[0])
    across = taps(width, out_width, columns, strides[1], before[1], spread[1])
    return ((height, width, out_height, out_width, rows, columns), *down, *across)


def _counts(layer: AvgPool, window: tuple[Any, ...], full: int) -> Array:
    """Return by how many numbers each place of a mean is divided, float64."""
    (_, _, out_height, out_width, _, _), down, across = window[0], window[1:4], window[4:7]
    if layer.count_padding is True or not any(n for side in _sides(layer) for n in side):
        return np.full((out_height, out_width), float(full))
    rows = np.bincount(down[2][: down[0][-1]], minlength=out_height)
    columns = np.bincount(across[2][: across[0][-1]], minlength=out_width)
    return np.outer(rows, columns).astype(np.float64)


def _sides(layer: AvgPool) -> Any:
    return ((1, 1),) if layer.padding == "same" else layer.padding


def _spread(layer: Layer, name: str, value: Array, shape: Any) -> Array:
    try:
        return np.ascontiguousarray(np.broadcast_to(value, shape))
    except ValueError:
        raise CheckpointError(
            f"layer {layer.name!r} ({layer.kind}): {name} of shape {value.shape} does not "
            f"broadcast to {shape}"
        ) from None


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
