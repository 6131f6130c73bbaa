"""SpikingJelly's LinearRecurrentContainer: one weight for the input and for the last output.

``<name>.rc.weight`` has a row for each input of the container; as many columns take the input, and
those behind them what ``<name>.sub_module`` gave in the step before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from snnbridge import UNKNOWN, Layer, Linear, Origin
from snnbridge.document import ArrayForm
from snnbridge.model import Array, Path

ORIGIN = Origin("spikingjelly", "LinearRecurrentContainer")
_OWN, _BACK, _INSIDE = "rc", "recurrent", "sub_module"


def is_container(name: str, arrays: Mapping[str, Array], modules: Collection[str]) -> bool:
    """Whether a weighted module is the ``rc`` of such a container.

    A container around a neuron gives as many values as it takes; around anything else it has
    modules with arrays below ``sub_module``.

    Parameters
    ----------
    name : str
    arrays : mapping of str to array
        ``weight``, and perhaps ``bias``.
    modules : collection of str
        The names of all modules that have arrays.
    """
    owner, _, own = name.rpartition(".")
    weight = arrays["weight"]
    if own != _OWN or not owner or weight.ndim != 2 or f"{owner}.{_BACK}" in modules:
        return False
    rows, columns = weight.shape
    inside = any(f"{x}.".startswith(f"{owner}.{_INSIDE}.") for x in modules)
    return bool(columns > rows if inside else columns == 2 * rows)


def parted(name: str, arrays: Mapping[str, Array]) -> tuple[Linear, Linear]:
    """Return the layer for the input, with the bias, and that for the last output."""
    weight, n = arrays["weight"], arrays["weight"].shape[0]
    first = Linear(name, weight[:, :n], arrays.get("bias"), origin=ORIGIN)
    return first, Linear(_back(name), weight[:, n:], origin=ORIGIN)


def note(name: str, weight: Array) -> str:
    """Say what is told by the key and the shape, and what is not."""
    owner, n = name.rpartition(".")[0], weight.shape[0]
    return (
        f"{name}: read as the weight of SpikingJelly's LinearRecurrentContainer, {n} columns for "
        f"the input and {weight.shape[1] - n} for what {owner}.{_INSIDE} gave in the step before"
    )


def joined(
    layers: Mapping[str, Layer], layer: Linear
) -> tuple[Array, list[tuple[Path, ArrayForm]]]:
    """Return the one weight of a container, and which of its columns each layer has.

    Nothing, twice, if the layer is no container's ``rc``.
    """
    empty: tuple[Array, list[tuple[Path, ArrayForm]]] = np.zeros(0), []
    back = layers.get(_back(layer.name))
    if layer.name.rpartition(".")[2] != _OWN or not isinstance(back, Linear):
        return empty
    inside = f"{layer.name.rpartition('.')[0]}.{_INSIDE}" in layers
    held = [x.parameters["weight"].value for x in (layer, back)]
    if not (inside or layer.origin == ORIGIN) or any(w is UNKNOWN for w in held):
        return empty
    left, right = (np.asarray(w) for w in held)
    if left.shape[0] != left.shape[1] or left.shape[0] != right.shape[0]:
        return empty
    if left.dtype != right.dtype:
        return empty
    both = np.concatenate([left, right], axis=1)
    return both, list(columns_of(layer.name, both))


def columns_of(name: str, weight: Array) -> Iterator[tuple[Path, ArrayForm]]:
    """Give the place of each layer's weight in that of a container."""
    n, both = weight.shape
    yield ("layers", name, "weight"), ArrayForm(columns=(0, n))
    yield ("layers", _back(name), "weight"), ArrayForm(columns=(n, both))


def is_joined(layers: Mapping[str, Layer], layer: Linear) -> bool:
    """Whether a layer's weight stands in that of a container's ``rc``."""
    owner, _, own = layer.name.rpartition(".")
    first = layers.get(f"{owner}.{_OWN}")
    return own == _BACK and isinstance(first, Linear) and bool(joined(layers, first)[1])


def _back(name: str) -> str:
    return f"{name.rpartition('.')[0]}.{_BACK}"
