"""Saving a network of BrainPy with everything that its checkpoint leaves out, and building one.

A file of BrainPy holds variables: no time constants, no thresholds, no time step, no rule, and
outside training mode no weights. :func:`export` runs where the network does, writes the
framework's own tree and puts the rest behind it, where ``brainpy.load_state`` does not look.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from snnbridge import bridge, rules
from snnbridge.errors import CheckpointError
from snnbridge.frameworks.building.brainpy_network import network
from snnbridge.frameworks.building.builder import expressed_for
from snnbridge.frameworks.reading.brainpy_edges import connections as connections_of
from snnbridge.frameworks.reading.brainpy_nodes import (
    arguments_of,
    batch_axis_of,
    kind_of,
    settings_of,
    start_of,
    trained_in,
)
from snnbridge.ledger import Ledger
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Conv1d,
    Conv2d,
    Layer,
    Neuron,
    Opaque,
    Origin,
    Quantity,
    SNNCheckpoint,
    Synapse,
    parameter,
)
from snnbridge.model.values import SECONDS
from snnbridge.node_trees import WEIGHTED, from_tree, is_net, nodes_of, state_of
from snnbridge.simulator.graph_shapes import infer_shapes

__all__ = ["build", "checkpoint_of", "export"]

#: Source and target, or those and the steps of the delay between them.
Edge = Connection | tuple[str, str] | tuple[str, str, int]


def export(
    net: Any,
    path: str | os.PathLike[str],
    *,
    dt: float | str | Quantity | None = None,
    connections: Iterable[Edge] | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Ledger:
    """Save a running network so that every other format can take it.

    Parameters
    ----------
    net : brainpy.DynamicalSystem
    path : str or path
        The file; ``brainpy.checkpoints.load_pytree`` loads it as one of its own.
    dt : float or str or Quantity, optional
        The time step, in milliseconds where it is a number; ``brainpy.math.get_dt()`` if it is
        not given.
    connections : iterable of edges, optional
        Names of nodes, as ``("Dense0", "Lif0")`` or with a delay in steps. They are known
        without being given where the whole network is a ``Sequential`` of layers or was made by
        :func:`build`, and UNKNOWN everywhere else.
    input_shape : tuple of int, optional
        Of what the network takes at one step, without batch: ``(height, width, channels)``. A
        network that starts with a convolution does not say it.

    Returns
    -------
    Ledger

    Raises
    ------
    TypeError
        If `net` is no network of BrainPy.
    CheckpointError
        If a connection names no layer, or `input_shape` does not fit.
    WriteError
        If the file cannot be written; the old one is still there.

    Examples
    --------
    >>> from snnbridge.frameworks.brainpy import export
    >>> export(net, "snn.bp", connections=[("Dense0", "Lif0")])  # doctest: +SKIP
    """
    checkpoint = checkpoint_of(net, dt=dt, connections=connections, input_shape=input_shape)
    return bridge.write(checkpoint, os.fspath(path), format="brainpy")


def checkpoint_of(
    net: Any,
    *,
    dt: float | str | Quantity | None = None,
    connections: Iterable[Edge] | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> SNNCheckpoint:
    """Return a running network as a checkpoint; see :func:`export` for the parameters."""
    brainpy = import_module("brainpy")
    if not is_net(net):
        raise TypeError(f"expected a network of BrainPy, found {type(net).__name__!r}")
    nodes = nodes_of(net)
    tree = {name: _arrays(state_of(node)) for name, node in nodes.items()}
    constants = {name: _constants(name, node, tree[name]) for name, node in nodes.items()}
    full = {name: {**entries, **constants[name]} for name, entries in tree.items()}
    kinds = {name: kind_of(node) for name, node in nodes.items()}
    axes = {name: batch_axis_of(node) for name, node in nodes.items()}
    checkpoint = from_tree(full, net=".", classes=kinds, batch_axes=axes)
    checkpoint.layers = {
        name: _stated(layer, nodes[name], kinds[name], brainpy.__version__)
        for name, layer in checkpoint.layers.items()
    }
    checkpoint.extras = {"brainpy": _layout(checkpoint, tree, constants, nodes)}
    checkpoint.dt = _time_step(brainpy.math.get_dt() if dt is None else dt)
    checkpoint.connections = connections_of(net, nodes, checkpoint.layers, connections)
    if input_shape is not None:
        _state_input_shape(checkpoint, input_shape)
    checkpoint.validate()
    return checkpoint


def _state_input_shape(checkpoint: SNNCheckpoint, shape: tuple[int, ...]) -> None:
    """State the size of the images that the first convolutions take."""
    if checkpoint.connections is UNKNOWN:
        raise CheckpointError("input_shape needs known connections; give connections=[...], too")
    fed = {c.target for c in checkpoint.connections}
    checkpoint.layers = {
        name: replace(layer, input_shape=shape[:-1])
        if isinstance(layer, Conv1d | Conv2d) and name not in fed
        else layer
        for name, layer in checkpoint.layers.items()
    }
    checkpoint.layers = infer_shapes(checkpoint.layers, checkpoint.connections)


def build(checkpoint: SNNCheckpoint, *, allow_loss: bool = False) -> Any:
    """Return a live net of BrainPy with a checkpoint's values, in training mode.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Its connections known. Neurons of another framework become BrainPy's, by
        :func:`snnbridge.express.express`.
    allow_loss : bool
        Build also what does not quite do the same: spikes at most once in a step, or gives its
        outputs some steps earlier.

    Returns
    -------
    brainpy.Sequential or brainpy.DynSysGroup
        Its nodes have the layers' names; a group where a layer feeds several others, or spikes
        come back one step later. The time step of BrainPy, ``brainpy.math.get_dt()``, is now the
        checkpoint's.

    Raises
    ------
    CheckpointError
        Naming a layer of which something is not known, or that waits for longer than a step.
    WriteError
        Naming the layer that none of its classes computes, and why.
    LossyWrite
        If the net would not quite do the same and `allow_loss` is not given.
    UnknownValue
        If the rule of such a neuron is not known.

    Examples
    --------
    >>> from snnbridge.frameworks import brainpy
    >>> net = brainpy.build(snnbridge.read("net.bp"))  # doctest: +SKIP
    """
    checkpoint = expressed_for(checkpoint, "brainpy", allow_loss=allow_loss)
    if not isinstance(checkpoint.dt, Quantity):
        raise CheckpointError("BrainPy needs a time step in milliseconds; state dt in a spec")
    import_module("brainpy").math.set_dt(checkpoint.dt.seconds / SECONDS["ms"])
    return network(checkpoint)


def _arrays(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _as_array(value) for key, value in state.items()}


def _as_array(value: Any) -> Any:
    """Take BrainPy's and JAX's wrappers off an array; anything else passes."""
    inner = getattr(value, "value", value)
    return np.asarray(inner) if hasattr(inner, "dtype") and hasattr(inner, "shape") else value


def _constants(name: str, node: Any, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights that are no variables: those of a network outside training mode."""
    found = {}
    if kind_of(node) in WEIGHTED:
        for attribute in ("W", "w", "b"):
            value = _as_array(getattr(node, attribute, None))
            if isinstance(value, np.ndarray) and f"{name}.{attribute}" not in entries:
                found[f"{name}.{attribute}"] = value
    return found


