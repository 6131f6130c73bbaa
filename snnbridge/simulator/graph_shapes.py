"""The shapes that layers take and give along the edges of a graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from snnbridge.errors import CheckpointError
from snnbridge.model import (
    UNKNOWN,
    Connection,
    Conv1d,
    Conv2d,
    Input,
    Layer,
    Linear,
    Neuron,
    Shape,
    Synapse,
)
from snnbridge.simulator.shapes import flattened, shape_in, shape_out

__all__ = ["flattened", "given_shape", "infer_shapes", "own_shape", "shape_in", "shapes_of"]

_SETTINGS = ("stride", "padding", "dilation", "groups", "window", "start", "end")


def shapes_of(
    layers: Mapping[str, Layer], connections: Iterable[Connection], *, strict: bool = False
) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Return the shapes that layers take and give, as far as they can be told.

    A layer takes what the first of its sources gives, or, as long as nothing is known of those,
    what it states itself, or what its parameters say behind a convolution.

    Parameters
    ----------
    layers : mapping of str to Layer
    connections : iterable of Connection
    strict : bool
        Whether a layer that does not take what feeds it is an error; otherwise nothing is told
        of what it gives.

    Raises
    ------
    CheckpointError
        If it is strict.
    """
    sources: dict[str, list[str]] = {name: [] for name in layers}
    targets: dict[str, list[str]] = {name: [] for name in layers}
    for edge in connections:
        sources[edge.target].append(edge.source)
        targets[edge.source].append(edge.target)
    given: dict[str, Shape] = {}

    def arriving(name: str) -> Shape | None:
        return next((given[source] for source in sources[name] if source in given), None)

    def own(name: str) -> Shape | None:
        behind = (layers[source] for source in sources[name])
        return shape_in(layers[name]) or _by_parameters(layers[name], behind)

    # All layers of a round see the same, so that their order decides nothing. What a layer states
    # itself counts where its sources tell nothing in the end.
    for alone in (False, True):
        pending: Iterable[str] = layers
        while pending:
            made = {}
            for name in pending:
                shape = arriving(name)
                if shape is None and (alone or not sources[name]):
                    shape = own(name)
                if name not in given:
                    made[name] = given_shape(layers[name], shape, strict=strict)
            found = {name: shape for name, shape in made.items() if shape is not None}
            given |= found
            pending = dict.fromkeys(target for name in found for target in targets[name])
    taken = {name: arriving(name) for name in layers}
    taken |= {name: own(name) for name, shape in taken.items() if shape is None}
    return {name: shape for name, shape in taken.items() if shape is not None}, given


def _by_parameters(layer: Layer, sources: Iterable[Layer]) -> Shape | None:
    """Return the shape of neurons on images that one of their parameters has in full."""
    if not isinstance(layer, Neuron | Synapse) or getattr(layer, "receptors", 1) != 1:
        return None
    held: list[Shape] = [p.value.shape for p in layer.parameters.values() if p.value is not UNKNOWN]
    for conv in (x for x in sources if isinstance(x, Conv1d | Conv2d)):
        for shape in held:
            full = len(shape) == conv.axes + 1 and shape[0] == conv.size[1] and 1 not in shape[1:]
            if full:
                return shape
    return None


def given_shape(layer: Layer, shape: Shape | None, *, strict: bool = False) -> Shape | None:
    """Return the shape that a layer gives for one that it takes; None if nothing tells it.

    Raises
    ------
    CheckpointError
        If it is strict, and the layer does not take the shape.
    """
    if any(getattr(layer, name, None) is UNKNOWN for name in _SETTINGS):
        return None
    try:
        return shape_out(layer, shape)
    except CheckpointError:
        if strict:
            raise
        return None


def infer_shapes(layers: Mapping[str, Layer], edges: Iterable[Connection]) -> dict[str, Layer]:
    """Give neurons and synapses the shape of what feeds them, where only one answer fits."""
    found = dict(layers)
    fed: dict[str, list[str]] = {}
    for edge in edges:
        fed.setdefault(edge.source, []).append(edge.target)
    pending = deque(name for name in fed if own_shape(found.get(name)) is not None)
    while pending:
        name = pending.popleft()
        shape = own_shape(found[name]) or ()
        for target in fed.get(name, ()):
            layer = found.get(target)
            if isinstance(layer, Neuron | Synapse) and layer.shape is UNKNOWN:
                if isinstance(layer, Synapse) and layer.receptors != 1:
                    continue
                found[target] = replace(layer, shape=shape)
                pending.append(target)
    return found


def own_shape(layer: Layer | None) -> Shape | None:
    """Return what a layer gives, as far as it tells that by itself."""
    if isinstance(layer, Linear) and layer.size[1] is not None:
        return (layer.size[1],)
    if isinstance(layer, Input | Neuron | Synapse) and layer.shape is not UNKNOWN:
        return layer.shape
    return None
