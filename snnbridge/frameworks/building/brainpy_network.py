"""A checkpoint as a live net of BrainPy: a Sequential, or a group that runs along connections."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from snnbridge import rules
from snnbridge.document import channels_last
from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.brainpy_layers import module_of, to_jax
from snnbridge.frameworks.building.groups import stated_arguments
from snnbridge.frameworks.building.planning import in_order
from snnbridge.model import (
    UNKNOWN,
    Conv1d,
    Conv2d,
    Input,
    InputGain,
    Layer,
    Linear,
    Neuron,
    Output,
    Parameter,
    Shape,
    SNNCheckpoint,
    Synapse,
)
from snnbridge.model.values import SECONDS
from snnbridge.node_trees import container_of
from snnbridge.rewrites.parts import edges_of
from snnbridge.simulator.graph_shapes import shapes_of

#: Source, target, and the steps between them: 0, or 1 behind a neuron.
_Edge: TypeAlias = tuple[str, str, int]
#: Classes of releases before 2.4.3, by the class that computes the same today.
_TODAY = {"LIF": "LifRef"}


def network(checkpoint: SNNCheckpoint) -> Any:
    """Return a live net in training mode, its modules under the layers' names.

    Raises
    ------
    CheckpointError
        Naming a layer of which something is not known, or that waits for longer than a step.
    WriteError
        Naming the layer for which BrainPy has no module.
    """
    brainpy = import_module("brainpy")
    edges, entries = _edges(checkpoint)
    shapes, _ = shapes_of(checkpoint.layers, edges_of(checkpoint))
    name = container_of(checkpoint)
    _free([name, *checkpoint.layers])
    with brainpy.math.training_environment():
        modules = {
            name: _module(layer, checkpoint, shapes.get(name))
            for name, layer in checkpoint.layers.items()
            if not isinstance(layer, Input | Output)
        }
        order = in_order(_at_once(modules, edges))
        if sorted(edges) == sorted((a, b, 0) for a, b in pairwise(order)):
            return brainpy.Sequential(*(modules[x] for x in order), name=name)
        return _group()({x: modules[x] for x in order}, edges, entries, name)


def _free(names: Iterable[str]) -> None:
    """Have BrainPy give names anew that a net which is still there has.

    It refuses them otherwise, though only the nodes of one net need names of their own.
    ``clear_name_cache`` would forget those of all other nets too.
    """
    base = import_module(import_module("brainpy").math.BrainPyObject.__module__)
    check = getattr(base, "check_name_uniqueness", None)
    held = getattr(check, "__globals__", {}).get("_name2id", {})
    for name in names:
        held.pop(name, None)


def _edges(checkpoint: SNNCheckpoint) -> tuple[list[_Edge], list[str]]:
    """Return the edges between modules, their delays at neurons, and what takes the input.

    A delay behind weights is as good before them if they have no bias: what stays from one step
    to the next are the neurons' own variables.
    """
    layers, connections = checkpoint.layers, edges_of(checkpoint)
    late = {c.source for c in connections if c.delay and _can_wait(layers[c.source])}
    edges: list[_Edge] = []
    entries: list[str] = []
    for c in connections:
        if isinstance(layers[c.source], Input):
            entries.append(c.target)
        if isinstance(layers[c.source], Input) or isinstance(layers[c.target], Output):
            continue
        if c.delay is UNKNOWN:
            raise CheckpointError(f"the delay from {c.source!r} to {c.target!r} is not known")
        steps = c.delay - (c.source in late) + (c.target in late)
        if steps not in (0, 1) or (steps and not isinstance(layers[c.source], Neuron)):
            raise CheckpointError(
                f"layer {c.source!r}: no module of BrainPy keeps what it gives {c.target!r}, "
                f"{c.delay} steps later"
            )
        edges.append((c.source, c.target, steps))
    return edges, entries or [x for x in layers if x not in {target for _, target, _ in edges}]


def _at_once(names: Iterable[str], edges: Iterable[_Edge]) -> dict[str, list[str]]:
    """Return what feeds each module in the same step."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for source, target, steps in edges:
        if not steps and target in found:
            found[target].append(source)
    return found


def _can_wait(layer: Layer) -> bool:
    """Whether it is all one if a delay stands before a layer or behind it."""
    bias = layer.parameters.get("bias")
    silent = bias is None or (bias.value is not UNKNOWN and not bias.value.any())
    return isinstance(layer, Linear | Conv1d | Conv2d) and silent


