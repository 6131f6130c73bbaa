"""Side files: what a checkpoint's file does not say, stated by its owner.

A spec is TOML or JSON. Its keys at the top::

    dt = "1.0 ms"                     # or "per step"
    chains = [["fc1", "lif1", "fc2"]] # each name feeds the next
    connections = [["lif1", "fc1", 1]]# further edges: source, target, delay in steps
    version = "2.8.2"                 # of the framework that wrote the file
    step = 0                          # the index of the next time step
    frozen_layers = ["fc1"]

    [layers.lif1]                     # by the layer's name
    tau = 10.0                        # the framework's own arguments; its own units
    V_th = 1.0

A layer inside a graph has the name ``outer/inner``. Any other key at the top states an argument
for every layer whose class has it. A layer that the file does not hold, because it has no arrays,
is added by stating its ``class`` or its ``kind``; a class that holds a synapse brings that along.
The value ``"?"`` states nothing, so that a form to fill in is a valid spec. ``defaults = true``, at
the top or in a layer, takes the framework's own defaults for what is not stated.

A spec adds what a file does not say, and goes before what its reader assumed. What contradicts the
file is refused, and what came from a
spec is told in the checkpoint's ``source.notes``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from snnbridge import rules
from snnbridge.errors import CheckpointError, SpecError
from snnbridge.model import UNKNOWN, Connection, Layer, SNNCheckpoint, SourceInfo, Subgraph, Unknown
from snnbridge.simulator.graph_shapes import infer_shapes
from snnbridge.spec import composite, nesting, network, pools
from snnbridge.spec.classes import refuse_open_loops, with_class
from snnbridge.spec.layers import Shared, apply_layer, new_layer, takes
from snnbridge.spec.loading import load
from snnbridge.spec.settling import without_assumed
from snnbridge.spec.skeleton import skeleton
from snnbridge.spec.values import flag, short, table

__all__ = ["Spec", "apply", "load", "skeleton"]

Spec: TypeAlias = Mapping[str, Any]
_TOP = (
    "dt", "chains", "connections", "version", "step", "frozen_layers", "layers", "defaults",
)  # fmt: skip


def apply(checkpoint: SNNCheckpoint, spec: Spec | str | Path) -> SNNCheckpoint:
    """Return the checkpoint with what the spec states.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Stays as it is.
    spec : mapping or path
        As :func:`load` returns it, or the file; the module's text has the keys.

    Returns
    -------
    SNNCheckpoint
        Its ``source.notes`` say how many values came from the spec, and which defaults.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecError
        For a layer, an argument or a value that does not fit, or that contradicts the checkpoint,
        naming it.

    Examples
    --------
    >>> from snnbridge import Neuron, Origin, SNNCheckpoint, spec
    >>> bare = SNNCheckpoint([Neuron("lif", origin=Origin("brainpy", "Lif"))])
    >>> stated = spec.apply(bare, {"dt": "0.1 ms", "layers": {"lif": {"tau": 5.0}}})
    >>> stated.layers["lif"].parameters["tau"], stated.dt
    (Parameter(5.0 ms), Quantity(value=0.1, unit='ms'))
    >>> stated.source.notes
    ('the spec states 2 values that the file does not',)
    """
    if isinstance(spec, Mapping):
        stated, name, where = spec, "the spec", ""
    else:
        stated, name, where = load(spec), str(spec), f"{spec}: "
    try:
        return _apply(checkpoint, stated, name)
    except SpecError as error:
        raise SpecError(f"{where}{error}") from error
    except CheckpointError as error:
        raise SpecError(f"{where}the spec does not fit the checkpoint: {error}") from error


def _apply(checkpoint: SNNCheckpoint, spec: Spec, name: str) -> SNNCheckpoint:
    spec = table(spec, "a spec")
    own = {
        key: table(value, f"layers.{key}")
        for key, value in table(spec.get("layers", {}), "layers").items()
    }
    layers = dict(checkpoint.layers)
    known = dict(nesting.inner_layers(layers))
    own, synapses = composite.parted(own, known, spec, checkpoint)
    own = pools.with_axes(own, known, spec, checkpoint)
    added = {key: new_layer(key, value) for key, value in own.items() if key not in known}
    layers |= added
    known |= added
    classed = (with_class(x, own.get(key, {}), f"layer {key!r}") for key, x in known.items())
    shared = _shared(spec, classed)
    axes = {key: value.pop("batch_axis") for key, value in own.items() if "batch_axis" in value}
    states = _by_layer(checkpoint)
    assumed = (checkpoint.source or SourceInfo()).assumed
    changed = {
        key: apply_layer(
            layer, own.get(key, {}), shared, states.get(key, {}),
            bare=None if key in added else without_assumed(layer, key, assumed),
        )
        for key, layer in known.items()
        if not isinstance(layer, Subgraph) or key in own
    }  # fmt: skip
    layers = nesting.with_inner(layers, changed)
    layers, edges = _connected(spec, layers, checkpoint.connections)
    if checkpoint.connections is UNKNOWN:
        edges = composite.wired(edges, composite.of_classes(layers))
    else:
        edges = composite.wired(edges, synapses)
    if edges is not UNKNOWN:
        refuse_open_loops(checkpoint.layers, layers, edges)
        layers = infer_shapes(layers, edges)
    return replace(
        checkpoint,
        layers=layers,
        connections=edges,
        dt=network.stated_dt(spec, checkpoint.dt),
        step=network.stated_step(spec, checkpoint.step),
        frozen_layers=network.stated_frozen(spec, checkpoint),
        state=network.batch_axes(checkpoint, layers, axes),
        source=_noted(checkpoint, spec, shared, name, composite.told(synapses, layers, name)),
    )


def _connected(
    spec: Spec, layers: dict[str, Layer], held: tuple[Connection, ...] | Unknown
) -> tuple[dict[str, Layer], Any]:
    """Return the layers and the edges with the delays that a spec states, inside graphs too."""
    if held is UNKNOWN or not any(isinstance(layer, Subgraph) for layer in layers.values()):
        return layers, network.connections(spec, held)
    edges = network.connections(spec, tuple(nesting.inner_edges(layers, held)))
    return nesting.with_delays(layers, iter(edges[len(held) :])), edges[: len(held)]


def _shared(spec: Spec, layers: Iterable[Layer]) -> Shared:
    """Return what the spec states for every layer; each word must mean something to one."""
    version = spec.get("version", UNKNOWN)
    if version is not UNKNOWN and rules.release(version) is None:
        raise SpecError(f'version must be like "2.8.2", not {short(version)}')
    arguments = {key: value for key, value in spec.items() if key not in _TOP}
    one_of_each = {(layer.origin, layer.kind): layer for layer in layers}
    for key in arguments:
        if not any(takes(layer, key) for layer in one_of_each.values()):
            raise SpecError(f"{key!r} is neither a key of a spec nor an argument of any layer")
    return Shared(arguments, version, flag(spec.get("defaults", False), "defaults"))


def _by_layer(checkpoint: SNNCheckpoint) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (layer, variable), held in checkpoint.state.items():
        found.setdefault(layer, {})[variable] = held
    return found


def _noted(
    checkpoint: SNNCheckpoint, spec: Spec, shared: Shared, name: str, more: Iterable[str]
) -> SourceInfo | None:
    """Say in the notes what is not the file's own."""
    notes = []
    count = shared.stated + sum(key in spec for key in _TOP if key not in ("layers", "defaults"))
    if count:
        values = "values" if count > 1 else "value"
        notes.append(f"{name} states {count} {values} that the file does not")
    for word, kind in shared.renamed:
        notes.append(f"{name} gives the class {kind!r} to what the file calls {word!r}")
    notes += more
    for framework, names in shared.taken.items():
        if names:
            version = "" if shared.version is UNKNOWN else f" {shared.version}"
            notes.append(
                f"{name} takes the defaults of {framework}{version} for {', '.join(names)}"
            )
    if not notes:
        return checkpoint.source
    source = checkpoint.source or SourceInfo()
    return replace(source, notes=(*source.notes, *notes))
