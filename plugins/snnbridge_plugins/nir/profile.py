"""A network in the form in which a framework's importer will run it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import (
    UNKNOWN,
    CheckpointError,
    Connection,
    Entry,
    Flatten,
    Layer,
    Neuron,
    SNNCheckpoint,
    Status,
    Subgraph,
    Synapse,
    WriteError,
    rewrites,
)
from snnbridge.model import Compare, Reset, StateVariable, TimeStep
from snnbridge_plugins.nir.graph import Node
from snnbridge_plugins.nir.importers import IMPORTERS, Importer
from snnbridge_plugins.nir.importers.demands import threshold_for
from snnbridge_plugins.nir.shapes import shapes_of
from snnbridge_plugins.nir.step import Step, step_of
from snnbridge_plugins.nir.writing import fused


def prepare(
    checkpoint: SNNCheckpoint, options: Mapping[str, Any]
) -> tuple[SNNCheckpoint, Iterable[Entry]]:
    """Put a network into the form that an importer runs, if one is asked for.

    Raises
    ------
    WriteError
        Naming the first layer that the importer would leave out, refuse or run otherwise.
    UnknownValue
        If a rule is not known.
    """
    name = options.get("for")
    if not name:
        return checkpoint, ()
    importer = IMPORTERS[name]
    _check_graph(checkpoint, importer)
    checkpoint, entries = _flattened(checkpoint, importer)
    planned, more = _Profile(checkpoint, importer).made()
    return planned, [*entries, *more]


def _check_graph(checkpoint: SNNCheckpoint, importer: Importer) -> None:
    """Refuse graphs that an importer runs otherwise."""
    if checkpoint.connections is UNKNOWN:
        raise WriteError(f"the connections are not known; {importer.name} needs them")
    for layer in checkpoint.layers.values():
        if isinstance(layer, Subgraph):
            raise WriteError(f"layer {layer.name!r}: importers do not run graphs inside graphs")
    for c in checkpoint.connections:
        if c.delay != 0:
            raise WriteError(
                f"the connection {c.source!r} to {c.target!r} takes {c.delay} steps; the importer "
                f"of {importer.name} {importer.version} has no such connection"
            )
    fed = {c.target for c in checkpoint.connections}
    feeding = {c.source for c in checkpoint.connections}
    for what, others in (("begins", fed), ("ends", feeding)):
        names = [name for name in checkpoint.layers if name not in others]
        if not names:
            raise WriteError(f"no layer {what} the network: it runs in a circle")
        if len(names) > 1:
            raise WriteError(
                f"the network {what} at {len(names)} layers ({', '.join(names[:4])}); importers "
                "run one input and one output"
            )


def _flattened(checkpoint: SNNCheckpoint, importer: Importer) -> tuple[SNNCheckpoint, list[Entry]]:
    """Run over the elements of images in the importer's order."""
    entries = []
    taken, _ = shapes_of(checkpoint.layers, checkpoint.connections)  # type: ignore[arg-type]
    for name, layer in list(checkpoint.layers.items()):
        if not isinstance(layer, Flatten) or layer.order in (importer.order, UNKNOWN):
            continue
        stated = replace(layer, input_shape=taken.get(name, layer.input_shape))
        checkpoint = replace(checkpoint, layers={**checkpoint.layers, name: stated})
        try:
            checkpoint, entry = rewrites.with_flatten_order(checkpoint, name, importer.order)
        except CheckpointError as error:
            raise WriteError(f"{importer.name} runs {importer.order}: {error}") from error
        entries.append(entry)
    return checkpoint, entries


