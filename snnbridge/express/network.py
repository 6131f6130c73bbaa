"""A network in the form in which a target runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from snnbridge import rewrites
from snnbridge.errors import WriteError
from snnbridge.express.adapting import Adapted
from snnbridge.express.graph import Loop, loops_of, own_synapses
from snnbridge.express.matching import factor, status
from snnbridge.express.preparing import check_graph, flattened, folded, retimed
from snnbridge.express.runner import Runner
from snnbridge.express.step import Step, step_of
from snnbridge.ledger import Entry, Status
from snnbridge.model import (
    Connection,
    Layer,
    Neuron,
    Shape,
    SNNCheckpoint,
    StateVariable,
    Synapse,
    TimeStep,
)
from snnbridge.rewrites.parts import is_tied, only_source
from snnbridge.simulator.graph_shapes import shapes_of


def expressed(checkpoint: SNNCheckpoint, target: Runner) -> tuple[SNNCheckpoint, list[Entry]]:
    """Put a network into the form that a target runs.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its connections and rules known.
    target : Runner

    Returns
    -------
    SNNCheckpoint
    list of Entry
        What became of each layer.

    Raises
    ------
    WriteError
        Naming the first layer that the target would leave out, refuse or run otherwise.
    UnknownValue
        If a rule is not known.
    """
    check_graph(checkpoint, target)
    checkpoint, entries = flattened(checkpoint, target)
    checkpoint, fused = folded(checkpoint, target)
    checkpoint, moved = retimed(checkpoint, target)
    planned, more = _Expression(checkpoint, target).made()
    return planned, [*entries, *fused, *moved, *more]


class _Expression:
    """A checkpoint whose neurons become those of a target."""

    def __init__(self, checkpoint: SNNCheckpoint, target: Runner) -> None:
        self.source, self.target = checkpoint, target
        self.dt = target.time_step(checkpoint.dt)
        self.edges: tuple[Connection, ...] = checkpoint.connections  # type: ignore[assignment]
        self.synapses = own_synapses(checkpoint.layers, self.edges)
        self.loops = loops_of(checkpoint.layers, self.edges, self.synapses)
        self.inner = {loop.layer.name for loop in self.loops.values()}
        self.taken, _ = shapes_of(checkpoint.layers, self.edges)
        self.layers: dict[str, Layer] = {}
        self.changed: dict[str, Layer] = {}
        self.returning: list[Connection] = []
        self.entered: dict[str, str] = {}
        self.state = dict(checkpoint.state)
        self.entries: list[Entry] = []

    def made(self) -> tuple[SNNCheckpoint, list[Entry]]:
        alone = set(self.source.layers) - set(self.synapses.values())
        for name, layer in self.source.layers.items():
            if name in alone:
                self._add(layer)
        if self.dt != self.source.dt:
            reason = f"{self.target.label} runs a step of {self.dt}"
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
            if layer.name not in self.inner:
                self.target.check(layer, shape, self.dt)
            self.layers[layer.name] = self.changed.get(layer.name, layer)
            return
        held = self.synapses.get(layer.name)
        synapse = self.source.layers[held] if held is not None else None
        assert synapse is None or isinstance(synapse, Synapse)
        for made in self._chosen(layer, synapse, shape):
            self.layers[made.name] = made

    def _chosen(
        self, layer: Neuron, synapse: Synapse | None, shape: Shape | None
    ) -> tuple[Layer, ...]:
        """Return the layers that the target runs for a neuron, its time step the source's."""
        own = _at(layer, self.source.dt)
        before = None if synapse is None else _at(synapse, self.source.dt)
        loop = self.loops.get(layer.name)
        made = self.target.chain(own, before, loop, shape, self.dt)
        chain = made.layers
        if chain[-1] is own:  # it is one of the target's already
            return (layer,) if synapse is None else (synapse, layer)
        if synapse is not None and len(chain) == 2:
            chain = (replace(chain[0], name=synapse.name), chain[1])
        old = step_of(layer, synapse, self.source.dt)
        new = step_of(chain[-1], chain[0] if len(chain) == 2 else None, self.dt)  # type: ignore[arg-type]
        form = made.form or Adapted(old, loop)
        changed = (form.feedback, form.bias is not None, form.scale is not None, form.lost)
        how = self._told(layer.name, form.step if any(changed) else old, new)
        self._enter(
            layer.name, chain, synapse, Status.ROUNDED if any(changed) else how, made.called
        )
        self._make_up(layer.name, form, loop, made.called)
        self._rescale(layer.name, form.step, new)
        return chain

    def _make_up(self, name: str, form: Adapted, loop: Loop | None, called: str) -> None:
        """Have the weights around a neuron do what its class does not."""
        if form.lost:
            path = ("layers", name, "rule", "max_spikes")
            self.entries.append(Entry(Status.APPROXIMATED, path, f"layer {name!r}", form.lost))
        if form.loop is not None and (loop is None or form.loop.layer is not loop.layer):
            self._lead_back(name, form, called)
        if form.bias is not None or form.scale is not None:
            self._change_before(name, form)

    def _lead_back(self, name: str, form: Adapted, called: str) -> None:
        assert form.loop is not None
        back = form.loop.layer
        if is_tied(self.source, back.name):
            raise WriteError(
                f"layer {back.name!r} shares its weights, and {self.target.label} needs others for "
                f"{name!r}; take the tie out of the checkpoint"
            )
        if back.name not in self.source.layers:
            late = 1 - self.target.output_delay
            self.returning += [Connection(name, back.name, late), Connection(back.name, name)]
            self.layers[back.name] = back
        words = {
            True: (Status.ROUNDED, f"adds what a spike of {called} does not subtract"),
            False: (Status.REWRITTEN, "in the form that its neuron feeds back"),
        }
        self._replace(back, *words[form.feedback])

    def _change_before(self, name: str, form: Adapted) -> None:
        """Give the weights before a neuron its factor or bias."""
        entry, back = self.synapses.get(name, name), self.loops.get(name)
        own = back.layer.name if back is not None else None
        before = only_source(self.source, entry, but=own)
        held = None if before is None else self.changed.get(before.name, before)
        changed = None if held is None else rewrites.with_output(held, form.scale, form.bias)
        if changed is None:
            what = (
                "the factor on its input" if form.bias is None else "what drives it at every step"
            )
            reason = f"{what} is no part of its class, and no weights before it alone can take it"
            raise WriteError(f"layer {name!r}: {self.target.label} cannot run it: {reason}")
        what = "factor on the input" if form.bias is None else "constant input"
        self._replace(changed, Status.ROUNDED, f"holds the {what} of {name!r}")

    def _replace(self, layer: Layer, status: Status, reason: str) -> None:
        self.changed[layer.name] = layer
        if layer.name in self.layers:
            self.layers[layer.name] = layer
        self.entries.append(Entry(status, ("layers", layer.name), f"layer {layer.name!r}", reason))

    def _told(self, name: str, old: Step, new: Step) -> Status:
        found = status(old, new)
        if found is None:
            reason = f"what {self.target.label} makes of it is another step; please report it"
            raise WriteError(f"layer {name!r}: {reason}")
        return found

    def _enter(
        self, name: str, chain: tuple[Layer, ...], synapse: Synapse | None, how: Status, called: str
    ) -> None:
        """Note what becomes of a neuron, and where its input goes if it gains a synapse."""
        if len(chain) == 2 and synapse is None:
            self.entered[name] = chain[0].name
        for made in (x for x in chain if x.name in self.source.layers):
            path = ("layers", made.name)
            self.entries.append(Entry(how, path, f"layer {made.name!r}", f"as {called}"))

    def _rescale(self, name: str, old: Step, new: Step) -> None:
        """Put the potential of the state into the units of the new neuron."""
        held = self.state.get((name, "v"))
        if held is not None:
            v = new.rest + (held.value - old.rest) * (factor(new) / factor(old))
            self.state[name, "v"] = StateVariable(
                np.asarray(v).astype(held.value.dtype), held.batch_axis
            )

    def _connections(self) -> Iterator[Connection]:
        for c in self.edges:
            yield replace(c, target=self.entered.get(c.target, c.target))
        for neuron, synapse in self.entered.items():
            yield Connection(synapse, neuron)
        for c in self.returning:
            yield replace(c, target=self.entered.get(c.target, c.target))


def _at(layer: Any, dt: TimeStep) -> Any:
    return layer if layer.dt is not None else replace(layer, dt=dt)
