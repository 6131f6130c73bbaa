"""Modules without a state: weights, norms, and arrays that nothing is known of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnbridge import BatchNorm, Conv1d, Conv2d, Layer, Linear, Opaque, Origin, Scale
from snnbridge.document import AS_IT_IS, TRANSPOSED
from snnbridge.model import Array
from snnbridge_plugins.module_keys import key_of
from snnbridge_plugins.torch import containers, orientation
from snnbridge_plugins.torch.found import Found

_WEIGHTED = {2: Linear, 3: Conv1d, 4: Conv2d}
_NORM = {"running_mean": "mean", "running_var": "variance", "weight": "weight", "bias": "bias"}


def add_plain(
    found: Found,
    name: str,
    arrays: Mapping[str, Array],
    modules: set[str],
    turned: bool | None,
) -> None:
    """Add a module without a state.

    Parameters
    ----------
    found : Found
    name : str
    arrays : mapping of str to array
    modules : set of str
        The names of all modules that have arrays.
    turned : bool or None
        Whether its matrix is (in, out); None where that cannot be told.
    """
    if turned is None:
        _add_opaque(found, name, arrays, Origin(orientation.ROCKPOOL, "?"))
    elif name == "" or name in found.layers:
        _add_opaque(found, name, arrays)
    elif "running_mean" in arrays and _is_norm(arrays):
        _add_norm(found, name, arrays)
    elif _is_weighted(arrays, turned=turned):
        _add_weighted(found, name, arrays, modules, turned=turned)
    elif _is_stored_twice(found, name, arrays):
        found.places[f"{name}.V"] = found.places[f"{name.rpartition('.')[0]}.V"]
    else:
        _add_opaque(found, name, arrays)


def _is_stored_twice(found: Found, name: str, arrays: Mapping[str, Array]) -> bool:
    """Whether it is the recurrent factor of snnTorch, which stands at the neuron as well."""
    first = found.layers.get(f"{name.rpartition('.')[0]}.V")
    if set(arrays) != {"V"} or not isinstance(first, Scale):
        return False
    held: Any = first.parameters["factor"].value
    again = arrays["V"]
    return held.dtype == again.dtype and bool(np.array_equal(held, again))


def _is_norm(arrays: Mapping[str, Array]) -> bool:
    held = [array for key, array in arrays.items() if key in _NORM]
    known = set(arrays) <= {*_NORM, "num_batches_tracked"} and "running_var" in arrays
    return known and all(a.ndim == 1 and a.shape == held[0].shape for a in held)


def _add_norm(found: Found, name: str, arrays: Mapping[str, Array]) -> None:
    held = {key: _NORM[key] for key in arrays if key in _NORM}
    fields: dict[str, Any] = {field: arrays[key] for key, field in held.items()}
    found.add(BatchNorm(name, **fields), {key_of(name, key): field for key, field in held.items()})
    if "num_batches_tracked" in arrays:
        found.others[f"{name}.num_batches_tracked"] = arrays["num_batches_tracked"]


def _is_weighted(arrays: Mapping[str, Array], *, turned: bool) -> bool:
    weight, bias = arrays.get("weight"), arrays.get("bias")
    if weight is None or not set(arrays) <= {"weight", "bias"} or weight.ndim not in _WEIGHTED:
        return False
    outputs = weight.shape[1 if turned else 0]
    return bias is None or bias.shape == (outputs,)


def _add_weighted(
    found: Found, name: str, arrays: Mapping[str, Array], modules: set[str], *, turned: bool
) -> None:
    if containers.is_container(name, arrays, modules):
        _add_container(found, name, arrays)
        return
    form = TRANSPOSED if turned else AS_IT_IS
    weight = form.held(arrays["weight"])
    origin = Origin(orientation.ROCKPOOL, orientation.LINEAR) if turned else None
    layer: Layer = _WEIGHTED[weight.ndim](name, weight, arrays.get("bias"), origin=origin)
    found.add(layer, {key_of(name, "weight"): "weight"}, form)
    if "bias" in arrays:
        found.add(layer, {key_of(name, "bias"): "bias"})


def _add_container(found: Found, name: str, arrays: Mapping[str, Array]) -> None:
    for layer in containers.parted(name, arrays):
        found.layers[layer.name] = layer
    found.places[key_of(name, "weight")] = next(containers.columns_of(name, arrays["weight"]))
    if "bias" in arrays:
        found.places[key_of(name, "bias")] = (("layers", name, "bias"), AS_IT_IS)
    found.notes.append(containers.note(name, arrays["weight"]))


def _add_opaque(
    found: Found, name: str, arrays: Mapping[str, Array], origin: Origin | None = None
) -> None:
    label = name or "net"
    while label in found.layers:
        label += "'"
    layer = Opaque(label, dict[str, Any](arrays), origin=origin)
    found.add(layer, {key_of(name, own): own for own in arrays})
