"""The canonical checkpoint: a graph of layers, and what a training run keeps beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from snnbridge.errors import CheckpointError
from snnbridge.model import beside, display, graph
from snnbridge.model.checks import check_tree
from snnbridge.model.layers import Connection, Layer
from snnbridge.model.layers.structure import by_name, edges
from snnbridge.model.stack import Layers, Stack
from snnbridge.model.values import (
    UNKNOWN,
    Path,
    PerStep,
    Quantity,
    StateVariable,
    TimeStep,
    Tree,
    Unknown,
)

#: What digests say of a file.
Integrity = Literal["", "intact", "changed", "unchecked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """Where a checkpoint was read from; it is no part of the checkpoint's value.

    Parameters
    ----------
    format, dialect : str
        The name of the format and which of its variants.
    framework : str or UNKNOWN
        The framework that wrote the file.
    framework_version : str or UNKNOWN
    path : str
    notes : tuple of str
        What the reader had to decide or could not tell, for people to read.
    integrity : {"", "intact", "changed", "unchecked"}
        What the digests in the file say of it: all are right; another program saved it since, or
        it was damaged; they were not compared. Empty where no digests cover the file.
    assumed : set of paths
        What the file does not say and the reader assumed, as its notes tell: a spec may state
        something else.
    """

    format: str = ""
    dialect: str = ""
    framework: str | Unknown = UNKNOWN
    framework_version: str | Unknown = UNKNOWN
    path: str = ""
    notes: tuple[str, ...] = ()
    integrity: Integrity = ""
    assumed: frozenset[Path] = frozenset()


@dataclass(eq=False, repr=False, init=False)
class SNNCheckpoint(Stack):
    """A spiking network and its training state, in no framework's terms.

    Nothing that is handed in is copied or changed; arrays may be read-only views of a file.

    Parameters
    ----------
    layers : iterable of Layer, or mapping of str to Layer
        In the order in which the source states them.
    connections : iterable of Connection, or UNKNOWN
        The edges; cycles are allowed where each holds at least one step of delay.
    dt : Quantity or PER_STEP or UNKNOWN
        The time step.
    training : mapping
        What a training run keeps beside the net: epoch, loss, optimizer state; a tree of JSON
        values, bytes and arrays.
    state : mapping of (layer, variable) to StateVariable
        Membrane potentials (``v``), synaptic currents (``i``), spikes, delay lines.
    step : int or None or UNKNOWN
        The index of the next time step; ``None`` where there is no state.
    metadata : mapping
        The user's own JSON tree.
    frozen_layers : iterable of str
        Names of layers that training does not change.
    ties : iterable of sets of paths
        Parameters, as (layer, parameter), that share one array.
    extras : mapping of str to tree
        By format: what a source held and the model has no word for.
    provenance : list
        The history of conversions, a JSON tree; no part of the checkpoint's value.
    source : SourceInfo, optional
        Where it was read from; no part of its value, and never written.

    Raises
    ------
    CheckpointError
        Naming the layer and what does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from snnbridge import Connection, Linear, Neuron, SNNCheckpoint
    >>> checkpoint = SNNCheckpoint(
    ...     [Linear("fc", np.zeros((2, 3), np.float32)), Neuron("lif", (2,))],
    ...     connections=[Connection("fc", "lif")],
    ... )
    >>> checkpoint.total_params
    6
    """

    layers: dict[str, Layer]
    connections: tuple[Connection, ...] | Unknown
    dt: TimeStep
    training: dict[str, Tree]
    state: dict[Path, StateVariable]
    step: int | Unknown | None
    metadata: dict[str, Tree]
    frozen_layers: list[str]
    ties: tuple[frozenset[Path], ...]
    extras: dict[str, Tree]
    provenance: list[Tree]
    source: SourceInfo | None

    def __init__(
        self,
        layers: Mapping[str, Layer] | Iterable[Layer] = (),
        connections: Iterable[Connection] | Unknown = UNKNOWN,
        dt: TimeStep = UNKNOWN,
        training: Mapping[str, Tree] | None = None,
        state: Mapping[Path, StateVariable] | None = None,
        step: int | Unknown | None = None,
        metadata: Mapping[str, Tree] | None = None,
        frozen_layers: Iterable[str] = (),
        ties: Iterable[Iterable[Iterable[str]]] = (),
        extras: Mapping[str, Tree] | None = None,
        provenance: Iterable[Tree] = (),
        source: SourceInfo | None = None,
    ) -> None:
        self.layers = Layers(by_name(layers))
        self.connections = edges(connections)
        self.dt = dt
        self.training = beside.as_mapping(training, "training")
        self.state = beside.as_mapping(state, "state")
        self.step = step
        self.metadata = beside.as_mapping(metadata, "metadata")
        self.frozen_layers = beside.as_items(frozen_layers, "frozen_layers")
        self.ties = beside.as_ties(ties)
        self.extras = beside.as_mapping(extras, "extras")
        self.provenance = beside.as_items(provenance, "provenance")
        self.source = source
        self.validate()

    def validate(self) -> None:
        """Check every rule of the model; `write` and `convert` call it again.

        Raises
        ------
        CheckpointError
            Naming the layer and what does not fit.
        """
        by_name(self.layers)
        if not isinstance(self.dt, Quantity | PerStep | Unknown):
            raise CheckpointError(f"dt must be a Quantity, PER_STEP or UNKNOWN, not {self.dt!r}")
        graph.check(self.layers, edges(self.connections))
        beside.check_step(self.step)
        beside.check_frozen(self.frozen_layers, self.layers)
        beside.check_state(self.state, self.layers)
        beside.check_ties(self.ties, self.layers)
        for name in ("training", "metadata", "extras"):
            beside.as_mapping(getattr(self, name), name)
        check_tree(self.training, "training")
        check_tree(self.metadata, "metadata", json_only=True)
        check_tree(self.extras, "extras")
        check_tree(beside.as_items(self.provenance, "provenance"), "provenance", json_only=True)

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays of the layers and the state."""
        held = [p.value for layer in self.layers.values() for p in layer.parameters.values()]
        states = sum(variable.value.nbytes for variable in self.state.values())
        return states + sum(value.nbytes for value in held if value is not UNKNOWN)

    def unknown(self) -> list[Path]:
        """Return the path of everything that the source does not state."""
        found: list[Path] = [
            (name,) for name in ("connections", "dt", "step") if getattr(self, name) is UNKNOWN
        ]
        if self.connections is not UNKNOWN:
            found += [
                ("connections", c.source, c.target, "delay")
                for c in self.connections
                if c.delay is UNKNOWN
            ]
        for layer in self.layers.values():
            found += [("layers", layer.name, what) for what in layer.unknown()]
        found += [
            ("state", *path, "batch_axis")
            for path, variable in self.state.items()
            if variable.batch_axis is UNKNOWN
        ]
        return found

    def __repr__(self) -> str:
        return display.as_text(self)

    def _repr_html_(self) -> str:
        return display.as_html(self)


def expect_checkpoint(value: object) -> None:
    """Refuse what is no checkpoint.

    Raises
    ------
    CheckpointError
        Saying what it is.

    Examples
    --------
    >>> expect_checkpoint(SNNCheckpoint())
    """
    if not isinstance(value, SNNCheckpoint):
        raise CheckpointError(
            f"expected an SNNCheckpoint, found {type(value).__name__} {repr(value)[:60]}; "
            "snnbridge.read gives one from a file"
        )
