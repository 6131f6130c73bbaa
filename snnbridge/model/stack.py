"""The view of a checkpoint as a stack of weight matrices, derived from its graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence
from dataclasses import replace
from typing import Any, NoReturn, SupportsIndex, TypeVar, overload

import numpy as np

from snnbridge.errors import CheckpointError
from snnbridge.model.layers import Connection, Conv, Layer, Linear, Neuron, Opaque
from snnbridge.model.values import UNKNOWN, Array, Unknown

_T = TypeVar("_T")


class Stack:
    """What a checkpoint shows to tools that know a network as a list of weight matrices."""

    layers: dict[str, Layer]
    connections: tuple[Connection, ...] | Unknown

    @property
    def weights(self) -> MutableSequence[Array]:
        """The weights in order, shape (out, in) or (out, in/groups, ...); assigning writes through.

        Every layer with an array named ``weight`` counts.
        """
        return _Weights(self)

    @weights.setter
    def weights(self, values: Sequence[Array]) -> None:
        if len(values) != self.n_layers:
            raise CheckpointError(f"expected {self.n_layers} weights, found {len(values)}")
        self.weights[:] = values

    @property
    def layer_names(self) -> list[str]:
        """The names of the layers with weights, in order; a list that cannot be changed."""
        return Derived("layer_names", (layer.name for layer in self._weighted()))

    @property
    def layer_sizes(self) -> list[tuple[int, int]]:
        """Inputs and outputs (channels, for a convolution) of each layer with weights.

        A list that cannot be changed: the sizes are those of the weights.
        """
        return Derived("layer_sizes", map(_size, self._weighted()))

    @property
    def neuron_types(self) -> list[str]:
        """What the neurons behind each layer with weights are called; empty if there are none.

        A list that cannot be changed.
        """
        behind = neurons_behind(self.layers, self.connections)
        names = self.layer_names
        if not any(name in behind for name in names):
            return Derived("neuron_types", ())
        types = (type_name(behind[name]) if name in behind else "" for name in names)
        return Derived("neuron_types", types)

    @property
    def n_layers(self) -> int:
        """The number of layers with weights."""
        return len(self._weighted())

    @property
    def total_params(self) -> int:
        """The number of elements of all weights."""
        return sum(_weight(layer).size for layer in self._weighted())

    def _weighted(self) -> Sequence[Layer]:
        return self._by_name().weighted

    def _by_name(self) -> Layers:
        if not isinstance(self.layers, Layers):  # somebody assigned a plain dict
            self.layers = Layers(self.layers)
        return self.layers


class Layers(dict[str, Layer]):
    """Layers by name; which of them have weights is found once after each change."""

    _weighted: list[Layer] | None = None

    @property
    def weighted(self) -> Sequence[Layer]:
        """The layers that count in :attr:`Stack.weights`, in order."""
        if self._weighted is None:
            self._weighted = [layer for layer in self.values() if is_weighted(layer)]
        return self._weighted

    def put(self, index: int, weight: Array) -> None:
        """Replace the weight of one of :attr:`weighted`; its name and place stay."""
        old = self.weighted[index]
        new = with_parameter(old, "weight", weight)
        super().__setitem__(old.name, new)
        assert self._weighted is not None
        self._weighted[index] = new


def _forgetting(change: Callable[..., Any]) -> Callable[..., Any]:
    def changed(self: Layers, *args: Any, **more: Any) -> Any:
        self._weighted = None
        return change(self, *args, **more)

    changed.__name__, changed.__doc__ = change.__name__, change.__doc__
    return changed


for _name in (
    "__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update",
):  # fmt: skip
    setattr(Layers, _name, _forgetting(getattr(dict, _name)))


class Derived(list[_T]):
    """A list that is computed from a checkpoint: a change of it would be lost, and is refused."""

    def __init__(self, name: str, values: Iterable[_T]) -> None:
        super().__init__(values)
        self._name = name

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise CheckpointError(
            f"{self._name} is computed from the layers and cannot be changed; change the "
            "checkpoint's layers, or take a copy with list()"
        )

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[_T]]]:
        return list, (list(self),)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[type[list[Any]], tuple[list[_T]]]:
        return self.__reduce__()


class _Weights(MutableSequence[Any]):
    """The weights of a checkpoint as a list that writes through to its layers."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def __len__(self) -> int:
        return self._stack.n_layers

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...
    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        layers = self._stack._weighted()[index]
        return _weight(layers) if isinstance(layers, Layer) else [_weight(x) for x in layers]

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(index, slice):
            self._stack._by_name().put(index, np.asarray(value))
            return
        for i, one in zip(range(*index.indices(len(self))), value, strict=True):
            self[i] = one

    def __delitem__(self, index: Any) -> None:
        raise CheckpointError("a weight cannot be removed; remove its layer from layers")

    def insert(self, index: int, value: Any) -> None:
        """Refuse: a weight belongs to a layer."""
        raise CheckpointError("a weight cannot be added; add a layer to layers")

    def __iter__(self) -> Iterator[Array]:
        return iter([_weight(layer) for layer in self._stack._weighted()])

    def __repr__(self) -> str:
        return repr(list(self))


