"""A network in the form in which a target runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from snnbridge import rewrites
from snnbridge.errors import CheckpointError, WriteError
from snnbridge.express.adapting import Adapted, Made
from snnbridge.express.graph import Loop, loops_of, own_synapses, shapes_of
from snnbridge.express.matching import factor, status
from snnbridge.express.step import Step, step_of
from snnbridge.ledger import Entry, Status
from snnbridge.model import (
    UNKNOWN,
    AvgPool,
    BatchNorm,
    Connection,
    Layer,
    Neuron,
    Shape,
    SNNCheckpoint,
    StateVariable,
    Subgraph,
    Synapse,
    TimeStep,
)
from snnbridge.rewrites.parts import is_tied

#: What may become part of the weights beside it.
_FOLDED = {BatchNorm: rewrites.with_folded_norm, AvgPool: rewrites.with_sum_pool}


class Runner(Protocol):
    """What runs a network in its own neurons: a framework, or its importer of some files.

    Attributes
    ----------
    label : str
        Its name in messages.
    order : str
        Of the axes that it flattens.
    output_delay : int
        In which step after its cause a spike leaves a neuron.
    """

    @property
    def label(self) -> str:
        """Its name."""

    @property
    def order(self) -> str:
        """The order of axes."""

    @property
    def output_delay(self) -> int:
        """The step in which spikes leave."""

    def time_step(self, dt: TimeStep) -> TimeStep:
        """Return the time step that a network has there."""

    def check(self, layer: Layer, shape: Shape | None, dt: TimeStep) -> None:
        """Refuse, with WriteError, a layer without a state that it does not run."""

    def chain(
        self,
        layer: Neuron,
        synapse: Synapse | None,
        loop: Loop | None,
        shape: Shape | None,
        dt: TimeStep,
    ) -> Made:
        """Return a neuron, with the synapse before it, in its own terms.

        Raises
        ------
        WriteError
            If it has none that does the same.
        """


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
    _check_graph(checkpoint, target)
    checkpoint, entries = _flattened(checkpoint, target)
    checkpoint, folded = _folded(checkpoint, target)
    checkpoint, retimed = _retimed(checkpoint, target)
    planned, more = _Expression(checkpoint, target).made()
    return planned, [*entries, *folded, *retimed, *more]


def _check_graph(checkpoint: SNNCheckpoint, target: Runner) -> None:
    if checkpoint.connections is UNKNOWN:
        raise WriteError(f"the connections are not known; {target.label} needs them")
    for layer in checkpoint.layers.values():
        if isinstance(layer, Subgraph):
            raise WriteError(f"layer {layer.name!r}: {target.label} runs no graphs inside graphs")


def _flattened(
    checkpoint: SNNCheckpoint, target: Runner
) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Run over the elements of images in the target's order."""
    try:
        return rewrites.with_image_order(checkpoint, target.order)
    except CheckpointError as error:
        raise WriteError(f"{target.label} runs {target.order}: {error}") from error


def _folded(checkpoint: SNNCheckpoint, target: Runner) -> tuple[SNNCheckpoint, list[Entry]]:
    """Fold the layers that a target lacks into the weights beside them, where that can be."""
    entries: list[Entry] = []
    for name, layer in list(checkpoint.layers.items()):
        fold = _FOLDED.get(type(layer))
        if fold is None:
            continue
        taken, _ = shapes_of(checkpoint.layers, checkpoint.connections)  # type: ignore[arg-type]
        try:
            target.check(layer, taken.get(name), checkpoint.dt)
        except WriteError as refusal:
            try:
                checkpoint, told = fold(checkpoint, name)
            except CheckpointError:
                raise refusal from None
            entries += told
    return checkpoint, entries


def _retimed(checkpoint: SNNCheckpoint, target: Runner) -> tuple[SNNCheckpoint, tuple[Entry, ...]]:
    """Have spikes leave in the step in which the target's neurons tell them."""
    try:
        return rewrites.with_output_delay(checkpoint, target.output_delay)
    except CheckpointError as error:
        raise WriteError(f"{target.label} tells spikes in another step: {error}") from error


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
        before = [c.source for c in self.edges if c.target == entry and c.source != own]
        alone = len(before) == 1 and [c.source for c in self.edges].count(before[0]) == 1
        alone = alone and not is_tied(self.source, before[0])
        held = self.changed.get(before[0], self.source.layers[before[0]]) if alone else None
        changed = rewrites.with_output(held, form.scale, form.bias) if held is not None else None
        if changed is None:
            what = (
                "the factor on its input" if form.bias is None else "what drives it at every step"
            )
            reason = f"{what} is no part of its class, and no weights before it alone can take it"
            raise WriteError(f"layer {name!r}: {self.target.label} has no such neuron: {reason}")
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
