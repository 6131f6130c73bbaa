"""Layers as Rockpool's modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnbridge import UNKNOWN, Layer, Linear, Neuron, Opaque, Quantity, SNNCheckpoint, Synapse
from snnbridge.document import AS_IT_IS, TRANSPOSED, WITH_TAIL, ArrayForm
from snnbridge.model import Array, Path, Scheme
from snnbridge_plugins.module_keys import keys_of
from snnbridge_plugins.rockpool.modules import NAME, NUMBERED, USUAL
from snnbridge_plugins.rockpool.values import Modules, is_kept

_MODES = {Scheme.EXACT: "taus", Scheme.STATED: "decays", Scheme.BIT_SHIFT: "bitshifts"}
_INNER = re.compile(r"(.+)\.(?:synapse|recurrent)")


@dataclass(slots=True)
class Native:
    """A file's modules, and where each array of the checkpoint stands in them."""

    modules: Modules = field(default_factory=dict)
    places: dict[Path, tuple[tuple[str, ...], ArrayForm]] = field(default_factory=dict)

    def put(self, at: tuple[str, ...], value: Any) -> None:
        """Put a value where its path says."""
        node = self.modules
        for key in at[:-1]:
            node = node.setdefault(key, {})
        node[at[-1]] = value


def native_of(checkpoint: SNNCheckpoint) -> Native:
    """Return a checkpoint as Rockpool's modules; what none stands for is left out."""
    native = Native()
    layout = checkpoint.extras.get(NAME)
    left = layout.get("left", {}) if isinstance(layout, Mapping) else {}
    for layer, at in _named(checkpoint):
        _Module(checkpoint, native, layer, at).write(left.get(layer.name, {}))
    return native


def _named(checkpoint: SNNCheckpoint) -> Iterator[tuple[Layer, tuple[str, ...]]]:
    """Give the layers that are modules, and their names: those they have, or their numbers."""
    units = [layer for layer in checkpoint.layers.values() if _kind(layer)]
    units = [layer for layer in units if not _is_inside(checkpoint, layer)]
    layout = checkpoint.extras.get(NAME)
    named = isinstance(layout, Mapping) and bool(layout.get("own_names"))
    named = named or all(NUMBERED.fullmatch(x.name.rpartition(".")[2]) for x in units)
    for number, layer in enumerate(units):
        yield layer, tuple(layer.name.split(".")) if named else (f"{number}_{_kind(layer)}",)


def seen(checkpoint: SNNCheckpoint) -> Callable[[Layer], bool]:
    """Return what tells whether a layer is a module of Rockpool, or stands in one."""
    return lambda layer: bool(_kind(layer)) or _is_inside(checkpoint, layer)


def _kind(layer: Layer) -> str:
    """Return the class that a layer is in Rockpool; empty if it is none."""
    if isinstance(layer, Linear):
        return "LinearTorch"
    if layer.origin is None or layer.origin.framework != NAME:
        return ""
    known = keys_of(NAME, layer.origin.kind) is not None or isinstance(layer, Opaque)
    return layer.origin.kind if known else ""


def _is_inside(checkpoint: SNNCheckpoint, layer: Layer) -> bool:
    match = _INNER.fullmatch(layer.name)
    owner = checkpoint.layers.get(match[1]) if match else None
    return isinstance(owner, Neuron) and _kind(owner) == "LIFTorch"


class _Module:
    """One module that is being written."""

    def __init__(
        self, checkpoint: SNNCheckpoint, native: Native, layer: Layer, at: tuple[str, ...]
    ) -> None:
        self.checkpoint, self.native, self.layer, self.at = checkpoint, native, layer, at

    def write(self, left: Mapping[str, Any]) -> None:
        if isinstance(self.layer, Linear):
            self._array("weight", self.layer, "weight", TRANSPOSED)
            self._array("bias", self.layer, "bias")
            settings = dict(left)
        elif isinstance(self.layer, Opaque):
            for key in self.layer.parameters:
                self._array(key, self.layer, key)
            settings = dict(self.layer.settings)
        else:
            settings = {**USUAL[_kind(self.layer)], **left, **self._dynamic(self.layer)}
        for key, value in settings.items():
            if _is_writable(value):
                self.native.put((*self.at, key), value)

    def _dynamic(self, layer: Any) -> dict[str, Any]:
        """Write a neuron's or a synapse's arrays, and return what stands beside them."""
        row = keys_of(NAME, _kind(layer))
        assert row is not None
        for key, place in row.parameters.items():
            inner, _, parameter = place.rpartition(".")
            held = self.checkpoint.layers.get(f"{layer.name}.{inner}") if inner else layer
            if held is not None:
                form = WITH_TAIL if inner and _is_single(held, parameter) else AS_IT_IS
                self._array(key, held, parameter, form)
        dt = self.checkpoint.dt if layer.dt is None else layer.dt
        settings = {"dt": dt.seconds} if isinstance(dt, Quantity) else {}
        if isinstance(layer, Neuron):
            settings |= _switches(layer)
        return settings | self._loop()

    def _loop(self) -> dict[str, Any]:
        if _kind(self.layer) != "LIFTorch":
            return {}
        recurrent = self.checkpoint.layers.get(f"{self.layer.name}.recurrent")
        synapse = self.checkpoint.layers.get(f"{self.layer.name}.synapse")
        if isinstance(recurrent, Linear):
            self._array("w_rec", recurrent, "weight", TRANSPOSED)
            return {"_has_rec": True}
        shape = getattr(self.layer, "shape", UNKNOWN)
        if shape is UNKNOWN or not isinstance(synapse, Synapse) or len(shape) != 1:
            return {"_has_rec": False}
        # Rockpool has zeros there; their shape tells how many synapses a neuron has.
        zeros = np.zeros((shape[0], shape[0] * synapse.receptors), np.float32)
        return {"_has_rec": False, "w_rec": zeros}

    def _array(self, key: str, layer: Layer, parameter: str, form: ArrayForm = AS_IT_IS) -> None:
        held = layer.parameters.get(parameter)
        if held is None or held.value is UNKNOWN or held.value.dtype.kind not in "fiub":
            return
        stored = form.stored(held.value)
        self.native.put((*self.at, key), stored)
        if is_kept(stored):
            self.native.places["layers", layer.name, parameter] = ((*self.at, key), form)


def _switches(layer: Neuron) -> dict[str, Any]:
    found: dict[str, Any] = {}
    mode = _MODES.get(layer.rule.scheme) if isinstance(layer.rule.scheme, Scheme) else None
    if mode is not None and _kind(layer) == "LIFTorch":
        found["leak_mode"] = mode
    if layer.shape is not UNKNOWN and _kind(layer) == "LIFNeuronTorch":
        found["n_neurons"] = int(np.prod(layer.shape))
    if isinstance(layer.rule.max_spikes, int):
        found["max_spikes_per_dt"] = float(layer.rule.max_spikes)
    return found


def _is_single(layer: Layer, parameter: str) -> bool:
    held = layer.parameters.get(parameter)
    value: Array | Any = None if held is None else held.value
    return isinstance(value, np.ndarray) and value.ndim == 1


def _is_writable(value: Any) -> bool:
    """Whether a setting is a number, a text, or an array of numbers."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiub"
    return value is None or isinstance(value, bool | int | float | str)