def is_weighted(layer: Layer) -> bool:
    """Whether a layer counts in :attr:`SNNCheckpoint.weights`.

    Parameters
    ----------
    layer : Layer

    Examples
    --------
    >>> from snnbridge.model import Neuron
    >>> is_weighted(Neuron("lif"))
    False
    """
    if isinstance(layer, Linear | Conv):
        return layer.size[1] is not None
    if not isinstance(layer, Opaque):
        return False
    held = layer.parameters.get("weight")
    return held is not None and held.value is not UNKNOWN


def with_parameter(layer: Layer, name: str, value: Array) -> Layer:
    """Return the layer with one parameter's array replaced; unit and trainable stay.

    Parameters
    ----------
    layer : Layer
    name : str
        One of the layer's parameters.
    value : numpy.ndarray
        Any dtype; the shape that the layer asks for.

    Raises
    ------
    CheckpointError
        If the layer has no such parameter or the shape does not fit.

    Examples
    --------
    >>> layer = Linear("fc", np.zeros((2, 3)))
    >>> with_parameter(layer, "weight", np.ones((2, 3), np.float32))
    Linear('fc', weight=float32[2,3])
    """
    if name not in layer.parameters:
        raise CheckpointError(f"layer {layer.name!r} ({layer.kind}) has no parameter {name!r}")
    held = replace(layer.parameters[name], value=value)
    if isinstance(getattr(type(layer), "parameters", None), property):
        changes: dict[str, Any] = {name: held}
        return replace(layer, **changes)
    return replace(layer, parameters={**layer.parameters, name: held})  # type: ignore[call-arg]


def neurons_behind(
    layers: dict[str, Layer], connections: tuple[Connection, ...] | Unknown
) -> dict[str, Neuron]:
    """Return the neuron that each layer with weights feeds, by the layer's name.

    Where the connections are unknown, the first neuron that stands after the layer.
    """
    if connections is not UNKNOWN:
        fed = ((c.source, layers[c.target]) for c in reversed(connections))
        return {name: layer for name, layer in fed if isinstance(layer, Neuron)}
    found: dict[str, Neuron] = {}
    weighted = None
    for layer in layers.values():
        if is_weighted(layer):
            weighted = layer.name
        elif isinstance(layer, Neuron) and weighted is not None:
            found.setdefault(weighted, layer)
    return found


def type_name(neuron: Neuron) -> str:
    """Return what the source calls a neuron's type."""
    return neuron.origin.kind if neuron.origin else neuron.model.upper()


def _weight(layer: Layer) -> Array:
    value = layer.parameters["weight"].value
    assert value is not UNKNOWN
    return value


def _size(layer: Layer) -> tuple[int, int]:
    weight = _weight(layer)
    outputs = weight.shape[0] if weight.ndim else 1
    if isinstance(layer, Conv) and layer.groups is not UNKNOWN:
        return weight.shape[1] * layer.groups, outputs
    return (weight.shape[1] if weight.ndim > 1 else 1), outputs