@cache
def _group() -> Any:
    """Return the class of nets that are no chain; BrainPy is there when it is asked for."""
    brainpy = import_module("brainpy")

    class Recurrent(brainpy.DynSysGroup):  # type: ignore[misc, name-defined]
        """Modules that feed each other in this step, or with what they gave one step before."""

        def __init__(self, modules: Any, edges: Any, entries: Any, name: str) -> None:
            super().__init__(name=name)
            self.modules = brainpy.math.node_dict(modules)
            self.snnbridge_edges, self.entries = tuple(edges), tuple(entries)
            taken = {source for source, _, steps in edges if not steps}
            self.exit = next(x for x in reversed(list(modules)) if x not in taken)

        def update(self, x: Any) -> Any:
            held = {a for a, _, steps in self.snnbridge_edges if steps}
            before = {a: self.modules[a].return_info().value for a in held}
            now: dict[str, Any] = {}
            for name, module in self.modules.items():
                feeding = [x] if name in self.entries else []
                feeding += [
                    before[a] if steps else now[a]
                    for a, b, steps in self.snnbridge_edges
                    if b == name
                ]
                now[name] = module(sum(feeding[1:], start=feeding[0]))
            return now[self.exit]

    return Recurrent


# Modules


def _module(layer: Layer, checkpoint: SNNCheckpoint, shape: Shape | None) -> Any:
    if isinstance(layer, Neuron | Synapse):
        return _dynamic(layer, checkpoint)
    return module_of(layer, shape)


def _dynamic(layer: Neuron | Synapse, checkpoint: SNNCheckpoint) -> Any:
    known = rules.of(layer)
    if known is None or known.framework != "brainpy" or layer.shape is UNKNOWN:
        raise CheckpointError(f"layer {layer.name!r}: its class in BrainPy, or shape, is not known")
    kind = _TODAY.get(known.kind, known.kind)
    # Outside training mode a reset is hard whatever is said, and so it is where it may be soft.
    given = stated_arguments(known, layer, lambda held, unit: _value(layer, held, unit))
    if known.kind.startswith("DualExpon"):
        given["A"] = _amplitude(layer)
    start = layer.parameters.get("v_init")
    if start is not None and start.value is not UNKNOWN:
        given["x_initializer" if kind == "Integrator" else "V_initializer"] = _start(layer, start)
    shape = (*layer.shape[1:], *layer.shape[:1])
    dyn = import_module("brainpy").dyn
    module = getattr(dyn, kind)(shape, keep_size=True, name=layer.name, **given)
    for attribute, variable in (("V", "v"), ("x", "v"), ("g", "i")):
        held = checkpoint.state.get((layer.name, variable))
        if held is not None and held.batch_axis == 0 and hasattr(module, attribute):
            value = channels_last(held.value.ndim, 1).stored(held.value)
            getattr(module, attribute).value = to_jax(value)
    return module


def _value(layer: Neuron | Synapse, held: Parameter, unit: str | None) -> Any:
    """Return a parameter as BrainPy takes it: a number, or an array of the neurons' shape."""
    value = np.asarray(held.value)
    if unit is not None and held.unit not in (unit, None):
        if held.unit not in SECONDS:
            raise CheckpointError(f"layer {layer.name!r}: {held.unit!r} is no unit of time")
        value = value * (SECONDS[held.unit] / SECONDS[unit])
    if value.size == 1:
        return float(value.reshape(()))
    shape: Any = layer.shape
    spread = np.broadcast_to(value.astype(np.float32), shape)
    return to_jax(channels_last(spread.ndim).stored(spread))


def _start(layer: Neuron | Synapse, held: Parameter) -> Any:
    """Return an initializer: BrainPy asks it again for each batch."""
    value = _value(layer, held, None)

    def initial(shape: Any) -> Any:
        return import_module("brainpy").math.ones(shape) * value

    return initial


def _amplitude(layer: Any) -> Any:
    """Return the amplitude of a double exponential; None for the one that BrainPy computes."""
    stated = layer.parameters.get("input_gain" if layer.origin.kind == "DualExpon" else "gain")
    if stated is None or stated.value is UNKNOWN:
        return None
    if layer.rule.input_gain is not InputGain.STATED:
        return float(stated.value)
    decay, rise = (float(layer.parameters[x].value) for x in ("tau", "tau_rise"))
    return float(stated.value) * rise * decay / (decay - rise)  # releases before 2.5 have no A
