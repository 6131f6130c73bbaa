"""The canonical checkpoint: a graph of layers, and what a training run keeps beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, overload

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model import graph
from snnbridge.model.layers import Connection, Layer, Neuron, Opaque, _Conv, by_name
from snnbridge.model.layers import Linear as LinearLayer
from snnbridge.model.values import (
    UNKNOWN,
    Array,
    Path,
    PerStep,
    Quantity,
    StateVariable,
    TimeStep,
    Tree,
    Unknown,
    check_name,
    check_tree,
    describe,
    parameter,
)


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
    """

    format: str = ""
    dialect: str = ""
    framework: str | Unknown = UNKNOWN
    framework_version: str | Unknown = UNKNOWN
    path: str = ""
    notes: tuple[str, ...] = ()


@dataclass(eq=False, repr=False, init=False)
class SNNCheckpoint:
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
        self.layers = by_name(layers)
        self.connections = UNKNOWN if connections is UNKNOWN else tuple(connections)
        self.dt = dt
        self.training = dict(training or {})
        self.state = dict(state or {})
        self.step = step
        self.metadata = dict(metadata or {})
        self.frozen_layers = list(frozen_layers)
        self.ties = tuple(frozenset(tuple(path) for path in tie) for tie in ties)
        self.extras = dict(extras or {})
        self.provenance = list(provenance)
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
        graph.check(self.layers, self.connections)
        self._check_frozen()
        self._check_state()
        self._check_ties()
        check_tree(self.training, "training")
        check_tree(self.metadata, "metadata", json_only=True)
        check_tree(self.extras, "extras")

    def _check_frozen(self) -> None:
        unknown = [name for name in self.frozen_layers if name not in self.layers]
        if unknown:
            raise CheckpointError(
                f"frozen_layers names {unknown[0]!r}, which is no layer; "
                f"expected some of {_some(self.layers)}"
            )
        if len(set(self.frozen_layers)) != len(self.frozen_layers):
            raise CheckpointError("frozen_layers names a layer twice")

    def _check_state(self) -> None:
        for path, variable in self.state.items():
            if not isinstance(path, tuple) or len(path) != 2:
                raise CheckpointError(f"a state's path is (layer, variable), not {path!r}")
            if path[0] not in self.layers:
                raise CheckpointError(f"state {path!r} belongs to no layer")
            check_name(path[1], f"a state of layer {path[0]!r}")
            if not isinstance(variable, StateVariable):
                raise CheckpointError(f"state {path!r} must be a StateVariable, not {variable!r}")

    def _check_ties(self) -> None:
        for path in (path for tie in self.ties for path in tie):
            if len(path) != 2 or path[0] not in self.layers:
                raise CheckpointError(f"a tie names {path!r}, which is no (layer, parameter)")
            if path[1] not in self.layers[path[0]].parameters:
                raise CheckpointError(f"a tie names {path!r}, but the layer has no such parameter")

    # The view of a feed-forward stack of weight matrices, derived from the graph.

    @property
    def weights(self) -> MutableSequence[Array]:
        """The weights in order, shape (out, in) or (out, in/groups, ...); assigning writes through.

        Every layer with an array named ``weight`` counts.
        """
        return _Weights(self)

    @weights.setter
    def weights(self, values: Sequence[Array]) -> None:
        if len(values) != len(self._weighted()):
            raise CheckpointError(f"expected {self.n_layers} weights, found {len(values)}")
        for i, value in enumerate(values):
            self.weights[i] = value

    @property
    def layer_names(self) -> list[str]:
        """The names of the layers with weights, in order."""
        return [layer.name for layer in self._weighted()]

    @property
    def layer_sizes(self) -> list[tuple[int, int]]:
        """Inputs and outputs (channels, for a convolution) of each layer with weights."""
        return [_size(layer) for layer in self._weighted()]

    @property
    def neuron_types(self) -> list[str]:
        """What the neurons behind each layer with weights are called; empty if there are none."""
        behind = self._neurons_behind()
        names = self.layer_names
        if not any(name in behind for name in names):
            return []
        return [_type_name(behind[name]) if name in behind else "" for name in names]

    @property
    def n_layers(self) -> int:
        """The number of layers with weights."""
        return len(self._weighted())

    @property
    def total_params(self) -> int:
        """The number of elements of all weights."""
        return sum(_weight(layer).size for layer in self._weighted())

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays of the layers and the state."""
        held = [p.value for layer in self.layers.values() for p in layer.parameters.values()]
        states = sum(variable.value.nbytes for variable in self.state.values())
        return states + sum(value.nbytes for value in held if value is not UNKNOWN)

    def _weighted(self) -> list[Layer]:
        return [layer for layer in self.layers.values() if is_weighted(layer)]

    def _neurons_behind(self) -> dict[str, Neuron]:
        """Return the neuron that each layer with weights feeds, by the layer's name."""
        if self.connections is not UNKNOWN:
            fed = ((c.source, self.layers[c.target]) for c in reversed(self.connections))
            return {name: layer for name, layer in fed if isinstance(layer, Neuron)}
        found: dict[str, Neuron] = {}
        weighted = None
        for layer in self.layers.values():
            if is_weighted(layer):
                weighted = layer.name
            elif isinstance(layer, Neuron) and weighted is not None:
                found.setdefault(weighted, layer)
        return found

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
        lines = [f"SNNCheckpoint: {len(self.layers)} layers, {self.total_params} weights"]
        lines += [f"  {layer!r}" for layer in list(self.layers.values())[:20]]
        if len(self.layers) > 20:
            lines.append(f"  ... and {len(self.layers) - 20} more")
        edges = "UNKNOWN" if self.connections is UNKNOWN else str(len(self.connections))
        lines.append(f"  connections: {edges}, dt: {describe(self.dt)}")
        if self.training:
            lines.append(f"  training: {', '.join(self.training)}")
        if self.frozen_layers:
            lines.append(f"  frozen: {', '.join(self.frozen_layers)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "<tr><th>layer</th><th>kind</th><th>parameters</th><th>frozen</th></tr>"
        rows = [
            "<tr>"
            + "".join(
                f"<td>{escape(text)}</td>"
                for text in (
                    layer.name,
                    layer.kind,
                    ", ".join(f"{n}: {describe(p.value)}" for n, p in layer.parameters.items()),
                    "yes" if layer.name in self.frozen_layers else "",
                )
            )
            + "</tr>"
            for layer in list(self.layers.values())[:200]
        ]
        edges = "unknown" if self.connections is UNKNOWN else str(len(self.connections))
        caption = f"{len(self.layers)} layers, connections: {edges}, dt: {describe(self.dt)}"
        return f"<table><caption>{escape(caption)}</caption>{head}{''.join(rows)}</table>"


def is_weighted(layer: Layer) -> bool:
    """Whether a layer counts in :attr:`SNNCheckpoint.weights`."""
    if not isinstance(layer, LinearLayer | _Conv | Opaque):
        return False
    held = layer.parameters.get("weight")
    return held is not None and held.value is not UNKNOWN


def _weight(layer: Layer) -> Array:
    value = layer.parameters["weight"].value
    assert value is not UNKNOWN
    return value


def _size(layer: Layer) -> tuple[int, int]:
    weight = _weight(layer)
    outputs = weight.shape[0] if weight.ndim else 1
    if isinstance(layer, _Conv) and layer.groups is not UNKNOWN:
        return weight.shape[1] * layer.groups, outputs
    return (weight.shape[1] if weight.ndim > 1 else 1), outputs


def _type_name(neuron: Neuron) -> str:
    return neuron.origin.kind if neuron.origin else neuron.model.upper()


def _some(names: Iterable[str], most: int = 8) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")


class _Weights(MutableSequence[Any]):
    """The weights of a checkpoint as a list that writes through to its layers."""

    def __init__(self, checkpoint: SNNCheckpoint) -> None:
        self._checkpoint = checkpoint

    def __len__(self) -> int:
        return self._checkpoint.n_layers

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...
    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        layers = self._checkpoint._weighted()[index]
        return [_weight(x) for x in layers] if isinstance(layers, list) else _weight(layers)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            for i, one in zip(range(*index.indices(len(self))), value, strict=True):
                self[i] = one
            return
        layer = self._checkpoint._weighted()[index]
        self._checkpoint.layers[layer.name] = with_parameter(layer, "weight", np.asarray(value))

    def __delitem__(self, index: Any) -> None:
        raise CheckpointError("a weight cannot be removed; remove its layer from layers")

    def insert(self, index: int, value: Any) -> None:
        """Refuse: a weight belongs to a layer."""
        raise CheckpointError("a weight cannot be added; add a layer to layers")

    def __iter__(self) -> Iterator[Array]:
        return iter([_weight(layer) for layer in self._checkpoint._weighted()])

    def __repr__(self) -> str:
        return repr(list(self))


def with_parameter(layer: Layer, name: str, value: Array) -> Layer:
    """Return the layer with one parameter's array replaced; unit and trainable stay.

    Parameters
    ----------
    layer : Layer
    name : str
        One of the layer's parameters.
    value : numpy.ndarray

    Raises
    ------
    CheckpointError
        If the layer has no such parameter or the shape does not fit.
    """
    if name not in layer.parameters:
        raise CheckpointError(f"layer {layer.name!r} ({layer.kind}) has no parameter {name!r}")
    held = replace(layer.parameters[name], value=value)
    if isinstance(getattr(type(layer), "parameters", None), property):
        changes: dict[str, Any] = {name: held}
        return replace(layer, **changes)
    return replace(layer, parameters={**layer.parameters, name: parameter(held)})  # type: ignore[call-arg]