class _Profile:
    """A checkpoint whose neurons become those that an importer builds."""

    def __init__(self, checkpoint: SNNCheckpoint, importer: Importer) -> None:
        self.source, self.importer = checkpoint, importer
        self.dt = importer.time_step(checkpoint.dt)
        self.synapses = fused(checkpoint.layers, checkpoint.connections)
        self.taken, _ = shapes_of(checkpoint.layers, checkpoint.connections)  # type: ignore[arg-type]
        self.layers: dict[str, Layer] = {}
        self.entered: dict[str, str] = {}
        self.state = dict(checkpoint.state)
        self.entries: list[Entry] = []

    def made(self) -> tuple[SNNCheckpoint, list[Entry]]:
        alone = set(self.source.layers) - set(self.synapses.values())
        for name, layer in self.source.layers.items():
            if name in alone:
                self._add(layer)
        if self.dt != self.source.dt:
            reason = f"the importer of {self.importer.name} runs a step of {self.dt}"
            self.entries.append(Entry(Status.REWRITTEN, ("dt",), "time step", reason))
        planned = replace(
            self.source,
            layers=self.layers,
            connections=tuple(self._connections()),
            dt=self.dt,
            state=self.state,
        )
        return planned, self.entries

    def _add(self, layer: Layer) -> None:
        shape = self.taken.get(self.synapses.get(layer.name, layer.name))
        if not isinstance(layer, Neuron):
            self.importer.node(layer, None, shape, self.dt)  # refuses what it does not take
            self.layers[layer.name] = layer
            return
        held = self.synapses.get(layer.name)
        synapse = self.source.layers[held] if held is not None else None
        assert synapse is None or isinstance(synapse, Synapse)
        node = self._node(layer, synapse)
        for made in self._chosen(layer, synapse, node):
            self.layers[made.name] = made

    def _node(self, layer: Neuron, synapse: Synapse | None) -> Node:
        """Return the node of a neuron, whose own time step is that of the source."""
        own = _at(layer, self.source.dt)
        before = None if synapse is None else _at(synapse, self.source.dt)
        shape = self.taken.get(synapse.name if synapse else layer.name)
        return self.importer.node(own, before, shape, self.dt)

    def _chosen(self, layer: Neuron, synapse: Synapse | None, node: Node) -> tuple[Layer, ...]:
        chain = self.importer.layers(layer.name, node, self.dt)
        if synapse is not None and len(chain) == 2:
            chain = (replace(chain[0], name=synapse.name), chain[1])
        old = step_of(layer, synapse, self.source.dt)
        new = step_of(chain[-1], chain[0] if len(chain) == 2 else None, self.dt)  # type: ignore[arg-type]
        status = _status(old, new)
        if status is None:
            reason = "what the importer makes of its node is another step; please report it"
            raise WriteError(f"layer {layer.name!r}: {reason}")
        if len(chain) == 2 and synapse is None:
            self.entered[layer.name] = chain[0].name
        self._rescale(layer.name, old, new)
        reason = f"as the {node.kind} that the importer of {self.importer.name} runs"
        for made in (x for x in chain if x.name in self.source.layers):
            what = f"layer {made.name!r}"
            self.entries.append(Entry(status, ("layers", made.name), what, reason))
        return chain

    def _rescale(self, name: str, old: Step, new: Step) -> None:
        """Put the potential of the state into the units of the new neuron."""
        held = self.state.get((name, "v"))
        if held is not None:
            v = new.rest + (held.value - old.rest) * (_factor(new) / _factor(old))
            self.state[name, "v"] = StateVariable(v.astype(held.value.dtype), held.batch_axis)

    def _connections(self) -> Iterator[Connection]:
        for c in self.source.connections:  # type: ignore[union-attr]
            yield replace(c, target=self.entered.get(c.target, c.target))
        for neuron, synapse in self.entered.items():
            yield Connection(synapse, neuron)


def _at(layer: Any, dt: TimeStep) -> Any:
    return layer if layer.dt is not None else replace(layer, dt=dt)


def _factor(step: Step) -> Any:
    return step.gain if step.current is None else step.gain * step.current.gain


def _status(old: Step, new: Step) -> Status | None:
    """Say how a step that an importer runs compares with the one that is asked for."""
    same_form = old.rule.form is new.rule.form and old.rule.width is new.rule.width
    power = np.frexp(_factor(old) / _factor(new))[0] == 0.5
    if old.rule.spiking is True:  # only the spikes leave the neuron
        old, new = old.scaled(), new.scaled()
    if same_form and bool(power.all()) and all(_is_same(a, b) for a, b in _pairs(old, new)):
        return Status.REWRITTEN
    if old.rule.spiking is True:
        old, new = old.shifted(), new.shifted()
    near = 1e-6 * np.abs(old.threshold)
    close = all(np.allclose(a, b, rtol=1e-5, atol=near.max(initial=0)) for a, b in _pairs(old, new))
    return Status.ROUNDED if close else None


def _pairs(old: Step, new: Step) -> Iterator[tuple[Any, Any]]:
    """Yield what decides two steps; thresholds for one comparison."""
    subtracts = old.rule.reset is Reset.SUBTRACT
    for name in ("beta", "gain", "constant", "initial", "amount" if subtracts else "reset"):
        yield getattr(old, name), getattr(new, name)
    compare = new.rule.compare
    yield (
        (threshold_for(old, compare) if isinstance(compare, Compare) else old.threshold),
        new.threshold,
    )
    if old.current is not None or new.current is not None:
        zero = np.zeros_like(old.beta)
        yield tuple(s.current.alpha if s.current else zero for s in (old, new))  # type: ignore[misc]


def _is_same(a: Any, b: Any) -> bool:
    return bool((a.astype(np.float32) == b.astype(np.float32)).all())