def _layout(
    checkpoint: SNNCheckpoint,
    tree: Mapping[str, Mapping[str, Any]],
    constants: Mapping[str, Mapping[str, Any]],
    nodes: Mapping[str, Any],
) -> dict[str, Any]:
    """Note what stands in the framework's own tree, and what does not."""
    noted = checkpoint.extras["brainpy"]["nodes"] if checkpoint.extras else {}
    layout: dict[str, Any] = {
        "net": [],
        "nodes": {name: {} if constants[name] else noted.get(name, True) for name in tree},
        "modes": {name: type(node.mode).__name__ for name, node in nodes.items()},
    }
    apart = [
        [name, "bias" if key.endswith(".b") else "weight"]
        for name, held in constants.items()
        for key in held
    ]
    return layout | ({"apart": apart} if apart else {})


def _stated(layer: Layer, node: Any, kind: str, version: str) -> Layer:
    """Return a layer with everything that its node says of itself."""
    layer = replace(layer, origin=Origin("brainpy", kind, version))
    trained = trained_in(node)
    if isinstance(layer, Opaque):
        return replace(layer, settings={**layer.settings, **settings_of(node)})
    known = rules.of(layer)
    if known is None:  # what the class does in this release was never measured
        return layer
    layer = known.state(layer, arguments_of(node, layer, known))
    if isinstance(layer, Neuron | Synapse):
        names = {a.parameter for key, a in known.arguments.items() if key in trained}
        # An argument that is None stands for none, or for what the class computes from others.
        held = {n: p for n, p in layer.parameters.items() if p.value is not UNKNOWN}
        told = {n: replace(p, trainable=n in names) for n, p in held.items()}
        start = start_of(node)
        if start is not None:
            told["v_init"] = parameter(start)
        return replace(layer, parameters=told)
    return _with_trained(layer, trained)


def _with_trained(layer: Layer, trained: set[str]) -> Layer:
    fields = {"weight": ("W", "w", "scale"), "bias": ("b", "bias")}
    changes: dict[str, Any] = {
        name: replace(layer.parameters[name], trainable=not trained.isdisjoint(attributes))
        for name, attributes in fields.items()
        if name in layer.parameters
    }
    return replace(layer, **changes)


def _time_step(dt: float | str | Quantity) -> Quantity:
    if isinstance(dt, Quantity):
        return dt
    if isinstance(dt, str):
        number, _, unit = dt.partition(" ")
        return Quantity(float(number), unit.strip() or "ms")
    return Quantity(float(dt), "ms")
