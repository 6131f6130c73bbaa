"""What the helpers of all frameworks on PyTorch share: a live net as a checkpoint."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from typing import Any

from snnbridge import bridge, rules
from snnbridge.errors import CheckpointError
from snnbridge.frameworks.reading.classes import PACKAGES, Known, known_as
from snnbridge.frameworks.reading.connecting import Wiring, between_layers, wired
from snnbridge.frameworks.reading.keys import keys_of, ties_of, with_trained
from snnbridge.frameworks.reading.pieces import Piece, as_array, plain
from snnbridge.frameworks.reading.torch_layers import READ
from snnbridge.frameworks.reading.undisturbed import undisturbed
from snnbridge.frameworks.reading.walking import Walk
from snnbridge.ledger import Entry, Ledger, Status
from snnbridge.model import (
    PER_STEP,
    UNKNOWN,
    Input,
    Layer,
    Neuron,
    Opaque,
    Origin,
    Quantity,
    SNNCheckpoint,
    SourceInfo,
    Synapse,
    TimeStep,
)
from snnbridge.simulator.graph_shapes import infer_shapes

Arguments = dict[str, Any]
#: What to do about modules that the model has no word for.
_REMEDIES = {
    "ReLU": "behind a layer of spikes it changes nothing and can go",
    "AdaptiveAvgPool1d": "pass sample=, an input of the net, with which it is known as an AvgPool",
    "AdaptiveAvgPool2d": "pass sample=, an input of the net, with which it is known as an AvgPool",
}
_REMEDY = (
    "put modules in its place that are known: Linear, Conv1d, Conv2d, pools, BatchNorm, Flatten, "
    "neurons"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """How the modules of one framework are read.

    Parameters
    ----------
    name : str
        The package, and the name in :mod:`snnbridge.rules`.
    neurons : mapping of str to function of a module
        By class; gives the arguments of the rule's class, as the module has them now.
    finish : function of (name, module, piece), optional
        Adds the recurrent weights that a class holds itself.
    special : mapping of str to function of (name, module), returning Piece
        Other classes.
    time_step : function of a module, optional
        The time step that a neuron has; without it time is counted in steps.
    over_time : mapping of str to str
        Classes that run all steps in one call, and the class that they run in each.
    """

    name: str
    neurons: Mapping[str, Callable[[Any], Arguments]]
    finish: Callable[[str, Any, Piece], None] | None = None
    special: Mapping[str, Callable[[str, Any], Piece]] = field(default_factory=dict)
    time_step: Callable[[Any], float] | None = None
    over_time: Mapping[str, str] = field(default_factory=dict)

    def checkpoint_of(
        self, net: Any, *, sample: Any = None, connections: Iterable[Any] | None = None
    ) -> SNNCheckpoint:
        """Return a live net as a checkpoint; the net stays as it is.

        Parameters
        ----------
        net : torch.nn.Module
        sample : tensor, optional
            An input of the net; with it the net is run once, in evaluation mode, to see which
            module feeds which.
        connections : iterable of (source, target) or (source, target, delay), optional
            Between modules, by their names in the net. They are known without being given where
            the whole net is a chain. Leave the input out: what nothing feeds takes it. A loop
            needs a delay of one step: ``("lif1", "rec", 1), ("rec", "lif1")``.

        Returns
        -------
        SNNCheckpoint
            Its ``source.notes`` say what became of modules that no layer stands for.

        Raises
        ------
        TypeError
            If `net` is no module of PyTorch.
        CheckpointError
            If a module does what no rule says, or a connection names none.

        Warns
        -----
        UserWarning
            For what is not known of the net, with the reason.
        """
        checkpoint, notes = self._read(net, sample, connections)
        _warn(notes)
        return checkpoint

    def export(
        self,
        net: Any,
        path: str | os.PathLike[str],
        *,
        sample: Any = None,
        connections: Iterable[Any] | None = None,
    ) -> Ledger:
        """Save a live net so that every other format can take it; see :meth:`checkpoint_of`.

        The file is a state dict that ``torch.load`` reads as any other; what it leaves out stands
        beside it in the archive.

        Returns
        -------
        Ledger
            Its lines also tell what the checkpoint has no word for.

        Raises
        ------
        WriteError
            If the file cannot be written; the old one is still there.
        """
        checkpoint, notes = self._read(net, sample, connections)
        ledger = bridge.write(checkpoint, os.fspath(path), format="torch")
        _warn(notes)
        return Ledger((*ledger.told, *notes), ledger.kept)

    def _read(self, net: Any, sample: Any, given: Any) -> tuple[SNNCheckpoint, list[Entry]]:
        if not isinstance(net, import_module("torch").nn.Module):
            raise TypeError(f"expected a torch.nn.Module, found {type(net).__name__!r}")
        with undisturbed(net):
            walk = Walk(self.piece)
            chain = walk.into(net)
            wiring = wired(net, walk, chain, sample, given)
        layers, known = _layers(walk, wiring)
        layers = with_trained(net, layers)
        checkpoint = SNNCheckpoint(
            layers, connections=known, dt=self._dt(walk), ties=ties_of(net, layers)
        )
        notes = [*wiring.notes, *_notes(walk), *_shapeless(checkpoint), *_surrogates(checkpoint)]
        checkpoint.extras = {"torch": keys_of(net, checkpoint)}
        checkpoint.source = SourceInfo(
            framework=self.name,
            framework_version=version(self.name),
            notes=tuple(f"{note.what}: {note.reason}" for note in notes),
        )
        return checkpoint, notes

    def _dt(self, walk: Walk) -> TimeStep:
        if self.time_step is None:
            return PER_STEP
        timed = walk.holding(Neuron, Synapse)
        found = {float(self.time_step(walk.modules[name])) for name in timed}
        return Quantity(found.pop(), "s") if len(found) == 1 else UNKNOWN

    def piece(self, name: str, module: Any) -> Piece | None:
        """Return what a module stands for; None for a container."""
        known = known_as(module, {*self.special, *self.neurons, *READ})
        if known.changed:
            return self._opaque(name, module, known)
        if known.kind in self.special:
            return self.special[known.kind](name, module)
        if known.kind in self.neurons:
            return self._neuron(name, known.kind, module)
        if known.kind:
            return READ[known.kind](name, module)
        if next(module.children(), None) is not None:
            return None
        return self._opaque(name, module, known)

    def _opaque(self, name: str, module: Any, known: Known) -> Piece:
        kind = type(module).__name__
        held = {key: as_array(value) for key, value in module.state_dict().items()}
        package = type(module).__module__.partition(".")[0]
        origin = Origin(package if package in PACKAGES else self.name, kind)
        piece = Piece.of(Opaque(name, dict[str, Any](held), origin=origin))
        why = f"no layer of the model does what {type(module).__module__}.{kind} does"
        if known.changed:
            own = ", ".join(known.changed[:3])
            why = f"it is a {known.kind} with a {own} of its own, which no rule says"
        reason = f"{why}; it is kept, but not simulated: {_REMEDIES.get(kind, _REMEDY)}"
        piece.notes.append((Status.DROPPED, reason))
        return piece

    def _neuron(self, name: str, kind: str, module: Any) -> Piece:
        held = self.over_time.get(kind, kind)
        try:
            arguments = {k: plain(v) for k, v in self.neurons[kind](module).items()}
        except CheckpointError as error:
            raise CheckpointError(f"module {name!r} ({kind}): {error}") from None
        piece = Piece.of(*rules.get(self.name, held).chain(name, version(self.name), **arguments))
        if held != kind:
            piece.notes.append((Status.REWRITTEN, f"stands as a {held}, which it runs over time"))
        if self.finish is not None:
            self.finish(name, module, piece)
        return piece


def _layers(walk: Walk, wiring: Wiring) -> tuple[dict[str, Layer], Any]:
    """Return the layers of a net, and the connections between them."""
    layers = {x.name: x for piece in walk.pieces.values() for x in piece.layers}
    layers |= {x.name: x for x in wiring.views}
    if wiring.edges is None:
        return layers, UNKNOWN
    inner = (edge for piece in walk.pieces.values() for edge in piece.edges)
    known = (*inner, *between_layers(wiring.edges, walk.pieces))
    return infer_shapes(layers, known), known


def _notes(walk: Walk) -> Iterable[Entry]:
    for name, piece in walk.pieces.items():
        what = f"module {name!r} ({type(walk.modules[name]).__name__})"
        for status, reason in piece.notes:
            yield Entry(status, ("layers", name), what, reason)


def _shapeless(checkpoint: SNNCheckpoint) -> Iterable[Entry]:
    """Tell that no module of a net of images says how large those are."""
    held = checkpoint.layers.values()
    missing = [repr(x.name) for x in held if isinstance(x, Neuron | Synapse) and x.shape is UNKNOWN]
    told = checkpoint.connections is UNKNOWN or any(isinstance(x, Input) for x in held)
    if missing and not told:
        what = f"the shape of {', '.join(missing[:4])}{', ...' if len(missing) > 4 else ''}"
        reason = "no module states it; pass sample=, an input of the net"
        yield Entry(Status.DROPPED, ("layers",), what, reason)


def _surrogates(checkpoint: SNNCheckpoint) -> Iterable[Entry]:
    spiking = (x for x in checkpoint.layers.values() if isinstance(x, Neuron))
    if any(x.rule.spiking is True for x in spiking):
        reason = (
            "not kept: a checkpoint says what a net computes, not how it is trained; a net that is "
            "built has the framework's own"
        )
        yield Entry(Status.REWRITTEN, ("layers",), "surrogate gradients", reason)


def _warn(notes: Iterable[Entry]) -> None:
    for note in notes:
        if note.status is Status.DROPPED:
            warnings.warn(f"{note.what}: {note.reason}", stacklevel=3)
